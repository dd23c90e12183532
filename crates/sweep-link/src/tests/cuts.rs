//! Connections that are cut anywhere, and controllers that die.

use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Cut, clock};
use crate::{Agent, Controller, Event, Events, Generation, Link, SessionId, Terms};

/// Messages that each side sends in all.
const MESSAGES: u64 = 200;

/// What happens to one connection.
#[derive(Debug, Clone)]
struct Step {
    /// Bytes until it is cut.
    cut: usize,
    /// Size of the pieces in which bytes arrive.
    piece: usize,
    /// The controller is killed afterwards.
    killed: bool,
    /// The next connection starts while this one is open.
    overlaps: bool,
    /// Number of messages after which the controller's journal is synced.
    synced: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let parts = (0..6000_usize, 1..700_usize, prop::bool::weighted(0.2), prop::bool::weighted(0.3), 1..50_u64);
    parts.prop_map(|(cut, piece, killed, overlaps, synced)| Step { cut, piece, killed, overlaps, synced })
}

/// A controller with what survives it.
struct Side {
    controller: Arc<Controller<u64>>,
    events: mpsc::Receiver<(SessionId, Event<u64>)>,
    generation: Generation,
    /// Messages in the journal. A kill loses the ones after `synced`.
    journal: Vec<u64>,
    sent: bool,
}

impl Side {
    fn start(generation: Generation, session: SessionId, journal: Vec<u64>) -> Side {
        let (sender, events) = mpsc::channel(3);
        let controller = Controller::new(generation, Terms::default(), clock(), sender);
        if generation > 1 {
            controller.expect(session, journal.len() as u64);
        }
        Side { controller: Arc::new(controller), events, generation, journal, sent: false }
    }

    /// Takes one event: records a message, and acknowledges it if the journal is synced then.
    fn take(&mut self, event: (SessionId, Event<u64>), synced: u64) {
        let (session, event) = event;
        let link: Link<(Generation, u64)> = self.controller.link(session).expect("it has come");
        match event {
            Event::Connected { .. } if !self.sent => {
                self.sent = true;
                (1..=MESSAGES).for_each(|message| link.try_send(&(self.generation, message)).expect("there is room"));
            }
            Event::Message { number, message } => {
                assert_eq!(number, self.journal.len() as u64 + 1, "exactly once and in order");
                self.journal.push(message);
                if number % synced == 0 || number == MESSAGES {
                    link.acknowledge(number);
                }
            }
            Event::Over(why) => panic!("{why}"),
            _ => {}
        }
    }
}

/// Runs connections until all messages have arrived.
#[allow(clippy::too_many_lines, reason = "one course of events")]
async fn live(steps: Vec<Step>) {
    let (sender, mut events) = mpsc::channel(3);
    let agent: Arc<Agent<(Generation, u64)>> = Arc::new(Agent::new("test", clock(), sender).expect("randomness"));
    let link: Link<u64> = agent.link();
    let session = link.session();
    let mut tasks = JoinSet::new();
    let sending = link.clone();
    tasks.spawn(async move {
        for message in 1..=MESSAGES {
            sending.send(&message).await.expect("the session goes on");
        }
    });
    let orders = tokio::spawn(async move {
        let mut seen: Vec<(Generation, u64)> = Vec::new();
        while let Some((_, event)) = events.recv().await {
            if let Event::Message { number, message } = event {
                let next = seen.iter().filter(|(generation, _)| *generation == message.0).count() as u64 + 1;
                assert_eq!((message.1, number), (next, next), "exactly once and in order");
                seen.push(message);
                link.acknowledge(number);
            }
        }
        seen
    });
    let mut side = Side::start(1, session, Vec::new());
    let last = Step { cut: usize::MAX, piece: usize::MAX, killed: false, overlaps: false, synced: 7 };
    for step in steps.into_iter().chain([last.clone()]) {
        let (ours, theirs) = tokio::io::duplex(512);
        let ours = Cut { stream: ours, left: step.cut, piece: step.piece };
        let (greeting, controller) = (agent.clone(), side.controller.clone());
        tasks.spawn(async move { drop(greeting.serve(ours).await) });
        let mut serving = Box::pin(async move { controller.serve(theirs).await });
        let is_last = step.cut == usize::MAX;
        let mut steps = 0;
        loop {
            tokio::select! {
                biased;
                event = side.events.recv() => side.take(event.expect("the controller lives"), step.synced),
                why = &mut serving => {
                    assert!(!is_last, "{why}");
                    break;
                }
            }
            steps += 1;
            if step.overlaps && steps > 20 {
                let serving = serving;
                tasks.spawn(async move { drop(serving.await) });
                break;
            }
            if is_last && side.journal.len() as u64 == MESSAGES {
                tasks.spawn(async move { drop(serving.await) });
                break;
            }
        }
        if step.killed {
            // What was read and not recorded is lost with the controller.
            side = Side::start(side.generation + 1, session, side.journal);
        }
    }
    assert_eq!(side.journal, (1..=MESSAGES).collect::<Vec<_>>());
    let (ours, theirs) =
        (agent.link::<u64>(), side.controller.link::<(Generation, u64)>(session).expect("it has come"));
    tokio::select! {
        _ = async { tokio::join!(ours.drained(), theirs.drained()) } => {}
        () = async { while side.events.recv().await.is_some() {} } => panic!("the controller lives"),
    }
    tasks.shutdown().await;
    drop((agent, side));
    let seen = orders.await.expect("no assertion failed");
    let generation = seen.last().expect("there are orders").0;
    assert_eq!(seen.iter().filter(|order| order.0 == generation).count() as u64, MESSAGES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn messages_arrive_once_and_in_order_whatever_is_cut_and_whoever_dies(steps in prop::collection::vec(step(), 0..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(live(steps));
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_sender_waits_while_its_buffer_is_full_and_a_progress_report_does_not() {
    let (sender, _events) = mpsc::channel(3);
    let agent: Agent<u64> = Agent::new("test", clock(), sender).expect("randomness");
    let link: Link<u64> = agent.link();
    for message in 0..crate::MOST_KEPT as u64 {
        link.send(&message).await.expect("there is room");
    }
    assert_eq!(link.try_send(&0), Err(crate::NotSent::Full));
    link.send_latest(1, &1).expect("it never waits");
    let mut waiting = std::pin::pin!(link.send(&0));
    assert!(poll_once(waiting.as_mut()).await.is_none());
    let (events, mut received) = mpsc::channel(3);
    let controller = Controller::<u64>::new(1, Terms::default(), clock(), Events::clone(&events));
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::select! {
        _ = agent.serve(ours) => panic!("the connection ended"),
        _ = controller.serve(theirs) => panic!("the connection ended"),
        _ = async {
            while let Some((session, event)) = received.recv().await {
                if let Event::Message { number, .. } = event {
                    controller.link::<u64>(session).expect("it has come").acknowledge(number);
                }
            }
        } => {}
        sent = &mut waiting => sent.expect("there is room again"),
    }
}

async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
