//! Order, overlap, retransmission, sequence numbers.

use super::{Trace, client, server};

#[test]
fn bytes_in_order_go_up_at_once() {
    let trace = Trace::opened()
        .then(client(0).data("hello "))
        .then(server(0).ack(6).data("ho"))
        .then(client(6).ack(2).data("world"));
    assert_eq!(trace.stream(), ["> 0 hello ", "< 0 ho", "> 6 world"]);
    assert_eq!(trace.noticed(), [""; 0]);
    assert_eq!(trace.payload(), (11, 2));
    assert_eq!(trace.tcp.buffered(), 0);
}

#[test]
fn early_bytes_wait_and_remember_when_they_were_seen() {
    let trace = Trace::opened()
        .then(client(5).data("world").ip_id(8))
        .then(client(10).data("!").ip_id(9))
        .then(client(0).data("hello").ip_id(7));
    assert_eq!(
        trace.stream(),
        ["> 0 hello", "> 5 world (4 by 6)", "> 10 ! (5 by 6)"]
    );
    assert_eq!(trace.noticed(), ["6 > out of order"]);
    assert_eq!(trace.payload(), (11, 0));
    assert_eq!(trace.tcp.buffered(), 0);
}

#[test]
fn a_hole_filled_by_a_later_packet_of_the_sender_is_a_retransmission() {
    let trace = Trace::opened()
        .then(client(5).data("world").ip_id(8))
        .then(client(0).data("hello").ip_id(9));
    assert_eq!(trace.noticed(), ["5 > again 0+5"]);
    assert_eq!(trace.stream(), ["> 0 hello", "> 5 world (4 by 5)"]);
}

#[test]
fn without_identification_three_milliseconds_decide() {
    let filled_after = |ms| {
        Trace::opened()
            .then(client(5).data("world").ip_id(0))
            .wait_ms(ms)
            .and(client(0).data("hello").ip_id(0))
            .noticed()
    };
    assert_eq!(filled_after(2), ["5 > out of order"]);
    assert_eq!(filled_after(3), ["5 > again 0+5"]);
}

#[test]
fn the_second_hole_is_judged_by_its_own_segment() {
    let trace = Trace::opened()
        .then(client(1).data("b").ip_id(11))
        .then(client(3).data("d").ip_id(13))
        .wait_ms(200)
        .then(client(0).data("a").ip_id(20))
        .then(client(2).data("c").ip_id(21));
    assert_eq!(trace.noticed(), ["6 > again 0+1", "7 > again 2+1"]);
    assert_eq!(
        trace.stream(),
        ["> 0 a", "> 1 b (4 by 6)", "> 2 c", "> 3 d (5 by 7)"]
    );
}

#[test]
fn retransmission_whole_partial_coalesced_gives_each_byte_once() {
    let trace = Trace::opened()
        .then(client(0).data("abcd"))
        .then(client(4).data("efgh"))
        .then(client(0).data("abcd"))
        .then(client(2).data("cdef"))
        .then(client(4).data("efghij"))
        .then(client(0).data("abcdefghijkl"));
    assert_eq!(
        trace.stream(),
        ["> 0 abcd", "> 4 efgh", "> 8 ij", "> 10 kl"]
    );
    assert_eq!(trace.noticed(), ["6 > again 0+4", "7 > again 2+4"]);
}

#[test]
fn the_first_of_two_versions_wins_and_the_second_is_told() {
    let trace = Trace::opened()
        .then(client(0).data("first"))
        .then(client(0).data("other"));
    assert_eq!(trace.stream(), ["> 0 first"]);
    assert_eq!(trace.noticed(), ["5 > again 0+5", "5 > conflict 0"]);
}

#[test]
fn the_first_version_wins_among_held_bytes_too() {
    let trace = Trace::opened()
        .then(client(4).data("EFGH"))
        .then(client(2).data("cdefghij"))
        .then(client(0).data("ab"));
    assert_eq!(
        trace.stream(),
        [
            "> 0 ab",
            "> 2 cd (5 by 6)",
            "> 4 EFGH (4 by 6)",
            "> 8 ij (5 by 6)"
        ]
    );
    assert_eq!(trace.noticed()[0], "5 > conflict 2");
}

#[test]
fn a_segment_across_the_end_of_order_joins_what_is_held() {
    let trace = Trace::opened()
        .then(client(0).data("abc"))
        .then(client(6).data("ghi"))
        .then(client(1).data("bcdefghijk"));
    assert_eq!(
        trace.stream(),
        ["> 0 abc", "> 3 def", "> 6 ghi (5 by 6)", "> 9 jk"]
    );
}

#[test]
fn numbers_wrap_within_a_segment_and_between_held_ones() {
    for isn in [u32::MAX - 7, u32::MAX - 1, u32::MAX, 0, 0x7fff_fffb] {
        let trace = Trace::new()
            .numbered(isn, isn)
            .open()
            .then(client(0).data("abcd"))
            .then(client(8).data("ijkl").ip_id(200))
            .then(client(4).data("efgh").ip_id(199))
            .then(server(0).ack(12).data("ok"))
            .then(client(12).fin().ack(2))
            .then(server(2).fin().ack(13));
        assert_eq!(
            trace.stream(),
            [
                "> 0 abcd",
                "> 4 efgh",
                "> 8 ijkl (5 by 6)",
                "< 0 ok",
                "> end (8)",
                "< end (9)"
            ],
            "initial sequence number {isn}"
        );
    }
}

#[test]
fn a_stream_may_be_longer_than_the_sequence_space() {
    const STEP: i64 = 1 << 29;
    let patience = crate::tcp::Patience {
        acked_segments: 1,
        ..Default::default()
    };
    let mut trace = Trace::patient(patience).open();
    for step in 1..=20 {
        trace = trace.then(server(0).ack(step * STEP));
    }
    let trace = trace.then(client(20 * STEP).data("far"));
    assert_eq!(trace.stream().last(), Some(&"> 10737418240 far"));
}

#[test]
fn a_syn_may_carry_data() {
    let trace = Trace::new()
        .then(client(-1).syn().data("GET"))
        .then(server(-1).syn().ack(3))
        .then(client(3).ack(0).data(" /"));
    assert_eq!(trace.stream(), ["> 0 GET", "> 3  /"]);
}

#[test]
fn a_packet_captured_twice_is_a_duplicate_not_a_retransmission() {
    let trace = Trace::opened()
        .then(client(0).data("hello").ip_id(7))
        .and(client(0).data("hello").ip_id(7));
    assert_eq!(trace.noticed(), ["5 > duplicate"]);
    assert_eq!(trace.stream(), ["> 0 hello"]);
}

#[test]
fn the_same_bytes_in_another_packet_are_a_retransmission() {
    let other_id = Trace::opened()
        .then(client(0).data("hello").ip_id(7))
        .and(client(0).data("hello").ip_id(8));
    assert_eq!(other_id.noticed(), ["5 > again 0+5"]);
    let much_later = Trace::opened()
        .then(client(0).data("hello").ip_id(7))
        .wait_ms(200)
        .then(client(0).data("hello").ip_id(7));
    assert_eq!(much_later.noticed(), ["5 > again 0+5"]);
}

#[test]
fn without_identification_the_timestamps_show_a_duplicate() {
    let twice = |second| {
        Trace::opened()
            .then(client(0).data("hello").ip_id(0).stamp(50))
            .and(client(0).data("hello").ip_id(0).stamp(second))
            .noticed()
    };
    assert_eq!(twice(50), ["5 > duplicate"]);
    assert_eq!(twice(51), ["5 > again 0+5"]);
}
