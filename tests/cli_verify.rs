//! `firedrill verify`, as a shell sees it: verdicts, exit codes, and files that are not whole or not ours.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

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
        let in_one_column = |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        assert!(in_one_column(&self.out).contains(&in_one_column(part)), "no `{part}` in {}", self.out);
        self
    }

    #[track_caller]
    fn err(self, part: &str) -> Self {
        assert!(self.err.contains(part), "no `{part}` in {}", self.err);
        assert_eq!(self.out, "");
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

fn verify(dir: &TempDir, content: &[u8], options: &[&str]) -> Done {
    std::fs::write(dir.path().join("history"), content).unwrap();
    firedrill(dir.path(), &[&["verify", "history"], options].concat())
}

/// A log of etcd in which process 1 reads this after 1 was written.
fn log(seen: &str) -> String {
    let lines = ["0 :invoke :write 1", "0 :ok :write 1", "1 :invoke :read nil", &format!("1 :ok :read {seen}")];
    lines.iter().map(|line| format!("INFO  jepsen.util - {line}\n")).collect()
}

/// A store buffer: causally consistent, but without an order for all.
const BUFFER: &str = "\
{:process 0, :type :invoke, :f :write, :value [x 1]}
{:process 1, :type :invoke, :f :write, :value [y 2]}
{:process 0, :type :ok, :f :write, :value [x 1]}
{:process 1, :type :ok, :f :write, :value [y 2]}
{:process 0, :type :invoke, :f :read, :value [y nil]}
{:process 1, :type :invoke, :f :read, :value [x nil]}
{:process 0, :type :ok, :f :read, :value [y 0]}
{:process 1, :type :ok, :f :read, :value [x 0]}
";

#[test]
fn verdicts_are_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    verify(&dir, log("1").as_bytes(), &[]).code(0).out("linearizable          valid").out("2 operations, porcupine");
    let stale = verify(&dir, log("nil").as_bytes(), &[]).code(1).out("linearizable          violated");
    stale
        .out("causal                valid")
        .out("1 to 2: put 1 of client 0 of 1 was done\n")
        .out("3 to 4: read 1 of client 1 saw nothing");
    verify(&dir, log("nil").as_bytes(), &["--check", "causal,read-your-writes"]).code(0);
    verify(&dir, log("nil").as_bytes(), &["--model", "register", "--input", "porcupine", "--quiet"]).code(1);
    let buffer = ["--initial", "0", "--check", "causal,sequential"];
    let done = verify(&dir, BUFFER.as_bytes(), &buffer).code(1).out("sequential  violated").out("causal      valid");
    done.out("on key x of 1 was done").out("must come before the next").code(1);
}

#[test]
fn what_gave_up_is_never_valid() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..50)
        .map(|value| log(&(value % 2).to_string()).replace(":write 1", &format!(":write {}", value % 2)))
        .collect();
    for budget in ["0", "1"] {
        let done = verify(&dir, text.as_bytes(), &["--budget", budget, "--check", "linearizable,sequential,causal"]);
        done.code(3).out("linearizable  unknown").out("the budget ended first");
    }
    let json = verify(&dir, text.as_bytes(), &["--format", "json", "--check", "linearizable"]).code(0).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["outcome"], "valid");
    assert_eq!(json["services"][0]["parts"][0]["checks"][0]["check"], "linearizable");
    assert_eq!(json["services"][0]["operations"], 100);
}

