//! The slots of this host: one per GPU, or one per few CPU cores.

use super::gpu::{self, Gpu};
use sweep_core::error::{Error, Exit, Result};
use sweep_spec::{Devices, Gpus, PerGpu};

/// Number of slots per GPU with `per_gpu: auto`. More concurrent trials have never been faster.
const MOST_TOGETHER: u32 = 8;

/// The device of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A number of CPU threads.
    Cpu { threads: u32 },
    /// A GPU or a MIG instance, or several GPUs of one trial.
    Gpu {
        /// NVML's UUIDs: `GPU-…`, `MIG-…`. There is at least one.
        uuids: Vec<String>,
    },
}

impl Device {
    /// Returns the name of the kind of device in PyTorch.
    pub fn torch(&self) -> &'static str {
        match self {
            Device::Cpu { .. } => "cpu",
            Device::Gpu { .. } => "cuda",
        }
    }
}

/// A slot and its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotDevice {
    /// The name: `cpu:0` or `gpu:1`, where the number is NVML's index, in PCI bus order. `gpu:1:0` is a MIG instance,
    /// `gpu:1.0` is the first of several slots on a GPU, and `gpu:0+1` is one slot of two GPUs.
    pub name: String,
    /// The number of the device. Slots with the same number share a device, as all CPU slots do.
    pub place: usize,
    pub device: Device,
}

/// The slots that `devices` requests, from this host's GPUs and cores. An error in `gpus` is the reason why no GPU is
/// visible. `visible` is the value of CUDA_VISIBLE_DEVICES.
///
/// # Errors
/// Returns an error if `devices` names a GPU that does not exist, or if there are fewer GPUs than a trial needs.
pub fn find(
    devices: &Devices,
    gpus: &std::result::Result<Vec<Gpu>, String>,
    visible: Option<&str>,
    cores: u32,
) -> Result<Vec<SlotDevice>> {
    let chosen = choose(devices, gpus, visible)?;
    if chosen.is_empty() {
        return Ok(cpu_slots(cores, devices.cpu_threads));
    }
    if devices.gpus_per_trial > 1 {
        return several(&chosen, devices.gpus_per_trial as usize);
    }
    let count = match devices.per_gpu {
        PerGpu::Most(count) => count,
        PerGpu::Auto => MOST_TOGETHER,
    };
    let slots = |(place, gpu): (usize, &Gpu)| {
        let (uuid, name) = (gpu.uuid.clone(), gpu.slot());
        (0..count).map(move |share| SlotDevice {
            name: if count == 1 { name.clone() } else { format!("{name}.{share}") },
            place,
            device: Device::Gpu { uuids: vec![uuid.clone()] },
        })
    };
    Ok(chosen.into_iter().enumerate().flat_map(slots).collect())
}

/// Slots of this number of GPUs each. GPUs that are left over have none.
fn several(gpus: &[&Gpu], count: usize) -> Result<Vec<SlotDevice>> {
    let problem = |what: String, remedy: &str| Err(Error::new(Exit::NoTrainer, what).hint(remedy));
    if gpus.len() < count {
        let found = gpus.len();
        return problem(
            format!(
                "devices.gpus_per_trial is {count}, but the sweep has {found} GPU{}",
                if found == 1 { "" } else { "s" }
            ),
            "write a smaller number; `sweep gpus` lists the GPUs",
        );
    }
    if let Some(instance) = gpus.iter().find(|gpu| gpu.instance.is_some()) {
        return problem(
            format!("devices.gpus_per_trial is {count}, but {} is a MIG instance", instance.slot()),
            "a program can use only one MIG instance: remove `gpus_per_trial`, or list whole GPUs under `gpus`",
        );
    }
    let slot = |(place, gpus): (usize, &[&Gpu])| {
        let numbers: Vec<String> = gpus.iter().map(|gpu| gpu.index.to_string()).collect();
        let uuids = gpus.iter().map(|gpu| gpu.uuid.clone()).collect();
        SlotDevice { name: format!("gpu:{}", numbers.join("+")), place, device: Device::Gpu { uuids } }
    };
    Ok(gpus.chunks_exact(count).enumerate().map(slot).collect())
}

