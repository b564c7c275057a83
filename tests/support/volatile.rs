//! Sites whose addresses come and go, and the name server that knows where they are.
//!
//! ```text
//! left 192.0.2.1 --- .254 router, name server .254 --- 198.51.100.2 right
//!   2001:db8:1:: --- ::fe                     ::fe --- 2001:db8:2::
//! ```
//! Lines have IPv4 addresses unless a test gives them others.
//! Lines carry 1492 bytes, as with PPPoE. Programs at a site see files of its own in the place of some in `/etc`.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use longcable_core::tls::Role;
use nix::sys::signal::Signal;

use super::{Daemon, Filling, Lab, Link, PATIENCE, Pinger, Program, Site, end, pki, poll, tls_end};
use longcable::demo::lab::find_program;

/// The names of the sites in the dynamic DNS.
pub const NAMES: [&str; 2] = ["left.example", "right.example"];

/// What is different at each site.
const FILES: [&str; 5] = ["resolv.conf", "hosts", "nsswitch.conf", "group", "passwd"];

/// How long a line is down when it gets another address.
const REDIAL: Duration = Duration::from_millis(100);

impl Lab {
    /// Two sites with names, on lines whose addresses change; a router between them.
    pub fn volatile() -> Self {
        let mut lab = Self::routed();
        for (name, site) in [("left", &mut lab.left), ("right", &mut lab.right)] {
            site.ip(&["link set eth0 mtu 1492"]);
            site.etc = Some(lab.scratch.path().join(name));
        }
        lab.router_ip(&[
            "link set left mtu 1492",
            "link set right mtu 1492",
            "addr add 2001:db8:1::fe/64 dev left nodad",
            "addr add 2001:db8:2::fe/64 dev right nodad",
        ]);
        super::lab::set(lab.router.as_ref().expect("a routed laboratory"), "net/ipv6/conf/all/forwarding", "1");
        for site in [&lab.left, &lab.right] {
            let etc = site.etc.as_deref().expect("we have set it");
            fs::create_dir(etc).expect("a directory");
            for name in FILES {
                let text = match name {
                    "resolv.conf" => format!("nameserver {}\n", site.gateway()),
                    "hosts" => "127.0.0.1 localhost\n".to_owned(),
                    "nsswitch.conf" => "passwd: files\ngroup: files\nhosts: files dns\n".to_owned(),
                    // Not every system has such a group.
                    "group" => "root:x:0:\nnobody:x:65534:\n".to_owned(),
                    _ => "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n".to_owned(),
                };
                fs::write(etc.join(name), text).expect("room on the disk");
            }
        }
        lab
    }

    /// Both lines get other addresses at the same time, which end in these figures.
    pub fn redial_both(&self, last: u8) {
        for site in [&self.left, &self.right] {
            site.hang_up();
        }
        thread::sleep(REDIAL);
        for site in [&self.left, &self.right] {
            site.dial(last);
        }
    }

    /// Somebody else gets the address of this site that ends so; the site must have left it.
    pub fn give_away(&self, site: &Site, last: u8) -> Site {
        let stranger = Site::stranger(site.address(last));
        let router = self.router.as_ref().expect("a routed laboratory");
        super::lab::join((&stranger.namespace, "eth0"), (router, "stranger"));
        let (address, gateway) = (stranger.outside, site.gateway());
        self.router_ip(&[&format!("route add {address}/32 dev stranger")]);
        stranger.ip(&[
            &format!("addr add {address}/32 dev eth0"),
            &format!("route add {gateway}/32 dev eth0"),
            &format!("route add default via {gateway}"),
        ]);
        stranger
    }

    /// Runs `ip` at the router with each of these lines of arguments.
    pub fn router_ip(&self, commands: &[&str]) {
        super::lab::ip(self.router.as_ref().expect("a routed laboratory"), commands);
    }
}

impl Site {
    /// Its line goes down and comes up with another address, which ends in this figure.
    pub fn redial(&self, last: u8) {
        self.hang_up();
        thread::sleep(REDIAL);
        self.dial(last);
    }

    /// Its line goes down, and address and routes with it.
    pub fn hang_up(&self) {
        self.ip(&["addr flush dev eth0", "link set eth0 down"]);
    }

    /// Its line comes up.
    pub fn dial(&self, last: u8) {
        let (address, gateway) = (self.address(last), self.gateway());
        self.line_up();
        self.ip(&[&format!("addr add {address}/24 dev eth0"), &format!("route add default via {gateway}")]);
    }