#[test]
fn wrong_files_and_commands_are_exit_2_with_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let whole = log("1");
    let refused: [(&[u8], &[&str], &str); 14] = [
        (b"", &[], "history: it is empty"),
        (b"hello", &[], "history:1: it is no history that firedrill knows"),
        (&[b'I', 0xff, b'\n'], &[], "history:1: it is not text"),
        (&whole.as_bytes()[..whole.len() - 12], &[], "history:4: "),
        (b"{:process 0, :type :invoke", &[], "history:1: it ends in the middle"),
        (b"{\"t_ns\":1,", &[], "history:1: the line ends in the middle"),
        (b"{\"format\": 1, \"name\": \"x\"}", &[], "history:1: it is no line of a history"),
        (whole.as_bytes(), &["--model", "board"], "--model register"),
        (whole.as_bytes(), &["--input", "firedrill"], "history:1: it is no line of a history"),
        (whole.as_bytes(), &["--input", "jepsen"], "history:1: "),
        (whole.as_bytes(), &["--check", "sequental"], "no property `sequental`; there are linearizable, "),
        (whole.as_bytes(), &["--span", "5s..1s"], "there is no time in 5s..1s"),
        (whole.as_bytes(), &["--phases", "absent.json"], "cannot read absent.json"),
        (whole.as_bytes(), &["--phases", "history"], "it is not JSON"),
    ];
    for (content, options, part) in refused {
        verify(&dir, content, options).code(2).err(part);
    }
    let deep = "[".repeat(1_000_000);
    verify(&dir, deep.as_bytes(), &[]).code(2).err("history:1: nested deeper than 64 levels");
    let long = format!("INFO jepsen.util - {}\n", "9".repeat(1_000_000));
    verify(&dir, long.as_bytes(), &[]).code(2);
    firedrill(dir.path(), &["verify", "absent"]).code(2).err("cannot read absent: no such file");
    firedrill(dir.path(), &["verify", "."]).code(2).err("it is a directory");
    firedrill(dir.path(), &["verify"]).code(2).err("HISTORY");
    firedrill(dir.path(), &["verify", "--help"]).code(0).out("Examples:\n  firedrill verify ").out("--phases");
}

#[test]
fn a_run_is_judged_phase_by_phase() {
    let dir = tempfile::tempdir().unwrap();
    let site = |id: &str, lat: f64| serde_json::json!({"id": id, "location": {"lat": lat, "lon": 139.0}, "nodes": 1});
    let scenario = serde_json::json!({
        "format": 1, "name": "divided", "description": "For tests.",
        "duration": "60s", "warmup": "5s", "drain": "30s",
        "topology": {
            "data_centers": [site("a", 35.0), site("b", 36.0), site("c", 37.0), site("d", 38.0)],
            "network": {"latency": "distance"},
        },
        "services": [
            {"id": "board", "application": "board", "replicas": 4},
            {"id": "accounts", "application": "kv", "replicas": 4},
        ],
        "protocols": {"optimistic": {}},
        "workload": [
            {"service": "board", "rate": "3/s", "keys": 5, "reads": 0.7},
            {"service": "accounts", "rate": "3/s", "keys": 5, "reads": 0.7},
        ],
        "timeline": [{"at": "20s", "do": "partition", "groups": [["a", "b"], ["*"]], "for": "20s"}],
    });
    std::fs::write(dir.path().join("divided.json"), scenario.to_string()).unwrap();
    firedrill(dir.path(), &["run", "divided.json", "--history", "--no-plots", "--quiet"]).code(0);
    let place = "results/divided/optimistic/seed-1";
    let (history, result) = (format!("{place}/history.jsonl"), format!("{place}/result.json"));
    let done = firedrill(dir.path(), &["verify", &history, "--phases", &result, "--format", "json"]).code(1);
    let json: Value = serde_json::from_str(&done.out).unwrap();
    for service in json["services"].as_array().unwrap() {
        let outcome = |part: usize, check: usize| service["parts"][part]["checks"][check]["outcome"].as_str().unwrap();
        let linearizable: Vec<&str> = (0..2).map(|part| outcome(part, 0)).collect();
        assert_eq!(linearizable, ["valid", "violated"], "before and while divided: {service:#}");
        // Whole again after a few seconds, and then as before.
        let late = ["verify", &history, "--span", "45s..60s", "--check", "linearizable,causal,monotonic-reads"];
        firedrill(dir.path(), &late).code(0);
        for check in 2..8 {
            let all: Vec<&str> = (0..3).map(|part| outcome(part, check)).collect();
            assert_eq!(all, ["valid"; 3], "{service:#}");
        }
    }
    // A history that was cut or changed is refused.
    let text = std::fs::read_to_string(dir.path().join(&history)).unwrap();
    verify(&dir, &text.as_bytes()[..text.len() - 30], &[]).code(2).err("the file is not whole");
    verify(&dir, text.replacen("\"number\":1,", "\"number\":9999,", 1).as_bytes(), &[]).code(2).err("history:");
    let edited =
        std::fs::read_to_string(dir.path().join(&result)).unwrap().replacen("\"events\": ", "\"events\": 1", 1);
    std::fs::write(dir.path().join("edited.json"), edited).unwrap();
    verify(&dir, text.as_bytes(), &["--phases", "edited.json"]).code(2).err("changed after firedrill wrote it");
    verify(&dir, text.as_bytes(), &["--model", "kv"]).code(2).err("this is a history of a board");
}
