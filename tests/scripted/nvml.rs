//! A `libnvidia-ml.so.1` for tests. It implements the calls of NVML's published interface that `sweep` uses. The
//! answers come from a file.
//!
//! `FAKE_NVML` names the file. Every call reads it again, so that a test can change it while a sweep runs:
//! ```text
//! {"gpus": [{"uuid": "GPU-0", "memory_used": 0, "processes": [[17, 1000]], "lost": true, ...}],
//!  "without": ["power"]}
//! ```
//!
//! Calls listed in `without` are not supported, like optional calls in NVML. Some calls that `sweep` uses are missing
//! entirely. A GPU with `mig` is in MIG mode, with the instances listed there. `xids` are errors, each reported once.
//! Scripted trainers record their GPU memory in the folder `trainers` beside the file.
#![allow(unsafe_code, non_snake_case, missing_docs, clippy::missing_safety_doc, reason = "it is a C library")]
#![allow(clippy::disallowed_methods, reason = "it stands for a foreign library")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong};
use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;

/// Added to process ids to make those of a host outside the container: beyond the kernel's largest process id.
const HOST_PIDS: u64 = 5_000_000;

/// The event sets: the GPU of each, and how many of its errors were told.
static SETS: Mutex<BTreeMap<usize, (Device, usize)>> = Mutex::new(BTreeMap::new());

const SUCCESS: c_int = 0;
const NOT_SUPPORTED: c_int = 3;
const NOT_FOUND: c_int = 6;
const INSUFFICIENT_SIZE: c_int = 7;
const DRIVER_NOT_LOADED: c_int = 9;
const TIMEOUT: c_int = 10;
const GPU_IS_LOST: c_int = 15;

/// A handle. It is the 1-based position of the GPU in the file, plus [`INSTANCE`] times the 1-based number of a MIG
/// instance.
type Device = usize;
const INSTANCE: usize = 1000;

#[repr(C)]
pub struct Memory {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

#[repr(C)]
pub struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

#[repr(C)]
pub struct Process {
    pid: c_uint,
    memory: c_ulonglong,
    instances: [c_uint; 2],
}

fn state() -> Option<Value> {
    let path = std::env::var_os("FAKE_NVML")?;
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The GPU, unless it is lost or `call` is not supported.
fn gpu(device: Device, call: &str) -> Result<Value, c_int> {
    let mut state = state().ok_or(DRIVER_NOT_LOADED)?;
    if state["without"].as_array().is_some_and(|without| without.iter().any(|name| name == call)) {
        return Err(NOT_SUPPORTED);
    }
    let (instance, place) = (device / INSTANCE, device % INSTANCE);
    let mut gpu = state["gpus"].get_mut(place.wrapping_sub(1)).ok_or(NOT_FOUND)?.take();
    if gpu["lost"] == true {
        return Err(GPU_IS_LOST);
    }
    Ok(if instance > 0 { gpu["mig"].get_mut(instance - 1).ok_or(NOT_FOUND)?.take() } else { gpu })
}

/// The processes that the driver lists: all, or what a container sees of them.
fn listed(gpu: &Value) -> Vec<(u64, Option<u64>)> {
    match gpu["pids"].as_str() {
        Some("hidden") => Vec::new(),
        Some("host") => processes(gpu).into_iter().map(|(pid, bytes)| (pid + HOST_PIDS, bytes)).collect(),
        _ => processes(gpu),
    }
}

/// The processes on a GPU: those of the file, and the scripted trainers that live, each with its bytes.
fn processes(gpu: &Value) -> Vec<(u64, Option<u64>)> {
    let told = gpu["processes"].as_array().cloned().unwrap_or_default();
    let mut processes: Vec<_> =
        told.iter().map(|process| (process[0].as_u64().unwrap_or(0), process[1].as_u64())).collect();
    let folder = std::env::var_os("FAKE_NVML").map(std::path::PathBuf::from).unwrap_or_default();
    let folder = folder.with_file_name("trainers").join(gpu["uuid"].as_str().unwrap_or_default());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let pid = entry.file_name().to_string_lossy().parse().unwrap_or(0);
        let bytes = std::fs::read_to_string(entry.path()).ok().and_then(|text| text.parse().ok());
        if Path::new("/proc").join(entry.file_name()).exists() && bytes.is_some() {
            processes.push((pid, bytes));
        }
    }
    processes
}

fn answer(result: Result<(), c_int>) -> c_int {
    result.err().unwrap_or(SUCCESS)
}

/// Writes a value through a caller's pointer.
///
/// # Safety
/// The pointer must be valid, as NVML's interface requires.
unsafe fn put<T>(place: *mut T, value: T) {
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { place.write(value) }
}

unsafe fn number(device: Device, call: &str, place: *mut c_uint) -> c_int {
    answer(gpu(device, call).and_then(|gpu| {
        let value = gpu[call].as_u64().ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(place, value as c_uint) };
        Ok(())
    }))
}

