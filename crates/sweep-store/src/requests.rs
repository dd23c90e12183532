//! Requests to the controller of a sweep, as files in the sweep's folder: `requests/ID.json`, and `ID.answer` once one
//! is carried out. Files work across hosts that share a file system, and a request waits if no controller runs.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sweep_core::error::{Error, Result};
use sweep_core::steering::{Asked, Request};

use super::{Layout, replace};

/// Maximum size of a request. Only a damaged one is larger.
const LARGEST: u64 = 1 << 20;

/// Maximum number of requests that are taken at once.
const MOST: usize = 100;

/// Answers that were not read within this time are removed.
const OLD: Duration = Duration::from_secs(3_600);

/// Writes a request. `id` must be unique among all requests to the sweep; requests are carried out in its order.
///
/// # Errors
/// If the request cannot be written.
pub fn ask(layout: &Layout, id: &str, request: &Request) -> Result<()> {
    let folder = layout.requests();
    fs::create_dir_all(&folder)
        .map_err(|error| Error::storage(format!("{} cannot be created", folder.display()), error))?;
    let text =
        serde_json::to_vec(request).map_err(|error| Error::storage("the request cannot be written", error.into()))?;
    replace(&request_file(layout, id), &text)
}

/// Returns the requests that wait, oldest first.
pub fn waiting(layout: &Layout) -> Vec<Asked> {
    let mut ids: Vec<String> = names(layout).filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    ids.retain(|id| !id.starts_with('.'));
    ids.sort();
    ids.truncate(MOST);
    let read = |id: String| match read(&request_file(layout, &id)) {
        // Another process has taken it back.
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(Asked { id, request: Err(format!("the request cannot be read: {error}")) }),
        Ok(text) => {
            let request = serde_json::from_str(&text).map_err(|error| format!("the request is not valid: {error}"));
            Some(Asked { id, request })
        }
    };
    ids.into_iter().filter_map(read).collect()
}

/// Answers a request and removes it.
///
/// # Errors
/// If the answer cannot be written. The request then stays, and is answered again.
pub fn answer(layout: &Layout, id: &str, said: &[String]) -> Result<()> {
    let text =
        serde_json::to_vec(said).map_err(|error| Error::storage("the answer cannot be written", error.into()))?;
    replace(&answer_file(layout, id), &text)?;
    withdraw(layout, id);
    Ok(())
}

/// Takes the answer to a request, if there is one.
pub fn take_answer(layout: &Layout, id: &str) -> Option<Vec<String>> {
    let path = answer_file(layout, id);
    let said = serde_json::from_str(&read(&path).ok()?).ok()?;
    let _ = fs::remove_file(path);
    Some(said)
}

/// Removes a request.
pub fn withdraw(layout: &Layout, id: &str) {
    let _ = fs::remove_file(request_file(layout, id));
}

/// Removes old answers that were not read.
pub fn tidy(layout: &Layout, now: SystemTime) {
    for name in names(layout).filter(|name| name.ends_with(".answer")) {
        let path = layout.requests().join(name);
        let written = path.metadata().and_then(|file| file.modified());
        if written.is_ok_and(|written| now.duration_since(written).is_ok_and(|age| age > OLD)) {
            let _ = fs::remove_file(path);
        }
    }
}

fn names(layout: &Layout) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(layout.requests()).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    match read as u64 > LARGEST {
        true => Err(io::Error::new(ErrorKind::InvalidData, "it is too large")),
        false => Ok(text),
    }
}

fn request_file(layout: &Layout, id: &str) -> PathBuf {
    layout.requests().join(format!("{id}.json"))
}

fn answer_file(layout: &Layout, id: &str) -> PathBuf {
    layout.requests().join(format!("{id}.answer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::trial::TrialId;

    #[test]
    fn requests_wait_in_order_and_are_gone_once_answered() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let layout = Layout::new(folder.path());
        assert!(waiting(&layout).is_empty());
        let stop = Request::Stop { trials: vec![TrialId(2)] };
        ask(&layout, "2", &Request::Pause).unwrap();
        ask(&layout, "1", &stop).unwrap();
        fs::write(layout.requests().join("3.json"), "{\"do\": \"dance\"}").unwrap();
        let asked = waiting(&layout);
        let read: Vec<_> = asked.iter().map(|asked| asked.request.clone().ok()).collect();
        assert_eq!(read, [Some(stop), Some(Request::Pause), None]);
        assert!(asked[2].request.as_ref().is_err_and(|error| error.contains("not valid")));
        answer(&layout, "1", &["done".to_owned()]).unwrap();
        assert_eq!(take_answer(&layout, "1"), Some(vec!["done".to_owned()]));
        assert_eq!((take_answer(&layout, "1"), waiting(&layout).len()), (None, 2));
    }
}
