//! Payload that came before its turn.

use std::collections::BTreeMap;

use crate::stream::PacketRef;

/// What a piece costs beside its bytes.
///
/// Rationale: its entry in the tree, which is half empty at worst, and the
/// allocator's share; without it, a stream of one-byte segments holds a
/// hundred times the limit.
const PIECE_COST: usize = 2 * size_of::<(u64, Piece)>();

/// A run of payload, copied out of its packet.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// Bytes after `bytes` that the snap length cut off.
    pub(super) cut: u64,
    pub(super) origin: Origin,
}

/// The packet that a piece came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) seen: PacketRef,
    pub(super) ip_id: Option<u16>,
}

impl Piece {
    fn len(&self) -> u64 {
        self.bytes.len() as u64 + self.cut
    }

    fn cost(&self) -> usize {
        self.bytes.capacity().saturating_add(PIECE_COST)
    }
}

/// Pieces by stream offset; they never overlap. The first bytes seen win
/// (as with most receivers; a conflict is reported as a fact).
#[derive(Debug, Default)]
pub(super) struct Held {
    pieces: BTreeMap<u64, Piece>,
    bytes: usize,
}

impl Held {
    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Offset of the first held byte.
    pub(super) fn start(&self) -> Option<u64> {
        self.pieces.first_key_value().map(|(offset, _)| *offset)
    }

    /// Where the first held byte came from.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.pieces.first_key_value().map(|(_, piece)| piece.origin)
    }

    /// Every byte from `offset` on, `len` of them, is held already.
    pub(super) fn covers(&self, offset: u64, len: u64) -> bool {
        let end = offset.saturating_add(len);
        let mut at = offset;
        for (start, piece) in self.pieces.range(..end) {
            let piece_end = start.saturating_add(piece.len());
            if piece_end <= at {
                continue;
            }
            if *start > at {
                return false;
            }
            at = piece_end;
        }
        at >= end
    }

    /// Keeps those bytes of a segment that are not held yet. Returns true if
    /// bytes that are held have another content.
    pub(super) fn insert(
        &mut self,
        mut offset: u64,
        mut bytes: &[u8],
        mut cut: u64,
        origin: Origin,
    ) -> bool {
        let mut conflict = false;
        while !bytes.is_empty() || cut > 0 {
            let end = offset
                .saturating_add(bytes.len() as u64)
                .saturating_add(cut);
            // A piece that reaches into what is left, from before or from within.
            let overlap = self
                .pieces
                .range(..end)
                .rev()
                .take_while(|(start, piece)| start.saturating_add(piece.len()) > offset)
                .last()
                .map(|(start, piece)| (*start, piece));
            let Some((start, piece)) = overlap else {
                self.put(offset, bytes, cut, origin);
                break;
            };
            let free = usize::try_from(start.saturating_sub(offset)).unwrap_or(usize::MAX);
            let (before, rest) = bytes.split_at_checked(free).unwrap_or((bytes, &[]));
            conflict |= differs(piece, start, offset, bytes);
            let piece_end = start.saturating_add(piece.len());
            if free > 0 {
                let short = free.saturating_sub(before.len()) as u64;
                self.put(offset, before, short.min(cut), origin);
            }
            let skip = piece_end.saturating_sub(start.max(offset));
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(rest.len());
            cut = cut.min(end.saturating_sub(piece_end));
            bytes = rest.get(skipped..).unwrap_or(&[]);
            offset = piece_end;
            if offset >= end {
                break;
            }
        }
        conflict
    }

    fn put(&mut self, offset: u64, bytes: &[u8], cut: u64, origin: Origin) {
        let piece = Piece {
            bytes: bytes.to_vec(),
            cut,
            origin,
        };
        self.bytes = self.bytes.saturating_add(piece.cost());
        self.pieces.insert(offset, piece);
    }

    /// Takes out the first piece.
    pub(super) fn pop(&mut self) -> Option<(u64, Piece)> {
        let (offset, piece) = self.pieces.pop_first()?;
        self.bytes = self.bytes.saturating_sub(piece.cost());
        Some((offset, piece))
    }
}

/// The bytes of a segment at `offset` contradict what `piece` holds at `start`.
fn differs(piece: &Piece, start: u64, offset: u64, bytes: &[u8]) -> bool {
    let from = start.max(offset);
    let theirs = usize::try_from(from.saturating_sub(start))
        .ok()
        .and_then(|n| piece.bytes.get(n..));
    let ours = usize::try_from(from.saturating_sub(offset))
        .ok()
        .and_then(|n| bytes.get(n..));
    match (theirs, ours) {
        (Some(theirs), Some(ours)) => theirs.iter().zip(ours).any(|(a, b)| a != b),
        _ => false,
    }
}
