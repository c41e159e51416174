//! What a connection that was recognised hands on to the one that reads its frames.

use super::held::Piece;
use super::recognition::search;
use super::{Connection, Event, Recognised, Recognition, Wants};
use crate::stream::{Chunk, Direction, Gap, Sides, StreamEvent};

impl Recognition {
    /// The connection, into which all that was held has been fed; what shows in it goes to `out`.
    ///
    /// It and its events call the client's direction `ClientToServer`: a
    /// caller that was answered `client: ServerToClient` exchanges its labels
    /// before it feeds the connection on. Events are in the order of their own direction.
    pub fn into_connection(mut self, wants: Wants, out: &mut impl FnMut(Event)) -> Connection {
        let mut connection = Connection::mid_stream(wants);
        let exchanged = self.is_exchanged();
        let turn = |direction: Direction| {
            if exchanged {
                direction.reverse()
            } else {
                direction
            }
        };
        let mut read = Sides::default();
        for direction in Direction::BOTH {
            read[direction] = self.hand_on(&mut connection, direction, out);
        }
        while let Some(piece) = self.held.pop() {
            match &piece {
                Piece::Bytes(bytes) => {
                    if let Some(chunk) = bytes.chunk(0)
                        && !read[chunk.direction]
                    {
                        let direction = turn(chunk.direction);
                        let chunk = Chunk { direction, ..chunk };
                        connection.on_stream(&StreamEvent::Chunk(chunk), out);
                    }
                }
                Piece::Gap(gap) if read[gap.direction] => {}
                Piece::Gap(gap) => {
                    let direction = turn(gap.direction);
                    let gap = Gap { direction, ..*gap };
                    connection.on_stream(&StreamEvent::Gap(gap), out);
                }
                Piece::End(direction, at) => {
                    connection.on_stream(&StreamEvent::End(turn(*direction), *at), out);
                }
            }
        }
        connection
    }

    /// The labels of the directions are the wrong way round.
    fn is_exchanged(&self) -> bool {
        matches!(self.answer, Recognised::Frames { client } if client == Direction::ServerToClient)
    }

    /// Prepares a direction of which bytes had to go. Returns true where nothing
    /// of it is to be fed: the frames that were found go on from their proof, and a search
    /// of which nothing is held goes on where it is.
    fn hand_on(
        &mut self,
        connection: &mut Connection,
        direction: Direction,
        out: &mut impl FnMut(Event),
    ) -> bool {
        let exchanged = self.is_exchanged();
        let label = if exchanged {
            direction.reverse()
        } else {
            direction
        };
        let begins = {
            let [search, _] = &self.searches[direction];
            search.beginning
        };
        let Some(gap) = self.dropped[direction] else {
            if let Some(offset) = begins {
                connection.search_from(label, offset);
            }
            return false;
        };
        let proof = self.proof.take_if(|(proven, _)| *proven == direction);
        let gap = Gap {
            direction: label,
            ..gap
        };
        if proof.is_none() && !self.is_skimmed(direction) {
            connection.pass_over(label, self.passed[direction]);
            connection.on_stream(&StreamEvent::Gap(gap), out);
            return false;
        }
        out(gap_event(&gap));
        if let Some((_, mut found)) = proof {
            self.tell_gaps_before(direction, found.start, out);
            if exchanged {
                found.held.reverse();
            }
            connection.resume(label, &found, out);
        } else {
            let [as_client, as_server] = &mut self.searches[direction];
            let mut search = match label {
                Direction::ClientToServer => std::mem::replace(as_client, search(true)),
                Direction::ServerToClient => std::mem::replace(as_server, search(false)),
            };
            if exchanged {
                search.held.reverse();
            }
            connection.take_over(label, Box::new(search));
        }
        true
    }

    /// Gaps that are held, and lie before the frames that were found.
    fn tell_gaps_before(&self, direction: Direction, start: u64, out: &mut impl FnMut(Event)) {
        for piece in &self.held.pieces {
            if let Piece::Gap(gap) = piece
                && (gap.direction, gap.offset <= start) == (direction, true)
            {
                let direction = match self.is_exchanged() {
                    true => direction.reverse(),
                    false => direction,
                };
                out(gap_event(&Gap { direction, ..*gap }));
            }
        }
    }
}

/// A gap behind which nobody knew where frames begin.
fn gap_event(gap: &Gap) -> Event {
    Event::Gap {
        direction: gap.direction,
        cause: gap.cause,
        at: gap.at,
        in_step: false,
    }
}
