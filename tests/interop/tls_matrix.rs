//! Every data cipher with every protection of the control channel.
//!
//! The kind of key, the version of TLS, the side that is the TLS server and the side where longcable runs change from
//! link to link, so that every two values of any two of them meet.

use longcable_core::tls::Role;
use longcable_tests::support::{Lab, Link, Program, baseline};

/// Cipher and what goes with it.
const CIPHERS: [(&str, &str); 9] = [
    ("AES-128-GCM", ""),
    ("AES-192-GCM", "auth SHA512"),
    ("AES-256-GCM", "auth SHA256"),
    ("CHACHA20-POLY1305", "auth SHA384"),
    ("AES-256-CBC", "auth SHA256"),
    ("AES-128-CBC", "auth SHA1"),
    ("BF-CBC", "auth SHA1\nproviders legacy default"),
    ("AES-256-OFB", "auth SHA512"),
    ("AES-256-CFB", "auth SHA224"),
];

/// The server's lines and the client's. openvpn unwraps tls-crypt-v2 keys between two equal peers too.
const WRAPPINGS: [[&str; 2]; 5] = [
    ["", ""],
    ["tls-auth ta.key 0", "tls-auth ta.key 1"],
    ["tls-auth ta.key", "tls-auth ta.key"],
    ["tls-crypt ta.key", "tls-crypt ta.key"],
    ["tls-crypt-v2 v2-server.key", "tls-crypt-v2 v2-client.key"],
];

const KEYS: [&str; 4] = ["", "-rsa", "-p384", "-ed25519"];

const VERSIONS: [(&str, &str); 2] = [("tls-version-max 1.2", "TLSv1.2"), ("tls-version-min 1.3", "TLSv1.3")];

/// Which kind of key, version of TLS, role of the left end and pair of programs the link with this cipher and this
/// wrapping has.
fn others(cipher: usize, wrapping: usize) -> [usize; 4] {
    let sum = cipher + wrapping;
    [sum % 4, (wrapping / 2 + cipher) % 2, (wrapping + cipher / 3) % 2, sum % 3]
}

#[test]
fn every_two_values_meet() {
    let rows: Vec<[usize; 6]> = (0..CIPHERS.len())
        .flat_map(|cipher| (0..WRAPPINGS.len()).map(move |wrapping| (cipher, wrapping, others(cipher, wrapping))))
        .map(|(cipher, wrapping, [key, version, role, pair])| [cipher, wrapping, key, version, role, pair])
        .collect();
    let counts = [CIPHERS.len(), WRAPPINGS.len(), KEYS.len(), VERSIONS.len(), 2, 3];
    for (a, b) in (0..6).flat_map(|a| (0..a).map(move |b| (a, b))) {
        let met: std::collections::BTreeSet<_> = rows.iter().map(|row| (row[a], row[b])).collect();
        assert_eq!(met.len(), counts[a] * counts[b], "columns {a} and {b}");
    }
}

macro_rules! ciphers {
    ($($test:ident = $number:literal,)*) => {
        $(#[test]
        fn $test() {
            with_every_wrapping($number);
        })*
    };
}

ciphers! {
    aes_128_gcm = 0,
    aes_192_gcm = 1,
    aes_256_gcm = 2,
    chacha20_poly1305 = 3,
    aes_256_cbc = 4,
    aes_128_cbc = 5,
    bf_cbc = 6,
    aes_256_ofb = 7,
    aes_256_cfb = 8,
}

fn with_every_wrapping(cipher: usize) {
    let (tested, openvpn) = (Program::tested(), Program::Openvpn);
    let pairs = [[tested, openvpn], [openvpn, tested], [tested, tested]];
    let lab = Lab::new();
    let (name, auth) = CIPHERS[cipher];
    for (number, wrapping) in WRAPPINGS.into_iter().enumerate() {
        let [key, version, role, pair] = others(cipher, number);
        let ((limit, version), kind, pair) = (VERSIONS[version], KEYS[key], pairs[pair]);
        let roles = [Role::Client, Role::Server];
        let left = roles[role];
        let more = |role: Role| {
            let (file, wrapping) = match role {
                Role::Server => ("server", wrapping[0]),
                Role::Client => ("client", wrapping[1]),
            };
            format!("data-ciphers {name}\n{auth}\n{wrapping}\ncert {file}{kind}.crt\nkey {file}{kind}.key\n{limit}")
        };
        println!("{name}, {wrapping:?}, '{kind}', {version}, left is the TLS {left:?}, {pair:?}");
        let link = Link::tls(&lab, pair, left, [&more(left), &more(left.other())]);
        link.check_pings();
        link.check_tcp(200_000);
        for end in [&link.left, &link.right] {
            end.wait_for_all(&["Control Channel: ", version]);
            end.wait_for("Initialization Sequence Completed");
        }
        for (end, program) in [&link.left, &link.right].into_iter().zip(pair) {
            if program == tested && !baseline() {
                end.wait_for_all(&["Data Channel: cipher", name, "from the TLS exporter"]);
            }
        }
        link.stop();
    }
}
