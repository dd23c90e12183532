//! Checkpoints: any bytes are tensors or an error, and the tensors lie within the bytes.
#![no_main]

use safetensors::SafeTensors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok((_, metadata)) = SafeTensors::read_metadata(bytes) {
        let _ = metadata.metadata().as_ref().map(|metadata| metadata.get("sweep"));
    }
    if let Ok(file) = SafeTensors::deserialize(bytes) {
        for (name, view) in file.iter() {
            let values: usize = view.shape().iter().product();
            assert_eq!(values * view.dtype().bitsize() / 8, view.data().len(), "{name}");
        }
    }
});
