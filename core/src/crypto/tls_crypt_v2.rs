//! tls-crypt-v2: a tls-crypt key for each client, which the server need not know because the client brings it along,
//! wrapped with the server's own key (protocol section 3.5).

use core::fmt;

use base64ct::{Base64, Encoding as _};
use heapless::Vec;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::base64::Decoder;
use crate::crypto::rustcrypto::HmacKey;
use crate::crypto::static_key::STATIC_KEY_LEN;
use crate::crypto::tls_crypt::{KEY_LEN, TAG_LEN, TlsCryptKey};
use crate::crypto::{Rng, StaticKey, Unsupported};
use crate::error::Discard;

/// Longest wrapped key in bytes.
pub const WRAPPED_MAX: usize = 1024;

/// Shortest wrapped key in bytes: one without metadata.
pub const WRAPPED_MIN: usize = TAG_LEN + STATIC_KEY_LEN + LENGTH_LEN;

/// Longest metadata in bytes, the byte for its kind included.
pub const METADATA_MAX: usize = WRAPPED_MAX - WRAPPED_MIN;

/// Length in bytes of the length at the end of a wrapped key, which counts the whole of it.
const LENGTH_LEN: usize = 2;

const SERVER_KEY_LEN: usize = 128;
const HMAC_AREA: usize = 64;

const CLIENT_KEY_MAX: usize = STATIC_KEY_LEN + WRAPPED_MAX;

/// Bytes in one line of a key file.
const LINE_LEN: usize = 48;

/// A client's key as only its server can read it.
pub type WrappedKey = Vec<u8, WRAPPED_MAX>;

/// The key with which a server wraps its clients' keys. Wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ServerKey {
    bytes: [u8; SERVER_KEY_LEN],
}

impl ServerKey {
    /// Reads the text of a key file. What stands before the header line and after the footer line is ignored.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, TlsCryptV2Error> {
        let mut key = Self { bytes: [0; SERVER_KEY_LEN] };
        match decode_pem(text, KeyKind::Server, &mut key.bytes)? {
            SERVER_KEY_LEN => Ok(key),
            bytes => Err(TlsCryptV2Error::Length { kind: KeyKind::Server, bytes }),
        }
    }

    /// Makes a new key.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut key = Self { bytes: [0; SERVER_KEY_LEN] };
        rng.fill(&mut key.bytes);
        key
    }

    /// Writes the text of a key file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write_pem(out, KeyKind::Server, &self.bytes)
    }

    /// Makes a new key for a client.
    ///
    /// # Errors
    /// The provider lacks SHA-256.
    pub fn issue(&self, rng: &mut impl Rng, metadata: &Metadata) -> Result<ClientKey, Unsupported> {
        let key = StaticKey::generate(rng);
        let wrapped = self.wrap(&key, metadata)?;
        Ok(ClientKey { key, wrapped })
    }

    /// Wraps a client's key.
    ///
    /// # Errors
    /// The provider lacks SHA-256.
    pub fn wrap(&self, key: &StaticKey, metadata: &Metadata) -> Result<WrappedKey, Unsupported> {
        let len = u16::try_from(metadata.bytes.len().saturating_add(WRAPPED_MIN)).map_err(|_| Unsupported)?;
        let mut wrapped = WrappedKey::new();
        let mut append = |bytes: &[u8]| wrapped.extend_from_slice(bytes).map_err(|_| Unsupported);
        append(&[0; TAG_LEN])?;
        append(&*key.to_bytes())?;
        append(&metadata.bytes)?;
        if let Some((tag, text)) = wrapped.split_first_chunk_mut() {
            *tag = self.key()?.seal([&len.to_be_bytes(), &[]], text);
        }
        wrapped.extend_from_slice(&len.to_be_bytes()).map_err(|_| Unsupported)?;
        Ok(wrapped)
    }

    /// Unwraps a client's key, and what its maker has noted about it.
    ///
    /// # Errors
    /// [`Discard::ControlMalformed`]: the length is impossible or not what the last bytes say;
    /// [`Discard::ControlAuthentication`]: it was not wrapped with this key.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<(StaticKey, Metadata), Discard> {
        if wrapped_len(wrapped) != Some(wrapped.len()) {
            return Err(Discard::ControlMalformed);
        }
        let mut buffer = Zeroizing::new([0; WRAPPED_MAX]);
        let parts = wrapped.split_first_chunk().and_then(|(tag, rest)| {
            let (text, len) = rest.split_last_chunk::<LENGTH_LEN>()?;
            let copy = buffer.get_mut(..text.len())?;
            copy.copy_from_slice(text);
            Some((tag, copy, len))
        });
        let (tag, text, len) = parts.ok_or(Discard::ControlMalformed)?;
        let key = self.key().map_err(|Unsupported| Discard::ControlAuthentication)?;
        if !key.open([len, &[]], text, tag) {
            return Err(Discard::ControlAuthentication);
        }
        let (key, metadata) = text.split_first_chunk().ok_or(Discard::ControlMalformed)?;
        let bytes = Vec::from_slice(metadata).map_err(|_| Discard::ControlMalformed)?;
        Ok((StaticKey::from_bytes(key), Metadata { bytes }))
    }

    fn key(&self) -> Result<TlsCryptKey<HmacKey>, Unsupported> {
        let (cipher, hmac) = self.bytes.split_at(HMAC_AREA);
        TlsCryptKey::new(cipher.get(..KEY_LEN).unwrap_or_default(), hmac.get(..KEY_LEN).unwrap_or_default())
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey(..)")
    }
}

