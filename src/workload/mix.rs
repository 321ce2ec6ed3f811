//! What is asked: the operation, its key and its value.

use crate::hash;
use crate::id::ClientId;
use crate::op::{Op, Value};
use crate::rng::{Draws, open01};

use super::{Application, Load};

/// Zipf's law over keys 0.., the first the most popular, as a cumulative table.
#[derive(Clone, Debug)]
struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    fn new(keys: u32, skew: f64) -> Self {
        assert!(keys > 0, "a load has keys");
        let mut sum = 0.0;
        let weights = (1..=u64::from(keys)).map(|rank| {
            sum += libm::pow(rank as f64, -skew);
            sum
        });
        Self { cumulative: weights.collect() }
    }

    /// The key at the quantile of 64 uniform bits.
    fn key(&self, bits: u64) -> u32 {
        let total = self.cumulative[self.cumulative.len() - 1];
        let mark = open01(bits) * total;
        let rank = self.cumulative.partition_point(|&sum| sum <= mark);
        rank.min(self.cumulative.len() - 1) as u32
    }
}

/// What the sessions of one load ask.
///
/// The n-th write and the n-th read of a session are pure functions of the seed, the session and n.
/// So no answer shifts them, and what a write was can be told again long after it finished. Only the
/// `expect` of a compare-and-swap depends on what the session has read.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    application: Application,
    appends: f64,
    swaps: f64,
    value_bytes: u32,
    zipf: Zipf,
    keys: Draws,
    kinds: Draws,
    digests: Draws,
}

impl Mix {
    /// `load` and `service` name the draws together with the seed.
    pub(super) fn new(load: &Load, application: Application, seed: u64, index: u64) -> Self {
        Self {
            application,
            appends: load.appends,
            swaps: load.swaps,
            value_bytes: load.value_bytes,
            zipf: Zipf::new(load.keys, load.skew),
            keys: Draws::new(seed, "key", &[index]),
            kinds: Draws::new(seed, "kind of write", &[index]),
            digests: Draws::new(seed, "value", &[]),
        }
    }

    /// Whether writes may be compare-and-swaps, so that sessions must remember what they read.
    pub(super) fn swaps(&self) -> bool {
        self.application == Application::Kv && self.swaps > 0.0
    }

    /// The `number`-th read of a session.
    pub(super) fn read(&self, client: ClientId, number: u32) -> Op {
        Op::Read { key: self.zipf.key(self.keys.bits(address(client, number), 1)) }
    }

    /// The `number`-th write of a session. `known` says which digest the session knows of a key.
    pub(super) fn write(&self, client: ClientId, number: u32, known: impl FnOnce(u32) -> u64) -> Op {
        let at = address(client, number);
        let key = self.zipf.key(self.keys.bits(at, 0));
        let value = Value { digest: self.digest(client, number), bytes: self.value_bytes };
        if self.application == Application::Board {
            return Op::Post { key, value };
        }
        let kind = open01(self.kinds.bits(at, 0));
        if kind < self.appends {
            Op::Append { key, value }
        } else if kind < self.appends + self.swaps {
            Op::CompareAndSwap { key, expect: known(key), value }
        } else {
            Op::Put { key, value }
        }
    }

    /// Different for every write of a run (64 bits of a hash), and never 0, which means absent.
    fn digest(&self, client: ClientId, number: u32) -> u64 {
        let digest = self.digests.bits(address(client, number), 0);
        if digest == 0 { hash::of([address(client, number)]) } else { digest }
    }
}

fn address(client: ClientId, number: u32) -> u64 {
    u64::from(client.0) << 32 | u64::from(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ServiceId;
    use crate::time::Duration;
    use crate::workload::Profile;

    fn mix(application: Application) -> Mix {
        let load = Load {
            service: ServiceId(0),
            from: vec![],
            rate: 1.0,
            weights: vec![],
            reads_nearest: false,
            reads: 0.5,
            appends: 0.2,
            swaps: 0.3,
            keys: 1_000,
            skew: 0.99,
            value_bytes: 224,
            deadline: Duration::from_secs(1),
            clients: 1,
            attempt_timeout: Duration::from_millis(400),
            profile: Profile::Constant,
            surges: vec![],
        };
        Mix::new(&load, application, 1, 0)
    }

    #[test]
    fn popular_keys_follow_zipf() {
        let zipf = Zipf::new(1_000, 0.99);
        let draws = Draws::new(1, "zipf test", &[]);
        let mut counts = vec![0u32; 1_000];
        for index in 0..200_000 {
            counts[zipf.key(draws.bits(index, 0)) as usize] += 1;
        }
        let total: f64 = (1..=1_000).map(|rank| libm::pow(f64::from(rank), -0.99)).sum();
        for rank in [1, 2, 10, 100] {
            let mean = 200_000.0 * libm::pow(f64::from(rank), -0.99) / total;
            let count = f64::from(counts[rank as usize - 1]);
            assert!((count - mean).abs() < 5.0 * libm::sqrt(mean), "rank {rank}: {count} for {mean}");
        }
        assert_eq!(zipf.key(0), 0);
        assert_eq!(zipf.key(u64::MAX), 999);
    }

    #[test]
    fn without_skew_keys_are_uniform() {
        let zipf = Zipf::new(4, 0.0);
        assert_eq!([0, 1, 2, 3].map(|quarter| zipf.key((quarter << 62) + 1)), [0, 1, 2, 3]);
    }

    #[test]
    fn a_cell_is_put_appended_and_swapped_by_the_shares() {
        let mix = mix(Application::Kv);
        let mut counts = [0; 3];
        for number in 1..=10_000 {
            match mix.write(ClientId(3), number, |key| u64::from(key) + 7) {
                Op::Append { .. } => counts[0] += 1,
                Op::CompareAndSwap { key, expect, .. } => {
                    assert_eq!(expect, u64::from(key) + 7, "it expects what the session knows");
                    counts[1] += 1;
                }
                Op::Put { .. } => counts[2] += 1,
                other => panic!("{other:?} is not of a cell"),
            }
        }
        for (count, mean) in counts.into_iter().zip([2_000.0, 3_000.0, 5_000.0]) {
            assert!((f64::from(count) - mean).abs() < 250.0, "{counts:?}");
        }
    }

    #[test]
    fn every_write_has_a_value_of_its_own() {
        let mix = mix(Application::Board);
        let mut digests = std::collections::BTreeSet::new();
        for client in 0..50 {
            for number in 1..=200 {
                let op = mix.write(ClientId(client), number, |_| 0);
                assert!(matches!(op, Op::Post { value: Value { bytes: 224, .. }, .. }), "{op:?}");
                assert!(digests.insert(op.value().expect("a post has a value").digest));
            }
        }
    }
}
