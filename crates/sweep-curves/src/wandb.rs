//! Reader for W&B's file of an offline run, `run-*.wandb`.
//!
//! The file is 7 bytes (`:W&B`, 0xe1be, 0) and then a LevelDB log: blocks of 32 KiB with chunks of crc32 (4 bytes), length
//! (2), type (1: whole, 2: first, 3: middle, 4: last), and data. A record is a protobuf message `Record`, whose `history`
//! (field 2) has items (field 1) with a key (field 1, or the parts of a nested one in field 2) and a value as JSON (field
//! 16). The field numbers come from wandb/proto/wandb_internal.proto.

use serde_json::{Map, Value};

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
/// Depth of nested values.
const DEEPEST: usize = 16;

/// Whether a file begins like one of W&B's.
pub fn recognized(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..4]) && bytes.len() >= MAGIC.len()
}

/// Passes every row of the history. A truncated end, which a killed program may leave, is skipped.
pub fn read(bytes: &[u8], gather: &mut Gather) -> Result<(), Problem> {
    if !recognized(bytes) {
        return Err(Problem::new("it does not begin like a file of W&B's"));
    }
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
            history(&record).iter().try_for_each(|row| gather.row(row))?;
        }
        at += HEAD + length;
    }
    Ok(())
}

/// The numbers of an item, each with the names inside it. Older versions write nested values as one item.
fn numbers(json: &[u8], found: &mut Vec<(Vec<String>, f64)>) {
    if let Some(number) = super::json_number(json) {
        found.push((Vec::new(), number));
    } else if let Ok(Value::Object(table)) = serde_json::from_slice(json) {
        inner(&table, &mut Vec::new(), found);
    }
}

fn inner(table: &Map<String, Value>, names: &mut Vec<String>, found: &mut Vec<(Vec<String>, f64)>) {
    // Images and histograms say what they are.
    if table.contains_key("_type") || names.len() >= DEEPEST {
        return;
    }
    for (name, value) in table {
        names.push(name.clone());
        match value {
            Value::Number(number) => found.extend(number.as_f64().map(|number| (names.clone(), number))),
            Value::Object(table) => inner(table, names, found),
            _ => {}
        }
        names.pop();
    }
}

/// The row of a record, if it is one of the history.
fn history(record: &[u8]) -> Option<Row> {
    let history = Fields(record).find(|(number, _)| *number == 2).and_then(|(_, wire)| wire.bytes())?;
    let (mut values, mut place) = (Vec::new(), Place::default());
    for item in Fields(history).filter(|(number, _)| *number == 1).filter_map(|(_, wire)| wire.bytes()) {
        let mut name = Vec::new();
        let mut found = Vec::new();
        for field in Fields(item) {
            match field {
                (1 | 2, Wire::Bytes(part)) if !part.is_empty() => name.push(String::from_utf8_lossy(part)),
                (16, Wire::Bytes(json)) => numbers(json, &mut found),
                _ => {}
            }
        }
        for (inner, value) in found {
            let steps = name.iter().map(|part| part.as_ref()).chain(inner.iter().map(String::as_str));
            match steps.collect::<Vec<_>>().join(".").as_str() {
                "_step" => place.step = Some(value),
                "epoch" => place.epoch = Some(value),
                name if name.starts_with('_') => {}
                name => values.push((name.to_owned(), value)),
            }
        }
    }
    (!values.is_empty()).then_some(Row { curve: String::new(), place, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes with this number.
    fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        for mut value in [number << 3 | 2, bytes.len() as u64] {
            while value >= 0x80 {
                message.push(value as u8 | 0x80);
                value >>= 7;
            }
            message.push(value as u8);
        }
        message.extend(bytes);
        message
    }

    fn item(names: &[(u64, &str)], json: &str) -> Vec<u8> {
        let names = names.iter().flat_map(|(number, name)| field(*number, name.as_bytes()));
        field(1, &names.chain(field(16, json.as_bytes())).collect::<Vec<_>>())
    }

    /// A file with these records, of which the second is split at the end of a block.
    fn file(records: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for record in records {
            let mut rest: &[u8] = record;
            let mut first = true;
            loop {
                let room = BLOCK - bytes.len() % BLOCK;
                if room < HEAD {
                    bytes.extend(vec![0; room]);
                    continue;
                }
                let part = rest.len().min(room - HEAD);
                let last = part == rest.len();
                let kind = match (first, last) {
                    (true, true) => 1,
                    (true, false) => 2,
                    (false, false) => 3,
                    (false, true) => 4,
                };
                bytes.extend([0; 4]);
                bytes.extend((part as u16).to_le_bytes());
                bytes.push(kind);
                bytes.extend(&rest[..part]);
                (rest, first) = (&rest[part..], false);
                if last {
                    break;
                }
            }
        }
        bytes
    }

    fn read_rows(bytes: &[u8]) -> Vec<Row> {
        let mut gather = Gather::raw(None);
        read(bytes, &mut gather).expect("it is such a file");
        gather.into_rows()
    }

    #[test]
    fn nested_values_are_read_as_old_and_new_versions_write_them() {
        let text = format!("{:?}", "x".repeat(2 * BLOCK));
        let new = [item(&[(2, "val"), (2, "loss")], "0.5"), item(&[(1, "epoch")], "3"), item(&[(1, "note")], &text)];
        let old = [
            item(&[(1, "val")], "{\"loss\": 0.25, \"at\": {\"k\": 1}, \"image\": {\"_type\": \"image\", \"size\": 9}}"),
            item(&[(1, "_step")], "7"),
            item(&[(1, "bad")], "NaN"),
        ];
        let file = file(&[field(2, &new.concat()), field(2, &old.concat())]);
        let rows = read_rows(&file);
        assert_eq!(rows[0].values, [("val.loss".to_owned(), 0.5)]);
        assert_eq!(rows[0].place.epoch, Some(3.0));
        assert_eq!(rows[1].values[..2], [("val.loss".to_owned(), 0.25), ("val.at.k".to_owned(), 1.0)]);
        assert!(rows[1].values[2].1.is_nan() && rows[1].values.len() == 3, "{rows:?}");
        assert_eq!(read_rows(&file[..file.len() - 1]).len(), 1, "a record that was cut is left out");
    }
}
