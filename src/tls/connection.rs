//! One connection: which records are protected, by what, and what comes out of them.

use std::mem;

use super::cipher::Opener;
use super::half::{Half, Protection};
use super::keys::{Epoch, Keys};
use super::open::{Known, Opening};
use super::reader::{Arrival, Item};
use super::record::{ContentType, HEADER, Header};
use super::suite::Suite;
use super::{Alert, Event, Output, Undecrypted};
use crate::stream::{Chunk, Direction, Gap, GapCause, PacketRef, Sides, StreamEvent};

/// TLS on one connection, both directions.
///
/// Feed it the stream events of both directions in capture order; what is
/// inside comes out as another stream.
#[derive(Debug)]
pub struct Connection {
    pub(super) halves: Sides<Half>,
    pub(super) parameters: Parameters,
    /// How many bytes of a direction may wait for keys.
    limit: usize,
    /// No ServerHello comes any more for records of the client to wait for.
    server_hello_lost: bool,
}

/// What the handshake settled.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) client_random: Option<[u8; 32]>,
    pub(super) server_random: Option<[u8; 32]>,
    pub(super) version: Option<u16>,
    /// The suite chosen, where it is one that can be read.
    pub(super) suite: Option<&'static Suite>,
    pub(super) offered_session: Vec<u8>,
    pub(super) session: Vec<u8>,
    pub(super) early_data: EarlyData,
    pub(super) encrypt_then_mac: bool,
    pub(super) extended_master_secret: bool,
    /// The premaster secret that the client encrypted for the server.
    pub(super) exchange: Option<Exchange>,
    /// The handshake of TLS 1.2 and older up to ClientKeyExchange.
    pub(super) transcript: Vec<u8>,
}

/// What the master secret is computed from, beside the premaster secret and the randoms.
#[derive(Debug)]
pub(super) struct Exchange {
    /// How the encrypted premaster secret begins, by which a key log names it.
    pub(super) encrypted: [u8; 8],
    /// RFC 7627, section 3.
    pub(super) session_hash: Vec<u8>,
}

/// Data of the client before the handshake is complete (RFC 8446, section 4.2.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum EarlyData {
    #[default]
    NotOffered,
    Offered,
    Accepted,
    Refused,
    /// The server's answer was lost.
    Unanswered,
}

impl Connection {
    /// A connection of which nothing is known. At most `limit` bytes of each
    /// direction wait for keys that may still come.
    pub fn new(limit: usize) -> Self {
        Self {
            halves: Sides::from_fn(Half::new),
            parameters: Parameters::default(),
            limit,
            server_hello_lost: false,
        }
    }

    /// The client random of the ClientHello, by which key logs name the connection.
    pub fn client_random(&self) -> Option<&[u8; 32]> {
        self.parameters.client_random.as_ref()
    }

    /// Records of this direction wait for keys.
    pub fn waits(&self, direction: Direction) -> bool {
        !self.halves[direction].waiting.is_empty()
    }

    /// Bytes of memory held.
    pub fn buffered(&self) -> usize {
        let halves = self.halves.iter().map(|(_, half)| half.buffered());
        halves.sum::<usize>() + self.parameters.transcript.capacity()
    }

