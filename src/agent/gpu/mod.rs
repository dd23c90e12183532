//! The GPUs of this host, as the driver tells.

mod condition;
mod nvml;
mod watch;

pub use condition::{Owner, condition, descends, owner};
pub use nvml::{Driver, Xids};
pub use watch::Watch;

/// Looks at every GPU, once.
///
/// # Errors
/// Why none can be seen: there is no driver, or it does not answer. That is an answer, too: the CPU is used then.
pub fn look() -> Result<Vec<Gpu>, String> {
    Driver::open()?.look()
}

/// One GPU, at the moment it was looked at.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Gpu {
    /// NVML's, in PCI bus order.
    pub index: u32,
    /// Of a MIG instance, its number on that GPU.
    pub instance: Option<u32>,
    /// `GPU-…`, `MIG-…`.
    pub uuid: String,
    /// Of a MIG instance, the UUID of the GPU that it is a part of.
    pub parent: Option<String>,
    /// `NVIDIA A100-SXM4-40GB`.
    pub name: String,
    /// Bytes; 0 where the driver does not tell.
    pub memory_total: u64,
    /// Bytes.
    pub memory_used: u64,
    /// Per cent of the last sample period in which a kernel ran; `None` where the driver does not tell.
    pub load: Option<u32>,
    /// Degrees Celsius; `None` where the driver does not tell.
    pub temperature: Option<u32>,
    /// Watts; `None` where the driver does not tell.
    pub power: Option<f64>,
    /// Millijoules since the driver was loaded; `None` where the driver does not tell.
    pub energy: Option<u64>,
    /// Why its clock is held back, in NVML's words: `sw_power_cap`.
    pub throttled: Vec<&'static str>,
    /// XID errors since the last look: see `condition.rs`.
    pub xids: Vec<u64>,
    /// Memory errors that could not be corrected, since the driver was loaded; `None` where the driver does not tell.
    pub ecc_errors: Option<u64>,
    /// Who computes on it.
    pub processes: Vec<Process>,
}

/// A process that has a compute context on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Bytes on the GPU; `None` where the driver does not tell, as in some containers.
    pub memory: Option<u64>,
}

impl Gpu {
    /// As its slot is called: `gpu:0`, `gpu:0:1`.
    pub fn slot(&self) -> String {
        match self.instance {
            Some(instance) => format!("gpu:{}:{instance}", self.index),
            None => format!("gpu:{}", self.index),
        }
    }

    /// Whether `name` means this GPU, or one of which it is a part: its index, with that of the instance or without, or
    /// its UUID or an unmistakable beginning of it, as CUDA has it.
    pub fn is_called(&self, name: &str) -> bool {
        let is_uuid = name.starts_with("GPU-") || name.starts_with("MIG-");
        name.parse() == Ok(self.index)
            || (self.instance.is_some() && self.slot().strip_prefix("gpu:") == Some(name))
            || (is_uuid && self.uuid.starts_with(name))
    }
}

/// The GPUs that CUDA_VISIBLE_DEVICES leaves, in its order; all where it is not set. As CUDA does, it is read up to
/// the first name that means no GPU.
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
            return Some(format!("{name} is the beginning of {}", uuids.join(" and of ")));
        }
        if !called.iter().all(|gpu| seen.insert(&gpu.uuid)) {
            return Some(format!("{name} names a GPU that is named before"));
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
        assert_eq!(wrong("0,GPU-0"), Some("GPU-0 names a GPU that is named before".into()));
        assert_eq!(wrong("GPU-"), Some("GPU- is the beginning of GPU-0a and of GPU-1a and of GPU-2a".into()));
    }
}
