//! A program that runs until it is no longer needed.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use longcable::demo::lab::Namespace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running program, ended with this value.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it inside `namespace`; what it says goes to `log`.
    pub(crate) fn start(namespace: &Namespace, command: &mut Command, log: PathBuf) -> io::Result<Self> {
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Self { child: namespace.spawn(command)?, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last lines of what it said.
    pub(crate) fn last_lines(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n    ")
    }
}

impl Drop for Process {
    /// Asks it to end, and insists after two seconds.
    fn drop(&mut self) {
        if self.exited().is_none() {
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
            let patience = Instant::now() + Duration::from_secs(2);
            while self.exited().is_none() && Instant::now() < patience {
                thread::sleep(Duration::from_millis(2));
            }
            // It is gone, or there is nothing more to be done about it.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
