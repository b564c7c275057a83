//! TLS for the control channel: any stack that is a [`TlsStack`]; and rustls as the usual one, with the verifier of the
//! engine.
//!
//! ```text
//! options, files --TlsContext::load--> TlsContext --session--> RustlsSession (one at a time, again and again)
//! ```

mod algorithms;
mod describe;
mod identity;
mod key_file;
mod password;
mod peer_check;
mod pkcs12;
mod revocation;
mod session;
pub(crate) mod settings;
#[cfg(test)]
mod tests;
mod trust;
mod verify_script;

use std::sync::Arc;
use std::thread::Scope;
use std::time::Duration;

use longcable_core::options::LinkConfig;
use longcable_core::tls::TlsSession;

use crate::config::HostConfig;
use crate::environment::Environment;
use crate::event_loop::{Linux, Sender, SharedGateway};
use crate::failure::Fatal;
use crate::scripts::{Hook, Scripts};
use identity::Identity;
use password::Password;
use settings::Settings;
use trust::Trust;

pub use session::RustlsSession;

/// Sessions of a link: the one in use, the one that is negotiated, and one of a peer that comes back meanwhile.
pub const SESSIONS: usize = 3;

/// A TLS stack that the program runs with; the value is what all sessions of a link share.
pub trait TlsStack: Sized {
    /// One session; it may borrow the link's configuration.
    type Session<'c>: TlsSession;

    /// Reads what the link needs, and makes room for its sessions.
    ///
    /// # Errors
    /// The stack cannot serve this link; the message says why and what to do.
    fn open<'c>(link: &'c LinkConfig<'c>, host: &'c HostConfig)
    -> Result<(Self, [Self::Session<'c>; SESSIONS]), Fatal>;

    /// What the script of `tls-verify` sees besides the peer's certificates: the variables of all scripts so far.
    fn set_environment(&self, _environment: Environment) {}

    /// The variables about the peer that was verified last (protocol section 5.4), once: they are for all scripts from
    /// then on.
    fn take_variables(&self) -> Option<Vec<(String, String)>> {
        None
    }

    /// Starts the thread of `threads 2`.
    ///
    /// # Errors
    /// The system has none left, or sessions of this kind belong to one thread.
    fn start_sender<'s, 'c: 's>(
        _scope: &'s Scope<'s, '_>,
        _gateway: SharedGateway<'c, Linux<Self::Session<'c>>>,
        _spin: Duration,
    ) -> Result<Sender, Fatal> {
        Err(Fatal::new("Options error: 'threads': the sessions of this TLS stack belong to one thread"))
    }
}

/// What all rustls sessions of a link share. Certificates and keys are in memory, so privileges may be dropped; what
/// `crl-verify` names is read again and the script of `tls-verify` is run later, with the privileges left then.
#[derive(Clone, Debug)]
pub struct TlsContext {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    identity: Option<Identity>,
    trust: Arc<Trust>,
}

impl TlsContext {
    /// Reads certificates, keys and lists. A password may be asked for on the terminal.
    ///
    /// # Errors
    /// A file cannot be read or does not hold what it should, or an option asks for what there is not; the message
    /// says which and what to do.
    pub fn load(link: &LinkConfig<'_>, host: &HostConfig) -> Result<Self, Fatal> {
        let settings = Settings::new(&link.tls)?;
        let (roots, identity) = identity::load(&link.tls, &mut Password::new(host.askpass.clone().flatten()))?;
        if roots.is_empty() && link.tls.peer.peer.is_empty() {
            return Err(Fatal::new(
                "Options error: nothing says whom to trust: set 'ca FILE' or 'peer-fingerprint', or a 'pkcs12' file \
                 with the authority's certificate in it",
            ));
        }
        let mut scripts = Scripts::new(host.script_security);
        for (hook, command) in host.scripts.iter().filter(|(hook, _)| *hook == Hook::TlsVerify) {
            scripts.set(*hook, command).map_err(|error| Fatal::new(format!("Options error: {error}")))?;
        }
        let trust = Arc::new(Trust::new(roots, &link.tls, scripts, host.environment.clone())?);
        Ok(Self { shared: Arc::new(Shared { settings, identity, trust }) })
    }

    /// A slot for sessions.
    pub fn session(&self) -> RustlsSession {
        RustlsSession::new(self.shared.clone())
    }
}

impl TlsStack for TlsContext {
    type Session<'c> = RustlsSession;

    fn open<'c>(link: &'c LinkConfig<'c>, host: &'c HostConfig) -> Result<(Self, [RustlsSession; SESSIONS]), Fatal> {
        let context = Self::load(link, host)?;
        let sessions = std::array::from_fn(|_| context.session());
        Ok((context, sessions))
    }

    fn set_environment(&self, environment: Environment) {
        self.shared.trust.set_environment(environment);
    }

    fn take_variables(&self) -> Option<Vec<(String, String)>> {
        self.shared.trust.take_variables()
    }

    fn start_sender<'s, 'c: 's>(
        scope: &'s Scope<'s, '_>,
        gateway: SharedGateway<'c, Linux<RustlsSession>>,
        spin: Duration,
    ) -> Result<Sender, Fatal> {
        Sender::start(scope, gateway, spin)
    }
}
