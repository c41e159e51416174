//! Records that stay closed, and why.

use super::connection::Connection;
use super::keys::{Epoch, Keys};
use super::parameters::EarlyData;
use super::record::Header;
use super::{Event, Output, Undecrypted};
use crate::stream::{Direction, PacketRef};

impl Connection {
    pub(super) fn stay_closed(
        &mut self,
        direction: Direction,
        header: Header,
        at: PacketRef,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let reason = self.reason(direction, keys);
        let half = &mut self.halves[direction];
        half.pass(1);
        half.closed = half.closed.saturating_add(1);
        half.torn = Some(at);
        out(Output::Fact(Event::Closed {
            direction,
            content: header.content,
            len: header.len,
            at,
        }));
        /// Rationale: a handshake flight whose keys aren't logged has fewer records.
        const ENOUGH: u64 = 32;
        // Early data that the server refused is passed over.
        let may_open = reason == Undecrypted::WrongKey
            || self.parameters.early_data == EarlyData::Refused && reason == Undecrypted::Gap;
        let certain = !may_open || half.closed >= ENOUGH;
        if certain && !half.told && half.opened == 0 {
            half.told = true;
            out(Output::Fact(Event::Undecrypted {
                direction,
                reason,
                at,
            }));
        }
    }

    /// Why nothing opens.
    fn reason(&self, direction: Direction, keys: &Keys) -> Undecrypted {
        let parameters = &self.parameters;
        let Some(random) = &parameters.client_random else {
            return Undecrypted::NoClientHello;
        };
        let known = match parameters.version {
            Some(0x0304) | None => {
                let epoch = Epoch::Application;
                keys.traffic(random, direction, epoch).is_some()
            }
            Some(_) => parameters.master(keys).is_some(),
        };
        match (parameters.version, parameters.suite) {
            (None, _) if keys.of(random).is_empty() => Undecrypted::NoKey,
            (None, _) => Undecrypted::Gap,
            (Some(_), None) => Undecrypted::UnsupportedSuite,
            (Some(_), Some(_)) if !known => Undecrypted::NoKey,
            (Some(_), Some(_)) => Undecrypted::WrongKey,
        }
    }
}
