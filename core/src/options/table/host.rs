//! What concerns the program around the link: scripts, process, configuration, other systems.

use super::{MANY, OptionInfo, harmless, not_yet, removed, works};

pub(super) const SCRIPTS: &[OptionInfo] = &[
    works("script-security", (1, 1), "0|1|2|3", "2 allows scripts, 3 also passwords in their environment"),
    works("up", (1, 1), "\"cmd [arguments]\"", "run when the tunnel device is open"),
    works("down", (1, 1), "\"cmd [arguments]\"", "run when the tunnel device is closed"),
    works("down-pre", (0, 0), "", "run the down script before closing"),
    works("up-delay", (0, 0), "", "open the tunnel device when the peer is heard"),
    works("up-restart", (0, 0), "", "run the up and down scripts on every restart"),
    works("route-up", (1, 1), "\"cmd [arguments]\"", "run when the routes are added"),
    works("route-pre-down", (1, 1), "\"cmd [arguments]\"", "run before the routes are removed"),
    works("ipchange", (1, 1), "\"cmd [arguments]\"", "run when the peer's address is known or changes"),
    works("setenv", (1, 2), "name [value]", "variable for scripts; 'setenv opt ...' tolerates an unknown option"),
    works("setenv-safe", (1, 2), "name [value]", "variable OPENVPN_name for scripts").pull(),
    works("tls-verify", (1, 1), "\"cmd [arguments]\"", "run to check each certificate of the peer"),
    not_yet("client-connect", (1, 1), "cmd", "run when a client has connected"),
    not_yet("client-disconnect", (1, 1), "cmd", "run when a client has left"),
    not_yet("client-crresponse", (1, 1), "cmd", "run when a client answers a challenge"),
    not_yet("learn-address", (1, 1), "cmd", "run when an address or route of a client is learned"),
];

pub(super) const PROCESS: &[OptionInfo] = &[
    works("daemon", (0, 1), "[name]", "go to the background and log to syslog"),
    works("writepid", (1, 1), "file", "write the process id"),
    works("log", (1, 1), "file", "log to this file, emptied first"),
    works("log-append", (1, 1), "file", "log to the end of this file"),
    works("syslog", (0, 1), "[name]", "log to syslog"),
    works("verb", (1, 1), "n", "how much to log: 0 errors, 1 events, 3 normal, 4 settings, 5 packets").pull(),
    works("mute", (1, 1), "n", "log at most n lines of one kind in a row").pull(),
    works("suppress-timestamps", (0, 0), "", "log without time"),
    works("machine-readable-output", (0, 0), "", "log with exact time and flags"),
    works("errors-to-stderr", (0, 0), "", "log errors to stderr").pull(),
    works("status", (1, 2), "file [n]", "write statistics every n seconds (60)"),
    harmless("status-version", (0, 1), "[1|2|3]", "format of the status file", "a point-to-point link has one format"),
    works("cd", (1, 1), "dir", "change to this directory before reading other files"),
    works("chroot", (1, 1), "dir", "lock the process into this directory once it runs"),
    works("user", (1, 1), "name", "become this user once it runs"),
    works("group", (1, 1), "name", "become this group once it runs"),
    works("nice", (1, 1), "n", "process priority"),
    works("mlock", (0, 0), "", "never swap keys to disk"),
    harmless("tmp-dir", (1, 1), "dir", "directory for temporary files", "none are made"),
    not_yet("setcon", (1, 1), "context", "SELinux context once it runs"),
    not_yet("gremlin", (1, 1), "mask", "damage the link on purpose"),
    harmless("echo", (0, MANY), "[words]", "message for a management client", "there is no management client")
        .pull()
        .instance(),
    harmless("parameter", (0, MANY), "[words]", "the same as echo", "there is no management client").pull().instance(),
];

pub(super) const CONFIGURATION: &[OptionInfo] = &[
    works("config", (1, 1), "file|stdin", "read options from a file").instance(),
    works("ignore-unknown-option", (1, MANY), "names", "tolerate these options if they are unknown or not supported"),
    works("compat-mode", (1, 1), "x.y.z", "defaults of an older openvpn: its data ciphers"),
];

