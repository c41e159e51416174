//! What listens to the messages of one direction: how much of each is looked
//! at, and who looks.

use std::ops::Range;

use super::fact::{Fact, Heard, Said};
use super::speaker::Speaker;
use super::{Protocol, Source};
use crate::websocket::Event;

/// How much of a message is looked at.
///
/// Rationale: ids and methods stand near the beginning; a reply whose id comes
/// behind a long result is counted as not looked at. The copy and the scan of
/// this much cost a few microseconds.
const LOOKED_AT: usize = 16 << 10;
/// How much of a message is held while it isn't known what is spoken.
///
/// Rationale: protocols show in their first words; of longer messages the rest is
/// counted as not looked at.
const BEGINNING: usize = 1 << 10;
/// What is held of a direction while it isn't known what is spoken.
///
/// Rationale: ids have to come back some twenty times, and a message of JSON has some
/// hundred bytes. Sessions that say little hold theirs as long as they last.
const HELD: usize = 16 << 10;

/// What listens to one direction.
#[derive(Debug, Default)]
pub(in crate::websocket) struct Listener {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Nobody: nothing is known to be spoken.
    #[default]
    Deaf,
    /// It is being found out.
    Holding(Box<Held>),
    /// A protocol that is known, and how, until that was told.
    Speaking(Speaker, Protocol, Option<Source>),
}

/// The first messages.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    messages: Vec<(Heard, Range<usize>)>,
    /// Messages that weren't held, having no room or not being whole.
    pub(super) passed: usize,
}

impl Held {
    /// The messages from this place on.
    pub(super) fn from(&self, place: usize) -> impl Iterator<Item = (&Heard, &[u8])> {
        let messages = self.messages.get(place..).unwrap_or_default();
        messages
            .iter()
            .map(|(heard, range)| (heard, self.bytes.get(range.clone()).unwrap_or_default()))
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= HELD
    }
}

impl Listener {
    /// Listens to find out what is spoken.
    pub(in crate::websocket) fn curious() -> Self {
        let state = State::Holding(Box::default());
        Self { state }
    }

    /// Listens to a known protocol.
    pub(super) fn to(speaker: Speaker, protocol: Protocol, source: Source) -> Self {
        let state = State::Speaking(speaker, protocol, Some(source));
        Self { state }
    }

    /// How many bytes of the next message to keep.
    #[inline]
    pub(in crate::websocket) const fn room(&self) -> usize {
        match &self.state {
            State::Deaf => 0,
            State::Holding(_) => BEGINNING,
            State::Speaking(..) => LOOKED_AT,
        }
    }

    /// Bytes of memory held.
    pub(in crate::websocket) fn buffered(&self) -> usize {
        match &self.state {
            State::Holding(held) => held.bytes.capacity(),
            State::Deaf | State::Speaking(..) => 0,
        }
    }

    pub(super) fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Holding(held) => Some(held),
            State::Deaf | State::Speaking(..) => None,
        }
    }

    /// Stops to listen; hands over what was held.
    pub(super) fn give_up(&mut self) -> Option<Box<Held>> {
        match std::mem::take(&mut self.state) {
            State::Holding(held) => Some(held),
            State::Deaf | State::Speaking(..) => None,
        }
    }

    /// A message ended, of which these bytes were kept.
    #[inline]
    pub(in crate::websocket) fn on_message(
        &mut self,
        heard: &Heard,
        bytes: &[u8],
        out: &mut impl FnMut(Event),
    ) {
        match &mut self.state {
            State::Deaf => {}
            State::Holding(held) => held.add(heard, bytes),
            State::Speaking(..) => self.listen(heard, bytes, &mut |said| out(Event::Said(said))),
        }
    }

    /// A message can't be read.
    pub(in crate::websocket) fn on_lost(&mut self) {
        match &mut self.state {
            State::Deaf => {}
            State::Holding(held) => held.passed += 1,
            State::Speaking(speaker, ..) => speaker.lose(),
        }
    }

    pub(super) fn listen(&mut self, heard: &Heard, bytes: &[u8], out: &mut dyn FnMut(Said)) {
        let State::Speaking(speaker, protocol, source) = &mut self.state else {
            return;
        };
        let mut say = |fact| {
            out(Said {
                heard: *heard,
                fact,
            });
        };
        if let Some(source) = source.take() {
            let protocol = *protocol;
            say(Fact::Recognised { protocol, source });
        }
        speaker.read(heard, bytes, &mut say);
    }
}

impl Held {
    fn add(&mut self, heard: &Heard, bytes: &[u8]) {
        let start = self.bytes.len();
        if start.saturating_add(bytes.len()) > HELD {
            self.passed += 1;
            return;
        }
        self.bytes.extend_from_slice(bytes);
        self.messages.push((*heard, start..self.bytes.len()));
    }
}
