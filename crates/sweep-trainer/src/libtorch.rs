//! Parts of libtorch that its C interface lacks: operations with custom gradients, operations on lists of tensors, the
//! configuration of a GPU, and the loaded version.
#![allow(unsafe_code, reason = "they are C++, in libtorch.cpp")]

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::{Device, TchError, Tensor};

/// The backward pass of an operation. It maps the gradient with respect to the output to those with respect to the
/// inputs. The given gradient is not shared and may be overwritten.
type Gradient = Box<dyn FnMut(Tensor) -> Result<Vec<Tensor>, TchError>>;

unsafe extern "C" {
    fn sweep_operation(
        inputs: *const *mut c_void,
        count: usize,
        output: *mut c_void,
        context: *mut c_void,
        gradient: extern "C" fn(*mut c_void, *mut c_void, *mut *mut c_void, usize, *mut c_char, usize) -> bool,
        release: extern "C" fn(*mut c_void),
    ) -> bool;
    safe fn sweep_calculate(deterministic: bool, tf32: bool);
    safe fn sweep_benchmark(wanted: bool);
    fn sweep_version(version: *mut c_char, room: usize);
    fn sweep_each(
        operation: i32,
        selves: *const *mut c_void,
        others: *const *mut c_void,
        divisors: *const *mut c_void,
        count: usize,
        number: f64,
        on_device: *const c_void,
        made: *mut *mut c_void,
    ) -> *const c_char;
    fn sweep_generator(cuda: bool, made: *mut *mut c_void) -> *const c_char;
    fn sweep_generator_discard(generator: *mut c_void);
    fn sweep_generator_seed(generator: *mut c_void, seed: u64) -> *const c_char;
    fn sweep_random(generator: *mut c_void, like: *const c_void, share: f64, made: *mut *mut c_void) -> *const c_char;
    fn sweep_fused_adam(
        weights: *const *mut c_void,
        gradients: *const *mut c_void,
        means: *const *mut c_void,
        squares: *const *mut c_void,
        steps: *const *mut c_void,
        count: usize,
        rate: f64,
        rate_on_device: *const c_void,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    ) -> *const c_char;
}

/// Sets whether cuDNN benchmarks its kernels when it meets a convolution of a new size. This applies to the whole
/// process from now on. Benchmarking takes a second or more per network.
pub fn benchmark(wanted: bool) {
    sweep_benchmark(wanted);
}

/// Returns the version of the loaded libtorch, such as `2.13.0`. It may differ from the one compiled against.
pub fn version() -> String {
    let mut text = [0_u8; 64];
    // SAFETY: The buffer has the given length, and the callee adds a terminating null.
    unsafe { sweep_version(text.as_mut_ptr().cast(), text.len()) };
    CStr::from_bytes_until_nul(&text).expect("it ends with a zero").to_string_lossy().into_owned()
}

/// A factor or step size that changes from step to step. The host always has its value. If a CUDA graph must read it
/// again at each replay, it is also on the device, as a zero-dimensional tensor.
#[derive(Debug)]
pub struct Scalar {
    pub value: f64,
    pub on_device: Option<Tensor>,
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Scalar {
        Scalar { value, on_device: None }
    }
}

/// Elementwise operations on whole lists of tensors. On a GPU, a list needs one launch instead of one per tensor.
/// Functions whose names end in `_` write to their first list.
///
/// # Errors
/// Each function returns libtorch's error.
pub mod each {
    use super::{Scalar, TchError, Tensor, checked, pointers, sweep_each};
    use std::ffi::c_void;

    type Done = Result<(), TchError>;
    type Made = Result<Vec<Tensor>, TchError>;

    struct Call<'a> {
        operation: i32,
        lists: [&'a [Tensor]; 3],
        scalar: &'a Scalar,
    }

    impl Call<'_> {
        fn run(self, made: *mut *mut c_void) -> Done {
            let count = self.lists[0].len();
            if count == 0 {
                return Ok(());
            }
            let lists = self.lists.map(pointers);
            assert!(lists.iter().all(|list| list.is_empty() || list.len() == count), "lists of one length");
            let [selves, others, divisors] =
                [0, 1, 2].map(|at: usize| if lists[at].is_empty() { std::ptr::null() } else { lists[at].as_ptr() });
            let on_device = self.scalar.on_device.as_ref().map_or(std::ptr::null(), |tensor| tensor.as_ptr().cast());
            // SAFETY: The tensors are alive, and the lists have `count` pointers or are null. The callee keeps no
            // pointer.
            checked(unsafe {
                sweep_each(self.operation, selves, others, divisors, count, self.scalar.value, on_device, made)
            })
        }

