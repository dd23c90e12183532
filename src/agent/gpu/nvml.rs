//! The only module that uses NVML. Everything except a GPU's UUID is optional, because other implementations of the
//! interface and old drivers report less. A value that is not reported is unknown.

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, EventSet, Nvml};

use super::{Gpu, Process};

/// Names of the driver's library, in search order. The second exists only where development files were installed.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// Maximum number of XID errors read at a time.
const MOST_XIDS: usize = 64;

/// Reasons for a throttled clock, in NVML's terms. An idle GPU and a clock set by a user are not listed, because they
/// indicate no problem.
const THROTTLES: [(ThrottleReasons, &str); 6] = [
    (ThrottleReasons::SW_POWER_CAP, "sw_power_cap"),
    (ThrottleReasons::HW_SLOWDOWN, "hw_slowdown"),
    (ThrottleReasons::SYNC_BOOST, "sync_boost"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "sw_thermal_slowdown"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, "hw_thermal_slowdown"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "hw_power_brake_slowdown"),
];

/// The loaded driver library.
#[derive(Debug)]
pub struct Driver(Nvml);

/// XID errors of some GPUs since this was created. It borrows from the driver, so it is dropped before the driver.
#[derive(Debug)]
pub struct Xids<'driver>(Vec<EventSet<'driver>>);

impl Driver {
    /// Loads the library.
    ///
    /// # Errors
    /// Returns the reason if it cannot be loaded: there is no driver, or it does not respond.
    pub fn open() -> Result<Driver, String> {
        open().map(Driver)
    }

    /// Reads the state of every GPU. A GPU in MIG mode is reported as its instances.
    ///
    /// # Errors
    /// Returns the reason if no GPU is visible.
    pub fn list(&self) -> Result<Vec<Gpu>, String> {
        let count = self.0.device_count().map_err(|error| format!("NVML cannot count the GPUs: {error}"))?;
        // A GPU that does not respond, for example one that has fallen off the bus, is left out.
        Ok((0..count).filter_map(|index| devices(&self.0, index).ok()).flatten().collect())
    }

    /// The versions of the driver and of the newest CUDA that it supports, if it reports them.
    pub fn versions(&self) -> (Option<String>, Option<(u32, u32)>) {
        let cuda = self.0.sys_cuda_driver_version().ok();
        (self.0.sys_driver_version().ok(), cuda.map(|number| (number as u32 / 1000, number as u32 % 1000 / 10)))
    }

    /// Subscribes to XID errors, if the driver reports them.
    pub fn xids(&self) -> Xids<'_> {
        // Each GPU has its own set. A GPU that cannot be registered would invalidate a shared set.
        let listen = |index| {
            let set = self.0.create_event_set().ok()?;
            self.0.device_by_index(index).ok()?.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok()
        };
        Xids((0..self.0.device_count().unwrap_or(0)).filter_map(listen).collect())
    }
}

impl Xids<'_> {
    /// Adds the errors since the previous call to their GPUs.
    pub fn add_to(&self, gpus: &mut [Gpu]) {
        for set in &self.0 {
            for event in std::iter::from_fn(|| set.wait(0).ok()).take(MOST_XIDS) {
                let Some(xid) = event.event_data else { continue };
                let xid = if let XidError::Value(xid) = xid { xid } else { 999 };
                let Ok(uuid) = event.device.uuid() else { continue };
                for gpu in gpus.iter_mut().filter(|gpu| gpu.uuid == uuid || gpu.parent.as_ref() == Some(&uuid)) {
                    gpu.xids.push(xid);
                }
            }
        }
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
            format!("{} cannot be loaded, so there is no NVIDIA driver", LIBRARIES[0])
        }
        Some(error) => format!("the NVIDIA driver does not respond: {error}"),
    })
}

/// The GPU, or its MIG instances.
fn devices(nvml: &Nvml, index: u32) -> Result<Vec<Gpu>, NvmlError> {
    let device = nvml.device_by_index(index)?;
    let whole = one(&device, index)?;
    // NVML_DEVICE_MIG_ENABLE
    if !device.mig_mode().is_ok_and(|mode| mode.current == 1) {
        return Ok(vec![whole]);
    }
    let instance = |number| {
        let device = device.mig_device_by_index(number).ok()?;
        let mut gpu = one(&device, index).ok()?;
        (gpu.instance, gpu.parent) = (Some(number), Some(whole.uuid.clone()));
        // Values that the instances share are reported for the whole GPU.
        (gpu.temperature, gpu.ecc_errors, gpu.throttled) =
            (whole.temperature, whole.ecc_errors, whole.throttled.clone());
        Some(gpu)
    };
    Ok((0..device.mig_device_count().unwrap_or(0)).filter_map(instance).collect())
}

fn one(device: &Device, index: u32) -> Result<Gpu, NvmlError> {
    let memory = match device.memory_info() {
        Err(NvmlError::GpuLost) => return Err(NvmlError::GpuLost),
        told => told.map_or((0, 0), |memory| (memory.total, memory.used)),
    };
    let throttled = device.current_throttle_reasons().unwrap_or(ThrottleReasons::NONE);
    Ok(Gpu {
        index,
        uuid: device.uuid()?,
        name: device.name().unwrap_or_else(|_| "GPU".into()),
        memory_total: memory.0,
        memory_used: memory.1,
        load: device.utilization_rates().ok().map(|rates| rates.gpu),
        temperature: device.temperature(TemperatureSensor::Gpu).ok(),
        power: device.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1e3),
        energy: device.total_energy_consumption().ok(),
        throttled: THROTTLES.iter().filter(|(reason, _)| throttled.contains(*reason)).map(|(_, name)| *name).collect(),
        ecc_errors: device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).ok(),
        processes: processes(device),
        ..Gpu::default()
    })
}

/// The processes that compute on the GPU, with or without MPS.
fn processes(device: &Device) -> Vec<Process> {
    let direct = device.running_compute_processes().unwrap_or_default();
    let by_mps = device.mps_running_compute_processes().unwrap_or_default();
    let mut processes: Vec<Process> = direct.into_iter().chain(by_mps).map(process).collect();
    processes.sort_by_key(|process| process.pid);
    processes.dedup_by_key(|process| process.pid);
    processes
}

fn process(info: ProcessInfo) -> Process {
    let memory = match info.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    Process { pid: info.pid, memory }
}
