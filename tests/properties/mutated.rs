//! The fixtures once more, each cut, thinned out, shuffled and doubled at
//! random places: nothing is told that nobody sent, nothing certain comes from
//! a loss, and a copy is no second event.
//!
//! `PROPTEST_CASES` says how many times each fixture is mutated, and
//! `PROPTEST_RNG_SEED` by which dice. The recordings beside the checkout are
//! mutated a few times each, or with `WSCOPE_CAPTURES=DIR` those below that folder.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use wscope::diagnosis::{Confidence, Finding, Severity, Subject, Value};
use wscope::time::Timestamp;

use crate::fixtures::{Owned, fixtures, may_come_with_a_cut, may_come_with_a_lack, packets, told};
use crate::told::{PART, Told};

/// Rationale: enough for each of the four kinds and their sizes to meet each fixture some 15 times.
const MUTATIONS: u64 = 200;
/// The same of each recording beside the checkout.
///
/// Rationale: with the places that are tried in any case, 40 s.
const OF_RECORDINGS: u64 = 4;

/// SplitMix64: the same dice on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Below `sides`, which is above 0.
    fn below(&mut self, sides: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// What happened to a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mutation {
    /// It has only the packets from the first place to before the second.
    Cut(usize, usize),
    /// It lacks these packets.
    Without(Vec<usize>),
    /// It lacks what one side sent.
    OneWay(bool),
    /// These packets came so many places later, with the stamps of those places or with their own.
    Later(Vec<(usize, usize)>, bool),
    /// These packets are there again, so many places later, a hop further on or not.
    Again(Vec<(usize, usize)>, bool),
    /// Every packet is there again so many nanoseconds later, a hop further on or not.
    Doubled(i64, bool),
    /// Every packet is there again at once, with its payload cut in two at
    /// most so many bytes; before the whole one or after it.
    Split(usize, bool),
}

/// Rationale: a queue of a network card, or a reordered path, puts a packet
/// behind a few others, within milliseconds.
const REORDERED: (usize, i64) = (4, 3_000_000);
/// Rationale: copies of the same packet are taken within 1 ms.
const COPIED: (usize, i64) = (4, 900_000);

impl Mutation {
    fn roll(dice: &mut Dice, packets: &[Owned]) -> Self {
        let len = packets.len();
        let mut places = |most: usize| -> Vec<usize> {
            let count = 1 + dice.below(most);
            let mut places: Vec<_> = (0..count).map(|_| dice.below(len)).collect();
            places.sort_unstable();
            places.dedup();
            places
        };
        let some = places(6);
        let pairs = |dice: &mut Dice, window: (usize, i64)| -> Vec<(usize, usize)> {
            let mut pairs: Vec<(usize, usize)> = Vec::new();
            for place in some.clone() {
                let to = place + 1 + dice.below(window.0);
                let free = pairs.last().is_none_or(|(from, by)| from + by < place);
                let near = packets
                    .get(to)
                    .is_some_and(|later| nanos(later) - nanos(&packets[place]) <= window.1);
                if free && near {
                    pairs.push((place, to - place));
                }
            }
            pairs
        };
        match dice.below(14) {
            0 | 1 => Self::Cut(0, dice.below(len)),
            2 => Self::Cut(dice.below(len), len),
            3 => {
                let (a, b) = (dice.below(len), dice.below(len));
                Self::Cut(a.min(b), a.max(b))
            }
            4 | 5 => Self::Without(some),
            6 => {
                let (from, count) = (dice.below(len), 1 + dice.below(20));
                Self::Without((from..len.min(from + count)).collect())
            }
            7 => match dice.below(4) {
                0 => Self::OneWay(true),
                1 => Self::OneWay(false),
                _ => {
                    let one_in = 2 + dice.below(20);
                    Self::Without((0..len).filter(|_| dice.below(one_in) == 0).collect())
                }
            },
            8 => Self::Later(pairs(dice, REORDERED), false),
            9 => {
                let mut overtaken = pairs(dice, REORDERED);
                // On the network what one side sent changes places, and not with what answers it.
                overtaken.retain(|(from, by)| {
                    let ends = sender(&packets[*from]);
                    let passed = &packets[from + 1..=from + by];
                    ends.is_some() && passed.iter().all(|packet| sender(packet) == ends)
                });
                Self::Later(overtaken, true)
            }
            10 => Self::Again(pairs(dice, COPIED), dice.below(2) == 0),
            12 => Self::Split([1, 100, 1_448][dice.below(3)], dice.below(2) == 0),
            13 => Self::Doubled(
                2_000_000 + 38_000_000 / 7 * i64::try_from(dice.below(8)).unwrap(),
                true,
            ),
            _ => Self::Doubled(
                [0, 3_000, 200_000, 900_000][dice.below(4)],
                dice.below(2) == 0,
            ),
        }
    }

