//! Silence on both sides.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::clock;
use crate::{Agent, Controller, Event, Held, Link, Terms, Why};

const TERMS: Terms = Terms { orphan: Duration::from_secs(60), save: Duration::from_secs(20) };

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_idle_connection_stays_and_a_dead_one_is_noticed() {
    let (sender, mut agents) = mpsc::channel(9);
    let agent: Agent<u64> = Agent::new("test", clock(), sender).expect("randomness");
    let (sender, mut controllers) = mpsc::channel(9);
    let controller = Controller::<u64>::new(1, TERMS, clock(), sender);
    let (ours, theirs) = tokio::io::duplex(4096);
    let (middle, other) = tokio::io::duplex(4096);
    let (mut one, mut two) = (theirs, middle);
    let serve = async { tokio::join!(agent.serve(ours), controller.serve(other)) };
    let idle = Duration::from_secs(3600);
    let relay = async {
        let _ = timeout(idle, tokio::io::copy_bidirectional(&mut one, &mut two)).await;
        let cut = Instant::now();
        assert!(matches!(agents.recv().await, Some((_, Event::Connected { .. }))));
        assert!(agents.try_recv().is_err(), "nothing else in an hour");
        assert_eq!(agents.recv().await.map(|(_, event)| event), Some(Event::Disconnected(Why::Silent)));
        assert!(cut.elapsed() < Duration::from_secs(60));
        assert!(matches!(controllers.recv().await, Some((_, Event::Connected { .. }))));
        assert_eq!(controllers.recv().await.map(|(_, event)| event), Some(Event::Disconnected(Why::Silent)));
    };
    tokio::join!(serve, relay);
    drop((one, two));
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_agent_without_a_controller_saves_then_is_over_and_only_then_does_the_controller_know() {
    let (sender, mut agents) = mpsc::channel(9);
    let agent: Agent<u64> = Agent::new("test", clock(), sender).expect("randomness");
    let link: Link<u64> = agent.link();
    let (sender, mut controllers) = mpsc::channel(9);
    let controller = Controller::<u64>::new(1, TERMS, clock(), sender);
    let began = Instant::now();
    {
        let (ours, theirs) = tokio::io::duplex(4096);
        let both = async { tokio::join!(agent.serve(ours), controller.serve(theirs)) };
        let _ = timeout(Duration::from_secs(9), both).await;
    }
    let mut ends = Vec::new();
    let watching = async {
        loop {
            tokio::select! {
                Some((_, event)) = agents.recv() => match event {
                    Event::Save => ends.push(("save", began.elapsed().as_secs())),
                    Event::Over(_) => ends.push(("agent", began.elapsed().as_secs())),
                    _ => {}
                },
                Some((_, event)) = controllers.recv() => if let Event::Over(_) = event {
                    ends.push(("controller", began.elapsed().as_secs()));
                    break;
                },
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = async { tokio::join!(agent.watch(), controller.watch()); } => panic!("a controller watches for ever"),
    }
    assert_eq!(link.held(), Some(Held::Over));
    // The last ping was sent and received after 5 s.
    let handover = 5 + TERMS.handover().as_secs();
    assert_eq!(ends[..2], [("save", 45), ("agent", 65)]);
    assert!((handover..handover + 3).contains(&ends[2].1) && handover > 65, "{ends:?}");
    // It may not come back.
    let (ours, theirs) = tokio::io::duplex(4096);
    let (why, _) = tokio::join!(agent.serve(ours), controller.serve(theirs));
    assert!(matches!(why, Why::Refused(crate::Refused::Over)), "{why:?}");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_ended_session_tells_the_other_side_now_or_when_it_next_dials() {
    for connected in [true, false] {
        let (sender, mut agents) = mpsc::channel(9);
        let agent: Agent<u64> = Agent::new("test", clock(), sender).expect("randomness");
        let (sender, mut controllers) = mpsc::channel(9);
        let controller = Controller::<u64>::new(1, TERMS, clock(), sender);
        let (ours, theirs) = tokio::io::duplex(4096);
        let end = async {
            let (session, _) = controllers.recv().await.expect("it comes");
            if connected {
                controller.end(session, "the sweep is finished");
                // The connection then ends by itself.
                std::future::pending::<()>().await;
            }
            session
        };
        let session = tokio::select! {
            session = end => Some(session),
            _ = async { tokio::join!(agent.serve(ours), controller.serve(theirs)) } => None,
        };
        assert_eq!(session.is_none(), connected);
        if let Some(session) = session {
            controller.end(session, "the sweep is finished");
            let (ours, theirs) = tokio::io::duplex(4096);
            tokio::join!(agent.serve(ours), controller.serve(theirs));
        }
        let last = std::iter::from_fn(|| agents.try_recv().ok()).last();
        assert!(matches!(last, Some((_, Event::Over(_)))), "{last:?}");
        assert!(agent.is_over());
    }
}
