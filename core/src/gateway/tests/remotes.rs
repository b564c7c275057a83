//! Several remotes: which is next, when, and what differs between them.

use std::string::String;
use std::vec::Vec;

use super::scene::{Did, Names, Scene, address, carry, lead};
use super::*;

const TWO: &str = "remote 192.0.2.1\nremote 192.0.2.2";

/// So many starts, whatever ends them.
fn pauses(lines: &str, seconds: u64) -> Vec<u32> {
    let mut scene = Scene::new(lines, lead(&["192.0.2.1:1194", "192.0.2.2:1194"]));
    scene.until(seconds * 1000);
    scene.pauses()
}

#[test]
fn a_tls_client_is_more_and_more_patient() {
    let client = "tls-client\nhand-window 1\nremote 192.0.2.1";
    assert_eq!(pauses(client, 140)[..11], [1, 1, 1, 1, 2, 4, 8, 16, 30, 30, 30], "it may be back at any time");
    for openvpns in ["follow-name no", "connect-retry 1", "connect-retry 1 300"] {
        assert_eq!(pauses(&format!("{client}\n{openvpns}"), 700)[4..12], [2, 4, 8, 16, 32, 64, 128, 256], "{openvpns}");
    }
    assert_eq!(pauses(&format!("{client}\nconnect-retry 2 5"), 60)[..8], [2, 2, 2, 2, 4, 5, 5, 5]);
    assert_eq!(pauses(&format!("{client}\nconnect-retry 5 3"), 60)[..6], [5; 6], "max is no less than n");
    // Each remote counts, and each address of a name does not.
    assert_eq!(pauses(&format!("{client}\nremote 192.0.2.2"), 80)[..13], [1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4, 4]);
    let name = "tls-client\nhand-window 1\nremote office.example";
    assert_eq!(pauses(name, 80)[..12], [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4, 4]);
    for other in ["tls-server\nremote 192.0.2.1\nconnect-timeout 0", "remote 192.0.2.1"] {
        let pauses = pauses(&format!("{other}\nping-restart 1"), 40);
        assert!(pauses.len() > 15 && pauses.iter().all(|pause| *pause == 1), "{other}: {pauses:?}");
    }
}

#[test]
fn a_success_makes_a_tls_client_impatient_again() {
    let mut client = Scene::new("tls-client\nhand-window 1\nremote 192.0.2.1\nconnect-retry-max 8", Names::Fail);
    client.until(12_000);
    assert_eq!(client.pauses(), [1, 1, 1, 1, 2, 4]);
    let mut server = Scene::new("tls-server", Names::Fail);
    for millis in (12_000..20_000).step_by(100) {
        client.until(millis);
        server.until(millis);
        carry([&mut client, &mut server], ["198.51.100.1:1194", "192.0.2.1:1194"]);
    }
    assert_eq!(client.said("Initialization Sequence Completed").len(), 1, "{:?}", client.did);
    let before = client.pauses().len();
    client.signal(Signal::Usr1);
    client.until(120_000);
    // The next start is the same remote's, and no try.
    assert_eq!(client.pauses()[before..], [1, 1, 1, 1, 1, 1, 2, 4, 8, 16]);
    assert_eq!(client.exited, Some(Reason::soft(Signal::Term, Cause::RetriesUsedUp)));
}

