//! The one-dimensional steps of Winograd's convolution, and their application to both sides of a tile.
//!
//! A kernel of `r` weights and a row of `m` outputs with `r + m - 1 = 6` are polynomials. Their product is determined by
//! its values at six points: 0, ±√½, ±√2 and infinity. These points give smaller rounding errors than whole numbers.
#![allow(unsafe_code, reason = "tiles are read and written at strides")]

use pulp::Simd;

/// Number of points, and the side of an input tile in pixels.
pub const POINTS: usize = 6;
/// The points √½ and √2.
const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;
/// For each point, the reciprocal of the product of its differences from the other finite points.
const SCALES: [f32; POINTS] = [1.0, -1.0 / 1.5, -1.0 / 1.5, 1.0 / 6.0, 1.0 / 6.0, 1.0];

/// A linear map of `I` numbers to `O`, in all lanes of a register at once.
pub trait Step<const I: usize, const O: usize> {
    fn apply<S: Simd>(simd: S, from: [S::f32s; I]) -> [S::f32s; O];
}

/// Transforms six inputs, whose products with the values of a kernel give outputs.
pub struct Input;
/// The adjoint of [`Input`]: from the gradient of the transformed inputs to that of the inputs.
pub struct InputGradient;
/// Evaluates a polynomial with `I` coefficients at the six points. This is the adjoint of [`Output`].
pub struct Evaluate;
/// Computes outputs from the six products.
pub struct Output;
/// [`Evaluate`] for the weights of a kernel, scaled.
pub struct Weights;
/// The adjoint of [`Weights`].
pub struct WeightsGradient;

impl Step<6, 6> for Input {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, [d0, d1, d2, d3, d4, d5]: [S::f32s; 6]) -> [S::f32s; 6] {
        let (even_a, odd_a) = (more(simd, d2, -2.0, d4), simd.mul_f32s(more(simd, d1, -2.0, d3), simd.splat_f32s(A)));
        let (even_b, odd_b) = (more(simd, d2, -0.5, d4), simd.mul_f32s(more(simd, d1, -0.5, d3), simd.splat_f32s(B)));
        [
            more(simd, d2, -2.5, simd.add_f32s(d0, d4)),
            simd.add_f32s(even_a, odd_a),
            simd.sub_f32s(even_a, odd_a),
            simd.add_f32s(even_b, odd_b),
            simd.sub_f32s(even_b, odd_b),
            more(simd, d3, -2.5, simd.add_f32s(d1, d5)),
        ]
    }
}

impl Step<6, 6> for InputGradient {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, [v0, v1, v2, v3, v4, v5]: [S::f32s; 6]) -> [S::f32s; 6] {
        let (sum_a, odd_a) = (simd.add_f32s(v1, v2), simd.mul_f32s(simd.sub_f32s(v1, v2), simd.splat_f32s(A)));
        let (sum_b, odd_b) = (simd.add_f32s(v3, v4), simd.mul_f32s(simd.sub_f32s(v3, v4), simd.splat_f32s(B)));
        [
            v0,
            more(simd, odd_a, -2.0, more(simd, odd_b, -0.5, v5)),
            more(simd, v0, -2.5, more(simd, sum_a, -2.0, simd.mul_f32s(sum_b, simd.splat_f32s(-0.5)))),
            more(simd, v5, -2.5, simd.add_f32s(odd_a, odd_b)),
            simd.add_f32s(v0, simd.add_f32s(sum_a, sum_b)),
            v5,
        ]
    }
}

impl<const I: usize> Step<I, 6> for Evaluate {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, from: [S::f32s; I]) -> [S::f32s; 6] {
        // Even and odd powers at each of the two positive points; only odd powers change sign at the negative ones.
        let zero = simd.splat_f32s(0.0);
        let (mut even, mut odd) = ([zero; 2], [zero; 2]);
        for (power, &coefficient) in from.iter().enumerate() {
            for (index, point) in [A, B].into_iter().enumerate() {
                let sums = if power.is_multiple_of(2) { &mut even } else { &mut odd };
                sums[index] = simd.mul_add_f32s(coefficient, simd.splat_f32s(raised(point, power)), sums[index]);
            }
        }
        [
            from[0],
            simd.add_f32s(even[0], odd[0]),
            simd.sub_f32s(even[0], odd[0]),
            simd.add_f32s(even[1], odd[1]),
            simd.sub_f32s(even[1], odd[1]),
            from[I - 1],
        ]
    }
}

