//! A second thread, which moves packets from the tunnel to the network (`threads 2`).
//!
//! It works while there are a device and a socket, and is stopped before one of them is closed. It has the engine whenever
//! the event loop sleeps or is in the kernel, and the other way round.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver};
use std::thread::{Builder, Scope};
use std::time::Duration;

use longcable_core::platform::Platform;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::SharedGateway;
use super::departure::Departure;
use super::sleep::wait;
use crate::failure::Fatal;
use crate::link::udp::UdpLink;
use crate::tun::Tun;

/// The event loop's side of the thread. To drop it ends the thread.
pub struct Sender {
    work: mpsc::Sender<Work>,
    finished: Receiver<Departure>,
    signals: Arc<Signals>,
}

/// From where to where, and what waits on the way.
pub(super) struct Work {
    pub(super) tun: Arc<Tun>,
    pub(super) socket: Arc<UdpLink>,
    pub(super) departure: Departure,
}

struct Signals {
    stop: AtomicBool,
    /// Wakes the thread.
    wake: EventFd,
    /// Wakes the event loop: the engine has something to say, or the thread has stopped.
    attention: EventFd,
    device_gone: AtomicBool,
}

impl Sender {
    /// A thread without work.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn start<'s, 'c: 's, P: Platform + 's>(
        scope: &'s Scope<'s, '_>,
        gateway: SharedGateway<'c, P>,
        spin: Duration,
    ) -> Result<Self, Fatal>
    where
        SharedGateway<'c, P>: Send,
    {
        Self::try_start(scope, gateway, spin)
            .map_err(|error| Fatal::new(format!("Cannot start a thread for 'threads': {error}")))
    }

    fn try_start<'s, 'c: 's, P: Platform + 's>(
        scope: &'s Scope<'s, '_>,
        gateway: SharedGateway<'c, P>,
        spin: Duration,
    ) -> io::Result<Self>
    where
        SharedGateway<'c, P>: Send,
    {
        let event = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let (stop, device_gone) = Default::default();
        let signals = Arc::new(Signals { stop, wake: event()?, attention: event()?, device_gone });
        let (work, incoming) = mpsc::channel::<Work>();
        let (done, finished) = mpsc::channel();
        let heard = Arc::clone(&signals);
        Builder::new().name("sender".into()).spawn_scoped(scope, move || {
            for mut work in incoming {
                work.run(&gateway, &heard, spin);
                let Work { tun, socket, departure } = work;
                drop((tun, socket));
                if done.send(departure).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { work, finished, signals })
    }

    /// Lets it work until [`stop`](Self::stop). What it cannot take is lost.
    pub(super) fn go(&self, work: Work) {
        let _ = self.work.send(work);
    }

    /// Stops it; it has let go of the device and the socket then. The engine must be free meanwhile. None if the thread
    /// has died.
    pub(super) fn stop(&self) -> Option<Departure> {
        self.signals.stop.store(true, Relaxed);
        // A counter that is not at its limit takes one more.
        let _ = self.signals.wake.write(1);
        let departure = self.finished.recv().ok();
        let _ = self.signals.wake.read();
        self.signals.stop.store(false, Relaxed);
        departure
    }

    /// Takes note of its call, after which it can call again. Says whether somebody deleted the interface.
    pub(super) fn heard(&self) -> bool {
        let _ = self.signals.attention.read();
        self.signals.device_gone.swap(false, Relaxed)
    }
}

/// Readable when it calls the event loop.
impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.attention.as_fd()
    }
}

impl Work {
    fn run<P: Platform>(&mut self, gateway: &SharedGateway<'_, P>, signals: &Signals, spin: Duration) {
        while !signals.stop.load(Relaxed) {
            let wake = PollFd::new(signals.wake.as_fd(), PollFlags::POLLIN);
            let waits = match self.departure.is_empty() {
                true => PollFd::new(self.tun.as_fd(), PollFlags::POLLIN),
                false => PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT),
            };
            let mut entries = [wake, waits];
            wait(&mut entries, PollTimeout::NONE, spin);
            if !entries[1].any().unwrap_or(false) {
                continue;
            }
            let mut engine = gateway.lock_arc();
            let gone = self.departure.transmit(&mut engine, Some(&self.tun), Some(&self.socket)).is_err();
            if gone || engine.has_output(self.departure.now()) {
                signals.device_gone.fetch_or(gone, Relaxed);
                let _ = signals.attention.write(1);
            }
            if gone {
                return;
            }
        }
    }
}
