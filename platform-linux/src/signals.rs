//! Signals as something that can be polled (protocol section 5.2).

use longcable_core::event::Signal;
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::sys::signal::Signal as Number;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGINT, SIGTERM, SIGHUP or SIGUSR1: end the link or start it anew.
    Link(Signal),
    /// SIGUSR2: print the statistics to the log.
    Statistics,
}

/// In order of priority.
const WANTED: [(Number, Request); 5] = [
    (Number::SIGINT, Request::Link(Signal::Int)),
    (Number::SIGTERM, Request::Link(Signal::Term)),
    (Number::SIGHUP, Request::Link(Signal::Hup)),
    (Number::SIGUSR1, Request::Link(Signal::Usr1)),
    (Number::SIGUSR2, Request::Statistics),
];

/// The numbers of the signals that [`Signals`] takes.
pub(crate) fn taken() -> impl Iterator<Item = Number> {
    WANTED.iter().map(|(number, _)| *number)
}

/// The signals that were sent to this process.
///
/// The signals are blocked in the calling thread and in all that it starts later, so this is made before any other
/// thread. A program that is started inherits that unless it is prevented, as for scripts. SIGPIPE is ignored by every
/// Rust program.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
    /// One for each of `WANTED`.
    pending: [bool; WANTED.len()],
}

impl Signals {
    /// Takes the signals over from their default actions.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let set: SigSet = taken().collect();
        set.thread_block()?;
        let descriptor = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { descriptor, pending: [false; WANTED.len()] })
    }

    fn collect(&mut self) {
        loop {
            match self.descriptor.read_signal() {
                Ok(Some(info)) => {
                    let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Number::try_from(number).ok());
                    for (pending, (number, _)) in self.pending.iter_mut().zip(&WANTED) {
                        *pending |= signal == Some(*number);
                    }
                }
                Err(Errno::EINTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }
}

/// Readable when SIGINT or SIGTERM waits to be taken from [`Signals`], for work that would not come to an end by itself.
///
/// # Errors
/// If the system has no descriptor left.
pub fn end() -> io::Result<SignalFd> {
    let set: SigSet = [Number::SIGINT, Number::SIGTERM].into_iter().collect();
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// The requests that are pending, the most important first. Lesser ones that are answered by it too are dropped. To be
/// asked until it says `None`, and again when the descriptor is readable.
impl Iterator for Signals {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        self.collect();
        let index = self.pending.iter().position(|pending| *pending)?;
        let (_, request) = WANTED.get(index)?;
        for (pending, (_, other)) in self.pending.iter_mut().zip(&WANTED) {
            // Whatever is done to the link, it is done once. Statistics are still owed.
            *pending &= *other == Request::Statistics && request != other;
        }
        Some(*request)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::in_child;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::signal::raise;

    fn readable(signals: &Signals) -> bool {
        poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn the_most_important_signal_comes_first() {
        if in_child("signals::tests::the_most_important_signal_comes_first", &[]).is_some() {
            return;
        }
        let mut signals = Signals::new().unwrap();
        assert!(!readable(&signals));
        assert_eq!(signals.next(), None);
        for signal in [Number::SIGUSR2, Number::SIGUSR1, Number::SIGHUP, Number::SIGTERM, Number::SIGINT] {
            raise(signal).unwrap();
        }
        assert!(readable(&signals));
        assert_eq!(signals.next(), Some(Request::Link(Signal::Int)));
        assert_eq!(signals.next(), Some(Request::Statistics));
        assert_eq!(signals.next(), None);
        for (signal, request) in WANTED {
            raise(signal).unwrap();
            assert_eq!(signals.next(), Some(request));
            assert_eq!(signals.next(), None);
        }
        raise(Number::SIGUSR1).unwrap();
        raise(Number::SIGHUP).unwrap();
        assert_eq!(signals.next(), Some(Request::Link(Signal::Hup)));
        assert_eq!(signals.next(), None);
    }

    #[test]
    fn a_broken_pipe_is_an_error_and_no_end() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(reader);
        assert_eq!(nix::unistd::write(&writer, b"x"), Err(Errno::EPIPE));
    }
}
