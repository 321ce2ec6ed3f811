//! Scenarios in which services reorganise themselves, and what a run of them must show.

use firedrill::rng::Stream;
use firedrill::run::{Keep, RunResult, Verdict, VerdictOutcome, run};
use firedrill::scenario::{self, Scenario};
use serde_json::{Value, json};

/// Data centers, with their regions, near ones first.
pub const SITES: [(&str, &str); 5] = [
    ("tokyo", "azure:japaneast"),
    ("osaka", "azure:japanwest"),
    ("seoul", "azure:koreacentral"),
    ("singapore", "azure:southeastasia"),
    ("sydney", "azure:australiaeast"),
];

/// Of each data center.
const MACHINES: u64 = 3;
const SERVICES: u64 = 4;
const DEGREE: u32 = 3;
/// The longest that a disaster of [`disasters`] lasts, and the second at which all of them are over.
const LONGEST: u64 = 100;
const CALM: u64 = 300;
pub const DURATION: u64 = 540;

/// The scenario that this JSON says.
pub fn written(value: &Value) -> Scenario {
    scenario::from_value(value).unwrap_or_else(|diagnostics| panic!("{diagnostics}\n{value:#}"))
}

/// Runs the first protocol of a scenario under its own seed.
pub fn run_first(scenario: &Scenario) -> RunResult {
    run(scenario, &scenario.protocols[0], scenario.seed, Keep::default())
}

/// Seeded disasters over four services of three replicas on five data centers of three machines. In the manner of
/// swarm testing each seed enables a random part of the kinds. All are over for long enough before the end.
pub fn disasters(seed: u64, kind: &str, policy: &str, loses_disks: bool) -> Scenario {
    let mut stream = Stream::new(seed, "test disasters", &[u64::from(loses_disks)]);
    let sites: Vec<Value> =
        SITES.iter().map(|(id, region)| json!({"id": id, "region": region, "zone": id, "nodes": MACHINES})).collect();
    let services: Vec<Value> = (0..SERVICES).map(|index| service(index, &mut stream)).collect();
    let load = |index| json!({"service": format!("s{index}"), "rate": "1/s", "reads": 0.5, "keys": 20, "clients": 4});
    let enabled: Vec<u64> = (0..KINDS).filter(|_| stream.chance(0.5)).collect();
    let enabled = if enabled.is_empty() { vec![stream.below(KINDS)] } else { enabled };
    let count = 1 + stream.below(5);
    let timeline: Vec<Value> = (0..count)
        .map(|_| {
            let kind = enabled[stream.below(enabled.len() as u64) as usize];
            let lasts = [3, 10, 30, 60, LONGEST][stream.below(5) as usize];
            let at = 40 + stream.below(CALM - LONGEST - 40);
            let mut one = disaster(kind, loses_disks && stream.chance(0.4), &mut stream);
            one["at"] = json!(format!("{at}s"));
            one["for"] = json!(format!("{lasts}s"));
            one
        })
        .collect();
    written(&json!({
        "format": 1, "name": format!("disasters-{seed}"), "seed": seed, "warmup": "30s",
        "duration": format!("{DURATION}s"),
        // A long queue under retries never drains: an overload that keeps itself up, whatever moves.
        "topology": {"data_centers": sites, "node": {"capacity": "20/s", "queue": 40, "boot": "60s"}},
        "services": services,
        "reorganise": {
            "policy": policy, "low_for": "30s", "high_for": "10s", "low": 0.4, "disaster_after": "2m",
        },
        "protocols": {kind: {}},
        "workload": (0..SERVICES).map(load).collect::<Vec<_>>(),
        "timeline": timeline,
    }))
}

fn service(index: u64, stream: &mut Stream) -> Value {
    let mut places: Vec<&str> = SITES.iter().map(|(id, _)| *id).collect();
    stream.shuffle(&mut places);
    let place: Vec<String> =
        places[..DEGREE as usize].iter().map(|site| format!("{site}/{}", stream.below(MACHINES))).collect();
    json!({
        "id": format!("s{index}"), "replicas": DEGREE, "place": place,
        "application": if stream.chance(0.5) { "kv" } else { "board" },
        "spread": {"data_centers": 2 + stream.below(2), "zones": 2},
    })
}

const KINDS: u64 = 8;

fn disaster(kind: u64, loses_disk: bool, stream: &mut Stream) -> Value {
    let mut sites: Vec<&str> = SITES.iter().map(|(id, _)| *id).collect();
    stream.shuffle(&mut sites);
    let node = format!("{}/{}", sites[0], stream.below(MACHINES));
    let disk = if loses_disk { "lost" } else { "kept" };
    match kind {
        0 => json!({"do": "crash", "data_centers": sites[..1], "disk": disk}),
        1 => json!({"do": "crash", "data_centers": sites[..2], "disk": disk}),
        2 => json!({"do": "crash", "nodes": [node], "disk": disk}),
        3 => json!({"do": "pause", "nodes": [node]}),
        4 => json!({"do": "partition", "groups": [sites[..1 + stream.below(2) as usize], ["*"]]}),
        5 => json!({"do": "cut", "from": [sites[0]], "to": [sites[1]], "one_way": stream.chance(0.5)}),
        6 => json!({"do": "degrade", "between": [sites[0], sites[1]], "add_delay": "80ms", "loss": 0.05}),
        _ => {
            let factor = 2 + stream.below(2);
            json!({"do": "load", "service": format!("s{}", stream.below(SERVICES)), "factor": factor, "ramp": "1s"})
        }
    }
}

/// What is wrong with a run of [`disasters`], if anything.
pub fn complaints(result: &RunResult, loses_disks: bool) -> Vec<String> {
    let mut wrong = violations(result);
    let all = &result.record.metrics.all;
    if !loses_disks && (all.writes_lost, all.writes_stranded) != (Some(0), Some(0)) {
        wrong.push(format!("{:?} writes are lost, {:?} stranded", all.writes_lost, all.writes_stranded));
    }
    for (service, seconds) in &result.seconds {
        let last = &seconds[seconds.len() - 30..];
        let (requests, ok) = last.iter().fold((0, 0), |sum, one| (sum.0 + one.requests, sum.1 + one.ok));
        // A primary may just be moving, which costs some of 150 requests.
        if u64::from(ok) * 100 < u64::from(requests) * 95 {
            wrong.push(format!("{service} answers {ok} of {requests} at the end"));
        }
        let members: Vec<u32> = last[20..].iter().map(|one| one.view_members).collect();
        // One more while a replica moves, to where it saves or serves better; none in the second of a handover.
        let is_moving = |&count: &u32| count == 0 || count == DEGREE + 1;
        let handovers = members.iter().filter(|&&count| count == 0).count();
        if !members.iter().all(|count| *count == DEGREE || is_moving(count))
            || handovers > 1
            || !members.contains(&DEGREE)
        {
            wrong.push(format!("{service} has {members:?} members at the end"));
        }
    }
    wrong
}

/// Every check that a run violated, with its evidence.
pub fn violations(result: &RunResult) -> Vec<String> {
    let violated = result.record.verdicts.iter().filter(|verdict| verdict.outcome == VerdictOutcome::Violated);
    violated
        .map(|verdict| format!("{}: {}", verdict.check, verdict.evidence.as_deref().unwrap_or("no evidence")))
        .collect()
}

/// The verdict of a check that is made once a run.
pub fn verdict<'a>(result: &'a RunResult, check: &str) -> &'a Verdict {
    result.record.verdicts.iter().find(|verdict| verdict.check == check).expect("there is such a check")
}
