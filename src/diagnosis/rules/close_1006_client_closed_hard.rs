//! `close-1006-client-closed-hard`: the client ended TCP, and nobody had said Close.

use crate::diagnosis::ends::{self, End, Reading};
use crate::diagnosis::wording::span;
use crate::diagnosis::wording::{ping_interval, timer_length};
use crate::diagnosis::{
    Check, Confidence, Evidence, Finding, Overview, Provenance, Rule, Severity, Value,
    reset_provenance,
};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "close-1006-client-closed-hard",
    severity: Severity::Warn,
    summary: "the client ended TCP without a Close frame",
    explain: "\
## What it means
The client's side ended the TCP connection with a FIN or a reset, and had not sent a Close frame. The server's library reports 1006 or an unexpected
end of file.

## What usually causes it
- The process was killed or crashed, or the page's process was.
- The application called `terminate()` or destroyed the socket.
- A mobile system suspended the application, or the user left the page in a browser that sends no Close.
- Bytes waited unread when it ended: the kernel then sends a reset instead of a FIN.
- The client of this connection is a proxy: its idle timer ran out, or its own client went away.

## How to tell them apart
- A reset with server data just before it: unread bytes.
- One client only: look there. All clients of one proxy at once: the proxy.
- The end follows the longest silence of the session, after a round number of seconds: an idle timer, of the client or of a proxy.
- The request has `X-Forwarded-For`, `Via` or the like: the client here is a proxy. Capture before it too.

## What to do
Look at the client, and at the proxy if it is one. The server must not wait for a Close frame to free what it holds.

## References
RFC 6455, sections 7.1.5 and 7.1.7.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for end in ends::read(overview) {
        let own = end.terminator.direction == Direction::ClientToServer;
        let told = match &end.reading {
            Reading::Side => true,
            Reading::Idle(timer) => timer.confidence < Confidence::Likely,
            Reading::Lifetime(_) | Reading::HalfClose { .. } | Reading::Path => false,
        };
        if own && told {
            findings.push(end.told(found(&end)));
        }
    }
}

fn found(end: &End<'_>) -> Finding {
    let idle = end.closing.idle.unwrap_or_default();
    let what = end.terminator.word();
    let first = Evidence::new(
        end.terminator.at,
        format!("{what}, client to server, no Close frame before it"),
    );
    let summary = format!(
        "{} ended TCP with a {what} and without a Close frame, {} after the last payload{}",
        end.ender(),
        span(idle),
        end.followed()
    );
    let mut finding = Finding::new(&RULE, end.session, end.certainty(), first, summary)
        .evidence_if(end.closing.idle_from, "last payload before it")
        .data(
            "kind",
            Value::Text(end.terminator.how().name().replace("rst", "reset")),
        )
        .data("idle_ms", Value::Ms(idle));
    if let Some(why) = end.proxy_followed() {
        return finding
            .cause(Confidence::Certain, why)
            .advice("look at the leg that ended first: the proxy only followed");
    }
    let leg = &end.hit.leg;
    let aborted = end.terminator.reset.is_some_and(|reset| {
        reset_provenance(end.hit, &reset).verdict == Provenance::AbortedSocket
    });
    if aborted && leg.last_payload.server > leg.last_payload.client {
        let unread = "the client ended while bytes of the server waited unread";
        finding = match end.may_leave_unread() {
            true => finding.cause(Confidence::Likely, unread),
            false => finding
                .cause(
                    Confidence::Possible,
                    "the application aborted the socket (SO_LINGER 0, terminate, destroy)",
                )
                .cause(Confidence::Possible, unread),
        };
    }
    let silence = end.after_longest_silence();
    if let Some(silence) = silence {
        let cause = format!(
            "an idle timer of {}, the client's or that of a proxy in its place: it was the longest silence of the session",
            timer_length(silence)
        );
        finding = finding.cause(Confidence::Possible, cause);
    }
    if end.proxy.is_some() {
        finding = finding.cause(
            Confidence::Possible,
            "the proxy's own client went away, or the proxy was reloaded",
        );
    }
    let advice = match (end.proxy, silence) {
        (Some(proxy), None) => {
            format!(
                "look at {proxy} that dials the server for its client: a capture before it shows who ended first"
            )
        }
        (_, Some(silence)) => format!(
            "look at the client; if it is a proxy, at its idle timer: raise it, or send a Ping at least every {} from either side",
            ping_interval(silence)
        ),
        (None, None) => "look at the client: the end came from there".to_owned(),
    };
    finding
        .cause(
            Confidence::Possible,
            "the process or page was killed or crashed",
        )
        .cause(
            Confidence::Possible,
            "the application destroyed the socket (terminate)",
        )
        .cause(Confidence::Possible, "the system suspended the application")
        .advice(advice)
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_fin_of_the_client_without_close_is_found() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .fin(ClientToServer)
            .fin(ServerToClient)
            .told();
        assert_eq!(
            told.only("close-1006-client-closed-hard").confidence.name(),
            "certain"
        );
        assert!(told.of("close-1006-peer-fin").is_empty());
    }

    #[test]
    fn an_end_after_the_longest_silence_may_be_a_proxys_timer() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .wait_s(1.0)
            .fin(ClientToServer)
            .told();
        let finding = told.only("close-1006-client-closed-hard");
        assert!(finding.causes[0].text.starts_with("an idle timer of 1 s"));
        assert!(finding.advice.contains("every 500 ms"));
        assert!(!finding.advice.contains("not at fault"));
    }

    #[test]
    fn an_end_right_after_a_message_is_no_timers() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .fin(ClientToServer)
            .told();
        let finding = told.only("close-1006-client-closed-hard");
        assert!(finding.causes.iter().all(|c| !c.text.contains("timer")));
    }

    #[test]
    fn a_client_that_forwards_for_others_is_a_proxy() {
        let told = Script::new()
            .upgrade_with("X-Real-IP: 192.0.2.7\r\n", "")
            .text(ServerToClient, "hi")
            .fin(ClientToServer)
            .told();
        let finding = told.only("close-1006-client-closed-hard");
        assert!(
            finding.advice.starts_with("look at a proxy"),
            "{}",
            finding.advice
        );
    }

    #[test]
    fn a_reset_of_a_socket_that_is_gone_tells_not_how_it_went() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .bare_rst(ClientToServer)
            .told();
        let finding = told.only("close-1006-client-closed-hard");
        assert_eq!(finding.confidence.name(), "likely");
    }

    #[test]
    fn an_abort_long_after_acknowledged_data_need_not_leave_any_unread() {
        let after = |seconds| {
            let told = Script::new()
                .upgrade()
                .text(ServerToClient, "hi")
                .flags(ClientToServer, 0x10)
                .wait_s(seconds)
                .rst(ClientToServer)
                .told();
            let finding = told.only("close-1006-client-closed-hard");
            let mut causes = finding.causes.iter();
            let unread = causes.find(|cause| cause.text.ends_with("waited unread"));
            unread.map(|cause| cause.confidence.name())
        };
        assert_eq!(after(0.01), Some("likely"));
        assert_eq!(after(2.0), Some("possible"));
    }

    #[test]
    fn a_client_that_said_close_is_not() {
        let told = Script::new().upgrade().clean_close(ClientToServer).told();
        assert!(told.of("close-1006-client-closed-hard").is_empty());
    }
}
