//! Stories of connections whose opening handshake wasn't captured.

use super::*;

/// Bytes of both sides, each call a packet, as TCP labels them.
pub(super) struct Stranger {
    pub(super) recognition: Recognition,
    pub(super) answer: Recognised,
    /// What came since it was recognised.
    waiting: Vec<(Direction, u64, Vec<u8>)>,
    sent: Sides<u64>,
    packets: u64,
}

impl Stranger {
    pub(super) fn new() -> Self {
        Self {
            recognition: Recognition::new(),
            answer: Recognised::Undecided,
            waiting: Vec::new(),
            sent: Sides::default(),
            packets: 0,
        }
    }

    /// What comes behind the proof waits for the connection.
    pub(super) fn send_until_recognised(&mut self, direction: Direction, bytes: &[u8]) {
        if let Recognised::Frames { .. } = self.answer {
            let offset = self.sent[direction];
            self.sent[direction] += bytes.len() as u64;
            self.waiting.push((direction, offset, bytes.to_vec()));
        } else {
            self.send(direction, bytes);
        }
    }

    pub(super) fn send(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.packets += 1;
        let offset = self.sent[direction];
        self.sent[direction] += bytes.len() as u64;
        let (seen, released) = (packet(self.packets), packet(self.packets));
        self.answer = self.recognition.on_stream(&StreamEvent::Chunk(Chunk {
            direction,
            offset,
            bytes,
            seen,
            released,
        }));
        self
    }

    /// What shows once it is recognised.
    pub(super) fn talk(self) -> Talk {
        let mut talk = Talk::plain();
        let events = &mut talk.events;
        talk.sent = self.sent;
        if self.answer
            != (Recognised::Frames {
                client: ClientToServer,
            })
        {
            std::mem::swap(&mut talk.sent.client, &mut talk.sent.server);
        }
        talk.connection = self
            .recognition
            .into_connection(KEEP, &mut |event| events.push(event));
        talk.packets = self.packets;
        for (direction, offset, bytes) in self.waiting {
            talk.sent[direction] = offset;
            talk.send(direction, &bytes);
        }
        talk
    }
}

fn chat(n: u32) -> String {
    format!("line {n} of a chat that goes on and on")
}

fn said(n: u32) -> Vec<u8> {
    resync::keyed(FIN | TEXT, n, chat(n).as_bytes())
}

#[test]
fn the_mask_tells_who_is_the_client() {
    for client in Direction::BOTH {
        let mut stranger = Stranger::new();
        stranger.send(client.reverse(), &bare(FIN | TEXT, b"hello there"));
        stranger.send(client, &said(0));
        assert_eq!(stranger.answer, Recognised::Undecided);
        stranger.send(client, &said(1));
        assert_eq!(stranger.answer, Recognised::Frames { client });
        let mut talk = stranger.talk();
        talk.finish();
        let expected: Vec<_> = (0..2).map(|n| format!("text {:?}", chat(n))).collect();
        assert_eq!(talk.story()[0], "client found at 0 after 0: Likely");
        assert_eq!(talk.story()[1..3], expected);
        // The server said too little to prove anything, and all of it is a frame.
        assert_eq!(talk.story()[3], "server found at 0 after 0: Likely");
        assert_eq!(talk.story()[4], "text \"hello there\"");
    }
}

#[test]
fn a_server_alone_is_enough() {
    let mut stranger = Stranger::new();
    for n in 0..8 {
        stranger.send(ClientToServer, &bare(FIN | TEXT, chat(n).as_bytes()));
    }
    let client = ServerToClient;
    assert_eq!(stranger.answer, Recognised::Frames { client });
    let talk = stranger.talk();
    assert_eq!(talk.story()[0], "server found at 0 after 0: Likely");
    assert_eq!(talk.messages()[0].direction, ServerToClient);
}

#[test]
fn at_the_end_of_the_capture_the_likely_will_do() {
    let mut stranger = Stranger::new();
    stranger.send(ClientToServer, &said(1));
    assert_eq!(stranger.answer, Recognised::Undecided);
    let client = ClientToServer;
    assert_eq!(stranger.recognition.finish(), Recognised::Frames { client });
    let mut talk = stranger.talk();
    talk.finish();
    assert_eq!(talk.messages()[0].confidence, Confidence::Likely);
    assert_eq!(
        talk.messages()[0].payload.as_deref(),
        Some(chat(1).as_bytes())
    );
}

