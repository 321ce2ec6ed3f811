//! The queue against the plainest one that can be right, and the promises that need a story of their own.

use super::queue::{Queue, TimerId};
use super::reference;
use crate::rng::Stream;
use crate::time::{Duration, SimTime};

const LEAF: u64 = 1 << 14;
const DAY: u64 = 86_400_000_000_000;

/// Spans in nanoseconds from one instant to the whole range, with the edges of leaves and levels.
const SPANS: [u64; 16] = [
    1,
    2,
    100,
    LEAF - 1,
    LEAF + 1,
    1_000_000,
    LEAF << 8,
    20_000_000,
    1_000_000_000,
    LEAF << 16,
    60_000_000_000,
    3_600_000_000_000,
    LEAF << 32,
    365 * DAY,
    200 * 365 * DAY,
    u64::MAX,
];

const SMALL: usize = 1;
const LARGE: usize = 100;

/// Both queues, driven alike and compared at every step. An event is `WORDS` times its number: large
/// ones leave room for two in a chunk, so that even short stories build long chains of chunks.
struct Pair<const WORDS: usize> {
    queue: Queue<[u32; WORDS]>,
    reference: reference::Queue<[u32; WORDS]>,
    timers: Vec<(TimerId, reference::TimerId)>,
    /// Events are numbered, so a mistaken one cannot pass for the right one.
    events: u32,
    came_out: u32,
}

impl<const WORDS: usize> Pair<WORDS> {
    fn new() -> Self {
        Self { queue: Queue::new(), reference: reference::Queue::new(), timers: Vec::new(), events: 0, came_out: 0 }
    }

    fn event(&mut self) -> [u32; WORDS] {
        self.events += 1;
        [self.events; WORDS]
    }

    fn schedule(&mut self, at: SimTime) {
        let event = self.event();
        self.queue.schedule(at, event);
        self.reference.schedule(at, event);
    }

    fn timer(&mut self) {
        let event = self.event();
        self.timers.push((self.queue.timer(event), self.reference.timer(event)));
    }

    fn pop(&mut self, story: &str) -> bool {
        let out = self.queue.pop();
        assert_eq!(out, self.reference.pop(), "{story}");
        assert_eq!(self.queue.now(), self.reference.now(), "{story}");
        self.came_out += u32::from(out.is_some());
        out.is_some()
    }

    /// One random call, at times within `spans` of now, and the same answers from both.
    fn step(&mut self, rng: &mut Stream, spans: &[u64], story: &str) {
        let span = spans[rng.below(spans.len() as u64) as usize];
        let ahead = Duration::from_nanos(match rng.below(4) {
            0 => 0,
            1 => span,
            _ => rng.below(span),
        });
        // One call in sixteen names a time in the past.
        let at = if rng.below(16) == 0 { self.queue.now() - ahead } else { self.queue.now() + ahead };
        let which = if self.timers.is_empty() { 0 } else { rng.below(self.timers.len() as u64) as usize };
        match (rng.below(32), self.timers.get(which).copied()) {
            (0..=9, _) => self.schedule(at),
            (10, _) | (_, None) => self.timer(),
            (11..=17, Some((timer, reference))) => {
                self.queue.arm(timer, at);
                self.reference.arm(reference, at);
            }
            (18..=20, Some((timer, reference))) => {
                self.queue.disarm(timer);
                self.reference.disarm(reference);
            }
            (21, Some((timer, reference))) => {
                // The dead id stays in the list, so later calls use it too.
                self.queue.release(timer);
                self.reference.release(reference);
            }
            _ => {
                self.pop(story);
            }
        }
        if let Some(&(timer, reference)) = self.timers.get(which) {
            assert_eq!(self.queue.is_armed(timer), self.reference.is_armed(reference), "{story}");
        }
        assert_eq!(self.queue.len(), self.reference.len(), "{story}");
        if self.events.is_multiple_of(4) {
            self.queue.check();
        }
    }

    fn drain(&mut self, story: &str) {
        while self.pop(story) {}
        assert!(self.queue.is_empty(), "{story}");
        self.queue.check();
    }
}

