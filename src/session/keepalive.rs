//! The ping ledger: which Ping was answered, when, and which never
//! (RFC 6455, sections 5.5.2 and 5.5.3).

use std::collections::VecDeque;
use std::time::Duration;

use super::Distribution;
use crate::stream::PacketRef;
use crate::websocket::Control;

/// Rationale: a peer that answers none of 256 Pings is gone; older ones are counted, not kept.
const OUTSTANDING: usize = 256;
/// Rationale: a report names a handful.
const KEPT: usize = 16;

/// A Ping without its Pong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The packet with its first byte.
    pub at: PacketRef,
    /// Stream offset after its frame.
    pub end: u64,
    /// `None` where only the size of its record is known.
    frame: Option<Control>,
    /// The acknowledgment of its bytes by the peer's TCP.
    pub acked: Option<PacketRef>,
    /// Payload bytes that the other side had sent when it came.
    peer_bytes: u64,
}

/// A Ping and its Pong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The Ping.
    pub ping: PacketRef,
    /// The Pong, as the pinger could have it.
    pub pong: PacketRef,
    /// The time between the two.
    pub rtt: Duration,
    /// The acknowledgment of the Ping's bytes by the peer's TCP, where it came before the Pong.
    pub acked: Option<PacketRef>,
    /// Payload bytes of the answering side between the two, the Pong included.
    pub bytes_between: u64,
}

/// Two consecutive Pings of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The earlier.
    pub from: PacketRef,
    /// The later.
    pub to: PacketRef,
    /// The time between the two.
    pub len: Duration,
    /// Messages passed between the two, in either direction.
    pub busy: bool,
}

/// What a Pong turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PongKind {
    /// It answers a Ping.
    Answer(Exchange),
    /// Pings were waiting, but none with this payload.
    Mismatch,
    /// No Ping was waiting: a one-way heartbeat (RFC 6455, section 5.5.3).
    Unsolicited,
}

/// The Pings that one side sent, and what came back.
#[derive(Clone, Debug, Default)]
pub struct PingLedger {
    /// Pings sent.
    pub sent: u64,
    /// Pings answered by a Pong of their payload.
    pub answered: u64,
    /// Pings passed over: a newer one was answered instead, which is legal.
    pub superseded: u64,
    /// Pings that wait, oldest first.
    pub outstanding: VecDeque<Ping>,
    /// Pings no longer kept although unanswered.
    pub forgotten: u64,
    /// Round trips of the answered.
    pub rtt: Distribution,
    /// The slowest, worst first: at most 3.
    pub slowest: Vec<Exchange>,
    /// Times between consecutive Pings.
    pub intervals: Distribution,
    /// The longest, longest first: at most 3.
    pub longest: Vec<Interval>,
    /// How many of them had messages between.
    pub busy_intervals: u64,
    /// The newest Ping.
    pub last: Option<PacketRef>,
    /// The newest Pong from the other side.
    pub last_pong: Option<PacketRef>,
    last_echo: Option<Control>,
    /// Pongs that echo no waiting Ping although some wait: the first 16.
    pub mismatched: Vec<PacketRef>,
    /// All of them.
    pub mismatched_count: u64,
    /// Pongs from the other side when no Ping waited.
    pub unsolicited: u64,
    /// The first of them.
    pub first_unsolicited: Option<PacketRef>,
    /// Pongs that met no Ping of theirs: the newest 16. Where one direction's
    /// bytes were held up, their Ping may be told of later.
    strays: VecDeque<(Control, PongKind)>,
    /// What the other side's TCP acknowledged last: all before this offset.
    acked: Option<(u64, PacketRef)>,
    /// Data frames of both sides when the newest Ping came.
    data_frames: u64,
}

impl PingLedger {
    /// Of records that look like Pings, each with the packet of its answer, and of the newest payload
    /// that was acknowledged with its acknowledgment. `busy` tells whether records passed between two.
    pub(super) fn of_records(
        asked: &[(PacketRef, Option<PacketRef>)],
        delivered: Option<(PacketRef, PacketRef)>,
        busy: impl Fn(PacketRef, PacketRef) -> bool,
    ) -> Self {
        let mut ledger = Self::default();
        for (at, answer) in asked.iter().copied() {
            ledger.sent += 1;
            if let Some(from) = ledger.last.replace(at) {
                let len = at.time.saturating_since(from.time);
                let busy = busy(from, at);
                ledger.intervals.record(len);
                ledger.busy_intervals += u64::from(busy);
                let interval = Interval {
                    from,
                    to: at,
                    len,
                    busy,
                };
                keep_worst(&mut ledger.longest, interval, |i| i.len);
            }
            let Some(pong) = answer else {
                continue;
            };
            ledger.last_pong = Some(pong);
            ledger.on_answer(Exchange {
                ping: at,
                pong,
                rtt: pong.time.saturating_since(at.time),
                acked: None,
                bytes_between: 0,
            });
        }
        // Those before an answered one are settled with it.
        let behind = asked.iter().rposition(|(_, answer)| answer.is_some());
        for (index, (at, answer)) in asked.iter().enumerate() {
            if answer.is_some() {
                continue;
            }
            if behind.is_some_and(|behind| index < behind) {
                ledger.superseded += 1;
                continue;
            }
            ledger.outstanding.push_back(Ping {
                at: *at,
                end: 0,
                frame: None,
                acked: delivered
                    .filter(|(payload, _)| *payload >= *at)
                    .map(|(_, acked)| acked),
                peer_bytes: 0,
            });
        }
        ledger
    }

