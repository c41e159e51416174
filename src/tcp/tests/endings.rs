//! FIN, RST, half-close, and connections that follow on the same ports.

use super::{Trace, client, server};
use crate::packet::{Endpoint, Flags, Options, Segment, Seq};
use crate::stream::{Direction, PacketRef};
use crate::tcp::Event;

#[test]
fn both_fins_end_both_streams() {
    let trace = Trace::opened()
        .then(client(0).data("bye").fin())
        .then(server(0).ack(4).fin())
        .then(client(4).ack(1));
    assert_eq!(trace.stream(), ["> 0 bye", "> end (4)", "< end (5)"]);
    assert_eq!(trace.noticed(), ["4 > fin", "5 < fin"]);
    assert!(trace.tcp.is_closed());
}

#[test]
fn after_a_half_close_the_other_side_goes_on() {
    let trace = Trace::opened()
        .then(client(0).fin())
        .then(server(0).ack(1).data("still"))
        .then(client(1).ack(5))
        .then(server(5).data("here"));
    assert_eq!(trace.stream(), ["> end (4)", "< 0 still", "< 5 here"]);
    assert!(!trace.tcp.is_closed());
}

#[test]
fn a_fin_that_came_early_waits_for_the_bytes_before_it() {
    let trace = Trace::opened()
        .then(client(5).fin())
        .then(client(0).data("hello"));
    assert_eq!(trace.stream(), ["> 0 hello", "> end (4)"]);
    let held = Trace::opened()
        .then(client(5).data("world").fin())
        .then(client(0).data("hello"));
    assert_eq!(
        held.stream(),
        ["> 0 hello", "> 5 world (4 by 5)", "> end (4)"]
    );
}

#[test]
fn a_fin_sent_again_says_nothing_new() {
    let trace = Trace::opened()
        .then(client(0).fin())
        .wait_ms(200)
        .then(client(0).fin());
    assert_eq!(trace.stream(), ["> end (4)"]);
    assert_eq!(trace.noticed(), ["4 > fin", "5 > fin again"]);
}

#[test]
fn a_fin_shows_bytes_that_were_never_captured() {
    let trace = Trace::opened()
        .then(client(0).data("hello"))
        .then(client(10).fin());
    assert_eq!(trace.stream(), ["> 0 hello"]);
    assert_eq!(
        trace.finish().stream()[1..],
        ["> gap 5+5 not-captured (by 5)", "> end (5)"]
    );
}

#[test]
fn an_acknowledged_fin_is_no_missing_byte() {
    let shown = Trace::opened()
        .then(client(10).fin())
        .then(server(0).ack(11))
        .wait_ms(1_000)
        .then(server(0).ack(11).fin());
    assert_eq!(
        shown.stream(),
        ["< end (6)", "> gap 0+10 not-captured (by 5)", "> end (4)"]
    );
}

/// It may have been a byte as well: who reads the end has to know.
#[test]
fn a_fin_that_only_its_acknowledgment_shows_is_missing_at_the_end() {
    let trace = Trace::opened()
        .then(client(0).data("hello"))
        .then(server(0).ack(6))
        .wait_ms(5_000)
        .then(server(0).ack(6).fin());
    assert_eq!(trace.stream(), ["> 0 hello", "< end (6)"]);
    assert_eq!(
        trace.finish().stream()[2..],
        ["> gap 5+1 not-captured (by 6)"]
    );
}

#[test]
fn bytes_behind_a_fin_are_kept() {
    let trace = Trace::opened()
        .then(client(0).fin())
        .then(client(0).data("more"));
    assert_eq!(trace.stream(), ["> end (4)", "> 0 more"]);
}

#[test]
fn a_reset_hands_over_what_was_held_and_ends_both() {
    let trace = Trace::opened()
        .then(server(5).data("world"))
        .then(client(0).rst());
    assert!(trace.tcp.is_closed());
    let trace = trace.finish();
    assert_eq!(
        trace.stream(),
        [
            "> end (5)",
            "< gap 0+5 not-captured (by 5)",
            "< 5 world (4 by 5)",
            "< end (5)"
        ]
    );
    assert!(trace.tcp.is_closed());
    assert_eq!(trace.tcp.buffered(), 0);
}

#[test]
fn a_reset_shows_bytes_before_it_that_were_never_captured() {
    let trace = Trace::opened()
        .then(client(0).data("hello"))
        .then(client(12).rst())
        .finish();
    assert_eq!(
        trace.stream(),
        [
            "> 0 hello",
            "> gap 5+7 not-captured (by 5)",
            "> end (5)",
            "< end (5)"
        ]
    );
}

