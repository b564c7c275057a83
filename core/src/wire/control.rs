//! Control packets without their wrapping (protocol section 3.2).

use core::fmt;

use heapless::Vec;

use crate::crypto::Rng;
use crate::error::Discard;
use crate::packet::PacketBuf;
use crate::wire::opcode::Opcode;

/// The number that one end gives to a session; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SessionId([u8; 8]);

impl SessionId {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// A new one.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut bytes = [0; Self::LEN];
        rng.fill(&mut bytes);
        // All zero means that there is none.
        Self::new(bytes).unwrap_or(Self([1; Self::LEN]))
    }

    /// `None` if all bytes are zero.
    pub fn new(bytes: [u8; Self::LEN]) -> Option<Self> {
        (bytes != [0; Self::LEN]).then_some(Self(bytes))
    }

    /// Its bytes as they are sent.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x} {e:02x}{g:02x}{h:02x}{i:02x}")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// How many acknowledgements one packet can carry.
pub const ACKS_MAX: usize = 8;

/// Longest payload that is read, in bytes: the longest whole packet of openvpn (`max-packet-size`).
pub const PAYLOAD_MAX: usize = 2048;

const ID_LEN: usize = 4;

/// Most bytes that [`write_header`] prepends.
pub const MESSAGE_HEADER_MAX: usize = 1 + ACKS_MAX * ID_LEN + SessionId::LEN + ID_LEN;

/// What a control packet says once its wrapping is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Ids of our packets that the peer has; some may be repeated or long settled.
    pub acks: Vec<u32, ACKS_MAX>,
    /// The session id for which the acknowledgements are: must be the receiver's. Only with acknowledgements.
    pub peer: Option<SessionId>,
    /// The packet's own id, which wants to be acknowledged; `None` for [`Opcode::Ack`].
    pub id: Option<u32>,
    /// A piece of the TLS stream, or the early negotiation of a reset.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads `body`, which starts with the number of acknowledgements.
    ///
    /// # Errors
    /// [`Discard::ControlMalformed`]: the packet is cut off or too long, carries too many acknowledgements, is no
    /// control packet of key method 2, is a reset and not its key's first packet, or the reverse, or is a reset with
    /// something else than early negotiation in it.
    pub fn parse(opcode: Opcode, body: &'a [u8]) -> Result<Self, Discard> {
        Self::parts(opcode, body).ok_or(Discard::ControlMalformed)
    }

    fn parts(opcode: Opcode, body: &'a [u8]) -> Option<Self> {
        let is_reset = match opcode {
            Opcode::HardResetClientV1 | Opcode::HardResetServerV1 | Opcode::DataV1 | Opcode::DataV2 => return None,
            Opcode::SoftReset => true,
            _ => opcode.is_hard_reset(),
        };
        let (count, mut rest) = body.split_first()?;
        let mut acks = Vec::new();
        for _ in 0..*count {
            acks.push(take_u32(&mut rest)?).ok()?;
        }
        let mut peer = None;
        if *count > 0 {
            let (bytes, after) = rest.split_first_chunk()?;
            peer = Some(SessionId::new(*bytes)?);
            rest = after;
        }
        let id = if opcode == Opcode::Ack { None } else { Some(take_u32(&mut rest)?) };
        let is_in_place = id.is_none_or(|id| (id == 0) == is_reset);
        let is_whole = is_in_place && (!is_reset || EarlyNegotiation::parse(rest).is_ok());
        (is_whole && rest.len() <= PAYLOAD_MAX).then_some(Self { acks, peer, id, payload: rest })
    }
}

