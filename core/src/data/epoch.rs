//! AEAD ciphers whose key changes with the epoch (protocol section 2.6). The tag is behind the payload.

use core::mem;

use heapless::Deque;

use crate::crypto::epoch::{EpochKeys, EpochSchedule};
use crate::crypto::replay::{ReplayBits, ReplayWindow};
use crate::crypto::static_key::KeyHalf;
use crate::crypto::{AEAD_TAG_LEN, Aead, Cipher, NONCE_LEN, Provider, Suite, Unsupported};
use crate::data::aead::Usage;
use crate::data::{Header, V2_LEN};
use crate::error::{Discard, NotReady};
use crate::packet::PacketBuf;
use crate::time::Instant;

/// Length in bytes of epoch and counter, and of a packet's whole head, all of which the tag covers.
const ID_LEN: usize = 8;
const HEAD_LEN: usize = V2_LEN + ID_LEN;

const COUNTER_MAX: u64 = (1 << COUNTER_BITS) - 1;
const COUNTER_BITS: u32 = 48;

/// A receiver holds the keys of so many epochs after the current one.
const FUTURE_KEYS: usize = 4;

/// From this epoch on it is time for a new handshake, and this is the last one in which anything is sent: the
/// receiver's future epochs must exist, too.
const EPOCH_RENEW: u16 = 0xff00;
const EPOCH_LAST: u16 = u16::MAX - FUTURE_KEYS as u16 - 1;

/// The sending direction.
pub(super) struct EpochSealer<C: Provider> {
    suite: Suite,
    schedule: EpochSchedule,
    key: EpochKey<C>,
    counter: u64,
    usage: Usage,
}

/// The receiving direction.
pub(super) struct EpochOpener<C: Provider, B> {
    suite: Suite,
    schedule: EpochSchedule,
    /// The keys after the current one, ready at hand so that a forged packet costs no derivation.
    future: Deque<EpochKeys, FUTURE_KEYS>,
    current: EpochKey<C>,
    /// The epoch before, for packets that were overtaken; it has a replay window of its own.
    previous: Option<(EpochKey<C>, ReplayWindow<B>)>,
}

struct EpochKey<C: Provider> {
    epoch: u16,
    aead: C::Aead,
    implicit_iv: [u8; NONCE_LEN],
}

impl<C: Provider> EpochSealer<C> {
    pub(super) fn new(suite: Suite, key: KeyHalf<'_>) -> Result<Self, Unsupported> {
        let mut schedule = EpochSchedule::new(key)?;
        let key = EpochKey::new(suite.cipher, &schedule.next_keys(suite.key_len)?)?;
        Ok(Self { suite, schedule, key, counter: 0, usage: Usage::new(suite.cipher) })
    }

    pub(super) fn is_worn_out(&self) -> bool {
        self.key.epoch >= EPOCH_RENEW
    }

    pub(super) fn raise(&mut self, epoch: u16) {
        while self.key.epoch < epoch && self.advance().is_some() {}
    }

    pub(super) fn seal(&mut self, header: &Header, packet: &mut PacketBuf<'_>) -> Result<(), NotReady> {
        if self.usage.is_spent() || self.counter == COUNTER_MAX {
            let advanced = self.advance().is_some();
            if !advanced && self.counter == COUNTER_MAX {
                return Err(NotReady::PacketIdsExhausted);
            }
        }
        self.counter = self.counter.saturating_add(1);
        self.usage.count(packet.len());
        let id = (u64::from(self.key.epoch) << COUNTER_BITS | self.counter).to_be_bytes();
        packet.prepend(ID_LEN).ok_or(NotReady::NoRoom)?.copy_from_slice(&id);
        packet.prepend(header.len).ok_or(NotReady::NoRoom)?.copy_from_slice(header.as_slice());
        let (head, payload) = packet.as_mut_slice().split_at_mut_checked(HEAD_LEN).ok_or(NotReady::NoRoom)?;
        let tag = self.key.aead.seal(&self.key.nonce(id), head, payload).ok_or(NotReady::NoRoom)?;
        packet.append(AEAD_TAG_LEN).ok_or(NotReady::NoRoom)?.copy_from_slice(&tag);
        Ok(())
    }

    fn advance(&mut self) -> Option<()> {
        if self.key.epoch >= EPOCH_LAST {
            return None;
        }
        let keys = self.schedule.next_keys(self.suite.key_len).ok()?;
        self.key = EpochKey::new(self.suite.cipher, &keys).ok()?;
        self.counter = 0;
        self.usage = Usage::new(self.suite.cipher);
        Some(())
    }
}

impl<C: Provider, B: ReplayBits> EpochOpener<C, B> {
    pub(super) fn new(suite: Suite, key: KeyHalf<'_>) -> Result<Self, Unsupported> {
        let mut schedule = EpochSchedule::new(key)?;
        let current = EpochKey::new(suite.cipher, &schedule.next_keys(suite.key_len)?)?;
        let mut opener = Self { suite, schedule, future: Deque::new(), current, previous: None };
        opener.derive_future();
        Ok(opener)
    }

