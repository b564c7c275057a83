//! The configuration as Linux has it: command line, config files, included files, key files.
//!
//! ```no_run
//! use longcable::config::{Loaded, Mode, Sources};
//!
//! let sources = Sources::load(std::env::args_os().skip(1), &std::env::current_dir()?)?;
//! let Loaded { mode, link, host, .. } = sources.parse()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod diagnostic;
mod help;
mod host;
mod sources;

use std::path::PathBuf;

use longcable_core::event::Signal;
use longcable_core::options::{
    Applied, Checker, ConfigError, ControlKey, Directive, KeySource, LinkConfig, Problem, Verdict, Warning, Word,
};

pub use diagnostic::Diagnostic;
pub use help::{options_markdown, print_help};
pub use host::{HostConfig, KeyKind, Mode, Status};
pub use sources::Sources;
pub(crate) use sources::unreadable;

use crate::scripts::Hook;
use sources::Source;

/// What `verb 3` says about a static key.
const STATIC_KEY_NOTE: &str = "NOTE: a static-key link has no forward secrecy: who gets hold of the key can read all that \
                               was ever sent; TLS has, and 'longcable migrate' writes configurations for it";

/// And about a control channel without a key of its own.
const NO_CONTROL_KEY_NOTE: &str = "NOTE: without 'tls-crypt' (or 'tls-auth') strangers can disturb the handshake, though \
                                   not take part in it: 'longcable --genkey tls-crypt FILE' makes a key for both ends";

/// A configuration that is ready for use. The link borrows the texts it was read from.
#[derive(Debug)]
pub struct Loaded<'s> {
    /// What to do.
    pub mode: Mode,
    /// The link. The key files of `secret`, `tls-auth`, `tls-crypt` and `tls-crypt-v2` have been read: their text is in
    /// the place of their name. Certificates and private keys have not.
    pub link: Box<LinkConfig<'s>>,
    /// The program around it.
    pub host: HostConfig,
    /// What the operator should know, for `verb 1`.
    pub warnings: Vec<String>,
    /// Options that make no difference and why, for `verb 3`.
    pub notes: Vec<String>,
}

impl Sources {
    /// Makes a configuration of the texts.
    ///
    /// # Errors
    /// The first option that is wrong, or what is missing.
    pub fn parse(&self) -> Result<Loaded<'_>, Diagnostic> {
        let mut checker = Checker::new();
        let mut loaded = Loaded {
            mode: Mode::Link,
            link: Box::default(),
            host: HostConfig::default(),
            warnings: self.warnings.clone(),
            notes: Vec::new(),
        };
        self.visit(&mut |source, directive| {
            let diagnose = |error: &ConfigError<'_>| Diagnostic::of_option(source, &directive, error);
            let place = || source.place(directive.line);
            match checker.check(directive.clone()).map_err(|error| diagnose(&error))? {
                Verdict::Apply(wanted) => {
                    if loaded.link.is_too_late(&wanted) {
                        let warning = "is ignored by previous <connection> blocks";
                        loaded.warnings.push(format!("WARNING: {}: option '{}' {warning}", place(), wanted.name));
                    }
                    loaded.apply(&wanted).map_err(|error| diagnose(&error))?;
                }
                // It says what is so here anyway, and openvpn wants it said.
                Verdict::Harmless(name, _) if name == "dh" && directive.arg(0).is_some_and(|file| file == "none") => {}
                Verdict::Harmless(name, why) => {
                    loaded.notes.push(format!("{}: option '{name}' has no effect: {why}", place()));
                }
                Verdict::Tolerated(error) => loaded.warnings.push(format!("WARNING: {}: ignored: {error}", place())),
                Verdict::Done => {}
            }
            Ok(())
        })?;
        loaded.finish(self).map_err(|error| self.diagnose_whole(&error))?;
        Ok(loaded)
    }

    /// Where the option stands, as in `home.conf:3`: the last one of this name.
    pub fn place_of(&self, option: &str) -> Option<String> {
        let mut place = None;
        // What has been read once without an error is read again without one.
        let _ = self.visit(&mut |source, directive| {
            if directive.name == option {
                place = Some(source.place(directive.line));
            }
            Ok(())
        });
        place
    }

    /// An error of the options together: the last one of its name is shown, if there is one.
    fn diagnose_whole(&self, error: &ConfigError<'_>) -> Diagnostic {
        let mut last = None;
        // What has been read once without an error is read again without one.
        let _ = self.visit(&mut |source, directive| {
            if directive.name == error.option {
                last = Some(Diagnostic::of_option(source, &directive, error));
            }
            Ok(())
        });
        last.unwrap_or_else(|| match &self.config_file {
            Some(file) => Diagnostic::in_file(file, error),
            None => Diagnostic::new(error),
        })
    }
}