/// Prepends acknowledgements for the session `peer` and the packet's own id to the payload in `packet`.
///
/// `None` if there is no room, or there are acknowledgements but too many of them or no peer.
pub fn write_header(packet: &mut PacketBuf<'_>, acks: &[u32], peer: Option<SessionId>, id: Option<u32>) -> Option<()> {
    if acks.len() > ACKS_MAX {
        return None;
    }
    if let Some(id) = id {
        packet.prepend(ID_LEN)?.copy_from_slice(&id.to_be_bytes());
    }
    if !acks.is_empty() {
        packet.prepend(SessionId::LEN)?.copy_from_slice(peer?.as_bytes());
    }
    for ack in acks.iter().rev() {
        packet.prepend(ID_LEN)?.copy_from_slice(&ack.to_be_bytes());
    }
    packet.prepend(1)?.fill(u8::try_from(acks.len()).ok()?);
    Some(())
}

/// What a server asks of a tls-crypt-v2 client in its reset (protocol section 3.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlyNegotiation {
    /// The client is to send its wrapped key once more, for the server has kept no state.
    pub resend_wkc: bool,
}

impl EarlyNegotiation {
    /// Length in bytes of what [`EarlyNegotiation::write`] writes.
    pub const LEN: usize = 6;

    /// The wrapping's packet ids of a client that understands it continue after this one.
    pub const PACKET_ID_BASE: u32 = 0x0f00_0000;

    const FLAGS: u16 = 1;
    const RESEND_WKC: u16 = 1;

    /// Whether a client understands it, as the wrapping's packet id of its first packet tells.
    pub const fn is_understood(packet_id: u32) -> bool {
        packet_id >> 24 == Self::PACKET_ID_BASE >> 24
    }

    /// Reads the payload of a reset. Fields of unknown types are passed over.
    ///
    /// # Errors
    /// [`Discard::ControlMalformed`]: a field is cut off or has the wrong length.
    pub fn parse(mut payload: &[u8]) -> Result<Self, Discard> {
        let mut found = Self::default();
        while !payload.is_empty() {
            let (kind, value) = take_field(&mut payload).ok_or(Discard::ControlMalformed)?;
            if kind == Self::FLAGS {
                let flags = <[u8; 2]>::try_from(value).map_err(|_| Discard::ControlMalformed)?;
                found.resend_wkc = u16::from_be_bytes(flags) & Self::RESEND_WKC != 0;
            }
        }
        Ok(found)
    }

    /// Writes the payload of a reset to the front of `payload` and returns its length in bytes: 0 if nothing is
    /// asked, or there is no room.
    pub fn write(self, payload: &mut [u8]) -> usize {
        match payload.first_chunk_mut() {
            Some(front) if self.resend_wkc => {
                *front = [0, 1, 0, 2, 0, 1];
                Self::LEN
            }
            _ => 0,
        }
    }
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let ([kind_high, kind_low, len_high, len_low], after) = rest.split_first_chunk()?;
    let len = u16::from_be_bytes([*len_high, *len_low]);
    let (value, after) = after.split_at_checked(len.into())?;
    *rest = after;
    Some((u16::from_be_bytes([*kind_high, *kind_low]), value))
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEER: [u8; 8] = *b"12345678";

