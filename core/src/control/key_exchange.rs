//! From TLS to a data key: the handshake, the key messages, the key material (protocol sections 3.10 to 3.12).

use core::fmt;

use heapless::{String, Vec};
use zeroize::Zeroizing;

use crate::control::context::Context;
use crate::control::key_state::{Identity, KeyState, Stage};
use crate::control::memory::DataKeys;
use crate::control::negotiation::{self, Agreed, PeerId};
use crate::control::protection::{Guard, Protection};
use crate::control::session::{Current, Key, Session, expiry, seconds};
use crate::control::wrapping::Wrapping;
use crate::crypto::key_derivation::KeyMaterial;
use crate::crypto::replay::{ReplayBits, ReplayWindow};
use crate::crypto::{Rng, Unsupported};
use crate::data::{Budget, DataKey, Format, Opener, Sealer};
use crate::event::Event;
use crate::options::{Side, options_string};
use crate::platform::Platform;
use crate::time::Duration;
use crate::tls::{Place, Role, TlsFailure, TlsProgress, TlsSession};
use crate::wire::internal::OPTIONS_MAX;
use crate::wire::key_method2::{KeyMessage, KeySource};
use crate::wire::opcode::KeyId;
use crate::wire::text::{self, TextMessage};

/// Longest record of application data: a key message or a text message, in bytes (protocol section 9).
const RECORD_MAX: usize = 2048;
/// Traffic under one key with 64-bit blocks (SWEET32), in bytes.
const SHORT_BLOCK_LIMIT: u64 = 64 << 20;

const EXPORT_PEER_ID: &str = "EXPORTER-OpenVPN-p2p-peerid";
const EXPORT_WRAPPING: &str = "EXPORTER-OpenVPN-dynamic-tls-crypt";

