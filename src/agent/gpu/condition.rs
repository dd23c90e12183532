//! Decides from the driver's data whether a GPU can be used.

use std::path::Path;

use super::{Gpu, Process};
use crate::agent::mps::is_server;
use crate::agent::processes::see;
use sweep_core::describe::gibibytes;
use sweep_scheduler::schedule::Condition;

/// Maximum share of memory in use on a GPU that counts as free. The driver and a desktop use some.
const AS_GOOD_AS_EMPTY: f64 = 0.1;

/// Whether the programs that an XID error ended can simply be started again on this GPU. This holds for errors whose
/// immediate action in NVIDIA's catalog is `RESTART_APP` or `IGNORE`.
/// <https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html>, as of October 2025. Memory errors are also
/// detected by their counter.
fn is_of_a_program(xid: u64) -> bool {
    match xid {
        // Graphics engine exception (address out of range, illegal instruction), page fault, class error.
        13 | 31 | 69 => true,
        // Invalid or corrupted commands.
        11 | 25 | 32 | 80 => true,
        // The GPU stopped processing; a fault during a context switch.
        8 | 43 | 44 => true,
        // Cleanup after another error (which is reported separately) or after a killed program. The catalog's procedure
        // for it requires no action if it follows another error.
        45 => true,
        // Copy engines.
        39..=41 | 70..=72 | 75..=77 | 85 | 126..=135 => true,
        // Engines for video, JPEG and optical flow.
        60 | 68 | 82..=84 | 86 | 88 | 89 | 96..=105 | 139 => true,
        // A contained memory error. It affects only the programs that it hit.
        94 => true,
        // Informational messages of the driver: firmware, illegal access, remapped memory, many corrected errors, wear,
        // tests, chip-to-chip links, NVLink permissions, the fast path, DLA, retirement.
        37 | 38 | 63 | 66 | 67 | 92 | 93 | 106..=108 | 121 | 137 | 141 | 152 | 153 | 157 | 160 | 161 => true,
        _ => false,
    }
}

/// Whose a process is that the driver lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The sweep's: the controller, or a process that descends from it.
    Sweep,
    /// Another program's.
    Other,
    /// `/proc` has no process of this id: in a container the driver may list the ids of the host. Such an id is no
    /// evidence about any process.
    Unknown,
}

/// Whose the process is, for the controller of this process id.
pub fn owner(pid: u32, controller: u32) -> Owner {
    if descends(pid, controller) {
        Owner::Sweep
    } else if Path::new("/proc").join(pid.to_string()).exists() {
        Owner::Other
    } else {
        Owner::Unknown
    }
}

/// Judges a GPU as it is now (`None`: the driver does not show it any more) by what it was when the sweep came to it.
///
/// `before` is the memory that was in use before the sweep's first trainer started on it, in bytes, while a trainer of
/// the sweep lives there. Memory that came later is then the trainers', where the driver does not say whose it is.
pub fn condition(then: &Gpu, now: Option<&Gpu>, before: Option<u64>, owner: impl Fn(u32) -> Owner) -> Condition {
    let Some(gpu) = now else {
        return Condition::Broken("the driver no longer lists it: it has fallen off the bus".into());
    };
    if let (Some(before), Some(errors)) = (then.ecc_errors, gpu.ecc_errors)
        && errors > before
    {
        let new = errors - before;
        return Condition::Broken(format!("its memory had {new} uncorrectable errors"));
    }
    if let Some(xid) = gpu.xids.iter().find(|xid| !is_of_a_program(**xid)) {
        return Condition::Broken(format!("the driver reported XID error {xid}"));
    }
    let is_foreign = |process: &&Process| owner(process.pid) == Owner::Other && !is_server(process.pid);
    let foreign: Vec<&Process> = gpu.processes.iter().filter(is_foreign).collect();
    if let Some(process) = foreign.first() {
        let more = if foreign.len() > 1 { format!(" and {} more", foreign.len() - 1) } else { String::new() };
        let memory = process.memory.map_or(String::new(), |bytes| format!(" with {}", gibibytes(bytes)));
        return Condition::Busy(format!("used by process {}{more}{memory}", process.pid));
    }
    // Nothing in the list says whose the memory is.
    let is_untold = gpu.processes.iter().all(|process| owner(process.pid) == Owner::Unknown);
    let used = before.map_or(gpu.memory_used, |before| before.min(gpu.memory_used));
    if is_untold && used as f64 > AS_GOOD_AS_EMPTY * gpu.memory_total as f64 {
        let (used, total) = (gibibytes(used), gibibytes(gpu.memory_total));
        return Condition::Busy(format!("{used} of {total} are in use, but not by any visible process"));
    }
    Condition::Free
}

