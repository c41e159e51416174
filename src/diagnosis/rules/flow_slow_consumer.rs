//! `flow-slow-consumer`: the receiver's window, not the network, limits what flows.

use super::flow_zero_window::closed_for;
use crate::diagnosis::wording::size;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "flow-slow-consumer",
    severity: Severity::Warn,
    summary: "the receiver's window, not the network, limits what flows",
    explain: "\
## What it means
Whenever much was sent, what was on its way filled the window that the receiver advertised, and nothing was lost: the network would carry more.

## What usually causes it
1. The receiving application reads slower than the other side sends.
2. A receive buffer that is small for the path (`SO_RCVBUF` set by hand switches its growth off).

## How to tell them apart
- The window shrinks while data comes: the application is slow. It stays at its small size: the buffer.

## What to do
Read faster or let the sender send less; don't set `SO_RCVBUF`, or set it to rate times round trip.

## References
RFC 9293, section 3.8.6; RFC 7323, section 2.
",
    checks: &[Check::Session(check)],
};

/// Rationale: a second of heavy traffic, and half of it with a full window.
const BUSY: (u64, u64) = (10, 2);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        let flow = &case.session.leg.flow[sender];
        let limited = flow.busy >= BUSY.0 && flow.full * BUSY.1 >= flow.busy;
        let lossless = flow.lost * 100 <= flow.segments;
        let (Some(at), true) = (flow.first_full, limited && lossless) else {
            continue;
        };
        // That it closed altogether says more.
        if closed_for(case, sender.reverse()).is_some() {
            continue;
        }
        let (side, reader) = (sender.sender(), sender.receiver());
        let summary = format!(
            "what the {side} sends fills the {reader}'s window ({}) in {} of {} busy tenths of a second, without losses",
            size(flow.most_in_flight),
            flow.full,
            flow.busy
        );
        let first = Evidence::new(at, format!("the window is full, {side} to {reader}"));
        findings.push(
            Finding::new(&RULE, case.session, Confidence::Likely, first, summary)
                .data("side", Value::Text(reader.to_owned()))
                .data("busy", Value::Count(flow.busy))
                .data("full", Value::Count(flow.full))
                .data("in_flight_bytes", Value::Count(flow.most_in_flight))
                .cause(
                    Confidence::Possible,
                    format!("the {reader}'s application reads too slowly"),
                )
                .cause(
                    Confidence::Possible,
                    format!("the {reader}'s receive buffer is small for the path"),
                )
                .advice(format!(
                    "speed up the {reader}'s reader or send less; leave SO_RCVBUF alone"
                )),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, Told, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// Segments of 1,000 bytes, acknowledged after two of them, for 2 s.
    fn stream(window: u16) -> Told {
        let bytes = frame(0x82, &[7; 996], false);
        let mut script = Script::new().window(ClientToServer, window).upgrade();
        for _ in 0..60 {
            script = script
                .silent(ClientToServer, true)
                .bytes(ServerToClient, &bytes)
                .silent(ClientToServer, false)
                .bytes(ServerToClient, &bytes)
                .wait_s(0.03);
        }
        script.clean_close(ClientToServer).told()
    }

    #[test]
    fn a_window_that_is_always_full_is_told() {
        let told = stream(2_100);
        assert!(
            told.only("flow-slow-consumer")
                .summary
                .contains("the client's window")
        );
    }

    #[test]
    fn a_window_with_room_is_not() {
        assert!(stream(30_000).of("flow-slow-consumer").is_empty());
    }
}
