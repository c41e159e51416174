//! How far the clocks of several files differ, each of which shows one direction only:
//! two interfaces of a passive tap. A first pass over the beginning of the files, since
//! every layer relies on an order in which nothing is acknowledged before it was sent.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use crate::packet::{Decoded, Decoder, Endpoint, Segment, Seq};
use crate::source::{CaptureFile, Input, Lead, Source as _};
use crate::stream::PacketRef;

/// Rationale: a tap writes two files, or a ring of each; more are an archive of captures
/// that were taken apart from each other.
const FILES: usize = 64;
/// Rationale: some hundred round trips; 24 bytes are kept of each, so 4 MB for two files.
const PACKETS: u64 = 100_000;
/// Rationale: what all files together may keep, 24 MB.
const PACKETS_IN_ALL: u64 = 1_000_000;
/// Where only one end of the difference is known: how much more is taken, in nanoseconds.
/// Rationale: an acknowledgment that is stamped like its bytes still has no order.
const BEYOND: i64 = 1_000;

/// By how much the clock of each file is ahead, in the order of `paths`; `None` where
/// nothing shows that it is.
///
/// Only of files that can be read twice and of which each connection shows one direction.
/// Reads the beginning of those files, of others the first few packets.
pub fn leads(paths: &[PathBuf]) -> Vec<Option<Lead>> {
    let mut leads = vec![None; paths.len()];
    if !(2..=FILES).contains(&paths.len()) {
        return leads;
    }
    let most = PACKETS_IN_ALL / u64::try_from(paths.len()).unwrap_or(u64::MAX);
    let views = paths.iter().map(|path| View::of(path, PACKETS.min(most)));
    let mut views: Vec<(usize, &PathBuf, View)> = (0..)
        .zip(paths.iter().zip(views))
        .filter_map(|(index, (path, view))| Some((index, path, view?)))
        .collect();
    // The order in which files are named tells nothing.
    views.sort_by_key(|(_, path, _)| *path);
    let mut known: Vec<Option<i64>> = vec![None; views.len()];
    let mut next = VecDeque::new();
    for start in 0..views.len() {
        if known.get(start).is_some_and(Option::is_none) {
            known
                .iter_mut()
                .skip(start)
                .take(1)
                .for_each(|lead| *lead = Some(0));
            next.push_back((start, 0_i64));
        }
        while let Some((from, base)) = next.pop_front() {
            let Some((_, path, view)) = views.get(from) else {
                continue;
            };
            for (to, (lead, (index, _, other))) in known.iter_mut().zip(&views).enumerate() {
                if lead.is_some() {
                    continue;
                }
                let Some((ahead, sent_here, (sent, acked))) = Bounds::between(view, other).lead()
                else {
                    continue;
                };
                let nanos = base.saturating_add(ahead);
                *lead = Some(nanos);
                next.push_back((to, nanos));
                if let (Some(place), true) = (leads.get_mut(*index), nanos != 0) {
                    *place = Some(Lead {
                        nanos,
                        than: (*path).clone(),
                        sent_here,
                        sent,
                        acked,
                    });
                }
            }
        }
    }
    leads
}

/// What one sender's packets show in a file.
#[derive(Debug, Default)]
struct Flow {
    /// Where bytes end, and the first packet that brought them so far.
    sent: Vec<(Seq, PacketRef)>,
    /// What was acknowledged, where it advanced.
    acked: Vec<(Seq, PacketRef)>,
    syn: Option<Seq>,
    /// The ports were used again: what follows belongs to another connection.
    over: bool,
}

/// What a file shows of TCP, as long as it shows one direction of each connection.
#[derive(Debug, Default)]
struct View {
    flows: BTreeMap<(Endpoint, Endpoint), Flow>,
}

impl View {
    /// `None` for a file that shows both directions of a connection, or none at all.
    fn of(path: &Path, most: u64) -> Option<Self> {
        // A pipe can be read only once.
        std::fs::metadata(path)
            .ok()
            .filter(std::fs::Metadata::is_file)?;
        let mut file = CaptureFile::open(path, 0).ok()?;
        let (mut view, mut decoder) = (Self::default(), Decoder::new());
        let mut packets = 0;
        while packets < most
            && let Ok(Some(input)) = file.next()
        {
            let Input::Packet(packet) = &input else {
                continue;
            };
            packets += 1;
            let mut one_way = true;
            if let Decoded::Tcp(segment) = decoder.decode(packet) {
                one_way = view.take(&segment);
            }
            while decoder.has_more() {
                if let Decoded::Tcp(segment) = decoder.decode_more(packet) {
                    one_way &= view.take(&segment);
                }
            }
            if !one_way {
                return None;
            }
        }
        (!view.flows.is_empty()).then_some(view)
    }