/// The names of GPUs that `devices` requests and that are too few for another slot.
pub fn left_over(devices: &Devices, gpus: &[Gpu], visible: Option<&str>) -> Vec<String> {
    let chosen = choose(devices, &Ok(gpus.to_owned()), visible)
        .map_or(Vec::new(), |chosen| chosen.iter().map(|gpu| gpu.slot()).collect());
    let used = chosen.len() - chosen.len() % devices.gpus_per_trial.max(1) as usize;
    chosen[used..].to_vec()
}

/// The GPUs that `devices` requests.
fn choose<'a>(
    devices: &Devices,
    gpus: &'a std::result::Result<Vec<Gpu>, String>,
    visible: Option<&str>,
) -> Result<Vec<&'a Gpu>> {
    let seen = gpus.as_deref().unwrap_or_default();
    if let Some(wrong) = gpu::wrong_names(seen, visible) {
        return Err(Error::new(Exit::NoTrainer, format!("CUDA_VISIBLE_DEVICES: {wrong}"))
            .hint("list each GPU once, by its index or its full UUID; `sweep gpus` lists them"));
    }
    let allowed = gpu::visible(seen, visible);
    match &devices.gpus {
        Gpus::None => Ok(Vec::new()),
        Gpus::All => Ok(allowed),
        Gpus::These(names) => {
            let mut chosen = Vec::new();
            for name in names {
                // The name of a GPU in MIG mode selects all its instances.
                let called: Vec<&Gpu> = allowed.iter().copied().filter(|gpu| gpu.is_called(name)).collect();
                if called.is_empty() {
                    return Err(missing(name, gpus, &allowed));
                }
                chosen.extend(called);
            }
            let mut seen = std::collections::HashSet::new();
            chosen.retain(|gpu: &&Gpu| seen.insert(&gpu.uuid));
            Ok(chosen)
        }
    }
}

/// Whether two slots are on the same GPU.
pub fn share_a_gpu(slots: &[SlotDevice]) -> bool {
    let gpus = slots.iter().filter(|slot| matches!(slot.device, Device::Gpu { .. }));
    let places: Vec<usize> = gpus.map(|slot| slot.place).collect();
    places.iter().enumerate().any(|(at, place)| places[..at].contains(place))
}

/// One slot per `threads` of these cores, but at least one.
pub fn cpu_slots(cores: u32, threads: u32) -> Vec<SlotDevice> {
    let slot = |index| SlotDevice { name: format!("cpu:{index}"), place: 0, device: Device::Cpu { threads } };
    (0..(cores / threads.max(1)).max(1)).map(slot).collect()
}

