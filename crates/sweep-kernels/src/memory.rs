//! The only module that views a tensor's memory as a slice.
#![allow(unsafe_code, reason = "tch gives the address of a tensor's values, and no slice")]

use tch::{Device, Kind, TchError, Tensor};

/// A number type that tensors can contain.
pub trait Element: Copy + Send + Sync + 'static {
    /// libtorch's name for the type.
    const KIND: Kind;
    /// The number zero.
    const ZERO: Self;
    /// Converts to float32. A float64 loses precision.
    fn value(self) -> f32;
    /// Rounds to nearest.
    fn nearest(value: f32) -> Self;
    /// Returns the product with `factor`, rounded to this type.
    fn times(self, factor: f32) -> Self;
    /// Returns whether this number is larger than the other. The result is false if either is NaN.
    fn above(self, other: Self) -> bool;
    /// Returns whether this number is NaN.
    fn is_nan(self) -> bool;
}

impl Element for f32 {
    const KIND: Kind = Kind::Float;
    const ZERO: f32 = 0.0;

    #[inline(always)]
    fn value(self) -> f32 {
        self
    }

    #[inline(always)]
    fn nearest(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn times(self, factor: f32) -> f32 {
        self * factor
    }

    #[inline(always)]
    fn above(self, other: f32) -> bool {
        self > other
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        self.is_nan()
    }
}

impl Element for f64 {
    const KIND: Kind = Kind::Double;
    const ZERO: f64 = 0.0;

    #[inline(always)]
    fn value(self) -> f32 {
        self as f32
    }

    #[inline(always)]
    fn nearest(value: f32) -> f64 {
        f64::from(value)
    }

    #[inline(always)]
    fn times(self, factor: f32) -> f64 {
        self * f64::from(factor)
    }

    #[inline(always)]
    fn above(self, other: f64) -> bool {
        self > other
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        self.is_nan()
    }
}

/// The upper half of a float32: sign, eight bits of exponent, seven bits of fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bfloat16(u16);

impl Element for Bfloat16 {
    const KIND: Kind = Kind::BFloat16;
    const ZERO: Bfloat16 = Bfloat16(0);

    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    /// Rounds to nearest, ties to even. A NaN may become infinite.
    #[inline(always)]
    fn nearest(value: f32) -> Bfloat16 {
        let bits = value.to_bits();
        Bfloat16((bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16)
    }

    #[inline(always)]
    fn times(self, factor: f32) -> Bfloat16 {
        Bfloat16::nearest(self.value() * factor)
    }

    #[inline(always)]
    fn above(self, other: Bfloat16) -> bool {
        self.value() > other.value()
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        self.0 & 0x7fff > 0x7f80
    }
}

/// Evaluates an expression with a type alias for the number type of a tensor of this kind.
macro_rules! with_element {
    ($kind:expr, $element:ident => $body:expr) => {
        match $kind {
            tch::Kind::BFloat16 => {
                type $element = $crate::memory::Bfloat16;
                $body
            }
            tch::Kind::Double => {
                type $element = f64;
                $body
            }
            _ => {
                type $element = f32;
                $body
            }
        }
    };
}
pub(super) use with_element;

/// Returns a tensor's values in memory order.
///
/// # Panics
/// Panics if the tensor contains another number type, is not on the CPU, is not contiguous, or has values that share
/// memory.
pub fn values<T: Element>(tensor: &Tensor) -> &[T] {
    let length = checked::<T>(tensor);
    // SAFETY: The kind is that of T and the values are contiguous, as checked above. A tensor's address is aligned for
    // its kind. The tensor is borrowed, and no other path to its memory exists here while it is written.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>(), length) }
}

/// Returns a tensor's values in memory order, for writing.
///
/// # Panics
/// Panics under the same conditions as [`values`].
pub fn values_mut<T: Element>(tensor: &mut Tensor) -> &mut [T] {
    let length = checked::<T>(tensor);
    // SAFETY: See `values`. The tensor is mutably borrowed. libtorch reads it only in calls that this thread makes.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), length) }
}

/// Returns the same values in contiguous memory. Images `[n, c, h, w]` are channels-last.
///
/// # Errors
/// Returns libtorch's error if memory runs out.
pub fn dense(xs: &Tensor) -> Result<Tensor, TchError> {
    if xs.dim() != 4 {
        return xs.f_contiguous();
    }
    xs.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}

fn checked<T: Element>(tensor: &Tensor) -> usize {
    assert_eq!((tensor.kind(), tensor.device()), (T::KIND, Device::Cpu));
    let length = tensor.numel();
    let span = tensor.size().iter().zip(tensor.stride()).map(|(side, stride)| (side - 1) * stride).sum::<i64>() + 1;
    assert!(length > 0 && span == length as i64, "{:?} with strides {:?}", tensor.size(), tensor.stride());
    length
}
