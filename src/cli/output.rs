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

/// Prints a line to stdout. Returns whether there is still a reader.
///
/// # Errors
/// Returns the errors of [`print()`].
pub fn print_or_leave(text: &str) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::storage("cannot write the output", error)),
    }
}

/// Prints indented JSON.
///
/// # Errors
/// Returns the errors of [`print()`].
pub fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}"))
}

/// Prints a message for the user on stderr. An error in writing it is ignored.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Foreign text on its way to a terminal: control characters, such as those that begin escape sequences, become spaces.
#[derive(Debug)]
pub struct Harmless<W> {
    out: W,
    /// Whether the last byte begins one of U+0080 to U+00BF.
    begun: bool,
}

impl<W: Write> Harmless<W> {
    /// Before this writer.
    pub fn new(out: W) -> Harmless<W> {
        Harmless { out, begun: false }
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut clean = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            match (std::mem::take(&mut self.begun), byte) {
                (true, 0x80..=0x9f) => clean.push(b' '),
                (was_begun, byte) => {
                    if was_begun {
                        clean.push(0xc2);
                    }
                    match byte {
                        0xc2 => self.begun = true,
                        b'\n' => clean.push(b'\n'),
                        0..0x20 | 0x7f => clean.push(b' '),
                        _ => clean.push(*byte),
                    }
                }
            }
        }
        self.out.write_all(&clean)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

fn write(out: &mut impl Write, text: &str) -> Result<()> {
    let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::storage("cannot write the output", error)),
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
    fn no_escape_sequence_reaches_the_terminal() {
        let mut out = Vec::new();
        // However it is cut.
        let mut harmless = Harmless::new(&mut out);
        for part in ["a\u{1b}[31m\u{7f}b\n", "c\u{9b}2J é\u{a0}\r", "d"] {
            part.bytes().for_each(|byte| harmless.write_all(&[byte]).unwrap());
        }
        assert_eq!(String::from_utf8(out).unwrap(), "a [31m b\nc 2J é\u{a0} d");
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
