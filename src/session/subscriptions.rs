//! Subscriptions inside the messages: what was asked for, granted and pushed.

use super::application::Application;
use crate::stream::PacketRef;
use crate::time::Timestamp;
use crate::websocket::subprotocol::Word;

/// Rationale: a page subscribes to some dozens.
const SUBSCRIPTIONS: usize = 256;
/// What requests are called that ask for a subscription: Phoenix's and Centrifugo's.
const GRANTED_BY_REPLY: [&[u8]; 2] = [b"phx_join ", b"subscribe "];

/// A subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// To what, or its id.
    pub name: Word,
    /// Who asked for it.
    pub asked: Option<PacketRef>,
    /// Where it was granted.
    pub granted: Option<PacketRef>,
    /// Where it ended.
    pub ended: Option<PacketRef>,
    /// What came for it.
    pub pushes: u64,
    /// The newest of that.
    pub last_push: Option<PacketRef>,
    /// When the newest five came, the oldest of them first.
    pub recent: [Option<Timestamp>; 5],
}

impl Application {
    /// Some protocols grant subscriptions by a reply, the request's method naming the topic.
    pub(super) fn on_joined(&mut self, method: Word, failed: bool, at: PacketRef) {
        let name = GRANTED_BY_REPLY
            .iter()
            .find_map(|verb| method.bytes().strip_prefix(*verb));
        let Some(name) = name.filter(|_| !method.may_be_cut()) else {
            return;
        };
        let waiting = self.subscriptions.iter_mut().rfind(|known| {
            known.name.bytes() == name && known.granted.is_none() && known.ended.is_none()
        });
        if let Some(known) = waiting {
            let place = match failed {
                true => &mut known.ended,
                false => &mut known.granted,
            };
            *place = Some(at);
        }
    }

    /// Something came for this subscription.
    pub(super) fn on_push(&mut self, name: Word, at: PacketRef) {
        self.pushes += 1;
        let known = self
            .subscriptions
            .iter_mut()
            .find(|known| known.name == name);
        if let Some(known) = known {
            known.pushes += 1;
            known.last_push = Some(at);
            known.recent.rotate_left(1);
            if let Some(newest) = known.recent.last_mut() {
                *newest = Some(at.time);
            }
        }
    }

    /// The one of this name that has not ended, or a new one.
    pub(super) fn subscription(&mut self, name: Word) -> &mut Subscription {
        let all = &mut self.subscriptions;
        let known = all
            .iter()
            .rposition(|known| known.name == name && known.ended.is_none());
        let place = known.unwrap_or_else(|| {
            // A later one takes the place of the last.
            all.truncate(SUBSCRIPTIONS - 1);
            all.push(Subscription {
                name,
                asked: None,
                granted: None,
                ended: None,
                pushes: 0,
                last_push: None,
                recent: [None; 5],
            });
            all.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found, or pushed just now")]
        &mut all[place]
    }
}
