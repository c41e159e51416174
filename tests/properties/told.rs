//! What wscope tells of a capture, as far as two captures of the same traffic
//! have to agree on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use wscope::diagnosis::{self, Confidence, EndedBy, Finding, How, Kind, Thresholds};
use wscope::pipeline::{Analyzer, Finished, Options};
use wscope::session::{Attempt, Capture, Opcode, Record, RecordKind, Session};
use wscope::source::{CaptureFile, Input, Source};
use wscope::stream::Sides;
use wscope::websocket::Wants;

use crate::play::Messages;

/// A data message as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) opcode: Opcode,
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) complete: bool,
    pub(crate) wire_len: u64,
}

/// How a control frame begins of which some was not captured.
pub(crate) const PART: &str = "part of ";

/// A session as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) messages: Sides<Vec<Heard>>,
    pub(crate) control: Sides<Vec<String>>,
    /// Bytes of control frames.
    pub(crate) control_bytes: Sides<u64>,
    /// Status codes; the inner `None` is an empty Close.
    pub(crate) codes: Sides<Option<Option<u16>>>,
    pub(crate) end: (Kind, EndedBy, Option<How>),
    /// Findings about the conversation, not about the network or the capture.
    pub(crate) findings: Vec<(&'static str, Confidence)>,
}

impl Story {
    /// Bytes of all frames; Pings between fragments are frames of their own.
    pub(crate) fn frame_bytes(&self) -> Sides<u64> {
        Sides::from_fn(|from| {
            let messages = self.messages[from].iter().map(|message| message.wire_len);
            messages.sum::<u64>() + self.control_bytes[from]
        })
    }
}

/// Everything told of a capture.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) stories: Vec<Story>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) capture: Capture,
    /// The two addresses of each session, the lower one first.
    pub(crate) ends: BTreeMap<u32, Vec<String>>,
    /// Records that aren't in capture order, or whose request is no earlier one of the other side.
    pub(crate) disorder: Vec<String>,
    /// Segments of all sessions that were sent again.
    pub(crate) resent: u64,
    /// The most bytes that were held after a packet.
    pub(crate) most_held: usize,
}

impl Told {
    /// The ids of the findings that are called certain.
    pub(crate) fn certain(&self) -> Vec<&'static str> {
        let certain = |finding: &&Finding| finding.confidence == Confidence::Certain;
        let ids = self.findings.iter().filter(certain).map(|f| f.rule.id);
        ids.collect()
    }

    /// Complete messages of all sessions, by sender.
    pub(crate) fn complete(&self) -> Messages {
        let mut complete = Messages::default();
        for (direction, heard) in self.stories.iter().flat_map(|story| story.messages.iter()) {
            for message in heard.iter().filter(|message| message.complete) {
                let digest = message.sha256.expect("a complete message has its digest");
                complete[direction].push((message.opcode, digest));
            }
        }
        complete
    }
}

/// What to be asked for to tell two messages apart.
pub(crate) fn options() -> Options {
    Options {
        records: true,
        wants: Wants {
            payload: None,
            sha256: true,
        },
        ..Options::default()
    }
}

/// An analysis that goes on.
pub(crate) struct Listener {
    analyzer: Analyzer,
    finished: Vec<Finished>,
    records: Vec<Record>,
    most_held: usize,
}

impl Listener {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            analyzer: Analyzer::new(options),
            finished: Vec::new(),
            records: Vec::new(),
            most_held: 0,
        }
    }

    /// Takes a key log, before the packets that it opens.
    pub(crate) fn learn(&mut self, key_log: &[u8]) {
        self.analyzer.add_keys(key_log);
    }

    pub(crate) fn push(&mut self, input: &Input<'_>) {
        self.analyzer.push(input, &mut self.finished);
        self.records
            .extend(std::iter::from_fn(|| self.analyzer.next_record()));
        self.most_held = self.most_held.max(self.analyzer.buffered());
    }

    pub(crate) fn finish(self) -> Told {
        let (mut finished, mut records) = (self.finished, self.records);
        let capture = self
            .analyzer
            .finish(&mut finished, |record| records.push(record));
        assert_eq!(capture.failures, 0, "a connection's stack panicked");
        let (mut sessions, mut attempts) = (Vec::<Session>::new(), Vec::<Attempt>::new());
        for finished in finished {
            match finished {
                Finished::Session(session) => sessions.push(*session),
                Finished::Attempt(attempt) => attempts.push(*attempt),
            }
        }
        sessions.sort_by_key(|session| session.id);
        let thresholds = Thresholds::default();
        let mut findings = Vec::new();
        let mut stories = Vec::new();
        let mut ends = BTreeMap::new();
        for session in &sessions {
            let of_session = diagnosis::diagnose(session, &capture, &thresholds);
            let records = records.iter().filter(|r| r.session == session.id);
            stories.push(story(session, records, &of_session));
            findings.extend(of_session);
            let (a, b) = (session.leg.client, session.leg.server);
            ends.insert(session.id, vec![a.min(b).to_string(), a.max(b).to_string()]);
        }
        stories.sort_by_key(|story| story.client);
        findings.extend(diagnosis::diagnose_capture(
            &sessions,
            &attempts,
            &capture,
            &thresholds,
        ));
        diagnosis::merge_legs(&mut findings, &sessions);
        Told {
            disorder: disorder(&records),
            stories,
            findings,
            capture,
            ends,
            resent: sessions
                .iter()
                .map(|session| {
                    session.leg.retransmissions.client + session.leg.retransmissions.server
                })
                .sum(),
            most_held: self.most_held,
        }
    }
}

