//! `sweep run FILE`

use std::path::PathBuf;

use super::check;
use super::environment::Environment;
use super::init;
use super::opened::Opened;
use super::output;
use super::program::Start;
use super::resume;
use super::running::{Options, Planned, Retry};
use super::sweep_file::{Dir, SweepFile};
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, FORMAT, History};
use sweep_core::program::Origin;
use sweep_report::stages;
use sweep_spec::{Spec, is_folder_name};
use sweep_store::{Journal, Layout};

/// Options of `sweep run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep run quickstart.yaml
  sweep run quickstart.yaml --name second-try
  sweep run quickstart.yaml --gpus 0,2 --progress plain > log

Ctrl-C saves the running trials and exits; `sweep resume` continues from there.")]
pub struct Args {
    /// The sweep file, or a Python script that calls wandb.sweep and wandb.agent
    file: PathBuf,
    #[command(flatten)]
    dir: Dir,
    /// Name of the sweep's folder [default: `name` in the sweep file]
    #[arg(long)]
    name: Option<String>,
    /// Folder for all results
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    results: PathBuf,
    /// Maximum number of trials, as in `wandb agent --count`; less than `run_cap` in the sweep file
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Continue the sweep if it already exists, like `sweep resume`; for job scripts that are requeued
    #[arg(long)]
    or_resume: bool,
    #[command(flatten)]
    options: Options,
}

/// Runs a sweep from its beginning.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let SweepFile { mut text, mut spec, start, notes, .. } =
        SweepFile::open(&init::sweep_file_of(&args.file, environment)?, args.dir.place(), environment)?;
    for note in notes {
        output::tell(&format!("note: {note}"));
    }
    let is_found = |start: &Start| matches!(start.place.origin, Origin::Called | Origin::Repository);
    if let Some(start) = start.filter(|start| is_found(start) || !start.others.is_empty()) {
        output::tell(&format!("note: trials start in {} ({})", start.place.folder.display(), start.reason()));
    }
    if let Some(name) = &args.name {
        if !is_folder_name(name) {
            return Err(Error::new(Exit::Usage, format!("--name {name} is not a valid folder name"))
                .hint("use letters, digits, `-`, `_`, and `.`, starting with a letter or digit"));
        }
        spec.name.clone_from(name);
    }
    let layout = Layout::new(environment.folder.join(&args.results).join(&spec.name));
    if layout.root().to_str().is_none() {
        return Err(Error::new(Exit::Usage, format!("--results {} is not UTF-8", args.results.display()))
            .hint("programs and reports get paths as text; name a folder with a UTF-8 path"));
    }
    if let Some(exit) = args.options.join(&layout, environment)? {
        return Ok(exit);
    }
    if args.or_resume && layout.journal().exists() {
        if args.count.is_none() && has_changed(&layout, &text) {
            output::tell(&format!(
                "note: {} has changed since the sweep began, and the sweep continues with its own copy; `sweep extend \
                 {} {}` adds values or trials",
                args.file.display(),
                argument(environment.short(layout.root())),
                argument(&args.file)
            ));
        }
        return resume::on(&args.options, layout.root(), Retry::default(), environment);
    }
    if let Some(count) = args.count {
        // Whoever resumes reads the sweep's own copy of the file.
        (text, spec.run_cap) = capped(&text, &spec, count)?;
    }
    if let Err(error) = is_new(&layout, environment) {
        let root = environment.short(layout.root());
        let extend = format!(
            "the file has changed since: `sweep extend {} {}` adds its values or trials",
            argument(root),
            argument(&args.file)
        );
        return Err(if has_changed(&layout, &text) { error.hint(extend) } else { error });
    }
    let first = first(&spec, &text, args.options.no_check, environment);
    let begin = |layout: &Layout| create(layout, &text, &first, environment);
    let planned = Planned { layout, spec, text: &text, so_far: None, retry: Retry::default() };
    args.options.go(environment, planned, begin)
}

/// Whether the text is another one than the user gave to the sweep in the folder.
fn has_changed(layout: &Layout, text: &str) -> bool {
    let given = sweep_store::read(layout).ok().and_then(|(history, _)| Some(history.given_file()?.to_owned()));
    given.or_else(|| std::fs::read_to_string(layout.sweep_file()).ok()).is_some_and(|own| own != text)
}

/// Refuses a folder with a sweep, or with files that no sweep has written.
///
/// # Errors
/// Says what is in the folder.
pub fn is_new(layout: &Layout, environment: &Environment) -> Result<()> {
    if layout.journal().exists() {
        return Err(begun(layout, environment));
    }
    if let Some(foreign) = foreign(layout) {
        let shown = environment.short(layout.root());
        return Err(Error::new(
            Exit::Usage,
            format!("{} is not the folder of a sweep: it contains {foreign} and no journal.jsonl", shown.display()),
        )
        .hint("nothing is written into it; give the sweep another name with `--name`, or move the folder away"));
    }
    Ok(())
}

