//! What names mean in the demonstration: a hosts file that only this process and its programs see stands for dynamic DNS.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// The names that this process knows, and no others.
pub(super) struct Names {
    directory: PathBuf,
    editions: u32,
    /// What is covered by files of ours, in the order of the mounts.
    covered: Vec<&'static str>,
}

impl Names {
    /// Hides this machine's names; the files that take their place are written to `directory`. To be called while there
    /// is only one thread, and after this process has left the network.
    pub(super) fn take_over(directory: &Path) -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        // What is mounted from now on is seen here only.
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
            .map_err(|errno| in_words("make mounts private", errno))?;
        let (order, silence) = (directory.join("nsswitch.conf"), directory.join("nscd"));
        fs::write(&order, "hosts: files\n")?;
        fs::create_dir(&silence)?;
        let mut names = Self { directory: directory.to_owned(), editions: 0, covered: Vec::new() };
        // glibc asks a daemon first where there is one; musl has neither of these.
        for (theirs, ours) in [("/etc/nsswitch.conf", order), ("/var/run/nscd", silence)] {
            if Path::new(theirs).exists() {
                names.cover(theirs, &ours)?;
            }
        }
        Ok(names)
    }

    /// These names have these addresses now. Nobody sees a file that is half written.
    pub(super) fn publish(&mut self, names: &[(&str, Ipv4Addr)]) -> io::Result<()> {
        self.editions += 1;
        let edition = self.directory.join(format!("hosts.{}", self.editions));
        fs::write(&edition, hosts(names))?;
        self.cover("/etc/hosts", &edition)
    }

    /// In the place of the file or directory `theirs` there is `ours`.
    fn cover(&mut self, theirs: &'static str, ours: &Path) -> io::Result<()> {
        mount(Some(ours), theirs, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(|errno| in_words(&format!("mount over {theirs}"), errno))?;
        self.covered.push(theirs);
        Ok(())
    }
}

impl Drop for Names {
    /// The mounts would go with this process, but not every kernel lets a file be removed that is mounted.
    fn drop(&mut self) {
        for theirs in self.covered.drain(..).rev() {
            // Nobody is left to tell.
            let _ = umount2(theirs, MntFlags::MNT_DETACH);
        }
    }
}

/// An error of the kernel as one that says what was attempted.
fn in_words(what: &str, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// hosts(5)
fn hosts(names: &[(&str, Ipv4Addr)]) -> String {
    let mut text = "127.0.0.1 localhost\n".to_owned();
    for (name, address) in names {
        let _ = writeln!(text, "{address} {name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_has_all_names() {
        let text = hosts(&[("a.example", Ipv4Addr::new(192, 0, 2, 1)), ("b.example", Ipv4Addr::new(192, 0, 2, 2))]);
        assert_eq!(text, "127.0.0.1 localhost\n192.0.2.1 a.example\n192.0.2.2 b.example\n");
    }
}
