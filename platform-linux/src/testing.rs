//! What the tests of this crate share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

const CHILD: &str = "LONGCABLE_TEST_CHILD";

/// Runs the test `name` (its whole path) once more in a process of its own with `env` added, and checks that it
/// succeeded. `None` means: this is that process, go on with the test. So a test may change what belongs to its whole
/// process (user, root directory, standard output) and disturbs no other.
#[track_caller]
pub(crate) fn in_child(name: &str, env: &[(&str, &str)]) -> Option<Output> {
    if std::env::var_os(CHILD).is_some_and(|child| child == name) {
        return None;
    }
    let program = std::env::current_exe().expect("the test program knows its own path");
    let output = Command::new(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .envs(env.iter().copied())
        .output()
        .expect("the test program can be started again");
    assert!(
        output.status.success(),
        "{name} failed in its own process:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Some(output)
}

/// Fails, saying why, unless the tests run as root.
#[track_caller]
pub(crate) fn need_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test changes user or root directory: run the tests as root");
}

/// A new directory that is removed with all its content.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("longcable-test-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory can be made for the test");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes an executable script and gives its path.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("the script can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it can be made executable");
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
