//! Services on a network stack, over Ethernet or through a tunnel: TCP echo on port 7; with the feature `services` also
//! UDP echo, and a sink for either on port 5001 that counts what it swallows.

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_time::Duration;

#[cfg(feature = "services")]
mod sinks;

/// Sockets of all services.
pub const SOCKETS: usize = if cfg!(feature = "services") { 4 } else { 1 };

const ECHO: u16 = 7;
/// Longest datagram, and size of a TCP socket's buffer, in bytes.
const BUFFER: usize = 1536;
/// A TCP peer that has been silent for so long is given up.
const GONE: Duration = Duration::from_secs(20);

/// Starts all services on this stack.
pub fn start(spawner: Spawner, stack: Stack<'static>) {
    spawner.spawn(tcp_echo(stack).expect("it is started once"));
    #[cfg(feature = "services")]
    {
        start_udp_echo(spawner, stack);
        sinks::start(spawner, stack);
    }
}

/// Starts only the UDP echo.
pub fn start_udp_echo(spawner: Spawner, stack: Stack<'static>) {
    spawner.spawn(udp_echo(stack).expect("it is started once"));
}

#[embassy_executor::task]
async fn udp_echo(stack: Stack<'static>) -> ! {
    let (mut received, mut sent, mut datagram) = ([0; BUFFER], [0; BUFFER], [0; BUFFER]);
    let (mut received_from, mut sent_to) = ([PacketMetadata::EMPTY; 4], [PacketMetadata::EMPTY; 4]);
    let mut socket = UdpSocket::new(stack, &mut received_from, &mut received, &mut sent_to, &mut sent);
    socket.bind(ECHO).expect("the port is free");
    loop {
        if let Ok((length, from)) = socket.recv_from(&mut datagram).await {
            let _ = socket.send_to(&datagram[..length], from).await;
        }
    }
}

#[embassy_executor::task]
async fn tcp_echo(stack: Stack<'static>) -> ! {
    let (mut received, mut sent, mut chunk) = ([0; BUFFER], [0; BUFFER], [0; 512]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut received, &mut sent);
        socket.set_timeout(Some(GONE));
        if socket.accept(ECHO).await.is_err() {
            continue;
        }
        while let Ok(length @ 1..) = socket.read(&mut chunk).await {
            if write_all(&mut socket, &chunk[..length]).await.is_err() {
                break;
            }
        }
        end(&mut socket).await;
    }
}

async fn write_all(socket: &mut TcpSocket<'_>, mut bytes: &[u8]) -> Result<(), embassy_net::tcp::Error> {
    while !bytes.is_empty() {
        let written = socket.write(bytes).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

async fn end(socket: &mut TcpSocket<'_>) {
    socket.close();
    let _ = socket.flush().await;
}