/// What of the records is out of place.
fn disorder(records: &[Record]) -> Vec<String> {
    let mut disorder = Vec::new();
    for pair in records.windows(2) {
        let earlier = pair[1].first() < pair[0].first();
        // Where the packets of a file run back in time, their own order is the capture's too.
        if earlier && pair[1].first().number < pair[0].first().number {
            let own = pair[0].tcp_stream == pair[1].tcp_stream
                && pair[0].direction() == pair[1].direction();
            // A Ping inside a message comes before its end.
            if !own {
                disorder.push("a record is behind a later one of another side".to_owned());
            }
        }
    }
    let asked = records.iter().filter_map(|r| Some((r, r.answers?)));
    for (reply, answered) in asked {
        if answered.request >= reply.first() || answered.asker == reply.direction() {
            disorder
                .push("a message answers itself, a later one or one of its own side".to_owned());
        }
    }
    disorder.sort();
    disorder.dedup();
    disorder
}

fn story<'a>(
    session: &Session,
    records: impl Iterator<Item = &'a Record>,
    findings: &[Finding],
) -> Story {
    let closing = diagnosis::closing::close_of(session);
    let mut story = Story {
        client: session.leg.client,
        server: session.leg.server,
        messages: Sides::from_fn(|_| Vec::new()),
        control: Sides::from_fn(|_| Vec::new()),
        control_bytes: Sides::default(),
        codes: Sides::from_fn(|side| session.close[side].as_ref().map(|close| close.code)),
        end: (closing.kind, closing.ended_by, closing.how),
        findings: findings
            .iter()
            .filter(|finding| !is_about_the_network(finding.rule.id))
            .map(|finding| (finding.rule.id, finding.confidence))
            .collect(),
    };
    story.findings.sort_unstable();
    story.findings.dedup();
    for record in records {
        let from = record.direction();
        let (name, control) = match &record.kind {
            RecordKind::Message(message) => {
                story.messages[from].push(Heard {
                    opcode: message.opcode,
                    sha256: message.sha256,
                    complete: message.complete,
                    wire_len: message.wire_len,
                });
                continue;
            }
            RecordKind::Ping { control, .. } => ("ping", control),
            RecordKind::Pong(control) => ("pong", control),
            RecordKind::Close(close) => ("close", &close.control),
        };
        let part = if control.complete { "" } else { PART };
        story.control[from].push(format!("{part}{name} {:?}", control.payload));
        story.control_bytes[from] += control.frame.end() - control.frame.offset;
    }
    story
}

/// Loss, reordering and the like are findings of their own; they may differ
/// where the network does. So may what compares times with each other: a
/// segment more comes some microseconds later.
fn is_about_the_network(id: &str) -> bool {
    const TIMES: [&str; 5] = [
        "hb-gap",
        "hb-irregular",
        "hb-interval-risky",
        "hb-pong-slow",
        "hs-slow",
    ];
    let groups = ["cap-", "net-", "lat-", "flow-"];
    groups.iter().any(|group| id.starts_with(group)) || TIMES.contains(&id)
}

/// What is told of a pcap file that is read at most `most` bytes at a time.
pub(crate) fn told_of(file: Vec<u8>, most: usize, options: Options) -> Told {
    let input = Box::new(crate::wire::Trickle::new(file, most));
    let mut file = CaptureFile::from_reader(PathBuf::from("-"), 0, input).unwrap();
    let mut listener = Listener::new(options);
    while let Some(input) = file.next().unwrap() {
        listener.push(&input);
    }
    listener.finish()
}
