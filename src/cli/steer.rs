//! `sweep stop`, `skip`, `retry`, `pause`, `continue`, `first`, `slots`, `join`, `leave`, and `tag`: requests to the controller of a sweep
//! that may run in another terminal, or on another host that shares the folder.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::environment::{Environment, now};
use super::opened::Opened;
use super::output;
use crate::engine::targets;
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::Status;
use sweep_core::space::Condition;
use sweep_core::steering::Request;
use sweep_core::trial::TrialId;
use sweep_report::format;
use sweep_scheduler::search::Search;
use sweep_spec::condition;
use sweep_store::{Layout, requests};

/// Time to wait for the answer of a running controller.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same where hosts are given data first.
const LONG_PATIENCE: Duration = Duration::from_secs(3600);

/// Interval of looking for the answer.
const POLL: Duration = Duration::from_millis(20);

/// Number of trials that have not begun among which a condition is looked up.
const MOST_EXAMINED: u64 = 10_000;

/// Maximum number of trials that a condition puts first.
const MOST_FIRST: usize = 1_000;

/// The folder of a sweep, and trials of it.
#[derive(Debug, clap::Args)]
pub struct Trials {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Numbers of trials
    #[arg(value_name = "TRIAL", required = true, value_parser = clap::value_parser!(u64).range(1..))]
    trials: Vec<u64>,
}

/// Options of `sweep retry`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sweep retry results/quickstart 3")]
pub struct Retry {
    #[command(flatten)]
    of: Trials,
    /// Empty the trials' folders, so that a program starts over
    #[arg(long)]
    from_scratch: bool,
}

