//! What a gateway asks of its host.

use core::fmt;
use core::net::SocketAddr;

use crate::event::{Cause, Event, Reason};
use crate::options::{Family, Word};
use crate::peer::Sealed;
use crate::time::{Instant, Timer};

/// What the host is to do next.
#[derive(Debug)]
pub enum Output<'o> {
    /// Send this datagram.
    Transmit(Sealed<'o>),
    /// Tell the operator.
    Event(Event<'o>),
    /// Look up these addresses of the remote and call [`Gateway::resolved`](super::Gateway::resolved) with this number.
    /// Nothing waits for it.
    Resolve(u32, Lookup<'o>),
    /// Open the socket and call [`Gateway::bound`](super::Gateway::bound). The address, if one is known, tells the family.
    /// [`Gateway::connection`](super::Gateway::connection) has the settings.
    Bind(Option<SocketAddr>),
    /// This end has moved. A socket that is bound to an address that may be gone is to be opened anew; nothing waits for
    /// that.
    Rebind,
    /// Close the socket.
    CloseSocket,
    /// Open and configure the tunnel device, run `up`, and call
    /// [`Gateway::tunnel_opened`](super::Gateway::tunnel_opened).
    OpenTunnel,
    /// Add the routes and run `route-up`.
    AddRoutes,
    /// The device stays open over a restart, but `up-restart` wants the script `down` to know.
    RestartDown(Reason),
    /// The link is about to run again; `up-restart` wants the script `up` to know.
    RestartUp,
    /// Remove the routes, run `route-pre-down` and `down`, close the device.
    CloseTunnel(Reason),
    /// The peer has a new address: run `ipchange`.
    PeerAddress(SocketAddr),
    /// The link has ended; the gateway is not to be used any more.
    Exit(Reason),
    /// Nothing more now; call [`Gateway::handle_timeout`](super::Gateway::handle_timeout) at this time.
    Timeout(Option<(Instant, Timer)>),
}

/// A name whose addresses are wanted; `Display` is the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup<'o> {
    pub(super) host: Word<'o>,
    /// `remote-random-hostname`: what stands before the name and a dot.
    pub(super) label: Option<[u8; 6]>,
    /// The port that the addresses get.
    pub port: u16,
    /// Which addresses are wanted.
    pub family: Family,
}

impl fmt::Display for Lookup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = &self.label {
            label.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            f.write_str(".")?;
        }
        self.host.fmt(f)
    }
}

/// An [`Output`] that waits to be handed out. It is small: there is room for many of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'c> {
    PeerConnected(SocketAddr),
    Initialized,
    Ending(Cause),
    Restarting(Reason),
    Pause(u32),
    RetriesUsedUp(u32),
    Resolve(u32, Lookup<'c>),
    Bind(Option<SocketAddr>),
    Rebind,
    CloseSocket,
    OpenTunnel,
    AddRoutes,
    RestartDown(Reason),
    RestartUp,
    CloseTunnel(Reason),
    PeerAddress(SocketAddr),
    Exit(Reason),
}

impl<'c> Step<'c> {
    /// What it is to the host.
    pub(super) fn output(self) -> Output<'c> {
        match self {
            Self::PeerConnected(address) => Output::Event(Event::PeerConnected(address)),
            Self::Initialized => Output::Event(Event::Initialized),
            Self::Ending(cause) => Output::Event(Event::Ending(cause)),
            Self::Restarting(reason) => Output::Event(Event::Restarting(reason)),
            Self::Pause(seconds) => Output::Event(Event::Pause(seconds.into())),
            Self::RetriesUsedUp(limit) => Output::Event(Event::RetriesUsedUp(limit)),
            Self::Resolve(number, lookup) => Output::Resolve(number, lookup),
            Self::Bind(address) => Output::Bind(address),
            Self::Rebind => Output::Rebind,
            Self::CloseSocket => Output::CloseSocket,
            Self::OpenTunnel => Output::OpenTunnel,
            Self::AddRoutes => Output::AddRoutes,
            Self::RestartDown(reason) => Output::RestartDown(reason),
            Self::RestartUp => Output::RestartUp,
            Self::CloseTunnel(reason) => Output::CloseTunnel(reason),
            Self::PeerAddress(address) => Output::PeerAddress(address),
            Self::Exit(reason) => Output::Exit(reason),
        }
    }

    /// Whether a restart or exit makes it pointless.
    pub(super) fn opens_something(self) -> bool {
        matches!(self, Self::Resolve(..) | Self::Bind(_) | Self::Rebind | Self::OpenTunnel)
    }
}
