//! Records what happens to one service while it happens, in memory that grows by a row a second only.

use std::collections::VecDeque;

use super::window::{Counted, Tally, Window, sustained_from};
use super::{Metrics, Recovery, Second};
use crate::history::{Event, What};
use crate::interval::WriteSet;
use crate::op::WriteKey;
use crate::time::{Duration, SimTime};

/// A disturbance whose recovery is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Disturbance {
    pub label: String,
    pub at: SimTime,
    /// When its cause is over: the end of its `for`, or the `heal` or `restart` that undoes it.
    pub end: Option<SimTime>,
}

/// How acknowledged writes fared, judged once after the drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    pub applied: u64,
    pub revoked: u64,
    pub stranded: u64,
    pub lost: u64,
    pub reapplied: u64,
    pub duplicated: u64,
    /// Of the revoked: those whose client was told.
    pub told: u64,
}

/// The recorder of one service.
#[derive(Debug)]
pub struct Recorder {
    measured: Window,
    seconds: Vec<Row>,
    /// Latencies in microseconds of requests that started in the last seconds, oldest second first.
    open: VecDeque<Vec<u32>>,
    first_open: usize,
    tallies: Vec<Tally>,
    disturbances: Vec<Disturbance>,
    first_success: Vec<Option<SimTime>>,
    converged: Vec<Option<SimTime>>,
    /// Writes that were acknowledged, of requests that started in the measured window.
    pub acked: WriteSet,
    /// Of those: writes whose client was told that they were revoked. A later merge may reinstate one.
    pub told: WriteSet,
    /// By key: the write that was acknowledged last.
    latest: Vec<Option<WriteKey>>,
    serving: Vec<bool>,
    serving_count: usize,
    serving_since: SimTime,
    /// Messages and bytes at the start of each window.
    counts: Vec<(u64, u64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    counted: Counted,
    failed: u32,
    unknown: u32,
    degraded: u32,
    /// Microseconds; only meaningful if `counted.ok > 0`.
    p50: u32,
    p99: u32,
    primaries: u16,
    view_members: u16,
    nodes_up: u16,
}

/// What a service's run comes to.
#[derive(Debug)]
pub struct Recorded {
    /// One a window, the whole measured run first.
    pub tallies: Vec<Tally>,
    pub counted: Vec<Counted>,
    pub seconds: Vec<Second>,
    pub recoveries: Vec<Recovery>,
    pub writes_acked: u64,
}

impl Recorder {
    /// `windows[0]` is the measured run; requests outside of it are not counted anywhere.
    pub fn new(windows: &[Window], disturbances: Vec<Disturbance>, nodes: usize, duration: Duration) -> Self {
        let rows = duration.as_nanos().div_ceil(1_000_000_000) as usize;
        Self {
            measured: windows[0],
            seconds: vec![Row::default(); rows],
            open: VecDeque::new(),
            first_open: 0,
            tallies: windows.iter().copied().map(Tally::new).collect(),
            first_success: vec![None; disturbances.len()],
            converged: vec![None; disturbances.len()],
            disturbances,
            acked: WriteSet::default(),
            told: WriteSet::default(),
            latest: Vec::new(),
            serving: vec![false; nodes],
            serving_count: 0,
            serving_since: SimTime::ZERO,
            counts: vec![(0, 0); windows.len()],
        }
    }

    /// The write to a key that was acknowledged last.
    pub fn latest(&self, key: u32) -> Option<WriteKey> {
        self.latest.get(key as usize).copied().flatten()
    }

    /// Takes a history event in; `stale`: this answered read missed a write acknowledged before it began.
    pub fn event(&mut self, event: &Event, stale: bool) {
        if let What::Ok { .. } = event.what
            && !event.op.is_read()
        {
            let key = event.op.key() as usize;
            if key >= self.latest.len() {
                self.latest.resize(key + 1, None);
            }
            self.latest[key] = Some(write_of(event));
        }
        if let What::Revoked { .. } = event.what
            && self.acked.contains(write_of(event))
        {
            self.told.insert(write_of(event));
        }
        if !self.measured.contains(event.invoked) {
            return;
        }
        self.count_second(event);
        for tally in self.tallies.iter_mut().filter(|tally| tally.window.contains(event.invoked)) {
            count(tally, event, stale);
        }
        if let What::Ok { .. } = event.what {
            if !event.op.is_read() {
                self.acked.insert(write_of(event));
            }
            for (first, disturbance) in self.first_success.iter_mut().zip(&self.disturbances) {
                if first.is_none() && event.invoked >= disturbance.at {
                    *first = Some(event.at);
                }
            }
        }
    }

