//! How frames and messages of one direction end: whole, or cut off.

use super::assembly::{Assembly, Place, Reading};
use super::deflate::{Inflater, Stop};
use super::half::{Half, State};
use super::open::Open;
use super::subprotocol::Heard;
use super::{Breach, CloseFrame, Confidence, Control, Event, Opcode, Wants};
use crate::stream::PacketRef;

/// Said of a compressed message that can be read only without what came before it.
const FRESH_CONTEXT: &str = "inflates with a fresh context: the sender does not keep its context \
                             although context takeover was agreed on";

impl Half {
    /// The last byte of a frame passed.
    pub(super) fn end_frame(&mut self, out: &mut impl FnMut(Event)) {
        let State::Inside(open) = &self.state else {
            return;
        };
        let (opcode, fin, place) = (open.frame.opcode, open.frame.fin, open.place());
        if matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong) {
            return self.end_control(out);
        }
        self.state = State::Boundary(None);
        if fin && opcode.is_data() {
            self.end_message(place, out);
        }
    }

    /// The last byte of a message passed, at `place`.
    fn end_message(&mut self, place: Place, out: &mut impl FnMut(Event)) {
        let Some(message) = &mut self.message else {
            return;
        };
        if message.reading == Reading::Inflated {
            message.end_inflating(place, &mut self.inflater);
        }
        if message.stopped.is_some() {
            settle_inflating(message, &mut self.inflater, self.wants, out);
        }
        if message.reading != Reading::Failed {
            message.end_text(place);
            if message.message.compressed
                && let Some(proof) = &mut self.deflate_proof
            {
                weigh_inflated(message, proof, &mut self.inflater);
            }
            settle_text(message, out);
        }
        self.hand_over(out);
    }

    /// Nothing more of the message comes.
    pub(super) fn cut_message(&mut self, out: &mut impl FnMut(Event)) {
        let Some(message) = &mut self.message else {
            return;
        };
        message.cut();
        settle_inflating(message, &mut self.inflater, self.wants, out);
        if message.message.compressed {
            self.inflater.lose_context();
        }
        self.hand_over(out);
    }

    #[inline]
    fn hand_over(&mut self, out: &mut impl FnMut(Event)) {
        if let Some(message) = &mut self.message {
            // What is only likely accuses nobody.
            if message.message.confidence != Confidence::Certain {
                message.message.breaches.clear();
            }
            message.seal();
        }
        let Some(Assembly {
            message, excerpt, ..
        }) = self.message.take()
        else {
            return;
        };
        let Some(mut excerpt) = excerpt else {
            self.listener.on_lost();
            return out(Event::Message(message));
        };
        let heard = Heard {
            direction: message.direction,
            opcode: message.opcode,
            first: message.first,
            last: message.last,
            begun: message.begun,
            available: message.available,
            end: message.end,
            whole: message.len == excerpt.len() as u64,
            certain: message.confidence == Confidence::Certain,
        };
        let complete = message.complete;
        out(Event::Message(message));
        if complete {
            self.listener.on_message(&heard, &excerpt, out);
        } else {
            self.listener.on_lost();
        }
        excerpt.clear();
        self.spare = excerpt;
    }

    /// A control frame ended, or was cut off.
    fn end_control(&mut self, out: &mut impl FnMut(Event)) {
        let State::Inside(open) = std::mem::replace(&mut self.state, State::Boundary(None)) else {
            return;
        };
        let (place, complete) = (open.place(), open.is_whole());
        let Open {
            frame,
            arrival,
            control: payload,
            mut breaches,
            ..
        } = open;
        let (last, available) = (arrival.seen, arrival.released);
        let control = Control {
            frame,
            last,
            available,
            payload,
            complete,
        };
        match frame.opcode {
            Opcode::Ping => out(Event::Ping(control)),
            Opcode::Pong => out(Event::Pong(control)),
            _ => {
                let mut close = CloseFrame::read(control, &mut |breach, detail| {
                    breaches.push(breach);
                    out(self.breach(breach, place, detail));
                });
                close.breaches = breaches;
                out(Event::Close(Box::new(close)));
            }
        }
    }

    /// Nothing more comes, or it can't be told what: hands over what is incomplete.
    pub(super) fn cut_off(&mut self, out: &mut impl FnMut(Event)) {
        self.cut_message(out);
        if let State::Inside(open) = &self.state
            && let Opcode::Close | Opcode::Ping | Opcode::Pong = open.frame.opcode
        {
            self.end_control(out);
        }
        self.state = State::Lost;
    }

    /// From here on nobody knows where frames begin.
    pub(super) fn lose(&mut self, at: PacketRef, out: &mut impl FnMut(Event)) {
        self.cut_off(out);
        self.inflater.lose_context();
        self.inflater.release();
        self.listener.on_lost();
        out(Event::LostSync {
            direction: self.direction,
            at,
        });
    }

    /// What the end of the transport breaks off.
    pub(super) fn judge_end(&mut self, at: PacketRef, out: &mut impl FnMut(Event)) {
        if self.certain_from == u64::MAX {
            return;
        }
        let cut = match &mut self.state {
            State::Boundary(Some(held)) => {
                Some((held.offset, format!("{} bytes of a header", held.len)))
            }
            // Where bytes are missing, it may be the capture that is short.
            State::Inside(open) if !open.is_torn() => {
                open.breaches.push(Breach::TruncatedFrame);
                let detail = format!("{} of {} bytes", open.seen, open.frame.payload_len);
                Some((open.frame.offset, detail))
            }
            State::Boundary(None)
            | State::Inside(_)
            | State::Lost
            | State::Searching(_)
            | State::Ended => None,
        };
        let inside = match &self.state {
            State::Inside(open) if open.frame.opcode.is_data() => Some(open.frame.fin),
            _ => None,
        };
        if let Some((offset, detail)) = cut {
            if let Some(message) = self.message.as_mut().filter(|_| inside.is_some()) {
                message.note(Breach::TruncatedFrame);
            }
            out(self.breach(Breach::TruncatedFrame, Place { at, offset }, detail));
        }
        // Where only the rest of the last fragment is missing, the frame says it all.
        if let Some(message) = self.message.as_mut().filter(|_| inside != Some(true))
            && !message.unfinished
        {
            message.note(Breach::UnfinishedMessage);
            let detail = format!("the end after {} fragments", message.message.fragments);
            let offset = message.last_frame;
            out(self.breach(Breach::UnfinishedMessage, Place { at, offset }, detail));
        }
    }

    /// The event that reports a breach.
    pub(super) fn breach(&self, breach: Breach, place: Place, detail: String) -> Event {
        let Place { at, offset } = place;
        Event::Breach {
            breach,
            direction: self.direction,
            at,
            offset,
            detail,
        }
    }
}

