//! What is missing, why, and when that is said.

use super::{Trace, client, server};
use crate::tcp::Patience;

#[test]
fn an_acknowledged_hole_is_given_up_after_its_time() {
    let trace = Trace::opened()
        .then(client(5).data("world"))
        .then(server(0).ack(10));
    assert_eq!(trace.stream(), [""; 0]);
    let trace = trace.wait_ms(998).then(server(0).ack(10));
    assert_eq!(trace.stream(), [""; 0]);
    let trace = trace.then(server(0).ack(10));
    assert_eq!(
        trace.stream(),
        ["> gap 0+5 not-captured (by 5)", "> 5 world (4 by 5)"]
    );
}

#[test]
fn an_acknowledged_hole_is_given_up_after_so_many_segments() {
    let patience = Patience {
        acked_segments: 4,
        ..Patience::default()
    };
    let trace = Trace::patient(patience)
        .open()
        .then(server(0).ack(5))
        .and(server(0).data("a"))
        .and(server(1).data("b"));
    assert_eq!(trace.stream(), ["< 0 a", "< 1 b"]);
    let trace = trace.and(server(2).data("c")).then(client(5).data("world"));
    assert_eq!(
        trace.stream()[2..],
        ["< 2 c", "> gap 0+5 not-captured (by 4)", "> 5 world"]
    );
}

#[test]
fn an_acknowledgment_captured_before_the_data_is_no_gap() {
    let trace = Trace::opened()
        .then(server(0).ack(5))
        .then(client(0).data("hello"))
        .wait_ms(5_000)
        .then(server(0).ack(5))
        .finish();
    assert_eq!(trace.stream(), ["> 0 hello"]);
}

#[test]
fn a_capture_that_always_has_the_acknowledgment_first_has_no_gap() {
    let mut trace = Trace::opened();
    for n in 1..200 {
        trace = trace
            .then(server(0).ack(n * 5))
            .then(client((n - 1) * 5).data("hello"));
    }
    let trace = trace.finish();
    assert_eq!(trace.payload(), (199 * 5, 0));
    assert!(trace.stream().iter().all(|line| !line.contains("gap")));
}

#[test]
fn acknowledgments_that_run_ahead_by_two_segments_make_no_gap() {
    let mut trace = Trace::opened().then(server(0).ack(5));
    for n in 1..200 {
        trace = trace
            .then(server(0).ack((n + 1) * 5))
            .then(client((n - 1) * 5).data("hello"));
    }
    assert!(trace.stream().iter().all(|line| !line.contains("gap")));
}

#[test]
fn a_hole_that_nobody_acknowledges_is_waited_for() {
    let trace = Trace::opened()
        .then(client(5).data("world"))
        .then(server(0).ack(0))
        .wait_ms(60_000)
        .then(server(0).ack(0))
        .then(client(0).data("hello"));
    assert_eq!(trace.stream(), ["> 0 hello", "> 5 world (4 by 7)"]);
}

#[test]
fn a_hole_at_the_end_of_the_capture_is_a_gap() {
    let trace = Trace::opened()
        .then(client(0).data("a"))
        .then(client(5).data("f"))
        .then(client(8).data("i"))
        .finish();
    assert_eq!(
        trace.stream(),
        [
            "> 0 a",
            "> gap 1+4 not-captured (by 6)",
            "> 5 f (5 by 6)",
            "> gap 6+2 not-captured (by 6)",
            "> 8 i"
        ]
    );
    assert_eq!(trace.tcp.buffered(), 0);
}

#[test]
fn a_one_way_capture_waits_five_seconds() {
    let trace = Trace::new()
        .then(client(-1).syn())
        .then(client(0).data("hello"))
        .then(client(10).data("!"))
        .wait_ms(4_998)
        .then(client(11).data("?"));
    assert_eq!(trace.stream(), ["> 0 hello"]);
    let trace = trace.wait_ms(1).then(client(12).data("?"));
    assert_eq!(
        trace.stream()[1..],
        [
            "> gap 5+5 not-captured (by 5)",
            "> 10 ! (3 by 5)",
            "> 11 ? (4 by 5)",
            "> 12 ?"
        ]
    );
}

#[test]
fn the_second_hole_of_a_one_way_capture_is_as_old_as_it_is() {
    let trace = Trace::new()
        .then(client(-1).syn())
        .then(client(1).data("b"))
        .then(client(3).data("d"))
        .then(client(0).data("a"))
        .wait_ms(5_000)
        .then(client(4).data("e"));
    assert_eq!(
        trace.stream(),
        [
            "> 0 a",
            "> 1 b (2 by 4)",
            "> gap 2+1 not-captured (by 5)",
            "> 3 d (3 by 5)",
            "> 4 e"
        ]
    );
}

