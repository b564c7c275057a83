//! The socket towards the peer: where it is bound, and what becomes of it when this end moves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use longcable_core::event::{Address, Signal};
use longcable_core::options::Family;

use super::{EventLoop, Stop, since, unix_now};
use crate::failure::Fatal;
use crate::link::udp::{self, UdpLink, UdpOptions};
use crate::log;
use crate::tls::TlsStack;

impl<'c, S: TlsStack> EventLoop<'c, S> {
    pub(super) fn bind(&mut self, remote: Option<SocketAddr>) -> Result<(), Stop> {
        self.remote = remote;
        match self.open_socket(remote) {
            Ok(socket) => {
                self.announce(&socket, remote);
                self.tunnel.restore_routes();
                if let Some(remote) = remote {
                    self.tunnel.keep_path_to(remote);
                }
                self.socket = Some(Arc::new(socket));
                self.bound_before = true;
                if let Some(watch) = &mut self.watch {
                    watch.remember(remote.map(|remote| remote.ip()));
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
        if self.gateway.connection().local.is_none() && self.host.bind_dev.is_none() {
            return;
        }
        // It has to go first: the port is the same.
        self.close_socket();
        match self.open_socket(self.remote) {
            Ok(socket) => {
                self.announce(&socket, self.remote);
                self.socket = Some(Arc::new(socket));
            }
            Err(error) => {
                log::error(format_args!("{error}"));
                self.gateway.signal(since(self.started), Signal::Usr1);
            }
        }
    }

    /// Addresses or routes have changed.
    pub(super) fn look_at_path(&mut self) {
        let peer = self.gateway.peer().address().or(self.remote).map(|address| address.ip());
        self.tunnel.restore_lost_routes();
        if self.watch.as_mut().is_some_and(|watch| watch.has_moved(peer)) {
            self.gateway.local_changed(since(self.started));
        }
    }

    fn open_socket(&mut self, remote: Option<SocketAddr>) -> Result<UdpLink, Fatal> {
        let options = self.udp_options(remote)?;
        self.local = options.local.map(|local| (self.gateway.connection(), local));
        let socket = UdpLink::open(&options).map_err(Fatal::new)?;
        socket.set_batches(self.host.udp_gro);
        if !self.host.udp_gso {
            socket.send_one_by_one();
        }
        Ok(socket)
    }

    /// What the configuration says about the socket towards `remote`.
    fn udp_options(&self, remote: Option<SocketAddr>) -> Result<UdpOptions, Fatal> {
        let (connection, host) = (self.gateway.connection(), self.host);
        let only = connection.ipv6_only;
        let family = match (connection.family, remote) {
            (Family::V4, _) | (Family::Any, Some(SocketAddr::V4(_))) => udp::Family::V4,
            (Family::V6, _) | (Family::Any, Some(SocketAddr::V6(_))) => udp::Family::V6 { only },
            (Family::Any, None) => udp::Family::Any,
        };
        let unspecified = match family {
            udp::Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            udp::Family::V6 { .. } | udp::Family::Any => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let kept = self.local.filter(|(owner, _)| self.config.persist_local_ip && std::ptr::eq(*owner, connection));
        let local = match (connection.local, kept) {
            (Some(_), Some((_, kept))) => Some(kept),
            (Some(word), None) => Some(local_address(&word.to_string(), connection.local_port, family)?),
            (None, _) => connection.bind.then(|| SocketAddr::new(unspecified, connection.local_port)),
        };
        Ok(UdpOptions {
            family,
            local,
            sndbuf: host.sndbuf,
            rcvbuf: host.rcvbuf,
            mark: host.mark,
            bind_device: host.bind_dev.clone(),
            mtu_discovery: host.mtu_disc,
        })
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

/// The address of `local`, which may be a name: looked up at the start and after restarts, mostly in `/etc/hosts`.
fn local_address(host: &str, port: u16, family: udp::Family) -> Result<SocketAddr, Fatal> {
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| Fatal::new(format!("RESOLVE: Cannot resolve host address: {host} ({error}), from 'local'")))?;
    let fits = |address: &SocketAddr| match family {
        udp::Family::V4 => address.is_ipv4(),
        udp::Family::V6 { .. } => address.is_ipv6(),
        udp::Family::Any => true,
    };
    let mut found = found.into_iter().filter(fits);
    found.next().ok_or_else(|| Fatal::new(format!("Options error: 'local {host}' has no address of the right family")))
}
