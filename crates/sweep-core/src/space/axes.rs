//! Which parameters are chosen together and in which order. An axis is one parameter, or several that move together.

use serde_json::Value;

use super::{Parameter, Unusable};

/// One choice that contributes to a configuration.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// Indices of the parameters that the axis decides.
    pub members: Vec<usize>,
    /// For parameters that move together, the indices of their values; each row is one choice. `None` for a single
    /// parameter, whose rows are its values.
    pub rows: Option<Vec<u64>>,
}

impl Axis {
    /// Returns the number of choices, or `None` if they are uncountable.
    pub fn count(&self, parameters: &[Parameter]) -> Option<u64> {
        match &self.rows {
            Some(rows) => Some(rows.len() as u64),
            None => parameters[self.members[0]].distribution.count(),
        }
    }

    /// Returns the value that a choice gives to a member.
    pub fn value(&self, parameters: &[Parameter], member: usize, row: u64) -> Option<Value> {
        let row = match &self.rows {
            Some(rows) => *rows.get(usize::try_from(row).ok()?)?,
            None => row,
        };
        parameters[member].distribution.value(row)
    }

    /// Returns the choice that gives these values to the members.
    pub fn row_of(&self, parameters: &[Parameter], value: impl Fn(usize) -> Option<Value>) -> Option<u64> {
        match &self.rows {
            None => parameters[self.members[0]].distribution.position(&value(self.members[0])?),
            Some(rows) => {
                let wanted: Vec<Value> = self.members.iter().map(|&member| value(member)).collect::<Option<_>>()?;
                let is_it = |row: &u64| {
                    let members = self.members.iter().zip(&wanted);
                    members.into_iter().all(|(&member, wanted)| {
                        let found = parameters[member].distribution.value(*row);
                        found.is_some_and(|found| super::condition::same(&found, wanted))
                    })
                };
                rows.iter().position(is_it).map(|at| at as u64)
            }
        }
    }
}

/// Returns the axes and the number of those that come first. A parameter follows the parameters in its condition;
/// otherwise the axes are in file order. Parameters that are `wanted`, and those that they need, come before all
/// others.
pub(super) fn axes(
    parameters: &[Parameter],
    zip: &[Vec<usize>],
    wanted: &impl Fn(usize) -> bool,
) -> Result<(Vec<Axis>, usize), Unusable> {
    let alone = (0..parameters.len()).filter(|at| !zip.iter().flatten().any(|member| member == at));
    let mut groups: Vec<Vec<usize>> = alone.map(|at| vec![at]).chain(zip.iter().cloned()).collect();
    groups.sort_by_key(|members| members.iter().min().copied());
    let mut sorting = Sorting { parameters, groups: &groups, state: vec![State::Unseen; groups.len()], order: vec![] };
    let mut first = 0;
    for round in [true, false] {
        for (at, group) in groups.iter().enumerate() {
            if !round || group.iter().any(|&member| wanted(member)) {
                sorting.visit(at)?;
            }
        }
        if round {
            first = sorting.order.len();
        }
    }
    let order = sorting.order;
    Ok((order.into_iter().map(|at| axis(parameters, groups[at].clone())).collect(), first))
}

fn axis(parameters: &[Parameter], members: Vec<usize>) -> Axis {
    if members.len() < 2 {
        return Axis { members, rows: None };
    }
    let count = members.iter().filter_map(|&member| parameters[member].distribution.count()).min().unwrap_or(0);
    let mut seen = std::collections::HashSet::new();
    let is_new = |row: &u64| {
        let values = members.iter().map(|&member| parameters[member].distribution.value(*row));
        let values = values.map(|value| value.map(|value| value.as_f64().map_or(value.to_string(), |x| x.to_string())));
        seen.insert(values.collect::<Vec<_>>())
    };
    let rows = (0..count).filter(is_new).collect();
    Axis { members, rows: Some(rows) }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Unseen,
    Open,
    Done,
}

/// A depth-first topological sort: the groups that a group needs come before it.
struct Sorting<'a> {
    parameters: &'a [Parameter],
    groups: &'a [Vec<usize>],
    state: Vec<State>,
    order: Vec<usize>,
}

impl Sorting<'_> {
    fn visit(&mut self, at: usize) -> Result<(), Unusable> {
        let parameters = self.parameters;
        match self.state[at] {
            State::Done => return Ok(()),
            State::Open => return Err(Unusable::Circle(parameters[self.groups[at][0]].name.clone())),
            State::Unseen => self.state[at] = State::Open,
        }
        for &member in &self.groups[at] {
            for name in parameters[member].when.iter().flat_map(|when| when.names()) {
                let needed = |group: &Vec<usize>| group.iter().any(|&other| parameters[other].name == name);
                if let Some(needed) = self.groups.iter().position(needed) {
                    self.visit(needed)?;
                }
            }
        }
        self.state[at] = State::Done;
        self.order.push(at);
        Ok(())
    }
}
