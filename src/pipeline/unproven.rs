//! Connections of TLS that may be WebSockets if others to their server are:
//! kept until the capture is at its end and all are known.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::{Finished, Shared};
use crate::session::{Attempt, Ended, Leg, Session};

/// How many are kept.
///
/// Rationale: 8 KB each with their records, so 2 MB; a server with more of
/// them shows what it speaks in others.
const KEPT: usize = 256;

/// Those connections.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "they come boxed and go boxed")]
pub(super) struct Unproven(Vec<Box<Attempt>>);

/// A server: one address may serve many names.
type Server = (SocketAddr, Option<String>);

fn server(leg: &Leg) -> Server {
    let tls = leg.tls.as_deref();
    let name = tls.and_then(|tls| tls.server_name());
    (leg.server, name.map(str::to_owned))
}

impl Unproven {
    /// Keeps a connection that is over; hands it back where there is no room.
    pub(super) fn keep(&mut self, attempt: Box<Attempt>) -> Option<Box<Attempt>> {
        let may_be = attempt.unproven.is_some() || attempt.unanswered.is_some();
        if !may_be || self.0.len() == KEPT {
            return Some(attempt);
        }
        self.0.push(attempt);
        None
    }
}

impl Shared {
    /// The capture is at its end: sessions to the same server prove them or nothing does.
    pub(super) fn settle_unproven(&mut self, finished: &mut Vec<Finished>) {
        let sessions = finished.iter().filter_map(|one| match one {
            Finished::Session(session) => Some(session),
            Finished::Attempt(_) => None,
        });
        let opened =
            sessions.filter(|session| session.is_open_or_was() && session.leg.tls.is_some());
        let servers: HashSet<Server, foldhash::fast::RandomState> =
            opened.map(|session| server(&session.leg)).collect();
        for mut attempt in std::mem::take(&mut self.unproven.0) {
            let spoken = servers.contains(&server(&attempt.leg));
            let Some(found) = attempt.unproven.take().filter(|_| spoken) else {
                attempt.unanswered = attempt.unanswered.filter(|_| spoken);
                if attempt.is_worth_telling() || attempt.unanswered.is_some() {
                    self.attempts.add(attempt, &mut self.capture, finished);
                }
                continue;
            };
            let id = self.next_session;
            self.next_session += 1;
            let ended = match attempt.settled {
                true => Ended::Settled,
                false => Ended::CaptureEnd,
            };
            let horizon = attempt.horizon;
            let mut session = Session::inferred(id, attempt.leg, *found);
            session.end(ended, horizon);
            finished.push(Finished::Session(Box::new(session)));
        }
    }
}