/// The first entry of a new sweep's journal. The images are checked for it, unless `no_check` is set.
pub fn first(spec: &Spec, text: &str, no_check: bool, environment: &Environment) -> Entry {
    Entry::Sweep {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        name: spec.name.clone(),
        at: environment.now(),
        base: spec.base.clone(),
        start: spec.start.clone(),
        file: Some(text.to_owned()),
        pictures: if no_check { None } else { check::warn(spec) },
    }
}

/// Creates the files of a new sweep, whose lock is held.
///
/// # Errors
/// If another controller has started the sweep meanwhile, or if a file cannot be written.
pub fn create(layout: &Layout, text: &str, first: &Entry, environment: &Environment) -> Result<(History, Journal)> {
    if layout.journal().exists() {
        return Err(begun(layout, environment));
    }
    sweep_store::replace(&layout.sweep_file(), text.as_bytes())?;
    let mut history = History::default();
    history.apply(first).expect("the first entry has this version's format");
    Ok((history, Journal::create(layout, first)?))
}

/// Returns the sweep file with this maximum number of trials, and the resulting number of trials.
fn capped(text: &str, spec: &Spec, count: u64) -> Result<(String, Option<u64>)> {
    if !spec.stages.is_empty() {
        return Err(Error::new(Exit::Usage, format!("--count {count} does not apply to a sweep with `stages`"))
            .hint("set `run_cap` in the file and in its stages"));
    }
    let most = spec.run_cap.map_or(count, |cap| cap.min(count));
    if spec.run_cap == Some(most) {
        return Ok((text.to_owned(), spec.run_cap));
    }
    let kept = text.lines().filter(|line| !line.starts_with("run_cap:")).collect::<Vec<_>>().join("\n");
    let capped = format!("{kept}\nrun_cap: {most}\n");
    match Spec::read(&capped, "sweep.yaml", &spec.base) {
        Ok((read, _)) if read.run_cap == Some(most) => Ok((capped, Some(most))),
        _ => Err(Error::new(Exit::Usage, format!("--count {count} cannot be added to the sweep file"))
            .hint(format!("add `run_cap: {most}` to the file"))),
    }
}

/// Files of a sweep that has begun and has no journal yet, also half written ones.
const BEGINNINGS: [&str; 7] =
    [".lock", ".holder", "sweep.log", "sweep.log.1", "sweep.yaml", ".sweep.yaml.new", ".journal.jsonl.new"];

/// A file in the sweep's folder that no sweep has written before its journal, if there is one.
fn foreign(layout: &Layout) -> Option<String> {
    let files = std::fs::read_dir(layout.root()).ok()?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let names = files.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| !BEGINNINGS.contains(&name.as_str())).min()
}

/// The error for a sweep that already exists.
fn begun(layout: &Layout, environment: &Environment) -> Error {
    let folder = environment.short(layout.root());
    let another = format!("start another sweep with `--name {}-2`", argument(folder.file_name().unwrap_or_default()));
    let (shown, argument) = (folder.display(), argument(&folder));
    let held = sweep_store::held(layout);
    let is_complete = |Opened { spec, history, .. }: &Opened| history.complete && !stages::follow(spec, history);
    let (state, next) = match Opened::as_recorded(layout.root()) {
        _ if held => ("is being run by another process".into(), format!("watch it with `sweep status {argument}`")),
        Ok(sweep) if is_complete(&sweep) => {
            let history = sweep.history;
            let all = history.trials.len();
            match history.trials.iter().filter(|trial| trial.failed()).count() {
                0 => (format!("is complete: all {all} trials have ended"), format!("see {shown}/report.html")),
                failed => (
                    format!("is complete: all {all} trials have ended, {failed} of them without success"),
                    format!("retry those with `sweep resume {argument} --retry-failed`"),
                ),
            }
        }
        Ok(Opened { history, .. }) => {
            let done = history.trials.iter().filter(|trial| trial.outcome().is_some()).count();
            (format!("already exists: {done} trials have ended"), format!("continue it with `sweep resume {argument}`"))
        }
        Err(error) => (format!("already exists ({error})"), format!("continue it with `sweep resume {argument}`")),
    };
    let exit = if held { Exit::Storage } else { Exit::Usage };
    Error::new(exit, format!("{shown} {state}")).hint(format!("{next}, or {another}"))
}
