//! The one place where a tensor's memory is taken for a slice.
#![allow(unsafe_code, reason = "tch gives the address of a tensor's values, and no slice")]

use tch::{Device, Kind, TchError, Tensor};

/// A kind of number that tensors hold.
pub trait Element: Copy + Send + Sync + 'static {
    /// Its name in libtorch.
    const KIND: Kind;
    /// Zero.
    const ZERO: Self;
    /// Its value. A float64 loses digits.
    fn value(self) -> f32;
    /// The nearest of this kind to a product.
    fn times(self, factor: f32) -> Self;
    /// Whether it is the larger. False if one is no number.
    fn above(self, other: Self) -> bool;
    /// Whether it is no number.
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

/// The upper half of a float32: eight bits of exponent, seven of fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bfloat16(u16);

impl Bfloat16 {
    /// Rounded to nearest, ties to even; what is no number may become infinite.
    #[inline(always)]
    pub fn nearest(value: f32) -> Bfloat16 {
        let bits = value.to_bits();
        Bfloat16((bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16)
    }
}

impl Element for Bfloat16 {
    const KIND: Kind = Kind::BFloat16;
    const ZERO: Bfloat16 = Bfloat16(0);

    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
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

/// An expression for the type of numbers that a tensor of this kind holds.
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

/// A tensor's values in the order in which they lie in memory.
///
/// # Panics
/// If it holds another kind of number, is not on the CPU, or has gaps or values that lie in one place.
pub fn values<T: Element>(tensor: &Tensor) -> &[T] {
    let length = checked::<T>(tensor);
    // SAFETY: the kind is T's and the values lie side by side (checked above); a tensor's address is aligned for its
    // kind. The tensor is borrowed, and nothing here keeps a second way to its memory while it is written.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>(), length) }
}

/// The same, to be written.
///
/// # Panics
/// Likewise.
pub fn values_mut<T: Element>(tensor: &mut Tensor) -> &mut [T] {
    let length = checked::<T>(tensor);
    // SAFETY: as above; the tensor is borrowed for writing. libtorch reads it only in calls that this thread makes.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), length) }
}

/// The same values without gaps between them; pictures `[n, c, h, w]` lie channels-last.
///
/// # Errors
/// libtorch's, where there is no room.
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
