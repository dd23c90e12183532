//! Requests that are valid but probably not intended, given the images and the epochs.

use super::Spec;
use super::inspect::Inspection;
use super::node::Findings;
use super::place::Path;
use super::problem::{Effect, Note};
use super::setting::setting;
use sweep_core::describe::thousands;

impl Spec {
    /// Adds notes about such requests.
    pub(super) fn doubt(&self, inspection: &Inspection, findings: &Findings) {
        let note = |path: Path, text: String| {
            let mark = findings.places.value_at(&path);
            findings.notes.borrow_mut().push(Note { mark, path, text, effect: Effect::Differs });
        };
        let shape = inspection.data.shape;
        let side = shape.height.min(shape.width);
        let epochs = self.most("epochs").unwrap_or(f64::INFINITY);
        let doubts = [
            ("augment.crop", f64::from(side) / 2.0, format!("shifts images of {shape} by half their size or more")),
            ("augment.cutout", f64::from(side), format!("can black out an entire image of {shape}")),
            (
                "early_stopping.patience",
                epochs,
                format!("never ends a trial: trials train for at most {epochs} epochs"),
            ),
        ];
        for (name, limit, what) in doubts {
            if let Some((most, place)) = self.most_and_where(name).filter(|(most, _)| *most >= limit) {
                let key = name.rsplit('.').next().unwrap_or(name);
                note(place, format!("`{key}: {most}` {what}"));
            }
        }
        let train = inspection.train.0;
        if let Some(most) = self.most("batch_size").filter(|most| *most > train as f64) {
            let text =
                format!("{most} is more than the {} training images, so an epoch is a single step", thousands(train));
            note(self.place_of("batch_size"), text);
        }
        let first = self.early_terminate.as_ref().and_then(|early| early.rule.as_ref()).and_then(|rule| rule.first());
        if let Some(first) = first.filter(|first| f64::from(*first) >= epochs) {
            let path = Path::default().key("early_terminate");
            let listed = path.key("min_iter");
            let path = if findings.places.key_at(&listed).is_some() { listed } else { path };
            note(
                path,
                format!(
                    "never stops a trial: the first comparison is at epoch {first}, and trials train for at most \
                     {epochs} epochs"
                ),
            );
        }
        if let Some(text) = self.settling(inspection) {
            note(Path::default().key("model"), text);
        }
    }

    /// Returns the largest value of a setting, with its place. It also covers values in tables that a parameter gives
    /// the setting's group.
    fn most_and_where(&self, name: &str) -> Option<(f64, Path)> {
        let in_tables = || {
            let (setting, group) = setting(name).and_then(|setting| Some((setting, setting.group?)))?;
            let varied = self.space.parameters.iter().find(|parameter| parameter.name == group)?;
            let tables = varied.distribution.samples();
            let values = tables.iter().filter_map(|table| setting.of_table(table.as_object()?)?.as_f64());
            Some((values.max_by(f64::total_cmp)?, self.place_of(group)))
        };
        let own = self.most(name).map(|most| (most, self.place_of(name)));
        own.into_iter().chain(in_tables()).max_by(|one, other| one.0.total_cmp(&other.0))
    }
}
