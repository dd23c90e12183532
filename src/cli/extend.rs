//! `sweep extend DIR FILE`

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::opened::Opened;
use super::output;
use super::running::Options;
use super::sweep_file::SweepFile;
use crate::extend::{Growth, Refusal, is_fruitless};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, History, TrialRecord};
use sweep_core::program::{Origin, Place};
use sweep_report::format;
use sweep_scheduler::search::Search;
use sweep_spec::Trains;
use sweep_store::{Journal, Layout, Lock};

/// Options of `sweep extend`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep extend results/quickstart more.yaml
  sweep extend results/quickstart more.yaml --yes --run

FILE is a complete sweep file, for example a copy of the sweep's own file with added values. Finished trials are kept,
and only the new configurations run. The changes are shown, and you are asked to confirm them.")]
pub struct Args {
    /// Folder of the sweep
    folder: PathBuf,
    /// The sweep file that replaces the current one
    file: PathBuf,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Continue the sweep at once
    #[arg(long)]
    run: bool,
    #[command(flatten)]
    options: Options,
}

/// Replaces the file of a sweep.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let Opened { layout, spec: mut old, text: before, history, length } = Opened::as_recorded(&args.folder)?;
    let (folder, file) = (args.folder.display(), args.file.display());
    if is_same(&args.file, &layout.sweep_file()) {
        return Err(Error::new(Exit::Usage, format!("{file} is the current file of the sweep, so nothing changes"))
            .hint(format!("edit a copy next to the original file, and give that: sweep extend {folder} more.yaml")));
    }
    // Where `sweep extend` is called says nothing about the trials so far.
    let so_far = old.program().map(|_| Place { folder: old.program_folder(), origin: Origin::Sweep });
    let SweepFile { text, spec: mut new, notes, .. } = SweepFile::open(&args.file, so_far, environment)?;
    notes.iter().for_each(|note| output::tell(&format!("note: {note}")));
    new.name.clone_from(&history.name);
    if let (Trains::Network(old), Trains::Network(new)) = (&mut old.trains, &new.trains)
        && old.source == new.source
    {
        old.classes = new.classes;
    }
    let growth = Growth::new(&old, &new, &history).map_err(|refusal| refused(&refusal, args, &history))?;
    if growth.changes.is_empty() && sweep_store::sweep_file(&layout, &history).is_err() {
        let _lock = Lock::take(&layout, &environment.holder())?;
        sweep_store::replace(&layout.sweep_file(), before.as_bytes())?;
        output::print(&format!("{} is the file in the journal again", layout.sweep_file().display()))?;
        return Ok(Exit::Success);
    }
    if growth.changes.is_empty() {
        output::print(&format!("{folder} is unchanged: {file} means the same as its current file"))?;
        return Ok(Exit::Success);
    }
    let trials = Search::resumed(old.search_terms(), &history).len();
    let extended = |all| Entry::Extended {
        at: environment.now(),
        version: env!("CARGO_PKG_VERSION").into(),
        base: new.base.clone(),
        start: new.start.clone(),
        before: before.clone(),
        file: text.clone(),
        changes: growth.changes.clone(),
        trials: (trials, all),
        settings: growth.settings.clone(),
        metric: (old.metric.name != new.metric.name).then(|| (old.metric.name.clone(), new.metric.name.clone())),
    };
    let grow = |entry: &Entry| -> Result<History> {
        let mut grown = history.clone();
        grown.apply(entry).map_err(|error| Error::new(Exit::Internal, error))?;
        Ok(grown)
    };
    // The number of trials depends on the trials so far as the new file writes them.
    let all = Search::resumed(new.search_terms(), &grow(&extended(None))?).len();
    let entry = extended(all);
    let grown = grow(&entry)?;
    let said = format!("{}\n\n{}", growth.changes.join("\n"), outlook(all, &grown));
    // stdout has events alone.
    if args.options.json {
        output::tell(&said)
    } else {
        output::print(&said)?
    }
    if !args.yes {
        ask(args, environment)?;
    }
    let on = grown.on.clone();
    let extend = |layout: &Layout| -> Result<(History, Journal)> {
        // With the lock held, the journal can no longer change.
        if sweep_store::read(layout)?.1 != length {
            return Err(Error::new(Exit::Storage, format!("{folder} has changed in the meantime"))
                .hint("run the same command again to review the changes"));
        }
        let mut journal = Journal::append(layout, length)?;
        journal.write(std::slice::from_ref(&entry), true)?;
        sweep_store::replace(&layout.sweep_file(), text.as_bytes())?;
        Ok((grown, journal))
    };
    let layout = Layout::new(environment.folder.join(layout.root()));
    if args.run {
        // What failed under a file that was wrong is tried again under the new one.
        let retry = is_fruitless(&history);
        return args.options.go(environment, layout, new, (&text, Some(&on)), extend, (retry, false));
    }
    let _lock = Lock::take(&layout, &environment.holder())?;
    let (grown, _) = extend(&layout)?;
    sweep_report::write(&layout, &new, &grown)?;
    let retry =
        if is_fruitless(&grown) && grown.trials.iter().any(TrialRecord::failed) { "--retry-failed " } else { "" };
    output::print(&format!("To continue: sweep resume {retry}{folder}"))?;
    Ok(Exit::Success)
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// Describes the result: `12 trials so far stay, 6 new ones follow`.
fn outlook(all: Option<u64>, grown: &History) -> String {
    let begun = grown.trials.len() as u64;
    let follow = match all.map(|all| all.saturating_sub(begun)) {
        None => "new trials follow without end".to_owned(),
        Some(0) => "no new trials follow".to_owned(),
        Some(1) => "1 new trial follows".to_owned(),
        Some(new) => format!("{} new trials follow", format::count(new)),
    };
    let so_far = if begun == 1 {
        "1 existing trial is kept".to_owned()
    } else {
        format!("{} existing trials are kept", format::count(begun))
    };
    format!("{so_far}, {follow}")
}

fn refused(refusal: &Refusal, args: &Args, history: &History) -> Error {
    let reasons = refusal.reasons.join("\n  ");
    let what = format!(
        "{} cannot replace the file of the sweep: the {} existing trials could not be compared with new ones\n  \
         {reasons}",
        args.file.display(),
        history.trials.len()
    );
    let vary = refusal.vary.as_ref().map(|vary| format!("vary it under `parameters`: `{vary}`, or "));
    let hint = format!(
        "{}start a new sweep: sweep run {} --name {}-2",
        vary.unwrap_or_default(),
        args.file.display(),
        history.name
    );
    Error::new(Exit::Usage, what).hint(hint)
}

/// Asks the user for confirmation.
fn ask(args: &Args, environment: &Environment) -> Result<()> {
    let (folder, file) = (args.folder.display(), args.file.display());
    if !environment.answers {
        return Err(Error::new(Exit::Usage, "nothing was changed: confirmation requires a terminal")
            .hint(format!("to skip the confirmation: sweep extend {folder} {file} --yes")));
    }
    eprint!("Extend {folder}? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::new(Exit::Usage, "nothing was changed")),
    }
}
