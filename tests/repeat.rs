//! Every protocol repeats to the byte: twice in one process, in two processes, with one job and with two,
//! whatever is kept. Another seed differs.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::library::load;
use firedrill::run::{Keep, run};
use rayon::prelude::*;
use serde_json::{Value, json};

/// Every kind of protocol through a crash of most nodes with a lost disk, a split, and loss, in a minute and a half.
fn scenario() -> Value {
    let sites: Vec<Value> = ["tokyo", "osaka", "seoul", "singapore", "sydney"]
        .iter()
        .zip(["japaneast", "japanwest", "koreacentral", "southeastasia", "australiaeast"])
        .map(|(id, region)| json!({"id": id, "region": format!("azure:{region}"), "nodes": 1}))
        .collect();
    json!({
        "format": 1, "name": "repeat", "duration": "90s", "warmup": "10s", "drain": "20s",
        "topology": {"data_centers": sites},
        "services": [{"id": "kv", "application": "kv", "replicas": 5}],
        "protocols": {
            "optimistic": {}, "raft": {"snapshot_entries": 50}, "omnipaxos": {"snapshot_entries": 50},
            "viewstamped": {"snapshot_entries": 50}, "static-primary": {"snapshot_entries": 50},
            "lazy-consensus": {"snapshot_entries": 50}, "dynamic-voting": {"snapshot_entries": 50}
        },
        "workload": [{"service": "kv", "rate": "5/s", "reads": 0.5}],
        "timeline": [
            {"at": "25s", "do": "crash", "primary_of": "kv", "for": "15s"},
            {"at": "30s", "do": "crash", "nodes": ["sydney/0"], "disk": "lost", "for": "5s"},
            {"at": "50s", "do": "partition", "groups": [["tokyo", "osaka"], ["*"]], "for": "15s"},
            {"at": "70s", "do": "degrade", "between": ["tokyo", "*"], "loss": 0.1, "duplicate": 0.1, "reorder": 0.2, "for": "10s"}
        ]
    })
}

fn write(dir: &Path) -> PathBuf {
    let path = dir.join("repeat.json");
    std::fs::write(&path, scenario().to_string()).expect("a file can be written");
    path
}

#[test]
fn twice_in_one_process_whatever_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let scenario = load(&write(dir.path()));
    assert_eq!(scenario.protocols.len(), 7);
    scenario.protocols.par_iter().for_each(|protocol| {
        let once = |seed, keep| run(&scenario, protocol, seed, keep);
        let first = once(1, Keep::default());
        let kept = once(1, Keep { history: true, trace: true, ..Keep::default() });
        assert_eq!(first.record, kept.record, "{}", protocol.label);
        assert_eq!(first.seconds, kept.seconds, "{}", protocol.label);
        assert_ne!(first.record.fingerprint, once(2, Keep::default()).record.fingerprint, "{}", protocol.label);
        assert!(
            first.record.metrics.all.writes_acked > Some(100),
            "{}: {:?}",
            protocol.label,
            first.record.metrics.all
        );
    });
}

/// Every file below a directory, with its content.
fn files(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>, root: &Path) {
    for entry in std::fs::read_dir(dir).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found, root);
        } else {
            let name = path.strip_prefix(root).expect("below it").to_owned();
            found.insert(name, std::fs::read(&path).expect("it can be read"));
        }
    }
}

#[test]
fn in_two_processes_with_one_job_and_with_two() {
    let dir = tempfile::tempdir().expect("a directory");
    let scenario = write(dir.path());
    let play = |out: &str, jobs: &str| {
        let out = dir.path().join(out);
        let done = Command::new(env!("CARGO_BIN_EXE_firedrill"))
            .args(["run", "--seeds", "1..3", "--no-plots", "--quiet", "--history", "--trace", "--jobs", jobs, "--out"])
            .args([&out, &scenario])
            .output()
            .expect("the program runs");
        assert!(matches!(done.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&done.stderr));
        let mut found = BTreeMap::new();
        files(&out, &mut found, &out);
        found
    };
    let (one, two) = (play("one", "1"), play("two", "2"));
    assert!(one.len() > 7 * 2 * 4, "{} files", one.len());
    let different: Vec<&PathBuf> = one.keys().filter(|name| two.get(*name) != one.get(*name)).collect();
    assert!(different.is_empty() && one.len() == two.len(), "{different:?}");
}