/// What a client has: its key, and the same key wrapped, to show to the server.
#[derive(Clone)]
pub struct ClientKey {
    key: StaticKey,
    wrapped: WrappedKey,
}

impl ClientKey {
    /// Reads the text of a key file. What stands before the header line and after the footer line is ignored.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, TlsCryptV2Error> {
        let mut buffer = Zeroizing::new([0; CLIENT_KEY_MAX]);
        let bytes = decode_pem(text, KeyKind::Client, &mut *buffer)?;
        let parts = buffer.get(..bytes).and_then(|bytes| bytes.split_first_chunk());
        parts
            .filter(|(_, wrapped)| wrapped_len(wrapped) == Some(wrapped.len()))
            .and_then(|(key, wrapped)| {
                Some(Self { key: StaticKey::from_bytes(key), wrapped: Vec::from_slice(wrapped).ok()? })
            })
            .ok_or(TlsCryptV2Error::Length { kind: KeyKind::Client, bytes })
    }

    /// Writes the text of a key file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut bytes = Zeroizing::new([0; CLIENT_KEY_MAX]);
        let (key, rest) = bytes.split_at_mut(STATIC_KEY_LEN);
        key.copy_from_slice(&*self.key.to_bytes());
        rest.iter_mut().zip(&self.wrapped).for_each(|(to, from)| *to = *from);
        let len = STATIC_KEY_LEN.saturating_add(self.wrapped.len());
        write_pem(out, KeyKind::Client, bytes.get(..len).unwrap_or_default())
    }

    /// The key, which is used like one of tls-crypt.
    pub const fn key(&self) -> &StaticKey {
        &self.key
    }

    /// What is appended to the packets that show the key to the server.
    pub fn wrapped(&self) -> &[u8] {
        &self.wrapped
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(..)")
    }
}

/// What the maker of a client's key has noted in it; only the server can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    bytes: Vec<u8, METADATA_MAX>,
}

impl Metadata {
    const USER: u8 = 0;
    const TIMESTAMP: u8 = 1;

    /// The unix time (s) when the key was made.
    pub fn timestamp(unix_time: u64) -> Self {
        let bytes = [Self::TIMESTAMP].into_iter().chain(unix_time.to_be_bytes());
        Self { bytes: bytes.collect() }
    }

    /// What `text` says in base64, for a script that checks clients.
    ///
    /// # Errors
    /// It is not base64, or too long.
    pub fn user(text: &str) -> Result<Self, TlsCryptV2Error> {
        let mut buffer = [0; METADATA_MAX - 1];
        let mut decoder = Decoder::new(&mut buffer);
        let len = decoder.feed(text).and_then(|()| decoder.finish());
        let data = len.and_then(|len| buffer.get(..len)).ok_or(TlsCryptV2Error::Metadata)?;
        Ok(Self { bytes: [Self::USER].iter().chain(data).copied().collect() })
    }

    /// 0 for a user's data, 1 for the time when the key was made.
    pub fn kind(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    /// What follows the kind.
    pub fn data(&self) -> &[u8] {
        self.bytes.get(1..).unwrap_or_default()
    }

    /// The unix time (s) when the key was made, if it was noted.
    pub fn time(&self) -> Option<u64> {
        let bytes = self.data().try_into().ok()?;
        (self.kind() == Some(Self::TIMESTAMP)).then(|| u64::from_be_bytes(bytes))
    }
}

/// Cuts a datagram into the packet and the wrapped key that follows it.
///
/// # Errors
/// [`Discard::ControlMalformed`]: the length at its end is impossible.
pub fn split_wkc(datagram: &mut [u8]) -> Result<(&mut [u8], &[u8]), Discard> {
    let len = wrapped_len(datagram).ok_or(Discard::ControlMalformed)?;
    let start = datagram.len().checked_sub(len).ok_or(Discard::ControlMalformed)?;
    let (packet, wrapped) = datagram.split_at_mut_checked(start).ok_or(Discard::ControlMalformed)?;
    Ok((packet, wrapped))
}

/// The possible length that the last bytes name.
fn wrapped_len(bytes: &[u8]) -> Option<usize> {
    let len = usize::from(u16::from_be_bytes(*bytes.last_chunk()?));
    (WRAPPED_MIN..=WRAPPED_MAX.min(bytes.len())).contains(&len).then_some(len)
}

/// Which of the two kinds of key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A server's.
    Server,
    /// A client's.
    Client,
}

