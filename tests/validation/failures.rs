//! Failures and repairs of machines: the distributions of the model.

#![allow(clippy::disallowed_methods, reason = "formulas to compare with decide no run")]

use std::collections::BTreeMap;

use firedrill::run::Keep;
use serde_json::{Value, json};

use super::stats::{Kolmogorov, normal};
use super::{head, lines, row, runs, sized};

const HOUR: f64 = 3_600.0;

/// A thousand machines that do nothing, and fail as the defaults say.
fn scenario(hours: u64) -> Value {
    json!({
        "format": 1, "name": "failures", "duration": format!("{hours}h"), "warmup": "0s", "drain": "0s",
        "topology": {"data_centers": [{"id": "a", "location": {"lat": 0, "lon": 0}, "nodes": 1_000}]},
        "services": [{"id": "s", "application": "kv", "replicas": 1}],
        "protocols": {"static-primary": {"heartbeat": "1h"}},
        "workload": [{"service": "s", "rate": "1/h"}],
        "failures": [{"kind": "node"}],
    })
}

/// In hours: first failures, and how long repairs of failures in the first third took.
fn lives(trace: &[u8], hours: f64) -> (Vec<f64>, Vec<f64>) {
    let mut down: BTreeMap<String, f64> = BTreeMap::new();
    let mut known: BTreeMap<String, ()> = BTreeMap::new();
    let (mut first, mut repairs) = (Vec::new(), Vec::new());
    for line in lines(trace, &["fault-begins", "fault-ends"]) {
        let at = line["t_ns"].as_f64().expect("a time") / 1e9 / HOUR;
        let who = line["fault"].as_str().expect("a name").to_owned();
        if line["what"] == "fault-begins" {
            if known.insert(who.clone(), ()).is_none() {
                first.push(at);
            }
            down.insert(who, at);
        } else if let Some(since) = down.remove(&who)
            && since <= hours / 3.0
        {
            repairs.push(at - since);
        }
    }
    // A repair that is not over counts as longer than all that is left of the run.
    repairs.extend(down.values().filter(|&&since| since <= hours / 3.0).map(|since| hours - since));
    (first, repairs)
}

#[test]
fn machines_fail_by_weibull_and_are_repaired_by_lognormal() {
    let (seeds, hours) = (sized(16, 40), sized(72, 720));
    let traced = Keep { history: false, trace: true, coverage: false };
    let all =
        runs(&scenario(hours), seeds, traced, |result| lives(&result.trace.expect("it was asked for"), hours as f64));
    let (first, repairs): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    // Those that fail later are not seen: the distribution of those that fail within the run.
    let weibull = |at: f64| 1.0 - (-(at / 3_300.0).powf(0.7)).exp();
    let fails = Kolmogorov::of(first.concat(), |at| weibull(at) / weibull(hours as f64));
    let repaired = Kolmogorov::of(repairs.concat(), |took| normal((took / 1.05).ln() / 1.41));
    head(
        &format!("Failures and repairs of 1,000 machines, {seeds} runs of {hours} h, by default"),
        &["what", "against", "Kolmogorov-Smirnov"],
    );
    row(&[&"first failure", &"Weibull, shape 0.7, scale 3,300 h", &fails]);
    row(&[&"repair", &"lognormal, median 1.05 h, sigma 1.41", &repaired]);
    fails.agrees(sized(900, 10_000), "failures");
    repaired.agrees(sized(400, 5_000), "repairs");
}
