//! Random streams keyed by what they are for.
//!
//! Each use of randomness has a stream of its own, keyed by BLAKE3(seed, purpose, ids). A new kind of
//! draw is a new stream, so it never shifts another, and every protocol meets the same disaster and the
//! same arrivals under one seed (common random numbers).
//!
//! Samplers work by inversion with the `libm` crate, never with the platform's maths, and ranges and
//! shuffles are written out here, because those of `rand` may change between its versions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::hash;

/// A ChaCha8 stream.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

fn key(seed: u64, purpose: &str, ids: &[u64]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"firedrill stream 1\0");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    for id in ids {
        hasher.update(&id.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

impl Stream {
    /// The stream of `purpose` for the things named by `ids`, under a run's seed.
    pub fn new(seed: u64, purpose: &str, ids: &[u64]) -> Self {
        Self(ChaCha8Rng::from_seed(key(seed, purpose, ids)))
    }

    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..bound`, without bias (Lemire's multiply and reject). `bound` must not be zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "an empty range has no member to draw");
        let reject = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.bits()) * u128::from(bound);
            if wide as u64 >= reject {
                return (wide >> 64) as u64;
            }
        }
    }

    /// Uniform in the open interval (0, 1): both ends are excluded, so its logarithm is finite.
    pub fn open01(&mut self) -> f64 {
        open01(self.bits())
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.open01() < probability
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.open01())
    }

    /// Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// A source of independent draws addressed by two numbers instead of by how many came before.
///
/// Link conditions are keyed by link and time: two protocols that send differently still meet the same
/// network at the same instant. Counter-based, so a draw costs a few multiplications.
#[derive(Clone, Copy, Debug)]
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64, purpose: &str, ids: &[u64]) -> Self {
        let key = key(seed, purpose, ids);
        Self(u64::from_le_bytes(key[..8].try_into().expect("a BLAKE3 hash has 32 bytes")))
    }

    /// 64 uniform bits for the address (`a`, `b`).
    #[inline]
    pub fn bits(self, a: u64, b: u64) -> u64 {
        hash::of([self.0, a, b])
    }
}

/// Maps 64 uniform bits to the open interval (0, 1).
#[inline]
pub fn open01(bits: u64) -> f64 {
    ((bits >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_ids() {
        let first = |seed, purpose, ids: &[u64]| Stream::new(seed, purpose, ids).bits();
        let base = first(1, "a", &[2]);
        assert_eq!(base, first(1, "a", &[2]));
        assert_ne!(base, first(2, "a", &[2]));
        assert_ne!(base, first(1, "b", &[2]));
        assert_ne!(base, first(1, "a", &[3]));
    }

    #[test]
    fn below_is_fair_and_in_range() {
        let mut stream = Stream::new(1, "test", &[]);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (9_600..10_400).contains(&count)), "{counts:?}");
    }

    #[test]
    fn open01_never_touches_its_ends() {
        assert!(open01(0) > 0.0);
        assert!(open01(u64::MAX) < 1.0);
    }

    #[test]
    fn exponential_has_mean_one() {
        let mut stream = Stream::new(1, "test", &[]);
        let mean = (0..100_000).map(|_| stream.exponential()).sum::<f64>() / 100_000.0;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }
}