impl<'s> Loaded<'s> {
    fn apply(&mut self, directive: &Directive<'s>) -> Result<(), ConfigError<'s>> {
        match self.link.apply(directive)? {
            Applied::Taken => Ok(()),
            Applied::NotMine => self.host.apply(directive).map(drop),
        }
    }

    fn finish(&mut self, sources: &'s Sources) -> Result<(), ConfigError<'s>> {
        self.host.finish();
        self.host.cd.clone_from(&sources.directory);
        self.host.config_file.clone_from(&sources.config_file);
        self.host.replay_persist = self.link.replay_persist.map(|file| PathBuf::from(file.to_string()));
        // The link only restarts: the host looks at the new configuration before it gives the old one up.
        self.host.restart_reads_anew = self.link.remap_usr1.take_if(|signal| *signal == Signal::Hup).is_some();
        let inline = |option, key: &mut KeySource<'s>| {
            let KeySource::File(file) = *key else { return None };
            if let Some(text) = sources.key(option) {
                *key = KeySource::Inline(text);
            }
            Some(PathBuf::from(file.to_string()))
        };
        self.host.secret_file = self.link.secret.as_mut().and_then(|key| inline("secret", key));
        self.host.wrapping_file = match &mut self.link.tls.wrapping {
            ControlKey::None => None,
            ControlKey::Auth(key) => inline("tls-auth", key),
            ControlKey::Crypt(key) => inline("tls-crypt", key),
            ControlKey::CryptV2(key) => inline("tls-crypt-v2", key),
        };
        self.mode = std::mem::take(&mut self.host.mode);
        match &mut self.mode {
            Mode::Link => {
                self.link.validate()?;
                let verified = self.host.scripts.iter().any(|(hook, _)| *hook == Hook::TlsVerify);
                let warnings = self.link.warnings().filter(|warning| {
                    // A script that looks at certificates is such a method too.
                    !(verified && *warning == Warning::NoServerVerification)
                });
                self.warnings.extend(warnings.map(|warning| warning.to_string()));
                if self.link.secret.is_some() {
                    if verified {
                        return Err(error(
                            "tls-verify",
                            Problem::Conflict { why: "only a TLS link has it; leave it out" },
                        ));
                    }
                    self.notes.push(STATIC_KEY_NOTE.to_owned());
                } else if self.link.tls.wrapping == ControlKey::None {
                    self.notes.push(NO_CONTROL_KEY_NOTE.to_owned());
                }
            }
            Mode::TestCrypto => self.link.validate_keys()?,
            Mode::MakeTun | Mode::RemoveTun => self.link.validate_device()?,
            // The old spelling is `--genkey --secret FILE`.
            Mode::GenerateKey(KeyKind::Static, file) => *file = file.take().or(self.host.secret_file.clone()),
            Mode::GenerateKey(KeyKind::TlsCryptV2Client { .. }, _) => match self.link.tls.wrapping {
                ControlKey::CryptV2(_) => {}
                _ => {
                    let remedy = "a client key is made with the server's key: add '--tls-crypt-v2 SERVERKEY'";
                    return Err(error("genkey", Problem::Missing { remedy }));
                }
            },
            Mode::GenerateKey(KeyKind::TlsCryptV2Server, _)
            | Mode::Help
            | Mode::Version
            | Mode::ShowCiphers
            | Mode::ShowDigests
            | Mode::ShowTls
            | Mode::ShowGroups => {}
        }
        Ok(())
    }
}

fn error<'a>(option: &'static str, problem: Problem<'a>) -> ConfigError<'a> {
    ConfigError { option: Word::literal(option), word: 0, problem }
}

impl Source {
    fn place(&self, line: u32) -> String {
        match &self.text {
            sources::Text::CommandLine(_) => self.name.clone(),
            sources::Text::File(_) => format!("{}:{line}", self.name),
        }
    }
}

#[cfg(test)]
mod tests;
