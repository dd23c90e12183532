//! What the user asks of a controller from the page: the same request files that the commands write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sweep::Sweep;
use sweep_core::error::Result;
use sweep_core::steering::Request;
use sweep_report::format;
use sweep_store::requests;

/// Time to wait for the answer of a running controller.
const PATIENCE: Duration = Duration::from_secs(10);

/// Interval of looking for the answer.
const POLL: Duration = Duration::from_millis(50);

/// Writes a request, and returns the controller's answer, one sentence per line. `asker` names this process.
///
/// # Errors
/// If the request cannot be written.
pub async fn ask(sweep: &Sweep, request: &Request, asker: &str, now: f64) -> Result<Vec<String>> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Requests are carried out in the order of their names.
    let id = format!("{:017.0}-{asker}-{}", now * 1e6, COUNT.fetch_add(1, Ordering::Relaxed));
    requests::ask(&sweep.layout, &id, request)?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(said) = requests::take_answer(&sweep.layout, &id) {
            return Ok(said.iter().map(|line| format::clean(line)).collect());
        }
        if !sweep_store::held(&sweep.layout) {
            return Ok(vec!["No process runs this sweep, so this is done when it is resumed.".into()]);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(vec!["The process that runs this sweep has not answered yet. It does this as soon as it can.".into()])
}
