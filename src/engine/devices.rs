//! What GPUs do, as rows of `devices.csv`.

use std::fs::{File, OpenOptions};

use crate::agent::{GpuRow, Tenant};
use sweep_core::error::{Error, Exit, Result};
use sweep_scheduler::schedule::Slot;
use sweep_store::Layout;

const COLUMNS: [&str; 9] =
    ["time", "device", "uuid", "load", "memory_used_mib", "power_watts", "temperature_celsius", "throttled", "trials"];

/// The table `devices.csv`.
#[derive(Debug)]
pub struct Table {
    layout: Layout,
    /// `None` until a GPU is seen.
    table: Option<csv::Writer<File>>,
}

impl Table {
    /// The table of a sweep. It is no file until it has rows.
    pub fn new(layout: Layout) -> Table {
        Table { layout, table: None }
    }

    /// Writes a row for every GPU of a host. `None`: of this machine.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn record(&mut self, at: f64, node: Option<&str>, rows: &[GpuRow]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let table = match &mut self.table {
            Some(table) => table,
            none => none.insert(append(&self.layout)?),
        };
        let mut write = || -> csv::Result<()> {
            for row in rows {
                let told = |value: Option<String>| value.unwrap_or_default();
                table.write_record([
                    format!("{at:.1}"),
                    node.map_or(row.device.clone(), |node| format!("{node}/{}", row.device)),
                    row.uuid.clone(),
                    told(row.load.map(|load| load.to_string())),
                    (row.memory_used >> 20).to_string(),
                    told(row.power.map(|watts| watts.to_string())),
                    told(row.temperature.map(|degrees| degrees.to_string())),
                    row.throttled.join(" "),
                    row.trials.iter().map(|trial| trial.0.to_string()).collect::<Vec<_>>().join(" "),
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
