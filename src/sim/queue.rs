//! The event queue.
//!
//! Events come out by time, and among equal times in the order in which they were put in. A timer keeps
//! one place: arming it again moves its deadline, and its place among equals becomes that of the new arming.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::SimTime;

/// Names a timer of a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(u32);

/// A queue of events `E`, small values that name what happens.
pub struct Queue<E> {
    heap: BinaryHeap<Reverse<(SimTime, u64, Slot)>>,
    oneshots: Vec<Option<E>>,
    free: Vec<u32>,
    timers: Vec<(Option<(SimTime, u64)>, E)>,
    sequence: u64,
    now: SimTime,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Once(u32),
    Timer(u32),
}

impl<E: Copy> Default for Queue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Copy> Queue<E> {
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            oneshots: Vec::new(),
            free: Vec::new(),
            timers: Vec::new(),
            sequence: 0,
            now: SimTime::ZERO,
        }
    }

    /// The time of the event that came out last.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Puts an event in. A time before `now` counts as `now`.
    pub fn schedule(&mut self, at: SimTime, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.oneshots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.oneshots.push(Some(event));
                (self.oneshots.len() - 1) as u32
            }
        };
        self.sequence += 1;
        self.heap.push(Reverse((at.max(self.now), self.sequence, Slot::Once(slot))));
    }

    /// Makes a timer that yields `event` each time it fires. It is not armed yet.
    pub fn timer(&mut self, event: E) -> TimerId {
        self.timers.push((None, event));
        TimerId((self.timers.len() - 1) as u32)
    }

    /// Arms a timer, or moves its deadline.
    pub fn arm(&mut self, timer: TimerId, at: SimTime) {
        self.sequence += 1;
        let at = at.max(self.now);
        self.timers[timer.0 as usize].0 = Some((at, self.sequence));
        self.heap.push(Reverse((at, self.sequence, Slot::Timer(timer.0))));
    }

    /// Disarms a timer; nothing if it was not armed.
    pub fn disarm(&mut self, timer: TimerId) {
        self.timers[timer.0 as usize].0 = None;
    }

    pub fn is_armed(&self, timer: TimerId) -> bool {
        self.timers[timer.0 as usize].0.is_some()
    }

    /// The next event, and time moves to it.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        while let Some(Reverse((at, sequence, slot))) = self.heap.pop() {
            let event = match slot {
                Slot::Once(slot) => {
                    self.free.push(slot);
                    self.oneshots[slot as usize].take().expect("a scheduled event stays until it comes out")
                }
                Slot::Timer(timer) => {
                    let (armed, event) = &mut self.timers[timer as usize];
                    if *armed != Some((at, sequence)) {
                        continue;
                    }
                    *armed = None;
                    *event
                }
            };
            self.now = at;
            return Some((at, event));
        }
        None
    }
}
