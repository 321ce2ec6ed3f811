//! The rate of arrivals as a function of time, and a bound on it for thinning.

use crate::id::DcId;
use crate::time::{Duration, SimTime};

use super::{Load, Profile, Surge};

/// Bounds are raised by this factor, so that rounding in the last digit never makes a rate exceed one.
const SLACK: f64 = 1.000_001;
/// Half-lives after which the tail of a flash crowd shares one bound.
const TAIL_STEPS: u64 = 12;

/// The rate of one load at one place.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// Requests a second at factor 1.
    rate: f64,
    profile: Profile,
    /// How far local time, since the beginning of a week of seven periods, is ahead of the run's, in nanoseconds.
    shift: u128,
    /// Those of this place.
    surges: Vec<Surge>,
    /// (first instant, bound in requests a second), ascending; each holds up to the next.
    bounds: Vec<(SimTime, f64)>,
}

impl Curve {
    /// `longitude` is that of the place, in degrees, east positive.
    pub(super) fn new(load: &Load, place: DcId, longitude: f64) -> Self {
        let mut curve = Self {
            rate: load.rate_at(place),
            shift: shift(&load.profile, longitude),
            profile: load.profile.clone(),
            surges: load.surges.iter().filter(|surge| surge.from.contains(&place)).cloned().collect(),
            bounds: Vec::new(),
        };
        let starts = curve.turning_points();
        for (index, &from) in starts.iter().enumerate() {
            let last = starts.get(index + 1).map_or(SimTime::MAX, |&next| next - Duration::from_nanos(1));
            let surges: f64 = curve.surges.iter().map(|surge| surge.factor(from).max(surge.factor(last))).product();
            let bound = curve.rate * curve.profile_bound(from, last) * surges * SLACK;
            curve.bounds.push((from, bound));
        }
        curve
    }

    /// Requests a second at an instant.
    pub(super) fn rate(&self, at: SimTime) -> f64 {
        let surges: f64 = self.surges.iter().map(|surge| surge.factor(at)).product();
        self.rate * self.profile_factor(at) * surges
    }

    /// A number of requests a second that [`Self::rate`] does not exceed from `at` until the returned instant.
    pub(super) fn bound(&self, at: SimTime) -> (f64, SimTime) {
        let next = self.bounds.partition_point(|&(from, _)| from <= at);
        (self.bounds[next - 1].1, self.bounds.get(next).map_or(SimTime::MAX, |&(from, _)| from))
    }

    /// Instants between which every surge, and a flash crowd, only rises or only falls.
    fn turning_points(&self) -> Vec<SimTime> {
        let mut points = vec![SimTime::ZERO];
        for surge in &self.surges {
            points.extend([surge.at, surge.at + surge.ramp]);
            if let Some(lasts) = surge.lasts {
                points.extend([surge.at + lasts, surge.at + lasts + surge.ramp]);
            }
        }
        if let Profile::FlashCrowd { at, rise, hold, half_life, .. } = self.profile {
            points.extend([at, at + rise]);
            points.extend((0..TAIL_STEPS).map(|step| at + rise + hold + half_life.saturating_mul(step)));
        }
        points.sort_unstable();
        points.dedup();
        points
    }

    fn profile_factor(&self, at: SimTime) -> f64 {
        match &self.profile {
            Profile::Constant => 1.0,
            &Profile::Diurnal { period, ref hours, weekend, .. } => {
                let period = u128::from(period.as_nanos());
                let local = u128::from(at.as_nanos()) + self.shift;
                let into = local % period;
                let hour = (into * 24 / period) as usize;
                let part = ((into * 24 % period) as f64) / period as f64;
                let day = (local / period % 7) as usize;
                let factor = |hour: usize| {
                    let rests = (day + hour / 24) % 7 >= 5;
                    hours[hour % 24] * if rests { weekend } else { 1.0 }
                };
                factor(hour) + (factor(hour + 1) - factor(hour)) * part
            }
            &Profile::FlashCrowd { at: begin, rise, hold, factor, half_life } => {
                let top = begin + rise;
                let end = top + hold;
                if at < begin {
                    1.0
                } else if at < top {
                    1.0 + (factor - 1.0) * ratio(at.since(begin), rise)
                } else if at < end {
                    factor
                } else if half_life.is_zero() {
                    1.0
                } else {
                    1.0 + (factor - 1.0) * libm::exp2(-ratio(at.since(end), half_life))
                }
            }
        }
    }

