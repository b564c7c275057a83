//! Peers that break TLS.

use super::*;

/// Feeds `wire` in pieces of `step` and returns how the session takes it.
fn feed(session: &mut RustlsSession, wire: &[u8], step: usize) -> Outcome {
    for piece in wire.chunks(step) {
        assert_eq!(session.read_tls(piece), piece.len());
        if session.step().is_err() {
            break;
        }
    }
    outcome(session)
}

#[test]
fn garbage_ends_a_session_with_an_alert_and_without_harm() {
    let pki = Pki::new();
    let (client, server) = (pki.client("client"), pki.server("server"));
    let contexts = [context(options(pki.ca(), &client)), context(options(pki.ca(), &server))];
    let longest = [&[22, 3, 3, 0xff, 0xff][..], &[1; 70_000]].concat();
    let unknown = [&[99, 3, 3, 0, 5][..], &[0; 5]].concat();
    let handshake = [&[22, 3, 3, 0x40, 0][..], &[1, 0xff, 0xff, 0xff], &[0; 16_380]].concat();
    let early_data = [&[23, 3, 3, 0, 20][..], &[7; 20]].concat();
    for (wire, has_alert) in [
        (&b"GET / HTTP/1.1\r\nHost: example\r\n\r\n"[..], true),
        (&longest, true),
        (&unknown, true),
        (&handshake, false),
        (&early_data, true),
    ] {
        for step in [1, 1000, wire.len()] {
            for (context, role) in contexts.iter().zip([Role::Client, Role::Server]) {
                let mut session = context.session();
                session.start(role, NOW).unwrap();
                while session.write_tls(&mut [0; 1000]) > 0 {}
                let result = feed(&mut session, wire, step);
                assert!(matches!(result, Err(TlsFailure::Protocol(_))), "{role:?} {result:?}");
                let mut alert = [0; 100];
                let len = session.write_tls(&mut alert);
                assert_eq!((len, alert[0], alert[5]), if has_alert { (7, 21, 2) } else { (0, 0, 0) }, "{result:?}");
                // It stays failed, takes what comes and says nothing more.
                assert_eq!(session.read_tls(&[0; 3000]), 3000);
                assert!(session.step().is_err());
                assert_eq!(session.write_tls(&mut alert), 0);
                assert_eq!(session.write_plain(b"x"), 0);
                assert!(session.export("label", &mut [0; 8]).is_err());
            }
        }
    }
}

#[test]
fn a_half_record_is_waited_for() {
    let pki = Pki::new();
    let mut session = context(options(pki.ca(), &pki.server("server"))).session();
    session.start(Role::Server, NOW).unwrap();
    for prefix in [&[22][..], &[3, 1], &[0x40, 0], &[1, 0, 0x3f]] {
        assert_eq!(feed(&mut session, prefix, 1), Ok(None));
    }
}

#[test]
fn a_changed_record_ends_an_established_session() {
    let mut pair = established(1000);
    assert_eq!(pair.client.write_plain(b"message"), 7);
    let mut wire = [0; 200];
    let len = pair.client.write_tls(&mut wire);
    wire[len - 1] ^= 1;
    assert!(matches!(feed(&mut pair.server, &wire[..len], len), Err(TlsFailure::Protocol(_))));
    assert_eq!(pair.server.read_plain(&mut [0; 10]), 0);
    carry(&mut pair.server, &mut pair.client, 100);
    assert_eq!(outcome(&mut pair.client), Err(TlsFailure::new("bad_record_mac", true)));
}

#[test]
fn a_peer_cannot_fill_memory_with_messages_that_nobody_reads() {
    let mut pair = established(1000);
    let mut wire = vec![0; 1 << 15];
    let mut taken_all = 0;
    loop {
        assert_eq!(pair.client.write_plain(&[1; 1000]), 1000);
        let len = pair.client.write_tls(&mut wire);
        let taken = pair.server.read_tls(&wire[..len]);
        if taken < len {
            break;
        }
        taken_all += 1;
        assert!(taken_all < 100, "it takes without end");
    }
    assert!(taken_all > 50, "{taken_all}");
    // Reading makes room again.
    let mut out = [0; 2000];
    for _ in 0..taken_all {
        assert_eq!(pair.server.read_plain(&mut out), 1000);
    }
    assert_eq!(pair.server.read_plain(&mut out), 0);
}

#[test]
fn an_authentic_goodbye_is_a_failure_and_a_forged_one_is_not() {
    let pki = Pki::new();
    let mut session = context(options(pki.ca(), &pki.server("server"))).session();
    session.start(Role::Server, NOW).unwrap();
    assert_eq!(feed(&mut session, &[21, 3, 3, 0, 2, 1, 0], 7), Ok(None));

    let mut pair = established(1000);
    pair.client.connection().unwrap().send_close_notify();
    pair.client.write_plain(b"x");
    carry(&mut pair.client, &mut pair.server, 100);
    assert_eq!(outcome(&mut pair.server), Err(TlsFailure::new("close_notify", true)));
}

#[test]
fn new_keys_inside_tls_are_followed_but_not_without_end() {
    let mut pair = established(1000);
    for updates in [3, 100] {
        for _ in 0..updates {
            pair.client.connection().unwrap().refresh_traffic_keys().unwrap();
        }
        assert_eq!(pair.client.write_plain(b"x"), 1);
        carry(&mut pair.client, &mut pair.server, 100);
        assert_eq!(pair.server.read_plain(&mut [0; 10]), usize::from(updates == 3));
    }
    assert!(matches!(outcome(&mut pair.server), Err(TlsFailure::Protocol(_))));
}
