//! `firedrill explain`, as a shell sees it: stories, instants, requests, pictures, and what it refuses.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    #[track_caller]
    fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn out(self, part: &str) -> Self {
        assert!(self.out.contains(part), "no `{part}` in {}", self.out);
        self
    }

    #[track_caller]
    fn err(self, part: &str) -> Self {
        assert!(self.err.contains(part), "no `{part}` in {}", self.err);
        self
    }
}

fn firedrill(dir: &Path, args: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
    let output = command.args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    let done = Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!done.err.contains("panicked"), "{}", done.err);
    done
}

/// A directory with the results of two protocols on a crash of the primary.
fn results() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let site = |id: &str, region: &str| json!({"id": id, "region": region, "nodes": 1});
    let scenario = json!({
        "format": 1, "name": "small", "description": "a crash", "duration": "40s", "warmup": "5s",
        "topology": {"data_centers": [
            site("tokyo", "azure:japaneast"), site("osaka", "azure:japanwest"), site("seoul", "azure:koreacentral"),
        ]},
        "services": [{"id": "board", "application": "board", "replicas": 3}],
        "protocols": {"optimistic": {}, "raft": {}},
        "workload": [{"service": "board", "rate": "10/s"}],
        "timeline": [{"at": "12s", "do": "crash", "primary_of": "board", "for": "10s"}],
    });
    std::fs::write(dir.path().join("small.json"), scenario.to_string()).unwrap();
    firedrill(dir.path(), &["run", "small.json", "--out", "out", "--no-plots", "--quiet"]).code(0);
    dir
}

#[test]
fn a_run_is_told_as_text_and_as_data() {
    let dir = results();
    let explain =
        |more: &[&str]| firedrill(dir.path(), &[&["explain", "out", "--protocol", "optimistic"], more].concat());
    let told =
        explain(&[]).code(0).out("small, optimistic, seed 1").out("“crash primary of board”").out("What remains");
    assert!(told.out.lines().all(|line| line.chars().count() <= 100), "lines fit 100 columns");
    assert!(!told.out.contains('\u{1b}'), "no colours in a pipe");
    let story: Value = serde_json::from_str(&explain(&["--format", "json"]).code(0).out).unwrap();
    assert_eq!(story["services"][0]["chapters"][1]["from_s"], 12.0);
    assert_eq!(story["services"][0]["chapters"][1]["heads"][0]["kind"], "fault-begins");
    explain(&["--at", "13s"]).code(0).out("At 13.0 s").out("down since 12.0 s (“crash primary of board” (12.0 s))");
    let instant: Value = serde_json::from_str(&explain(&["--at", "13", "--format", "json"]).code(0).out).unwrap();
    assert_eq!(instant["services"][0]["serving"], json!([]));
    let run = dir.path().join("out/small/raft/seed-1");
    firedrill(&run, &["explain", "result.json"]).code(0).out("small, raft, seed 1");
    firedrill(&run, &["explain", "."]).code(0).out("is elected in term");
}

#[test]
fn requests_are_listed_and_told() {
    let dir = results();
    let explain = |more: &[&str]| firedrill(dir.path(), &[&["explain", "out", "--protocol", "raft"], more].concat());
    let listed: Value = serde_json::from_str(&explain(&["--failed", "--format", "json"]).code(0).out).unwrap();
    let request = listed[0]["first"][0]["request"].as_str().expect("some failed").to_owned();
    explain(&["--request", &request]).code(0).out(&format!("{request} of board")).out("attempt 1, at ").out("end  it");
    let short = request.replace(['c', 'w', 'r'], "");
    let told = explain(&["--request", &short]);
    assert!(told.code == Some(0) || told.err.contains("is a write and a read: say"), "{told:?}");
    explain(&["--request", "c999/w1"]).code(2).err("no request c999/1 was made in this run").err("--failed");
    explain(&["--request", "first"]).code(2).err("`first` names no request: write CLIENT/NUMBER");
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_choice() {
    let dir = results();
    let explain = |more: &[&str]| firedrill(dir.path(), &[&["explain"], more].concat()).code(2);
    explain(&["out"]).err("there are 2 results in it; name one, or choose with --protocol and --seed");
    explain(&["out", "--protocol", "paxos"]).err("none of its 2 results fits");
    explain(&["out", "--protocol", "raft", "--seed", "7"]).err("none of its 2 results fits");
    explain(&["small.json"]).err("it is not a result of firedrill");
    explain(&["out", "--protocol", "raft", "--service", "mail"]).err("there is no service `mail` in it: it has board");
    explain(&["out", "--protocol", "raft", "--at", "1h"]).err("after the end of the run");
    explain(&["out", "--protocol", "raft", "--at", "soon"]).err("an instant is a number of seconds");
    explain(&["out", "--protocol", "raft", "--diagram", "a.svg", "--from", "13s", "--to", "12s"]).err("is not before");
    explain(&["out", "--protocol", "raft", "--diagram", "a.svg"]).err("--from");
    let empty = tempfile::tempdir().unwrap();
    firedrill(empty.path(), &["explain", "."]).code(2).err("there is no result.json in it or below it");
    assert!(!dir.path().join("a.svg").exists());
}

#[test]
fn a_result_that_was_changed_is_not_explained() {
    let dir = results();
    let path = dir.path().join("out/small/raft/seed-1/result.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"seed\": 1", "\"seed\": 2", 1)).unwrap();
    firedrill(dir.path(), &["explain", "out", "--protocol", "raft"]).code(2).err("does not match its `checksum`");
}

#[test]
fn pictures_and_traces_are_written_whole() {
    let dir = results();
    let explain = |more: &[&str]| firedrill(dir.path(), &[&["explain", "out", "--protocol", "raft"], more].concat());
    explain(&["--diagram", "deep/split.svg", "--from", "12s", "--to", "12.5s"]).code(0).err("wrote deep/split.svg");
    let svg = std::fs::read_to_string(dir.path().join("deep/split.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("crash primary of board") && svg.contains("is down"));
    explain(&["--diagram", "all.svg", "--from", "0s", "--to", "40s"]).code(2).err("are too many for one picture");
    assert!(!dir.path().join("all.svg").exists());
    explain(&["--perfetto", "run.pftrace", "--quiet"]).code(0);
    assert!(std::fs::metadata(dir.path().join("run.pftrace")).unwrap().len() > 10_000);
    std::fs::write(dir.path().join("file"), "").unwrap();
    explain(&["--perfetto", "file/run.pftrace"]).code(4).err("file");
}
