//! The learning rate schedules of a sweep's trials, for the plan before any trial has run.

use super::axis::Axis;
use super::figure::{Figure, Side, fit, width_of};
use super::ink::Ink;
use super::panel::{Panel, Quantity};
use super::validation::HIGHLIGHTS;
use sweep_core::learning_rate::Steps;
use sweep_core::recipe::{Shape, Training};

/// Maximum number of schedules drawn in the background.
const BACKGROUND: usize = 100;
/// Approximate number of points per schedule.
const POINTS: u64 = 600;

/// The learning rate over the epochs of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The label that distinguishes it from the others.
    name: String,
    epochs: u32,
    /// Pairs of completed epochs and the share of the trial's learning rate.
    points: Vec<(f64, f64)>,
}

impl Course {
    /// The schedule of trials with this training configuration and this number of training images.
    pub fn new(name: &str, training: &Training, pictures: u64) -> Course {
        let steps = Steps::new(training, pictures);
        let every = (steps.all / POINTS).max(1);
        let shown = (1..=steps.all).filter(|step| (step - 1) % every == 0 || *step == steps.all);
        let point = |step| (step as f64 / steps.epoch as f64, training.schedule.share(step, steps, 0));
        let until = if matches!(training.schedule.shape, Shape::Plateau { .. }) {
            ", until validation reaches a plateau"
        } else {
            ""
        };
        Course { name: format!("{name}{until}"), epochs: training.epochs, points: shown.map(point).collect() }
    }
}

/// Draws the schedules. The first are in color, with labels.
pub fn schedules(courses: &[Course]) -> Figure {
    let named = courses.len().min(HIGHLIGHTS.len());
    let height = 354.0 + 19.0 * named as f32;
    let mut figure = Figure::new((720, height as u32), "Learning rate by epoch".to_owned());
    figure.bold((24.0, 25.0), "Learning rate", 15.0, Ink::Text, Side::Start);
    if courses.len() > named {
        let note = match courses.len() - named {
            1 => "1 other schedule in gray".to_owned(),
            rest if rest > BACKGROUND => format!("{BACKGROUND} of {rest} other schedules in gray"),
            rest => format!("{rest} other schedules in gray"),
        };
        figure.text((38.0 + width_of("Learning rate", 15.0, true), 26.0), note, 12.0, Ink::Soft, Side::Start);
    }
    let epochs = courses.iter().map(|course| course.epochs).max().unwrap_or(1);
    let panel = Panel::with_axes(
        &mut figure,
        Quantity::Rate,
        ((64.0, 80.0), (690.0, 284.0)),
        Axis::upto(epochs.into()),
        Axis::upto(1.0),
    );
    for course in courses.iter().skip(named).take(BACKGROUND) {
        panel.line(&mut figure, &course.points, Ink::Faint, 0.75);
    }
    for (number, (course, ink)) in courses.iter().zip(HIGHLIGHTS).enumerate().rev() {
        panel.line(&mut figure, &course.points, ink, 2.0);
        let y = 344.0 + 19.0 * number as f32;
        figure.line(vec![(24.0, y), (46.0, y)], ink, 2.0);
        figure.text((54.0, y), fit(&course.name, 12.0, 640.0), 12.0, Ink::Text, Side::Start);
    }
    figure
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::figure::Mark;
    use super::*;
    use sweep_spec::Spec;

    fn courses(schedules: &str) -> Vec<Course> {
        let text = format!(
            "parameters: {{schedule: {{values: [{schedules}]}}, learning_rate: {{values: [0.1, 0.2]}}}}
data: {{set: digits}}\nmodel: linear\ntraining: {{epochs: 8}}\n"
        );
        let spec = Spec::read(&text, "f", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}")).0;
        let each = spec.schedules().into_iter();
        each.map(|(settings, training)| Course::new(&crate::words::settings(&settings), &training, 1000)).collect()
    }

    #[test]
    fn each_schedule_is_one_course_from_the_first_step_to_the_last() {
        let courses = courses("{type: cosine, warmup: 0.25}, plateau");
        assert_eq!(courses.len(), 2);
        assert_eq!(courses[0].points.last(), Some(&(8.0, 0.0)));
        assert!(courses[0].points.contains(&(2.0, 1.0)), "{:?}", courses[0].points);
        assert!(courses[1].name.ends_with("until validation reaches a plateau"), "{}", courses[1].name);
    }

    #[test]
    fn the_picture_holds_every_course() {
        let many: Vec<String> = (1..=8).map(|every| format!("{{type: step, every: {every}}}")).collect();
        let figure = schedules(&courses(&many.join(", ")));
        let curves = figure.marks.iter().filter(|mark| matches!(mark, Mark::Line { points, .. } if points.len() > 2));
        assert_eq!(curves.count(), 8);
        let text = super::super::svg(&figure);
        assert!(text.contains("3 other schedules in gray") && !text.contains("NaN"), "{text}");
        assert!(!super::super::svg(&schedules(&[])).is_empty());
    }
}
