#![allow(clippy::disallowed_methods, reason = "Cargo speaks to build scripts through the environment")]
//! Sets a run path to libtorch for the binaries that use it, so that they run without LD_LIBRARY_PATH. Also compiles
//! the trainer's additions to libtorch.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=SWEEP_RPATH");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/libtorch.cpp");
    println!("cargo:rerun-if-changed=src/cuda.cpp");
    if let Some(folder) = std::env::var_os("LIBTORCH") {
        // The symbolic link in Cargo's configuration may later point elsewhere, so the run path contains its current
        // target. Programs for other machines name their own (packaging/trainer).
        let folder = std::path::PathBuf::from(folder);
        let folder = folder.canonicalize().unwrap_or(folder);
        let here = || folder.join("lib").display().to_string();
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", std::env::var("SWEEP_RPATH").unwrap_or_else(|_| here()));
        torch::compiler(&folder).file("src/libtorch.cpp").compile("sweep_libtorch");
        torch::cuda_additions(&folder);
        // The GPU kernels, compiled for tests on a CPU.
        println!("cargo:rerun-if-changed=src/gpu_kernel/kernels.cu");
        let mut kernels = cc::Build::new();
        kernels.cpp(true).std("c++17").opt_level(2).define("SWEEP_HOST", None).flag("-xc++").flag("-fno-fast-math");
        kernels.flag("-ffp-contract=off").file("src/gpu_kernel/kernels.cu").compile("sweep_gpu_kernels");
    }
}

mod torch {
    use std::path::{Path, PathBuf};

    pub fn compiler(libtorch: &Path) -> cc::Build {
        let include = libtorch.join("include");
        let mut build = cc::Build::new();
        build.cpp(true).std("c++20").flag("-isystem").flag(&include);
        build.flag("-isystem").flag(include.join("torch/csrc/api/include"));
        build
    }

    /// Builds OUT_DIR/libsweep_cuda.so, which is embedded in the trainer. The file is empty if the CUDA headers or
    /// libtorch's CUDA library are missing.
    pub fn cuda_additions(libtorch: &Path) {
        let made = PathBuf::from(std::env::var_os("OUT_DIR").expect("Cargo sets it")).join("libsweep_cuda.so");
        std::fs::write(&made, []).expect("OUT_DIR can be written");
        let Some(headers) = cuda_headers(libtorch) else {
            println!(
                "cargo:warning=no CUDA headers (cuda_runtime_api.h, crt/host_defines.h) or no libtorch_cuda.so: \
                 sweep-trainer is built without CUDA graphs"
            );
            return;
        };
        let mut build = compiler(libtorch);
        build.cargo_metadata(false).pic(true).flag("-isystem").flag(&headers);
        let objects = build.file("src/cuda.cpp").compile_intermediates();
        let mut link = build.get_compiler().to_command();
        link.arg("-shared").args(objects).arg("-o").arg(&made).arg("-L").arg(libtorch.join("lib"));
        // The build machine may lack the libraries that libtorch_cuda.so itself needs.
        link.args(["-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda", "-lc10", "-Wl,--allow-shlib-undefined"]);
        let linked = link.status().expect("the compiler that compiled runs again");
        assert!(linked.success(), "{link:?} failed");
    }

    /// Returns the folder with the CUDA runtime's headers, from the toolkit or from the PyPI packages next to `torch`.
    fn cuda_headers(libtorch: &Path) -> Option<PathBuf> {
        libtorch.join("lib/libtorch_cuda.so").exists().then_some(())?;
        let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
        let beside = libtorch.parent().map(|packages| packages.join("nvidia/cu13"));
        let folders = named.chain(beside).chain([PathBuf::from("/usr/local/cuda")]);
        folders
            .map(|folder| folder.join("include"))
            .find(|include| include.join("cuda_runtime_api.h").exists() && include.join("crt/host_defines.h").exists())
    }
}