#[test]
fn bytes_beyond_the_limit_are_not_held() {
    let patience = Patience {
        bytes: 10_000,
        ..Patience::default()
    };
    let mut trace = Trace::patient(patience).open();
    for n in 0..100 {
        trace = trace.then(client(10 + n * 1_000).bytes(1_000));
        assert!(trace.tcp.buffered() <= 10_000);
    }
    assert_eq!(trace.stream()[0], "> gap 0+10 limit-reached (by 12)");
    assert_eq!(trace.finish().payload(), (100_000, 0));
}

#[test]
fn for_want_of_memory_holes_are_given_up_but_a_fin_still_waits() {
    let trace = Trace::opened()
        .then(client(5).data("world"))
        .then(client(20).fin())
        .give_up();
    assert_eq!(
        trace.stream(),
        ["> gap 0+5 limit-reached (by 5)", "> 5 world (4 by 5)"]
    );
    assert_eq!(trace.tcp.buffered(), 0);
    let trace = trace.then(client(10).bytes(10));
    assert_eq!(trace.stream()[2..], ["> 10 ..........", "> end (5)"]);
}

#[test]
fn small_pieces_count_with_what_they_cost() {
    let patience = Patience {
        bytes: 10_000,
        ..Patience::default()
    };
    let mut trace = Trace::patient(patience).open();
    for n in 0..200 {
        trace = trace.then(client(2 + 2 * n).bytes(1));
    }
    assert!(
        trace
            .stream()
            .iter()
            .any(|line| line.contains("limit-reached"))
    );
}

#[test]
fn what_the_snap_length_cut_is_a_gap_and_the_stream_stays_in_step() {
    let trace = Trace::opened()
        .then(client(0).data("hello").cut(2))
        .then(client(5).data("world").cut(5))
        .then(client(10).data("!"));
    assert_eq!(
        trace.stream(),
        [
            "> 0 hel",
            "> gap 3+2 snap-length (by 4)",
            "> gap 5+5 snap-length (by 5)",
            "> 10 !"
        ]
    );
}

#[test]
fn held_bytes_remember_what_the_snap_length_cut() {
    let trace = Trace::opened()
        .then(client(5).data("world").cut(2))
        .then(client(10).data("!"))
        .then(client(0).data("hello").cut(5));
    assert_eq!(
        trace.stream(),
        [
            "> gap 0+5 snap-length (by 6)",
            "> 5 wor (4 by 6)",
            "> gap 8+2 snap-length (by 4)",
            "> 10 ! (5 by 6)"
        ]
    );
}

#[test]
fn a_stream_without_a_syn_begins_with_its_first_payload() {
    let trace = Trace::new()
        .then(client(100).ack(50).data("hello"))
        .then(server(50).ack(105).data("ho"))
        .then(client(105).ack(52).data("!"));
    assert_eq!(
        trace.stream(),
        [
            "> gap 0+? began-mid-stream (by 1)",
            "> 0 hello",
            "< gap 0+? began-mid-stream (by 2)",
            "< 0 ho",
            "> 5 !"
        ]
    );
}

#[test]
fn a_keep_alive_does_not_begin_a_stream() {
    let trace = Trace::new()
        .then(server(50).ack(100))
        .then(client(99).ack(50).data("x"))
        .then(client(99).ack(50))
        .then(client(100).ack(50).data("hello"));
    assert_eq!(
        trace.stream(),
        ["> gap 0+? began-mid-stream (by 4)", "> 0 hello"]
    );
    assert_eq!(trace.noticed(), ["2 > probe", "3 > probe"]);
}

#[test]
fn what_comes_from_before_the_beginning_is_cut_at_the_right_byte() {
    let trace = Trace::new()
        .then(client(100).data("abc"))
        .then(client(95).data("VWXYZabcdef"));
    assert_eq!(trace.stream()[1..], ["> 0 abc", "> 3 def"]);
}

#[test]
fn acknowledged_bytes_before_the_first_captured_one_are_known_to_be_missing() {
    let trace = Trace::new()
        .then(server(50).ack(100))
        .then(server(50).ack(120))
        .wait_ms(1_000)
        .then(server(50).ack(120))
        .then(client(120).data("hello"));
    assert_eq!(
        trace.stream(),
        ["> gap 0+20 not-captured (by 2)", "> 20 hello"]
    );
}

#[test]
fn a_syn_alone_places_the_bytes_of_its_side() {
    let trace = Trace::new()
        .then(client(-1).syn())
        .then(client(0).ack(0).data("GET"))
        .then(server(0).ack(3).data("101"));
    assert_eq!(trace.stream(), ["> 0 GET", "< 0 101"]);
    assert!(trace.tcp.has_syn(crate::stream::Direction::ServerToClient));
}

#[test]
fn a_syn_ack_alone_places_the_bytes_of_both() {
    let trace = Trace::new()
        .then(server(-1).syn().ack(0))
        .then(client(2).ack(0).data("T"))
        .then(client(0).ack(0).data("GE"))
        .then(server(0).ack(3).data("101"));
    assert_eq!(trace.stream(), ["> 0 GE", "> 2 T (2 by 3)", "< 0 101"]);
}
