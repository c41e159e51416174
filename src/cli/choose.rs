//! What a report is about, where somebody asked for a part of the capture.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::moment::Window;
use super::select::SelectArgs;
use crate::diagnosis::{self, Finding, Kind, Severity, Subject, closing};
use crate::report::{Seen, Selected};
use crate::session::redact::Secrets;
use crate::session::{Key, Selector, Session};
use crate::time::Timestamp;

/// Rationale: enough to recognise a mistyped name by; the report without the flag has all.
const SEEN_SHOWN: usize = 5;

/// Leaves those sessions and findings that are asked for, and says which those
/// are. `None`: all are.
///
/// Findings stay where any of their packets, or what lies between them, falls within the time; those about the
/// capture as a whole always do.
pub(super) fn choose(
    args: &SelectArgs,
    window: Window,
    secrets: Secrets,
    sessions: &mut Vec<Session>,
    findings: &mut Vec<Finding>,
) -> Option<Selected> {
    if !args.chooses() {
        return None;
    }
    let selector = args.selector();
    let (of, of_stories) = (sessions.len(), diagnosis::stories(sessions));
    let mut chosen = chosen(&selector, window, sessions, findings);
    with_their_legs(&mut chosen, sessions);
    let seen = match chosen.is_empty() {
        true => seen(&selector, secrets, sessions, findings),
        false => Vec::new(),
    };
    // It wasn't the capture that ended.
    findings.retain(|finding| !(window.ends_early() && finding.rule.id == "end-unknown"));
    sessions.retain(|session| chosen.contains(&session.id));
    let (mut findings_outside, mut faults_outside) = (0, 0);
    findings.retain(|finding| match finding.subject {
        // It counts what is left out too.
        Subject::Capture => finding.rule.id != "cmp-cost" || chosen.len() == of,
        Subject::Connection { client, server } => {
            selector.admits_connection(client, server, finding.rule.id) && within(finding, window)
        }
        Subject::Session(id) if chosen.contains(&id) => {
            let within = within(finding, window);
            findings_outside += usize::from(!within);
            faults_outside += usize::from(!within && finding.severity > Severity::Info);
            within
        }
        Subject::Session(_) => false,
    });
    Some(Selected {
        by: flags(args, secrets),
        sessions: chosen.len(),
        of,
        stories: diagnosis::stories(sessions),
        of_stories,
        from: window.from,
        to: window.to,
        findings_outside,
        faults_outside,
        seen,
    })
}

/// Who asks for a leg of a proxy gets the session whole: what is found of it stands on one leg for all.
fn with_their_legs(chosen: &mut HashSet<u32>, sessions: &[Session]) {
    for session in sessions {
        if let Some(joined) = diagnosis::joined(session)
            && joined.others().any(|leg| chosen.contains(&leg.session))
        {
            chosen.insert(session.id);
        }
    }
}

/// The numbers of the sessions that are asked for.
pub(super) fn chosen(
    selector: &Selector,
    window: Window,
    sessions: &[Session],
    findings: &[Finding],
) -> HashSet<u32> {
    let mut about: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    if selector.asks_for_findings() {
        for finding in findings.iter().filter(|finding| within(finding, window)) {
            if let Subject::Session(id) = finding.subject {
                about.entry(id).or_default().push(finding.rule.id);
            }
        }
    }
    let mut stream_begins: HashSet<u32> = HashSet::new();
    // Where another request followed on a stream, by the number of the session before it.
    let mut followed: HashSet<u32> = HashSet::new();
    let mut newest_on: HashMap<u32, u32> = HashMap::new();
    for session in sessions {
        match newest_on.insert(session.leg.tcp_stream, session.id) {
            Some(earlier) => followed.insert(earlier),
            None => stream_begins.insert(session.id),
        };
    }
    let in_time = |session: &Session| {
        let first = stream_begins.contains(&session.id);
        let (began, ended) = life(session, first, followed.contains(&session.id), window);
        window.meets(began, ended)
    };
    // By the leg that names the story; what is no leg is a story of its own.
    let mut stories: BTreeMap<u32, Vec<(&Session, &[&str])>> = BTreeMap::new();
    for session in sessions.iter().filter(|session| in_time(session)) {
        let about = about.get(&session.id).map_or(&[][..], Vec::as_slice);
        let legs = stories.entry(diagnosis::client_leg(session)).or_default();
        legs.push((session, about));
    }
    let meant = stories.values().map(|legs| meant(selector, legs));
    meant.flatten().collect()
}

