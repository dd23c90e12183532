//! What libtorch's C interface leaves out: operations whose gradients are ours, and how a GPU calculates.
#![allow(unsafe_code, reason = "they are C++, in libtorch.cpp")]

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::{TchError, Tensor};

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
