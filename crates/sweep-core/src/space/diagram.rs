//! Which points there are, and which is the n-th, without a list of them: a decision diagram. Partial points of which
//! the same is left to be known share all that can follow, so that parameters no condition ties together cost one node
//! each, however many values they have, and those that one does about as many as it has cases.

use std::collections::HashMap;

use super::axes::Axis;
use super::condition::{Condition, Known, Rest, Slot};
use super::{Parameter, Unusable};

/// So many choices are tried to make a diagram, a second's work. Conditions that need more compare so many parameters
/// with each other that counting is listing.
const MOST_TRIED: u64 = 3_000_000;

/// The points of a finite space, in the order of the axes, the last fastest.
#[derive(Debug, PartialEq)]
pub(super) struct Diagram {
    nodes: Vec<Node>,
    root: usize,
}

#[derive(Debug, PartialEq)]
struct Node {
    /// Points from here on; [`u64::MAX`] stands for more than that.
    count: u64,
    next: Next,
}

#[derive(Debug, PartialEq)]
enum Next {
    /// The point is complete.
    End,
    /// The condition of the axis is false: its parameters are absent.
    Absent(usize),
    /// All rows lead to the same node.
    Free(usize),
    /// Stretches of rows. Those in none of them lead to no point.
    Rows(Vec<Stretch>),
}

/// Neighbouring rows that lead to the same node.
#[derive(Debug, PartialEq)]
struct Stretch {
    /// Points before it.
    before: u64,
    first: u64,
    rows: u64,
    node: usize,
}

/// The rows of a point, one an axis; `None` where the axis is absent.
pub(super) type Rows = Vec<Option<u64>>;

impl Diagram {
    /// Of the first `depth` axes: what the others must be able to follow is seen to, but not told apart.
    pub fn new(
        parameters: &[Parameter],
        axes: &[Axis],
        exclude: &[Condition],
        depth: usize,
    ) -> Result<Diagram, Unusable> {
        let names = parameters.iter().enumerate().map(|(at, parameter)| (parameter.name.as_str(), at)).collect();
        let whens = axes.iter().map(|axis| parameters[axis.members[0]].when.as_ref()).collect();
        let nodes = vec![Node { count: 1, next: Next::End }];
        let slots = vec![Slot::Open; parameters.len()];
        let mut builder =
            Builder { parameters, axes, exclude, whens, names, slots, nodes, known: HashMap::new(), tried: 0, depth };
        let root = builder.node(0)?.ok_or(Unusable::Empty)?;
        Ok(Diagram { nodes: builder.nodes, root })
    }

    /// How many points there are; [`u64::MAX`] stands for more than that.
    pub fn count(&self) -> u64 {
        self.nodes[self.root].count
    }

    /// The point of that number, from 0.
    pub fn rows(&self, number: u64) -> Option<Rows> {
        if number >= self.count() {
            return None;
        }
        let (mut at, mut left, mut rows) = (self.root, number, Vec::new());
        loop {
            match &self.nodes[at].next {
                Next::End => return Some(rows),
                Next::Absent(node) => {
                    rows.push(None);
                    at = *node;
                }
                Next::Free(node) => {
                    let each = self.nodes[*node].count;
                    rows.push(Some(left / each));
                    (at, left) = (*node, left % each);
                }
                Next::Rows(stretches) => {
                    let stretch = &stretches[stretches.partition_point(|stretch| stretch.before <= left) - 1];
                    let each = self.nodes[stretch.node].count;
                    left -= stretch.before;
                    rows.push(Some(stretch.first + left / each));
                    (at, left) = (stretch.node, left % each);
                }
            }
        }
    }

    /// The number of the point with these rows; `None` where there is none.
    pub fn number(&self, rows: &[Option<u64>]) -> Option<u64> {
        let (mut at, mut number) = (self.root, 0_u64);
        for row in rows {
            let (before, rows, node) = match (&self.nodes[at].next, row) {
                (Next::Absent(node), None) => (0, 0, *node),
                (Next::Free(node), Some(row)) => (0, *row, *node),
                (Next::Rows(stretches), Some(row)) => {
                    let stretch = stretches[..stretches.partition_point(|one| one.first <= *row)].last()?;
                    if *row - stretch.first >= stretch.rows {
                        return None;
                    }
                    (stretch.before, row - stretch.first, stretch.node)
                }
                _ => return None,
            };
            number = number.saturating_add(before).saturating_add(rows.saturating_mul(self.nodes[node].count));
            at = node;
        }
        Some(number)
    }
}

