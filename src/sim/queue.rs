//! The event queue.
//!
//! Events come out by time, and among equal times in the order in which they were put in. A timer keeps
//! one place: arming it again moves its deadline, and its place among equals becomes that of the new arming.
//!
//! Three containers hold what waits. The timing wheel (`wheel.rs`) has everything after the current leaf of
//! 16.4 us; `ready` has the current leaf, sorted when the wheel reached it; `late` is a small heap of
//! what was put into the current leaf since then. The next event is the lesser of the heads of the last two.
//!
//! Protocols re-arm timers far more often than timers fire, so arming is *lazy*: a timer has one entry in
//! the containers, and arming it for later only writes the new deadline and sequence number into the
//! timer. When the old entry is met, it moves to where the timer says. An entry is met no later than its
//! timer's deadline, so nobody can tell the difference to a queue that moves entries at once. Arming for
//! earlier puts in a second entry and leaves the first one behind as *stale*; stale entries are
//! dropped when met, and swept out when they outnumber the living.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::wheel::{self, Entry, Wheel};
use crate::time::SimTime;

/// Names a timer of one [`Queue`], and never a later timer that got its slot after a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    slot: u32,
    generation: u32,
}

/// Below this many stale entries a sweep is not worth its walk over all buckets. Tests sweep often.
const FEW_STALE: usize = if cfg!(test) { 16 } else { 4096 };

/// What an entry stands for.
#[derive(Clone, Copy)]
enum What<E> {
    Once(E),
    Timer(u32),
}

/// Sequence numbers start at 1, so 0 is free to mean "none".
struct Timer<E> {
    /// Nanoseconds; meaningful while armed.
    deadline: u64,
    /// The sequence number of the last arming; 0 while disarmed.
    order: u64,
    /// The order of the one entry that counts, which may outlive a disarming; 0 without one. Entries of
    /// this timer with another order are stale.
    entry: u64,
    /// The time of that entry, at most `deadline` while armed.
    entry_at: u64,
    event: E,
    generation: u32,
}

/// An entry in a max-heap that is to yield the least.
struct Late<E>(Entry<What<E>>);

impl<E> PartialEq for Late<E> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}
impl<E> Eq for Late<E> {}
impl<E> PartialOrd for Late<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Late<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.key().cmp(&self.0.key())
    }
}

/// A queue of events `E`, small values that name what happens.
///
/// No sequence of calls panics before some four thousand million events are pending. Calls with the id
/// of a released timer do nothing.
///
/// ```
/// use firedrill::sim::Queue;
/// use firedrill::time::SimTime;
///
/// let mut queue = Queue::new();
/// let timeout = queue.timer("timeout");
/// queue.arm(timeout, SimTime::from_nanos(200));
/// queue.schedule(SimTime::from_nanos(100), "answer");
/// assert_eq!(queue.pop(), Some((SimTime::from_nanos(100), "answer")));
/// queue.arm(timeout, SimTime::from_nanos(300));
/// assert_eq!(queue.pop(), Some((SimTime::from_nanos(300), "timeout")));
/// assert_eq!(queue.pop(), None);
/// ```
pub struct Queue<E> {
    /// Entries of leaves after the cursor. Between calls the cursor is the leaf of `now`.
    wheel: Wheel<What<E>>,
    /// Entries of the current leaf in order; those before `ready_from` have come out.
    ready: Vec<Entry<What<E>>>,
    ready_from: usize,
    /// Entries that were put into the current leaf after it was sorted.
    late: BinaryHeap<Late<E>>,
    timers: Vec<Timer<E>>,
    free_timers: Vec<u32>,
    /// The last sequence number given out.
    sequence: u64,
    /// Events that will come out if nothing changes.
    len: usize,
    /// Stale entries in all containers.
    stale: usize,
    now: SimTime,
}

impl<E: Copy> Default for Queue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Copy> Queue<E> {
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// A queue that holds about this many events before it asks for memory again.
    pub fn with_capacity(events: usize) -> Self {
        Self {
            wheel: Wheel::with_capacity(events),
            ready: Vec::new(),
            ready_from: 0,
            late: BinaryHeap::new(),
            timers: Vec::new(),
            free_timers: Vec::new(),
            sequence: 0,
            len: 0,
            stale: 0,
            now: SimTime::ZERO,
        }
    }

