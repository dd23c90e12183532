//! Progress bars for a terminal: the sweep with its remaining time, and one line per running trial.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::seconds_left;
use sweep_core::history::{Status, TrialRecord};
use sweep_core::trial::METRICS;
use sweep_report::{format, planned_epochs};
use sweep_scheduler::schedule::{Scheduler, Slot, State};
use sweep_spec::Spec;

/// Maximum number of slots with a line.
const MOST_LINES: usize = 16;

/// The bars of a run.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    sweep: ProgressBar,
    slots: Vec<ProgressBar>,
}

impl Bars {
    pub fn new() -> Bars {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{bar:28.cyan/dim} {msg}").expect("the template is well-formed");
        let sweep = all.add(ProgressBar::new(1).with_style(style.progress_chars("━━╌")));
        Bars { all, sweep, slots: Vec::new() }
    }

    /// Prints a line above the bars.
    pub fn say(&self, text: &str) {
        let _ = self.all.println(text);
    }

    pub fn draw(&mut self, scheduler: &Scheduler, spec: &Spec) {
        self.draw_sweep(scheduler, spec);
        let style = ProgressStyle::with_template("  {prefix:8} {bar:16.green/dim} {wide_msg}");
        let style = style.expect("the template is well-formed").progress_chars("━━╌");
        // Of the slots on a shared GPU, only those in use are shown.
        let shown = scheduler.slots().iter().filter(|slot| !slot.auto || slot.state != State::Empty);
        let shown: Vec<&Slot> = shown.take(MOST_LINES).collect();
        while self.slots.len() < shown.len() {
            self.slots.push(self.all.add(ProgressBar::new(1).with_style(style.clone())));
        }
        for (bar, slot) in self.slots.iter().zip(&shown) {
            bar.set_prefix(slot.name.clone());
            draw_slot(bar, slot, scheduler, spec);
        }
        for bar in &self.slots[shown.len()..] {
            bar.set_prefix("");
            bar.set_position(0);
            bar.set_message("");
        }
    }

    fn draw_sweep(&self, scheduler: &Scheduler, spec: &Spec) {
        let history = scheduler.history();
        let ended = history.trials.iter().filter(|trial| trial.outcome().is_some()).count() as u64;
        let failed = history.trials.iter().filter(|trial| trial.failed()).count();
        let mut text = match scheduler.total() {
            Some(total) => {
                self.sweep.set_length(total);
                self.sweep.set_position(ended);
                format!("{ended} of {total} trials")
            }
            None => format!("{ended} trials"),
        };
        if failed > 0 {
            text += &format!(", {failed} failed");
        }
        if let Some((trial, epoch)) = history.ranking(&spec.metric).first() {
            let value = epoch.get(&spec.metric.name).unwrap_or(f64::NAN);
            text += &format!(", best {} {} (trial {})", spec.metric.name, format::number(value, 4), trial.id);
        }
        if let Some(seconds) = seconds_left(history, scheduler.total(), |trial| planned_epochs(spec, trial)) {
            text += &format!(", {} left", format::duration(seconds));
        }
        self.sweep.set_message(text);
        self.sweep.tick();
    }

    pub fn finish(&self) {
        for bar in &self.slots {
            bar.finish_and_clear();
        }
        self.sweep.finish_and_clear();
    }
}

/// The epoch in words. A program's number is that of the last epoch that it reported.
fn epoch(spec: &Spec, trial: &TrialRecord) -> String {
    let (known, planned) = (trial.epochs(), planned_epochs(spec, trial));
    match (spec.program().is_some(), planned) {
        (false, Some(planned)) => format!("epoch {}/{planned}", (known + 1).min(planned)),
        (false, None) => format!("epoch {}", known + 1),
        (true, _) if known == 0 => "no epoch yet".to_owned(),
        (true, Some(planned)) => format!("epoch {known} of {planned}"),
        (true, None) => format!("epoch {known}"),
    }
}

fn draw_slot(bar: &ProgressBar, slot: &Slot, scheduler: &Scheduler, spec: &Spec) {
    let text = match &slot.state {
        State::Empty => "idle".into(),
        State::Starting if spec.program().is_some() => "starting".into(),
        State::Starting => "loading libtorch".into(),
        State::Ready => "idle".into(),
        State::Ending => "ending".into(),
        State::Out { .. } => "given up".into(),
        State::Pausing { attempt, .. } => format!("trial {}: saving", attempt.trial),
        State::Training { attempt, progress } => {
            let Some(trial) = scheduler.history().trial(attempt.trial) else { return };
            debug_assert_eq!(trial.status, Status::Running);
            // Signs of life come a few a second: short epochs are reported before the first.
            let known = trial.epochs();
            let part = if progress.epoch > known { progress.step as f64 / progress.steps.max(1) as f64 } else { 0.0 };
            let planned = planned_epochs(spec, trial);
            bar.set_length(u64::from(planned.unwrap_or(1)) * 100);
            bar.set_position(planned.map_or(0, |_| ((f64::from(known) + part) * 100.0) as u64));
            let mut text = format!("trial {}: {}", attempt.trial, epoch(spec, trial));
            if let Some(last) = trial.curve.last() {
                let metric = spec.metric.name.as_str();
                let own = Some(metric).filter(|name| !METRICS.contains(name));
                for name in ["train_loss", "val_loss", "val_accuracy"].into_iter().chain(own) {
                    if let Some(value) = last.get(name) {
                        text += &format!("  {name} {}", format::number(value, 4));
                    }
                }
            }
            text + "  " + &format::settings(&trial.settings)
        }
    };
    bar.set_message(text);
    bar.tick();
}
