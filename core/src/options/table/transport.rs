//! Sockets, peers and timers.

use super::{MANY, OptionInfo, harmless, not_yet, works};

pub(super) const SOCKET: &[OptionInfo] = &[
    works("remote", (1, 3), "host [port] [proto]", "the peer; several are tried in turn").connection(),
    works("proto", (1, 1), "udp|udp4|udp6", "transport protocol").connection(),
    works("port", (1, 1), "n", "port at both ends (1194)").connection(),
    works("lport", (1, 1), "n", "local port").connection(),
    works("rport", (1, 1), "n", "the peer's port").connection(),
    works("local", (1, 1), "host", "local address").connection(),
    works("bind", (0, 1), "[ipv6only]", "bind to the local port (the default)").connection(),
    works("nobind", (0, 0), "", "let the system choose a local port").connection(),
    works("float", (0, 0), "", "accept authentic packets from any address").connection(),
    works("mode", (1, 1), "p2p", "one peer"),
    works("sndbuf", (1, 1), "n", "send buffer of the socket, in bytes").pull(),
    works("rcvbuf", (1, 1), "n", "receive buffer of the socket, in bytes").pull(),
    works("mark", (1, 1), "n", "firewall mark of sent packets"),
    works("bind-dev", (1, 1), "device", "network device or VRF to send and receive on"),
    works("passtos", (0, 0), "", "copy the inner packet's type of service"),
    works("disable-udp-gso", (0, 0), "", "hand datagrams to the kernel one by one; longcable's own"),
    works("disable-udp-gro", (0, 0), "", "take datagrams from the kernel one by one; longcable's own"),
    works("spin", (1, 1), "us", "look for packets so long, at most 1000, before sleeping; longcable's own"),
    works("threads", (1, 1), "n", "2 gives packets to the network a thread of their own; longcable's own"),
    works("connection", (0, 0), "", "inline block of a remote with its own settings; those before it are its defaults")
        .inline(),
    works("proto-force", (1, 1), "udp", "pass over the TCP remotes that follow"),
    works("remote-random", (0, 0), "", "try the remotes in random order"),
    works("remote-random-hostname", (0, 0), "", "put a random label before the name of the remote"),
    not_yet("multihome", (0, 0), "", "answer from the address that was asked"),
    not_yet("same-interface", (0, 0), "", "with multihome, answer on the same device too"),
    not_yet("shaper", (1, 1), "n", "send at most n bytes per second").pull(),
    not_yet("socket-flags", (1, MANY), "flags", "flags of the socket, such as TCP_NODELAY").pull().instance(),
    harmless("fast-io", (0, 0), "", "do not poll before writing", "writes are never polled for"),
];

pub(super) const TIMERS: &[OptionInfo] = &[
    works("keepalive", (2, 2), "a b", "ping every a seconds, restart after b seconds without an answer"),
    works("ping", (1, 1), "n", "send a ping if nothing was sent for n seconds").pull().instance(),
    works("ping-restart", (1, 1), "n", "restart if nothing was received for n seconds").pull().instance(),
    works("ping-exit", (1, 1), "n", "exit if nothing was received for n seconds").pull().instance(),
    works("ping-timer-rem", (0, 0), "", "watch the peer only when its address is known").pull().instance(),
    works("inactive", (1, 2), "n [bytes]", "exit after n seconds without (so many bytes of) tunnel traffic")
        .pull()
        .instance(),
    works("session-timeout", (1, 1), "n", "exit after n seconds").pull().instance(),
    works("explicit-exit-notify", (0, 1), "[n]", "tell the peer when exiting, n times").connection().pull().instance(),
    works("persist-tun", (0, 0), "", "keep the tunnel device over restarts").pull(),
    works("persist-local-ip", (0, 0), "", "keep the local address over restarts"),
    works("persist-remote-ip", (0, 0), "", "keep the peer's last proven address over restarts"),
    works("resolv-retry", (1, 1), "n|infinite", "how many seconds to retry resolving the remote"),
    works(
        "connect-retry",
        (1, 2),
        "n [max]",
        "seconds to wait before a restart (1); a TLS client's grow to max (300; 30 with follow-name)",
    )
    .connection(),
    works("connect-retry-max", (1, 1), "n", "give up after n attempts at each remote (0 is never)").connection(),
    works("connect-timeout", (1, 1), "n", "seconds a TLS peer has to answer before the next remote is tried (120)")
        .connection(),
    works("server-poll-timeout", (1, 1), "n", "the same as connect-timeout").connection(),
    works(
        "follow-link",
        (1, 1),
        "yes|no",
        "tell the peer at once when this end's address changes (yes); longcable's own",
    ),
    works("follow-name", (1, 1), "yes|no", "look a silent peer's name up while the link stands (yes); longcable's own"),
    works("probe-interval", (1, 1), "n", "ask a silent peer every n seconds, wherever it may be (5); longcable's own"),
    works("remap-usr1", (1, 1), "SIGHUP|SIGTERM", "what a restart means"),
    harmless("persist-key", (0, 0), "", "keep keys over restarts", "keys always stay in memory").pull(),
];

pub(super) const PROXIES: &[OptionInfo] = &[
    not_yet("http-proxy", (2, 4), "host port [authfile] [method]", "connect through an HTTP proxy").connection(),
    not_yet("http-proxy-option", (1, 3), "type [value]", "detail of http-proxy").connection(),
    not_yet("http-proxy-user-pass", (0, 1), "[file]", "login for the HTTP proxy").connection().inline(),
    not_yet("socks-proxy", (1, 3), "host [port] [authfile]", "connect through a SOCKS 5 proxy").connection(),
    harmless("http-proxy-retry", (0, 0), "", "retry proxy errors", "they are always retried").connection(),
    harmless("http-proxy-timeout", (1, 1), "n", "time limit of the proxy", "connect-timeout limits it").connection(),
    harmless("socks-proxy-retry", (0, 0), "", "retry proxy errors", "they are always retried").connection(),
];
