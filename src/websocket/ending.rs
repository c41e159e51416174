//! How frames and messages of one direction end: whole, or cut off.

use super::assembly::{Assembly, Place, Reading};
use super::deflate::Stop;
use super::half::{Half, Open, State};
use super::{Breach, CloseFrame, Control, Event, Opcode};
use crate::stream::{Direction, PacketRef};

/// Said of a compressed message that can be read only without what came before it.
const FRESH_CONTEXT: &str = "inflates with a fresh context: the sender does not keep its context \
                             although context takeover was agreed on";

impl Half {
    /// The last byte of a frame passed.
    pub(super) fn end_frame(&mut self, out: &mut impl FnMut(Event)) {
        let State::Inside(open) = std::mem::replace(&mut self.state, State::Boundary(None)) else {
            return;
        };
        match open.frame.opcode {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                if open.frame.fin
                    && let Some(message) = self.message.take()
                {
                    self.end_message(message, open.place(), out);
                }
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => self.end_control(open, out),
            Opcode::Reserved(_) => {}
        }
    }

    /// The last byte of a message passed, at `place`.
    fn end_message(&mut self, mut message: Assembly, place: Place, out: &mut impl FnMut(Event)) {
        if message.reading == Reading::Inflated {
            message.end_inflating(place, &mut self.inflater);
        }
        if message.stopped.is_some() {
            self.settle_inflating(&mut message, out);
        }
        if message.reading != Reading::Failed {
            message.end_text(place);
            settle_text(&mut message, self.direction, out);
        }
        out(Event::Message(message.seal()));
    }

    /// Nothing more of a message comes.
    pub(super) fn cut_message(&mut self, mut message: Assembly, out: &mut impl FnMut(Event)) {
        message.cut();
        self.settle_inflating(&mut message, out);
        if message.message.compressed {
            self.inflater.lose_context();
        }
        out(Event::Message(message.seal()));
    }

    /// Reports that a message doesn't inflate, if so, and what that means for the next.
    #[cold]
    fn settle_inflating(&mut self, message: &mut Assembly, out: &mut impl FnMut(Event)) {
        let Some((stop, place)) = message.stopped.take() else {
            return;
        };
        let Stop::Broken(after) = stop else {
            return self.inflater.lose_context();
        };
        let mut why = format!("invalid deflate data after {after} bytes");
        if message.message.complete && message.retry(place, self.wants, &mut self.inflater) {
            why = format!("{why}; {FRESH_CONTEXT}");
        } else {
            self.inflater.lose_context();
        }
        message.note(Breach::InflateFailed);
        out(self.breach(Breach::InflateFailed, place, why));
    }

    /// A control frame ended, or was cut off.
    fn end_control(&mut self, open: Open, out: &mut impl FnMut(Event)) {
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
        let state = std::mem::replace(&mut self.state, State::Lost);
        if let Some(message) = self.message.take() {
            self.cut_message(message, out);
        }
        if let State::Inside(open) = state
            && let Opcode::Close | Opcode::Ping | Opcode::Pong = open.frame.opcode
        {
            self.end_control(open, out);
        }
    }

    /// From here on nobody knows where frames begin.
    pub(super) fn lose(&mut self, at: PacketRef, out: &mut impl FnMut(Event)) {
        self.cut_off(out);
        self.inflater.lose_context();
        self.inflater.release();
        out(Event::LostSync {
            direction: self.direction,
            at,
        });
    }

    /// What the end of the transport breaks off.
    pub(super) fn judge_end(&mut self, at: PacketRef, out: &mut impl FnMut(Event)) {
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
            State::Boundary(None) | State::Inside(_) | State::Lost | State::Ended => None,
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

/// Reports the first byte that isn't UTF-8, if there is one.
pub(super) fn settle_text(
    message: &mut Assembly,
    direction: Direction,
    out: &mut impl FnMut(Event),
) {
    if let Some((bad, Place { at, offset })) = message.bad_text.take() {
        let breach = Breach::InvalidUtf8;
        message.note(breach);
        let detail = format!("byte {:#04x} at offset {}", bad.byte, bad.offset);
        out(Event::Breach {
            breach,
            direction,
            at,
            offset,
            detail,
        });
    }
}
