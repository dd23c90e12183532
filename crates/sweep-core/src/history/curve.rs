//! The epochs of a trial. A sweep may have a million of them, most of which nothing reads again before the sweep ends.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use serde::{Serialize, Serializer};

use crate::trial::EpochMetrics;

/// The epochs of a trial, in order. It can be read and changed like a vector. A packed curve takes an eighth to a half of
/// the memory, and is unpacked when it is next read.
#[derive(Clone, Default)]
pub struct Curve {
    /// Empty only while there is something packed, which was not read since.
    epochs: OnceLock<Vec<EpochMetrics>>,
    packed: Option<Packed>,
}

/// Epochs in a compact form: for each its number, a bit for each metric that was measured, and those metrics.
#[derive(Clone)]
struct Packed {
    bytes: Box<[u8]>,
    epochs: usize,
}

impl Curve {
    /// The number of epochs.
    pub fn len(&self) -> usize {
        self.packed.as_ref().map_or_else(|| self.unpacked().len(), |packed| packed.epochs)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn unpacked(&self) -> &Vec<EpochMetrics> {
        self.epochs.get_or_init(|| self.packed.as_ref().map(Packed::unpack).unwrap_or_default())
    }

    /// Makes the curve small.
    pub(super) fn pack(&mut self) {
        let packed = self.packed.take().unwrap_or_else(|| Packed::of(self));
        *self = Curve { epochs: OnceLock::new(), packed: Some(packed) };
    }
}

impl Packed {
    fn of(epochs: &[EpochMetrics]) -> Packed {
        let mut bytes = Vec::new();
        for epoch in epochs {
            let metrics = epoch.metrics();
            let measured =
                (0..).zip(&metrics).fold(0_u16, |bits, (at, metric)| bits | u16::from(metric.is_some()) << at);
            bytes.extend(epoch.epoch.to_le_bytes());
            bytes.extend(measured.to_le_bytes());
            bytes.extend(metrics.iter().flatten().flat_map(|value| value.to_le_bytes()));
        }
        Packed { bytes: bytes.into(), epochs: epochs.len() }
    }

    fn unpack(&self) -> Vec<EpochMetrics> {
        let mut rest = &self.bytes[..];
        let one = |_| {
            let mut epoch = EpochMetrics { epoch: u32::from_le_bytes(take(&mut rest)), ..EpochMetrics::default() };
            let measured = u16::from_le_bytes(take(&mut rest));
            for (at, metric) in epoch.metrics_mut().into_iter().enumerate() {
                *metric = (measured >> at & 1 == 1).then(|| f64::from_le_bytes(take(&mut rest)));
            }
            epoch
        };
        (0..self.epochs).map(one).collect()
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (first, others) = rest.split_first_chunk().expect("`Packed::of` has written it");
    *rest = others;
    *first
}

impl Deref for Curve {
    type Target = Vec<EpochMetrics>;

    fn deref(&self) -> &Vec<EpochMetrics> {
        self.unpacked()
    }
}

impl DerefMut for Curve {
    fn deref_mut(&mut self) -> &mut Vec<EpochMetrics> {
        self.unpacked();
        self.packed = None;
        self.epochs.get_mut().expect("it was just read")
    }
}

impl From<Vec<EpochMetrics>> for Curve {
    fn from(epochs: Vec<EpochMetrics>) -> Curve {
        Curve { epochs: epochs.into(), packed: None }
    }
}

impl FromIterator<EpochMetrics> for Curve {
    fn from_iter<I: IntoIterator<Item = EpochMetrics>>(epochs: I) -> Curve {
        epochs.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Curve {
    type Item = &'a EpochMetrics;
    type IntoIter = std::slice::Iter<'a, EpochMetrics>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Curve {
    type Item = &'a mut EpochMetrics;
    type IntoIter = std::slice::IterMut<'a, EpochMetrics>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl PartialEq for Curve {
    fn eq(&self, other: &Curve) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unpacked().fmt(f)
    }
}

impl Serialize for Curve {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.unpacked().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packed_curve_is_small() {
        let epoch =
            |epoch| EpochMetrics { epoch, train_loss: Some(0.5), val_loss: Some(0.6), ..EpochMetrics::default() };
        let mut curve: Curve = (1..=20).map(epoch).collect();
        curve.pack();
        let packed = curve.packed.as_ref().expect("it was packed");
        assert!(packed.bytes.len() * 7 < 20 * size_of::<EpochMetrics>(), "{}", packed.bytes.len());
        assert_eq!((curve.len(), curve.epochs.get()), (20, None), "its length is known as it is");
        assert_eq!(curve.last(), Some(&epoch(20)));
    }

    proptest! {
        /// Metrics may be any bits. Equality does not tell -0 from 0.
        #[test]
        fn a_curve_is_the_same_after_it_was_packed(
            epochs in prop::collection::vec((any::<u32>(), prop::array::uniform10(any::<Option<u64>>())), 0..20),
        ) {
            let of = |(epoch, bits): &(u32, [Option<u64>; 10])| {
                let mut metrics = EpochMetrics { epoch: *epoch, ..EpochMetrics::default() };
                metrics.metrics_mut().into_iter().zip(bits).for_each(|(one, bits)| *one = bits.map(f64::from_bits));
                metrics
            };
            let mut curve: Curve = epochs.iter().map(of).collect();
            curve.pack();
            let read = |curve: &Curve| {
                let bits = |one: &EpochMetrics| (one.epoch, one.metrics().map(|metric| metric.map(f64::to_bits)));
                curve.iter().map(bits).collect::<Vec<_>>()
            };
            prop_assert_eq!(read(&curve), epochs.clone());
            curve.pack();
            curve.push(EpochMetrics::default());
            prop_assert_eq!(curve.len(), epochs.len() + 1);
            curve.pop();
            prop_assert_eq!(read(&curve), epochs);
        }
    }
}
