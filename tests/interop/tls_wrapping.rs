//! The protection of the control channel itself: keys of either program's making, and what is said when it differs.

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Filling, Lab, Link, Program, baseline, pki, tls_end};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Two ends that do not understand each other.
struct Mismatch {
    /// The server's lines and the client's.
    more: [&'static str; 2],
    /// What openvpn says as server and as client; nothing where it stays silent.
    openvpn: [&'static str; 2],
    /// Likewise longcable.
    longcable: [&'static str; 2],
}

const NO_HMAC: &str = "TLS Error: cannot locate HMAC in incoming packet";
const BAD_HMAC: &str = "TLS Error: incoming packet authentication failed";
const BAD_CRYPT: &str = "TLS Error: tls-crypt unwrapping failed from ";
/// With nothing around it, a packet with something around it makes no sense.
const NONSENSE: &str = "TLS Error: ";

const MISMATCHES: [Mismatch; 10] = [
    Mismatch { more: ["tls-auth ta.key 0", "tls-auth ta.key 0"], openvpn: [BAD_HMAC; 2], longcable: [BAD_HMAC; 2] },
    Mismatch { more: ["tls-auth ta.key", "tls-auth ta.key 1"], openvpn: [BAD_HMAC, ""], longcable: [BAD_HMAC, ""] },
    Mismatch {
        more: ["tls-auth ta.key 0", "tls-auth ta-other.key 1"],
        openvpn: [BAD_HMAC; 2],
        longcable: [BAD_HMAC; 2],
    },
    Mismatch {
        more: ["tls-auth ta.key 0\nauth SHA256", "tls-auth ta.key 1\nauth SHA512"],
        openvpn: [BAD_HMAC, NO_HMAC],
        longcable: [BAD_HMAC, NO_HMAC],
    },
    Mismatch { more: ["tls-auth ta.key 0", ""], openvpn: [NO_HMAC, ""], longcable: [NO_HMAC, NONSENSE] },
    Mismatch { more: ["", "tls-auth ta.key 1"], openvpn: ["", NO_HMAC], longcable: [NONSENSE, NO_HMAC] },
    Mismatch {
        more: ["tls-crypt ta.key", "tls-crypt ta-other.key"],
        openvpn: [BAD_CRYPT; 2],
        longcable: [BAD_HMAC; 2],
    },
    Mismatch { more: ["tls-crypt ta.key", ""], openvpn: [BAD_CRYPT, ""], longcable: [NONSENSE; 2] },
    Mismatch { more: ["", "tls-crypt ta.key"], openvpn: ["", BAD_CRYPT], longcable: [NONSENSE; 2] },
    Mismatch {
        more: ["tls-crypt-v2 v2-other.key", "tls-crypt-v2 v2-client.key"],
        openvpn: ["TLS Error: can not extract tls-crypt-v2 client key", ""],
        longcable: [BAD_HMAC, ""],
    },
];

for_each_pair! {
    fn differences_are_named(programs) {
        let lab = Lab::new();
        for mismatch in &MISMATCHES {
            println!("{:?}", mismatch.more);
            let link = Link::start_tls(&lab, programs, Role::Server, mismatch.more);
            for ((end, program), side) in [&link.left, &link.right].into_iter().zip(programs).zip(0..) {
                end.wait_for(program.words(mismatch.openvpn[side], mismatch.longcable[side]));
            }
            link.pinger().must_not_answer(10, Filling::Random);
            for end in [&link.left, &link.right] {
                for success in ["Initialization Sequence Completed", "Control Channel: TLSv1", "VERIFY OK"] {
                    assert_eq!(end.count(success), 0, "'{success}'");
                }
            }
            link.stop();
        }
    }
}

for_each_pair! {
    /// Both ends want the same role.
    fn two_of_a_kind(programs) {
        for role in ROLES {
            let lab = Lab::new();
            let right = match role {
                Role::Server => "tls-server\ndh none",
                Role::Client => "tls-client",
            };
            pki::write(&lab);
            let end = |here, there| {
                let config = tls_end(here, there, role, right);
                format!("{config}ping 1\n")
            };
            let configs = [end(&lab.left, &lab.right), end(&lab.right, &lab.left)];
            let link = Link::with_configs(&lab, programs, [&configs[0], &configs[1]]);
            std::thread::sleep(std::time::Duration::from_secs(3));
            for (end, program) in [&link.left, &link.right].into_iter().zip(programs) {
                if program == Program::tested() && !baseline() {
                    end.wait_for_all(&["TLS Error: ", "'tls-client'", "'tls-server'"]);
                }
                assert_eq!(end.count("Initialization Sequence Completed"), 0);
            }
            link.pinger().must_not_answer(10, Filling::Random);
            link.stop();
        }
    }
}

for_each_pair! {
    fn inline_keys_with_a_key_direction(programs) {
        let lab = Lab::new();
        let key = pki::text("ta.key");
        let more = ["0", "1"].map(|direction| format!("<tls-auth>\n{key}</tls-auth>\nkey-direction {direction}\nauth SHA512"));
        let link = Link::tls(&lab, programs, Role::Server, [&more[0], &more[1]]);
        link.check_pings();
        link.stop();
        let crypt = format!("<tls-crypt>\n{key}</tls-crypt>");
        let link = Link::tls(&lab, programs, Role::Client, [&crypt, &crypt]);
        link.check_pings();
        link.stop();
        let more = ["v2-server.key", "v2-client.key"].map(|name| format!("<tls-crypt-v2>\n{}</tls-crypt-v2>", pki::text(name)));
        let link = Link::tls(&lab, programs, Role::Server, [&more[0], &more[1]]);
        link.check_pings();
        link.stop();
    }
}

/// An openvpn with many clients can make sure of a client's address before it keeps anything: it forgets the wrapped key
/// that it was shown, and asks to see it again. It is no peer for a link, so TLS is all that the two have in common.
#[test]
fn a_server_that_wants_to_see_the_wrapped_key_again() {
    for client in [Program::tested(), Program::Embedded] {
        let lab = Lab::new();
        pki::write(&lab);
        let server = "dev tun0\nmode server\ntls-server\ndh none\nca ca.crt\ncert server.crt\nkey server.key\n\
                      topology subnet\nifconfig 10.9.0.2 255.255.255.0\ntls-crypt-v2 v2-server.key force-cookie\nverb 7\n";
        let server = Daemon::start(&lab, &lab.right, Program::Openvpn, server);
        let config = tls_end(&lab.left, &lab.right, Role::Client, "tls-crypt-v2 v2-client.key");
        let client = Daemon::start(&lab, &lab.left, client, &config);
        server.wait_for("Valid packet (P_CONTROL_WKC_V1) with HMAC challenge from peer ([AF_INET]192.0.2.1:1194)");
        for end in [&server, &client] {
            end.wait_for("Control Channel: TLSv1.3");
        }
    }
}

for_each_pair! {
    fn every_digest_of_tls_auth_in_either_direction(programs) {
        let lab = Lab::new();
        let digests = ["MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "RIPEMD160"];
        for (digest, server) in digests.into_iter().zip([1, 0].into_iter().cycle()) {
            println!("{digest}, the server has the direction {server}");
            let more = [server, 1 - server].map(|direction| {
                format!("tls-auth ta.key {direction}\nauth {digest}\nproviders legacy default")
            });
            let link = Link::tls(&lab, programs, Role::Server, [&more[0], &more[1]]);
            link.check_pings();
            link.stop();
        }
    }
}

/// Runs to its end, successfully.
fn run(lab: &Lab, program: Program, arguments: &str) {
    let arguments: Vec<_> = arguments.split(' ').collect();
    let mut run = Daemon::with_arguments(lab, &lab.left, program, &arguments);
    assert_eq!(run.wait().code(), Some(0), "{arguments:?}");
}

/// Keys that either program has made are understood by both.
#[test]
fn keys_are_understood_by_the_other_program() {
    let (tested, openvpn) = (Program::tested(), Program::Openvpn);
    let lab = Lab::new();
    run(&lab, tested, "--genkey tls-auth ours-auth");
    run(&lab, tested, "--genkey tls-crypt ours-crypt");
    for (server, client) in [(tested, tested), (tested, openvpn), (openvpn, tested)] {
        let names = [format!("server-{server:?}"), format!("client-{server:?}-{client:?}")];
        run(&lab, server, &format!("--genkey tls-crypt-v2-server {}", names[0]));
        run(&lab, client, &format!("--tls-crypt-v2 {} --genkey tls-crypt-v2-client {}", names[0], names[1]));
        let more = names.map(|name| format!("tls-crypt-v2 {name}"));
        for (pair, left) in [([tested, openvpn], Role::Server), ([openvpn, tested], Role::Server)] {
            let link = Link::tls(&lab, pair, left, [&more[0], &more[1]]);
            link.stop();
        }
    }
    for (left, right) in
        [("tls-auth ours-auth 0", "tls-auth ours-auth 1"), ("tls-crypt ours-crypt", "tls-crypt ours-crypt")]
    {
        Link::tls(&lab, [tested, openvpn], Role::Client, [left, right]).stop();
    }
    // What the client's key carries along: the time, unless something else is given.
    run(&lab, tested, "--tls-crypt-v2 server-Openvpn --genkey tls-crypt-v2-client with-metadata bG9uZ2NhYmxl");
    Link::tls(&lab, [openvpn, tested], Role::Server, ["tls-crypt-v2 server-Openvpn", "tls-crypt-v2 with-metadata"])
        .stop();
}
