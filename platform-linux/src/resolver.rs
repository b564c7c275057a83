//! Names to addresses, never on the packet path: every lookup has a thread of its own that nobody waits for.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::sys::{errno_text, lookup_error_text};

/// A name server that does not answer keeps a thread for half a minute: so many may wait at once.
const MAX_RUNNING: usize = 16;
/// Bytes of stack of a lookup; resolvers of C libraries need less than half of it.
const STACK: usize = 256 << 10;

/// Looks names up. Its descriptor is readable when answers wait.
#[derive(Debug)]
pub struct Resolver {
    answers: Receiver<Answer>,
    sender: Sender<Answer>,
    /// Every running lookup holds one more reference to it.
    wake: Arc<EventFd>,
    lookup: fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
}

/// Which addresses are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpVersion {
    /// All, in the order of preference of the system.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number given with the request.
    pub id: u64,
    /// At least one address, in the order of preference.
    pub result: Result<Vec<SocketAddr>, ResolveError>,
}

/// A name has no address. Displayed as
/// `RESOLVE: Cannot resolve host address: name:1194 (Name or service not known)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    /// The name.
    pub host: String,
    /// The port that goes with it.
    pub port: u16,
    /// The reason in the words of the C library.
    pub reason: String,
    /// Asking again is no use (protocol section 5.3: this ends a round of lookups at once).
    pub permanent: bool,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RESOLVE: Cannot resolve host address: {}:{} ({})", self.host, self.port, self.reason)
    }
}

impl std::error::Error for ResolveError {}

impl Resolver {
    /// A resolver without threads yet: it may be made before the program forks.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn new() -> io::Result<Self> {
        let (sender, answers) = channel();
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        Ok(Self { answers, sender, wake, lookup: system_lookup })
    }

    /// Asks for the addresses of a host; the answer comes from `poll` and carries `id`. An address in figures is
    /// answered without a thread. Dropping the resolver forgets what still runs.
    pub fn request(&self, id: u64, host: &str, port: u16, version: IpVersion) {
        if let Ok(ip) = host.parse::<IpAddr>() {
            let result = choose(host, port, version, Ok(vec![SocketAddr::new(ip, port)]));
            return deliver(&self.sender, &self.wake, Answer { id, result });
        }
        let (name, lookup) = (host.to_owned(), self.lookup);
        let (sender, wake) = (self.sender.clone(), Arc::clone(&self.wake));
        let run = move || {
            let result = choose(&name, port, version, lookup(&name, port));
            deliver(&sender, &wake, Answer { id, result });
        };
        let refusal = if Arc::strong_count(&self.wake) > MAX_RUNNING {
            "too many lookups wait for name servers that do not answer".into()
        } else {
            match thread::Builder::new().name("resolver".into()).stack_size(STACK).spawn(run) {
                Ok(_) => return,
                Err(error) => error.to_string(),
            }
        };
        let error = ResolveError { host: host.into(), port, reason: refusal, permanent: false };
        deliver(&self.sender, &self.wake, Answer { id, result: Err(error) });
    }

    /// The next answer; None when none waits: only then the descriptor is quiet again.
    pub fn poll(&self) -> Option<Answer> {
        self.answers.try_recv().ok().or_else(|| {
            // An answer may come between the look before and the reset: look again.
            let _nothing_waits = self.wake.read();
            self.answers.try_recv().ok()
        })
    }
}

impl AsFd for Resolver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

fn deliver(sender: &Sender<Answer>, wake: &EventFd, answer: Answer) {
    // Without a resolver nobody wants the answer. A counter that is full is not zero, and that wakes.
    if sender.send(answer).is_ok() {
        let _full = wake.write(1);
    }
}

fn system_lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

fn choose(
    host: &str,
    port: u16,
    version: IpVersion,
    found: io::Result<Vec<SocketAddr>>,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let refuse = |reason: String| {
        let permanent = reason == lookup_error_text(libc::EAI_FAIL);
        ResolveError { host: host.into(), port, reason, permanent }
    };
    let mut addresses = found.map_err(|error| refuse(reason(&error)))?;
    addresses.retain(|address| match version {
        IpVersion::Any => true,
        IpVersion::V4 => address.is_ipv4(),
        IpVersion::V6 => address.is_ipv6(),
    });
    if addresses.is_empty() { Err(refuse("No address associated with hostname".into())) } else { Ok(addresses) }
}

