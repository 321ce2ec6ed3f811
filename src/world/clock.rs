//! The clocks of a node.
//!
//! The monotonic clock starts each incarnation at an arbitrary reading, so that a protocol which compares
//! readings across a restart, or between nodes, fails here and not in production. The wall clock starts
//! true, at zero, and is what drift and jumps lead away from the truth.
//!
//! Drift applies to timers too: one of local duration `d` fires when the local clock has advanced by `d`.
//! A timer that is armed when the drift changes keeps its deadline.

use crate::time::{Duration, LocalTime, SimTime};

/// Parts in a whole: rates are counted in parts per billion (1 ppm is 1000 of them).
const BILLION: i128 = 1_000_000_000;

#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// When both readings below were taken. Drift counts from here.
    since: SimTime,
    monotonic: u64,
    wall: i64,
    drift_ppb: i64,
}

impl Clock {
    pub fn new() -> Self {
        Self { since: SimTime::ZERO, monotonic: 0, wall: 0, drift_ppb: 0 }
    }

    /// Nanoseconds that this clock has advanced since `since`, rounded down.
    fn advanced(&self, at: SimTime) -> i64 {
        let passed = at.since(self.since).as_nanos() as i64;
        if self.drift_ppb == 0 {
            return passed;
        }
        (i128::from(passed) * (BILLION + i128::from(self.drift_ppb))).div_euclid(BILLION) as i64
    }

    /// The reading of the monotonic clock.
    #[inline]
    pub fn local(&self, at: SimTime) -> LocalTime {
        LocalTime::from_nanos(self.monotonic.saturating_add_signed(self.advanced(at)))
    }

    /// The reading of the wall clock; a jump before the start of time reads zero.
    #[inline]
    pub fn wall(&self, at: SimTime) -> LocalTime {
        LocalTime::from_nanos(self.wall.saturating_add(self.advanced(at)).max(0) as u64)
    }

    /// The first instant at which the monotonic clock shows `by` more than at `now`.
    #[inline]
    pub fn when(&self, now: SimTime, by: Duration) -> SimTime {
        if self.drift_ppb == 0 {
            return now + by;
        }
        let target = i128::from(self.advanced(now)) + i128::from(by.as_nanos());
        let rate = BILLION + i128::from(self.drift_ppb);
        let passed = (target * BILLION + rate - 1).div_euclid(rate);
        self.since + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn rebase(&mut self, at: SimTime) {
        let advanced = self.advanced(at);
        self.monotonic = self.monotonic.saturating_add_signed(advanced);
        self.wall = self.wall.saturating_add(advanced);
        self.since = at;
    }

    /// Moves the wall clock by signed nanoseconds.
    pub fn jump(&mut self, by: i64) {
        self.wall = self.wall.saturating_add(by);
    }

    /// From now on the clocks run at 1 + `ppm` millionths. A clock neither stands still nor runs backwards.
    pub fn set_drift(&mut self, at: SimTime, ppm: f64) {
        self.rebase(at);
        self.drift_ppb = (libm::round(ppm * 1_000.0) as i64).clamp(-999_999_999, 1_000_000_000_000);
    }

    /// A new incarnation begins, with its monotonic clock at `reading`.
    pub fn restart(&mut self, at: SimTime, reading: u64) {
        self.rebase(at);
        self.monotonic = reading;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_fast_clock_gains_and_its_timers_fire_early() {
        let mut clock = Clock::new();
        clock.set_drift(at(10), 200.0);
        assert_eq!(clock.wall(at(10)).as_secs_f64(), 10.0);
        assert_eq!(clock.wall(at(1_010)).as_nanos(), 1_010_200_000_000, "200 ppm of 1000 s");
        let fires = clock.when(at(10), Duration::from_secs(1_000));
        assert!(fires < at(1_010), "{fires:?}");
        let gained = clock.local(fires).since(clock.local(at(10)));
        assert!(gained >= Duration::from_secs(1_000));
        assert!(clock.local(fires - Duration::from_nanos(1)).since(clock.local(at(10))) < Duration::from_secs(1_000));
    }

    #[test]
    fn the_wall_jumps_and_the_monotonic_clock_does_not() {
        let mut clock = Clock::new();
        clock.restart(SimTime::ZERO, 77);
        clock.jump(-2_000_000_000);
        assert_eq!(clock.wall(at(1)).as_nanos(), 0, "never before the start of time");
        assert_eq!(clock.wall(at(5)).as_secs_f64(), 3.0);
        assert_eq!(clock.local(at(5)).as_nanos(), 5_000_000_077);
    }

    #[test]
    fn drift_that_ends_leaves_the_offset_it_made() {
        let mut clock = Clock::new();
        clock.set_drift(at(0), -1_000.0);
        clock.set_drift(at(1_000), 0.0);
        assert_eq!(clock.wall(at(2_000)).as_secs_f64(), 1_999.0);
        assert_eq!(clock.when(at(2_000), Duration::from_secs(1)), at(2_001));
    }
}
