//! Key files, and wrapped keys of clients that nobody knows yet.

use std::sync::LazyLock;

use longcable_core::crypto::tls_crypt_v2::{
    ClientKey, METADATA_MAX, Metadata, ServerKey, WRAPPED_MAX, WRAPPED_MIN, split_wkc,
};
use longcable_core::crypto::{Rng, StaticKey};
use longcable_core::error::Discard;

use crate::input::Input;
use crate::{assert_harmless, vectors};

/// "Random" bytes: these.
struct Drawn(Vec<u8>);

impl Rng for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0[..bytes.len()]);
    }
}

static SERVER: LazyLock<ServerKey> =
    LazyLock::new(|| ServerKey::generate(&mut Drawn(vectors::bytes(vectors::TLS_CRYPT_V2, "server_key"))));
static CLIENT: LazyLock<StaticKey> =
    LazyLock::new(|| StaticKey::generate(&mut Drawn(vectors::bytes(vectors::TLS_CRYPT_V2, "Kc"))));

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 3 {
        0 => check_text(input.rest()),
        1 => check_wrapped(input.rest()),
        _ => check_metadata(&mut input),
    }
}

/// A key that is read is written, and then read again, as it was.
fn check_text(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    match ServerKey::parse(text) {
        Ok(key) => {
            let written = written(|out| key.write_to(out));
            let again = ServerKey::parse(&written).expect("it was written");
            assert_eq!(self::written(|out| again.write_to(out)), written);
        }
        Err(error) => assert_harmless(&error.to_string()),
    }
    match ClientKey::parse(text) {
        Ok(key) => {
            assert!((WRAPPED_MIN..=WRAPPED_MAX).contains(&key.wrapped().len()));
            let again = ClientKey::parse(&written(|out| key.write_to(out))).expect("it was written");
            assert_eq!((again.wrapped(), again.key().to_bytes()), (key.wrapped(), key.key().to_bytes()));
        }
        Err(error) => assert_harmless(&error.to_string()),
    }
    match StaticKey::parse(text) {
        Ok(key) => {
            let again = StaticKey::parse(&written(|out| key.write_to(out))).expect("it was written");
            assert_eq!(again.to_bytes(), key.to_bytes());
        }
        Err(error) => drop(error.to_string()),
    }
    if let Ok(metadata) = Metadata::user(text) {
        assert_eq!((metadata.kind(), metadata.time()), (Some(0), None));
        assert!(metadata.data().len() < METADATA_MAX);
    }
}

/// What anybody appends to a packet. Only the owner of the server's key can make what it unwraps.
fn check_wrapped(datagram: &[u8]) {
    let mut copy = datagram.to_vec();
    let Ok((packet, wrapped)) = split_wkc(&mut copy) else {
        return assert!(SERVER.unwrap(datagram).is_err());
    };
    assert_eq!([&*packet, wrapped].concat(), datagram);
    assert!((WRAPPED_MIN..=WRAPPED_MAX).contains(&wrapped.len()));
    match SERVER.unwrap(wrapped) {
        Ok((key, metadata)) => {
            let _ = metadata.time();
            assert_eq!(SERVER.wrap(&key, &metadata).expect("SHA-256 is there"), wrapped);
        }
        Err(error) => assert!(matches!(error, Discard::ControlMalformed | Discard::ControlAuthentication)),
    }
}

/// A wrapped key with any metadata is unwrapped as it was, but not with a fault.
fn check_metadata(input: &mut Input<'_>) {
    let flipped = usize::from(input.u16());
    let metadata = match std::str::from_utf8(input.rest()) {
        Ok(text) => Metadata::user(text).unwrap_or(Metadata::timestamp(text.len() as u64)),
        Err(_) => return,
    };
    let wrapped = SERVER.wrap(&CLIENT, &metadata).expect("SHA-256 is there");
    let (key, found) = SERVER.unwrap(&wrapped).expect("it was wrapped");
    assert_eq!((key.to_bytes(), found), (CLIENT.to_bytes(), metadata));
    let mut forged = wrapped.clone();
    forged[flipped / 8 % wrapped.len()] ^= 1 << (flipped % 8);
    assert!(SERVER.unwrap(&forged).is_err(), "forged");
    assert!(SERVER.unwrap(&wrapped[..flipped % wrapped.len()]).is_err(), "cut");
    assert!(SERVER.unwrap(&[&wrapped[..], &wrapped[..=flipped % wrapped.len()]].concat()).is_err(), "longer");
}

fn written(write: impl FnOnce(&mut String) -> std::fmt::Result) -> String {
    let mut text = String::new();
    write(&mut text).expect("there is room");
    text
}

pub fn seeds() -> Vec<Vec<u8>> {
    let client = SERVER
        .issue(&mut Drawn(vectors::bytes(vectors::TLS_CRYPT_V2, "Kc")), &Metadata::timestamp(1_800_000_000))
        .expect("SHA-256 is there");
    let texts = [
        written(|out| SERVER.write_to(out)),
        written(|out| client.write_to(out)),
        vectors::COUNT_KEY.into(),
        "bWV0YWRhdGE=".into(),
    ];
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| [&[0], text.as_bytes()].concat()).collect();
    seeds.push([&[1][..], &vectors::bytes(vectors::TLS_CRYPT_V2, "pkt0.wire")].concat());
    seeds.push([&[1][..], client.wrapped()].concat());
    seeds.push([&[1][..], &[0; WRAPPED_MIN - 2], &(WRAPPED_MIN as u16).to_be_bytes()].concat());
    seeds.push([&[2, 0, 9][..], b"bWV0YWRhdGE="].concat());
    seeds
}
