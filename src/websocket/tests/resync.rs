//! Stories of frames that are found again.

use super::*;

/// A client's frame with a key of its own, made from `seed`.
pub(super) fn keyed(first: u8, seed: u32, payload: &[u8]) -> Vec<u8> {
    let key = seed.wrapping_add(1).wrapping_mul(0x9e37_79b1).to_be_bytes();
    framed(first, Some(key), payload)
}

/// The n-th of some texts as people send them.
fn words(n: u32) -> String {
    format!(
        "{{\"id\":{n},\"type\":\"update\",\"price\":{}}}",
        n * 37 % 1000
    )
}

/// What was reported of messages, but for breaches.
fn texts(talk: &Talk) -> Vec<String> {
    let messages = talk.messages();
    let complete = messages.iter().filter(|message| message.complete);
    complete
        .map(|message| String::from_utf8_lossy(message.payload.as_deref().unwrap()).into_owned())
        .collect()
}

#[test]
fn a_server_is_found_again_at_segment_starts() {
    let mut talk = Talk::plain();
    talk.server(&bare(FIN | TEXT, b"before"))
        .lose(ServerToClient, Some(500));
    for n in 0..12 {
        talk.server(&bare(FIN | TEXT, words(n).as_bytes()));
    }
    let story = talk.story();
    assert_eq!(
        story[1..4],
        [
            "gap, in step: false",
            "server lost",
            "server found at 508 after 0: Likely"
        ]
    );
    assert_eq!(texts(&talk)[1..], (0..12).map(words).collect::<Vec<_>>());
    let sure = |message: &Message| message.confidence == Confidence::Certain;
    let first = talk
        .messages()
        .iter()
        .skip(1)
        .position(|message| sure(message));
    assert_eq!(first, Some(6));
}

#[test]
fn a_client_is_found_again_after_the_rest_of_a_message() {
    let mut talk = Talk::plain();
    let long = keyed(FIN | TEXT, 99, words(7).repeat(100).as_bytes());
    talk.lose(ClientToServer, Some(1000));
    talk.client(&long[1000..2448]).client(&long[2448..]);
    for n in 0..5 {
        talk.client(&keyed(FIN | TEXT, n, words(n).as_bytes()));
    }
    assert_eq!(texts(&talk), (0..5).map(words).collect::<Vec<_>>());
    let skipped = long.len() - 1000;
    let found = format!("client found at {} after {skipped}: Likely", long.len());
    assert_eq!(talk.story()[2], found);
}

#[test]
fn coalesced_masked_frames_need_no_segments() {
    let mut talk = Talk::plain();
    let frames: Vec<u8> = (0..20)
        .flat_map(|n| keyed(FIN | BINARY, n, &n.to_be_bytes().repeat(5)))
        .collect();
    talk.lose(ClientToServer, None).client(&frames[11..]);
    talk.finish();
    let story = talk.story();
    assert_eq!(story[2], "client found at 1249 after 249: Certain");
    assert_eq!(talk.messages().len(), 10);
}

#[test]
fn frames_in_a_payload_are_not_taken_for_the_servers() {
    // The payload of one large frame, whose header is missing, holds a hundred whole frames.
    let inner: Vec<u8> = (0..100)
        .flat_map(|n| bare(FIN | TEXT, words(n).as_bytes()))
        .collect();
    for cut in 0..200 {
        let mut talk = Talk::plain();
        talk.lose(ServerToClient, Some(1000));
        for segment in inner[cut..].chunks(1448) {
            talk.server(segment);
        }
        talk.end(ServerToClient);
        assert_eq!(talk.messages(), Vec::<&Message>::new(), "cut at {cut}");
        assert_eq!(talk.frames(), [], "cut at {cut}");
    }
}

#[test]
fn a_certificates_list_of_names_is_no_chain_of_frames() {
    // Names of a certificate: tag 0x82, length, name, over and over.
    let names: Vec<u8> = (0..300)
        .flat_map(|n| bare(FIN | BINARY, format!("host{n}.example.test").as_bytes()))
        .collect();
    let mut talk = Talk::plain();
    talk.lose(ServerToClient, Some(1000));
    names.chunks(1448).for_each(|segment| {
        talk.server(segment);
    });
    talk.finish();
    assert_eq!(talk.frames(), []);
    assert_eq!(
        talk.story().last().unwrap(),
        &format!("server unread: {}", names.len())
    );
}

#[test]
fn runs_of_equal_bytes_prove_nothing() {
    for byte in 0..=255 {
        for direction in Direction::BOTH {
            let mut talk = Talk::plain();
            talk.lose(direction, Some(10));
            for _ in 0..20 {
                talk.send(direction, &[byte; 997]);
            }
            talk.end(direction);
            assert_eq!(talk.frames(), [], "{byte:#x} from {direction:?}");
        }
    }
}

