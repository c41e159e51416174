//! What has to hold for any traffic: how a conversation was cut into packets,
//! reordered, resent, numbered or read doesn't change what is told of it, and
//! what wasn't captured is never made up.
//!
//! A run tries the same cases each time, so that it tells of a change and not
//! of luck. `PROPTEST_CASES=5000 cargo test --test properties` looks longer,
//! and with `PROPTEST_RNG_SEED=$RANDOM` (any `u64`) elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[path = "../../examples/generate/capture/mod.rs"]
mod capture;
mod fixtures;
mod generated;
mod mutated;
mod play;
mod told;
mod wire;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wscope::pipeline::{Limits, Options};
use wscope::stream::Direction::{self, ClientToServer, ServerToClient};
use wscope::stream::Sides;
use wscope::tcp::Patience;

use play::{Ending, Messages, Network, Play, dial, play};
use told::{Told, options, told_of};
use wire::{Packet, pcap};

/// Rationale: 128 cases of each property take a few seconds unoptimised.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 128;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(6_455);
    }
    config
}

const PORT: u16 = 40_001;

fn told(packets: &[Packet]) -> Told {
    told_of(pcap(packets), usize::MAX, options())
}

/// As told of the same play over a network that does nothing to it.
fn assert_same(play: &Play, network: &Network) -> Result<(), TestCaseError> {
    let plain = told(&play.packets(PORT, &Network::default()));
    let other = told(&play.packets(PORT, network));
    prop_assert_eq!(plain.stories, other.stories);
    Ok(())
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(
        prop_oneof![3 => 1..20_usize, 2 => 1..200_usize, 1 => 200..9_000_usize],
        1..12,
    )
}

fn numbers() -> impl Strategy<Value = Sides<u32>> {
    let number = || {
        prop_oneof![
            any::<u32>(),
            u32::MAX - 400..=u32::MAX,
            Just(0),
            0x7fff_ff00..0x8000_0010_u32
        ]
    };
    (number(), number()).prop_map(|(client, server)| Sides { client, server })
}

fn again() -> impl Strategy<Value = Vec<(usize, usize, usize, usize)>> {
    let any = || 0..1_000_000_usize;
    prop::collection::vec((0..8_usize, any(), any(), any()), 1..12)
}

fn late() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..8_usize, 1..12)
}

/// `part` is `whole` with some left out.
fn is_subsequence<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|item| whole.any(|other| other == item))
}