        fn write(self) -> Done {
            self.run(std::ptr::null_mut())
        }

        fn make(self) -> Made {
            let mut made = vec![std::ptr::null_mut(); self.lists[0].len()];
            self.run(made.as_mut_ptr())?;
            // SAFETY: Each pointer is a tensor that C++ created for the caller and no longer owns.
            Ok(made.into_iter().map(|tensor| unsafe { Tensor::from_ptr(tensor.cast()) }).collect())
        }
    }

    fn call<'a>(operation: i32, lists: [&'a [Tensor]; 3], scalar: &'a Scalar) -> Call<'a> {
        Call { operation, lists, scalar }
    }

    pub fn copy_(to: &[Tensor], from: &[Tensor]) -> Done {
        call(0, [to, from, &[]], &0.0.into()).write()
    }

    pub fn scale_(xs: &[Tensor], factor: &Scalar) -> Done {
        call(1, [xs, &[], &[]], factor).write()
    }

    pub fn mul_(xs: &[Tensor], ys: &[Tensor]) -> Done {
        call(2, [xs, ys, &[]], &0.0.into()).write()
    }

    /// `xs += alpha * ys`
    pub fn add_(xs: &[Tensor], ys: &[Tensor], alpha: f64) -> Done {
        call(3, [xs, ys, &[]], &alpha.into()).write()
    }

    pub fn add_scalar_(xs: &[Tensor], number: f64) -> Done {
        call(4, [xs, &[], &[]], &number.into()).write()
    }

    /// `xs += weight * (ys - xs)`
    pub fn lerp_(xs: &[Tensor], ys: &[Tensor], weight: f64) -> Done {
        call(5, [xs, ys, &[]], &weight.into()).write()
    }

    pub fn div_(xs: &[Tensor], ys: &[Tensor]) -> Done {
        call(6, [xs, ys, &[]], &0.0.into()).write()
    }

    pub fn sqrt_(xs: &[Tensor]) -> Done {
        call(7, [xs, &[], &[]], &0.0.into()).write()
    }

    /// `xs += ys / divisors`
    pub fn addcdiv_(xs: &[Tensor], ys: &[Tensor], divisors: &[Tensor]) -> Done {
        call(8, [xs, ys, divisors], &1.0.into()).write()
    }

    pub fn mul(xs: &[Tensor], ys: &[Tensor]) -> Made {
        call(9, [xs, ys, &[]], &0.0.into()).make()
    }

    pub fn add_scalar(xs: &[Tensor], number: f64) -> Made {
        call(10, [xs, &[], &[]], &number.into()).make()
    }

    pub fn scale(xs: &[Tensor], factor: &Scalar) -> Made {
        call(11, [xs, &[], &[]], factor).make()
    }

    /// Returns the Euclidean norm of each tensor, as a zero-dimensional tensor.
    pub fn norms(xs: &[Tensor]) -> Made {
        call(12, [xs, &[], &[]], &2.0.into()).make()
    }
}

/// Runs Adam's update for all weights in one launch. After both means have moved, it computes `weight -= rate * m /
/// (sqrt(v) + epsilon)`. `settled` is a zero-dimensional tensor with a step number so large that the kernel applies no
/// bias correction.
///
/// # Errors
/// Returns libtorch's error. All lists must have one kind, and their tensors must have the same memory layouts.
pub fn fused_adam(
    weights: &[Tensor],
    gradients: &[Tensor],
    [means, squares]: [&[Tensor]; 2],
    settled: &Tensor,
    rate: &Scalar,
    [beta1, beta2]: [f64; 2],
    epsilon: f64,
) -> Result<(), TchError> {
    let steps = vec![settled.as_ptr().cast_mut().cast(); weights.len()];
    let lists = [weights, gradients, means, squares].map(pointers);
    assert!(lists.iter().all(|list| list.len() == weights.len()), "lists of one length");
    let [weights, gradients, means, squares] = [0, 1, 2, 3].map(|at: usize| lists[at].as_ptr());
    let on_device = rate.on_device.as_ref().map_or(std::ptr::null(), |tensor| tensor.as_ptr().cast());
    let count = steps.len();
    // SAFETY: The tensors are alive, and every list has `count` pointers. The callee keeps no pointer.
    checked(unsafe {
        sweep_fused_adam(
            weights,
            gradients,
            means,
            squares,
            steps.as_ptr(),
            count,
            rate.value,
            on_device,
            beta1,
            beta2,
            epsilon,
        )
    })
}

