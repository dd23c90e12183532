//! `sweep extend DIR FILE`

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::extension::Extension;
use super::opened::Opened;
use super::output;
use super::running::{Options, Planned, Retry};
use super::sweep_file::SweepFile;
use crate::extend::{Growth, Refusal, is_fruitless};
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{History, TrialRecord};
use sweep_core::program::{Origin, Place};
use sweep_report::format;
use sweep_spec::Trains;
use sweep_store::{Layout, Lock};

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
    let mut old = Opened::as_recorded(&args.folder)?;
    let new = read_new(args, &mut old, environment)?;
    let growth =
        Growth::new(&old.spec, &new.spec, &old.history).map_err(|refusal| refused(&refusal, args, &old.history))?;
    if growth.changes.is_empty() {
        return unchanged(args, &old, environment);
    }
    let (before, after) = ((&old.spec, &old.text[..], &old.history), (&new.spec, &new.text[..]));
    let extension = Extension::new(before, after, &growth, None, environment.now())?;
    let said = format!("{}\n\n{}", growth.changes.join("\n"), outlook(extension.trials, &extension.grown));
    // stdout has events alone.
    if args.options.json {
        output::tell(&said)
    } else {
        output::print(&said)?
    }
    if !args.yes {
        ask(args, environment)?;
    }
    let length = old.length;
    let on = extension.grown.on.clone();
    let layout = Layout::new(environment.folder.join(old.layout.root()));
    if args.run {
        // What failed under a file that was wrong is tried again under the new one.
        let retry = Retry { failed: is_fruitless(&old.history), ..Retry::default() };
        let so_far = Some(&on[..]);
        return args.options.go(
            environment,
            Planned { layout, spec: new.spec, text: &new.text, so_far, retry },
            |layout| extension.write(layout, length, &new.text),
        );
    }
    let _lock = Lock::take(&layout, &environment.holder())?;
    let (grown, _) = extension.write(&layout, length, &new.text)?;
    sweep_report::write(&layout, &new.spec, &grown)?;
    let retry =
        if is_fruitless(&grown) && grown.trials.iter().any(TrialRecord::failed) { "--retry-failed " } else { "" };
    output::print(&format!("To continue: sweep resume {retry}{}", argument(&args.folder)))?;
    Ok(Exit::Success)
}

/// Reads the file that replaces the sweep's own. What only an inspection of the data can tell is made the same in both.
fn read_new(args: &Args, old: &mut Opened, environment: &Environment) -> Result<SweepFile> {
    if is_same(&args.file, &old.layout.sweep_file()) {
        let (folder, file) = (argument(&args.folder), args.file.display());
        return Err(Error::new(Exit::Usage, format!("{file} is the current file of the sweep, so nothing changes"))
            .hint(format!("edit a copy next to the original file, and give that: sweep extend {folder} more.yaml")));
    }
    // Where `sweep extend` is called says nothing about the trials so far.
    let so_far = old.spec.program().map(|_| Place { folder: old.spec.program_folder(), origin: Origin::Sweep });
    let mut new = SweepFile::open(&args.file, so_far, environment)?;
    new.notes.iter().for_each(|note| output::tell(&format!("note: {note}")));
    new.spec.name.clone_from(&old.history.name);
    if let (Trains::Network(old), Trains::Network(new)) = (&mut old.spec.trains, &new.spec.trains)
        && old.source == new.source
    {
        old.classes = new.classes;
    }
    Ok(new)
}

/// Says that the file changes nothing, and puts the one in the journal back if another one is in the sweep's folder.
fn unchanged(args: &Args, old: &Opened, environment: &Environment) -> Result<Exit> {
    if sweep_store::sweep_file(&old.layout, &old.history).is_err() {
        let _lock = Lock::take(&old.layout, &environment.holder())?;
        sweep_store::replace(&old.layout.sweep_file(), old.text.as_bytes())?;
        output::print(&format!("{} is the file in the journal again", old.layout.sweep_file().display()))?;
    } else {
        let (folder, file) = (args.folder.display(), args.file.display());
        output::print(&format!("{folder} is unchanged: {file} means the same as its current file"))?;
    }
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
        argument(&args.file),
        history.name
    );
    Error::new(Exit::Usage, what).hint(hint)
}

/// Asks the user for confirmation.
fn ask(args: &Args, environment: &Environment) -> Result<()> {
    if !environment.answers {
        let (folder, file) = (argument(&args.folder), argument(&args.file));
        return Err(Error::new(Exit::Usage, "nothing was changed: confirmation requires a terminal")
            .hint(format!("to skip the confirmation: sweep extend {folder} {file} --yes")));
    }
    eprint!("Extend {}? [y/N] ", args.folder.display());
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::new(Exit::Usage, "nothing was changed")),
    }
}
