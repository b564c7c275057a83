//! Becoming a lesser process: user, group, root directory, priority, locked memory (protocol section 5.5).

use crate::log;
use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{self, Group, User};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::fmt;
use std::path::{Path, PathBuf};

/// An option of the process cannot be carried out.
#[derive(Debug)]
pub struct SetupError {
    /// What was tried: the option, and what failed.
    pub problem: String,
    /// What the operator can do.
    pub remedy: &'static str,
}

impl SetupError {
    pub(crate) fn new(problem: String, remedy: &'static str) -> Self {
        Self { problem, remedy }
    }

    fn system(what: fmt::Arguments<'_>, cause: impl Into<std::io::Error>, remedy: &'static str) -> Self {
        Self::new(format!("{what}: {}", log::Errno(&cause.into())), remedy)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

impl std::error::Error for SetupError {}

/// What to become after the start: `user`, `group` and `chroot`, looked up while that is still possible.
#[derive(Debug)]
pub struct Identity {
    user: Option<User>,
    group: Option<Group>,
    root: Option<PathBuf>,
}

impl Identity {
    /// Looks user and group up, and checks that the new root directory is one.
    ///
    /// # Errors
    /// If one of them does not exist.
    pub fn resolve(user: Option<&str>, group: Option<&str>, chroot: Option<&Path>) -> Result<Self, SetupError> {
        let find_user = |name: &str| {
            let problem = || format!("--user: failed to find UID for user {name}");
            User::from_name(name)
                .ok()
                .flatten()
                .ok_or_else(|| SetupError::new(problem(), "name a user of this system, such as nobody, or add it"))
        };
        let find_group = |name: &str| {
            let problem = || format!("--group: failed to find GID for group {name}");
            Group::from_name(name)
                .ok()
                .flatten()
                .ok_or_else(|| SetupError::new(problem(), "name a group of this system, such as nogroup, or add it"))
        };
        if let Some(path) = chroot {
            let cannot = |cause: std::io::Error| {
                let what = format_args!("--chroot directory fails with '{}'", path.display());
                SetupError::system(what, cause, "make the directory or remove 'chroot'")
            };
            match std::fs::metadata(path) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(cannot(Errno::ENOTDIR.into())),
                Err(error) => return Err(cannot(error)),
            }
        }
        Ok(Self {
            user: user.map(find_user).transpose()?,
            group: group.map(find_group).transpose()?,
            root: chroot.map(Path::to_owned),
        })
    }

    /// Whether there is anything to change.
    pub fn changes_something(&self) -> bool {
        self.user.is_some() || self.group.is_some() || self.root.is_some()
    }

    /// Becomes it, for good: root directory, then group, then user. Supplementary groups are given up.
    ///
    /// With `user` or `group`, CAP_NET_ADMIN is kept and every other capability is given up, as openvpn does on Linux:
    /// so addresses and routes can still be removed. Capabilities belong to a thread: this one keeps CAP_NET_ADMIN,
    /// others that exist already lose it too. Programs that are started do not get it.
    ///
    /// # Errors
    /// If the process may not do it. It must not go on then: half of it may be done.
    pub fn assume(self) -> Result<(), SetupError> {
        if let Some(path) = &self.root {
            let remedy = "start as root or remove 'chroot'";
            unistd::chroot(path.as_path())
                .and_then(|()| unistd::chdir("/"))
                .map_err(|e| SetupError::system(format_args!("chroot to '{}' failed", path.display()), e, remedy))?;
            log::line(1, format_args!("chroot to '{}' and cd to '/' succeeded", path.display()));
        }
        if self.user.is_none() && self.group.is_none() {
            return Ok(());
        }
        let keeps = keep_net_admin_across_user_change();
        let groups: Vec<_> = self.group.iter().map(|group| group.gid).collect();
        unistd::setgroups(&groups).map_err(|e| {
            SetupError::system(format_args!("giving up supplementary groups failed"), e, "start as root")
        })?;
        if let Some(group) = &self.group {
            let remedy = "start as root or remove 'group'";
            unistd::setgid(group.gid)
                .map_err(|e| SetupError::system(format_args!("setgid('{}') failed", group.name), e, remedy))?;
        }
        if let Some(user) = &self.user {
            let remedy = "start as root or remove 'user'";
            unistd::setuid(user.uid)
                .map_err(|e| SetupError::system(format_args!("setuid('{}') failed", user.name), e, remedy))?;
            log::line(1, format_args!("UID set to {}", user.name));
        }
        if let Some(group) = &self.group {
            log::line(1, format_args!("GID set to {}", group.name));
        }
        reduce_capabilities(keeps)
    }
}

/// `nice n`: the priority of the process; lower is more.
///
/// # Errors
/// If the process may not take that priority.
pub fn set_nice(nice: i32) -> Result<(), SetupError> {
    rustix::process::setpriority_process(None, nice).map_err(|error| {
        let remedy = "a negative value needs root";
        SetupError::system(format_args!("nice {nice} failed"), error, remedy)
    })?;
    log::line(1, format_args!("nice {nice} succeeded"));
    Ok(())
}

/// `mlock`: keeps all memory, now and later, out of swap.
///
/// The limit for it is raised where that is allowed, as without root memory beyond the limit cannot be had any more.
///
/// # Errors
/// If the system refuses.
pub fn lock_memory() -> Result<(), SetupError> {
    /// Far more than a link needs: openvpn asks for as much.
    const ENOUGH: libc::rlim_t = 100 << 20;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_MEMLOCK)
        && soft < ENOUGH
        && setrlimit(Resource::RLIMIT_MEMLOCK, ENOUGH, hard.max(ENOUGH)).is_err()
    {
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, hard.min(ENOUGH), hard);
        log::line(3, format_args!("mlock: MEMLOCK limit: soft={} KB, hard={} KB", soft >> 10, hard >> 10));
    }
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(|error| {
        let remedy = "start as root, raise the limit of locked memory (ulimit -l) or remove 'mlock'";
        SetupError::system(format_args!("mlockall failed"), error, remedy)
    })?;
    log::line(1, format_args!("mlockall call succeeded"));
    Ok(())
}

