//! What only a timeline needs: when segments were sent again, when a window was
//! closed, when anything was sent at all. Kept for those sessions that somebody
//! asked for, and of their connections from the first packet on.

use std::time::Duration;

use crate::stream::{Direction, PacketRef};
use crate::{tcp, websocket};

/// Rationale: of each kind more than anybody reads; 100 KB at most.
const KEPT: usize = 1_024;
/// Rationale: a heartbeat every 30 s for three days is 8,640 spans; 1 MB at most.
const SPANS: usize = 10_000;
/// Rationale: shorter pauses are nothing that a heartbeat or a timer would notice.
pub const SILENCE: Duration = Duration::from_secs(1);

/// Segments of one side that were sent again, one soon after the other or the same ones over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentAgain {
    /// Who sent them.
    pub direction: Direction,
    /// The first of them.
    pub first: PacketRef,
    /// The last of them.
    pub last: PacketRef,
    /// How many.
    pub count: u64,
    /// Their payload.
    pub bytes: u64,
    /// Where the last one begins in its stream.
    offset: u64,
}

/// Keep-alive or zero-window probes of one side with no payload between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probes {
    /// Who sent them.
    pub direction: Direction,
    /// The first of them.
    pub first: PacketRef,
    /// The last of them.
    pub last: PacketRef,
    /// How many.
    pub count: u64,
}

/// A time in which a side accepted no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedWindow {
    /// Which side.
    pub direction: Direction,
    /// Since when.
    pub since: PacketRef,
    /// Until when; `None` if nothing opened it.
    pub until: Option<PacketRef>,
}

/// A time in which payload passed, without a second between one segment and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first payload.
    pub from: PacketRef,
    /// The last payload.
    pub to: PacketRef,
    /// Segments and bytes of the client.
    pub client: (u64, u64),
    /// Segments and bytes of the server.
    pub server: (u64, u64),
}

/// Where the place of the next frame was lost or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whose frames.
    pub direction: Direction,
    /// The packet that shows it.
    pub at: PacketRef,
    /// What happened.
    pub what: TurnKind,
}

/// What happened to the place of the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnKind {
    /// Frames can't be told from here on.
    Lost,
    /// They can again; so many captured bytes were passed over.
    Found(u64),
    /// They could not be told to the end; so many captured bytes are in none.
    Unread(u64),
    /// Compressed messages can't be read from here on.
    ContextLost,
}

/// A connection's facts that only a timeline needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Segments sent again: the first 1,024 episodes.
    pub again: Vec<SentAgain>,
    /// Probes: the first 1,024 runs of them.
    pub probes: Vec<Probes>,
    /// Closed windows: the first 1,024.
    pub windows: Vec<ClosedWindow>,
    /// Frames lost and found: the first 1,024.
    pub turns: Vec<Turn>,
    /// When payload passed: the first 10,000 spans.
    pub spans: Vec<Span>,
    /// Facts that were left out for want of room.
    pub left_out: u64,
}

impl Timeline {
    /// Takes a fact of TCP.
    pub(super) fn on_tcp(&mut self, event: &tcp::Event) {
        use tcp::Event as E;
        match *event {
            E::Payload { direction, at, len } => self.on_payload(direction, at, len),
            E::Retransmission {
                direction,
                at,
                offset,
                len,
                ..
            } => self.on_again(direction, at, offset, len),
            E::Probe { direction, at } => self.on_probe(direction, at),
            E::WindowClosed { direction, at } => {
                let closed = ClosedWindow {
                    direction,
                    since: at,
                    until: None,
                };
                keep(&mut self.windows, closed, KEPT, &mut self.left_out);
            }
            E::WindowOpened { direction, at } => {
                let newest = self.windows.iter_mut().rev();
                let mut closed = newest.filter(|window| window.direction == direction);
                if let Some(window) = closed.next().filter(|window| window.until.is_none()) {
                    window.until = Some(at);
                }
            }
            _ => {}
        }
    }

    fn on_payload(&mut self, direction: Direction, at: PacketRef, len: u32) {
        let full = self.spans.len() >= SPANS;
        let span = match self.spans.last_mut() {
            Some(span) if full || at.time.saturating_since(span.to.time) < SILENCE => span,
            _ => {
                self.spans.push(Span {
                    from: at,
                    to: at,
                    client: (0, 0),
                    server: (0, 0),
                });
                let Some(span) = self.spans.last_mut() else {
                    return;
                };
                span
            }
        };
        span.to = span.to.max(at);
        let side = match direction {
            Direction::ClientToServer => &mut span.client,
            Direction::ServerToClient => &mut span.server,
        };
        side.0 = side.0.saturating_add(1);
        side.1 = side.1.saturating_add(u64::from(len));
    }

