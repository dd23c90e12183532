//! The bytes of a checkpoint, which the trainer writes and reads.
//!
//! The format is plain safetensors, which any program can read: <https://huggingface.co/docs/safetensors>. The only
//! entry of `__metadata__` is `sweep`, a JSON object. It contains `format` and `crc32`, a checksum of the rest of the
//! object and the tensors. Equal contents give equal bytes.

use std::collections::HashMap;
use std::fmt::Display;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

/// The entry of `__metadata__`. There is only one because the order of entries is not preserved.
const HEADER: &str = "sweep";

/// One float32 tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The name, unique within the file.
    pub name: String,
    /// The length of each dimension, the outermost first.
    pub shape: Vec<usize>,
    /// The values in the order of `shape`, four little-endian bytes each.
    pub bytes: Vec<u8>,
}

/// Encodes a file with these tensors. `header` is a JSON object with `format`, to which the checksum is added.
pub fn encode(mut header: Value, tensors: &[Stored]) -> Vec<u8> {
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .map(|tensor| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes);
            (tensor.name.as_str(), view.expect("the bytes are as many as the shape says"))
        })
        .collect();
    header["crc32"] = checksum(&header, views.clone()).into();
    let metadata = HashMap::from([(HEADER.to_owned(), header.to_string())]);
    safetensors::serialize(views, Some(metadata)).expect("names are unique and the header is small")
}

/// Decodes a file to its header without the checksum, and its float32 tensors.
///
/// # Errors
/// Returns a description of the problem if the file is damaged or does not have this `format`.
pub fn decode<'a>(bytes: &'a [u8], format: &str) -> Result<(Value, Vec<(String, TensorView<'a>)>), String> {
    let damaged = |what: &dyn Display| format!("it is damaged ({what})");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error))?;
    let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get(HEADER)).map_or("{}", String::as_str);
    let mut header: Value = serde_json::from_str(text).map_err(|error| damaged(&error))?;
    if header["format"] != format {
        return Err(format!("its format is {}, but this trainer uses \"{format}\"", header["format"]));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(&error))?.tensors();
    let written = header.as_object_mut().and_then(|header| header.shift_remove("crc32"));
    let views = tensors.iter().map(|(name, view)| (name.as_str(), view.clone())).collect();
    if written != Some(checksum(&header, views).into()) {
        return Err(damaged(&"its checksum is wrong"));
    }
    match tensors.iter().find(|(_, view)| view.dtype() != Dtype::F32) {
        Some((name, view)) => Err(damaged(&format!("`{name}` is {:?}", view.dtype()))),
        None => Ok((header, tensors)),
    }
}

/// Computes the CRC-32 of the header without a checksum, and the tensors in the order of their names.
fn checksum(header: &Value, mut tensors: Vec<(&str, TensorView<'_>)>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.to_string().as_bytes());
    tensors.sort_by_key(|(name, _)| *name);
    for (name, view) in tensors {
        hasher.update(format!("{name} {:?} {:?}\n", view.dtype(), view.shape()).as_bytes());
        hasher.update(view.data());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const FORMAT: &str = "test 1";

    fn stored() -> Vec<Stored> {
        let tensor = |name: &str, shape: &[usize]| {
            let values = 0..shape.iter().product::<usize>();
            let bytes = values.flat_map(|value| (value as f32 / 3.0).to_le_bytes()).collect();
            Stored { name: name.into(), shape: shape.to_vec(), bytes }
        };
        vec![tensor("0.weight", &[2, 3]), tensor("0.bias", &[2]), tensor("step", &[])]
    }

    fn whole() -> Vec<u8> {
        encode(json!({"format": FORMAT, "position": {"epoch": 3}}), &stored())
    }

    /// Returns the header, and the tensors in the order of their names.
    fn contents(bytes: &[u8]) -> Result<(Value, Vec<Stored>), String> {
        let (header, tensors) = decode(bytes, FORMAT)?;
        let mut tensors: Vec<Stored> = tensors
            .into_iter()
            .map(|(name, view)| Stored { name, shape: view.shape().to_vec(), bytes: view.data().to_vec() })
            .collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((header, tensors))
    }

    #[test]
    fn what_was_written_is_read() {
        let (header, tensors) = contents(&whole()).unwrap();
        assert_eq!(header, json!({"format": FORMAT, "position": {"epoch": 3}}));
        let mut expected = stored();
        expected.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(tensors, expected);
        assert!(decode(&whole(), "test 2").unwrap_err().contains("its format is \"test 1\""));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Any damage is detected, unless it changes nothing that matters, such as a space in the header.
        #[test]
        fn a_damaged_checkpoint_is_an_error_or_says_the_same(
            at in 0..500_usize, length in 0..20_usize, put in prop::collection::vec(any::<u8>(), 0..20)
        ) {
            let whole = whole();
            let mut bytes = whole.clone();
            let (from, to) = (at.min(bytes.len()), (at + length).min(bytes.len()));
            bytes.splice(from..to, put);
            if let Ok(found) = contents(&bytes) {
                prop_assert_eq!(found, contents(&whole).unwrap());
            }
        }

        #[test]
        fn a_checkpoint_cut_anywhere_is_an_error(cut in 0..500_usize) {
            let whole = whole();
            prop_assert!(decode(&whole[..cut.min(whole.len() - 1)], FORMAT).is_err());
        }

        /// Arbitrary bytes, some of them after a length prefix that fits.
        #[test]
        fn foreign_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,80}") {
            prop_assert!(decode(&bytes, FORMAT).is_err());
            for header in [bytes, text.into_bytes()] {
                let file = [&(header.len() as u64).to_le_bytes()[..], &header].concat();
                prop_assert!(decode(&file, FORMAT).is_err());
            }
        }
    }
}