/// Whether CAP_NET_ADMIN is there to keep; if so, a change of the user leaves it permitted.
fn keep_net_admin_across_user_change() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|now| now.permitted.contains(CapabilitySet::NET_ADMIN))
        && rustix::thread::set_keep_capabilities(true).is_ok()
}

fn reduce_capabilities(keep_net_admin: bool) -> Result<(), SetupError> {
    let kept = if keep_net_admin { CapabilitySet::NET_ADMIN } else { CapabilitySet::empty() };
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)
        .map_err(|error| SetupError::system(format_args!("giving up capabilities failed"), error, "start as root"))?;
    if keep_net_admin {
        log::line(1, format_args!("Capabilities retained: CAP_NET_ADMIN"));
    } else {
        log::line(1, format_args!("NOTE: no CAP_NET_ADMIN to retain: addresses and routes may stay after the end"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TempDir, in_child, need_root};
    use std::process::Command;

    /// The fields of a process or thread that tell who it is.
    fn identity(status: &str) -> Vec<String> {
        let wanted = ["Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapAmb:"];
        let lines = status.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    const NOTHING: &str = "0000000000000000";
    const NET_ADMIN: &str = "0000000000001000";

    #[test]
    fn only_net_admin_is_left_and_programs_do_not_get_it() {
        need_root();
        if in_child("privileges::tests::only_net_admin_is_left_and_programs_do_not_get_it", &[]).is_some() {
            return;
        }
        unistd::setgroups(&[unistd::Gid::from_raw(4), unistd::Gid::from_raw(20)]).unwrap();
        Identity::resolve(Some("nobody"), Some("nogroup"), None).unwrap().assume().unwrap();
        let expected = |caps: &str| {
            let (uid, gid) = ("Uid: 65534 65534 65534 65534", "Gid: 65534 65534 65534 65534");
            let caps = format!("CapInh: {NOTHING}, CapPrm: {caps}, CapEff: {caps}, CapAmb: {NOTHING}");
            format!("{uid}, {gid}, Groups: 65534, {caps}")
        };
        let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert_eq!(identity(&own).join(", "), expected(NET_ADMIN));
        assert!(unistd::setuid(unistd::Uid::from_raw(0)).is_err(), "there is a way back to root");
        let program = Command::new("/bin/cat").arg("/proc/self/status").output().unwrap();
        assert_eq!(identity(&String::from_utf8(program.stdout).unwrap()).join(", "), expected(NOTHING));
    }

    #[test]
    fn with_a_group_alone_root_keeps_its_number_but_not_its_powers() {
        need_root();
        if in_child("privileges::tests::with_a_group_alone_root_keeps_its_number_but_not_its_powers", &[]).is_some() {
            return;
        }
        Identity::resolve(None, Some("nogroup"), None).unwrap().assume().unwrap();
        let own = identity(&std::fs::read_to_string("/proc/thread-self/status").unwrap());
        assert_eq!(own[..2], ["Uid: 0 0 0 0", "Gid: 65534 65534 65534 65534"]);
        assert_eq!(own[4..6], [format!("CapPrm: {NET_ADMIN}"), format!("CapEff: {NET_ADMIN}")]);
    }

    #[test]
    fn the_root_directory_changes() {
        need_root();
        let Some(path) = std::env::var_os("NEW_ROOT") else {
            let dir = TempDir::new();
            std::fs::write(dir.path().join("inside"), "").unwrap();
            let env = [("NEW_ROOT", dir.path().to_str().unwrap())];
            in_child("privileges::tests::the_root_directory_changes", &env).unwrap();
            return;
        };
        let identity = Identity::resolve(Some("nobody"), None, Some(Path::new(&path))).unwrap();
        assert!(identity.changes_something());
        identity.assume().unwrap();
        assert_eq!(std::env::current_dir().unwrap(), Path::new("/"));
        let names: Vec<_> = std::fs::read_dir("/").unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["inside"]);
        assert_eq!(unistd::getuid().as_raw(), 65534);
    }

    #[test]
    fn errors_name_the_option_and_the_remedy() {
        let refused = |user, group, chroot: Option<&str>| {
            Identity::resolve(user, group, chroot.map(Path::new)).unwrap_err().to_string()
        };
        assert_eq!(
            refused(Some("nosuch"), None, None),
            "--user: failed to find UID for user nosuch; name a user of this system, such as nobody, or add it"
        );
        assert!(refused(None, Some("nosuch"), None).starts_with("--group: failed to find GID for group nosuch; "));
        let missing = "--chroot directory fails with '/nope': No such file or directory (errno=2); ";
        assert!(refused(None, None, Some("/nope")).starts_with(missing));
        let file = "--chroot directory fails with '/etc/passwd': Not a directory (errno=20); ";
        assert!(refused(None, None, Some("/etc/passwd")).starts_with(file));
        assert!(!Identity::resolve(None, None, None).unwrap().changes_something());
    }

    #[test]
    fn an_ordinary_user_is_told_what_needs_root() {
        need_root();
        if in_child("privileges::tests::an_ordinary_user_is_told_what_needs_root", &[]).is_some() {
            return;
        }
        Identity::resolve(Some("nobody"), None, None).unwrap().assume().unwrap();
        let refused = |user, chroot: Option<&str>| {
            let identity = Identity::resolve(user, None, chroot.map(Path::new)).unwrap();
            identity.assume().unwrap_err().to_string()
        };
        assert_eq!(
            refused(None, Some("/")),
            "chroot to '/' failed: Operation not permitted (errno=1); start as root or remove 'chroot'"
        );
        assert!(refused(Some("root"), None).contains("Operation not permitted (errno=1); start as root"));
        let refused = set_nice(-5).unwrap_err().to_string();
        assert_eq!(refused, "nice -5 failed: Permission denied (errno=13); a negative value needs root");
    }

    #[test]
    fn priority_and_locked_memory() {
        need_root();
        if in_child("privileges::tests::priority_and_locked_memory", &[]).is_some() {
            return;
        }
        set_nice(7).unwrap();
        assert_eq!(rustix::process::getpriority_process(None), Ok(7));
        lock_memory().unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let locked = status.lines().find(|line| line.starts_with("VmLck:")).unwrap();
        assert!(!locked.contains(" 0 kB"), "{locked}");
    }
}
