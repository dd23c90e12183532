//! The agent of one host. It finds slots, starts trainers on them, forwards messages, and ends trainers. It decides
//! nothing about trials.

mod child;
mod clashes;
mod devices;
pub mod gpu;
mod hook;
mod host;
mod job;
pub(crate) mod launch;
pub mod libtorch;
mod log;
mod memory;
mod metric_stream;
pub mod mps;
mod outbox;
pub mod processes;
mod program;
mod provenance;
mod reading;
pub mod service;
mod slots;
mod supervisor;
mod tail;
mod whole;

use std::path::PathBuf;

use tokio::sync::mpsc;

use sweep_core::measurement::MeasureRequest;
use sweep_core::protocol::Order;
use sweep_core::trial::Attempt;
use sweep_scheduler::schedule::{Event, SlotId};

pub use devices::{Devices, GpuRow, Tenant, skip_busy};
pub use hook::Hook;
pub use host::{Assignment, Host, ToHost};
pub use job::Variable;
pub use launch::{Launcher, ignores_hangup};
pub use outbox::CAPACITY;
pub use program::Job;
pub use reading::Known;
pub use slots::{Device, SlotDevice, cpu_slots, find, left_over, share_a_gpu};
pub use supervisor::PRINTED;
pub use supervisor::{WORD, end_leftovers, main as supervise, wait_for_leftovers};

use child::{Child, Command};

/// The trainers of this host.
#[derive(Debug)]
pub struct Agent {
    /// The launcher, or `None` if trials are programs and need no trainer.
    launcher: Option<Launcher>,
    slots: Vec<SlotDevice>,
    children: Vec<Option<Child>>,
    events: mpsc::Sender<Event>,
    /// What programs have written in the folder where they start.
    clashes: program::Shared,
}

impl Agent {
    /// Creates an agent without trainers. Its events go to `events`.
    pub fn new(launcher: Option<Launcher>, slots: Vec<SlotDevice>, events: mpsc::Sender<Event>) -> Agent {
        let children = slots.iter().map(|_| None).collect();
        Agent { launcher, slots, children, events, clashes: program::Shared::default() }
    }

    /// Starts a trainer on the slot.
    ///
    /// Call this from the thread that lives longest. Linux kills the trainer when the thread that started it ends.
    ///
    /// # Errors
    /// Returns why the trainer could not be started, to follow its name. It is not sent as an event, because the caller
    /// would wait for itself if the channel were full.
    pub fn start(&mut self, slot: SlotId) -> Result<(), String> {
        let Some(launcher) = &self.launcher else {
            let device = self.slots[slot.0].clone();
            self.children[slot.0] =
                Some(program::supervise(slot, device, self.events.clone(), program::Shared::clone(&self.clashes)));
            return Ok(());
        };
        let process = launcher
            .command(&self.slots[slot.0].device)
            .spawn()
            .map_err(|error| format!("could not be started: {}: {error}", launcher.program().display()))?;
        self.children[slot.0] = Some(Child::supervise(slot, process, self.events.clone()));
        Ok(())
    }

    /// Trains an attempt on the slot's trainer, whose other output goes to the log from now on.
    pub fn train(&mut self, slot: SlotId, order: Order, log: PathBuf) {
        self.command(slot, Command::Train { order: Box::new(order), log });
    }

    /// Measures a network on the slot's trainer.
    pub fn measure(&mut self, slot: SlotId, request: MeasureRequest) {
        self.command(slot, Command::Measure(Box::new(request)));
    }

    /// Asks the slot's trainer or program to save the attempt and to leave it.
    pub fn pause(&mut self, slot: SlotId, attempt: Attempt) {
        self.command(slot, Command::Pause(attempt));
    }

    /// Runs a program on a started slot. Its output, except metrics, goes to the log.
    pub fn run(&mut self, slot: SlotId, job: Job, log: PathBuf) {
        self.command(slot, Command::Run { job: Box::new(job), log });
    }

    /// The id of each slot's trainer or program process, if there is one.
    pub fn processes(&self) -> Vec<Option<u32>> {
        self.children.iter().map(|child| child.as_ref()?.process()).collect()
    }

    /// Ends the slot's trainer: closes its stdin, then sends signals.
    pub fn end(&mut self, slot: SlotId) {
        self.command(slot, Command::End);
    }

    /// Kills the slot's trainer and all its children immediately.
    pub fn kill(&mut self, slot: SlotId) {
        self.command(slot, Command::Kill);
    }

    fn command(&mut self, slot: SlotId, command: Command) {
        // Commands to a trainer that has exited are ignored. The event for its exit will arrive.
        if let Some(child) = &self.children[slot.0] {
            child.command(command);
        }
    }
}
