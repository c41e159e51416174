//! The beginning: what both agreed on, and records that have the sizes of an opening handshake.

use super::Held;
use crate::session::{Leg, SealedRecord, Tls};
use crate::stream::Direction::{ClientToServer, ServerToClient};
use crate::stream::{GapCause, PacketRef};
use crate::tls::ContentType;

const TLS13: u16 = 0x0304;
/// The shortest request that opens a WebSocket, and the longest that is looked for.
///
/// Rationale: the lines that RFC 6455, section 4.1, demands have 140 bytes with
/// a one-letter host; servers refuse heads of more than 8 KB.
pub(super) const REQUEST: (u16, u16) = (140, 8_192);
/// The shortest answer, and the longest.
///
/// Rationale: the lines of a 101 have 129 bytes; proxies and cookies add a few hundred.
const ANSWER: (u16, u16) = (129, 1_024);
/// Among how many of its first records a client's Finished is sought: a certificate comes before it.
const FLIGHT: usize = 4;

/// The two agreed on HTTP/1.1, or on nothing and neither HTTP/2 nor anything else was offered.
pub(super) fn may_speak_http1(tls: &Tls) -> bool {
    if let Some((alpn, _)) = &tls.alpn {
        return alpn == "http/1.1";
    }
    let chosen = tls.server_hello.as_ref().map(|chosen| &chosen.hello);
    let known = chosen.is_some_and(|hello| hello.version != TLS13);
    if let Some(alpn) = chosen.and_then(|hello| hello.alpn.as_ref()) {
        return alpn == "http/1.1";
    }
    let offered = tls.client_hello.as_ref().map(|(hello, _)| &hello.alpn);
    // In TLS 1.2 a server that chooses says so in the clear.
    known || offered.is_some_and(|offered| offered.iter().all(|name| name == "http/1.1"))
}

/// Records are missing, or were not captured whole.
pub(super) fn is_incomplete(leg: &Leg, tls: &Tls) -> bool {
    let lost = [
        GapCause::NotCaptured,
        GapCause::SnapLength,
        GapCause::LimitReached,
    ];
    lost.into_iter().any(|cause| leg.has_loss(cause))
        || tls.records_lost.client > 0
        || tls.records_lost.server > 0
}

/// The client's Finished, and what the records after it hold; `None` where sizes can't tell.
pub(super) fn after_handshake(tls: &Tls) -> Option<(Option<PacketRef>, Vec<Held>)> {
    let added = tls.added()?;
    let chosen = tls.server_hello.as_ref()?;
    let tls13 = chosen.hello.version == TLS13;
    let held = |record: &SealedRecord| {
        let len = record.len.checked_sub(added)?;
        Some(Held {
            direction: record.direction,
            len,
            alert: match tls13 {
                true => len == 2,
                false => record.content == ContentType::Alert,
            },
            at: record.at,
        })
    };
    let all = tls.sealed_records.in_order();
    let records = all.iter();
    if !tls13 {
        let carries = |record: &&SealedRecord| {
            matches!(
                record.content,
                ContentType::ApplicationData | ContentType::Alert
            )
        };
        let mut finished = all.iter().filter(|record| {
            record.direction == ClientToServer && record.content == ContentType::Handshake
        });
        let held = records.filter(carries).filter_map(held).collect();
        return Some((finished.next().map(|record| record.at), held));
    }
    // RFC 8446, section 4.4.4: a header and as many bytes as the suite's hash has.
    let finished = match chosen.suite.ends_with("SHA384") {
        true => 4 + 48,
        false => 4 + 32,
    };
    let all: Vec<Held> = records.filter_map(held).collect();
    let of_client = |(_, held): &(usize, &Held)| held.direction == ClientToServer;
    let mut flight = all.iter().enumerate().filter(of_client).take(FLIGHT);
    let (last, own) = flight.find(|(_, held)| held.len == finished)?;
    let behind = all.get(last.checked_add(1)?..)?;
    Some((Some(own.at), behind.to_vec()))
}

/// A request that the server sent nothing after but what ends TLS.
pub(super) fn lone_request(held: &[Held]) -> Option<PacketRef> {
    let asks = held.iter().position(|h| h.direction == ClientToServer)?;
    let request = held.get(asks)?;
    let mut behind = held.get(asks.checked_add(1)?..)?.iter();
    let fits = (REQUEST.0..=REQUEST.1).contains(&request.len);
    (fits && behind.all(|held| held.alert)).then_some(request.at)
}

/// The request, its answer, and what follows them, if they have the sizes of an opening handshake.
pub(super) fn handshake(held: &[Held]) -> Option<(PacketRef, PacketRef, &[Held])> {
    let fits = |held: &Held, (least, most): (u16, u16)| (least..=most).contains(&held.len);
    let asks = held.iter().position(|h| h.direction == ClientToServer)?;
    let request = held.get(asks).filter(|held| fits(held, REQUEST))?;
    // Session tickets may come before the answer.
    let behind = held.get(asks.checked_add(1)?..)?;
    let of_server = |held: &&Held| held.direction == ServerToClient;
    let response = behind.iter().take_while(of_server);
    let answers = response
        .clone()
        .position(|held| fits(held, ANSWER))
        .filter(|_| response.clone().count() <= FLIGHT)?;
    let at = behind.get(answers)?.at;
    Some((request.at, at, behind.get(answers.checked_add(1)?..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Chosen, ClientHello, ServerHello};

    /// What a client that offers these and a server that chooses this may speak.
    fn may(offered: &[&str], version: u16, chosen: Option<&str>) -> bool {
        let mut tls = Tls::default();
        let hello = ClientHello {
            alpn: offered.iter().map(|name| (*name).to_owned()).collect(),
            ..ClientHello::default()
        };
        tls.client_hello = Some((Box::new(hello), PacketRef::default()));
        let hello = ServerHello {
            version,
            alpn: chosen.map(str::to_owned),
            ..ServerHello::default()
        };
        tls.server_hello = Some(Chosen {
            hello: Box::new(hello),
            suite: String::new(),
            resumed: false,
            at: PacketRef::default(),
        });
        may_speak_http1(&tls)
    }

    #[test]
    fn where_http2_may_have_been_agreed_on_nothing_is_inferred() {
        assert!(may(&[], TLS13, None));
        assert!(may(&["http/1.1"], TLS13, None));
        // The choice is encrypted.
        assert!(!may(&["h2", "http/1.1"], TLS13, None));
        assert!(!may(&["postgresql"], TLS13, None));
        assert!(may(&["h2", "http/1.1"], 0x0303, Some("http/1.1")));
        assert!(may(&["h2", "http/1.1"], 0x0303, None));
        assert!(!may(&["h2", "http/1.1"], 0x0303, Some("h2")));
    }
}
