//! Interfaces, addresses and routes over rtnetlink: synchronous, and without shelling out to `ip`.

mod address;
mod link;
mod route;
#[cfg(test)]
pub(crate) mod testing;
mod watch;

use std::cell::Cell;
use std::fmt;

use netlink_packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, Parseable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;

use crate::sys::{errno, errno_text};

pub use address::InterfaceAddress;
pub use link::Link;
pub use route::{Path, Route, RouteTable};
pub use watch::PathWatch;

/// A conversation with the kernel about the network namespace that the thread was in at `open`.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: Cell<u32>,
}

/// What was attempted and why the kernel refused: `add route 10.0.0.0/24 via 10.1.0.2: File exists`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetError {
    /// The attempt, in the words of the `ip` command.
    pub attempt: String,
    /// The kernel's answer.
    pub errno: Errno,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attempt, errno_text(self.errno))?;
        match self.errno {
            Errno::EPERM | Errno::EACCES => f.write_str(" (root or CAP_NET_ADMIN is needed)"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for NetError {}

impl Netlink {
    /// Opens the socket. Allowed for everybody; changes need CAP_NET_ADMIN.
    ///
    /// # Errors
    /// The kernel has no netlink, or there are no descriptors left.
    pub fn open() -> Result<Self, NetError> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            Ok(socket)
        };
        open()
            .map(|socket| Self { socket, sequence: Cell::new(0) })
            .map_err(|error| NetError { attempt: "open a netlink socket".into(), errno: errno(&error) })
    }

    /// Asks for a change and waits until the kernel has made it. `attempt` words the error.
    fn request(&self, message: RouteNetlinkMessage, flags: u16, attempt: &dyn fmt::Display) -> Result<(), NetError> {
        self.exchange(message, flags, attempt).map(drop)
    }

    /// Asks for one object.
    fn get(&self, message: RouteNetlinkMessage, attempt: &dyn fmt::Display) -> Result<Answer, NetError> {
        let answer = self.exchange(message, 0, attempt)?.pop();
        answer.ok_or_else(|| NetError { attempt: attempt.to_string(), errno: Errno::EBADMSG })
    }

    /// Asks for all objects of a kind.
    fn dump(&self, message: RouteNetlinkMessage, attempt: &dyn fmt::Display) -> Result<Vec<Answer>, NetError> {
        self.exchange(message, NLM_F_DUMP, attempt)
    }

    /// Sends one message and collects the answers up to the acknowledgement.
    fn exchange(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        attempt: &dyn fmt::Display,
    ) -> Result<Vec<Answer>, NetError> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        message.header.sequence_number = sequence;
        message.finalize();
        let mut request = vec![0; message.buffer_len()];
        message.serialize(&mut request);

        let converse = || {
            retry(|| self.socket.send_to(&request, &SocketAddr::new(0, 0), 0))?;
            self.collect(sequence)
        };
        converse().map_err(|errno| NetError { attempt: attempt.to_string(), errno })
    }

    fn collect(&self, sequence: u32) -> Result<Vec<Answer>, Errno> {
        let mut answers = Vec::new();
        // The kernel fills at most 32 KiB at once.
        let mut buffer = Vec::with_capacity(32 << 10);
        loop {
            buffer.clear();
            let (_, sender) = retry(|| self.socket.recv_from(&mut buffer, 0))?;
            if sender.port_number() != 0 {
                continue; // not from the kernel
            }
            let mut rest = &buffer[..];
            while let Ok(frame) = NetlinkBuffer::new_checked(&rest) {
                let length = frame.length() as usize;
                if frame.sequence_number() == sequence {
                    match NetlinkMessage::<Answer>::deserialize(&rest[..length]).map(|message| message.payload) {
                        Ok(NetlinkPayload::InnerMessage(answer)) => answers.push(answer),
                        Ok(NetlinkPayload::Error(error)) if error.code.is_some() => {
                            return Err(Errno::from_raw(error.raw_code().saturating_neg()));
                        }
                        Ok(NetlinkPayload::Error(_) | NetlinkPayload::Done(_)) => return Ok(answers),
                        Ok(NetlinkPayload::Overrun(_)) => return Err(Errno::ENOBUFS),
                        // An object newer than this program is none that it asks for.
                        Ok(_) | Err(_) => {}
                    }
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}

/// What the kernel answers with. The library can read everything that rtnetlink knows of, every kind of interface
/// included, but the code for that is a tenth of the program.
enum Answer {
    Link(Link),
    Route(RouteMessage),
    Other,
}

impl NetlinkDeserializable for Answer {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        match header.message_type {
            libc::RTM_NEWLINK => Link::parse(payload).map(Self::Link),
            libc::RTM_NEWROUTE => RouteMessage::parse(payload).map(Self::Route),
            _ => Ok(Self::Other),
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> std::io::Result<T>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result.map_err(|error| errno(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::os::fd::AsFd;

    use nix::errno::Errno;

    use super::testing::in_namespace;
    use super::{InterfaceAddress, Link, Netlink, Route, RouteTable};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn subnet(text: &str, prefix: u8) -> InterfaceAddress {
        InterfaceAddress::Subnet { local: ip(text), prefix }
    }

    fn route(destination: &str, prefix: u8, gateway: &str) -> Route {
        Route { destination: ip(destination), prefix, gateway: Some(ip(gateway)), device: None, metric: None }
    }

    /// lcn0 with both families, joined to lcn1.
    fn wire(netlink: &Netlink) -> Link {
        let (near, far) = netlink.add_veth("lcn0", "lcn1").unwrap();
        netlink.add_address(&near, subnet("192.0.2.2", 24)).unwrap();
        netlink.add_address(&near, subnet("fd00:1::2", 64)).unwrap();
        netlink.set_up(&near, true).unwrap();
        netlink.set_up(&far, true).unwrap();
        near
    }

    #[test]
    fn links_are_made_changed_and_deleted() {
        in_namespace(|netlink| {
            let (near, _) = netlink.add_veth("lcn0", "lcn1").unwrap();
            assert!(!near.up);
            netlink.set_mtu(&near, 1400).unwrap();
            netlink.set_txqueuelen(&near, 77).unwrap();
            netlink.set_up(&near, true).unwrap();
            let near = netlink.link("lcn0").unwrap();
            assert_eq!((near.mtu, near.txqueuelen, near.up), (1400, 77, true));
            assert_eq!(netlink.link_by_index(near.index).unwrap(), near);
            netlink.delete_link(&near).unwrap();
            let error = netlink.link("lcn1").unwrap_err();
            assert_eq!(error.errno, Errno::ENODEV);
            assert_eq!(error.to_string(), "find interface lcn1: No such device");
            assert_eq!(netlink.set_up(&near, true).unwrap_err().to_string(), "set lcn0 up: No such device");
        });
    }

    #[test]
    fn a_link_moves_to_another_namespace() {
        in_namespace(|netlink| {
            let (_, far) = netlink.add_veth("lcn0", "lcn1").unwrap();
            let (done, wait) = std::sync::mpsc::channel::<()>();
            let (send, receive) = std::sync::mpsc::channel();
            let other = std::thread::spawn(move || {
                in_namespace(move |netlink| {
                    send.send(std::fs::File::open("/proc/thread-self/ns/net").unwrap()).unwrap();
                    wait.recv().unwrap();
                    assert_eq!(netlink.link("lcn1").unwrap().name, "lcn1");
                });
            });
            netlink.move_link(&far, receive.recv().unwrap().as_fd()).unwrap();
            done.send(()).unwrap();
            other.join().unwrap();
            assert_eq!(netlink.link("lcn1").unwrap_err().errno, Errno::ENODEV);
        });
    }

    #[test]
    fn addresses_are_given_and_taken() {
        in_namespace(|netlink| {
            let link = wire(netlink);
            let pair = InterfaceAddress::PointToPoint {
                local: "10.1.0.1".parse().unwrap(),
                peer: "10.1.0.2".parse().unwrap(),
            };
            netlink.add_address(&link, pair).unwrap();
            let path = netlink.path_to(ip("10.1.0.2")).unwrap();
            assert_eq!((path.device.name.as_str(), path.source, path.gateway), ("lcn0", Some(ip("10.1.0.1")), None));
            assert_eq!(
                netlink.add_address(&link, pair).unwrap_err().to_string(),
                "add address 10.1.0.1 peer 10.1.0.2 dev lcn0: File exists"
            );
            netlink.remove_address(&link, pair).unwrap();
            assert_eq!(netlink.path_to(ip("10.1.0.2")).unwrap_err().errno, Errno::ENETUNREACH);
            netlink.remove_address(&link, subnet("fd00:1::2", 64)).unwrap();
            assert_eq!(netlink.remove_address(&link, subnet("fd00:1::2", 64)).unwrap_err().errno, Errno::EADDRNOTAVAIL);
        });
    }

    #[test]
    fn routes_of_both_families_lead_somewhere() {
        in_namespace(|netlink| {
            let link = wire(netlink);
            assert_eq!(netlink.default_gateway(false).unwrap(), None);
            let ways = [
                (route("0.0.0.0", 0, "192.0.2.1"), "203.0.113.9"),
                (route("::", 0, "fd00:1::1"), "2001:db8::9"),
                (Route { metric: Some(5), ..route("10.77.0.0", 16, "192.0.2.7") }, "10.77.8.9"),
                (Route { metric: Some(5), ..route("fd00:77::", 32, "fd00:1::7") }, "fd00:77::9"),
            ];
            for (route, target) in &ways {
                netlink.add_route(route).unwrap();
                let path = netlink.path_to(ip(target)).unwrap();
                assert_eq!((path.gateway, path.device.index), (route.gateway, link.index), "{route}");
            }
            assert_eq!(netlink.path_to(ip("10.77.8.9")).unwrap().source, Some(ip("192.0.2.2")));
            let worse = Route { metric: Some(9), ..route("0.0.0.0", 0, "192.0.2.9") };
            netlink.add_route(&worse).unwrap();
            assert_eq!(netlink.default_gateway(false).unwrap().unwrap().gateway, Some(ip("192.0.2.1")));
            assert_eq!(netlink.default_gateway(true).unwrap().unwrap().gateway, Some(ip("fd00:1::1")));
            for (route, _) in &ways {
                netlink.delete_route(route).unwrap();
                assert_eq!(netlink.delete_route(route).unwrap_err().errno, Errno::ESRCH, "{route}");
            }
            assert_eq!(netlink.default_gateway(false).unwrap().unwrap().gateway, Some(ip("192.0.2.9")));
            let by_device = Route { gateway: None, device: Some(link), ..route("10.78.0.0", 16, "192.0.2.1") };
            netlink.add_route(&by_device).unwrap();
            assert_eq!(netlink.path_to(ip("10.78.0.1")).unwrap().gateway, None);
            assert_eq!(
                netlink.add_route(&by_device).unwrap_err().to_string(),
                "add route 10.78.0.0/16 dev lcn0: File exists"
            );
        });
    }

    #[test]
    fn only_own_routes_are_undone() {
        in_namespace(|netlink| {
            let link = wire(netlink);
            let before = route("10.0.0.0", 24, "192.0.2.1");
            netlink.add_route(&before).unwrap();
            let mut table = RouteTable::default();
            assert!(!table.add(netlink, Route { gateway: Some(ip("192.0.2.3")), ..before.clone() }).unwrap());
            assert!(table.add(netlink, route("10.0.1.0", 24, "192.0.2.1")).unwrap());
            // A route whose gateway is reached by the route before it.
            let nested = Route { device: Some(link.clone()), gateway: None, ..route("10.9.9.9", 32, "192.0.2.1") };
            assert!(table.add(netlink, nested).unwrap());
            assert!(table.add(netlink, route("10.0.2.0", 24, "10.9.9.9")).unwrap());
            let nowhere = table.add(netlink, route("10.0.3.0", 24, "198.51.100.1")).unwrap_err();
            assert_eq!(nowhere.to_string(), "add route 10.0.3.0/24 via 198.51.100.1: Network is unreachable");
            assert_eq!(table.routes().len(), 3);
            assert_eq!(table.remove_all(netlink), []);
            assert_eq!(table.routes(), []);
            assert_eq!(netlink.path_to(ip("10.0.1.1")).unwrap_err().errno, Errno::ENETUNREACH);
            assert_eq!(netlink.path_to(ip("10.0.0.1")).unwrap().gateway, Some(ip("192.0.2.1")));

            assert!(table.add(netlink, route("10.0.1.0", 24, "192.0.2.1")).unwrap());
            netlink.delete_link(&link).unwrap();
            assert_eq!(table.remove_all(netlink), [], "routes went with their interface");
        });
    }
}
