//! Text of a peer, and the control messages that are text (protocol section 3.16).

use core::fmt::{self, Write};

/// `EXIT` as it is sent: the peer need not wait for us any longer.
pub const EXIT: &[u8] = b"EXIT\0";

/// Bytes of a peer that should be text, in any encoding. `Display` shows printable ASCII, and `_` in place of
/// everything else that could disturb a log, an environment or a script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Any bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes as they came.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        self.0.iter().try_for_each(|byte| f.write_char(if is_printable(*byte) { char::from(*byte) } else { '_' }))
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A control message; its text is what follows the first comma, without line ends. Only a client with `pull` may
/// obey more than [`TextMessage::Exit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMessage<'a> {
    /// `EXIT`: the peer leaves.
    Exit,
    /// `RESTART`: connect again.
    Restart(Text<'a>),
    /// `HALT`: the client must end.
    Halt(Text<'a>),
    /// `AUTH_FAILED` with the reason.
    AuthFailed(Text<'a>),
    /// `AUTH_PENDING` with a time and keywords.
    AuthPending(Text<'a>),
    /// `PUSH_REQUEST`: the client asks for its options.
    PushRequest,
    /// `PUSH_REPLY` with options, separated by commas.
    PushReply(Text<'a>),
    /// `PUSH_UPDATE` with changed options.
    PushUpdate(Text<'a>),
    /// `INFO` for the user.
    Info(Text<'a>),
    /// `INFO_PRE` for the user, before authentication.
    InfoPre(Text<'a>),
    /// `CR_RESPONSE`: the user's answer to a challenge.
    CrResponse(Text<'a>),
    /// `ACC`: a message of an application.
    Acc(Text<'a>),
    /// Something else, from its beginning.
    Unknown(Text<'a>),
}

/// Splits a record at its NULs into messages; empty ones are passed over. A message with a control character in it
/// is an error; bytes from 128 up are none.
pub fn messages(record: &[u8]) -> impl Iterator<Item = Result<TextMessage<'_>, BadText<'_>>> {
    let messages = record.split(|byte| *byte == 0).map(without_line_end);
    messages.filter(|message| !message.is_empty()).map(TextMessage::parse)
}

impl<'a> TextMessage<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, BadText<'a>> {
        if message.iter().any(u8::is_ascii_control) {
            return Err(BadText(Text(message)));
        }
        let mut parts = message.splitn(2, |byte| *byte == b',');
        let keyword = parts.next().unwrap_or_default();
        let text = Text(parts.next().unwrap_or_default());
        Ok(match keyword {
            b"EXIT" => Self::Exit,
            b"RESTART" => Self::Restart(text),
            b"HALT" => Self::Halt(text),
            b"AUTH_FAILED" => Self::AuthFailed(text),
            b"AUTH_PENDING" => Self::AuthPending(text),
            b"PUSH_REQUEST" => Self::PushRequest,
            b"PUSH_REPLY" => Self::PushReply(text),
            b"PUSH_UPDATE" => Self::PushUpdate(text),
            b"INFO" => Self::Info(text),
            b"INFO_PRE" => Self::InfoPre(text),
            b"CR_RESPONSE" => Self::CrResponse(text),
            b"ACC" => Self::Acc(text),
            _ => Self::Unknown(Text(message)),
        })
    }
}

/// A message with control characters in it; it must not be obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadText<'a>(Text<'a>);

impl fmt::Display for BadText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ignored a control message with control characters in it: '{}'", self.0)
    }
}

fn without_line_end(mut message: &[u8]) -> &[u8] {
    while let [before @ .., b'\r' | b'\n'] = message {
        message = before;
    }
    message
}