    pub(super) fn epoch(&self) -> u16 {
        self.current.epoch
    }

    /// `window` is that of the current epoch.
    pub(super) fn open<'b>(
        &mut self,
        header_len: usize,
        window: Option<&mut ReplayWindow<B>>,
        now: Instant,
        datagram: &'b mut [u8],
    ) -> Result<&'b mut [u8], Discard> {
        if header_len != V2_LEN {
            return Err(Discard::Authentication);
        }
        let window = window.ok_or(Discard::NotReady)?;
        let (head, rest) = datagram.split_first_chunk_mut::<HEAD_LEN>().ok_or(Discard::TooShort)?;
        let (payload, tag) = rest.split_last_chunk_mut().ok_or(Discard::TooShort)?;
        let id = *head.last_chunk().ok_or(Discard::TooShort)?;
        if payload.is_empty() {
            return Err(Discard::TooShort);
        }
        let (packed, counter) = (u64::from_be_bytes(id), u64::from_be_bytes(id) & COUNTER_MAX);
        let epoch = u16::try_from(packed >> COUNTER_BITS).unwrap_or_default();
        let mut try_open = |key: &EpochKey<C>, window: &mut ReplayWindow<B>| {
            if !key.aead.open(&key.nonce(id), head, payload, tag) {
                return Err(Discard::Authentication);
            }
            let replay = Discard::Replay { id: u32::try_from(counter).unwrap_or(u32::MAX), time: 0 };
            window.accept_counter(counter, now).map_err(|_| replay)
        };
        if epoch == self.current.epoch {
            try_open(&self.current, window)?;
        } else if let Some((key, window)) = self.previous.as_mut().filter(|(key, _)| key.epoch == epoch) {
            try_open(key, window)?;
        } else {
            let keys = self.future.iter().find(|keys| keys.epoch == epoch).ok_or(Discard::Authentication)?;
            let key = EpochKey::new(self.suite.cipher, keys).map_err(|_| Discard::NotReady)?;
            let mut fresh = window.renewed();
            try_open(&key, &mut fresh)?;
            self.previous = Some((mem::replace(&mut self.current, key), mem::replace(window, fresh)));
            self.derive_future();
        }
        Ok(payload)
    }

    /// Drops the future keys up to the current epoch and derives as many new ones.
    fn derive_future(&mut self) {
        while self.future.front().is_some_and(|keys| keys.epoch <= self.current.epoch) {
            self.future.pop_front();
        }
        while !self.future.is_full() {
            let Ok(keys) = self.schedule.next_keys(self.suite.key_len) else { return };
            let _ = self.future.push_back(keys);
        }
    }
}

impl<C: Provider> EpochKey<C> {
    fn new(cipher: Cipher, keys: &EpochKeys) -> Result<Self, Unsupported> {
        let aead = C::Aead::new(cipher, keys.cipher_key())?;
        Ok(Self { epoch: keys.epoch, aead, implicit_iv: keys.implicit_iv })
    }

    fn nonce(&self, id: [u8; ID_LEN]) -> [u8; NONCE_LEN] {
        let mut nonce = self.implicit_iv;
        for (byte, id) in nonce.iter_mut().zip(id) {
            *byte ^= id;
        }
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Digest, RustCrypto};
    use crate::data::Format;
    use crate::data::tests::keys;
    use crate::packet::{HEADROOM, TAILROOM};
    use crate::time::Duration;
    use crate::tls::Role;
    use std::vec::Vec;

    const NOW: Instant = Instant::from_millis(0);

    fn sealer(cipher: Cipher) -> EpochSealer<RustCrypto> {
        EpochSealer::new(Suite::new(cipher, Digest::None), keys().keys(Role::Client).send).unwrap()
    }

    fn seal(sealer: &mut EpochSealer<RustCrypto>) -> Result<Vec<u8>, NotReady> {
        let mut buffer = [7; HEADROOM + 20 + TAILROOM];
        let mut packet = PacketBuf::new(&mut buffer, HEADROOM, 20).unwrap();
        sealer.seal(&Header::new(Format::Epoch { key_id: 0, peer_id: 1 }), &mut packet)?;
        Ok(packet.as_slice().to_vec())
    }

    struct Receiver {
        opener: EpochOpener<RustCrypto, [u64; 1]>,
        window: ReplayWindow<[u64; 1]>,
    }

    impl Receiver {
        fn new(cipher: Cipher) -> Self {
            let suite = Suite::new(cipher, Digest::None);
            let opener = EpochOpener::new(suite, keys().keys(Role::Server).receive).unwrap();
            Self { opener, window: ReplayWindow::new([0], 64, Duration::from_secs(15)) }
        }

        fn open(&mut self, datagram: &[u8]) -> Result<(), Discard> {
            let opened = self.opener.open(V2_LEN, Some(&mut self.window), NOW, &mut datagram.to_vec()).map(|_| ());
            assert_eq!(self.opener.future.len(), FUTURE_KEYS);
            opened
        }
    }

