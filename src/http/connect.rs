//! A stream inside a stream: what CONNECT does to a connection (RFC 9110, section 9.3.6).

use super::connection::{Connection, Mode, Place};
use super::half::{Phase, Question};
use super::{Event, Output};
use crate::stream::{Direction, Gap, PacketRef, StreamEvent};
use Direction::{ClientToServer, ServerToClient};

/// How a tunnel was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelKind {
    /// HTTP's CONNECT (RFC 9110, section 9.3.6).
    Connect,
    /// SOCKS, version 4 or 4a.
    Socks4,
    /// SOCKS, version 5 (RFC 1928).
    Socks5,
}

impl TunnelKind {
    /// The word for scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Socks4 => "socks4",
            Self::Socks5 => "socks5",
        }
    }
}

/// A tunnel through a proxy: all later bytes of the connection are its client's and its target's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// How it was asked for.
    pub kind: TunnelKind,
    /// Whom the client wants: `host:port`, as sent; `None` where the request is missing.
    pub target: Option<String>,
    /// The packet with the first byte of the request; `None` where it is missing.
    pub asked: Option<PacketRef>,
    /// The packet that opened it; `None` where the answer is missing and what
    /// the client sends behind it tells.
    pub opened: Option<PacketRef>,
}

/// A CONNECT that waits for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) target: String,
    pub(super) at: PacketRef,
}

impl Asked {
    fn tunnel(self, opened: Option<PacketRef>) -> Tunnel {
        Tunnel {
            kind: TunnelKind::Connect,
            target: Some(self.target),
            asked: Some(self.at),
            opened,
        }
    }
}

impl Connection {
    /// 2xx: the tunnel begins behind the empty line, whatever Content-Length or
    /// Transfer-Encoding say (RFC 9110, section 9.3.6).
    pub(super) fn open_tunnel(
        &mut self,
        asked: Asked,
        place: Place,
        out: &mut impl FnMut(Output<'_>),
    ) {
        self.enter(asked.tunnel(Some(place.last)), place.last, out);
    }

    /// A gap took the rest of an answer whose status line was still seen.
    pub(super) fn open_tunnel_behind(&mut self, gap: &Gap, out: &mut impl FnMut(Output<'_>)) {
        if let Some(Question::Connect(asked)) = self.outstanding.pop_front() {
            let seen = self.halves.server.gather.first();
            self.enter(asked.tunnel(seen.or(Some(gap.at))), gap.at, out);
            out(Output::Stream(StreamEvent::Gap(*gap)));
        }
    }

    /// What the client sends while the answer to its CONNECT is missing tells
    /// what the answer was: whatever isn't meant for the proxy is in the tunnel.
    /// Returns true if it opened.
    ///
    /// Not asked when the gap itself comes: what the server sent behind it comes
    /// with it, and may answer what the client said inside.
    pub(super) fn judge_lost_tunnel(&mut self, out: &mut impl FnMut(Output<'_>)) -> bool {
        if !self.lost_a_tunnel() {
            return false;
        }
        let (Some(gap), Some(bytes)) = (self.answer_gap, self.halves.client.held.front()) else {
            return false;
        };
        match addressee(bytes) {
            None => {}
            Some(Addressee::Proxy) => {
                self.outstanding.clear();
                self.answer_gap = None;
            }
            Some(Addressee::Target) => {
                self.answer_gap = None;
                if let Some(Question::Connect(asked)) = self.outstanding.pop_back() {
                    self.enter(asked.tunnel(None), gap.at, out);
                    out(Output::Stream(StreamEvent::Gap(gap)));
                }
            }
        }
        self.mode == Mode::HandedOn
    }

    /// The tunnel stands; what its client sent early goes on with the packet `released`.
    pub(super) fn enter(
        &mut self,
        tunnel: Tunnel,
        released: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        out(Output::Fact(Event::Tunnelled(Box::new(tunnel))));
        self.upgraded_at = Some(released);
        self.open(out);
    }

    /// The answer to a request that was not captured whole opened a tunnel, and what
    /// the client says inside it is HTTP, which is read here.
    ///
    /// `behind` is the first packet of a request behind it. A body that lasts as long as the
    /// connection leaves no room for another request; nothing but 2xx to CONNECT looks like
    /// one and has none (RFC 9110, section 9.3.6).
    pub(super) fn tell_missed_tunnel(
        &mut self,
        behind: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let opened = self.bare_answer.take();
        if let Some(opened) = opened.filter(|opened| *opened < behind) {
            out(Output::Fact(Event::TunnelSeen(Box::new(Tunnel {
                kind: TunnelKind::Connect,
                target: None,
                asked: None,
                opened: Some(opened),
            }))));
        }
    }

    /// The newest request is a CONNECT, and a gap took its answer.
    fn lost_a_tunnel(&self) -> bool {
        self.mode == Mode::Http
            && self.halves[ServerToClient].phase == Phase::Search
            && !self.halves[ClientToServer].held.is_empty()
            && matches!(self.outstanding.back(), Some(Question::Connect(_)))
    }
}

/// Whom a client's bytes behind a CONNECT are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addressee {
    Proxy,
    Target,
}

/// A proxy gets CONNECT, or a target in absolute form (RFC 9112, sections 3.2.2
/// and 3.2.3); `None` while too little is there to tell.
fn addressee(bytes: &[u8]) -> Option<Addressee> {
    const AGAIN: &[u8] = b"CONNECT ";
    if bytes.starts_with(AGAIN) {
        return Some(Addressee::Proxy);
    }
    if AGAIN.starts_with(bytes) {
        return None;
    }
    let method = bytes.iter().take_while(|b| b.is_ascii_uppercase()).count();
    let target = bytes
        .get(method..)
        .and_then(|rest| rest.strip_prefix(b" "))
        .unwrap_or_default();
    let absolute = method > 0 && target.first().is_some_and(u8::is_ascii_alphabetic);
    Some(if absolute {
        Addressee::Proxy
    } else {
        Addressee::Target
    })
}
