//! What a complete head does to the connection: requests are queued, answers
//! are paired with them; a 101 opens the WebSocket, a 2xx to CONNECT the tunnel.

use std::mem;

use super::body::Body;
use super::connect::Asked;
use super::connection::{Connection, Mode, Place};
use super::excerpt::Excerpt;
use super::gather::Gather;
use super::half::{Phase, Question};
use super::line::{RequestLine, StatusLine};
use super::parse::{self, Head, text};
use super::{Event, Lookalike, Output, Request, Response, upgrade};
use crate::stream::{Direction, Gap, GapCause, StreamEvent};
use Direction::{ClientToServer, ServerToClient};

impl Connection {
    pub(super) fn on_request(
        &mut self,
        bytes: &[u8],
        place: Place,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let mut room = parse::room();
        let Some(head) = parse::request(bytes, &mut room) else {
            return self.refuse_head(ClientToServer, place, out);
        };
        self.cut_switch = None;
        let half = &mut self.halves.client;
        half.begun = true;
        half.phase = phase_of(Some(Body::of_request(&head)));
        if mem::take(&mut self.requests_missed) {
            self.missed_until = Some(place.first);
        }
        self.tell_missed_tunnel(place.first, out);
        if self.halves.server.phase == Phase::Search {
            // The answers to the older ones were lost: a client seldom asks before it has them.
            self.outstanding.clear();
        }
        if head.line.method == b"CONNECT" {
            // RFC 9110, section 9.3.6: it asks for a tunnel, whatever its fields say.
            let request = Box::new(owned_request(&head, place));
            self.outstanding
                .push_back(Question::Connect(Box::new(Asked {
                    target: request.target.clone(),
                    at: place.first,
                })));
            out(Output::Fact(Event::ConnectRequested { request }));
        } else if !head.upgrades_to_websocket() && !head.has_websocket_field() {
            self.outstanding.push_back(match head.line.method {
                b"HEAD" => Question::Head,
                _ => Question::Ordinary,
            });
        } else {
            let request = Box::new(owned_request(&head, place));
            let mut breaches = head.faults(bytes);
            breaches.extend(upgrade::check_request(&request));
            self.outstanding.push_back(Question::WebSocket {
                request: request.clone(),
                size: bytes.len(),
            });
            out(Output::Fact(Event::UpgradeRequested { request, breaches }));
        }
        if self.halves.server.phase == Phase::Ignored {
            self.become_opaque();
        }
    }

    pub(super) fn on_response(
        &mut self,
        bytes: &[u8],
        place: Place,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let mut room = parse::room();
        let Some(head) = parse::response(bytes, &mut room) else {
            return self.refuse_head(ServerToClient, place, out);
        };
        self.halves.server.begun = true;
        self.answer_gap = None;
        let status = head.line.status;
        if let 100 | 102..=199 = status {
            self.halves.server.phase = Phase::Head;
            if let Some(Question::WebSocket { .. }) = self.outstanding.front() {
                out(Output::Fact(Event::Interim {
                    status,
                    at: place.last,
                }));
            }
            return;
        }
        let of_missed = self.missed_until.is_some_and(|first| place.last < first);
        let question = match of_missed {
            true => None,
            false => self.outstanding.pop_front(),
        };
        if status == 101 {
            return self.on_switch(&head, bytes, place, question, out);
        }
        // RFC 9112, section 6.3.
        let without_body = match &question {
            Some(Question::WebSocket { request, .. }) => request.method == "HEAD",
            Some(Question::Head) => true,
            Some(Question::Connect(_) | Question::Ordinary) | None => false,
        };
        let question = match question {
            Some(Question::Connect(asked)) if (200..300).contains(&status) => {
                return self.open_tunnel(*asked, place, out);
            }
            other => other,
        };
        let body =
            (!without_body && !matches!(status, 204 | 304)).then(|| Body::of_response(&head));
        self.halves.server.phase = phase_of(body);
        let bare = question.is_none()
            && (200..300).contains(&status)
            && body == Some(Body::UntilClose)
            && head.all("content-type").next().is_none();
        self.bare_answer = bare.then_some(place.last);
        if let (true, Some(behind)) = (of_missed, self.missed_until) {
            self.tell_missed_tunnel(behind, out);
        }
        match question {
            Some(Question::WebSocket { .. }) => {
                let response = Box::new(owned_response(&head, place));
                self.refusal = body.map(|_| Excerpt::new(&head));
                out(Output::Fact(Event::Refused { response }));
            }
            Some(Question::Connect(_)) => {
                let response = Box::new(owned_response(&head, place));
                self.refusal = body.map(|_| Excerpt::new(&head));
                out(Output::Fact(Event::ConnectRefused { response }));
            }
            Some(_) => out(Output::Fact(Event::Exchange)),
            None => {}
        }
    }

