//! The opening handshake as it was seen (RFC 6455, section 4).

use crate::http::{Agreement, Event, HandshakeBreach, Headers, Request, Response};
use crate::stream::{PacketRef, Sides};

use super::crossing::Crossing;

/// How a session was found of whose opening handshake nothing is in the capture, or nothing can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MidStream {
    /// What shows that it is a WebSocket.
    pub by: FoundBy,
    /// Bytes of each sender that were captured before its first frame that could be told.
    pub skipped: Sides<u64>,
    /// The connection began in the capture, which lacks the handshake: not only
    /// the beginning is missing.
    pub lost: bool,
}

/// What shows that bytes without a handshake are a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// Frames, proven by their structure; the masks tell who the client is.
    Frames,
    /// TLS records without a key: their sizes suggest it, no more.
    RecordSizes {
        /// The records that have the size of a Close frame and its answer.
        close: Option<Sides<PacketRef>>,
    },
}

/// Bytes that the client sent before the answer to its upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyData {
    /// The first packet with such.
    pub at: PacketRef,
    /// How many.
    pub len: u64,
    /// That packet doesn't acknowledge the answer, so the order of records and
    /// their times needn't be relied on.
    pub proven: bool,
}

/// Request, answer, and what they break.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The request. Holds secrets: show its parts through `session::redact`.
    /// Empty where it is not in the capture, with the first packet that is.
    pub request: Request,
    /// The request is not in the capture.
    pub request_lost: bool,
    /// How the session was found, where nothing of the handshake is in the capture.
    pub mid_stream: Option<MidStream>,
    /// What it breaks.
    pub request_breaches: Vec<HandshakeBreach>,
    /// 1xx answers before the final one.
    pub interim: Vec<(u16, PacketRef)>,
    /// The final answer.
    pub response: Option<Response>,
    /// What a 101 breaks.
    pub response_breaches: Vec<HandshakeBreach>,
    /// What both agreed on, after a 101.
    pub agreement: Agreement,
    /// The first part of a refusal's body, decoded.
    pub body: Vec<u8>,
    /// Bytes that the client sent before the answer.
    pub early_data: Option<EarlyData>,
    /// The server answered with something that is no HTTP.
    pub not_http: Option<(PacketRef, crate::http::Lookalike)>,
    /// The answer is missing from the capture, and frames follow; the packet that shows it.
    pub answer_lost: Option<PacketRef>,
    /// The snap length cut the request: fields that aren't there may have been.
    pub request_cut: bool,
    /// Segments that may cross the answer on their way.
    pub(super) crossing: Option<Box<Crossing>>,
}

impl Handshake {
    pub(super) fn new(request: Request, request_breaches: Vec<HandshakeBreach>) -> Self {
        Self {
            request,
            request_lost: false,
            mid_stream: None,
            request_breaches,
            interim: Vec::new(),
            response: None,
            response_breaches: Vec::new(),
            agreement: Agreement::default(),
            body: Vec::new(),
            early_data: None,
            not_http: None,
            answer_lost: None,
            request_cut: false,
            crossing: None,
        }
    }

    /// A handshake whose request is not in the capture; `at` is the first packet that is.
    pub(super) fn without_request(at: PacketRef) -> Self {
        let request = Request {
            first: at,
            last: at,
            end: 0,
            method: String::new(),
            target: String::new(),
            minor_version: 1,
            headers: Headers::default(),
        };
        Self {
            request_lost: true,
            ..Self::new(request, Vec::new())
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Interim { status, at } => {
                if self.interim.len() < 16 {
                    self.interim.push((*status, *at));
                }
            }
            Event::Refused { response } => self.response = Some((**response).clone()),
            Event::RefusalBody { excerpt } => self.body.clone_from(excerpt),
            Event::Upgraded {
                response,
                breaches,
                agreement,
            } => {
                self.response = Some((**response).clone());
                self.response_breaches.clone_from(breaches);
                self.agreement = agreement.clone();
                let crossing = self.crossing.take();
                self.crossing = crossing.filter(|crossing| !crossing.is_one_sided());
            }
            Event::EarlyData { at, len } => self.on_early_data(*at, *len),
            Event::NotHttp {
                direction,
                at,
                looks_like,
            } => {
                if *direction == crate::stream::Direction::ServerToClient && self.response.is_none()
                {
                    self.not_http = Some((*at, *looks_like));
                }
            }
            Event::AnswerLost { at } => self.answer_lost = Some(*at),
            Event::AnswerCut { at, .. } => {
                (self.answer_lost, self.request_cut) = (Some(*at), true);
            }
            Event::UpgradeRequested { .. }
            | Event::Exchange
            | Event::Proxied { .. }
            | Event::ConnectRequested { .. }
            | Event::ConnectRefused { .. }
            | Event::Tunnelled(_)
            | Event::TunnelSeen(_)
            | Event::SocksRefused { .. }
            | Event::HeadLost { .. } => {}
        }
    }

    /// Records out of order show an answer behind what its receiver sent next: that
    /// acknowledges it.
    fn on_early_data(&mut self, at: PacketRef, len: u64) {
        let crossing = self.crossing.take();
        let answer = self.response.as_ref().map(|response| response.last);
        let had = crossing
            .zip(answer)
            .and_then(|(crossing, answer)| crossing.had(at, answer));
        if had != Some(true) {
            let proven = had.is_some();
            self.early_data = Some(EarlyData { at, len, proven });
        }
    }

    /// The status code of the final answer.
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|response| response.status)
    }

    /// Asked, and neither answered nor gone on without an answer.
    pub fn awaits_answer(&self) -> bool {
        self.response.is_none() && self.mid_stream.is_none() && self.answer_lost.is_none()
    }

    /// The answer was 101, or it was not captured but frames followed.
    pub fn is_upgraded(&self) -> bool {
        self.status() == Some(101) || self.answer_lost.is_some() || self.mid_stream.is_some()
    }

    /// The request, if it is in the capture.
    pub fn seen_request(&self) -> Option<&Request> {
        (!self.request_lost).then_some(&self.request)
    }

    /// Both halves of the handshake were seen, so that what they settled is known.
    pub fn is_known(&self) -> bool {
        !self.request_lost && self.response.is_some()
    }

    /// What Sec-WebSocket-Accept has to be for the key of this request (RFC 6455, section 4.2.2).
    pub fn expected_accept(&self) -> Option<String> {
        let key = self.request.headers.first("Sec-WebSocket-Key")?;
        Some(tungstenite::handshake::derive_accept_key(
            key.trim().as_bytes(),
        ))
    }

    /// The secret values of the request: neither side's texts may repeat them unredacted.
    pub fn secrets(&self) -> Vec<String> {
        super::redact::secrets_of(&self.request.target, &self.request.headers.0)
    }

    /// The target of the request, without an absolute form's origin. Holds secrets.
    pub fn path(&self) -> Option<&str> {
        let target = self.seen_request()?.target.as_str();
        Some(target.split_once("://").map_or(target, |(_, rest)| {
            rest.find('/').and_then(|i| rest.get(i..)).unwrap_or("/")
        }))
    }

    /// The Host field, without credentials that somebody put before it.
    pub fn host(&self) -> Option<&str> {
        let field = self.request.headers.first("Host")?;
        Some(field.rsplit_once('@').map_or(field, |(_, host)| host))
    }

    /// The subprotocols that the client offered, in its order.
    pub fn offered_subprotocols(&self) -> impl Iterator<Item = &str> {
        self.request.headers.list("Sec-WebSocket-Protocol")
    }
}
