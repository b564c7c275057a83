//! Attacks that embedded-tls alone does not withstand, each beside the honest handshake that differs in nothing else.

use longcable_core::tls::{TlsFailure, TlsSession as _};
use longcable_core::x509::Reason;

use crate::pair::{Rustls, connect, exchange, pump, with_session};
use crate::pki::{self, P256, Pki};
use crate::rogue::{
    ALERT, CERTIFICATE, DATA, EXTENSIONS, FINISHED, Flight, HANDSHAKE, HELLO, KEY_UPDATE, REQUEST, Rogue, TICKET,
    VERIFY, certificate, message,
};

/// Asserts that a server with this script is refused, and sees nothing that is encrypted.
fn refused(script: impl FnOnce(&mut Flight, &Pki)) -> TlsFailure {
    let pki = Pki::new(P256);
    let mut server = Rogue::new(|flight| script(flight, &pki));
    let failure = with_session(&pki, |session| connect(session, &mut server)).unwrap_err();
    let sent = server.flight.unwrap().received;
    assert!(sent.iter().all(|(kind, content)| *kind == ALERT && content.len() == 2), "{failure}: {sent:?}");
    failure
}

fn certificate_reason(failure: &TlsFailure) -> Reason {
    let TlsFailure::Certificate(refusal) = failure else { panic!("{failure:?}") };
    refusal.reason
}

#[test]
fn the_server_of_these_tests_is_accepted_when_it_is_honest() {
    for request in [false, true] {
        let pki = Pki::new(P256);
        let mut server = Rogue::new(|flight| {
            flight.extensions();
            if request {
                flight.request();
            }
            flight.certificate(&[&pki.server]);
            flight.verify(&pki.server);
            flight.finished();
        });
        with_session(&pki, |session| {
            assert_eq!(connect(session, &mut server).unwrap().common_name(), "server");
            session.write_plain(b"hello");
            pump(session, &mut server).unwrap();
            assert_eq!(server.data(), b"hello");
            server.send(b"welcome\x17\0\0");
            assert_eq!(exchange(session, &mut server).unwrap(), [b"welcome"]);
        });
    }
}

#[test]
fn a_server_without_certificate_and_signature() {
    let failure = refused(|flight, _| {
        flight.extensions();
        flight.finished();
    });
    assert_eq!(certificate_reason(&failure), Reason::NoCertificate);
    // Nor does it learn who we are.
    let failure = refused(|flight, _| {
        flight.extensions();
        flight.request();
        flight.finished();
    });
    assert_eq!(certificate_reason(&failure), Reason::NoCertificate);
}

#[test]
fn a_server_without_signature() {
    let failure = refused(|flight, pki| {
        flight.extensions();
        flight.certificate(&[&pki.server]);
        flight.finished();
    });
    assert!(failure.to_string().contains("has not shown that it has the key"), "{failure}");
}

#[test]
fn a_server_with_a_signature_but_without_certificate() {
    let failure = refused(|flight, pki| {
        flight.extensions();
        flight.verify(&pki.server);
        flight.finished();
    });
    assert!(failure.to_string().contains("signature out of place"), "{failure}");
}

#[test]
fn an_empty_certificate_message() {
    let failure = refused(|flight, pki| {
        flight.extensions();
        flight.certificate(&[]);
        flight.verify(&pki.server);
        flight.finished();
    });
    assert_eq!(certificate_reason(&failure), Reason::NoCertificate);
}

#[test]
fn a_certificate_that_another_leaf_has_signed() {
    let mut pki = Pki::new(P256);
    let leaf = pki.authority.signs(pki::client("another client"), P256);
    pki.server = leaf.signs(pki::server("server"), P256);
    with_session(&pki, |session| {
        let failure = connect(session, &mut Rustls::new(&[&pki.server, &leaf], None)).unwrap_err();
        assert!(matches!(certificate_reason(&failure), Reason::NotAnAuthority | Reason::UnknownIssuer), "{failure}");
        let failure = connect(session, &mut Rustls::new(&[&pki.server], None)).unwrap_err();
        assert_eq!(certificate_reason(&failure), Reason::UnknownIssuer);
    });
}

#[test]
fn a_signature_with_another_key() {
    let failure = refused(|flight, pki| {
        flight.extensions();
        flight.certificate(&[&pki.server]);
        flight.verify(&pki.client);
        flight.finished();
    });
    assert!(failure.to_string().contains("does not have the key"), "{failure}");
}

#[test]
fn a_signature_over_another_handshake() {
    refused(|flight, pki| {
        let stale = flight.signature(&pki.server);
        flight.extensions();
        flight.certificate(&[&pki.server]);
        flight.message(VERIFY, &stale);
        flight.finished();
    });
}

#[test]
fn a_signature_of_another_kind_than_the_key() {
    refused(|flight, pki| {
        flight.extensions();
        flight.certificate(&[&pki.server]);
        let mut body = flight.signature(&pki.server);
        body[..2].copy_from_slice(&[8, 7]);
        flight.message(VERIFY, &body);
        flight.finished();
    });
    refused(|flight, pki| {
        flight.extensions();
        flight.certificate(&[&pki.server]);
        flight.message(VERIFY, &[4, 3, 0, 0]);
        flight.finished();
    });
}

