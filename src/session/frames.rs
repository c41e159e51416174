//! What a session keeps of what the WebSocket layer tells.

use super::{Announced, Application, BreachNote, FrameGap, Noted, Session, StreamEnd};
use crate::session::FrameConfidence;
use crate::stream::{Direction, PacketRef};
use crate::websocket;

/// Rationale: a report names the first few; all are counted.
const BREACHES_KEPT: usize = 64;

impl Session {
    /// Takes a fact of the WebSocket layer.
    pub fn on_websocket(&mut self, event: &websocket::Event) -> Noted {
        use websocket::Event as E;
        if let Some(timeline) = &mut self.leg.timeline {
            timeline.on_websocket(event);
        }
        match event {
            E::Frame(frame) => self.on_frame(frame),
            E::Message(message) => {
                let sender = message.direction;
                self.messages[sender].add(message);
                self.outline.add(sender, message.first, message.len);
                self.delivery[sender].on_message(message.end, message.last);
                self.queue[sender].on_message(message);
                self.cadence[sender].on_message(message.available);
                self.most_fragments[sender] = self.most_fragments[sender].max(message.fragments);
                if message.complete {
                    self.last_message[sender] = Some(message.last);
                } else {
                    self.on_blind(sender, message.available);
                }
                if let Some(application) = &mut self.application {
                    application.on_message(message);
                }
            }
            E::Said(said) => {
                let answered = Application::apply(&mut self.application, said);
                return answered.map_or(Noted::Nothing, Noted::Reply);
            }
            E::Ping(ping) => {
                let frame = &ping.frame;
                let data = self.frames.client.data() + self.frames.server.data();
                let sent = self.leg.payload_bytes[frame.direction.reverse()];
                let ledger = &mut self.pings[frame.direction];
                if let (true, Some((upto, at))) =
                    (ledger.is_untouched(), self.acked[frame.direction])
                {
                    ledger.on_acked(upto, at);
                }
                let (gap, answer) = ledger.on_ping(ping, data, sent);
                return Noted::Ping { gap, answer };
            }
            E::Pong(pong) => {
                let sender = pong.frame.direction;
                let sent = self.leg.payload_bytes[sender];
                let ledger = &mut self.pings[sender.reverse()];
                return Noted::Pong(ledger.on_pong(pong, sent));
            }
            E::Close(close) => {
                let sender = close.control.frame.direction;
                self.close[sender].get_or_insert_with(|| close.clone());
            }
            E::Breach {
                breach,
                direction,
                at,
                offset,
                detail,
            } => {
                self.on_breach(BreachNote {
                    breach: *breach,
                    direction: *direction,
                    at: *at,
                    offset: *offset,
                    detail: detail.clone(),
                });
            }
            E::Gap {
                direction,
                cause,
                at,
                in_step,
            } => {
                self.on_blind(*direction, *at);
                if self.frame_gaps.len() < 16 {
                    let (direction, cause, at, in_step) = (*direction, *cause, *at, *in_step);
                    self.frame_gaps.push(FrameGap {
                        direction,
                        cause,
                        at,
                        in_step,
                    });
                }
            }
            E::LostSync { direction, at } => {
                self.on_blind(*direction, *at);
                self.lost_sync[*direction].get_or_insert(*at);
                self.searching[*direction] = Some(*at);
            }
            E::Resynced {
                direction,
                at,
                skipped,
                confidence,
                ..
            } => {
                self.on_blind(*direction, *at);
                self.on_resynced(*direction, (*at, *confidence), *skipped);
            }
            E::Unread {
                direction,
                bytes,
                at,
            } => {
                self.on_blind(*direction, *at);
                self.ended_adrift[*direction] |= self.searching[*direction].take().is_some();
                let unread = &mut self.resyncs[*direction].unread;
                *unread = unread.saturating_add(*bytes);
            }
            E::ContextLost { direction, at } => {
                self.on_blind(*direction, *at);
                self.context_lost[*direction].get_or_insert(*at);
            }
            E::End {
                direction,
                at,
                inside_frame,
            } => {
                self.ended_adrift[*direction] |= self.searching[*direction].take().is_some();
                let (at, inside_frame) = (*at, *inside_frame);
                self.ends[*direction].get_or_insert(StreamEnd { at, inside_frame });
            }
        }
        Noted::Nothing
    }

    fn on_blind(&mut self, direction: Direction, at: PacketRef) {
        let blind = &mut self.blind[direction];
        *blind = (*blind).max(Some(at));
    }

    fn on_frame(&mut self, frame: &websocket::Frame) {
        let sender = frame.direction;
        self.surely_framed |= frame.confidence == FrameConfidence::Certain;
        self.frames[sender].add(frame.opcode, frame.payload_len);
        self.last_frame[sender] = Some((frame.opcode, frame.at));
        self.queue[sender].on_frame(frame);
        if !frame.opcode.is_control() {
            let largest = &mut self.largest_announced[sender];
            if largest.is_none_or(|known| frame.payload_len > known.len) {
                *largest = Some(Announced {
                    len: frame.payload_len,
                    at: frame.at,
                    before: largest.map(|known| (known.len, known.at)),
                });
            }
        }
        if let (Direction::ClientToServer, Some(key)) = (sender, frame.mask)
            && self.masks.len() < 16
        {
            self.masks.push((key, frame.at));
        }
    }

    /// Frames can be told again; those of a session that was found mid-stream for the first time.
    fn on_resynced(
        &mut self,
        direction: Direction,
        found: (PacketRef, FrameConfidence),
        skipped: u64,
    ) {
        self.searching[direction] = None;
        let resyncs = &mut self.resyncs[direction];
        if let Some(mid_stream) = &mut self.handshake.mid_stream
            && self.found[direction].is_none()
            && self.lost_sync[direction].is_none()
        {
            self.found[direction] = Some(found);
            mid_stream.skipped[direction] = skipped;
            return;
        }
        resyncs.count += 1;
        resyncs.skipped = resyncs.skipped.saturating_add(skipped);
        resyncs.last = Some(found.0);
    }

    fn on_breach(&mut self, note: BreachNote) {
        let key = (note.breach, note.direction);
        match self
            .breach_counts
            .iter_mut()
            .find(|(b, d, _)| (*b, *d) == key)
        {
            Some((.., count)) => *count += 1,
            None => self.breach_counts.push((note.breach, note.direction, 1)),
        }
        if self.breaches.len() < BREACHES_KEPT {
            self.breaches.push(note);
        }
    }
}
