//! What the log says about a link that is up.

use longcable_core::options::ReceiveTimeout;

use super::EventLoop;
use crate::link::udp::UdpLink;
use crate::log;
use crate::tls::TlsStack;

impl<S: TlsStack> EventLoop<'_, S> {
    /// What openvpn tells about the link once it is up.
    pub(super) fn announce_settings(&self) {
        let config = self.config;
        let suite = config.suite();
        let (cipher, digest) = (suite.cipher.name(), suite.digest.name());
        // With TLS the cipher is negotiated, and each key says which.
        if config.tls.role.is_none() {
            log::line(3, format_args!("Data Channel: cipher '{cipher}', auth '{digest}'"));
        }
        let timeout = match config.receive_timeout {
            ReceiveTimeout::None => String::new(),
            ReceiveTimeout::Restart(seconds) => format!(", ping-restart {seconds}"),
            ReceiveTimeout::Exit(seconds) => format!(", ping-exit {seconds}"),
        };
        log::line(3, format_args!("Timers: ping {}{timeout}", config.ping));
        self.announce_offloads();
    }

    /// What the kernel does for us.
    fn announce_offloads(&self) {
        let tun = self.tunnel.tun().and_then(|tun| tun.offloads()).unwrap_or_default();
        let socket = |works: fn(&UdpLink) -> bool| self.socket.as_deref().is_some_and(works);
        let state = |active| if active { "on" } else { "off" };
        let (gso, gro) = (state(socket(UdpLink::sends_batches)), state(socket(UdpLink::receives_batches)));
        log::line(3, format_args!("Offload: TUN {tun}; UDP GSO {gso}, GRO {gro}"));
    }
}
