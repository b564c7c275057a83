//! From the text of a configuration to a link that can be started, or the option that a board cannot do.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use heapless::Vec;
#[cfg(feature = "tls")]
use longcable_core::control::{Protection, ProtectionError};
use longcable_core::crypto::static_key::StaticKeyError;
use longcable_core::crypto::{RustCrypto, StaticKey};
#[cfg(feature = "tls")]
use longcable_core::options::ControlKey;
use longcable_core::options::{
    Applied, Checker, ConfigError, Directive, KeySource, Lexer, LinkConfig, ParseError, Verdict, Word,
};
#[cfg(feature = "tls")]
use longcable_core::tls::Role;

use crate::addresses::net_config;
use crate::log::{LOGS, note, warning};
use crate::platform::REPLAY_WINDOW_MAX;
use crate::state::MTU_MAX;

/// Options that a board cannot do and that matter.
const IMPOSSIBLE: [(&[&str], &str); 2] = [
    (
        &["up", "down", "route-up", "route-pre-down", "ipchange", "tls-verify"],
        "a board runs no programs; leave it out (the application is told what happens by 'Host::with_events')",
    ),
    (&["config"], "a board has no files; put all options into one text"),
];

/// Options of programs and kernels, and those without a meaning: they concern no board.
const ELSEWHERE: &str = "\
    allow-deprecated-insecure-static-crypto allow-nonadmin askpass auth-nocache bind-dev block-outside-dns cd chroot \
    comp-noadapt daemon dev-node dh dhcp-pre-release dhcp-release dhcp-renew disable-dco disable-tun-offload \
    disable-udp-gro disable-udp-gso down-pre echo engine errors-to-stderr fast-io group http-proxy-retry \
    http-proxy-timeout ip-win32 iproute log log-append machine-readable-output mark max-routes mlock mtu-disc mute \
    nice parameter passtos pause-exit persist-key providers rcvbuf register-dns route-method script-security service \
    setenv setenv-safe show-adapters show-net show-net-up show-valid-subnets sndbuf socks-proxy-retry spin status \
    status-version suppress-timestamps syslog tap-sleep threads tmp-dir tun-ipv6 tun-mtu-extra txqueuelen \
    use-prediction-resistance user verb win-sys windows-driver writepid";