    fn profile_bound(&self, from: SimTime, last: SimTime) -> f64 {
        match &self.profile {
            Profile::Constant => 1.0,
            Profile::Diurnal { hours, weekend, .. } => hours.iter().copied().fold(0.0, f64::max) * weekend.max(1.0),
            Profile::FlashCrowd { .. } => self.profile_factor(from).max(self.profile_factor(last)),
        }
    }
}

impl Surge {
    /// What the surge multiplies the rate by: 1 outside of it.
    pub(super) fn factor(&self, at: SimTime) -> f64 {
        if at < self.at {
            return 1.0;
        }
        let end = self.lasts.map_or(SimTime::MAX, |lasts| self.at + lasts);
        let up = ramp(at.min(end).since(self.at), self.ramp);
        // One that ends before its ramp did falls back as steeply as it rose.
        let down = if at < end { 0.0 } else { ramp(at.since(end), self.ramp) };
        1.0 + (self.factor - 1.0) * (up - down).max(0.0)
    }
}

/// The part of a ramp that is done: 0 to 1. A ramp without length is done at once.
fn ramp(passed: Duration, length: Duration) -> f64 {
    if passed >= length { 1.0 } else { ratio(passed, length) }
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    part.as_nanos() as f64 / whole.as_nanos() as f64
}

