//! A peer that falls silent, or that may have lost sight of us, is looked for while the link stands.

use std::vec::Vec;

use super::scene::{Did, Names, Scene, address, carry, lead};
use super::*;

const A: &str = "192.0.2.1:1194";
const B: &str = "192.0.2.2:1194";
const C: &str = "192.0.2.3:1194";

/// Moments of a silence, in ms, if the first round is at this one.
fn rounds(first: u64) -> Vec<u64> {
    [0, 500, 1500, 3500, 8500, 13_500].map(|after| first + after).to_vec()
}

/// A link that has heard its peer at A, one second after the start; the name has A and B.
fn connected(lines: &str) -> Scene {
    let mut scene = Scene::new(&format!("remote office.example\nping 2\n{lines}"), lead(&[A, B]));
    scene.until(1000);
    assert_eq!(scene.hear(A), Ok(()));
    scene
}

#[test]
fn a_silent_peer_is_asked_at_every_address_of_its_name() {
    let mut scene = connected("");
    scene.until(19_900);
    // Two seconds for the ping, one for its way.
    assert_eq!(scene.lookups_since(1001), rounds(4000)[1..], "a peer that only pings less often needs no lookup");
    assert_eq!(scene.sent_since(1001, B), rounds(4000), "nobody pings there");
    let to_a = scene.sent_since(1001, A);
    assert!(rounds(4000).iter().all(|at| to_a.contains(at)), "{to_a:?}");
    assert_eq!(scene.hear(A), Ok(()));
    let before = scene.lookups_since(0).len();
    scene.until(22_800);
    assert_eq!(scene.lookups_since(0).len(), before, "it is there");
    scene.until(40_000);
    assert_eq!(scene.lookups_since(19_901)[..5], rounds(22_900)[1..], "and silent again");
    assert!(scene.said("").iter().all(|said| !said.contains("restarting")), "nothing is given up meanwhile");
}

#[test]
fn a_peer_that_is_heard_is_left_alone() {
    let mut scene = connected("");
    for second in 2..30 {
        scene.until(second * 1000);
        assert_eq!(scene.hear(A), Ok(()));
    }
    assert_eq!(scene.lookups_since(1001), []);
    assert_eq!(scene.sent_since(1001, B), []);
    // Without pings, silence means nothing.
    let mut scene = Scene::new("remote office.example", lead(&[A, B]));
    scene.until(1000);
    assert_eq!(scene.hear(A), Ok(()));
    scene.until(60_000);
    assert_eq!(scene.lookups_since(1001), []);
}

#[test]
fn a_tls_peer_is_offered_a_session_from_the_second_round_on() {
    let mut client =
        Scene::new("tls-client\nremote office.example\nping 2\nhand-window 60\nreneg-sec 0", lead(&[A, B]));
    let mut server = Scene::new("tls-server\nreneg-sec 0", Names::Fail);
    for millis in (100..3000).step_by(100) {
        client.until(millis);
        server.until(millis);
        carry([&mut client, &mut server], ["198.51.100.1:1194", A]);
    }
    let up = client.times(0, |did| *did == Did::Said("Initialization Sequence Completed".into()));
    assert_eq!(up.len(), 1, "{:?}", client.did);
    let quiet = client.now.as_millis() + 1;
    client.until(20_000);
    let lookups = client.lookups_since(quiet);
    assert_eq!(lookups[..5], rounds(lookups[0] - 500)[1..]);
    let greeted = client.greeted_since(quiet, B);
    assert_eq!(greeted[0], lookups[0], "the first round is for a peer that is still there");
    assert!(lookups.iter().all(|at| greeted.contains(at)), "{lookups:?} {greeted:?}");
    assert!(lookups.iter().all(|at| client.greeted_since(quiet, A).contains(at)));
    assert!(lookups.iter().all(|at| client.sent_since(quiet, B).contains(at)), "what it has may still be valid");
}