impl<P: Platform> Session<P> {
    pub(super) fn negotiate(
        &mut self,
        cx: &mut Context<'_, P>,
        shared: &Protection<P::Crypto>,
        keys: &mut DataKeys<P::Crypto, P::ReplayBits>,
        tls: &mut P::Tls,
        negotiates: bool,
    ) -> Result<(), TlsFailure> {
        loop {
            let known = self.identity;
            let Some(key) = self.key(negotiates && self.next.is_some()) else { return Ok(()) };
            match &mut key.stage {
                Stage::Reset { answered: true } if key.reliability.is_all_acked() => {
                    key.stage = Stage::Handshake;
                    if let Some(current) = self.current.as_mut().filter(|_| negotiates) {
                        // A peer that is refused now cannot put this off by asking again.
                        current.data.expires.get_or_insert(cx.now + expiry(cx.config));
                    }
                    if let (true, Some(session)) = (core::mem::take(&mut self.displaced), self.peer) {
                        cx.notify(Event::InitialPacket { from: self.address, session });
                    }
                }
                Stage::Reset { .. } | Stage::Failed { .. } | Stage::Dead => return Ok(()),
                Stage::Handshake => match tls.step()? {
                    TlsProgress::Handshaking => return Ok(()),
                    TlsProgress::Established(verified) => {
                        let peer = Identity::from(verified);
                        let mut name = String::new();
                        let _ = name.push_str(verified.common_name());
                        if known.is_some_and(|known| known != peer) {
                            return Err(TlsFailure::new("the peer's certificate is another than before", false));
                        }
                        key.stage = Stage::Exchange { peer, sent: None };
                        self.identity = Some(peer);
                        let mut version = String::new();
                        // What does not fit is cut off.
                        let _ = tls.describe(&mut version);
                        cx.notify(Event::TlsEstablished { tls: version, peer: name });
                    }
                },
                Stage::Exchange { .. } | Stage::Established => {
                    let exchanges = matches!(key.stage, Stage::Exchange { .. });
                    tls.step()?;
                    if !self.exchange(cx, shared, keys, tls, exchanges)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads one record: of a key that `exchanges` key messages, that of the peer, and else texts. False if there is none.
    /// It is apart from the handshake, which has the stack for itself then.
    #[inline(never)]
    fn exchange(
        &mut self,
        cx: &mut Context<'_, P>,
        shared: &Protection<P::Crypto>,
        keys: &mut DataKeys<P::Crypto, P::ReplayBits>,
        tls: &mut P::Tls,
        exchanges: bool,
    ) -> Result<bool, TlsFailure> {
        let mut record = Zeroizing::new([0; RECORD_MAX]);
        if exchanges
            && cx.role == Role::Client
            && let Some(KeyState { stage: Stage::Exchange { sent: sent @ None, .. }, .. }) = &mut self.next
        {
            *sent = Some(send_key_message(cx, tls, record.as_mut_slice())?);
        }
        let len = tls.read_plain(record.as_mut_slice());
        if len == 0 {
            return Ok(false);
        }
        if exchanges {
            self.key_message(cx, shared, keys, tls, record.as_mut_slice(), len)?;
            return Ok(true);
        }
        for message in text::messages(record.get(..len).unwrap_or_default()) {
            match message {
                Ok(TextMessage::Exit) => cx.outcome.peer_left = true,
                Ok(message) => cx.notify(Event::MessageIgnored(message.name())),
                Err(_) => cx.notify(Event::MessageRefused),
            }
        }
        Ok(true)
    }

    /// The peer's key message has come, `len` bytes in `record`: the key can be made.
    fn key_message(
        &mut self,
        cx: &mut Context<'_, P>,
        shared: &Protection<P::Crypto>,
        keys: &mut DataKeys<P::Crypto, P::ReplayBits>,
        tls: &mut P::Tls,
        record: &mut [u8],
        len: usize,
    ) -> Result<(), TlsFailure> {
        let message = KeyMessage::parse(record.get(..len).unwrap_or_default(), cx.role.other())
            .map_err(|error| TlsFailure::new(error, false))?;
        if message.has_long_credentials() {
            return Err(TlsFailure::new("the peer's user name or password is too long", false));
        }
        let Some(KeyState { id, started, stage: Stage::Exchange { peer: verified, sent }, .. }) = &mut self.next else {
            return Ok(());
        };
        let (id, started, verified) = (*id, *started, *verified);
        let agreed = match self.agreed {
            Some(agreed) => Ok(agreed),
            None => {
                cx.outcome.peer_options = Some(message.options.chars().take(OPTIONS_MAX).collect());
                negotiation::agree(cx.config, cx.role, message.peer_info, message.options, P::Tls::CAN_EXPORT)
                    .map_err(|none| TlsFailure::new(none, false))
            }
        };
        let theirs = message.source;
        let ours = match sent.take() {
            Some(source) => source,
            // Even if nothing comes of it: the peer can tell then what does not fit.
            None => send_key_message(cx, tls, record)?,
        };
        let agreed = agreed?;
        let material = match (agreed.export_keys, cx.role, self.peer) {
            (true, ..) => {
                KeyMaterial::from_export(|label, bytes| tls.export(label, bytes)).map_err(|_| cannot_export())?
            }
            (false, Role::Client, Some(peer)) => KeyMaterial::from_prf(&ours, &theirs, self.own, peer),
            (false, Role::Server, Some(peer)) => KeyMaterial::from_prf(&theirs, &ours, peer, self.own),
            (.., None) => return Ok(()),
        };
        if id == KeyId::FIRST {
            self.agreed = Some(agreed);
            self.derive_from_session(cx, shared, tls, agreed)?;
        }
        let place = keys.iter().position(|key| key.is_empty());
        let Some((place, key)) = place.and_then(|place| Some((place, keys.get_mut(place)?))) else {
            return Err(TlsFailure::new("there is no memory for another data key", false));
        };
        self.data_key(cx, id, &verified, agreed, &material, key)
            .map_err(|_| TlsFailure::new("this cipher or digest is not supported here", false))?;
        let data = Key { place, since: started, confirmed: false, in_use: false, expires: None };
        let lifetime = lifetime(cx);
        // Counted from now: a negotiation may take longer than its key is to live.
        let renewal = (!lifetime.is_zero()).then(|| cx.now + lifetime);
        cx.notify(Event::DataChannel {
            cipher: agreed.suite.cipher,
            key_id: id.get(),
            peer_id: self.peer_id,
            exported: agreed.export_keys,
        });
        if let (Some(next), Some(current)) = (&mut self.next, &mut self.current) {
            next.stage = Stage::Established;
            // In place: both hold the memory for their packets.
            core::mem::swap(&mut current.control, next);
            let before = core::mem::replace(&mut current.data, data);
            current.renewal = renewal;
            let expires = before.expires.unwrap_or(cx.now + expiry(cx.config));
            self.lame_duck = Some(Key { expires: Some(expires), confirmed: true, ..before });
            self.next = None;
        } else if let Some(mut control) = self.next.take() {
            control.stage = Stage::Established;
            self.current = Some(Current { control, data, renewal });
            cx.outcome.connected = Some((self.address, agreed));
        }
        tls.accept();
        Ok(())
    }

    /// Takes from the first TLS session what serves all keys: the peer id, and the wrapping of later negotiations.
    fn derive_from_session(
        &mut self,
        cx: &Context<'_, P>,
        shared: &Protection<P::Crypto>,
        tls: &P::Tls,
        agreed: Agreed,
    ) -> Result<(), TlsFailure> {
        self.peer_id = match agreed.peer_id {
            PeerId::None => None,
            PeerId::Fixed(id) => Some(id),
            PeerId::FromExporter => {
                let mut id = [0; 3];
                tls.export(EXPORT_PEER_ID, &mut id).map_err(|_| cannot_export())?;
                let [a, b, c] = id;
                Some(u32::from_be_bytes([0, a, b, c]))
            }
        };
        if agreed.dynamic_tls_crypt && P::Tls::CAN_EXPORT {
            let mut bytes = Zeroizing::new([0; 256]);
            tls.export(EXPORT_WRAPPING, bytes.as_mut_slice()).map_err(|_| cannot_export())?;
            let original = self.protection(shared).original_key();
            let wrapping = Wrapping::dynamic(&bytes, original, cx.role)
                .map_err(|_| TlsFailure::new("tls-crypt is not supported here", false))?;
            self.dynamic = Place::with((wrapping, Guard::new(cx.config, cx.unix_now, 0)));
        }
        Ok(())
    }

    /// Makes the data key in its place; it takes a verified peer to do so.
    #[inline(never)] // so that the stack has what it needs only while it runs
    fn data_key(
        &self,
        cx: &Context<'_, P>,
        id: KeyId,
        _peer: &Identity,
        agreed: Agreed,
        material: &KeyMaterial,
        place: &mut Vec<DataKey<P::Crypto, P::ReplayBits>, 1>,
    ) -> Result<(), Unsupported> {
        let (config, pair, key_id) = (cx.config, material.keys(cx.role), id.get());
        let format = match self.peer_id {
            None => Format::V1 { key_id },
            Some(peer_id) if agreed.epoch => Format::Epoch { key_id, peer_id },
            Some(peer_id) => Format::V2 { key_id, peer_id },
        };
        let window = config.packet_ids.then(|| {
            let (size, expiry) = config.replay_window;
            ReplayWindow::new(P::ReplayBits::ZERO, size, seconds(expiry))
        });
        let bytes = match config.tls.reneg_bytes {
            Some(0) => u64::MAX,
            Some(bytes) => bytes,
            None if agreed.suite.cipher.is_64_bit_block() => SHORT_BLOCK_LIMIT,
            None => u64::MAX,
        };
        let packets = if config.tls.reneg_pkts == 0 { u64::MAX } else { config.tls.reneg_pkts };
        let sealer = Sealer::for_tls(agreed.suite, pair.send, format, config.packet_ids)?;
        let opener = Opener::for_tls(agreed.suite, pair.receive, agreed.epoch, window)?;
        let budget = Budget { bytes, packets };
        // It is empty.
        let _ = place.push(DataKey { key_id, peer_id: self.peer_id, sealer, opener, budget });
        Ok(())
    }
}

/// Says our part of the key, and returns it. What lies in `record` is overwritten.
fn send_key_message<P: Platform>(
    cx: &mut Context<'_, P>,
    tls: &mut P::Tls,
    record: &mut [u8],
) -> Result<KeySource, TlsFailure> {
    let source = KeySource::generate(cx.rng);
    let options = Written(|f| options_string(cx.config, Side::Local, f));
    let info = Written(|f| negotiation::write_peer_info(cx.config, P::Tls::CAN_EXPORT, f));
    let message = KeyMessage::write(&source, cx.role, options, "", "", info, record).and_then(|len| record.get(..len));
    let message =
        message.ok_or_else(|| TlsFailure::new("what the peer is to be told does not fit a key message", false))?;
    if tls.write_plain(message) != message.len() {
        return Err(TlsFailure::new("TLS does not take the key message", false));
    }
    tls.step()?;
    Ok(source)
}

/// A text that this function writes.
struct Written<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Written<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0(f)
    }
}

fn cannot_export() -> TlsFailure {
    TlsFailure::new("the TLS stack cannot export keys", false)
}

/// `reneg-sec`: a TLS server draws a time that is up to a tenth shorter, so that the two ends do not ask at once.
fn lifetime<P: Platform>(cx: &mut Context<'_, P>) -> Duration {
    let max = cx.config.tls.reneg_sec;
    let default = if cx.role == Role::Server { max.saturating_sub(max / 10) } else { max };
    let min = cx.config.tls.reneg_sec_min.unwrap_or(default).min(max);
    let mut random = [0; 4];
    cx.rng.fill(&mut random);
    let span = max.saturating_sub(min).saturating_add(1);
    seconds(min.saturating_add(u32::from_be_bytes(random).checked_rem(span).unwrap_or(0)))
}
