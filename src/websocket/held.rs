//! Bytes that wait for a decision, with their packets.

use std::collections::VecDeque;

use super::assembly::Arrival;
use crate::stream::{Chunk, Direction, Gap, PacketRef};

/// What such a piece costs beyond its bytes.
const PIECE_BYTES: usize = size_of::<Piece>();

/// Part of a stream.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    Gap(Gap),
    End(Direction, PacketRef),
}

/// A chunk of one's own.
#[derive(Clone, Debug)]
pub(super) struct Bytes {
    pub(super) direction: Direction,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) arrival: Arrival,
}

impl Bytes {
    /// Lends it from `from` on; `None` where nothing is left of it.
    pub(super) fn chunk(&self, from: u64) -> Option<Chunk<'_>> {
        let skip = usize::try_from(from.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let bytes = self.bytes.get(skip..).filter(|bytes| !bytes.is_empty())?;
        Some(Chunk {
            direction: self.direction,
            offset: self.offset.max(from),
            bytes,
            seen: self.arrival.seen,
            released: self.arrival.released,
        })
    }

    /// Stream offset after its last byte.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

/// Pieces in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) pieces: VecDeque<Piece>,
    size: usize,
}

impl Held {
    pub(super) fn push(&mut self, piece: Piece) {
        self.size = self.size.saturating_add(size_of_piece(&piece));
        // Rationale: most connections that turn out to be something else had one or two.
        if self.pieces.len() < 4 {
            self.pieces.reserve_exact(1);
        }
        self.pieces.push_back(piece);
    }

    pub(super) fn push_chunk(&mut self, chunk: &Chunk<'_>) {
        self.push(Piece::Bytes(Bytes {
            direction: chunk.direction,
            offset: chunk.offset,
            bytes: chunk.bytes.to_vec(),
            arrival: Arrival {
                seen: chunk.seen,
                released: chunk.released,
            },
        }));
    }

    /// Calls the direction of all that is held by its other name.
    pub(super) fn reverse(&mut self) {
        for piece in &mut self.pieces {
            match piece {
                Piece::Bytes(bytes) => bytes.direction = bytes.direction.reverse(),
                Piece::Gap(gap) => gap.direction = gap.direction.reverse(),
                Piece::End(direction, _) => *direction = direction.reverse(),
            }
        }
    }

    /// Takes the oldest piece out.
    pub(super) fn pop(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.size = self.size.saturating_sub(size_of_piece(&piece));
        Some(piece)
    }

    /// The oldest bytes.
    pub(super) fn first(&self) -> Option<&Piece> {
        self.pieces.front()
    }

    /// Bytes of memory held.
    pub(super) const fn size(&self) -> usize {
        self.size
    }
}

fn size_of_piece(piece: &Piece) -> usize {
    match piece {
        Piece::Bytes(bytes) => bytes.bytes.capacity().saturating_add(PIECE_BYTES),
        Piece::Gap(_) | Piece::End(..) => PIECE_BYTES,
    }
}
