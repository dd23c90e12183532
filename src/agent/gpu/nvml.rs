//! The only file that names NVML.

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;

use super::{Gpu, Process};

/// Where the driver's library is looked for, in this order. The second is there only where it was installed to
/// build against.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// The driver's library, loaded.
#[derive(Debug)]
pub struct Driver(Nvml);

impl Driver {
    /// Loads it.
    ///
    /// # Errors
    /// Why it cannot be: there is no driver, or it does not answer.
    pub fn open() -> Result<Driver, String> {
        open().map(Driver)
    }

    /// Looks at every GPU.
    ///
    /// # Errors
    /// Why none can be seen.
    pub fn look(&self) -> Result<Vec<Gpu>, String> {
        let count = self.0.device_count().map_err(|error| format!("NVML does not count the GPUs: {error}"))?;
        // A GPU that cannot be asked, such as one that has fallen off the bus, is not there.
        Ok((0..count).filter_map(|index| one(&self.0, index).ok()).collect())
    }
}

fn open() -> Result<Nvml, String> {
    let mut first = None;
    for library in LIBRARIES {
        match Nvml::builder().lib_path(library.as_ref()).init() {
            Ok(nvml) => return Ok(nvml),
            Err(error) => drop(first.get_or_insert(error)),
        }
    }
    Err(match first {
        Some(NvmlError::LibloadingError(_)) | None => {
            format!("{} cannot be loaded: there is no NVIDIA driver", LIBRARIES[0])
        }
        Some(error) => format!("the NVIDIA driver does not answer: {error}"),
    })
}

fn one(nvml: &Nvml, index: u32) -> Result<Gpu, NvmlError> {
    let device = nvml.device_by_index(index)?;
    // All but its name is optional: other implementations, and old drivers, tell less.
    let memory = match device.memory_info() {
        Err(NvmlError::GpuLost) => return Err(NvmlError::GpuLost),
        told => told.map_or((0, 0), |memory| (memory.total, memory.used)),
    };
    let process = |info: nvml_wrapper::struct_wrappers::device::ProcessInfo| Process {
        pid: info.pid,
        memory: match info.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        },
    };
    Ok(Gpu {
        index,
        uuid: device.uuid()?,
        name: device.name().unwrap_or_else(|_| "GPU".into()),
        memory_total: memory.0,
        memory_used: memory.1,
        load: device.utilization_rates().ok().map(|rates| rates.gpu),
        temperature: device.temperature(TemperatureSensor::Gpu).ok(),
        power: device.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1e3),
        ecc_errors: device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).ok(),
        processes: device.running_compute_processes().unwrap_or_default().into_iter().map(process).collect(),
    })
}