    fn apply(&self, whole: &[Owned]) -> Vec<Owned> {
        match self {
            Self::Cut(from, to) => whole[*from..*to].to_vec(),
            Self::Without(gone) => {
                let kept = whole
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| !gone.contains(at));
                kept.map(|(_, packet)| packet.clone()).collect()
            }
            Self::OneWay(first) => {
                let of = whole.first().and_then(sender);
                let kept = whole
                    .iter()
                    .filter(|packet| (sender(packet) == of) == *first);
                kept.cloned().collect()
            }
            Self::Later(pairs, restamped) => {
                let mut order: Vec<usize> = (0..whole.len()).collect();
                for (from, by) in pairs {
                    order[*from..=from + by].rotate_left(1);
                }
                let shuffled = order.iter().enumerate().map(|(place, from)| {
                    let mut packet = whole[*from].clone();
                    if *restamped {
                        packet.at.time = whole[place].at.time;
                    }
                    packet
                });
                shuffled.collect()
            }
            Self::Again(pairs, hop) => {
                let mut doubled = Vec::new();
                for (place, packet) in whole.iter().enumerate() {
                    doubled.push(packet.clone());
                    let copies = pairs.iter().filter(|(from, by)| from + by == place);
                    for (from, _) in copies {
                        let mut copy = whole[*from].copy(*hop);
                        copy.at.time = packet.at.time;
                        doubled.push(copy);
                    }
                }
                doubled
            }
            Self::Split(most, before) => {
                let mut doubled = Vec::new();
                for packet in whole {
                    let parts = split(packet, *most);
                    if *before {
                        doubled.extend(parts.clone());
                    }
                    doubled.push(packet.clone());
                    if !*before {
                        doubled.extend(parts);
                    }
                }
                doubled
            }
            Self::Doubled(nanos, hop) => {
                let copies = whole.iter().map(|packet| {
                    let mut copy = packet.copy(*hop);
                    copy.at.time = Timestamp::from_nanos(copy.at.time.as_nanos() + nanos);
                    copy
                });
                let mut doubled: Vec<Owned> = whole.iter().cloned().chain(copies).collect();
                doubled.sort_by_key(|packet| packet.at.time);
                doubled
            }
        }
    }
}

fn nanos(packet: &Owned) -> i64 {
    packet.at.time.as_nanos()
}

/// The sender's address and port, as raw bytes, of TCP over IPv4 over Ethernet.
fn sender(packet: &Owned) -> Option<(Vec<u8>, Vec<u8>)> {
    let [0x08, 0x00] = packet.bytes.get(12..14)? else {
        return None;
    };
    let ip = packet.bytes.get(14..).filter(|ip| ip.get(9) == Some(&6))?;
    let ports = ip.get(usize::from(ip.first()? & 15) * 4..)?;
    Some((ip.get(12..16)?.to_vec(), ports.get(..2)?.to_vec()))
}

