//! One connection that is captured on both sides of an address translation: the
//! same TCP segments under other addresses, which count once.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::packet::{Segment, Seq};
use crate::session::{Capture, FarSide, Leg, SameAs, Session};
use crate::stream::PacketRef;

/// Rationale: both sides are on one path; 10 s allow for two clocks.
const APART: Duration = Duration::from_secs(10);
/// Rationale: 100 bytes each, so 800 KB; as many connections as begin within a moment.
const KEPT: usize = 8_192;
/// Rationale: the first segments tell; later ones need not be looked at.
pub(super) const LOOKED_AT: u8 = 4;
/// Rationale: an upgrade request's key stands within the first bytes.
const COMPARED: usize = 1_024;
/// Rationale: 3 KB each, so 12 MB.
const FAR_SIDES: usize = 4_096;
/// Rationale: a report names the first few.
const NAMED: usize = 16;

/// What tells a segment from others with the same content.
#[derive(Clone, Copy, Debug)]
struct Print {
    tcp_stream: u32,
    /// Which of its connection's first segments it is.
    place: u8,
    at: PacketRef,
    seq: Seq,
    ip_id: Option<u16>,
    stamped: bool,
    hosts: (IpAddr, IpAddr),
}

/// The first segments of recent connections, by content, and the far sides that were found.
#[derive(Debug, Default)]
pub(crate) struct Translations {
    recent: HashMap<u64, Print, foldhash::fast::RandomState>,
    order: VecDeque<u64>,
    far: HashMap<u32, FarSide, foldhash::fast::RandomState>,
    /// Connections that turned out to be the far side of one that began later.
    behind: HashMap<u32, SameAs, foldhash::fast::RandomState>,
}

impl Translations {
    /// The connection that this one, `tcp_stream`, is the far side of, as its
    /// first segments tell. `place` counts them.
    pub(super) fn same_as(
        &mut self,
        segment: &Segment<'_>,
        tcp_stream: u32,
        place: u8,
    ) -> Option<SameAs> {
        if let Some(same_as) = self.behind.remove(&tcp_stream) {
            return Some(same_as);
        }
        let stamp = segment.options.timestamps.map(|(value, _)| value);
        // A SYN has no content; its timestamp stands in for one.
        if segment.payload.is_empty() && stamp.is_none() {
            return None;
        }
        let content = segment.payload.get(..COMPARED).unwrap_or(segment.payload);
        let content = (segment.flags.syn(), segment.wire_len, stamp, content);
        let content = self.recent.hasher().hash_one(content);
        let print = Print {
            tcp_stream,
            place,
            at: segment.at,
            seq: segment.seq,
            ip_id: segment.ip_id.filter(|id| *id != 0),
            stamped: stamp.is_some(),
            hosts: (segment.from.ip, segment.to.ip),
        };
        match self.recent.get(&content).copied() {
            Some(known) if known.is_recent(segment.at) => {
                let answer = segment.flags.syn() && segment.flags.ack();
                self.compare(&known, &print, answer)
            }
            _ => {
                self.remember(content, print);
                None
            }
        }
    }

    /// What the client sends passes the client's side first. A SYN-ACK passes
    /// the server's side first: then the connection that began later is the
    /// client's, where its SYN is missing from the capture.
    fn compare(&mut self, known: &Print, print: &Print, answer: bool) -> Option<SameAs> {
        if known.tcp_stream == print.tcp_stream || !known.is_same(print) {
            return None;
        }
        // It can still be told to the other one, as long as that one asks.
        if answer && known.place < LOOKED_AT && self.behind.len() < KEPT {
            self.behind.insert(
                known.tcp_stream,
                SameAs {
                    tcp_stream: print.tcp_stream,
                    there: print.at,
                    here: known.at,
                },
            );
            return None;
        }
        Some(SameAs {
            tcp_stream: known.tcp_stream,
            there: known.at,
            here: print.at,
        })
    }

    fn remember(&mut self, content: u64, print: Print) {
        if self.recent.insert(content, print).is_none() {
            self.order.push_back(content);
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }

    /// The far side of a connection is at its end.
    pub(super) fn keep(&mut self, leg: Leg, same_as: SameAs) {
        if self.far.len() < FAR_SIDES {
            self.far
                .entry(same_as.tcp_stream)
                .or_insert(FarSide { leg, same_as });
        }
    }

    /// Hands the far sides to the sessions of their connections.
    pub(super) fn attach(&mut self, sessions: &mut [&mut Session]) {
        if self.far.is_empty() {
            return;
        }
        for session in sessions {
            let far = self.far.get(&session.leg.tcp_stream);
            session.far_side = far.map(|far| Box::new(far.clone()));
        }
    }
}

impl Print {
    fn is_recent(&self, at: PacketRef) -> bool {
        let (before, after) = (self.at.time.min(at.time), self.at.time.max(at.time));
        after.saturating_since(before) <= APART
    }

