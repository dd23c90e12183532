//! The search space: parameters, the values that each can take, and which values go together. The module is pure. Its
//! memory does not grow with the number of configurations.

mod axes;
mod condition;
mod curve;
mod diagram;
mod distribution;
mod permutation;

pub use condition::{Comparison, Condition, Operand, same};
pub use curve::Curve;
pub use distribution::Distribution;
pub use permutation::Permutation;

use std::sync::Arc;

use rand::{Rng, RngExt};
use serde_json::Value;

use crate::random::{Purpose, stream};
use crate::trial::Settings;
use axes::Axis;
use condition::{Known, Rest, Slot};
use diagram::{Diagram, Rows};

/// Number of draws used to find out whether an uncountable space has any configuration that is not excluded.
const MOST_DRAWN: u64 = 10_000;

/// A parameter that varies from trial to trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name as in a trial's parameters: `learning_rate`, or `group.member`.
    pub name: String,
    /// The values that the parameter can take.
    pub distribution: Distribution,
    /// Condition for the parameter to exist. If it is false, a configuration does not have the parameter.
    pub when: Option<Condition>,
}

/// All parameters that vary in a sweep, with their constraints.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Space {
    /// The parameters, in file order. Their names are distinct. Changing this field does not change the configurations.
    pub parameters: Vec<Parameter>,
    /// Groups of parameters that move together, by index.
    zip: Vec<Vec<usize>>,
    /// Conditions that no configuration may meet.
    exclude: Vec<Condition>,
    axes: Vec<Axis>,
    /// The configurations, if they can be counted.
    diagram: Option<Arc<Diagram>>,
}

/// What a configuration takes from an axis.
enum Choice {
    /// The row of an axis with several parameters.
    Row(u64),
    /// The value of a single parameter.
    Value(Value),
}

/// Why a space cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// Whether this parameter exists depends on the parameter itself.
    Circle(String),
    /// `exclude` leaves no configuration.
    Empty,
    /// The conditions compare too many parameters with each other to count the configurations.
    Tangled,
}

impl Space {
    /// Builds the space of all configurations of these parameters. `zip` has groups of parameter indices. The
    /// parameters of a group have value lists of one length and the same condition. A configuration takes the values of
    /// a whole group from the same position of the lists. No configuration meets a condition in `exclude`.
    ///
    /// # Errors
    /// If there are no configurations, or counting them takes too long.
    pub fn new(parameters: Vec<Parameter>, zip: Vec<Vec<usize>>, exclude: Vec<Condition>) -> Result<Space, Unusable> {
        Space::ordered(parameters, zip, exclude, &|_| true)
    }

    /// Builds the space of the `wanted` parameters and of those that their conditions depend on.
    fn ordered(
        parameters: Vec<Parameter>,
        zip: Vec<Vec<usize>>,
        exclude: Vec<Condition>,
        wanted: &impl Fn(usize) -> bool,
    ) -> Result<Space, Unusable> {
        let (axes, depth) = axes::axes(&parameters, &zip, wanted)?;
        let finite = axes.iter().all(|axis| axis.count(&parameters).is_some());
        let diagram = if finite { Some(Diagram::new(&parameters, &axes, &exclude, depth)?) } else { None };
        let space = Space { parameters, zip, exclude, axes, diagram: diagram.map(Arc::new) };
        let mut draws = (0..MOST_DRAWN).map(|at| space.draw(&mut stream(0, at, 0, Purpose::Point)));
        let is_empty = !finite && !space.exclude.is_empty() && !draws.any(|point| point.is_some());
        if is_empty { Err(Unusable::Empty) } else { Ok(space) }
    }

    /// Returns the number of configurations, saturated at [`u64::MAX`]. `None` if they are uncountable.
    pub fn count(&self) -> Option<u64> {
        if self.parameters.is_empty() {
            return Some(1);
        }
        self.diagram.as_ref().map(|diagram| diagram.count())
    }

