use core::net::SocketAddr;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::crypto::{Rng, RustCrypto};
use crate::error::{Discard, NotReady};
use crate::packet::{HEADROOM, PacketBuf, TAILROOM};
use crate::peer::{Keys, Link, Peer};
use crate::time::Instant;
use crate::tls::NoTls;

pub(super) const KEY: &str = include_str!("../../../../tests/vectors/count.key");
const UNIX: u32 = 1_795_000_000;
const ADDRESS: SocketAddr = SocketAddr::V4(core::net::SocketAddrV4::new(core::net::Ipv4Addr::LOCALHOST, 1194));

pub(super) struct Test;

impl Platform for Test {
    type Crypto = RustCrypto;
    type Rng = Zeros;
    type ReplayBits = [u64; 1];
    type Tls = NoTls;
    type TlsSessions = [NoTls; 0];
    type TlsMemory = ();
}

pub(super) struct Zeros;

impl Rng for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn peer(config: &'static LinkConfig<'static>) -> Peer<'static, Test> {
    let key = StaticKey::parse(KEY).unwrap();
    let mut peer = Peer::new(config, Keys::Static(key), Zeros, Instant::from_millis(0), UNIX.into()).unwrap();
    peer.connect(Instant::from_millis(0), &[ADDRESS]);
    peer
}

fn seal(peer: &mut Peer<'_, Test>, now: Instant) -> Result<Vec<u8>, NotReady> {
    let mut buffer = vec![0x45; HEADROOM + 1 + TAILROOM];
    let packet = PacketBuf::new(&mut buffer, HEADROOM, 1).unwrap();
    peer.seal(now, packet).map(|sealed| sealed.datagram.to_vec())
}

/// Packet-id roll-over (CVE-2017-7479). No test can send so much, so what is used up is preset.
#[test]
fn used_up_packet_ids_begin_a_sequence_with_a_later_time_and_nothing_wraps() {
    for suite in ["cipher AES-256-CBC", "cipher none\nauth SHA256"] {
        let text: &'static str = std::format!("dev tun\n{suite}\n<secret>\n{KEY}</secret>\n").leak();
        let config: &'static _ = std::boxed::Box::leak(std::boxed::Box::new(LinkConfig::parse(text).unwrap()));
        let (mut from, mut to) = (peer(config), peer(config));
        let (at_once, later) = (Instant::from_millis(999), Instant::from_millis(1000));
        let Link::Static(link) = &mut from.link else { panic!("the key is a static one") };
        link.sealer.continue_after(u32::MAX - 2);
        let mut all = Vec::new();
        let mut expect = |from: &mut Peer<'_, Test>, now, id| {
            let datagram = seal(from, now).unwrap();
            assert!(to.handle_datagram(now, ADDRESS, &mut datagram.clone()).is_ok_and(|packet| packet.is_some()));
            assert_eq!(to.replay_state(), Some(id), "{suite}");
            all.push(datagram);
        };
        expect(&mut from, at_once, (u32::MAX - 1, UNIX));
        expect(&mut from, at_once, (u32::MAX, UNIX));
        // No later time, no new sequence: the link waits for the clock.
        for _ in 0..100 {
            assert_eq!(seal(&mut from, at_once), Err(NotReady::PacketIdsExhausted), "{suite}");
        }
        expect(&mut from, later, (1, UNIX + 1));
        expect(&mut from, later, (2, UNIX + 1));
        for mut datagram in all {
            assert!(matches!(to.handle_datagram(later, ADDRESS, &mut datagram), Err(Discard::Replay { .. })));
        }
    }
}
