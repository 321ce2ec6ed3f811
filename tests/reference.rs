//! The reference results belong to the scenarios as they are, and every run gives the same record again.

mod common;

use std::collections::BTreeSet;

use common::library::{REFERENCE, REFRESH, labels, load, paths, reference};
use firedrill::run::{Keep, Record, run};
use firedrill::scenario::{self, Scenario};
use rayon::prelude::*;

#[test]
fn every_scenario_has_a_reference_and_nothing_else_has() {
    let subdirs = |path: String| -> BTreeSet<String> {
        let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}; {REFRESH}"));
        let entries = entries.map(|entry| entry.expect("the directory can be listed"));
        entries
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let scenarios: Vec<Scenario> = paths().iter().map(|path| load(path)).collect();
    let names: BTreeSet<String> = scenarios.iter().map(|scenario| scenario.name.clone()).collect();
    assert_eq!(names, subdirs(REFERENCE.into()), "{REFRESH}");
    for scenario in &scenarios {
        let labels: BTreeSet<String> = labels(scenario).into_iter().map(Into::into).collect();
        assert_eq!(labels, subdirs(format!("{REFERENCE}/{}", scenario.name)), "{}: {REFRESH}", scenario.name);
    }
}

#[test]
fn every_reference_is_of_the_scenario_as_it_is_now() {
    for scenario in paths().iter().map(|path| load(path)) {
        for label in labels(&scenario) {
            let record = reference(&scenario.name, label);
            assert_eq!(
                record.scenario.hash, scenario.hash,
                "{}, {label}: the scenario changed; {REFRESH}",
                scenario.name
            );
            assert_eq!(record.scenario.as_written, scenario.as_written, "{}, {label}: {REFRESH}", scenario.name);
        }
    }
}

/// Larger runs are replayed only if all are asked for, with `FIREDRILL_SWEEP=full`.
const EVENTS_MAX: u64 = 10_000_000;

/// Runs again from what the record holds, and says what differs.
fn replay(record: &Record) -> Option<String> {
    let of = format!("{}, {}, seed {}", record.scenario.name, record.protocol, record.seed);
    let mut scenario = match scenario::from_value(&record.scenario.resolved) {
        Ok(scenario) => scenario,
        Err(wrong) => return Some(format!("{of}: {wrong}")),
    };
    scenario.as_written = record.scenario.as_written.clone();
    let protocol = scenario.protocols.iter().find(|one| one.label == record.protocol)?.clone();
    let now = run(&scenario, &protocol, record.seed, Keep::default()).record;
    if now == *record {
        return None;
    }
    let what = if now.fingerprint == record.fingerprint {
        "the same events, but another record of them"
    } else {
        "other events"
    };
    Some(format!("{of}: {what}"))
}

#[test]
fn every_reference_replays_to_the_same_record() {
    let scenarios: Vec<Scenario> = paths().iter().map(|path| load(path)).collect();
    let all: Vec<(&str, &str)> =
        scenarios.iter().flat_map(|one| labels(one).into_iter().map(|label| (one.name.as_str(), label))).collect();
    let full = std::env::var("FIREDRILL_SWEEP").is_ok_and(|sweep| sweep == "full");
    let records = all.par_iter().map(|(name, label)| reference(name, label));
    let different: Vec<String> =
        records.filter(|record| full || record.events <= EVENTS_MAX).filter_map(|record| replay(&record)).collect();
    assert!(different.is_empty(), "{}\nIf that is meant, {REFRESH}.", different.join("\n"));
}