/// Plays a random story from a seed, empties the queues, and plays on in the emptied ones.
fn play<const WORDS: usize>(seed: u64, steps: u64, spans: &[u64]) -> u32 {
    let story = format!("reproduce with play::<{WORDS}>({seed}, {steps}, &{spans:?})");
    let mut rng = Stream::new(seed, "queue test", &[]);
    let mut pair = Pair::<WORDS>::new();
    for _ in 0..3 {
        for _ in 0..steps / 3 {
            pair.step(&mut rng, spans, &story);
        }
        pair.drain(&story);
    }
    pair.came_out
}

#[test]
fn short_stories_over_mixed_scales_equal_the_reference() {
    let mut came_out = 0;
    for seed in 0..3_000 {
        let widest = 1 + seed as usize % SPANS.len();
        let narrowest = seed as usize / SPANS.len() % widest;
        came_out += play::<SMALL>(seed, 210, &SPANS[narrowest..widest]);
        came_out += play::<LARGE>(seed, 210, &SPANS[narrowest..widest]);
    }
    assert!(came_out > 300_000, "{came_out} events compared");
}

#[test]
fn long_stories_on_one_scale_equal_the_reference() {
    for (seed, span) in SPANS.into_iter().enumerate() {
        assert!(play::<SMALL>(seed as u64, 30_000, &[span]) > 5_000);
        assert!(play::<LARGE>(seed as u64, 30_000, &[span]) > 5_000);
    }
}

/// Waves of one-shots over buckets of many chunks, among timers that move all the time.
fn play_waves<const WORDS: usize>() {
    let mut pair = Pair::<WORDS>::new();
    let mut rng = Stream::new(7, "queue test", &[]);
    for _ in 0..1_000 {
        pair.timer();
    }
    for wave in 0..60_000 {
        let after = Duration::from_nanos(rng.below(10_000_000_000));
        let (timer, reference) = pair.timers[rng.below(1_000) as usize];
        pair.queue.arm(timer, pair.queue.now() + after);
        pair.reference.arm(reference, pair.reference.now() + after);
        let span = 1 << rng.below(36);
        let ahead = Duration::from_nanos(rng.below(span));
        if rng.below(20_000) > wave % 20_000 {
            pair.schedule(pair.queue.now() + ahead);
        } else {
            pair.pop("many pending");
        }
    }
    pair.drain("many pending");
    assert!(pair.came_out > 30_000, "{} events compared", pair.came_out);
}

#[test]
fn many_pending_events_equal_the_reference() {
    play_waves::<SMALL>();
    play_waves::<LARGE>();
}

#[test]
fn sweeps_of_the_current_leaf_change_no_output() {
    let mut pair = Pair::<SMALL>::new();
    let mut rng = Stream::new(9, "queue test", &[]);
    for _ in 0..40 {
        pair.timer();
    }
    // Timers that live shorter than a leaf, and are released before they fire more often than not.
    for _ in 0..20_000 {
        let which = rng.below(40) as usize;
        let (timer, reference) = pair.timers[which];
        pair.queue.release(timer);
        pair.reference.release(reference);
        pair.timer();
        pair.timers.swap_remove(which);
        let (timer, reference) = pair.timers[which];
        let after = Duration::from_nanos(rng.below(3 * LEAF));
        pair.queue.arm(timer, pair.queue.now() + after);
        pair.reference.arm(reference, pair.reference.now() + after);
        if rng.below(8) == 0 {
            pair.pop("sweeps");
        }
        pair.queue.check();
    }
    pair.drain("sweeps");
}

/// All that comes out, in order.
fn rest<E: Copy>(queue: &mut Queue<E>) -> Vec<E> {
    std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect()
}

#[test]
fn equal_times_keep_their_order_of_arming() {
    let at = SimTime::from_nanos(700_000_000);
    let mut queue = Queue::new();
    let early = queue.timer("timer, armed early and again last");
    let moved = queue.timer("timer, moved back to its first deadline");
    queue.arm(early, at);
    queue.schedule(at, "first");
    queue.arm(moved, at);
    queue.arm(moved, at + Duration::from_secs(1));
    queue.schedule(at, "second");
    queue.arm(moved, at);
    queue.arm(early, at);
    assert_eq!(
        rest(&mut queue),
        ["first", "second", "timer, moved back to its first deadline", "timer, armed early and again last"]
    );
}

