//! What the rules about broken frames share: one finding per session, rule and
//! sender, and what the receiver did about it.

use super::{Case, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Breach;
use crate::session::{BreachNote, Session};
use crate::stream::{Direction, PacketRef};

/// Rationale: the first few packets show what is wrong; the count tells the rest.
const SHOWN: usize = 4;

/// What makes a receiver fail the connection, the most telling first where one
/// frame commits several: a reserved opcode or bit says that these bytes are
/// no frame at all, and the rest follows from that.
const FATAL: [Breach; 13] = [
    Breach::HttpInStream,
    Breach::ReservedOpcode,
    Breach::LengthTopBit,
    Breach::ReservedBits,
    Breach::Rsv1WithoutExtension,
    Breach::Rsv1Misplaced,
    Breach::ControlTooLong,
    Breach::FragmentedControl,
    Breach::UnmaskedClientFrame,
    Breach::MaskedServerFrame,
    Breach::UnexpectedContinuation,
    Breach::InterleavedMessage,
    Breach::InvalidUtf8,
];

/// The breaches of one sender that one rule tells of.
#[derive(Clone, Debug)]
pub(super) struct Violation<'a> {
    /// Who committed them.
    pub(super) sender: Direction,
    /// The first.
    pub(super) first: &'a BreachNote,
    /// The later ones that were kept.
    more: Vec<&'a BreachNote>,
    /// All of them.
    pub(super) count: u64,
}

/// What the receiver did after the first breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// It sent a Close frame with this code.
    Failed(u16, PacketRef),
    /// It ended the transport without one.
    Ended(PacketRef),
    /// Nothing that can be seen.
    Nothing,
}

/// The breaches of `session` that are among `wanted`, by sender.
pub(super) fn violations<'a>(session: &'a Session, wanted: &[Breach]) -> Vec<Violation<'a>> {
    violations_where(session, |note| wanted.contains(&note.breach))
}

/// The breaches of `session` for which `wanted` holds, by sender.
pub(super) fn violations_where(
    session: &Session,
    wanted: impl Fn(&BreachNote) -> bool,
) -> Vec<Violation<'_>> {
    let mut found = Vec::new();
    for sender in Direction::BOTH {
        let mut notes = session
            .breaches
            .iter()
            .filter(|note| note.direction == sender && wanted(note));
        let Some(first) = notes.next() else { continue };
        let more: Vec<_> = notes.collect();
        let mut kinds: Vec<Breach> = more.iter().map(|note| note.breach).collect();
        kinds.push(first.breach);
        let counted: u64 = session
            .breach_counts
            .iter()
            .filter(|(breach, by, _)| *by == sender && kinds.contains(breach))
            .map(|(.., count)| count)
            .sum();
        found.push(Violation {
            sender,
            first,
            count: counted.max(more.len() as u64 + 1),
            more,
        });
    }
    found
}

