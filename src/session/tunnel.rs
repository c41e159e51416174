//! Requests for a tunnel through a proxy (RFC 9110, section 9.3.6), and what became of them.

use std::net::{IpAddr, SocketAddr};

use crate::http::{Request, Response, SocksRefusal, TunnelKind};
use crate::stream::PacketRef;

/// How many requests of one connection are kept, the newest.
///
/// Rationale: an authentication in steps (NTLM, Negotiate) takes three.
const ASKED_MAX: usize = 8;

/// How many different tunnels of a capture are remembered.
///
/// Rationale: 200 bytes each; a client that was refused tries again within seconds.
const OPENED_MAX: usize = 1_024;

/// A request that opened no tunnel, so far.
#[derive(Clone, Debug)]
pub struct TunnelRequest {
    /// How it was asked for.
    pub kind: TunnelKind,
    /// The packet with its first byte.
    pub first: PacketRef,
    /// The packet with its last byte.
    pub last: PacketRef,
    /// Whom the client wants: `host:port`, as sent.
    pub target: String,
    /// The scheme of the credentials that it brought (`Basic`), never they themselves.
    pub credentials: Option<String>,
    /// The final answer.
    pub response: Option<Response>,
    /// The same in the words of SOCKS.
    pub socks: Option<SocksRefusal>,
    /// The first part of its body, decoded.
    pub body: Vec<u8>,
    /// Secret values of the request: the answer's texts may not repeat them.
    pub secrets: Vec<String>,
}

impl TunnelRequest {
    fn new(request: &Request) -> Self {
        let scheme = |value: &str| value.split_whitespace().next().map(str::to_owned);
        Self {
            kind: TunnelKind::Connect,
            socks: None,
            first: request.first,
            last: request.last,
            target: request.target.clone(),
            credentials: request
                .headers
                .first("Proxy-Authorization")
                .and_then(scheme),
            response: None,
            body: Vec::new(),
            secrets: super::redact::secrets_of(&request.target, &request.headers.0),
        }
    }
}

/// The requests for a tunnel of one connection that are not overcome, oldest first.
#[derive(Clone, Debug, Default)]
pub struct TunnelRequests(Vec<TunnelRequest>);

impl TunnelRequests {
    /// A CONNECT came.
    pub fn asked(&mut self, request: &Request) {
        if self.0.len() >= ASKED_MAX {
            self.0.remove(0);
        }
        self.0.push(TunnelRequest::new(request));
    }

    /// A SOCKS server refused one: nothing else follows on its connection.
    pub fn refused_by_socks(&mut self, target: &str, asked: PacketRef, refusal: SocksRefusal) {
        self.0 = vec![TunnelRequest {
            kind: refusal.kind,
            first: asked,
            last: asked,
            target: target.to_owned(),
            credentials: None,
            response: None,
            socks: Some(refusal),
            body: Vec::new(),
            secrets: Vec::new(),
        }];
    }

    /// The oldest unanswered one was refused.
    pub fn refused(&mut self, response: &Response) {
        if let Some(asked) = self.0.iter_mut().find(|asked| asked.response.is_none()) {
            asked.response = Some(response.clone());
        }
    }

    /// What is known of the body of the last refusal.
    pub fn refusal_body(&mut self, excerpt: &[u8]) {
        let answered = self
            .0
            .iter_mut()
            .rev()
            .find(|asked| asked.response.is_some());
        if let Some(asked) = answered {
            asked.body = excerpt.to_vec();
        }
    }

    /// A tunnel opened: what was refused before was a step on the way to it.
    pub fn overcome(&mut self) {
        self.0.clear();
    }

    /// The newest, which decides.
    pub fn last(&self) -> Option<&TunnelRequest> {
        self.0.last()
    }

    /// All of them that are kept.
    pub fn iter(&self) -> impl Iterator<Item = &TunnelRequest> {
        self.0.iter()
    }
}

/// A tunnel that opened, whatever was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedTunnel {
    /// The host that asked for it.
    pub client: IpAddr,
    /// The proxy.
    pub proxy: SocketAddr,
    /// Its other end: `host:port`.
    pub target: String,
    /// When the last one of this kind was asked for.
    pub asked: PacketRef,
}

/// The tunnels that opened: one of each client host, proxy and target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenedTunnels {
    each: Vec<OpenedTunnel>,
    /// How many opened, those that are not remembered included.
    pub count: u64,
}

impl OpenedTunnels {
    /// One more.
    pub fn add(&mut self, client: IpAddr, proxy: SocketAddr, target: &str, asked: PacketRef) {
        self.count += 1;
        let same = |known: &&mut OpenedTunnel| {
            (known.client, known.proxy) == (client, proxy)
                && known.target.eq_ignore_ascii_case(target)
        };
        if let Some(known) = self.each.iter_mut().find(same) {
            known.asked = asked;
        } else if self.each.len() < OPENED_MAX {
            self.each.push(OpenedTunnel {
                client,
                proxy,
                target: target.to_owned(),
                asked,
            });
        }
    }

    /// Those that are remembered.
    pub fn iter(&self) -> impl Iterator<Item = &OpenedTunnel> {
        self.each.iter()
    }
}
