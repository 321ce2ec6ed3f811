//! The disk of a node: one for all services on it, with group commit.
//!
//! Writes that come while a sync runs are covered by the next one. A sync takes the node's `fsync` times
//! its slowness, however much it covers; disk bandwidth is not modelled, only the bytes are counted.

use std::collections::VecDeque;

use crate::machine::WriteId;
use crate::rng::Stream;
use crate::sim::TimerId;

/// Whose records are those of a replica that is no more. The disk writes them all the same.
const NOBODY: u32 = u32::MAX;

/// A record that was written and is not yet known to be on the disk.
#[derive(Debug)]
pub(super) struct Unsynced<R> {
    /// Index of the replica that wrote it.
    pub replica: u32,
    pub id: WriteId,
    pub record: R,
    pub bytes: u32,
    /// A checkpoint: replaces all earlier records of its replica once durable.
    pub replaces: bool,
}

#[derive(Debug)]
pub(super) struct Disk<R> {
    /// In order of writing, over all services.
    unsynced: VecDeque<Unsynced<R>>,
    /// How many of the first of them the running sync covers; 0: none runs.
    covered: usize,
    /// Fires when the running sync is complete.
    pub timer: TimerId,
}

impl<R> Disk<R> {
    pub fn new(timer: TimerId) -> Self {
        Self { unsynced: VecDeque::new(), covered: 0, timer }
    }

    /// Takes a record. True: no sync runs, so one must begin.
    #[must_use]
    pub fn write(&mut self, record: Unsynced<R>) -> bool {
        self.unsynced.push_back(record);
        self.covered == 0
    }

    /// Begins a sync of everything written so far. False: there is nothing to sync.
    pub fn begin(&mut self) -> bool {
        debug_assert_eq!(self.covered, 0, "one sync at a time");
        self.covered = self.unsynced.len();
        self.covered > 0
    }

    /// The running sync is complete: the records that it made durable, in order.
    pub fn complete(&mut self) -> impl Iterator<Item = Unsynced<R>> {
        let covered = std::mem::take(&mut self.covered);
        self.unsynced.drain(..covered).filter(is_owned)
    }

    /// A replica is stopped for good: nobody hears of its records.
    pub fn disown(&mut self, replica: u32) {
        for unsynced in self.unsynced.iter_mut().filter(|unsynced| unsynced.replica == replica) {
            unsynced.replica = NOBODY;
        }
    }

    /// A clean stop: all that was written is on the disk.
    pub fn flush(&mut self) -> impl Iterator<Item = Unsynced<R>> {
        self.covered = 0;
        self.unsynced.drain(..).filter(is_owned)
    }

    /// A crash: the operating system had written back some prefix of the unsynced tail. It survives.
    pub fn crash(&mut self, rng: &mut Stream) -> impl Iterator<Item = Unsynced<R>> {
        self.covered = 0;
        let survive = match self.unsynced.len() {
            0 => 0,
            tail => rng.below(tail as u64 + 1) as usize,
        };
        self.unsynced.truncate(survive);
        self.unsynced.drain(..).filter(is_owned)
    }
}

fn is_owned<R>(unsynced: &Unsynced<R>) -> bool {
    unsynced.replica != NOBODY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Queue;

    fn disk() -> Disk<u64> {
        Disk::new(Queue::new().timer(()))
    }

    fn record(number: u64) -> Unsynced<u64> {
        Unsynced { replica: 0, id: WriteId(number), record: number, bytes: 8, replaces: false }
    }

    #[test]
    fn what_is_written_during_a_sync_waits_for_the_next_one() {
        let mut disk = disk();
        assert!(disk.write(record(1)));
        assert!(disk.begin());
        assert!(!disk.write(record(2)), "a sync is running");
        assert!(!disk.write(record(3)));
        assert_eq!(disk.complete().map(|unsynced| unsynced.record).collect::<Vec<_>>(), [1]);
        assert!(disk.begin());
        assert_eq!(disk.complete().map(|unsynced| unsynced.record).collect::<Vec<_>>(), [2, 3], "group commit");
        assert!(!disk.begin());
    }

    #[test]
    fn of_the_unsynced_tail_a_prefix_of_any_length_survives_a_crash() {
        let mut lengths = [0; 4];
        for seed in 0..400 {
            let mut disk = disk();
            for number in 0..3 {
                let _ = disk.write(record(number));
            }
            disk.begin();
            let kept: Vec<u64> =
                disk.crash(&mut Stream::new(seed, "test", &[])).map(|unsynced| unsynced.record).collect();
            assert_eq!(kept, (0..kept.len() as u64).collect::<Vec<_>>(), "a prefix, never a hole");
            lengths[kept.len()] += 1;
            assert!(!disk.begin(), "the rest is gone");
        }
        assert!(lengths.iter().all(|&count| count > 60), "{lengths:?}");
    }
}
