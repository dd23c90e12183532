//! One host: finds its slots, starts trainers on them, carries their words, ends them. It decides nothing about trials.

mod child;
pub mod gpu;
mod launch;
mod memory;
pub mod mps;
mod program;
mod reading;
mod slots;

use std::path::PathBuf;

use tokio::sync::mpsc;

use sweep_core::protocol::ToTrainer;
use sweep_scheduler::schedule::{Event, SlotId};

pub use launch::Launcher;
pub use program::Job;
pub use reading::Known;
pub use slots::{Device, SlotDevice, cpu_slots, find, share_a_gpu};

use child::{Child, Command};

/// The trainers of this host.
#[derive(Debug)]
pub struct Agent {
    /// `None` where trials are programs, and no trainer is needed.
    launcher: Option<Launcher>,
    slots: Vec<SlotDevice>,
    children: Vec<Option<Child>>,
    events: mpsc::UnboundedSender<Event>,
}

impl Agent {
    /// An agent without trainers. What it sees goes to `events`.
    pub fn new(launcher: Option<Launcher>, slots: Vec<SlotDevice>, events: mpsc::UnboundedSender<Event>) -> Agent {
        let children = slots.iter().map(|_| None).collect();
        Agent { launcher, slots, children, events }
    }

    /// Starts a trainer on the slot. Whatever comes of it is an event.
    ///
    /// Call it from the thread that lives longest: Linux ends the trainer with the thread that started it.
    pub fn start(&mut self, slot: SlotId) {
        let Some(launcher) = &self.launcher else {
            let device = self.slots[slot.0].clone();
            self.children[slot.0] = Some(program::supervise(slot, device, self.events.clone()));
            return;
        };
        match launcher.command(&self.slots[slot.0].device).spawn() {
            Ok(process) => self.children[slot.0] = Some(Child::supervise(slot, process, self.events.clone())),
            Err(error) => {
                let how = format!("could not be started: {}: {error}", launcher.program().display());
                let _ = self.events.send(Event::Gone { slot, how, out_of_memory: false });
            }
        }
    }

    /// Tells the slot's trainer something. With a log, what the trainer prints from now on goes there.
    pub fn tell(&mut self, slot: SlotId, message: &ToTrainer, log: Option<PathBuf>) {
        let mut line = serde_json::to_string(message).expect("a message has no map with keys that are not text");
        line.push('\n');
        self.command(slot, Command::Tell { line, log });
    }

    /// Runs a program on a slot that was started. What it prints goes to the log, but for its metrics.
    pub fn run(&mut self, slot: SlotId, job: Job, log: PathBuf) {
        self.command(slot, Command::Run { job: Box::new(job), log });
    }

    /// The process of each slot's trainer or program, if there is one.
    pub fn processes(&self) -> Vec<Option<u32>> {
        self.children.iter().map(|child| child.as_ref()?.process()).collect()
    }

    /// Ends the slot's trainer: by closing its stdin, then by signals.
    pub fn end(&mut self, slot: SlotId) {
        self.command(slot, Command::End);
    }

    /// Ends the slot's trainer and all its children at once.
    pub fn kill(&mut self, slot: SlotId) {
        self.command(slot, Command::Kill);
    }

    fn command(&mut self, slot: SlotId, command: Command) {
        // A trainer that is gone takes no commands; that it is gone is an event on its way.
        if let Some(child) = &self.children[slot.0] {
            child.command(command);
        }
    }
}
