//! Distributions, by inversion: each sampler maps a uniform number of the open interval (0, 1) to a value.
//!
//! One uniform number makes one value, and a larger one a larger value, so runs that differ only in a
//! parameter stay comparable draw by draw. [`Zipf`] alone may reject a number and take another.
//!
//! Values come in the unit of the parameter that has one: a mean, a scale, a median.

use super::Stream;
use crate::time::Duration;

/// Exponential with mean 1.
///
/// The logarithm is of the upper tail, 1 - u, so that a larger `u` gives a larger value.
pub fn exponential(u: f64) -> f64 {
    -libm::log1p(-u)
}

/// Weibull. A shape below 1 has many short and a few very long times, as failures of machines have; 1 is
/// the exponential distribution with mean `scale`. A share of 1 - 1/e lies below `scale`.
pub fn weibull(u: f64, shape: f64, scale: f64) -> f64 {
    scale * libm::pow(exponential(u), 1.0 / shape)
}

/// Lognormal: its logarithm is normal with standard deviation `sigma`. Half lies below `median`.
pub fn lognormal(u: f64, median: f64, sigma: f64) -> f64 {
    median * libm::exp(sigma * normal(u))
}

/// The standard normal quantile, with a relative error of about 1e-16.
///
/// M. J. Wichura, Algorithm AS 241: The percentage points of the normal distribution, Applied Statistics
/// 37 (1988), routine PPND16.
pub fn normal(u: f64) -> f64 {
    let from_middle = u - 0.5;
    if from_middle.abs() <= 0.425 {
        let r = 0.180_625 - from_middle * from_middle;
        return from_middle * polynomial(r, &ppnd16::MIDDLE_ABOVE) / polynomial(r, &ppnd16::MIDDLE_BELOW);
    }
    let tail = if from_middle < 0.0 { u } else { 1.0 - u };
    let r = (-libm::log(tail)).sqrt();
    let distance = if r <= 5.0 {
        polynomial(r - 1.6, &ppnd16::TAIL_ABOVE) / polynomial(r - 1.6, &ppnd16::TAIL_BELOW)
    } else {
        polynomial(r - 5.0, &ppnd16::FAR_ABOVE) / polynomial(r - 5.0, &ppnd16::FAR_BELOW)
    };
    if from_middle < 0.0 { -distance } else { distance }
}

/// The coefficients of PPND16: numerators and denominators for the middle, the tails and the far tails.
#[expect(clippy::excessive_precision, reason = "the digits as they were published")]
mod ppnd16 {
    pub const MIDDLE_ABOVE: [f64; 8] = [
        3.387_132_872_796_366_608,
        133.141_667_891_784_377_45,
        1_971.590_950_306_551_442_7,
        13_731.693_765_509_461_125,
        45_921.953_931_549_871_457,
        67_265.770_927_008_700_853,
        33_430.575_583_588_128_105,
        2_509.080_928_730_122_672_7,
    ];
    pub const MIDDLE_BELOW: [f64; 8] = [
        1.0,
        42.313_330_701_600_911_252,
        687.187_007_492_057_908_3,
        5_394.196_021_424_751_107_7,
        21_213.794_301_586_595_867,
        39_307.895_800_092_710_61,
        28_729.085_735_721_942_674,
        5_226.495_278_852_854_561,
    ];
    pub const TAIL_ABOVE: [f64; 8] = [
        1.423_437_110_749_683_577_34,
        4.630_337_846_156_545_295_9,
        5.769_497_221_460_691_405_5,
        3.647_848_324_763_204_605_04,
        1.270_458_252_452_368_382_58,
        0.241_780_725_177_450_611_77,
        0.022_723_844_989_269_184_583_3,
        7.745_450_142_783_414_076_4e-4,
    ];
    pub const TAIL_BELOW: [f64; 8] = [
        1.0,
        2.053_191_626_637_758_821_87,
        1.676_384_830_183_803_849_4,
        0.689_767_334_985_100_004_55,
        0.148_103_976_427_480_074_59,
        0.015_198_666_563_616_457_196_6,
        5.475_938_084_995_344_946e-4,
        1.050_750_071_644_416_843_24e-9,
    ];
    pub const FAR_ABOVE: [f64; 8] = [
        6.657_904_643_501_103_777_2,
        5.463_784_911_164_114_369_9,
        1.784_826_539_917_291_335_8,
        0.296_560_571_828_504_891_23,
        0.026_532_189_526_576_123_093,
        0.001_242_660_947_388_078_438_6,
        2.711_555_568_743_487_578_15e-5,
        2.010_334_399_292_288_132_65e-7,
    ];
    pub const FAR_BELOW: [f64; 8] = [
        1.0,
        0.599_832_206_555_887_937_69,
        0.136_929_880_922_735_805_31,
        0.014_875_361_290_850_614_852_5,
        7.868_691_311_456_132_591e-4,
        1.846_318_317_510_054_681_8e-5,
        1.421_511_758_316_445_888_7e-7,
        2.044_263_103_389_939_785_64e-15,
    ];
}

