//! Random streams keyed by what they are for.
//!
//! Each use of randomness has a stream of its own, keyed by BLAKE3(seed, purpose, ids). A new kind of
//! draw is a new stream, so it never shifts another, and every protocol meets the same disaster and the
//! same arrivals under one seed (common random numbers).
//!
//! [Samplers](sample) work by inversion with the `libm` crate, never with the platform's maths, and ranges
//! and shuffles are written out here, because those of `rand` may change between its versions. Tests fix
//! the values themselves: a change of any of them changes every result ever published.

pub mod sample;

pub use sample::Zipf;

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

    /// 64 uniform bits.
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
        sample::exponential(self.open01())
    }

    /// Normal with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        sample::normal(self.open01())
    }

    /// See [`sample::weibull`].
    pub fn weibull(&mut self, shape: f64, scale: f64) -> f64 {
        sample::weibull(self.open01(), shape, scale)
    }

    /// See [`sample::lognormal`].
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        sample::lognormal(self.open01(), median, sigma)
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

    /// Uniform in the open interval (0, 1), for the address (`a`, `b`).
    #[inline]
    pub fn open01(self, a: u64, b: u64) -> f64 {
        open01(self.bits(a, b))
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

    fn several<T, const N: usize>(mut draw: impl FnMut() -> T) -> [T; N] {
        std::array::from_fn(|_| draw())
    }

    // A change of a vector changes every result ever published: it must be on purpose.

    #[test]
    fn vectors_of_streams_are_fixed() {
        let mut stream = Stream::new(1, "vectors", &[2, 3]);
        let bits = [0xb862_69a1_3baf_aaca, 0x8cd5_5595_463f_53ed, 0xeca9_7d61_3184_faab, 0x02cd_0b18_a8e2_9370];
        assert_eq!(several(|| stream.bits()), bits);
        assert_eq!(several(|| stream.below(1_000)), [345, 657, 865, 754, 95, 536, 348, 253]);
        let wide = [1_928_099_206_400_141_114, 4_627_664_021_814_327_711, 10_899_538_758_427_290_912];
        assert_eq!(several(|| stream.below(u64::MAX / 3 * 2)), wide);
        assert_eq!(several(|| stream.open01()), [0.13119420263127035, 0.17154800348896926, 0.06956203520790527]);
        let mut order = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        stream.shuffle(&mut order);
        assert_eq!(order, [1, 3, 2, 8, 0, 4, 6, 7, 5, 9]);
    }

    #[test]
    fn vectors_of_samplers_are_fixed() {
        let mut stream = Stream::new(1, "vectors", &[4]);
        assert_eq!(several(|| stream.exponential()), [0.7268664313172848, 0.8438804494556575, 0.36800665266930666]);
        assert_eq!(several(|| stream.normal()), [0.40344627636385805, -0.6672002596109774, 0.2550530055900708]);
        let lifetimes = [0.45200719530700617, 107.79505822899479, 276.3178689545238];
        assert_eq!(several(|| stream.weibull(0.7, 3_300.0)), lifetimes);
        let repairs = [1.8254770711204205, 72.45321225604735, 4.073665472222501];
        assert_eq!(several(|| stream.lognormal(1.0, 1.41)), repairs);
        let (skewed, even) = (Zipf::new(1_000, 0.99), Zipf::new(1_000, 0.0));
        assert_eq!(several(|| stream.chance(0.5)), [true, true, true, true]);
        assert_eq!(several(|| skewed.draw(&mut stream)), [115, 27, 2, 2, 290, 0, 6, 117, 5, 22, 7, 35]);
        assert_eq!(several(|| even.draw(&mut stream)), [440, 538, 156, 236, 45, 500]);
    }

    #[test]
    fn vectors_of_draws_are_fixed() {
        let draws = Draws::new(1, "vectors", &[2, 3]);
        assert_eq!(draws.bits(0, 0), 0x9a38_906e_8963_9a9f);
        assert_eq!(draws.bits(0, 1), 0x5e62_14ff_82e0_c791);
        assert_eq!(draws.bits(1, 0), 0x9343_4abd_7e4f_5043);
        assert_eq!(draws.open01(7, 8), 0.9938381898633416);
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
