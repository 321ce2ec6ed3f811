//! The failure detector of the optimistic mechanism, by the measures of Chen, Toueg and Aguilera (2002).
//!
//! A heartbeat is sent each P to everyone; who heard none for longer than T at one of its own ticks, each P too,
//! suspects. Ticks have phases of their own, so the last heartbeat came u before a tick, u uniform in (0, P).
//! With T = (m + f) P, 0 <= f < 1, a suspicion needs m losses in a row if u > f P, and m + 1 otherwise.

#![allow(clippy::disallowed_methods, reason = "formulas to compare with decide no run")]

use std::collections::BTreeMap;

use firedrill::run::Keep;
use serde_json::{Value, json};

use super::stats::{Kolmogorov, Mean, digits};
use super::{head, lines, row, runs, sites, sized};

/// P, in seconds.
const PERIOD: f64 = 0.5;
/// One way. No multiple of the step of phases, so that no heartbeat comes at a tick.
const DELAY: f64 = 0.02025;
const SITES: usize = 4;
/// From when on mistakes count.
const WARMUP: f64 = 60.0;

/// `alone`: no view is ever proposed, so that heartbeats are all there is. A change of views sends some more.
fn scenario(loss: f64, suspect_after: &str, seconds: u64, alone: bool, timeline: Value) -> Value {
    let network = json!({"jitter": 0, "loss": loss, "bandwidth": "1000000Gbps"});
    let stable_after = if alone { "365d" } else { "600ms" };
    let optimistic = json!({"heartbeat": "500ms", "suspect_after": suspect_after, "stable_after": stable_after});
    json!({
        "format": 1, "name": "detector", "duration": format!("{seconds}s"), "warmup": "0s", "drain": "0s",
        "topology": sites(SITES, "40500us", network, json!({})),
        "services": [{"id": "s", "application": "kv", "replicas": SITES}],
        "protocols": {"optimistic": optimistic},
        "workload": [{"service": "s", "rate": "1/h"}],
        "timeline": timeline,
    })
}

/// A change of mind of one node about another, in seconds.
struct Turn {
    at: f64,
    who: (String, String),
    suspects: bool,
}

fn turns(trace: &[u8]) -> impl Iterator<Item = Turn> + '_ {
    lines(trace, &["suspected", "trusted"]).map(|line| Turn {
        at: line["t_ns"].as_f64().expect("a time") / 1e9,
        who: (line["node"].to_string(), line["detail"]["peer"].to_string()),
        suspects: line["what"] == "suspected",
    })
}

/// Of one run: mistakes an hour and pair, and their mean duration in seconds.
fn mistakes(trace: &[u8], seconds: f64) -> (f64, f64) {
    let mut since: BTreeMap<(String, String), f64> = BTreeMap::new();
    let (mut count, mut lengths) = (0_u32, Vec::new());
    for turn in turns(trace) {
        if turn.suspects {
            count += u32::from(turn.at >= WARMUP);
            since.insert(turn.who, turn.at);
        } else if let Some(began) = since.remove(&turn.who)
            && began >= WARMUP
        {
            lengths.push(turn.at - began);
        }
    }
    let pairs = (SITES * (SITES - 1)) as f64;
    let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
    (f64::from(count) / ((seconds - WARMUP) / 3_600.0 * pairs), mean)
}

const TRACED: Keep = Keep { history: false, trace: true, coverage: false };

/// The settings that are looked at: losses, T in periods, and as scenarios write it.
const SETTINGS: [(f64, f64, &str); 5] =
    [(0.2, 3.0, "1500ms"), (0.2, 4.0, "2s"), (0.3, 4.0, "2s"), (0.3, 4.5, "2250ms"), (0.4, 6.0, "3s")];

/// A success followed by enough losses starts a mistake: (1 - p) p^m / P. It ends with the next success, after a
/// geometric number of periods: P / (1 - p).
fn theory(loss: f64, periods: f64) -> (f64, f64) {
    let (m, f) = (periods.floor(), periods.fract());
    let run = (1.0 - f) * loss.powf(m) + f * loss.powf(m + 1.0);
    (3_600.0 * (1.0 - loss) * run / PERIOD, PERIOD / (1.0 - loss))
}