fn assert_no_more_than(told: &Messages, sent: &Messages) -> Result<(), TestCaseError> {
    for direction in Direction::BOTH {
        prop_assert!(is_subsequence(&told[direction], &sent[direction]));
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_sent_is_told(play in play()) {
        let told = told(&play.packets(PORT, &Network::default()));
        prop_assert_eq!(told.complete(), play.messages());
        let [story] = told.stories.as_slice() else {
            return Err(TestCaseError::fail("not one session"));
        };
        let codes = match play.ending {
            Ending::Clean(_, code) => [Some(Some(code)); 2],
            Ending::Half(ClientToServer, code) => [Some(Some(code)), None],
            Ending::Half(ServerToClient, code) => [None, Some(Some(code))],
            _ => [None; 2],
        };
        prop_assert_eq!([story.codes.client, story.codes.server], codes);
        prop_assert!(story.messages.iter().all(|(_, heard)| heard.iter().all(|m| m.complete)));
    }

    #[test]
    fn every_byte_is_in_one_message_or_control_frame(play in play()) {
        let told = told(&play.packets(PORT, &Network::default()));
        prop_assert_eq!(told.stories[0].frame_bytes(), play.frame_bytes());
        prop_assert!(told.capture.gaps.is_empty());
    }

    #[test]
    fn any_segmentation_tells_the_same(play in play(), sizes in sizes()) {
        assert_same(&play, &Network { sizes, ..Network::default() })?;
    }

    #[test]
    fn any_order_within_a_flight_tells_the_same(play in play(), sizes in sizes(), late in late()) {
        assert_same(&play, &Network { sizes, late, ..Network::default() })?;
    }

    #[test]
    fn any_repetition_of_equal_bytes_tells_the_same(
        play in play(), sizes in sizes(), again in again(), late in late(),
    ) {
        assert_same(&play, &Network { sizes, again, late, ..Network::default() })?;
    }

    #[test]
    fn any_initial_sequence_number_tells_the_same(
        play in play(), sizes in sizes(), late in late(), again in again(), isn in numbers(),
    ) {
        assert_same(&play, &Network { isn, sizes, late, again })?;
    }

    /// Several interfaces or capture threads: packets of both directions change places.
    #[test]
    fn a_capture_out_of_order_tells_the_same_messages(
        play in play(), sizes in sizes(), late in prop::collection::vec(0..4_usize, 1..30),
    ) {
        // Behind a reset nothing is read.
        prop_assume!(!matches!(play.ending, Ending::Reset(_) | Ending::BareReset(_)));
        let packets = play.packets(PORT, &Network { sizes, ..Network::default() });
        let mut order: Vec<_> = packets.into_iter().enumerate().collect();
        order.sort_by_key(|(place, _)| place + late[place % late.len()]);
        let shuffled: Vec<_> = order.into_iter().map(|(_, packet)| packet).collect();
        let told = told(&shuffled);
        prop_assert_eq!(told.complete(), play.messages());
        prop_assert_eq!(told.stories.len(), 1);
        prop_assert!(told.capture.gaps.is_empty());
    }

    #[test]
    fn a_file_read_in_pieces_tells_the_same(play in play(), most in 1..3_000_usize) {
        let file = pcap(&play.packets(PORT, &Network::default()));
        let whole = told_of(file.clone(), usize::MAX, options());
        let pieces = told_of(file, most, options());
        prop_assert_eq!(whole.stories, pieces.stories);
    }

    #[test]
    fn sessions_side_by_side_tell_the_same_as_alone(
        plays in prop::collection::vec((play(), sizes(), late()), 2..4),
    ) {
        let lines: Vec<Vec<Packet>> = (PORT..)
            .zip(&plays)
            .map(|(port, (play, sizes, late))| {
                let (sizes, late) = (sizes.clone(), late.clone());
                play.packets(port, &Network { sizes, late, ..Network::default() })
            })
            .collect();
        let alone: Vec<_> = lines.iter().flat_map(|line| told(line).stories).collect();
        let mut together = lines.concat();
        together.sort_by_key(|packet| packet.micros);
        prop_assert_eq!(told(&together).stories, alone);
    }

    #[test]
    fn a_capture_cut_short_adds_nothing_certain(
        play in dial(), sizes in sizes(), at in any::<prop::sample::Index>(),
    ) {
        let packets = play.packets(PORT, &Network { sizes, ..Network::default() });
        let whole = told(&packets).certain();
        let cut = told(&packets[..at.index(packets.len())]);
        assert_no_more_than(&cut.complete(), &play.messages())?;
        for id in cut.certain() {
            prop_assert!(whole.contains(&id) || fixtures::may_come_with_a_cut(id), "{}", id);
        }
    }

    #[test]
    fn lost_packets_make_up_no_message_and_nothing_certain(
        play in dial(), sizes in sizes(), late in late(),
        lost in prop::collection::vec((any::<prop::sample::Index>(), 1..6_usize), 1..6),
    ) {
        let packets = play.packets(PORT, &Network { sizes, late, ..Network::default() });
        let whole = told(&packets).certain();
        let lost: Vec<_> = lost
            .iter()
            .map(|(from, count)| (from.index(packets.len()), *count))
            .flat_map(|(from, count)| from..from + count)
            .collect();
        let rest: Vec<_> = packets
            .into_iter()
            .enumerate()
            .filter(|(place, _)| !lost.contains(place))
            .map(|(_, packet)| packet)
            .collect();
        let told = told(&rest);
        assert_no_more_than(&told.complete(), &play.messages())?;
        for (from, sent) in play.frame_bytes().iter() {
            let bytes = told.stories.iter().map(|story| story.frame_bytes()[from]);
            prop_assert!(bytes.sum::<u64>() <= *sent);
        }
        for id in told.certain() {
            prop_assert!(whole.contains(&id) || fixtures::may_come_with_a_lack(id), "{}", id);
        }
    }

    #[test]
    fn bytes_held_stay_under_the_limits(
        plays in prop::collection::vec((play(), sizes()), 1..4), lost in 0..40_usize,
    ) {
        const LIMIT: usize = 4_000;
        let limits = Limits {
            bytes: LIMIT,
            patience: Patience { bytes: 2_000, ..Patience::default() },
            ..Limits::default()
        };
        let mut packets = Vec::new();
        for (port, (play, sizes)) in (PORT..).zip(&plays) {
            let mut line = play.packets(port, &Network { sizes: sizes.clone(), ..Network::default() });
            line.remove(lost % line.len());
            packets.extend(line);
        }
        packets.sort_by_key(|packet| packet.micros);
        let told = told_of(pcap(&packets), usize::MAX, Options { limits, ..options() });
        prop_assert!(told.most_held <= LIMIT, "{} bytes", told.most_held);
    }
}
