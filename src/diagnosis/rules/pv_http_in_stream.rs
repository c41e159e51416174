//! `pv-http-in-stream`: HTTP or HTML where a frame should begin.

use crate::diagnosis::violation::violations;
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity};
use crate::session::Breach;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "pv-http-in-stream",
    severity: Severity::Error,
    summary: "HTTP or HTML stands where a frame should begin",
    explain: "\
## What it means
After the 101 only frames may follow, but here stand the first bytes of an HTTP message or an HTML page. Read as a frame header, `H` has RSV1
set and an opcode of 8, so browsers complain about an invalid frame header or reserved bits. Nothing after it can be read.

## What usually causes it
- The server answered the upgrade twice: one handler sent the 101, another one (a framework's default route, an error handler) wrote its own
  response into the same socket.
- A proxy wrote an error page (502, 504) into a tunnel that was already open.
- The client sent an ordinary request on a connection that had become a WebSocket: a connection pool gave it out again.

## How to tell them apart
- At once after the 101: two handlers.
- After a while, often after an idle time or when the backend went away: the proxy's error page; its `Server` header or text names it.
- From the client: the pool.

## What to do
Server: see to it that only one handler takes the `upgrade` event. Proxy: upgrade it, or look why the backend failed at that moment.

## References
RFC 6455, sections 4.2.2 and 5.2; RFC 9110, section 7.8.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for violation in violations(case.session, &[Breach::HttpInStream]) {
        let sender = violation.sender;
        let frames = case.session.frames[sender].total();
        let what = format!(
            "wrote HTTP into the WebSocket after {frames} frames: it {}",
            violation.first.detail
        );
        let finding = violation.finding(&RULE, case, "http", &what);
        let finding = match (sender, frames) {
            (Direction::ClientToServer, _) => finding
                .cause(Confidence::Likely, "a connection pool of the client used the connection again for an ordinary request")
                .advice("keep upgraded connections out of the client's pool"),
            (Direction::ServerToClient, 0) => finding
                .cause(Confidence::Likely, "two handlers answered the upgrade: one with the 101, another with a response of its own")
                .cause(Confidence::Possible, "a proxy wrote an error page into the open tunnel")
                .advice("see to it that only one handler of the server answers the upgrade request"),
            (Direction::ServerToClient, _) => finding
                .cause(Confidence::Likely, "a proxy wrote an error page into the open tunnel, or the backend an error response")
                .cause(Confidence::Possible, "a second handler of the server wrote into the same socket")
                .advice("read the page that was written: it names who wrote it; then look why the backend failed at that moment"),
        };
        findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn an_error_page_after_the_101_is_the_only_loud_finding() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .bytes(
                ServerToClient,
                b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\n\r\n<html>",
            )
            .told();
        let finding = told.only("pv-http-in-stream");
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(10));
        assert!(
            !told
                .ids()
                .iter()
                .any(|id| id.starts_with("pv-") && *id != finding.rule.id)
        );
    }

    #[test]
    fn a_message_about_http_is_silent() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "HTTP/1.1 200 OK")
            .told();
        assert!(told.of("pv-http-in-stream").is_empty());
    }
}
