//! Loads, smoothed and foreseen.

use crate::time::Duration;

/// Time constants of the averages, in seconds.
const FAST: f64 = 10.0;
const MEDIUM: f64 = 60.0;
const SLOW: f64 = 600.0;

/// An exponentially weighted mean over time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    value: f64,
}

impl Mean {
    fn add(&mut self, sample: f64, window: f64, over: f64) {
        self.value += (sample - self.value) * window / (window + over);
    }
}

/// The load of something, with its trend.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauge {
    fast: Mean,
    medium: Mean,
    slow: Mean,
    /// Seconds that were averaged.
    seen: f64,
}

impl Gauge {
    /// A sample that held for `window`.
    pub fn add(&mut self, sample: f64, window: Duration) {
        let window = window.as_secs_f64();
        if self.seen == 0.0 {
            [&mut self.fast, &mut self.medium, &mut self.slow].into_iter().for_each(|mean| mean.value = sample);
        }
        self.seen += window;
        self.fast.add(sample, window, FAST);
        self.medium.add(sample, window, MEDIUM);
        self.slow.add(sample, window, SLOW);
    }

    /// Over the last seconds.
    pub fn now(&self) -> f64 {
        self.fast.value
    }

    /// What the trend of the last minutes leads to after `ahead`; never below what is now. An average over `t`
    /// lags a steady rise by `t`, so two averages tell its slope.
    pub fn ahead(&self, ahead: Duration) -> f64 {
        let slope = (self.medium.value - self.slow.value) / (SLOW - MEDIUM);
        let then = self.medium.value + slope.max(0.0) * (MEDIUM + ahead.as_secs_f64());
        then.max(self.fast.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_steady_load_is_foreseen_as_it_is() {
        let mut gauge = Gauge::default();
        (0..100).for_each(|_| gauge.add(0.4, SECOND));
        assert!((gauge.now() - 0.4).abs() < 1e-9 && (gauge.ahead(SECOND.saturating_mul(300)) - 0.4).abs() < 1e-9);
    }

    #[test]
    fn a_steady_rise_is_foreseen() {
        let mut gauge = Gauge::default();
        // From 0.1, by 0.6 in an hour: 0.05 in 300 s.
        (0..3_600).for_each(|second| gauge.add(0.1 + f64::from(second) / 6_000.0, SECOND));
        let foreseen = gauge.ahead(Duration::from_secs(300));
        assert!((foreseen - 0.75).abs() < 0.01, "{foreseen} of 0.75");
        assert!((gauge.now() - 0.70).abs() < 0.01);
    }

    #[test]
    fn a_fall_is_not_trusted() {
        let mut gauge = Gauge::default();
        (0..3_600).for_each(|second| gauge.add(0.7 - f64::from(second) / 6_000.0, SECOND));
        assert!(gauge.ahead(Duration::from_secs(3_600)) >= gauge.now());
    }
}
