//! The first byte of every packet of a TLS link: what it is, and which key it belongs to (protocol section 3.1).

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A client's first packet with key method 1: obsolete.
    HardResetClientV1 = 1,
    /// A server's first packet with key method 1: obsolete.
    HardResetServerV1 = 2,
    /// The first packet of a renegotiation.
    SoftReset = 3,
    /// A piece of the TLS stream.
    Control = 4,
    /// Acknowledges control packets, and is itself not acknowledged.
    Ack = 5,
    /// Data.
    DataV1 = 6,
    /// The first packet of the TLS client.
    HardResetClientV2 = 7,
    /// The first packet of the TLS server.
    HardResetServerV2 = 8,
    /// Data with a peer-id.
    DataV2 = 9,
    /// The first packet of a TLS client with a tls-crypt-v2 key, which follows wrapped.
    HardResetClientV3 = 10,
    /// [`Opcode::Control`] with the wrapped client key once more.
    ControlWkc = 11,
}

impl Opcode {
    const ALL: [Self; 11] = [
        Self::HardResetClientV1,
        Self::HardResetServerV1,
        Self::SoftReset,
        Self::Control,
        Self::Ack,
        Self::DataV1,
        Self::HardResetClientV2,
        Self::HardResetServerV2,
        Self::DataV2,
        Self::HardResetClientV3,
        Self::ControlWkc,
    ];

    /// Whether the packet belongs to the data channel.
    pub const fn is_data(self) -> bool {
        matches!(self, Self::DataV1 | Self::DataV2)
    }

    /// Whether it is the first packet of a session; obsolete ones included.
    pub const fn is_hard_reset(self) -> bool {
        matches!(
            self,
            Self::HardResetClientV1
                | Self::HardResetServerV1
                | Self::HardResetClientV2
                | Self::HardResetServerV2
                | Self::HardResetClientV3
        )
    }
}

/// Which of a session's keys a packet belongs to: 0 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(u8);

impl KeyId {
    /// The first key of a session.
    pub const FIRST: Self = Self(0);

    const MASK: u8 = 7;

    /// Its number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The key of the next renegotiation: after 7 comes 1, for 0 is never used again (protocol section 3.13).
    pub const fn next(self) -> Self {
        match self.0 {
            Self::MASK => Self(1),
            id => Self(id.saturating_add(1)),
        }
    }
}

/// The first byte of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// What the packet is.
    pub opcode: Opcode,
    /// Which key it belongs to.
    pub key_id: KeyId,
}

impl Head {
    const SHIFT: u32 = 3;

    /// `None` if there is no such opcode.
    pub fn parse(first_byte: u8) -> Option<Self> {
        let code = first_byte >> Self::SHIFT;
        let opcode = Opcode::ALL.into_iter().find(|opcode| *opcode as u8 == code)?;
        Some(Self { opcode, key_id: KeyId(first_byte & KeyId::MASK) })
    }

    /// The byte as it is sent.
    pub const fn byte(self) -> u8 {
        (self.opcode as u8) << Self::SHIFT | self.key_id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_an_opcode_and_a_key_or_nothing() {
        for byte in 0..=u8::MAX {
            let head = Head::parse(byte);
            assert_eq!(head.is_some(), (0x08..0x60).contains(&byte), "{byte:#04x}");
            if let Some(head) = head {
                assert_eq!(head.byte(), byte);
            }
        }
        let head = Head::parse(0x39).unwrap();
        assert_eq!((head.opcode, head.key_id.get()), (Opcode::HardResetClientV2, 1));
        assert!(head.opcode.is_hard_reset() && !head.opcode.is_data());
        assert!(Opcode::DataV2.is_data() && !Opcode::SoftReset.is_hard_reset());
    }

    #[test]
    fn key_zero_comes_once() {
        let mut key = KeyId::FIRST;
        let ids = [(); 9].map(|()| {
            key = key.next();
            key.get()
        });
        assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 1, 2]);
    }
}
