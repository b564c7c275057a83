//! What wakes the loop.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant as Clock};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use parking_lot::ArcMutexGuard;

use super::departure::Departure;
use super::{EventLoop, since};
use crate::net::PathWatch;
use crate::resolver::Resolver;
use crate::status::StatusFile;
use crate::tls::TlsStack;

/// What descriptors have something for us.
pub(super) struct Ready {
    pub(super) signal: bool,
    pub(super) resolver: bool,
    pub(super) network: bool,
    pub(super) socket: bool,
    /// Packets wait, or those that waited for the socket can go on.
    pub(super) device: bool,
    /// The thread that sends calls.
    pub(super) sender: bool,
}

/// Descriptors that are waited for together, as one: each costs time whenever the loop sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seldom {
    Signal,
    Resolver,
    Network,
    Sender,
}

impl Seldom {
    const ALL: [Self; 4] = [Self::Signal, Self::Resolver, Self::Network, Self::Sender];
}

/// Those that are there from the beginning.
pub(super) fn seldom(resolver: &Resolver, watch: Option<&PathWatch>) -> nix::Result<Epoll> {
    let seldom = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    add(&seldom, resolver, Seldom::Resolver)?;
    watch.map_or(Ok(()), |watch| add(&seldom, watch, Seldom::Network))?;
    Ok(seldom)
}

/// One more of them, which stays.
pub(super) fn add(seldom: &Epoll, descriptor: &impl AsFd, which: Seldom) -> nix::Result<()> {
    seldom.add(descriptor.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, which as u64))
}

impl<S: TlsStack> EventLoop<'_, S> {
    /// Waits for a descriptor or the next deadline.
    pub(super) fn sleep(&mut self) -> Ready {
        let save = self.replay_file.is_some().then_some(self.replay_due);
        let status = self.status.as_ref().and_then(StatusFile::due);
        let deadline = [self.wake, self.settled, status, save].into_iter().flatten().min();
        let timeout = match deadline {
            // One more, so that the deadline has really come.
            Some(at) => PollTimeout::try_from(at.since(since(self.started)) + Duration::from_millis(1)),
            None => Ok(PollTimeout::NONE),
        };
        fn entry(fd: BorrowedFd<'_>) -> PollFd<'_> {
            PollFd::new(fd, PollFlags::POLLIN)
        }
        // Asks for nothing: it keeps the place of a descriptor that is not there.
        let absent = PollFd::new(self.seldom.0.as_fd(), PollFlags::empty());
        let socket = self.socket.as_ref().map(AsFd::as_fd);
        // While the socket takes nothing, packets wait where the kernel can see them.
        let blocked = socket.is_some() && self.departure.as_ref().is_some_and(|departure| !departure.is_empty());
        let ours = self.departure.as_ref().is_some_and(Departure::is_empty) || socket.is_none();
        let device = self.tunnel.tun().filter(|_| ours).map(AsFd::as_fd);
        let wanted = if blocked { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
        let mut entries = [
            entry(self.seldom.0.as_fd()),
            socket.map_or(absent.clone(), |socket| PollFd::new(socket, wanted)),
            device.map_or(absent, entry),
        ];
        let (timeout, spin) = (timeout.unwrap_or(PollTimeout::MAX), self.host.spin);
        ArcMutexGuard::unlocked(&mut self.gateway, || wait(&mut entries, timeout, spin));
        let writable = entries[1].revents().is_some_and(|events| events.contains(PollFlags::POLLOUT));
        let [seldom, socket, device] = entries.map(|entry| entry.any().unwrap_or(false));
        let mut events = [EpollEvent::empty(); Seldom::ALL.len()];
        let count = if seldom { self.seldom.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0) } else { 0 };
        let [signal, resolver, network, sender] =
            Seldom::ALL.map(|which| events[..count].iter().any(|event| event.data() == which as u64));
        Ready { signal, resolver, network, socket, device: device || writable, sender }
    }
}

/// Waits until something is ready, or the time is up. It is looked for `spin` long before sleeping, which may be shorter than
/// to be woken up.
pub(super) fn wait(entries: &mut [PollFd<'_>], timeout: PollTimeout, spin: Duration) {
    let end = (!spin.is_zero()).then(|| Clock::now() + spin);
    while let Some(end) = end {
        match poll(entries, PollTimeout::ZERO) {
            Ok(0) if Clock::now() < end => {}
            Ok(count) if count > 0 => return,
            _ => break,
        }
    }
    // Interrupted or out of memory: as if nothing were ready.
    let _ = poll(entries, timeout);
}
