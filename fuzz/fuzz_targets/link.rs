//! Bytes from the network: a connection ends without an event, unless it begins with a greeting. The first byte says how
//! the others are read.
#![no_main]

use bytes::BytesMut;
use sweep_link::transport::{Address, Key, receive_sealed};
use sweep_link::{Clock, Controller, Event, Hello, Terms, frame};
use tokio::sync::mpsc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((way, bytes)) = bytes.split_first() else { return };
    match way {
        0 => frames(bytes),
        1 => drop(Address::parse(bytes)),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            runtime.block_on(connection(bytes));
        }
    }
});

/// Frames that arrive byte by byte are the ones that arrive at once, and are written as they were read.
fn frames(bytes: &[u8]) {
    let (mut whole, mut torn, mut written) = (BytesMut::from(bytes), BytesMut::new(), BytesMut::new());
    let mut arrived = bytes.iter();
    while let Ok(Some(expected)) = frame::take(&mut whole) {
        let read = loop {
            match frame::take(&mut torn).expect("the whole was valid") {
                Some(read) => break read,
                None => torn.extend(arrived.next()),
            }
        };
        assert_eq!(read, expected);
        frame::put(&mut written, read.kind, read.number, &read.body);
    }
    assert!(bytes.starts_with(&written));
}

async fn connection(bytes: &[u8]) {
    let key = Key::random().expect("randomness");
    assert!(receive_sealed(tokio::io::join(bytes, tokio::io::sink()), &key).await.is_err());
    let (sender, mut events) = mpsc::channel(1 << 16);
    let controller = Controller::<serde_json::Value>::new(1, Terms::default(), Clock::default(), sender);
    controller.serve(tokio::io::join(bytes, tokio::io::sink())).await;
    let hello = frame::take(&mut BytesMut::from(bytes)).ok().flatten();
    let greeted = hello.is_some_and(|frame| serde_json::from_slice::<Hello>(&frame.body).is_ok());
    while let Ok((_, event)) = events.try_recv() {
        assert!(greeted, "{event:?}");
        if let Event::Message { number, .. } = event {
            assert!(number > 0);
        }
    }
}
