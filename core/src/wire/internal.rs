//! Messages that travel inside the data channel in place of an IP packet: ping and OCC
//! (protocol section 2.10).

/// The whole payload of a keepalive packet.
pub const PING: [u8; 16] =
    [0x2a, 0x18, 0x7b, 0xf3, 0x64, 0x1e, 0xb4, 0xcb, 0x07, 0xed, 0x2d, 0x0a, 0x98, 0x1f, 0xc7, 0x48];

/// The first bytes of every options-consistency message.
pub const OCC_MAGIC: [u8; 16] =
    [0x28, 0x7f, 0x34, 0x6b, 0xd4, 0xef, 0x7a, 0x81, 0x2d, 0x56, 0xb8, 0xd3, 0xaf, 0xc5, 0x45, 0x9c];

/// Longest options string with its NUL, in bytes.
pub const OPTIONS_MAX: usize = 512;

const OCC_REQUEST: u8 = 0;
const OCC_REPLY: u8 = 1;
const OCC_MTU_FIRST: u8 = 2;
const OCC_MTU_LAST: u8 = 5;
const OCC_EXIT: u8 = 6;

/// What a decrypted payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'p> {
    /// A packet for the tunnel device.
    Packet,
    /// A keepalive.
    Ping,
    /// The peer asks for our options string.
    OccRequest,
    /// The peer's options string, without its NUL.
    OccReply(&'p [u8]),
    /// One of the four messages of the path-MTU probe; they are not answered.
    OccMtu,
    /// The peer exits.
    OccExit,
    /// An OCC message of unknown kind; its opcode is given.
    OccUnknown(u8),
}

impl<'p> Payload<'p> {
    /// Tells what `payload` is.
    pub fn parse(payload: &'p [u8]) -> Self {
        if payload == PING {
            return Self::Ping;
        }
        let Some(message) = payload.strip_prefix(&OCC_MAGIC) else {
            return Self::Packet;
        };
        match message.split_first() {
            Some((&OCC_REQUEST, _)) => Self::OccRequest,
            Some((&OCC_REPLY, options)) => Self::OccReply(options.split(|byte| *byte == 0).next().unwrap_or_default()),
            Some((&OCC_EXIT, _)) => Self::OccExit,
            Some((&(OCC_MTU_FIRST..=OCC_MTU_LAST), _)) => Self::OccMtu,
            Some((&opcode, _)) => Self::OccUnknown(opcode),
            None => Self::OccUnknown(u8::MAX),
        }
    }
}

/// An internal message to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'m> {
    /// Keepalive.
    Ping,
    /// Asks the peer for its options string.
    OccRequest,
    /// Our options string, without NUL.
    OccReply(&'m str),
    /// Tells the peer that we exit.
    OccExit,
}

impl Message<'_> {
    /// Writes the message to the front of `buffer` and returns its length in bytes; `None` if it does not fit.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let parts: [&[u8]; 4] = match self {
            Self::Ping => [&PING, &[], &[], &[]],
            Self::OccRequest => [&OCC_MAGIC, &[OCC_REQUEST], &[], &[]],
            Self::OccReply(options) => [&OCC_MAGIC, &[OCC_REPLY], options.as_bytes(), &[0]],
            Self::OccExit => [&OCC_MAGIC, &[OCC_EXIT], &[], &[]],
        };
        let mut len = 0usize;
        for part in parts {
            let end = len.checked_add(part.len())?;
            buffer.get_mut(len..end)?.iter_mut().zip(part).for_each(|(room, byte)| *room = *byte);
            len = end;
        }
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut buffer = [0; 64];
        for (message, payload) in [
            (Message::Ping, Payload::Ping),
            (Message::OccRequest, Payload::OccRequest),
            (Message::OccReply("V4,dev-type tun"), Payload::OccReply(b"V4,dev-type tun")),
            (Message::OccExit, Payload::OccExit),
        ] {
            let len = message.write(&mut buffer).unwrap();
            assert_eq!(Payload::parse(&buffer[..len]), payload);
        }
        assert_eq!(Message::Ping.write(&mut [0; 15]), None);
    }

    #[test]
    fn a_ping_is_the_whole_payload_and_occ_never_reaches_the_tunnel() {
        let mut longer = [0; 17];
        longer[..16].copy_from_slice(&PING);
        assert_eq!(Payload::parse(&longer), Payload::Packet);
        assert_eq!(Payload::parse(&OCC_MAGIC), Payload::OccUnknown(255));
        let mut unknown = [9; 20];
        unknown[..16].copy_from_slice(&OCC_MAGIC);
        assert_eq!(Payload::parse(&unknown), Payload::OccUnknown(9));
        assert_eq!(Payload::parse(&[]), Payload::Packet);
    }
}