/// The two segments into which a network card cuts one of TCP over IPv4 over
/// Ethernet; none where there is nothing to cut.
fn split(packet: &Owned, most: usize) -> Vec<Owned> {
    let bytes = &packet.bytes;
    let cut = || {
        sender(packet)?;
        // No fragment of an IP datagram.
        let [0 | 0x40, 0] = &bytes[20..22] else {
            return None;
        };
        let ip_len = usize::from(bytes[14] & 15) * 4;
        let total = usize::from(u16::from_be_bytes(bytes[16..18].try_into().ok()?));
        let tcp = 14 + ip_len;
        let data = tcp + usize::from(bytes.get(tcp + 12)? >> 4) * 4;
        let end = 14 + total;
        let first = data + most.min((end.checked_sub(data)?) / 2);
        (bytes.len() >= end && first > data).then_some((tcp, data, first, end))
    };
    let Some((tcp, data, first, end)) = cut() else {
        return Vec::new();
    };
    let part = |from: usize, to: usize, nth: u16| {
        let mut part = packet.clone();
        part.bytes = [&bytes[..data], &bytes[from..to]].concat();
        part.wire_len = u32::try_from(part.bytes.len()).unwrap();
        let total = u16::try_from(part.bytes.len() - 14).unwrap();
        part.bytes[16..18].copy_from_slice(&total.to_be_bytes());
        let id = u16::from_be_bytes([bytes[18], bytes[19]]).wrapping_add(nth);
        part.bytes[18..20].copy_from_slice(&id.to_be_bytes());
        let seq = u32::from_be_bytes(bytes[tcp + 4..tcp + 8].try_into().unwrap());
        let seq = seq.wrapping_add(u32::try_from(from - data).unwrap());
        part.bytes[tcp + 4..tcp + 8].copy_from_slice(&seq.to_be_bytes());
        if to < end {
            // FIN and PSH go with the last part.
            part.bytes[tcp + 13] &= !0x09;
        }
        part
    };
    vec![part(data, first, 0), part(first, end, 1)]
}

/// A message by its connection, sender, opcode, length and digest; a control
/// frame by its payload.
type Messages = BTreeMap<([String; 2], bool, String, u64, [u8; 32]), usize>;

fn messages(told: &Told) -> Messages {
    let mut messages = Messages::new();
    for story in &told.stories {
        for (from, heard) in story.messages.iter() {
            let sender = match from.sender() {
                "client" => story.client,
                _ => story.server,
            };
            let ends = pair(story.client, story.server);
            let lower = sender.to_string() == ends[0];
            for message in heard.iter().filter(|message| message.complete) {
                let digest = message.sha256.expect("a complete message has its digest");
                let opcode = format!("{:?}", message.opcode);
                let key = (ends.clone(), lower, opcode, message.wire_len, digest);
                *messages.entry(key).or_default() += 1;
            }
            let whole = |control: &&String| !control.starts_with(PART);
            for control in story.control[from].iter().filter(whole) {
                let key = (ends.clone(), lower, control.clone(), 0, [0; 32]);
                *messages.entry(key).or_default() += 1;
            }
        }
    }
    messages
}

/// Bytes in frames, by connection and sender.
fn frame_bytes(told: &Told) -> BTreeMap<([String; 2], bool), u64> {
    let mut bytes = BTreeMap::new();
    for story in &told.stories {
        for (from, len) in story.frame_bytes().iter() {
            let sender = match from.sender() {
                "client" => story.client,
                _ => story.server,
            };
            let ends = pair(story.client, story.server);
            let lower = sender.to_string() == ends[0];
            *bytes.entry((ends, lower)).or_default() += len;
        }
    }
    bytes
}

fn pair(a: std::net::SocketAddr, b: std::net::SocketAddr) -> [String; 2] {
    let (a, b) = (a.min(b), a.max(b));
    [a.to_string(), b.to_string()]
}

