//! The only module that prints results.

use std::io::{ErrorKind, Write};

use sweep_core::error::{Error, Result};

/// Prints a line to stdout. A closed pipe (`| head`) is not an error.
///
/// # Errors
/// Returns an error if stdout cannot be written, for example because the disk is full.
pub fn print(text: &str) -> Result<()> {
    write(&mut std::io::stdout().lock(), text)
}

/// Prints indented JSON.
///
/// # Errors
/// Returns the errors of [`print()`].
pub fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}"))
}

fn write(out: &mut impl Write, text: &str) -> Result<()> {
    let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::storage("the output cannot be written", error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure_but_a_full_disk_is() {
        assert!(write(&mut Broken(ErrorKind::BrokenPipe), "text").is_ok());
        assert!(write(&mut Broken(ErrorKind::StorageFull), "text").is_err());
        let mut out = Vec::new();
        write(&mut out, "text\n\n").unwrap();
        assert_eq!(out, b"text\n");
    }
}
