//! Every TCP connection of the capture, found by its endpoints.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::stack::Stack;
use super::{Finished, Shared};
use crate::packet::{Endpoint, Segment};
use crate::stream::PacketRef;
use crate::tcp::Age;
use crate::time::Timestamp;

/// Both endpoints, the lower one first, IPv4 as mapped IPv6: 36 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FlowKey {
    low: (u128, u16),
    high: (u128, u16),
}

impl FlowKey {
    fn of(a: Endpoint, b: Endpoint) -> Self {
        let (a, b) = (flat(a), flat(b));
        if a <= b {
            Self { low: a, high: b }
        } else {
            Self { low: b, high: a }
        }
    }
}

fn flat(endpoint: Endpoint) -> (u128, u16) {
    let ip = match endpoint.ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    (ip, endpoint.port)
}

/// Rationale: after a connection has closed, late packets still tell something
/// for a few round trips (a forged reset is given away by its claimed sender
/// going on); retransmission timeouts rarely exceed this.
const LINGER_NANOS: i64 = 10_000_000_000;

/// The connections. The keys are the attacker's, so the hasher is seeded.
#[derive(Debug)]
pub(super) struct Table {
    flows: HashMap<FlowKey, usize, foldhash::fast::RandomState>,
    stacks: Vec<Slot>,
    free: Vec<usize>,
    /// Closed connections that wait to be let go, oldest first.
    closing: VecDeque<(Timestamp, usize, u32)>,
    /// Bytes held over all stacks.
    held: usize,
    live: usize,
}