#[test]
fn nothing_is_found_in_the_middle_of_masked_text() {
    let text = words(3).repeat(3000);
    for seed in 0..40 {
        let frame = keyed(FIN | TEXT, seed, text.as_bytes());
        let mut talk = Talk::plain();
        talk.lose(ClientToServer, Some(100));
        frame[100..].chunks(1448).for_each(|segment| {
            talk.client(segment);
        });
        talk.finish();
        assert_eq!(talk.frames(), [], "seed {seed}");
    }
}

#[test]
fn what_was_passed_over_is_counted() {
    let mut talk = Talk::plain();
    talk.lose(ServerToClient, Some(10))
        .server(b"no frame at all");
    talk.lose(ServerToClient, Some(10)).server(b"and no more");
    talk.end(ServerToClient);
    assert_eq!(
        talk.story(),
        [
            "gap, in step: false",
            "server lost",
            "gap, in step: false",
            "server unread: 26",
            "server ends None"
        ]
    );
}

#[test]
fn a_gap_in_a_payload_does_not_end_the_search() {
    let mut talk = Talk::plain();
    talk.lose(ClientToServer, None);
    let torn = keyed(FIN | TEXT, 1, words(1).as_bytes());
    talk.client(&torn[..12])
        .lose(ClientToServer, Some(5))
        .client(&torn[17..]);
    for n in 2..6 {
        talk.client(&keyed(FIN | TEXT, n, words(n).as_bytes()));
    }
    let story = talk.story();
    assert_eq!(story[2], "client found at 1000 after 0: Likely");
    assert_eq!(story[3], "gap, in step: true");
    assert_eq!(texts(&talk), (2..6).map(words).collect::<Vec<_>>());
}