/// A random number generator on a device. libtorch's default generator is shared by all threads, so each thread that
/// trains has its own.
pub struct Generator {
    generator: *mut c_void,
}

impl Generator {
    /// Creates a generator on a device.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn new(device: Device) -> Result<Generator, TchError> {
        let mut generator = std::ptr::null_mut();
        // SAFETY: The pointer outlives the call, which stores an object there that `drop` deletes.
        checked(unsafe { sweep_generator(device.is_cuda(), &mut generator) })?;
        Ok(Generator { generator })
    }

    /// Sets the seed.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn seed(&self, seed: u64) -> Result<(), TchError> {
        // SAFETY: The generator lives as long as `self`.
        checked(unsafe { sweep_generator_seed(self.generator, seed) })
    }

    /// Returns a tensor like the given one whose values are 1 with probability `share` and 0 otherwise.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn bernoulli(&self, like: &Tensor, share: f64) -> Result<Tensor, TchError> {
        assert!((0.0..=1.0).contains(&share), "{share} is a probability");
        self.random(like, share)
    }

    /// Returns a tensor like the given one of standard normal numbers.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn normal(&self, like: &Tensor) -> Result<Tensor, TchError> {
        self.random(like, -1.0)
    }

    fn random(&self, like: &Tensor, share: f64) -> Result<Tensor, TchError> {
        let mut made = std::ptr::null_mut();
        // SAFETY: The generator and the tensor are alive. The caller owns the result.
        checked(unsafe { sweep_random(self.generator, like.as_ptr().cast(), share, &mut made) })?;
        Ok(unsafe { Tensor::from_ptr(made.cast()) })
    }

    /// Returns the `at::Generator`, which lives as long as `self`.
    pub fn as_ptr(&self) -> *mut c_void {
        self.generator
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // SAFETY: `sweep_generator` created it, and it is deleted only here.
        unsafe { sweep_generator_discard(self.generator) };
    }
}

fn pointers(tensors: &[Tensor]) -> Vec<*mut c_void> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast_mut().cast()).collect()
}

/// Converts the result of a C++ function that returns an error message or null.
pub(super) fn checked(message: *const c_char) -> Result<(), TchError> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: The message is null-terminated and valid until this thread's next call.
    Err(TchError::Torch(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()))
}

/// Sets whether only deterministic kernels are used, and whether a GPU's tensor cores may round float32 to tf32. Both
/// apply to the whole process from now on.
pub fn calculate(deterministic: bool, tf32: bool) {
    sweep_calculate(deterministic, tf32);
}

/// Makes `output` the result of an operation on the inputs. `output` has no history and may share the memory of an
/// input. If no input requires a gradient, it is returned unchanged.
///
/// `gradient` must not keep `output` itself, only tensors that share its memory. Otherwise the two keep each other
/// alive forever.
///
/// # Errors
/// Returns libtorch's error if memory runs out.
pub fn operation<const INPUTS: usize>(
    inputs: [&Tensor; INPUTS],
    mut output: Tensor,
    mut gradient: impl FnMut(Tensor) -> Result<[Tensor; INPUTS], TchError> + 'static,
) -> Result<Tensor, TchError> {
    if !inputs.iter().any(|input| input.requires_grad()) {
        return Ok(output);
    }
    let inputs = inputs.map(|input| input.as_ptr().cast_mut().cast::<c_void>());
    let gradient: Gradient = Box::new(move |found| gradient(found).map(Vec::from));
    let context = Box::into_raw(Box::new(gradient)).cast();
    let output_pointer = output.as_mut_ptr().cast();
    // SAFETY: All tensors are alive, and the C++ side keeps none of the pointers. It owns the context and passes it to
    // `release` once, after the last call of `backward`.
    let made = unsafe { sweep_operation(inputs.as_ptr(), INPUTS, output_pointer, context, backward, release) };
    if made { Ok(output) } else { Err(TchError::Torch("libtorch could not make an operation".into())) }
}

