//! The GPUs of this host, as reported by the driver.

mod condition;
mod nvml;
mod watch;

pub use condition::{Owner, condition, descends, owner};
pub use nvml::{Driver, Xids};
pub use watch::Watch;

/// Reads the state of every GPU once.
///
/// # Errors
/// Returns the reason if no GPU is visible: there is no driver, or it does not respond. The caller then uses the CPU.
pub fn list() -> Result<Vec<Gpu>, String> {
    Driver::open()?.list()
}

/// The state of a GPU at one moment.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Gpu {
    /// NVML's index, in PCI bus order.
    pub index: u32,
    /// The number of a MIG instance on its GPU.
    pub instance: Option<u32>,
    /// The UUID: `GPU-…`, `MIG-…`.
    pub uuid: String,
    /// The UUID of the GPU that a MIG instance belongs to.
    pub parent: Option<String>,
    /// The product name: `NVIDIA A100-SXM4-40GB`.
    pub name: String,
    /// Total memory in bytes, or 0 if the driver does not report it.
    pub memory_total: u64,
    /// Used memory in bytes.
    pub memory_used: u64,
    /// Share of the last sample period with a kernel running, in percent. `None` if the driver does not report it.
    pub load: Option<u32>,
    /// Temperature in degrees Celsius, or `None` if the driver does not report it.
    pub temperature: Option<u32>,
    /// Power in watts, or `None` if the driver does not report it.
    pub power: Option<f64>,
    /// Energy in millijoules since the driver was loaded, or `None` if the driver does not report it.
    pub energy: Option<u64>,
    /// The reasons for which its clock is throttled, in NVML's terms: `sw_power_cap`.
    pub throttled: Vec<&'static str>,
    /// XID errors since the previous reading; see `condition.rs`.
    pub xids: Vec<u64>,
    /// Number of uncorrectable memory errors since the driver was loaded, or `None` if the driver does not report it.
    pub ecc_errors: Option<u64>,
    /// The processes that compute on the GPU.
    pub processes: Vec<Process>,
}

/// A process with a compute context on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// GPU memory in bytes, or `None` if the driver does not report it, as in some containers.
    pub memory: Option<u64>,
}

impl Gpu {
    /// The name of its slot: `gpu:0`, `gpu:0:1`.
    pub fn slot(&self) -> String {
        match self.instance {
            Some(instance) => format!("gpu:{}:{instance}", self.index),
            None => format!("gpu:{}", self.index),
        }
    }

    /// Whether `name` refers to this GPU, or to the GPU that this instance belongs to. A name is an index (with or
    /// without the number of the instance), a UUID, or a prefix of a UUID, as in CUDA.
    pub fn is_called(&self, name: &str) -> bool {
        let is_uuid = name.starts_with("GPU-") || name.starts_with("MIG-");
        name.parse() == Ok(self.index)
            || (self.instance.is_some() && self.slot().strip_prefix("gpu:") == Some(name))
            || (is_uuid && self.uuid.starts_with(name))
    }
}

/// The GPUs that CUDA_VISIBLE_DEVICES selects, in its order, or all if it is not set. As in CUDA, names after the first
/// unknown one are ignored.
pub fn visible<'a>(gpus: &'a [Gpu], variable: Option<&str>) -> Vec<&'a Gpu> {
    let Some(names) = variable else { return gpus.iter().collect() };
    let called = |name: &str| gpus.iter().filter(|gpu| gpu.is_called(name.trim())).collect::<Vec<_>>();
    names.split(',').map(called).take_while(|called| !called.is_empty()).flatten().collect()
}

/// What is wrong with the names in CUDA_VISIBLE_DEVICES, if anything: CUDA would see no GPU at all, or another one.
pub fn wrong_names(gpus: &[Gpu], variable: Option<&str>) -> Option<String> {
    let mut seen = std::collections::HashSet::new();
    for name in variable.unwrap_or_default().split(',').map(str::trim) {
        let called: Vec<&Gpu> = gpus.iter().filter(|gpu| gpu.is_called(name)).collect();
        let is_start = name.parse::<u32>().is_err() && !name.contains(':') && called.iter().all(|gpu| gpu.uuid != name);
        if is_start && called.len() > 1 {
            let uuids: Vec<&str> = called.iter().map(|gpu| gpu.uuid.as_str()).collect();
            return Some(format!("{name} is a prefix of {}", uuids.join(" and of ")));
        }
        if !called.iter().all(|gpu| seen.insert(&gpu.uuid)) {
            return Some(format!("{name} refers to a GPU that is already listed"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_devices_are_read_as_cuda_reads_them() {
        let gpus: Vec<_> = (0..3).map(|index| Gpu { index, uuid: format!("GPU-{index}a"), ..Gpu::default() }).collect();
        let indices = |variable| visible(&gpus, variable).iter().map(|gpu| gpu.index).collect::<Vec<_>>();
        assert_eq!(indices(None), [0, 1, 2]);
        assert_eq!(indices(Some("2, GPU-0")), [2, 0]);
        assert_eq!(indices(Some("1,-1,0")), [1], "what comes after a wrong name is hidden");
        assert_eq!(indices(Some("")), [] as [u32; 0]);
        let wrong = |variable| wrong_names(&gpus, Some(variable));
        assert_eq!([wrong("2,GPU-0"), wrong(""), wrong("1,-1,7")], [None, None, None]);
        assert_eq!(wrong("0,GPU-0"), Some("GPU-0 refers to a GPU that is already listed".into()));
        assert_eq!(wrong("GPU-"), Some("GPU- is a prefix of GPU-0a and of GPU-1a and of GPU-2a".into()));
    }
}