#[test]
fn connect_retry_max_counts_the_tries_of_each_remote() {
    for (lines, names, starts) in [
        ("remote 192.0.2.1\nping-restart 1", Names::Hang, 3),
        ("remote 192.0.2.1\nremote 192.0.2.2\nping-restart 1", Names::Hang, 6),
        ("remote office.example\nping-restart 1", lead(&["192.0.2.1:1194", "192.0.2.2:1194"]), 6),
        ("tls-client\nhand-window 1\nremote 192.0.2.1\nremote 192.0.2.2", Names::Hang, 6),
        ("tls-client\nconnect-timeout 1\nremote 192.0.2.1", Names::Hang, 3),
        ("remote office.example", Names::Fail, 0),
    ] {
        let mut scene = Scene::new(&std::format!("{lines}\nconnect-retry-max 3"), names);
        scene.until(120_000);
        assert_eq!(scene.bound().len(), starts, "{lines}");
        assert_eq!(scene.exited, Some(Reason::soft(Signal::Term, Cause::RetriesUsedUp)), "{lines}");
        let said = "All connections have been connect-retry-max (3) times unsuccessful, exiting";
        assert_eq!(scene.said(said).len(), 1, "{lines}");
        // The pause comes first, if there is one.
        let last = scene.times(0, |did| matches!(did, Did::Said(_)));
        assert_eq!(last.last(), last.iter().max(), "{lines}");
    }
    let mut scene = Scene::new("remote 192.0.2.1\nping-restart 1\nconnect-retry-max 0", Names::Hang);
    scene.until(120_000);
    assert_eq!(scene.exited, None);
}

#[test]
fn a_tls_peer_that_does_not_answer_makes_room_for_the_next() {
    for role in ["tls-client", "tls-server"] {
        let mut scene = Scene::new(&std::format!("{role}\n{TWO}\nconnect-timeout 3"), Names::Hang);
        scene.until(10_000);
        assert_eq!(scene.times(0, |did| matches!(did, Did::Bound(_))), [0, 3000, 6000, 9000], "without a pause");
        assert_eq!(scene.bound()[..2], ["192.0.2.1:1194", "192.0.2.2:1194"]);
        assert_eq!(scene.said("Server poll timeout, restarting").len(), 3);
        assert_eq!(scene.said("SIGUSR1[soft,server_poll] received, process restarting").len(), 3);
        assert_eq!(scene.pauses(), []);
    }
    for lines in [TWO, "tls-server", "tls-client\nremote 192.0.2.1\nserver-poll-timeout 0\nhand-window 60"] {
        let mut scene = Scene::new(&std::format!("connect-timeout 3\n{lines}"), Names::Hang);
        scene.until(50_000);
        assert_eq!(scene.bound().len(), 1, "{lines}");
    }
}

#[test]
fn a_tls_peer_that_has_answered_has_time_for_its_handshake() {
    let mut client = Scene::new("tls-client\nremote 192.0.2.1\nconnect-timeout 2\nhand-window 30", Names::Hang);
    let mut server = Scene::new("tls-server", Names::Hang);
    // A greeting and its answer, and no more.
    let mut greeting = client.sent.remove(0).1;
    server.gateway.handle_datagram(server.now, address("198.51.100.1:1194"), &mut greeting).unwrap();
    server.drain();
    let mut answer = server.sent.remove(0).1;
    client.gateway.handle_datagram(client.now, address("192.0.2.1:1194"), &mut answer).unwrap();
    client.drain();
    client.until(20_000);
    assert_eq!(client.bound().len(), 1);
    client.until(32_000);
    assert_eq!(client.said("SIGUSR1[soft,tls-error] received, process restarting").len(), 1);
}

#[test]
fn each_block_has_settings_of_its_own() {
    let blocks = "ping-restart 2\n<connection>\nremote 192.0.2.1 5\nconnect-retry 4\nfloat\nnobind\n</connection>\n\
                  <connection>\nremote office.example\nrport 6\nproto udp4\nexplicit-exit-notify 2\n</connection>";
    let mut scene = Scene::new(blocks, lead(&["192.0.2.2:6"]));
    let connection = scene.gateway.connection();
    assert!(connection.float && !connection.bind);
    scene.until(1000);
    assert_eq!(scene.hear("192.0.2.9:9"), Ok(()), "it floats");
    scene.signal(Signal::Term);
    assert_eq!(scene.exited, Some(Reason::hard(Signal::Term)), "nothing is to be told");

    let mut scene = Scene::new(blocks, lead(&["192.0.2.2:6"]));
    scene.until(6100);
    assert_eq!(scene.bound(), ["192.0.2.1:5", "192.0.2.2:6"]);
    assert_eq!(scene.pauses(), [4]);
    assert_eq!(scene.times(0, |did| matches!(did, Did::Bound(_))), [0, 6000]);
    let connection = scene.gateway.connection();
    assert!(!connection.float && connection.bind);
    assert_eq!(scene.hear("192.0.2.9:9"), Err(Discard::Source));
    scene.signal(Signal::Term);
    assert_eq!(scene.exited, None, "the peer is being told");
    assert_eq!(scene.said("SIGTERM received, sending exit notification to peer").len(), 1);
}

