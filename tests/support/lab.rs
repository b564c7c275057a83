//! Two sites in namespaces of their own, and the network between them.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use longcable::demo::lab::{Namespace, Scratch, cable};

use super::Program;

/// Two sites that reach each other.
pub struct Lab {
    /// Where the test's program usually runs.
    pub left: Site,
    /// Where its peer usually runs.
    pub right: Site,
    /// Between the sites, in a [routed](Self::routed) laboratory.
    pub router: Option<Namespace>,
    pub(super) scratch: Scratch,
}

/// A place with addresses, where programs run.
pub struct Site {
    /// Its network.
    pub namespace: Namespace,
    /// Its IPv4 address on the network between the sites; the interface there is `eth0`.
    pub outside: Ipv4Addr,
    /// The IPv6 address beside it.
    pub outside6: Ipv6Addr,
    /// Its IPv4 address in the tunnel, when a test wants no other.
    pub inside: Ipv4Addr,
    /// Its IPv6 address in the tunnel, where a test uses one.
    pub inside6: Ipv6Addr,
    /// The files that programs here see in the place of those in `/etc`, in a [volatile](Lab::volatile) laboratory.
    pub etc: Option<PathBuf>,
}

impl Lab {
    /// Two sites on one cable.
    pub fn new() -> Self {
        let (left, right) = Self::sites(Ipv4Addr::new(192, 0, 2, 2));
        join((&left.namespace, "left"), (&right.namespace, "right"));
        for (site, name) in [(&left, "left"), (&right, "right")] {
            site.rename(name);
        }
        left.ip(&["addr add 192.0.2.1/24 dev eth0", "addr add 2001:db8::1/64 dev eth0 nodad"]);
        right.ip(&["addr add 192.0.2.2/24 dev eth0", "addr add 2001:db8::2/64 dev eth0 nodad"]);
        Self { left, right, router: None, scratch: scratch() }
    }

    /// Two sites on networks of their own, with a router between them that is the default gateway of both.
    pub fn routed() -> Self {
        let (left, right) = Self::sites(Ipv4Addr::new(198, 51, 100, 2));
        let router = namespace();
        for (site, port) in [(&left, "left"), (&right, "right")] {
            join((&site.namespace, "outside"), (&router, port));
            site.rename("outside");
        }
        let to_right = "addr add 198.51.100.254/24 dev right";
        ip(&router, &["link set lo up", "addr add 192.0.2.254/24 dev left", to_right]);
        set(&router, "net/ipv4/ip_forward", "1");
        left.ip(&["addr add 192.0.2.1/24 dev eth0", "route add default via 192.0.2.254"]);
        right.ip(&["addr add 198.51.100.2/24 dev eth0", "route add default via 198.51.100.254"]);
        Self { left, right, router: Some(router), scratch: scratch() }
    }

    fn sites(right: Ipv4Addr) -> (Site, Site) {
        (Site::new(1, Ipv4Addr::new(192, 0, 2, 1)), Site::new(2, right))
    }

    /// A directory for the test's files; programs start in it. A fresh key lies there as `static.key`.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// Writes a file into the directory.
    ///
    /// # Panics
    /// When the disk is full.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes an executable file into the directory.
    ///
    /// # Panics
    /// When the disk is full.
    pub fn write_script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Makes a library of this C source in the directory, to be loaded before others, and gives its path.
    ///
    /// # Panics
    /// When there is no compiler.
    pub fn library(&self, name: &str, source: &str) -> PathBuf {
        let (source, library) = (self.write(&format!("{name}.c"), source), self.directory().join(format!("{name}.so")));
        let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status();
        assert!(made.expect("no program cc: apt-get install gcc").success(), "cc of {name}.c");
        library
    }

    /// The text of a file in the directory; None while it is not there.
    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.directory().join(name)).ok()
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    fn new(number: u8, outside: Ipv4Addr) -> Self {
        let namespace = namespace();
        ip(&namespace, &["link set lo up"]);
        // Nothing but the test itself sends packets when it can be helped.
        set(&namespace, "net/ipv6/conf/default/router_solicitations", "0");
        set(&namespace, "net/ipv6/conf/default/accept_dad", "0");
        set(&namespace, "net/ipv4/ping_group_range", "0 0");
        Self {
            namespace,
            outside,
            outside6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()),
            inside: Ipv4Addr::new(10, 9, 0, number),
            inside6: Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, number.into()),
            etc: None,
        }
    }

    /// A site that has nothing to do with the link.
    pub(super) fn stranger(outside: Ipv4Addr) -> Self {
        Self::new(66, outside)
    }

    /// Calls its interface as it is usually called.
    fn rename(&self, name: &str) {
        let commands =
            [format!("link set {name} down"), format!("link set {name} name eth0"), "link set eth0 up".into()];
        self.ip(&commands.each_ref().map(String::as_str));
    }

    /// Runs `ip` here with each of these lines of arguments.
    ///
    /// # Panics
    /// When one is refused.
    pub fn ip(&self, commands: &[&str]) {
        ip(&self.namespace, commands);
    }

    /// What a program prints that runs here to its end, whether it succeeds or not.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn output(&self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let mut command = Command::new(words.next().expect("a command"));
        let output = self.namespace.inside(|| command.args(words).stdin(Stdio::null()).output());
        let output = output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Whether an address of this site appears in an `ip` listing of an interface.
    pub fn has_address(&self, interface: &str, address: impl Into<IpAddr>) -> bool {
        let address = address.into();
        self.output(&format!("ip -o addr show dev {interface}")).contains(&format!(" {address}"))
    }
}

fn scratch() -> Scratch {
    let scratch = Scratch::create(false).expect("a place for temporary files");
    let key = scratch.path().join("static.key");
    let made = Command::new(Program::Openvpn.path()).args(["--genkey", "secret"]).arg(&key).status();
    assert!(made.is_ok_and(|status| status.success()), "openvpn makes a key");
    scratch
}

fn namespace() -> Namespace {
    Namespace::create().unwrap_or_else(|error| panic!("cannot make a network namespace, are you root? {error}"))
}

pub(super) fn join(here: (&Namespace, &str), there: (&Namespace, &str)) {
    cable(here, there).unwrap_or_else(|error| panic!("cannot join two namespaces: {error}"));
}

pub(super) fn ip(namespace: &Namespace, commands: &[&str]) {
    let run = || {
        let mut child =
            Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().expect("a pipe").write_all(commands.join("\n").as_bytes())?;
        child.wait_with_output()
    };
    let output =
        namespace.inside(run).unwrap_or_else(|error| panic!("no program ip: apt-get install iproute2: {error}"));
    assert!(output.status.success(), "ip {commands:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(super) fn set(namespace: &Namespace, name: &str, value: &str) {
    let set = namespace.inside(|| fs::write(Path::new("/proc/sys").join(name), value));
    set.unwrap_or_else(|error| panic!("cannot set {name}: {error}"));
}
