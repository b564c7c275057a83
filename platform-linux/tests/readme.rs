//! The README says what the program says.

use std::path::{Path, PathBuf};

use longcable_core::error::Discard;
use longcable_core::event::{Cause, Event};
use longcable_core::options::{LinkConfig, TlsOptions};
use longcable_core::tls::TlsFailure;
use longcable_core::x509::Reason;

const BEGIN: &str = "<!-- options: begin -->\n";
const END: &str = "<!-- options: end -->\n";

/// The list of options comes from the table that the parser uses. `UPDATE_README=1` writes it anew.
#[test]
fn the_readme_lists_the_options_as_the_table_has_them() {
    let (path, readme) = readme();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the mark where the options begin");
    let (listed, after) = rest.split_once(END).expect("the README has the mark where the options end");
    let options = format!("{}\n", longcable::config::options_markdown().trim_end());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{options}{END}{after}")).expect("the README can be written");
        return;
    }
    assert!(
        listed == options,
        "the README's options are out of date: UPDATE_README=1 cargo test -p longcable --test readme"
    );
}

/// What the README explains about failing links is what the program says.
#[test]
fn the_readme_quotes_log_lines_that_exist() {
    let reasons = [
        Reason::Fingerprint,
        Reason::AuthorityFingerprint,
        Reason::UnknownIssuer,
        Reason::ClockNotSet,
        Reason::NotYetValid,
        Reason::Expired,
        Reason::ExtendedKeyUsage,
        Reason::KeyUsage,
        Reason::Name,
        Reason::Revoked,
        Reason::RevocationListExpired,
    ];
    let discards = [
        Discard::ControlAuthentication,
        Discard::ControlWrapping,
        Discard::ControlMalformed,
        Discard::Role(7),
        Discard::UnknownSession,
        Discard::UnknownKey(1),
    ];
    let events = [
        Event::HandshakeTimeout(TlsOptions::default().hand_window),
        Event::PeerSilent { address: None, seconds: 60, discarded: 0, accepted: false },
        Event::PeerSilent { address: None, seconds: 60, discarded: 0, accepted: true },
        Event::Ending(Cause::PingRestart),
        Event::Initialized,
        Event::MessageIgnored("PUSH_REQUEST"),
        Event::TlsFailed(TlsFailure::new("alert", true)),
    ];
    let mut said: Vec<String> = reasons.iter().map(Reason::to_string).collect();
    said.extend(discards.iter().map(Discard::to_string));
    said.extend(events.iter().map(Event::to_string));
    let fixed = LinkConfig::default();
    said.extend(Discard::Authentication.hint(&fixed, Some(0x38)).map(str::to_owned));
    // What is said in parts, which the interop tests look at.
    let parts = [
        "ERROR: failed to negotiate cipher with peer: it has 'client' or 'pull' and waits for options",
        "Hint: datagrams to the peer are refused",
        "read UDPv4 [ECONNREFUSED]: Connection refused",
        "TLS: no version in common",
        "Socket bind failed on local address [AF_INET][undef]:1194: Address already in use",
    ];
    said.extend(parts.map(str::to_owned));

    let (_, readme) = readme();
    let (_, table) = readme.split_once("<!-- tls log: begin -->\n").expect("the README has the table");
    let (table, _) = table.split_once("<!-- tls log: end -->").expect("the table has an end");
    let lines = table.lines().skip(2).map(|row| row.split('|').nth(1).expect("a first column"));
    let mut quoted = 0;
    for quote in lines.flat_map(|column| column.split('`').skip(1).step_by(2)) {
        assert!(said.iter().any(|line| line.contains(quote)), "nothing says '{quote}'");
        quoted += 1;
    }
    assert!(quoted >= said.len(), "each of these has its row");
}

fn readme() -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&path).expect("the README is there");
    (path, text)
}
