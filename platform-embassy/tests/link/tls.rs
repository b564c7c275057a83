//! A board as the TLS client of a Linux end, whose engine is driven here, with rustls.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64ct::{Base64, Encoder, LineEnding};
use embassy_futures::select::select;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::{Duration, Timer};
use longcable::config::HostConfig;
use longcable::tls::{RustlsSession, TlsContext};
use longcable_core::control::{CELL, Memory, Protection};
use longcable_core::crypto::RustCrypto;
use longcable_core::gateway::{Gateway, Output};
use longcable_core::options::LinkConfig;
use longcable_core::packet::{HEADROOM, PacketBuf, TAILROOM};
use longcable_core::peer::{Keys, OUTPUT_MAX};
use longcable_core::platform::Platform;
use longcable_core::time::Instant;
use longcable_embassy::Host;
use rcgen::SignatureAlgorithm;

use crate::ends::{Board, Dice, clock, said};
use crate::pki::{ED25519, Identity, P256, Pki};
use crate::world::{World, leak, renumber};

const BOARD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const LINUX: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const LINUX_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

struct Linux;

impl Platform for Linux {
    type Crypto = RustCrypto;
    type Rng = Dice;
    type ReplayBits = [u64; 1];
    type Tls = RustlsSession;
    type TlsSessions = [RustlsSession; 3];
    type TlsMemory = Memory<RustCrypto, [u64; 1], [u8; 3 * 18 * CELL]>;
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut memory = [0; 4096];
    let mut encoder = Encoder::<Base64>::new_wrapped(&mut memory, 64, LineEnding::LF).unwrap();
    encoder.encode(der).unwrap();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", encoder.finish().unwrap())
}

fn config(board: bool, pki: &Pki, identity: &Identity, more: &str) -> String {
    let (role, peer, addresses) = match board {
        true => ("tls-client\nremote 192.0.2.2", "server", "10.9.0.1 10.9.0.2"),
        false => ("tls-server\ndh none\nfloat", "client", "10.9.0.2 10.9.0.1"),
    };
    format!(
        "dev tun\nifconfig {addresses}\n{role}\nkeepalive 2 20\nremote-cert-tls {peer}\n{more}\n<tls-crypt>\n\
         -----BEGIN OpenVPN Static key V1-----\n{}\n-----END OpenVPN Static key V1-----\n</tls-crypt>\n\
         <ca>\n{}</ca>\n<cert>\n{}</cert>\n<key>\n{}</key>\n",
        "5a".repeat(256),
        pem("CERTIFICATE", &pki.authority.der),
        pem("CERTIFICATE", &identity.der),
        identity.key.serialize_pem(),
    )
}

/// The Linux end. It sends packets in the tunnel back to where they come from.
async fn linux(stack: Stack<'static>, config: &'static LinkConfig<'static>, seed: u64) {
    let context = TlsContext::load(config, &HostConfig::default()).unwrap();
    let protection = Protection::new(config, config.tls.role.unwrap()).unwrap();
    let sessions = [context.session(), context.session(), context.session()];
    let now = || Instant::from_millis(embassy_time::Instant::now().as_millis());
    let mut gateway = Gateway::<Linux>::new(
        config,
        Keys::Tls { protection, sessions, memory: Memory::new([0; 3 * 18 * CELL]) },
        Dice(seed),
        now(),
        clock(),
    )
    .unwrap();
    let (mut meta_in, mut meta_out) = ([PacketMetadata::EMPTY; 16], [PacketMetadata::EMPTY; 16]);
    let (mut received, mut sent) = (vec![0; 16_384], vec![0; 16_384]);
    let mut socket = UdpSocket::new(stack, &mut meta_in, &mut received, &mut meta_out, &mut sent);
    let (mut out, mut buffer) = ([0; OUTPUT_MAX], [0; HEADROOM + 1500 + TAILROOM]);
    loop {
        let wake = loop {
            match gateway.poll_output(now(), &mut out) {
                Output::Transmit(sealed) => socket.send_to(sealed.datagram, IpEndpoint::from(sealed.to)).await.unwrap(),
                Output::Bind(_) => {
                    socket.bind(1194).unwrap();
                    gateway.bound(now(), clock(), Ok(()));
                }
                Output::CloseSocket => socket.close(),
                Output::OpenTunnel => gateway.tunnel_opened(now()),
                Output::Timeout(wake) => break wake.map_or(u64::MAX, |(at, _)| at.as_millis()),
                _ => {}
            }
        };
        let timer = Timer::at(embassy_time::Instant::from_millis(wake));
        select(socket.wait_recv_ready(), timer).await;
        gateway.handle_timeout(now());
        while socket.may_recv() {
            let mut datagram = [0; 2000];
            let (len, meta) = socket.recv_from(&mut datagram).await.unwrap();
            let from = SocketAddr::new(IpAddr::from(meta.endpoint.addr), meta.endpoint.port);
            let Ok(Some(packet)) = gateway.handle_datagram(now(), from, &mut datagram[..len]) else { continue };
            let len = packet.len();
            buffer[HEADROOM..][..len].copy_from_slice(packet);
            // Addresses and ports of IPv4 and UDP change places; the checksums stay.
            let echo = &mut buffer[HEADROOM..][..len];
            echo[12..20].rotate_left(4);
            echo[20..24].rotate_left(2);
            if let Ok(sealed) = gateway.seal(now(), PacketBuf::new(&mut buffer, HEADROOM, len).unwrap()) {
                socket.send_to(sealed.datagram, IpEndpoint::from(sealed.to)).await.unwrap();
            }
        }
    }
}

