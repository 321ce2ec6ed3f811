//! Tallies of one service over one window of time: the whole measured run, a phase, or the span of an
//! expectation. A window counts the requests that started in it.

use hdrhistogram::Histogram;

use super::Metrics;
use crate::time::{Duration, SimTime};

/// A half-open span of simulated time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: SimTime,
    pub to: SimTime,
}

impl Window {
    pub fn contains(&self, at: SimTime) -> bool {
        self.from <= at && at < self.to
    }

    /// How much of [`start`, `end`) lies in it.
    pub fn overlap(&self, start: SimTime, end: SimTime) -> Duration {
        self.to.min(end).since(self.from.max(start))
    }
}

/// What was counted in a window.
#[derive(Clone, Debug)]
pub struct Tally {
    pub window: Window,
    pub requests: u64,
    pub ok: u64,
    pub failed: u64,
    pub writes_acked: u64,
    pub degraded: u64,
    pub regressed: u64,
    pub stale: u64,
    pub divergence: Duration,
    pub messages: u64,
    pub bytes_wan: u64,
    /// Microseconds, to 1 %.
    pub latency: Histogram<u64>,
}

impl Tally {
    pub fn new(window: Window) -> Self {
        Self {
            window,
            requests: 0,
            ok: 0,
            failed: 0,
            writes_acked: 0,
            degraded: 0,
            regressed: 0,
            stale: 0,
            divergence: Duration::ZERO,
            messages: 0,
            bytes_wan: 0,
            latency: Histogram::new(2).expect("two significant digits are in range"),
        }
    }

    /// Adds another service's tally of the same window. Divergence is the worst of the two.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.ok += other.ok;
        self.failed += other.failed;
        self.writes_acked += other.writes_acked;
        self.degraded += other.degraded;
        self.regressed += other.regressed;
        self.stale += other.stale;
        self.divergence = self.divergence.max(other.divergence);
        self.messages += other.messages;
        self.bytes_wan += other.bytes_wan;
        self.latency.add(&other.latency).expect("the histograms have the same precision and resize themselves");
    }

    /// The metrics that a window by itself can tell; `seconds` are the service's, by start second.
    pub fn metrics(&self, seconds: &[Counted]) -> Metrics {
        let inside: Vec<Counted> = seconds
            .iter()
            .enumerate()
            .filter(|(second, _)| self.window.contains(SimTime::ZERO + Duration::from_secs(*second as u64)))
            .map(|(_, counted)| *counted)
            .collect();
        let (total, longest) = outages(&inside);
        let quantile = |q: f64| (self.ok > 0).then(|| self.latency.value_at_quantile(q) as f64 / 1e3);
        Metrics {
            requests_total: Some(self.requests),
            requests_ok: Some(self.ok),
            requests_failed: Some(self.failed),
            availability: (self.requests > 0).then(|| self.ok as f64 / self.requests as f64),
            availability_time: availability_time(&inside),
            outage_total_s: (self.requests > 0).then_some(total as f64),
            outage_longest_s: (self.requests > 0).then_some(longest as f64),
            divergence_s: Some(self.divergence.as_secs_f64()),
            latency_p50_ms: quantile(0.5),
            latency_p99_ms: quantile(0.99),
            latency_p999_ms: quantile(0.999),
            writes_acked: Some(self.writes_acked),
            reads_stale: Some(self.stale),
            replies_degraded: Some(self.degraded),
            replies_regressed: Some(self.regressed),
            messages: Some(self.messages),
            bytes_wan: Some(self.bytes_wan),
            ..Metrics::default()
        }
    }
}

/// Requests that started in one second, and how many of them succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub requests: u32,
    pub ok: u32,
}

/// Seconds out in total, and in the longest outage. A second is out if requests started in it and none
/// succeeded; seconds without requests neither extend nor end an outage.
pub fn outages(seconds: &[Counted]) -> (u64, u64) {
    let (mut total, mut longest, mut current) = (0, 0, 0);
    for second in seconds.iter().filter(|second| second.requests > 0) {
        if second.ok == 0 {
            current += 1;
            total += 1;
            longest = longest.max(current);
        } else {
            current = 0;
        }
    }
    (total, longest)
}

/// The share of seconds with requests in which at least 99 % succeeded.
fn availability_time(seconds: &[Counted]) -> Option<f64> {
    let (with, good) =
        seconds.iter().filter(|second| second.requests > 0).fold((0u64, 0u64), |(with, good), second| {
            (with + 1, good + u64::from(u64::from(second.ok) * 100 >= u64::from(second.requests) * 99))
        });
    (with > 0).then(|| good as f64 / with as f64)
}

/// The start of the first five consecutive seconds from `first` on, in which requests started and 99 % of
/// them succeeded.
pub fn sustained_from(seconds: &[Counted], first: usize) -> Option<usize> {
    (first..seconds.len().saturating_sub(4)).find(|&start| {
        let span = &seconds[start..start + 5];
        let requests: u64 = span.iter().map(|second| u64::from(second.requests)).sum();
        let ok: u64 = span.iter().map(|second| u64::from(second.ok)).sum();
        span[0].requests > 0 && ok * 100 >= requests * 99
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pairs: &[(u32, u32)]) -> Vec<Counted> {
        pairs.iter().map(|&(requests, ok)| Counted { requests, ok }).collect()
    }

    #[test]
    fn a_second_without_requests_neither_extends_nor_ends_an_outage() {
        let run = seconds(&[(5, 5), (5, 0), (0, 0), (5, 0), (5, 1), (5, 0)]);
        assert_eq!(outages(&run), (3, 2));
        assert_eq!(outages(&[]), (0, 0));
    }

    #[test]
    fn availability_in_time_asks_for_99_percent_of_each_second() {
        assert_eq!(availability_time(&seconds(&[(100, 99), (100, 98), (0, 0), (1, 1)])), Some(2.0 / 3.0));
        assert_eq!(availability_time(&seconds(&[(0, 0)])), None);
    }

    #[test]
    fn recovery_is_sustained_for_five_seconds() {
        let run = seconds(&[(10, 0), (10, 10), (10, 0), (10, 10), (10, 10), (10, 10), (10, 10), (10, 10)]);
        assert_eq!(sustained_from(&run, 0), Some(3));
        assert_eq!(sustained_from(&run, 4), None, "the run ends before five seconds have passed");
    }
}
