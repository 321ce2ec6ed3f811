//! The plainest queue that can be right: one binary heap, an entry for each arming. The tests hold
//! [`super::Queue`] to its output; nothing else uses it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::SimTime;

/// Names a timer by its slot and by how often the slot had been released before.
#[derive(Clone, Copy, Debug)]
pub struct TimerId(usize, u32);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Once(usize),
    Timer(usize),
}

struct Timer<E> {
    armed: Option<(SimTime, u64)>,
    event: E,
    releases: u32,
}

/// See [`super::Queue`]: the same calls with the same meaning.
pub struct Queue<E> {
    heap: BinaryHeap<Reverse<(SimTime, u64, Slot)>>,
    oneshots: Vec<E>,
    timers: Vec<Timer<E>>,
    free: Vec<usize>,
    sequence: u64,
    len: usize,
    now: SimTime,
}

impl<E: Copy> Queue<E> {
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            oneshots: Vec::new(),
            timers: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            len: 0,
            now: SimTime::ZERO,
        }
    }

    pub fn now(&self) -> SimTime {
        self.now
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn schedule(&mut self, at: SimTime, event: E) {
        self.sequence += 1;
        self.len += 1;
        self.heap.push(Reverse((at.max(self.now), self.sequence, Slot::Once(self.oneshots.len()))));
        self.oneshots.push(event);
    }

    pub fn timer(&mut self, event: E) -> TimerId {
        if let Some(slot) = self.free.pop() {
            self.timers[slot].event = event;
            return TimerId(slot, self.timers[slot].releases);
        }
        self.timers.push(Timer { armed: None, event, releases: 0 });
        TimerId(self.timers.len() - 1, 0)
    }

    fn known(&mut self, id: TimerId) -> Option<&mut Timer<E>> {
        self.timers.get_mut(id.0).filter(|timer| timer.releases == id.1)
    }

    pub fn arm(&mut self, id: TimerId, at: SimTime) {
        self.sequence += 1;
        let (at, sequence) = (at.max(self.now), self.sequence);
        let Some(timer) = self.known(id) else { return };
        let was = timer.armed.replace((at, sequence));
        self.len += usize::from(was.is_none());
        self.heap.push(Reverse((at, sequence, Slot::Timer(id.0))));
    }

    pub fn disarm(&mut self, id: TimerId) {
        if let Some(timer) = self.known(id) {
            let was = timer.armed.take();
            self.len -= usize::from(was.is_some());
        }
    }

    pub fn release(&mut self, id: TimerId) {
        self.disarm(id);
        if let Some(timer) = self.known(id) {
            timer.releases += 1;
            self.free.push(id.0);
        }
    }

    pub fn is_armed(&mut self, id: TimerId) -> bool {
        self.known(id).is_some_and(|timer| timer.armed.is_some())
    }

    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        while let Some(Reverse((at, sequence, slot))) = self.heap.pop() {
            let event = match slot {
                Slot::Once(slot) => self.oneshots[slot],
                Slot::Timer(slot) => {
                    let timer = &mut self.timers[slot];
                    if timer.armed != Some((at, sequence)) {
                        continue;
                    }
                    timer.armed = None;
                    timer.event
                }
            };
            self.now = at;
            self.len -= 1;
            return Some((at, event));
        }
        None
    }
}
