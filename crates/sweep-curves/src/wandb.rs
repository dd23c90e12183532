//! Reader for W&B's file of an offline run, `run-*.wandb`.
//!
//! The file is 7 bytes (`:W&B`, 0xe1be, 0) and then a LevelDB log: blocks of 32 KiB with chunks of crc32 (4 bytes), length
//! (2), type (1: whole, 2: first, 3: middle, 4: last), and data. A record is a protobuf message `Record`, whose `history`
//! (field 2) has items (field 1) with a key (field 1, or the parts of a nested one in field 2) and a value as JSON (field
//! 16). The field numbers come from wandb/proto/wandb_internal.proto.

use super::Problem;
use super::gather::Gather;
use super::rows::{Place, Row};
use super::wire::{Fields, Wire};

const MAGIC: [u8; 7] = [b':', b'W', b'&', b'B', 0xe1, 0xbe, 0];
const BLOCK: usize = 32 << 10;
/// Bytes before the data of a chunk.
const HEAD: usize = 7;
/// Maximum size of a record in bytes.
const LARGEST_RECORD: usize = 64 << 20;

/// Whether a file begins like one of W&B's.
pub fn recognized(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..4]) && bytes.len() >= MAGIC.len()
}

/// Passes every row of the history. A truncated end, which a killed program may leave, is skipped.
pub fn read(bytes: &[u8], gather: &mut Gather) -> Result<(), Problem> {
    rows(bytes)?.iter().try_for_each(|row| gather.row(row))
}

/// The rows of the history.
///
/// # Errors
/// Returns an error if the file is none of W&B's.
pub fn rows(bytes: &[u8]) -> Result<Vec<Row>, Problem> {
    if !recognized(bytes) {
        return Err(Problem::new("it does not begin like a file of W&B's"));
    }
    let mut rows = Vec::new();
    let mut record = Vec::new();
    let mut at = MAGIC.len();
    while let Some(head) = bytes.get(at..at + HEAD) {
        let left = BLOCK - at % BLOCK;
        // Less than the head of a chunk at the end of a block is padding.
        if left < HEAD {
            at += left;
            continue;
        }
        let (length, kind) = (usize::from(u16::from_le_bytes([head[4], head[5]])), head[6]);
        if kind == 0 && length == 0 {
            at += left;
            continue;
        }
        let Some(data) = bytes.get(at + HEAD..at + HEAD + length) else { break };
        if matches!(kind, 1 | 2) {
            record.clear();
        }
        record.extend_from_slice(data);
        if record.len() > LARGEST_RECORD {
            return Err(Problem::new("a record in it is too large"));
        }
        if matches!(kind, 1 | 4) {
            rows.extend(history(&record));
        }
        at += HEAD + length;
    }
    Ok(rows)
}

/// The row of a record, if it is one of the history.
fn history(record: &[u8]) -> Option<Row> {
    let history = Fields(record).find(|(number, _)| *number == 2).and_then(|(_, wire)| wire.bytes())?;
    let (mut values, mut place) = (Vec::new(), Place::default());
    for item in Fields(history).filter(|(number, _)| *number == 1).filter_map(|(_, wire)| wire.bytes()) {
        let mut name = Vec::new();
        let mut value = None;
        for field in Fields(item) {
            match field {
                (1 | 2, Wire::Bytes(part)) if !part.is_empty() => name.push(String::from_utf8_lossy(part)),
                (16, Wire::Bytes(json)) => value = super::json_number(json),
                _ => {}
            }
        }
        let Some(value) = value else { continue };
        match name.join(".").as_str() {
            "_step" => place.step = Some(value),
            "epoch" => place.epoch = Some(value),
            name if name.starts_with('_') => {}
            name => values.push((name.to_owned(), value)),
        }
    }
    (!values.is_empty()).then_some(Row { curve: String::new(), place, values })
}