#[test]
fn a_new_address_of_the_name_is_asked_at_once_and_needs_no_float() {
    let mut scene = connected("");
    assert_eq!(scene.hear(C), Err(Discard::Source));
    scene.until(3900);
    scene.names = lead(&[C]);
    scene.until(4500);
    assert_eq!(scene.sent_since(1001, C), [4500], "as soon as the name has it");
    assert_eq!(scene.hear(C), Ok(()));
    assert_eq!(scene.gateway.peer().address(), Some(address(C)));
    assert_eq!(scene.said("Peer Connection Initiated with "), ["[AF_INET]192.0.2.1:1194", "[AF_INET]192.0.2.3:1194"]);
    assert_eq!(scene.hear("192.0.2.3:1195"), Err(Discard::Source), "ports count as well");
}

#[test]
fn an_address_that_still_answers_is_never_given_up() {
    let mut scene = connected("");
    scene.names = lead(&[C]);
    scene.until(5000);
    assert_eq!(scene.hear(A), Ok(()), "it is accepted although the name leads elsewhere");
    assert_eq!(scene.gateway.peer().address(), Some(address(A)));
    scene.names = Names::Fail;
    scene.until(30_000);
    assert_eq!(scene.hear(A), Ok(()));
}

#[test]
fn a_stranger_causes_a_lookup_now_and_then() {
    let mut scene = Scene::new("remote office.example", lead(&[A]));
    scene.until(1000);
    assert_eq!(scene.hear(A), Ok(()));
    for tenth in 20..140 {
        scene.until(tenth * 100);
        scene.noise(C);
    }
    assert_eq!(scene.lookups_since(1001), [2000, 4000, 6000, 8000, 10_000, 12_000]);
    // It may be the peer.
    scene.names = lead(&[C]);
    scene.until(17_000);
    assert_eq!(scene.hear(C), Err(Discard::Source));
    assert_eq!(scene.hear(C), Ok(()));
}

#[test]
fn a_peer_without_a_name_to_look_up_is_looked_for_at_its_address() {
    let mut scene = Scene::new("remote 192.0.2.1\nping 2", Names::Hang);
    scene.until(1000);
    assert_eq!(scene.hear(A), Ok(()));
    let pings = [3000, 5000, 7000];
    scene.until(7900);
    let asked = scene.sent_since(1001, A);
    assert!(rounds(4000)[..4].iter().all(|at| asked.contains(at)), "{asked:?} {pings:?}");
    scene.noise(C);
    assert_eq!(scene.lookups_since(0), []);
}

#[test]
fn a_name_that_fails_after_a_restart_leads_to_where_the_peer_was() {
    for (names, patience) in [(Names::Fail, 0), (Names::Hang, 2000)] {
        let mut scene = connected("ping-restart 10");
        scene.names = names.clone();
        scene.until(3000);
        scene.signal(Signal::Usr1);
        scene.until(10_000);
        let bound = scene.times(3000, |did| *did == Did::Bound(Some(address(A))));
        assert_eq!(bound, [4000 + patience], "{names:?}");
        assert!(scene.sent_since(4000, A).contains(&(4000 + patience)));
        // The answer that comes late is of use all the same.
        let number = *scene.lookups.last().unwrap();
        let (now, late) = (scene.now, [address(C)]);
        scene.gateway.resolved(now, number, Ok(&late));
        scene.drain();
        let heard = scene.hear(C);
        assert_eq!(heard.is_ok(), matches!(names, Names::Hang), "{names:?}: {heard:?}");
    }
}

#[test]
fn a_remote_that_was_never_heard_is_no_fallback() {
    let mut scene = Scene::new("remote one.example\nremote two.example\nping-restart 5", lead(&[A]));
    scene.until(1000);
    assert_eq!(scene.hear(A), Ok(()));
    scene.names = Names::Fail;
    // It restarts at one.example, which was heard, and goes to two.example, which was not.
    scene.until(13_000);
    assert_eq!(scene.bound(), [A, A]);
    assert_eq!(scene.times(0, |did| *did == Did::LookedUp("two.example".into())), [13_000]);
}

