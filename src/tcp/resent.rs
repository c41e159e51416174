//! Whether what was sent again had been lost, or only its acknowledgment was late.

use crate::packet::Segment;

/// The newest retransmission of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Resent {
    /// Nothing to judge.
    #[default]
    Nothing,
    /// Not acknowledged since.
    Waiting {
        /// Stream offset after it.
        end: u64,
        /// TSval of the first time that it was sent again.
        stamp: Option<u32>,
    },
    /// Acknowledged, and taken for lost until a D-SACK says otherwise.
    TakenForLost,
}

impl Resent {
    /// Payload up to `end` was sent again.
    pub(super) fn sent(&mut self, end: u64, segment: &Segment<'_>) {
        *self = match *self {
            Self::Waiting { end: before, stamp } => Self::Waiting {
                end: before.max(end),
                stamp,
            },
            _ => Self::Waiting {
                end,
                stamp: segment.options.timestamps.map(|(stamp, _)| stamp),
            },
        };
    }

    /// The usual case.
    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// An acknowledgment of everything before `upto`. Returns true if it shows
    /// that sending again was needless: it reports bytes that came twice (D-SACK, RFC 2883), or
    /// answers a segment that is older than the repetition (Eifel detection, RFC 3522).
    pub(super) fn acked(&mut self, upto: u64, segment: &Segment<'_>) -> bool {
        let twice = segment
            .options
            .sack
            .is_some_and(|(_, right)| segment.ack.distance(right) >= 0);
        match *self {
            Self::Nothing => false,
            _ if twice => {
                *self = Self::Nothing;
                true
            }
            Self::Waiting { end, stamp } if upto >= end => {
                let echoed = segment.options.timestamps.map(|(_, echoed)| echoed);
                let older = match (stamp, echoed) {
                    (Some(stamp), Some(echoed)) => {
                        echoed != 0 && (1..1 << 31).contains(&stamp.wrapping_sub(echoed))
                    }
                    _ => false,
                };
                *self = if older {
                    Self::Nothing
                } else {
                    Self::TakenForLost
                };
                older
            }
            Self::Waiting { .. } | Self::TakenForLost => false,
        }
    }
}
