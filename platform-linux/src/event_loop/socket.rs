//! The socket towards the peer: where it is bound, and what becomes of it when this end moves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use longcable_core::event::{Address, Signal};
use longcable_core::options::Family;

use super::{EventLoop, Stop, since, unix_now};
use crate::failure::Fatal;
use crate::link::udp::{self, UdpLink, UdpOptions};
use crate::log;
use crate::resolver::{Answer, IpVersion};
use crate::tls::TlsStack;

/// A socket that waits for the address that the name in `local` has.
#[derive(Clone, Copy)]
pub(super) enum Opening {
    /// The engine has asked for it.
    Anew,
    /// This end has moved; the old one is used meanwhile.
    Again,
}

/// From here on lookups are numbered whose name is that in `local`; those of the engine have smaller numbers.
const OF_LOCAL: u64 = 1 << 32;

impl<'c, S: TlsStack> EventLoop<'c, S> {
    pub(super) fn bind(&mut self, remote: Option<SocketAddr>) -> Result<(), Stop> {
        self.remote = remote;
        if self.look_up_local(Opening::Anew) { Ok(()) } else { self.bind_to(self.local_in_figures()) }
    }

    fn bind_to(&mut self, local: Result<Option<SocketAddr>, Fatal>) -> Result<(), Stop> {
        match local.and_then(|local| self.open_socket(local)) {
            Ok(()) => {
                self.tunnel.restore_routes();
                if let Some(remote) = self.remote {
                    self.tunnel.keep_path_to(remote);
                }
                self.bound_before = true;
                if let Some(watch) = &mut self.watch {
                    watch.remember(self.remote.map(|remote| remote.ip()));
                }
                self.gateway.bound(since(self.started), unix_now(), Ok(()));
            }
            Err(error) if self.bound_before => {
                log::error(format_args!("{error}"));
                self.gateway.bound(since(self.started), unix_now(), Err(()));
            }
            Err(error) => return Err(Stop::Failed(error)),
        }
        Ok(())
    }

    /// This end has moved. A socket that is bound to no address follows by itself.
    pub(super) fn rebind(&mut self) {
        log::line(1, format_args!("The local address or route has changed: telling the peer"));
        self.tunnel.restore_routes();
        if let Some(remote) = self.remote {
            self.tunnel.keep_path_to(remote);
        }
        let follows = self.gateway.connection().local.is_none() && self.host.bind_dev.is_none();
        if !follows && !self.look_up_local(Opening::Again) {
            self.bind_again(self.local_in_figures());
        }
    }

    fn bind_again(&mut self, local: Result<Option<SocketAddr>, Fatal>) {
        // It has to go first: the port is the same.
        self.close_socket();
        if let Err(error) = local.and_then(|local| self.open_socket(local)) {
            log::error(format_args!("{error}"));
            self.gateway.signal(since(self.started), Signal::Usr1);
        }
    }

    /// The peer may be at these addresses. A socket for IPv4 makes way for one for both, with the same port, as soon as
    /// one of them is of IPv6.
    pub(super) fn reach(&mut self, addresses: &[SocketAddr]) {
        let connection = self.gateway.connection();
        if self.both_families || connection.local.is_some() || addresses.iter().all(SocketAddr::is_ipv4) {
            return;
        }
        self.both_families = true;
        let Some(socket) = &self.socket else { return };
        let port = socket.local_addr().map_or(0, |local| local.port());
        if connection.family == Family::Any && port != 0 {
            log::line(3, format_args!("The peer's name has IPv6 addresses: opening a socket for both versions of IP"));
            self.bind_again(Ok(Some(SocketAddr::new(unspecified(self.family()), port))));
        }
    }

    /// Asks where the name in `local` leads to; false if there is none or its address is known.
    fn look_up_local(&mut self, then: Opening) -> bool {
        let connection = self.gateway.connection();
        let name = connection.local.filter(|_| self.kept_local().is_none());
        let name = name.map(|word| word.to_string()).filter(|name| name.parse::<IpAddr>().is_err());
        let Some(name) = name else { return false };
        let version = match self.family() {
            udp::Family::V4 => IpVersion::V4,
            udp::Family::V6 { .. } => IpVersion::V6,
            udp::Family::Any => IpVersion::Any,
        };
        let number = self.opening.map_or(OF_LOCAL, |(number, _)| number + 1);
        self.opening = Some((number, Some(then)));
        self.resolver.request(number, &name, connection.local_port, version);
        true
    }