    fn count_second(&mut self, event: &Event) {
        let second = (event.invoked.as_nanos() / 1_000_000_000) as usize;
        let Some(row) = self.seconds.get_mut(second) else { return };
        match event.what {
            What::Invoke => row.counted.requests += 1,
            What::Ok { degraded, .. } => {
                row.counted.ok += 1;
                row.degraded += u32::from(degraded);
                let micros = event.at.since(event.invoked).as_nanos() / 1_000;
                self.latency(second, u32::try_from(micros).unwrap_or(u32::MAX));
            }
            What::Fail => row.failed += 1,
            What::Info => {
                row.failed += 1;
                row.unknown += 1;
            }
            What::Revoked { .. } | What::Regressed { .. } => {}
        }
    }

    fn latency(&mut self, second: usize, micros: u32) {
        if self.open.is_empty() {
            self.first_open = second;
        }
        while second < self.first_open {
            self.open.push_front(Vec::new());
            self.first_open -= 1;
        }
        while second >= self.first_open + self.open.len() {
            self.open.push_back(Vec::new());
        }
        self.open[second - self.first_open].push(micros);
    }

    /// No request that started before `second` is open any more: its quantiles are final.
    pub fn close_before(&mut self, second: usize) {
        while self.first_open < second
            && let Some(mut latencies) = self.open.pop_front()
        {
            latencies.sort_unstable();
            if let Some(row) = self.seconds.get_mut(self.first_open)
                && !latencies.is_empty()
            {
                row.p50 = nearest_rank(&latencies, 50);
                row.p99 = nearest_rank(&latencies, 99);
            }
            self.first_open += 1;
        }
    }

    /// Whether the node at a place in the replica list, which may grow, accepts writes as primary from now on.
    pub fn serving(&mut self, now: SimTime, node: usize, serving: bool) {
        if node >= self.serving.len() {
            self.serving.resize(node + 1, false);
        }
        if self.serving[node] == serving {
            return;
        }
        self.account_divergence(now);
        self.serving[node] = serving;
        if serving { self.serving_count += 1 } else { self.serving_count -= 1 }
    }

    pub fn serving_count(&self) -> usize {
        self.serving_count
    }

    /// The places in the replica list of those that accept writes as primary now.
    pub fn serving_places(&self) -> impl Iterator<Item = usize> {
        self.serving.iter().enumerate().filter(|(_, serves)| **serves).map(|(place, _)| place)
    }

    fn account_divergence(&mut self, now: SimTime) {
        if self.serving_count >= 2 {
            let since = self.serving_since;
            for tally in &mut self.tallies {
                tally.divergence += tally.window.overlap(since, now);
            }
        }
        self.serving_since = now;
    }

    /// The service's messages and WAN bytes so far, at the edges of windows.
    pub fn traffic(&mut self, now: SimTime, messages: u64, bytes_wan: u64) {
        for (tally, start) in self.tallies.iter_mut().zip(&mut self.counts) {
            if tally.window.from == now {
                *start = (messages, bytes_wan);
            }
            if tally.window.to == now {
                tally.messages = messages - start.0;
                tally.bytes_wan = bytes_wan - start.1;
            }
        }
    }

    /// The state at the end of a second.
    pub fn second_ended(&mut self, second: usize, primaries: usize, view_members: usize, nodes_up: usize) {
        if let Some(row) = self.seconds.get_mut(second) {
            row.primaries = primaries as u16;
            row.view_members = view_members as u16;
            row.nodes_up = nodes_up as u16;
        }
    }

    /// Disturbances that were over before `now` (what happens at `now` itself comes later) and are not followed by a legitimate state yet.
    pub fn unsettled(&self, now: SimTime) -> bool {
        self.disturbances
            .iter()
            .zip(&self.converged)
            .any(|(one, done)| done.is_none() && one.end.is_some_and(|end| end < now))
    }

    /// The service is in a legitimate state now.
    pub fn legitimate(&mut self, now: SimTime) {
        for (one, done) in self.disturbances.iter().zip(&mut self.converged) {
            if done.is_none() && one.end.is_some_and(|end| end < now) {
                *done = Some(now);
            }
        }
    }

    pub fn finish(mut self, now: SimTime, service: &str) -> Recorded {
        self.account_divergence(now);
        self.close_before(usize::MAX);
        let counted: Vec<Counted> = self.seconds.iter().map(|row| row.counted).collect();
        Recorded {
            recoveries: self.recoveries(&counted, service),
            seconds: self.seconds.iter().enumerate().map(|(second, row)| row.second(second)).collect(),
            counted,
            writes_acked: self.acked.len(),
            tallies: self.tallies,
        }
    }

