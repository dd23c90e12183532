//! Checkpoints: any bytes are tensors or an error, and the tensors lie within the bytes.
#![no_main]

use safetensors::SafeTensors;
use sweep_data::checkpoint::decode;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // What a checksum does not keep out is told apart by the reader below it.
    let _ = decode(bytes, "1");
    if let Ok(file) = SafeTensors::deserialize(bytes) {
        for (name, view) in file.iter() {
            let values: usize = view.shape().iter().product();
            assert_eq!(values * view.dtype().bitsize() / 8, view.data().len(), "{name}");
        }
    }
});
