//! longcable's Linux program with the TLS stack of boards, so that whole links can be tested with it.

use std::process::ExitCode;
use std::{array, env, fs};

use longcable::cli;
use longcable::config::HostConfig;
use longcable::crypto::FastRng;
use longcable::failure::Fatal;
use longcable::scripts::Hook;
use longcable::tls::{SESSIONS, TlsStack};
use longcable_core::options::{KeySource, LinkConfig, RevocationList};
use longcable_embassy::tls::{Credentials, EmbeddedTlsSession, Identity, Memory, PrivateKey, Room, check, decode_pem};

/// Authorities and lists that there is room for, and their bytes.
const FILES_MAX: usize = 8;
const BYTES_MAX: usize = 16 << 10;

fn main() -> ExitCode {
    cli::run_with::<Board>(env::args_os().skip(1))
}

/// What its sessions share they borrow; as on a board it is never given back.
struct Board;

impl TlsStack for Board {
    type Session<'c> = EmbeddedTlsSession<'c>;

    fn open<'c>(
        link: &'c LinkConfig<'c>,
        host: &'c HostConfig,
    ) -> Result<(Self, [EmbeddedTlsSession<'c>; SESSIONS]), Fatal> {
        check(link).map_err(|problem| Fatal::new(format!("Options error: {problem}")))?;
        if host.scripts.iter().any(|(hook, _)| *hook == Hook::TlsVerify) {
            return Err(Fatal::new("Options error: 'tls-verify': this stack runs no scripts"));
        }
        let credentials = credentials(link)?;
        let session = |_| {
            let memory = Box::leak(Box::new(Memory::new()));
            let room: &'c Room<'c, FastRng> = Box::leak(Box::new(Room::new(memory, credentials, FastRng::new())));
            let engine = Box::leak(Box::new(Box::pin(room.engine())));
            EmbeddedTlsSession::new(room, engine.as_mut())
        };
        Ok((Self, array::from_fn(session)))
    }
}

fn credentials<'c>(link: &'c LinkConfig<'c>) -> Result<Credentials<'c>, Fatal> {
    let tls = &link.tls;
    let authorities = tls.ca.as_ref().map(|source| decode::<FILES_MAX>("ca", source, "CERTIFICATE"));
    let lists = match &tls.crl {
        Some(RevocationList::List(source)) => Some(decode::<FILES_MAX>("crl-verify", source, "X509 CRL")),
        Some(RevocationList::Directory(_)) | None => None,
    };
    let identity = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            let [cert] = *decode::<1>("cert", cert, "CERTIFICATE")? else {
                return Err(unusable("cert", "no certificate"));
            };
            let key = PrivateKey::parse(text("key", key)?.as_bytes()).map_err(|error| unusable("key", error))?;
            Some(Identity::new(cert, Box::leak(Box::new(key))).map_err(|error| unusable("key", error))?)
        }
        (None, None) => None,
        _ => return Err(Fatal::new("Options error: 'cert' and 'key' belong together")),
    };
    Ok(Credentials {
        roots: authorities.transpose()?.unwrap_or_default(),
        crls: lists.transpose()?.unwrap_or_default(),
        identity,
        rules: &tls.peer,
        profile: tls.profile,
    })
}

/// At most `N` blocks of PEM.
fn decode<const N: usize>(
    option: &str,
    source: &KeySource<'_>,
    label: &str,
) -> Result<&'static [&'static [u8]], Fatal> {
    let found = decode_pem::<N>(&text(option, source)?, label, &mut vec![0; BYTES_MAX].leak());
    Ok(found.map_err(|error| unusable(option, error))?.to_vec().leak())
}

fn text(option: &str, source: &KeySource<'_>) -> Result<String, Fatal> {
    match source {
        KeySource::Inline(text) => Ok((*text).to_owned()),
        KeySource::File(name) => {
            fs::read_to_string(name.to_string()).map_err(|error| unusable(option, format!("{name}: {error}")))
        }
    }
}

fn unusable(option: &str, problem: impl std::fmt::Display) -> Fatal {
    Fatal::new(format!("Options error: option '{option}': {problem}"))
}
