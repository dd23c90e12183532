//! Frames: the units in which both sides write and read. A frame is its length (4 bytes, big-endian, without itself), its
//! kind (1 byte), a number (8 bytes, big-endian), and a body.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Maximum length of a frame's body, in bytes. A longer one is refused before any of it is read.
pub const LARGEST_BODY: usize = 4 << 20;

/// Bytes of a frame's kind and number.
const HEAD: usize = 9;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The agent's first frame on a connection. The body is a [`crate::Hello`].
    Hello = 1,
    /// The controller's first frame on a connection. The body is an [`crate::Answer`].
    Answer = 2,
    /// A message that arrives exactly once. The number is its place in the order of all messages.
    Message = 3,
    /// A message that a newer one replaces, without a number.
    Latest = 4,
    /// All messages up to the number are safe and need not be kept.
    Acknowledged = 5,
    /// The agent asks for a sign of life. The number identifies the ping.
    Ping = 6,
    /// The controller answers the ping of that number.
    Pong = 7,
    /// A sign of life that asks for nothing.
    Alive = 8,
    /// The session is over. The body is the reason, as text.
    Over = 9,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        use Kind::{Acknowledged, Alive, Answer, Hello, Latest, Message, Over, Ping, Pong};
        [Hello, Answer, Message, Latest, Acknowledged, Ping, Pong, Alive, Over]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub number: u64,
    pub body: Bytes,
}

/// Why bytes are not a frame. The connection cannot be used any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a frame of {0} bytes was announced, more than {LARGEST_BODY}")]
    Length(usize),
    #[error("{0} is no kind of frame")]
    Kind(u8),
}

/// Appends a frame to `to`.
pub fn put(to: &mut BytesMut, kind: Kind, number: u64, body: &[u8]) {
    debug_assert!(body.len() <= LARGEST_BODY, "the caller checks");
    to.reserve(4 + HEAD + body.len());
    to.put_u32((HEAD + body.len()) as u32);
    to.put_u8(kind as u8);
    to.put_u64(number);
    to.put_slice(body);
}

/// Takes the first frame from `bytes`, or returns `None` if it has not arrived whole. Memory grows with the bytes that
/// arrived, never with what a length announces.
///
/// # Errors
/// If the bytes are not a frame.
pub fn take(bytes: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some(length) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if !(HEAD..=HEAD + LARGEST_BODY).contains(&length) {
        return Err(Malformed::Length(length));
    }
    if let Some(kind) = bytes.get(4).filter(|kind| Kind::from_byte(**kind).is_none()) {
        return Err(Malformed::Kind(*kind));
    }
    if bytes.len() < 4 + length {
        return Ok(None);
    }
    bytes.advance(4);
    let mut frame = bytes.split_to(length).freeze();
    let kind = Kind::from_byte(frame.get_u8()).expect("it was checked above");
    let number = frame.get_u64();
    Ok(Some(Frame { kind, number, body: frame }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_a_gigabyte_is_refused_without_memory_for_it() {
        let mut bytes = BytesMut::from(&(1_u32 << 30).to_be_bytes()[..]);
        let before = bytes.capacity();
        assert_eq!(take(&mut bytes), Err(Malformed::Length(1 << 30)));
        assert_eq!(bytes.capacity(), before);
    }

    #[test]
    fn the_largest_body_fits_and_one_more_byte_does_not() {
        let mut bytes = BytesMut::new();
        put(&mut bytes, Kind::Message, 7, &vec![1; LARGEST_BODY]);
        assert_eq!(take(&mut bytes).unwrap().unwrap().body.len(), LARGEST_BODY);
        let mut bytes = BytesMut::from(&((HEAD + LARGEST_BODY + 1) as u32).to_be_bytes()[..]);
        assert!(take(&mut bytes).is_err());
    }

    proptest! {
        #[test]
        fn frames_torn_anywhere_are_read_as_they_were_written(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            pieces in prop::collection::vec(1..50_usize, 1..40),
        ) {
            let mut written = BytesMut::new();
            for (number, body) in bodies.iter().enumerate() {
                put(&mut written, Kind::Message, number as u64, body);
            }
            let (mut buffer, mut read, mut pieces) = (BytesMut::new(), Vec::new(), pieces.into_iter().cycle());
            while !written.is_empty() {
                let piece = pieces.next().unwrap().min(written.len());
                buffer.extend_from_slice(&written.split_to(piece));
                while let Some(frame) = take(&mut buffer).unwrap() {
                    read.push(frame);
                }
            }
            prop_assert!(read.iter().enumerate().all(|(at, frame)| frame.number == at as u64));
            prop_assert_eq!(read.into_iter().map(|frame| frame.body.to_vec()).collect::<Vec<_>>(), bodies);
        }
    }
}
