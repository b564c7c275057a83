//! The tunnel device and all that hangs on it: addresses, routes and the scripts around them, in openvpn's order
//! (protocol section 5.2).

mod plan;

pub use plan::{Plan, PlannedRoute};

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use longcable_core::event::Reason;
use longcable_core::options::{DeviceKind, LinkConfig};

use crate::config::HostConfig;
use crate::environment::Environment;
use crate::failure::Fatal;
use crate::log;
use crate::net::{InterfaceAddress, Link, NetError, Netlink, Route, RouteTable};
use crate::scripts::{self, Context, Scripts};
use crate::tun::{InterfaceConfig, Offloads, Tun, TunOptions};

/// The device while it is open.
struct Device {
    tun: Arc<Tun>,
    link: Link,
    facts: scripts::Tunnel,
}

/// The tunnel of one link.
pub struct Tunnel<'c> {
    config: &'c LinkConfig<'c>,
    host: &'c HostConfig,
    plan: Plan,
    interface: InterfaceConfig,
    netlink: Netlink,
    scripts: Scripts,
    /// What scripts are told.
    environment: Environment,
    device: Option<Device>,
    planned: Vec<PlannedRoute>,
    /// The routes have been added.
    routed: bool,
    /// The interface was set down: its routes went.
    routes_lost: bool,
    routes: RouteTable,
    /// The way to the peer, if the routes would catch it.
    path_to_peer: RouteTable,
}

impl<'c> Tunnel<'c> {
    /// A tunnel that is not open yet.
    ///
    /// # Errors
    /// The kernel gives no netlink socket.
    pub fn new(
        config: &'c LinkConfig<'c>,
        host: &'c HostConfig,
        plan: Plan,
        scripts: Scripts,
        environment: Environment,
    ) -> Result<Self, Fatal> {
        let interface = InterfaceConfig {
            addresses: plan.addresses.clone(),
            mtu: Some(config.tun_mtu.into()),
            txqueuelen: host.txqueuelen,
        };
        let netlink = Netlink::open().map_err(Fatal::new)?;
        Ok(Self {
            config,
            host,
            plan,
            interface,
            netlink,
            scripts,
            environment,
            device: None,
            planned: Vec::new(),
            routed: false,
            routes_lost: false,
            routes: RouteTable::default(),
            path_to_peer: RouteTable::default(),
        })
    }

    /// The open device.
    pub fn tun(&self) -> Option<&Arc<Tun>> {
        self.device.as_ref().map(|device| &device.tun)
    }

    /// Opens the device, gives it its addresses and runs `up`. With `dev null` there is nothing to do.
    ///
    /// # Errors
    /// The device cannot be had or set up, or the script failed: the link cannot work.
    pub fn open(&mut self, peer: Option<SocketAddr>) -> Result<(), Fatal> {
        if self.config.device == DeviceKind::Null {
            return Ok(());
        }
        let options = TunOptions { name: self.plan.device.as_deref(), node: &self.host.dev_node };
        let offloading = || Tun::open_offloading(options, Offloads::ALL).ok();
        let tun = match self.host.tun_offload.then(offloading).flatten() {
            Some(tun) => tun,
            // It also says what is wrong, if that was not the offload.
            None => Tun::open(options).map_err(Fatal::new)?,
        };
        log::line(3, format_args!("TUN/TAP device {} opened", tun.name()));
        let facts = scripts::Tunnel {
            device: tun.name().to_owned(),
            device_type: "tun",
            mtu: self.config.tun_mtu,
            ipv4: self.plan.ipv4,
            ipv6: self.plan.ipv6,
        };
        let link = if self.config.ifconfig_noexec {
            self.netlink.link(tun.name()).map_err(Fatal::new)?
        } else {
            self.configure(&tun)?
        };
        self.environment.set("dev", tun.name());
        facts.describe(&mut self.environment);
        self.planned = self.plan.routes(self.config, &self.netlink, peer, &mut self.environment);
        let result = self.scripts.up(&mut self.environment, &facts, Context::Init);
        self.device = Some(Device { tun: Arc::new(tun), link, facts });
        result.map_err(Fatal::new)
    }

