//! Reader for TensorBoard's event files: TFRecords of `Event` messages. Only the scalars of summaries are read.
//!
//! A record is its length (8 bytes, little endian), the masked CRC-32C of the length (4 bytes), the message, and the
//! message's CRC. The field numbers come from tensorflow/core/util/event.proto, framework/summary.proto and
//! framework/tensor.proto.

mod runs;

use super::Problem;
use super::rows::{Place, Row};
use super::wire::{Fields, Wire};
pub use runs::{File, gather};

/// Bytes before a message: its length and the checksum of the length.
const HEAD: usize = 12;
/// Bytes after a message: its checksum.
const TAIL: usize = 4;

/// The CRC-32C as TFRecord files store it, rotated and offset. The mask keeps the checksum of data that contains
/// checksums meaningful.
pub fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Whether a file begins with the length of a record and a valid checksum of that length.
pub fn recognized(bytes: &[u8]) -> bool {
    length(bytes).is_some()
}

/// A number under a name.
#[derive(Debug)]
pub struct Scalar {
    /// The time at which it was written, in seconds since 1970.
    pub wall: f64,
    pub step: f64,
    pub name: String,
    pub value: f64,
}

impl Scalar {
    /// The number as a row of a curve.
    pub fn row(&self, curve: &str) -> Row {
        let place = Place { epoch: None, step: Some(self.step) };
        Row { curve: curve.to_owned(), place, values: vec![(self.name.clone(), self.value)] }
    }
}

/// Reads every scalar. A truncated last record, which a killed program may leave, is skipped.
pub fn read(bytes: &[u8]) -> Result<Vec<Scalar>, Problem> {
    let mut scalars = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEAD) {
        let damaged = || {
            Problem::new(format!("the record at byte {at} is damaged: its checksum is wrong"))
                .hint("copy the file again; a copy in text mode or a full disk can cause this")
        };
        let length = length(rest).ok_or_else(damaged)?;
        let end = usize::try_from(length).ok().and_then(|length| length.checked_add(HEAD + TAIL));
        let Some(record) = end.and_then(|end| rest.get(..end)) else { break };
        let (message, crc) = record[HEAD..].split_at(record.len() - HEAD - TAIL);
        if crc != masked(message).to_le_bytes() {
            return Err(damaged());
        }
        event(message, &mut scalars);
        at += record.len();
    }
    Ok(scalars)
}

/// A message as a record of a file.
pub fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length, masked(&length).to_le_bytes().as_slice(), message, &masked(message).to_le_bytes()].concat()
}

fn length(bytes: &[u8]) -> Option<u64> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    (*rest.first_chunk()? == masked(length).to_le_bytes()).then(|| u64::from_le_bytes(*length))
}

fn event(message: &[u8], scalars: &mut Vec<Scalar>) {
    // Protocol buffers omit a step of 0.
    let (mut wall, mut step) = (0.0, 0.0);
    for field in Fields(message) {
        match field {
            (1, Wire::Fixed64(bytes)) => wall = f64::from_le_bytes(bytes),
            (2, Wire::Varint(number)) => step = number as i64 as f64,
            _ => {}
        }
    }
    let summaries = Fields(message).filter(|(number, _)| *number == 5).filter_map(|(_, wire)| wire.bytes());
    for value in summaries.flat_map(Fields).filter(|(number, _)| *number == 1).filter_map(|(_, wire)| wire.bytes()) {
        let tag = Fields(value).find(|(number, _)| *number == 1).and_then(|(_, wire)| wire.bytes()).unwrap_or_default();
        let scalar = Fields(value).find_map(|field| match field {
            (2, Wire::Fixed32(bytes)) => Some(f64::from(f32::from_le_bytes(bytes))),
            (8, Wire::Bytes(tensor)) => scalar(tensor),
            _ => None,
        });
        if let Some(value) = scalar {
            scalars.push(Scalar { wall, step, name: String::from_utf8_lossy(tag).into_owned(), value });
        }
    }
}

/// The number in a float tensor with one element, or `None` for any other tensor.
fn scalar(tensor: &[u8]) -> Option<f64> {
    const FLOAT: u64 = 1;
    const DOUBLE: u64 = 2;
    let kind = Fields(tensor).find_map(|field| match field {
        (1, Wire::Varint(kind)) => Some(kind),
        _ => None,
    })?;
    Fields(tensor).find_map(|field| match (kind, field) {
        (FLOAT, (4 | 5, Wire::Bytes(bytes))) => Some(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
        (FLOAT, (5, Wire::Fixed32(bytes))) => Some(f64::from(f32::from_le_bytes(bytes))),
        (DOUBLE, (4 | 6, Wire::Bytes(bytes))) => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        (DOUBLE, (6, Wire::Fixed64(bytes))) => Some(f64::from_le_bytes(bytes)),
        _ => None,
    })
}
