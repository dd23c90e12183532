//! What libtorch's C interface leaves out: operations whose gradients are ours, and how a GPU calculates.
#![allow(unsafe_code, reason = "they are C++, in libtorch.cpp")]

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::{TchError, Tensor};

/// What an operation does on the way back: from the loss' gradient for what came out to that for what went in. The
/// gradient given is nobody else's, and may be written over.
type Gradient = Box<dyn FnMut(Tensor) -> Result<Tensor, TchError>>;

unsafe extern "C" {
    fn sweep_operation(
        input: *const c_void,
        output: *mut c_void,
        context: *mut c_void,
        gradient: extern "C" fn(*mut c_void, *mut c_void, *mut c_char, usize) -> *mut c_void,
        release: extern "C" fn(*mut c_void),
    ) -> bool;
    safe fn sweep_calculate(deterministic: bool, tf32: bool);
}

/// Whether only kernels are used that give the same numbers again, and whether a GPU's matrix units may shorten float32 to
/// tf32. From now on, in the whole process.
pub fn calculate(deterministic: bool, tf32: bool) {
    sweep_calculate(deterministic, tf32);
}

/// Makes `output`, which has no history and may lie in `input`'s memory, the outcome of an operation on `input`. Where
/// no gradient will be asked for, it is left as it is. `gradient` must not keep `output` itself, only what shares its
/// memory: the two would hold each other for ever.
///
/// # Errors
/// libtorch's, where there is no room.
pub fn operation(
    input: &Tensor,
    mut output: Tensor,
    gradient: impl FnMut(Tensor) -> Result<Tensor, TchError> + 'static,
) -> Result<Tensor, TchError> {
    if !input.requires_grad() {
        return Ok(output);
    }
    let context = Box::into_raw(Box::new(Box::new(gradient) as Gradient));
    // SAFETY: both tensors are alive, and the C++ side keeps neither pointer. It owns the context, and gives it to
    // `release` once, after the last call of `backward`.
    let made = unsafe {
        sweep_operation(input.as_ptr().cast(), output.as_mut_ptr().cast(), context.cast(), backward, release)
    };
    if made { Ok(output) } else { Err(TchError::Torch("libtorch could not make an operation".into())) }
}

/// The gradient as a new tensor, or null and a message, which ends with a zero.
extern "C" fn backward(context: *mut c_void, gradient: *mut c_void, message: *mut c_char, room: usize) -> *mut c_void {
    let found = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `context` is what `operation` made, which nothing else reaches; `gradient` is a tensor that is alive.
        let (context, gradient) =
            unsafe { (&mut *context.cast::<Gradient>(), Tensor::clone_from_ptr(gradient.cast())) };
        tch::no_grad(|| context(gradient))
    }));
    let error = match found {
        Ok(Ok(mut found)) => {
            let pointer = found.as_mut_ptr();
            std::mem::forget(found); // C++ deletes it
            return pointer.cast();
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
    std::ptr::null_mut()
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
        operation(xs, inside.pow_tensor_scalar(3), move |gradient| gradient.f_mul(&(kept.square() * 3))).unwrap()
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
            let ys = operation(&xs, xs.detach(), move |_| gradient()).unwrap();
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
        let ys = operation(&xs, xs.detach(), move |gradient| {
            let _ = &inside;
            Ok(gradient)
        })
        .unwrap();
        assert_eq!(Rc::strong_count(&kept), 2);
        drop(ys);
        assert_eq!(Rc::strong_count(&kept), 1);
    }
}
