//! The tunnel device, its addresses and routes, and the sizes of packets.

use super::{MANY, OptionInfo, harmless, not_yet, works};

pub(super) const DEVICE: &[OptionInfo] = &[
    works("dev", (1, 1), "tun|tunN|null|NAME", "tunnel device; without a number the next free one"),
    works("dev-type", (1, 1), "tun", "kind of a device whose name does not tell"),
    works("dev-node", (1, 1), "path", "device node to open instead of /dev/net/tun"),
    works("txqueuelen", (1, 1), "n", "length of the device's queue, in packets"),
    works("disable-tun-offload", (0, 0), "", "exchange one packet at a time with the device; longcable's own"),
    not_yet("lladdr", (1, 1), "address", "MAC address of a TAP device").pull(),
    harmless("tun-ipv6", (0, 0), "", "carry IPv6 through the tunnel", "the tunnel always carries IPv6").pull(),
    harmless("disable-dco", (0, 0), "", "no kernel module for the data channel", "none is used"),
    harmless(
        "iproute",
        (1, 1),
        "cmd",
        "program that sets addresses and routes",
        "no program is run, the kernel is asked",
    ),
];

pub(super) const ROUTES: &[OptionInfo] = &[
    works("ifconfig", (2, 2), "local remote|netmask", "IPv4 addresses of the tunnel; mirrored at the peer").pull(),
    works("ifconfig-ipv6", (1, 2), "address/bits [remote]", "IPv6 addresses of the tunnel").pull(),
    works("ifconfig-noexec", (0, 0), "", "leave the addresses to the up script").pull(),
    works("ifconfig-nowarn", (0, 0), "", "do not compare ifconfig with the peer's").pull(),
    works("topology", (1, 1), "net30|p2p|subnet", "meaning of ifconfig: a pair of addresses, or address and netmask")
        .pull(),
    works("route", (1, 4), "network [netmask] [gateway] [metric]", "network to reach through the tunnel").pull(),
    works("route-ipv6", (1, 3), "network/bits [gateway] [metric]", "IPv6 network to reach through the tunnel").pull(),
    works("route-gateway", (1, 1), "address", "gateway of routes that name none").pull(),
    not_yet("route-ipv6-gateway", (1, 1), "address", "gateway of IPv6 routes that name none").pull(),
    works("route-metric", (1, 1), "n", "metric of routes that name none").pull(),
    works("route-delay", (0, 2), "[n [window]]", "add the routes n seconds after the link is up").pull(),
    works("route-noexec", (0, 0), "", "leave the routes to the route-up script"),
    works("allow-recursive-routing", (0, 0), "", "do not drop the tunnel's own packets that come out of it"),
    not_yet("redirect-gateway", (0, MANY), "[flags]", "send all traffic through the tunnel").pull(),
    not_yet("redirect-private", (0, MANY), "[flags]", "like redirect-gateway, without the default route").pull(),
    not_yet("client-nat", (4, 4), "snat|dnat network netmask alias", "translate addresses one to one").pull(),
    not_yet("block-ipv6", (0, 0), "", "answer IPv6 packets with an error").pull(),
    not_yet("dhcp-option", (1, MANY), "type [value]", "setting for the system, such as a name server").pull(),
    not_yet("dns", (2, MANY), "server n option value", "name server and search domains").pull(),
    not_yet("vlan-tagging", (0, 0), "", "understand 802.1Q tags"),
    not_yet("vlan-accept", (1, 1), "tagged|untagged|all", "which frames to take from the TAP device"),
    not_yet("vlan-pvid", (1, 1), "n", "VLAN of untagged frames").instance(),
    harmless("max-routes", (1, 1), "n", "most routes", "openvpn has no limit any more"),
];

pub(super) const SIZES: &[OptionInfo] = &[
    works("tun-mtu", (1, 2), "n [occ-n]", "largest packet in the tunnel, in bytes (1500)").connection().pull(),
    works("mssfix", (0, 2), "[n [mtu|fixed]]", "clamp TCP segments so that packets stay below n bytes; 0 is off")
        .connection(),
    works("mtu-disc", (1, 1), "no|maybe|yes", "path MTU discovery on the socket").connection(),
    not_yet("fragment", (1, 2), "n [mtu]", "split packets inside the tunnel").connection(),
    not_yet("link-mtu", (1, 1), "n", "largest packet outside the tunnel, in bytes").connection(),
    works("max-packet-size", (1, 1), "n", "largest control packet with its headers, in bytes (1250), and mssfix n mtu")
        .connection(),
    not_yet("tun-mtu-max", (1, 1), "n", "largest tun-mtu that a server may push"),
    not_yet("mtu-test", (0, 0), "", "measure the path's MTU"),
    harmless("tun-mtu-extra", (1, 1), "n", "slack of packet buffers", "buffers always fit the largest packet")
        .connection(),
];
