//! The same packet captured twice, and what only looks like it; records that
//! the capture has out of order.

use super::script::Sent;
use super::{Trace, client, server};

/// Four packets of the client that count up.
fn counting(trace: Trace) -> Trace {
    (0..4).fold(trace, |trace, at| trace.then(client(at).data(".")))
}

#[test]
fn copies_of_another_point_are_known_by_identifications_that_count_up() {
    let trace = (0..12).fold(counting(Trace::opened()), |trace, at| {
        trace.then(client(4 + at).data(".").ip_id(200 + at as u16))
    });
    let merged = (0..12).fold(trace.wait_ms(30), |trace, at| {
        trace.then(client(4 + at).data(".").ip_id(200 + at as u16))
    });
    assert_eq!(merged.noticed().len(), 12);
    assert!(
        merged
            .noticed()
            .iter()
            .all(|fact| fact.ends_with("duplicate"))
    );
    let again = merged.then(client(4).data(".").ip_id(212));
    assert_eq!(again.noticed()[12..], ["32 > again 4+1"]);
}

/// `abcdef` at once and `abc`, `def`: before the network card and behind it.
fn split(stamp: Option<u32>, second: Option<u32>) -> [Vec<String>; 2] {
    let marked = |sent: Sent, stamp: Option<u32>| match stamp {
        Some(stamp) => sent.stamp(stamp),
        None => sent,
    };
    let whole = |id, stamp| marked(client(0).data("abcdef").ip_id(id), stamp);
    let first = |stamp| marked(client(0).data("abc").ip_id(7), stamp);
    let last = |stamp| marked(client(3).data("def").ip_id(8), stamp);
    let after = Trace::opened()
        .then(whole(7, stamp))
        .and(first(second))
        .and(last(second));
    let before = Trace::opened()
        .then(first(stamp))
        .and(last(stamp))
        .and(whole(7, second));
    [after.noticed(), before.noticed()]
}

#[test]
fn a_segment_and_the_packets_that_it_becomes_are_copies() {
    let copies = [
        vec!["5 > duplicate", "6 > duplicate"],
        vec!["6 > duplicate"],
    ];
    assert_eq!(split(Some(50), Some(50)), copies);
    assert_eq!(split(None, None), copies);
    let again = [
        vec!["5 > again 0+3", "6 > again 3+3"],
        vec!["6 > again 0+6"],
    ];
    assert_eq!(split(Some(50), Some(53)), again);
}

#[test]
fn what_the_receiver_asked_for_again_is_no_copy() {
    let trace = Trace::opened()
        .then(client(0).data("abcdef").stamp(50))
        .and(server(0).ack(0))
        .and(client(0).data("abc").stamp(50));
    assert_eq!(trace.noticed(), ["6 > again 0+3"]);
    let taken = Trace::opened()
        .then(client(0).data("abcdef").stamp(50))
        .and(server(0).ack(6))
        .and(client(0).data("abc").stamp(50));
    assert_eq!(taken.noticed(), ["6 > duplicate"]);
}

#[test]
fn a_reset_and_a_keep_alive_twice_at_once_are_one() {
    let trace = Trace::opened()
        .then(client(-1).ip_id(0))
        .and(client(-1).ip_id(0))
        .then(client(0).rst().ip_id(0))
        .and(client(0).rst().ip_id(0));
    assert_eq!(
        trace.noticed(),
        ["4 > probe", "5 > duplicate", "6 > reset", "7 > duplicate"]
    );
}

#[test]
fn what_is_stamped_before_a_reset_came_before_it() {
    let trace = Trace::opened()
        .then(client(0).data("hello"))
        .then(server(3).rst())
        .wait_ms(-2)
        .then(server(0).data("bye"))
        .finish();
    assert_eq!(
        trace.stream(),
        ["> 0 hello", "< 0 bye", "> end (5)", "< end (5)"]
    );
    assert_eq!(trace.noticed()[0], "5 < reset");
    assert!(!trace.noticed().iter().any(|fact| fact.contains("after")));
}

#[test]
fn an_acknowledgment_that_overtook_its_payload_covers_it() {
    use crate::tcp::Event;
    let trace = Trace::opened()
        .then(server(0).ack(5))
        .then(client(0).data("hello"));
    let acked: Vec<_> = trace
        .facts
        .iter()
        .filter_map(|event| match event {
            Event::Acked { at, covers, .. } => Some((at.number, covers.map(|at| at.number))),
            _ => None,
        })
        .collect();
    assert_eq!(acked.last(), Some(&(4, Some(5))));
}

#[test]
fn what_came_late_is_covered_with_what_overtook_it() {
    use crate::tcp::Event;
    let trace = Trace::opened()
        .then(client(3).data("def").ip_id(21))
        .then(client(0).data("abc").ip_id(20))
        .then(server(0).ack(6));
    let covers = trace.facts.iter().rev().find_map(|event| match event {
        Event::Acked { covers, .. } => covers.map(|at| at.number),
        _ => None,
    });
    assert_eq!(covers, Some(5));
}

/// Forty segments of one tick, and then each of them again with this stamp.
fn burst_twice(again: u32) -> Vec<String> {
    let burst = |trace: Trace, stamp: u32| {
        (0..40).fold(trace, |trace, at| {
            trace.and(client(at).data(".").ip_id(0).stamp(stamp))
        })
    };
    let trace = burst(Trace::opened(), 50);
    burst(trace, again).noticed()
}

#[test]
fn the_copies_of_a_burst_may_come_behind_all_of_it() {
    let copies = burst_twice(50);
    assert_eq!(copies.len(), 40);
    assert!(copies.iter().all(|fact| fact.ends_with("duplicate")));
    let again = burst_twice(51);
    assert!(again.iter().all(|fact| fact.contains("again")));
}

#[test]
fn what_was_sent_again_and_stands_before_the_first_one_is_no_copy() {
    let sent = || counting(Trace::opened()).then(client(4).data("abc").ip_id(20).stamp(500));
    let again = client(4).data("abc").ip_id(21).stamp(900);
    let first = || client(4).data("abc").ip_id(20).stamp(500);
    let swapped = counting(Trace::opened())
        .wait_ms(400)
        .then(again)
        .wait_ms(-400)
        .then(first());
    assert_eq!(swapped.noticed(), ["9 > again 4+3"]);
    let copied = sent().wait_ms(400).then(first());
    assert_eq!(copied.noticed(), ["9 > duplicate"]);
}
