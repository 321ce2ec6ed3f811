//! Instants and durations in whole nanoseconds.
//!
//! Simulated time never passes through a float: equal inputs give equal instants on every machine.
//! [`SimTime`] is what the simulator knows; [`LocalTime`] is what a node's own clock shows. A protocol
//! only ever sees the second, so it cannot compare the clocks of two nodes by accident.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Duration {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u64::MAX);
    /// The longest duration a scenario may name: 100 years of 365 days.
    pub const LONGEST: Self = Self::from_secs(100 * 365 * 86_400);

    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros * 1_000)
    }
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
    /// For reports only; no decision of a run depends on a float.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    /// Scales by a ratio of integers, rounding down, without losing range.
    pub const fn scale(self, numerator: u64, denominator: u64) -> Self {
        let wide = self.0 as u128 * numerator as u128 / denominator as u128;
        Self(if wide > u64::MAX as u128 { u64::MAX } else { wide as u64 })
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Duration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// The shortest exact form with a unit that a scenario file accepts again, such as `250ms`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 7] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ];
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let (size, unit) = UNITS
            .into_iter()
            .find(|(size, _)| self.0.is_multiple_of(*size))
            .expect("every count of nanoseconds divides by one");
        write!(f, "{}{unit}", self.0 / size)
    }
}

macro_rules! instant {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            pub const ZERO: Self = Self(0);
            pub const MAX: Self = Self(u64::MAX);
            pub const fn from_nanos(nanos: u64) -> Self {
                Self(nanos)
            }
            pub const fn as_nanos(self) -> u64 {
                self.0
            }
            /// For reports only.
            pub fn as_secs_f64(self) -> f64 {
                self.0 as f64 / 1e9
            }
            /// Time passed since `earlier`; zero if `earlier` is later.
            pub const fn since(self, earlier: Self) -> Duration {
                Duration::from_nanos(self.0.saturating_sub(earlier.0))
            }
        }
        impl Add<Duration> for $name {
            type Output = Self;
            fn add(self, by: Duration) -> Self {
                Self(self.0.saturating_add(by.as_nanos()))
            }
        }
        impl Sub<Duration> for $name {
            type Output = Self;
            fn sub(self, by: Duration) -> Self {
                Self(self.0.saturating_sub(by.as_nanos()))
            }
        }
    };
}

instant!(
    /// Nanoseconds since the start of a run, as the simulator counts them.
    SimTime
);
instant!(
    /// Nanoseconds on one node's own clock. Comparable only with other readings of the same clock.
    LocalTime
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_prints_in_the_largest_exact_unit() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1500ns"),
            (250_000_000, "250ms"),
            (60_000_000_000, "1m"),
            (90_000_000_000, "90s"),
            (86_400_000_000_000, "1d"),
        ] {
            assert_eq!(Duration::from_nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        assert_eq!(SimTime::MAX + Duration::from_secs(1), SimTime::MAX);
        assert_eq!(SimTime::ZERO - Duration::from_secs(1), SimTime::ZERO);
        assert_eq!(SimTime::ZERO.since(SimTime::MAX), Duration::ZERO);
        assert_eq!(Duration::MAX.scale(3, 2), Duration::MAX);
        assert_eq!(Duration::from_secs(3).scale(1, 2), Duration::from_millis(1500));
    }
}
