//! What is known in closed form, against the simulator: queues, availability of k of n, links, failures, and the
//! detector of failures. `docs/validation.md` has the tables of the long version.
//!
//! Seeds are fixed, so a comparison either holds or the code has changed. Intervals are of 99.9 %, from the means
//! of independent runs. `scripts/validate` runs many more, and prints the tables:
//!
//!     FIREDRILL_VALIDATION=full cargo test --release --test validation -- --nocapture --test-threads 1

mod availability;
mod detector;
mod failures;
mod links;
mod queue;
mod stats;

use std::fmt::Display;

use firedrill::run::{Examined, Keep, RunResult, run, run_examined};
use firedrill::scenario::{self, Scenario};
use rayon::prelude::*;
use serde_json::{Value, json};

/// A number for the short version and one for the long one.
fn sized<T>(short: T, long: T) -> T {
    let long_one = std::env::var("FIREDRILL_VALIDATION").is_ok_and(|value| value == "full");
    if long_one { long } else { short }
}

fn load(scenario: &Value) -> Scenario {
    scenario::from_value(scenario).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// The runs of a scenario's first protocol with seeds from 1 on, each reduced to what is asked of it.
fn runs<T: Send>(scenario: &Value, seeds: u64, keep: Keep, reduce: impl Fn(RunResult) -> T + Sync) -> Vec<T> {
    let scenario = load(scenario);
    let seeds: Vec<u64> = (1..=seeds).collect();
    seeds.par_iter().map(|&seed| reduce(run(&scenario, &scenario.protocols[0], seed, keep))).collect()
}

/// As [`runs`], with the history of each.
fn histories<T: Send>(scenario: &Value, seeds: u64, reduce: impl Fn(Examined) -> T + Sync) -> Vec<T> {
    let scenario = load(scenario);
    let seeds: Vec<u64> = (1..=seeds).collect();
    let one = |&seed| reduce(run_examined(&scenario, &scenario.protocols[0], seed, Keep::default()).1);
    seeds.par_iter().map(one).collect()
}

/// The lines of a trace that are of these kinds.
fn lines<'a>(trace: &'a [u8], kinds: &'a [&str]) -> impl Iterator<Item = Value> + 'a {
    let wanted: Vec<String> = kinds.iter().map(|kind| format!("\"what\":\"{kind}\"")).collect();
    let text = std::str::from_utf8(trace).expect("a trace is text");
    let of_kind = move |line: &&str| wanted.iter().any(|kind| line.contains(kind));
    text.lines().filter(of_kind).map(|line| serde_json::from_str(line).expect("a line is JSON"))
}

/// Data centers of one machine each, with ids from `a` on, and this time between any two.
fn sites(count: usize, round_trip: &str, network: Value, node: Value) -> Value {
    let id = |site: usize| char::from(b'a' + site as u8).to_string();
    let site = |site| json!({"id": id(site), "location": {"lat": 0, "lon": 0}, "nodes": 1});
    let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
    let links: Vec<Value> = pairs.map(|(a, b)| json!({"between": [id(a), id(b)], "round_trip": round_trip})).collect();
    let sites: Vec<Value> = (0..count).map(site).collect();
    json!({"data_centers": sites, "network": network, "links": links, "node": node})
}

/// Prints a row of a table of `docs/validation.md`.
fn row(cells: &[&dyn Display]) {
    let cells: Vec<String> = cells.iter().map(ToString::to_string).collect();
    println!("| {} |", cells.join(" | "));
}

/// Prints the head of such a table.
fn head(title: &str, columns: &[&str]) {
    println!("\n{title}\n");
    println!("| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
}