/// A finding by its rule, what it is about, and its kind.
type Named = (&'static str, Vec<String>, String);

fn named(finding: &Finding, told: &Told) -> Named {
    let about = match finding.subject {
        Subject::Capture => Vec::new(),
        // Which of several failed connections stands for all depends on which are there.
        Subject::Connection { client, server } => {
            vec![client.ip().to_string(), server.to_string()]
        }
        Subject::Session(id) => told.ends.get(&id).cloned().unwrap_or_default(),
    };
    let kind = finding.data.iter().find(|(name, _)| *name == "kind");
    let kind = match kind {
        Some((_, Value::Text(kind))) => kind.clone(),
        _ => String::new(),
    };
    (finding.rule.id, about, kind)
}

/// `whole` has it too, or what says more about the same.
fn is_known(finding: &Finding, told: &Told, whole: &Told) -> bool {
    let (id, about, kind) = named(finding, told);
    whole.findings.iter().any(|other| {
        let (other_id, other_about, other_kind) = named(other, whole);
        let certain = other.confidence == Confidence::Certain;
        // Of the two legs of a proxy one tells the story for both.
        let ends = |id: &str| id.starts_with("close-1006-") || id == "close-code-meaning";
        // A certificate is the connection's, whether or not its end shows that it is a session.
        let of_tls = |place: &String| place.contains(':') && other_about.contains(place);
        let of_server = id.starts_with("tls-") && about.iter().any(of_tls);
        (other_about == about || of_server || ends(id) && ends(other_id))
            && match id {
                // The same Close frame; what casts a doubt on it lies before the cut.
                "close-code-meaning" => other_id == id,
                _ if other_id == id && other_kind == kind => certain,
                // The end is the same; why it came, or the Close frame behind it, is lacking.
                _ if id.starts_with("close-1006-") => {
                    other_id.starts_with("close-1006-") || other_id == "close-handshake-incomplete"
                }
                // The Close frame that names the missing Pong is lacking.
                "hb-pong-missing" => other_id == "hb-pong-timeout",
                _ => false,
            }
    })
}

/// Faults of what is told of `mutated`, in words.
fn faults(mutation: &Mutation, whole: &Told, told: &Told) -> Vec<String> {
    let mut faults = Vec::new();
    let (sent, heard) = (messages(whole), messages(told));
    for (message, count) in &heard {
        let known = sent.get(message).copied().unwrap_or(0);
        if *count > known {
            let (_, _, opcode, len, _) = message;
            faults.push(format!(
                "{opcode} of {len} bytes told {count} times, sent {known} times"
            ));
        }
    }
    let most = frame_bytes(whole);
    for (side, bytes) in frame_bytes(told) {
        let sent = most.get(&side).copied().unwrap_or(0);
        // An acknowledged FIN that wasn't captured may be a byte as well.
        if bytes > sent + 1 {
            faults.push(format!("{bytes} bytes in frames, {sent} were sent"));
        }
    }
    for finding in &told.findings {
        let new = finding.confidence == Confidence::Certain && !is_known(finding, told, whole);
        let may = match mutation {
            Mutation::Cut(..) => may_come_with_a_cut,
            _ => may_come_with_a_lack,
        };
        if new && !may(finding.rule.id) {
            let (id, _, kind) = named(finding, told);
            faults.push(format!("certain: {id} {kind}: {}", finding.summary));
        }
    }
    if matches!(
        mutation,
        Mutation::Cut(..) | Mutation::Without(_) | Mutation::OneWay(_)
    ) {
        faults.extend(told.disorder.clone());
        return faults;
    }
    // What a stream began with before the capture's first packet of it can't be put there later.
    let mid = whole
        .findings
        .iter()
        .any(|f| f.rule.id == "cap-mid-session");
    if mid && matches!(mutation, Mutation::Later(..)) {
        return faults;
    }
    if sent != heard {
        faults.push(format!(
            "{} messages, not {}",
            heard.values().sum::<usize>(),
            sent.values().sum::<usize>()
        ));
    }
    let ends = |told: &Told| -> Vec<_> {
        let of = told.stories.iter();
        of.map(|s| (s.client, s.codes, s.end)).collect()
    };
    if ends(whole) != ends(told) {
        faults.push(format!("ends {:?}, not {:?}", ends(told), ends(whole)));
    }
    // What was sent again in two parts counts twice.
    let copies = !matches!(mutation, Mutation::Later(..) | Mutation::Split(_, true));
    if copies && told.resent != whole.resent {
        faults.push(format!(
            "{} retransmissions, not {}",
            told.resent, whole.resent
        ));
    }
    let all = |told: &Told| -> Vec<_> {
        // A TTL that stands still over twice as many segments says more of a reset.
        let steadier = matches!(mutation, Mutation::Split(_, true));
        let about = |f: &&Finding| match f.rule.id {
            "cap-duplicates" | "cap-clock" => false,
            "net-rst-injected" => !steadier,
            _ => true,
        };
        let findings = told.findings.iter().filter(about);
        let mut all: Vec<_> = findings
            .map(|f| (named(f, told), f.severity >= Severity::Warn))
            .collect();
        all.sort();
        all
    };
    let (before, after) = (all(whole), all(told));
    for name in after.iter().filter(|name| !before.contains(name)) {
        faults.push(format!("new: {name:?}"));
    }
    for name in before.iter().filter(|name| !after.contains(name)) {
        faults.push(format!("gone: {name:?}"));
    }
    faults
}

/// Rationale: a fixture of a thousand packets isn't cut a thousand times; 48
/// places spread over it keep the run short.
const PLACES: usize = 48;

/// Cuts at places evenly spread, and each of these packets missing.
fn everywhere(len: usize) -> impl Iterator<Item = Mutation> {
    let places = (0..len).step_by(len.div_ceil(PLACES).max(1));
    places.flat_map(move |at| {
        [
            Mutation::Cut(0, at),
            Mutation::Cut(at, len),
            Mutation::Without(vec![at]),
        ]
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn check(name: &str, whole: &[Owned], cases: u64, found: &mut BTreeMap<String, Vec<String>>) {
    let plain = told(whole);
    // Under which of its addresses such a session is told depends on what is there.
    if plain.findings.iter().any(|f| named(f, &plain).2 == "nat") {
        return;
    }
    let seed = number("PROPTEST_RNG_SEED").unwrap_or(6_455);
    let rolled = (0..number("PROPTEST_CASES").unwrap_or(cases)).map(|case| {
        let mut dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(case));
        Mutation::roll(&mut dice, whole)
    });
    for mutation in everywhere(whole.len()).chain(rolled) {
        let told = told(&mutation.apply(whole));
        for fault in faults(&mutation, &plain, &told) {
            found
                .entry(fault)
                .or_default()
                .push(format!("{name} {mutation:?}"));
        }
    }
}

/// Prints each kind of fault with its first place.
fn assert_none(found: &BTreeMap<String, Vec<String>>) {
    let lines: Vec<_> = found
        .iter()
        .map(|(fault, places)| format!("{fault}\n    {} times, first {}", places.len(), places[0]))
        .collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn a_fixture_mutated_anyhow_invents_nothing() {
    let mut found = BTreeMap::new();
    for (name, packets) in fixtures() {
        check(&name, &packets, MUTATIONS, &mut found);
    }
    assert_none(&found);
}

/// Captures below a folder, by their paths.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths.extend(below(&path));
        } else if path
            .extension()
            .is_some_and(|end| end == "pcap" || end == "pcapng")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

#[test]
fn a_recording_mutated_anyhow_invents_nothing() {
    let mut found = BTreeMap::new();
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/lab");
    let folder = std::env::var_os("WSCOPE_CAPTURES").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        // Written past the test's capture: a test that didn't run has to be seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no recordings to mutate in {}",
            folder.display()
        );
        return;
    }
    for path in below(&folder) {
        let packets = packets(&path);
        // Rationale: what is larger shows nothing that smaller ones don't, and takes hours.
        let bytes: usize = packets.iter().map(|packet| packet.bytes.len()).sum();
        if (1..2_000_000).contains(&bytes) {
            check(
                &path.display().to_string(),
                &packets,
                OF_RECORDINGS,
                &mut found,
            );
        }
    }
    assert_none(&found);
}
