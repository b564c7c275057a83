//! Key method 2: what the two ends tell each other inside TLS before data can flow (protocol section 3.11).

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::Rng;
use crate::tls::Role;
use crate::wire::internal::OPTIONS_MAX;

/// Longest user name or password that is accepted, with its NUL, in bytes.
pub const CREDENTIAL_MAX: usize = 128;

/// The low half of the method byte.
const METHOD: u8 = 2;
const METHOD_MASK: u8 = 0x0f;

/// Random bytes that one end contributes to the data keys. Wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeySource {
    /// Only the TLS client's counts; the TLS server's is not sent.
    pub pre_master: [u8; 48],
    /// Goes into the master secret.
    pub random1: [u8; 32],
    /// Goes into the key expansion.
    pub random2: [u8; 32],
}

impl KeySource {
    /// A new contribution.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut source = Self::empty();
        rng.fill(&mut source.pre_master);
        rng.fill(&mut source.random1);
        rng.fill(&mut source.random2);
        source
    }

    const fn empty() -> Self {
        Self { pre_master: [0; 48], random1: [0; 32], random2: [0; 32] }
    }
}

/// One end's message. Texts are without their NUL; what is missing is empty.
pub struct KeyMessage<'a> {
    /// The sender's random bytes; `pre_master` is zero if the TLS server sent them.
    pub source: KeySource,
    /// The options string (protocol section 4): printable ASCII.
    pub options: &'a str,
    /// The user name; to be refused if [`KeyMessage::has_long_credentials`].
    pub username: &'a [u8],
    /// The password; to be refused if [`KeyMessage::has_long_credentials`].
    pub password: &'a [u8],
    /// Lines about the sender, for [`PeerInfo`](crate::wire::peer_info::PeerInfo).
    pub peer_info: &'a [u8],
}

impl<'a> KeyMessage<'a> {
    /// Reads what the end with the TLS role `from` sent. A message may end after any of its texts but the first,
    /// and what follows the last one is ignored.
    ///
    /// # Errors
    /// The message is cut off, or is not what any version of openvpn since 2.0 sends.
    pub fn parse(record: &'a [u8], from: Role) -> Result<Self, KeyMessageError> {
        let mut rest = record;
        let head = take::<5>(&mut rest)?;
        match *head {
            [0, 0, 0, 0, method] if method & METHOD_MASK == METHOD => {}
            _ => return Err(KeyMessageError::Method),
        }
        let mut source = KeySource::empty();
        if from == Role::Client {
            source.pre_master = *take(&mut rest)?;
        }
        source.random1 = *take(&mut rest)?;
        source.random2 = *take(&mut rest)?;

        let options = take_text(&mut rest)?;
        let is_printable = options.iter().all(|byte| *byte == b' ' || byte.is_ascii_graphic());
        if !is_printable || options.is_empty() || options.len() >= OPTIONS_MAX {
            return Err(KeyMessageError::Options);
        }
        Ok(Self {
            source,
            options: core::str::from_utf8(options).map_err(|_| KeyMessageError::Options)?,
            username: take_last_text(&mut rest)?,
            password: take_last_text(&mut rest)?,
            peer_info: take_last_text(&mut rest)?,
        })
    }

    /// Whether user name or password is longer than any that is accepted: then they must count as wrong.
    pub const fn has_long_credentials(&self) -> bool {
        self.username.len() >= CREDENTIAL_MAX || self.password.len() >= CREDENTIAL_MAX
    }

    /// Writes our own message as the end with this `role`; returns its length in bytes. `None` if it does not fit,
    /// if the options string is too long or empty, or if a text has a NUL in it. Nothing is cut off.
    pub fn write(
        source: &KeySource,
        role: Role,
        options: impl fmt::Display,
        username: impl fmt::Display,
        password: impl fmt::Display,
        peer_info: impl fmt::Display,
        out: &mut [u8],
    ) -> Option<usize> {
        let mut writer = Writer { out, len: 0 };
        writer.put(&[0, 0, 0, 0, METHOD])?;
        if role == Role::Client {
            writer.put(&source.pre_master)?;
        }
        writer.put(&source.random1)?;
        writer.put(&source.random2)?;
        let options_len = writer.put_text(&options)?;
        if options_len == 0 || options_len >= OPTIONS_MAX {
            return None;
        }
        let texts: [&dyn fmt::Display; 3] = [&username, &password, &peer_info];
        for text in texts {
            writer.put_text(text)?;
        }
        Some(writer.len)
    }
}

