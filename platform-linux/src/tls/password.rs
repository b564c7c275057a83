//! The password of a private key: from the file of `askpass`, or from the terminal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::failure::Fatal;
use crate::log::{self, Errno};
use crate::signals;

/// The most bytes of a password.
const LEN_MAX: u64 = 4096;

/// Where the password comes from; it is asked for once, and only if it is needed.
#[derive(Debug)]
pub(super) struct Password {
    file: Option<PathBuf>,
    known: Option<Zeroizing<String>>,
}

impl Password {
    /// `file` is the argument of `askpass`; without one the terminal is asked.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file, known: None }
    }

    /// The password.
    pub(super) fn get(&mut self) -> Result<Zeroizing<String>, Fatal> {
        if let Some(known) = &self.known {
            return Ok(known.clone());
        }
        let password = match &self.file {
            Some(file) => {
                let error = |cause| {
                    let (name, cause) = (file.display(), Errno(&cause).to_string());
                    Fatal::new(format!("Options error: option 'askpass': the file '{name}': {cause}"))
                };
                if fs::metadata(file).map_err(error)?.mode() & 0o077 != 0 {
                    log::warning(format_args!("WARNING: file '{}' is group or others accessible", file.display()));
                }
                File::open(file).and_then(first_line).map_err(error)?
            }
            None => ask().map_err(|cause| match cause.kind() {
                io::ErrorKind::Interrupted => Fatal::new("The private key has a password, and none was given"),
                _ => Fatal::new(format!(
                    "Options error: the private key has a password, and there is no terminal to ask for it ({}): use \
                     'askpass FILE', or remove the password with 'openssl pkey'",
                    Errno(&cause)
                )),
            })?,
        };
        Ok(self.known.insert(password).clone())
    }
}

/// Asks on the terminal, which does not show the answer; `Interrupted` if the program is to end instead.
fn ask() -> io::Result<Zeroizing<String>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let end = signals::end()?;
    let silent = Silent::new(terminal.try_clone()?)?;
    terminal.write_all(b"Enter Private Key Password: ")?;
    let mut awaited = [&terminal.as_fd(), &end.as_fd()].map(|file| PollFd::new(*file, PollFlags::POLLIN));
    while poll(&mut awaited, PollTimeout::NONE) == Err(nix::errno::Errno::EINTR) {}
    let answer = match awaited[1].any() {
        Some(true) => Err(io::ErrorKind::Interrupted.into()),
        _ => first_line(terminal.try_clone()?),
    };
    drop(silent);
    terminal.write_all(b"\n")?;
    answer
}

fn first_line(file: impl Read) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    BufReader::new(file.take(LEN_MAX)).read_line(&mut line)?;
    let len = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(len);
    Ok(line)
}

/// A terminal without echo, until this is dropped.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // If the terminal is gone, nobody is left to care.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn the_first_line_of_the_file_counts() {
        let directory = TempDir::new();
        let file = directory.path().join("pass");
        for (text, password) in [("secret", "secret"), ("a b \r\nsecond\n", "a b "), ("\n", ""), ("", "")] {
            fs::write(&file, text).unwrap();
            assert_eq!(*Password::new(Some(file.clone())).get().unwrap(), password);
        }
        let error = Password::new(Some(directory.path().join("none"))).get().unwrap_err().to_string();
        assert!(error.contains("'askpass'") && error.contains("No such file"), "{error}");
    }
}
