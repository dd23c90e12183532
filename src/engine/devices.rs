//! The GPUs of a running sweep: what is seen of them becomes events and rows of `devices.csv`.

use std::fs::{File, OpenOptions};

use tokio::sync::mpsc;

use crate::agent::gpu::{Gpu, Watch, condition, descends};
use crate::agent::{Device, SlotDevice};
use crate::error::{Error, Exit, Result};
use crate::schedule::{Condition, Event, Slot, SlotId};
use crate::spec::Busy;
use crate::store::Layout;

/// At most every so many seconds there is a row for each GPU.
const BETWEEN_ROWS: f64 = 5.0;

const COLUMNS: [&str; 8] =
    ["time", "slot", "uuid", "load", "memory_used_mib", "power_watts", "temperature_celsius", "trial"];

/// The GPUs among the slots.
#[derive(Debug)]
pub struct Devices {
    busy: Busy,
    /// By slot: the GPU as it was at first, and how it was last seen; none for a slot of CPU threads.
    gpus: Vec<Option<(Gpu, Condition)>>,
    sights: mpsc::UnboundedReceiver<Vec<Gpu>>,
    /// So that waiting for a sight waits for ever where there is no GPU.
    _sender: mpsc::UnboundedSender<Vec<Gpu>>,
    _watch: Option<Watch>,
    table: Option<csv::Writer<File>>,
    last_row: f64,
}

impl Devices {
    /// Begins to look, where a slot is a GPU. `seen` is what was seen of them a moment ago.
    ///
    /// # Errors
    /// Where `devices.csv` cannot be written, or no thread can be made.
    pub fn open(layout: &Layout, busy: Busy, slots: &[SlotDevice], seen: &[Gpu]) -> Result<Devices> {
        let of_slot = |slot: &SlotDevice| match &slot.device {
            Device::Cpu { .. } => None,
            Device::Gpu { uuid } => seen.iter().find(|gpu| gpu.uuid == *uuid).cloned(),
        };
        let gpus: Vec<_> = slots.iter().map(|slot| of_slot(slot).map(|gpu| (gpu, Condition::Free))).collect();
        let (sender, sights) = mpsc::unbounded_channel();
        let (mut watch, mut table) = (None, None);
        if gpus.iter().any(Option::is_some) {
            let tell = sender.clone();
            let started = Watch::start(move |gpus| tell.send(gpus).is_ok());
            watch = Some(started.map_err(|error| {
                Error::new(Exit::Internal, "the thread that looks at the GPUs cannot start").source(error)
            })?);
            table = Some(append(layout)?);
        }
        let mut devices = Devices { busy, gpus, sights, _sender: sender, _watch: watch, table, last_row: 0.0 };
        devices.judge(seen);
        Ok(devices)
    }

    /// The slot as the scheduler begins with it.
    pub fn slot(&self, index: usize, name: String) -> Slot {
        let held = match &self.gpus[index] {
            Some((_, Condition::Busy(reason))) => Some(reason.clone()),
            _ => None,
        };
        Slot { held, ..Slot::new(name) }
    }

    /// Waits for the next look at the GPUs.
    pub async fn look(&mut self) -> Vec<Gpu> {
        self.sights.recv().await.unwrap_or_default()
    }

    /// What has changed by this look.
    pub fn judge(&mut self, seen: &[Gpu]) -> Vec<Event> {
        let ours = std::process::id();
        let mut events = Vec::new();
        for (index, (first, last)) in self.gpus.iter_mut().enumerate().filter_map(|(i, gpu)| Some((i, gpu.as_mut()?))) {
            let now = seen.iter().find(|gpu| gpu.uuid == first.uuid);
            let condition = match condition(first, now, |pid| descends(pid, ours)) {
                Condition::Busy(_) if self.busy == Busy::Share => Condition::Free,
                condition => condition,
            };
            if condition != *last && !matches!(last, Condition::Broken(_)) {
                last.clone_from(&condition);
                events.push(Event::Device { slot: SlotId(index), condition });
            }
        }
        events
    }

    /// Writes a row for every GPU, if it is time.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn record(&mut self, at: f64, seen: &[Gpu], slots: &[Slot]) -> Result<()> {
        // A clock that was set back starts a new count.
        if (0.0..BETWEEN_ROWS).contains(&(at - self.last_row)) {
            return Ok(());
        }
        self.last_row = at;
        let Some(table) = &mut self.table else { return Ok(()) };
        let mut write = || -> csv::Result<()> {
            for ((first, _), slot) in self.gpus.iter().zip(slots).filter_map(|(gpu, slot)| Some((gpu.as_ref()?, slot)))
            {
                let Some(gpu) = seen.iter().find(|gpu| gpu.uuid == first.uuid) else { continue };
                let told = |value: Option<String>| value.unwrap_or_default();
                table.write_record([
                    format!("{at:.1}"),
                    slot.name.clone(),
                    gpu.uuid.clone(),
                    told(gpu.load.map(|load| load.to_string())),
                    (gpu.memory_used >> 20).to_string(),
                    told(gpu.power.map(|watts| watts.to_string())),
                    told(gpu.temperature.map(|degrees| degrees.to_string())),
                    told(slot.attempt().map(|attempt| attempt.trial.0.to_string())),
                ])?;
            }
            Ok(table.flush()?)
        };
        write().map_err(|error| Error::new(Exit::Storage, "devices.csv cannot be written").source(error))
    }
}

fn append(layout: &Layout) -> Result<csv::Writer<File>> {
    let path = layout.devices_csv();
    let cannot = |error| Error::storage(format!("{} cannot be written", path.display()), error);
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(cannot)?;
    let is_new = file.metadata().map_err(cannot)?.len() == 0;
    let mut table = csv::Writer::from_writer(file);
    if is_new {
        table
            .write_record(COLUMNS)
            .map_err(|error| Error::new(Exit::Storage, "devices.csv cannot be written").source(error))?;
    }
    Ok(table)
}
