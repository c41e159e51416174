//! What stood inside a record that was opened.

use std::mem;

use super::connection::Connection;
use super::half::Protection;
use super::keys::{Epoch, Keys};
use super::parameters::EarlyData;
use super::reader::Arrival;
use super::record::{ContentType, Header};
use super::{Alert, Event, Output};
use crate::stream::{Chunk, Direction, Gap, GapCause, StreamEvent};

impl Connection {
    /// What `half.plain` holds is the content of a record.
    pub(super) fn on_opened(
        &mut self,
        direction: Direction,
        header: Header,
        arrival: Arrival,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let half = &mut self.halves[direction];
        half.opened = half.opened.saturating_add(1);
        if half.opened == 1 {
            let at = arrival.seen;
            out(Output::Fact(Event::Opened { direction, at }));
        }
        let mut plain = mem::take(&mut half.plain);
        let content = match &half.protection {
            Protection::Epochs(keyed) => {
                // Where the ServerHello was lost, this is how its choice is known.
                self.parameters.version = Some(0x0304);
                self.parameters.suite = keyed.as_ref().map(|keyed| keyed.suite);
                let later = keyed
                    .as_ref()
                    .is_some_and(|keyed| keyed.epoch == Epoch::Application);
                if later
                    && direction == Direction::ServerToClient
                    && self.parameters.early_data == EarlyData::Offered
                {
                    // EncryptedExtensions come before: what waits for them waits in vain.
                    self.parameters.early_data = EarlyData::Unanswered;
                    self.replay(Direction::ClientToServer, keys, out);
                }
                unpad(&mut plain)
            }
            Protection::None | Protection::Classic(_) => Some(header.content),
        };
        match content {
            Some(ContentType::ApplicationData) => {
                self.hand_up(direction, &plain, arrival, out);
            }
            Some(ContentType::Handshake) => {
                self.on_handshake(direction, &plain, arrival, keys, out);
            }
            Some(ContentType::Alert) => tell_alert(direction, &plain, true, arrival, out),
            Some(ContentType::ChangeCipherSpec) => {
                self.on_change(direction, keys, arrival.seen, out);
            }
            Some(ContentType::Heartbeat) | None => {}
        }
        self.halves[direction].plain = plain;
    }

    fn hand_up(
        &mut self,
        direction: Direction,
        plain: &[u8],
        arrival: Arrival,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let half = &mut self.halves[direction];
        let offset = half.offset;
        let cause = match offset == 0 && self.headless.mid_stream {
            true => GapCause::BeganMidStream,
            false => GapCause::NotCaptured,
        };
        if let Some(at) = half.torn.take() {
            out(Output::Stream(StreamEvent::Gap(Gap {
                direction,
                offset,
                len: None,
                cause,
                at,
            })));
        }
        if plain.is_empty() {
            return;
        }
        half.offset = offset.saturating_add(plain.len() as u64);
        out(Output::Stream(StreamEvent::Chunk(Chunk {
            direction,
            offset,
            bytes: plain,
            seen: arrival.seen,
            released: arrival.released,
        })));
    }
}

/// RFC 8446, section 5.2: the content type stands behind the content, before padding of zeros.
fn unpad(plain: &mut Vec<u8>) -> Option<ContentType> {
    let end = plain.iter().rposition(|byte| *byte != 0)?;
    let content = plain.get(end).copied().and_then(ContentType::from_code);
    plain.truncate(end);
    content
}

pub(super) fn tell_alert(
    direction: Direction,
    content: &[u8],
    protected: bool,
    arrival: Arrival,
    out: &mut impl FnMut(Output<'_>),
) {
    if let Some(alert) = Alert::parse(content) {
        out(Output::Fact(Event::Alert {
            direction,
            alert,
            protected,
            at: arrival.seen,
        }));
    }
}
