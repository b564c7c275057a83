//! New keys under traffic: not one packet is lost.

use std::time::{Duration, Instant};

use longcable_core::tls::Role;
use longcable_tests::support::{Daemon, Filling, Lab, Link, PATIENCE, Pinger, Program, poll};

/// Long enough for some renegotiations every five seconds, of which an openvpn that is the TLS server takes up to a
/// tenth away.
const A_WHILE: Duration = Duration::from_secs(22);

/// An echo every 20 ms each way and a connection now and then, for so long.
fn traffic(link: &Link<'_>, duration: Duration) {
    let start = Instant::now();
    let all = |mut pinger: Pinger| {
        let mut sent = 0;
        while start.elapsed() < duration {
            pinger.must_answer(200, Filling::Random);
            sent += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        sent
    };
    let counts = std::thread::scope(|scope| {
        [link.pinger(), link.pinger_back()]
            .map(|pinger| scope.spawn(move || all(pinger)))
            .map(|thread| thread.join().expect("no echo is lost"))
    });
    // A machine that is busy with other tests is slower, but not much.
    let least = duration.as_millis() as usize / 100;
    assert!(counts.iter().all(|&count| count > least), "only {counts:?} echoes");
}

/// How many keys an end has had.
fn keys(end: &Daemon, program: Program) -> usize {
    end.count(program.words("Control Channel: TLSv1", "Data Channel: cipher"))
}

/// Both ends have had so many keys, and nothing went wrong on the way to them.
fn renegotiated(link: &Link<'_>, programs: [Program; 2], wanted: usize) {
    for (end, program) in [&link.left, &link.right].into_iter().zip(programs) {
        // The last one may just be on its way.
        let there = poll(PATIENCE, || (keys(end, program) >= wanted).then_some(()));
        assert!(there.is_some(), "{} keys, not {wanted}", keys(end, program));
        let log = end.log();
        // Before that, packets of a peer that was not ready yet may have been in the way.
        let (_, since) = log.split_once("Initialization Sequence Completed").expect("the link stands");
        for trouble in ["TLS Error", "packet error", "restarting", "VERIFY ERROR", "out of sync", "not initialized"] {
            assert!(!since.contains(trouble), "'{trouble}'");
        }
    }
}

/// Which end has asked for the new keys.
fn initiators(link: &Link<'_>, programs: [Program; 2]) -> [bool; 2] {
    let asked = programs.map(|program| program.words("TLS: soft reset", "TLS: soft reset, a new key is negotiated"));
    [link.left.count(asked[0]) > 0, link.right.count(asked[1]) > 0]
}

/// Echoes both ways while new keys are negotiated, at the wish of each end that has `reneg-sec 5`.
pub(super) fn under_traffic(programs: [Program; 2], left: Role, more: [&str; 2]) {
    let lab = Lab::new();
    let link = Link::tls(&lab, programs, left, more);
    traffic(&link, A_WHILE);
    renegotiated(&link, programs, 4);
    let wanted = more.map(|more| more.contains("reneg-sec 5"));
    assert_eq!(initiators(&link, programs), wanted, "who renegotiates");
    link.check_pings();
    link.check_tcp(200_000);
    link.stop();
}

for_each_pair! {
    fn the_server_asks_gcm(programs) {
        under_traffic(programs, Role::Server, ["reneg-sec 5", "reneg-sec 0"]);
    }
}

for_each_pair! {
    fn the_client_asks_gcm(programs) {
        under_traffic(programs, Role::Client, ["reneg-sec 5", "reneg-sec 0"]);
    }
}

for_each_pair! {
    /// From the second key on, the control channel has a key of its own.
    fn the_client_asks_cbc_with_tls_crypt(programs) {
        let more = ["0", "5"].map(|seconds| {
            format!("reneg-sec {seconds}\ndata-ciphers AES-256-CBC\nauth SHA256\ntls-crypt ta.key")
        });
        under_traffic(programs, Role::Server, [&more[0], &more[1]]);
    }
}

for_each_pair! {
    fn the_server_asks_with_tls_crypt_v2_and_tls_1_2(programs) {
        under_traffic(programs, Role::Server, [
            "reneg-sec 5\ntls-crypt-v2 v2-server.key\ntls-version-max 1.2",
            "reneg-sec 0\ntls-crypt-v2 v2-client.key",
        ]);
    }
}

for_each_pair! {
    /// Both ends want new keys at the same time, again and again.
    fn both_ask_with_tls_auth(programs) {
        let lab = Lab::new();
        let link = Link::tls(&lab, programs, Role::Client, [
            "reneg-sec 5\ntls-auth ta.key 1\ndata-ciphers CHACHA20-POLY1305",
            "reneg-sec 5\ntls-auth ta.key 0\ndata-ciphers CHACHA20-POLY1305",
        ]);
        traffic(&link, A_WHILE);
        renegotiated(&link, programs, 4);
        link.stop();
    }
}

for_each_pair! {
    /// Seven key ids are used up and the first of them comes again.
    fn key_ids_come_round(programs) {
        let lab = Lab::new();
        let link = Link::tls(&lab, programs, Role::Server, ["reneg-pkts 100\nreneg-sec 0", "reneg-sec 0"]);
        // Not more often than a peer may ask, on however fast a machine.
        let start = Instant::now();
        let mut pinger = link.pinger();
        while keys(&link.left, programs[0]) < 10 {
            assert!(start.elapsed() < Duration::from_secs(60), "{} keys", keys(&link.left, programs[0]));
            pinger.must_answer(100, Filling::Random);
            std::thread::sleep(Duration::from_millis(15));
        }
        renegotiated(&link, programs, 9);
        link.stop();
    }
}

for_each_pair! {
    fn after_so_many_bytes(programs) {
        let lab = Lab::new();
        let link = Link::tls(&lab, programs, Role::Client, ["reneg-bytes 200000\nreneg-sec 0", "reneg-sec 0"]);
        let mut pinger = link.pinger();
        for _ in 0..600 {
            pinger.must_answer(1000, Filling::Random);
            std::thread::sleep(Duration::from_millis(5));
        }
        renegotiated(&link, programs, 3);
        link.stop();
    }
}

for_each_pair! {
    /// A block of 64 bits may not encrypt more than 64 MB under one key.
    fn small_blocks_want_new_keys(programs) {
        let lab = Lab::new();
        let legacy = "data-ciphers BF-CBC\nproviders legacy default\nreneg-sec 0";
        let link = Link::tls(&lab, programs, Role::Server, [legacy, legacy]);
        for _ in 0..5 {
            link.check_tcp(10_000_000);
        }
        renegotiated(&link, programs, 2);
        link.stop();
    }
}
