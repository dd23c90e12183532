//! Many agents in one process, with trainers that follow a script, for a controller that is real. It measures how
//! long a free slot waits for its next order.
//!
//! `scripted-agents ADDRESS AGENTS SECONDS MILLISECONDS`: the file that says where the controller listens, the number of
//! agents, how long they train, and the time of an epoch. Before that, they are idle for a third of the time.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it stands for foreign programs")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sweep::agent::ToHost;
use sweep::agent::service::{FromAgent, Offer, Offered, ToAgent};
use sweep_core::history::Machine;
use sweep_core::protocol::{FromTrainer, VERSION};
use sweep_core::trial::{Attempt, EpochMetrics, Outcome};
use sweep_link::transport::keep_dialing;
use sweep_link::{Agent, Clock, Event, Link};
use sweep_scheduler::schedule::{Condition, SlotEvent, SlotId};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};

/// Slots of an agent.
const SLOTS: usize = 8;

/// Epochs of a trial.
const EPOCHS: u32 = 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = PathBuf::from(arguments.next().expect("an address file"));
    let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).expect("a number");
    let (agents, busy, epoch) = (number(), Duration::from_secs(number()), Duration::from_millis(number()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let began = Instant::now();
        let (joined, mut all) = mpsc::channel(agents as usize);
        let (told, mut waits) = mpsc::unbounded_channel();
        let tasks: Vec<_> = (0..agents)
            .map(|at| tokio::spawn(agent(address.clone(), at, epoch, busy, joined.clone(), told.clone())))
            .collect();
        for _ in 0..agents {
            all.recv().await;
        }
        println!("{agents} agents have joined after {:.2} s", began.elapsed().as_secs_f64());
        drop(told);
        let (mut seconds, mut rows) = (Vec::new(), 0_u64);
        while let Some(word) = waits.recv().await {
            match word {
                Some(wait) => seconds.push(wait),
                None => rows += 1,
            }
        }
        seconds.sort_by(f64::total_cmp);
        let at = |part: f64| seconds.get(((seconds.len() as f64 - 1.0) * part) as usize).map_or(0.0, |wait| wait * 1e3);
        println!("{} rows a second", rows / busy.as_secs().max(1));
        println!(
            "{} orders: median {:.1} ms, 99th percentile {:.1} ms, longest {:.1} ms",
            seconds.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
    });
}

/// What a slot does.
#[derive(Clone, Copy)]
enum Slot {
    /// Since then.
    Free(Option<Instant>),
    /// An attempt, its epochs so far, and how many it has.
    Trains(Attempt, u32, u32),
}

/// One agent. `told` gets the wait for every order, and `None` for every row.
async fn agent(
    address: PathBuf,
    at: u64,
    epoch: Duration,
    busy: Duration,
    joined: mpsc::Sender<()>,
    told: mpsc::UnboundedSender<Option<f64>>,
) {
    let (sender, mut events) = mpsc::channel(64);
    let program = format!("sweep {}", env!("CARGO_PKG_VERSION"));
    let agent: Agent<ToAgent> = Agent::new(program, Clock::default(), sender).expect("randomness");
    let link: Link<FromAgent> = agent.link();
    let work = async {
        let mut slots = [Slot::Free(None); SLOTS];
        // First trials have different lengths, or all would end at the same time.
        let mut lengths = std::array::from_fn::<u32, SLOTS, _>(|slot| (at as u32 * 5 + slot as u32 * 3) % EPOCHS + 1);
        // Trainers are ready once the agents have been idle for a while.
        let began = Instant::now();
        let ready_at = busy / 3;
        let mut started = Vec::new();
        sleep(epoch.mul_f64(at as f64 * 0.618 % 1.0) / SLOTS as u32).await;
        let (mut ticks, mut turn) = (interval(epoch / SLOTS as u32), 0);
        loop {
            tokio::select! {
                Some((_, event)) = events.recv() => {
                    let Event::Message { number, message } = event else { continue };
                    link.acknowledge(number);
                    match message {
                        ToAgent::Sweep(_) => {
                            link.send(&offer(at)).await.expect("the session goes on");
                            let _ = joined.send(()).await;
                        }
                        ToAgent::Host { order: ToHost::Start { slot } } => started.push(slot),
                        ToAgent::Host { order: ToHost::Train { slot, assignment } } => {
                            if let Slot::Free(Some(since)) = slots[slot.0] {
                                let _ = told.send(Some(since.elapsed().as_secs_f64()));
                            }
                            let last = std::mem::replace(&mut lengths[slot.0], EPOCHS);
                            slots[slot.0] = Slot::Trains(assignment.attempt, 0, last);
                        }
                        ToAgent::Host { order: ToHost::Pause { slot, attempt } } => {
                            slots[slot.0] = Slot::Free(None);
                            say(&link, slot, FromTrainer::Paused { attempt }).await;
                        }
                        ToAgent::Leave { .. } => return link.end("it was asked to leave"),
                        _ => {}
                    }
                }
                _ = ticks.tick() => {
                    if began.elapsed() < ready_at {
                        continue;
                    }
                    for slot in started.drain(..) {
                        let (device, backend) = ("cpu, scripted".into(), "script".into());
                        say(&link, slot, FromTrainer::Ready { protocol: VERSION, device, backend }).await;
                    }
                    if began.elapsed() > ready_at + busy {
                        return;
                    }
                    turn += 1;
                    let slot = SlotId(turn % SLOTS);
                    let Slot::Trains(attempt, done, last) = slots[slot.0] else { continue };
                    slots[slot.0] = step(&link, slot, attempt, (done, last)).await;
                    let _ = told.send(None);
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = keep_dialing(&agent, &address) => {}
    }
}

/// An epoch of a trial, with what comes before the first one and after the last one.
async fn step(link: &Link<FromAgent>, slot: SlotId, attempt: Attempt, (done, last): (u32, u32)) -> Slot {
    if done == 0 {
        let (train_examples, validation_examples, parameters) = (100, 10, 1000);
        let (note, warnings) = (None, Vec::new());
        let began = FromTrainer::Began {
            attempt,
            from_epoch: 0,
            train_examples,
            validation_examples,
            parameters,
            note,
            warnings,
        };
        say(link, slot, began).await;
    }
    let loss = 1.0 / f64::from(done + 1) + attempt.trial.0 as f64 * 1e-6;
    let metrics =
        EpochMetrics { epoch: done + 1, train_loss: Some(loss), val_loss: Some(loss * 1.1), ..EpochMetrics::default() };
    say(link, slot, FromTrainer::Epoch { attempt, metrics, others: Default::default() }).await;
    if done + 1 < last {
        return Slot::Trains(attempt, done + 1, last);
    }
    say(link, slot, FromTrainer::Ended { attempt, outcome: Outcome::Finished }).await;
    Slot::Free(Some(Instant::now()))
}

async fn say(link: &Link<FromAgent>, slot: SlotId, message: FromTrainer) {
    let _ = link.send(&FromAgent::On { slot, event: SlotEvent::Said(message) }).await;
}

fn offer(at: u64) -> FromAgent {
    let slot = |slot: usize| Offered {
        name: format!("cpu:{slot}"),
        identity: format!("cpu:{slot}"),
        place: slot,
        room: None,
        condition: Condition::Free,
        joules: 0.0,
        has_trainer: false,
        ready: None,
        attempt: None,
    };
    let machine = Machine { about: "scripted".into(), processor: String::new() };
    FromAgent::Offer(Box::new(Offer {
        node: format!("n{at}"),
        machine,
        time: None,
        slots: (0..SLOTS).map(slot).collect(),
    }))
}
