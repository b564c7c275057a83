//! The options-consistency check: ask the peer for its options string and compare
//! (protocol sections 2.10 and 4.5).

use heapless::String;

use crate::event::Event;
use crate::options::{LinkConfig, Mismatches, Side, options_string};
use crate::time::{Duration, Instant, Timer, TimerTable};
use crate::wire::internal::OPTIONS_MAX;

const INTERVAL: Duration = Duration::from_secs(10);
const TRIES: u8 = 12;
/// So many questions go unanswered by a peer that is heard before the operator is told.
const DEAF_AFTER: u8 = 2;

/// What has been learned and not yet been told.
#[derive(Debug, Default)]
enum News {
    #[default]
    None,
    /// The peer's string is there.
    Arrived,
    /// So many differences have been told.
    Differences(usize),
}

#[derive(Debug, Default)]
pub(super) struct Occ {
    /// The peer is asked and has not answered yet.
    wanted: bool,
    /// The peer has been heard.
    heard: bool,
    tries_left: u8,
    peer: String<OPTIONS_MAX>,
    news: News,
}

impl Occ {
    pub(super) fn start(config: &LinkConfig<'_>, now: Instant, peer_known: bool, timers: &mut TimerTable) -> Self {
        if config.occ && peer_known {
            timers.set(Timer::OccRequest, now + INTERVAL);
        }
        Self { wanted: config.occ, tries_left: TRIES, ..Self::default() }
    }

    /// The peer has just been heard for the first time: no need to wait for the interval.
    pub(super) fn ask_now(&mut self, now: Instant, timers: &mut TimerTable) {
        self.heard = true;
        if self.wanted {
            self.tries_left = TRIES;
            timers.set(Timer::OccRequest, now);
        }
    }

    /// Whether to ask once more; otherwise the last try is over.
    pub(super) fn ask_again(&mut self, now: Instant, timers: &mut TimerTable) -> bool {
        let again = self.tries_left > 0;
        if again {
            self.tries_left = self.tries_left.saturating_sub(1);
            timers.set(Timer::OccRequest, now + INTERVAL);
        }
        again
    }

    /// Whether a peer that is heard has left so many questions unanswered that something is wrong.
    pub(super) fn peer_is_deaf(&self) -> bool {
        self.heard && self.tries_left == TRIES.saturating_sub(DEAF_AFTER)
    }

    /// The peer's string has come. Only the first one counts, and only if it was asked for.
    pub(super) fn received(&mut self, options: &[u8], timers: &mut TimerTable) {
        if !self.wanted {
            return;
        }
        self.wanted = false;
        timers.stop(Timer::OccRequest);
        self.peer.clear();
        for byte in options {
            let printable = if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '_' };
            if self.peer.push(printable).is_err() {
                break;
            }
        }
        self.news = News::Arrived;
    }

    /// A new session's key message has told the peer's string.
    pub(super) fn told(&mut self, config: &LinkConfig<'_>, options: &[u8], timers: &mut TimerTable) {
        self.wanted = config.occ;
        self.received(options, timers);
    }

    pub(super) fn has_news(&self) -> bool {
        !matches!(self.news, News::None)
    }

    /// The peer's string, then each difference or the word that there is none.
    pub(super) fn next_event<'o>(&'o mut self, config: &LinkConfig<'_>, out: &'o mut [u8]) -> Event<'o> {
        let told = match self.news {
            News::Differences(told) => told,
            News::None | News::Arrived => {
                self.news = News::Differences(0);
                return Event::PeerOptions(&self.peer);
            }
        };
        let mut expected = String::<OPTIONS_MAX>::new();
        // A string longer than openvpn allows is compared as far as it goes.
        let _ = options_string(config, Side::Remote, &mut expected);
        let mut mismatches = Mismatches::new(&expected, &self.peer).skip(told);
        match mismatches.next() {
            Some(mismatch) => {
                self.news = News::Differences(told.saturating_add(1));
                Event::OptionDiffers(join(&mismatch.pieces(), out))
            }
            None => {
                self.news = News::None;
                if told == 0 { Event::OptionsAgree } else { Event::OptionsCompared(told) }
            }
        }
    }
}

/// Our own options string.
pub(super) fn write_local(config: &LinkConfig<'_>, options: &mut String<OPTIONS_MAX>) {
    let _ = options_string(config, Side::Local, options);
}

/// Puts the pieces into `out`, cut off at its end. They are ASCII: `received` has seen to the peer's.
fn join<'o>(pieces: &[&str], out: &'o mut [u8]) -> &'o str {
    let mut rest = out.iter_mut();
    for (byte, place) in pieces.iter().flat_map(|piece| piece.bytes()).zip(&mut rest) {
        *place = byte;
    }
    let unused = rest.len();
    let used = out.len().saturating_sub(unused);
    core::str::from_utf8(out.get(..used).unwrap_or_default()).unwrap_or_default()
}
