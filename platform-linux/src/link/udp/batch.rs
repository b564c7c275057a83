//! Many datagrams with one call.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering::Relaxed;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use socket2::{MsgHdr, SockAddr, SockRef};

use super::{LinkError, Received, SendOutcome, UdpLink, in_family, socket_addr};
use crate::log;
use crate::sys;

/// The most datagrams that older kernels send with one call.
const SEGMENTS_MAX: usize = 64;

/// The most bytes that one call sends: a datagram of IPv4 with the largest payload.
const SEND_MAX: usize = 65_507;

impl UdpLink {
    /// As [`receive`](Self::receive), but of several datagrams side by side; also says the length of each of them but
    /// the last, which may be shorter. `buffer` needs room for 65,535 bytes.
    pub fn receive_batch(&self, buffer: &mut [u8]) -> (Received, usize) {
        let mut segment = 0;
        let received = self.receiving(|socket| {
            let mut control = Control([0; 64]);
            let mut parts = [IoSliceMut::new(buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control.0), flags)?;
            segment = message
                .cmsgs()?
                .find_map(|message| match message {
                    ControlMessageOwned::UdpGroSegments(segment) => usize::try_from(segment).ok(),
                    _ => None,
                })
                .unwrap_or(message.bytes);
            let from = message.address.as_ref().and_then(socket_addr).ok_or(Errno::EAFNOSUPPORT)?;
            Ok((message.bytes, from))
        });
        (received, segment)
    }

    /// Sends datagrams in their order with few calls: those of the same length, but for a shorter last one, as one large
    /// packet that the kernel or the interface cuts. Returns how many are dealt with: fewer than all when the buffer is full. Those that `report`
    /// says have failed are lost, like any on their way.
    pub fn send_batch(&self, datagrams: &[IoSlice<'_>], to: SocketAddr, mut report: impl FnMut(LinkError)) -> usize {
        let to = in_family(to, self.ipv6);
        let address = SockAddr::from(to);
        let mut left = datagrams;
        // So many at the beginning were refused together.
        let mut each = 0;
        while !left.is_empty() {
            let run = if each == 0 && self.segments.load(Relaxed) { run_len(left) } else { 1 };
            let sent = if run > 1 {
                self.send_run(&left[..run], to, &address).map(|_| run)
            } else {
                let count = match each {
                    0 if self.segments.load(Relaxed) => {
                        1 + (1..left.len()).take_while(|at| run_len(&left[*at..]) == 1).count()
                    }
                    0 => left.len(),
                    each => each,
                };
                match left[..count] {
                    [ref alone] => self.sending(to, |socket| socket.send_to(alone, to)).map(|_| 1),
                    ref several => self.sending(to, |socket| sys::send_each(socket.as_fd(), several, &address)),
                }
            };
            let dealt_with = match sent {
                Ok(count) => count,
                Err(SendOutcome::Failed(LinkError { errno: Errno::EINVAL | Errno::EMSGSIZE | Errno::EIO, .. }))
                    if run > 1 =>
                {
                    each = run;
                    continue;
                }
                Err(SendOutcome::Failed(error)) => {
                    report(error);
                    run
                }
                Err(_) => break,
            };
            each = each.saturating_sub(dealt_with);
            left = &left[dealt_with..];
        }
        datagrams.len() - left.len()
    }

    /// Sends datagrams of the same length, which the kernel cuts apart.
    fn send_run(&self, run: &[IoSlice<'_>], to: SocketAddr, address: &SockAddr) -> Result<usize, SendOutcome> {
        let control = segment_control(run.first().map_or(0, |datagram| datagram.len()));
        let message = MsgHdr::new().with_addr(address).with_buffers(run).with_control(&control);
        let result = self.sending(to, |socket| SockRef::from(socket).sendmsg(&message, 0));
        // The interface cannot compute checksums, which older kernels demand. EINVAL and EMSGSIZE are about these
        // datagrams: they are larger than the path's MTU, and can only be fragmented one by one.
        if let Err(SendOutcome::Failed(LinkError { errno: Errno::EIO, .. })) = result {
            self.segments.store(false, Relaxed);
            log::line(3, format_args!("UDP segmentation offload does not work here: it is no longer used"));
        }
        result
    }
}

/// Room for control messages, aligned as these are.
#[repr(align(8))]
struct Control([u8; 64]);

/// The control message UDP_SEGMENT as the kernel reads it: its length, level and type, then the length of each datagram.
fn segment_control(datagram: usize) -> [u8; CONTROL_LEN] {
    let mut control = [0; CONTROL_LEN];
    let word = size_of::<usize>();
    let parts: [(usize, &[u8]); 4] = [
        (0, &(CONTROL_HEADER_LEN + size_of::<u16>()).to_ne_bytes()),
        (word, &libc::SOL_UDP.to_ne_bytes()),
        (word + 4, &libc::UDP_SEGMENT.to_ne_bytes()),
        (CONTROL_HEADER_LEN, &u16::try_from(datagram).unwrap_or_default().to_ne_bytes()),
    ];
    for (at, part) in parts {
        control[at..at + part.len()].copy_from_slice(part);
    }
    control
}

const CONTROL_HEADER_LEN: usize = size_of::<libc::cmsghdr>();
const CONTROL_LEN: usize = CONTROL_HEADER_LEN + size_of::<usize>();

/// How many datagrams at the beginning can be sent with one call: of the same length, but for a shorter last one.
fn run_len(datagrams: &[IoSlice<'_>]) -> usize {
    let size = datagrams.first().map_or(0, |datagram| datagram.len());
    let most = SEGMENTS_MAX.min(SEND_MAX.checked_div(size).unwrap_or(1)).max(1);
    let equal = datagrams.iter().take(most).take_while(|datagram| datagram.len() == size).count();
    let last = datagrams.get(equal).filter(|last| equal < most && !last.is_empty() && last.len() < size);
    equal + usize::from(last.is_some())
}
