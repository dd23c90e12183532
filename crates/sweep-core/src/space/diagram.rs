//! A decision diagram over the configurations of a finite space. It counts them and finds the n-th one without a list.
//! Partial configurations with the same undecided conditions share everything that can follow. A parameter that no
//! condition mentions therefore costs one node, however many values it has. A parameter in a condition costs about one
//! node per case of the condition.

use std::collections::HashMap;

use super::axes::Axis;
use super::condition::{Condition, Known, Rest, Slot};
use super::{Parameter, Unusable};

/// Maximum number of choices tried to build a diagram, about a second's work. If conditions compare too
/// many parameters with each other, they need more, and counting would mean listing.
const MOST_TRIED: u64 = 3_000_000;

/// The configurations of a finite space, in the order of the axes; the last axis changes fastest.
#[derive(Debug, PartialEq)]
pub(super) struct Diagram {
    nodes: Vec<Node>,
    root: usize,
}

#[derive(Debug, PartialEq)]
struct Node {
    /// Number of configurations from here on, saturated at [`u64::MAX`].
    count: u64,
    next: Next,
}

#[derive(Debug, PartialEq)]
enum Next {
    /// The configuration is complete.
    End,
    /// The condition of the axis is false, so its parameters are absent.
    Absent(usize),
    /// All rows lead to the same node.
    Free(usize),
    /// Stretches of rows. Rows outside every stretch lead to no configuration.
    Rows(Vec<Stretch>),
}

/// Adjacent rows that lead to the same node.
#[derive(Debug, PartialEq)]
struct Stretch {
    /// Number of configurations before the stretch.
    before: u64,
    first: u64,
    rows: u64,
    node: usize,
}

/// Row of each axis in a configuration. `None` if the axis is absent.
pub(super) type Rows = Vec<Option<u64>>;

impl Diagram {
    /// Builds the diagram of the first `depth` axes. The other axes only have to admit at least one continuation; the
    /// continuations are not distinguished.
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

    /// Returns the number of configurations, saturated at [`u64::MAX`].
    pub fn count(&self) -> u64 {
        self.nodes[self.root].count
    }

    /// Returns the configuration with that index, from 0.
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

    /// Returns the index of the configuration with these rows, or `None` if there is none.
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

/// A diagram under construction, built depth first.
struct Builder<'a> {
    parameters: &'a [Parameter],
    axes: &'a [Axis],
    exclude: &'a [Condition],
    /// Condition of each axis.
    whens: Vec<Option<&'a Condition>>,
    names: HashMap<&'a str, usize>,
    /// What is known about each parameter.
    slots: Vec<Slot>,
    nodes: Vec<Node>,
    /// Node for each depth and undecided part of the conditions.
    known: HashMap<(usize, Vec<u8>), Option<usize>>,
    tried: u64,
    depth: usize,
}

impl Builder<'_> {
    /// Returns the node of axis `at` for the values known so far, or `None` if it leads to no configuration.
    fn node(&mut self, at: usize) -> Result<Option<usize>, Unusable> {
        let Some(rest) = self.rest(at) else { return Ok(None) };
        let Some(axis) = self.axes.get(at) else { return Ok(Some(0)) };
        let key = (at, rest.key);
        if let Some(node) = self.known.get(&key) {
            return Ok(*node);
        }
        let present = self.whens[at].is_none_or(|when| self.ask(when, &mut Rest::default()) == Known::True);
        let is_looked_at = axis.members.iter().any(|&member| rest.names.contains(&self.parameters[member].name));
        // The count is finite, because only finite spaces have diagrams.
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
            // Beyond the depth, one configuration is enough to show that there are any.
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

    /// Returns the undecided part of the conditions before axis `at` is decided. `None` if the partial configuration is
    /// excluded.
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