/// A diagram while it is made, depth first.
struct Builder<'a> {
    parameters: &'a [Parameter],
    axes: &'a [Axis],
    exclude: &'a [Condition],
    /// The condition of each axis.
    whens: Vec<Option<&'a Condition>>,
    names: HashMap<&'a str, usize>,
    /// What is known of each parameter.
    slots: Vec<Slot>,
    nodes: Vec<Node>,
    /// The node of each depth and rest of the conditions.
    known: HashMap<(usize, Vec<u8>), Option<usize>>,
    tried: u64,
    depth: usize,
}

impl Builder<'_> {
    /// The node for what is known now, that of the axis `at`; `None` where it leads to no point.
    fn node(&mut self, at: usize) -> Result<Option<usize>, Unusable> {
        let Some(rest) = self.rest(at) else { return Ok(None) };
        let Some(axis) = self.axes.get(at) else { return Ok(Some(0)) };
        let key = (at, rest.key);
        if let Some(node) = self.known.get(&key) {
            return Ok(*node);
        }
        let present = self.whens[at].is_none_or(|when| self.ask(when, &mut Rest::default()) == Known::True);
        let is_looked_at = axis.members.iter().any(|&member| rest.names.contains(&self.parameters[member].name));
        // Finite: only such spaces have diagrams.
        let count = axis.count(self.parameters).unwrap_or(0);
        let next = if !present {
            self.set(at, |_| Slot::Absent);
            self.node(at + 1)?.map(|node| (self.nodes[node].count, Next::Absent(node)))
        } else if !is_looked_at {
            let next = self.node(at + 1)?.filter(|_| count > 0);
            next.map(|node| (self.nodes[node].count.saturating_mul(count), Next::Free(node)))
        } else {
            self.stretches(at, count)?
        };
        self.set(at, |_| Slot::Open);
        let node = next.map(|(count, next)| {
            // Beyond the depth one point shows that there are any.
            if at >= self.depth {
                return 0;
            }
            self.nodes.push(Node { count, next });
            self.nodes.len() - 1
        });
        self.known.insert(key, node);
        Ok(node)
    }

    /// Tries every row of an axis.
    fn stretches(&mut self, at: usize, count: u64) -> Result<Option<(u64, Next)>, Unusable> {
        let (mut all, mut stretches) = (0_u64, Vec::<Stretch>::new());
        for row in 0..count {
            self.tried += 1;
            if self.tried > MOST_TRIED {
                return Err(Unusable::Tangled);
            }
            let (axis, parameters) = (&self.axes[at], self.parameters);
            self.set(at, |member| axis.value(parameters, member, row).map_or(Slot::Absent, Slot::Is));
            let Some(node) = self.node(at + 1)? else { continue };
            match stretches.last_mut().filter(|last| last.node == node && last.first + last.rows == row) {
                Some(last) => last.rows += 1,
                None => stretches.push(Stretch { before: all, first: row, rows: 1, node }),
            }
            all = all.saturating_add(self.nodes[node].count);
        }
        Ok((!stretches.is_empty()).then_some((all, Next::Rows(stretches))))
    }

    fn set(&mut self, at: usize, slot: impl Fn(usize) -> Slot) {
        let axes = self.axes;
        for &member in &axes[at].members {
            self.slots[member] = slot(member);
        }
    }

    fn ask(&self, condition: &Condition, rest: &mut Rest) -> Known {
        let slot = |name: &str| self.names.get(name).map_or(Slot::Absent, |&at| self.slots[at].clone());
        condition.known(&slot, rest)
    }

    /// What is left to be known of the conditions before the axis `at` is decided; `None` where the point is excluded.
    fn rest(&self, at: usize) -> Option<Rest> {
        let mut rest = Rest::default();
        let whens = self.whens[at..].iter().flatten().map(|when| (*when, false));
        for (number, (condition, excludes)) in whens.chain(self.exclude.iter().map(|one| (one, true))).enumerate() {
            let start = rest.key.len();
            rest.key.extend((number as u32).to_le_bytes());
            match self.ask(condition, &mut rest) {
                Known::True if excludes => return None,
                Known::False if excludes => rest.key.truncate(start),
                Known::True => rest.key.push(1),
                Known::False => rest.key.push(0),
                Known::Open => rest.key.push(2),
            }
        }
        Some(rest)
    }
}