    fn parse(opcode: Opcode, body: &[u8]) -> Option<Message<'_>> {
        Message::parse(opcode, body).ok()
    }

    #[test]
    fn reads_what_the_opcode_promises() {
        let body = [&[1, 0, 0, 0, 7][..], &PEER, &[0, 0, 0, 9], b"tls"].concat();
        let message = parse(Opcode::Control, &body).unwrap();
        assert_eq!((&message.acks[..], message.peer, message.id), (&[7][..], SessionId::new(PEER), Some(9)));
        assert_eq!(message.payload, b"tls");
        assert_eq!(parse(Opcode::ControlWkc, &body), Some(message));
        let ack = parse(Opcode::Ack, &body[..13]).unwrap();
        assert_eq!((ack.id, ack.payload), (None, &[][..]));
        let first = parse(Opcode::HardResetClientV2, &[0; 5]).unwrap();
        assert_eq!((first.acks.len(), first.peer, first.id), (0, None, Some(0)));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let nine = [&[9][..], &[0; 36], &PEER, &[7; 4]].concat();
        assert_eq!(parse(Opcode::Control, &nine), None);
        let eight = [&[8][..], &[0; 32], &PEER, &[7; 4]].concat();
        assert!(parse(Opcode::Control, &eight).is_some());
        for len in 0..eight.len() {
            assert_eq!(parse(Opcode::Control, &eight[..len]), None, "{len} bytes");
        }
        let without_peer = [&[1, 0, 0, 0, 7][..], &[0; 12]].concat();
        assert_eq!(parse(Opcode::Control, &without_peer), None);
        for reset in
            [Opcode::HardResetClientV2, Opcode::HardResetServerV2, Opcode::HardResetClientV3, Opcode::SoftReset]
        {
            assert!(parse(reset, &[0; 5]).is_some());
            assert_eq!(parse(reset, &[0, 0, 0, 0, 1]), None, "{reset:?} that is not the first");
        }
        assert_eq!(parse(Opcode::Control, &[0; 5]), None, "only a reset is the first");
        for other in [Opcode::HardResetClientV1, Opcode::HardResetServerV1, Opcode::DataV1, Opcode::DataV2] {
            assert_eq!(parse(other, &[0; 5]), None, "{other:?}");
        }
    }

    #[test]
    fn writes_nothing_that_it_would_not_read() {
        let mut buffer = [0; 64];
        let mut write =
            |acks: &[u32], peer| write_header(&mut PacketBuf::new(&mut buffer, 60, 4).unwrap(), acks, peer, None);
        assert_eq!(write(&[1], None), None);
        assert_eq!(write(&[0; 9], SessionId::new(PEER)), None);
        assert_eq!(write(&[0; 8], SessionId::new(PEER)), Some(()));
        assert_eq!(write_header(&mut PacketBuf::new(&mut [0; 4], 4, 0).unwrap(), &[], None, Some(1)), None);
    }

    #[test]
    fn early_negotiation_passes_over_what_it_does_not_know() {
        let parse = |payload: &[u8]| EarlyNegotiation::parse(payload).map(|early| early.resend_wkc);
        assert_eq!(parse(&[]), Ok(false));
        assert_eq!(parse(&[0, 1, 0, 2, 0, 1]), Ok(true));
        assert_eq!(parse(&[0, 1, 0, 2, 0, 2]), Ok(false));
        assert_eq!(parse(&[9, 9, 0, 1, 7, 0, 1, 0, 2, 0, 3]), Ok(true));
        assert_eq!(parse(&[9, 9, 0, 0]), Ok(false));
        for bad in
            [&[0][..], &[0, 1, 0], &[0, 1, 0, 2, 0], &[0, 1, 0, 3, 0, 1, 0], &[0, 1, 0, 0], &[9, 9, 0xff, 0xff, 1]]
        {
            assert_eq!(parse(bad), Err(Discard::ControlMalformed), "{bad:?}");
        }
        assert_eq!(EarlyNegotiation { resend_wkc: true }.write(&mut [0; 5]), 0);
        assert_eq!(EarlyNegotiation::default().write(&mut [0; 6]), 0);
        assert!(EarlyNegotiation::is_understood(0x0f00_0001) && !EarlyNegotiation::is_understood(1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(first in 1_u8..12, body in proptest::collection::vec(any::<u8>(), 0..80), count in 0_u8..12) {
            let opcode = crate::wire::opcode::Head::parse(first << 3).unwrap().opcode;
            let _ = EarlyNegotiation::parse(&body);
            let mut body = body;
            if let Some(first) = body.first_mut() {
                *first = count;
            }
            if let Ok(message) = Message::parse(opcode, &body) {
                // Whatever was read is written again as it was.
                let mut buffer = std::vec![0; MESSAGE_HEADER_MAX + message.payload.len()];
                buffer[MESSAGE_HEADER_MAX..].copy_from_slice(message.payload);
                let mut packet = PacketBuf::new(&mut buffer, MESSAGE_HEADER_MAX, message.payload.len()).unwrap();
                write_header(&mut packet, &message.acks, message.peer, message.id).unwrap();
                prop_assert_eq!(packet.as_slice(), body);
            }
        }
    }
}
