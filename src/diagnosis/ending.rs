//! The words for an end: what the wire shows of it, who brought it about, by what.

use crate::session::{Alert, Reset};
use crate::stream::{Direction, PacketRef};

/// What the wire shows of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Both sides sent a Close frame.
    Clean,
    /// One side did, and the other didn't.
    Half,
    /// One side did; whether the other did is not in the capture, or can't be read.
    Unknown,
    /// The transport ended, and nobody had sent a Close frame.
    Abnormal,
    /// The capture ended first, or lacks what came right before the end.
    Open,
    /// It was never opened.
    None,
}

impl Kind {
    /// The word that reports use; none for what can't be known.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Clean => Some("clean"),
            Self::Half => Some("half"),
            Self::Unknown => None,
            Self::Abnormal => Some("abnormal"),
            Self::Open => Some("open"),
            Self::None => Some("none"),
        }
    }
}

/// Who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedBy {
    /// The client.
    Client,
    /// The server, or whatever answers in its name.
    Server,
    /// A proxy that is seen to be one.
    Proxy,
    /// A device on the path that wrote packets in another's name.
    Middlebox,
    /// The path.
    Network,
    /// It can't be told.
    Unknown,
}

impl EndedBy {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Proxy => "proxy",
            Self::Middlebox => "middlebox",
            Self::Network => "network",
            Self::Unknown => "unknown",
        }
    }

    /// The side that sends in this direction.
    pub const fn side(direction: Direction) -> Self {
        match direction {
            Direction::ClientToServer => Self::Client,
            Direction::ServerToClient => Self::Server,
        }
    }
}

/// By what it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// Close frames.
    Close,
    /// A FIN.
    Fin,
    /// A reset.
    Rst,
    /// A TLS close_notify.
    TlsCloseNotify,
    /// A fatal TLS alert.
    TlsAlert,
    /// Nothing: what was sent stayed unanswered until somebody gave up.
    Timeout,
    /// The capture ended.
    CaptureEnd,
}

impl How {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::TlsCloseNotify => "tls-close-notify",
            Self::TlsAlert => "tls-alert",
            Self::Timeout => "timeout",
            Self::CaptureEnd => "capture-end",
        }
    }
}

/// What TLS said before the transport ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Its sender sends nothing more.
    CloseNotify,
    /// Something failed.
    Alert(Alert),
}

/// The first close_notify or fatal alert of TLS, FIN or reset that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminator {
    /// Its (claimed) sender.
    pub direction: Direction,
    /// Its packet.
    pub at: PacketRef,
    /// The reset, if it is one.
    pub reset: Option<Reset>,
    /// What TLS said, if that came first.
    pub farewell: Option<Farewell>,
}

impl Terminator {
    pub(super) fn how(&self) -> How {
        match (self.farewell, self.reset) {
            (Some(Farewell::CloseNotify), _) => How::TlsCloseNotify,
            (Some(Farewell::Alert(_)), _) => How::TlsAlert,
            (None, Some(_)) => How::Rst,
            (None, None) => How::Fin,
        }
    }

    /// `FIN`, `reset`, `TLS close_notify`.
    pub(super) fn word(&self) -> &'static str {
        match self.how() {
            How::TlsCloseNotify => "TLS close_notify",
            How::TlsAlert => "TLS alert",
            How::Rst => "reset",
            _ => "FIN",
        }
    }
}
