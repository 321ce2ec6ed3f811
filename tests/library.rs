//! The library of scenarios shows what the mechanism is for. These tests read the reference results; that
//! they are what the scenarios give today is tested by `tests/reference.rs`.

mod common;

use std::collections::BTreeSet;

use common::library::{answers_again, bound, column, labels, load, metrics, named, optimistic, paths, reference};
use firedrill::run::VerdictOutcome;
use firedrill::scenario::Scenario;

#[test]
fn every_scenario_loads_and_says_what_it_is() {
    let paths = paths();
    assert!(paths.len() >= 16, "{} scenarios", paths.len());
    for path in paths {
        let scenario = load(&path);
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(scenario.name.as_str()));
        assert!(scenario.description.contains("ssumption"), "{}: says what is assumed", path.display());
        assert!(!scenario.sources.is_empty(), "{}: has sources", path.display());
        assert!(!scenario.expectations.is_empty(), "{}: expects something", path.display());
        let kinds: BTreeSet<&str> = scenario.protocols.iter().map(|one| one.kind.name()).collect();
        // Those that are about raft alone, and about how services reorganise themselves.
        let wanted = if scenario.name == "raft-failover" || scenario.map.is_some() { 1 } else { 7 };
        assert!(kinds.len() >= wanted, "{}: has {kinds:?}", path.display());
    }
}