/// The words of the C library, without those that std puts before them.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => errno_text(Errno::from_raw(code)),
        None => {
            let text = error.to_string();
            text.strip_prefix("failed to lookup address information: ").map(str::to_owned).unwrap_or(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::os::fd::AsFd;
    use std::time::{Duration, Instant};
    use std::{io, thread};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::{Answer, IpVersion, MAX_RUNNING, ResolveError, Resolver};

    fn wakes(resolver: &Resolver, within: Duration) -> bool {
        let timeout = PollTimeout::try_from(within).unwrap();
        poll(&mut [PollFd::new(resolver.as_fd(), PollFlags::POLLIN)], timeout).unwrap() == 1
    }

    fn answer(resolver: &Resolver) -> Answer {
        loop {
            if let Some(answer) = resolver.poll() {
                return answer;
            }
            assert!(wakes(resolver, Duration::from_secs(30)), "no answer came within 30 s");
        }
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn figures_need_no_lookup() {
        fn forbidden(_: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            panic!("an address in figures was looked up")
        }
        let resolver = Resolver { lookup: forbidden, ..Resolver::new().unwrap() };
        assert_eq!(resolver.poll(), None);
        for (host, version, expected) in [
            ("192.0.2.1", IpVersion::Any, Some("192.0.2.1:1194")),
            ("192.0.2.1", IpVersion::V4, Some("192.0.2.1:1194")),
            ("192.0.2.1", IpVersion::V6, None),
            ("fd00::1", IpVersion::Any, Some("[fd00::1]:1194")),
            ("fd00::1", IpVersion::V4, None),
        ] {
            resolver.request(7, host, 1194, version);
            let answer = answer(&resolver);
            assert_eq!(answer.id, 7);
            assert_eq!(answer.result.ok(), expected.map(|text| addresses(&[text])), "{host} {version:?}");
            assert_eq!(resolver.poll(), None);
            assert!(!wakes(&resolver, Duration::ZERO));
        }
    }

    #[test]
    fn the_system_knows_localhost_and_not_the_rest() {
        let resolver = Resolver::new().unwrap();
        resolver.request(1, "localhost", 1194, IpVersion::V4);
        assert_eq!(answer(&resolver), Answer { id: 1, result: Ok(addresses(&["127.0.0.1:1194"])) });
        resolver.request(2, "no such name", 1194, IpVersion::Any);
        let error = answer(&resolver).result.unwrap_err();
        assert_eq!(
            error.to_string(),
            "RESOLVE: Cannot resolve host address: no such name:1194 (Name or service not known)"
        );
        assert!(!error.permanent);
    }

    #[test]
    fn one_version_is_chosen_and_the_order_kept() {
        fn both(_: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            Ok(["fd00::2", "192.0.2.2", "fd00::1"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).to_vec())
        }
        let resolver = Resolver { lookup: both, ..Resolver::new().unwrap() };
        for (version, expected) in [
            (IpVersion::Any, &["[fd00::2]:5000", "192.0.2.2:5000", "[fd00::1]:5000"][..]),
            (IpVersion::V6, &["[fd00::2]:5000", "[fd00::1]:5000"]),
            (IpVersion::V4, &["192.0.2.2:5000"]),
        ] {
            resolver.request(0, "gateway.example", 5000, version);
            assert_eq!(answer(&resolver).result, Ok(addresses(expected)));
        }
        let text = super::lookup_error_text(libc::EAI_FAIL);
        let failed = io::Error::other(format!("failed to lookup address information: {text}"));
        let error = super::choose("gateway.example", 1194, IpVersion::Any, Err(failed)).unwrap_err();
        assert_eq!(error, ResolveError { host: "gateway.example".into(), port: 1194, reason: text, permanent: true });
    }

    #[test]
    fn a_hanging_lookup_holds_nothing_up() {
        fn hang(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            if host == "slow.example" {
                thread::sleep(Duration::from_secs(600));
            }
            Ok(vec![SocketAddr::new("192.0.2.2".parse().unwrap(), port)])
        }
        let start = Instant::now();
        let resolver = Resolver { lookup: hang, ..Resolver::new().unwrap() };
        resolver.request(1, "slow.example", 1194, IpVersion::Any);
        resolver.request(2, "quick.example", 1194, IpVersion::Any);
        assert_eq!(answer(&resolver).id, 2);
        assert_eq!(resolver.poll(), None);
        for id in 0..2 * MAX_RUNNING as u64 {
            resolver.request(id, "slow.example", 1194, IpVersion::Any);
        }
        let refused = answer(&resolver).result.unwrap_err();
        assert!(refused.to_string().ends_with("(too many lookups wait for name servers that do not answer)"));
        drop(resolver);
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