#[test]
fn an_event_put_in_for_now_comes_after_all_others_of_now() {
    let at = SimTime::from_nanos(5_000_000);
    let mut queue = Queue::new();
    queue.schedule(at + Duration::from_nanos(1), 9);
    for event in 0..3 {
        queue.schedule(at, event);
    }
    assert_eq!(queue.pop(), Some((at, 0)));
    queue.schedule(at, 3);
    queue.schedule(SimTime::ZERO, 4);
    assert_eq!(rest(&mut queue), [1, 2, 3, 4, 9]);
}

#[test]
fn the_end_of_time_is_a_time_like_any_other() {
    let mut queue = Queue::new();
    let timer = queue.timer("timer");
    queue.arm(timer, SimTime::MAX);
    queue.schedule(SimTime::MAX, "last");
    queue.schedule(SimTime::MAX - Duration::from_nanos(1), "last but one");
    queue.arm(timer, SimTime::MAX);
    assert_eq!(rest(&mut queue), ["last but one", "last", "timer"]);
    queue.schedule(SimTime::ZERO, "past the end");
    assert_eq!(queue.pop(), Some((SimTime::MAX, "past the end")));
}

#[test]
fn a_queue_of_disarmed_timers_does_not_move_time() {
    let mut queue = Queue::new();
    let timer = queue.timer("timer");
    queue.arm(timer, SimTime::from_nanos(DAY));
    queue.disarm(timer);
    assert_eq!(queue.pop(), None);
    assert_eq!(queue.now(), SimTime::ZERO);
    queue.schedule(SimTime::from_nanos(DAY / 2), "noon");
    queue.schedule(SimTime::from_nanos(DAY / 4), "morning");
    assert_eq!(rest(&mut queue), ["morning", "noon"]);
}

#[test]
fn a_released_id_reaches_no_later_timer() {
    let mut queue = Queue::new();
    let dead = queue.timer("dead");
    queue.arm(dead, SimTime::from_nanos(1));
    queue.release(dead);
    let heir = queue.timer("heir");
    queue.arm(heir, SimTime::from_nanos(9));
    queue.arm(dead, SimTime::from_nanos(2));
    queue.disarm(dead);
    queue.release(dead);
    assert!(queue.is_armed(heir) && !queue.is_armed(dead));
    assert_eq!(queue.pop(), Some((SimTime::from_nanos(9), "heir")));
    assert_eq!(queue.pop(), None);
}

#[test]
fn entries_left_behind_do_not_pile_up() {
    let mut queue = Queue::new();
    let timer = queue.timer(0);
    queue.schedule(SimTime::from_nanos(DAY), 1);
    for round in 0..200_000 {
        // Far, then near and fired: each round leaves an entry behind in the far future.
        queue.arm(timer, queue.now() + Duration::from_nanos(DAY));
        queue.arm(timer, queue.now() + Duration::from_nanos(round % 7 * 1_000));
        assert_eq!(queue.pop().map(|(_, event)| event), Some(0));
        queue.check();
    }
    assert!(queue.memory_entries() < 1_000, "{} entries of memory", queue.memory_entries());
    assert_eq!(rest(&mut queue), [1]);
}

#[test]
fn memory_follows_what_is_pending_and_not_what_has_been() {
    let mut queue = Queue::new();
    let mut rng = Stream::new(3, "queue test", &[]);
    let timers: Vec<_> = (0..1_000).map(|_| queue.timer(0)).collect();
    for _ in 0..500_000 {
        let after = Duration::from_nanos(1_000_000 + rng.below(10_000_000_000));
        queue.arm(timers[rng.below(1_000) as usize], queue.now() + after);
        if rng.below(10) == 0 {
            queue.pop();
        }
    }
    assert!(queue.memory_entries() < 40_000, "{} entries of memory", queue.memory_entries());
}
