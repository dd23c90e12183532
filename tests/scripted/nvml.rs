//! A `libnvidia-ml.so.1` for tests: the calls of NVML's published interface that `sweep` makes, answered from a file.
//!
//! `FAKE_NVML` names it; it is read anew at every call, so that a test can change it while a sweep runs:
//! `{"gpus": [{"uuid": "GPU-0", "memory_used": 0, "processes": [[17, 1000]], "lost": true, ...}], "without": ["power"]}`.
//! What `without` names is not supported, as optional calls may be.
#![allow(unsafe_code, non_snake_case, missing_docs, clippy::missing_safety_doc, reason = "it is a C library")]
#![allow(clippy::disallowed_methods, reason = "it stands for a foreign library")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong};

use serde_json::Value;

const SUCCESS: c_int = 0;
const NOT_SUPPORTED: c_int = 3;
const NOT_FOUND: c_int = 6;
const INSUFFICIENT_SIZE: c_int = 7;
const DRIVER_NOT_LOADED: c_int = 9;
const GPU_IS_LOST: c_int = 15;

/// A handle is the GPU's place in the file, plus one.
type Device = usize;

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
    let gpu = state["gpus"].get_mut(device.wrapping_sub(1)).ok_or(NOT_FOUND)?.take();
    if gpu["lost"] == true { Err(GPU_IS_LOST) } else { Ok(gpu) }
}

fn answer(result: Result<(), c_int>) -> c_int {
    result.err().unwrap_or(SUCCESS)
}

/// Writes to what a caller's pointer names.
///
/// # Safety
/// It must be valid, as NVML's interface wants it.
unsafe fn put<T>(place: *mut T, value: T) {
    // SAFETY: the caller's promise.
    unsafe { place.write(value) }
}

unsafe fn number(device: Device, call: &str, place: *mut c_uint) -> c_int {
    answer(gpu(device, call).and_then(|gpu| {
        let value = gpu[call].as_u64().ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller's promise.
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
            // SAFETY: the caller has room for `length`.
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
    // SAFETY: the caller's promise.
    unsafe { put(count, state["gpus"].as_array().map_or(0, Vec::len) as c_uint) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut Device) -> c_int {
    answer(gpu(index as usize + 1, "handle").map(|_| {
        // SAFETY: the caller's promise.
        unsafe { put(device, index as usize + 1) };
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUUID(device: Device, place: *mut c_char, length: c_uint) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { text(device, "uuid", place, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetName(device: Device, place: *mut c_char, length: c_uint) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { text(device, "name", place, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Device, place: *mut Memory) -> c_int {
    answer(gpu(device, "memory").map(|gpu| {
        let total = gpu["memory_total"].as_u64().unwrap_or(40 << 30);
        let used = gpu["memory_used"].as_u64().unwrap_or(0);
        // SAFETY: the caller's promise.
        unsafe { put(place, Memory { version: 0, total, reserved: 0, free: total - used, used }) };
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(device: Device, place: *mut Utilization) -> c_int {
    answer(gpu(device, "load").map(|gpu| {
        // SAFETY: the caller's promise.
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
        let processes = gpu["processes"].as_array().cloned().unwrap_or_default();
        // SAFETY: the caller's promise: there is room for so many.
        let room = unsafe { count.read() } as usize;
        // SAFETY: the caller's promise.
        unsafe { put(count, processes.len() as c_uint) };
        if room < processes.len() {
            return Err(INSUFFICIENT_SIZE);
        }
        for (at, process) in processes.iter().enumerate() {
            let pid = process[0].as_u64().unwrap_or(0) as c_uint;
            let memory = process[1].as_u64().unwrap_or(c_ulonglong::MAX);
            // SAFETY: there is room, as was just seen.
            unsafe { put(place.add(at), Process { pid, memory, instances: [c_uint::MAX; 2] }) };
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTemperature(device: Device, _: c_int, place: *mut c_uint) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { number(device, "temperature", place) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPowerUsage(device: Device, place: *mut c_uint) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { number(device, "power", place) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: Device,
    _: c_int,
    _: c_int,
    place: *mut c_ulonglong,
) -> c_int {
    answer(gpu(device, "ecc_errors").and_then(|gpu| {
        let errors = gpu["ecc_errors"].as_u64().ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller's promise.
        unsafe { put(place, errors) };
        Ok(())
    }))
}