    /// The same segment, not the same content sent again by a relay: a relay's
    /// socket has numbers of its own. Firewalls change the sequence numbers,
    /// some NATs the identification; nobody changes both.
    fn is_same(&self, other: &Self) -> bool {
        // A translation that changes nothing but a port stays inside one host.
        if self.hosts == other.hosts {
            return false;
        }
        let seq = self.seq == other.seq;
        let ids = self.ip_id.zip(other.ip_id).map(|(a, b)| a == b);
        match (self.stamped, ids) {
            (true, ids) => seq || ids == Some(true),
            (false, Some(same)) => seq && same,
            // IPv6 has no identification.
            (false, None) => seq,
        }
    }
}

impl Capture {
    /// Counts a connection that was captured on both sides of a translation.
    pub(super) fn on_translated(&mut self, same_as: SameAs) {
        self.translated_count += 1;
        if self.translated.len() < NAMED {
            self.translated.push(same_as);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{EndedBy, Value, closing::close_of};
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn both_sides() -> Script {
        Script::new().stamped().translated(99, 0, 0)
    }

    #[test]
    fn both_sides_of_a_translation_are_one_session() {
        let told = both_sides()
            .upgrade()
            .text(ClientToServer, "hi")
            .clean_close(ClientToServer)
            .told();
        assert_eq!(told.sessions.len(), 1);
        assert!(told.attempts.is_empty());
        assert_eq!(told.sessions[0].messages.client.count, 1);
        assert_eq!(told.capture.translated_count, 1);
        let far = told.sessions[0].far_side.as_ref().map(|far| far.leg.client);
        assert_eq!(
            far.map(|client| client.to_string()).as_deref(),
            Some("10.0.0.99:61000")
        );
        let finding = told.only("cap-duplicates");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("nat".to_owned())))
        );
        assert_eq!(told.ids(), ["cap-duplicates", "close-code-meaning"]);
    }

    #[test]
    fn a_firewall_that_changes_the_sequence_numbers_is_seen_through() {
        let told = Script::new()
            .stamped()
            .translated(99, 4_000_000_000, 77)
            .upgrade()
            .told();
        assert_eq!((told.sessions.len(), told.capture.translated_count), (1, 1));
    }

    #[test]
    fn without_timestamps_the_request_tells() {
        let told = Script::new().translated(99, 0, 0).upgrade().told();
        assert_eq!((told.sessions.len(), told.capture.translated_count), (1, 1));
    }

    #[test]
    fn a_relay_has_numbers_of_its_own_and_is_a_leg() {
        // The same bytes from another socket.
        let told = Script::new()
            .stamped()
            .handshake()
            .request("")
            .behind(Script::upgrade)
            .accept("")
            .told();
        assert_eq!(told.sessions.len(), 2);
        assert_eq!(told.capture.translated_count, 0);
        assert!(told.sessions[0].joined.is_some());
    }

    #[test]
    fn two_clients_behind_one_translation_are_two() {
        let told = both_sides()
            .upgrade()
            .inside_only()
            .at_port(40_002)
            .translated(98, 0, 0)
            .upgrade()
            .told();
        assert_eq!((told.sessions.len(), told.capture.translated_count), (2, 2));
    }

    #[test]
    fn a_client_that_comes_again_is_no_far_side() {
        let told = Script::new()
            .upgrade()
            .clean_close(ClientToServer)
            .at_port(40_002)
            .upgrade()
            .clean_close(ClientToServer)
            .told();
        assert_eq!((told.sessions.len(), told.capture.translated_count), (2, 0));
    }

    #[test]
    fn a_refused_connection_is_refused_once() {
        let told = both_sides().syn().refuse().told();
        assert_eq!((told.attempts.len(), told.capture.translated_count), (1, 1));
    }

    #[test]
    fn a_flow_that_the_translation_forgot_is_its_doing() {
        let told = both_sides()
            .upgrade()
            .text(ServerToClient, "hi")
            .wait_s(30.0)
            .inside_only()
            .silent(ServerToClient, true)
            .text(ClientToServer, "still there?")
            .bare_rst(ServerToClient)
            .told();
        assert_eq!(close_of(&told.sessions[0]).ended_by, EndedBy::Middlebox);
        let finding = told.only("close-1006-flow-expired");
        assert!(
            finding
                .data
                .contains(&("far_side", Value::Text("silent".to_owned())))
        );
        assert!(told.of("close-1006-peer-rst").is_empty());
    }

    #[test]
    fn a_reset_that_came_through_the_translation_is_the_servers() {
        let told = both_sides()
            .upgrade()
            .text(ClientToServer, "hi")
            .rst(ServerToClient)
            .told();
        assert_eq!(close_of(&told.sessions[0]).ended_by, EndedBy::Server);
        assert_eq!(told.of("close-1006-peer-rst").len(), 1);
    }
}