    /// Returns whether independent draws of the parameters make every configuration equally likely.
    pub fn is_even(&self) -> bool {
        self.parameters.iter().all(|parameter| parameter.distribution.is_even() && parameter.when.is_none())
    }

    /// Returns whether every combination of values is a configuration.
    pub fn is_free(&self) -> bool {
        self.zip.is_empty() && self.exclude.is_empty() && self.parameters.iter().all(|one| one.when.is_none())
    }

    /// Returns the configuration with that index, from 0 to below [`Space::count`], in file order. The last parameter
    /// changes fastest, but every parameter follows those in its condition. `None` past the end, or if the
    /// configurations are not counted.
    pub fn point(&self, number: u64) -> Option<Settings> {
        if self.parameters.is_empty() {
            return (number == 0).then(Settings::new);
        }
        let rows = self.diagram.as_ref()?.rows(number)?;
        let mut slots = vec![Slot::Absent; self.parameters.len()];
        for (axis, row) in self.axes.iter().zip(rows) {
            for &member in &axis.members {
                slots[member] = row.map_or(Slot::Absent, |row| self.slot(axis, member, row));
            }
        }
        Some(self.settings(slots))
    }

    /// Returns the index of a configuration. `None` if the space does not have it, or if the configurations are not
    /// counted.
    pub fn number(&self, point: &Settings) -> Option<u64> {
        let diagram = self.diagram.as_ref()?;
        let of = |member: usize| point.get(&self.parameters[member].name);
        let mut rows: Rows = Vec::with_capacity(self.axes.len());
        for axis in &self.axes {
            rows.push(match axis.members.iter().any(|&member| of(member).is_some()) {
                true => Some(axis.row_of(&self.parameters, |member| of(member).cloned())?),
                false => None,
            });
        }
        diagram.number(&rows)
    }

    /// Returns the configuration with exactly these values, in the notation of the space. `None` if there is none.
    pub fn own(&self, values: &Settings) -> Option<Settings> {
        let mut slots = vec![Slot::Absent; self.parameters.len()];
        for (parameter, slot) in self.parameters.iter().zip(&mut slots) {
            let Some(value) = values.get(&parameter.name) else { continue };
            let distribution = &parameter.distribution;
            let own = distribution.position(value).and_then(|position| distribution.value(position));
            *slot = Slot::Is(own.or_else(|| distribution.contains(value).then(|| value.clone()))?);
        }
        for axis in &self.axes {
            let is_there = |member: &usize| matches!(slots[*member], Slot::Is(_));
            let when = self.parameters[axis.members[0]].when.as_ref();
            let present = when.is_none_or(|when| self.holds(when, &slots));
            let value = |member: usize| values.get(&self.parameters[member].name).cloned();
            let is_choice = || axis.rows.is_none() || axis.row_of(&self.parameters, value).is_some();
            if axis.members.iter().any(|member| is_there(member) != present) || (present && !is_choice()) {
                return None;
            }
        }
        let excluded = self.exclude.iter().any(|condition| self.holds(condition, &slots));
        let own = self.settings(slots);
        (!excluded && own.len() == values.len()).then_some(own)
    }

    /// Returns the constraints: the groups of `zip` by parameter name, and the conditions of `exclude`.
    pub fn constraints(&self) -> (Vec<Vec<&str>>, &[Condition]) {
        let names = |group: &Vec<usize>| group.iter().map(|&at| self.parameters[at].name.as_str()).collect();
        (self.zip.iter().map(names).collect(), &self.exclude)
    }

    /// Returns the number of choices in a configuration. A choice is one parameter, or several that move together.
    pub fn choices(&self) -> usize {
        self.axes.len()
    }

    /// Returns whether the values of a choice have no order.
    pub fn is_categorical(&self, choice: usize) -> bool {
        let axis = &self.axes[choice];
        axis.rows.is_some() || self.parameters[axis.members[0]].distribution.is_categorical()
    }

