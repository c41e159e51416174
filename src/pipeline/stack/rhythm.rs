//! TLS of which the beginning is missing: what the sizes and the order of its
//! records suggest, without a key.
//!
//! A WebSocket gives itself away by the masking key: what the client sends is
//! four bytes longer than the same frame of the server, and encryption keeps
//! lengths. A Ping and its Pong, an echo, a Close and its answer each show it.

use crate::stream::{Chunk, Direction, Gap, PacketRef, Sides, StreamEvent};

/// RFC 8446, section 5.2, and RFC 5246, section 6.2.3: the most that a record may hold.
const MAX_RECORD: u16 = (1 << 14) + 2_048;
/// RFC 6455, section 5.2: the masking key, which only the client's frames have.
const MASK: u16 = 4;
/// What encryption adds to a frame: TLS 1.3; TLS 1.2 with AES-GCM, with ChaCha20-Poly1305.
const ADDED: [u16; 3] = [17, 24, 16];
/// An alert of TLS 1.3, which looks like any other record: two bytes and what encryption adds.
const HIDDEN_ALERT: u16 = 2 + 17;
/// How many records in a row make a chain.
///
/// Rationale: a header has 4 to 5 bytes of which two are nearly fixed; two of
/// them at the distance that the first one names are no accident.
const CHAIN: u32 = 2;
/// How often a record of the one side has to be four bytes longer than its
/// neighbour of the other side, the Close frames included.
///
/// Rationale: lengths of small records differ by four in one of a hundred
/// unrelated pairs; three of them and an ending that fits are one in a million.
const AGREEING: u32 = 3;
/// How many of the newest records are kept: two Close frames and two alerts.
const KEPT: usize = 4;

/// Where a direction stands in its chain of records.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    header: [u8; 5],
    held: usize,
    /// Bytes of the record to come.
    left: u16,
    records: u32,
    /// The next record's place isn't known: it may begin with the next chunk.
    lost: bool,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    direction: Direction,
    alert: bool,
    len: u16,
    at: PacketRef,
}

/// The records of both directions, as far as they matter.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    chains: Sides<Chain>,
    /// Neighbours of which the one of this side is four bytes longer.
    longer: Sides<u32>,
    newest: Vec<Record>,
    first: Option<PacketRef>,
}

/// What suggests a WebSocket, and who is who in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suggested {
    /// The direction whose sender masks: the client.
    pub(super) client: Direction,
    /// The first record.
    pub(super) first: PacketRef,
    /// The record that has the size of a Close frame, by its sender.
    pub(super) close: Sides<PacketRef>,
}

impl Rhythm {
    /// Takes the next bytes, gap or end of one direction.
    pub(super) fn on_stream(&mut self, event: &StreamEvent<'_>) {
        match event {
            StreamEvent::Chunk(chunk) => self.on_chunk(chunk),
            StreamEvent::Gap(gap) => self.chains[gap.direction].on_gap(gap),
            StreamEvent::End(..) => {}
        }
    }

    /// These are records of TLS.
    pub(super) fn is_proven(&self) -> bool {
        self.chains
            .iter()
            .any(|(_, chain)| chain.records >= CHAIN && !chain.lost)
    }

    /// The first record.
    pub(super) fn first(&self) -> Option<PacketRef> {
        self.first
    }

    fn on_chunk(&mut self, chunk: &Chunk<'_>) {
        let mut rest = chunk.bytes;
        let chain = &mut self.chains[chunk.direction];
        if chain.lost {
            *chain = Chain {
                records: chain.records,
                ..Chain::default()
            };
        }
        while let Some((kind, len)) = chain.next(&mut rest) {
            let record = Record {
                direction: chunk.direction,
                alert: kind == 21,
                len,
                at: chunk.seen,
            };
            self.first.get_or_insert(chunk.seen);
            if let Some(before) = self.newest.last()
                && before.direction != record.direction
                && !before.alert
                && !record.alert
                && before.len.abs_diff(len) == MASK
            {
                let longer = if before.len > len { before } else { &record };
                self.longer[longer.direction] += 1;
            }
            if self.newest.len() == KEPT {
                self.newest.remove(0);
            }
            self.newest.push(record);
        }
    }

    /// The connection is over. What its records suggest, if they suggest a
    /// WebSocket that closed as it should.
    pub(super) fn suggested(&self) -> Option<Suggested> {
        let is_alert = |r: &Record| r.alert || r.len == HIDDEN_ALERT;
        let alerts = self.newest.iter().rev().take_while(|r| is_alert(r)).count();
        let frames = self.newest.len().saturating_sub(alerts);
        let [.., closer, other] = self.newest.get(..frames)? else {
            return None;
        };
        let answered = closer.direction != other.direction
            && closer.len.abs_diff(other.len) == MASK
            && alerts > 0;
        let client = if closer.len > other.len {
            closer
        } else {
            other
        }
        .direction;
        let size = closer.len.min(other.len);
        // RFC 6455, section 5.5: two bytes of header, at most 125 of payload; one alone is no status code.
        let may_be_close = ADDED.iter().any(|added| {
            size.checked_sub(*added)
                .is_some_and(|frame| frame == 2 || (4..=127).contains(&frame))
        });
        let agree = self.longer[client] >= AGREEING && self.longer[client.reverse()] == 0;
        if !(answered && may_be_close && agree) {
            return None;
        }
        let at = |direction| {
            if closer.direction == direction {
                closer.at
            } else {
                other.at
            }
        };
        Some(Suggested {
            client,
            first: self.first?,
            close: Sides::from_fn(at),
        })
    }
}