#[test]
fn messages_twice_or_in_another_order() {
    let failure = refused(|flight, pki| {
        flight.extensions();
        flight.certificate(&[&pki.server]);
        flight.verify(&pki.server);
        flight.verify(&pki.server);
        flight.finished();
    });
    assert!(failure.to_string().contains("out of place"), "{failure}");
    let failure = refused(|flight, pki| {
        flight.extensions();
        flight.certificate(&[&pki.server]);
        flight.certificate(&[&pki.server]);
        flight.verify(&pki.server);
        flight.finished();
    });
    assert!(failure.to_string().contains("second certificate"), "{failure}");
    // The certificate of somebody else, after the proof.
    refused(|flight, pki| {
        flight.extensions();
        flight.certificate(&[&pki.server]);
        flight.verify(&pki.server);
        flight.certificate(&[&pki.client]);
        flight.finished();
    });
    // Behind Finished in its record.
    refused(|flight, pki| {
        flight.extensions();
        let (finished, certificate) = (flight.finished_body(), certificate(&[&pki.server]));
        flight.messages(&[(FINISHED, &finished), (CERTIFICATE, &certificate)]);
    });
}

#[test]
fn a_server_that_does_not_finish_rightly() {
    refused(|flight, pki| {
        flight.extensions();
        flight.certificate(&[&pki.server]);
        flight.verify(&pki.server);
        let mut finished = flight.finished_body();
        finished[0] ^= 1;
        flight.message(FINISHED, &finished);
    });
}

#[test]
fn records_that_embedded_tls_would_panic_on() {
    for inner in [&b""[..], &[0; 20], &[HANDSHAKE], b"early data\x17", &[20], &[0xFF]] {
        refused(move |flight, _| flight.inner(inner));
    }
    for kind in [0, HELLO, TICKET, KEY_UPDATE, 1, 5, 254, 255] {
        refused(move |flight, _| flight.message(kind, &[0; 40]));
    }
}

#[test]
fn handshake_messages_in_the_clear() {
    for kind in [EXTENSIONS, REQUEST, CERTIFICATE, VERIFY, FINISHED] {
        refused(move |flight, _| {
            let message = message(kind, &[0; 32]);
            flight.plain(&[&[HANDSHAKE, 3, 3, 0, message.len() as u8][..], &message].concat());
        });
    }
}

#[test]
fn an_encrypted_alert_is_the_peers_refusal_at_every_step() {
    for steps in 0..4 {
        let failure = refused(|flight, pki| {
            if steps > 0 {
                flight.extensions();
            }
            if steps > 1 {
                flight.certificate(&[&pki.server]);
            }
            if steps > 2 {
                flight.verify(&pki.server);
            }
            flight.inner(&[2, 40, ALERT]);
        });
        assert!(matches!(failure, TlsFailure::Alert(_)), "{steps}: {failure:?}");
    }
}

#[test]
fn after_the_handshake_nothing_but_data_tickets_and_alerts_is_taken() {
    let established = |deed: &dyn Fn(&mut Rogue<'_>)| {
        let pki = Pki::new(P256);
        let mut server = Rogue::new(|flight| {
            flight.extensions();
            flight.certificate(&[&pki.server]);
            flight.verify(&pki.server);
            flight.finished();
        });
        with_session(&pki, |session| {
            connect(session, &mut server).unwrap();
            deed(&mut server);
            exchange(session, &mut server)
        })
    };
    let handshake = |kind, body: &[u8]| [&message(kind, body)[..], &[HANDSHAKE]].concat();

    for kind in [0, 1, HELLO, EXTENSIONS, CERTIFICATE, REQUEST, VERIFY, FINISHED, KEY_UPDATE, 255] {
        let result = established(&|server| server.send(&handshake(kind, &[0; 32])));
        assert!(result.is_err(), "{kind}");
        let result = established(&|server| {
            let message = message(kind, &[0; 32]);
            server.send_plain(&[&[HANDSHAKE, 3, 3, 0, message.len() as u8][..], &message].concat());
        });
        assert!(result.is_err(), "{kind}");
    }
    for inner in [&b""[..], &[0; 9], &[HANDSHAKE, 1, HANDSHAKE], &[ALERT], &[2, 255, ALERT], b"?\x18"] {
        assert!(established(&|server| server.send(inner)).is_err(), "{inner:?}");
    }
    let data = established(&|server| {
        server.send(&handshake(TICKET, b"whatever a ticket is"));
        server.send(&[DATA]);
        server.send(b"data\x17");
    });
    assert_eq!(data, Ok(vec![b"data".to_vec()]));
    // A ticket cannot hide another message.
    let hidden = [message(TICKET, &[0; 13]), message(CERTIFICATE, &[0; 9])].concat();
    assert!(established(&|server| server.send(&[&hidden[..], &[HANDSHAKE]].concat())).is_err());
}

#[test]
fn data_longer_than_the_place_for_it() {
    let pki = Pki::new(P256);
    with_session(&pki, |session| {
        let mut server = Rustls::new(&[&pki.server], None);
        connect(session, &mut server).unwrap();
        for length in [2049, 4096] {
            server.write(&vec![1; length]);
            assert!(pump(session, &mut server).is_err());
            server = Rustls::new(&[&pki.server], None);
            connect(session, &mut server).unwrap();
        }
        server.write(&[1; 9000]);
        let failure = pump(session, &mut server).unwrap_err();
        assert!(failure.to_string().contains("too long"), "{failure}");
    });
}