/// Horner's rule; the constant term comes first.
fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// A duration times a drawn factor, rounded down to a nanosecond and kept in range: the way from a drawn
/// float to simulated time. A factor below zero, or that is no number, gives zero.
pub fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::from_nanos((duration.as_nanos() as f64 * factor) as u64)
}

/// Popularity of keys: the key of rank r (from 1) is drawn in proportion to r^-skew.
///
/// Rejection-inversion needs no table, so a draw costs the same for ten keys and for a thousand million:
/// W. Hörmann and G. Derflinger, Rejection-inversion to generate variates from monotone discrete
/// distributions, ACM Transactions on Modeling and Computer Simulation 6 (1996). The sum of the weights is
/// enclosed by the integral of x^-skew, which can be inverted; few draws fall between the two.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    keys: u32,
    skew: f64,
    /// The integral at the left end, where rank 1 has exactly its weight of 1.
    from: f64,
    /// The integral at `keys` + 1/2.
    to: f64,
    /// Closer than this below its rank a point is accepted without a further look.
    surely: f64,
}

impl Zipf {
    /// `keys` must not be zero, and `skew` be finite and not negative. Skew 0 is uniform; 0.99 is what
    /// benchmarks of key-value stores use.
    pub fn new(keys: u32, skew: f64) -> Self {
        assert!(keys > 0, "no key to draw");
        assert!(skew.is_finite() && skew >= 0.0, "a skew is a finite number from 0 on, not {skew}");
        let mut zipf = Self { keys, skew, from: 0.0, to: 0.0, surely: 0.0 };
        zipf.from = zipf.integral(1.5) - 1.0;
        zipf.to = zipf.integral(f64::from(keys) + 0.5);
        zipf.surely = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    /// A key in `0..keys`; 0 is the most popular.
    pub fn draw(&self, stream: &mut Stream) -> u32 {
        if self.skew == 0.0 {
            return stream.below(u64::from(self.keys)) as u32;
        }
        loop {
            let area = self.to + stream.open01() * (self.from - self.to);
            let x = self.inverse(area);
            let rank = (x + 0.5).floor().clamp(1.0, f64::from(self.keys));
            if rank - x <= self.surely || area >= self.integral(rank + 0.5) - self.weight(rank) {
                return rank as u32 - 1;
            }
        }
    }

    fn weight(&self, x: f64) -> f64 {
        libm::exp(-self.skew * libm::log(x))
    }

    /// The integral of x^-skew from 1, without loss of digits around skew 1, where it becomes a logarithm.
    fn integral(&self, x: f64) -> f64 {
        let log = libm::log(x);
        let t = (1.0 - self.skew) * log;
        let quotient = if t == 0.0 { 1.0 } else { libm::expm1(t) / t };
        quotient * log
    }

    fn inverse(&self, area: f64) -> f64 {
        // Rounding must not take the argument of the logarithm below its range.
        let t = (area * (1.0 - self.skew)).max(-1.0);
        let quotient = if t == 0.0 { 1.0 } else { libm::log1p(t) / t };
        libm::exp(quotient * area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard normal quantile of the exact value of each float, from a series in 120 digits.
    const QUANTILES: [(f64, f64); 14] = [
        (0.5, 0.0),
        (0.6, 0.2533471031357997),
        (0.75, 0.6744897501960817),
        (0.925, 1.4395314709384561),
        (0.95, 1.6448536269514722),
        (0.975, 1.9599639845400538),
        (0.9999, 3.7190164854557084),
        (0.1, -1.2815515655446004),
        (0.001, -3.0902323061678136),
        (1e-6, -4.753424308822899),
        (1e-10, -6.361340902404057),
        (1e-11, -6.706023155495136),
        (1e-12, -7.034483825301132),
        (1e-15, -7.941345326170997),
    ];

    #[test]
    fn normal_quantiles_agree_with_the_tables() {
        for (u, quantile) in QUANTILES {
            assert!((normal(u) - quantile).abs() <= 2e-15 * quantile.abs(), "{u}: {} not {quantile}", normal(u));
        }
        for u in [0.6, 0.95, 0.9995] {
            assert!((normal(u) + normal(1.0 - u)).abs() < 1e-12);
        }
        assert!(normal(super::super::open01(0)) > -9.0 && normal(super::super::open01(u64::MAX)) < 9.0);
    }

    #[test]
    fn the_normal_quantile_undoes_the_distribution() {
        for step in -320..=320 {
            let x = f64::from(step) / 40.0;
            let u = libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0;
            // Near 1 a float cannot tell neighbouring tails apart.
            let tolerance = if x < 5.0 { 1e-9 } else { 0.1 };
            assert!((normal(u.min(1.0 - f64::EPSILON / 2.0)) - x).abs() < tolerance, "{x}");
        }
    }

    #[test]
    fn samplers_meet_their_quantiles() {
        assert_eq!(exponential(0.5), std::f64::consts::LN_2);
        let below_scale = 1.0 - 1.0 / std::f64::consts::E;
        for shape in [0.5, 0.7, 1.0, 3.0] {
            assert!((weibull(below_scale, shape, 3_300.0) - 3_300.0).abs() < 1e-9);
            let median = 3_300.0 * libm::pow(std::f64::consts::LN_2, 1.0 / shape);
            assert!((weibull(0.5, shape, 3_300.0) - median).abs() < 1e-9);
        }
        assert_eq!(lognormal(0.5, 3_600.0, 1.41), 3_600.0);
        let one_sigma = libm::erfc(-std::f64::consts::FRAC_1_SQRT_2) / 2.0;
        assert!((lognormal(one_sigma, 3_600.0, 1.41) / 3_600.0 - libm::exp(1.41)).abs() < 1e-12);
    }

    #[test]
    fn the_ends_of_the_uniform_interval_give_finite_values() {
        for u in [super::super::open01(0), super::super::open01(u64::MAX)] {
            assert!(exponential(u) > 0.0 && exponential(u) < 40.0);
            assert!(weibull(u, 0.7, 1.0).is_finite() && lognormal(u, 1.0, 2.0).is_finite());
        }
    }

    #[test]
    fn a_drawn_factor_never_leaves_the_range_of_time() {
        let second = Duration::from_secs(1);
        assert_eq!(scaled(second, 0.25), Duration::from_millis(250));
        assert_eq!(scaled(second, -1.0), Duration::ZERO);
        assert_eq!(scaled(second, f64::NAN), Duration::ZERO);
        assert_eq!(scaled(second, f64::INFINITY), Duration::MAX);
    }

    /// Counts of the first eight keys in 200,000 draws lie within five standard deviations.
    fn meets_its_weights(keys: u32, skew: f64) {
        const DRAWS: u32 = 200_000;
        let zipf = Zipf::new(keys, skew);
        let mut stream = Stream::new(1, "zipf test", &[]);
        let mut counts = vec![0u32; keys as usize];
        for _ in 0..DRAWS {
            counts[zipf.draw(&mut stream) as usize] += 1;
        }
        let weight = |rank: u32| libm::pow(f64::from(rank), -skew);
        let total: f64 = (1..=keys).map(weight).sum();
        let mut ranges = vec![(1, 2), (2, 3), (3, 4), (4, 6), (6, 11), (11, 101), (101, 1_001), (1_001, keys + 1)];
        ranges.retain(|&(from, to)| from < to && to <= keys + 1);
        for (from, to) in ranges {
            let share = (from..to).map(weight).sum::<f64>() / total;
            let expected = share * f64::from(DRAWS);
            let deviation = (expected * (1.0 - share)).sqrt();
            let count: u32 = counts[from as usize - 1..to as usize - 1].iter().sum();
            let off = (f64::from(count) - expected).abs();
            assert!(off <= 5.0 * deviation + 1e-6, "ranks {from}..{to} of {keys} at {skew}: {count}, not {expected}");
        }
    }

    #[test]
    fn zipf_draws_keys_by_their_weights() {
        for skew in [0.0, 0.5, 0.99, 1.0, 1.0 + 1e-9, 1.5, 3.0, 40.0] {
            for keys in [1, 2, 10, 1_000, 100_000] {
                meets_its_weights(keys, skew);
            }
        }
    }

    #[test]
    fn zipf_reaches_the_last_of_very_many_keys() {
        let zipf = Zipf::new(u32::MAX, 0.1);
        let mut stream = Stream::new(1, "zipf test", &[]);
        let largest = (0..10_000).map(|_| zipf.draw(&mut stream)).max();
        assert!(largest > Some(u32::MAX / 1_000 * 999), "{largest:?}");
    }
}
