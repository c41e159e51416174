//! `pv-mask`: a client's frame without a mask, or a server's frame with one.

use crate::diagnosis::violation::violations;
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity};
use crate::session::Breach;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "pv-mask",
    severity: Severity::Error,
    summary: "a client's frame is not masked, or a server's frame is",
    explain: "\
## What it means
Every frame that a client sends has to be masked, and no frame of a server may be. The receiver of a frame that breaks this must fail the
connection; it usually sends Close 1002. `data.kind` says which it was: `missing` (a client's frame without a mask) or `present` (a server's
frame with one).

## What usually causes it
- The sending program uses the server half of a library on the client's side, or the other way round.
- A hand-written or embedded client leaves the mask out to save cycles.
- A gateway passes frames from one side to the other as they are, instead of writing them anew.

## How to tell them apart
- All frames of that sender are wrong from the first one on: the wrong role, or a client that never masks.
- Only some are wrong: two writers on one socket, or a gateway that injects frames of its own.

## What to do
Mend the sender; there is no setting for it on the receiving side. Some clients (aiohttp among them) let masked server frames pass, so that the
same server works for them and fails in browsers.

## References
RFC 6455, sections 5.1 and 5.3.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let wanted = [Breach::UnmaskedClientFrame, Breach::MaskedServerFrame];
    for violation in violations(case.session, &wanted) {
        let (kind, what) = match violation.sender {
            Direction::ClientToServer => ("missing", "sent a frame without a mask"),
            Direction::ServerToClient => ("present", "sent a masked frame"),
        };
        let frames = case.session.frames[violation.sender].total();
        let always = violation.count >= frames;
        let (role, some) = if always {
            (Confidence::Likely, Confidence::Possible)
        } else {
            (Confidence::Possible, Confidence::Likely)
        };
        let sender = violation.sender.sender();
        let mut finding = violation.finding(&RULE, case, kind, what);
        // Where no SYN was captured, it is the masks that tell who the client is.
        if case.session.handshake.mid_stream.is_some() {
            finding.confidence = Confidence::Possible;
            finding.severity = finding.severity.min(Severity::Warn);
        }
        let finding = match always {
            true => finding
                .cause(role, format!("the {sender}'s library is used in the wrong role, or never masks as it should: all of its {frames} frames are wrong"))
                .cause(some, "a gateway passes frames on without writing them anew"),
            false => finding
                .cause(some, format!("something else writes into the {sender}'s stream: {} of its {frames} frames are wrong", violation.count))
                .cause(role, "a defect in how the sender builds this kind of frame"),
        };
        findings.push(finding.advice(format!(
            "mend the {sender}: receivers that keep to RFC 6455 close with 1002"
        )));
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Severity;
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn an_unmasked_client_frame_is_found_with_the_close_that_it_drew() {
        let told = Script::new()
            .upgrade()
            .bytes(ClientToServer, &frame(0x81, b"hi", false))
            .close(ServerToClient, 1002, "")
            .fin(ServerToClient)
            .told();
        let finding = told.only("pv-mask");
        assert_eq!(finding.confidence.name(), "certain");
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(8));
        assert!(
            finding
                .summary
                .ends_with("failed the connection with Close 1002"),
            "{}",
            finding.summary
        );
    }

    #[test]
    fn masked_server_frames_are_one_finding() {
        let masked = frame(0x81, b"hi", true);
        let told = Script::new()
            .upgrade()
            .bytes(ServerToClient, &masked)
            .bytes(ServerToClient, &masked)
            .told();
        let finding = told.only("pv-mask");
        assert!(finding.summary.contains("(2 times)"), "{}", finding.summary);
    }

    #[test]
    fn a_server_that_lets_unmasked_frames_pass_makes_a_warning_of_it() {
        let told = Script::new()
            .upgrade()
            .bytes(ClientToServer, &frame(0x81, b"hi", false))
            .wait_s(1.0)
            .text(ServerToClient, "ho")
            .clean_close(ClientToServer)
            .told();
        assert_eq!(told.only("pv-mask").severity, Severity::Warn);
    }

    #[test]
    fn frames_masked_as_they_should_be_are_silent() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .text(ServerToClient, "ho")
            .told();
        assert!(told.of("pv-mask").is_empty());
    }
}