    /// Its line comes up, with an IPv6 address alone.
    pub fn dial_ipv6(&self, last: u8) {
        self.line_up();
        self.add_ipv6(last);
        self.ask(self.gateway_ipv6());
    }

    /// Its line has an IPv6 address as well.
    pub fn add_ipv6(&self, last: u8) {
        let (address, gateway) = (self.address_ipv6(last), self.gateway_ipv6());
        self.ip(&[&format!("addr add {address}/64 dev eth0 nodad"), &format!("route add default via {gateway}")]);
    }

    /// Programs here ask this name server from now on.
    pub fn ask(&self, server: impl Into<IpAddr>) {
        let etc = self.etc.as_deref().expect("a volatile laboratory");
        fs::write(etc.join("resolv.conf"), format!("nameserver {}\n", server.into())).expect("room on the disk");
    }

    fn line_up(&self) {
        self.ip(&["link set eth0 up"]);
        // Lines get their addresses when they work; what is sent before is lost, and asked for again after a second.
        let works = poll(PATIENCE, || self.output("ip -o link show eth0").contains(" state UP ").then_some(()));
        assert!(works.is_some(), "the line of {} does not come up", self.outside);
    }

    /// It gets another address while its line stays up.
    pub fn renumber(&self, last: u8) {
        let (address, gateway) = (self.address(last), self.gateway());
        self.ip(&[
            "addr flush dev eth0",
            &format!("addr add {address}/24 dev eth0"),
            &format!("route add default via {gateway}"),
        ]);
    }

    /// An address of its line, which ends in this figure.
    pub fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.outside.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    /// As above; an IPv6 address.
    pub fn address_ipv6(&self, last: u8) -> Ipv6Addr {
        let [.., number] = self.outside6.segments();
        Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, last.into())
    }

    /// The router, and the name server.
    pub fn gateway(&self) -> Ipv4Addr {
        self.address(254)
    }

    fn gateway_ipv6(&self) -> Ipv6Addr {
        self.address_ipv6(0xfe)
    }

    /// A command that runs here, with this site's files in the place of those in `/etc`.
    pub fn command(&self, program: &Path) -> Command {
        let Some(etc) = &self.etc else { return Command::new(program) };
        let tool =
            |name: &str| find_program(Path::new(name)).unwrap_or_else(|| panic!("no {name}: install util-linux"));
        let mut command = Command::new(tool("unshare"));
        let mounts = r#"for file in $2; do mount --bind "$1/$file" "/etc/$file" || exit; done; shift 2; exec "$@""#;
        command.args(["--mount", "--propagation", "private", "sh", "-c", mounts, "sh"]);
        command.arg(etc).arg(FILES.join(" ")).arg(program);
        command
    }
}

/// dnsmasq on the router: it answers for the names, as quickly as somebody tells it where they are.
pub struct NameServer<'a> {
    lab: &'a Lab,
    program: RefCell<Option<Daemon>>,
    /// How often it has read the records.
    reads: Cell<usize>,
}

impl<'a> NameServer<'a> {
    /// Starts it, with the names of both sites at their first addresses.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn start(lab: &'a Lab) -> Self {
        let server = Self { lab, program: RefCell::new(None), reads: Cell::new(0) };
        server.write(&[(NAMES[0], lab.left.outside), (NAMES[1], lab.right.outside)]);
        server.resume();
        server
    }

    /// Replaces all records. A name may have several; one that has none does not exist.
    pub fn set(&self, records: &[(&str, Ipv4Addr)]) {
        self.set_all(records);
    }

    /// As above; addresses of any version.
    pub fn set_all(&self, records: &[(&str, impl Display)]) {
        self.write(records);
        if let Some(program) = self.program.borrow_mut().as_mut() {
            program.signal(Signal::SIGHUP);
            self.reads.set(self.reads.get() + 1);
            program.wait_for_count("read ", self.reads.get());
        }
    }

    /// Both sites have addresses that end so.
    pub fn set_both(&self, last: u8) {
        self.set(&[(NAMES[0], self.lab.left.address(last)), (NAMES[1], self.lab.right.address(last))]);
    }

    /// It is dead: its port is closed.
    pub fn stop(&self) {
        *self.program.borrow_mut() = None;
    }

    /// It says nothing any more, or goes on.
    pub fn freeze(&self, frozen: bool) {
        if let Some(program) = self.program.borrow_mut().as_mut() {
            program.signal(if frozen { Signal::SIGSTOP } else { Signal::SIGCONT });
        }
    }

    /// How often it was asked for this name.
    pub fn asked(&self, name: &str) -> usize {
        self.program.borrow().as_ref().map_or(0, |program| program.count(&format!("query[A] {name}")))
    }

    /// It runs again.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn resume(&self) {
        let program = find_program(Path::new("dnsmasq")).expect("no program dnsmasq: apt-get install dnsmasq-base");
        let mut command = Command::new(program);
        // Stays root: what changes its user outlives its parent.
        command.args(["--no-daemon", "--log-facility=-", "--conf-file=/dev/null", "--pid-file"]);
        command.args(["--no-resolv", "--no-hosts", "--local-ttl=0", "--cache-size=0", "--log-queries"]);
        // Nothing is asked elsewhere, and what is not there does not exist.
        command.args(["--local=/example/", "--local=/mydomain.com/"]);
        command.arg("--addn-hosts").arg(self.lab.directory().join("records"));
        let router = self.lab.router.as_ref().expect("a routed laboratory");
        let program = Daemon::spawn(self.lab, router, "dnsmasq at the router", &mut command);
        program.wait_for("read ");
        self.reads.set(1);
        *self.program.borrow_mut() = Some(program);
    }

    fn write(&self, records: &[(&str, impl Display)]) {
        let lines: Vec<_> = records.iter().map(|(name, address)| format!("{address} {name}\n")).collect();
        self.lab.write("records", &lines.concat());
    }
}