/// Without secrets.
impl fmt::Debug for KeyMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMessage").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Why a message cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMessageError {
    /// It ends in the middle of a field.
    Short,
    /// It does not say key method 2.
    Method,
    /// The options string is missing, too long or not printable.
    Options,
    /// A text does not end with its only NUL.
    Text,
}

impl fmt::Display for KeyMessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "TLS Error: the peer's key message is cut off",
            Self::Method => "TLS Error: the peer's key message is not of key method 2 (is its openvpn older than 2.0?)",
            Self::Options => "TLS Error: the options string in the peer's key message is missing, too long or no text",
            Self::Text => "TLS Error: a text in the peer's key message does not end with its only NUL",
        })
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], KeyMessageError> {
    let (taken, after) = rest.split_first_chunk().ok_or(KeyMessageError::Short)?;
    *rest = after;
    Ok(taken)
}

/// A length of two bytes, the text and its NUL, both counted; an empty text may be without.
fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], KeyMessageError> {
    let len = usize::from(u16::from_be_bytes(*take(rest)?));
    let (text, after) = rest.split_at_checked(len).ok_or(KeyMessageError::Short)?;
    *rest = after;
    match text.split_last() {
        None => Ok(text),
        Some((0, text)) if !text.contains(&0) => Ok(text),
        Some(_) => Err(KeyMessageError::Text),
    }
}

/// A text that old peers leave out together with all that follows.
fn take_last_text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], KeyMessageError> {
    if rest.is_empty() { Ok(&[]) } else { take_text(rest) }
}

