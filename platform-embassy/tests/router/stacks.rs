//! Whole network stacks across the router.

use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::Duration;
use longcable_embassy::router::Refusal;

use super::world::World;

const AMOUNT: usize = 100_000;
const PORT: u16 = 7;

fn leak(len: usize) -> &'static mut [u8] {
    Box::leak(vec![0; len].into_boxed_slice())
}

fn tcp(stack: Stack<'static>) -> TcpSocket<'static> {
    TcpSocket::new(stack, leak(4096), leak(4096))
}

fn udp(stack: Stack<'static>, port: u16) -> UdpSocket<'static> {
    let meta = || Box::leak(Box::new([PacketMetadata::EMPTY; 4]));
    let mut socket = UdpSocket::new(stack, meta(), leak(4096), meta(), leak(4096));
    socket.bind(port).unwrap();
    socket
}

/// Sends `AMOUNT` bytes from one to the other and reads them back as an echo.
fn echo_over_tcp(world: &mut World, client: Stack<'static>, server: Stack<'static>, server_address: &str) {
    world.spawn(async move {
        let mut socket = tcp(server);
        socket.accept(PORT).await.unwrap();
        let mut buffer = [0; 1000];
        loop {
            let len = socket.read(&mut buffer).await.unwrap();
            if len == 0 {
                break;
            }
            let mut rest = &buffer[..len];
            while !rest.is_empty() {
                rest = &rest[socket.write(rest).await.unwrap()..];
            }
        }
        socket.close();
        socket.flush().await.unwrap();
    });
    let to = IpEndpoint::new(server_address.parse().unwrap(), PORT);
    world.run_until(Duration::from_secs(60), async move {
        let mut socket = tcp(client);
        socket.connect(to).await.unwrap();
        let (mut reader, mut writer) = socket.split();
        let sent = async {
            for start in (0..AMOUNT).step_by(1000) {
                let block: Vec<u8> = (start..start + 1000).map(|n| (n % 251) as u8).collect();
                let mut rest = &block[..];
                while !rest.is_empty() {
                    rest = &rest[writer.write(rest).await.unwrap()..];
                }
            }
        };
        let received = async {
            let mut buffer = [0; 1000];
            let mut position = 0;
            while position < AMOUNT {
                let len = reader.read(&mut buffer).await.unwrap();
                assert!(len > 0);
                for byte in &buffer[..len] {
                    assert_eq!(*byte, (position % 251) as u8);
                    position += 1;
                }
            }
        };
        embassy_futures::join::join(sent, received).await;
    });
}

#[test]
fn tcp_from_the_lan() {
    for address in ["10.20.0.1", "fd00:2::1"] {
        let mut world = World::new();
        let (host, peer) = world.hosts();
        echo_over_tcp(&mut world, host, peer, address);
        let counters = world.router.counters();
        assert!(counters.to_tunnel > 80 && counters.to_lan > 80, "{counters:?}");
        assert_eq!((counters.fragmented, counters.refused(Refusal::TooBig)), (0, 0), "the segments are short enough");
    }
}

#[test]
fn tcp_to_the_lan() {
    for address in ["192.168.1.7", "fd00:1::7"] {
        let mut world = World::new();
        let (host, peer) = world.hosts();
        echo_over_tcp(&mut world, peer, host, address);
        assert_eq!(world.router.counters().refused(Refusal::NoNeighbor), 0);
    }
}

#[test]
fn the_boards_own_stacks_are_left_alone() {
    let mut world = World::new();
    let (host, peer) = world.hosts();
    let cases = [
        (host, world.board_on_lan, "192.168.1.1", "192.168.1.7"),
        (host, world.board_on_lan, "fd00:1::1", "fd00:1::7"),
        (peer, world.board_in_tunnel, "10.8.0.2", "10.20.0.1"),
        (peer, world.board_in_tunnel, "fd00:8::2", "fd00:2::1"),
    ];
    for (port, (outside, board, board_address, outside_address)) in (1000..).zip(cases) {
        let (there, here) = (udp(board, port), udp(outside, port));
        let to: IpEndpoint = (board_address.parse::<embassy_net::IpAddress>().unwrap(), port).into();
        let from = world.run_until(Duration::from_secs(10), async move {
            here.send_to(b"hello", to).await.unwrap();
            let mut buffer = [0; 10];
            let (len, meta) = there.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..len], b"hello");
            meta.endpoint.addr
        });
        assert_eq!(from, outside_address.parse().unwrap());
    }
    let counters = world.router.counters();
    assert_eq!((counters.to_lan, counters.to_tunnel), (0, 0));
}
