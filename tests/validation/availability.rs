//! k of n: machines that fail and are repaired by themselves, with exponential times.
//!
//! Machines are independent, so the number that is up is binomial. A protocol that needs k of them serves a share
//! of time that is less than P(at least k): it takes a while to notice that a machine failed, and to begin again
//! when the k-th returns. What one failure costs is measured by itself, and explains the difference.

#![allow(clippy::disallowed_methods, reason = "formulas to compare with decide no run")]

use firedrill::metrics::Second;
use firedrill::run::{Keep, RunResult};
use serde_json::{Value, json};

use super::stats::{Mean, digits};
use super::{head, row, runs, sites, sized};

const NODES: usize = 3;
/// Seconds from a repair to the next failure, and from a failure to its repair.
const UP: f64 = 1_200.0;
const DOWN: f64 = 240.0;
/// Requests a second, of all places together.
const RATE: f64 = 6.0;

fn scenario(kind: &str, seconds: u64, warmup: u64) -> Value {
    json!({
        "format": 1, "name": "availability", "duration": format!("{seconds}s"), "warmup": format!("{warmup}s"), "drain": "5s",
        "topology": sites(NODES, "20ms", json!({"loss": 0}), json!({})),
        "services": [{"id": "s", "application": "kv", "replicas": NODES}],
        "protocols": {"it": {"kind": kind}},
        "workload": [{"service": "s", "rate": format!("{}/s", RATE / NODES as f64), "reads": 0.0}],
    })
}

/// The probability that this many machines are up.
fn up(count: usize) -> f64 {
    let one = UP / (UP + DOWN);
    let ways = [1.0, 3.0, 3.0, 1.0][count];
    ways * one.powf(count as f64) * (1.0 - one).powf((NODES - count) as f64)
}

fn seconds(result: &RunResult, warmup: u64) -> &[Second] {
    &result.seconds[0].1[warmup as usize..]
}

/// Requests that came while at least `k` machines were up, less all that were answered: what is missed beyond the
/// times with fewer. It is below 0 if more requests outlive the end of such a time than are missed otherwise.
fn missed(seconds: &[Second], k: usize) -> f64 {
    let due = seconds.iter().filter(|second| second.nodes_up as usize >= k).map(|second| f64::from(second.requests));
    due.sum::<f64>() - seconds.iter().map(|second| f64::from(second.ok)).sum::<f64>()
}

/// Of one long run: the share of time with at least `k` machines up, and of requests that are missed.
fn shares(result: &RunResult, k: usize, warmup: u64) -> (f64, f64) {
    let seconds = seconds(result, warmup);
    let enough = seconds.iter().filter(|second| second.nodes_up as usize >= k).count();
    let requests = seconds.iter().map(|second| f64::from(second.requests)).sum::<f64>();
    (enough as f64 / seconds.len() as f64, missed(seconds, k) / requests)
}

/// Seconds of requests that are missed because one machine fails for a minute while `count` are up. Which machines
/// are meant goes around.
fn cost(kind: &str, k: usize, count: usize) -> Mean {
    const WARMUP: u64 = 110;
    let name = |node: usize| format!("{}/0", char::from(b'a' + (node % NODES) as u8));
    let of_turn = |turn: usize| {
        let mut scenario = scenario(kind, 240, WARMUP);
        let down: Vec<String> = (1..=NODES - count).map(|other| name(turn + other)).collect();
        // In the middle of a second: as much of it is wrongly taken for down as of that of the return for up.
        let mut timeline = vec![json!({"at": "120500ms", "do": "crash", "nodes": [name(turn)], "for": "60s"})];
        if !down.is_empty() {
            timeline.push(json!({"at": "20s", "do": "crash", "nodes": down}));
        }
        scenario["timeline"] = Value::Array(timeline);
        let missed = |result: RunResult| missed(seconds(&result, WARMUP), k) / RATE;
        runs(&scenario, sized(10, 40), Keep::default(), missed)
    };
    Mean::of(&(0..NODES).flat_map(of_turn).collect::<Vec<_>>())
}

#[test]
fn k_of_n_is_available_as_the_closed_form_says_less_what_failures_cost() {
    let (seeds, hours) = (sized(6, 20), sized(4, 8));
    let warmup = 3_600;
    let columns = [
        "protocol",
        "k of 3",
        "at least k up, theory",
        "measured",
        "cost of a failure with 3, 2, 1 up, s",
        "share of writes missed for it",
        "measured",
    ];
    head(
        "Availability with failures after 20 and repairs after 4 minutes, exponential; intervals of 99.9 % over runs",
        &columns,
    );
    for (kind, k) in [("static-primary", 3), ("raft", 2), ("viewstamped", 2), ("optimistic", 1)] {
        let mut scenario = scenario(kind, warmup + hours * 3_600, warmup);
        let law = |mean: f64| json!({"exponential": {"mean": format!("{mean}s")}});
        scenario["failures"] = json!([{"kind": "node", "between": law(UP), "repair": law(DOWN)}]);
        let all = runs(&scenario, seeds, Keep::default(), |result| shares(&result, k, warmup));
        let (enough, missed): (Vec<f64>, Vec<f64>) = all.into_iter().unzip();
        let (enough, missed) = (Mean::of(&enough), Mean::of(&missed));
        let theory: f64 = (k..=NODES).map(up).sum();
        // Failures a second from each number that serves, times what one costs.
        let costs: Vec<Mean> = (k..=NODES).rev().map(|count| cost(kind, k, count)).collect();
        let rates = (k..=NODES).rev().map(|count| up(count) * count as f64 / UP);
        let (expected, error) = rates.zip(&costs).fold((0.0, 0.0), |(expected, error), (rate, cost)| {
            (expected + rate * cost.mean, error + rate * cost.half)
        });
        let told: Vec<String> = costs.iter().map(|cost| format!("{:.1} ± {:.1}", cost.mean, cost.half)).collect();
        row(&[&kind, &k, &digits(theory), &enough, &told.join(", "), &digits(expected), &missed]);
        enough.agrees(theory, sized(0.1, 0.04), &format!("{k} of {NODES} up"));
        // The costs have an error of their own, and are those of failures that do not meet each other.
        let slack = missed.half + error + 0.1 * expected.abs();
        assert!((missed.mean - expected).abs() <= slack, "{kind}: {missed} missed, {expected} expected");
        assert!(missed.half <= sized(0.006, 0.002), "{kind}: {missed} says too little");
    }
}
