//! The texts of the two new configs.

use std::fmt::Write as _;
use std::net::IpAddr;

use longcable_core::crypto::Cipher;
use longcable_core::options::{Directive, Family, Topology};
use longcable_core::tls::Role;
use zeroize::Zeroizing;

use super::static_link::StaticLink;
use crate::credentials::Credentials;

/// What becomes of an option of the static-key link.
enum Fate {
    /// It goes at both ends, for this reason.
    Goes(&'static str),
    /// It stays, and the other end has the same.
    Shared,
    /// It stays, and the other end has its counterpart.
    Mirrored,
    /// It stays, and what the other end has in its place is not known.
    Local,
}

fn fate(directive: &Directive<'_>) -> Fate {
    match name(directive).as_str() {
        "secret" => Fate::Goes("the certificates at the end of this file take its place"),
        "key-direction" => Fate::Goes("the new keys have no direction"),
        "cipher" | "data-ciphers-fallback" | "data-ciphers" | "ncp-ciphers" | "ncp-disable" => {
            Fate::Goes("'data-ciphers' at the end of this file takes its place")
        }
        "auth" => Fate::Goes("the new ciphers authenticate packets themselves"),
        "keysize" => Fate::Goes("the new ciphers have keys of one length"),
        "no-replay" => Fate::Goes("the new ciphers need packet ids"),
        "allow-deprecated-insecure-static-crypto" => Fate::Goes("there is no static key"),
        "dev"
        | "dev-type"
        | "topology"
        | "tun-ipv6"
        | "tun-mtu"
        | "tun-mtu-extra"
        | "mssfix"
        | "max-packet-size"
        | "float"
        | "mode"
        | "keepalive"
        | "ping"
        | "ping-restart"
        | "ping-timer-rem"
        | "persist-tun"
        | "persist-key"
        | "persist-local-ip"
        | "persist-remote-ip"
        | "resolv-retry"
        | "connect-retry"
        | "explicit-exit-notify"
        | "replay-window"
        | "mute-replay-warnings"
        | "disable-occ"
        | "opt-verify"
        | "comp-lzo"
        | "compress"
        | "allow-compression"
        | "comp-noadapt"
        | "verb"
        | "mute" => Fate::Shared,
        "ifconfig" | "ifconfig-ipv6" | "route" | "route-ipv6" | "remote" | "local" | "proto" | "port" | "lport"
        | "rport" | "bind" | "nobind" => Fate::Mirrored,
        _ => Fate::Local,
    }
}

/// The config of the end that the static one is from: verbatim but for what TLS replaces.
pub(super) fn this_end(link: &StaticLink<'_>, credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(head(link, &link.here, &link.there).into_bytes());
    let mut lines = link.text.split_inclusive(|byte| *byte == b'\n');
    let mut number = 1;
    for directive in &link.directives {
        let before = directive.line.saturating_sub(number) as usize;
        lines.by_ref().take(before).for_each(|line| text.extend(line));
        let own = lines_of(directive);
        let option = lines.by_ref().take(own);
        match fate(directive) {
            Fate::Goes(why) => {
                option.for_each(drop);
                text.extend(format!("# migrate: no '{}' any more: {why}\n", name(directive)).bytes());
            }
            _ => option.for_each(|line| text.extend(line)),
        }
        number = directive.line + own as u32;
    }
    lines.for_each(|line| text.extend(line));
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend(tls(link, credentials, link.role()).bytes());
    text
}

/// The config of the other end, as far as it follows from that of this one.
pub(super) fn other_end(link: &StaticLink<'_>, credentials: &Credentials) -> Zeroizing<String> {
    let mut text = Zeroizing::new(head(link, &link.there, &link.here));
    let of = |wanted: fn(&Fate) -> bool| link.directives.iter().filter(move |directive| wanted(&fate(directive)));
    text.push_str("# The same at both ends\n");
    for directive in of(|fate| matches!(fate, Fate::Shared)) {
        let _ = writeln!(text, "{}", written(link, directive));
    }
    let _ = writeln!(text, "\n# The mirror image of {}", link.here);
    text.push_str(&socket(link));
    text.push_str(&addresses(link));
    let mut local = of(|fate| matches!(fate, Fate::Local)).peekable();
    if local.peek().is_some() {
        let _ = writeln!(
            text,
            "\n# CHECK: {} has these for itself. What belongs in their place here stands in the old config of {}.",
            link.here, link.there
        );
    }
    for directive in local {
        let _ = writeln!(text, ";{}", written(link, directive));
    }
    text.push_str(&tls(link, credentials, link.role().other()));
    text
}

fn head(link: &StaticLink<'_>, own: &str, other: &str) -> String {
    let head = format!(
        "{own}: one end of a TLS link with {other}, written by 'longcable migrate' from the static-key config of \
         {}.\nIt was run at {} only: that makes the files of both ends. The private key of {own} is in this one: nobody\n\
         else may read it.\n\n{}\n{}",
        link.here,
        link.here,
        link.roles(),
        link.steps()
    );
    let comments = head.lines().map(|line| if line.is_empty() { "#\n".to_owned() } else { format!("# {line}\n") });
    comments.chain(["\n".to_owned()]).collect()
}

/// Ports, protocol and the address of this end, as the other end has them.
fn socket(link: &StaticLink<'_>) -> String {
    let config = &link.config;
    let mut text = String::new();
    let (remote, connection) = (config.remotes.first(), config.connection);
    match remote.map_or(connection.family, |remote| connection.family_of(remote)) {
        Family::Any => {}
        Family::V4 => text.push_str("proto udp4\n"),
        Family::V6 => text.push_str("proto udp6\n"),
    }
    let own = remote.map_or(connection.remote_port, |remote| connection.port_of(remote));
    let peer = Some(connection.local_port).filter(|port| connection.bind && *port != 0);
    let _ = match peer {
        Some(peer) if peer == own => writeln!(text, "port {own}"),
        Some(peer) => writeln!(text, "lport {own}\nrport {peer}"),
        None => writeln!(text, "lport {own}"),
    };
    let here = &link.here;
    for other in config.remotes.iter().map(|remote| connection.port_of(remote)).filter(|port| *port != own) {
        let _ = writeln!(text, "# CHECK: {here} calls port {other} too: this end listens at {own} only.");
    }
    let known = connection.local.filter(|host| !host.parse().is_some_and(is_internal));
    let _ = match (known, link.role(), peer) {
        (Some(host), ..) => writeln!(text, "remote {host}"),
        (None, Role::Client, None) => writeln!(text, "# No 'remote': {here} has no fixed port, and calls."),
        (None, Role::Client, Some(_)) => writeln!(
            text,
            "# CHECK: {here} calls, so no 'remote' is needed. If {here} has a public name or address, name it, and this \
             end can call too:\n;remote PUBLIC-NAME-OF-{here}"
        ),
        (None, Role::Server, _) => writeln!(
            text,
            "# CHECK: put the public name or address of {here} here and remove the semicolon: {here} waits to be called.\n\
             ;remote PUBLIC-NAME-OF-{here}"
        ),
    };
    text
}

/// Addresses in the tunnel and routes, as the other end has them.
fn addresses(link: &StaticLink<'_>) -> String {
    let config = &link.config;
    let (here, there) = (&link.here, &link.there);
    let mut text = String::new();
    if let Some((local, remote)) = link.tunnel() {
        let _ = writeln!(text, "ifconfig {remote} {local}");
    } else if let (Some(ifconfig), Topology::Subnet) = (config.ifconfig, config.topology) {
        let mask = ifconfig.remote_or_netmask;
        let _ = writeln!(
            text,
            "# CHECK: put the address of {there} in the tunnel here and remove the semicolon:\n;ifconfig ADDRESS {mask}"
        );
    }
    if let Some(ipv6) = config.ifconfig_ipv6 {
        let (prefix, local) = (ipv6.prefix, ipv6.local);
        let _ = match ipv6.remote {
            Some(remote) => writeln!(text, "ifconfig-ipv6 {remote}/{prefix} {local}"),
            None => writeln!(
                text,
                "# CHECK: put the IPv6 address of {there} in the tunnel here and remove the semicolon:\n\
                 ;ifconfig-ipv6 ADDRESS/{prefix} {local}"
            ),
        };
    }
    let _ = writeln!(text, "# CHECK: the networks behind {here}, a line for each:\n;route NETWORK NETMASK");
    if !config.routes_ipv6.is_empty() {
        let _ = writeln!(text, ";route-ipv6 NETWORK/BITS");
    }
    text
}

/// What makes it a TLS link.
fn tls(link: &StaticLink<'_>, credentials: &Credentials, role: Role) -> Zeroizing<String> {
    // Who has chosen the shorter key has a slow processor, as a rule.
    let ciphers = match link.config.fallback_cipher() {
        Some(Cipher::Aes128Cbc) => "AES-128-GCM:AES-256-GCM:CHACHA20-POLY1305",
        _ => "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305",
    };
    Zeroizing::new(format!(
        "\n# TLS. Each end knows the certificate of the other by its fingerprint, so there is no authority. Both are valid\n\
         # until the end of {}. The key of 'tls-crypt' is the same at both ends, the other keys are not.\n\
         data-ciphers {ciphers}\n{}",
        credentials.last_year(),
        &*credentials.options(role)
    ))
}

/// An address that means nothing to the other end.
fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified()
        }
        IpAddr::V6(address) => {
            address.is_unique_local()
                || address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_unspecified()
        }
    }
}

/// The option's name, also of one that an older program may not know.
fn name(directive: &Directive<'_>) -> String {
    let optional = directive.name == "setenv" && directive.arg(0).is_some_and(|word| word == "opt");
    let name = if optional { directive.arg(1) } else { None };
    name.unwrap_or(directive.name).to_string()
}

/// How many lines of the file it takes.
fn lines_of(directive: &Directive<'_>) -> usize {
    directive.inline.map_or(1, |block| block.matches('\n').count() + 2)
}

/// The option as it is written, without what stands around it. Inline blocks are named only: all are keys.
fn written(link: &StaticLink<'_>, directive: &Directive<'_>) -> String {
    let line = link.text.split(|byte| *byte == b'\n').nth(directive.line.saturating_sub(1) as usize);
    let line = String::from_utf8_lossy(line.unwrap_or_default());
    let last = directive.word(directive.args.len()).unwrap_or(directive.name);
    let [start, end] = [directive.name, last].map(|word| usize::from(word.column().saturating_sub(1)));
    let tail: String = line.get(end..).unwrap_or_default().chars().take(last.width()).collect();
    format!("{}{tail}", line.get(start..end).unwrap_or_default())
}
