//! What messages say while bytes of one direction are awaited, or its frames
//! are searched for: the other direction's facts wait for those of before.

use super::Session;
use super::application::Application;
use super::latency::Answered;
use crate::stream::{Direction, PacketRef, Sides};
use crate::websocket::subprotocol::Said;
use crate::websocket::{Message, Opcode};

/// Rationale: a search holds 64 KiB of frames, and a gap is known within a
/// round trip; with some 200 bytes each these take 1 MB. Beyond it what
/// waits is taken as it came, and nothing is said to be missing before it.
const MOST: usize = 4_096;

/// What waits.
#[derive(Clone, Debug)]
enum Item {
    Said(Said),
    Message(Direction, Opcode, PacketRef),
    Acked(Direction, u64, PacketRef),
}

/// Facts that wait for earlier ones of the other direction.
#[derive(Clone, Debug)]
pub(super) struct Late {
    /// What comes is not older than this.
    since: PacketRef,
    items: Vec<(PacketRef, Item)>,
    newest: Sides<PacketRef>,
}

impl Late {
    fn new(since: PacketRef) -> Self {
        Self {
            since,
            items: Vec::new(),
            newest: Sides::default(),
        }
    }
}

impl Session {
    /// Facts wait, or frames of a direction are searched for.
    pub fn is_behind(&self) -> bool {
        self.late.is_some() || self.searching_since().is_some()
    }

    /// Since when frames of a direction are searched for.
    pub fn searching_since(&self) -> Option<PacketRef> {
        let Sides { client, server } = self.searching;
        client.into_iter().chain(server).min()
    }

    /// From here on facts wait. Returns since when they do.
    pub fn fall_behind(&mut self, at: PacketRef) -> PacketRef {
        let late = self.late.get_or_insert_with(|| Box::new(Late::new(at)));
        late.since = late.since.min(at);
        late.since
    }

    /// Takes what waited, in the order of the capture. Returns the requests that are answered in it.
    pub fn catch_up(&mut self) -> Vec<Answered> {
        let Some(mut late) = self.late.take() else {
            return Vec::new();
        };
        late.items.sort_by_key(|(at, _)| *at);
        let taken = late.items.into_iter();
        taken.filter_map(|(_, item)| self.take(&item)).collect()
    }

    pub(super) fn on_said(&mut self, said: &Said) -> Option<Answered> {
        if !self.is_behind() {
            return Application::apply(&mut self.application, said);
        }
        let late = self.behind(said.heard.last);
        // A direction's facts stay in its order, whatever order they were captured in.
        let newest = &mut late.newest[said.heard.direction];
        *newest = (*newest).max(said.heard.last);
        let at = *newest;
        self.put(at, Item::Said(said.clone()));
        None
    }

    pub(super) fn on_text_or_binary(&mut self, message: &Message) {
        if self.application.is_some() || self.late.is_some() {
            let (sender, opcode) = (message.direction, message.opcode);
            let item = Item::Message(sender, opcode, message.first);
            self.take_or_put(message.last, item);
        }
    }

    pub(super) fn on_application_acked(&mut self, sender: Direction, upto: u64, at: PacketRef) {
        if self.application.is_some() || self.late.is_some() {
            self.take_or_put(at, Item::Acked(sender, upto, at));
        }
    }

    #[inline]
    fn take_or_put(&mut self, at: PacketRef, item: Item) {
        if self.is_behind() {
            self.put(at, item);
        } else {
            self.take(&item);
        }
    }

    fn behind(&mut self, at: PacketRef) -> &mut Late {
        let since = self.searching_since().unwrap_or(at);
        self.late.get_or_insert_with(|| Box::new(Late::new(since)))
    }

    #[cold]
    fn put(&mut self, at: PacketRef, item: Item) {
        if self.behind(at).items.len() >= MOST {
            let since = self.behind(at).since;
            self.catch_up();
            self.fall_behind(since);
            self.blind = Sides::from_fn(|side| self.blind[side].max(Some(at)));
        }
        self.behind(at).items.push((at, item));
    }

    fn take(&mut self, item: &Item) -> Option<Answered> {
        match *item {
            Item::Said(ref said) => return Application::apply(&mut self.application, said),
            Item::Message(sender, opcode, first) => {
                if let Some(application) = &mut self.application {
                    application.on_message(sender, opcode, first);
                }
            }
            Item::Acked(sender, upto, at) => {
                if let Some(application) = &mut self.application {
                    application.on_acked(sender, upto, at);
                }
            }
        }
        None
    }
}