pub(super) const MANAGEMENT: &[OptionInfo] = &[
    not_yet("management", (2, 3), "address port|unix [pwfile]", "serve management clients"),
    not_yet("management-client", (0, 1), "[file]", "connect to the management client"),
    not_yet("management-hold", (0, 0), "", "wait for the management client before starting"),
    not_yet("management-query-passwords", (0, 0), "", "ask the management client for passwords"),
    not_yet("management-query-proxy", (0, 0), "", "ask the management client for the proxy"),
    not_yet("management-query-remote", (0, 0), "", "ask the management client for the remote"),
    not_yet("management-forget-disconnect", (0, 0), "", "forget passwords when the management client leaves"),
    not_yet("management-signal", (0, 0), "", "restart when the management client leaves"),
    not_yet("management-up-down", (0, 0), "", "tell the management client about the tunnel"),
    not_yet("management-log-cache", (1, 1), "n", "lines of log kept for management clients (250)"),
    not_yet("management-client-auth", (0, 0), "", "let the management client decide about logins"),
    not_yet("management-client-user", (1, 1), "name", "user allowed to connect"),
    not_yet("management-client-group", (1, 1), "name", "group allowed to connect"),
    not_yet("management-external-key", (0, MANY), "[algorithms]", "let the management client sign"),
    not_yet("management-external-cert", (1, 1), "hint", "ask the management client for the certificate"),
    not_yet("plugin", (1, MANY), "file [arguments]", "load a plugin"),
];

const ELSEWHERE: &str = "it concerns Windows only";

pub(super) const WINDOWS: &[OptionInfo] = &[
    harmless("ip-win32", (1, 3), "method", "how to set addresses", ELSEWHERE).pull(),
    harmless("route-method", (1, 1), "method", "how to add routes", ELSEWHERE).pull(),
    harmless("tap-sleep", (1, 1), "n", "wait after opening the device", ELSEWHERE).pull(),
    harmless("register-dns", (0, 0), "", "register in the name service", ELSEWHERE).pull(),
    harmless("block-outside-dns", (0, 0), "", "block other name servers", ELSEWHERE).pull(),
    harmless("dhcp-renew", (0, 0), "", "renew the address at start", ELSEWHERE).pull(),
    harmless("dhcp-release", (0, 0), "", "release the address at exit", ELSEWHERE).pull(),
    harmless("dhcp-pre-release", (0, 0), "", "release the address at start", ELSEWHERE).pull(),
    harmless("show-net-up", (0, 0), "", "log routes and devices", ELSEWHERE),
    harmless("pause-exit", (0, 0), "", "wait for a key before exit", ELSEWHERE),
    harmless("service", (1, 2), "event [0|1]", "run as a service", ELSEWHERE),
    harmless("win-sys", (1, 1), "path", "system directory", ELSEWHERE),
    harmless("windows-driver", (1, 1), "name", "driver of the device", ELSEWHERE),
    harmless("allow-nonadmin", (0, 1), "[device]", "open the device to everybody", ELSEWHERE),
    harmless("show-adapters", (0, 0), "", "list the devices", ELSEWHERE),
    harmless("show-net", (0, 0), "", "list routes and devices", ELSEWHERE),
    harmless("show-valid-subnets", (0, 0), "", "list valid address pairs", ELSEWHERE),
];

pub(super) const REMOVED: &[OptionInfo] = &[
    removed("udp-mtu", "use 'tun-mtu' (the default 1500 fits nearly always)"),
    removed("mtu-dynamic", "use 'fragment'"),
    removed("no-iv", "leave it out at both ends: an initialisation vector is always used"),
    removed("inetd", "use 'daemon', or a service of the system's service manager"),
    removed("ifconfig-pool-linear", "use 'topology p2p'"),
    removed("client-cert-not-required", "use 'verify-client-cert none'"),
    removed("ns-cert-type", "use 'remote-cert-tls server' or 'remote-cert-tls client'"),
    removed("tls-remote", "use 'verify-x509-name NAME name'"),
    removed("compat-names", "leave it out, and adapt scripts that parse names"),
    removed("no-name-remapping", "leave it out, and adapt scripts that parse names"),
    removed("prng", "leave it out: the system's random numbers are used"),
    removed("ncp-disable", "leave it out and name the cipher in 'data-ciphers'"),
    removed("management-client-pf", "use the packet filter of the system"),
    removed("memstats", "use 'status'"),
];
