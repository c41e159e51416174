//! The generator knows what it sent; with loss, reordering and compression, wscope tells the same.

use clap::Parser;
use sha2::{Digest, Sha256};
use wscope::stream::{Direction, Sides};

use crate::capture::options::Options;
use crate::capture::truth::{Messages, SessionTruth};
use crate::told::{Story, Told, options, told_of};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn assert_told_as_sent(line: &str) {
    let mut asked = Line::parse_from(format!("generate {line}").split(' ')).options;
    asked.digests = true;
    let mut file = std::io::Cursor::new(Vec::new());
    let truth = crate::capture::generate(&asked, &mut file).unwrap();
    let told: Told = told_of(file.into_inner(), usize::MAX, options());
    assert_eq!(
        told.stories.len(),
        truth.sessions.len(),
        "sessions of {line}"
    );
    for sent in &truth.sessions {
        let client: std::net::SocketAddr = sent.client.parse().unwrap();
        let story = told.stories.iter().find(|story| story.client == client);
        let story = story.unwrap_or_else(|| panic!("{client} of {line} is not told"));
        assert_session(sent, story, line);
    }
    assert!(
        told.capture.gaps.is_empty(),
        "{line}: {:?}",
        told.capture.gaps
    );
}

fn assert_session(sent: &SessionTruth, story: &Story, line: &str) {
    let place = format!("{} of {line}", sent.client);
    let sides = [
        (Direction::ClientToServer, &sent.messages.client),
        (Direction::ServerToClient, &sent.messages.server),
    ];
    for (from, messages) in sides {
        let (count, bytes, digest) = summary(story, from);
        let Messages {
            count: sent_count,
            wire_bytes,
            sha256,
            ..
        } = messages;
        assert_eq!(
            (count, bytes, &digest),
            (*sent_count, *wire_bytes, sha256),
            "{place}"
        );
    }
    let codes = Sides {
        client: sent.client_close.map(Some),
        server: sent.server_close.map(Some),
    };
    assert_eq!(story.codes, codes, "{place}");
    let (kind, ended_by, how) = story.end;
    let ended = (kind.name(), ended_by.name(), how.map(|how| how.name()));
    let closing = &sent.closing;
    assert_eq!(
        ended,
        (Some(closing.kind), closing.ended_by, Some(closing.how)),
        "{place}"
    );
}

/// Messages, bytes of their frames, and the digest over their digests.
fn summary(story: &Story, from: Direction) -> (u64, u64, String) {
    let (mut count, mut bytes, mut digest) = (0, 0, Sha256::new());
    for message in &story.messages[from] {
        count += 1;
        bytes += message.wire_len;
        digest.update(message.sha256.unwrap_or_default());
    }
    let digest = digest.finalize();
    (
        count,
        bytes,
        digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    )
}

#[test]
fn a_clean_network_loses_nothing() {
    assert_told_as_sent("--messages 400 --sessions 8 --http 50 --abnormal 30");
}

#[test]
fn loss_and_reordering_lose_nothing() {
    for seed in 1..=6 {
        assert_told_as_sent(&format!(
            "--messages 400 --sessions 6 --loss 3 --reorder 5 --abnormal 30 --seed {seed}"
        ));
    }
}

#[test]
fn compression_and_loss_lose_nothing() {
    for seed in 1..=6 {
        assert_told_as_sent(&format!(
            "--messages 400 --sessions 6 --deflate 70 --fragmented 20 --loss 3 --reorder 5 --mss 300 --seed {seed}"
        ));
    }
}
