//! Intervals and tests. Special functions are those of `puruspe`.

#![allow(clippy::disallowed_methods, reason = "statistics of results decide no run")]

use std::fmt;

/// How sure intervals are of covering, and how rarely a test rejects what is true.
const RISK: f64 = 0.001;

/// A mean of independent runs, with the half width of its interval.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    pub mean: f64,
    pub half: f64,
}

impl Mean {
    /// Student's interval. One value a run: what happens within a run is correlated.
    pub fn of(runs: &[f64]) -> Self {
        assert!(runs.len() >= 3, "no interval from {} runs", runs.len());
        let count = runs.len() as f64;
        let mean = runs.iter().sum::<f64>() / count;
        let variance = runs.iter().map(|run| (run - mean) * (run - mean)).sum::<f64>() / (count - 1.0);
        Self { mean, half: student(count - 1.0) * (variance / count).sqrt() }
    }

    /// Whether the interval covers a value.
    pub fn covers(self, value: f64) -> bool {
        (self.mean - value).abs() <= self.half
    }

    /// That the interval covers a value, and is narrow enough for this to say something.
    #[track_caller]
    pub fn agrees(self, value: f64, at_most: f64, what: &str) {
        assert!(self.covers(value), "{what}: {self} does not cover {value}");
        assert!(self.half <= at_most, "{what}: {self} says too little: {at_most} was wanted");
    }
}

impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ± {}", digits(self.mean), digits(self.half))
    }
}

/// A number with four significant digits.
pub fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let decimals = (3 - value.abs().log10().floor() as i32).clamp(0, 8) as usize;
    format!("{value:.decimals$}")
}

/// The quantile of Student's distribution that |t| exceeds with probability [`RISK`].
fn student(freedom: f64) -> f64 {
    let x = puruspe::invbetai(RISK, freedom / 2.0, 0.5);
    (freedom * (1.0 - x) / x).sqrt()
}

/// The score interval of Wilson for a probability, from independent trials.
pub fn proportion(hits: u64, of: u64) -> (f64, f64) {
    let (count, z) = (of as f64, student(1e9));
    let share = hits as f64 / count;
    let scale = 1.0 + z * z / count;
    let middle = (share + z * z / (2.0 * count)) / scale;
    let half = z / scale * (share * (1.0 - share) / count + z * z / (4.0 * count * count)).sqrt();
    (middle - half, middle + half)
}

/// The probability that a standard normal variable is below `z`.
pub fn normal(z: f64) -> f64 {
    0.5 * puruspe::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// The test of Kolmogorov and Smirnov of independent values against a continuous distribution function.
#[derive(Clone, Copy, Debug)]
pub struct Kolmogorov {
    pub count: usize,
    /// The largest distance between the two distribution functions.
    pub distance: f64,
    /// What it exceeds with probability [`RISK`] if the distribution is right.
    pub critical: f64,
}

impl Kolmogorov {
    pub fn of(mut values: Vec<f64>, distribution: impl Fn(f64) -> f64) -> Self {
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let distance = |(index, &value): (usize, &f64)| {
            let expected = distribution(value);
            let (below, above) = (index as f64 / count, (index + 1) as f64 / count);
            (expected - below).max(above - expected)
        };
        let distance = values.iter().enumerate().map(distance).fold(0.0, f64::max);
        // Stephens 1970: the limit distribution, corrected for the number of values.
        let limit = (-0.5 * (RISK / 2.0).ln()).sqrt();
        let critical = limit / (count.sqrt() + 0.12 + 0.11 / count.sqrt());
        Self { count: values.len(), distance, critical }
    }

    #[track_caller]
    pub fn agrees(self, at_least: usize, what: &str) {
        assert!(self.count >= at_least, "{what}: {} values say too little", self.count);
        assert!(self.distance <= self.critical, "{what}: {self}");
    }
}

impl fmt::Display for Kolmogorov {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "D = {:.5}, {:.5} at 0.1 %, of {}", self.distance, self.critical, self.count)
    }
}

#[test]
fn quantiles_are_those_of_the_tables() {
    // Two-sided 99.9 %.
    for (freedom, quantile) in [(2.0, 31.599), (9.0, 4.7809), (29.0, 3.6594), (1e6, 3.2905)] {
        assert!((student(freedom) / quantile - 1.0).abs() < 1e-4, "{freedom}: {}", student(freedom));
    }
    // At its ends, what was seen is as many standard deviations off as the risk allows.
    for (hits, of) in [(10, 100), (300_000, 1_000_000), (0, 50)] {
        let (low, high) = proportion(hits, of);
        let off = |p: f64| (hits as f64 - of as f64 * p).abs() / (of as f64 * p * (1.0 - p)).sqrt();
        assert!((off(high) - 3.2905).abs() < 1e-3, "{low} {high}");
        assert!(if hits > 0 { (off(low) - 3.2905).abs() < 1e-3 } else { low.abs() < 1e-12 }, "{low} {high}");
    }
    assert!((normal(1.959_963_985) - 0.975).abs() < 1e-9);
}

#[test]
fn the_test_of_kolmogorov_tells_right_from_wrong() {
    let mut stream = firedrill::rng::Stream::new(1, "test of a test", &[]);
    let draws: Vec<f64> = (0..5_000).map(|_| stream.open01()).collect();
    Kolmogorov::of(draws.clone(), |x| x).agrees(5_000, "uniform");
    let wrong = Kolmogorov::of(draws, |x| x.powf(1.1));
    assert!(wrong.distance > wrong.critical, "{wrong}");
}
