//! One array in NumPy's `.npy` format (numpy.lib.format): its header, and its values one after the other.
//!
//! A header is foreign text, so it is read here and strictly: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)}`,
//! with no type but plain numbers.

use std::io::{self, ErrorKind, Read};

/// Longer headers are refused, as NumPy does.
const LONGEST_HEADER: usize = 10_000;
/// Bytes taken from the reader at once; a multiple of every item's size.
const CHUNK: usize = 1 << 16;

/// What a file says of its array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Elements along each axis.
    pub shape: Vec<u64>,
    /// Whether the first axis varies fastest, not the last.
    pub fortran: bool,
    /// What an element is.
    pub kind: Kind,
    /// Bytes an element.
    pub size: usize,
    big_endian: bool,
}

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A byte, 0 or 1.
    Boolean,
    /// Of 1, 2, 4 or 8 bytes.
    Unsigned,
    /// Of 1, 2, 4 or 8 bytes.
    Signed,
    /// Of 4 or 8 bytes.
    Float,
}

impl Header {
    /// Reads a header and leaves the reader at the first element.
    pub fn read(reader: &mut dyn Read) -> io::Result<Header> {
        let mut start = [0; 8];
        reader.read_exact(&mut start)?;
        let (magic, version) = start.split_at(6);
        if magic != b"\x93NUMPY" {
            return Err(invalid("it does not start as a .npy file"));
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
            other => return Err(invalid(format!("it has version {other} of the .npy format, and 1 to 3 are known"))),
        };
        if length > LONGEST_HEADER {
            return Err(invalid(format!("its header has {length} bytes, and at most {LONGEST_HEADER} are read")));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        Header::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> io::Result<Header> {
        let unclear = |key: &str| invalid(format!("its header has no clear `{key}`: {}", text.trim_end()));
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
                let rule = "whole numbers, float32, float64 and booleans are read";
                return Err(invalid(format!("its elements are of the type {code}, and {rule}")));
            }
        };
        Ok(Header { shape, fortran, kind, size, big_endian })
    }

    /// Elements in all; `None` where there are more than a `u64` counts.
    pub fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, axis| product.checked_mul(*axis))
    }

    /// Hands every element to `take`, in the file's order, as a `f64` (which is exact up to 2^53).
    ///
    /// # Errors
    /// Where the reader ends too early, and whatever `take` returns.
    pub fn values<E: From<io::Error>>(
        &self,
        reader: &mut dyn Read,
        mut take: impl FnMut(f64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = self.elements().and_then(|elements| elements.checked_mul(self.size as u64)).unwrap_or(u64::MAX);
        let mut chunk = vec![0; CHUNK];
        while left > 0 {
            let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let bytes = &mut chunk[..length];
            reader.read_exact(bytes)?;
            left -= length as u64;
            for item in bytes.chunks_exact_mut(self.size) {
                if self.big_endian {
                    item.reverse();
                }
                take(self.value(item))?;
            }
        }
        Ok(())
    }

    /// One element, little end first.
    fn value(&self, item: &[u8]) -> f64 {
        let mut word = [0; 8];
        word[..item.len()].copy_from_slice(item);
        let bits = u64::from_le_bytes(word);
        match (self.kind, self.size) {
            (Kind::Float, 4) => f32::from_bits(bits as u32).into(),
            (Kind::Float, _) => f64::from_bits(bits),
            (Kind::Signed, size) => {
                let unused = 64 - 8 * size as u32;
                ((bits << unused) as i64 >> unused) as f64
            }
            (Kind::Boolean | Kind::Unsigned, _) => bits as f64,
        }
    }
}

fn invalid(rule: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, rule.into())
}