    /// The answer to that, or None if this is the answer to another question.
    pub(super) fn local_resolved(&mut self, answer: &Answer) -> Option<Result<(), Stop>> {
        if answer.id < OF_LOCAL {
            return None;
        }
        let asked = self.opening.as_mut().filter(|(number, _)| *number == answer.id);
        let Some(opening) = asked.and_then(|(_, opening)| opening.take()) else { return Some(Ok(())) };
        let found = match &answer.result {
            Ok(addresses) => Ok(addresses.first().copied()),
            Err(error) => Err(Fatal::new(format_args!("{error}, from 'local'"))),
        };
        Some(match opening {
            Opening::Anew => self.bind_to(found),
            Opening::Again => {
                self.bind_again(found);
                Ok(())
            }
        })
    }

    /// Addresses or routes have changed.
    pub(super) fn look_at_path(&mut self) {
        let peer = self.gateway.peer().address().or(self.remote).map(|address| address.ip());
        self.tunnel.restore_lost_routes();
        if self.watch.as_mut().is_some_and(|watch| watch.has_moved(peer)) {
            self.gateway.local_changed(since(self.started));
        }
    }

    fn open_socket(&mut self, local: Option<SocketAddr>) -> Result<(), Fatal> {
        let (connection, host) = (self.gateway.connection(), self.host);
        self.local = local.map(|local| (connection, local));
        let options = UdpOptions {
            family: self.family(),
            local,
            sndbuf: host.sndbuf,
            rcvbuf: host.rcvbuf,
            mark: host.mark,
            bind_device: host.bind_dev.clone(),
            mtu_discovery: host.mtu_disc,
        };
        let opened = UdpLink::open(&options).or_else(|error| match self.remote {
            // Half of what is wanted, where something else is in the way of the rest.
            Some(SocketAddr::V4(_)) => UdpLink::open(&UdpOptions { family: udp::Family::V4, ..options }),
            _ => Err(error),
        });
        let socket = opened.map_err(Fatal::new)?;
        socket.set_batches(host.udp_gro);
        if !host.udp_gso {
            socket.send_one_by_one();
        }
        self.announce(&socket, self.remote);
        self.socket = Some(Arc::new(socket));
        Ok(())
    }

    /// What the socket has to be to reach the peer wherever it may be.
    fn family(&self) -> udp::Family {
        let connection = self.gateway.connection();
        let both = self.both_families && connection.local.is_none();
        match (connection.family, self.remote) {
            (Family::V4, _) => udp::Family::V4,
            (Family::Any, Some(SocketAddr::V4(_))) if !both => udp::Family::V4,
            (Family::V6, _) | (Family::Any, Some(SocketAddr::V6(_))) => udp::Family::V6 { only: connection.ipv6_only },
            (Family::Any, _) => udp::Family::Any,
        }
    }

    /// The address that `persist-local-ip` keeps.
    fn kept_local(&self) -> Option<SocketAddr> {
        let connection = self.gateway.connection();
        let kept = self.local.filter(|(owner, _)| self.config.persist_local_ip && std::ptr::eq(*owner, connection));
        kept.filter(|_| connection.local.is_some()).map(|(_, kept)| kept)
    }

    /// Where to bind to if no name has to be looked up for that.
    fn local_in_figures(&self) -> Result<Option<SocketAddr>, Fatal> {
        let (connection, family) = (self.gateway.connection(), self.family());
        let Some(word) = connection.local else {
            return Ok(connection.bind.then(|| SocketAddr::new(unspecified(family), connection.local_port)));
        };
        if let Some(kept) = self.kept_local() {
            return Ok(Some(kept));
        }
        let local: Option<IpAddr> = word.to_string().parse().ok();
        let fits = local.filter(|local| match family {
            udp::Family::V4 => local.is_ipv4(),
            udp::Family::V6 { .. } => local.is_ipv6(),
            udp::Family::Any => true,
        });
        let wrong = || Fatal::new(format!("Options error: 'local {word}' has no address of the right family"));
        fits.map(|local| Some(SocketAddr::new(local, connection.local_port))).ok_or_else(wrong)
    }

    fn announce(&self, socket: &UdpLink, remote: Option<SocketAddr>) {
        let protocol = socket.protocol();
        log::line(3, format_args!("{}", socket.buffers()));
        let connection = self.gateway.connection();
        match (socket.local_addr(), connection.bind || connection.local.is_some()) {
            (Ok(local), true) => log::line(1, format_args!("{protocol} link local (bound): {}", Address(local))),
            _ => log::line(1, format_args!("{protocol} link local: (not bound)")),
        }
        match remote {
            Some(remote) => log::line(1, format_args!("{protocol} link remote: {}", Address(remote))),
            None => log::line(1, format_args!("{protocol} link remote: [AF_UNSPEC]")),
        }
        if self.config.remotes.is_empty() {
            log::line(1, format_args!("NOTE: no 'remote' is configured: this end waits for the peer to call"));
        }
    }
}

fn unspecified(family: udp::Family) -> IpAddr {
    match family {
        udp::Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        udp::Family::V6 { .. } | udp::Family::Any => Ipv6Addr::UNSPECIFIED.into(),
    }
}
