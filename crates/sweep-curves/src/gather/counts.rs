//! How many values of the file an epoch shows by one.

use std::collections::BTreeMap;

use super::note;

/// Says how many values a metric has, if epochs have several. `means` has the number of values of each epoch, and `is_last`
/// tells that the last one is shown instead of their mean.
pub(super) fn several_values(name: &str, means: &BTreeMap<u32, (f64, u32)>, is_last: bool, notes: &mut Vec<String>) {
    let (epochs, several) = (means.len(), means.values().filter(|(_, count)| *count > 1).count());
    let how = if is_last { "the last one" } else { "their mean" };
    let is_rare = 5 * several <= epochs || several == 1 && epochs > 2;
    if several == 0 {
        return;
    }
    note(
        notes,
        if is_rare {
            let first = means.iter().find(|(_, (_, count))| *count > 1).map_or(0, |(epoch, _)| *epoch);
            let which = if several == 1 { format!("epoch {first} has") } else { format!("{several} epochs have") };
            format!(
                "{which} several values of {name}, although other epochs have one; rows may be duplicated there, and {how} is \
             shown"
            )
        } else {
            let values: u32 = means.values().map(|(_, count)| count).sum();
            format!("{name} has {values} values in {epochs} epochs; each epoch shows {how}")
        },
    );
}