/// Stores the gradients as new tensors. On failure, writes a null-terminated message and returns false.
extern "C" fn backward(
    context: *mut c_void,
    gradient: *mut c_void,
    found: *mut *mut c_void,
    inputs: usize,
    message: *mut c_char,
    room: usize,
) -> bool {
    let gradients = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `operation` created `context`, and nothing else has access to it. `gradient` is a live tensor.
        let (context, gradient) =
            unsafe { (&mut *context.cast::<Gradient>(), Tensor::clone_from_ptr(gradient.cast())) };
        tch::no_grad(|| context(gradient))
    }));
    let error = match gradients {
        Ok(Ok(gradients)) => {
            // SAFETY: The buffer has one pointer for each input. The types in `operation` ensure that there is one
            // gradient for each input.
            let found = unsafe { std::slice::from_raw_parts_mut(found, inputs) };
            for (found, mut gradient) in found.iter_mut().zip(gradients) {
                *found = gradient.as_mut_ptr().cast();
                std::mem::forget(gradient); // C++ deletes it
            }
            return true;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "an operation's gradient panicked".to_owned(),
    };
    let length = error.len().min(room - 1);
    // SAFETY: The buffer has room for `length` bytes and a terminating null.
    unsafe {
        std::ptr::copy_nonoverlapping(error.as_ptr(), message.cast(), length);
        *message.add(length) = 0;
    }
    false
}

extern "C" fn release(context: *mut c_void) {
    // SAFETY: `operation` created it, and it is released only once.
    drop(unsafe { Box::from_raw(context.cast::<Gradient>()) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    /// Returns the cubes, whose gradient is not a multiple of libtorch's gradient for a product.
    fn cubed(xs: &Tensor) -> Tensor {
        let inside = xs.detach();
        let kept = xs.detach();
        operation([xs], inside.pow_tensor_scalar(3), move |gradient| Ok([gradient.f_mul(&(kept.square() * 3))?]))
            .unwrap()
    }

    #[test]
    fn gradients_go_through_an_operation_in_the_middle() {
        let run = |cube: &dyn Fn(&Tensor) -> Tensor| {
            let xs = Tensor::from_slice(&[1.0_f32, -2.0, 3.0]).set_requires_grad(true);
            let loss = (cube(&(&xs * 2)) + &xs).sum(tch::Kind::Float);
            loss.backward();
            xs.grad()
        };
        let (ours, theirs) = (run(&cubed), run(&|xs: &Tensor| xs.pow_tensor_scalar(3)));
        assert!(ours.equal(&theirs), "{ours} {theirs}");
    }

    #[test]
    fn a_gradient_that_fails_or_panics_is_an_error_that_says_so() {
        let xs = Tensor::ones([2], (tch::Kind::Float, tch::Device::Cpu)).set_requires_grad(true);
        let error = |gradient: fn() -> Result<Tensor, TchError>| {
            let ys = operation([&xs], xs.detach(), move |_| Ok([gradient()?])).unwrap();
            Tensor::f_run_backward(&[ys.sum(tch::Kind::Float)], &[&xs], false, false).unwrap_err().to_string()
        };
        assert!(error(|| Err(TchError::Torch("no room".into()))).contains("no room"));
        assert!(error(|| panic!("a test")).contains("panicked"));
    }

    #[test]
    fn what_an_operation_keeps_goes_with_its_outcome() {
        let kept = Rc::new(());
        let xs = Tensor::ones([2], (tch::Kind::Float, tch::Device::Cpu)).set_requires_grad(true);
        let inside = kept.clone();
        let ys = operation([&xs], xs.detach(), move |gradient| {
            let _ = &inside;
            Ok([gradient])
        })
        .unwrap();
        assert_eq!(Rc::strong_count(&kept), 2);
        drop(ys);
        assert_eq!(Rc::strong_count(&kept), 1);
    }
}
