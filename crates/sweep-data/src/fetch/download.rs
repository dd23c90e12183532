//! Downloads one file over HTTP into a `.part` file next to its destination, and resumes earlier attempts.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;
use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Proxy};

use super::{Error, unwritable};

/// Maximum number of consecutive attempts without new data.
const PATIENCE: u32 = 3;
/// Time without data after which a connection counts as broken.
const SILENCE: Duration = Duration::from_secs(60);

/// The reason why a file was not downloaded.
#[derive(Debug)]
pub enum Failure {
    /// This server cannot deliver the file, but another may.
    Place(String),
    /// The file cannot be written to disk.
    Disk(Error),
}

/// Returns an HTTP client.
pub fn agent(proxy: Option<Proxy>) -> Agent {
    let config = Agent::config_builder()
        .proxy(proxy)
        .user_agent(concat!("sweep/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE));
    config.build().new_agent()
}

/// Downloads until `part` has `size` bytes. After a broken connection, the download resumes, provided that connections
/// keep delivering new data. On failure, `part` keeps the received data. The caller must verify the checksum.
///
/// # Errors
/// Returns an error if the server does not have the file, has it in another size, or does not answer. Also returns one
/// if `part` cannot be written.
pub fn download(agent: &Agent, url: &str, size: u64, part: &Path, bar: &ProgressBar) -> Result<(), Failure> {
    let disk = |error| Failure::Disk(unwritable(part, error));
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(part).map_err(disk)?;
    let mut most = file.metadata().map_err(disk)?.len();
    if most > size {
        file.set_len(0).map_err(disk)?;
        most = 0;
    }
    let mut in_vain = 0;
    loop {
        let broken = match attempt(agent, url, size, &mut file, bar) {
            Ok(()) => return file.sync_all().map_err(disk),
            Err(Broken::Connection(why)) => why,
            Err(Broken::Place(why)) => return Err(Failure::Place(why)),
            Err(Broken::Disk(error)) => return Err(disk(error)),
        };
        let came = file.metadata().map_err(disk)?.len();
        in_vain = if came > most { 0 } else { in_vain + 1 };
        most = most.max(came);
        if in_vain == PATIENCE {
            return Err(Failure::Place(broken));
        }
    }
}

/// The reason why one connection did not deliver the rest.
enum Broken {
    /// The connection failed, and a new one may succeed.
    Connection(String),
    Place(String),
    Disk(std::io::Error),
}

fn attempt(agent: &Agent, url: &str, size: u64, file: &mut File, bar: &ProgressBar) -> Result<(), Broken> {
    let have = file.metadata().map_err(Broken::Disk)?.len();
    if have == size {
        return Ok(());
    }
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let response = request.call().map_err(|error| match error {
        // ureq's prefix for these errors adds nothing.
        ureq::Error::Io(error) => Broken::Connection(error.to_string()),
        error => Broken::Connection(error.to_string()),
    })?;
    let whole = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let range = content_range(&response);
            // A response that continues elsewhere, or without a valid range, is useless.
            match range.filter(|(from, _)| *from == have) {
                Some((_, whole)) => Some(whole),
                None => return Err(Broken::Place("the server sent another part than requested".to_owned())),
            }
        }
        // The server sent the whole file, regardless of the requested range.
        StatusCode::OK => {
            file.set_len(0).map_err(Broken::Disk)?;
            response.body().content_length()
        }
        status => return Err(Broken::Place(format!("the server responded with {status}"))),
    };
    if let Some(whole) = whole.filter(|whole| *whole != size) {
        return Err(Broken::Place(format!("the file there has {whole} bytes, but the published one has {size}")));
    }
    append(response, size, file, bar)
}

/// Parses `bytes 5-9/10` to 5 and 10.
fn content_range(response: &Response<ureq::Body>) -> Option<(u64, u64)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, whole.parse().ok()?))
}

fn append(response: Response<ureq::Body>, size: u64, file: &mut File, bar: &ProgressBar) -> Result<(), Broken> {
    let mut have = file.seek(SeekFrom::End(0)).map_err(Broken::Disk)?;
    bar.set_length(size);
    bar.set_position(have);
    // The displayed rate is that of this connection, not of earlier ones.
    bar.reset_eta();
    // Read one byte more than expected, to notice an excess without reading all of it.
    let mut body = response.into_body().into_reader().take(size - have + 1);
    let mut chunk = vec![0; 1 << 16];
    loop {
        let length = body.read(&mut chunk).map_err(|error| Broken::Connection(error.to_string()))?;
        if length == 0 {
            break;
        }
        file.write_all(&chunk[..length]).map_err(Broken::Disk)?;
        have += length as u64;
        bar.set_position(have);
    }
    match have {
        have if have == size => Ok(()),
        have if have > size => {
            file.set_len(0).map_err(Broken::Disk)?;
            Err(Broken::Place(format!("the file there has more than the {size} bytes of the published one")))
        }
        have => Err(Broken::Connection(format!("the download ended after {have} of {size} bytes"))),
    }
}
