#![allow(clippy::disallowed_methods, reason = "Cargo speaks to build scripts through the environment")]
//! Gives the binaries that use libtorch a run path to it, so that nobody has to set LD_LIBRARY_PATH, and compiles the little
//! that the trainer adds to libtorch.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/libtorch.cpp");
    if let Some(folder) = std::env::var_os("LIBTORCH") {
        // The link that Cargo's configuration names may be moved later: the run path is to what it stands for now.
        let folder = std::path::PathBuf::from(folder);
        let folder = folder.canonicalize().unwrap_or(folder);
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.join("lib").display());
        let include = folder.join("include");
        cc::Build::new()
            .cpp(true)
            .std("c++20")
            .flag("-isystem")
            .flag(&include)
            .flag("-isystem")
            .flag(include.join("torch/csrc/api/include"))
            .file("src/libtorch.cpp")
            .compile("sweep_libtorch");
    }
}