    /// This side sent a Ping; `data_frames` is how many data frames both sides,
    /// `peer_bytes` how many payload bytes the other one has sent so far. Returns the time since its Ping before,
    /// and the Pong that answers it, where that was told of first.
    pub fn on_ping(
        &mut self,
        ping: &Control,
        data_frames: u64,
        peer_bytes: u64,
    ) -> (Option<Duration>, Option<Exchange>) {
        let (at, end) = (ping.frame.at, ping.frame.end());
        self.sent += 1;
        let before = std::mem::replace(&mut self.data_frames, data_frames);
        let busy = data_frames > before;
        let since_last = self.last.replace(at).map(|last| {
            let len = at.time.saturating_since(last.time);
            self.intervals.record(len);
            self.busy_intervals += u64::from(busy);
            keep_worst(
                &mut self.longest,
                Interval {
                    from: last,
                    to: at,
                    len,
                    busy,
                },
                |i| i.len,
            );
            len
        });
        if let Some(pong) = self.take_stray(ping) {
            self.superseded += self.outstanding.len() as u64;
            self.outstanding.clear();
            let exchange = Exchange {
                ping: at,
                pong,
                rtt: pong.time.saturating_since(at.time),
                acked: None,
                bytes_between: 0,
            };
            self.on_answer(exchange);
            return (since_last, Some(exchange));
        }
        self.reread_strays(at);
        if self.outstanding.len() == OUTSTANDING {
            self.outstanding.pop_front();
            self.forgotten += 1;
        }
        self.outstanding.push_back(Ping {
            at,
            end,
            frame: Some(ping.clone()),
            // Bytes that came out of order may be acknowledged before they are read.
            acked: self
                .acked
                .filter(|(upto, _)| end <= *upto)
                .map(|(_, at)| at),
            peer_bytes,
        });
        (since_last, None)
    }

    /// The other side sent a Pong, as the last of `peer_bytes` payload bytes so far.
    pub fn on_pong(&mut self, pong: &Control, peer_bytes: u64) -> PongKind {
        let at = pong.available;
        let answered = |ping: &Ping| {
            let frame = ping.frame.as_ref();
            frame.is_some_and(|frame| pong.may_echo(frame))
        };
        let index = self.outstanding.iter().position(answered);
        self.last_pong = Some(at);
        self.last_echo = Some(pong.clone());
        let Some(index) = index else {
            return self.on_stray(pong);
        };
        // RFC 6455, section 5.5.3: an endpoint may answer only the newest Ping,
        // so those before this one are settled too.
        self.superseded += index as u64;
        self.outstanding.drain(..index);
        let exchange = self.outstanding.pop_front().map(|ping| Exchange {
            ping: ping.at,
            pong: at,
            rtt: at.time.saturating_since(ping.at.time),
            acked: ping.acked.filter(|acked| *acked < at),
            bytes_between: peer_bytes.saturating_sub(ping.peer_bytes),
        });
        let Some(exchange) = exchange else {
            return PongKind::Unsolicited;
        };
        self.on_answer(exchange);
        PongKind::Answer(exchange)
    }

    fn on_answer(&mut self, exchange: Exchange) {
        self.answered += 1;
        self.rtt.record(exchange.rtt);
        keep_worst(&mut self.slowest, exchange, |e| e.rtt);
    }

    /// A Pong that echoes no waiting Ping.
    fn on_stray(&mut self, pong: &Control) -> PongKind {
        let at = pong.available;
        let kind = if self.outstanding.is_empty() {
            self.unsolicited += 1;
            self.first_unsolicited.get_or_insert(at);
            PongKind::Unsolicited
        } else {
            self.mismatched_count += 1;
            if self.mismatched.len() < KEPT {
                self.mismatched.push(at);
            }
            PongKind::Mismatch
        };
        if self.strays.len() == KEPT {
            self.strays.pop_front();
        }
        self.strays.push_back((pong.clone(), kind));
        kind
    }

