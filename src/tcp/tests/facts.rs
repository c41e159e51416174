//! Probes, windows, round trips, acknowledgments.

use super::{Trace, client, server};
use crate::tcp::Event;

/// Nanoseconds of all round-trip samples.
fn round_trips(trace: &Trace) -> Vec<u64> {
    let samples = trace.facts.iter().filter_map(|event| match event {
        Event::RoundTrip { nanos, .. } => Some(*nanos),
        _ => None,
    });
    samples.collect()
}

/// Offset and covered packet of all acknowledgments.
fn acked(trace: &Trace) -> Vec<(u64, Option<u64>)> {
    let acks = trace.facts.iter().filter_map(|event| match event {
        Event::Acked { upto, covers, .. } => Some((*upto, covers.map(|at| at.number))),
        _ => None,
    });
    acks.collect()
}

#[test]
fn keep_alives_with_and_without_a_byte_are_no_data() {
    let trace = Trace::opened()
        .then(client(0).data("hello"))
        .then(server(0).ack(5))
        .wait_ms(30_000)
        .then(client(4))
        .then(server(0).ack(5))
        .wait_ms(30_000)
        .then(client(4).data("?"))
        .then(client(5).data("world"));
    assert_eq!(trace.noticed(), ["6 > probe", "8 > probe"]);
    assert_eq!(trace.stream(), ["> 0 hello", "> 5 world"]);
    assert_eq!(trace.payload(), (10, 0));
}

#[test]
fn a_zero_window_probe_byte_is_data_once_the_window_opens() {
    let trace = Trace::opened()
        .then(client(0).data("hello"))
        .then(server(0).ack(5).window(0))
        .wait_ms(500)
        .then(client(5).data("w"))
        .then(server(0).ack(5).window(0))
        .wait_ms(500)
        .then(client(5).data("w"))
        .then(server(0).ack(6).window(500))
        .then(client(6).data("orld"));
    assert_eq!(
        trace.noticed(),
        [
            "5 < window closed",
            "6 > probe",
            "8 > probe",
            "9 < window opened"
        ]
    );
    assert_eq!(trace.stream(), ["> 0 hello", "> 5 w", "> 6 orld"]);
}

#[test]
fn windows_of_syn_fin_and_reset_say_nothing() {
    let trace = Trace::new()
        .then(client(-1).syn().window(0))
        .then(server(-1).syn().ack(0).window(0))
        .then(client(0).ack(0))
        .then(server(0).fin().window(0))
        .then(client(0).rst().window(0));
    assert_eq!(trace.noticed(), ["4 < fin", "5 > reset"]);
}

#[test]
fn a_round_trip_is_that_of_the_newest_segment_acknowledged() {
    let trace = Trace::opened()
        .then(client(0).data("a"))
        .wait_ms(10)
        .then(client(1).data("b"))
        .wait_ms(5)
        .then(server(0).ack(2));
    assert_eq!(round_trips(&trace), [6_000_000]);
    assert_eq!(acked(&trace), [(2, Some(5))]);
}

/// Karn's algorithm: the acknowledgment may belong to either copy.
#[test]
fn what_was_sent_twice_gives_no_round_trip() {
    let trace = Trace::opened()
        .then(client(0).data("a"))
        .wait_ms(200)
        .then(client(0).data("a"))
        .then(server(0).ack(1));
    assert_eq!(round_trips(&trace), [0; 0]);
    assert_eq!(acked(&trace), [(1, Some(4))]);
    let after = trace.then(client(1).data("b")).then(server(0).ack(2));
    assert_eq!(round_trips(&after), [1_000_000]);
}

#[test]
fn what_waited_behind_a_hole_gives_no_round_trip() {
    let trace = Trace::opened()
        .then(client(1).data("b"))
        .wait_ms(200)
        .then(client(0).data("a"))
        .then(server(0).ack(2));
    assert_eq!(round_trips(&trace), [0; 0]);
}

#[test]
fn an_acknowledgment_advances_once_and_not_for_a_syn_or_fin() {
    let trace = Trace::opened()
        .then(client(0).data("hello"))
        .then(server(0).ack(5))
        .then(server(0).ack(5))
        .then(server(0).ack(3))
        .then(client(5).fin())
        .then(server(0).ack(6));
    assert_eq!(acked(&trace), [(5, Some(4))]);
}

#[test]
fn an_impossible_acknowledgment_is_not_believed() {
    let trace = Trace::opened()
        .then(server(0).ack((1 << 30) + 1))
        .wait_ms(2_000)
        .then(client(0).data("hello"));
    assert_eq!(trace.stream(), ["> 0 hello"]);
}

#[test]
fn a_syn_sent_again_is_told() {
    let trace = Trace::new()
        .then(client(-1).syn())
        .wait_ms(1_000)
        .then(client(-1).syn());
    let repeated: Vec<_> = trace
        .facts
        .iter()
        .map(|event| matches!(event, Event::Syn { repeated: true, .. }))
        .collect();
    assert_eq!(repeated, [false, true]);
}