/// Only the folder of a sweep.
#[derive(Debug, clap::Args)]
pub struct Folder {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Options of `sweep join`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sweep join results/quickstart --on ssh:gpu4")]
pub struct Join {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The hosts, as `sweep run --on` takes them
    #[arg(long = "on", value_name = "HOSTS", required = true)]
    on: Vec<String>,
}

/// Options of `sweep leave`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sweep leave results/quickstart gpu4")]
pub struct Leave {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Name of the host, as `sweep agents` shows it
    #[arg(value_name = "HOST")]
    host: String,
}

/// Options of `sweep first`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep first results/quickstart 17
  sweep first results/quickstart 'learning_rate == 0.001 and dropout > 0.2'

Trials that have not begun have the numbers of `sweep plan --list`.")]
pub struct First {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Numbers of trials, or a condition as in `priority`
    #[arg(value_name = "TRIAL|CONDITION", required = true)]
    which: Vec<String>,
}

/// Options of `sweep slots`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sweep slots results/quickstart 2\n  sweep slots results/quickstart all")]
pub struct Slots {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Number of slots to use, or `all`
    #[arg(value_name = "N")]
    most: String,
}

/// Options of `sweep tag`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sweep tag results/quickstart 3 'used in the paper'")]
pub struct Tag {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Number of the trial
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    trial: u64,
    /// The text, or "" to remove it
    text: String,
}

/// `sweep stop`
pub fn stop(args: &Trials, environment: &Environment) -> Result<Exit> {
    ask(&Opened::new(&args.folder)?, &Request::Stop { trials: args.ids() }, environment)
}

/// `sweep skip`
pub fn skip(args: &Trials, environment: &Environment) -> Result<Exit> {
    ask(&Opened::new(&args.folder)?, &Request::Skip { trials: args.ids() }, environment)
}

/// `sweep retry`
pub fn retry(args: &Retry, environment: &Environment) -> Result<Exit> {
    let request = Request::Retry { trials: args.of.ids(), from_scratch: args.from_scratch };
    ask(&Opened::new(&args.of.folder)?, &request, environment)
}

/// `sweep pause`
pub fn pause(args: &Folder, environment: &Environment) -> Result<Exit> {
    ask(&Opened::new(&args.folder)?, &Request::Pause, environment)
}

/// `sweep continue`
pub fn go_on(args: &Folder, environment: &Environment) -> Result<Exit> {
    ask(&Opened::new(&args.folder)?, &Request::Continue, environment)
}

/// `sweep first`
pub fn first(args: &First, environment: &Environment) -> Result<Exit> {
    let opened = Opened::new(&args.folder)?;
    let numbers: Option<Vec<u64>> =
        args.which.iter().map(|word| word.parse().ok().filter(|number| *number > 0)).collect();
    let trials = match numbers {
        Some(numbers) => numbers.into_iter().map(TrialId).collect(),
        None => {
            let text = args.which.join(" ");
            let read = condition(&opened.spec, &text);
            let condition =
                read.map_err(|(rule, remedy)| Error::new(Exit::Usage, format!("`{text}` {rule}")).hint(remedy))?;
            meeting(&opened, &condition)
        }
    };
    if trials.is_empty() {
        return Err(Error::new(Exit::Usage, format!("no trial that can still run meets `{}`", args.which.join(" ")))
            .hint("`sweep plan --list` shows all trials with their parameters"));
    }
    ask(&opened, &Request::First { trials }, environment)
}

/// `sweep slots`
pub fn slots(args: &Slots, environment: &Environment) -> Result<Exit> {
    let most = match (args.most.as_str(), args.most.parse::<u32>()) {
        ("all", _) => None,
        (_, Ok(most)) if most > 0 => Some(most),
        _ => {
            return Err(Error::new(Exit::Usage, format!("{} is not a number of slots", args.most))
                .hint("write 1 or more, or `all`; `sweep pause` uses none"));
        }
    };
    ask(&Opened::new(&args.folder)?, &Request::Slots { most }, environment)
}

/// `sweep join`
pub fn join(args: &Join, environment: &Environment) -> Result<Exit> {
    let on = targets(&args.on)?.iter().map(ToString::to_string).collect();
    ask(&Opened::new(&args.folder)?, &Request::Join { on }, environment)
}

/// `sweep leave`
pub fn leave(args: &Leave, environment: &Environment) -> Result<Exit> {
    ask(&Opened::new(&args.folder)?, &Request::Leave { node: args.host.clone() }, environment)
}

/// `sweep tag`
pub fn tag(args: &Tag, environment: &Environment) -> Result<Exit> {
    let request = Request::Tag { trial: TrialId(args.trial), text: args.text.clone() };
    ask(&Opened::new(&args.folder)?, &request, environment)
}

impl Trials {
    fn ids(&self) -> Vec<TrialId> {
        self.trials.iter().copied().map(TrialId).collect()
    }
}

/// Returns the trials that can still run and meet a condition, in order.
fn meeting(opened: &Opened, condition: &Condition) -> Vec<TrialId> {
    let (spec, history) = (&opened.spec, &opened.history);
    let meets = |settings: &sweep_core::trial::Settings| spec.space.is_so(condition, settings);
    let waiting = history.trials.iter().filter(|trial| trial.status == Status::Waiting && meets(&trial.settings));
    let mut found: Vec<TrialId> = waiting.map(|trial| trial.id).collect();
    let mut search = Search::resumed(spec.search_terms(), history);
    if !search.learns() {
        let places = (history.places.next()..).take(MOST_EXAMINED as usize).filter(|at| !history.places.has_begun(*at));
        let settings = places.map_while(|at| Some((at, search.next(TrialId(at), history)?)));
        found.extend(settings.filter(|(_, settings)| meets(settings)).map(|(at, _)| TrialId(at)).take(MOST_FIRST));
    }
    found
}

/// Writes a request, and prints the controller's answer.
fn ask(opened: &Opened, request: &Request, environment: &Environment) -> Result<Exit> {
    let layout = Layout::new(environment.folder.join(opened.layout.root()));
    let folder = environment.short(layout.root());
    // Requests are carried out in the order of their names. Two in the same microsecond differ by their processes.
    let host: String = environment.host().chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let id = format!("{:017.0}-{host}-{}", now() * 1e6, std::process::id());
    requests::ask(&layout, &id, request)?;
    let (began, mut is_told) = (Instant::now(), false);
    let patience = if matches!(request, Request::Join { .. }) { LONG_PATIENCE } else { PATIENCE };
    while began.elapsed() < patience {
        if began.elapsed() > PATIENCE && !std::mem::replace(&mut is_told, true) {
            output::tell("the hosts are being prepared; Ctrl-C ends only this command");
        }
        if let Some(said) = requests::take_answer(&layout, &id) {
            let lines: Vec<String> = said.iter().map(|line| format::clean(line)).collect();
            output::print(&lines.join("\n"))?;
            return Ok(Exit::Success);
        }
        if !sweep_store::held(&layout) {
            output::print(&format!(
                "no process runs this sweep, so this is done next time: sweep resume {}",
                argument(folder)
            ))?;
            return Ok(Exit::Success);
        }
        #[allow(clippy::disallowed_methods, reason = "the answer is a file, and file systems do not tell")]
        std::thread::sleep(POLL);
    }
    output::print("the process that runs this sweep has not answered yet; it does this as soon as it can")?;
    Ok(Exit::Success)
}