impl Violation<'_> {
    /// What the receiver did about it.
    pub(super) fn reaction(&self, case: &Case<'_>) -> Reaction {
        let receiver = self.sender.reverse();
        if let Some(close) = &case.session.close[receiver] {
            let at = close.control.frame.at;
            return match close.code {
                Some(code @ (1002 | 1003 | 1007..=1011)) if at >= self.first.at => {
                    Reaction::Failed(code, at)
                }
                _ => Reaction::Nothing,
            };
        }
        match case.closing.terminator {
            Some(end) if end.direction == receiver && end.at >= self.first.at => {
                Reaction::Ended(end.at)
            }
            _ => Reaction::Nothing,
        }
    }

    /// The finding: `kind` names the breach for scripts, `what` tells what the sender did.
    pub(super) fn finding(
        &self,
        rule: &'static Rule,
        case: &Case<'_>,
        kind: &str,
        what: &str,
    ) -> Finding {
        let (sender, receiver) = (self.sender.sender(), self.sender.receiver());
        let times = match self.count {
            0 | 1 => String::new(),
            count => format!(" ({count} times)"),
        };
        let reaction = self.reaction(case);
        let then = match reaction {
            Reaction::Failed(code, _) => {
                format!("; the {receiver} failed the connection with Close {code}")
            }
            Reaction::Ended(_) => format!("; the {receiver} ended the connection"),
            Reaction::Nothing => String::new(),
        };
        let summary = format!("the {sender} {what}{times}{then}");
        let first = shown(self.first);
        let mut finding = Finding::new(
            rule,
            case.session,
            self.confidence(case.session),
            first,
            summary,
        );
        finding.severity = self.severity(rule, case.session);
        if reaction == Reaction::Nothing && self.is_tolerated(case.session) {
            finding.severity = finding.severity.min(Severity::Warn);
            finding.summary.push_str("; the ");
            finding.summary.push_str(receiver);
            finding.summary.push_str(" let it pass");
        }
        finding
            .evidence
            .extend(self.more.iter().take(SHOWN - 1).map(|note| shown(note)));
        finding = match reaction {
            Reaction::Failed(code, at) => finding
                .evidence(at, format!("Close {code}, {receiver} to {sender}"))
                .data("peer_close", Value::Count(u64::from(code))),
            Reaction::Ended(at) => {
                finding.evidence(at, format!("the {receiver} ends the connection"))
            }
            Reaction::Nothing => finding,
        };
        finding
            .data("kind", Value::Text(kind.to_owned()))
            .data("sender", Value::Text(sender.to_owned()))
            .data("count", Value::Count(self.count))
    }

    /// The bytes were seen; only after the decoder had lost its place may
    /// something else have been read as a frame.
    fn confidence(&self, session: &Session) -> Confidence {
        match session.lost_sync[self.sender] {
            Some(lost) if self.first.at > lost => Confidence::Possible,
            _ => Confidence::Certain,
        }
    }

    /// The receiver went on as if nothing had happened: it sent frames more than
    /// a round trip later, or closed in the usual way.
    fn is_tolerated(&self, session: &Session) -> bool {
        let receiver = self.sender.reverse();
        let round_trip = session.leg.rtt[receiver].min().unwrap_or_default();
        let lenient =
            FATAL.contains(&self.first.breach) && self.first.breach != Breach::HttpInStream;
        let went_on = session.last_frame[receiver].is_some_and(|(_, at)| {
            at > self.first.at && at.time.saturating_since(self.first.at.time) > round_trip
        });
        let closed = session.close[receiver].as_ref().is_none_or(|close| {
            matches!(close.code, None | Some(1000 | 1001)) || close.control.frame.at < self.first.at
        });
        lenient && went_on && closed
    }

    /// A receiver fails the connection for one breach; the others of the same
    /// sender are told more quietly.
    fn severity(&self, rule: &Rule, session: &Session) -> Severity {
        let notes = std::iter::once(self.first).chain(self.more.iter().copied());
        match loudest(session, self.sender) {
            Some(loudest) if !notes.clone().any(|note| std::ptr::eq(note, loudest)) => {
                let fatal = notes.clone().any(|note| FATAL.contains(&note.breach));
                if fatal {
                    rule.severity.min(Severity::Warn)
                } else {
                    rule.severity
                }
            }
            _ => rule.severity,
        }
    }
}

/// The breach of this sender for which its receiver has to fail the connection.
fn loudest(session: &Session, sender: Direction) -> Option<&BreachNote> {
    let fatal = || {
        session.breaches.iter().filter_map(move |note| {
            let rank = FATAL.iter().position(|breach| *breach == note.breach)?;
            (note.direction == sender).then_some((note, rank))
        })
    };
    // RFC 6455, section 7.4.1: 1007 is for text that isn't UTF-8; a receiver that
    // sends it was content with what came before.
    let close = session.close[sender.reverse()].as_ref();
    if close.is_some_and(|close| close.code == Some(1007))
        && let Some((text, _)) = fatal().find(|(note, _)| note.breach == Breach::InvalidUtf8)
    {
        return Some(text);
    }
    fatal()
        .min_by_key(|(note, rank)| (note.offset, *rank))
        .map(|(note, _)| note)
}

fn shown(note: &BreachNote) -> Evidence {
    let direction = note.direction;
    Evidence::new(
        note.at,
        format!(
            "{}, {} to {}",
            note.detail,
            direction.sender(),
            direction.receiver()
        ),
    )
}