/// Whether a process descends from `ancestor`, according to /proc.
pub fn descends(pid: u32, ancestor: u32) -> bool {
    let parent = |pid: &u32| Some(see(*pid)?.parent);
    std::iter::successors(Some(pid), parent).take(16).any(|pid| pid == ancestor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu() -> Gpu {
        Gpu { memory_total: 40 << 30, memory_used: 1 << 30, ecc_errors: Some(2), ..Gpu::default() }
    }

    fn used_by(pid: u32) -> Gpu {
        Gpu { processes: vec![Process { pid, memory: Some(3 << 30) }], memory_used: 30 << 30, ..gpu() }
    }

    /// Process 7 is the sweep's; process ids from 1000 on do not exist here.
    fn known(pid: u32) -> Owner {
        match pid {
            7 => Owner::Sweep,
            1000.. => Owner::Unknown,
            _ => Owner::Other,
        }
    }

    #[test]
    fn a_gpu_is_free_when_nobody_else_computes_on_it() {
        let judge = |now: &Gpu| condition(&gpu(), Some(now), None, known);
        assert_eq!(judge(&gpu()), Condition::Free);
        assert_eq!(judge(&used_by(7)), Condition::Free, "our own process is none");
        assert_eq!(judge(&used_by(8)), Condition::Busy("used by process 8 with 3.0 GiB".into()));
        let full = Gpu { memory_used: 20 << 30, ..gpu() };
        assert!(matches!(judge(&full), Condition::Busy(why) if why.starts_with("20.0 GiB of 40.0 GiB are in use")));
        let silent = Gpu { memory_total: 0, memory_used: 0, ..gpu() };
        assert_eq!(judge(&silent), Condition::Free, "a driver need not tell about memory");
    }

    #[test]
    fn memory_that_came_after_the_first_trainer_is_the_sweeps_while_its_trainers_live() {
        for processes in [vec![], vec![Process { pid: 1000, memory: Some(19 << 30) }]] {
            let full = Gpu { memory_used: 20 << 30, processes, ..gpu() };
            let judge = |before| condition(&gpu(), Some(&full), before, known);
            assert_eq!(judge(Some(1 << 30)), Condition::Free, "19 GiB came with a trainer");
            let busy = |gibibytes| {
                Condition::Busy(format!("{gibibytes}.0 GiB of 40.0 GiB are in use, but not by any visible process"))
            };
            assert_eq!(judge(None), busy(20), "no trainer lives");
            assert_eq!(judge(Some(8 << 30)), busy(8), "it was there before");
            assert_eq!(judge(Some(30 << 30)), busy(20), "some of it is gone since");
        }
        let beside = Gpu { processes: [7, 1000].map(|pid| Process { pid, memory: None }).to_vec(), ..used_by(7) };
        assert_eq!(condition(&gpu(), Some(&beside), Some(9 << 30), known), Condition::Free, "no verdict about 1000");
        let other = Gpu { processes: [1000, 8].map(|pid| Process { pid, memory: None }).to_vec(), ..used_by(7) };
        assert_eq!(condition(&gpu(), Some(&other), Some(0), known), Condition::Busy("used by process 8".into()));
    }

    #[test]
    fn a_process_that_proc_does_not_have_is_unknown() {
        let ours = std::process::id();
        assert_eq!([ours, 1, 5_000_000].map(|pid| owner(pid, ours)), [Owner::Sweep, Owner::Other, Owner::Unknown]);
    }

    #[test]
    fn a_gpu_that_is_lost_or_has_new_errors_is_broken() {
        assert!(
            matches!(condition(&gpu(), None, None, |_| Owner::Sweep), Condition::Broken(why) if why.contains("off the bus"))
        );
        let worse = Gpu { ecc_errors: Some(5), ..gpu() };
        let judged = condition(&gpu(), Some(&worse), None, |_| Owner::Sweep);
        assert!(matches!(judged, Condition::Broken(why) if why.contains("3 uncorrectable errors")));
        let untold = Gpu { ecc_errors: None, ..gpu() };
        assert_eq!(condition(&untold, Some(&worse), None, known), Condition::Free, "old errors are not ours to judge");
    }

    #[test]
    fn an_xid_error_takes_a_gpu_out_unless_it_is_a_programs_own() {
        let with = |xids: &[u64]| condition(&gpu(), Some(&Gpu { xids: xids.to_vec(), ..gpu() }), None, known);
        assert_eq!(with(&[31, 13, 43, 45, 68, 69, 94, 137]), Condition::Free);
        assert!(matches!(with(&[31, 79]), Condition::Broken(why) if why.contains("XID error 79")));
        // Errors for which the catalog requires a reset, a restart of the machine, support, or a procedure.
        for xid in
            [46, 48, 62, 64, 74, 78, 79, 95, 109, 110, 119, 120, 136, 140, 143, 144, 151, 154, 155, 156, 158, 999]
        {
            assert!(matches!(with(&[xid]), Condition::Broken(_)), "{xid}");
        }
    }

    #[test]
    fn the_processes_of_a_sweep_descend_from_its_controller() {
        let ours = std::process::id();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep is there");
        assert!(descends(child.id(), ours) && !descends(ours, child.id()) && !descends(1, ours));
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }
}