    fn configure(&self, tun: &Tun) -> Result<Link, Fatal> {
        let name = tun.name();
        log::line(3, format_args!("net_iface_mtu_set: mtu {} for {name}", self.config.tun_mtu));
        log::line(3, format_args!("net_iface_up: set {name} up"));
        for address in &self.interface.addresses {
            log::line(3, format_args!("{}", Describe { verb: "add", address, device: name }));
        }
        tun.configure(&self.netlink, &self.interface)
            .map_err(|error| Fatal::new(format!("Cannot set up {name}: {error}")))
    }

    /// Adds the routes and runs `route-up`. A route that cannot be set is an error in the log, not the end.
    pub fn add_routes(&mut self, peer: Option<SocketAddr>) {
        let Some(device) = &self.device else { return };
        for PlannedRoute { name, route, .. } in self.planned.iter().filter(|_| !self.config.route_noexec) {
            let family = family(route.destination);
            log::line(3, format_args!("net_route_{family}_add: {name} dev {}", device.facts.device));
        }
        self.routed = true;
        if let Some(peer) = peer {
            self.keep_path(peer.ip());
        }
        self.add_planned(|name, result| match result {
            Ok(true) => {}
            Ok(false) => log::warning(format_args!(
                "NOTE: there is a route to {name} already; it stays, and this network may not be reached by the tunnel"
            )),
            Err(error) => log::error(format_args!("ERROR: Linux route add command failed: {error}")),
        });
        if let Err(failure) = self.scripts.route_up(&mut self.environment) {
            log::warning(format_args!("{failure}"));
        }
    }

    /// Keeps the way to the peer out of the tunnel: the peer may have moved, or the way may have.
    pub fn keep_path_to(&mut self, peer: SocketAddr) {
        if self.routed && self.planned.iter().any(|planned| covers(&planned.route, peer.ip())) {
            // The tunnel's routes would catch the look-up: they make room for a moment.
            self.path_to_peer.remove_all(&self.netlink);
            self.routes.remove_all(&self.netlink);
            self.keep_path(peer.ip());
            self.add_planned(|_, _| {});
        }
    }

    /// Adds those routes again that went while the device stayed open, as when somebody set it down and up.
    pub fn restore_routes(&mut self) {
        if self.routed {
            self.add_planned(|name, result| {
                if let Ok(true) = result {
                    log::line(1, format_args!("The route to {name} was gone; it is back"));
                }
            });
        }
    }

    /// These interfaces were down. If the tunnel's is one, its routes are gone.
    pub fn links_were_down(&mut self, indices: &[u32]) {
        self.routes_lost |= self.device.as_ref().is_some_and(|device| indices.contains(&device.link.index));
    }

    /// Adds them again as soon as the interface is up.
    pub fn restore_lost_routes(&mut self) {
        let Some(device) = self.device.as_ref().filter(|_| self.routes_lost) else { return };
        if self.netlink.link_by_index(device.link.index).is_ok_and(|link| link.up) {
            self.routes_lost = false;
            self.restore_routes();
        }
    }

    /// Adds the planned routes, and tells what became of each.
    fn add_planned(&mut self, tell: impl Fn(&str, Result<bool, NetError>)) {
        let Some(device) = self.device.as_ref().filter(|_| !self.config.route_noexec) else { return };
        for PlannedRoute { route, name, on_device } in &self.planned {
            let route = Route { device: on_device.then(|| device.link.clone()), ..route.clone() };
            tell(name, self.routes.add(&self.netlink, route));
        }
    }

    /// A host route that leads to the peer as now, if a planned route would catch its address: the tunnel's own packets
    /// must not go into the tunnel.
    fn keep_path(&mut self, peer: IpAddr) {
        if self.config.route_noexec || !self.planned.iter().any(|planned| covers(&planned.route, peer)) {
            return;
        }
        let added = self.netlink.path_to(peer).and_then(|path| {
            let prefix = if peer.is_ipv4() { 32 } else { 128 };
            let route =
                Route { destination: peer, prefix, gateway: path.gateway, device: Some(path.device), metric: None };
            self.path_to_peer.add(&self.netlink, route)
        });
        match added {
            Ok(_) => log::line(3, format_args!("A route covers the peer's address {peer}: its present path is kept")),
            Err(error) => log::error(format_args!("ERROR: cannot keep the path to the peer {peer}: {error}")),
        }
    }

    /// The device stays open over a restart, but `up-restart` wants `down` to run.
    ///
    /// # Errors
    /// The script failed.
    pub fn restart_down(&mut self, reason: &Reason) -> Result<(), Fatal> {
        let Some(device) = &self.device else { return Ok(()) };
        self.scripts.down(&mut self.environment, &device.facts, Context::Restart, reason).map_err(Fatal::new)
    }