#[test]
fn every_expectation_and_promise_of_the_library_holds() {
    let mut broken = Vec::new();
    for scenario in paths().iter().map(|path| load(path)) {
        for label in labels(&scenario) {
            let record = reference(&scenario.name, label);
            let expectations = record.expectations.iter().filter(|one| !one.held);
            broken.extend(expectations.map(|one| format!("{}, {label}: {one:?}", scenario.name)));
            let verdicts = record.verdicts.iter().filter(|one| one.outcome == VerdictOutcome::Violated);
            broken.extend(verdicts.map(|one| format!("{}, {label}: {one:?}", scenario.name)));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Every second of a span, of a column of a reference result.
fn all_seconds(scenario: &str, label: &str, name: &str, from: f64, to: f64, holds: impl Fn(f64) -> bool) {
    let rows: Vec<_> = column(scenario, label, name).into_iter().filter(|&(at, _)| from <= at && at < to).collect();
    assert!(rows.len() as f64 >= to - from - 1.0, "{scenario}, {label}: {} rows", rows.len());
    let wrong = rows.iter().find(|&&(_, value)| !holds(value));
    assert!(wrong.is_none(), "{scenario}, {label}: {name} is {wrong:?}");
}

#[test]
fn when_a_majority_fails_service_resumes_within_the_bound_and_stays() {
    let scenario = named("majority-failure");
    for (label, options) in optimistic(&scenario) {
        let limit = answers_again(&scenario, options).as_secs_f64();
        let recovery = metrics(&scenario.name, label).recovery_first_s.expect("it recovered");
        assert!(recovery <= limit, "{recovery} s, and the bound is {limit} s");
        all_seconds(&scenario.name, label, "availability", 60.0 + limit, 600.0, |share| share >= 0.999);
        all_seconds(&scenario.name, label, "view_members", 60.0 + limit, 359.0, |members| members == 1.0);
    }
}

#[test]
fn a_crash_of_the_primary_is_over_within_the_bound_whatever_the_number_of_replicas() {
    let scenario = named("primary-crash");
    for (label, options) in optimistic(&scenario) {
        let limit = answers_again(&scenario, options).as_secs_f64();
        for (service, metrics) in &reference(&scenario.name, label).metrics.services {
            let recovery = metrics.recovery_first_s.expect("it recovered");
            assert!(recovery <= limit, "{service}: {recovery} s, and the bound is {limit} s");
        }
    }
}

#[test]
fn the_last_of_five_has_every_write_that_was_acknowledged() {
    let all = metrics("rolling-crashes", "optimistic");
    assert_eq!((all.writes_lost, all.writes_revoked, all.writes_stranded), (Some(0), Some(0), Some(0)));
    all_seconds("rolling-crashes", "optimistic", "view_members", 158.0, 239.0, |members| members == 1.0);
}

#[test]
fn every_side_of_a_partition_serves() {
    for (name, sides) in [("partition-3-2", 2.0), ("partition-2-2-1", 3.0)] {
        let scenario = named(name);
        for (label, options) in optimistic(&scenario) {
            let settled = 60.0 + answers_again(&scenario, options).as_secs_f64();
            all_seconds(name, label, "primaries", settled, 179.0, |primaries| primaries == sides);
            // The smallest side has a fifth of the users: without it there were 80 %.
            all_seconds(name, label, "availability", settled, 179.0, |share| share >= 0.98);
        }
    }
}

#[test]
fn after_healing_there_is_one_legitimate_state_within_the_bound() {
    let names = ["partition-3-2", "partition-2-2-1", "one-way-cut", "chained-cut", "github-2018", "cloudflare-2020"];
    for name in names {
        let scenario = named(name);
        for (label, options) in optimistic(&scenario) {
            let limit = bound(&scenario, options).as_secs_f64();
            let took = metrics(name, label).convergence_s.expect("it converged");
            assert!(took <= limit, "{name}, {label}: {took} s, and the bound is {limit} s");
        }
    }
}

#[test]
fn the_merge_policy_decides_what_a_losing_side_loses() {
    for name in ["partition-3-2", "partition-2-2-1"] {
        for keeps in ["optimistic", "optimistic-crdt"] {
            assert_eq!(metrics(name, keeps).writes_revoked, Some(0), "{name}, {keeps}");
        }
        let all = metrics(name, "optimistic-rank-wins");
        assert!(all.writes_revoked > Some(0), "{name}");
        assert_eq!(all.writes_revoked, all.writes_revoked_told, "{name}: every author was told");
        assert_eq!(all.writes_lost, Some(0), "{name}");
    }
}

#[test]
fn an_acknowledged_write_survives_the_loss_of_fewer_sites_than_its_rule_waited_for() {
    let lost = |label: &str| metrics("ack-rules", label).writes_lost.expect("it is counted");
    assert_eq!(lost("optimistic"), 0);
    assert_eq!(lost("optimistic-3-copies"), 0);
    assert!(0 < lost("optimistic-2-copies"));
    assert!(lost("optimistic-2-copies") < lost("optimistic-at-once"));
    let latency = |label: &str| metrics("ack-rules", label).latency_p50_ms.expect("it is measured");
    let rising = ["optimistic-at-once", "optimistic-2-copies", "optimistic-3-copies", "optimistic"].map(latency);
    assert!(rising.is_sorted(), "{rising:?}");
}

#[test]
fn a_paused_primary_does_not_come_back_as_primary() {
    assert_eq!(metrics("paused-primary", "optimistic").divergence_s, Some(0.0));
    all_seconds("paused-primary", "optimistic", "primaries", 160.0, 360.0, |primaries| primaries == 1.0);
}

#[test]
fn a_link_that_flaps_fast_does_not_change_the_view() {
    all_seconds("flapping-link", "optimistic", "view_members", 20.0, 180.0, |members| members == 5.0);
    all_seconds("flapping-link", "optimistic", "primaries", 20.0, 180.0, |primaries| primaries == 1.0);
}

#[test]
fn from_an_arbitrary_state_one_primary_is_left_within_the_bound() {
    let scenario = named("state-corruption");
    for (label, options) in optimistic(&scenario) {
        let far = common::library::one_way(&scenario);
        let limit = common::arbitrary_state_bound(options, far).as_secs_f64();
        let took = metrics(&scenario.name, label).convergence_s.expect("it converged");
        assert!(took <= limit, "{label}: {took} s, and the bound is {limit} s");
        for from in [60.0, 240.0] {
            let to = if from == 60.0 { 119.0 } else { 360.0 };
            all_seconds(&scenario.name, label, "primaries", from + limit, to, |primaries| primaries == 1.0);
        }
    }
}

/// Labels of the protocols that need a majority of something, and of the one that needs everyone.
fn of_one_history(scenario: &Scenario) -> Vec<&str> {
    let others = scenario.protocols.iter().filter(|one| one.kind.name() != "optimistic");
    others.map(|one| one.label.as_str()).collect()
}

#[test]
fn without_a_majority_only_the_optimistic_mechanism_serves_and_nobody_loses_anything() {
    let scenario = named("majority-failure");
    for label in of_one_history(&scenario) {
        // What is asked in the last two seconds may be answered when the majority is back.
        all_seconds(&scenario.name, label, "availability", 66.0, 357.0, |share| share <= 0.02);
        all_seconds(&scenario.name, label, "availability", 375.0, 600.0, |share| share >= 0.99);
        let all = metrics(&scenario.name, label);
        assert_eq!((all.writes_lost, all.writes_stranded, all.writes_revoked), (Some(0), Some(0), Some(0)), "{label}");
    }
}

#[test]
fn of_two_sides_a_majority_serves_one_and_of_three_none() {
    for (name, served) in [("partition-3-2", 0.6), ("partition-2-2-1", 0.0)] {
        let scenario = named(name);
        let split = |label: &str| {
            let phases = reference(name, label).phases;
            let one = phases.iter().find(|phase| phase.label.starts_with("partition")).expect("a phase of the split");
            one.metrics.all.availability.expect("there were requests")
        };
        for label in of_one_history(&scenario).into_iter().filter(|&label| label != "static-primary") {
            let share = split(label);
            // A failover within the split costs up to six seconds of it.
            assert!((served - 0.04..=served + 0.025).contains(&share), "{name}, {label}: {share}");
            assert_eq!(metrics(name, label).divergence_s, Some(0.0), "{name}, {label}");
        }
        assert!(split("static-primary") < 0.02 && split("optimistic") > 0.97, "{name}");
    }
}

#[test]
fn where_only_a_hub_reaches_a_majority_it_takes_more_than_a_majority_to_go_on() {
    let served = |name: &str, label: &str| {
        let phases = reference(name, label).phases;
        let one = phases.iter().find(|phase| phase.label.contains("cut tokyo")).expect("a phase of the cuts");
        one.metrics.all.availability.expect("there were requests")
    };
    // Ng, Haridi and Carbone 2023, section 2: who insists on the most advanced log, or on a leader that lives, is stuck.
    let stuck = ["raft", "raft-no-prevote", "raft-no-checkquorum", "raft-plain", "viewstamped"];
    for label in stuck {
        assert!(served("partial-constrained-election", label) < 0.02, "{label}");
    }
    for label in ["omnipaxos", "lazy-consensus", "dynamic-voting"] {
        assert!(served("partial-constrained-election", label) > 0.95, "{label}");
        assert!(served("partial-quorum-loss", label) > 0.95, "{label}");
    }
    assert!(served("partial-quorum-loss", "raft") > 0.9, "check-quorum makes the leader stand down");
    assert!(served("partial-quorum-loss", "raft-no-checkquorum") < 0.02, "without it the hub keeps to its leader");
    assert!(served("chained-cut", "raft-plain") < 0.5, "terms chase each other");
    assert!(served("chained-cut", "raft") > 0.55 && served("chained-cut", "omnipaxos") > 0.55);
}

#[test]
fn one_history_has_no_stale_read_and_nothing_to_revoke() {
    for scenario in paths().iter().map(|path| load(path)) {
        for label in of_one_history(&scenario) {
            let all = metrics(&scenario.name, label);
            let price = (all.reads_stale, all.writes_revoked, all.divergence_s);
            assert_eq!(price, (Some(0), Some(0), Some(0.0)), "{}, {label}", scenario.name);
        }
    }
    let split = metrics("partition-3-2", "optimistic");
    assert!(split.reads_stale > Some(1_000) && split.divergence_s > Some(100.0), "the price of serving both sides");
}

#[test]
fn a_majority_is_nearer_than_everyone() {
    let p50 = |label: &str| metrics("partition-3-2", label).latency_p50_ms.expect("it is measured");
    assert!(p50("omnipaxos") < p50("optimistic") && p50("viewstamped") < p50("optimistic"));
    assert!(p50("dynamic-voting") > p50("viewstamped"), "whose writes wait for every member");
}
