//! Holds one direction's events until it is known what its bytes are.

use std::collections::VecDeque;

use crate::stream::{Chunk, Direction, Gap, GapCause, PacketRef, StreamEvent};

/// How many bytes one direction may wait.
///
/// Rationale: what a client sends before the answer is a first message or two,
/// and what a server sends before its question was seen is one response.
pub(super) const HELD_MAX: usize = 64 * 1024;

/// How many chunks one direction may wait.
///
/// Rationale: a chunk of one byte costs a hundred times its size in bookkeeping.
const PIECES_MAX: usize = 1024;

/// Events of one direction in order, with one copy of their bytes.
#[derive(Debug, Default)]
pub(super) struct Held {
    pieces: VecDeque<Piece>,
    /// The bytes of all pieces, one behind the other, from `start`.
    bytes: Vec<u8>,
    start: usize,
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    Bytes {
        offset: u64,
        len: usize,
        seen: PacketRef,
        released: PacketRef,
    },
    Gap(Gap),
    End(PacketRef),
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn buffered(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }

    /// Whether bytes were or would be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.buffered() >= HELD_MAX
            || self.pieces.len() >= PIECES_MAX
            || self.lost_at_end().is_some()
    }

    /// The first bytes, if bytes come first.
    pub(super) fn front(&self) -> Option<&[u8]> {
        match self.pieces.front()? {
            Piece::Bytes { len, .. } => self.bytes.get(self.start..self.start.checked_add(*len)?),
            Piece::Gap(_) | Piece::End(_) => None,
        }
    }

    /// How many bytes were sent before this packet, lost ones included, and the first packet with such.
    pub(super) fn sent_before(&self, packet: PacketRef) -> Option<(PacketRef, u64)> {
        let sizes = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Bytes { len, seen, .. } => Some((*seen, u64::try_from(*len).ok()?)),
            Piece::Gap(gap) => Some((gap.at, gap.len.unwrap_or(0))),
            Piece::End(_) => None,
        });
        sizes
            .filter(|(seen, _)| *seen < packet)
            .reduce(|(first, sum), (_, len)| (first, sum.saturating_add(len)))
            .filter(|(_, sum)| *sum > 0)
    }

    /// Takes an event to the end of the queue; what goes over the limits becomes a gap.
    pub(super) fn push(&mut self, event: &StreamEvent<'_>) {
        match event {
            StreamEvent::Chunk(chunk) if self.fits(chunk) => self.push_bytes(chunk),
            StreamEvent::Chunk(chunk) => self.push_gap(Gap {
                direction: chunk.direction,
                offset: chunk.offset,
                len: u64::try_from(chunk.bytes.len()).ok(),
                cause: GapCause::LimitReached,
                at: chunk.seen,
            }),
            StreamEvent::Gap(gap) => self.push_gap(*gap),
            StreamEvent::End(_, at) => self.pieces.push_back(Piece::End(*at)),
        }
    }

    /// The first event, lent.
    pub(super) fn first(&self, direction: Direction) -> Option<StreamEvent<'_>> {
        Some(match *self.pieces.front()? {
            Piece::Bytes {
                offset,
                seen,
                released,
                ..
            } => {
                let bytes = self.front().unwrap_or_default();
                StreamEvent::Chunk(Chunk {
                    direction,
                    offset,
                    bytes,
                    seen,
                    released,
                })
            }
            Piece::Gap(gap) => StreamEvent::Gap(gap),
            Piece::End(at) => StreamEvent::End(direction, at),
        })
    }

    /// Drops so many bytes of the first event; all of it if they are all, or if it has none.
    pub(super) fn consume(&mut self, count: usize) {
        match self.pieces.front_mut() {
            Some(Piece::Bytes { offset, len, .. }) => {
                let count = count.min(*len);
                self.start = self.start.saturating_add(count);
                *len -= count;
                *offset = offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                if *len == 0 {
                    self.pieces.pop_front();
                }
            }
            _ => drop(self.pieces.pop_front()),
        }
        if self.pieces.is_empty() {
            *self = Self::default();
        }
    }

    fn lost_at_end(&self) -> Option<&Gap> {
        match self.pieces.back() {
            Some(Piece::Gap(gap)) if gap.cause == GapCause::LimitReached => Some(gap),
            _ => None,
        }
    }

    /// Once bytes were dropped nothing fits any more: one gap at the end, not a comb of them.
    fn fits(&self, chunk: &Chunk<'_>) -> bool {
        self.lost_at_end().is_none()
            && self.pieces.len() < PIECES_MAX
            && self.buffered().saturating_add(chunk.bytes.len()) <= HELD_MAX
    }

    fn push_bytes(&mut self, chunk: &Chunk<'_>) {
        if self.start > HELD_MAX {
            self.bytes.drain(..self.start.min(self.bytes.len()));
            self.start = 0;
        }
        self.bytes.extend_from_slice(chunk.bytes);
        let (offset, len) = (chunk.offset, chunk.bytes.len());
        self.pieces.push_back(Piece::Bytes {
            offset,
            len,
            seen: chunk.seen,
            released: chunk.released,
        });
    }

    fn push_gap(&mut self, gap: Gap) {
        let full = self.pieces.len() >= PIECES_MAX;
        match self.pieces.back_mut() {
            // Loss behind loss to the limit is one gap.
            Some(Piece::Gap(last)) if last.cause == GapCause::LimitReached || full => {
                let end = gap.len.and_then(|len| gap.offset.checked_add(len));
                last.len = end.and_then(|end| end.checked_sub(last.offset));
            }
            _ => self.pieces.push_back(Piece::Gap(gap)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::ClientToServer;

    fn chunk(offset: u64, bytes: &[u8]) -> StreamEvent<'_> {
        let packet = PacketRef {
            number: offset,
            ..PacketRef::default()
        };
        let direction = ClientToServer;
        StreamEvent::Chunk(Chunk {
            direction,
            offset,
            bytes,
            seen: packet,
            released: packet,
        })
    }

    #[test]
    fn what_is_consumed_in_part_goes_on_behind_it() {
        let mut held = Held::default();
        held.push(&chunk(5, b"abc"));
        held.push(&chunk(8, b"d"));
        held.consume(2);
        let Some(StreamEvent::Chunk(first)) = held.first(ClientToServer) else {
            panic!("bytes")
        };
        assert_eq!((first.offset, first.bytes), (7, &b"c"[..]));
        held.consume(1);
        assert_eq!(held.first(ClientToServer), Some(chunk(8, b"d")));
        held.consume(1);
        assert!(held.is_empty() && held.buffered() == 0);
    }

    #[test]
    fn many_small_chunks_end_in_one_gap() {
        let mut held = Held::default();
        for offset in 0..5_000 {
            held.push(&chunk(offset, b"x"));
        }
        assert!(held.is_full());
        (0..PIECES_MAX).for_each(|_| held.consume(1));
        let Some(StreamEvent::Gap(gap)) = held.first(ClientToServer) else {
            panic!("a gap")
        };
        let limit = u64::try_from(PIECES_MAX).unwrap();
        assert_eq!(
            (gap.offset, gap.len, gap.cause),
            (limit, Some(5_000 - limit), GapCause::LimitReached)
        );
        held.consume(0);
        assert!(held.is_empty());
    }
}