/// Why a link cannot be started. `Display` names the option and the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StartError {
    /// The configuration is wrong, or not supported yet.
    Config(ParseError<'static>),
    /// A board, or this firmware, cannot do what this option wants.
    Impossible {
        /// The option.
        option: &'static str,
        /// Why not, and what to do.
        why: &'static str,
    },
    /// The option names a file; a board has none.
    NotInline(&'static str),
    /// The key of `secret` cannot be used.
    Secret(StaticKeyError),
    /// What the TLS stack of boards cannot do; the text names the option.
    #[cfg(feature = "tls")]
    Tls(&'static str),
    /// The certificate or key of this option cannot be used.
    #[cfg(feature = "tls")]
    Credential(&'static str, #[cfg_attr(feature = "defmt", defmt(Display2Format))] crate::tls::CredentialError),
    /// The key of the control channel cannot be used.
    #[cfg(feature = "tls")]
    ControlKey(#[cfg_attr(feature = "defmt", defmt(Display2Format))] ProtectionError),
}

/// Reads and checks a whole configuration; it lies in `place`, which is empty.
pub(crate) fn configure(
    place: &'static mut Vec<LinkConfig<'static>, 1>,
    text: &'static str,
) -> Result<&'static LinkConfig<'static>, StartError> {
    place.clear();
    // There is room for one.
    let _ = place.push(LinkConfig::default());
    for config in place.iter_mut() {
        read(config, text)?;
    }
    match place.first() {
        Some(config) => check(config).map(|()| config),
        None => Err(impossible("config", "it has no place")),
    }
}

fn read(config: &mut LinkConfig<'static>, text: &'static str) -> Result<(), StartError> {
    let mut checker = Checker::new();
    for directive in Lexer::new(text.as_bytes()) {
        let directive = directive.map_err(|error| StartError::Config(ParseError::Syntax(error)))?;
        possible(&directive)?;
        if concerns_no_board(&directive) {
            continue;
        }
        let line = directive.line;
        let at_line = |error: ConfigError<'static>| StartError::Config(ParseError::Option(line, error));
        match checker.check(directive).map_err(at_line)? {
            Verdict::Apply(directive) => {
                let applied = config.apply(&directive).map_err(at_line)?;
                if applied == Applied::NotMine && !is_elsewhere(&directive) {
                    let _error = checker.unknown(&directive).map_err(at_line)?;
                    note!("{}", _error);
                }
            }
            Verdict::Harmless(..) | Verdict::Done => {}
            Verdict::Tolerated(error) => note!("{}", error),
        }
    }
    config.validate().map_err(|error| StartError::Config(ParseError::Whole(error)))
}

fn possible(directive: &Directive<'_>) -> Result<(), StartError> {
    for (options, why) in IMPOSSIBLE {
        if let Some(option) = options.iter().find(|option| directive.name == **option) {
            return Err(impossible(option, why));
        }
    }
    Ok(())
}

fn concerns_no_board(directive: &Directive<'_>) -> bool {
    // What `setenv opt` and `setenv FORWARD_COMPATIBLE` say is about the configuration itself.
    let is_variable = |name| directive.arg(0).is_none_or(|variable| variable != name);
    let is_about_itself = directive.name == "setenv" && !(is_variable("opt") && is_variable("FORWARD_COMPATIBLE"));
    !is_about_itself && is_elsewhere(directive)
}

fn is_elsewhere(directive: &Directive<'_>) -> bool {
    ELSEWHERE.split(' ').any(|name| directive.name == name)
}

fn check(config: &LinkConfig<'_>) -> Result<(), StartError> {
    let connections = || config.blocks.iter().chain([&config.connection]);
    let problems = [
        ("tun-mtu", usize::from(config.tun_mtu) > MTU_MAX, "it is longer than the buffers of this firmware (1500)"),
        (
            "replay-window",
            config.replay_window.0 > REPLAY_WINDOW_MAX,
            "it is larger than that of this firmware (512 packets)",
        ),
        (
            "local",
            connections().any(|one| one.local.is_some_and(|local| local.parse::<IpAddr>().is_none())),
            "a board needs an address here, not a name; or leave it out",
        ),
        (
            "ifconfig",
            net_config(config).is_none(),
            "a board needs two addresses here, or an address and a netmask with 'topology subnet'",
        ),
        (
            "remote",
            !cfg!(feature = "dns") && config.remotes.iter().any(|remote| remote.host.parse::<IpAddr>().is_none()),
            "this firmware finds no names, as it is built without the feature 'dns': write an address",
        ),
        (
            "remote",
            !cfg!(feature = "ipv6") && config.remotes.iter().any(|remote| is_ipv6(Some(remote.host))),
            WITHOUT_IPV6,
        ),
        ("local", !cfg!(feature = "ipv6") && connections().any(|one| is_ipv6(one.local)), WITHOUT_IPV6),
        ("ifconfig-ipv6", !cfg!(feature = "ipv6") && config.ifconfig_ipv6.is_some(), WITHOUT_IPV6),
        (
            "tls-client",
            !cfg!(feature = "tls") && config.tls.role.is_some(),
            "this firmware is built without the feature 'tls'",
        ),
        (
            "data-ciphers",
            config.role().is_some() && !config.tls.data_ciphers.iter().copied().all(RustCrypto::has_cipher),
            "this firmware is built without the feature 'cbc' or 'legacy', which has some of these",
        ),
    ];
    if let Some((option, _, why)) = problems.into_iter().find(|(_, applies, _)| *applies) {
        return Err(impossible(option, why));
    }
    if LOGS {
        config.warnings().for_each(|one| warning!("{}", one));
    }
    Ok(())
}

const WITHOUT_IPV6: &str = "this firmware is built without the feature 'ipv6'";

fn is_ipv6(host: Option<Word<'_>>) -> bool {
    host.is_some_and(|host| host.parse::<Ipv6Addr>().is_some())
}

pub(crate) const fn impossible(option: &'static str, why: &'static str) -> StartError {
    StartError::Impossible { option, why }
}

/// The key of a static-key link, if it is good and the firmware has its cipher and digest.
#[inline(never)]
pub(crate) fn static_key(config: &LinkConfig<'_>) -> Result<StaticKey, StartError> {
    if !cfg!(feature = "static-key") {
        return Err(impossible("secret", "this firmware is built without the feature 'static-key'"));
    }
    let key = match config.secret {
        Some(KeySource::Inline(text)) => StaticKey::parse(text).map_err(StartError::Secret)?,
        _ => return Err(StartError::NotInline("secret")),
    };
    let suite = config.suite();
    key.check(suite).map_err(StartError::Secret)?;
    if !RustCrypto::has_cipher(suite.cipher) || !RustCrypto::has_digest(suite.digest) {
        let why = "this firmware is built without the feature 'legacy', which has this one or the digest";
        return Err(impossible("cipher", why));
    }
    Ok(key)
}

/// What protects the control channel.
#[cfg(feature = "tls")]
pub(crate) fn protection(config: &LinkConfig<'static>, role: Role) -> Result<Protection<RustCrypto>, StartError> {
    let source = match config.tls.wrapping {
        ControlKey::None => None,
        ControlKey::Auth(source) => Some(("tls-auth", source)),
        ControlKey::Crypt(source) => Some(("tls-crypt", source)),
        ControlKey::CryptV2(source) => Some(("tls-crypt-v2", source)),
    };
    if let Some((option, KeySource::File(_))) = source {
        return Err(StartError::NotInline(option));
    }
    Protection::new(config, role).map_err(StartError::ControlKey)
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Impossible { option, why } => write!(f, "option '{option}': {why}"),
            Self::NotInline(option) => write!(
                f,
                "option '{option}': a board has no files; put the text of the file between <{option}> and </{option}>"
            ),
            Self::Secret(error) => write!(f, "option 'secret': {error}"),
            #[cfg(feature = "tls")]
            Self::Tls(text) => f.write_str(text),
            #[cfg(feature = "tls")]
            Self::Credential(option, error) => write!(f, "option '{option}': {error}"),
            #[cfg(feature = "tls")]
            Self::ControlKey(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StartError {}
