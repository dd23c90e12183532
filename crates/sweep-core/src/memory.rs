//! The words with which libraries say that memory ran out. Nothing else tells this from other failures.

/// Phrases of libtorch, cuBLAS, cuDNN, the driver, TensorFlow, C++ and Python, in lower case. cuBLAS reports lack of
/// memory for its handles, and cuDNN for the workspaces of all its engines.
const SIGNS: [&str; 12] = [
    "out of memory",
    "outofmemory",
    "memoryerror",
    "bad_alloc",
    "resourceexhausted",
    "resource_exhausted",
    "can't allocate memory",
    "_alloc_failed",
    "cublas_status_not_initialized",
    "cudnn_status_internal_error_host_allocation",
    "cudnn_status_internal_error_device_allocation",
    "unable to find an engine to execute this computation",
];

/// Whether an error message or a program's last words say that memory ran out.
pub fn is_lacking(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    SIGNS.iter().any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::is_lacking;

    #[test]
    fn libraries_say_in_many_ways_that_memory_ran_out() {
        for words in [
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
            "MemoryError",
            "std::bad_alloc",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
            "GET was unable to find an engine to execute this computation",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: you tried to allocate",
        ] {
            assert!(is_lacking(words), "{words}");
        }
        assert!(!is_lacking("KeyError: 'memory'"));
    }
}
