//! What proxies made of what passed them, where both legs were captured.

use std::io::{self, Write};

use super::style::Style;
use crate::diagnosis::{HeadChanges, client_leg, head_changes, joined, not_passed_on};
use crate::report::Report;
use crate::report::wrap::wrapped;
use crate::session::Session;
use crate::stream::Direction::{self, ClientToServer, ServerToClient};

/// Rationale: a first screen; `-v` and `--format json` have the rest.
const LINES: usize = 8;

/// Messages that were not passed on, and with `-v` the header fields that were taken out or changed.
pub(super) fn relayed(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = Vec::new();
    for front in &report.sessions {
        let Some(back) = behind(front, report) else {
            continue;
        };
        let name = format!("s{}", client_leg(front));
        for sender in Direction::BOTH {
            lines.extend(lost(front, back, sender).map(|what| format!("{name} {what}")));
        }
        if style.verbose {
            lines.extend(heads(front, back).map(|what| format!("{name} {what}")));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let most = if style.verbose { usize::MAX } else { LINES };
    for line in lines.into_iter().take(most) {
        wrapped(out, style.width, "PROXY  ", &line)?;
    }
    Ok(())
}

/// The next leg toward the server.
fn behind<'a>(session: &Session, report: &'a Report) -> Option<&'a Session> {
    let joined = joined(session)?;
    let next = joined.story.legs.get(joined.place.checked_add(1)?)?;
    report.session(next.session)
}

fn lost(front: &Session, back: &Session, sender: Direction) -> Option<String> {
    let (entered, left) = match sender {
        ClientToServer => (front, back),
        ServerToClient => (back, front),
    };
    let count = not_passed_on(entered, left, sender).filter(|count| *count > 0)?;
    let messages = if count == 1 { "message" } else { "messages" };
    let (from, to) = (entered.name(), left.name());
    Some(format!(
        "{count} {messages} of the {} on {from} did not leave the proxy on {to}",
        sender.sender()
    ))
}

fn heads(front: &Session, back: &Session) -> Option<String> {
    let requests = (
        front.handshake.seen_request(),
        back.handshake.seen_request(),
    );
    let request = match requests {
        (Some(came), Some(left)) => told(&head_changes(&came.headers, &left.headers)),
        _ => None,
    };
    let answers = (&back.handshake.response, &front.handshake.response);
    let answer = match answers {
        (Some(came), Some(left)) => told(&head_changes(&came.headers, &left.headers)),
        _ => None,
    };
    let request = request.map(|what| format!("request to {}: {what}", back.leg.server));
    let answer = answer.map(|what| format!("answer of {}: {what}", back.leg.server));
    let both: Vec<String> = request.into_iter().chain(answer).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

/// Names alone: values may be secret.
fn told(changes: &HeadChanges) -> Option<String> {
    let list = |word: &str, names: &[String]| {
        // Names come from the wire.
        let plain = |name: &String| name.escape_default().take(64).collect::<String>();
        let names: Vec<String> = names.iter().take(16).map(plain).collect();
        (!names.is_empty()).then(|| format!("{word} {}", names.join(", ")))
    };
    let parts = [
        list("without", &changes.removed),
        list("with another", &changes.changed),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::session::redact::Secrets;

    fn printed(script: Script, verbose: bool) -> String {
        let told = script.told();
        let (sessions, findings) = (told.sessions, told.findings);
        let (secrets, limits) = (Secrets::default(), crate::diagnosis::Thresholds::default());
        let report = Report::new(told.capture, sessions, findings, secrets, false, limits);
        let style = Style {
            color: false,
            width: 100,
            verbose,
        };
        let mut out = Vec::new();
        relayed(&report, style, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    fn proxied(request: &str) -> Script {
        let script = Script::new().handshake().request(request);
        let script = script.behind(Script::upgrade).accept("");
        script
            .text(ClientToServer, "hi")
            .behind(|s| s.text(ClientToServer, "hi"))
    }

    #[test]
    fn a_message_that_was_not_passed_on_is_told() {
        let printed = printed(proxied("").text(ClientToServer, "lost"), false);
        let said = "PROXY  s1 1 message of the client on s1 did not leave the proxy on s2";
        assert!(printed.contains(said), "{printed}");
    }

    #[test]
    fn what_a_proxy_took_out_is_told_by_name_where_all_is_shown() {
        let cookie = "Cookie: secret=1\r\n";
        let all = printed(proxied(cookie), true);
        assert!(all.contains("request to 10.0.0.3:"), "{all}");
        assert!(
            all.contains("without cookie") && !all.contains("secret"),
            "{all}"
        );
        assert_eq!(printed(proxied(cookie), false), "");
    }

    #[test]
    fn a_proxy_that_passes_all_on_is_not_mentioned() {
        assert_eq!(printed(proxied(""), true), "");
    }
}
