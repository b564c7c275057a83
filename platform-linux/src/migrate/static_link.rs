//! What is known of a static-key link from the config of one end.

use std::net::IpAddr;
use std::path::Path;

use longcable_core::options::{Directive, Lexer, LinkConfig, Topology};
use longcable_core::tls::Role;

use crate::config::{Loaded, Mode, Sources};
use crate::failure::Fatal;

/// Most characters of an end's name.
const NAME_MAX: usize = 32;

/// A valid static-key link, with the text that it was read from.
pub(super) struct StaticLink<'s> {
    pub(super) config: Box<LinkConfig<'s>>,
    /// The config file, from its first character on.
    pub(super) text: &'s [u8],
    /// Its options in their order.
    pub(super) directives: Vec<Directive<'s>>,
    /// The name of the end whose config this is: that of the file.
    pub(super) here: String,
    /// The name of the other end.
    pub(super) there: String,
}

impl<'s> StaticLink<'s> {
    /// Checks that these sources of `path` are a static-key link.
    pub(super) fn new(sources: &'s Sources, path: &Path) -> Result<Self, Fatal> {
        let Loaded { mode, link, .. } = sources.parse().map_err(Fatal::new)?;
        let wrong = |line: u32, what: &str| Err(Fatal::new(format!("{}:{line}: {what}", path.display())));
        let text = sources.config_texts().last().map_or(&[][..], |(_, text)| text);
        // They have been read without an error before.
        let directives: Vec<_> = Lexer::new(text).filter_map(Result::ok).collect();
        let line_of = |names: &[&str]| {
            let named = directives.iter().find(|directive| names.iter().any(|name| directive.name == *name));
            named.map_or(1, |directive| directive.line)
        };
        if sources.config_texts().count() != 1 {
            return wrong(
                line_of(&["config"]),
                "'config' reads options from another file: put them in its place first",
            );
        }
        if !link.blocks.is_empty() {
            return wrong(
                line_of(&["connection"]),
                "a <connection> block: write its 'remote' and options without it first",
            );
        }
        if mode != Mode::Link {
            return Err(Fatal::new(format!("{}: this is a command and no link", path.display())));
        }
        if link.tls.role.is_some() {
            return wrong(line_of(&["tls-client", "tls-server"]), "this is a TLS link already: nothing is to be done");
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let here = name(&stem).unwrap_or_else(|| "home".to_owned());
        let called = link.remotes.first().filter(|remote| remote.host.parse::<IpAddr>().is_none());
        let there = called.and_then(|remote| name(remote.host.to_string().split('.').next()?));
        let there = match there.unwrap_or_else(|| "peer".to_owned()) {
            there if there == here => format!("{here}-peer"),
            there => there,
        };
        Ok(Self { config: link, text: without_mark(text), directives, here, there })
    }

    /// What this end becomes. Who names the other end calls it; who does not can only wait to be called.
    pub(super) fn role(&self) -> Role {
        if self.config.remotes.is_empty() { Role::Server } else { Role::Client }
    }

    /// The addresses of this end and of the other one in the tunnel, if they are known.
    pub(super) fn tunnel(&self) -> Option<(String, String)> {
        let ifconfig = self.config.ifconfig.filter(|_| self.config.topology != Topology::Subnet)?;
        Some((ifconfig.local.to_string(), ifconfig.remote_or_netmask.to_string()))
    }

    /// Which end has which role and why, for people.
    pub(super) fn roles(&self) -> String {
        let (here, there) = (&self.here, &self.there);
        match self.role() {
            Role::Client => format!(
                "{here} is the TLS client and calls, because its config names the other end ('remote'); {there} is the\n\
                 TLS server.\n"
            ),
            Role::Server => format!(
                "{here} is the TLS server and waits, because its config names no other end ('remote'); {there} is the\n\
                 TLS client and calls.\n"
            ),
        }
    }

    /// What to do with the two files, for people.
    pub(super) fn steps(&self) -> String {
        let (here, there) = (&self.here, &self.there);
        let ping = self.tunnel().map(|(_, there)| format!(", and at {here} 'ping {there}' is answered"));
        let ping = ping.unwrap_or_default();
        format!(
            "1. Look at the lines marked CHECK in {there}.conf: this end does not know everything about the other one.\n\
             2. Carry {there}.conf to {there} by a safe way such as scp, then delete it here. Each file has the private\n\
             \x20  key of its end and belongs nowhere else.\n\
             3. Switch both ends at the same time, as a TLS end and a static-key end do not understand each other: stop\n\
             \x20  the link at both, then start 'longcable --config FILE' with the new file at each (or openvpn 2.6 or later).\n\
             \x20  If you reach {there} through this link only, let a job switch it in five minutes, and have another that\n\
             \x20  starts the old config again in case it does not work:\n\
             \x20  nohup sh -c 'sleep 300; STOP-THE-OLD-LINK; longcable --config {there}.conf' >/dev/null 2>&1 &\n\
             4. It works when both logs say 'Initialization Sequence Completed'{ping}.\n\
             5. To go back, start both ends with their old configs: they are as they were. Delete those and the static\n\
             \x20  key when the new link has proved itself.\n"
        )
    }
}

/// What may be a file name and the name in a certificate.
fn name(text: &str) -> Option<String> {
    let clean = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    let name: String = text.chars().take(NAME_MAX).map(clean).collect();
    Some(name).filter(|name| name.chars().any(|c| c.is_ascii_alphanumeric()))
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}
