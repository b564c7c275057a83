//! Two boards with a static key.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use embassy_net::Stack;
use embassy_time::Duration;
use longcable_embassy::{Forgetful, Host};

use crate::ends::{Backup, Board, Dice, clock, name_server, said};
use crate::world::{NAME_SERVER, World, renumber};

const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const NEAR_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 1);
const FAR_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 2);

fn config(near: bool, more: &str) -> String {
    let (local, remote, direction) = if near { (1, 2, 0) } else { (2, 1, 1) };
    format!(
        "dev tun\nifconfig 10.8.0.{local} 10.8.0.{remote}\nkeepalive 2 20\ncipher AES-256-CBC\nauth SHA256\nfloat\n\
         user nobody\ngroup nogroup\nverb 3\ndaemon\npersist-key\nkey-direction {direction}\n{more}\n<secret>\n\
         -----BEGIN OpenVPN Static key V1-----\n{}\n-----END OpenVPN Static key V1-----\n</secret>\n",
        (0..=255).map(|byte: u8| format!("{:02x}", byte.wrapping_mul(113))).collect::<String>()
    )
}

fn host(seed: u64) -> Host<Dice, Forgetful> {
    Host::new(Dice(seed)).with_clock(clock)
}

struct Lab {
    world: World,
    outer: [Stack<'static>; 2],
    near: Board,
    far: Board,
    /// Where the far end's name leads.
    name: Rc<Cell<Option<Ipv4Addr>>>,
}

/// Both ends run, and the far one echoes.
fn lab(near_more: &str, far_more: &str) -> Lab {
    let mut world = World::new();
    let outer = [NEAR, FAR].map(|address| world.node(address));
    let servers = world.node(NAME_SERVER);
    let name = Rc::new(Cell::new(Some(FAR)));
    name_server(&mut world, servers, name.clone());
    let near = Board::start(&mut world, outer[0], &config(true, near_more), host(1));
    let far = Board::start(&mut world, outer[1], &config(false, far_more), host(2));
    far.echo(&mut world);
    Lab { world, outer, near, far, name }
}

#[test]
fn tcp_passes_the_tunnel_unchanged_both_ways() {
    let Lab { mut world, near, far, .. } = lab("remote 192.0.2.2", "remote 192.0.2.1");
    assert!(!near.tunnel.is_link_up());
    world.run(Duration::from_secs(3));
    assert!(near.tunnel.is_link_up() && far.tunnel.is_link_up());
    assert_eq!(said("Initialization Sequence Completed"), 2);
    near.echo(&mut world);
    let shouts =
        async { embassy_futures::join::join(near.shout(FAR_INSIDE, 100_000), far.shout(NEAR_INSIDE, 50_000)).await };
    world.run_until(Duration::from_secs(60), shouts).expect("the echo has to come back");
}

/// Neither end has a clock. What a board sends after a reset would be replays to the peer, if its packet ids began anew.
#[test]
fn a_board_without_a_clock_is_reset_again_and_again() {
    let mut world = World::new();
    let outer = [NEAR, FAR].map(|address| world.node(address));
    let (near_backup, far_backup) = (Backup::default(), Backup::default());
    let host = |seed, backup: &Backup| Host::new(Dice(seed)).with_store(backup.clone());
    let near = Board::start(&mut world, outer[0], &config(true, "remote 192.0.2.2"), host(1, &near_backup));
    for seed in 10..14 {
        let far = Board::start(&mut world, outer[1], &config(false, "remote 192.0.2.1"), host(seed, &far_backup));
        far.echo(&mut world);
        assert!(near.reaches(&mut world, FAR_INSIDE, 10), "after reset {seed}");
        far.stop(&mut world);
    }
    let (remembered, writes) = far_backup.0.get();
    assert_eq!(writes, 4, "once a start");
    assert!(remembered.unwrap().sent >= 4);
    // Nobody was at the other end for a while: the link restarts, and each start has a new sequence of packet ids.
    world.run(Duration::from_secs(120));
    assert!(said("process restarting") >= 4);
    assert_eq!(near_backup.0.get().1, 1, "these were reserved");
}

#[test]
fn the_link_goes_down_with_the_tunnel_and_comes_back() {
    let Lab { mut world, outer, near, far, .. } = lab("remote 192.0.2.2", "remote 192.0.2.1");
    assert!(near.reaches(&mut world, FAR_INSIDE, 10));
    far.stop(&mut world);
    let down = world.run_until(Duration::from_secs(30), near.tunnel.wait_link_down());
    down.expect("after 'ping-restart' the tunnel is closed");
    let far = Board::start(&mut world, outer[1], &config(false, "remote 192.0.2.1"), host(9));
    far.echo(&mut world);
    assert!(near.reaches(&mut world, FAR_INSIDE, 10));
    assert!(near.tunnel.is_link_up());
}

#[test]
fn persist_tun_keeps_the_link_up_over_a_restart() {
    let Lab { mut world, near, far, .. } = lab("remote 192.0.2.2\npersist-tun", "remote 192.0.2.1");
    assert!(near.reaches(&mut world, FAR_INSIDE, 10));
    far.stop(&mut world);
    said("");
    assert!(world.run_until(Duration::from_secs(30), near.tunnel.wait_link_down()).is_none());
    assert!(said("process restarting") > 0);
}

#[test]
fn after_an_exit_the_tunnel_stays_down() {
    let mut world = World::new();
    let outer = world.node(NEAR);
    let config = config(true, "remote 192.0.2.2").replace("keepalive 2 20", "ping-exit 5");
    let near = Board::start(&mut world, outer, &config, host(1));
    world.run(Duration::from_secs(60));
    assert!(!near.tunnel.is_link_up());
    assert_eq!(said("SIGTERM[soft,ping-exit] received, process exiting"), 1);
}

/// The far end knows no address of the near one, and follows it.
#[test]
fn a_new_address_of_the_board_is_told_to_the_peer_at_once() {
    let Lab { mut world, outer, near, .. } = lab("remote 192.0.2.2", "");
    assert!(near.reaches(&mut world, FAR_INSIDE, 10));
    said("");
    renumber(outer[0], ELSEWHERE);
    // Sooner than by the next ping, and with nothing to send.
    world.run(Duration::from_millis(1000));
    assert_eq!(said("Peer Connection Initiated with [AF_INET]192.0.2.77:1194"), 1);
    assert!(near.reaches(&mut world, FAR_INSIDE, 1));
}

#[test]
fn a_new_address_of_the_peers_name_is_followed() {
    let Lab { mut world, outer, near, name, .. } = lab("remote far.example", "remote 192.0.2.1");
    assert!(near.reaches(&mut world, FAR_INSIDE, 10));
    // The far end has moved, and cannot say so: it is silent until it is asked.
    renumber(outer[1], ELSEWHERE);
    name.set(Some(ELSEWHERE));
    assert!(near.reaches(&mut world, FAR_INSIDE, 10));
    assert!(said("Peer Connection Initiated with [AF_INET]192.0.2.77:1194") >= 1);
    assert_eq!(said("process restarting"), 0);
}

/// Lookups that nobody answers take nothing from a tunnel that stands.
#[test]
fn a_dead_name_server_does_not_stop_the_tunnel() {
    let Lab { mut world, near, name, .. } = lab("remote far.example", "remote 192.0.2.1");
    assert!(near.reaches(&mut world, FAR_INSIDE, 10));
    name.set(None);
    // A stranger's packets make the board look the name up.
    let stranger = world.node(Ipv4Addr::new(192, 0, 2, 9));
    world.spawn(crate::ends::pester(stranger, (NEAR, 1194)));
    for _ in 0..20 {
        world.run(Duration::from_secs(1));
        assert!(near.reaches(&mut world, FAR_INSIDE, 1));
    }
    assert_eq!(said("process restarting"), 0);
}

#[test]
fn a_name_that_does_not_resolve_at_first_is_found_later() {
    // The far end waits to be called.
    let Lab { mut world, near, name, .. } = lab("remote far.example", "");
    name.set(None);
    world.run(Duration::from_secs(30));
    assert_eq!(said("Initialization Sequence Completed"), 0);
    name.set(Some(FAR));
    assert!(near.reaches(&mut world, FAR_INSIDE, 30));
}

/// A flood of datagrams takes neither the tunnel nor the board's other tasks away.
#[test]
fn a_flood_leaves_other_tasks_their_turn() {
    let Lab { mut world, near, .. } = lab("remote 192.0.2.2", "remote 192.0.2.1");
    assert!(near.reaches(&mut world, FAR_INSIDE, 10));
    let stranger = world.node(Ipv4Addr::new(192, 0, 2, 9));
    for _ in 0..8 {
        world.spawn(crate::ends::pester(stranger, (NEAR, 1194)));
    }
    assert!(near.reaches(&mut world, FAR_INSIDE, 10));
}
