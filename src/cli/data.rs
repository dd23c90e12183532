//! `sweep data list` and `sweep data fetch NAME`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use comfy_table::{Table, presets::NOTHING};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::environment::Environment;
use super::output;
use sweep_core::error::{Error, Exit, Result};
use sweep_data::datasets;
use sweep_data::fetch::{self, CATALOG, Origin, Published};
use sweep_report::format::count;

/// The default folder for datasets.
const FOLDER: &str = "data";

/// Options of `sweep data`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep data list
  sweep data fetch cifar10")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the data sets that can be downloaded, and whether they are on this machine
    List(List),
    /// Download, verify, and unpack a data set
    Fetch(Fetch),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sweep data list --json | jq -r '.[].name'")]
struct List {
    /// Folder to search for data sets
    #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
    to: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep data fetch cifar10
  sweep data fetch mnist --to /scratch/data
  sweep data fetch cifar100 --from ~/Downloads/cifar-100-binary.tar.gz

To continue an interrupted download, run the same command again.")]
struct Fetch {
    /// Name of the data set
    #[arg(value_parser = PossibleValuesParser::new(CATALOG.iter().map(|set| set.name)))]
    name: String,
    /// The published file, or the folder or URL that has it; the URL of a folder ends in a slash
    #[arg(long, value_name = "FILE|URL")]
    from: Option<String>,
    /// Folder in which the data set's folder is created
    #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
    to: PathBuf,
}

/// Lists or fetches datasets.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    match &args.what {
        What::List(list) => run_list(list, environment),
        What::Fetch(fetch) => run_fetch(fetch, environment),
    }
}

fn run_list(args: &List, environment: &Environment) -> Result<Exit> {
    let here = |set: &Published| Some(args.to.join(set.folder)).filter(|path| environment.folder.join(path).is_dir());
    if args.json {
        let row = |set: &Published| {
            let (train, test) = set.images;
            json!({
                "name": set.name, "about": set.about, "train": train, "test": test, "bytes": set.size(),
                "path": here(set), "license": set.license, "citation": set.citation,
            })
        };
        output::print_json(&CATALOG.iter().map(row).collect())?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["set", "description", "train", "test", "download", "license", "here"]);
    for set in &CATALOG {
        table.add_row([
            set.name.to_owned(),
            set.about.to_owned(),
            count(set.images.0),
            count(set.images.1),
            megabytes(set.size()),
            set.license.to_owned(),
            here(set).map_or("-".to_owned(), |path| path.display().to_string()),
        ]);
    }
    let others = "`digits` is built in; `folder` and `arrays` are for your own images.";
    output::print(&format!("{table}\n\nTo download a data set: sweep data fetch NAME. {others}"))?;
    Ok(Exit::Success)
}

fn run_fetch(args: &Fetch, environment: &Environment) -> Result<Exit> {
    let set = Published::named(&args.name).expect("clap lets no other name through");
    let to = environment.folder.join(&args.to);
    let folder = to.join(set.folder);
    let whole = |folder: &Path| {
        let info = datasets::describe(&(set.source)(folder.to_owned()))?;
        if (info.train, info.test) == set.images {
            return Ok(());
        }
        let rule = format!("it has {} training images and {} test images", count(info.train), count(info.test));
        Err(Error::new(Exit::BadData, format!("{}: {rule}", folder.display())))
    };
    if whole(&folder).is_ok() {
        let path = environment.short(&folder);
        output::tell(&format!("{} already exists; to download it again, delete it first", path.display()));
    } else {
        let from = match &args.from {
            None => Origin::Published,
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => Origin::Url(url.clone()),
            Some(path) => Origin::Disk(environment.folder.join(path)),
        };
        output::tell(&format!("{} from {}", set.name, args.from.as_deref().unwrap_or(set.places[0])));
        let bar = bar();
        let fetched = fetch::fetch(set, &from, &to, &fetch::agent(environment.proxy()), &bar);
        bar.finish_and_clear();
        whole(&fetched?)?;
    }
    let (train, test) = set.images;
    output::print(&format!(
        "{path}: {train} training images and {test} test images, {about}\n\
         license: {license}\n\
         cite:    {citation}\n\
         \n\
         In a sweep file, with the path relative to that file:\n\
         data: {{set: {name}, path: {path}}}",
        path = environment.short(&folder).display(),
        train = count(train),
        test = count(test),
        about = set.about,
        license = set.license,
        citation = set.citation,
        name = set.name,
    ))?;
    Ok(Exit::Success)
}

/// A progress bar on stderr, hidden if that is not a terminal.
fn bar() -> ProgressBar {
    let template = "{bar:28.cyan/dim} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left  {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    let bar = ProgressBar::new(1).with_style(style.progress_chars("━━╌"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}