    fn on_again(&mut self, direction: Direction, at: PacketRef, offset: u64, len: u32) {
        let newest = self.again.iter_mut().rev();
        let mut same = newest.filter(|again| again.direction == direction);
        if let Some(again) = same.next()
            && (again.offset == offset || at.time.saturating_since(again.last.time) < SILENCE)
        {
            again.last = again.last.max(at);
            again.count = again.count.saturating_add(1);
            again.bytes = again.bytes.saturating_add(u64::from(len));
            again.offset = offset;
            return;
        }
        let again = SentAgain {
            direction,
            first: at,
            last: at,
            count: 1,
            bytes: u64::from(len),
            offset,
        };
        keep(&mut self.again, again, KEPT, &mut self.left_out);
    }

    fn on_probe(&mut self, direction: Direction, at: PacketRef) {
        let spoken = self.spans.last().map(|span| span.to);
        let newest = self.probes.iter_mut().rev();
        let mut same = newest.filter(|probes| probes.direction == direction);
        if let Some(probes) = same.next()
            && Some(probes.first) > spoken
        {
            probes.last = probes.last.max(at);
            probes.count = probes.count.saturating_add(1);
            return;
        }
        let probes = Probes {
            direction,
            first: at,
            last: at,
            count: 1,
        };
        keep(&mut self.probes, probes, KEPT, &mut self.left_out);
    }

    /// Takes a fact of the WebSocket layer.
    pub(super) fn on_websocket(&mut self, event: &websocket::Event) {
        use websocket::Event as E;
        let (direction, at, what) = match *event {
            E::LostSync { direction, at } => (direction, at, TurnKind::Lost),
            E::Resynced {
                direction,
                at,
                skipped,
                ..
            } => (direction, at, TurnKind::Found(skipped)),
            E::Unread {
                direction,
                at,
                bytes,
            } => (direction, at, TurnKind::Unread(bytes)),
            E::ContextLost { direction, at } => (direction, at, TurnKind::ContextLost),
            _ => return,
        };
        let turn = Turn {
            direction,
            at,
            what,
        };
        keep(&mut self.turns, turn, KEPT, &mut self.left_out);
    }

    /// The first guess at who is the client was wrong.
    pub(super) fn swap_sides(&mut self) {
        let again = self.again.iter_mut().map(|again| &mut again.direction);
        let probes = self.probes.iter_mut().map(|probes| &mut probes.direction);
        let windows = self.windows.iter_mut().map(|window| &mut window.direction);
        let turns = self.turns.iter_mut().map(|turn| &mut turn.direction);
        for direction in again.chain(probes).chain(windows).chain(turns) {
            *direction = direction.reverse();
        }
        for span in &mut self.spans {
            std::mem::swap(&mut span.client, &mut span.server);
        }
    }
}

fn keep<T>(kept: &mut Vec<T>, item: T, most: usize, left_out: &mut u64) {
    if kept.len() < most {
        kept.push(item);
    } else {
        *left_out = left_out.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Direction::{ClientToServer, ServerToClient};
    use crate::time::Timestamp;

    fn at(ms: i64) -> PacketRef {
        PacketRef {
            time: Timestamp::from_nanos(ms * 1_000_000),
            number: ms.unsigned_abs(),
            ..PacketRef::default()
        }
    }

    fn again(ms: i64, offset: u64) -> tcp::Event {
        tcp::Event::Retransmission {
            direction: ClientToServer,
            at: at(ms),
            offset,
            len: 10,
            acked: false,
        }
    }

    #[test]
    fn the_same_segment_again_and_again_is_one_episode() {
        let mut timeline = Timeline::default();
        for ms in [200, 600, 1_400, 3_000, 6_200] {
            timeline.on_tcp(&again(ms, 7));
        }
        timeline.on_tcp(&again(60_000, 900));
        let told: Vec<_> = timeline.again.iter().map(|a| (a.first, a.count)).collect();
        assert_eq!(told, [(at(200), 5), (at(60_000), 1)]);
    }

    #[test]
    fn probes_of_two_silences_stay_apart() {
        let mut timeline = Timeline::default();
        let direction = ServerToClient;
        for ms in [1_000, 2_000, 5_000] {
            if ms == 5_000 {
                let (direction, at) = (ClientToServer, at(4_000));
                timeline.on_tcp(&tcp::Event::Payload {
                    direction,
                    at,
                    len: 1,
                });
            }
            timeline.on_tcp(&tcp::Event::Probe {
                direction,
                at: at(ms),
            });
        }
        let counts: Vec<_> = timeline.probes.iter().map(|probes| probes.count).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn spans_end_where_a_second_passes_and_stay_bounded() {
        let mut timeline = Timeline::default();
        let many = i64::try_from(SPANS).unwrap_or(0) + 5;
        for second in 0..many {
            let (direction, at) = (ClientToServer, at(second * 2_000));
            timeline.on_tcp(&tcp::Event::Payload {
                direction,
                at,
                len: 3,
            });
        }
        assert_eq!(timeline.spans.len(), SPANS);
        let segments: u64 = timeline.spans.iter().map(|span| span.client.0).sum();
        assert_eq!(segments, many.unsigned_abs());
    }
}
