//! Reorganisation under seeded disasters: nothing acknowledged is lost, C1 to C5 hold, and what was broken settles
//! by itself. `cargo test` runs a fixed tenth of the seeds; `scripts/sweep` runs them all.
//!
//! On a failure the message names the seed; `FIREDRILL_SEED=N cargo test --test reorganise` runs it alone.

mod common;

use common::layer::{SITES, complaints, disasters, run_first, verdict, violations, written};
use firedrill::run::{RunResult, VerdictOutcome};
use firedrill::scenario::Scenario;
use rayon::prelude::*;
use serde_json::{Value, json};

/// The seeds of a sweep: a tenth of `full`, all of them, or the one that is asked for.
fn seeds(full: u64) -> Vec<u64> {
    if let Some(seed) = std::env::var("FIREDRILL_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return vec![seed];
    }
    let all = std::env::var("FIREDRILL_SWEEP").is_ok_and(|sweep| sweep == "full");
    (0..if all { full } else { full / 10 }).collect()
}

fn sweep(full: u64, loses_disks: bool, make: impl Fn(u64) -> Scenario + Sync) {
    let seeds = seeds(full);
    let failures: Vec<String> = seeds
        .par_iter()
        .filter_map(|&seed| {
            let scenario = make(seed);
            let wrong = complaints(&run_first(&scenario), loses_disks);
            (!wrong.is_empty()).then(|| format!("seed {seed}: {}\n{}", wrong.join("; "), story(&scenario)))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} runs:\n{}", failures.len(), seeds.len(), failures.join("\n"));
}

/// What happened in a scenario, for a person who looks for the reason.
fn story(scenario: &Scenario) -> String {
    let policy = scenario.as_written["reorganise"]["policy"].clone();
    let told = scenario.as_written["timeline"].as_array().into_iter().flatten().map(|one| format!("\n    {one}"));
    format!("    {} {policy}{}", scenario.protocols[0].label, told.collect::<String>())
}

/// Half of the seeds let machines sleep: there most can go wrong.
fn policy(seed: u64) -> &'static str {
    ["save", "repair", "save", "balance"][(seed % 4) as usize]
}

#[test]
fn disasters_that_keep_disks() {
    sweep(1_000, false, |seed| disasters(seed, "optimistic", policy(seed), false));
}

#[test]
fn disasters_that_lose_disks() {
    sweep(300, true, |seed| disasters(seed, "optimistic", policy(seed), true));
}

#[test]
fn disasters_above_raft() {
    sweep(100, false, |seed| disasters(seed, "raft", policy(seed), false));
}

#[test]
fn disasters_above_viewstamped_replication() {
    sweep(100, false, |seed| disasters(seed, "viewstamped", policy(seed), false));
}

/// A small scenario on the first data centers, with `machines` in each.
struct Small {
    machines: Vec<u64>,
    /// Of each data center, if it is not its own.
    zones: Vec<&'static str>,
    service: Value,
    reorganise: Value,
    timeline: Value,
    minutes: u64,
}

impl Small {
    /// Runs it with some constants of the reorganisation changed.
    fn run(&self, changes: &Value) -> RunResult {
        let sites = self.machines.iter().zip(SITES).enumerate().map(|(at, (nodes, (id, region)))| {
            json!({"id": id, "region": region, "zone": self.zones.get(at).copied().unwrap_or(id), "nodes": nodes})
        });
        let mut reorganise =
            json!({"low_for": "30s", "high_for": "10s", "disaster_after": "1m", "repair_after": "20s"});
        for layer in [&self.reorganise, changes] {
            for (name, value) in layer.as_object().expect("an object") {
                reorganise[name] = value.clone();
            }
        }
        run_first(&written(&json!({
            "format": 1, "name": "small", "duration": format!("{}m", self.minutes), "warmup": "10s",
            "topology": {
                "data_centers": sites.collect::<Vec<_>>(),
                "node": {"capacity": "100/s", "boot": "60s"},
            },
            "services": [self.service],
            "reorganise": reorganise,
            "protocols": {"optimistic": {}},
            "workload": [{"service": "board", "rate": "1/s"}],
            "timeline": self.timeline,
        })))
    }