    /// The end of such a restart: `up-restart` wants `up` to run.
    ///
    /// # Errors
    /// The script failed.
    pub fn restart_up(&mut self) -> Result<(), Fatal> {
        let Some(device) = &self.device else { return Ok(()) };
        self.scripts.up(&mut self.environment, &device.facts, Context::Restart).map_err(Fatal::new)
    }

    /// Removes the routes, runs `route-pre-down` and `down`, closes the device.
    pub fn close(&mut self, reason: &Reason) {
        let Some(Device { tun, facts, .. }) = self.device.take() else { return };
        self.routed = false;
        if let Err(failure) = self.scripts.route_pre_down(&mut self.environment, &facts, reason) {
            log::warning(format_args!("{failure}"));
        }
        for route in self.routes.routes() {
            log::line(3, format_args!("net_route_{}_del: {route}", family(route.destination)));
        }
        let path_errors = self.path_to_peer.remove_all(&self.netlink);
        for error in self.routes.remove_all(&self.netlink).into_iter().chain(path_errors) {
            log::error(format_args!("ERROR: Linux route delete command failed: {error}"));
        }
        if self.host.down_pre {
            self.down(&facts, reason);
        }
        log::line(3, format_args!("Closing TUN/TAP interface"));
        if !self.config.ifconfig_noexec {
            for address in &self.interface.addresses {
                log::line(3, format_args!("{}", Describe { verb: "del", address, device: &facts.device }));
            }
            // Without privileges the addresses go with the device, if it is not persistent.
            if let Err(error) = tun.unconfigure(&self.netlink, &self.interface) {
                log::line(3, format_args!("{error}"));
            }
        }
        drop(tun);
        if !self.host.down_pre {
            self.down(&facts, reason);
        }
    }

    fn down(&mut self, facts: &scripts::Tunnel, reason: &Reason) {
        if let Err(failure) = self.scripts.down(&mut self.environment, facts, Context::Init, reason) {
            log::warning(format_args!("{failure}"));
        }
    }

    /// The variables that scripts see.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Tells scripts where a peer is that has not proved itself yet.
    pub fn set_untrusted(&mut self, peer: SocketAddr) {
        let (name, other) =
            if peer.is_ipv4() { ("untrusted_ip", "untrusted_ip6") } else { ("untrusted_ip6", "untrusted_ip") };
        self.environment.set(name, peer.ip());
        self.environment.unset(other);
        self.environment.set("untrusted_port", peer.port());
    }

    /// Sets variables that all scripts see from now on.
    pub fn set_variables(&mut self, variables: Vec<(String, String)>) {
        for (name, value) in variables {
            self.environment.set(&name, value);
        }
    }

    /// Runs `ipchange`.
    pub fn peer_address(&mut self, peer: SocketAddr) {
        if let Err(failure) = self.scripts.ip_change(&mut self.environment, peer) {
            log::warning(format_args!("{failure}"));
        }
    }
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "v4" } else { "v6" }
}

fn covers(route: &Route, address: IpAddr) -> bool {
    let shift = |bits: u32| bits.saturating_sub(route.prefix.into());
    match (route.destination, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = shift(32);
            u32::from(network).checked_shr(shift) == u32::from(address).checked_shr(shift)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let shift = shift(128);
            u128::from(network).checked_shr(shift) == u128::from(address).checked_shr(shift)
        }
        _ => false,
    }
}

/// An address change in openvpn's words.
struct Describe<'d> {
    verb: &'static str,
    address: &'d InterfaceAddress,
    device: &'d str,
}

impl std::fmt::Display for Describe<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { verb, address, device } = self;
        match address {
            InterfaceAddress::PointToPoint { local, peer } if *verb == "add" => {
                write!(f, "net_addr_ptp_v4_{verb}: {local} peer {peer} dev {device}")
            }
            InterfaceAddress::PointToPoint { local, .. } => write!(f, "net_addr_ptp_v4_{verb}: {local} dev {device}"),
            InterfaceAddress::Subnet { local, prefix } => {
                let family = family(*local);
                write!(f, "net_addr_{family}_{verb}: {local}/{prefix} dev {device}")
            }
        }
    }
}
