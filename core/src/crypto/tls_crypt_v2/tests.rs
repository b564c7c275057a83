use super::*;
use crate::crypto::Rng;
use KeyKind::{Client, Server};
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec;

/// Made by openvpn 2.6.14, as is the client's key below.
const SERVER_KEY: &str = "\
-----BEGIN OpenVPN tls-crypt-v2 server key-----
/mXWRRLrGlqtau3NTKbBmJXWLuOe21gVC8VYFO8xEWzELXrYHlVnNTWGkh7acaQR
AdtFjRmqlDnm1g85PjzyoOeQv1XFXHLZz/8G2rzlPO0KT45mrJgq6bKfNCFOoCu4
A/nelwKTSOhFNEgk7jK+WUIeNZ3haK3BCJnQT7nsKWs=
-----END OpenVPN tls-crypt-v2 server key-----
";

const CLIENT_KEY: &str = "\
-----BEGIN OpenVPN tls-crypt-v2 client key-----
D/vRA/IFj+WdjChSkSoiF0gji6VcYRcMapCRQUCBR9ovLbZ/6Lq6WfvuNu/c35i+
WmY43UnIp16TTmFzrMMavkjL3vCBtcY5tFjFuswR+b0nKqL/oDzxA78OwslsSZqA
+TrByJD2y6hWKbqUjODwFiHpBnaOlwmP4A0zPpjcBFs6SIISJi5CNr24ZnzJGnKp
qXePt642X0evVIw6TLOZaptDjOXl5rg1egS/t80Mr1Oq4sm6kAQdKR0JPOruncyc
vnwT2NISrPUVWkDrSB/4q1CMlxi3luaxj84AAOHH8Q+GV2i8hYcwxM8keHeSxm7t
2aOdWr/CyZGRy1cyCRiq2gaEjEr5SNniLbjhX80rdO5qqKQZYncpLdS3n4evU35c
T6gdqNutSSrzKcpFGEqw1u+gC8fwzY3O189wQsVcRp7Pkq0p1nEbatTuBdi2l4Fu
Vdj1qwSg0J95m2s6H98rA1CysYuTMAVw9YC+Jgm+ADxuA7sg3ps0pvz2hbRRN6hU
EYxxS4/UEHxq2ZiKHwDNTtAqYLQKkDOHwqxn0pDn37Y3hFyCkOWHs5ogQKeiXDte
g7/whUawAVSBQZl5lSEZcY7NNY+WK+UW8ooIHypxq7R8/h0FK23GVP7vS23/7I7o
SsPhl9P9G3itYgMdcAX7lxAG/HOwlFA4jFAnKzOLFDUMP85zKFOGGif5hDaPjo7n
SM9N221D4xndmDnTd/dv4O46ysaPFjbonAEr
-----END OpenVPN tls-crypt-v2 client key-----
";

struct Counter(u8);

impl Rng for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
    }
}

fn text(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    write(&mut text).unwrap();
    text
}

#[test]
fn reads_and_writes_the_files_of_openvpn() {
    let server = ServerKey::parse(SERVER_KEY).unwrap();
    let client = ClientKey::parse(CLIENT_KEY).unwrap();
    assert_eq!(text(|out| server.write_to(out)), SERVER_KEY);
    assert_eq!(text(|out| client.write_to(out)), CLIENT_KEY);
    let (key, metadata) = server.unwrap(client.wrapped()).unwrap();
    assert_eq!(key.to_bytes(), client.key().to_bytes());
    assert!(metadata.time().unwrap() > 1_700_000_000);
    assert_eq!(std::format!("{server:?} {client:?}"), "ServerKey(..) ClientKey(..)");
}

#[test]
fn issues_keys_that_only_its_server_can_read() {
    let server = ServerKey::generate(&mut Counter(0));
    for metadata in
        [Metadata::timestamp(1_800_000_000), Metadata::user("aGVs bG8=").unwrap(), Metadata::user("").unwrap()]
    {
        let client = server.issue(&mut Counter(9), &metadata).unwrap();
        let client = ClientKey::parse(&text(|out| client.write_to(out))).unwrap();
        let (key, found) = server.unwrap(client.wrapped()).unwrap();
        assert_eq!((key.to_bytes(), found), (client.key().to_bytes(), metadata));
        let stranger = ServerKey::parse(SERVER_KEY).unwrap();
        assert_eq!(stranger.unwrap(client.wrapped()).unwrap_err(), Discard::ControlAuthentication);
    }
}

#[test]
fn metadata_is_as_long_as_fits() {
    let longest = Metadata::user(&"AAAA".repeat(244)).unwrap();
    assert_eq!((longest.kind(), longest.data().len(), longest.time()), (Some(0), 732, None));
    let longest = Metadata::user(&("AAAA".repeat(244) + "AA==")).unwrap();
    let wrapped = ServerKey::generate(&mut Counter(0)).wrap(&StaticKey::generate(&mut Counter(0)), &longest).unwrap();
    assert_eq!(wrapped.len(), WRAPPED_MAX);
    for bad in
        ["AAAA".repeat(245), "A".to_string(), "AA==AA==".to_string(), "AA=A".to_string(), "AAA\u{e9}".to_string()]
    {
        assert_eq!(Metadata::user(&bad), Err(TlsCryptV2Error::Metadata), "{bad}");
    }
}

