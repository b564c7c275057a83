//! A laboratory in one process: network namespaces, and the programs that run in them.
//!
//! Everything here vanishes with the process: the namespaces because only its file descriptors hold them, the programs
//! because the kernel ends them together with the thread that started them, the directory when it is dropped.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::{Pid, getegid, geteuid, mkdtemp};

use crate::net::{NetError, Netlink};

/// A network namespace, kept alive by this value.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn current() -> io::Result<Self> {
        File::open("/proc/thread-self/ns/net").map(Self)
    }

    /// A new namespace with nothing in it but a loopback device that is down.
    ///
    /// # Errors
    /// When the kernel does not let this process make one.
    pub fn create() -> io::Result<Self> {
        let here = Self::current()?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let created = Self::current();
        here.enter()?;
        created
    }

    /// Does `work` inside this namespace. Sockets and programs that it starts stay there for good.
    ///
    /// # Errors
    /// Those of `work`, and when the calling thread may not change its namespace.
    pub fn inside<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let outside = Self::current()?;
        self.enter()?;
        let result = work();
        outside.enter()?;
        result
    }

    /// A conversation with the kernel about the interfaces, addresses and routes in here.
    ///
    /// # Errors
    /// When the kernel has no netlink.
    pub fn netlink(&self) -> io::Result<Netlink> {
        self.inside(|| Netlink::open().map_err(in_words))
    }

    /// Starts a program in here. It ends with the calling thread at the latest, and Ctrl-C does not reach it: we end
    /// our programs in order.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        command.process_group(0);
        // SAFETY: prctl(2) is async-signal-safe, and nothing is allocated between fork and exec.
        unsafe { command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)) };
        self.inside(|| command.spawn())
    }

    fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.0, CloneFlags::CLONE_NEWNET)?)
    }
}

/// Joins two namespaces by a veth pair with these names at its ends, both up and without addresses.
///
/// # Errors
/// When a name is taken, or the kernel has no veth devices.
pub fn cable((here, name): (&Namespace, &str), (there, peer): (&Namespace, &str)) -> io::Result<()> {
    let (netlink, far) = (here.netlink()?, there.netlink()?);
    let join = || {
        let (link, moving) = netlink.add_veth(name, peer)?;
        netlink.move_link(&moving, there.0.as_fd())?;
        far.set_up(&far.link(peer)?, true)?;
        netlink.set_up(&link, true)
    };
    join().map_err(in_words)
}

/// A netlink error as an input/output error of the same kind that says what was attempted.
pub(super) fn in_words(error: NetError) -> io::Error {
    io::Error::new(io::Error::from(error.errno).kind(), error)
}

/// Takes this process out of the machine's network into an empty one that it may change as it likes.
/// Without root it becomes root of a user namespace of its own for that. To be called while there is only one thread.
///
/// # Errors
/// When the kernel allows neither.
pub fn leave_the_network() -> io::Result<()> {
    match unshare(CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => {
            let (user, group) = (geteuid(), getegid());
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
            // Without root the kernel accepts a map of groups only after setgroups(2) is given up.
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
            fs::write("/proc/self/gid_map", format!("0 {group} 1"))
        }
        result => Ok(result?),
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and its relatives only make [`interrupted`] true, so that everything can be tidied up.
///
/// # Errors
/// None on any Linux.
pub fn catch_interrupts() -> io::Result<()> {
    extern "C" fn note(_: i32) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only stores to an atomic, which is allowed in a signal handler.
        unsafe { sigaction(signal, &action)? };
    }
    Ok(())
}

/// Whether somebody wants this to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// A private directory (mode 0700) that is removed with this value.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes one below the system's place for temporary files.
    ///
    /// # Errors
    /// When that is full or not writable.
    pub fn create(keep: bool) -> io::Result<Self> {
        let path = mkdtemp(&std::env::temp_dir().join("longcable-XXXXXX"))?;
        Ok(Self { path, keep })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            // Nobody is left to tell.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Finds a program as a shell would, and also where system programs live that are not on everybody's path.
pub fn find_program(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return fs::canonicalize(name).ok();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// A running gateway program, ended with this value.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    command: Command,
    child: Child,
    log: PathBuf,
    shown: u64,
}

impl Daemon {
    /// Starts `program NAME.conf` inside `namespace`; it runs in `directory` and writes its log to `NAME.log` there.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(namespace: &Namespace, program: &Path, directory: &Path, name: &str) -> io::Result<Self> {
        let log = directory.join(name).with_extension("log");
        let output = File::create(&log)?;
        let mut command = Command::new(program);
        command.arg(Path::new(name).with_extension("conf")).current_dir(directory);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = namespace.spawn(&mut command)?;
        Ok(Self { name: name.to_owned(), command, child, log, shown: 0 })
    }

    /// What it was called when it was started.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last `count` lines of its log.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let lines = lines_of(&fs::read(&self.log).unwrap_or_default());
        lines[lines.len().saturating_sub(count)..].to_vec()
    }

    /// The lines of its log that contain `text`.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        let mut lines = lines_of(&fs::read(&self.log).unwrap_or_default());
        lines.retain(|line| line.contains(text));
        lines
    }

    /// The lines of its log since the last call.
    pub fn new_lines(&mut self) -> Vec<String> {
        let mut text = Vec::new();
        let read = File::open(&self.log).and_then(|mut log| {
            log.seek(SeekFrom::Start(self.shown))?;
            log.read_to_end(&mut text)
        });
        self.shown += read.unwrap_or(0) as u64;
        lines_of(&text)
    }

    /// Kills it, which it cannot notice, and starts it again inside `namespace`; its log goes on.
    ///
    /// # Errors
    /// When the program cannot be started any more.
    pub fn kill_and_restart(&mut self, namespace: &Namespace) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = namespace.spawn(&mut self.command)?;
        Ok(())
    }

    /// Asks it to end and waits; kills it when it does not within two seconds.
    ///
    /// # Errors
    /// When it had to be killed.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.exited() {
            return Ok(status);
        }
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        let patience = Instant::now() + Duration::from_secs(2);
        while Instant::now() < patience {
            if let Some(status) = self.exited() {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.child.kill()?;
        self.child.wait()?;
        Err(io::Error::new(ErrorKind::TimedOut, "did not end on SIGTERM"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.stop();
    }
}

fn lines_of(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text).lines().map(str::to_owned).collect()
}
