//! Which side of a connection is the client.

use super::followed::Followed;
use super::layer::Layer;
use super::sought::Sought;
use super::subject::Subject;
use crate::packet::{Endpoint, Segment};
use crate::pipeline::Shared;
use crate::pipeline::orientation::{Sender, sender_of, sender_of_head};
use crate::session::Orientation;

impl Followed {
    /// Who is the client, where no SYN told: the first payload may, or a SYN
    /// that the capture has behind its answer. Returns true if the sides were
    /// the wrong way round and have been exchanged.
    pub(super) fn tell_sides(
        &mut self,
        segment: &Segment<'_>,
        client: Endpoint,
        shared: &mut Shared,
    ) -> bool {
        let leg = self.subject.leg();
        let syn = segment.flags.syn();
        if leg.orientation != Orientation::Provisional || segment.payload.is_empty() && !syn {
            return false;
        }
        let later = leg.has_payload();
        if later && (syn || !self.layer.is_searching()) {
            return false;
        }
        let told = match (syn, segment.flags.ack()) {
            (true, false) => Sender::Client,
            (true, true) => Sender::Server,
            (false, _) if later => sender_of_head(segment),
            (false, _) => sender_of(segment),
        };
        if syn {
            leg.orientation = Orientation::Syn;
        }
        let from_client = segment.from == client;
        if told != Sender::Unknown && !syn {
            leg.orientation = Orientation::Payload;
        }
        let wrong = matches!(
            (told, from_client),
            (Sender::Client, false) | (Sender::Server, true)
        );
        if wrong {
            self.swap_sides(shared);
            self.sought = Sought::default();
        }
        wrong
    }

    /// The guess at who is the client was wrong.
    pub(super) fn swap_sides(&mut self, shared: &mut Shared) {
        let leg = self.subject.leg();
        shared.on_swap(leg);
        leg.swap_sides();
        self.tcp.swap_sides();
        self.syn.swap();
        if let Subject::Attempt(attempt) = &mut self.subject {
            attempt.looks_like.swap();
        }
        if let Layer::Http(http, _) = &mut self.layer {
            http.swap_sides();
        }
    }
}