    /// With the constraint on its check is valid; with it off the same check finds a breach.
    fn needs(&self, check: &str, constraint: &str) {
        let on = self.run(&json!({}));
        assert_eq!(verdict(&on, check).outcome, VerdictOutcome::Valid, "{:?}", verdict(&on, check).evidence);
        assert_eq!(violations(&on), Vec::<String>::new());
        let off = self.run(&json!({"constraints": {constraint: false}}));
        let verdict = verdict(&off, check);
        let evidence = verdict.evidence.as_deref().unwrap_or("nothing was found");
        assert_eq!(verdict.outcome, VerdictOutcome::NotApplicable, "{evidence}");
        assert!(evidence.ends_with("it is switched off"), "{evidence}");
    }
}

fn board(place: &[&str], data_centers: u64) -> Value {
    let spread = json!({"data_centers": data_centers, "zones": 2});
    json!({"id": "board", "application": "board", "place": place, "spread": spread})
}

#[test]
fn without_c1_a_service_ends_in_one_zone() {
    // Osaka is nearest to Tokyo, and would be lost with it.
    let small = Small {
        machines: vec![1, 1, 1, 1],
        zones: vec!["kansai", "kansai"],
        service: board(&["tokyo/0", "seoul/0"], 2),
        reorganise: json!({"policy": "repair"}),
        timeline: json!([{"at": "60s", "do": "crash", "data_centers": ["seoul"]}]),
        minutes: 6,
    };
    small.needs("C1", "spread");
}

#[test]
fn without_c2_a_data_center_holds_more_than_its_share() {
    let small = Small {
        machines: vec![3, 2, 1],
        zones: vec![],
        service: board(&["tokyo/0", "tokyo/1", "osaka/0", "seoul/0"], 2),
        reorganise: json!({"policy": "repair", "next_degree": 1}),
        timeline: json!([{"at": "60s", "do": "crash", "data_centers": ["seoul"]}]),
        minutes: 8,
    };
    small.needs("C2", "share");
}

#[test]
fn without_c3_a_service_is_repaired_where_the_next_disaster_takes_it() {
    let small = Small {
        machines: vec![2, 1, 1, 1],
        zones: vec![],
        service: board(&["tokyo/0", "osaka/0", "seoul/0"], 2),
        reorganise: json!({"policy": "repair"}),
        timeline: json!([{"at": "60s", "do": "crash", "data_centers": ["seoul"]}]),
        minutes: 7,
    };
    small.needs("C3", "next_disaster");
}

#[test]
fn without_c4_a_machine_sleeps_with_the_last_copy() {
    let small = Small {
        machines: vec![2, 2],
        zones: vec![],
        service: board(&["tokyo/1", "osaka/1"], 2),
        reorganise: json!({"policy": "save"}),
        timeline: json!([]),
        minutes: 6,
    };
    small.needs("C4", "last_copies");
}

#[test]
fn without_c5_a_side_of_a_partition_goes_to_sleep() {
    let small = Small {
        machines: vec![2, 2, 2],
        zones: vec![],
        service: board(&["tokyo/0", "osaka/0", "seoul/0"], 2),
        reorganise: json!({"policy": "save", "low_for": "70s", "disaster_after": "5m"}),
        timeline: json!([{"at": "50s", "do": "partition", "groups": [["tokyo"], ["*"]], "for": "2m"}]),
        minutes: 8,
    };
    small.needs("C5", "suspend");
}

/// Three services on four data centers of two machines, which let machines sleep.
fn thrifty(minutes: u64, rate: &str, profile: &Value, timeline: &Value) -> RunResult {
    let sites = SITES[..4].iter().map(|(id, region)| json!({"id": id, "region": region, "zone": id, "nodes": 2}));
    let names = ["board", "shop", "wiki"];
    let services = names.iter().enumerate().map(|(at, id)| {
        let place: Vec<String> = (0..3).map(|next| format!("{}/{}", SITES[(at + next) % 4].0, next % 2)).collect();
        json!({"id": id, "application": "kv", "place": place})
    });
    let load = |id: &&str| json!({"service": id, "rate": rate, "profile": profile});
    run_first(&written(&json!({
        "format": 1, "name": "thrifty", "duration": format!("{minutes}m"), "warmup": "30s",
        "topology": {"data_centers": sites.collect::<Vec<_>>(), "node": {"capacity": "100/s", "boot": "60s"}},
        "services": services.collect::<Vec<_>>(),
        "reorganise": {"policy": "save", "low_for": "1m", "high_for": "20s", "disaster_after": "2m"},
        "protocols": {"optimistic": {}},
        "workload": names.iter().map(load).collect::<Vec<_>>(),
        "timeline": timeline,
    })))
}