impl KeyKind {
    /// What its header and footer lines say between their dashes.
    const fn label(self) -> &'static str {
        match self {
            Self::Server => "OpenVPN tls-crypt-v2 server key",
            Self::Client => "OpenVPN tls-crypt-v2 client key",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }

    /// How to get one.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Server => "make one with --genkey tls-crypt-v2-server FILE",
            Self::Client => "make one with --tls-crypt-v2 SERVER-KEY --genkey tls-crypt-v2-client FILE",
        }
    }

    fn is_in(self, line: &str, begin_or_end: &str) -> bool {
        let label = line.trim_end().strip_prefix(begin_or_end).and_then(|line| line.strip_suffix("-----"));
        label == Some(self.label())
    }
}

/// A text is not a usable tls-crypt-v2 key, or metadata is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsCryptV2Error {
    /// No line is the header.
    NoHeader {
        /// What was looked for.
        kind: KeyKind,
        /// Whether the other kind of key is there instead.
        is_other: bool,
    },
    /// There is something else than base64 between header and footer.
    BadBase64 {
        /// Line in the text, from 1.
        line: usize,
    },
    /// The key is too short or too long, or not as long as it says at its end.
    Length {
        /// What was looked for.
        kind: KeyKind,
        /// Whole bytes found.
        bytes: usize,
    },
    /// No line after the header is the footer.
    NoFooter {
        /// What was looked for.
        kind: KeyKind,
    },
    /// The metadata for a client's key is not base64, or too long.
    Metadata,
}

impl fmt::Display for TlsCryptV2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader { kind, is_other: true } => write!(
                f,
                "this is an {}, but an {} is needed here: {}",
                kind.other().label(),
                kind.label(),
                kind.remedy()
            ),
            Self::NoHeader { kind, is_other: false } => {
                write!(f, "no line is '{BEGIN}{}{DASHES}': not such a key file; {}", kind.label(), kind.remedy())
            }
            Self::BadBase64 { line } => {
                write!(
                    f,
                    "line {line} of the tls-crypt-v2 key is not base64: copy the file again from where it was made"
                )
            }
            Self::Length { kind: KeyKind::Server, bytes } => write!(
                f,
                "the tls-crypt-v2 server key has {bytes} bytes instead of {SERVER_KEY_LEN}: copy the file again from \
                 where it was made"
            ),
            Self::Length { kind: KeyKind::Client, bytes } => write!(
                f,
                "the tls-crypt-v2 client key has a wrong length ({bytes} bytes): part of it is missing or changed; copy \
                 the file again from where it was made"
            ),
            Self::NoFooter { kind } => write!(
                f,
                "no line is '{END}{}{DASHES}': the end of the key is missing; copy the file again from where it was made",
                kind.label()
            ),
            Self::Metadata => {
                write!(f, "the metadata is not base64 of at most {} bytes: shorten or correct it", METADATA_MAX - 1)
            }
        }
    }
}

impl core::error::Error for TlsCryptV2Error {}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Decodes the key of this `kind` in `text` into the front of `out` and returns its length, which may be more than
/// there is room for. White space around and in lines does not matter, nor does their length.
fn decode_pem(text: &str, kind: KeyKind, out: &mut [u8]) -> Result<usize, TlsCryptV2Error> {
    let mut lines = (1..).zip(text.lines());
    if !lines.any(|(_, content)| kind.is_in(content, BEGIN)) {
        let is_other = text.lines().any(|content| kind.other().is_in(content, BEGIN));
        return Err(TlsCryptV2Error::NoHeader { kind, is_other });
    }
    let mut decoder = Decoder::new(out);
    for (line, content) in lines {
        if kind.is_in(content, END) {
            return decoder.finish().ok_or(TlsCryptV2Error::Length { kind, bytes: decoder.len });
        }
        decoder.feed(content).ok_or(TlsCryptV2Error::BadBase64 { line })?;
    }
    Err(TlsCryptV2Error::NoFooter { kind })
}

fn write_pem(out: &mut impl fmt::Write, kind: KeyKind, bytes: &[u8]) -> fmt::Result {
    writeln!(out, "{BEGIN}{}{DASHES}", kind.label())?;
    for line in bytes.chunks(LINE_LEN) {
        let mut text = Zeroizing::new([0; LINE_LEN / 3 * 4]);
        out.write_str(Base64::encode(line, &mut *text).map_err(|_| fmt::Error)?)?;
        out.write_char('\n')?;
    }
    writeln!(out, "{END}{}{DASHES}", kind.label())
}

#[cfg(test)]
mod tests;
