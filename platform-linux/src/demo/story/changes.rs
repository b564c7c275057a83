//! What happens to the link while it is in use.

use std::net::Ipv4Addr;

use super::super::trouble::Trouble;
use super::Link;

/// Where home moves first.
const HOME_MOVED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 99);
/// Where home and office move then.
const BOTH_MOVED: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 140), Ipv4Addr::new(198, 51, 100, 77)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    HomeMoves,
    BothMove,
    OfficeDies,
}

impl Change {
    /// In the order of the story.
    pub(super) const ALL: [Self; 3] = [Self::HomeMoves, Self::BothMove, Self::OfficeDies];

    /// As a step that is finished when the link has come back.
    pub(super) fn announcement(self) -> &'static str {
        match self {
            Self::HomeMoves => "Home gets another address; the link comes back",
            Self::BothMove => "Both get other addresses at once; only names tell",
            Self::OfficeDies => "The office gateway is killed and started again",
        }
    }

    /// As a line of the table.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::HomeMoves => "home has got another address",
            Self::BothMove => "both have got other addresses at once",
            Self::OfficeDies => "the office gateway was killed and restarted",
        }
    }

    /// Lets it happen. The names follow an address when it has changed, as those of dynamic DNS.
    pub(super) fn happen(self, link: &mut Link) -> Result<(), Trouble> {
        let Link { topology, names, gateways, .. } = link;
        match self {
            Self::HomeMoves => topology.home.move_to(HOME_MOVED)?,
            Self::BothMove => {
                topology.home.move_to(BOTH_MOVED[0])?;
                topology.office.move_to(BOTH_MOVED[1])?;
            }
            Self::OfficeDies => gateways.replace_office(topology)?,
        }
        Ok(names.publish(&topology.names())?)
    }
}
