//! Records that can't be read yet: for what they wait, and how long.

use std::mem;

use super::Output;
use super::connection::Connection;
use super::keys::Keys;
use super::parameters::EarlyData;
use super::record::{ContentType, Header};
use crate::stream::Direction;

impl Connection {
    /// Whether a record of the client can't be read before the ServerHello,
    /// which the capture may have behind it.
    pub(super) fn awaits_server_hello(&self, direction: Direction, header: Header) -> bool {
        direction == Direction::ClientToServer
            && !self.server_hello_lost
            && self.parameters.version.is_none()
            && self.parameters.client_random.is_some()
            && matches!(
                header.content,
                ContentType::ChangeCipherSpec | ContentType::ApplicationData
            )
    }

    /// What waits for the ServerHello is read without it.
    pub(super) fn give_up_server_hello(&mut self, keys: &Keys, out: &mut impl FnMut(Output<'_>)) {
        if !self.server_hello_lost && self.parameters.version.is_none() {
            self.server_hello_lost = true;
            self.replay(Direction::ClientToServer, keys, out);
        }
    }

    /// Keys, or the message that says which, may still come.
    pub(super) fn is_worth_waiting(&self, direction: Direction, keys: &Keys, len: usize) -> bool {
        let half = &self.halves[direction];
        let early = direction == Direction::ClientToServer
            && self.parameters.early_data == EarlyData::Offered
            && !keys.is_empty();
        let room = half.waiting_bytes.saturating_add(len) <= self.limit;
        let parameters = &self.parameters;
        // Of what can be opened without a ClientHello, the ServerHello is needed.
        let named = parameters.client_random.is_some() || parameters.version.is_some();
        (keys.more_may_come() || early) && room && named
    }

    /// Opens what can be opened of the records that wait.
    pub(super) fn replay(
        &mut self,
        direction: Direction,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let half = &mut self.halves[direction];
        let mut waiting = mem::take(&mut half.waiting);
        half.waiting_bytes = 0;
        while let Some(one) = waiting.pop_front() {
            self.on_record(direction, one.header, &one.fragment, one.arrival, keys, out);
            let half = &mut self.halves[direction];
            if !half.waiting.is_empty() {
                // It waits again, and so do all behind it.
                let behind: usize = waiting.iter().map(|one| one.fragment.len()).sum();
                half.waiting_bytes = half.waiting_bytes.saturating_add(behind);
                half.waiting.append(&mut waiting);
            }
        }
        self.tell_end(direction, out);
    }

    /// More waits than may.
    pub(super) fn give_up_waiting(
        &mut self,
        direction: Direction,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if self.parameters.version.is_none() && !self.server_hello_lost {
            return self.give_up_server_hello(keys, out);
        }
        if self.parameters.early_data == EarlyData::Offered {
            self.parameters.early_data = EarlyData::Refused;
            return self.replay(direction, keys, out);
        }
        let half = &mut self.halves[direction];
        half.waiting_bytes = 0;
        for one in mem::take(&mut half.waiting) {
            self.stay_closed(direction, one.header, one.arrival.seen, keys, out);
        }
    }
}
