//! One node under Poisson arrivals: M/M/1 and M/D/1.

#![allow(clippy::disallowed_methods, reason = "formulas to compare with decide no run")]

use firedrill::history::What;
use serde_json::{Value, json};

use super::stats::{Kolmogorov, Mean, digits};
use super::{head, histories, row, sized};

/// Operations a second.
const CAPACITY: f64 = 1_000.0;
/// There and back, without jitter, at a bandwidth that adds nothing.
const LINK: f64 = 2e-6;
const WARMUP: u64 = 20;

fn scenario(utilisation: f64, service_time: &str, seconds: u64) -> Value {
    let rate = format!("{}/s", utilisation * CAPACITY);
    json!({
        "format": 1, "name": "queue", "duration": format!("{}s", seconds + WARMUP), "warmup": format!("{WARMUP}s"), "drain": "1s",
        "topology": {
            "data_centers": [{"id": "a", "location": {"lat": 0, "lon": 0}, "nodes": 1}],
            "network": {"jitter": 0, "loss": 0, "bandwidth": "1000000Gbps"},
            "links": [{"between": ["a", "a"], "round_trip": "2us"}],
            "node": {"capacity": "1000/s", "queue": 1_000_000, "service_time": service_time},
        },
        "services": [{"id": "s", "application": "kv", "replicas": 1}],
        "protocols": {"static-primary": {}},
        "workload": [{"service": "s", "rate": rate, "reads": 1.0, "deadline": "60s", "attempt_timeout": "60s"}],
    })
}

/// The sojourn times of one run in seconds, links left out, in order of arrival.
fn sojourns(utilisation: f64, service_time: &str, runs: u64, seconds: u64) -> Vec<Vec<f64>> {
    histories(&scenario(utilisation, service_time, seconds), runs, |examined| {
        let warm = |at: firedrill::time::SimTime| at.as_secs_f64() >= WARMUP as f64;
        let mut answered: Vec<_> = examined
            .history
            .iter()
            .inspect(|event| assert!(matches!(event.what, What::Invoke | What::Ok { .. }), "{event:?}"))
            .filter(|event| event.what != What::Invoke && warm(event.invoked))
            .map(|event| (event.invoked, event.at.since(event.invoked).as_secs_f64() - LINK))
            .collect();
        answered.sort_by_key(|&(invoked, _)| invoked);
        answered.into_iter().map(|(_, sojourn)| sojourn).collect()
    })
}

fn means(runs: &[Vec<f64>], value: impl Fn(&[f64]) -> f64) -> Mean {
    Mean::of(&runs.iter().map(|run| value(run)).collect::<Vec<_>>())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Pollaczek and Khinchine: the mean wait is rho / (2 mu (1 - rho)) times 1 + the squared coefficient of
/// variation of the service time, which is 1 for an exponential and 0 for a constant one.
#[test]
fn mean_waits_are_those_of_pollaczek_and_khinchine() {
    let (runs, seconds) = (sized(12, 40), sized(60, 100));
    let columns = ["queue", "utilisation", "theory, ms", "measured, ms", "runs of", "relative half width"];
    head("Mean waiting time, intervals of 99.9 % over runs", &columns);
    for (queue, service_time, variation) in [("M/M/1", "exponential", 1.0), ("M/D/1", "deterministic", 0.0)] {
        for utilisation in [0.3, 0.5, 0.7, 0.9] {
            let theory = 1e3 / CAPACITY * utilisation / (1.0 - utilisation) * (1.0 + variation) / 2.0;
            let all = sojourns(utilisation, service_time, runs, seconds);
            let waits = means(&all, |run| 1e3 * (mean(run) - 1.0 / CAPACITY));
            let share = waits.half / theory;
            row(&[
                &queue,
                &utilisation,
                &digits(theory),
                &waits,
                &format!("{runs} x {seconds} s"),
                &format!("{:.1} %", 100.0 * share),
            ]);
            let what = format!("{queue} at {utilisation}");
            let narrow = if utilisation > 0.8 { sized(0.25, 0.1) } else { sized(0.1, 0.05) };
            waits.agrees(theory, theory * narrow, &what);
            let least = if variation > 0.0 { 0.0 } else { 1.0 / CAPACITY };
            assert!(all.iter().flatten().all(|&sojourn| sojourn > least - 1e-9), "less than its service");
        }
    }
}

/// The time in an M/M/1 queue is exponential with rate mu (1 - rho).
#[test]
fn times_in_the_queue_are_exponential() {
    let (runs, seconds) = (sized(12, 40), sized(60, 100));
    let columns =
        ["utilisation", "beyond the theory's 50 %", "90 %", "99 %", "Kolmogorov-Smirnov, one in 500 requests"];
    head("Sojourn time in M/M/1, intervals of 99.9 % over runs", &columns);
    for utilisation in [0.3, 0.5, 0.7] {
        let rate = CAPACITY * (1.0 - utilisation);
        let all = sojourns(utilisation, "exponential", runs, seconds);
        let beyond = |share: f64| {
            let bound = -(1.0 - share).ln() / rate;
            means(&all, |run| run.iter().filter(|&&sojourn| sojourn > bound).count() as f64 / run.len() as f64)
        };
        let tails = [0.5, 0.9, 0.99].map(beyond);
        // Far enough apart to be independent: the queue forgets within some 100 services.
        let apart = all.iter().flat_map(|run| run.iter().copied().step_by(500)).collect();
        let fit = Kolmogorov::of(apart, |sojourn| 1.0 - (-rate * sojourn).exp());
        row(&[&utilisation, &tails[0], &tails[1], &tails[2], &fit]);
        for (tail, share) in tails.iter().zip([0.5, 0.1, 0.01]) {
            tail.agrees(share, share * sized(0.5, 0.25), &format!("beyond {share} at {utilisation}"));
        }
        fit.agrees(sized(400, 2_000), &format!("sojourn at {utilisation}"));
    }
}