impl<const O: usize> Step<6, O> for Output {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, [v0, v1, v2, v3, v4, v5]: [S::f32s; 6]) -> [S::f32s; O] {
        let even = [simd.add_f32s(v1, v2), simd.add_f32s(v3, v4)];
        let odd = [simd.sub_f32s(v1, v2), simd.sub_f32s(v3, v4)];
        let mut to = [simd.splat_f32s(0.0); O];
        for (power, sum) in to.iter_mut().enumerate() {
            let [a, b] = if power.is_multiple_of(2) { even } else { odd };
            *sum = simd.mul_add_f32s(
                b,
                simd.splat_f32s(raised(B, power)),
                simd.mul_f32s(a, simd.splat_f32s(raised(A, power))),
            );
        }
        to[0] = simd.add_f32s(to[0], v0);
        to[O - 1] = simd.add_f32s(to[O - 1], v5);
        to
    }
}

impl<const I: usize> Step<I, 6> for Weights {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, from: [S::f32s; I]) -> [S::f32s; 6] {
        scaled(simd, Evaluate::apply(simd, from))
    }
}

impl<const O: usize> Step<6, O> for WeightsGradient {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, from: [S::f32s; 6]) -> [S::f32s; O] {
        Output::apply(simd, scaled(simd, from))
    }
}

/// Returns `a * factor + b`.
#[inline(always)]
fn more<S: Simd>(simd: S, a: S::f32s, factor: f32, b: S::f32s) -> S::f32s {
    simd.mul_add_f32s(a, simd.splat_f32s(factor), b)
}

#[inline(always)]
fn scaled<S: Simd>(simd: S, mut values: [S::f32s; 6]) -> [S::f32s; 6] {
    for (value, scale) in values.iter_mut().zip(SCALES) {
        *value = simd.mul_f32s(*value, simd.splat_f32s(scale));
    }
    values
}

/// Powers of √½ and √2: exact for even exponents.
#[inline(always)]
fn raised(point: f32, power: usize) -> f32 {
    let square = if point < 1.0 { 0.5 } else { 2.0 };
    let mut raised = if power.is_multiple_of(2) { 1.0 } else { point };
    for _ in 0..power / 2 {
        raised *= square;
    }
    raised
}

/// A place in memory where the numbers of a tile begin, and the distances between its rows and columns.
#[derive(Clone, Copy)]
pub struct At<P> {
    pub first: P,
    pub steps: [usize; 2],
}

/// Applies a step to all rows and columns of a tile with `I` x `I` registers, and writes (or adds) the result.
///
/// # Safety
/// All positions of both tiles must be valid for a whole register.
#[inline(always)]
pub unsafe fn both<X: Step<I, O>, const I: usize, const O: usize, S: Simd>(
    simd: S,
    from: At<*const f32>,
    to: At<*mut f32>,
    add: bool,
) {
    let zero = simd.splat_f32s(0.0);
    let mut middle = [[zero; I]; O];
    for column in 0..I {
        let mut values = [zero; I];
        for (row, value) in values.iter_mut().enumerate() {
            // SAFETY: The caller guarantees it.
            *value = unsafe {
                from.first.add(row * from.steps[0] + column * from.steps[1]).cast::<S::f32s>().read_unaligned()
            };
        }
        for (middle, value) in middle.iter_mut().zip(X::apply(simd, values)) {
            middle[column] = value;
        }
    }
    for (row, middle) in middle.into_iter().enumerate() {
        for (column, value) in X::apply(simd, middle).into_iter().enumerate() {
            // SAFETY: The caller guarantees it.
            unsafe {
                let place = to.first.add(row * to.steps[0] + column * to.steps[1]).cast::<S::f32s>();
                let value = if add { simd.add_f32s(place.read_unaligned(), value) } else { value };
                place.write_unaligned(value);
            }
        }
    }
}