    /// 101: to a WebSocket, or to something else.
    fn on_switch(
        &mut self,
        head: &Head<'_, '_, StatusLine<'_>>,
        bytes: &[u8],
        place: Place,
        question: Option<Question>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let request = match question {
            Some(Question::WebSocket { request, .. }) => Some(request),
            Some(_) => {
                out(Output::Fact(Event::Exchange));
                return self.become_opaque();
            }
            None => None,
        };
        let says_websocket =
            head.upgrades_to_websocket() || head.all("sec-websocket-accept").next().is_some();
        let response = Box::new(owned_response(head, place));
        match &request {
            _ if says_websocket => {}
            Some(request) if !names_another_protocol(&response, request) => {}
            Some(_) => {
                out(Output::Fact(Event::Refused { response }));
                return self.become_opaque();
            }
            None => return self.become_opaque(),
        }
        let mut breaches = head.faults(bytes);
        breaches.extend(upgrade::check_response(request.as_deref(), &response));
        let agreement = upgrade::agreement(&response);
        out(Output::Fact(Event::Upgraded {
            response,
            breaches,
            agreement,
        }));
        if let Some((at, len)) = self.halves.client.held.sent_before(place.first) {
            out(Output::Fact(Event::EarlyData { at, len }));
        }
        self.upgraded_at = Some(place.last);
        self.open(out);
    }

    /// Both directions are another layer's from here on.
    pub(super) fn open(&mut self, out: &mut impl FnMut(Output<'_>)) {
        self.mode = Mode::HandedOn;
        self.outstanding.clear();
        self.halves.server.phase = Phase::Stream;
        let client = &mut self.halves.client;
        client.gather = Gather::default();
        if let (Phase::Search, Some(at)) = (client.phase, client.lost) {
            // Where the request ended isn't known, nor whether frames passed already.
            out(Output::Stream(StreamEvent::Gap(Gap {
                direction: ClientToServer,
                offset: 0,
                len: None,
                cause: GapCause::NotCaptured,
                at,
            })));
        }
        if !matches!(client.phase, Phase::Body(_)) {
            client.phase = Phase::Stream;
        }
        if let Some(at) = client.ended {
            out(Output::Stream(StreamEvent::End(ClientToServer, at)));
        }
    }

    /// What looked like a head has no start line of HTTP/1.
    fn refuse_head(
        &mut self,
        direction: Direction,
        place: Place,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if self.halves[direction].begun {
            self.lose_head(direction, place.last, out);
        } else {
            self.not_http(direction, place.first, Lookalike::Unknown, out);
        }
    }
}

fn phase_of(body: Option<Body>) -> Phase {
    match body {
        None | Some(Body::Length(0)) => Phase::Head,
        Some(body) => Phase::Body(body),
    }
}

/// Whether the server switched to something that is known not to be a WebSocket:
/// another protocol of the client's list, HTTP/2 or TLS.
fn names_another_protocol(response: &Response, request: &Request) -> bool {
    response.headers.list("upgrade").any(|token| {
        let token = token.to_ascii_lowercase();
        ["h2", "http/", "tls/"]
            .iter()
            .any(|known| token.starts_with(known))
            || request
                .headers
                .list("upgrade")
                .any(|offer| offer.eq_ignore_ascii_case(&token))
    })
}

pub(super) fn owned_request(head: &Head<'_, '_, RequestLine<'_>>, place: Place) -> Request {
    Request {
        first: place.first,
        last: place.last,
        end: place.end,
        method: text(head.line.method),
        target: text(head.line.target),
        minor_version: head.line.minor_version,
        headers: head.headers(),
    }
}

fn owned_response(head: &Head<'_, '_, StatusLine<'_>>, place: Place) -> Response {
    Response {
        first: place.first,
        last: place.last,
        end: place.end,
        status: head.line.status,
        reason: text(head.line.reason),
        minor_version: head.line.minor_version,
        headers: head.headers(),
    }
}
