//! A finding: what a rule says, how sure it is, and the packets that show it.

use std::net::SocketAddr;
use std::time::Duration;

use super::Rule;
use crate::session::Session;
use crate::stream::PacketRef;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Works, but not as it should.
    Warn,
    /// Something broke.
    Error,
}

impl Severity {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// One signal.
    Possible,
    /// At least two independent signals.
    Likely,
    /// The protocol's bytes were seen.
    Certain,
}

impl Confidence {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// A packet and what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The packet.
    pub at: PacketRef,
    /// What it shows, in a few words: `FIN, server to client`.
    pub what: String,
}

impl Evidence {
    /// This packet shows that.
    pub fn new(at: PacketRef, what: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
        }
    }
}

/// A possible reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// In plain words.
    pub text: String,
    /// How well the wire supports it.
    pub confidence: Confidence,
}

/// A figure or word behind a finding, for scripts.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A duration; in milliseconds for scripts (the name ends in `_ms`).
    Ms(Duration),
    /// A count or a size in bytes.
    Count(u64),
    /// A share or another number without a unit.
    Number(f64),
    /// A word.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Several words.
    List(Vec<String>),
}

/// `1 packet`, `3 packets`.
pub(super) fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The capture as a whole.
    Capture,
    /// A TCP connection, or several between the same hosts, without a session.
    Connection {
        /// The dialling side of the first one.
        client: SocketAddr,
        /// The side that was dialled.
        server: SocketAddr,
    },
    /// The session of this number.
    Session(u32),
}

/// What a rule found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The rule's default, unless this case is worse or better.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// About what.
    pub subject: Subject,
    /// One sentence: what happened. Free of secrets.
    pub summary: String,
    /// What to do about it.
    pub advice: String,
    /// Possible reasons, the best supported first.
    pub causes: Vec<Cause>,
    /// Figures for scripts.
    pub data: Vec<(&'static str, Value)>,
    /// The packets; empty only where it is about the capture as a whole.
    pub evidence: Vec<Evidence>,
    /// Wireshark's `tcp.stream` of the evidence, where it is one.
    pub tcp_stream: Option<u32>,
}

impl Finding {
    /// About a session. There is no finding about a session without a packet.
    pub fn new(
        rule: &'static Rule,
        session: &Session,
        confidence: Confidence,
        first: Evidence,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: rule.severity,
            confidence,
            subject: Subject::Session(session.id),
            summary: summary.into(),
            advice: String::new(),
            causes: Vec::new(),
            data: Vec::new(),
            evidence: vec![first],
            tcp_stream: Some(session.leg.tcp_stream),
        }
    }

    /// About a connection without a session.
    pub fn of_connection(
        rule: &'static Rule,
        leg: &crate::session::Leg,
        confidence: Confidence,
        first: Evidence,
        summary: impl Into<String>,
    ) -> Self {
        let (client, server) = (leg.client, leg.server);
        Self {
            rule,
            severity: rule.severity,
            confidence,
            subject: Subject::Connection { client, server },
            summary: summary.into(),
            advice: String::new(),
            causes: Vec::new(),
            data: vec![
                ("client", Value::Text(client.to_string())),
                ("server", Value::Text(server.to_string())),
            ],
            evidence: vec![first],
            tcp_stream: Some(leg.tcp_stream),
        }
    }

    /// About the capture as a whole.
    pub fn of_capture(
        rule: &'static Rule,
        confidence: Confidence,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: rule.severity,
            confidence,
            subject: Subject::Capture,
            summary: summary.into(),
            advice: String::new(),
            causes: Vec::new(),
            data: Vec::new(),
            evidence: Vec::new(),
            tcp_stream: None,
        }
    }

    /// With another severity than the rule's.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// With this advice.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// With one more packet.
    #[must_use]
    pub fn evidence(mut self, at: PacketRef, what: impl Into<String>) -> Self {
        self.evidence.push(Evidence::new(at, what));
        self
    }

    /// With one more packet, if there is one.
    #[must_use]
    pub fn evidence_if(self, at: Option<PacketRef>, what: &str) -> Self {
        match at {
            Some(at) => self.evidence(at, what),
            None => self,
        }
    }

    /// With one more possible reason.
    #[must_use]
    pub fn cause(mut self, confidence: Confidence, text: impl Into<String>) -> Self {
        self.causes.push(Cause {
            text: text.into(),
            confidence,
        });
        self
    }

    /// With one more figure.
    #[must_use]
    pub fn data(mut self, name: &'static str, value: Value) -> Self {
        self.data.push((name, value));
        self
    }

    /// A Wireshark display filter for the evidence in one file (`source`);
    /// `None` if the finding has no packet there. `stream` tells whether
    /// `tcp.stream` means the same in that file alone.
    pub fn filter(&self, source: u16, stream: bool) -> Option<String> {
        let mut numbers: Vec<u64> = self
            .evidence
            .iter()
            .filter(|e| e.at.source == source)
            .map(|e| e.at.number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            return None;
        }
        let list = numbers
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(",");
        let frames = format!("frame.number in {{{list}}}");
        Some(match self.tcp_stream.filter(|_| stream) {
            Some(stream) => format!("tcp.stream eq {stream} && {frames}"),
            None => frames,
        })
    }
}