impl Chain {
    /// The next record that begins in `rest`: its type, and the length of what it holds.
    fn next(&mut self, rest: &mut &[u8]) -> Option<(u8, u16)> {
        let passed = usize::from(self.left).min(rest.len());
        *rest = rest.get(passed..)?;
        self.left = self.left.checked_sub(u16::try_from(passed).ok()?)?;
        while self.held < self.header.len() {
            let (byte, behind) = rest.split_first()?;
            *self.header.get_mut(self.held)? = *byte;
            self.held += 1;
            *rest = behind;
        }
        let [kind, major, minor, high, low] = self.header;
        let len = u16::from_be_bytes([high, low]);
        self.held = 0;
        // RFC 8446, section 5.1; type 24 is a heartbeat (RFC 6520).
        if !(20..=24).contains(&kind) || major != 3 || minor > 4 || !(1..=MAX_RECORD).contains(&len)
        {
            self.lost = true;
            *rest = &[];
            return None;
        }
        self.left = len;
        self.records = self.records.saturating_add(1);
        Some((kind, len))
    }

    fn on_gap(&mut self, gap: &Gap) {
        let inside = gap
            .len
            .and_then(|len| self.left.checked_sub(u16::try_from(len).ok()?));
        match inside {
            Some(left) => self.left = left,
            None => self.lost = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ClientToServer, ServerToClient};

    /// Records of these types and lengths, each in a packet of its own.
    fn rhythm(records: &[(Direction, u8, u16)]) -> Rhythm {
        let mut rhythm = Rhythm::default();
        for (number, (direction, kind, len)) in (1..).zip(records) {
            let mut bytes = vec![*kind, 3, 3];
            bytes.extend(len.to_be_bytes());
            bytes.resize(5 + usize::from(*len), 0xa5);
            let seen = PacketRef {
                number,
                ..PacketRef::default()
            };
            // In two pieces, the header torn.
            for bytes in bytes.chunks(3) {
                rhythm.on_stream(&StreamEvent::Chunk(Chunk {
                    direction: *direction,
                    offset: 0,
                    bytes,
                    seen,
                    released: seen,
                }));
            }
        }
        rhythm
    }

    const C: Direction = ClientToServer;
    const S: Direction = ServerToClient;

    #[test]
    fn masks_show_through_tls() {
        let told = rhythm(&[
            (C, 23, 27),
            (S, 23, 23),
            (S, 23, 700),
            (C, 23, 27),
            (S, 23, 23),
            (C, 23, 28),
            (S, 23, 24),
            (S, 23, 19),
            (C, 23, 19),
        ]);
        assert!(told.is_proven());
        let suggested = told.suggested().unwrap();
        assert_eq!(suggested.client, ClientToServer);
        let close = suggested.close;
        assert_eq!((close.client.number, close.server.number), (6, 7));
    }

    #[test]
    fn the_side_that_masks_is_the_client_whoever_spoke_first() {
        let pings = [(C, 23, 23), (S, 23, 27)];
        let close = [(C, 23, 21), (S, 23, 25), (C, 23, 19)];
        let told = rhythm(&[&pings[..], &pings, &close].concat());
        assert_eq!(told.suggested().unwrap().client, ServerToClient);
    }

    #[test]
    fn equal_answers_suggest_nothing() {
        let pings = [(C, 23, 23), (S, 23, 23)];
        let told = rhythm(&[&pings[..], &pings, &pings, &[(C, 23, 19)]].concat());
        assert!(told.is_proven() && told.suggested().is_none());
    }

    #[test]
    fn one_pair_that_fits_suggests_nothing() {
        let told = rhythm(&[
            (C, 23, 300),
            (S, 23, 9_000),
            (C, 23, 28),
            (S, 23, 24),
            (S, 23, 19),
        ]);
        assert_eq!(told.suggested(), None);
    }

    #[test]
    fn without_an_ending_nothing_is_suggested() {
        let pings = [(C, 23, 27), (S, 23, 23)];
        let told = rhythm(&[&pings[..], &pings, &pings, &pings].concat());
        assert_eq!(told.suggested(), None);
    }

    #[test]
    fn bytes_that_are_no_records_are_no_tls() {
        let mut rhythm = Rhythm::default();
        let seen = PacketRef::default();
        for bytes in [&b"\x16\x03\x01\0\x02ab"[..], b"*3\r\n$3\r\nSET\r\n"] {
            rhythm.on_stream(&StreamEvent::Chunk(Chunk {
                direction: C,
                offset: 0,
                bytes,
                seen,
                released: seen,
            }));
        }
        assert!(!rhythm.is_proven());
    }
}
