//! What a file asks for that can be had, but hardly meant, given the pictures and the epochs.

use super::Spec;
use super::inspect::Inspection;
use super::node::Findings;
use super::place::Path;
use super::problem::Note;

impl Spec {
    /// Notes on it. Programs have pictures and epochs of their own, of which nothing is known.
    pub(super) fn doubt(&self, inspection: &Inspection, findings: &Findings) {
        if self.program.is_some() {
            return;
        }
        let note = |path: Path, text: String| {
            let mark = findings.places.value_at(&path);
            findings.notes.borrow_mut().push(Note { mark, path, text });
        };
        let shape = inspection.data.shape;
        let side = shape.height.min(shape.width);
        let epochs = self.most("epochs").unwrap_or(f64::INFINITY);
        let doubts = [
            ("augment.crop", f64::from(side) / 2.0, format!("shifts pictures of {shape} by half their side or more")),
            ("augment.cutout", f64::from(side), format!("can blacken the whole of a picture of {shape}")),
            ("early_stopping.patience", epochs, format!("ends no trial: they train at most {epochs} epochs")),
        ];
        for (name, limit, what) in doubts {
            if let Some(most) = self.most(name).filter(|most| *most >= limit) {
                note(self.place_of(name), format!("{most} {what}"));
            }
        }
        let train = inspection.train.0;
        if let Some(most) = self.most("batch_size").filter(|most| *most > train as f64) {
            let text = format!("{most} is more than the {train} pictures to train on: an epoch is a single step");
            note(self.place_of("batch_size"), text);
        }
        let first = self.early_terminate.as_ref().and_then(|early| early.rule.as_ref()).and_then(|rule| rule.first());
        if let Some(first) = first.filter(|first| f64::from(*first) >= epochs) {
            let path = Path::default().key("early_terminate");
            let listed = path.key("min_iter");
            let path = if findings.places.key_at(&listed).is_some() { listed } else { path };
            note(
                path,
                format!("stops no trial: none is looked at before epoch {first}, and they train at most {epochs}"),
            );
        }
    }
}