/// Replicas that agents started from a minute on.
fn moves_from(result: &RunResult, minute: u64) -> usize {
    let residency = result.record.residency.as_ref().expect("there are agents");
    let events = residency.replicas.values().flatten();
    events.filter(|event| event.2 == "start" && event.0 >= 60.0 * minute as f64).count()
}

#[test]
fn at_constant_load_moves_end() {
    let result = thrifty(40, "3/s", &json!({"kind": "constant"}), &json!([]));
    assert_eq!(violations(&result), Vec::<String>::new());
    assert_eq!(moves_from(&result, 15), 0, "{:?}", result.record.residency.map(|all| all.replicas));
}

#[test]
fn a_load_that_hovers_at_a_threshold_moves_little() {
    // A machine that leads one service carries 0.2 to 0.4 of its capacity, around what counts as low, and changes
    // every 50 s.
    let hours: Vec<f64> = (0..24).map(|hour| if hour % 2 == 0 { 0.67 } else { 1.33 }).collect();
    let profile = json!({"kind": "diurnal", "hours": hours, "period": "20m", "shifted": false});
    let result = thrifty(60, "7.5/s", &profile, &json!([]));
    assert_eq!(violations(&result), Vec::<String>::new());
    let moves = moves_from(&result, 15);
    assert!(moves <= 3, "{moves} moves of three services in 45 minutes");
}

fn every_service_is_whole(result: &RunResult, seconds: std::ops::Range<usize>) {
    for (service, rows) in &result.seconds {
        let members: Vec<u32> = rows[seconds.clone()].iter().map(|row| row.view_members).collect();
        assert!(members.iter().all(|count| (3..=4).contains(count)), "{service}: {members:?}");
    }
}

#[test]
fn agents_that_are_overwritten_settle_and_lose_nothing() {
    let corrupt = json!([{"at": "2m", "do": "corrupt", "nodes": ["*"], "what": "volatile"}]);
    let result = thrifty(8, "3/s", &json!({"kind": "constant"}), &corrupt);
    assert_eq!(violations(&result), Vec::<String>::new());
    for check in ["C1", "C2", "C3"] {
        assert_eq!(verdict(&result, check).outcome, VerdictOutcome::Valid, "{:?}", verdict(&result, check).evidence);
    }
    let all = &result.record.metrics.all;
    assert_eq!((all.writes_lost, all.writes_stranded), (Some(0), Some(0)));
    every_service_is_whole(&result, 240..480);
}

#[test]
fn agents_whose_messages_are_lost_settle_too() {
    // A fifth of everything is lost between all data centers, and one of them is, for good.
    let names: Vec<&str> = SITES[..4].iter().map(|(id, _)| *id).collect();
    let mut timeline: Vec<Value> = (0..3)
        .map(|at| json!({"at": "30s", "do": "degrade", "between": [names[at], names[at + 1..]], "loss": 0.2}))
        .collect();
    timeline.push(json!({"at": "2m", "do": "crash", "data_centers": ["seoul"]}));
    let result = thrifty(9, "1/s", &json!({"kind": "constant"}), &json!(timeline));
    assert_eq!(violations(&result), Vec::<String>::new());
    let all = &result.record.metrics.all;
    assert_eq!(all.writes_lost, Some(0));
    for (service, rows) in &result.seconds {
        let whole = rows[420..540].iter().filter(|row| row.view_members >= 3).count();
        assert!(whole >= 100, "{service} has three members in {whole} of the last 120 seconds");
    }
}