fn missing(name: &str, gpus: &std::result::Result<Vec<Gpu>, String>, allowed: &[&Gpu]) -> Error {
    let error = Error::new(Exit::NoTrainer, format!("devices.gpus: GPU {name} does not exist"));
    match gpus {
        Err(reason) => error.hint(format!("no GPU is visible: {reason}; to use the CPU, write `gpus: none`")),
        Ok(all) if all.len() > allowed.len() => error.hint(format!(
            "CUDA_VISIBLE_DEVICES hides {} of {} GPUs; `sweep gpus` lists them",
            all.len() - allowed.len(),
            all.len()
        )),
        Ok(all) => error.hint(format!("{} GPUs exist, numbered from 0; `sweep gpus` lists them", all.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_spec::{Busy, OnContention};

    fn gpu(index: u32) -> Gpu {
        Gpu { index, uuid: format!("GPU-{index}{index}"), ..Gpu::default() }
    }

    fn devices(gpus: Gpus) -> Devices {
        let (per_gpu, busy, on_contention) = (PerGpu::Most(1), Busy::Wait, OnContention::Report);
        Devices { gpus, gpus_per_trial: 1, per_gpu, busy, on_contention, mps: true, cpu_threads: 2 }
    }

    #[test]
    fn every_visible_gpu_is_a_slot() {
        let gpus = Ok(vec![gpu(0), gpu(1), gpu(2)]);
        let slots = find(&devices(Gpus::All), &gpus, Some("2,0"), 8).expect("they are there");
        assert_eq!(slots.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>(), ["gpu:2", "gpu:0"]);
        assert_eq!(slots[0].device, Device::Gpu { uuids: vec!["GPU-22".into()] });
    }

    #[test]
    fn a_trial_may_have_several_gpus_and_what_is_left_over_has_no_slot() {
        let two = Devices { gpus_per_trial: 2, ..devices(Gpus::All) };
        let five: Vec<Gpu> = (0..5).map(gpu).collect();
        let slots = find(&two, &Ok(five.clone()), None, 8).expect("they are there");
        assert_eq!(slots.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>(), ["gpu:0+1", "gpu:2+3"]);
        assert_eq!(slots[1].device, Device::Gpu { uuids: vec!["GPU-22".into(), "GPU-33".into()] });
        assert!(!share_a_gpu(&slots));
        assert_eq!(left_over(&two, &five, None), ["gpu:4"]);
        let few = find(&two, &Ok(five), Some("3"), 8).expect_err("there is one").to_string();
        assert!(few.contains("gpus_per_trial is 2, but the sweep has 1 GPU"), "{few}");
        let instance = Gpu { instance: Some(0), ..gpu(1) };
        let none = find(&two, &Ok(vec![gpu(0), instance]), None, 8).expect_err("one is an instance").to_string();
        assert!(none.contains("gpu:1:0 is a MIG instance"), "{none}");
        assert_eq!(find(&two, &Err("no driver".into()), None, 4).expect("there are cores").len(), 2);
    }

    #[test]
    fn slots_are_shares_of_a_gpu() {
        let three = Devices { per_gpu: PerGpu::Most(3), ..devices(Gpus::All) };
        let slots = find(&three, &Ok(vec![gpu(0), gpu(1)]), None, 8).expect("they are there");
        let names: Vec<_> = slots.iter().map(|slot| (slot.name.as_str(), slot.place)).collect();
        assert!(share_a_gpu(&slots) && !share_a_gpu(&slots[2..4]) && !share_a_gpu(&cpu_slots(4, 1)));
        assert_eq!(
            names,
            [("gpu:0.0", 0), ("gpu:0.1", 0), ("gpu:0.2", 0), ("gpu:1.0", 1), ("gpu:1.1", 1), ("gpu:1.2", 1)]
        );
    }

    #[test]
    fn a_gpu_that_is_divided_is_its_instances() {
        let instance =
            |index, instance| Gpu { instance: Some(instance), uuid: format!("MIG-{index}{instance}"), ..gpu(index) };
        let gpus = Ok(vec![gpu(0), instance(1, 0), instance(1, 1)]);
        let named = |names: &[&str]| {
            let gpus_named = Gpus::These(names.iter().map(|name| (*name).to_owned()).collect());
            let slots = find(&devices(gpus_named), &gpus, None, 8).expect("they are there");
            slots.into_iter().map(|slot| slot.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(named(&["1"]), "gpu:1:0 gpu:1:1");
        assert_eq!(named(&["1:1", "0"]), "gpu:1:1 gpu:0");
        assert_eq!(named(&["MIG-10", "MIG-11", "1:0"]), "gpu:1:0 gpu:1:1");
        let slots = find(&devices(Gpus::All), &gpus, Some("MIG-11"), 8).expect("it is there");
        assert_eq!(slots[0].device, Device::Gpu { uuids: vec!["MIG-11".into()] });
    }

    #[test]
    fn without_a_gpu_the_cores_are_shared_out() {
        let slots = find(&devices(Gpus::All), &Err("no driver".into()), None, 5).expect("there are cores");
        assert_eq!(slots.len(), 2);
        assert_eq!(cpu_slots(1, 4).len(), 1, "one slot there always is");
    }

    #[test]
    fn a_gpu_that_is_named_must_be_there() {
        let named = devices(Gpus::These(vec!["1".into(), "GPU-00".into()]));
        assert_eq!(find(&named, &Ok(vec![gpu(0), gpu(1)]), None, 8).expect("both are there").len(), 2);
        let hidden = find(&named, &Ok(vec![gpu(0), gpu(1)]), Some("0"), 8).expect_err("1 is hidden").to_string();
        assert!(
            hidden.contains("GPU 1 does not exist") && hidden.contains("CUDA_VISIBLE_DEVICES hides 1 of 2"),
            "{hidden}"
        );
        let none = find(&named, &Err("libnvidia-ml.so.1 is not there".into()), None, 8).expect_err("no driver");
        assert!(none.to_string().contains("libnvidia-ml.so.1"), "{none}");
    }
}