#[test]
fn answers_for_an_earlier_remote_are_ignored() {
    let mut scene = Scene::new("remote one.example\nremote two.example\nresolv-retry 2", Names::Hang);
    let one = scene.lookups[0];
    scene.gateway.resolved(scene.now, one, Err(()));
    scene.drain();
    scene.until(5000);
    let again = *scene.lookups.last().unwrap();
    assert_ne!(one, again);
    scene.gateway.resolved(scene.now, again, Err(()));
    scene.drain();
    scene.until(6000);
    assert_eq!(scene.did.last().unwrap().1, Did::LookedUp("two.example".into()));
    for late in [one, again] {
        scene.gateway.resolved(scene.now, late, Ok(&[address(A)]));
        scene.drain();
    }
    assert_eq!(scene.bound(), [""; 0]);
    let two = *scene.lookups.last().unwrap();
    scene.gateway.resolved(scene.now, two, Ok(&[address(B)]));
    scene.drain();
    assert_eq!(scene.bound(), [B]);
}

/// The first one may be put to a name server that is none any more. Any answer will do, and the first failure is one.
#[test]
fn a_lookup_without_an_answer_is_followed_by_others() {
    for (lines, times) in [("", vec![0, 5000, 10_000]), ("resolv-retry 0", vec![0])] {
        let mut scene = Scene::new(&format!("remote one.example\n{lines}"), Names::Hang);
        scene.until(12_000);
        assert_eq!(scene.lookups_since(0), times, "{lines}");
        let (now, first) = (scene.now, scene.lookups[0]);
        scene.gateway.resolved(now, first, Ok(&[address(A)]));
        scene.drain();
        assert_eq!(scene.bound(), [A]);
        scene.until(16_000);
        assert_eq!(scene.lookups_since(12_000), [], "{lines}: there is an answer");
    }
    let mut scene = Scene::new("remote one.example", Names::Hang);
    scene.until(12_000);
    let (now, second) = (scene.now, scene.lookups[1]);
    scene.gateway.resolved(now, second, Err(()));
    scene.drain();
    assert!(scene.said("").iter().any(|said| said.contains("restarting")), "{:?}", scene.did);
}

#[test]
fn a_move_of_this_end_is_told_at_once_and_again_until_the_peer_is_heard() {
    let mut scene = connected("");
    scene.until(1500);
    scene.local_changed();
    assert_eq!(scene.times(1001, |did| *did == Did::Rebound), [1500]);
    scene.until(10_000);
    assert_eq!(scene.sent_since(1001, B), rounds(1500)[..5]);
    assert_eq!(scene.hear(A), Ok(()));
    scene.until(12_900);
    assert_eq!(scene.sent_since(1001, B), rounds(1500)[..5], "it knows");
    // What ends a pause or helps a lookup.
    scene.signal(Signal::Usr1);
    scene.until(13_000);
    scene.local_changed();
    scene.until(13_001);
    assert_eq!(scene.times(12_900, |did| matches!(did, Did::Bound(_))), [13_000], "the pause is over");
    scene.names = Names::Hang;
    scene.signal(Signal::Usr1);
    scene.until(14_100);
    scene.local_changed();
    assert_eq!(scene.lookups_since(13_500), [14_001, 14_100]);
}

#[test]
fn each_part_can_be_switched_off() {
    let mut scene = connected("follow-link no");
    scene.until(1500);
    scene.local_changed();
    scene.until(3900);
    assert_eq!(scene.did.iter().filter(|(at, _)| *at > 1000).count(), 1, "the ping: {:?}", scene.did);
    scene.signal(Signal::Usr1);
    scene.until(4000);
    scene.local_changed();
    scene.until(4800);
    assert_eq!(scene.times(3900, |did| matches!(did, Did::Bound(_))), [], "it pauses to the end");

    let mut scene = connected("follow-name no\nping-restart 20");
    scene.until(15_000);
    assert_eq!(scene.lookups_since(1001), []);
    assert_eq!(scene.sent_since(1001, B), rounds(4000)[..5], "what it knows is asked");
    scene.noise(C);
    assert_eq!(scene.lookups_since(1001), []);
    scene.names = Names::Hang;
    scene.until(40_000);
    assert_eq!(scene.times(1001, |did| matches!(did, Did::Bound(_))), [], "openvpn waits for the name");

    let mut scene = connected("probe-interval 0");
    scene.until(30_000);
    assert_eq!(scene.lookups_since(1001), []);
    assert_eq!(scene.sent_since(1001, B), []);
    scene.local_changed();
    assert_eq!(scene.times(1001, |did| *did == Did::Rebound), [30_000]);
    scene.noise(C);
    assert_eq!(scene.lookups_since(1001), [30_000], "a stranger is no silence");
}

