//! When requests arrive: an inhomogeneous Poisson process at each place, by thinning.

use crate::rng::Stream;
use crate::time::{Duration, SimTime};

use super::profile::Curve;

/// The arrivals of one load at one place. They depend on the seed and the load alone, never on answers.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    stream: Stream,
    curve: Curve,
    now: SimTime,
    end: SimTime,
}

impl Arrivals {
    /// Arrivals from `start` up to, and without, `end`. `load` and `place` name the stream.
    pub(super) fn new(curve: Curve, start: SimTime, end: SimTime, seed: u64, load: u64, place: u64) -> Self {
        Self { stream: Stream::new(seed, "arrival", &[load, place]), curve, now: start, end }
    }

    /// The next arrival, or none before the end.
    ///
    /// Candidates come at the rate of the bound, and each is kept with the probability rate / bound
    /// (Lewis and Shedler 1979). The bound is constant in pieces: the unit exponential until the next
    /// candidate is spent piece by piece.
    pub(super) fn next(&mut self) -> Option<SimTime> {
        loop {
            let mut wait = self.stream.exponential();
            let bound = loop {
                let (bound, until) = self.curve.bound(self.now);
                let piece = until.min(self.end).since(self.now).as_secs_f64() * bound;
                if wait < piece {
                    break bound;
                }
                if until >= self.end {
                    self.now = self.end;
                    return None;
                }
                wait -= piece;
                self.now = until;
            };
            self.now = self.now + Duration::from_nanos((wait / bound * 1e9 + 0.5) as u64);
            let rate = self.curve.rate(self.now);
            if self.stream.open01() * bound < rate && self.now < self.end {
                return Some(self.now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{DcId, ServiceId};
    use crate::workload::{Load, Profile, Surge};

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + Duration::from_secs(seconds)
    }

    fn arrivals(rate: f64, profile: Profile, surges: Vec<Surge>, seed: u64) -> Vec<SimTime> {
        let load = Load {
            service: ServiceId(0),
            from: vec![DcId(0)],
            rate,
            weights: vec![],
            reads_nearest: false,
            reads: 0.5,
            appends: 0.0,
            swaps: 0.0,
            keys: 1,
            skew: 0.0,
            value_bytes: 1,
            deadline: Duration::from_secs(1),
            clients: 1,
            attempt_timeout: Duration::from_millis(400),
            profile,
            surges,
        };
        let curve = Curve::new(&load, DcId(0), 0.0);
        let mut arrivals = Arrivals::new(curve, SimTime::ZERO, at(1_000), seed, 0, 0);
        std::iter::from_fn(|| arrivals.next()).collect()
    }

    fn between(times: &[SimTime], from: u64, to: u64) -> f64 {
        times.iter().filter(|&&time| time >= at(from) && time < at(to)).count() as f64
    }

    /// Within five standard deviations of a Poisson count.
    fn near(count: f64, mean: f64) -> bool {
        (count - mean).abs() < 5.0 * libm::sqrt(mean)
    }

    #[test]
    fn a_constant_rate_gives_poisson_counts() {
        let times = arrivals(50.0, Profile::Constant, vec![], 1);
        assert!(near(times.len() as f64, 50_000.0), "{}", times.len());
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
        // Counts of a second have a variance equal to their mean: neither regular nor clustered.
        let counts: Vec<f64> = (0..1_000).map(|second| between(&times, second, second + 1)).collect();
        let variance = counts.iter().map(|count| (count - 50.0) * (count - 50.0)).sum::<f64>() / 1_000.0;
        assert!((40.0..60.0).contains(&variance), "{variance}");
    }

    #[test]
    fn counts_follow_surges_and_flash_crowds() {
        let surge = |factor, begin, lasts| Surge {
            from: vec![DcId(0)],
            at: at(begin),
            lasts: Some(Duration::from_secs(lasts)),
            factor,
            ramp: Duration::from_secs(100),
        };
        let surges = vec![surge(8.0, 100, 300), surge(0.0, 800, 200)];
        let times = arrivals(20.0, Profile::Constant, surges, 2);
        assert!(near(between(&times, 0, 100), 2_000.0));
        assert!(near(between(&times, 100, 200), 100.0 * 20.0 * 4.5), "half way up on average");
        assert!(near(between(&times, 200, 400), 200.0 * 20.0 * 8.0));
        assert!(near(between(&times, 400, 500), 100.0 * 20.0 * 4.5));
        assert!(near(between(&times, 500, 800), 300.0 * 20.0));
        assert_eq!(between(&times, 900, 1_000), 0.0, "a factor of zero silences a place");

        let crowd = Profile::FlashCrowd {
            at: at(100),
            rise: Duration::ZERO,
            hold: Duration::from_secs(100),
            factor: 5.0,
            half_life: Duration::from_secs(50),
        };
        let times = arrivals(20.0, crowd, vec![], 3);
        assert!(near(between(&times, 100, 200), 10_000.0));
        // The integral of 1 + 4 * 2^(-t/50) over 0..100 is 100 + 4 * 50 / ln 2 * (1 - 1/4).
        assert!(near(between(&times, 200, 300), 20.0 * (100.0 + 200.0 / core::f64::consts::LN_2 * 0.75)));
    }

    #[test]
    fn a_rate_cut_into_many_pieces_is_the_same_rate() {
        let tick = |second| Surge {
            from: vec![DcId(0)],
            at: at(second),
            lasts: Some(Duration::from_secs(1)),
            factor: 1.0,
            ramp: Duration::ZERO,
        };
        let times = arrivals(0.5, Profile::Constant, (0..1_000).map(tick).collect(), 4);
        assert!(near(times.len() as f64, 500.0), "{}", times.len());
    }

    #[test]
    fn no_load_and_a_seed_that_matters() {
        assert!(arrivals(0.0, Profile::Constant, vec![], 1).is_empty());
        let times = |seed| arrivals(1.0, Profile::Constant, vec![], seed);
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
    }
}
