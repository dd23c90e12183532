//! One array in NumPy's `.npy` format (numpy.lib.format): its header, followed by its values.
//!
//! A header is untrusted text, so it is parsed strictly, and only plain numeric types are accepted: `{'descr': '<f4',
//! 'fortran_order': False, 'shape': (3, 4)}`.

use std::io::{self, ErrorKind, Read};

/// Maximum length of a header, the same as in NumPy.
const LONGEST_HEADER: usize = 10_000;
/// Number of bytes per read, a multiple of every item size.
const CHUNK: usize = 1 << 16;

/// The header of an array file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Number of elements along each axis.
    pub shape: Vec<u64>,
    /// Whether the first axis varies fastest instead of the last.
    pub fortran: bool,
    /// Type of an element.
    pub kind: Kind,
    /// Bytes per element.
    pub size: usize,
    big_endian: bool,
}

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One byte, 0 or 1.
    Boolean,
    /// 1, 2, 4 or 8 bytes.
    Unsigned,
    /// 1, 2, 4 or 8 bytes.
    Signed,
    /// 4 or 8 bytes.
    Float,
}

impl Header {
    /// Reads a header and leaves the reader at the first element.
    pub fn read(reader: &mut dyn Read) -> io::Result<Header> {
        let mut start = [0; 8];
        reader.read_exact(&mut start)?;
        let (magic, version) = start.split_at(6);
        if magic != b"\x93NUMPY" {
            return Err(invalid("does not start like a .npy file"));
        }
        let length = match version[0] {
            1 => {
                let mut length = [0; 2];
                reader.read_exact(&mut length)?;
                usize::from(u16::from_le_bytes(length))
            }
            2 | 3 => {
                let mut length = [0; 4];
                reader.read_exact(&mut length)?;
                u32::from_le_bytes(length) as usize
            }
            other => {
                return Err(invalid(format!("has version {other} of the .npy format, but must have version 1 to 3")));
            }
        };
        if length > LONGEST_HEADER {
            return Err(invalid(format!("its header has {length} bytes, but may have at most {LONGEST_HEADER}")));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        Header::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> io::Result<Header> {
        let unclear = |key: &str| invalid(format!("its header has no readable `{key}`: {}", text.trim_end()));
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("'{key}'")).ok_or_else(|| unclear(key))?;
            rest.trim_start().strip_prefix(':').map(str::trim_start).ok_or_else(|| unclear(key))
        };
        let fortran = match value("fortran_order")? {
            order if order.starts_with("True") => true,
            order if order.starts_with("False") => false,
            _ => return Err(unclear("fortran_order")),
        };
        let shape = value("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(axes, _)| axes);
        let axes = shape.ok_or_else(|| unclear("shape"))?.split(',').map(str::trim).filter(|axis| !axis.is_empty());
        let shape = axes.map(|axis| axis.trim_end_matches('L').parse().map_err(|_| unclear("shape")));
        let shape = shape.collect::<io::Result<Vec<u64>>>()?;
        let code = value("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map(|(code, _)| code);
        let code = code.ok_or_else(|| unclear("descr"))?;
        let (big_endian, plain) = match code.strip_prefix('>') {
            Some(plain) => (true, plain),
            None => (false, code.trim_start_matches(['<', '|', '='])),
        };
        let (kind, size) = match plain {
            "b1" => (Kind::Boolean, 1),
            "u1" => (Kind::Unsigned, 1),
            "u2" => (Kind::Unsigned, 2),
            "u4" => (Kind::Unsigned, 4),
            "u8" => (Kind::Unsigned, 8),
            "i1" => (Kind::Signed, 1),
            "i2" => (Kind::Signed, 2),
            "i4" => (Kind::Signed, 4),
            "i8" => (Kind::Signed, 8),
            "f4" => (Kind::Float, 4),
            "f8" => (Kind::Float, 8),
            _ => {
                let rule = "must be integers, float32, float64, or booleans";
                return Err(invalid(format!("its elements are of type {code}, but {rule}")));
            }
        };
        Ok(Header { shape, fortran, kind, size, big_endian })
    }

    /// Returns the total number of elements, or `None` if it exceeds a `u64`.
    pub fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, axis| product.checked_mul(*axis))
    }

    /// Returns whether the elements are plain bytes.
    pub fn are_bytes(&self) -> bool {
        (self.kind, self.size) == (Kind::Unsigned, 1)
    }

