//! Made-up results that look like real ones, for the tests of this module.

use serde_json::json;

use crate::metrics::{Metrics, MetricsTable, Phase, Recovery, Second};
use crate::rng::Stream;
use crate::run::{ExpectationResult, Record, RunResult, ScenarioRecord, Verdict, VerdictOutcome};

/// What a made-up scenario looks like.
pub struct Fake {
    pub name: &'static str,
    pub duration: u64,
    pub warmup: u64,
    /// (start in seconds, label)
    pub cuts: Vec<(u64, &'static str)>,
    pub services: Vec<&'static str>,
    pub rate: u64,
    pub power: bool,
}

/// Ten minutes, five phases.
pub fn quake() -> Fake {
    Fake {
        name: "tokyo-quake",
        duration: 600,
        warmup: 20,
        cuts: vec![
            (20, "before"),
            (60, "crash tokyo"),
            (120, "partition tokyo | rest"),
            (210, "partition ends"),
            (360, "restart tokyo"),
        ],
        services: vec!["board"],
        rate: 400,
        power: false,
    }
}

/// How well a protocol does in a phase: share of successes, p50 in ms, primaries, members.
fn behaviour(protocol: &str, phase: usize, since: u64) -> (f64, f64, u32, u32) {
    let disturbed = phase >= 1;
    match (protocol, phase % 5) {
        _ if !disturbed => (1.0, 9.0, 1, 5),
        ("optimistic", 1) if since < 5 => (0.0, 30.0, 0, 0),
        ("optimistic", 1) => (0.998, 14.0, 1, 3),
        ("optimistic", 2) if since < 4 => (0.55, 40.0, 1, 3),
        ("optimistic", 2) => (0.995, 16.0, 2, 2),
        ("optimistic", 3) if since < 7 => (0.8, 60.0, 2, 2),
        ("optimistic", _) => (1.0, 10.0, 1, 5),
        ("raft", 1) if since < 9 => (0.0, 50.0, 0, 5),
        ("raft", 1) => (0.97, 24.0, 1, 5),
        ("raft", 2) => (0.0, 90.0, 0, 5),
        ("raft", 3) if since < 11 => (0.3, 400.0, 1, 5),
        ("raft", _) => (0.9995, 21.0, 1, 5),
        (_, 1 | 2) => (0.0, 90.0, 0, 0),
        (_, 3) => (0.0, 70.0, 0, 0),
        _ => (0.999, 12.0, 1, 5),
    }
}

fn second(fake: &Fake, protocol: &str, stream: &mut Stream, at: u64, delay: u64) -> Second {
    let later = at.saturating_sub(delay);
    let phase = fake.cuts.iter().rposition(|&(start, _)| start <= later).unwrap_or(0);
    let since = later.saturating_sub(fake.cuts.get(phase).map_or(0, |cut| cut.0));
    let (success, p50, primaries, members) = behaviour(protocol, phase, since);
    let requests = (fake.rate * 9 / 10 + stream.below(fake.rate / 5 + 1)) as u32;
    let failed = (0..requests).filter(|_| !stream.chance(success)).count() as u32;
    let ok = requests - failed;
    let noise = 0.9 + 0.002 * stream.below(100) as f64;
    Second {
        second: at,
        requests,
        ok,
        failed,
        unknown: failed / 2,
        degraded: if phase == 2 { ok } else { 0 },
        latency_p50_ms: (ok > 0).then_some(p50 * noise),
        latency_p99_ms: (ok > 0).then_some(p50 * noise * (8.0 + stream.below(10) as f64)),
        primaries,
        view_members: members,
        nodes_up: 5,
        nodes_awake: fake.power.then_some(if phase >= 1 { 3 } else { 5 }),
        watts: fake.power.then_some(150.0 * if phase >= 1 { 3.0 } else { 5.0 } + 40.0 * noise),
    }
}

fn metrics(seconds: &[&Second]) -> Metrics {
    let total: u64 = seconds.iter().map(|second| u64::from(second.requests)).sum();
    let ok: u64 = seconds.iter().map(|second| u64::from(second.ok)).sum();
    let out: Vec<bool> = seconds.iter().map(|second| second.requests > 0 && second.ok == 0).collect();
    let longest = out.split(|out| !out).map(<[bool]>::len).max().unwrap_or(0);
    let good = seconds.iter().filter(|second| second.ok * 100 >= second.requests * 99).count();
    Metrics {
        requests_total: Some(total),
        requests_ok: Some(ok),
        requests_failed: Some(total - ok),
        availability: (total > 0).then(|| ok as f64 / total as f64),
        availability_time: (!seconds.is_empty()).then(|| good as f64 / seconds.len() as f64),
        outage_total_s: Some(out.iter().filter(|out| **out).count() as f64),
        outage_longest_s: Some(longest as f64),
        divergence_s: Some(seconds.iter().filter(|second| second.primaries >= 2).count() as f64),
        latency_p50_ms: Some(12.25),
        latency_p99_ms: Some(231.5),
        latency_p999_ms: Some(1_204.0),
        writes_acked: Some(ok * 13 / 100),
        writes_applied: Some(ok * 13 / 100),
        writes_revoked: Some(0),
        writes_stranded: Some(0),
        writes_lost: Some(0),
        messages: Some(total * 7),
        bytes_wan: Some(total * 1_900),
        ..Metrics::default()
    }
}

fn table(fake: &Fake, series: &[(String, Vec<Second>)], from: u64, to: u64) -> MetricsTable {
    let cut = |seconds: &[Second]| -> Vec<Second> {
        seconds.iter().filter(|second| (from..to).contains(&second.second)).cloned().collect()
    };
    let rows: Vec<_> = series.iter().map(|(_, seconds)| cut(seconds)).collect();
    let all: Vec<&Second> = rows.iter().flatten().collect();
    MetricsTable {
        all: metrics(&all),
        services: fake
            .services
            .iter()
            .zip(&rows)
            .map(|(name, rows)| ((*name).to_owned(), metrics(&rows.iter().collect::<Vec<_>>())))
            .collect(),
    }
}

/// A run of the made-up scenario.
pub fn run(fake: &Fake, protocol: &str, seed: u64) -> RunResult {
    let mut stream = Stream::new(seed, "fixture", &[protocol.len() as u64]);
    let delay = stream.below(6);
    let seconds: Vec<(String, Vec<Second>)> = fake
        .services
        .iter()
        .map(|name| {
            let rows = (0..fake.duration).map(|at| second(fake, protocol, &mut stream, at, delay)).collect();
            ((*name).to_owned(), rows)
        })
        .collect();
    let mut metrics = table(fake, &seconds, fake.warmup, fake.duration);
    let recovers = protocol == "optimistic" || protocol == "raft";
    for metrics in std::iter::once(&mut metrics.all).chain(metrics.services.values_mut()) {
        metrics.recovery_first_s = recovers.then_some(4.25 + seed as f64);
        metrics.recovery_s = recovers.then_some(6.5 + seed as f64);
        metrics.convergence_s = (protocol == "optimistic").then_some(3.125);
        if protocol == "optimistic" {
            metrics.writes_revoked = Some(17);
            metrics.writes_applied = metrics.writes_acked.map(|acked| acked - 17);
        }
    }
    let ends = fake.cuts.iter().skip(1).map(|cut| cut.0).chain([fake.duration]);
    let phases = fake
        .cuts
        .iter()
        .zip(ends)
        .map(|(&(from, label), to)| Phase {
            from_s: from as f64,
            to_s: to as f64,
            label: label.into(),
            metrics: table(fake, &seconds, from, to),
        })
        .collect();
    let record = finish(fake, protocol, seed, metrics, phases, recovers);
    RunResult { record, seconds, power: None, history: None, trace: None, features: Vec::new() }
}

fn finish(fake: &Fake, protocol: &str, seed: u64, metrics: MetricsTable, phases: Vec<Phase>, recovers: bool) -> Record {
    let availability = metrics.all.availability;
    let held = availability.is_some_and(|value| value >= 0.97);
    let hash: String = blake3::hash(fake.name.as_bytes()).to_hex()[..].into();
    Record {
        format: 1,
        firedrill: super::sealed::VERSION.into(),
        scenario: ScenarioRecord {
            name: fake.name.into(),
            as_written: json!({"name": fake.name}),
            resolved: json!({"name": fake.name, "warmup": format!("{}s", fake.warmup), "z": 1, "a": 0.1}),
            hash,
        },
        protocol: protocol.into(),
        seed,
        branches: vec![],
        fingerprint: format!("{:016x}", 0x5eed_0000_0000 + seed),
        events: 1_234_567,
        simulated_s: fake.duration as f64 + 60.0,
        residency: None,
        recoveries: vec![Recovery {
            service: fake.services[0].into(),
            fault: "crash tokyo".into(),
            at_s: 60.0,
            first_success_s: metrics.all.recovery_first_s,
            sustained_s: metrics.all.recovery_s,
            converged_s: metrics.all.convergence_s,
            ended: true,
            censored: !recovers,
        }],
        metrics,
        phases,
        expectations: vec![ExpectationResult {
            metric: "availability".into(),
            service: Some(fake.services[0].into()),
            expected: "at least 0.97".into(),
            measured: availability,
            held,
            note: None,
        }],
        verdicts: vec![
            Verdict {
                check: "I1".into(),
                states: "one view, one coordinator".into(),
                outcome: VerdictOutcome::Valid,
                evidence: None,
            },
            Verdict {
                check: "I4".into(),
                states: "an acknowledged write is never lost".into(),
                outcome: if protocol == "raft" { VerdictOutcome::Unknown } else { VerdictOutcome::Valid },
                evidence: (protocol == "raft").then(|| "the history is too long to decide".into()),
            },
        ],
        notes: vec![],
    }
}

/// A record of the ten-minute disaster.
pub fn record(protocol: &str, seed: u64) -> Record {
    run(&quake(), protocol, seed).record
}
