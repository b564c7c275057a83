use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::options::{ParseError, Warning};

const MINIMAL: &str = "dev tun\ntls-client\nca ca.crt\ncert home.crt\nkey home.key\nremote-cert-tls server\n";
/// 32 bytes, as a fingerprint is written.
const FINGERPRINT: &str =
    "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F";

fn parse_all(text: &str) -> Result<LinkConfig<'static>, ParseError<'static>> {
    LinkConfig::parse(String::from(text).leak())
}

fn parse(options: &str) -> LinkConfig<'static> {
    parse_all(&format!("{MINIMAL}{options}")).unwrap_or_else(|error| panic!("{options}: {error}"))
}

fn error_of(text: &str) -> String {
    match parse_all(text) {
        Ok(_) => panic!("'{text}' is accepted"),
        Err(error) => error.to_string(),
    }
}

/// The error of a configuration that is right but for these options.
fn error(options: &str) -> String {
    error_of(&format!("{MINIMAL}{options}"))
}

fn warnings(options: &str) -> Vec<Warning> {
    parse(options).warnings().collect()
}

fn file(name: &'static str) -> KeySource<'static> {
    KeySource::File(Word::literal(name))
}

fn fingerprint() -> [u8; 32] {
    core::array::from_fn(|index| index as u8)
}

#[test]
fn defaults_are_those_of_openvpn() {
    let tls = parse("").tls;
    assert_eq!((tls.role, tls.wrapping, tls.profile), (Some(Role::Client), ControlKey::None, CertProfile::Legacy));
    assert_eq!((tls.version_min, tls.version_max), (TlsVersion::V12, TlsVersion::V13));
    assert_eq!(tls.data_ciphers, [Cipher::Aes256Gcm, Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305]);
    assert_eq!((tls.data_ciphers_fallback, tls.data_epoch, tls.compat), (None, false, None));
    assert_eq!((tls.timeout, tls.hand_window, tls.tran_window, tls.max_packet_size), (2, 60, 3600, 1250));
    assert_eq!((tls.reneg_sec, tls.reneg_sec_min, tls.reneg_bytes, tls.reneg_pkts), (3600, None, None, 0));
    assert_eq!((tls.single_session, tls.tls_exit), (false, false));
    assert_eq!(tls.peer.user_name_fields, [Word::literal("CN")]);
    assert!(warnings("").is_empty());
}

/// The FAQ's answer to "Can OpenVPN handle the situation where both ends of the connection are dynamic?".
const FAQ_DYNAMIC: &str = "\
remote myremote.mydomain.com
dev tun
ifconfig 10.1.0.2 10.1.0.1
up ./up-script # optional

# crypto config
replay-persist replay-persist-file # optional (1.4.0 or above)

# TLS config (or omit TLS security by using a pre-shared key
# such as 'secret static.key').
tls-client
ca key/my-ca.crt
cert key/my-cert.crt
key key/my-key.key
tls-auth key/my-tls-password # optional

# timeouts
ping 15
ping-restart 300 # 5 minutes
resolv-retry 300 # 5 minutes
persist-tun
persist-key

# compression (optional)
comp-lzo

# UID (optional)
user nobody
group nobody

# verbosity (optional)
verb 4
";

#[test]
fn the_faqs_dynamic_ends_are_understood() {
    let client = parse_all(FAQ_DYNAMIC).unwrap();
    assert_eq!(client.tls.role, Some(Role::Client));
    assert_eq!((client.tls.ca, client.tls.cert), (Some(file("key/my-ca.crt")), Some(file("key/my-cert.crt"))));
    assert_eq!(client.tls.key, Some(file("key/my-key.key")));
    assert_eq!(client.tls.wrapping, ControlKey::Auth(file("key/my-tls-password")));
    assert_eq!((client.direction(), client.framing), (None, Framing::Lzo));
    assert_eq!(client.warnings().collect::<Vec<_>>(), [Warning::NoServerVerification]);
    let server = FAQ_DYNAMIC.replace("tls-client", "tls-server\ndh key/dh2048.pem");
    let server = parse_all(&server).unwrap();
    assert_eq!(server.tls.role, Some(Role::Server));
    assert_eq!(server.warnings().count(), 0);
}

#[test]
fn two_offices_of_openvpn_2_4_are_understood() {
    for (role, own, files) in [
        ("tls-client", "home", "remote 1.2.3.4\nifconfig 10.1.0.2 10.1.0.1\nup ./home.up"),
        ("tls-server", "office", "dh dh2048.pem\nifconfig 10.1.0.1 10.1.0.2\nup ./office.up"),
    ] {
        let config = parse_all(&format!(
            "dev tun\n{files}\n{role}\nca my-ca.crt\ncert {own}.crt\nkey {own}.key\ncipher AES-256-CBC\n; port 1194\n\
             ; user nobody\n; group nobody\n; comp-lzo\n; ping 15\nverb 3\n"
        ))
        .unwrap();
        assert_eq!((config.suite().cipher, config.tls.data_ciphers_fallback), (Cipher::Aes256Cbc, None));
        assert!(config.warnings().any(|warning| warning == Warning::CipherNotOffered(Cipher::Aes256Cbc)));
    }
}

#[test]
fn credentials_are_files_or_blocks() {
    let tls =
        parse("<ca>\nA\n</ca>\n<cert>\nB\n</cert>\n<key>\nC\n</key>\nca [inline]\n<extra-certs>\nD\n</extra-certs>")
            .tls;
    assert_eq!((tls.ca, tls.cert), (Some(KeySource::Inline("A\n")), Some(KeySource::Inline("B\n"))));
    assert_eq!((tls.key, tls.extra_certs), (Some(KeySource::Inline("C\n")), Some(KeySource::Inline("D\n"))));
    assert_eq!(parse("ca other.crt").tls.ca, Some(file("other.crt")), "the last one counts");
    let archive = parse_all("dev tun\ntls-server\npkcs12 home.p12\ndh none\n<dh>\nx\n</dh>").unwrap();
    assert_eq!((archive.tls.pkcs12, archive.tls.ca), (Some(file("home.p12")), None));
    assert!(parse_all("dev tun\ntls-client\nca own.crt\n<pkcs12>\nMII\n</pkcs12>").unwrap().tls.pkcs12.is_some());
}

#[test]
fn what_is_missing_or_too_much_is_told() {
    for (text, remedy) in [
        ("dev tun\ntls-client\ncert a\nkey a", "add 'ca FILE', or 'peer-fingerprint'"),
        ("dev tun\ntls-server\nca a\nkey a", "add 'cert FILE' (or 'pkcs12 FILE')"),
        ("dev tun\ntls-client\nca a\ncert a", "add 'key FILE' (or 'pkcs12 FILE')"),
        ("dev tun\ntls-client\nca [inline]\ncert a\nkey a", "add 'ca FILE'"),
        ("dev tun\nca a\ncert a\nkey a", "add 'tls-client' at one end and 'tls-server' at the other"),
        ("dev tun\ntls-client\nca a\npkcs12 b\ncert c", "option 'cert': the file of 'pkcs12' has it already"),
        ("dev tun\ntls-client\nca a\npkcs12 b\nkey c", "option 'key': the file of 'pkcs12' has it already"),
        ("dev tun\ntls-client\ntls-server", "line 3: option 'tls-server': one end is the 'tls-client'"),
        ("dev tun\nsecret a\nreneg-sec 5", "option 'reneg-sec': only a TLS link has it"),
        ("dev tun\nsecret a\nremote-cert-tls client", "option 'remote-cert-tls': only a TLS link has it"),
        ("dev tun\nsecret a\ntls-auth b", "option 'tls-auth': only a TLS link has it"),
        ("dev tun", "TLS ('tls-client' or 'tls-server' with 'ca', 'cert' and 'key') or a static key"),
    ] {
        assert!(error_of(text).contains(remedy), "{text}: {}", error_of(text));
    }
    assert!(error("secret a").contains("option 'secret': a link has a static key or TLS"));
    let harmless = "dev tun\nsecret a\ndata-ciphers AES-256-GCM\ncompat-mode 2.4.0\nkey-method 2\nmax-packet-size 1000";
    assert!(parse_all(harmless).is_ok(), "openvpn lets static keys have these");
}

#[test]
fn one_key_wraps_the_control_channel() {
    let auth = parse("tls-auth ta.key 1");
    assert_eq!((auth.tls.wrapping, auth.direction()), (ControlKey::Auth(file("ta.key")), Some(Direction::Inverse)));
    let inline = parse("key-direction 0\n<tls-auth>\nT\n</tls-auth>");
    assert_eq!(inline.tls.wrapping, ControlKey::Auth(KeySource::Inline("T\n")));
    assert_eq!(inline.direction(), Some(Direction::Normal));
    let announced = parse("tls-auth [inline] 1\n<tls-auth>\nT\n</tls-auth>");
    assert_eq!((announced.tls.wrapping, announced.direction()), (inline.tls.wrapping, Some(Direction::Inverse)));
    assert_eq!(parse("tls-auth a\ntls-auth b").tls.wrapping, ControlKey::Auth(file("b")));
    assert_eq!(parse("tls-crypt a").tls.wrapping, ControlKey::Crypt(file("a")));
    assert_eq!(parse("<tls-crypt>\nT\n</tls-crypt>").tls.wrapping, ControlKey::Crypt(KeySource::Inline("T\n")));
    assert_eq!(parse("tls-crypt-v2 a").tls.wrapping, ControlKey::CryptV2(file("a")));
    assert_eq!(parse("tls-crypt-v2 a force-cookie").tls.wrapping, ControlKey::CryptV2(file("a")));
    assert!(error("tls-auth a 2").contains("0 or 1"));
    assert!(error("tls-crypt a 1").contains("'tls-crypt' with 2 arguments"));
    assert!(error("tls-crypt-v2 a b").contains("allow-noncookie or force-cookie"));
    for pair in ["tls-auth a\ntls-crypt b", "tls-crypt a\n<tls-auth>\n</tls-auth>", "tls-auth a\ntls-crypt-v2 b"] {
        assert!(error(pair).contains("leave the others out"), "{pair}");
    }
}

#[test]
fn data_ciphers_are_listed_in_order() {
    use Cipher::{Aes128Cbc, Aes128Gcm, Aes256Cbc, Aes256Gcm, BfCbc, ChaCha20Poly1305};
    for (list, ciphers) in [
        ("AES-128-GCM:AES-256-GCM", [Aes128Gcm, Aes256Gcm].as_slice()),
        ("aes-256-gcm:AES-256-GCM:AES-128-CBC", &[Aes256Gcm, Aes128Cbc]),
        ("?AES-256-GCM:?ROT13-GCM:AES-128-CFB", &[Aes256Gcm, Cipher::Aes128Cfb]),
        ("AES-256-CBC:DEFAULT", &[Aes256Cbc, Aes256Gcm, Aes128Gcm, ChaCha20Poly1305]),
        ("AES-128-GCM:DEFAULT", &[Aes128Gcm, Aes256Gcm, ChaCha20Poly1305]),
        ("BF-CBC::none:", &[BfCbc, Cipher::None]),
    ] {
        assert_eq!(parse(&format!("data-ciphers {list}")).tls.data_ciphers, ciphers, "{list}");
        assert_eq!(parse(&format!("ncp-ciphers {list}")).tls.data_ciphers, ciphers, "{list}");
    }
    assert!(error("data-ciphers AES-256-GCM:ROT13").contains("'ROT13' is no value for 'data-ciphers', which takes"));
    assert!(error("data-ciphers ?ROT13").contains("from --show-ciphers"));
    assert!(error("data-ciphers ''").contains("from --show-ciphers"));
    assert!(error("data-ciphers :").contains("from --show-ciphers"));
    let longest = "AES-128-GCM:AES-192-GCM:AES-256-GCM:AES-128-CBC:AES-192-CBC:AES-256-CBC:AES-128-CFB:AES-192-CFB:AES-256-CFB:CHACHA20-POLY1305";
    assert_eq!((longest.len(), parse(&format!("data-ciphers {longest}")).tls.data_ciphers.len()), (125, 10));
    assert!(error(&format!("data-ciphers {longest}:none")).contains("at most 127 characters"));
    assert_eq!(parse("data-ciphers-fallback bf").tls.data_ciphers_fallback, Some(BfCbc));
    assert!(error("data-ciphers-fallback ROT13").contains("--show-ciphers"));
    assert_eq!(parse("cipher AES-128-GCM").suite().cipher, Aes128Gcm, "not only CBC, as a static key has it");
    assert!(parse("data-epoch").tls.data_epoch);
}

#[test]
fn the_cipher_for_a_peer_that_cannot_choose() {
    for (options, fallback) in [
        ("", None),
        ("cipher AES-128-CBC", Some(Cipher::Aes128Cbc)),
        ("data-ciphers-fallback AES-128-CBC", Some(Cipher::Aes128Cbc)),
        ("cipher AES-192-CBC\ndata-ciphers-fallback AES-128-CBC", Some(Cipher::Aes128Cbc)),
        ("data-ciphers-fallback AES-128-CBC\ncipher AES-192-CBC", Some(Cipher::Aes192Cbc)),
        ("compat-mode 2.4.0", None),
        ("compat-mode 2.3.18", Some(Cipher::BfCbc)),
        ("compat-mode 2.3.18\ncipher AES-128-CBC", Some(Cipher::Aes128Cbc)),
    ] {
        let config = parse(options);
        assert_eq!(config.fallback_cipher(), fallback, "{options}");
        assert_eq!(config.suite().cipher, fallback.unwrap_or(Cipher::BfCbc), "{options}");
        assert_eq!(config.tls.data_ciphers.len(), 3, "{options}");
    }
    assert_eq!(parse("compat-mode 2.6.14").tls.compat, Some((2, 6, 14)));
    for version in ["2.4", "foo", "2.4.x", "2.4.0.1", "2.4.300"] {
        assert!(error(&format!("compat-mode {version}")).contains("a version as in 2.4.0"), "{version}");
    }
    assert!(error("key-method 1").contains("method 1 is insecure"));
}

#[test]
fn versions_suites_and_groups() {
    for (options, range) in [
        ("tls-version-min 1.3", (TlsVersion::V13, TlsVersion::V13)),
        ("tls-version-max 1.2", (TlsVersion::V12, TlsVersion::V12)),
        ("tls-version-min 1.0", (TlsVersion::V12, TlsVersion::V13)),
        ("tls-version-min 1.4 or-highest", (TlsVersion::V13, TlsVersion::V13)),
        ("tls-version-min 1.2 or-highest", (TlsVersion::V12, TlsVersion::V13)),
    ] {
        let tls = parse(options).tls;
        assert_eq!((tls.version_min, tls.version_max), range, "{options}");
    }
    assert!(error("tls-version-min 1.4").contains("1.2 or 1.3"));
    assert!(error("tls-version-min 1.4 or-lowest").contains("or-highest"));
    assert!(error("tls-version-max 1.1").contains("older versions of TLS are insecure"));
    assert!(error("tls-version-min 1.3\ntls-version-max 1.2").contains("newer than 'tls-version-max'"));
    assert_eq!(warnings("tls-version-min 1.1"), [Warning::OldTlsVersion]);
    assert!(warnings("tls-version-min 1.1\ntls-version-min 1.2").is_empty());
    let tls =
        parse("tls-cipher A:B\ntls-ciphersuites C\necdh-curve X\ntls-groups X25519:P-256\ntls-cert-profile suiteb").tls;
    assert_eq!((tls.cipher_list, tls.ciphersuites), (Some(Word::literal("A:B")), Some(Word::literal("C"))));
    assert_eq!((tls.groups, tls.profile), (Some(Word::literal("X25519:P-256")), CertProfile::SuiteB));
    assert!(error("tls-cert-profile strict").contains("insecure, legacy, preferred or suiteb"));
}

#[test]
fn rules_for_the_peers_certificate() {
    let rules = |options: &str| parse(options).tls.peer;
    assert_eq!(rules("remote-cert-tls client").role, Some(Role::Client));
    assert_eq!(rules("remote-cert-ku").key_usage.unwrap().len(), 0);
    assert_eq!(rules("remote-cert-ku a0 88 E0").key_usage.unwrap(), [0xa0, 0x88, 0xe0]);
    assert_eq!(rules(&format!("remote-cert-ku{}", " 80".repeat(15))).key_usage.unwrap().len(), 15);
    assert_eq!(rules("remote-cert-eku 1.2.3").extended_key_usage, Some(Word::literal("1.2.3")));
    let name = Word::literal("C=XX, CN=office");
    assert_eq!(rules("verify-x509-name 'C=XX, CN=office'").name, Some((name, NameKind::Subject)));
    assert_eq!(rules("verify-x509-name o name").name, Some((Word::literal("o"), NameKind::Name)));
    assert_eq!(rules("verify-x509-name o name-prefix").name, Some((Word::literal("o"), NameKind::NamePrefix)));
    let fields = |options: &str| rules(options).user_name_fields.iter().map(Word::to_string).collect::<Vec<_>>();
    assert_eq!(fields("x509-username-field ext:subjectAltName"), ["ext:subjectAltName"]);
    let several = "x509-username-field O\nx509-username-field CN serialNumber 'x y' ext:issuerAltName CN";
    assert_eq!(fields(several), ["CN", "serialNumber", "x y", "ext:issuerAltName", "CN"]);
    assert_eq!(fields(&format!("x509-username-field{}", " OU".repeat(15))).len(), 15);
    assert!(error("remote-cert-tls peer").contains("server or client"));
    assert!(error("remote-cert-ku zz").contains("in hexadecimal"));
    assert!(error("remote-cert-ku 12345").contains("in hexadecimal"));
    assert!(error("verify-x509-name o cn").contains("subject, name or name-prefix"));
    assert!(error("x509-username-field ext:foo").contains("ext:subjectAltName"));
    assert!(
        error("x509-username-field CN ext:foo").contains("'ext:foo'"),
        "{}",
        error("x509-username-field CN ext:foo")
    );
    assert!(error("x509-username-field CN ''").contains("ext:issuerAltName"));
    assert!(error("x509-username-field").contains("x509-username-field"));

    let lists = |options: &str| parse(options).tls.crl;
    assert_eq!(lists("crl-verify a.pem"), Some(RevocationList::List(file("a.pem"))));
    assert_eq!(lists("crl-verify a dir"), Some(RevocationList::Directory(Word::literal("a"))));
    let inline = "<crl-verify>\nX\n</crl-verify>\ncrl-verify [inline]";
    assert_eq!(lists(inline), Some(RevocationList::List(KeySource::Inline("X\n"))));
    assert!(error("crl-verify a file").contains("dir, or nothing"));
}

#[test]
fn fingerprints_are_listed() {
    let peers = |options: &str| parse(options).tls.peer.peer.to_vec();
    let line = format!("peer-fingerprint {FINGERPRINT}");
    assert_eq!(peers(&line), [fingerprint()]);
    assert_eq!(peers(&format!("{line}\n{line}")).len(), 2);
    let block =
        format!("<peer-fingerprint>\n# home\n  {FINGERPRINT}\r\n\n; office\n{FINGERPRINT}\n</peer-fingerprint>");
    assert_eq!(peers(&block), [fingerprint(); 2]);
    assert_eq!(peers(&format!("peer-fingerprint [inline]\n{block}")).len(), 2);
    let alone = format!("dev tun\ntls-server\ncert a\nkey b\n{line}");
    assert!(parse_all(&alone).is_ok(), "no authority is needed");

    let sha1 = &FINGERPRINT[..59];
    let first: [u8; 20] = core::array::from_fn(|index| index as u8);
    let authorities = |options: &str| parse(options).tls.peer.authority.to_vec();
    assert_eq!(authorities(&format!("verify-hash {sha1}")), [Fingerprint::Sha1(first)]);
    assert_eq!(authorities(&format!("verify-hash {FINGERPRINT} SHA256")), [Fingerprint::Sha256(fingerprint())]);
    let both = format!("<verify-hash>\n{sha1}\n{FINGERPRINT}\n</verify-hash>");
    assert_eq!(authorities(&both), [Fingerprint::Sha1(first), Fingerprint::Sha256(fingerprint())]);

    for bad in ["ab:cd", &FINGERPRINT.replace(':', ""), &format!("{FINGERPRINT}:00"), &FINGERPRINT.replace("0a", "+a")]
    {
        assert!(error(&format!("peer-fingerprint {bad}")).contains("32 bytes in hexadecimal"), "{bad}");
        assert!(error(&format!("<peer-fingerprint>\n{bad}\n</peer-fingerprint>")).contains("32 bytes"), "{bad}");
    }
    for pasted in ["sha256 Fingerprint=AB:CD", "Fingerprint=AB:CD"] {
        assert!(error(&format!("peer-fingerprint {pasted}")).contains("write only what stands after '='"), "{pasted}");
    }
    assert!(error("<peer-fingerprint>\n# none\n</peer-fingerprint>").contains("holds no fingerprint"));
    assert!(error(&format!("verify-hash {FINGERPRINT} SHA1")).contains("20 bytes (SHA1)"));
    assert!(error(&format!("verify-hash {FINGERPRINT} MD5")).contains("SHA1 or SHA256"));
    assert!(error(&format!("verify-hash {sha1}\n{line}")).contains("does not go with 'peer-fingerprint'"));
    assert!(error(&format!("{line}\n").repeat(33)).contains("more than 32 times 'peer-fingerprint'"));
}

#[test]
fn timers_and_sizes_of_a_session() {
    let tls =
        parse("tls-timeout 1\nhand-window 30\ntran-window 0\nreneg-sec 600 500\nreneg-bytes 1000\nreneg-pkts 9").tls;
    assert_eq!((tls.timeout, tls.hand_window, tls.tran_window), (1, 30, 0));
    assert_eq!((tls.reneg_sec, tls.reneg_sec_min, tls.reneg_bytes, tls.reneg_pkts), (600, Some(500), Some(1000), 9));
    assert_eq!((parse("reneg-sec 0").tls.reneg_sec, parse("reneg-bytes 0").tls.reneg_bytes), (0, Some(0)));
    let tls = parse("single-session\ntls-exit").tls;
    assert!(tls.single_session && tls.tls_exit);
    for option in ["tls-timeout 0", "hand-window 0", "hand-window -5"] {
        assert!(error(option).contains("a time in seconds, at least 1"), "{option}");
    }
    assert_eq!(parse("reneg-sec -1").tls.reneg_sec, 0, "as openvpn reads it");
    assert!(error("reneg-sec x").contains("a time in seconds"));
    assert!(error("reneg-sec 500 600").contains("at most the longest one"));
    assert!(error("reneg-pkts many").contains("a number of packets"));
    for (option, size, mssfix) in [
        ("max-packet-size 1000", 1000, Mssfix::Mtu(1000)),
        ("max-packet-size 1", 154, Mssfix::Mtu(154)),
        ("max-packet-size 99999", 2048, Mssfix::Mtu(2048)),
        ("max-packet-size 1000\nmssfix 1200", 1000, Mssfix::Plain(1200)),
        ("mssfix 0\nmax-packet-size 1000", 1000, Mssfix::Mtu(1000)),
    ] {
        let config = parse(option);
        assert_eq!((config.tls.max_packet_size, config.mssfix), (size, mssfix), "{option}");
    }
}

#[test]
fn packet_ids_stay_where_ciphers_count_by_them() {
    assert!(error("no-replay").contains("only CBC ciphers work without packet ids"));
    assert!(error("no-replay\ndata-ciphers AES-256-CBC\ncipher AES-256-OFB").contains("only CBC ciphers"));
    assert!(!parse("no-replay\ndata-ciphers AES-256-CBC").packet_ids);
}

#[test]
fn warnings_name_what_is_legal_but_unwise() {
    for (options, expected) in [
        ("remote-cert-tls client", [Warning::OwnRole(Role::Client)].as_slice()),
        ("key-direction 1", &[Warning::DirectionUnused]),
        ("key-direction 1\ntls-crypt a", &[Warning::DirectionUnused]),
        ("key-direction 1\ntls-auth a", &[]),
        ("cipher AES-256-CBC", &[Warning::CipherNotOffered(Cipher::Aes256Cbc)]),
        ("cipher AES-256-GCM", &[]),
        ("cipher AES-256-CBC\ndata-ciphers-fallback AES-256-CBC", &[]),
        ("data-ciphers AES-256-GCM:BF-CBC", &[Warning::ShortBlocks(Cipher::BfCbc)]),
        ("data-ciphers-fallback BF-CBC", &[Warning::ShortBlocks(Cipher::BfCbc)]),
        ("compat-mode 2.3.0", &[Warning::ShortBlocks(Cipher::BfCbc)]),
        ("data-ciphers AES-256-GCM:none", &[Warning::NoDataCipher]),
        ("data-ciphers-fallback none", &[Warning::NoDataCipher]),
        ("auth none", &[]),
        ("auth none\ntls-auth a", &[Warning::NoAuthentication]),
        ("auth none\ndata-ciphers AES-256-CBC", &[Warning::NoAuthentication]),
        ("no-replay\ndata-ciphers AES-256-CBC", &[Warning::NoPacketIds]),
    ] {
        assert_eq!(warnings(options), expected, "{options}");
    }
    let open = MINIMAL.replace("remote-cert-tls server\n", "");
    let count = |options: &str| parse_all(&format!("{open}{options}")).unwrap().warnings().count();
    assert_eq!(count(""), 1);
    assert_eq!(count("remote-cert-ku a0"), 1, "openvpn does not count it either");
    for method in ["remote-cert-eku 1.2.3", "verify-x509-name o name", &format!("peer-fingerprint {FINGERPRINT}")] {
        assert_eq!(count(method), 0, "{method}");
    }
    let told = parse_all(&open).unwrap().warnings().next().unwrap().to_string();
    assert!(told.starts_with("WARNING: No server certificate verification method has been enabled."), "{told}");
}