/// Sends datagrams through the tunnel until this one comes back; says whether it did within the time.
fn echoes(world: &mut World, board: &Board, content: u8, limit: u64) -> bool {
    let tunnel = board.tunnel;
    let echo = async {
        let (mut meta_in, mut meta_out) = ([PacketMetadata::EMPTY; 4], [PacketMetadata::EMPTY; 4]);
        let (mut received, mut sent) = ([0; 4096], [0; 4096]);
        let mut socket = UdpSocket::new(tunnel, &mut meta_in, &mut received, &mut meta_out, &mut sent);
        socket.bind(0).unwrap();
        let packet: Vec<u8> = (0..1400_u16).map(|n| (n as u8).wrapping_mul(content)).collect();
        let mut answer = [0; 1500];
        loop {
            socket.send_to(&packet, (LINUX_INSIDE, 7)).await.unwrap();
            select(socket.wait_recv_ready(), Timer::after_millis(300)).await;
            while socket.may_recv() {
                let (len, _) = socket.recv_from(&mut answer).await.unwrap();
                if answer[..len] == packet {
                    return;
                }
            }
        }
    };
    world.run_until(Duration::from_secs(limit), echo).is_some()
}

struct Lab {
    world: World,
    outer: [Stack<'static>; 2],
    pki: Pki,
    board: Board,
    linux: usize,
}

fn lab(algorithm: &'static SignatureAlgorithm, more: &str) -> Lab {
    let pki = Pki::new(algorithm);
    let mut world = World::new();
    let outer = [BOARD, LINUX].map(|address| world.node(address));
    let linux = start_linux(&mut world, outer[1], &pki, 5);
    let text = config(true, &pki, &pki.client, more);
    let board = Board::start(&mut world, outer[0], &text, Host::new(Dice(4)).with_clock(clock));
    Lab { world, outer, pki, board, linux }
}

fn start_linux(world: &mut World, stack: Stack<'static>, pki: &Pki, seed: u64) -> usize {
    let config: &'static mut LinkConfig<'_> =
        leak(LinkConfig::parse(String::leak(config(false, pki, &pki.server, ""))).unwrap());
    world.spawn(linux(stack, config, seed))
}

#[test]
fn the_link_is_up_when_keys_stand_and_carries_packets_over_renegotiations() {
    let Lab { mut world, board, .. } = lab(P256, "reneg-sec 20");
    assert!(!board.tunnel.is_link_up());
    world.run_until(Duration::from_secs(5), board.tunnel.wait_link_up()).expect("keys are negotiated at once");
    for content in 1..=12 {
        assert!(echoes(&mut world, &board, content, 1));
        world.run(Duration::from_secs(10));
    }
    assert!(said("Data Channel: cipher 'AES-256-GCM'") >= 5);
}

#[test]
fn a_board_with_ed25519_that_moves_and_whose_peer_is_reset_stays_connected() {
    let Lab { mut world, outer, pki, board, linux } = lab(ED25519, "persist-tun");
    assert!(echoes(&mut world, &board, 3, 5));
    renumber(outer[0], ELSEWHERE);
    world.run(Duration::from_secs(1));
    assert!(echoes(&mut world, &board, 5, 1));
    world.kill(linux);
    start_linux(&mut world, outer[1], &pki, 6);
    // The board finds out when its peer is silent, and before 'ping-restart'.
    assert!(echoes(&mut world, &board, 7, 15));
    assert_eq!(said("process restarting"), 0);
}

#[test]
fn a_server_that_is_none_is_refused() {
    let pki = Pki::new(P256);
    let mut world = World::new();
    let outer = [BOARD, LINUX].map(|address| world.node(address));
    let impostor = Pki { server: Pki::new(P256).server, ..Pki::new(P256) };
    start_linux(&mut world, outer[1], &impostor, 5);
    let text = config(true, &pki, &pki.client, "");
    let board = Board::start(&mut world, outer[0], &text, Host::new(Dice(4)));
    world.run(Duration::from_secs(30));
    assert!(!board.tunnel.is_link_up());
    assert!(said("TLS handshake failed") > 0);
}

/// Its uptime is no time of day: certificates are not refused for it.
#[test]
fn a_board_without_a_clock_connects() {
    let pki = Pki::new(P256);
    let mut world = World::new();
    let outer = [BOARD, LINUX].map(|address| world.node(address));
    world.run(Duration::from_secs(5));
    start_linux(&mut world, outer[1], &pki, 5);
    let text = config(true, &pki, &pki.client, "");
    let board = Board::start(&mut world, outer[0], &text, Host::new(Dice(4)));
    assert!(echoes(&mut world, &board, 3, 5));
}
