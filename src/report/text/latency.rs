//! What requests and replies took, and which exchanges were the slowest.

use std::io::{self, Write};

use super::style::Style;
use crate::diagnosis::{client_leg, span};
use crate::report::Report;
use crate::report::messages::shown;
use crate::report::wrap::wrapped_after;
use crate::session::{Application, Method, Session};

/// Rationale: a first screen; `--format json` has all.
const SESSIONS: usize = 3;
/// Methods of a session that are named.
const METHODS: usize = 3;
/// Rationale: of fewer the 95th percentile is the maximum.
const FEWEST: u64 = 20;

pub(super) fn latency(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    // Requests that a proxy passes on count once.
    let own = |session: &&Session| client_leg(session) == session.id;
    let mut asked: Vec<(&Session, &Application)> = report
        .sessions
        .iter()
        .filter(own)
        .filter_map(|session| Some((session, session.application.as_deref()?)))
        .filter(|(_, known)| known.latency.times.count() > 0)
        .collect();
    asked
        .sort_by_key(|(session, known)| (std::cmp::Reverse(known.latency.times.max()), session.id));
    if asked.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    for (session, known) in asked.iter().take(SESSIONS) {
        let label = format!("{}  ", style.bold("LATENCY"));
        wrapped_after(out, style.width, &label, 9, &line(report, session, known))?;
    }
    match asked.len().saturating_sub(SESSIONS) {
        0 => Ok(()),
        more => writeln!(
            out,
            "         ... and {more} more sessions with requests (--format json has them)"
        ),
    }
}

/// `s1 jsonrpc: 40 replies, half within 5.7 ms, 95 % within 9.6 ms, the slowest 802 ms: get (#70 to #72)`
fn line(report: &Report, session: &Session, known: &Application) -> String {
    let latency = &known.latency;
    let times = &latency.times;
    let told = |at: Option<_>| at.map_or(String::new(), span);
    let replies = if times.count() == 1 {
        "reply"
    } else {
        "replies"
    };
    let mut text = format!(
        "{} {}: {} {replies}, half within {}",
        session.name(),
        known.protocol.name(),
        times.count(),
        told(times.median())
    );
    if times.count() >= FEWEST {
        text.push_str(&format!(", 95 % within {}", told(times.percentile(95))));
    }
    if let Some(slow) = latency.slowest.first() {
        let method = name(report, session, &slow.method.text());
        let (asked, replied) = (slow.asked.number, slow.replied.number);
        let took = span(slow.took);
        text.push_str(&format!(
            ", the slowest {took}{method} (#{asked} to #{replied})"
        ));
    }
    let mut methods: Vec<&Method> = latency.methods.iter().collect();
    methods.sort_by_key(|method| std::cmp::Reverse(method.times.max()));
    if methods.len() > 1 {
        let each = methods.iter().take(METHODS).map(|method| {
            let longest = told(method.times.max());
            format!(
                "{} {longest}",
                shown(&text_of(report, session, &method.name.text()), 40)
            )
        });
        let each: Vec<String> = each.collect();
        text.push_str(&format!("; slowest by method: {}", each.join(", ")));
    }
    text
}

fn text_of(report: &Report, session: &Session, method: &str) -> String {
    let known = session.handshake.secrets();
    report.secrets.text(method, &known).into_owned()
}

fn name(report: &Report, session: &Session, method: &str) -> String {
    match method {
        "" => String::new(),
        method => format!(" for {}", shown(&text_of(report, session, method), 40)),
    }
}