unsafe fn text(device: Device, call: &str, place: *mut c_char, length: c_uint) -> c_int {
    answer(gpu(device, call).and_then(|gpu| {
        let text = gpu[call].as_str().unwrap_or("NVIDIA Test GPU");
        if text.len() >= length as usize {
            return Err(INSUFFICIENT_SIZE);
        }
        for (at, byte) in text.bytes().chain([0]).enumerate() {
            // SAFETY: the caller's buffer has room for `length` bytes.
            unsafe { put(place.add(at), byte as c_char) };
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> c_int {
    if state().is_some() { SUCCESS } else { DRIVER_NOT_LOADED }
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlErrorString(_: c_int) -> *const c_char {
    const TEXT: &CStr = c"scripted error";
    TEXT.as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> c_int {
    let Some(state) = state() else { return DRIVER_NOT_LOADED };
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { put(count, state["gpus"].as_array().map_or(0, Vec::len) as c_uint) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut Device) -> c_int {
    answer(gpu(index as usize + 1, "handle").map(|_| {
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(device, index as usize + 1) };
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUUID(device: Device, place: *mut c_char, length: c_uint) -> c_int {
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { text(device, "uuid", place, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetName(device: Device, place: *mut c_char, length: c_uint) -> c_int {
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { text(device, "name", place, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Device, place: *mut Memory) -> c_int {
    answer(gpu(device, "memory").map(|gpu| {
        let total = gpu["memory_total"].as_u64().unwrap_or(40 << 30);
        let told = gpu["processes"].as_array().map_or(0, Vec::len);
        let of_trainers: u64 = processes(&gpu).iter().skip(told).filter_map(|(_, bytes)| *bytes).sum();
        let used = gpu["memory_used"].as_u64().unwrap_or(of_trainers).min(total);
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(place, Memory { version: 0, total, reserved: 0, free: total - used, used }) };
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(device: Device, place: *mut Utilization) -> c_int {
    answer(gpu(device, "load").map(|gpu| {
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(place, Utilization { gpu: gpu["load"].as_u64().unwrap_or(0) as c_uint, memory: 0 }) };
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Device,
    count: *mut c_uint,
    place: *mut Process,
) -> c_int {
    answer(gpu(device, "processes").and_then(|gpu| {
        let processes = listed(&gpu);
        // SAFETY: the caller's promise: there is room for so many.
        let room = unsafe { count.read() } as usize;
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(count, processes.len() as c_uint) };
        if room < processes.len() {
            return Err(INSUFFICIENT_SIZE);
        }
        for (at, process) in processes.iter().enumerate() {
            let (pid, memory) = (process.0 as c_uint, process.1.unwrap_or(c_ulonglong::MAX));
            // SAFETY: the check above ensures that there is room.
            unsafe { put(place.add(at), Process { pid, memory, instances: [c_uint::MAX; 2] }) };
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTemperature(device: Device, _: c_int, place: *mut c_uint) -> c_int {
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { number(device, "temperature", place) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPowerUsage(device: Device, place: *mut c_uint) -> c_int {
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { number(device, "power", place) }
}

unsafe fn long(device: Device, call: &str, place: *mut c_ulonglong) -> c_int {
    answer(gpu(device, call).and_then(|gpu| {
        let value = gpu[call].as_u64().ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(place, value) };
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: Device,
    _: c_int,
    _: c_int,
    place: *mut c_ulonglong,
) -> c_int {
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { long(device, "ecc_errors", place) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTotalEnergyConsumption(device: Device, place: *mut c_ulonglong) -> c_int {
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { long(device, "energy", place) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(device: Device, place: *mut c_ulonglong) -> c_int {
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { long(device, "throttle", place) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigMode(device: Device, now: *mut c_uint, next: *mut c_uint) -> c_int {
    answer(gpu(device, "mig").map(|gpu| {
        let mode = c_uint::from(gpu["mig"].is_array());
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(now, mode) };
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(next, mode) };
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMaxMigDeviceCount(device: Device, count: *mut c_uint) -> c_int {
    // The maximum is one more than the current number of instances.
    answer(gpu(device, "mig").map(|gpu| {
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(count, gpu["mig"].as_array().map_or(0, |instances| instances.len() + 1) as c_uint) };
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: Device,
    index: c_uint,
    place: *mut Device,
) -> c_int {
    let handle = device + INSTANCE * (index as usize + 1);
    answer(gpu(handle, "mig").map(|_| {
        // SAFETY: the caller guarantees a valid pointer.
        unsafe { put(place, handle) };
    }))
}

#[repr(C)]
pub struct Event {
    device: Device,
    kind: c_ulonglong,
    data: c_ulonglong,
    instances: [c_uint; 2],
}

/// The supported event type: critical XID errors.
const XID: c_ulonglong = 8;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetCreate(place: *mut usize) -> c_int {
    let mut sets = SETS.lock().expect("nobody panics with it");
    let set = sets.len() + 1;
    sets.insert(set, (0, 0));
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { put(place, set) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceRegisterEvents(device: Device, kinds: c_ulonglong, set: usize) -> c_int {
    answer(gpu(device, "xids").and_then(|_| {
        let mut sets = SETS.lock().expect("nobody panics with it");
        sets.get_mut(&set).filter(|_| kinds == XID).ok_or(NOT_SUPPORTED)?.0 = device;
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetWait_v2(set: usize, event: *mut Event, _: c_uint) -> c_int {
    let mut sets = SETS.lock().expect("nobody panics with it");
    let Some((device, told)) = sets.get_mut(&set) else { return NOT_FOUND };
    let xid = gpu(*device, "xids").ok().and_then(|gpu| gpu["xids"][*told].as_u64());
    let Some(data) = xid else { return TIMEOUT };
    *told += 1;
    // SAFETY: the caller guarantees a valid pointer.
    unsafe { put(event, Event { device: *device, kind: XID, data, instances: [c_uint::MAX; 2] }) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlEventSetFree(_: usize) -> c_int {
    SUCCESS
}
