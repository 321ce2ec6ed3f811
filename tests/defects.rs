//! Deliberate defects as a part of a scenario and of the command line.

use std::path::PathBuf;
use std::process::Command;

use firedrill::run::{Keep, Record, run};
use firedrill::scenario::{self, Kind, Scenario, Source, catalogue};
use serde_json::{Value, json};

fn small(protocols: &Value) -> Value {
    json!({
        "format": 1, "name": "small", "duration": "20s", "drain": "10s",
        "topology": {"data_centers": [
            {"id": "tokyo", "region": "azure:japaneast", "nodes": 1},
            {"id": "osaka", "region": "azure:japanwest", "nodes": 1},
            {"id": "sydney", "region": "azure:australiaeast", "nodes": 1}
        ]},
        "services": [{"id": "board", "application": "kv", "replicas": 3, "place": ["tokyo/0", "osaka/0", "sydney/0"]}],
        "protocols": protocols,
        "workload": [{"service": "board", "from": ["tokyo"], "rate": "5/s", "keys": 10}]
    })
}

fn load(value: &Value) -> Result<Scenario, scenario::Diagnostics> {
    let source = Source { name: "small.json".into(), bytes: value.to_string().into_bytes() };
    scenario::load(&source, &[], &|name| panic!("{name} is not asked for"))
}

const KINDS: [&str; 7] =
    ["optimistic", "raft", "omnipaxos", "viewstamped", "static-primary", "lazy-consensus", "dynamic-voting"];

#[test]
fn every_defect_can_stand_in_a_scenario_and_is_kept_by_what_it_resolves_to() {
    let mut count = 0;
    for kind in KINDS {
        for &(name, says) in catalogue::defects(kind) {
            let mut written = json!({});
            written[kind] = json!({"break": name});
            let loaded = load(&small(&written)).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(loaded.protocols[0].kind.defect(), Some((name, says)));
            assert_eq!(loaded.resolved["protocols"][kind]["break"], name);
            let again = scenario::from_value(&loaded.resolved).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!((again.hash, &again.protocols), (loaded.hash, &loaded.protocols));
            count += 1;
        }
    }
    assert_eq!(count, catalogue::defects_table().rows.len());
    assert_eq!(count, 21);
}

#[test]
fn what_is_meant_to_work_says_nothing_of_defects() {
    let all: Value = KINDS.iter().map(|&kind| (kind.to_owned(), json!({}))).collect::<serde_json::Map<_, _>>().into();
    let loaded = load(&small(&all)).unwrap_or_else(|wrong| panic!("{wrong}"));
    for protocol in &loaded.protocols {
        assert_eq!(protocol.kind.defect(), None);
        assert!(loaded.resolved["protocols"][&protocol.label].get("break").is_none());
    }
    let record = run(&loaded, &loaded.protocols[0], 1, Keep::default()).record;
    assert!(record.notes.is_empty(), "{:?}", record.notes);
}

#[test]
fn a_defect_of_another_protocol_is_refused_with_the_names_of_its_own() {
    let wrong = load(&small(&json!({"raft": {"break": "rejoin-empty"}}))).expect_err("raft has no such defect");
    let text = wrong.to_string();
    assert!(text.contains("`ack-before-commit` or `skip-read-index`"), "{text}");
    load(&small(&json!({"static-primary": {"break": "ack-before-commit"}}))).expect_err("it has none");
}

/// The program in a directory with the scenario.
struct Place(tempfile::TempDir);

impl Place {
    fn new(protocols: &Value) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("small.json"), small(protocols).to_string()).expect("it can be written");
        Self(dir)
    }

    fn firedrill(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
        let ended = command.args(args).current_dir(self.0.path()).output().expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ended.status.code().expect("it ends by itself"), text(&ended.stdout), text(&ended.stderr))
    }

    fn result(&self, label: &str) -> PathBuf {
        self.0.path().join(format!("results/small/{label}/seed-1/result.json"))
    }

    fn record(&self, label: &str) -> Record {
        firedrill::output::read_record(&self.result(label)).expect("it is a record")
    }
}

#[test]
fn a_run_with_a_defect_says_so_and_replays() {
    let place = Place::new(&json!({"raft": {}, "plain": {"kind": "raft"}, "omnipaxos": {}, "viewstamped": {}}));
    let asked = ["run", "small.json", "--break", "skip-read-index", "--no-plots", "--protocol", "raft,omnipaxos"];
    let (code, out, err) = place.firedrill(&asked);
    assert_eq!(code, 0, "{err}");
    let flat = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("raft has the deliberate defect `skip-read-index`: The leader answers reads at once"),
        "{out}"
    );
    let record = place.record("raft");
    assert_eq!(record.scenario.resolved["protocols"]["raft"]["break"], "skip-read-index");
    assert!(record.scenario.resolved["protocols"]["plain"].get("break").is_none(), "it was not asked for");
    assert_eq!(record.notes.len(), 1);
    assert!(place.record("omnipaxos").notes.is_empty(), "it has no such defect");
    let loaded = scenario::from_value(&record.scenario.resolved).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(matches!(&loaded.protocols[0].kind, Kind::Raft(options) if options.mutation.is_some()));
    let (code, out, err) = place.firedrill(&["replay", &place.result("raft").to_string_lossy()]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn a_defect_that_nobody_has_is_told_with_those_that_there_are() {
    let place = Place::new(&json!({"raft": {}, "static-primary": {}}));
    let (code, out, err) = place.firedrill(&["run", "small.json", "--break", "ack-befor-commit"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("did you mean `ack-before-commit`?"), "{err}");
    assert!(err.contains("raft has ack-before-commit and skip-read-index"), "{err}");
    assert!(err.contains("static-primary has none"), "{err}");
    let (code, _, err) = place.firedrill(&["run", "small.json", "--break", "ack-before-commit", "--protocol", "rft"]);
    assert_eq!(code, 2);
    assert!(err.contains("no protocol `rft`"), "{err}");
    assert!(!place.0.path().join("results").exists());
}