#[test]
fn a_peer_whose_name_does_not_resolve_may_call() {
    for names in [Names::Hang, Names::Fail] {
        for lines in ["float", "float\ntls-server", "float\ntls-client"] {
            let mut scene =
                Scene::new(&format!("remote office.example\nping 2\nping-restart 60\n{lines}"), names.clone());
            scene.until(10_000);
            assert!(scene.did.iter().any(|(_, did)| *did == Did::Bound(None)), "{lines}: {:?}", scene.did);
            assert!(scene.sent_since(0, A).is_empty());
            scene.names = lead(&[A]);
            if lines == "float" {
                let mut called = Scene::new("remote office.example\nping 2\nfloat", names.clone());
                called.until(5000);
                assert_eq!(called.hear(B), Ok(()));
                called.until(8000);
                assert!(!called.sent_since(5000, B).is_empty(), "it has an address now");
            }
            scene.until(25_000);
            let found =
                scene.did.iter().any(|(_, did)| matches!(did, Did::Sent(to) | Did::Greeted(to) if *to == address(A)));
            assert!(found, "{lines}: the name is asked for again: {:?}", scene.did);
            assert!(scene.said("").iter().all(|said| !said.contains("restarting")), "{lines}");
        }
    }
    let mut strict = Scene::new("remote office.example", Names::Fail);
    strict.until(10_000);
    assert!(strict.did.iter().all(|(_, did)| !matches!(did, Did::Bound(_))), "nobody else is listened to");
}

/// Ends with a static key, whose packets arrive; how often the first one asked between these seconds.
fn asked(ends: [&mut Scene; 2], seconds: core::ops::Range<u64>) -> usize {
    let [one, other] = ends;
    // Any place besides the present one is only asked, never pinged.
    let before = one.sent_since(0, B).len();
    for tenth in seconds.start * 10..seconds.end * 10 {
        one.until(tenth * 100);
        other.until(tenth * 100);
        carry([one, other], ["198.51.100.1:1194", A]);
    }
    one.sent_since(0, B).len() - before
}

#[test]
fn a_peer_that_pings_less_often_is_soon_left_alone() {
    let fast = |lines: &str| Scene::new(&format!("remote office.example\nping 2\n{lines}"), lead(&[A, B]));
    let mut one = fast("ping-restart 60");
    let mut other = Scene::new("ping 15\nping-restart 60\nfloat", Names::Hang);
    let first = asked([&mut one, &mut other], 0..60);
    assert!((1..5).contains(&first), "3 s are too short, and 7 as well: {first}");
    assert_eq!(asked([&mut one, &mut other], 60..300), 0);
    // Half of ping-restart is the most.
    let (mut one, mut other) = (fast("ping-restart 16"), Scene::new("ping 15\nping-restart 60\nfloat", Names::Hang));
    assert!(asked([&mut one, &mut other], 0..100) > 8);
}

#[test]
fn a_peer_whose_pings_are_lost_is_asked_as_soon_as_before() {
    let mut one = Scene::new("remote office.example\nping 2\nping-restart 60", lead(&[A, B]));
    let mut other = Scene::new("ping 2\nping-restart 60\nfloat", Names::Hang);
    asked([&mut one, &mut other], 0..10);
    for silence in [20, 40, 60] {
        other.until(silence * 1000);
        other.sent.clear();
        one.until(silence * 1000);
        let first = one.sent_since(silence * 1000 - 10_000, B)[0];
        assert!(first <= silence * 1000 - 7_000 + 100, "{first} ms");
        asked([&mut one, &mut other], silence..silence + 10);
    }
}
