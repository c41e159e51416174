//! An opening handshake of which the snap length left only the beginnings.

use memchr::memrchr;

use super::connection::{Connection, Mode, Place};
use super::exchange::owned_request;
use super::half::Phase;
use super::{Event, Output, Request, parse};
use crate::stream::{Chunk, Direction, Gap, GapCause};
use Direction::{ClientToServer, ServerToClient};

/// A request of which the lines were read that are there whole, and the 101 to it.
#[derive(Debug)]
pub(super) struct CutSwitch {
    request: Box<Request>,
    /// What is missing of the 101, once that came.
    answer: Option<Gap>,
}

impl Connection {
    /// The snap length cut a head of which something was read.
    pub(super) fn note_cut_head(&mut self, gap: &Gap) {
        if gap.cause != GapCause::SnapLength || self.mode != Mode::Http {
            return;
        }
        let gather = &self.halves[gap.direction].gather;
        let place = Place {
            first: gather.first().unwrap_or(gap.at),
            last: gap.at,
            end: gap.offset.saturating_add(gap.len.unwrap_or(0)),
        };
        let lines = whole_lines(gather.bytes());
        match gap.direction {
            ClientToServer => {
                self.cut_switch = request_of(&lines, place).map(|request| {
                    let answer = None;
                    Box::new(CutSwitch { request, answer })
                });
            }
            ServerToClient => {
                let switches = parse::status_of(gather.bytes()) == Some(101)
                    && self.outstanding.is_empty()
                    && !names_another(&lines);
                let switch = self.cut_switch.take().filter(|_| switches);
                self.cut_switch = switch.map(|mut switch| {
                    switch.answer = Some(*gap);
                    switch
                });
            }
        }
    }

    /// Goes on behind the cut heads of a handshake, if frames may begin there.
    pub(super) fn open_behind_cut_switch(
        &mut self,
        chunk: &Chunk<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) -> bool {
        let switched = |switch: &mut Box<CutSwitch>| switch.answer.is_some();
        let Some(switch) = self.cut_switch.take_if(switched) else {
            return false;
        };
        let (Some(gap), true) = (switch.answer, may_begin_frames(chunk.bytes)) else {
            return false;
        };
        out(Output::Fact(Event::UpgradeRequested {
            request: switch.request,
            breaches: Vec::new(),
        }));
        out(Output::Fact(Event::AnswerCut {
            at: gap.at,
            behind: self.behind_cut_switch,
        }));
        self.upgraded_at = Some(gap.at);
        self.halves.client.phase = Phase::Head;
        self.open(out);
        true
    }
}

/// Whether a frame may begin a stream so: no continuation, and no bit that nobody uses.
fn may_begin_frames(bytes: &[u8]) -> bool {
    matches!(
        bytes.first(),
        Some(0x01 | 0x02 | 0x41 | 0x42 | 0x81 | 0x82 | 0xc1 | 0xc2 | 0x88..=0x8a)
    )
}

/// The lines that are whole, as a head.
fn whole_lines(bytes: &[u8]) -> Vec<u8> {
    let lines = memrchr(b'\n', bytes).and_then(|end| bytes.get(..=end));
    [lines.unwrap_or_default(), b"\r\n"].concat()
}

fn request_of(lines: &[u8], place: Place) -> Option<Box<Request>> {
    let mut room = parse::room();
    let head = parse::request(lines, &mut room)?;
    let other = head.all("upgrade").next().is_some() && !head.upgrades_to_websocket();
    let fits = head.line.method == b"GET" && head.line.minor_version >= 1 && !other;
    fits.then(|| Box::new(owned_request(&head, place)))
}

/// What is there of an answer says that it switches to something else.
fn names_another(lines: &[u8]) -> bool {
    let mut room = parse::room();
    parse::response(lines, &mut room)
        .is_some_and(|head| head.all("upgrade").next().is_some() && !head.upgrades_to_websocket())
}