    /// The time of the event that came out last.
    #[inline]
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// How many events wait: scheduled ones and armed timers.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an event in. A time before `now` counts as `now`.
    #[inline]
    pub fn schedule(&mut self, at: SimTime, event: E) {
        self.sequence += 1;
        self.len += 1;
        self.insert(Entry { at: at.max(self.now).as_nanos(), order: self.sequence, what: What::Once(event) });
    }

    /// Makes a timer that yields `event` each time it fires. It is not armed yet.
    pub fn timer(&mut self, event: E) -> TimerId {
        if let Some(slot) = self.free_timers.pop() {
            let timer = &mut self.timers[slot as usize];
            timer.event = event;
            return TimerId { slot, generation: timer.generation };
        }
        let slot = self.timers.len() as u32;
        self.timers.push(Timer { deadline: 0, order: 0, entry: 0, entry_at: 0, event, generation: 0 });
        TimerId { slot, generation: 0 }
    }

    /// Disarms a timer and gives its slot to a later one. Its id is dead from here on.
    pub fn release(&mut self, id: TimerId) {
        self.disarm(id);
        let Some(timer) = known(&mut self.timers, id) else { return };
        self.stale += usize::from(timer.entry != 0);
        timer.entry = 0;
        timer.generation = timer.generation.wrapping_add(1);
        self.free_timers.push(id.slot);
        self.sweep_if_stale();
    }

    /// Arms a timer, or moves its deadline. A time before `now` counts as `now`.
    #[inline]
    pub fn arm(&mut self, id: TimerId, at: SimTime) {
        self.sequence += 1;
        let (at, order) = (at.max(self.now).as_nanos(), self.sequence);
        let Some(timer) = known(&mut self.timers, id) else { return };
        self.len += usize::from(timer.order == 0);
        timer.deadline = at;
        timer.order = order;
        if timer.entry != 0 && timer.entry_at <= at {
            return;
        }
        let left_behind = timer.entry != 0;
        timer.entry = order;
        timer.entry_at = at;
        self.insert(Entry { at, order, what: What::Timer(id.slot) });
        if left_behind {
            self.stale += 1;
            self.sweep_if_stale();
        }
    }

    /// Disarms a timer; nothing if it was not armed.
    #[inline]
    pub fn disarm(&mut self, id: TimerId) {
        if let Some(timer) = known(&mut self.timers, id) {
            self.len -= usize::from(timer.order != 0);
            timer.order = 0;
        }
    }

    #[inline]
    pub fn is_armed(&self, id: TimerId) -> bool {
        self.timers.get(id.slot as usize).is_some_and(|timer| timer.generation == id.generation && timer.order != 0)
    }

