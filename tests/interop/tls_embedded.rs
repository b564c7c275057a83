//! The TLS stack of boards in a whole program: a TLS client whose control channel is wrapped.

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Lab, Link, Program, pki, tls_end};

use super::tls_refused::{CERTIFICATES, RULES, Refusal, refused};
use super::tls_renegotiation::under_traffic;
use super::tls_restarts::{killed, notified, signalled};

/// One test for each program that may be the server.
macro_rules! for_each_server {
    ($(#[$attribute:meta])* fn $name:ident($server:ident) $body:block) => {
        $(#[$attribute])*
        mod $name {
            use super::*;

            fn check($server: Program) $body

            #[test]
            fn openvpn() {
                check(Program::Openvpn);
            }

            #[test]
            fn longcable() {
                check(Program::tested());
            }
        }
    };
}

const CRYPT: &str = "tls-crypt ta.key";

/// The lines of the client and of the server, and the data cipher they agree on.
const LINKS: [([&str; 2], &str); 6] = [
    (["tls-auth ta.key 1\nauth SHA256", "tls-auth ta.key 0\nauth SHA256"], "AES-256-CBC"),
    (["tls-auth ta.key", "tls-auth ta.key"], "CHACHA20-POLY1305"),
    ([CRYPT, CRYPT], "AES-256-GCM"),
    ([CRYPT, CRYPT], "AES-256-CBC"),
    (["tls-crypt-v2 v2-client.key", "tls-crypt-v2 v2-server.key"], "CHACHA20-POLY1305"),
    (["tls-crypt-v2 v2-client.key", "tls-crypt-v2 v2-server.key"], "AES-256-GCM"),
];

for_each_server! {
    /// Without an exporter of TLS the keys come from the PRF, and every peer has the same id.
    fn every_wrapping_cipher_and_key(server) {
        let lab = Lab::new();
        for (number, (wrapping, cipher)) in LINKS.into_iter().enumerate() {
            let [client_key, server_key] = [["", "-ed25519"], ["-ed25519", ""]][number % 2];
            let more = [("client", client_key, wrapping[0]), ("server", server_key, wrapping[1])].map(
                |(role, kind, wrapping)| {
                    format!("data-ciphers {cipher}\ncert {role}{kind}.crt\nkey {role}{kind}.key\n{wrapping}")
                },
            );
            println!("{more:?}");
            let link = Link::tls(&lab, [Program::Embedded, server], Role::Client, [&more[0], &more[1]]);
            link.check_pings();
            link.check_tcp(200_000);
            link.left.wait_for("Control Channel: TLSv1.3, cipher TLS_AES_128_GCM_SHA256");
            let keys = ["Data Channel: cipher", cipher, "peer-id: 7762030", "from the PRF"];
            link.left.wait_for_all(&keys);
            if server == Program::Openvpn {
                link.right.wait_for("TLS_export=0, DATA_v2=1, peer-id 7762030");
                link.right.wait_for(&format!("Data Channel: cipher '{cipher}'"));
            } else {
                link.right.wait_for_all(&keys);
            }
            link.stop();
        }
    }
}

for_each_server! {
    fn everything_inline(server) {
        let lab = Lab::new();
        let inline = |name: &str, file: &str| format!("<{name}>\n{}</{name}>\n", pki::text(file));
        let files = [
            ("ca", "ca.crt"), ("cert", "client.crt"), ("key", "client.key"), ("crl-verify", "crl.pem"), ("tls-crypt", "ta.key"),
        ];
        let more = files.map(|(name, file)| inline(name, file)).concat();
        let link = Link::tls(&lab, [Program::Embedded, server], Role::Client, [&more, CRYPT]);
        link.check_pings();
        link.stop();
    }
}

for_each_server! {
    fn the_client_renegotiates_under_traffic(server) {
        let more = ["5", "0"].map(|seconds| format!("reneg-sec {seconds}\n{CRYPT}"));
        under_traffic([Program::Embedded, server], Role::Client, [&more[0], &more[1]]);
    }
}

for_each_server! {
    fn the_server_renegotiates_under_traffic(server) {
        let more = [("1", "0"), ("0", "5")].map(|(direction, seconds)| {
            format!("reneg-sec {seconds}\ntls-auth ta.key {direction}\ndata-ciphers AES-256-CBC\nauth SHA256")
        });
        under_traffic([Program::Embedded, server], Role::Client, [&more[0], &more[1]]);
    }
}

for_each_server! {
    fn certificates_that_it_refuses(server) {
        refused([Program::Embedded, server], Role::Client, CRYPT, &CERTIFICATES);
    }
}

for_each_server! {
    fn rules_that_are_not_satisfied(server) {
        let can = |rule: &&Refusal| !rule.verifier.contains("tls-verify") && !rule.verifier.ends_with(" dir");
        refused([Program::Embedded, server], Role::Client, CRYPT, RULES.iter().filter(can));
    }
}

for_each_server! {
    fn its_certificates_are_refused(server) {
        // It sends one certificate only.
        let can = |refusal: &&Refusal| !refusal.presenter.contains("leaf");
        refused([server, Program::Embedded], Role::Server, CRYPT, CERTIFICATES.iter().filter(can));
    }
}

for_each_server! {
    fn either_end_is_killed(server) {
        killed([Program::Embedded, server], Role::Client);
        killed([server, Program::Embedded], Role::Server);
    }
}

for_each_server! {
    fn either_end_restarts_or_leaves(server) {
        signalled([Program::Embedded, server], Role::Client, CRYPT);
        notified([Program::Embedded, server], Role::Client, CRYPT);
        notified([server, Program::Embedded], Role::Server, CRYPT);
    }
}

/// Lines of the server, and what the client says about it.
const STRANGE_SERVERS: [(&str, &str); 3] = [
    ("tls-version-max 1.2", "TLS 1.3"),
    ("tls-groups X25519", "prime256v1"),
    ("cert server-rsa.crt\nkey server-rsa.key", "a certificate of P-256 or Ed25519"),
];

for_each_server! {
    /// An openvpn starts anew before its alert is sent.
    fn a_server_with_which_nothing_is_in_common(server) {
        for (strange, hint) in STRANGE_SERVERS {
            println!("{strange}");
            let lab = Lab::new();
            let link = Link::start_tls(&lab, [Program::Embedded, server], Role::Client, [CRYPT, &format!("{strange}\n{CRYPT}")]);
            match server {
                Program::Openvpn => link.right.wait_for("TLS Error: TLS handshake failed"),
                _ => link.left.wait_for_all(&["the peer refused the TLS handshake", hint]),
            };
            assert_eq!(link.left.count("Initialization Sequence Completed"), 0);
            link.stop();
        }
    }
}

#[test]
fn what_it_cannot_do_is_said_at_the_start() {
    let lab = Lab::new();
    pki::write(&lab);
    for (role, more, problem) in [
        (Role::Server, CRYPT, "tls-client"),
        (Role::Client, "", "tls-crypt-v2"),
        (Role::Client, "tls-version-max 1.2", "tls-version-max"),
        (Role::Client, "tls-ciphersuites TLS_AES_256_GCM_SHA384", "tls-ciphersuites"),
        (Role::Client, "tls-groups X25519", "tls-groups"),
        (Role::Client, "pkcs12 client.p12", "pkcs12"),
        (Role::Client, "extra-certs intermediate.crt", "extra-certs"),
        (Role::Client, "cert client-chain.crt", "'cert'"),
        (Role::Client, "key client-rsa.key", "P-256"),
        (Role::Client, "key client-encrypted.key", "encrypted"),
        (Role::Client, "key server.key", "does not belong to the certificate"),
        (Role::Client, "ca nofile.crt", "nofile.crt"),
        (Role::Client, "tls-verify ./verify\nscript-security 2", "tls-verify"),
    ] {
        println!("{role:?}: {more}");
        let wrapping = if more.is_empty() { "" } else { CRYPT };
        let config = tls_end(&lab.left, &lab.right, role, &format!("{wrapping}\n{more}"));
        let mut end = Daemon::start(&lab, &lab.left, Program::Embedded, &config);
        assert_eq!(end.wait().code(), Some(1), "{more}");
        end.wait_for_all(&["Options error: ", problem]);
    }
}