    fn recoveries(&self, counted: &[Counted], service: &str) -> Vec<Recovery> {
        let measured = &counted[..counted.len().min((self.measured.to.as_nanos() / 1_000_000_000) as usize)];
        let each = self.disturbances.iter().zip(&self.first_success).zip(&self.converged);
        each.map(|((one, first), converged)| {
            let whole_second = one.at.as_nanos().div_ceil(1_000_000_000) as usize;
            let first_success_s = first.map(|first| first.since(one.at).as_secs_f64());
            // A second counts by the requests that started in it; nobody has recovered before the first answer.
            let sustained = sustained_from(measured, whole_second)
                .map(|second| (second as f64 - one.at.as_secs_f64()).max(first_success_s.unwrap_or(0.0)));
            let converged_s = converged.zip(one.end).map(|(at, end)| at.since(end).as_secs_f64());
            Recovery {
                service: service.to_owned(),
                fault: one.label.clone(),
                at_s: one.at.as_secs_f64(),
                first_success_s,
                sustained_s: sustained,
                converged_s,
                ended: one.end.is_some(),
                censored: first.is_none() || sustained.is_none() || (one.end.is_some() && converged.is_none()),
            }
        })
        .collect()
    }
}

impl Row {
    fn second(&self, second: usize) -> Second {
        let some = |micros: u32| (self.counted.ok > 0).then(|| f64::from(micros) / 1e3);
        Second {
            second: second as u64,
            requests: self.counted.requests,
            ok: self.counted.ok,
            failed: self.failed,
            unknown: self.unknown,
            degraded: self.degraded,
            latency_p50_ms: some(self.p50),
            latency_p99_ms: some(self.p99),
            primaries: u32::from(self.primaries),
            view_members: u32::from(self.view_members),
            nodes_up: u32::from(self.nodes_up),
            nodes_awake: None,
            watts: None,
        }
    }
}

const fn write_of(event: &Event) -> WriteKey {
    WriteKey { client: event.client, number: event.number }
}

fn count(tally: &mut Tally, event: &Event, stale: bool) {
    match event.what {
        What::Invoke => tally.requests += 1,
        What::Ok { degraded, .. } => {
            tally.ok += 1;
            tally.degraded += u64::from(degraded);
            tally.stale += u64::from(stale);
            tally.writes_acked += u64::from(!event.op.is_read());
            let micros = (event.at.since(event.invoked).as_nanos() / 1_000).max(1);
            tally.latency.record(micros).expect("the histogram resizes itself");
        }
        What::Fail | What::Info => tally.failed += 1,
        What::Regressed { .. } => tally.regressed += 1,
        What::Revoked { .. } => {}
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn nearest_rank(sorted: &[u32], percent: usize) -> u32 {
    sorted[(sorted.len() * percent).div_ceil(100).saturating_sub(1)]
}

/// The worst over recoveries that apply: null if one of them was not reached.
pub fn worst<'a>(recoveries: impl Iterator<Item = &'a Recovery>, metrics: &mut Metrics) {
    let all: Vec<&Recovery> = recoveries.collect();
    metrics.recovery_first_s = worst_of(all.iter().map(|one| one.first_success_s));
    metrics.recovery_s = worst_of(all.iter().map(|one| one.sustained_s));
    let ended = all.iter().filter(|one| one.ended);
    metrics.convergence_s = worst_of(ended.map(|one| one.converged_s));
}

/// The greatest of the values, unless one is missing or there is none.
fn worst_of(mut values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values
        .try_fold(None::<f64>, |worst, value| value.map(|value| Some(worst.map_or(value, |worst| worst.max(value)))))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of the second of the fault that were retried succeed later, and count for that second.
    #[test]
    fn nobody_has_recovered_before_the_first_answer() {
        use crate::history::What;
        use crate::id::{ClientId, DcId, NodeId, ServiceId};
        use crate::op::{Answer, Op, Tip};
        let at = |millis| SimTime::ZERO + Duration::from_millis(millis);
        let window = Window { from: SimTime::ZERO, to: at(20_000) };
        let fault = Disturbance { label: "crash".into(), at: at(5_000), end: None };
        let mut recorder = Recorder::new(&[window], vec![fault], 1, Duration::from_secs(20));
        for second in 5..20 {
            let invoked = at(second * 1_000 + 100);
            // What was asked in the second of the fault is answered after four seconds.
            let answered = if second == 5 { at(9_200) } else { invoked.max(at(9_200)) + Duration::from_millis(50) };
            let event = |now, what| Event {
                at: now,
                service: ServiceId(0),
                place: DcId(0),
                client: ClientId(0),
                number: second as u32,
                op: Op::Read { key: 0 },
                invoked,
                what,
            };
            let answer = Answer::Read { digest: 0, bytes: 0 };
            let ok = What::Ok { answer, server: NodeId(0), epoch: 1, token: Tip::default(), degraded: false };
            recorder.event(&event(invoked, What::Invoke), false);
            recorder.event(&event(answered, ok), false);
        }
        let recovery = &recorder.finish(at(20_000), "board").recoveries[0];
        assert_eq!((recovery.first_success_s, recovery.sustained_s), (Some(4.2), Some(4.2)));
    }

    #[test]
    fn nearest_rank_is_exact_at_the_ends() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!(nearest_rank(&values, 50), 50);
        assert_eq!(nearest_rank(&values, 99), 99);
        assert_eq!(nearest_rank(&[7], 50), 7);
        assert_eq!(nearest_rank(&[7, 9], 99), 9);
    }
}