    /// The Pong that came after this Ping and was told of before it.
    fn take_stray(&mut self, ping: &Control) -> Option<PacketRef> {
        let answers =
            |(pong, _): &(Control, _)| pong.available >= ping.frame.at && pong.may_echo(ping);
        let index = self.strays.iter().position(answers)?;
        let (pong, kind) = self.strays.remove(index)?;
        let pong = pong.available;
        if kind == PongKind::Unsolicited {
            self.unsolicited = self.unsolicited.saturating_sub(1);
            let next = |stray: &&(Control, PongKind)| stray.1 == kind;
            if self.first_unsolicited == Some(pong) {
                self.first_unsolicited = self
                    .strays
                    .iter()
                    .find(next)
                    .map(|(pong, _)| pong.available);
            }
        } else {
            self.mismatched_count = self.mismatched_count.saturating_sub(1);
            self.mismatched.retain(|at| *at != pong);
        }
        Some(pong)
    }

    /// Pongs that came after this Ping, and were told of before it, are not
    /// unsolicited: they echo something else.
    fn reread_strays(&mut self, ping: PacketRef) {
        let later = |(pong, kind): &&mut (Control, PongKind)| {
            *kind == PongKind::Unsolicited && pong.available >= ping
        };
        for (pong, kind) in self.strays.iter_mut().filter(later) {
            let at = pong.available;
            *kind = PongKind::Mismatch;
            self.unsolicited = self.unsolicited.saturating_sub(1);
            self.mismatched_count += 1;
            if self.mismatched.len() < KEPT {
                self.mismatched.push(at);
            }
            if self.first_unsolicited == Some(at) {
                self.first_unsolicited = None;
            }
        }
    }

    /// The other side's TCP acknowledged everything before `upto`.
    pub fn on_acked(&mut self, upto: u64, at: PacketRef) {
        self.acked = Some((upto, at));
        for ping in self
            .outstanding
            .iter_mut()
            .filter(|p| p.acked.is_none() && p.end <= upto)
        {
            ping.acked = Some(at);
        }
    }

    /// The Pings that no Pong can have answered: those that wait, without
    /// those that share a payload with the newest Pong and were sent before
    /// it. A peer that answers only the newest of several equal Pings leaves such.
    pub fn waiting(&self) -> impl Iterator<Item = &Ping> {
        self.outstanding
            .iter()
            .filter(|ping| !self.is_covered(ping))
    }

    /// How many Pings wait that an equal Pong after them may have answered.
    pub fn covered(&self) -> u64 {
        self.outstanding
            .iter()
            .filter(|ping| self.is_covered(ping))
            .count() as u64
    }

    fn is_covered(&self, ping: &Ping) -> bool {
        self.last_echo
            .as_ref()
            .zip(ping.frame.as_ref())
            .is_some_and(|(pong, frame)| pong.may_echo(frame) && pong.available >= ping.at)
    }
}

/// Keeps the three largest, largest first.
pub(super) fn keep_worst<T>(worst: &mut Vec<T>, item: T, size: impl Fn(&T) -> Duration) {
    let place = worst.partition_point(|kept| size(kept) >= size(&item));
    if place < 3 {
        worst.insert(place, item);
        worst.truncate(3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Direction;
    use crate::time::Timestamp;
    use crate::websocket::{Confidence, Frame, Opcode};

    fn at(number: u64) -> PacketRef {
        PacketRef {
            time: Timestamp::from_nanos(i64::try_from(number).unwrap()),
            number,
            ..PacketRef::default()
        }
    }

    /// A Ping or Pong of this payload in this packet.
    fn control(number: u64, payload: &[u8]) -> Control {
        Control {
            frame: Frame {
                direction: Direction::ClientToServer,
                opcode: Opcode::Ping,
                fin: true,
                rsv: 0,
                mask: None,
                offset: 0,
                header_len: 2,
                payload_len: payload.len() as u64,
                at: at(number),
                confidence: Confidence::Certain,
            },
            last: at(number),
            available: at(number),
            payload: payload.to_vec(),
            complete: true,
        }
    }

    #[test]
    fn a_pong_told_before_its_ping_is_judged_by_it() {
        for (echo, answered, mismatched) in [(&b"a"[..], 1, 0), (b"b", 0, 1)] {
            let mut ledger = PingLedger::default();
            assert_eq!(ledger.on_pong(&control(2, echo), 0), PongKind::Unsolicited);
            ledger.on_ping(&control(1, b"a"), 0, 0);
            assert_eq!(
                (ledger.answered, ledger.mismatched_count, ledger.unsolicited),
                (answered, mismatched, 0)
            );
        }
    }

    #[test]
    fn a_pong_before_the_ping_stays_unsolicited() {
        let mut ledger = PingLedger::default();
        ledger.on_pong(&control(1, b"b"), 0);
        ledger.on_ping(&control(2, b"a"), 0, 0);
        assert_eq!((ledger.unsolicited, ledger.mismatched_count), (1, 0));
    }
}