/// Reports that a message doesn't inflate, if so, and what that means for the next.
#[cold]
fn settle_inflating(
    message: &mut Assembly,
    inflater: &mut Inflater,
    wants: Wants,
    out: &mut impl FnMut(Event),
) {
    let Some((stop, place)) = message.stopped.take().map(|stopped| *stopped) else {
        return;
    };
    let after = match stop {
        Stop::Broken(after) => after,
        Stop::TooLarge => return inflater.lose_context(),
        Stop::OutOfContext => {
            if inflater.is_first_unread() {
                let (direction, at) = (message.message.direction, message.message.first);
                out(Event::ContextLost { direction, at });
            }
            message.message.len = 0;
            return inflater.lose_context();
        }
    };
    let mut why = format!("invalid deflate data after {after} bytes");
    if message.message.complete && message.retry(place, wants, inflater) {
        why = format!("{why}; {FRESH_CONTEXT}");
    } else {
        inflater.lose_context();
    }
    message.report(Breach::InflateFailed, place, why, out);
}

/// Bits of inflated text that prove that RSV1 means permessage-deflate.
///
/// Rationale: as many as make a frame certain.
const PROVEN: u64 = 40;

/// Bits of a message that is told, as likely, before that.
///
/// Rationale: three bytes that are no deflate at all inflate to some text
/// often enough; 16 characters of text seldom come of chance.
const ENOUGH_ALONE: u64 = 8;

/// A message was inflated though nobody saw that permessage-deflate was agreed
/// on. `proof`: bits that speak for it; by itself, what inflates may be chance.
#[cold]
fn weigh_inflated(message: &mut Assembly, proof: &mut u64, inflater: &mut Inflater) {
    // Of chance bytes about every second character goes through.
    let bits = match message.message.opcode {
        Opcode::Text => (message.message.len / 2).min(16),
        _ => 0,
    };
    let chance = bits < ENOUGH_ALONE && *proof < PROVEN;
    if message.bad_text.take().is_some() || chance {
        // Perhaps no deflate at all: nobody is to be blamed, and nothing is told as said.
        message.reading = Reading::Failed;
        message.message.len = 0;
        return inflater.lose_context();
    }
    *proof = proof.saturating_add(bits);
    if *proof < PROVEN {
        message.message.confidence = Confidence::Likely;
    }
}

/// Reports the first byte that isn't UTF-8, if there is one.
pub(super) fn settle_text(message: &mut Assembly, out: &mut impl FnMut(Event)) {
    if let Some((bad, place)) = message.bad_text.take().map(|bad| *bad) {
        let detail = format!("byte {:#04x} at offset {}", bad.byte, bad.offset);
        message.report(Breach::InvalidUtf8, place, detail, out);
    }
}
