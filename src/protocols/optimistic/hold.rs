//! Hold-down: whoever fails again and again is left out for longer each time.

use crate::time::{Duration, LocalTime};

/// Failures are forgotten after so many periods of the last hold-down.
const FORGET_PERIODS: u64 = 8;

/// The failures of a member, or of this node's own storage, and what follows from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    pub failures: u32,
    pub until: Option<LocalTime>,
    pub forget_at: LocalTime,
}

impl Hold {
    pub fn is_on(&self, now: LocalTime) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// After c failures it lasts 2^(c-1) s, at most `longest`: none at the first, but always at least `least`.
    pub fn fail(&mut self, now: LocalTime, least: Duration, longest: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let doublings = (self.failures - 1).min(30);
        let backoff = if doublings == 0 { Duration::ZERO } else { Duration::from_secs(1 << doublings) };
        let hold = backoff.min(longest).max(least);
        self.until = Some(now + hold);
        self.forget_at = now + forgotten_after(hold);
        hold
    }

    pub fn forget_if_due(&mut self, now: LocalTime) {
        if self.failures > 0 && now >= self.forget_at {
            self.failures = 0;
            self.until = None;
        }
    }

    /// Moves every time into the window that it can legally have; no hold-down is longer than `longest`.
    pub fn clamp(&mut self, now: LocalTime, longest: Duration) {
        self.failures = self.failures.min(64);
        self.until = self.until.map(|until| until.min(now + longest));
        self.forget_at = self.forget_at.min(now + forgotten_after(longest));
    }
}

fn forgotten_after(hold: Duration) -> Duration {
    hold.max(Duration::from_secs(1)).saturating_mul(FORGET_PERIODS)
}
