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
    /// The keyword that it begins with.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Exit => "EXIT",
            Self::Restart(_) => "RESTART",
            Self::Halt(_) => "HALT",
            Self::AuthFailed(_) => "AUTH_FAILED",
            Self::AuthPending(_) => "AUTH_PENDING",
            Self::PushRequest => "PUSH_REQUEST",
            Self::PushReply(_) => "PUSH_REPLY",
            Self::PushUpdate(_) => "PUSH_UPDATE",
            Self::Info(_) => "INFO",
            Self::InfoPre(_) => "INFO_PRE",
            Self::CrResponse(_) => "CR_RESPONSE",
            Self::Acc(_) => "ACC",
            Self::Unknown(_) => "unknown",
        }
    }

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

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn only(record: &[u8]) -> TextMessage<'_> {
        let messages: Vec<_> = messages(record).collect();
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages[0].unwrap()
    }

    #[test]
    fn every_message_is_known() {
        let text = |text: &'static str| Text(text.as_bytes());
        for (message, expected) in [
            ("EXIT", TextMessage::Exit),
            ("RESTART", TextMessage::Restart(text(""))),
            ("RESTART,[N]bye", TextMessage::Restart(text("[N]bye"))),
            ("HALT,client was killed", TextMessage::Halt(text("client was killed"))),
            ("AUTH_FAILED,CRV1:R:id:dXNlcg==:code?", TextMessage::AuthFailed(text("CRV1:R:id:dXNlcg==:code?"))),
            ("AUTH_PENDING,timeout 60", TextMessage::AuthPending(text("timeout 60"))),
            ("PUSH_REQUEST", TextMessage::PushRequest),
            ("PUSH_REPLY", TextMessage::PushReply(text(""))),
            ("PUSH_REPLY,ping 10,peer-id 0", TextMessage::PushReply(text("ping 10,peer-id 0"))),
            ("PUSH_UPDATE,-ping", TextMessage::PushUpdate(text("-ping"))),
            ("INFO,OPEN_URL:https://example.net", TextMessage::Info(text("OPEN_URL:https://example.net"))),
            ("INFO_PRE,CR_TEXT:R:pin?", TextMessage::InfoPre(text("CR_TEXT:R:pin?"))),
            ("CR_RESPONSE,MTIz", TextMessage::CrResponse(text("MTIz"))),
            ("ACC,x,A,1,y", TextMessage::Acc(text("x,A,1,y"))),
            ("EXITUS,1", TextMessage::Unknown(text("EXITUS,1"))),
            ("exit", TextMessage::Unknown(text("exit"))),
        ] {
            assert_eq!(only(message.as_bytes()), expected);
        }
        assert_eq!(only(EXIT), TextMessage::Exit);
    }

    #[test]
    fn a_record_holds_any_number_of_messages() {
        let all: Vec<_> = messages(b"EXIT\r\n\0\0\r\n\0HALT,\0INFO,a\n").map(Result::unwrap).collect();
        assert_eq!(all, [TextMessage::Exit, TextMessage::Halt(Text(b"")), TextMessage::Info(Text(b"a"))]);
        assert_eq!(messages(b"").count(), 0);
    }

    #[test]
    fn control_characters_are_refused_and_other_alphabets_are_not() {
        for message in [&b"AUTH_FAILED,\x1b[2J"[..], b"EXIT\r\n\r x", b"INFO,a\nb", b"\x7fEXIT", b"EXIT\t"] {
            let bad = messages(message).next().unwrap().unwrap_err();
            assert!(!bad.to_string().contains(char::is_control));
        }
        let TextMessage::AuthFailed(reason) = only("AUTH_FAILED,Kennwort ungültig".as_bytes()) else { panic!() };
        assert_eq!(reason.to_string(), "Kennwort ung__ltig");
        assert_eq!(only(b"AUTH_FAILED,\xfc\0"), TextMessage::AuthFailed(Text(b"\xfc")));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(record: Vec<u8>) {
            for message in messages(&record) {
                let printed = std::format!("{message:?}");
                prop_assert!(printed.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
            }
        }
    }
}
