//! Stories of whole connections.

use std::io::{self, Cursor, Read, Write};

use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tungstenite::protocol::{Role, WebSocket};

mod bulk;
mod cuts;
mod recognition;
mod resync;

use super::*;
use crate::stream::Direction::{ClientToServer, ServerToClient};
use crate::stream::{Chunk, Gap, Sides, StreamEvent};
use crate::time::Timestamp;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = FIN | 8;
const PING: u8 = FIN | 9;
const PONG: u8 = FIN | 10;

/// A frame as a server sends it: not masked, its length in the shortest form.
fn bare(first: u8, payload: &[u8]) -> Vec<u8> {
    framed(first, None, payload)
}

/// A frame as a client sends it.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    framed(first, Some(KEY), payload)
}

fn framed(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let bit = if key.is_some() { 0x80 } else { 0 };
    let mut frame = match payload.len() {
        len @ 0..126 => vec![first, bit | u8::try_from(len).unwrap()],
        len @ 126..0x1_0000 => [
            &[first, bit | 126][..],
            &u16::try_from(len).unwrap().to_be_bytes(),
        ]
        .concat(),
        len => [&[first, bit | 127][..], &(len as u64).to_be_bytes()].concat(),
    };
    frame.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    frame.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// The n-th packet, n seconds after the epoch.
fn packet(number: u64) -> PacketRef {
    let time = Timestamp::from_nanos(number as i64 * 1_000_000_000);
    PacketRef {
        time,
        number,
        source: 0,
        epoch: Default::default(),
    }
}

/// A connection and what was noticed in it; each call is a packet.
struct Talk {
    connection: Connection,
    events: Vec<Event>,
    sent: Sides<u64>,
    packets: u64,
}

impl Talk {
    fn with(parameters: Parameters) -> Self {
        let connection = Connection::new(parameters);
        Self {
            connection,
            events: Vec::new(),
            sent: Sides::default(),
            packets: 0,
        }
    }

    /// Payload is kept, nothing is compressed.
    fn plain() -> Self {
        Self::with(Parameters {
            deflate: None,
            wants: KEEP,
            hint: None,
        })
    }

    fn compressed(deflate: Deflate) -> Self {
        Self::with(Parameters {
            deflate: Some(deflate),
            wants: KEEP,
            hint: None,
        })
    }

    fn on(&mut self, event: &StreamEvent<'_>) -> &mut Self {
        let events = &mut self.events;
        self.connection
            .on_stream(event, &mut |event| events.push(event));
        self
    }

    fn send(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.packets += 1;
        let offset = self.sent[direction];
        self.sent[direction] += bytes.len() as u64;
        let (seen, released) = (packet(self.packets), packet(self.packets));
        self.on(&StreamEvent::Chunk(Chunk {
            direction,
            offset,
            bytes,
            seen,
            released,
        }))
    }

    fn client(&mut self, bytes: &[u8]) -> &mut Self {
        self.send(ClientToServer, bytes)
    }

    fn server(&mut self, bytes: &[u8]) -> &mut Self {
        self.send(ServerToClient, bytes)
    }

    fn lose(&mut self, direction: Direction, len: Option<u64>) -> &mut Self {
        self.lose_as(direction, len, GapCause::NotCaptured)
    }

    fn lose_as(&mut self, direction: Direction, len: Option<u64>, cause: GapCause) -> &mut Self {
        self.packets += 1;
        let offset = self.sent[direction];
        self.sent[direction] += len.unwrap_or(1000);
        let at = packet(self.packets);
        self.on(&StreamEvent::Gap(Gap {
            direction,
            offset,
            len,
            cause,
            at,
        }))
    }

    fn end(&mut self, direction: Direction) -> &mut Self {
        self.packets += 1;
        self.on(&StreamEvent::End(direction, packet(self.packets)))
    }

    fn finish(&mut self) -> &mut Self {
        let events = &mut self.events;
        self.connection.finish(&mut |event| events.push(event));
        self
    }

    /// What was noticed but for frame headers, a line each.
    fn story(&self) -> Vec<String> {
        self.events.iter().filter_map(line).collect()
    }

    fn breaches(&self) -> Vec<Breach> {
        let breach = |event: &Event| match event {
            Event::Breach { breach, .. } => Some(*breach),
            _ => None,
        };
        self.events.iter().filter_map(breach).collect()
    }

    fn messages(&self) -> Vec<&Message> {
        let mut messages = Vec::new();
        for event in &self.events {
            if let Event::Message(message) = event {
                messages.push(message);
            }
        }
        messages
    }

    fn frames(&self) -> Vec<Frame> {
        let frame = |event: &Event| match event {
            Event::Frame(frame) => Some(*frame),
            _ => None,
        };
        self.events.iter().filter_map(frame).collect()
    }
}

const KEEP: Wants = Wants {
    payload: Some(1 << 20),
    sha256: false,
};

fn line(event: &Event) -> Option<String> {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let broken = |complete| if complete { "" } else { ", incomplete" };
    Some(match event {
        Event::Frame(_) | Event::Said(_) => return None,
        Event::Message(message) => {
            let name = message.opcode.name();
            let payload = message
                .payload
                .as_deref()
                .map_or("unread".to_owned(), shown);
            format!("{name} {payload:?}{}", broken(message.complete))
        }
        Event::Ping(ping) => format!("ping {:?}{}", shown(&ping.payload), broken(ping.complete)),
        Event::Pong(pong) => format!("pong {:?}{}", shown(&pong.payload), broken(pong.complete)),
        Event::Close(close) => format!(
            "close {:?} {:?}{}",
            close.code,
            close.reason,
            broken(close.control.complete)
        ),
        Event::Breach {
            breach,
            direction,
            offset,
            detail,
            ..
        } => {
            format!("{} at {offset}: {breach:?}: {detail}", direction.sender())
        }
        Event::Gap { in_step, .. } => format!("gap, in step: {in_step}"),
        Event::LostSync { direction, .. } => format!("{} lost", direction.sender()),
        Event::Resynced {
            direction,
            offset,
            skipped,
            confidence,
            ..
        } => format!(
            "{} found at {offset} after {skipped}: {confidence:?}",
            direction.sender()
        ),
        Event::Unread {
            direction, bytes, ..
        } => format!("{} unread: {bytes}", direction.sender()),
        Event::ContextLost { direction, .. } => format!("{} context lost", direction.sender()),
        Event::End {
            direction,
            inside_frame,
            ..
        } => {
            format!("{} ends {inside_frame:?}", direction.sender())
        }
    })
}

#[test]
fn hello_is_answered() {
    let mut talk = Talk::plain();
    talk.client(&masked(FIN | TEXT, b"hello"))
        .server(&bare(FIN | TEXT, b"you"));
    assert_eq!(talk.story(), [r#"text "hello""#, r#"text "you""#]);
    let expected = Message {
        direction: ClientToServer,
        opcode: Opcode::Text,
        len: 5,
        wire_len: 11,
        whole_len: Some(5),
        whole_wire_len: Some(11),
        compressed: false,
        fragments: 1,
        complete: true,
        confidence: Confidence::Certain,
        first: packet(1),
        begun: packet(1),
        last: packet(1),
        available: packet(1),
        end: 11,
        breaches: vec![],
        sha256: None,
        payload: Some(b"hello".to_vec()),
    };
    assert_eq!(talk.events[1], Event::Message(expected));
}

#[test]
fn the_packets_of_a_message_are_its_first_its_latest_and_the_one_that_released_it() {
    let mut talk = Talk::plain();
    let bytes = bare(FIN | TEXT, b"hello");
    let chunk = |from: usize, to: usize, seen: u64, released: u64| {
        let (offset, bytes) = (from as u64, &bytes[from..to]);
        let (seen, released) = (packet(seen), packet(released));
        StreamEvent::Chunk(Chunk {
            direction: ServerToClient,
            offset,
            bytes,
            seen,
            released,
        })
    };
    // The header's second byte was resent last, and held up what came before.
    talk.on(&chunk(0, 1, 3, 3))
        .on(&chunk(1, 2, 9, 9))
        .on(&chunk(2, 7, 5, 9));
    let message = talk.messages()[0];
    assert_eq!(
        (message.first, message.last, message.available),
        (packet(3), packet(9), packet(9))
    );
}

#[test]
fn control_frames_may_come_between_fragments() {
    let mut talk = Talk::plain();
    talk.client(&masked(TEXT, b"one "))
        .client(&masked(PING, b"?"))
        .client(&masked(CONTINUATION, b"two "))
        .client(&masked(PONG, b""))
        .client(&masked(FIN | CONTINUATION, b"three"));
    assert_eq!(
        talk.story(),
        [r#"ping "?""#, r#"pong """#, r#"text "one two three""#]
    );
    let message = talk.messages()[0];
    assert_eq!(
        (message.fragments, message.wire_len, message.len),
        (3, 13 + 18, 13)
    );
    assert_eq!((message.first, message.last), (packet(1), packet(5)));
}

#[test]
fn a_close_frame_has_a_code_and_a_reason() {
    let mut talk = Talk::plain();
    talk.client(&masked(CLOSE, b"\x03\xe8bye"))
        .server(&bare(CLOSE, b""));
    assert_eq!(
        talk.story(),
        [r#"close Some(1000) "bye""#, r#"close None """#]
    );
}

#[test]
fn what_is_wrong_with_a_close_frame_is_said() {
    let mut talk = Talk::plain();
    talk.server(&bare(CLOSE, b"\x03"))
        .server(&bare(CLOSE, b"\x03\xee\xff"));
    assert_eq!(
        talk.story(),
        [
            "server at 0: CloseBodyOneByte: 0x03",
            r#"close None """#,
            "server at 3: CloseCodeIllegal: code 1006",
            "server at 3: CloseReasonNotUtf8: byte 0xff at offset 0 of the reason",
            "close Some(1006) \"\u{fffd}\"",
        ]
    );
    let Some(Event::Close(close)) = talk.events.last() else {
        panic!("no Close")
    };
    assert_eq!(
        close.breaches,
        [Breach::CloseCodeIllegal, Breach::CloseReasonNotUtf8]
    );
}

#[test]
fn the_mask_tells_the_sides_apart() {
    let mut talk = Talk::plain();
    talk.client(&bare(FIN | TEXT, b"a"))
        .server(&masked(FIN | TEXT, b"b"));
    assert_eq!(
        talk.story(),
        [
            "client at 0: UnmaskedClientFrame: the MASK bit is 0",
            r#"text "a""#,
            "server at 0: MaskedServerFrame: the MASK bit is 1",
            r#"text "b""#,
        ]
    );
    assert_eq!(talk.messages()[0].breaches, [Breach::UnmaskedClientFrame]);
}

#[test]
fn decoding_goes_on_after_a_header_that_breaks_everything() {
    let mut talk = Talk::plain();
    // Opcode 11 with all RSV bits, without FIN, with 126 bytes in a 64-bit length.
    let header = [0x7b, 127, 0, 0, 0, 0, 0, 0, 0, 126];
    talk.server(&[&header[..], &[0; 126], &bare(FIN | TEXT, b"next")].concat());
    assert_eq!(
        talk.breaches(),
        [
            Breach::Rsv1WithoutExtension,
            Breach::ReservedBits,
            Breach::ReservedOpcode,
            Breach::FragmentedControl,
            Breach::ControlTooLong,
            Breach::NonMinimalLength,
        ]
    );
    assert_eq!(talk.story().last().unwrap(), r#"text "next""#);
}

#[test]
fn a_long_ping_keeps_125_bytes() {
    let mut talk = Talk::plain();
    talk.client(&masked(PING, &[b'x'; 300]))
        .client(&masked(PONG, b"y"));
    assert_eq!(talk.breaches(), [Breach::ControlTooLong]);
    assert_eq!(talk.story()[1], format!("ping {:?}", "x".repeat(125)));
    assert_eq!(talk.story()[2], r#"pong "y""#);
}

#[test]
fn a_reserved_opcode_does_not_disturb_the_message_around_it() {
    let mut talk = Talk::plain();
    talk.server(&bare(TEXT, b"a"))
        .server(&bare(FIN | 5, b"?"))
        .server(&bare(FIN, b"b"));
    assert_eq!(
        talk.story(),
        ["server at 3: ReservedOpcode: opcode 5", r#"text "ab""#]
    );
}

#[test]
fn the_top_bit_of_the_length_ends_a_direction_only() {
    let mut talk = Talk::plain();
    talk.server(&[FIN | BINARY, 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3])
        .server(&bare(FIN | TEXT, b"never read"))
        .client(&masked(FIN | TEXT, b"read"));
    assert_eq!(
        talk.story(),
        [
            "server at 0: LengthTopBit: length 0x8000000000000000",
            r#"binary "", incomplete"#,
            "server lost",
            r#"text "read""#,
        ]
    );
}

#[test]
fn a_length_of_63_bits_takes_no_memory() {
    let mut talk = Talk::plain();
    talk.server(&[
        FIN | BINARY,
        127,
        0x7f,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
    ]);
    talk.server(b"four");
    assert!(talk.connection.buffered() < 100);
    talk.finish();
    assert_eq!(talk.story(), [r#"binary "four", incomplete"#]);
}

#[test]
fn a_continuation_needs_something_to_continue() {
    let mut talk = Talk::plain();
    talk.server(&bare(CONTINUATION, b"a"))
        .server(&bare(FIN | CONTINUATION, b"b\xff"));
    assert_eq!(
        talk.story(),
        [
            "server at 0: UnexpectedContinuation: nothing to continue",
            "continuation \"ab\u{fffd}\"",
        ]
    );
}

#[test]
fn a_new_message_cuts_off_the_one_before() {
    let mut talk = Talk::plain();
    talk.server(&bare(TEXT, b"a"))
        .server(&bare(FIN | TEXT, b"b"));
    assert_eq!(
        talk.story(),
        [
            "server at 3: InterleavedMessage: new text message",
            r#"text "a", incomplete"#,
            r#"text "b""#,
        ]
    );
    assert_eq!(talk.messages()[1].breaches, [Breach::InterleavedMessage]);
}

#[test]
fn text_is_judged_across_fragments_and_packets() {
    let mut talk = Talk::plain();
    talk.client(&masked(TEXT, b"a\xe2\x82"))
        .client(&masked(FIN | CONTINUATION, b"\xac!"));
    talk.client(&masked(FIN | TEXT, b"a\xe2\x82"));
    assert_eq!(
        talk.story(),
        [
            "text \"a€!\"",
            "client at 17: InvalidUtf8: byte 0xe2 at offset 1",
            "text \"a\u{fffd}\"",
        ]
    );
}

#[test]
fn bad_text_is_said_before_its_message_ends() {
    let mut talk = Talk::plain();
    talk.server(&bare(TEXT, b"ab\xff"));
    assert_eq!(
        talk.story(),
        ["server at 0: InvalidUtf8: byte 0xff at offset 2"]
    );
    talk.server(&bare(FIN | CONTINUATION, b"\xff"));
    assert_eq!(talk.messages()[0].breaches, [Breach::InvalidUtf8]);
    assert_eq!(talk.breaches().len(), 1);
}

#[test]
fn rsv1_without_extension_makes_the_payload_opaque() {
    let mut talk = Talk::plain();
    talk.server(&bare(FIN | RSV1 | TEXT, b"\xff"));
    assert_eq!(talk.breaches(), [Breach::Rsv1WithoutExtension]);
    assert!(!talk.messages()[0].compressed);
}

#[test]
fn rsv1_belongs_to_the_first_frame_of_a_message() {
    let mut talk = Talk::compressed(Deflate::default());
    talk.server(&bare(TEXT, b"a"))
        .server(&bare(FIN | RSV1 | CONTINUATION, b"b"));
    talk.server(&bare(RSV1 | PING, b""));
    assert_eq!(
        talk.breaches(),
        [Breach::Rsv1Misplaced, Breach::Rsv1Misplaced]
    );
    assert_eq!(talk.messages()[0].payload.as_deref(), Some(&b"ab"[..]));
}

#[test]
fn frames_after_close_are_read_and_named() {
    let mut talk = Talk::plain();
    talk.server(&bare(CLOSE, b"\x03\xe8"))
        .server(&bare(PONG, b""))
        .server(&bare(PING, b""));
    talk.server(&bare(FIN | TEXT, b"late"))
        .client(&masked(FIN | TEXT, b"fine"));
    assert_eq!(
        talk.story(),
        [
            r#"close Some(1000) """#,
            r#"pong """#,
            "server at 6: FrameAfterClose: ping frame of 0 bytes",
            r#"ping """#,
            "server at 8: FrameAfterClose: text frame of 4 bytes",
            r#"text "late""#,
            r#"text "fine""#,
        ]
    );
}

#[test]
fn close_inside_a_message_leaves_it_unfinished() {
    let mut talk = Talk::plain();
    talk.server(&bare(TEXT, b"half"))
        .server(&bare(CLOSE, b""))
        .end(ServerToClient);
    assert_eq!(
        talk.story(),
        [
            "server at 6: UnfinishedMessage: Close after 1 fragments",
            r#"close None """#,
            r#"text "half", incomplete"#,
            "server ends None",
        ]
    );
    assert_eq!(talk.messages()[0].breaches, [Breach::UnfinishedMessage]);
}

#[test]
fn the_transport_may_end_inside_a_frame() {
    let mut talk = Talk::plain();
    talk.server(&bare(FIN | TEXT, b"whole")[..4])
        .end(ServerToClient);
    talk.client(&masked(PING, b"whole")[..4])
        .end(ClientToServer);
    assert_eq!(
        talk.story(),
        [
            "server at 0: TruncatedFrame: 2 of 5 bytes",
            r#"text "wh", incomplete"#,
            "server ends Some((2, 5))",
            "client at 0: TruncatedFrame: 4 bytes of a header",
            "client ends None",
        ]
    );
    assert_eq!(talk.messages()[0].breaches, [Breach::TruncatedFrame]);
}

#[test]
fn the_transport_may_end_between_fragments() {
    let mut talk = Talk::plain();
    talk.server(&bare(TEXT, b"half")).end(ServerToClient);
    assert_eq!(talk.breaches(), [Breach::UnfinishedMessage]);
    assert!(!talk.messages()[0].complete);
}

#[test]
fn the_end_of_the_capture_is_nobodys_breach() {
    let mut talk = Talk::plain();
    talk.server(&bare(TEXT, b"half"))
        .server(&bare(PING, b"whole")[..4])
        .finish();
    assert_eq!(
        talk.story(),
        [r#"text "half", incomplete"#, r#"ping "wh", incomplete"#]
    );
}

#[test]
fn a_gap_inside_a_payload_keeps_step() {
    let mut talk = Talk::plain();
    let first = masked(FIN | TEXT, b"abcdefgh\xff");
    talk.client(&first[..9])
        .lose(ClientToServer, Some(2))
        .client(&first[11..]);
    talk.client(&masked(FIN | TEXT, b"next"));
    assert_eq!(
        talk.story(),
        [
            "gap, in step: true",
            r#"text "abc", incomplete"#,
            r#"text "next""#
        ]
    );
    let torn = talk.messages()[0];
    assert_eq!((torn.len, torn.wire_len), (9, 15));
}

#[test]
fn a_gap_may_be_the_end_of_a_frame() {
    let mut talk = Talk::plain();
    talk.server(&bare(PING, b"whole")[..4])
        .lose(ServerToClient, Some(3));
    talk.server(&bare(FIN | TEXT, b"next"));
    assert_eq!(
        talk.story(),
        [
            "gap, in step: true",
            r#"ping "wh", incomplete"#,
            r#"text "next""#
        ]
    );
}

#[test]
fn a_gap_that_may_hide_a_header_loses_the_direction() {
    for (before, len) in [(0, Some(1)), (1, Some(1)), (4, Some(4)), (4, None)] {
        let mut talk = Talk::plain();
        if before > 0 {
            talk.server(&bare(FIN | BINARY, b"whole")[..before]);
        }
        talk.lose(ServerToClient, len)
            .server(&bare(FIN | TEXT, b"lost"));
        talk.client(&masked(FIN | TEXT, b"goes on"));
        let story = talk.story();
        assert_eq!(story[0], "gap, in step: false");
        assert_eq!(
            story[story.len() - 2..],
            ["server lost", r#"text "goes on""#]
        );
        assert_eq!(talk.messages().len(), if before == 4 { 2 } else { 1 });
    }
}

#[test]
fn a_gap_is_not_the_senders_truncation() {
    let mut talk = Talk::plain();
    talk.server(&bare(FIN | BINARY, b"whole")[..4])
        .lose(ServerToClient, Some(2));
    talk.end(ServerToClient);
    assert_eq!(talk.breaches(), []);
    assert_eq!(talk.story().last().unwrap(), "server ends Some((2, 5))");
}

#[test]
fn http_in_the_stream_is_known_across_packets() {
    for size in 1..9 {
        let mut talk = Talk::plain();
        talk.server(&bare(FIN | TEXT, b"fine"));
        for piece in b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>".chunks(size) {
            talk.server(piece);
        }
        assert_eq!(
            talk.story(),
            [
                r#"text "fine""#,
                r#"server at 6: HttpInStream: begins with "HTTP/1.""#,
                "server lost"
            ]
        );
    }
}

#[test]
fn what_only_begins_as_http_does_is_a_frame() {
    for size in 1..9 {
        let mut talk = Talk::plain();
        // A Close frame of 84 bytes that breaks two rules.
        let bytes = [
            b"HTTP/2".to_vec(),
            vec![b'x'; 80],
            bare(FIN | TEXT, b"next"),
        ]
        .concat();
        for piece in bytes.chunks(size) {
            talk.server(piece);
        }
        let expected = [Breach::Rsv1WithoutExtension, Breach::FragmentedControl];
        assert_eq!(talk.breaches()[..2], expected);
        assert_eq!(talk.frames().len(), 2);
        assert_eq!(talk.messages()[0].payload.as_deref(), Some(&b"next"[..]));
    }
}

#[test]
fn only_what_is_wanted_is_kept() {
    let wants = Wants {
        payload: Some(3),
        sha256: true,
    };
    let mut talk = Talk::with(Parameters {
        deflate: None,
        wants,
        hint: None,
    });
    talk.client(&masked(BINARY, b"ab"))
        .client(&masked(FIN | CONTINUATION, b"cdef"));
    let message = talk.messages()[0];
    assert_eq!(message.payload.as_deref(), Some(&b"abc"[..]));
    assert_eq!(message.sha256, Some(Sha256::digest(b"abcdef").into()));

    let mut talk = Talk::with(Parameters::default());
    talk.client(&masked(FIN | BINARY, b"abcdef"));
    let message = talk.messages()[0];
    assert_eq!(
        (message.len, &message.payload, message.sha256),
        (6, &None, None)
    );
}

/// A sender of compressed messages.
struct Compressor {
    compress: Compress,
    takeover: bool,
}

impl Compressor {
    fn new(takeover: bool) -> Self {
        Self {
            compress: Compress::new(Compression::default(), false),
            takeover,
        }
    }

    /// The payload of a compressed message (RFC 7692, section 7.2.1).
    fn message(&mut self, text: &[u8]) -> Vec<u8> {
        if text.is_empty() {
            // RFC 7692, section 7.2.3.6.
            return vec![0];
        }
        let mut payload = self.flushed(text, FlushCompress::Sync);
        assert_eq!(payload.split_off(payload.len() - 4), [0, 0, 0xff, 0xff]);
        payload
    }

    fn flushed(&mut self, text: &[u8], flush: FlushCompress) -> Vec<u8> {
        if !self.takeover {
            self.compress.reset();
        }
        let mut payload = Vec::with_capacity(text.len() + 1000);
        self.compress
            .compress_vec(text, &mut payload, flush)
            .unwrap();
        payload
    }
}

const NO_TAKEOVER: Deflate = Deflate {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: None,
    client_max_window_bits: None,
};

/// Not compressible by itself, and so short that a second copy is only a reference.
const PHRASE: &[u8] = b"Wilk zjadl owce, a pozniej poszedl spac.";

#[test]
fn the_examples_of_rfc_7692_say_hello() {
    let mut talk = Talk::compressed(Deflate::default());
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    talk.server(&bare(RSV1 | TEXT, &first[..3]))
        .server(&bare(FIN, &first[3..]));
    talk.server(&bare(FIN | RSV1 | TEXT, &second));
    // Section 7.2.3.3: not compressed at all; 7.2.3.4: a final block; 7.2.3.5: two blocks.
    let stored = [
        0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
    ];
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let two = [
        0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
    ];
    for payload in [&stored[..], &last, &two] {
        talk.server(&bare(FIN | RSV1 | TEXT, payload));
    }
    assert_eq!(talk.story(), [r#"text "Hello""#; 5]);
    assert_eq!(talk.messages()[0].fragments, 2);
}

#[test]
fn context_is_taken_over_or_not() {
    for (takeover, deflate) in [(true, Deflate::default()), (false, NO_TAKEOVER)] {
        let mut talk = Talk::compressed(deflate);
        let (mut client, mut server) = (Compressor::new(takeover), Compressor::new(takeover));
        for _ in 0..3 {
            talk.client(&masked(FIN | RSV1 | BINARY, &client.message(PHRASE)));
            talk.server(&bare(FIN | RSV1 | TEXT, &server.message(PHRASE)));
            talk.server(&bare(FIN | TEXT, b"plain"));
        }
        let read = talk.messages();
        assert!(read.iter().all(|message| message.complete));
        assert!(read.iter().filter(|message| message.compressed).count() == 6);
        assert!(read.iter().all(|message| !message.compressed
            || message.payload.as_deref() == Some(PHRASE) && message.len == 40));
        assert_eq!(talk.breaches(), []);
        let wire = |at: usize| talk.messages()[at].wire_len;
        assert_eq!(wire(6) < wire(0), takeover);
    }
}

#[test]
fn an_empty_message_is_a_byte_of_zero_or_none() {
    let mut talk = Talk::compressed(Deflate::default());
    let mut server = Compressor::new(true);
    talk.server(&bare(FIN | RSV1 | TEXT, &server.message(PHRASE)));
    talk.server(&bare(FIN | RSV1 | TEXT, &[0]))
        .server(&bare(FIN | RSV1 | TEXT, &[]));
    talk.server(&bare(FIN | RSV1 | TEXT, &server.message(PHRASE)));
    let lengths: Vec<u64> = talk.messages().iter().map(|message| message.len).collect();
    assert_eq!((lengths, talk.breaches()), (vec![40, 0, 0, 40], vec![]));
}

#[test]
fn a_final_block_starts_the_context_anew() {
    let mut talk = Talk::compressed(Deflate::default());
    for _ in 0..2 {
        // With nothing after the final block, not even the byte of zero.
        let payload = Compressor::new(true).flushed(PHRASE, FlushCompress::Finish);
        talk.server(&bare(FIN | RSV1 | TEXT, &payload));
    }
    talk.server(&bare(
        FIN | RSV1 | TEXT,
        &Compressor::new(true).message(PHRASE),
    ));
    assert_eq!(talk.breaches(), []);
    assert!(
        talk.messages()
            .iter()
            .all(|message| message.payload.as_deref() == Some(PHRASE))
    );
}

#[test]
fn compressed_text_is_judged_after_inflating() {
    let mut talk = Talk::compressed(Deflate::default());
    let payload = Compressor::new(true).message(b"abc\xff");
    talk.server(&bare(RSV1 | TEXT, &payload[..2]))
        .server(&bare(FIN, &payload[2..]));
    assert_eq!(
        talk.story()[0],
        "server at 4: InvalidUtf8: byte 0xff at offset 3"
    );
    assert_eq!(talk.breaches().len(), 1);
}

#[test]
fn a_message_that_does_not_inflate_costs_the_context() {
    let mut talk = Talk::compressed(Deflate::default());
    let mut server = Compressor::new(true);
    talk.server(&bare(FIN | RSV1 | TEXT, &server.message(PHRASE)));
    talk.server(&bare(FIN | RSV1 | TEXT, b"\xff\xff\xff"));
    talk.server(&bare(FIN | RSV1 | TEXT, &server.message(PHRASE)));
    talk.server(&bare(FIN | RSV1 | TEXT, &server.message(PHRASE)));
    talk.server(&bare(FIN | TEXT, b"plain"));
    let story = talk.story();
    assert!(story[1].ends_with("InflateFailed: invalid deflate data after 0 bytes"));
    assert_eq!(
        story[2..],
        [
            "text \"unread\", incomplete",
            "server context lost",
            "text \"unread\", incomplete",
            "text \"unread\", incomplete",
            "text \"plain\"",
        ]
    );
    assert_eq!(talk.messages()[1].breaches, [Breach::InflateFailed]);
}

#[test]
fn without_takeover_the_next_message_is_read_again() {
    let mut talk = Talk::compressed(NO_TAKEOVER);
    let mut server = Compressor::new(false);
    talk.server(&bare(FIN | RSV1 | TEXT, b"\xff\xff\xff"));
    let torn = bare(FIN | RSV1 | TEXT, &server.message(PHRASE));
    talk.server(&torn[..9])
        .lose(ServerToClient, Some(5))
        .server(&torn[14..]);
    talk.server(&bare(FIN | RSV1 | TEXT, &server.message(PHRASE)));
    assert_eq!(talk.breaches(), [Breach::InflateFailed]);
    assert_eq!(talk.messages()[2].payload.as_deref(), Some(PHRASE));
}

#[test]
fn a_gap_in_a_compressed_message_costs_the_context() {
    let mut talk = Talk::compressed(Deflate::default());
    let mut server = Compressor::new(true);
    let torn = bare(FIN | RSV1 | TEXT, &server.message(PHRASE));
    talk.server(&torn[..9])
        .lose(ServerToClient, Some(5))
        .server(&torn[14..]);
    talk.server(&bare(FIN | RSV1 | TEXT, &server.message(PHRASE)));
    let story = talk.story();
    assert_eq!(story.len(), 4);
    assert_eq!(
        story[2..],
        ["server context lost", "text \"unread\", incomplete"]
    );
    assert_eq!(talk.breaches(), []);
}

#[test]
fn a_sender_that_drops_its_context_is_found_out() {
    let mut talk = Talk::compressed(Deflate::default());
    // A stored block that ends too early: the next message falls into it.
    talk.server(&bare(
        FIN | RSV1 | BINARY,
        &[0, 9, 0, 0xf6, 0xff, b'a', b'b', b'c'],
    ));
    let payload = Compressor::new(true).message(PHRASE);
    talk.server(&bare(FIN | RSV1 | TEXT, &payload));
    let [
        Event::Breach { breach, detail, .. },
        Event::Message(message),
    ] = &talk.events[3..]
    else {
        panic!("{:?}", talk.story())
    };
    assert_eq!(*breach, Breach::InflateFailed);
    assert!(detail.contains("inflates with a fresh context"), "{detail}");
    assert_eq!(
        (message.payload.as_deref(), message.complete),
        (Some(PHRASE), true)
    );
}

#[test]
fn a_bomb_stays_outside() {
    let wants = Wants {
        payload: Some(10),
        sha256: false,
    };
    let mut talk = Talk::with(Parameters {
        deflate: Some(Deflate::default()),
        wants,
        hint: None,
    });
    let payload = Compressor::new(true).message(&vec![0; 8 << 20]);
    for piece in bare(FIN | RSV1 | BINARY, &payload).chunks(1448) {
        talk.server(piece);
        assert!(talk.connection.buffered() < 64 << 10);
    }
    assert_eq!(talk.messages()[0].len, 8 << 20);
    assert_eq!(talk.messages()[0].payload.as_deref(), Some(&[0; 10][..]));
}

/// A stream that ends, and doesn't care what is written to it.
struct Recording(Cursor<Vec<u8>>);

impl Read for Recording {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Recording {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite, as the server, reads of a client's frames.
fn read_by_tungstenite(bytes: Vec<u8>) -> Vec<String> {
    let mut socket = WebSocket::from_raw_socket(Recording(Cursor::new(bytes)), Role::Server, None);
    let mut lines = Vec::new();
    while let Ok(message) = socket.read() {
        let payload = String::from_utf8_lossy(&message.clone().into_data()).into_owned();
        lines.push(match message {
            tungstenite::Message::Text(_) => format!("text {payload:?}"),
            tungstenite::Message::Binary(_) => format!("binary {payload:?}"),
            tungstenite::Message::Ping(_) => format!("ping {payload:?}"),
            tungstenite::Message::Pong(_) => format!("pong {payload:?}"),
            other => panic!("{other:?}"),
        });
    }
    lines
}

/// A message in fragments, a Ping before each fragment where it says so.
fn valid_message() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof!["\\PC{0,40}", "x{120,140}"].prop_map(|text| (TEXT, text.into_bytes()));
    let binary = prop_oneof![0..300usize, 65_500..65_600usize]
        .prop_flat_map(|len| proptest::collection::vec(any::<u8>(), len))
        .prop_map(|bytes| (BINARY, bytes));
    let fragments = proptest::collection::vec((any::<bool>(), 0..60usize), 0..4);
    (prop_oneof![text, binary], fragments).prop_map(|((opcode, payload), fragments)| {
        let (mut bytes, mut rest, mut opcode) = (Vec::new(), &payload[..], opcode);
        for (ping, len) in fragments {
            if ping {
                bytes.extend(masked(PING, b"between"));
            }
            let (fragment, after) = rest.split_at(len.min(rest.len()));
            bytes.extend(masked(opcode, fragment));
            (rest, opcode) = (after, CONTINUATION);
        }
        bytes.extend(masked(FIN | opcode, rest));
        bytes
    })
}

/// Frames of every kind, right and wrong, and bytes that are no frames.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let payload = || proptest::collection::vec(any::<u8>(), 0..40);
    let compressed = proptest::collection::vec("[ab]{0,30}", 1..4).prop_map(|texts| {
        let mut sender = Compressor::new(true);
        let frame = |text: String| masked(FIN | RSV1 | TEXT, &sender.message(text.as_bytes()));
        texts.into_iter().flat_map(frame).collect()
    });
    let frame = (
        any::<u8>(),
        proptest::option::of(any::<[u8; 4]>()),
        payload(),
    )
        .prop_map(|(first, key, payload)| framed(first, key, &payload));
    let likely = (
        proptest::sample::select(vec![TEXT, 0x81, 0x80, 0, 0xc1, 0x41, 0x88, 0x89, 0x82]),
        payload(),
    )
        .prop_map(|(first, payload)| masked(first, &payload));
    let http = proptest::sample::select(vec!["HTTP/1.1 400", "<html>", "<!x", "GET / ", "HTT"])
        .prop_map(|text| text.as_bytes().to_vec());
    proptest::collection::vec(
        prop_oneof![3 => likely, 2 => compressed, 1 => frame, 1 => payload(), 1 => http],
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

/// What shows when `bytes` come in pieces of these sizes, over and over; every
/// packet is the same one.
fn in_pieces(bytes: &[u8], sizes: &[usize], deflate: Option<Deflate>) -> (Vec<Event>, usize) {
    let wants = Wants {
        payload: Some(50),
        sha256: true,
    };
    let mut connection = Connection::new(Parameters {
        deflate,
        wants,
        hint: None,
    });
    let (mut events, mut offset, mut most) = (Vec::new(), 0, 0);
    let mut sizes = sizes.iter().cycle();
    while offset < bytes.len() {
        let size = (*sizes.next().unwrap()).min(bytes.len() - offset);
        let chunk = Chunk {
            direction: ClientToServer,
            offset: offset as u64,
            bytes: &bytes[offset..offset + size],
            seen: packet(1),
            released: packet(1),
        };
        connection.on_stream(&StreamEvent::Chunk(chunk), &mut |event| events.push(event));
        most = most.max(connection.buffered());
        offset += size;
    }
    let end = StreamEvent::End(ClientToServer, packet(1));
    connection.on_stream(&end, &mut |event| events.push(event));
    (events, most)
}

proptest! {
    #[test]
    fn tungstenite_reads_the_same_messages(
        messages in proptest::collection::vec(valid_message(), 1..6),
        size in 1usize..2000,
    ) {
        let bytes = messages.concat();
        let mut talk = Talk::plain();
        bytes.chunks(size).for_each(|piece| { talk.client(piece); });
        prop_assert_eq!(talk.story(), read_by_tungstenite(bytes));
    }

    #[test]
    fn how_bytes_are_cut_into_packets_changes_nothing(
        bytes in anything(),
        sizes in proptest::collection::vec(1usize..20, 1..5),
        deflate in proptest::sample::select(vec![None, Some(Deflate::default()), Some(NO_TAKEOVER)]),
    ) {
        let (whole, _) = in_pieces(&bytes, &[usize::MAX], deflate);
        let (cut, most) = in_pieces(&bytes, &sizes, deflate);
        prop_assert_eq!(cut, whole);
        prop_assert!(most < 200 << 10);
    }

    #[test]
    fn compressed_messages_come_out_as_they_went_in(
        messages in proptest::collection::vec(("[a-e]{0,300}", 1usize..40), 1..8),
        takeover: bool,
        size in 1usize..100,
    ) {
        let mut sender = Compressor::new(takeover);
        let mut talk = Talk::compressed(if takeover { Deflate::default() } else { NO_TAKEOVER });
        let mut bytes = Vec::new();
        for (text, fragment) in &messages {
            let payload = sender.message(text.as_bytes());
            let mut opcode = RSV1 | TEXT;
            for piece in payload.chunks(*fragment) {
                bytes.extend(masked(opcode, piece));
                opcode = CONTINUATION;
            }
            bytes.extend(masked(FIN | CONTINUATION, b""));
        }
        bytes.chunks(size).for_each(|piece| { talk.client(piece); });
        let expected: Vec<String> = messages.iter().map(|(text, _)| format!("text {text:?}")).collect();
        prop_assert_eq!(talk.story(), expected);
    }

    #[test]
    fn every_byte_is_in_a_frame_or_lost(bytes in anything()) {
        let (events, _) = in_pieces(&bytes, &[usize::MAX], None);
        let mut expected = 0;
        for event in &events {
            if let Event::Frame(frame) = event {
                prop_assert_eq!(frame.offset, expected);
                expected = frame.end();
            }
        }
    }
}

/// What is known of the lengths of the only message.
fn lengths(talk: &Talk) -> (Option<u64>, Option<u64>) {
    let message = &talk.messages()[0];
    assert!(!message.complete);
    (message.whole_len, message.whole_wire_len)
}

#[test]
fn a_frame_that_was_cut_off_is_as_long_as_its_header_says() {
    let mut talk = Talk::plain();
    talk.server(&bare(FIN | BINARY, &[7; 300])[..40]).finish();
    assert_eq!(lengths(&talk), (Some(300), Some(304)));
    let mut talk = Talk::plain();
    talk.server(&bare(FIN | BINARY, &[7; 300])[..40]);
    talk.lose(ServerToClient, Some(900)).finish();
    assert_eq!(lengths(&talk), (Some(300), Some(304)));
}

#[test]
fn how_long_a_message_is_whose_last_fragment_is_missing_nobody_knows() {
    let mut talk = Talk::plain();
    talk.server(&bare(BINARY, &[7; 300])).finish();
    assert_eq!(lengths(&talk), (None, None));
}

#[test]
fn how_much_a_cut_compressed_message_would_be_nobody_knows() {
    let mut talk = Talk::compressed(Deflate::default());
    talk.server(&bare(FIN | 0x40 | TEXT, &[7; 100])[..40])
        .finish();
    assert_eq!(lengths(&talk), (None, Some(102)));
}
