//! What works: handshakes and data with rustls.

use longcable_core::options::LinkConfig;
use longcable_core::tls::{Role, TlsFailure, TlsSession};
use longcable_embassy::tls::{EmbeddedTlsSession, Memory, PLAIN_MAX, Room, WRITE_MAX, check};
use rustls::{AlertDescription, Error};

use crate::pair::{Rustls, TestRng, connect, exchange, pump, with_session};
use crate::pki::{self, ED25519, Identity, NOW, P256, Pki};

/// A handshake with client certificate, and data both ways.
fn talk(session: &mut EmbeddedTlsSession<'_>, pki: &Pki) {
    let mut server = Rustls::new(&[&pki.server], Some(&pki.authority));
    let peer = connect(session, &mut server).unwrap();
    assert_eq!(peer.common_name(), "server");
    assert_eq!(server.connection.peer_certificates().unwrap()[0].as_ref(), pki.client.der);

    let long = vec![7; PLAIN_MAX];
    assert_eq!(session.write_plain(b"from the board"), 14);
    assert_eq!(session.write_plain(b"while that waits"), 16);
    pump(session, &mut server).unwrap();
    assert_eq!(server.read(), b"from the boardwhile that waits");
    assert_eq!(session.write_plain(&long), 0);
    assert_eq!(session.write_plain(&long[..WRITE_MAX]), WRITE_MAX);
    pump(session, &mut server).unwrap();
    assert!(server.read() == long[..WRITE_MAX]);

    // Each call gives one record, also where several have come at once.
    server.write(b"one");
    server.write(b"two");
    server.write(&long);
    server.write(&long[..256]);
    server.write(&long[..257]);
    assert!(
        exchange(session, &mut server).unwrap()
            == [b"one".to_vec(), b"two".to_vec(), long.clone(), long[..256].to_vec(), long[..257].to_vec()]
    );
}

#[test]
fn p256() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| talk(session, &pki));
}

#[test]
fn ed25519() {
    let pki = Pki::new(ED25519);
    with_session(&pki, |session| talk(session, &pki));
}

#[test]
fn a_server_certificate_of_an_intermediate_authority() {
    let mut pki = Pki::new(P256);
    let mut params = pki::server("intermediate");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages.clear();
    let intermediate = pki.authority.signs(params, ED25519);
    pki.server = intermediate.signs(pki::server("server"), P256);
    with_session(&pki, |session| {
        let mut server = Rustls::new(&[&pki.server, &intermediate], None);
        assert_eq!(connect(session, &mut server).unwrap().common_name(), "server");
    });
}

#[test]
fn a_second_session_in_the_same_memory() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| {
        for _ in 0..3 {
            talk(session, &pki);
        }
        // Also after one that was given up half-way, and after one that failed.
        session.start(Role::Client, NOW).unwrap();
        assert!(session.write_tls(&mut [0; 50]) > 0);
        assert_eq!(session.read_tls(&[22, 3, 3]), 3);
        talk(session, &pki);
        let stranger = Identity::authority("stranger", P256);
        let stranger = stranger.signs(pki::server("server"), P256);
        assert!(connect(session, &mut Rustls::new(&[&stranger], None)).is_err());
        talk(session, &pki);
        session.stop();
        assert_eq!(session.write_tls(&mut [0; 50]), 0);
        assert_eq!(session.write_plain(b"nobody hears this"), 0);
    });
}

#[test]
fn nothing_is_sent_before_the_session_is_established() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| {
        session.start(Role::Client, NOW).unwrap();
        assert_eq!(session.write_plain(b"too early"), 0);
    });
}

#[test]
fn without_a_clock_the_validity_is_not_checked() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| {
        let mut server = Rustls::new(&[&pki.server], None);
        session.start(Role::Client, 0).unwrap();
        pump(session, &mut server).unwrap();
        session.write_plain(b"hello");
        pump(session, &mut server).unwrap();
        assert_eq!(server.read(), b"hello");
    });
}

#[test]
fn what_the_server_says_against_our_certificate_is_heard() {
    let pki = Pki::new(P256);
    let others = Identity::authority("others", P256);
    with_session(&pki, |session| {
        let mut server = Rustls::new(&[&pki.server], Some(&others));
        let failure = connect(session, &mut server).unwrap_err();
        let TlsFailure::Alert(text) = failure else { panic!("{failure:?}") };
        assert_eq!(text, "UnknownCa");
    });
}

#[test]
fn our_alert_reaches_the_server() {
    let mut pki = Pki::new(P256);
    pki.server = Identity::authority("others", P256).signs(pki::server("server"), P256);
    with_session(&pki, |session| {
        let mut server = Rustls::new(&[&pki.server], None);
        connect(session, &mut server).unwrap_err();
        assert_eq!(server.error, Some(Error::AlertReceived(AlertDescription::UnknownCA)));
    });
}

#[test]
fn the_end_of_a_session_is_heard() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| {
        let mut server = Rustls::new(&[&pki.server], None);
        connect(session, &mut server).unwrap();
        server.connection.send_close_notify();
        server.write(b"");
        let failure = pump(session, &mut server).unwrap_err();
        assert_eq!(failure, TlsFailure::new("CloseNotify", true));
    });
}

#[test]
fn the_role_of_a_server_is_refused() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| {
        let failure = session.start(Role::Server, NOW).unwrap_err();
        assert!(failure.to_string().contains("configure tls-client here"), "{failure}");
    });
}

#[test]
fn memory() {
    let pki = Pki::new(P256);
    pki.with_credentials(|credentials| {
        let memory = Memory::new();
        let room = Room::new(&memory, credentials, TestRng(1));
        let engine = room.engine();
        let session = size_of::<EmbeddedTlsSession<'_>>();
        let sizes = [size_of_val(&room), size_of_val(&engine), session];
        assert!(sizes.iter().zip([15 * 1024 + 512, 3 * 1024, 512]).all(|(size, limit)| *size <= limit), "{sizes:?}");
    });
}

#[test]
fn what_a_board_cannot_is_said_when_it_is_configured() {
    const GOOD: &str = "dev tun\nremote 192.0.2.1\ntls-client\nca ca\ncert cert\nkey key\ntls-crypt key\n";
    let verdict = |text: &str| check(&LinkConfig::parse(text).unwrap());
    assert_eq!(verdict(GOOD), Ok(()));
    assert_eq!(verdict("dev tun\nremote 192.0.2.1\nsecret key\ncipher AES-256-CBC"), Ok(()));
    for (bad, hint) in [
        (GOOD.replace("tls-client", "tls-server\ndh none"), "tls-client here and tls-server at the peer"),
        (GOOD.replace("tls-crypt key\n", ""), "'tls-crypt'"),
        (format!("{GOOD}tls-version-max 1.2"), "'tls-version-max'"),
        (format!("{GOOD}tls-ciphersuites TLS_AES_256_GCM_SHA384"), "'tls-ciphersuites'"),
        (format!("{GOOD}tls-groups secp384r1:X25519"), "'tls-groups'"),
        (format!("{GOOD}extra-certs more"), "'extra-certs'"),
    ] {
        let text = verdict(&bad).unwrap_err();
        assert!(text.contains(hint), "{bad}: {text}");
    }
    assert_eq!(verdict(&format!("{GOOD}tls-groups X25519:prime256v1")), Ok(()));
    assert_eq!(verdict(&GOOD.replace("tls-crypt", "tls-auth")), Ok(()));
    assert_eq!(verdict(&format!("{GOOD}tls-ciphersuites TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256")), Ok(()));
}
