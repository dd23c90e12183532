//! `sweep plan --chart`: the learning rate schedules of the trials.

use std::path::Path;

use super::figures::settings;
use crate::cli::sweep_file::SweepFile;
use sweep_core::error::{Error, Exit, Result};
use sweep_report::charts::{Course, png, schedules, svg};

/// Draws the chart to `path`, as SVG or PNG depending on the extension.
pub fn write(file: &SweepFile, path: &Path) -> Result<()> {
    let Some(inspection) = &file.inspection else {
        return Err(Error::new(Exit::Usage, "--chart: trials run a program, whose learning rates are not known")
            .hint("leave --chart out"));
    };
    let (_, pictures) = inspection.train;
    let course = |(varied, training): &_| {
        let name = settings(varied);
        Course::new(if name.is_empty() { "all trials" } else { &name }, training, pictures)
    };
    let figure = schedules(&file.spec.schedules().iter().map(course).collect::<Vec<_>>());
    let bytes = match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => svg(&figure).into_bytes(),
        Some("png") => png(&figure),
        _ => {
            return Err(Error::new(Exit::Usage, format!("{} is not a valid chart name", path.display()))
                .hint("use a name that ends in .svg or .png"));
        }
    };
    sweep_store::replace(path, &bytes)
}
