//! Who connects to the controller's port without the key, or with damaged bytes.

use std::net::Ipv4Addr;
use std::sync::Arc;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::transport::{Address, Key, Listener, MOST_STRANGERS, dial, open_sealed, receive_sealed};
use crate::{Agent, Clock, Controller, Event, SessionId, Terms, Why};

type Received = mpsc::Receiver<(SessionId, Event<u64>)>;

async fn listen() -> (Address, Received, tokio::task::JoinHandle<()>) {
    let (sender, events) = mpsc::channel(9);
    let controller = Arc::new(Controller::new(1, Terms::default(), Clock::default(), sender));
    let key = Key::random().expect("randomness");
    let listener = Listener::open(Some(Ipv4Addr::LOCALHOST.into()), key).await.expect("a port");
    let address = listener.address(1, None).expect("it has an address");
    (address, events, tokio::spawn(listener.serve(controller)))
}

async fn connect(address: &Address) -> TcpStream {
    TcpStream::connect((address.hosts[0].as_str(), address.port)).await.expect("it listens")
}

fn agent() -> (Agent<u64>, Received) {
    let (sender, events) = mpsc::channel(9);
    (Agent::new("test", Clock::default(), sender).expect("randomness"), events)
}

#[tokio::test(flavor = "current_thread")]
async fn a_stranger_reaches_nothing() {
    let (address, mut events, serving) = listen().await;
    let wrong = Address { key: Key::random().expect("randomness"), ..address.clone() };
    dial(&wrong).await.expect_err("the key is wrong");
    // Nothing, a part of a greeting, text, and a gigabyte announced. Each is closed without an answer.
    for bytes in [&b""[..], &[7; 47], &b"GET / HTTP/1.1\r\nHost: controller\r\nAccept: */*\r\n\r\n"[..], &[0x40; 200]] {
        let mut stream = connect(&address).await;
        stream.write_all(bytes).await.expect("it is open");
        stream.shutdown().await.expect("it is open");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "{answer:?}");
    }
    assert!(events.try_recv().is_err(), "nothing was said to the sweep");
    serving.abort();
}

#[tokio::test(flavor = "current_thread")]
async fn a_replayed_conversation_is_refused() {
    let (address, mut events, serving) = listen().await;
    // Somebody between the two hosts records all that the agent says.
    let middle = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let between = Address { port: middle.local_addr().expect("bound").port(), ..address.clone() };
    let record = async {
        let (mut agent, _) = middle.accept().await.expect("an agent");
        let mut controller = connect(&address).await;
        let (mut heard, mut said) = (vec![0; 4096], Vec::new());
        loop {
            let mut answer = vec![0; 4096];
            tokio::select! {
                read = agent.read(&mut heard) => match read.expect("it is open") {
                    0 => break said,
                    length => {
                        said.extend_from_slice(&heard[..length]);
                        controller.write_all(&heard[..length]).await.expect("it is open");
                    }
                },
                read = controller.read(&mut answer) => {
                    let length = read.expect("it is open");
                    agent.write_all(&answer[..length]).await.expect("it is open");
                }
            }
        }
    };
    let (honest, mut agents) = agent();
    let once = async {
        let stream = dial(&between).await.expect("the key is right");
        tokio::select! {
            _ = honest.serve(stream) => panic!("the connection ended"),
            event = agents.recv() => assert!(matches!(event, Some((_, Event::Connected { .. })))),
        }
    };
    let (said, ()) = tokio::join!(record, once);
    assert!(said.len() > 48 + 18, "a greeting, a proof, and frames");
    assert!(matches!(events.recv().await, Some((_, Event::Connected { .. }))));
    assert!(matches!(events.recv().await, Some((_, Event::Disconnected(_)))));
    let mut replay = connect(&address).await;
    replay.write_all(&said).await.expect("it is open");
    let mut answer = Vec::new();
    let _ = replay.read_to_end(&mut answer).await;
    assert!(answer.len() <= 48, "nothing but a new ephemeral key");
    assert!(events.try_recv().is_err(), "nothing was said to the sweep");
    serving.abort();
}

#[tokio::test(flavor = "current_thread")]
async fn connections_that_say_nothing_do_not_keep_an_agent_out() {
    let (address, mut events, serving) = listen().await;
    let mut silent = Vec::new();
    for _ in 0..MOST_STRANGERS + 20 {
        silent.push(connect(&address).await);
    }
    let (agent, _agents) = agent();
    let stream = dial(&address).await.expect("the key is right");
    tokio::select! {
        _ = agent.serve(stream) => panic!("the connection ended"),
        event = events.recv() => assert!(matches!(event, Some((_, Event::Connected { .. })))),
    }
    // The oldest made room.
    assert_eq!(silent[0].read(&mut [0; 8]).await.unwrap_or(0), 0);
    serving.abort();
}

#[tokio::test(flavor = "current_thread")]
async fn a_stream_carries_what_was_written_and_an_altered_or_cut_one_nothing_else() {
    let key = Key::random().expect("randomness");
    let (one, two) = tokio::io::duplex(1000);
    let (mut one, mut two) = {
        let both = tokio::join!(open_sealed(one, &key), receive_sealed(two, &key));
        (both.0.expect("the same key"), both.1.expect("the same key"))
    };
    let long: Vec<u8> = (0..100_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let write = async {
        one.write_all(&long).await.expect("it is open");
        one.flush().await.expect("it is open");
    };
    let read = async {
        let mut read = vec![0; long.len()];
        two.read_exact(&mut read).await.expect("all arrives");
        read
    };
    let ((), read) = tokio::join!(write, read);
    assert_eq!(read, long);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Also in front of a controller that asks for no key, as behind the pipes of a command.
    #[test]
    fn foreign_bytes_end_a_connection_and_nothing_more(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (sender, mut events) = mpsc::channel(9);
            let controller = Controller::<u64>::new(1, Terms::default(), Clock::default(), sender);
            let why = controller.serve(tokio::io::join(&bytes[..], tokio::io::sink())).await;
            assert!(matches!(why, Why::Broken(_) | Why::Closed), "{why:?}");
            assert!(events.try_recv().is_err());
            let key = Key::random().expect("randomness");
            assert!(receive_sealed(tokio::io::join(&bytes[..], tokio::io::sink()), &key).await.is_err());
        });
    }
}