    /// False where the other direction was seen as well.
    fn take(&mut self, segment: &Segment<'_>) -> bool {
        if self.flows.contains_key(&(segment.to, segment.from)) {
            return false;
        }
        let flow = self.flows.entry((segment.from, segment.to)).or_default();
        flow.take(segment);
        true
    }
}

impl Flow {
    fn take(&mut self, segment: &Segment<'_>) {
        let flags = segment.flags;
        if flags.syn() {
            self.over |= self.syn.is_some_and(|syn| syn != segment.seq);
            self.syn.get_or_insert(segment.seq);
        }
        // A reset may be anybody's, and acknowledge anything, unless it is all the answer.
        if self.over || flags.rst() && !self.acked.is_empty() {
            return;
        }
        let further = |known: &Vec<(Seq, PacketRef)>, seq: Seq| {
            known.last().is_none_or(|(last, _)| seq.distance(*last) > 0)
        };
        let len = segment.wire_len + u32::from(flags.syn()) + u32::from(flags.fin());
        let end = segment.seq.plus(len);
        if len > 0 && further(&self.sent, end) {
            self.sent.push((end, segment.at));
        }
        if flags.ack() && further(&self.acked, segment.ack) {
            self.acked.push((segment.ack, segment.at));
        }
    }

    /// Bytes, and the first packet of `back` that acknowledges them.
    fn answered<'a>(&'a self, back: &'a Self) -> impl Iterator<Item = (PacketRef, PacketRef)> {
        let mut sent = self.sent.iter().peekable();
        back.acked.iter().filter_map(move |(upto, acked)| {
            let mut last = None;
            while let Some((_, at)) = sent.next_if(|(end, _)| end.distance(*upto) <= 0) {
                last = Some((*at, *acked));
            }
            last
        })
    }
}

/// A packet with bytes, and one that acknowledges them, of which the one is of the other file.
type Shown = (PacketRef, PacketRef);

/// Between what the lead of one clock over another lies, in nanoseconds.
#[derive(Debug, Default)]
struct Bounds {
    least: Option<(i64, Shown)>,
    most: Option<(i64, Shown)>,
}

impl Bounds {
    /// Of the clock of `other` over that of `base`.
    fn between(base: &View, other: &View) -> Self {
        let mut bounds = Self::default();
        for ((from, to), flow) in &base.flows {
            let Some(back) = other.flows.get(&(*to, *from)) else {
                continue;
            };
            // Nothing is acknowledged before it was sent.
            for (sent, acked) in flow.answered(back) {
                let lead = apart(acked, sent);
                if bounds.most.is_none_or(|(most, _)| lead < most) {
                    bounds.most = Some((lead, (sent, acked)));
                }
            }
            for (sent, acked) in back.answered(flow) {
                let lead = apart(sent, acked);
                if bounds.least.is_none_or(|(least, _)| lead > least) {
                    bounds.least = Some((lead, (sent, acked)));
                }
            }
        }
        bounds
    }

    /// The lead; whether the bytes that show it are of `other`, and these with their
    /// acknowledgment. `None` if the two files don't belong together, or what they show
    /// can't be true of two steady clocks.
    fn lead(&self) -> Option<(i64, bool, Shown)> {
        let least = self.least.map(|(least, _)| least);
        let most = self.most.map(|(most, _)| most);
        let (lead, error) = match (least, most) {
            _ if least.is_none_or(|least| least <= 0) && most.is_none_or(|most| most >= 0) => {
                (0, 0)
            }
            // As with NTP: the way there took as long as the way back.
            (Some(least), Some(most)) => (
                least.midpoint(most),
                // Clocks that also drift.
                least.saturating_sub(most),
            ),
            (Some(least), None) => (least.saturating_add(BEYOND), 0),
            (None, most) => (most?.saturating_sub(BEYOND), 0),
        };
        if error > 0 && error.unsigned_abs() >= lead.unsigned_abs() {
            return None;
        }
        let of = |(_, shown), sent_here| (lead, sent_here, shown);
        let least = self.least.map(|least| of(least, true));
        let most = self.most.map(|most| of(most, false));
        match lead > 0 {
            true => least.or(most),
            false => most.or(least),
        }
    }
}

fn apart(later: PacketRef, earlier: PacketRef) -> i64 {
    let nanos = |at: PacketRef| at.time.as_nanos();
    nanos(later).saturating_sub(nanos(earlier))
}
