//! A running program and its log.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use longcable::demo::lab::Namespace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Lab, PATIENCE, Program, Site, poll};

/// A program at a site, ended with this value.
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Starts a program with this config, which is written to a file first.
    pub fn start(lab: &Lab, site: &Site, program: Program, config: &str) -> Self {
        let name = format!("{program:?}-{}.conf", number());
        lab.write(&name, config);
        Self::with_arguments(lab, site, program, &["--config", &name])
    }

    /// Starts a program with this command line.
    pub fn with_arguments(lab: &Lab, site: &Site, program: Program, arguments: &[&str]) -> Self {
        Self::with_command(lab, site, &format!("{program:?}"), site.command(&program.path()).args(arguments))
    }

    /// Starts any command in the laboratory's directory.
    ///
    /// # Panics
    /// When there is no such command.
    pub fn with_command(lab: &Lab, site: &Site, name: &str, command: &mut Command) -> Self {
        Self::spawn(lab, &site.namespace, &format!("{name} at {}", site.outside), command)
    }

    /// As [`with_command`](Self::with_command), in any namespace.
    ///
    /// # Panics
    /// When there is no such command.
    pub fn spawn(lab: &Lab, namespace: &Namespace, name: &str, command: &mut Command) -> Self {
        let log = lab.directory().join(format!("{name}-{}.log", number()));
        let output = File::create(&log).expect("a log file");
        command.current_dir(lab.directory()).stdin(Stdio::null());
        command.stdout(output.try_clone().expect("a descriptor")).stderr(output);
        let child = namespace.spawn(command).unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        Self { name: name.to_owned(), child, log, ended: None }
    }

    /// What it has written until now.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How many lines of its log contain this.
    pub fn count(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// The first line of its log that contains this, as soon as it is there.
    ///
    /// # Panics
    /// When it is not there in time.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_within(text, PATIENCE)
    }

    /// The first line that contains all these pieces, as soon as it is there.
    ///
    /// # Panics
    /// When it is not there in time.
    pub fn wait_for_all(&self, pieces: &[&str]) -> String {
        self.wait_for_line(&format!("{pieces:?}"), PATIENCE, |line| pieces.iter().all(|piece| line.contains(piece)))
    }

    /// As [`wait_for`](Self::wait_for), with its own patience.
    ///
    /// # Panics
    /// When it is not there in time.
    pub fn wait_for_within(&self, text: &str, patience: Duration) -> String {
        self.wait_for_line(text, patience, |line| line.contains(text))
    }

    fn wait_for_line(&self, text: &str, patience: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let line =
            || self.log().split_inclusive('\n').find(|line| wanted(line) && line.ends_with('\n')).map(str::to_owned);
        poll(patience, line).unwrap_or_else(|| panic!("{} did not say '{text}' within {patience:?}", self.name))
    }

    /// Waits until this many lines of its log contain this.
    ///
    /// # Panics
    /// When they are not there in time.
    pub fn wait_for_count(&self, text: &str, count: usize) {
        let there = poll(PATIENCE, || (self.count(text) >= count).then_some(()));
        assert!(there.is_some(), "{} said '{text}' {} times, not {count}", self.name, self.count(text));
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    ///
    /// # Panics
    /// When the kernel knows no such child.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("our child");
        }
        self.ended
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn signal(&mut self, signal: Signal) {
        assert!(self.ended().is_none(), "{} has ended: {:?}", self.name, self.ended);
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("our child");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it goes on.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(PATIENCE)
    }

    /// As [`wait`](Self::wait), with its own patience.
    ///
    /// # Panics
    /// When it goes on.
    pub fn wait_within(&mut self, patience: Duration) -> ExitStatus {
        poll(patience, || self.ended()).unwrap_or_else(|| panic!("{} goes on after {patience:?}", self.name))
    }

    /// Asks it to end, and waits.
    ///
    /// # Panics
    /// When it goes on.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let status = self.ended();
        if thread::panicking() {
            let ending = status.map_or_else(
                || "still running".to_owned(),
                |status| {
                    status
                        .code()
                        .map_or_else(|| format!("signal {:?}", status.signal()), |code| format!("exit status {code}"))
                },
            );
            let log = self.log();
            // At high verbosity there are settings, indented by three blanks, and single packets: nobody wants to see those.
            let lines: Vec<_> = log
                .lines()
                .filter(|line| {
                    !["   ", "PID_TEST", "UDPv4 READ", "UDPv4 WRITE", " PING"].iter().any(|noise| line.contains(noise))
                })
                .collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n    ");
            eprintln!("--- {} ({ending}):\n    {tail}", self.name);
        }
        if status.is_none() {
            // Gone already is as good.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A number that no other file of this process has in its name.
fn number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}
