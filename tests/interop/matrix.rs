//! Every cipher with every digest.
//!
//! The key's direction and the side where longcable runs change from pair to pair, so that each cipher and each digest
//! is seen with longcable on either side and on both.

use longcable_tests::support::{Lab, Link, Program, baseline};

const DIGESTS: [&str; 8] = ["MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "RIPEMD160", "none"];

macro_rules! ciphers {
    ($($test:ident = $number:literal: $cipher:literal,)*) => {
        $(#[test]
        fn $test() {
            with_every_digest($number, $cipher);
        })*
    };
}

ciphers! {
    aes_128_cbc = 0: "AES-128-CBC",
    aes_192_cbc = 1: "AES-192-CBC",
    aes_256_cbc = 2: "AES-256-CBC",
    bf_cbc = 3: "BF-CBC",
    des_ede3_cbc = 4: "DES-EDE3-CBC",
    des_ede_cbc = 5: "DES-EDE-CBC",
    camellia_128_cbc = 6: "CAMELLIA-128-CBC",
    camellia_192_cbc = 7: "CAMELLIA-192-CBC",
    camellia_256_cbc = 8: "CAMELLIA-256-CBC",
    none = 9: "none",
}

fn with_every_digest(number: usize, cipher: &str) {
    let (tested, openvpn) = (Program::tested(), Program::Openvpn);
    let pairs = [[tested, openvpn], [openvpn, tested], [tested, tested]];
    let lab = Lab::new();
    for (shift, digest) in DIGESTS.into_iter().enumerate() {
        let directions = [["", ""], ["0", "1"], ["1", "0"]][(number + shift / 3) % 3];
        let pair = pairs[(number + shift) % 3];
        // Some of them are legacy to the crypto library of openvpn.
        let more = directions.map(|direction| {
            format!("cipher {cipher}\nauth {digest}\nsecret static.key {direction}\nproviders legacy default")
        });
        println!("{cipher} {digest} {pair:?}, directions {directions:?}");
        let link = Link::up(&lab, pair, [&more[0], &more[1]]);
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    fn without_direction(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, ["", ""]);
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    fn direction_0_and_1(programs) {
        let lab = Lab::new();
        let link = Link::up(&lab, programs, ["secret static.key 0", "secret static.key 1"]);
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    fn direction_1_and_0_with_an_inline_key(programs) {
        let lab = Lab::new();
        let key = lab.read("static.key").unwrap();
        let more = ["1", "0"].map(|direction| format!("<secret>\n{key}</secret>\nkey-direction {direction}"));
        let link = Link::up(&lab, programs, [&more[0], &more[1]]);
        link.check_pings();
        link.stop();
    }
}

for_each_pair! {
    /// Without `cipher`, a static key means Blowfish.
    fn default_cipher(programs) {
        let lab = Lab::new();
        let config = |here: &str, there: &str, inside: [&str; 2]| format!(
            "dev tun0\nlocal {here}\nremote {there}\nifconfig {} {}\nsecret static.key\nproviders legacy default\n",
            inside[0], inside[1],
        );
        let link = Link::with_configs(&lab, programs, [
            &config("192.0.2.1", "192.0.2.2", ["10.9.0.1", "10.9.0.2"]),
            &config("192.0.2.2", "192.0.2.1", ["10.9.0.2", "10.9.0.1"]),
        ]);
        link.wait_for_traffic();
        link.check_pings();
        link.stop();
    }
}

/// Names that only older peers' configs have.
#[test]
fn names_of_older_versions() {
    let lab = Lab::new();
    let modern = "cipher BF-CBC\nauth SHA1\nproviders legacy default";
    let old = if baseline() { modern } else { "cipher bf-cbc\nkeysize 128\nauth RSA-SHA1" };
    let link = Link::up(&lab, [Program::tested(), Program::Openvpn], [old, modern]);
    link.check_pings();
    link.stop();
}
