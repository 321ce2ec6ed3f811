//! Delays and losses of links: base x (1 + X) with X exponential, and independent losses.

#![allow(clippy::disallowed_methods, reason = "formulas to compare with decide no run")]

use firedrill::run::Keep;
use serde_json::{Value, json};

use super::stats::{Kolmogorov, proportion};
use super::{head, lines, row, runs, sites, sized};

const TRACED: Keep = Keep { history: false, trace: true, coverage: false };
/// One way.
const BASE_NS: f64 = 20e6;

/// Two sites whose heartbeats, 40 a second each way, are what is looked at.
fn scenario(jitter: f64, loss: f64, seconds: u64) -> Value {
    let network = json!({"jitter": jitter, "loss": loss, "bandwidth": "1000000Gbps"});
    json!({
        "format": 1, "name": "links", "duration": format!("{seconds}s"), "warmup": "0s", "drain": "0s",
        "topology": sites(2, "40ms", network, json!({})),
        "services": [{"id": "s", "application": "kv", "replicas": 2}],
        "protocols": {"optimistic": {"heartbeat": "25ms", "suspect_after": "1h", "view_deadline": "1h", "freeze": "2h"}},
        "workload": [{"service": "s", "rate": "1/h"}],
    })
}

/// Of each traced message between the machines: how long it took in nanoseconds; nothing if it was lost.
fn journeys(jitter: f64, loss: f64) -> Vec<Option<f64>> {
    let seconds = sized(300, 6_000);
    let all = runs(&scenario(jitter, loss, seconds), 4, TRACED, |result| {
        let trace = result.trace.expect("it was asked for");
        let between_machines = |line: &Value| {
            let end = |name: &str| line[name].as_str().is_some_and(|end| end.ends_with("/0"));
            line["message"] == "Heartbeat" && end("from") && end("to")
        };
        let journey = |line: Value| match line["what"].as_str() {
            Some("sent") => Some(line["arrives_ns"].as_f64()? - line["t_ns"].as_f64()?),
            _ => {
                assert_eq!(line["why"], "lost");
                None
            }
        };
        lines(&trace, &["sent", "dropped"]).filter(between_machines).map(journey).collect::<Vec<_>>()
    });
    all.concat()
}

#[test]
fn delays_are_the_base_and_an_exponential_part_of_it() {
    head(
        "Delay of messages over a link of 20 ms, against 20 ms x (1 + X), X exponential",
        &["mean of X", "Kolmogorov-Smirnov"],
    );
    for jitter in [0.003, 0.1, 1.0] {
        let delays: Vec<f64> = journeys(jitter, 0.0).into_iter().map(|delay| delay.expect("nothing is lost")).collect();
        assert!(delays.iter().all(|&delay| delay >= BASE_NS), "never below the base");
        let fit = Kolmogorov::of(delays, |delay| 1.0 - (-(delay / BASE_NS - 1.0) / jitter).exp());
        row(&[&jitter, &fit]);
        fit.agrees(sized(50_000, 1_000_000), &format!("delay with jitter {jitter}"));
    }
}

#[test]
fn losses_come_with_their_probability_each_by_itself() {
    let columns = ["probability", "messages", "lost", "interval of 99.9 %", "lost right after a loss, interval"];
    head("Losses, intervals of Wilson", &columns);
    for loss in [0.001, 0.05, 0.3] {
        let journeys = journeys(0.0, loss);
        let lost = |journey: &Option<f64>| journey.is_none();
        let count = journeys.iter().filter(|journey| lost(journey)).count() as u64;
        let (low, high) = proportion(count, journeys.len() as u64);
        // Both ways alternate in the trace, so what comes second after a message is the next on its way.
        let after: Vec<&Option<f64>> =
            journeys.windows(3).filter(|three| lost(&three[0])).map(|three| &three[2]).collect();
        let (after_low, after_high) = proportion(after.iter().filter(|it| lost(it)).count() as u64, after.len() as u64);
        row(&[
            &loss,
            &journeys.len(),
            &count,
            &format!("{low:.5} to {high:.5}"),
            &format!("{after_low:.4} to {after_high:.4}"),
        ]);
        assert!((low..=high).contains(&loss), "{low} to {high} for {loss}");
        assert!((after_low..=after_high).contains(&loss), "after a loss: {after_low} to {after_high} for {loss}");
        assert!(journeys.len() >= sized(50_000, 1_000_000));
    }
}