#[test]
fn what_others_speak_is_nothing() {
    // A protocol of lines, TLS records, and one whose records have a length.
    let line = b"+OK 1234 messages\r\n".repeat(40);
    let tls = [&[0x17, 3, 3, 2, 0][..], &[0x9d; 512]].concat();
    let record = [&[0, 0, 0, 24, 2, 0, 1, 0x81, 5][..], &[7; 19]]
        .concat()
        .repeat(20);
    for bytes in [line, tls, record] {
        let mut stranger = Stranger::new();
        while stranger.sent.client < 600 << 10 {
            stranger
                .send(ClientToServer, &bytes)
                .send(ServerToClient, &bytes);
            assert!(stranger.recognition.buffered() < 512 << 10);
        }
        assert_eq!(stranger.recognition.finish(), Recognised::Nothing);
    }
}

#[test]
fn records_that_begin_with_their_length_are_no_frames() {
    for prefix in [&[0_u8][..], &[0, 0, 0]] {
        let mut stranger = Stranger::new();
        for n in 0..200 {
            let len = 20 + n % 90;
            let record = [prefix, &[len], &vec![b'r'; usize::from(len)]].concat();
            stranger
                .send(ClientToServer, &record)
                .send(ServerToClient, &record);
        }
        assert_eq!(stranger.recognition.finish(), Recognised::Nothing);
    }
}

#[test]
fn subscriptions_of_mqtt_are_no_frames() {
    let mut stranger = Stranger::new();
    for n in 0..50 {
        let topic = format!("house/room/{}", "x".repeat(n));
        let subscribe = [&[0, 1, 0, 11][..], topic.as_bytes(), &[1]].concat();
        stranger
            .send(ClientToServer, &bare(FIN | BINARY, &subscribe))
            .send(ServerToClient, &[0x90, 3, 0, 1, 1]);
    }
    assert_eq!(stranger.recognition.finish(), Recognised::Nothing);
}

#[test]
fn what_had_to_go_is_named() {
    let mut stranger = Stranger::new();
    let noise: Vec<u8> = (0..200_u32)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_be_bytes())
        .collect();
    for _ in 0..250 {
        stranger.send(ClientToServer, &noise);
    }
    stranger
        .send(ClientToServer, &said(0))
        .send(ClientToServer, &said(1));
    let talk = stranger.talk();
    assert_eq!(talk.story()[0], "gap, in step: false");
    let Event::Gap { cause, .. } = talk.events[0] else {
        panic!("{:?}", talk.story())
    };
    assert_eq!(cause, GapCause::LimitReached);
    let skipped = talk.events.iter().find_map(|event| match event {
        Event::Resynced { skipped, .. } => Some(*skipped),
        _ => None,
    });
    assert_eq!(skipped, Some(250 * 800));
    assert_eq!(talk.messages().len(), 2);
}

#[test]
fn a_large_message_of_one_side_hides_no_frames_of_the_other() {
    let mut stranger = Stranger::new();
    for _ in 0..400 {
        stranger.send(ServerToClient, &[0x55; 1_400]);
    }
    for n in 1..6 {
        stranger.send(ClientToServer, &said(n));
    }
    assert_eq!(
        stranger.answer,
        Recognised::Frames {
            client: ClientToServer
        }
    );
    let talk = stranger.talk();
    let first = talk.events.iter().find_map(|event| match event {
        Event::Message(message) => Some(message.direction),
        _ => None,
    });
    assert_eq!(first, Some(ClientToServer));
}

#[test]
fn two_large_sides_are_given_up() {
    let mut stranger = Stranger::new();
    for _ in 0..8 << 10 {
        stranger.send(ServerToClient, &[0x55; 1 << 10]);
        stranger.send(ClientToServer, &[0x55; 1 << 10]);
    }
    assert_eq!(stranger.answer, Recognised::Undecided);
    stranger.send(ServerToClient, &[0x55; 1 << 10]);
    stranger.send(ClientToServer, &[0x55; 1 << 10]);
    assert_eq!(stranger.answer, Recognised::Nothing);
}

