//! Measures a controller with a thousand agents on this machine, over TCP and sealed. The agents are in another process.
//!
//! `cargo run --release -p sweep-link --example scale [AGENTS [SECONDS]]`

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sweep_link::transport::{Key, Listener, keep_dialing};
use sweep_link::{Agent, Clock, Controller, Event, Link, SessionId, Terms};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Slots per agent.
const SLOTS: usize = 8;
/// Time between two messages of an agent. One in 21 ends a trial, and the others are rows.
const ROW: Duration = Duration::from_millis(100);
/// Epochs of a trial. A slot then has none until its next order comes.
const EPOCHS: u32 = 20;
/// Time between two syncs of the journal.
const SYNC: Duration = Duration::from_millis(100);

#[derive(Debug, Serialize, Deserialize)]
enum ToAgent {
    Train { slot: usize, trial: u64, recipe: String },
}

#[derive(Debug, Serialize, Deserialize)]
enum ToController {
    Epoch { slot: usize, trial: u64, epoch: u32, train_loss: f64, val_loss: f64, val_accuracy: f64, seconds: f64 },
    Ended { slot: usize, trial: u64 },
}

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse());
    if arguments.first().is_some_and(|word| word == "agents") {
        return agents(arguments[1].as_ref(), number(2, 0)? as usize, Duration::from_secs(number(3, 0)?));
    }
    let (agents, seconds) = (number(0, 1000)? as usize, number(1, 60)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(agents, Duration::from_secs(seconds)))
}

/// The controller: takes the events, writes a journal, and gives a free slot its next order.
struct Measured {
    controller: Arc<Controller<ToController>>,
    journal: File,
    events: mpsc::Receiver<(SessionId, Event<ToController>)>,
    unsynced: Vec<(SessionId, u64)>,
    rows: u64,
    trials: u64,
}

async fn measure(agents: usize, busy: Duration) -> Result<(), Error> {
    let folder = tempfile::tempdir_in(".")?;
    let (sender, events) = mpsc::channel(1024);
    let controller = Arc::new(Controller::new(1, Terms::default(), Clock::default(), sender));
    let listener = Listener::open(Some(Ipv4Addr::LOCALHOST.into()), Key::random()?).await?;
    let address = folder.path().join("address");
    listener.address(1, None)?.write(&address)?;
    tokio::spawn(listener.serve(controller.clone()));
    let watching = controller.clone();
    tokio::spawn(async move { watching.watch().await });
    let journal = File::create(folder.path().join("journal.jsonl"))?;
    let mut measured = Measured { controller, journal, events, unsynced: Vec::new(), rows: 0, trials: 0 };

    let began = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .arg("agents")
        .arg(&address)
        .args([agents.to_string(), busy.as_secs().to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut sessions = Vec::new();
    while sessions.len() < agents {
        if let Some((session, Event::Connected { .. })) = measured.events.recv().await {
            sessions.push(session);
        }
    }
    println!("connected: {agents} agents in {:.2} s", began.elapsed().as_secs_f64());

    sleep(Duration::from_secs(2)).await;
    let (before, idle) = (cpu_seconds()?, Duration::from_secs(30));
    let _ = timeout(idle, measured.events.recv()).await;
    println!("idle: {:.2}% of a core", 100.0 * (cpu_seconds()? - before) / idle.as_secs_f64());

    let (before, began) = (cpu_seconds()?, Instant::now());
    for session in sessions {
        (0..SLOTS).try_for_each(|slot| measured.order(session, slot))?;
    }
    measured.work(busy).await?;
    let took = began.elapsed().as_secs_f64();
    println!("busy: {:.0} rows a second for {took:.0} s, {} trials", measured.rows as f64 / took, measured.trials);
    println!("busy: {:.1}% of a core, at most {} MB", 100.0 * (cpu_seconds()? - before) / took, most_memory()?);
    for line in BufReader::new(child.stdout.take().ok_or("a pipe")?).lines() {
        println!("{}", line?);
    }
    child.wait()?;
    Ok(())
}

impl Measured {
    async fn work(&mut self, time: Duration) -> Result<(), Error> {
        let (mut sync, end) = (interval(SYNC), Instant::now() + time);
        sync.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Instant::now() < end {
            tokio::select! {
                Some((session, event)) = self.events.recv() => self.take(session, event)?,
                _ = sync.tick() => {
                    self.journal.sync_data()?;
                    for (session, number) in self.unsynced.drain(..) {
                        self.controller.link::<ToAgent>(session).ok_or("a link")?.acknowledge(number);
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, session: SessionId, event: Event<ToController>) -> Result<(), Error> {
        let Event::Message { number, message } = event else { return Ok(()) };
        let mut line = serde_json::to_vec(&message)?;
        line.push(b'\n');
        self.journal.write_all(&line)?;
        self.unsynced.push((session, number));
        match message {
            ToController::Epoch { .. } => self.rows += 1,
            ToController::Ended { slot, .. } => self.order(session, slot)?,
        }
        Ok(())
    }

    fn order(&mut self, session: SessionId, slot: usize) -> Result<(), Error> {
        self.trials += 1;
        let order = ToAgent::Train { slot, trial: self.trials, recipe: "r".repeat(1000) };
        Ok(self.controller.link(session).ok_or("a link")?.try_send(&order)?)
    }
}

/// Processor time of this process, in seconds.
fn cpu_seconds() -> Result<f64, Error> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().ok_or("fields")?.split_whitespace().collect();
    // In ticks of 10 ms.
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

/// The most memory that this process had, in MB.
fn most_memory() -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).ok_or("VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("a number")?.parse::<u64>()? / 1000)
}

fn agents(address: &std::path::Path, agents: usize, busy: Duration) -> Result<(), Error> {
    let threads = 4;
    let waits = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|thread| {
                let count = agents / threads + usize::from(thread < agents % threads);
                scope.spawn(move || some_agents(address, count, busy).expect("the agents live"))
            })
            .collect();
        all.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect::<Vec<f64>>()
    });
    let mut waits = waits;
    waits.sort_by(f64::total_cmp);
    let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize] * 1000.0;
    let (median, p99, most) = (at(0.5), at(0.99), at(1.0));
    println!("orders: {}, median {median:.2} ms, 99th percentile {p99:.2} ms, longest {most:.2} ms", waits.len());
    Ok(())
}

fn some_agents(address: &std::path::Path, count: usize, busy: Duration) -> Result<Vec<f64>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..count).map(|at| tokio::spawn(agent(address.to_owned(), at, busy))).collect();
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await?);
        }
        Ok(waits)
    })
}

