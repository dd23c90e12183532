#![allow(clippy::disallowed_methods, reason = "Cargo speaks to build scripts through the environment")]
//! Sets a run path to libtorch for this crate's tests, so that they run without LD_LIBRARY_PATH.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(folder) = std::env::var_os("LIBTORCH") {
        let folder = std::path::PathBuf::from(folder);
        let folder = folder.canonicalize().unwrap_or(folder);
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.join("lib").display());
    }
}
