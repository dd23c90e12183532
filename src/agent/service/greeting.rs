//! The two lines that a bridge and its controller exchange before anything else.

use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};

use serde::{Deserialize, Serialize};

use super::wire::Terms;
use sweep_core::history::Machine;

/// Maximum length of a line, in bytes.
const LONGEST: u64 = 32 << 20;

/// What a bridge writes before its line, after whatever shells and login scripts have written. [`sweep_link`] writes the
/// same.
const START: &str = "\nsweep agent starts\n";

/// The controller's line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Greeting {
    /// Version of the controller's `sweep`.
    pub version: String,
    /// Identifies the sweep among all of its user.
    pub sweep: String,
    /// Name of the host, unless the agent has one.
    pub name: Option<String>,
    /// If it is given, the agent only says whether this sweep can run on its machine, and starts nothing.
    pub check: Option<Box<Terms>>,
}

/// What an agent says of its machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Version of its `sweep`.
    pub version: String,
    /// Name of the host among those of the sweep.
    pub node: String,
    /// Name of the machine.
    pub machine: String,
    /// The processor's architecture: `x86_64`.
    pub architecture: String,
    pub cores: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Instruction sets on which a trial's last bits depend.
    pub instructions: BTreeSet<String>,
    /// The libtorch that trainers load. `None` if trials are programs, or if it is not known.
    pub libtorch: Option<String>,
    /// Names of the slots.
    pub slots: Vec<String>,
    /// Why the sweep cannot run there.
    pub problem: Option<String>,
}

/// Instruction sets that change which kernels libtorch and this project's own code choose.
const INSTRUCTIONS: [&str; 6] = ["avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "sve"];

impl Facts {
    /// The instruction sets of this machine's processor.
    pub fn instructions() -> BTreeSet<String> {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = text.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
        let flags: BTreeSet<&str> = flags
            .and_then(|line| line.split_once(':'))
            .map_or_else(BTreeSet::new, |(_, flags)| flags.split_whitespace().collect());
        INSTRUCTIONS.into_iter().filter(|name| flags.contains(name)).map(str::to_owned).collect()
    }

    /// The machine in one line.
    pub fn about(&self) -> String {
        let mut about =
            format!("{}, {} cores, {} GiB, {}", self.machine, self.cores, self.memory >> 30, self.architecture);
        if !self.instructions.is_empty() {
            about += &format!(" with {}", self.listed_instructions());
        }
        if let Some(libtorch) = &self.libtorch {
            about += &format!("; {libtorch}");
        }
        about + &format!("; sweep {}", self.version)
    }

    /// The machine, for the journal.
    pub fn machine(&self) -> Machine {
        let processor = format!("{} {}", self.architecture, self.listed_instructions());
        Machine { about: self.about(), processor: processor.trim().to_owned() }
    }

    fn listed_instructions(&self) -> String {
        self.instructions.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// Announces the agent, and reads the controller's line.
///
/// # Errors
/// If the controller is gone, or what it writes is no greeting.
pub fn receive(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<Greeting> {
    to.write_all(START.as_bytes())?;
    to.flush()?;
    Ok(serde_json::from_str(&line(from)?)?)
}

/// Writes the agent's line.
///
/// # Errors
/// If the controller is gone.
pub fn answer(to: &mut impl Write, facts: &Facts) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(facts)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads a line byte by byte, since what follows belongs to the first frame.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would take bytes of the first frame")]
fn line(from: &mut impl Read) -> std::io::Result<String> {
    let mut line = Vec::new();
    for byte in from.by_ref().take(LONGEST).bytes() {
        match byte? {
            b'\n' => return String::from_utf8(line).map_err(std::io::Error::other),
            byte => line.push(byte),
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

/// Asks an agent about its machine: skips what its shell writes, sends the line, and reads the answer.
///
/// # Errors
/// Returns why there is no answer.
pub fn ask(from: impl Read, to: &mut impl Write, greeting: &Greeting) -> Result<Facts, String> {
    let mut from = std::io::BufReader::new(from);
    let (mut seen, mut last) = (0, String::new());
    loop {
        let mut line = String::new();
        let read = (&mut from).take(LONGEST).read_line(&mut line).map_err(|error| error.to_string())?;
        seen += read;
        if read == 0 || seen > 64 << 10 {
            let told = if last.is_empty() { String::new() } else { format!("; it printed {last:?}") };
            return Err(format!("no agent started{told}"));
        }
        if line.trim_end() == START.trim() {
            break;
        }
        if !line.trim().is_empty() {
            last = line.trim().chars().take(200).collect();
        }
    }
    let mut line = serde_json::to_vec(greeting).map_err(|error| error.to_string())?;
    line.push(b'\n');
    to.write_all(&line).and_then(|()| to.flush()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    if from.take(LONGEST).read_line(&mut answer).map_err(|error| error.to_string())? == 0 {
        return Err("its agent started and ended before it answered".into());
    }
    serde_json::from_str(&answer)
        .map_err(|error| format!("its answer cannot be read: {error}; use the same `sweep` on both"))
}
