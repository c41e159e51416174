//! Stories of sessions without a handshake that send nothing but large messages.

use super::recognition::Stranger;
use super::*;

const KIB: usize = 1 << 10;
const SIZE: usize = 300 * KIB;

/// Bytes that look like nothing, another each time.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The n-th large message of a side, written in one go.
fn large(stranger: &mut Stranger, sender: Direction, n: u32) {
    large_as(stranger, sender, n, |payload| match sender {
        ClientToServer => resync::keyed(FIN | BINARY, n, payload),
        ServerToClient => bare(FIN | BINARY, payload),
    });
}

fn large_as(
    stranger: &mut Stranger,
    sender: Direction,
    n: u32,
    frame: impl FnOnce(&[u8]) -> Vec<u8>,
) {
    for segment in frame(&noise(n, SIZE + n as usize)).chunks(1448) {
        stranger.send_until_recognised(sender, segment);
        assert!(stranger.recognition.buffered() < 512 * KIB);
    }
}

fn sizes(talk: &Talk, sender: Direction) -> Vec<u64> {
    let messages = talk.messages().into_iter();
    let of = messages.filter(|message| message.direction == sender && message.complete);
    of.map(|message| message.len).collect()
}

#[test]
fn large_messages_prove_themselves() {
    for sender in Direction::BOTH {
        let mut stranger = Stranger::new();
        stranger.send(sender, &noise(99, 1000));
        for n in 0..8 {
            large(&mut stranger, sender, n);
        }
        assert_eq!(
            stranger.answer,
            Recognised::Frames {
                client: ClientToServer
            }
        );
        let talk = stranger.talk();
        let from_the_fourth: Vec<u64> = (3..8).map(|n| SIZE as u64 + n).collect();
        assert_eq!(sizes(&talk, sender), from_the_fourth, "{sender:?}");
        let skipped = talk.events.iter().find_map(|event| match event {
            Event::Resynced { skipped, .. } => Some(*skipped),
            _ => None,
        });
        let header = if sender == ClientToServer { 14 } else { 10 };
        assert_eq!(skipped, Some(1000 + 3 * (SIZE as u64 + header + 1)));
    }
}

#[test]
fn what_proves_one_side_leaves_the_other_its_search() {
    let mut stranger = Stranger::new();
    for n in 0..8 {
        large(&mut stranger, ClientToServer, n);
        large(&mut stranger, ServerToClient, 100 + n);
    }
    let talk = stranger.talk();
    assert_eq!(sizes(&talk, ClientToServer).len(), 5);
    assert_eq!(sizes(&talk, ServerToClient).len(), 5);
}

#[test]
fn large_records_of_another_form_are_nothing() {
    let mut stranger = Stranger::new();
    for n in 0..8 {
        large_as(&mut stranger, ServerToClient, n, |payload| {
            let len = u32::try_from(payload.len()).unwrap();
            [&len.to_be_bytes()[..], payload].concat()
        });
    }
    assert_eq!(stranger.recognition.finish(), Recognised::Nothing);
}

#[test]
fn large_frames_that_no_segment_begins_with_could_be_nested() {
    let mut stranger = Stranger::new();
    let all: Vec<u8> = (0..8)
        .flat_map(|n| bare(FIN | BINARY, &noise(n, 300 * KIB + 1)))
        .collect();
    for segment in all[700..].chunks(1448) {
        stranger.send_until_recognised(ServerToClient, segment);
    }
    assert_eq!(stranger.recognition.finish(), Recognised::Nothing);
}

#[test]
fn small_frames_behind_a_search_that_skims_are_read_when_the_client_masks() {
    let mut stranger = Stranger::new();
    for n in 0..2 {
        large(&mut stranger, ServerToClient, n);
    }
    for n in 0..4 {
        stranger.send_until_recognised(ClientToServer, &resync::keyed(FIN | TEXT, n, &[b'a'; 40]));
    }
    assert_ne!(stranger.answer, Recognised::Undecided);
    let mut talk = stranger.talk();
    for n in 0..12 {
        talk.server(&bare(FIN | TEXT, format!("{{\"tick\":{n}}}").as_bytes()));
    }
    let texts = talk
        .messages()
        .into_iter()
        .filter(|m| m.direction == ServerToClient);
    assert!(texts.count() >= 10);
}