    /// The next event, and time moves to it.
    #[inline]
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        loop {
            let Some(entry) = self.next_in_leaf() else {
                if self.next_leaf() {
                    continue;
                }
                // The wheel may have gone ahead to meet timers that were disarmed.
                self.wheel.rewind(wheel::leaf_of(self.now.as_nanos()));
                return None;
            };
            let event = match entry.what {
                What::Once(event) => event,
                What::Timer(slot) => {
                    let Some(current) = settle(&mut self.timers, &mut self.stale, entry) else { continue };
                    if current.order != entry.order {
                        self.insert(current);
                        continue;
                    }
                    let timer = &mut self.timers[slot as usize];
                    timer.entry = 0;
                    timer.order = 0;
                    timer.event
                }
            };
            self.len -= 1;
            self.now = SimTime::from_nanos(entry.at);
            return Some((self.now, event));
        }
    }

    /// Asserts what holds between any two calls.
    #[cfg(test)]
    pub fn check(&self) {
        let leaf = wheel::leaf_of(self.now.as_nanos());
        assert_eq!(self.wheel.cursor(), leaf, "the cursor stands in the leaf of now");
        let here = self.ready[self.ready_from..].iter().chain(self.late.iter().map(|late| &late.0));
        assert!(here.clone().all(|entry| wheel::leaf_of(entry.at) == leaf), "only this leaf is sorted");
        let idle = self.timers.iter().filter(|timer| timer.order == 0 && timer.entry != 0).count();
        let entries = here.count() + self.wheel.count();
        assert_eq!(entries, self.len + self.stale + idle, "each entry is awaited, idle or stale");
        assert!(self.stale <= self.len.max(FEW_STALE), "stale entries do not pile up");
    }

    /// How many entries the wheel has memory for.
    #[cfg(test)]
    pub fn memory_entries(&self) -> usize {
        self.wheel.memory_entries()
    }

    #[inline]
    fn insert(&mut self, entry: Entry<What<E>>) {
        if wheel::leaf_of(entry.at) > self.wheel.cursor() {
            self.wheel.put(entry);
        } else {
            self.late.push(Late(entry));
        }
    }

    /// Takes the first entry of the current leaf.
    #[inline]
    fn next_in_leaf(&mut self) -> Option<Entry<What<E>>> {
        let ready = self.ready.get(self.ready_from);
        if let Some(late) = self.late.peek()
            && ready.is_none_or(|ready| late.0.key() < ready.key())
        {
            return self.late.pop().map(|late| late.0);
        }
        let entry = *ready?;
        self.ready_from += 1;
        Some(entry)
    }

    /// Moves the cursor to the next leaf that has entries, and sorts it into `ready`; false if there is none.
    fn next_leaf(&mut self) -> bool {
        self.ready.clear();
        self.ready_from = 0;
        while let Some(place) = self.wheel.first() {
            let mut walk = self.wheel.take(place);
            self.wheel.enter(place, &walk);
            while let Some(entry) = self.wheel.step(&mut walk) {
                let Some(entry) = settle(&mut self.timers, &mut self.stale, entry) else { continue };
                if wheel::leaf_of(entry.at) == self.wheel.cursor() {
                    self.ready.push(entry);
                } else {
                    self.wheel.put(entry);
                }
            }
            if !self.ready.is_empty() {
                self.ready.sort_unstable_by_key(Entry::key);
                return true;
            }
        }
        false
    }

    /// Sweeps when the walk over all entries costs no more than putting in the stale ones did.
    fn sweep_if_stale(&mut self) {
        if self.stale > FEW_STALE && self.stale > self.len {
            self.sweep();
        }
    }

    /// Drops every stale entry, and those of disarmed timers, so that memory follows the living.
    #[cold]
    fn sweep(&mut self) {
        let (timers, stale) = (&mut self.timers, &mut self.stale);
        let mut at = self.wheel.after(None);
        while let Some(place) = at {
            let mut walk = self.wheel.take(place);
            while let Some(entry) = self.wheel.step(&mut walk) {
                // A timer that was armed again only ever moves to a place that is still to come.
                if let Some(entry) = settle(timers, stale, entry) {
                    self.wheel.put(entry);
                }
            }
            at = self.wheel.after(Some(place));
        }
        // Here entries keep their place: one that moved could leave the leaf.
        let mut counts = |entry: &Entry<What<E>>| match entry.what {
            What::Once(_) => true,
            What::Timer(slot) => timers[slot as usize].entry == entry.order,
        };
        self.ready.drain(..self.ready_from);
        self.ready_from = 0;
        self.ready.retain(&mut counts);
        self.late.retain(|late| counts(&late.0));
        self.stale = 0;
    }
}

/// The timer of an id, unless it was released.
#[inline]
fn known<E>(timers: &mut [Timer<E>], id: TimerId) -> Option<&mut Timer<E>> {
    timers.get_mut(id.slot as usize).filter(|timer| timer.generation == id.generation)
}

/// What has become of an entry since it was put in: gone, in its place, or at its timer's new deadline.
#[inline]
fn settle<E: Copy>(timers: &mut [Timer<E>], stale: &mut usize, entry: Entry<What<E>>) -> Option<Entry<What<E>>> {
    let What::Timer(slot) = entry.what else { return Some(entry) };
    let timer = &mut timers[slot as usize];
    if timer.entry != entry.order {
        *stale -= 1;
        return None;
    }
    if timer.order == 0 {
        timer.entry = 0;
        return None;
    }
    timer.entry = timer.order;
    timer.entry_at = timer.deadline;
    Some(Entry { at: timer.deadline, order: timer.order, what: entry.what })
}
