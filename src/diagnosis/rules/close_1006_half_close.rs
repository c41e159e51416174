//! `close-1006-half-close`: one half of TCP was shut down, and the other side went on.

use crate::diagnosis::ends::{self, End, Reading};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "close-1006-half-close",
    severity: Severity::Warn,
    summary: "one side shut down its half of TCP without a Close frame, and the other went on sending",
    explain: "\
## What it means
A FIN says only that its sender sends nothing any more. Here the other side went on sending afterwards, and its data was taken: a half-closed
connection. WebSocket has no such state: the session can't be closed properly any more, and the sender of the FIN ends up with 1006.

## What usually causes it
- `shutdown(SHUT_WR)` in the application, or `end()` on the socket.
- A proxy that forwards a half-close instead of ending both legs.
- A peer whose library doesn't notice the end of its input.

## How to tell them apart
- Data after the FIN is acknowledged: the socket is still open, and only one half was shut. A reset answers it: the socket was closed for good.
- On a proxy's other leg the same FIN stands earlier: it was forwarded.

## What to do
End sessions with a Close frame. A peer that reads the end of its input must close its own half too.

## References
RFC 9293, section 3.6; RFC 6455, section 7.1.1.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for end in ends::read(overview) {
        if let Reading::HalfClose { later } = end.reading {
            findings.push(end.told(found(&end, later)));
        }
    }
}

fn found(end: &End<'_>, later: PacketRef) -> Finding {
    let direction = end.terminator.direction;
    let (sender, other) = (direction.sender(), direction.reverse().sender());
    let on = later.time.saturating_since(end.terminator.at.time);
    let summary = format!(
        "the {sender} shut down its half of TCP without a Close frame; the {other} went on sending for {}",
        span(on)
    );
    let first = Evidence::new(
        end.terminator.at,
        format!(
            "{} of the {sender}, no Close frame before it",
            end.terminator.word()
        ),
    );
    let confidence = end.certainty().min(Confidence::Likely);
    Finding::new(&RULE, end.session, confidence, first, summary)
        .evidence(later, format!("newest data of the {other}, acknowledged"))
        .data("half_open_ms", Value::Ms(on))
        .data("closer", Value::Text(sender.to_owned()))
        .cause(
            Confidence::Possible,
            "shutdown of the sending half in the application",
        )
        .cause(Confidence::Possible, "a proxy that forwards a half-close")
        .cause(
            Confidence::Possible,
            format!("the {other} doesn't notice the end of its input"),
        )
        .advice(format!(
            "let the {sender} send a Close frame, and the {other} close when its input ends"
        ))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn data_taken_long_after_the_fin_is_a_half_close() {
        let told = Script::new()
            .upgrade()
            .fin(ClientToServer)
            .wait_s(1.0)
            .text(ServerToClient, "still here")
            .fin(ServerToClient)
            .told();
        assert_eq!(told.of("close-1006-half-close").len(), 1);
        assert!(told.of("close-1006-client-closed-hard").is_empty());
    }

    #[test]
    fn data_that_draws_a_reset_is_not() {
        let told = Script::new()
            .upgrade()
            .fin(ClientToServer)
            .wait_s(1.0)
            .text(ServerToClient, "still here")
            .bare_rst(ClientToServer)
            .told();
        assert!(told.of("close-1006-half-close").is_empty());
        assert_eq!(told.of("close-1006-client-closed-hard").len(), 1);
    }
}