/// Of a story's legs those that are asked for: those that meet all conditions;
/// where only several together do, those that meet some.
fn meant(selector: &Selector, legs: &[(&Session, &[&str])]) -> Vec<u32> {
    let which = |admits: &dyn Fn(&Session, &[&str]) -> bool| -> Vec<u32> {
        let legs = legs
            .iter()
            .filter(|(session, about)| admits(session, about));
        legs.map(|(session, _)| session.id).collect()
    };
    let alone = which(&|session, about| selector.admits(session, about));
    if !alone.is_empty() || !selector.admits_story(legs) {
        return alone;
    }
    which(&|session, about| selector.touches(session, about))
}

/// From the first packet to the last; of one that is open, to the capture's end.
/// Of several on a connection each lasts from its own request to the answer.
fn life(session: &Session, first: bool, followed: bool, window: Window) -> (Timestamp, Timestamp) {
    let request = &session.handshake.request;
    let began = if first {
        session.leg.first
    } else {
        request.first
    };
    if followed {
        let answer = session.handshake.response.as_ref();
        let ended = answer.map_or(request.last, |answer| answer.last);
        return (began.time, ended.time);
    }
    let leg = &session.leg;
    let last = leg.last_packet_any().time;
    let closing = closing::close_of(session);
    let lasts = match closing.kind {
        Kind::Open => closing.terminator.is_none(),
        Kind::Clean | Kind::Half | Kind::Unknown | Kind::Abnormal => false,
        // Still waiting for its answer.
        Kind::None => {
            let closed = leg.fin.client.or(leg.fin.server).is_some() || !leg.resets.is_empty();
            session.handshake.response.is_none() && !closed
        }
    };
    let ended = match lasts {
        true => last.max(session.horizon.time).max(window.newest),
        false => last,
    };
    (began.time, ended)
}

fn within(finding: &Finding, window: Window) -> bool {
    let times = || finding.evidence.iter().map(|evidence| evidence.at.time);
    match times().min().zip(times().max()) {
        Some((first, last)) => window.meets(first, last),
        None => true,
    }
}

/// The flags as they were given, but for secrets.
fn flags(args: &SelectArgs, secrets: Secrets) -> Vec<String> {
    let mut flags = Vec::new();
    if args.from.is_some() {
        flags.push("--from".to_owned());
    }
    if args.to.is_some() {
        flags.push("--to".to_owned());
    }
    flags.extend(
        args.session
            .iter()
            .map(|wanted| format!("--session {wanted}")),
    );
    flags.extend(args.conditions.iter().map(|condition| {
        let text = match condition.key {
            Key::Path => secrets.target(&condition.text),
            Key::Subprotocol => secrets.subprotocol(&condition.text),
            _ => secrets.text(&condition.text, &[]),
        };
        format!("--where {}={text}", condition.key.name())
    }));
    flags
}

/// What there is of the keys that were asked for.
fn seen(
    selector: &Selector,
    secrets: Secrets,
    sessions: &[Session],
    findings: &[Finding],
) -> Vec<Seen> {
    let asked = |key: &Key| selector.conditions.iter().any(|c| c.key == *key);
    let count = |key: Key| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let values = sessions.iter().map(|session| match key {
            Key::Finding => ids_about(session, findings),
            _ => values(key, session, secrets),
        });
        for value in values.flatten() {
            *counts.entry(value).or_default() += 1;
        }
        let mut values: Vec<(String, usize)> = counts.into_iter().collect();
        values.sort_by_key(|(_, sessions)| std::cmp::Reverse(*sessions));
        let more = values.len().saturating_sub(SEEN_SHOWN);
        values.truncate(SEEN_SHOWN);
        Seen {
            key: key.name(),
            values,
            more,
        }
    };
    Key::ALL.into_iter().filter(asked).map(count).collect()
}

fn ids_about(session: &Session, findings: &[Finding]) -> BTreeSet<String> {
    let about = findings
        .iter()
        .filter(|finding| finding.subject == Subject::Session(session.id));
    about.map(|finding| finding.rule.id.to_owned()).collect()
}

/// Free of secrets, and without what tells sessions apart that are alike: ports and queries.
fn values(key: Key, session: &Session, secrets: Secrets) -> BTreeSet<String> {
    let known = || session.handshake.secrets();
    let shown = |value: &str| match key {
        Key::Client => session.leg.client.ip().to_string(),
        Key::Path => {
            let path = value.split_once('?').map_or(value, |(path, _)| path);
            secrets.target(path).into_owned()
        }
        Key::Subprotocol => secrets
            .text(&secrets.subprotocol(value), &known())
            .into_owned(),
        _ => secrets.text(value, &known()).into_owned(),
    };
    // What a peer sent must not reach a terminal as it is.
    let harmless = |text: String| {
        let replaced = text.chars().map(|c| if c.is_control() { '·' } else { c });
        replaced.collect()
    };
    let values = key.values_of(session);
    values.iter().map(|value| harmless(shown(value))).collect()
}
