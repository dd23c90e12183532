//! The parts of libtorch that its C interface leaves out: operations whose gradients are ours, operations on lists of
//! tensors, how a GPU calculates, and the version that was loaded.
#![allow(unsafe_code, reason = "they are C++, in libtorch.cpp")]

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::{Device, TchError, Tensor};

/// What an operation does on the way back: from the loss' gradient for what came out to those for what went in. The
/// gradient given is nobody else's, and may be written over.
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

/// Whether cuDNN tries out its kernels when it meets a convolution of new sizes, from now on, in the whole process. That
/// takes a second or more for a network.
pub fn benchmark(wanted: bool) {
    sweep_benchmark(wanted);
}

/// The version of the libtorch that this process loaded, such as `2.13.0`. It may differ from the one compiled against.
pub fn version() -> String {
    let mut text = [0_u8; 64];
    // SAFETY: the text has this room, and is given a zero at its end.
    unsafe { sweep_version(text.as_mut_ptr().cast(), text.len()) };
    CStr::from_bytes_until_nul(&text).expect("it ends with a zero").to_string_lossy().into_owned()
}

/// A factor or step size that changes from step to step. The host knows it; where a CUDA graph is to read it anew at each
/// replay, it also lies on the device, as a tensor without axes.
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

/// Operations on whole lists of tensors, element by element: on a GPU one launch for a list, instead of one for each of
/// its tensors. Those whose names end in `_` write to their first list.
///
/// # Errors
/// libtorch's.
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
            // SAFETY: the tensors are alive, the lists have `count` pointers or are null, and none of them is kept.
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
            // SAFETY: each is a tensor that C++ made for us and no longer holds.
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

    /// The Euclidean norm of each tensor, without axes.
    pub fn norms(xs: &[Tensor]) -> Made {
        call(12, [xs, &[], &[]], &2.0.into()).make()
    }
}

/// Adam's step for all weights in one launch: `weight -= rate * m / (sqrt(v) + epsilon)` after both means have moved.
/// `settled` is a tensor without axes, whose value is so large a step number that the kernel corrects no bias.
///
/// # Errors
/// libtorch's: all lists must be of one kind, and their tensors lie alike.
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
    // SAFETY: the tensors are alive, every list has `count` pointers, and none of them is kept.
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

/// A source of random numbers on a device. libtorch's own is one for all threads; each thread that trains has its own.
pub struct Generator {
    generator: *mut c_void,
}

impl Generator {
    /// # Errors
    /// libtorch's.
    pub fn new(device: Device) -> Result<Generator, TchError> {
        let mut generator = std::ptr::null_mut();
        // SAFETY: the pointer outlives the call, which puts there what `drop` deletes.
        checked(unsafe { sweep_generator(device.is_cuda(), &mut generator) })?;
        Ok(Generator { generator })
    }

    /// # Errors
    /// libtorch's.
    pub fn seed(&self, seed: u64) -> Result<(), TchError> {
        // SAFETY: the generator lives as long as `self`.
        checked(unsafe { sweep_generator_seed(self.generator, seed) })
    }

    /// A tensor like the given one, of ones with probability `share` and else zeros.
    ///
    /// # Errors
    /// libtorch's, where the device has no room.
    pub fn bernoulli(&self, like: &Tensor, share: f64) -> Result<Tensor, TchError> {
        assert!((0.0..=1.0).contains(&share), "{share} is a probability");
        self.random(like, share)
    }

    /// A tensor like the given one, of standard normal numbers.
    ///
    /// # Errors
    /// libtorch's, where the device has no room.
    pub fn normal(&self, like: &Tensor) -> Result<Tensor, TchError> {
        self.random(like, -1.0)
    }

    fn random(&self, like: &Tensor, share: f64) -> Result<Tensor, TchError> {
        let mut made = std::ptr::null_mut();
        // SAFETY: generator and tensor are alive; what is made is ours.
        checked(unsafe { sweep_random(self.generator, like.as_ptr().cast(), share, &mut made) })?;
        Ok(unsafe { Tensor::from_ptr(made.cast()) })
    }

    /// The `at::Generator`, alive as long as `self`.
    pub fn as_ptr(&self) -> *mut c_void {
        self.generator
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // SAFETY: it was made by `sweep_generator` and is deleted only here.
        unsafe { sweep_generator_discard(self.generator) };
    }
}

fn pointers(tensors: &[Tensor]) -> Vec<*mut c_void> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast_mut().cast()).collect()
}

/// The error of a C++ function that returns a message or null.
pub(super) fn checked(message: *const c_char) -> Result<(), TchError> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: it is a text that ends with a zero and lives until this thread's next call.
    Err(TchError::Torch(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()))
}

/// Whether only kernels are used that give the same numbers again, and whether a GPU's matrix units may shorten float32 to
/// tf32. From now on, in the whole process.
pub fn calculate(deterministic: bool, tf32: bool) {
    sweep_calculate(deterministic, tf32);
}

/// Makes `output`, which has no history and may lie in an input's memory, the outcome of an operation on the inputs.
/// Where no gradient will be asked for, it is left as it is. `gradient` must not keep `output` itself, only what shares its
/// memory: the two would hold each other for ever.
///
/// # Errors
/// libtorch's, where there is no room.
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
    // SAFETY: all tensors are alive, and the C++ side keeps none of the pointers. It owns the context, and gives it to
    // `release` once, after the last call of `backward`.
    let made = unsafe { sweep_operation(inputs.as_ptr(), INPUTS, output_pointer, context, backward, release) };
    if made { Ok(output) } else { Err(TchError::Torch("libtorch could not make an operation".into())) }
}

/// The gradients as new tensors, or false and a message, which ends with a zero.
extern "C" fn backward(
    context: *mut c_void,
    gradient: *mut c_void,
    found: *mut *mut c_void,
    inputs: usize,
    message: *mut c_char,
    room: usize,
) -> bool {
    let gradients = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `context` is what `operation` made, which nothing else reaches; `gradient` is a tensor that is alive.
        let (context, gradient) =
            unsafe { (&mut *context.cast::<Gradient>(), Tensor::clone_from_ptr(gradient.cast())) };
        tch::no_grad(|| context(gradient))
    }));
    let error = match gradients {
        Ok(Ok(gradients)) => {
            // SAFETY: there is room for a pointer for each input, and as many gradients, as `operation`'s types say.
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
    // SAFETY: there is room for so many bytes, and a zero after them.
    unsafe {
        std::ptr::copy_nonoverlapping(error.as_ptr(), message.cast(), length);
        *message.add(length) = 0;
    }
    false
}

extern "C" fn release(context: *mut c_void) {
    // SAFETY: it is what `operation` made, and comes here once.
    drop(unsafe { Box::from_raw(context.cast::<Gradient>()) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    /// Cubes, so that the gradient is no multiple of libtorch's for a product.
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