#[test]
fn the_rest_of_a_fragmented_message_is_no_message() {
    let mut talk = Talk::plain();
    talk.lose(ServerToClient, Some(10));
    talk.server(&bare(CONTINUATION, b"middle "))
        .server(&bare(FIN | CONTINUATION, b"end of a message"));
    for n in 0..8 {
        talk.server(&bare(FIN | TEXT, words(n).as_bytes()));
    }
    assert_eq!(talk.breaches(), []);
    assert_eq!(talk.story()[3], r#"continuation "", incomplete"#);
    assert_eq!(texts(&talk), (0..8).map(words).collect::<Vec<_>>());
}

#[test]
fn a_direction_without_handshake_is_found_with_compressed_messages() {
    let mut connection = Connection::mid_stream(KEEP);
    let mut talk = Talk::plain();
    std::mem::swap(&mut talk.connection, &mut connection);
    let mut sender = Compressor::new(true);
    // The capture began after the first message, to which the third refers.
    sender.message(PHRASE);
    let sent = [&b"first that is whole"[..], PHRASE, b"quite another one"];
    for text in sent {
        talk.server(&bare(FIN | RSV1 | TEXT, &sender.message(text)));
    }
    for n in 0..8 {
        talk.server(&bare(
            FIN | RSV1 | TEXT,
            &sender.message(words(n).as_bytes()),
        ));
    }
    assert_eq!(talk.breaches(), []);
    let messages = talk.messages();
    assert!(messages.iter().all(|message| message.compressed));
    let unread: Vec<usize> = (0..messages.len())
        .filter(|&at| !messages[at].complete)
        .collect();
    assert_eq!(unread, [1]);
    assert_eq!(texts(&talk)[1], "quite another one");
    assert_eq!(talk.story()[2], "server context lost");
}

#[test]
fn distances_beyond_what_is_known_are_refused() {
    // Long enough for the inflater's fast path, with the reference early, in the middle, or late.
    let noise = |seed: u32, len: usize| -> Vec<u8> {
        let mut state = seed;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    };
    for (before, after) in [(0, 0), (0, 5000), (10, 300), (2500, 2500), (5000, 0)] {
        let mut sender = Compressor::new(true);
        let shared = noise(1, 300);
        sender.message(&[noise(2, 20), shared.clone()].concat());
        let second = [noise(3, before), shared, noise(4, after)].concat();
        let mut inflater = super::super::deflate::Inflater::new(true);
        inflater.lose_context();
        inflater.begin();
        let payload = sender.message(&second);
        assert!(payload.len() < second.len() - 200);
        let read = inflater
            .push(&payload, &mut |_| {})
            .and_then(|()| inflater.end(&mut |_| {}));
        assert!(read.is_err(), "{before} before and {after} after");
    }
}

#[test]
fn a_full_window_is_a_whole_context() {
    let mut talk = Talk::compressed(Deflate::default());
    let mut sender = Compressor::new(true);
    sender.message(PHRASE);
    talk.lose(ServerToClient, Some(10));
    for n in 0..600 {
        let text = format!("{n} {}", n * n).repeat(10);
        talk.server(&bare(FIN | RSV1 | TEXT, &sender.message(text.as_bytes())));
    }
    talk.server(&bare(FIN | RSV1 | TEXT, b"\xff\xff\xff"));
    assert_eq!(talk.breaches(), [Breach::InflateFailed]);
}

/// Segments of several small frames, of which the snap length leaves the first 30 bytes.
fn coalesced_and_cut(direction: Direction) -> Talk {
    let mut talk = Talk::plain();
    for n in 0..60 {
        let frames: Vec<u8> = (0..6)
            .flat_map(|k| {
                let text = format!("tick {n}.{k}");
                match direction {
                    ClientToServer => keyed(FIN | TEXT, n * 10 + k, text.as_bytes()),
                    ServerToClient => bare(FIN | TEXT, text.as_bytes()),
                }
            })
            .collect();
        talk.send(direction, &frames[..30]).lose_as(
            direction,
            Some(frames.len() as u64 - 30),
            GapCause::SnapLength,
        );
    }
    talk
}

#[test]
fn headers_before_the_snap_length_are_read() {
    for direction in Direction::BOTH {
        let talk = coalesced_and_cut(direction);
        let (frames, messages) = (talk.frames().len(), talk.messages().len());
        assert!(frames > 80 && messages > 80, "{frames}, {messages}");
        assert!(texts(&talk).iter().all(|text| text.starts_with("tick ")));
        // The first segments only show how this sender writes.
        let sure = |frame: &&Frame| frame.confidence == Confidence::Certain;
        assert!(talk.frames().iter().filter(sure).count() < 9);
    }
}

#[test]
fn what_inflates_by_chance_is_not_told() {
    let mut talk = Talk::plain();
    talk.connection = Connection::mid_stream(KEEP);
    for n in 0..30 {
        talk.client(&keyed(FIN | TEXT, n, words(n).as_bytes()));
    }
    // An extension that nobody knows: stored blocks of deflate, by chance.
    let stored = |byte| [&[0, 3, 0, 0xfc, 0xff][..], &[byte; 3]].concat();
    talk.client(&keyed(FIN | RSV1 | BINARY, 98, &stored(7)))
        .client(&keyed(FIN | RSV1 | TEXT, 99, &stored(0xff)));
    let [.., binary, text] = talk.messages()[..] else {
        panic!("{:?}", talk.story())
    };
    for message in [binary, text] {
        assert!(!message.complete && message.payload.is_none());
    }
    assert_eq!(talk.breaches(), []);
}

#[test]
fn text_that_inflates_proves_permessage_deflate() {
    let mut talk = Talk::plain();
    talk.connection = Connection::mid_stream(KEEP);
    let mut sender = Compressor::new(true);
    for n in 0..8 {
        let payload = sender.message(words(n).as_bytes());
        talk.client(&keyed(FIN | RSV1 | TEXT, n, &payload));
    }
    assert_eq!(texts(&talk), (0..8).map(words).collect::<Vec<_>>());
    let last = talk.messages()[7];
    assert_eq!(last.confidence, Confidence::Certain);
}

/// Binary frames of a server, the n-th with its number.
fn ticks(talk: &mut Talk, count: u8) {
    for n in 0..count {
        talk.server(&bare(FIN | BINARY, &[n; 100]));
    }
}

fn first_bytes(talk: &Talk) -> Vec<u8> {
    let payloads = talk
        .messages()
        .into_iter()
        .filter_map(|m| m.payload.clone());
    payloads
        .filter_map(|payload| payload.first().copied())
        .collect()
}

#[test]
fn binary_frames_are_likely_before_they_are_certain() {
    let mut talk = Talk::plain();
    ticks(&mut talk, 3);
    talk.lose(ServerToClient, Some(500));
    ticks(&mut talk, 12);
    // The first could be nested in a message whose header is missing.
    assert_eq!(first_bytes(&talk)[..6], [0, 1, 2, 3, 4, 5]);
    let likely = |message: &&Message| message.confidence == Confidence::Likely;
    assert!(talk.messages().iter().filter(|m| likely(m)).count() >= 1);
}

#[test]
fn frames_begin_behind_a_101_that_the_snap_length_cut() {
    for (cause, first) in [(GapCause::SnapLength, 0), (GapCause::NotCaptured, 3)] {
        let mut talk = Talk::plain();
        talk.lose_as(ServerToClient, Some(100), cause);
        ticks(&mut talk, 12);
        assert_eq!(first_bytes(&talk).first(), Some(&first), "{cause:?}");
    }
}

#[test]
fn a_large_frame_behind_a_cut_101_is_not_taken_for_small_ones() {
    // A message began in the packet of the 101, and small frames lie in it.
    let mut talk = Talk::plain();
    talk.lose_as(ServerToClient, Some(100), GapCause::SnapLength);
    let inner: Vec<u8> = (0..60)
        .flat_map(|n| bare(FIN | BINARY, &[n; 100]))
        .collect();
    for segment in inner[51..].chunks(1448) {
        talk.server(segment);
    }
    talk.end(ServerToClient);
    assert_eq!(talk.frames(), []);
}

/// A server's Close frame behind a gap, and what it says after that.
fn closed(close: &[u8], more: &[u8], fin: bool) -> usize {
    let mut talk = Talk::plain();
    ticks(&mut talk, 3);
    talk.lose(ServerToClient, Some(500));
    talk.server(&[0x55; 700]).server(close);
    if !more.is_empty() {
        talk.server(more);
    }
    if fin {
        talk.end(ServerToClient);
    }
    talk.finish();
    let is_close = |event: &&Event| matches!(event, Event::Close(_));
    talk.events.iter().filter(is_close).count()
}

#[test]
fn a_close_that_ends_the_stream_is_read() {
    let close = bare(FIN | CLOSE, b"\x03\xe8bye");
    assert_eq!(closed(&close, b"", true), 1);
    assert_eq!(closed(&bare(FIN | CLOSE, b""), b"", true), 1);
    // The capture ended, more came, the code is none, the reason isn't UTF-8.
    assert_eq!(closed(&close, b"", false), 0);
    assert_eq!(closed(&close, b"?", true), 0);
    assert_eq!(closed(&bare(FIN | CLOSE, b"\x03\xedbye"), b"", true), 0);
    let reason = [&b"\x03\xe8"[..], &[b'a'; 60], b"\xff"].concat();
    assert_eq!(closed(&bare(FIN | CLOSE, &reason), b"", true), 0);
}

#[test]
fn a_close_inside_a_segment_is_no_proof_by_itself() {
    let close = [&[0x55; 300][..], &bare(FIN | CLOSE, b"\x03\xe8bye")].concat();
    assert_eq!(closed(&close, b"", true), 0);
}

#[test]
fn a_header_at_the_end_of_a_huge_segment_is_kept() {
    // Segmentation offload hands over as much as 64 KiB at once.
    let mut talk = Talk::plain();
    talk.lose(ClientToServer, Some(10));
    let frame = |n: u32| keyed(FIN | TEXT, n, words(n).repeat(40).as_bytes());
    let noise = vec![0x55; (64 << 10) - 3];
    let frames: Vec<u8> = (0..8).flat_map(frame).collect();
    let all = [noise, frames].concat();
    let (first, second) = all.split_at(64 << 10);
    talk.client(first).client(second);
    let wrong = talk
        .messages()
        .iter()
        .filter(|m| {
            m.payload
                .as_ref()
                .is_some_and(|p| !p.starts_with(b"{\"id\":"))
        })
        .count();
    assert_eq!((wrong, talk.breaches()), (0, vec![]));
    assert!(!talk.messages().is_empty());
}

/// Segments of which the snap length left the beginning, behind frames that are sure.
fn cut_segments(segment: &[u8], rest: u64) -> Talk {
    let mut talk = coalesced_and_cut(ServerToClient);
    for _ in 0..300 {
        talk.server(segment)
            .lose_as(ServerToClient, Some(rest), GapCause::SnapLength);
    }
    talk
}

#[test]
fn cut_segments_of_a_large_frame_of_one_byte_are_no_frames() {
    let before = coalesced_and_cut(ServerToClient).frames().len();
    for segment in [&[0x42; 30][..], &[0x82; 30], &[0x01; 30]] {
        let talk = cut_segments(segment, 1418);
        assert!(talk.frames().len() <= before + 1, "{:?}", &segment[..2]);
    }
}

#[test]
fn cut_records_of_equal_form_are_no_frames() {
    // A continuation of 96 bytes that continues nothing, in a segment of 172.
    let before = coalesced_and_cut(ServerToClient).frames().len();
    let talk = cut_segments(&[0x80, 0x60, 0, 1, 0, 9, 4, 3, 2, 1, 8, 8], 160);
    assert!(talk.frames().len() <= before + 1);
}