/// What proves the ends to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A secret that both have.
    StaticKey,
    /// Certificates; the left end has this role.
    Tls(Role),
}

impl Proof {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::StaticKey, Self::Tls(Role::Client), Self::Tls(Role::Server)];
}

/// The usual configs of both ends, which know each other by name, and these lines more.
pub fn named_ends(lab: &Lab, proof: Proof, more: [&str; 2]) -> [String; 2] {
    let (left, right) = (&lab.left, &lab.right);
    let [left, right] = match proof {
        Proof::StaticKey => [end(left, right, more[0]), end(right, left, more[1])],
        Proof::Tls(role) => {
            pki::write(lab);
            [tls_end(left, right, role, more[0]), tls_end(right, left, role.other(), more[1])]
        }
    };
    let named = |config: String, there: &Site, name| config.replace(&format!("remote {}", there.outside), name);
    [named(left, &lab.right, &format!("remote {}", NAMES[1])), named(right, &lab.left, &format!("remote {}", NAMES[0]))]
}

impl<'a> Link<'a> {
    /// A link between ends that know each other by name, and a packet has made its way there and back.
    ///
    /// # Panics
    /// When none does.
    pub fn named(lab: &'a Lab, programs: [Program; 2], proof: Proof, more: [&str; 2]) -> Self {
        let [left, right] = named_ends(lab, proof, more);
        let link = Self::with_configs(lab, programs, [&left, &right]);
        link.wait_for_traffic();
        link
    }

    /// How long it takes until packets pass, asked from the left; it has to be less than this.
    ///
    /// # Panics
    /// When it takes longer.
    pub fn back_within(&self, what: &str, patience: Duration) -> Duration {
        let took = self.pinger().back_within(patience);
        println!("{what}: back after {} ms", took.as_millis());
        took
    }

    /// As [`check_pings`](Self::check_pings), between these programs. openvpn drops packets for a second after it has
    /// agreed on a new session, which may come later than the first packet.
    pub fn check_pings_between(&self, programs: [Program; 2]) {
        if programs.contains(&Program::Openvpn) {
            thread::sleep(Duration::from_millis(1200));
        }
        self.check_pings();
    }

    /// How often one of them has restarted.
    pub fn restarts(&self) -> usize {
        self.left.count("process restarting") + self.right.count("process restarting")
    }
}

/// Echoes in a quick row, as long as something goes on; all of them are answered.
///
/// # Panics
/// When one is lost.
pub fn none_lost<T>(mut pinger: Pinger, during: impl FnOnce() -> T) -> T {
    meanwhile(
        |goes_on| {
            let mut count = 0;
            while goes_on() || count < 50 {
                pinger.must_answer(64, Filling::Random);
                count += 1;
                thread::sleep(Duration::from_millis(2));
            }
        },
        during,
    )
}

/// Does one thing in the background, as long as another goes on.
///
/// # Panics
/// When one of them does.
pub fn meanwhile<T>(background: impl FnOnce(&dyn Fn() -> bool) + Send, during: impl FnOnce() -> T) -> T {
    struct Ends<'f>(&'f AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let worker = scope.spawn(|| background(&|| !ended.load(Ordering::Relaxed)));
        let ends = Ends(&ended);
        let result = during();
        drop(ends);
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        result
    })
}