    /// Appends the elements, which must be bytes, unchanged. This is faster than [`Header::values`].
    ///
    /// # Errors
    /// Returns an error if the reader fails or ends too early.
    pub fn bytes(&self, reader: &mut dyn Read, into: &mut Vec<u8>) -> io::Result<()> {
        let length = self.elements().unwrap_or(u64::MAX);
        match reader.take(length).read_to_end(into)? as u64 == length {
            true => Ok(()),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Calls `take` with every element in file order, as an `f64` (exact up to 2^53).
    ///
    /// # Errors
    /// Returns an error if the reader ends too early, and any error of `take`.
    pub fn values<E: From<io::Error>>(
        &self,
        reader: &mut dyn Read,
        mut take: impl FnMut(f64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = self.elements().and_then(|elements| elements.checked_mul(self.size as u64)).unwrap_or(u64::MAX);
        let mut chunk = vec![0; CHUNK];
        let number = self.number();
        while left > 0 {
            let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let bytes = &mut chunk[..length];
            reader.read_exact(bytes)?;
            left -= length as u64;
            for item in bytes.chunks_exact_mut(self.size) {
                if self.big_endian {
                    item.reverse();
                }
                take(number(item))?;
            }
        }
        Ok(())
    }

    /// Returns the function that converts the little-endian bytes of one element to a number.
    fn number(&self) -> fn(&[u8]) -> f64 {
        fn all<const N: usize>(item: &[u8]) -> [u8; N] {
            item.try_into().expect("an item has the size that belongs to its type")
        }
        match (self.kind, self.size) {
            (Kind::Float, 4) => |item| f32::from_le_bytes(all(item)).into(),
            (Kind::Float, _) => |item| f64::from_le_bytes(all(item)),
            (Kind::Signed, 1) => |item| i8::from_le_bytes(all(item)).into(),
            (Kind::Signed, 2) => |item| i16::from_le_bytes(all(item)).into(),
            (Kind::Signed, 4) => |item| i32::from_le_bytes(all(item)).into(),
            (Kind::Signed, _) => |item| i64::from_le_bytes(all(item)) as f64,
            (Kind::Boolean | Kind::Unsigned, 1) => |item| u8::from_le_bytes(all(item)).into(),
            (Kind::Boolean | Kind::Unsigned, 2) => |item| u16::from_le_bytes(all(item)).into(),
            (Kind::Boolean | Kind::Unsigned, 4) => |item| u32::from_le_bytes(all(item)).into(),
            (Kind::Boolean | Kind::Unsigned, _) => |item| u64::from_le_bytes(all(item)) as f64,
        }
    }
}

fn invalid(rule: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, rule.into())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns a `.npy` file of version 1.
    pub(in super::super) fn npy(code: &str, fortran: bool, shape: &str, elements: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let header = format!("{{'descr': '{code}', 'fortran_order': {order}, 'shape': {shape}, }}");
        let length = (header.len() + 1 + 10).next_multiple_of(64) - 10;
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((length as u16).to_le_bytes());
        file.extend(format!("{header:<width$}\n", width = length - 1).bytes());
        file.extend(elements);
        file
    }

    fn values(file: &[u8]) -> io::Result<Vec<f64>> {
        let mut reader = file;
        let header = Header::read(&mut reader)?;
        let mut values = Vec::new();
        header.values(&mut reader, |value| {
            values.push(value);
            Ok::<_, io::Error>(())
        })?;
        Ok(values)
    }

    #[test]
    fn every_type_of_number_is_read_in_either_byte_order() {
        let cases: [(&str, &[u8], f64); 12] = [
            ("|b1", &[1], 1.0),
            ("|u1", &[200], 200.0),
            ("|i1", &[0xff], -1.0),
            ("<u2", &[1, 2], 513.0),
            (">u2", &[2, 1], 513.0),
            ("<i2", &[0xfe, 0xff], -2.0),
            ("<i4", &[0, 0, 0, 0x80], -2_147_483_648.0),
            ("<u4", &[0xff; 4], 4_294_967_295.0),
            (">i8", &[0xff; 8], -1.0),
            ("<u8", &[7, 0, 0, 0, 0, 0, 0, 0], 7.0),
            ("<f4", &0.5_f32.to_le_bytes(), 0.5),
            (">f8", &(-0.1_f64).to_be_bytes(), -0.1),
        ];
        for (code, bytes, expected) in cases {
            assert_eq!(values(&npy(code, false, "(1,)", bytes)).unwrap(), [expected], "{code}");
        }
    }

    #[test]
    fn headers_are_read_whatever_the_order_of_their_keys() {
        let header = Header::parse("{'shape': (2L, 3L), 'fortran_order': True, 'descr':'<f4'}\n").unwrap();
        assert_eq!((header.shape, header.fortran, header.kind, header.size), (vec![2, 3], true, Kind::Float, 4));
        assert!(Header::parse("{'descr': '|u1', 'fortran_order': False, 'shape': ()}").unwrap().shape.is_empty());
    }

    #[test]
    fn what_is_not_plain_numbers_is_refused() {
        for descr in ["'<f2'", "'|O'", "'<U5'", "[('a', '<f4')]", "'<c8'"] {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
            assert!(Header::parse(&text).is_err(), "{descr}");
        }
    }

    #[test]
    fn a_long_array_comes_in_one_piece() {
        let elements: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let values = values(&npy("<u4", false, "(100, 1000)", &elements)).unwrap();
        assert!(values.iter().enumerate().all(|(index, value)| *value == index as f64) && values.len() == 100_000);
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,80}", cut in 0..140_usize
        ) {
            let whole = npy("<i4", false, "(1, 2)", &[0; 8]);
            prop_assert!(values(&whole[..cut.min(whole.len() - 1)]).is_err());
            let _ = values(&bytes);
            bytes.splice(0..0, whole[..10].iter().copied());
            let _ = values(&bytes);
            let _ = Header::parse(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({text})}}"));
            let _ = Header::parse(&text);
        }
    }
}