/// One agent with scripted slots. Returns how long free slots waited for their next order, in seconds.
async fn agent(address: std::path::PathBuf, at: usize, busy: Duration) -> Vec<f64> {
    let (sender, mut events) = mpsc::channel(64);
    let agent: Agent<ToAgent> = Agent::new("scale", Clock::default(), sender).expect("randomness");
    let link: Link<ToController> = agent.link();
    let (mut slots, mut waits) = ([None; SLOTS], Vec::new());
    let mut free: [Option<Instant>; SLOTS] = [None; SLOTS];
    let work = async {
        let Some((_, Event::Connected { .. })) = events.recv().await else { return };
        // The first orders start the work.
        let mut pending = events.recv().await;
        let end = Instant::now() + busy;
        sleep(ROW.mul_f64(at as f64 * 0.618 % 1.0)).await;
        let (mut ticks, mut turn) = (interval(ROW), 0);
        while Instant::now() < end {
            if let Some((_, Event::Message { number, message: ToAgent::Train { slot, trial, .. } })) = pending.take() {
                waits.extend(free[slot].take().map(|since| since.elapsed().as_secs_f64()));
                slots[slot] = Some((trial, 0));
                link.acknowledge(number);
            }
            tokio::select! {
                event = events.recv() => pending = event,
                _ = ticks.tick() => {
                    turn += 1;
                    let slot = turn % SLOTS;
                    let Some((trial, epoch)) = slots[slot].take() else { continue };
                    if epoch == EPOCHS {
                        free[slot] = Some(Instant::now());
                        link.send(&ToController::Ended { slot, trial }).await.expect("the session goes on");
                    } else {
                        slots[slot] = Some((trial, epoch + 1));
                        let loss = 1.0 / f64::from(epoch + 1);
                        let (train_loss, val_loss, val_accuracy, seconds) = (loss, loss * 1.1, 1.0 - loss, 0.8);
                        let row = ToController::Epoch { slot, trial, epoch, train_loss, val_loss, val_accuracy, seconds };
                        link.send(&row).await.expect("the session goes on");
                    }
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = keep_dialing(&agent, &address) => {}
    }
    waits
}