/// A message as far as it is written.
struct Writer<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        self.out.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    /// Returns the length of the text without its NUL.
    fn put_text(&mut self, text: &dyn fmt::Display) -> Option<usize> {
        let start = self.len;
        self.put(&[0, 0])?;
        fmt::write(self, format_args!("{text}")).ok()?;
        let len = self.len.checked_sub(start)?.checked_sub(2)?;
        if len > 0 {
            self.put(&[0])?;
            let counted = u16::try_from(len.checked_add(1)?).ok()?;
            self.out.get_mut(start..)?.first_chunk_mut().map(|field| *field = counted.to_be_bytes())?;
        }
        Some(len)
    }
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.contains('\0') { Err(fmt::Error) } else { self.put(text.as_bytes()).ok_or(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const SOURCE: KeySource = KeySource { pre_master: [1; 48], random1: [2; 32], random2: [3; 32] };

    /// A TLS server's message with these bytes after the random ones.
    fn server_message(texts: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, 0, 2][..], &[2; 32], &[3; 32], texts].concat()
    }

    fn error(record: &[u8]) -> Option<KeyMessageError> {
        KeyMessage::parse(record, Role::Server).err()
    }

    #[test]
    fn a_message_may_end_after_any_text() {
        let texts = *b"\0\x03V4\0\0\x04joe\0\0\x07secret\0\0\x08IV_X=1\n\0";
        for (len, username, password, peer_info) in
            [(5, "", "", ""), (11, "joe", "", ""), (20, "joe", "secret", ""), (30, "joe", "secret", "IV_X=1\n")]
        {
            let record = server_message(&texts[..len]);
            let message = KeyMessage::parse(&record, Role::Server).unwrap();
            assert_eq!(message.options, "V4");
            assert_eq!(message.username, username.as_bytes());
            assert_eq!(message.password, password.as_bytes());
            assert_eq!(message.peer_info, peer_info.as_bytes());
            assert_eq!((message.source.pre_master, message.source.random2), ([0; 48], [3; 32]));
        }
        let whole = server_message(&texts);
        for len in 0..whole.len() {
            let ends_with_a_text = [69 + 5, 69 + 11, 69 + 20].contains(&len);
            let expected = (!ends_with_a_text).then_some(KeyMessageError::Short);
            assert_eq!(error(&whole[..len]), expected, "cut at {len}");
        }
        assert_eq!(error(&[&whole[..], b"more"].concat()), None);
    }

    #[test]
    fn what_is_no_key_message_is_refused() {
        assert_eq!(error(&server_message(b"\0\x03V4\0\0\0")), None);
        assert_eq!(error(&server_message(b"\0\x03V4\0\0\x01\0")), None);
        for (texts, expected) in [
            (&b"\0\0"[..], KeyMessageError::Options),
            (b"\0\x01\0", KeyMessageError::Options),
            (b"\0\x03V\n\0", KeyMessageError::Options),
            (b"\0\x03V\xff\0", KeyMessageError::Options),
            (b"\0\x02V4", KeyMessageError::Text),
            (b"\0\x03\x004\0", KeyMessageError::Text),
            (b"\0\x03V4\0\0\x03jo\0\0\x03\0x\0", KeyMessageError::Text),
            (b"\0\x03V4\0\xff\xffjoe\0", KeyMessageError::Short),
        ] {
            assert_eq!(error(&server_message(texts)), Some(expected), "{texts:?}");
        }
        let mut method_1 = server_message(b"\0\x03V4\0");
        method_1[4] = 1;
        assert_eq!(error(&method_1), Some(KeyMessageError::Method));
        method_1[4] = 0xf2;
        assert_eq!(error(&method_1), None);
        method_1[0] = 32;
        assert_eq!(error(&method_1), Some(KeyMessageError::Method));
    }

    #[test]
    fn an_options_string_has_its_limit() {
        let mut out = [0; 1024];
        let (longest, too_long) = ("V".repeat(511), "V".repeat(512));
        let len = KeyMessage::write(&SOURCE, Role::Server, &longest, "", "", "", &mut out).unwrap();
        assert_eq!(KeyMessage::parse(&out[..len], Role::Server).unwrap().options, longest);
        assert_eq!(KeyMessage::write(&SOURCE, Role::Server, &too_long, "", "", "", &mut out), None);
        let texts = [&[2, 1][..], too_long.as_bytes(), &[0]].concat();
        assert_eq!(error(&server_message(&texts)), Some(KeyMessageError::Options));
    }

    #[test]
    fn long_credentials_are_noticed_and_do_not_hide_what_follows() {
        let mut out = [0; 8192];
        for (username, password, is_long) in
            [(127, 127, false), (128, 0, true), (0, 128, true), (4000, 1, true), (0, 0, false)]
        {
            let (username, password) = ("u".repeat(username), "p".repeat(password));
            let len = KeyMessage::write(&SOURCE, Role::Client, "V4", &username, &password, "IV_X=1\n", &mut out);
            let message = KeyMessage::parse(&out[..len.unwrap()], Role::Client).unwrap();
            assert_eq!(message.has_long_credentials(), is_long, "{} {}", username.len(), password.len());
            assert_eq!(message.peer_info, b"IV_X=1\n");
        }
    }

    #[test]
    fn what_cannot_be_told_is_not_written() {
        let mut out = [0; 200];
        let mut write = |options, username, len: usize| {
            KeyMessage::write(&SOURCE, Role::Client, options, username, "", "", &mut out[..len])
        };
        assert_eq!(write("V4", "", 200), Some(5 + 48 + 64 + 5 + 6));
        assert_eq!(write("V4", "", 128), Some(128));
        assert_eq!(write("V4", "", 127), None);
        assert_eq!(write("", "", 200), None);
        assert_eq!(write("V4", "a\0b", 200), None);
    }

    #[test]
    fn no_secret_is_printed() {
        let record = server_message(b"\0\x03V4\0\0\x04joe\0\0\x07secret\0");
        let message = KeyMessage::parse(&record, Role::Server).unwrap();
        assert_eq!(std::format!("{message:?}"), "KeyMessage { options: \"V4\", .. }");
    }

    fn role() -> impl Strategy<Value = Role> {
        prop_oneof![Just(Role::Client), Just(Role::Server)]
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_parsed(record: Vec<u8>, texts: Vec<u8>, role in role()) {
            let _ = KeyMessage::parse(&record, role);
            let _ = KeyMessage::parse(&server_message(&texts), role);
        }

        #[test]
        fn what_is_written_is_what_is_read(
            options in "[ -~]{1,511}",
            username in "[^\0]{0,60}",
            password in "[^\0]{0,60}",
            peer_info in "[^\0]{0,200}",
            role in role(),
        ) {
            let mut out = [0; 4096];
            let len = KeyMessage::write(&SOURCE, role, &options, &username, &password, &peer_info, &mut out).unwrap();
            let message = KeyMessage::parse(&out[..len], role).unwrap();
            prop_assert_eq!(message.options, &options);
            prop_assert_eq!(message.username, username.as_bytes());
            prop_assert_eq!(message.password, password.as_bytes());
            prop_assert_eq!(message.peer_info, peer_info.as_bytes());
            prop_assert_eq!(message.source.random1, SOURCE.random1);
            prop_assert_eq!(message.source.random2, SOURCE.random2);
            prop_assert_eq!(message.source.pre_master, if role == Role::Client { [1; 48] } else { [0; 48] });
        }
    }
}