    /// Returns whether a parameter depends on others.
    pub fn is_conditional(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.when.is_some())
    }

    /// Returns the configuration at these quantiles, from 0 to below 1 for each choice. Uniform quantiles give the
    /// distribution of [`Space::draw`]. `place` is called in order, for the choices that the configuration has. `None`
    /// if the configuration is excluded.
    pub fn at(&self, mut place: impl FnMut(usize) -> f64) -> Option<Settings> {
        self.compose(|choice, axis| match &axis.rows {
            Some(rows) => Choice::Row((place(choice) * rows.len() as f64) as u64),
            None => Choice::Value(self.parameters[axis.members[0]].distribution.at(place(choice))),
        })
    }

    /// Returns the first and the last quantile of a choice that give the configuration's value. `None` if the
    /// configuration does not have the choice.
    pub fn places(&self, choice: usize, point: &Settings) -> Option<(f64, f64)> {
        let axis = &self.axes[choice];
        let value = |member: usize| point.get(&self.parameters[member].name);
        match &axis.rows {
            Some(rows) => {
                let row = axis.row_of(&self.parameters, |member| value(member).cloned())? as f64;
                Some((row / rows.len() as f64, (row + 1.0) / rows.len() as f64))
            }
            None => self.parameters[axis.members[0]].distribution.places(value(axis.members[0])?),
        }
    }

    /// Draws a random configuration, each parameter independently. Parameters in conditions are drawn before the
    /// parameters that depend on them. `None` if the result is excluded.
    pub fn draw(&self, chance: &mut impl Rng) -> Option<Settings> {
        self.compose(|_, axis| match &axis.rows {
            Some(rows) => Choice::Row(chance.random_range(0..rows.len() as u64)),
            None => Choice::Value(self.parameters[axis.members[0]].distribution.draw(chance)),
        })
    }

    /// Builds a configuration from its choices. `None` if it is excluded.
    fn compose(&self, mut choose: impl FnMut(usize, &Axis) -> Choice) -> Option<Settings> {
        let mut slots = vec![Slot::Open; self.parameters.len()];
        for (number, axis) in self.axes.iter().enumerate() {
            let when = self.parameters[axis.members[0]].when.as_ref();
            let absent = when.is_some_and(|when| !self.holds(when, &slots));
            let choice = if absent { None } else { Some(choose(number, axis)) };
            for &member in &axis.members {
                slots[member] = match &choice {
                    None => Slot::Absent,
                    Some(Choice::Row(row)) => self.slot(axis, member, *row),
                    Some(Choice::Value(value)) => Slot::Is(value.clone()),
                };
            }
        }
        let excluded = self.exclude.iter().any(|condition| self.holds(condition, &slots));
        (!excluded).then(|| self.settings(slots))
    }

    /// Splits the space into parts. The first part meets the first condition, the next meets the second but not the
    /// first, and so on. The last part has the rest. Empty parts are left out.
    ///
    /// # Errors
    /// [`Unusable::Tangled`] if a part cannot be counted.
    pub fn parts(&self, conditions: &[Condition]) -> Result<Vec<Space>, Unusable> {
        let (mut parts, mut exclude) = (Vec::new(), self.exclude.clone());
        for condition in conditions.iter().map(Some).chain([None]) {
            let mut others = exclude.clone();
            others.extend(condition.map(|condition| Condition::Not(Box::new(condition.clone()))));
            match Space::new(self.parameters.clone(), self.zip.clone(), others) {
                Ok(part) => parts.push(part),
                Err(Unusable::Empty) => {}
                Err(error) => return Err(error),
            }
            exclude.extend(condition.cloned());
        }
        Ok(parts)
    }

    /// Returns the subspace with these values. A parameter that is not named keeps all its values.
    ///
    /// # Errors
    /// [`Unusable::Empty`] if no configuration has these values.
    pub fn pinned(&self, values: &Settings) -> Result<Space, Unusable> {
        let mut parameters = self.parameters.clone();
        let mut zip = self.zip.clone();
        // A group keeps the positions at which all values match. A separate list makes the matching values the only
        // ones.
        for group in &mut zip {
            let pinned: Vec<_> = group.iter().filter_map(|&at| Some((at, values.get(&parameters[at].name)?))).collect();
            let count = group.iter().filter_map(|&at| parameters[at].distribution.count()).min().unwrap_or(0);
            let fits = |row: &u64| {
                let value = |at: usize| parameters[at].distribution.value(*row);
                pinned.iter().all(|(at, wanted)| value(*at).is_some_and(|value| same(&value, wanted)))
            };
            let rows: Vec<u64> = (0..count).filter(fits).collect();
            if rows.is_empty() {
                return Err(Unusable::Empty);
            }
            for &at in group.iter() {
                let values = rows.iter().filter_map(|&row| parameters[at].distribution.value(row)).collect();
                parameters[at].distribution = Distribution::Categorical(values);
            }
        }
        for (at, parameter) in parameters.iter_mut().enumerate() {
            if let Some(value) = values.get(&parameter.name).filter(|_| !zip.iter().flatten().any(|other| *other == at))
            {
                if !parameter.distribution.contains(value) {
                    return Err(Unusable::Empty);
                }
                parameter.distribution = Distribution::Constant(value.clone());
            }
        }
        // A pinned parameter must be present.
        let mut exclude = self.exclude.clone();
        let pinned = parameters.iter().filter(|parameter| values.contains_key(&parameter.name));
        exclude.extend(pinned.filter_map(|parameter| Some(Condition::Not(Box::new(parameter.when.clone()?)))));
        Space::new(parameters, zip, exclude)
    }

    /// Returns the space reduced to the `wanted` parameters and those that their conditions depend on. A parameter with
    /// more than `most` values, or with uncountable values, keeps only its ends.
    pub fn part(&self, wanted: impl Fn(&str) -> bool, most: u64) -> Space {
        let mut linked: Vec<bool> = self.parameters.iter().map(|parameter| wanted(&parameter.name)).collect();
        let links = self.links();
        while let Some(link) =
            links.iter().find(|link| link.iter().any(|&at| linked[at]) && !link.iter().all(|&at| linked[at]))
        {
            link.iter().for_each(|&at| linked[at] = true);
        }
        let kept: Vec<usize> = (0..linked.len()).filter(|&at| linked[at]).collect();
        let few = |at: &usize| {
            let Parameter { name, distribution, when } = &self.parameters[*at];
            let distribution = match distribution.count() {
                Some(count) if count <= most => (0..count).filter_map(|at| distribution.value(at)).collect(),
                _ => distribution.samples(),
            };
            Parameter { name: name.clone(), distribution: Distribution::Categorical(distribution), when: when.clone() }
        };
        let parameters: Vec<_> = kept.iter().map(few).collect();
        let renumbered = |group: &Vec<usize>| -> Option<Vec<usize>> {
            group.iter().map(|at| kept.iter().position(|kept| kept == at)).collect()
        };
        let zip = self.zip.iter().filter_map(renumbered).collect();
        let is_kept = |name: &str| parameters.iter().any(|parameter| parameter.name == name);
        let mut exclude = self.exclude.clone();
        exclude.retain(|condition| condition.names().into_iter().all(is_kept));
        let is_wanted = |at: usize| wanted(&self.parameters[kept[at]].name);
        // The ends of a range can all be excluded while values between them are not. In that case nothing is left out.
        let free = || {
            let only = |parameter: &Parameter| Parameter { when: None, ..parameter.clone() };
            let parameters = parameters.iter().filter(|one| wanted(&one.name)).map(only).collect();
            Space::new(parameters, Vec::new(), Vec::new()).unwrap_or_default()
        };
        Space::ordered(parameters.clone(), zip, exclude, &is_wanted).unwrap_or_else(|_| free())
    }

    /// Returns the sets of parameters, by index, that one condition or group links.
    fn links(&self) -> Vec<Vec<usize>> {
        let numbers = |condition: &Condition| -> Vec<usize> {
            let find = |name: &str| self.parameters.iter().position(|parameter| parameter.name == name);
            condition.names().into_iter().filter_map(find).collect()
        };
        let whens = self.parameters.iter().enumerate().filter_map(|(at, parameter)| {
            let mut link = numbers(parameter.when.as_ref()?);
            link.push(at);
            Some(link)
        });
        whens.chain(self.exclude.iter().map(numbers)).chain(self.zip.iter().cloned()).collect()
    }

    fn slot(&self, axis: &Axis, member: usize, row: u64) -> Slot {
        axis.value(&self.parameters, member, row).map_or(Slot::Absent, Slot::Is)
    }

    /// Returns whether a condition is true for a configuration.
    pub fn is_so(&self, condition: &Condition, point: &Settings) -> bool {
        let slot = |name: &str| point.get(name).map_or(Slot::Absent, |value| Slot::Is(value.clone()));
        condition.known(&slot, &mut Rest::default()) == Known::True
    }

    fn holds(&self, condition: &Condition, slots: &[Slot]) -> bool {
        let slot = |name: &str| {
            let at = self.parameters.iter().position(|parameter| parameter.name == name);
            at.map_or(Slot::Absent, |at| slots[at].clone())
        };
        condition.known(&slot, &mut Rest::default()) == Known::True
    }

    fn settings(&self, slots: Vec<Slot>) -> Settings {
        let value = |slot| match slot {
            Slot::Is(value) => Some(value),
            Slot::Open | Slot::Absent => None,
        };
        let named = self.parameters.iter().zip(slots);
        named
            .filter_map(|(parameter, slot)| Some((parameter.name.clone(), value(slot)?)))
            .collect::<Vec<(_, Value)>>()
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn list(name: &str, count: i64) -> Parameter {
        let distribution = Distribution::Categorical((0..count).map(Into::into).collect());
        Parameter { name: name.to_owned(), distribution, when: None }
    }

    fn is(name: &str, value: i64) -> Condition {
        Condition::equal(name, value.into())
    }

    fn space() -> impl Strategy<Value = Space> {
        let categorical = (1..6_i64).prop_map(|n| Distribution::Categorical((0..n).map(Into::into).collect()));
        let whole = (-5..5_i64, 0..5_i64).prop_map(|(min, more)| Distribution::IntUniform { min, max: min + more });
        let steps = (0..5_u32).prop_map(|n| Distribution::Steps { first: 0.1, step: 0.1, count: u64::from(n) + 1 });
        let constant = Just(Distribution::Constant("x".into()));
        prop::collection::vec(prop_oneof![categorical, whole, steps, constant], 0..5).prop_map(|distributions| {
            let named = distributions.into_iter().enumerate();
            let named = named.map(|(at, distribution)| Parameter { name: format!("p{at}"), distribution, when: None });
            Space::new(named.collect(), Vec::new(), Vec::new()).unwrap()
        })
    }

    fn all(space: &Space) -> Vec<Settings> {
        (0..space.count().unwrap()).map(|at| space.point(at).unwrap()).collect()
    }

    fn distinct(points: &[Settings]) -> usize {
        points.iter().map(|point| serde_json::to_string(point).unwrap()).collect::<HashSet<_>>().len()
    }

    proptest! {
        #[test]
        fn points_are_distinct_and_as_many_as_counted(space in space()) {
            let points = all(&space);
            let product: u64 = space.parameters.iter().map(|one| one.distribution.count().unwrap()).product();
            prop_assert_eq!((points.len() as u64, distinct(&points) as u64), (product, product));
            prop_assert_eq!(space.point(product), None);
        }
    }

    #[test]
    fn the_last_parameter_changes_fastest() {
        let space = Space::new(vec![list("a", 3), list("b", 3)], Vec::new(), Vec::new()).unwrap();
        let second = space.point(1).unwrap();
        assert_eq!((second["a"].as_i64(), second["b"].as_i64()), (Some(0), Some(1)));
    }

    /// A condition on parameters `p0` to `p4`, whose values start at 0.
    fn condition() -> impl Strategy<Value = Condition> {
        let sign = prop_oneof![
            Just(Comparison::Equal),
            Just(Comparison::Unequal),
            Just(Comparison::Less),
            Just(Comparison::AtLeast)
        ];
        let name = (0..5_usize).prop_map(|at| Operand::Name(format!("p{at}")));
        let right = prop_oneof![(0..4_i64).prop_map(|value| Operand::Literal(value.into())), name.clone()];
        let leaf = (name, sign, right).prop_map(|(left, sign, right)| Condition::Compare(left, sign, right));
        leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
                prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::All),
                prop::collection::vec(inner, 1..3).prop_map(Condition::Any),
            ]
        })
    }

    /// The configurations found by trying everything. This is the definition that the diagram must match.
    fn listed(parameters: &[Parameter], zip: &[Vec<usize>], exclude: &[Condition]) -> Vec<Settings> {
        let holds = |condition: &Condition, point: &Settings| {
            let slot = |name: &str| point.get(name).map_or(Slot::Absent, |value| Slot::Is(value.clone()));
            condition.known(&slot, &mut Rest::default()) == Known::True
        };
        let whole = Space::new(
            parameters.iter().map(|one| Parameter { when: None, ..one.clone() }).collect(),
            Vec::new(),
            Vec::new(),
        )
        .unwrap();
        let mut seen = HashSet::new();
        let mut points = all(&whole);
        points.retain(|point| {
            zip.iter().all(|group| {
                let first = &point[&parameters[group[0]].name];
                group.iter().all(|&at| point[&parameters[at].name] == *first)
            })
        });
        for point in &mut points {
            // In this test, parameters depend only on earlier ones in the file.
            for parameter in parameters {
                if parameter.when.as_ref().is_some_and(|when| !holds(when, point)) {
                    point.remove(&parameter.name);
                }
            }
        }
        points.retain(|point| !exclude.iter().any(|condition| holds(condition, point)));
        points.retain(|point| seen.insert(serde_json::to_string(point).unwrap()));
        points
    }

    proptest! {
        #[test]
        fn a_diagram_has_the_points_that_trying_everything_finds_in_the_same_order(
            counts in prop::collection::vec(1..4_i64, 5),
            zipped: bool,
            whens in prop::collection::vec((0..5_usize, condition()), 0..3),
            exclude in prop::collection::vec(condition(), 0..3),
        ) {
            let mut parameters: Vec<_> = (0..5).map(|at| list(&format!("p{at}"), counts[at])).collect();
            let zip = if zipped { vec![vec![0, 1]] } else { Vec::new() };
            if zipped {
                parameters[1] = list("p1", counts[0]);
            }
            for (at, when) in whens {
                let earlier = |name: &str| name < format!("p{at}").as_str();
                if when.names().into_iter().all(earlier) && (!zipped || at > 1) {
                    parameters[at].when = Some(when);
                }
            }
            let expected = listed(&parameters, &zip, &exclude);
            match Space::new(parameters, zip, exclude) {
                Err(problem) => prop_assert_eq!((problem, expected.len()), (Unusable::Empty, 0)),
                Ok(space) => {
                    let found = all(&space);
                    prop_assert_eq!(&found, &expected);
                    for (number, point) in found.iter().enumerate() {
                        prop_assert_eq!(space.number(point), Some(number as u64));
                    }
                    let drawn = (1..50).filter_map(|at| space.draw(&mut stream(1, at, 0, Purpose::Point)));
                    for point in drawn {
                        prop_assert!(space.number(&point).is_some(), "{:?}", point);
                    }
                    // The middle of a configuration's quantiles gives the same configuration.
                    for point in &found {
                        let middle = |(from, to): (f64, f64)| (from + to) / 2.0;
                        let place = |choice| space.places(choice, point).map_or(0.0, middle);
                        let again = space.at(place);
                        prop_assert_eq!(again.as_ref(), Some(point));
                    }
                    // The configurations that remain if only two parameters matter.
                    let part = space.part(|name| name == "p2" || name == "p4", 100);
                    let only = |points: Vec<Settings>| points.into_iter().map(|mut point| {
                        point.retain(|name, _| name == "p2" || name == "p4");
                        serde_json::to_string(&point).unwrap()
                    }).collect::<HashSet<_>>();
                    prop_assert_eq!(only(all(&part)), only(found));
                }
            }
        }
    }

    #[test]
    fn a_parameter_may_stand_before_the_one_that_its_condition_asks_for() {
        let mut nesterov = list("nesterov", 2);
        nesterov.when = Some(is("optimizer", 1));
        let space = Space::new(vec![nesterov, list("optimizer", 2)], Vec::new(), Vec::new()).unwrap();
        let expected = json!([{"optimizer": 0}, {"nesterov": 0, "optimizer": 1}, {"nesterov": 1, "optimizer": 1}]);
        assert_eq!(json!(all(&space)), expected);
    }

    #[test]
    fn conditions_that_need_each_other_are_told() {
        let (mut a, mut b) = (list("a", 2), list("b", 2));
        (a.when, b.when) = (Some(is("b", 1)), Some(is("a", 1)));
        assert_eq!(Space::new(vec![a, b], Vec::new(), Vec::new()), Err(Unusable::Circle("a".to_owned())));
    }

    #[test]
    fn places_of_a_group_that_give_the_same_are_one_choice() {
        let values = |name: &str, values: [i64; 3]| Parameter {
            name: name.to_owned(),
            distribution: Distribution::Categorical(values.into_iter().map(Into::into).collect()),
            when: None,
        };
        let zipped = Space::new(vec![values("a", [1, 1, 1]), values("b", [2, 3, 2])], vec![vec![0, 1]], Vec::new());
        assert_eq!(json!(all(&zipped.unwrap())), json!([{"a": 1, "b": 2}, {"a": 1, "b": 3}]));
    }

    #[test]
    fn a_pinned_parameter_is_there_and_a_group_follows_it() {
        let mut c = list("c", 2);
        c.when = Some(is("a", 2));
        let space = Space::new(vec![list("a", 3), list("b", 3), c], vec![vec![0, 1]], vec![is("c", 1)]).unwrap();
        let pinned = |values: Value| space.pinned(values.as_object().unwrap()).map(|space| json!(all(&space)));
        assert_eq!(pinned(json!({"b": 1})), Ok(json!([{"a": 1, "b": 1}])));
        assert_eq!(pinned(json!({"c": 0})), Ok(json!([{"a": 2, "b": 2, "c": 0}])));
        assert_eq!(pinned(json!({"c": 1})), Err(Unusable::Empty));
        assert_eq!(pinned(json!({"a": 0, "b": 1})), Err(Unusable::Empty));
    }

    #[test]
    fn a_million_points_with_conditions_take_few_nodes() {
        let mut parameters: Vec<_> = (0..6).map(|at| list(&format!("p{at}"), 10)).collect();
        parameters[5].when = Some(is("p0", 3));
        let exclude = vec![
            Condition::All(vec![is("p1", 2), is("p4", 7)]),
            Condition::Compare(Operand::Name("p2".to_owned()), Comparison::More, Operand::Name("p3".to_owned())),
        ];
        let space = Space::new(parameters, Vec::new(), exclude).unwrap();
        // p0 and p5: 9 + 10; p1 and p4: 100 - 1; p2 up to p3: 55.
        assert_eq!(space.count(), Some(19 * 99 * 55));
    }

    #[test]
    fn conditions_that_tie_everything_to_everything_are_refused() {
        let parameters: Vec<_> = (0..12).map(|at| list(&format!("p{at}"), 50)).collect();
        let differ = |at: usize| {
            let name = |at: usize| Operand::Name(format!("p{at}"));
            Condition::Compare(name(at), Comparison::Equal, name(11 - at))
        };
        assert_eq!(Space::new(parameters, Vec::new(), (0..6).map(differ).collect()), Err(Unusable::Tangled));
    }
}