    /// Two packets of each epoch up to `last`.
    fn packets(last: u16) -> Vec<[Vec<u8>; 2]> {
        let mut sealer = sealer(Cipher::Aes256Gcm);
        let epoch = |epoch| {
            sealer.raise(epoch);
            [(); 2].map(|()| seal(&mut sealer).unwrap())
        };
        (1..=last).map(epoch).collect()
    }

    #[test]
    fn the_receiver_follows_and_knows_the_epoch_before() {
        let packets = packets(6);
        let mut receiver = Receiver::new(Cipher::Aes256Gcm);
        let replay = |id| Err(Discard::Replay { id, time: 0 });
        for (epoch, number, verdict, current) in [
            (1, 0, Ok(()), 1),
            (1, 0, replay(1), 1),
            // One too far ahead.
            (6, 0, Err(Discard::Authentication), 1),
            (5, 1, Ok(()), 5),
            (5, 1, replay(2), 5),
            (5, 0, Ok(()), 5),
            // What was overtaken, in a window of its own.
            (1, 0, replay(1), 5),
            (1, 1, Ok(()), 5),
            (1, 1, replay(2), 5),
            // What was skipped has gone.
            (4, 0, Err(Discard::Authentication), 5),
            (6, 0, Ok(()), 6),
            (5, 0, replay(1), 6),
            (1, 1, Err(Discard::Authentication), 6),
        ] {
            assert_eq!(receiver.open(&packets[epoch - 1][number]), verdict, "packet {number} of epoch {epoch}");
            assert_eq!(receiver.opener.epoch(), current, "packet {number} of epoch {epoch}");
        }
    }

    #[test]
    fn a_forged_epoch_leaves_no_trace() {
        let packets = packets(3);
        let mut receiver = Receiver::new(Cipher::Aes256Gcm);
        let mut forged = packets[2][0].clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(receiver.open(&forged), Err(Discard::Authentication));
        let mut renamed = packets[0][0].clone();
        for epoch in 0..=u8::MAX {
            renamed[5] = epoch;
            assert_eq!(receiver.open(&renamed).is_ok(), epoch == 1);
            assert_eq!(receiver.opener.epoch(), 1);
        }
        let mut short = [&[0x30][..], &packets[0][1][4..]].concat();
        let opened = receiver.opener.open(1, Some(&mut receiver.window), NOW, &mut short);
        assert_eq!(opened, Err(Discard::Authentication));
        assert_eq!(receiver.open(&packets[0][1]), Ok(()));
    }

    #[test]
    fn counters_have_48_bits() {
        let mut sealer = sealer(Cipher::ChaCha20Poly1305);
        let mut receiver = Receiver::new(Cipher::ChaCha20Poly1305);
        sealer.counter = u64::from(u32::MAX) - 1;
        let around: Vec<_> = (0..4).map(|_| seal(&mut sealer).unwrap()).collect();
        for order in [3, 0, 1, 2] {
            assert_eq!(receiver.open(&around[order]), Ok(()), "{order}");
        }
        assert_eq!(receiver.open(&around[1]), Err(Discard::Replay { id: u32::MAX, time: 0 }));
        sealer.counter = COUNTER_MAX - 1;
        let last = seal(&mut sealer).unwrap();
        assert_eq!(last[4..12], [0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        let next = seal(&mut sealer).unwrap();
        assert_eq!(next[4..12], [0, 2, 0, 0, 0, 0, 0, 1]);
        assert_eq!(receiver.open(&next), Ok(()));
        assert_eq!(receiver.open(&last), Ok(()));
    }

    #[test]
    fn epochs_change_with_use_and_wear_out() {
        let mut sealer = sealer(Cipher::Aes128Gcm);
        for epoch in 1..4 {
            // Two blocks and a packet at a time: the limit is reached with the second.
            sealer.usage.wear(6);
            for expected in [epoch, epoch, epoch + 1] {
                assert_eq!(seal(&mut sealer).unwrap()[4..6], [0, expected]);
            }
        }
        sealer.raise(EPOCH_RENEW - 1);
        assert!(!sealer.is_worn_out());
        sealer.raise(EPOCH_RENEW);
        assert!(sealer.is_worn_out());
        sealer.raise(u16::MAX);
        assert_eq!(sealer.key.epoch, EPOCH_LAST);
        sealer.counter = COUNTER_MAX - 1;
        assert_eq!(seal(&mut sealer).unwrap()[4..6], EPOCH_LAST.to_be_bytes());
        assert_eq!(seal(&mut sealer), Err(NotReady::PacketIdsExhausted));
        // The receiver has keys to the very end.
        let mut receiver = Receiver::new(Cipher::Aes128Gcm);
        while receiver.opener.epoch() < EPOCH_LAST {
            let key = receiver.opener.future.pop_front().unwrap();
            receiver.opener.current = EpochKey::new(Cipher::Aes128Gcm, &key).unwrap();
            receiver.opener.derive_future();
        }
        sealer.counter = 4;
        assert_eq!(receiver.open(&seal(&mut sealer).unwrap()), Ok(()));
    }
}
