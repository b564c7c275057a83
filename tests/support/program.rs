//! The programs under test.

use std::env;
use std::path::{Path, PathBuf};

use longcable::demo::lab::find_program;

/// An OpenVPN program that understands the same command line and config files as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The distribution's.
    Openvpn,
    /// Ours.
    Longcable,
    /// Ours with the TLS stack of boards, which is a TLS client and needs a key for the control channel.
    Embedded,
}

impl Program {
    /// The program that is to be proved: ours, or openvpn itself when the tests are [proved](baseline).
    pub fn tested() -> Self {
        if baseline() { Self::Openvpn } else { Self::Longcable }
    }

    /// What this program says, where the two of them use their own words.
    pub fn words<'t>(self, openvpn: &'t str, longcable: &'t str) -> &'t str {
        match self {
            Self::Openvpn => openvpn,
            Self::Longcable | Self::Embedded => longcable,
        }
    }

    /// Its file.
    ///
    /// # Panics
    /// When it is not there, saying how to get it.
    pub fn path(self) -> PathBuf {
        let (name, remedy) = match self {
            Self::Openvpn => ("openvpn".into(), "apt-get install openvpn"),
            Self::Longcable => (longcable(), "cargo build --release -p longcable"),
            Self::Embedded => (embedded(), "cargo build -p longcable-tests"),
        };
        find_program(&name).unwrap_or_else(|| panic!("no program {}: {remedy}", name.display()))
    }
}

/// `LONGCABLE_BASELINE=1` puts openvpn on both ends of every test. What passes then is proved to be openvpn's own
/// behaviour, and not a wish of ours.
pub fn baseline() -> bool {
    env::var_os("LONGCABLE_BASELINE").is_some_and(|value| value != "0")
}

/// `LONGCABLE` names another build than the workspace's release build.
fn longcable() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    env::var_os("LONGCABLE").map_or_else(
        || {
            let target =
                env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
            target.join("release/longcable")
        },
        PathBuf::from,
    )
}

/// Cargo builds it for the tests, beside the directory of theirs.
fn embedded() -> PathBuf {
    let test = env::current_exe().expect("we run");
    test.ancestors().nth(2).unwrap_or(&test).join("longcable-embedded")
}
