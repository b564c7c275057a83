//! Texts of a peer: control messages, peer info, options strings, messages inside the data channel.

use longcable_core::options::Mismatches;
use longcable_core::wire::internal::Payload;
use longcable_core::wire::peer_info::PeerInfo;
use longcable_core::wire::text::{Text, TextMessage, messages};

use crate::assert_harmless;

/// An options string as openvpn sends it.
const EXPECTED: &str = "V4,dev-type tun,link-mtu 1545,tun-mtu 1500,proto UDPv4,ifconfig 10.1.0.2 10.1.0.1,comp-lzo,\
                        cipher BF-CBC,auth SHA1,keysize 128,key-method 2,tls-server";

pub fn run(data: &[u8]) {
    for message in messages(data) {
        match message {
            Ok(message) => check(message),
            Err(refused) => assert_harmless(&refused.to_string()),
        }
    }
    let info = PeerInfo::new(data);
    for (name, value) in info.iter() {
        assert!(info.get(name).is_some());
        assert_harmless(name);
        assert_harmless(&value.to_string());
    }
    let _ = (info.iv_proto(), info.ciphers());

    if let Payload::OccReply(options) = Payload::parse(data) {
        assert!(!options.contains(&0) && options.len() < data.len());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let (ours, theirs) = text.split_once('\n').unwrap_or((EXPECTED, text));
        let differences = Mismatches::new(ours, theirs).inspect(|difference| assert_harmless(&difference.to_string()));
        assert!(differences.count() <= ours.len() + theirs.len() + 2, "it ends");
        let whole = theirs.split('\0').next().unwrap_or_default();
        assert_eq!(Mismatches::new(whole, theirs).count(), 0);
    }
}

fn check(message: TextMessage<'_>) {
    use TextMessage::*;
    match message {
        Exit | PushRequest => {}
        Restart(text) | Halt(text) | AuthFailed(text) | AuthPending(text) | PushReply(text) | PushUpdate(text)
        | Info(text) | InfoPre(text) | CrResponse(text) | Acc(text) | Unknown(text) => check_text(text),
    }
}

/// No control character, as it came and as it is shown.
fn check_text(text: Text<'_>) {
    assert!(!text.as_bytes().iter().any(u8::is_ascii_control));
    let shown = text.to_string();
    assert_eq!(shown.len(), text.as_bytes().len());
    assert!(shown.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "EXIT\0",
        "RESTART,why\0HALT,why\r\n\0",
        "AUTH_FAILED,TEMP[backoff 42,advance no]:text\0AUTH_PENDING,timeout 10\0",
        "PUSH_REQUEST\0PUSH_REPLY,route 10.0.0.0 255.0.0.0,ifconfig 10.8.0.2 10.8.0.1,peer-id 3\0",
        "PUSH_UPDATE,-dns\0INFO,OPEN_URL:http://x\0INFO_PRE,CR_TEXT:E:Code\0CR_RESPONSE,MTIz\0ACC,x,4,6,A,text\0",
        "IV_VER=2.6.14\nIV_PROTO=990\nIV_NCP=2\nIV_CIPHERS=AES-256-GCM:AES-128-GCM\nUV_USER=x\n",
        "V4,dev-type tap,link-mtu 1500,tun-mtu 1400,proto TCPv4,cipher AES-256-CBC,auth SHA256,tls-auth,tls-client",
        "\u{1b}[2J\u{7f}\u{85}\u{202e}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    seeds.push([EXPECTED, "\n", EXPECTED, ",mtu-dynamic"].concat().into_bytes());
    for plain in crate::vectors::all(crate::vectors::OCC, ".plain") {
        // Behind packet id and time.
        seeds.push(plain[8..].to_vec());
    }
    seeds
}
