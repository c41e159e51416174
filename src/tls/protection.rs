//! A record in its turn: whether it is protected, and by what.

use super::cipher::Opener;
use super::connection::Connection;
use super::content::tell_alert;
use super::half::Protection;
use super::keys::{Epoch, Keys};
use super::open::{Known, Opening};
use super::parameters::{Answer, EarlyData};
use super::reader::Arrival;
use super::record::{ContentType, Header};
use super::schedule::Prf;
use super::{Event, Output};
use crate::stream::{Direction, PacketRef};

impl Connection {
    /// A record whose turn it is.
    pub(super) fn on_record(
        &mut self,
        direction: Direction,
        header: Header,
        fragment: &[u8],
        arrival: Arrival,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if self.awaits_server_hello(direction, header) {
            return self.halves[direction].wait(header, fragment, arrival);
        }
        if direction == Direction::ServerToClient && header.content != ContentType::Handshake {
            self.give_up_server_hello(keys, out);
        }
        self.identify(direction, header, fragment, keys);
        self.guess_protection(direction, header, keys);
        let half = &mut self.halves[direction];
        let refused = self.parameters.early_data == EarlyData::Refused;
        let opening = match &half.protection {
            Protection::None if refused && header.content == ContentType::ApplicationData => {
                Opening::Failed
            }
            Protection::None if header.content == ContentType::ApplicationData => Opening::NoKey,
            Protection::Epochs(_) if header.content != ContentType::ApplicationData => {
                return self.on_plain(direction, header, fragment, arrival, keys, out);
            }
            Protection::None => {
                return self.on_plain(direction, header, fragment, arrival, keys, out);
            }
            Protection::Classic(None) => {
                let protection = self.classic_protection(direction, keys);
                let half = &mut self.halves[direction];
                let missed = half.missed;
                half.protect(protection);
                half.missed = missed;
                half.open_classic(header, fragment)
            }
            Protection::Classic(Some(_)) => half.open_classic(header, fragment),
            Protection::Epochs(_) => match &self.parameters.client_random {
                Some(client_random) => {
                    let known = Known {
                        keys,
                        client_random,
                        suite: self.parameters.suite,
                        early_data: self.parameters.early_data == EarlyData::Accepted,
                        began_here: matches!(
                            self.parameters.early_data,
                            EarlyData::NotOffered | EarlyData::Refused
                        ),
                    };
                    half.open_epochs(known, header, fragment)
                }
                None => Opening::NoKey,
            },
        };
        match opening {
            Opening::Opened { .. } => self.on_opened(direction, header, arrival, keys, out),
            Opening::NoKey if self.is_worth_waiting(direction, keys, fragment.len()) => {
                self.halves[direction].wait(header, fragment, arrival);
            }
            Opening::NoKey | Opening::Failed => {
                self.stay_closed(direction, header, arrival.seen, keys, out);
            }
        }
    }

    /// Application data shows that keys are in use, even where the message
    /// that began it was lost.
    fn guess_protection(&mut self, direction: Direction, header: Header, keys: &Keys) {
        let (version, random) = (self.parameters.version, self.parameters.client_random);
        let half = &mut self.halves[direction];
        if !matches!(half.protection, Protection::None)
            || header.content != ContentType::ApplicationData
        {
            return;
        }
        let missed = half.missed;
        match version {
            Some(..0x0304) => half.protect(Protection::Classic(None)),
            Some(_) => half.protect(Protection::Epochs(None)),
            // Only TLS 1.3 has traffic secrets.
            None if random.is_some_and(|random| {
                keys.traffic(&random, direction, Epoch::Application)
                    .is_some()
            }) && (direction == Direction::ServerToClient
                || self.parameters.early_data != EarlyData::Offered) =>
            {
                half.protect(Protection::Epochs(None));
            }
            None => return,
        }
        half.missed = missed;
        // Sealed messages that were taken for plain ones.
        half.messages.lose();
    }

    /// A record in the clear.
    fn on_plain(
        &mut self,
        direction: Direction,
        header: Header,
        fragment: &[u8],
        arrival: Arrival,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        match header.content {
            ContentType::ChangeCipherSpec => self.on_change(direction, keys, arrival.seen, out),
            ContentType::Alert => tell_alert(direction, fragment, false, arrival, out),
            ContentType::Handshake => {
                self.on_handshake(direction, fragment, arrival, keys, out);
            }
            ContentType::ApplicationData | ContentType::Heartbeat => {}
        }
    }

    /// RFC 5246, section 7.1: this side's records are protected from here on.
    /// In TLS 1.3 the message means nothing.
    pub(super) fn on_change(
        &mut self,
        direction: Direction,
        keys: &Keys,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if self.parameters.version == Some(0x0304) {
            return;
        }
        if self.parameters.version.is_none() && self.parameters.client_random.is_some() {
            // Without the ServerHello it is either; a protected record of TLS 1.3 tells.
            return;
        }
        let protection = self.classic_protection(direction, keys);
        self.halves[direction].protect(protection);
        let of_server = direction == Direction::ServerToClient;
        if of_server && self.parameters.answer == Answer::Nothing {
            self.parameters.answer = Answer::More;
            out(Output::Fact(Event::Resumed { at }));
        }
    }

    fn classic_protection(&self, direction: Direction, keys: &Keys) -> Protection {
        Protection::Classic(self.classic_opener(direction, keys).map(Box::new))
    }

    pub(super) fn classic_opener(&self, direction: Direction, keys: &Keys) -> Option<Opener> {
        let parameters = &self.parameters;
        let (version, suite) = (parameters.version?, parameters.suite?);
        let (client, server) = (parameters.client_random?, parameters.server_random?);
        let master = parameters.master(keys)?;
        let prf = Prf::of(version, suite);
        let [of_client, of_server] = prf.key_block(suite, &master, &client, &server)?;
        let keys = match direction {
            Direction::ClientToServer => of_client,
            Direction::ServerToClient => of_server,
        };
        Opener::new(version, suite, &keys, parameters.encrypt_then_mac)
    }
}
