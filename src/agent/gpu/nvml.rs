//! The only file that names NVML. Of it all but a GPU's UUID is optional: other implementations of its interface, and
//! old drivers, tell less, and what is not told is not known.

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, EventSet, Nvml};

use super::{Gpu, Process};

/// Where the driver's library is looked for, in this order. The second is there only where it was installed to
/// build against.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// At most so many XID errors are taken at a look.
const MOST_XIDS: usize = 64;

/// What holds a GPU's clock back, in NVML's words. That it idles or that somebody set its clock is no fault.
const THROTTLES: [(ThrottleReasons, &str); 6] = [
    (ThrottleReasons::SW_POWER_CAP, "sw_power_cap"),
    (ThrottleReasons::HW_SLOWDOWN, "hw_slowdown"),
    (ThrottleReasons::SYNC_BOOST, "sync_boost"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "sw_thermal_slowdown"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, "hw_thermal_slowdown"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "hw_power_brake_slowdown"),
];

/// The driver's library, loaded.
#[derive(Debug)]
pub struct Driver(Nvml);

/// XID errors of some GPUs, from when it was made. The driver lends it: it goes before the driver does.
#[derive(Debug)]
pub struct Xids<'driver>(Vec<EventSet<'driver>>);

impl Driver {
    /// Loads it.
    ///
    /// # Errors
    /// Why it cannot be: there is no driver, or it does not answer.
    pub fn open() -> Result<Driver, String> {
        open().map(Driver)
    }

    /// Looks at every GPU. One that is divided is its MIG instances.
    ///
    /// # Errors
    /// Why none can be seen.
    pub fn look(&self) -> Result<Vec<Gpu>, String> {
        let count = self.0.device_count().map_err(|error| format!("NVML does not count the GPUs: {error}"))?;
        // A GPU that cannot be asked, such as one that has fallen off the bus, is not there.
        Ok((0..count).filter_map(|index| devices(&self.0, index).ok()).flatten().collect())
    }

    /// Listens for XID errors from now on, where the driver tells of them.
    pub fn xids(&self) -> Xids<'_> {
        // A set for each GPU: one that cannot be registered would take those before it along.
        let listen = |index| {
            let set = self.0.create_event_set().ok()?;
            self.0.device_by_index(index).ok()?.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok()
        };
        Xids((0..self.0.device_count().unwrap_or(0)).filter_map(listen).collect())
    }
}

impl Xids<'_> {
    /// Adds what has come since the last time to the GPUs that it came from.
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
            format!("{} cannot be loaded: there is no NVIDIA driver", LIBRARIES[0])
        }
        Some(error) => format!("the NVIDIA driver does not answer: {error}"),
    })
}

/// The GPU, or its instances.
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
        // What the instances have in common is told of the whole.
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

/// Those that compute on it, through MPS or not.
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