/// Where in its week a place is when the run starts: the profile's own start, and if it is shifted, an
/// hour (a 24th of the period) for each 15 degrees east.
fn shift(profile: &Profile, longitude: f64) -> u128 {
    let &Profile::Diurnal { period, shifted, start, .. } = profile else { return 0 };
    let period = period.as_nanos();
    assert!(period > 0, "a day has a length");
    let turn = if shifted { longitude / 360.0 } else { 0.0 };
    let turn = turn - libm::floor(turn);
    let east = u128::from((turn * period as f64) as u64);
    // In the west it is the day before: six days of a week further on.
    let days = if shifted && longitude < 0.0 { 6 } else { 0 };
    let period = u128::from(period);
    (u128::from(start.as_nanos()) + east + days * period) % (7 * period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ServiceId;
    use crate::rng::Stream;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + Duration::from_secs(seconds)
    }

    fn curve(profile: Profile, surges: Vec<Surge>, longitude: f64) -> Curve {
        Curve::new(&load(profile, surges), DcId(0), longitude)
    }

    fn load(profile: Profile, surges: Vec<Surge>) -> Load {
        Load {
            service: ServiceId(0),
            from: vec![DcId(0)],
            rate: 10.0,
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
        }
    }

    fn surge(begin: u64, lasts: Option<u64>, ramp: u64, factor: f64) -> Surge {
        let lasts = lasts.map(Duration::from_secs);
        Surge { from: vec![DcId(0)], at: at(begin), lasts, factor, ramp: Duration::from_secs(ramp) }
    }

    fn day(shifted: bool, start: Duration) -> Profile {
        let mut hours = [1.0; 24];
        hours[6] = 3.0;
        Profile::Diurnal { period: Duration::from_secs(24 * 3600), hours, shifted, start, weekend: 1.0 }
    }

    #[test]
    fn a_surge_ramps_up_and_back() {
        let curve = curve(Profile::Constant, vec![surge(10, Some(20), 10, 5.0)], 0.0);
        let rates: Vec<f64> = [9, 10, 15, 20, 29, 30, 35, 40, 50].into_iter().map(|s| curve.rate(at(s))).collect();
        assert_eq!(rates, [10.0, 10.0, 30.0, 50.0, 50.0, 50.0, 30.0, 10.0, 10.0]);
    }

    #[test]
    fn a_surge_shorter_than_its_ramp_turns_back_half_way() {
        let surge = surge(0, Some(5), 10, 3.0);
        assert_eq!(surge.factor(at(5)), 2.0);
        assert_eq!(surge.factor(at(8)), 1.4);
        assert_eq!(surge.factor(at(10)), 1.0);
    }

    #[test]
    fn surges_multiply_and_steps_are_instant() {
        let curve = curve(Profile::Constant, vec![surge(1, None, 0, 2.0), surge(2, Some(1), 0, 0.0)], 0.0);
        let rates: Vec<f64> = (0..5).map(|s| curve.rate(at(s))).collect();
        assert_eq!(rates, [10.0, 20.0, 0.0, 20.0, 20.0]);
    }

    #[test]
    fn a_day_is_linear_between_its_hours_and_repeats() {
        let plain = curve(day(false, Duration::ZERO), vec![], 90.0);
        let factors = |curve: &Curve, hours: [u64; 4]| hours.map(|half| curve.rate(at(half * 1800)) / 10.0);
        assert_eq!(factors(&plain, [10, 11, 12, 13]), [1.0, 2.0, 3.0, 2.0]);
        assert_eq!(factors(&plain, [58, 59, 60, 61]), [1.0, 2.0, 3.0, 2.0]);
        let started = curve(day(false, Duration::from_secs(5 * 3600)), vec![], 90.0);
        assert_eq!(factors(&started, [0, 1, 2, 3]), [1.0, 2.0, 3.0, 2.0]);
    }

    #[test]
    fn the_sun_rises_in_the_east() {
        let east = curve(day(true, Duration::ZERO), vec![], 90.0);
        assert_eq!(east.rate(at(0)), 30.0, "90 degrees east it is six o'clock at the start");
        let west = curve(day(true, Duration::ZERO), vec![], -90.0);
        assert_eq!(west.rate(at(12 * 3600)), 30.0, "90 degrees west it is six twelve hours later");
    }

    #[test]
    fn a_weekend_begins_and_ends_at_midnight_of_the_place() {
        let friday_noon = Duration::from_secs((4 * 24 + 12) * 3600);
        let week = |longitude| {
            let Profile::Diurnal { period, hours, start, .. } = day(true, friday_noon) else { unreachable!("a day") };
            curve(Profile::Diurnal { period, hours, shifted: true, start, weekend: 0.5 }, vec![], longitude)
        };
        let rates = |longitude, halves: [u64; 4]| halves.map(|half| week(longitude).rate(at(half * 1800)));
        assert_eq!(rates(0.0, [0, 22, 23, 24]), [10.0, 10.0, 7.5, 5.0], "Saturday begins");
        assert_eq!(rates(0.0, [36, 118, 119, 120]), [15.0, 5.0, 7.5, 10.0], "Saturday at six; Monday begins");
        assert_eq!(rates(0.0, [456, 0, 672, 360]), [10.0, 10.0, 10.0, 5.0], "as it was a week ago");
        assert_eq!(rates(90.0, [11, 12, 108, 132]), [7.5, 5.0, 10.0, 10.0], "six hours earlier in the east");
        assert_eq!(rates(-90.0, [34, 35, 36, 132]), [10.0, 7.5, 5.0, 10.0], "six hours later in the west");
    }

    #[test]
    fn places_have_weights() {
        let load = Load { from: vec![DcId(0), DcId(3)], weights: vec![2.0, 0.25], ..load(Profile::Constant, vec![]) };
        assert_eq!(Curve::new(&load, DcId(0), 0.0).rate(at(1)), 20.0);
        assert_eq!(Curve::new(&load, DcId(3), 0.0).rate(at(1)), 2.5);
        assert_eq!(Curve::new(&load, DcId(3), 0.0).bound(at(1)).0, 2.5 * SLACK);
    }

    #[test]
    fn a_flash_crowd_rises_holds_and_halves() {
        let seconds = Duration::from_secs;
        let crowd = Profile::FlashCrowd {
            at: at(10),
            rise: seconds(10),
            hold: seconds(10),
            factor: 9.0,
            half_life: seconds(5),
        };
        let curve = curve(crowd, vec![], 0.0);
        let rates: Vec<f64> = [0, 10, 15, 20, 30, 35, 40].into_iter().map(|s| curve.rate(at(s))).collect();
        assert_eq!(rates, [10.0, 10.0, 50.0, 90.0, 90.0, 50.0, 30.0]);
    }

    #[test]
    fn no_rate_exceeds_its_bound() {
        let mut stream = Stream::new(1, "profile test", &[]);
        for round in 0..300 {
            let mut seconds = |most| Duration::from_secs(stream.below(most));
            let profile = match round % 3 {
                0 => Profile::Constant,
                1 => day(true, seconds(80_000)),
                _ => Profile::FlashCrowd {
                    at: SimTime::ZERO + seconds(50),
                    rise: seconds(3) + seconds(20),
                    hold: seconds(20),
                    factor: 18.0,
                    half_life: seconds(9),
                },
            };
            let surges = (0..4)
                .map(|_| surge(stream.below(90), Some(stream.below(30)), stream.below(12), 4.0 * stream.open01()));
            let curve = curve(profile, surges.collect(), 33.0);
            let mut tight = 0.0f64;
            for _ in 0..200 {
                let now = SimTime::from_nanos(stream.below(200_000_000_000));
                let (bound, until) = curve.bound(now);
                assert!(curve.rate(now) <= bound && now < until, "{curve:?} at {now:?}");
                tight = tight.max(curve.rate(now) / bound);
            }
            assert!(tight > 0.2, "a useful bound is not far above the rate: {tight}, {curve:?}");
        }
    }
}