#[test]
fn random_order_is_chosen_once_and_leaves_nobody_out() {
    let remotes: String = (1..=4).map(|number| std::format!("remote 192.0.2.{number}\n")).collect();
    let mut orders = Vec::new();
    for dice in 0..40 {
        let mut scene = Scene::with_dice(&std::format!("{remotes}remote-random\nping-restart 1"), Names::Hang, dice);
        scene.until(16_500);
        let bound = scene.bound();
        assert_eq!(bound[..4], bound[4..8], "the same order again");
        let mut sorted = bound[..4].to_vec();
        sorted.sort();
        assert_eq!(sorted, (1..=4).map(|number| std::format!("192.0.2.{number}:1194")).collect::<Vec<_>>());
        if !orders.contains(&bound[..4].to_vec()) {
            orders.push(bound[..4].to_vec());
        }
    }
    assert!(orders.len() > 10, "{} of 24 orders", orders.len());
}

#[test]
fn a_random_label_is_new_for_each_lookup() {
    let mut scene = Scene::new("remote office.example\nremote-random-hostname", Names::Fail);
    scene.until(5000);
    let names: Vec<_> =
        scene.did.iter().filter_map(|(_, did)| if let Did::LookedUp(name) = did { Some(name) } else { None }).collect();
    assert!(names.len() > 3);
    for (index, name) in names.iter().enumerate() {
        let label = name.strip_suffix(".office.example").unwrap();
        assert!(label.len() == 12 && label.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)), "{name}");
        assert!(!names[..index].contains(name), "{name} again");
    }
    let scene = Scene::new("remote 192.0.2.1\nremote-random-hostname", Names::Fail);
    assert_eq!(scene.bound(), ["192.0.2.1:1194"], "an address is none the less one");
}

#[test]
fn persist_remote_ip_holds_on_to_the_address_that_was_heard() {
    let lines = "remote 192.0.2.1\nremote office.example\nping-restart 2\nping 10";
    // The name leads to another address first, and then there is another remote.
    let (kept, other) = ("192.0.2.3:1194", "192.0.2.4:1194");
    for (more, then) in [
        ("persist-remote-ip\nfollow-name no", [kept, kept, kept]),
        ("persist-remote-ip", [kept, kept, other]),
        ("", [kept, other, "192.0.2.1:1194"]),
    ] {
        let mut scene = Scene::new(&std::format!("{lines}\n{more}"), lead(&["192.0.2.2:1194", "192.0.2.3:1194"]));
        // Nobody has been heard at the first one: it is left.
        scene.until(3500);
        assert_eq!(scene.hear("192.0.2.3:1194"), Ok(()), "{more}");
        scene.names = lead(&["192.0.2.4:1194", "192.0.2.3:1194"]);
        scene.until(13_000);
        assert_eq!(scene.bound()[2..], then, "{more}: where it was heard last comes first");
    }
}

#[test]
fn a_restart_that_is_under_way_is_not_begun_again() {
    let mut scene = Scene::new("remote 192.0.2.1\nping-restart 2\nconnect-retry 8", Names::Hang);
    for second in 3..9 {
        scene.until(second * 1000);
        scene.signal(Signal::Usr1);
    }
    scene.until(10_500);
    assert_eq!(scene.times(0, |did| matches!(did, Did::Bound(_))), [0, 10_000]);
    assert_eq!(scene.said("SIGUSR1").len(), 1);
    let mut scene = Scene::new("remote 192.0.2.1\nping-restart 2\nconnect-retry 8", Names::Hang);
    scene.until(4000);
    scene.signal(Signal::Term);
    assert_eq!(scene.exited, Some(Reason::hard(Signal::Term)), "at once");
}
