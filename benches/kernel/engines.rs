//! The kernel's queue, and two yardsticks written for nothing but these workloads.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use firedrill::sim::{Queue, TimerId};
use firedrill::time::SimTime;

use super::workload::{Engine, Event};

/// The queue under test.
pub struct Firedrill {
    queue: Queue<Event>,
    timers: Vec<TimerId>,
}

impl Engine for Firedrill {
    fn new() -> Self {
        Self { queue: Queue::new(), timers: Vec::new() }
    }
    #[inline]
    fn schedule(&mut self, at: u64, event: Event) {
        self.queue.schedule(SimTime::from_nanos(at), event);
    }
    fn timer(&mut self, event: Event) {
        self.timers.push(self.queue.timer(event));
    }
    #[inline]
    fn arm(&mut self, timer: u32, at: u64) {
        self.queue.arm(self.timers[timer as usize], SimTime::from_nanos(at));
    }
    #[inline]
    fn disarm(&mut self, timer: u32) {
        self.queue.disarm(self.timers[timer as usize]);
    }
    #[inline]
    fn pop(&mut self) -> Option<(u64, Event)> {
        self.queue.pop().map(|(at, event)| (at.as_nanos(), event))
    }
}

/// Timers of the yardsticks: the sequence number of the arming that counts (0 if none) and the event.
/// Every arming puts an entry in, and those that no longer count are dropped when met.
type Timers = Vec<(u32, Event)>;

/// No timer: the entry is a one-shot.
const NO_TIMER: u32 = u32::MAX;

/// The best bare loop: a hierarchical wheel whose buckets are plain vectors. It counts sequence numbers in
/// 32 bits, knows four levels and forgets all bookkeeping that these workloads do not need.
pub struct VecWheel {
    buckets: Vec<Vec<Entry>>,
    occupied: [[u64; 4]; VecWheel::LEVELS],
    /// The current leaf in falling order, so that the next entry is the last.
    ready: Vec<Entry>,
    scratch: Vec<Entry>,
    cursor: u64,
    sequence: u32,
    timers: Timers,
}

#[derive(Clone, Copy)]
struct Entry {
    at: u64,
    sequence: u32,
    timer: u32,
    event: Event,
}

impl VecWheel {
    const LEAF_BITS: u32 = 14;
    const LEVELS: usize = 4;

    #[inline]
    fn put(&mut self, entry: Entry) {
        let leaf = entry.at >> Self::LEAF_BITS;
        if leaf <= self.cursor {
            let key = (entry.at, entry.sequence);
            let place = self.ready.partition_point(|other| (other.at, other.sequence) > key);
            self.ready.insert(place, entry);
            return;
        }
        let level = (leaf ^ self.cursor).ilog2() as usize / 8;
        let slot = (leaf >> (8 * level)) as usize % 256;
        self.occupied[level][slot / 64] |= 1 << (slot % 64);
        self.buckets[level * 256 + slot].push(entry);
    }

    #[inline]
    fn alive(&self, entry: &Entry) -> bool {
        entry.timer == NO_TIMER || self.timers[entry.timer as usize].0 == entry.sequence
    }

    fn first(&self) -> Option<(usize, usize)> {
        (0..Self::LEVELS).find_map(|level| {
            let word = self.occupied[level].iter().position(|&word| word != 0)?;
            Some((level, word * 64 + self.occupied[level][word].trailing_zeros() as usize))
        })
    }

    fn next_leaf(&mut self) -> Option<()> {
        while self.ready.is_empty() {
            let (level, slot) = self.first()?;
            self.occupied[level][slot / 64] &= !(1 << (slot % 64));
            std::mem::swap(&mut self.scratch, &mut self.buckets[level * 256 + slot]);
            let span = 8 * level as u32;
            self.cursor = (self.scratch[0].at >> Self::LEAF_BITS) >> span << span;
            for index in 0..self.scratch.len() {
                let entry = self.scratch[index];
                if !self.alive(&entry) {
                    continue;
                }
                if entry.at >> Self::LEAF_BITS == self.cursor {
                    self.ready.push(entry);
                } else {
                    self.put(entry);
                }
            }
            self.scratch.clear();
            // The bucket gets its memory back.
            std::mem::swap(&mut self.scratch, &mut self.buckets[level * 256 + slot]);
            self.ready.sort_unstable_by_key(|entry| Reverse((entry.at, entry.sequence)));
        }
        Some(())
    }
}

impl Engine for VecWheel {
    fn new() -> Self {
        Self {
            buckets: vec![Vec::new(); Self::LEVELS * 256],
            occupied: [[0; 4]; Self::LEVELS],
            ready: Vec::new(),
            scratch: Vec::new(),
            cursor: 0,
            sequence: 0,
            timers: Vec::new(),
        }
    }
    #[inline]
    fn schedule(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.put(Entry { at, sequence: self.sequence, timer: NO_TIMER, event });
    }
    fn timer(&mut self, event: Event) {
        self.timers.push((0, event));
    }
    #[inline]
    fn arm(&mut self, timer: u32, at: u64) {
        self.sequence += 1;
        let (armed, event) = &mut self.timers[timer as usize];
        *armed = self.sequence;
        let event = *event;
        self.put(Entry { at, sequence: self.sequence, timer, event });
    }
    #[inline]
    fn disarm(&mut self, timer: u32) {
        self.timers[timer as usize].0 = 0;
    }
    #[inline]
    fn pop(&mut self) -> Option<(u64, Event)> {
        loop {
            let Some(entry) = self.ready.pop() else {
                self.next_leaf()?;
                continue;
            };
            if self.alive(&entry) {
                return Some((entry.at, entry.event));
            }
        }
    }
}

/// A heap of 16-byte keys (time, sequence, place in the slab) and a slab of events.
pub struct KeyHeap {
    heap: BinaryHeap<Reverse<u128>>,
    /// The timer and the event.
    slab: Vec<(u32, Event)>,
    free: Vec<u32>,
    sequence: u32,
    timers: Timers,
}

impl KeyHeap {
    #[inline]
    fn put(&mut self, at: u64, timer: u32, event: Event) {
        self.sequence += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slab.push((timer, event));
            self.slab.len() as u32 - 1
        });
        self.slab[slot as usize] = (timer, event);
        let key = u128::from(at) << 64 | u128::from(self.sequence) << 32 | u128::from(slot);
        self.heap.push(Reverse(key));
    }
}

impl Engine for KeyHeap {
    fn new() -> Self {
        Self { heap: BinaryHeap::new(), slab: Vec::new(), free: Vec::new(), sequence: 0, timers: Vec::new() }
    }
    #[inline]
    fn schedule(&mut self, at: u64, event: Event) {
        self.put(at, NO_TIMER, event);
    }
    fn timer(&mut self, event: Event) {
        self.timers.push((0, event));
    }
    #[inline]
    fn arm(&mut self, timer: u32, at: u64) {
        let event = self.timers[timer as usize].1;
        self.put(at, timer, event);
        self.timers[timer as usize].0 = self.sequence;
    }
    #[inline]
    fn disarm(&mut self, timer: u32) {
        self.timers[timer as usize].0 = 0;
    }
    #[inline]
    fn pop(&mut self) -> Option<(u64, Event)> {
        while let Some(Reverse(key)) = self.heap.pop() {
            let slot = key as u32;
            self.free.push(slot);
            let (timer, event) = self.slab[slot as usize];
            if timer == NO_TIMER || self.timers[timer as usize].0 == (key >> 32) as u32 {
                return Some(((key >> 64) as u64, event));
            }
        }
        None
    }
}