#[test]
fn a_reset_out_of_window_is_noted_and_ends_nothing() {
    let trace = Trace::opened()
        .then(client(0).data("hello"))
        .then(server(0).ack(5))
        .then(client(3).rst())
        .then(client(100_000).rst())
        .then(client(5).data("world"));
    assert_eq!(
        trace.noticed(),
        ["6 > reset out of window", "7 > reset out of window"]
    );
    assert_eq!(trace.stream(), ["> 0 hello", "> 5 world"]);
}

#[test]
fn who_sends_after_its_reset_did_not_send_the_reset() {
    let trace = Trace::opened()
        .then(client(0).data("a"))
        .then(client(1).rst().ttl(60))
        .then(client(1).data("b"));
    assert_eq!(trace.noticed(), ["5 > reset", "6 > sent after reset"]);
    let reset = trace.facts.iter().find_map(|event| match event {
        Event::Reset(reset) => Some(*reset),
        _ => None,
    });
    let reset = reset.expect("a reset was sent");
    assert_eq!((reset.ttl, reset.usual_ttl), (60, Some((64, 3))));
    assert!(!reset.refuses_syn && !reset.after_own_fin && reset.acknowledges);
    assert_eq!(reset.answers.map(|at| at.number), Some(2));
}

#[test]
fn a_late_copy_is_not_sent_after_the_reset() {
    let trace = Trace::opened()
        .then(client(0).data("a").stamp(10))
        .then(client(1).data("b").stamp(20))
        .then(client(2).rst())
        .wait_ms(300)
        .then(client(0).data("a").stamp(10))
        .then(client(1).data("b").stamp(20));
    let after = |event: &Event| matches!(event, Event::SentAfterReset { .. });
    assert!(!trace.facts.iter().any(after));
}

#[test]
fn a_refused_syn_is_told_from_other_resets() {
    let trace = Trace::new()
        .then(client(-1).syn())
        .then(server(0).ack(0).rst());
    assert!(matches!(trace.facts.last(), Some(Event::Reset(reset)) if reset.refuses_syn));
    assert_eq!(trace.finish().stream(), ["> end (2)", "< end (2)"]);
}

#[test]
fn a_reset_after_the_own_fin_is_teardown() {
    let trace = Trace::opened().then(client(0).fin()).then(client(1).rst());
    assert!(matches!(trace.facts.last(), Some(Event::Reset(reset)) if reset.after_own_fin));
}

fn syn(from: Direction, seq: u32) -> Segment<'static> {
    let end = |port| Endpoint {
        ip: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        port,
    };
    let (from, to) = match from {
        Direction::ClientToServer => (end(1), end(2)),
        Direction::ServerToClient => (end(2), end(1)),
    };
    Segment {
        at: PacketRef::default(),
        from,
        to,
        seq: Seq(seq),
        ack: Seq(0),
        flags: Flags(Flags::SYN),
        window: 1,
        options: Options::default(),
        ttl: 64,
        ip_id: None,
        payload: &[],
        wire_len: 0,
    }
}

#[test]
fn a_syn_of_another_number_opens_another_connection() {
    use Direction::ClientToServer;
    let trace = Trace::opened();
    let opens = |seq| {
        trace
            .tcp
            .is_new_opening(ClientToServer, &syn(ClientToServer, seq))
    };
    assert!(!opens(1_000), "the same SYN again");
    assert!(opens(5_000));
}

#[test]
fn a_syn_after_the_end_of_a_connection_seen_in_part_opens_another() {
    use Direction::ClientToServer;
    let opening = syn(ClientToServer, 5_000);
    let last_fin = Trace::new().then(server(50).ack(100).fin());
    assert!(last_fin.tcp.is_new_opening(ClientToServer, &opening));
    assert!(!Trace::new().tcp.is_new_opening(ClientToServer, &opening));
    let overtaken = Trace::new().then(server(-1).syn().ack(0));
    assert!(
        !overtaken
            .tcp
            .is_new_opening(ClientToServer, &syn(ClientToServer, 1_000))
    );
}

#[test]
fn an_answer_to_another_syn_opens_another_connection() {
    use Direction::ServerToClient;
    let trace = Trace::opened();
    let opens = |seq, ack| {
        let mut answer = syn(ServerToClient, seq);
        answer.flags = Flags(Flags::SYN | Flags::ACK);
        answer.ack = Seq(ack);
        trace.tcp.is_new_opening(ServerToClient, &answer)
    };
    assert!(opens(70_000, 5_001));
    assert!(!opens(9_000, 1_001), "the same answer again");
    assert!(!opens(70_000, 1_001), "a SYN cookie of another minute");
}

#[test]
fn syns_that_cross_open_one_connection() {
    use Direction::ServerToClient;
    let answer = syn(ServerToClient, 9_000);
    let asked = Trace::new().then(client(-1).syn());
    assert!(!asked.tcp.is_new_opening(ServerToClient, &answer));
    let closed = asked.then(client(0).fin());
    assert!(closed.tcp.is_new_opening(ServerToClient, &answer));
}
