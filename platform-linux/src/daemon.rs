//! Life in the background: `daemon`, `cd`, `writepid` (protocol section 5.5).

use crate::log::Errno;
use crate::privileges::SetupError;
use crate::sys_process;
use nix::unistd::{self, ForkResult, UnlinkatFlags};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Where standard output and standard error of a daemon go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To /dev/null.
    Null,
    /// They are the log file and stay it.
    LogFile,
}

/// `cd`: to be done before any other file is opened.
///
/// # Errors
/// If the directory cannot be entered.
pub fn change_directory(path: &Path) -> Result<(), SetupError> {
    std::env::set_current_dir(path).map_err(|error| {
        let problem = format!("cd to '{}' failed: {}", path.display(), Errno(&error));
        SetupError::new(problem, "make the directory or correct 'cd'")
    })
}

/// `daemon`: goes on in a child process, in a session of its own, with standard input from /dev/null; the calling
/// process ends with status 0. The current directory stays as it is: a daemon without `cd` enters `/` with
/// [`change_directory`] when all files are open.
///
/// # Errors
/// If the system refuses, or the process has several threads already.
pub fn detach(output: Output) -> Result<(), SetupError> {
    let failed = |what: &str, error: io::Error| {
        SetupError::new(format!("--daemon: {what} failed: {}", Errno(&error)), "start without 'daemon'")
    };
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| failed("opening /dev/null", error))?;
    // What is still buffered would be written by both processes.
    let _ = io::stdout().flush();
    match sys_process::fork().map_err(|error| failed("fork", error.into()))? {
        ForkResult::Parent { .. } => std::process::exit(0),
        ForkResult::Child => {}
    }
    let session = || -> nix::Result<()> {
        unistd::setsid()?;
        unistd::dup2_stdin(&null)?;
        if output == Output::Null {
            unistd::dup2_stdout(&null)?;
            unistd::dup2_stderr(&null)?;
        }
        Ok(())
    };
    session().map_err(|error| failed("leaving the terminal", error.into()))
}

/// `writepid`: a file with the process id, removed when this is dropped.
#[derive(Debug)]
pub struct PidFile {
    // The file is removed by way of its directory, which may be out of reach by its path after `chroot`.
    directory: OwnedFd,
    name: OsString,
}

impl PidFile {
    /// Writes the process id, in decimal, and a newline. To be called after [`detach`].
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(path: &Path) -> Result<Self, SetupError> {
        let write = || -> io::Result<Self> {
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
            let directory = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            let directory = OwnedFd::from(File::open(directory)?);
            std::fs::write(path, format!("{}\n", std::process::id()))?;
            Ok(Self { directory, name })
        };
        write().map_err(|error| {
            let problem = format!("--writepid fails with '{}': {}", path.display(), Errno(&error));
            SetupError::new(problem, "make the directory, check its permissions or correct 'writepid'")
        })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // After a change of user it may have to stay.
        let _ = unistd::unlinkat(&self.directory, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TempDir, in_child, need_root};

    #[test]
    fn a_process_with_threads_does_not_fork() {
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        let refused = detach(Output::LogFile).unwrap_err().to_string();
        assert!(refused.starts_with("--daemon: fork failed: Device or resource busy (errno=16); "), "{refused}");
        drop(stop);
        assert!(thread.join().unwrap().is_err());
    }

    #[test]
    fn the_pid_file_goes_with_the_process() {
        let dir = TempDir::new();
        let path = dir.path().join("a.pid");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
        let refused = PidFile::write(Path::new("/nope/x")).unwrap_err().to_string();
        assert!(refused.starts_with("--writepid fails with '/nope/x': No such file or directory (errno=2); "));
        let refused = change_directory(Path::new("/nope")).unwrap_err().to_string();
        assert!(refused.starts_with("cd to '/nope' failed: No such file or directory (errno=2); "), "{refused}");
    }

    #[test]
    fn a_relative_pid_file_is_removed_from_another_root_directory() {
        need_root();
        let name = "daemon::tests::a_relative_pid_file_is_removed_from_another_root_directory";
        let Some(path) = std::env::var_os("PID_DIRECTORY") else {
            let dir = TempDir::new();
            std::fs::create_dir(dir.path().join("root")).unwrap();
            in_child(name, &[("PID_DIRECTORY", dir.path().to_str().unwrap())]).unwrap();
            assert!(!dir.path().join("a.pid").exists());
            return;
        };
        change_directory(Path::new(&path)).unwrap();
        let file = PidFile::write(Path::new("a.pid")).unwrap();
        assert!(Path::new("a.pid").exists());
        unistd::chroot("root").unwrap();
        change_directory(Path::new("/")).unwrap();
        drop(file);
    }
}