/// A server's feed, and what its client says near the end.
fn fed(listener: &[&[u8]]) -> Talk {
    let mut stranger = Stranger::new();
    let mut n = 0;
    while stranger.answer == Recognised::Undecided {
        stranger.send(ServerToClient, &bare(FIN | TEXT, chat(n).as_bytes()));
        n += 1;
    }
    let mut talk = stranger.talk();
    talk.send(ServerToClient, &bare(FIN | PING, b"ping"));
    for bytes in listener {
        talk.send(ClientToServer, bytes);
    }
    talk.send(ServerToClient, &bare(FIN | CLOSE, &[3, 232]));
    talk.end(ClientToServer).end(ServerToClient).finish();
    talk
}

fn closes(talk: &Talk) -> Vec<Direction> {
    let close = |event: &Event| match event {
        Event::Close(close) => Some(close.control.frame.direction),
        _ => None,
    };
    talk.events.iter().filter_map(close).collect()
}

#[test]
fn a_listener_that_only_closes_is_read() {
    let close = resync::keyed(FIN | CLOSE, 7, &[3, 232]);
    assert_eq!(closes(&fed(&[&close])), [ClientToServer, ServerToClient]);
    let pong = resync::keyed(FIN | PONG, 8, b"ping");
    let talk = fed(&[&pong, &close]);
    assert_eq!(closes(&talk), [ClientToServer, ServerToClient]);
    let is_pong = |event: &&Event| matches!(event, Event::Pong(_));
    assert_eq!(talk.events.iter().filter(is_pong).count(), 1);
}

#[test]
fn an_answer_is_told_after_anything() {
    let rest = [0x55; 900];
    let pong = resync::keyed(FIN | PONG, 8, b"ping");
    let talk = fed(&[&rest, &pong]);
    let is_pong = |event: &&Event| matches!(event, Event::Pong(_));
    assert_eq!(talk.events.iter().filter(is_pong).count(), 1);
    let close = resync::keyed(FIN | CLOSE, 8, &[3, 232]);
    assert_eq!(closes(&fed(&[&rest, &close])).len(), 2);
}

#[test]
fn what_answers_nothing_stays_unread() {
    let rest = [0x55; 900];
    let close = resync::keyed(FIN | CLOSE, 8, &[3, 233]);
    let illegal = resync::keyed(FIN | CLOSE, 8, &[3, 237]);
    let pong = resync::keyed(FIN | PONG, 8, b"pang");
    let unmasked = bare(FIN | CLOSE, &[3, 232]);
    let torn = [&close[..], b"and more"].concat();
    for said in [
        &[&rest[..], &illegal][..],
        &[&rest, &pong],
        &[&unmasked],
        &[&torn],
    ] {
        let talk = fed(said);
        assert_eq!(closes(&talk), [ServerToClient]);
        let unread = |event: &Event| matches!(event, Event::Unread { .. });
        assert!(talk.events.iter().any(unread));
    }
}

#[test]
fn a_close_with_which_the_stream_ends_needs_no_answer() {
    let close = resync::keyed(FIN | CLOSE, 8, &[3, 233]);
    let talk = fed(&[&[0x55; 900], &close]);
    assert_eq!(closes(&talk).len(), 2);
}

/// A client that said one thing and ended, and a feed that goes on.
fn left(said: &[u8], feed: u32) -> Talk {
    let mut talk = Talk::plain();
    talk.connection = Connection::mid_stream(KEEP);
    talk.send(ClientToServer, said).end(ClientToServer);
    for n in 0..feed {
        talk.server(&bare(FIN | TEXT, chat(n).as_bytes()));
    }
    talk.end(ServerToClient).finish();
    talk
}

#[test]
fn a_side_that_ended_early_is_read_once_the_other_is_proven() {
    let pong = resync::keyed(FIN | PONG, 8, &[]);
    let pongs = |talk: &Talk| {
        let events = talk.events.iter();
        events
            .filter(|event| matches!(event, Event::Pong(_)))
            .count()
    };
    let ends = |talk: &Talk| {
        let events = talk.events.iter();
        events
            .filter(|event| matches!(event, Event::End { .. }))
            .count()
    };
    let talk = left(&pong, 12);
    assert_eq!((pongs(&talk), ends(&talk)), (1, 2));
    // Nothing proves the other side, or what was said is no frame.
    let talk = left(&pong, 0);
    assert_eq!((pongs(&talk), ends(&talk)), (0, 2));
    let talk = left(b"no frame", 12);
    assert_eq!((pongs(&talk), ends(&talk)), (0, 2));
}

