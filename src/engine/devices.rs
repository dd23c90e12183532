//! What GPUs do, as rows of `devices.csv`.

use std::fs::{File, OpenOptions};

use crate::agent::gpu::Gpu;
use crate::agent::{Devices, SlotDevice, Tenant};
use sweep_core::error::{Error, Exit, Result};
use sweep_scheduler::schedule::Slot;
use sweep_store::Layout;

/// Minimum number of seconds between two rows of a GPU.
const BETWEEN_ROWS: f64 = 5.0;

const COLUMNS: [&str; 9] =
    ["time", "device", "uuid", "load", "memory_used_mib", "power_watts", "temperature_celsius", "throttled", "trials"];

/// The table `devices.csv`.
#[derive(Debug)]
pub struct Table {
    table: csv::Writer<File>,
    last_row: f64,
}

impl Table {
    /// Opens the table, if a slot is on a GPU.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open(layout: &Layout, slots: &[SlotDevice]) -> Result<Option<Table>> {
        let is_gpu = |slot: &SlotDevice| matches!(slot.device, crate::agent::Device::Gpu { .. });
        if !slots.iter().any(is_gpu) {
            return Ok(None);
        }
        Ok(Some(Table { table: append(layout)?, last_row: 0.0 }))
    }

    /// Writes a row for every GPU, if enough time has passed.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn record(&mut self, at: f64, devices: &Devices, seen: &[Gpu], slots: &[Slot]) -> Result<()> {
        // If the clock was set back, the interval starts again.
        if (0.0..BETWEEN_ROWS).contains(&(at - self.last_row)) {
            return Ok(());
        }
        self.last_row = at;
        let table = &mut self.table;
        let mut write = || -> csv::Result<()> {
            for (gpu, of_gpu) in devices.found(seen) {
                let told = |value: Option<String>| value.unwrap_or_default();
                let trials = of_gpu.iter().filter_map(|slot| slots[slot.0].attempt());
                table.write_record([
                    format!("{at:.1}"),
                    gpu.slot(),
                    gpu.uuid.clone(),
                    told(gpu.load.map(|load| load.to_string())),
                    (gpu.memory_used >> 20).to_string(),
                    told(gpu.power.map(|watts| watts.to_string())),
                    told(gpu.temperature.map(|degrees| degrees.to_string())),
                    gpu.throttled.join(" "),
                    trials.map(|attempt| attempt.trial.0.to_string()).collect::<Vec<_>>().join(" "),
                ])?;
            }
            Ok(table.flush()?)
        };
        write().map_err(|error| Error::new(Exit::Storage, "cannot write devices.csv").source(error))
    }
}

fn append(layout: &Layout) -> Result<csv::Writer<File>> {
    let path = layout.devices_csv();
    let cannot = |error| Error::storage(format!("cannot write {}", path.display()), error);
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(cannot)?;
    let is_new = file.metadata().map_err(cannot)?.len() == 0;
    let mut table = csv::Writer::from_writer(file);
    if is_new {
        table
            .write_record(COLUMNS)
            .map_err(|error| Error::new(Exit::Storage, "cannot write devices.csv").source(error))?;
    }
    Ok(table)
}

/// What the sweep has on its own slots, for the watch of GPUs.
pub fn tenants(slots: &[Slot]) -> Vec<Tenant> {
    slots.iter().map(|slot| Tenant { lives: !slot.is_still(), attempt: slot.attempt() }).collect()
}