    /// Takes the next event of either direction.
    pub fn on_stream(
        &mut self,
        event: &StreamEvent<'_>,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let direction = match event {
            StreamEvent::Chunk(Chunk { direction, .. })
            | StreamEvent::Gap(Gap { direction, .. })
            | StreamEvent::End(direction, _) => *direction,
        };
        let mut reader = mem::take(&mut self.halves[direction].reader);
        let mut each = |item: Item<'_>| self.on_item(direction, item, keys, out);
        match event {
            StreamEvent::Chunk(chunk) => reader.on_chunk(chunk, &mut each),
            StreamEvent::Gap(gap) => reader.on_gap(gap, &mut each),
            StreamEvent::End(_, at) => {
                if reader.is_searching() {
                    self.lose(direction, None, *at, out);
                }
                self.halves[direction].ended = Some(*at);
                self.tell_end(direction, out);
                if direction == Direction::ServerToClient {
                    self.give_up_server_hello(keys, out);
                }
            }
        }
        self.halves[direction].reader = reader;
    }

    /// More keys are known: opens what waited for them.
    pub fn on_keys(&mut self, keys: &Keys, out: &mut impl FnMut(Output<'_>)) {
        for direction in Direction::BOTH {
            self.replay(direction, keys, out);
        }
    }

    /// Nothing more comes: what waits stays closed.
    pub fn finish(&mut self, out: &mut impl FnMut(Output<'_>)) {
        let none = Keys::new(false);
        self.give_up_server_hello(&none, out);
        for direction in Direction::BOTH {
            for one in mem::take(&mut self.halves[direction].waiting) {
                self.stay_closed(direction, one.header, one.arrival.seen, &none, out);
            }
            self.tell_end(direction, out);
            let half = &mut self.halves[direction];
            if half.closed > 0 && half.opened == 0 && !half.told {
                half.told = true;
                let at = half.torn.unwrap_or_default();
                out(Output::Fact(Event::Undecrypted {
                    direction,
                    reason: Undecrypted::WrongKey,
                    at,
                }));
            }
        }
    }

    /// The end of a direction comes behind what waits in it.
    fn tell_end(&mut self, direction: Direction, out: &mut impl FnMut(Output<'_>)) {
        let half = &mut self.halves[direction];
        if half.waiting.is_empty()
            && let Some(at) = half.ended.take()
        {
            // Records that were lost behind what was read may have held more of it.
            if half.offset > 0
                && let Some(at) = half.torn.take()
            {
                out(Output::Stream(StreamEvent::Gap(Gap {
                    direction,
                    offset: half.offset,
                    len: None,
                    cause: GapCause::NotCaptured,
                    at,
                })));
            }
            out(Output::Stream(StreamEvent::End(direction, at)));
        }
    }

    fn on_item(
        &mut self,
        direction: Direction,
        item: Item<'_>,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let half = &mut self.halves[direction];
        match item {
            Item::Record {
                header,
                fragment,
                arrival,
            } if half.waiting.is_empty() => {
                self.on_record(direction, header, fragment, arrival, keys, out);
            }
            Item::Record {
                header,
                fragment,
                arrival,
            } => {
                half.wait(header, fragment, arrival);
                if half.waiting_bytes > self.limit {
                    self.give_up_waiting(direction, keys, out);
                }
            }
            Item::Torn { at, .. } => {
                half.pass(1);
                self.lose(direction, Some(1), at, out);
                if direction == Direction::ServerToClient {
                    self.give_up_server_hello(keys, out);
                }
            }
            Item::Lost { bytes, at } => {
                // A record under encryption is never shorter than its header, tag and content type.
                let shortest = HEADER as u64 + 17;
                half.pass(bytes.map_or(u64::MAX, |bytes| bytes / shortest + 1));
                self.lose(direction, None, at, out);
                if direction == Direction::ServerToClient {
                    self.give_up_server_hello(keys, out);
                }
            }
            Item::Foreign { at } => {
                out(Output::Fact(Event::Foreign { direction, at }));
                if direction == Direction::ServerToClient {
                    self.give_up_server_hello(keys, out);
                }
            }
        }
    }

    fn lose(
        &mut self,
        direction: Direction,
        count: Option<u64>,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let half = &mut self.halves[direction];
        half.messages.lose();
        half.torn = Some(at);
        if let Protection::Classic(Some(opener)) = &mut half.protection {
            opener.pass(None);
        }
        // The transcript has a hole.
        self.parameters.transcript = Vec::new();
        out(Output::Fact(Event::RecordsLost {
            direction,
            count,
            at,
        }));
    }

    /// Whether a record of the client can't be read before the ServerHello,
    /// which the capture may have behind it.
    fn awaits_server_hello(&self, direction: Direction, header: Header) -> bool {
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
    fn give_up_server_hello(&mut self, keys: &Keys, out: &mut impl FnMut(Output<'_>)) {
        if !self.server_hello_lost && self.parameters.version.is_none() {
            self.server_hello_lost = true;
            self.replay(Direction::ClientToServer, keys, out);
        }
    }

    /// A record whose turn it is.
    fn on_record(
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

    /// Keys, or the message that says which, may still come.
    fn is_worth_waiting(&self, direction: Direction, keys: &Keys, len: usize) -> bool {
        let half = &self.halves[direction];
        let early = direction == Direction::ClientToServer
            && self.parameters.early_data == EarlyData::Offered
            && !keys.is_empty();
        let room = half.waiting_bytes.saturating_add(len) <= self.limit;
        (keys.more_may_come() || early) && room && self.parameters.client_random.is_some()
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
    fn give_up_waiting(
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

    fn stay_closed(
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

    /// What `half.plain` holds is the content of a record.
    fn on_opened(
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
            Some(ContentType::ChangeCipherSpec) => self.on_change(direction, keys),
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
        if let Some(at) = half.torn.take() {
            out(Output::Stream(StreamEvent::Gap(Gap {
                direction,
                offset,
                len: None,
                cause: GapCause::NotCaptured,
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
            ContentType::ChangeCipherSpec => self.on_change(direction, keys),
            ContentType::Alert => tell_alert(direction, fragment, false, arrival, out),
            ContentType::Handshake => {
                self.on_handshake(direction, fragment, arrival, keys, out);
            }
            ContentType::ApplicationData | ContentType::Heartbeat => {}
        }
    }

    /// RFC 5246, section 7.1: this side's records are protected from here on.
    /// In TLS 1.3 the message means nothing.
    fn on_change(&mut self, direction: Direction, keys: &Keys) {
        if self.parameters.version == Some(0x0304) {
            return;
        }
        if self.parameters.version.is_none() && self.parameters.client_random.is_some() {
            // Without the ServerHello it is either; a protected record of TLS 1.3 tells.
            return;
        }
        let protection = self.classic_protection(direction, keys);
        self.halves[direction].protect(protection);
    }

    fn classic_protection(&self, direction: Direction, keys: &Keys) -> Protection {
        Protection::Classic(self.classic_opener(direction, keys).map(Box::new))
    }

    fn classic_opener(&self, direction: Direction, keys: &Keys) -> Option<Opener> {
        use super::schedule::Prf;
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

/// RFC 8446, section 5.2: the content type stands behind the content, before padding of zeros.
fn unpad(plain: &mut Vec<u8>) -> Option<ContentType> {
    let end = plain.iter().rposition(|byte| *byte != 0)?;
    let content = plain.get(end).copied().and_then(ContentType::from_code);
    plain.truncate(end);
    content
}

fn tell_alert(
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
