//! The tunnel as an interface of a network stack.

use core::fmt;
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState};
use embassy_net_driver_channel as channel;

use crate::state::MTU_MAX;

/// The tunnel, for [`embassy_net::new`]. Its link is up while the tunnel is open.
pub struct Device {
    channel: channel::Device<'static, MTU_MAX>,
    mtu: usize,
}

impl Device {
    pub(crate) fn new(channel: channel::Device<'static, MTU_MAX>, mtu: usize) -> Self {
        Self { channel, mtu }
    }
}

impl Driver for Device {
    type RxToken<'a> = <channel::Device<'static, MTU_MAX> as Driver>::RxToken<'a>;
    type TxToken<'a> = <channel::Device<'static, MTU_MAX> as Driver>::TxToken<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.channel.receive(cx)
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Self::TxToken<'_>> {
        self.channel.transmit(cx)
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.channel.link_state(cx)
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.channel.capabilities();
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ip
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("mtu", &self.mtu).finish_non_exhaustive()
    }
}