#[test]
fn mistakes_come_and_last_as_runs_of_losses_do() {
    let (seeds, seconds) = (sized(12, 40), sized(1_800, 3_600));
    let columns = [
        "loss",
        "T / P",
        "views",
        "mistakes an hour and pair, theory",
        "measured",
        "duration, theory, s",
        "measured, s",
    ];
    head("Wrong suspicions of the detector, intervals of 99.9 % over runs", &columns);
    for (loss, periods, suspect_after) in SETTINGS {
        let (rate, length) = theory(loss, periods);
        for alone in [true, false] {
            let scenario = scenario(loss, suspect_after, seconds, alone, json!([]));
            let all = runs(&scenario, seeds, TRACED, |result| {
                mistakes(&result.trace.expect("it was asked for"), seconds as f64)
            });
            let (rates, lengths): (Vec<f64>, Vec<f64>) = all.into_iter().unzip();
            let (measured, lasted) = (Mean::of(&rates), Mean::of(&lengths));
            let views = if alone { "none" } else { "as always" };
            row(&[&loss, &periods, &views, &digits(rate), &measured, &digits(length), &lasted]);
            let what = format!("loss {loss}, T = {periods} P, views {views}");
            if alone {
                measured.agrees(rate, rate * sized(0.4, 0.12), &format!("mistakes, {what}"));
                lasted.agrees(length, length * sized(0.2, 0.06), &format!("duration, {what}"));
            } else {
                // The additional heartbeats of view changes can only prevent and shorten mistakes.
                assert!(measured.mean - measured.half < rate, "mistakes, {what}: {measured}");
                assert!(lasted.mean - lasted.half < length, "duration, {what}: {lasted}");
            }
        }
    }
}

/// How long after the crash of `b` the node `a` suspects it; nothing if it did already.
fn detection(loss: f64, periods: f64, suspect_after: &str, seeds: u64) -> Vec<f64> {
    const CRASH: f64 = 100.0;
    let crash = json!([{"at": "100s", "do": "crash", "nodes": ["b/0"]}]);
    let seconds = (CRASH + 2.0 + (periods + 2.0) * PERIOD).ceil() as u64;
    let all = runs(&scenario(loss, suspect_after, seconds, true, crash), seeds, TRACED, |result| {
        let trace = result.trace.expect("it was asked for");
        let about = ("\"a/0\"".to_owned(), "\"b/0\"".to_owned());
        let mut last = turns(&trace).filter(|turn| turn.who == about && turn.at >= CRASH);
        last.find(|turn| turn.suspects).map(|turn| turn.at - CRASH)
    });
    all.into_iter().flatten().collect()
}

/// Without loss the last heartbeat was sent v before the crash, arrives DELAY later, and is missed at the first
/// tick more than T after that: DELAY + T + u - v, u and v uniform and independent: a triangle.
#[test]
fn a_crash_is_detected_when_it_should_be() {
    let columns = ["T / P", "mean, theory, s", "measured, s", "Kolmogorov-Smirnov, against the triangle"];
    head("Time from a crash to the suspicion, without loss, one a run", &columns);
    let seeds = sized(300, 4_000);
    for (periods, suspect_after) in [(4.0, "2s"), (6.0, "3s")] {
        let middle = DELAY + periods * PERIOD;
        let times = detection(0.0, periods, suspect_after, seeds);
        let mean = Mean::of(&times);
        let fit = Kolmogorov::of(times, |time| {
            let x = ((time - middle) / PERIOD).clamp(-1.0, 1.0);
            if x < 0.0 { (1.0 + x) * (1.0 + x) / 2.0 } else { 1.0 - (1.0 - x) * (1.0 - x) / 2.0 }
        });
        row(&[&periods, &digits(middle), &mean, &fit]);
        mean.agrees(middle, 0.05, "detection");
        fit.agrees(seeds as usize, "detection");
    }
}

/// With losses the last heartbeat that was heard is N periods older, N geometric, below m: at m it is suspected
/// already. (That this suspicion may come after the crash, at m just before it, changes the mean by some 4 ms.)
#[test]
fn losses_before_a_crash_make_its_detection_earlier() {
    let columns = ["loss", "T / P", "mean, theory, s", "measured, s"];
    head("Time from a crash to the suspicion of who was trusted, with loss, one a run", &columns);
    let seeds = sized(300, 4_000);
    for (loss, periods, suspect_after) in [(0.2_f64, 4.0, "2s"), (0.4, 6.0, "3s")] {
        let weights: Vec<f64> = (0..periods as usize).map(|n| (1.0 - loss) * loss.powf(n as f64)).collect();
        let older = weights.iter().enumerate().map(|(n, weight)| n as f64 * weight).sum::<f64>();
        let theory = DELAY + (periods - older / weights.iter().sum::<f64>()) * PERIOD;
        let mean = Mean::of(&detection(loss, periods, suspect_after, seeds));
        row(&[&loss, &periods, &digits(theory), &mean]);
        mean.agrees(theory, 0.15, &format!("detection at loss {loss}"));
    }
}