/// Each verdict was checked with openvpn 2.6.14.
#[test]
fn accepts_what_openvpn_accepts() {
    let good = SERVER_KEY;
    let body = good.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let narrow = body.as_bytes().chunks(10).map(|line| std::str::from_utf8(line).unwrap()).collect::<vec::Vec<_>>();
    let (header, footer) = (good.lines().next().unwrap(), good.lines().last().unwrap());
    for odd in [
        good.replace('\n', "\r\n"),
        good.trim_end().to_string(),
        std::format!("hello\n\n{good}"),
        std::format!("{good}\n{good}"),
        good.replace("\nAd", "\n  Ad").replace("\n-----END", "  \n-----END"),
        good.replace("key-----\n", "key----- \n"),
        std::format!("{header}\n{body}\n{footer}\n"),
        std::format!("{header}\n{}\n{footer}\n", narrow.join("\n")),
    ] {
        let key = ServerKey::parse(&odd).unwrap_or_else(|error| panic!("{error}: {odd}"));
        assert_eq!(text(|out| key.write_to(out)), good);
    }
}

#[test]
fn refuses_what_is_no_key_and_says_why() {
    let good = SERVER_KEY;
    let second = good.lines().nth(2).unwrap();
    for (bad, error) in [
        (String::new(), TlsCryptV2Error::NoHeader { kind: Server, is_other: false }),
        (good.replace("-----BEGIN", " -----BEGIN"), TlsCryptV2Error::NoHeader { kind: Server, is_other: false }),
        (CLIENT_KEY.to_string(), TlsCryptV2Error::NoHeader { kind: Server, is_other: true }),
        (good.replace("-----END", "-----ENDE"), TlsCryptV2Error::BadBase64 { line: 5 }),
        (good.replace(second, &second.replace('d', "!")), TlsCryptV2Error::BadBase64 { line: 3 }),
        (good.replace(second, "AA=="), TlsCryptV2Error::BadBase64 { line: 4 }),
        (good.replace(second, ""), TlsCryptV2Error::Length { kind: Server, bytes: 80 }),
        (good.replace(second, &second.repeat(2)), TlsCryptV2Error::Length { kind: Server, bytes: 176 }),
        (good.replace("KWs=", "KWs"), TlsCryptV2Error::Length { kind: Server, bytes: 126 }),
        (good.lines().take(4).collect::<vec::Vec<_>>().join("\n"), TlsCryptV2Error::NoFooter { kind: Server }),
    ] {
        assert_eq!(ServerKey::parse(&bad).unwrap_err(), error, "{bad}");
    }
    assert_eq!(ClientKey::parse(good).unwrap_err(), TlsCryptV2Error::NoHeader { kind: Client, is_other: true });
    let short = CLIENT_KEY.replace(CLIENT_KEY.lines().nth(8).unwrap(), "");
    assert_eq!(ClientKey::parse(&short).unwrap_err(), TlsCryptV2Error::Length { kind: Client, bytes: 507 });
    assert_eq!(
        ClientKey::parse(good).unwrap_err().to_string(),
        "this is an OpenVPN tls-crypt-v2 server key, but an OpenVPN tls-crypt-v2 client key is needed here: make one \
         with --tls-crypt-v2 SERVER-KEY --genkey tls-crypt-v2-client FILE"
    );
}

proptest! {
    #[test]
    fn any_text_is_a_key_or_refused(lines in proptest::collection::vec("[A-Za-z0-9+/=! ]{0,70}|\\PC{0,9}", 0..40)) {
        for kind in [Server, Client] {
            let text = std::format!("{BEGIN}{0}{DASHES}\n{1}\n{END}{0}{DASHES}", kind.label(), lines.join("\n"));
            let _ = (ServerKey::parse(&text), ClientKey::parse(&text), Metadata::user(&text));
        }
    }

    #[test]
    fn any_bytes_are_refused(mut datagram in proptest::collection::vec(any::<u8>(), 0..1400), len in 280_u16..1040) {
        let server = ServerKey::generate(&mut Counter(0));
        if let Some(end) = datagram.last_chunk_mut() {
            *end = len.to_be_bytes();
        }
        prop_assert!(server.unwrap(&datagram).is_err());
        if let Ok((packet, wrapped)) = split_wkc(&mut datagram) {
            prop_assert_eq!(wrapped.len(), usize::from(len));
            prop_assert_eq!(server.unwrap(wrapped).unwrap_err(), Discard::ControlAuthentication);
            prop_assert!(packet.len() < 1400);
        }
    }
}