#[test]
fn a_server_alone_is_never_certain_and_a_masking_client_makes_it_so() {
    let mut stranger = Stranger::new();
    for n in 0..20 {
        stranger.send(ServerToClient, &bare(FIN | TEXT, chat(n).as_bytes()));
    }
    let mut talk = stranger.talk();
    assert!(
        talk.messages()
            .iter()
            .all(|message| message.confidence == Confidence::Likely)
    );
    for n in 0..20 {
        talk.send(ClientToServer, &said(n));
    }
    talk.send(ServerToClient, &bare(FIN | TEXT, b"now it is"));
    let messages = talk.messages();
    let last = messages.last().unwrap();
    assert_eq!(
        (last.direction, last.confidence),
        (ServerToClient, Confidence::Certain)
    );
}

#[test]
fn small_records_of_one_form_are_no_frames() {
    let mut stranger = Stranger::new();
    for _ in 0..300 {
        stranger.send(ServerToClient, &[0x82, 2, 6, 7]);
    }
    assert_eq!(stranger.recognition.finish(), Recognised::Nothing);
}

/// What both sides say behind a handshake of which the snap length left the
/// beginning; `known` tells whether the status line was seen.
fn behind_a_cut_switch(known: bool) -> Option<Talk> {
    let mut stranger = Stranger::new();
    if known {
        stranger.recognition.begins_at(ClientToServer, 0);
        stranger.recognition.begins_at(ServerToClient, 0);
    }
    stranger
        .send(ClientToServer, &resync::keyed(FIN | BINARY, 1, b"abc"))
        .send(ServerToClient, &bare(FIN | BINARY, b"abc"))
        .send(ServerToClient, &bare(FIN | CLOSE, &[3, 232]))
        .send(ClientToServer, &resync::keyed(FIN | CLOSE, 2, &[3, 232]));
    let client = ClientToServer;
    stranger.answer = stranger.recognition.finish();
    if stranger.answer != (Recognised::Frames { client }) {
        return None;
    }
    let mut talk = stranger.talk();
    talk.end(ClientToServer).end(ServerToClient).finish();
    Some(talk)
}

#[test]
fn few_frames_behind_a_cut_switch_are_enough() {
    let talk = behind_a_cut_switch(true).unwrap();
    assert_eq!((talk.messages().len(), closes(&talk).len()), (2, 2));
    let sure = |frame: &Frame| frame.confidence == Confidence::Certain;
    assert!(!talk.frames().iter().any(sure));
    assert!(behind_a_cut_switch(false).is_none());
}

#[test]
fn another_protocol_behind_a_cut_switch_is_nothing() {
    // HTTP/2, the frames of SPDY, and the streams of a container.
    let http2 = [
        &[0, 0, 18, 4, 0, 0, 0, 0, 0][..],
        &[0, 3, 0, 0, 0, 100, 0, 4, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0],
    ]
    .concat();
    let spdy = [
        &[0x80, 3, 0, 1, 0, 0, 0, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0][..],
        b"\x78\xbb\xdf\xa2\x51\xb2",
    ]
    .concat();
    let container = [&[1, 0, 0, 0, 0, 0, 0, 12][..], b"hello there\n"].concat();
    for said in [http2, spdy, container] {
        let mut stranger = Stranger::new();
        stranger.recognition.begins_at(ClientToServer, 0);
        stranger.recognition.begins_at(ServerToClient, 0);
        for _ in 0..5 {
            stranger
                .send(ServerToClient, &said)
                .send(ClientToServer, &said);
        }
        assert_eq!(stranger.recognition.finish(), Recognised::Nothing);
    }
}

#[test]
fn constant_content_is_no_frames() {
    for sender in Direction::BOTH {
        for byte in [0x01, 0x42, 0x81, 0x82, 0x89, 0x8a, 0xc1] {
            let mut stranger = Stranger::new();
            for _ in 0..60 {
                stranger.send(sender, &[byte; 1448]);
            }
            let answer = stranger.recognition.finish();
            assert_eq!(answer, Recognised::Nothing, "{byte:#x} {sender:?}");
        }
    }
}