#[derive(Debug)]
struct Slot {
    key: FlowKey,
    /// Counts the connections that used this slot, so that an old note about it can be told from a new one.
    generation: u32,
    stack: Option<Stack>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            flows: HashMap::default(),
            stacks: Vec::new(),
            free: Vec::new(),
            closing: VecDeque::new(),
            held: 0,
            live: 0,
        }
    }

    /// Bytes held over all stacks.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn on_segment(
        &mut self,
        segment: &Segment<'_>,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let key = FlowKey::of(segment.from, segment.to);
        let index = match self.flows.get(&key) {
            Some(index) => *index,
            None => self.insert(key, segment, shared, finished),
        };
        if segment.flags.syn() {
            self.reopen_if_reused(index, segment, shared, finished);
        }
        let Some(slot) = self.stacks.get_mut(index) else {
            return;
        };
        let Some(stack) = &mut slot.stack else { return };
        let before = stack.buffered();
        let was_closed = stack.is_closed();
        stack.on_segment(segment, shared, finished);
        let after = stack.buffered();
        if after != before {
            self.held = self.held.saturating_sub(before).saturating_add(after);
        }
        if stack.is_closed() && !was_closed {
            self.closing
                .push_back((segment.at.time, index, slot.generation));
        }
        if !self.closing.is_empty() {
            self.let_go_of_closed(segment.at.time, shared, finished);
        }
        while self.held > shared.options.limits.bytes && self.shed(shared, segment.at, finished) {}
    }

    fn insert(
        &mut self,
        key: FlowKey,
        segment: &Segment<'_>,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) -> usize {
        if self.live >= shared.options.limits.connections {
            self.evict(|_| true, shared, finished);
        }
        let stack = Stack::new(segment, shared);
        self.live += 1;
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(slot) = self.stacks.get_mut(index) {
                    slot.key = key;
                    slot.generation = slot.generation.wrapping_add(1);
                    slot.stack = Some(stack);
                }
                index
            }
            None => {
                self.stacks.push(Slot {
                    key,
                    generation: 0,
                    stack: Some(stack),
                });
                self.stacks.len() - 1
            }
        };
        self.flows.insert(key, index);
        index
    }

    /// A SYN of its own number opens another connection between the same endpoints.
    fn reopen_if_reused(
        &mut self,
        index: usize,
        segment: &Segment<'_>,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let Some(slot) = self.stacks.get_mut(index) else {
            return;
        };
        let Some(stack) = slot
            .stack
            .as_mut()
            .filter(|stack| stack.is_new_opening(segment))
        else {
            return;
        };
        self.held = self.held.saturating_sub(stack.buffered());
        stack.finish(true, shared, finished);
        *stack = Stack::new(segment, shared);
        slot.generation = slot.generation.wrapping_add(1);
    }

    /// Time went on without a packet.
    pub(super) fn on_tick(
        &mut self,
        now: Timestamp,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        self.let_go_of_closed(now, shared, finished);
    }

    fn let_go_of_closed(
        &mut self,
        now: Timestamp,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        while let Some((since, index, generation)) = self.closing.front().copied() {
            if now.as_nanos().saturating_sub(since.as_nanos()) < LINGER_NANOS {
                return;
            }
            self.closing.pop_front();
            let Some(slot) = self
                .stacks
                .get_mut(index)
                .filter(|s| s.generation == generation)
            else {
                continue;
            };
            let Some(stack) = &mut slot.stack else {
                continue;
            };
            self.held = self.held.saturating_sub(stack.buffered());
            stack.finish(true, shared, finished);
            // What remains keeps the connection's number for stragglers.
        }
    }

    /// Lets go of the sixteenth of `those` that was silent longest, so that
    /// the search for it is paid rarely. Returns false if there are none.
    fn evict(
        &mut self,
        those: impl Fn(&Stack) -> bool,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) -> bool {
        let mut by_age: Vec<(PacketRef, usize)> = self
            .stacks
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| Some((slot.stack.as_ref().filter(|s| those(s))?, index)))
            .map(|(stack, index)| (stack.last_seen(), index))
            .collect();
        let most = (by_age.len() / 16).max(1);
        let found = !by_age.is_empty();
        by_age.sort_unstable();
        for (_, index) in by_age.into_iter().take(most) {
            let Some(slot) = self.stacks.get_mut(index) else {
                continue;
            };
            if let Some(mut stack) = slot.stack.take() {
                self.held = self.held.saturating_sub(stack.buffered());
                shared.capture.evicted += u64::from(stack.let_go(shared, finished));
                self.flows.remove(&slot.key);
                self.free.push(index);
                self.live -= 1;
            }
        }
        found
    }

    /// Gives up the holes of the connection that waits for most. Where nobody
    /// waits, the memory is that of heads and decompressors: then the oldest
    /// connections that have such go. Returns false if nothing is left to give up.
    fn shed(&mut self, shared: &mut Shared, at: PacketRef, finished: &mut Vec<Finished>) -> bool {
        let stacks = self
            .stacks
            .iter_mut()
            .filter_map(|slot| slot.stack.as_mut());
        let Some(stack) = stacks
            .filter(|s| s.waiting() > 0)
            .max_by_key(|s| s.waiting())
        else {
            return self.evict(|stack| stack.buffered() > 0, shared, finished);
        };
        let before = stack.buffered();
        stack.shed(shared, at, finished);
        self.held = self
            .held
            .saturating_sub(before)
            .saturating_add(stack.buffered());
        true
    }

    /// The connection between these endpoints.
    /// More keys are known: connections whose records wait for some look again.
    pub(super) fn on_keys(&mut self, shared: &mut Shared, finished: &mut Vec<Finished>) {
        for stack in self
            .stacks
            .iter_mut()
            .filter_map(|slot| slot.stack.as_mut())
        {
            let before = stack.buffered();
            stack.on_keys(shared, finished);
            self.held = (self.held + stack.buffered()).saturating_sub(before);
        }
    }

    pub(super) fn find(&mut self, a: Endpoint, b: Endpoint) -> Option<&mut Stack> {
        let index = *self.flows.get(&FlowKey::of(a, b))?;
        self.stacks.get_mut(index)?.stack.as_mut()
    }

    /// When this segment was sent, as far as its connection tells; see [`Age`].
    #[cold]
    pub(super) fn age_of(&self, segment: &Segment<'_>) -> Option<Age> {
        let index = *self.flows.get(&FlowKey::of(segment.from, segment.to))?;
        self.stacks.get(index)?.stack.as_ref()?.age_of(segment)
    }

    /// Drops a connection whose stack failed, with what it knew.
    pub(super) fn forget(&mut self, segment: &Segment<'_>) {
        let key = FlowKey::of(segment.from, segment.to);
        if let Some(index) = self.flows.get(&key)
            && let Some(slot) = self.stacks.get_mut(*index)
            && let Some(stack) = &mut slot.stack
        {
            stack.abandon();
        }
        // What it had added when it failed isn't known.
        self.held = self.stacks().map(Stack::buffered).sum();
    }

    pub(super) fn stacks(&self) -> impl Iterator<Item = &Stack> {
        self.stacks.iter().filter_map(|slot| slot.stack.as_ref())
    }

    /// All that remain, in the order of their slots: the same for the same input.
    pub(super) fn into_stacks(self) -> impl Iterator<Item = Stack> {
        self.stacks.into_iter().filter_map(|slot| slot.stack)
    }
}
