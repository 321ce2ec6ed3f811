//! The built program, as a shell sees it: output, files and exit codes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory to work in, with a small scenario.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.write("small.json", &small());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, scenario: &Value) {
        std::fs::write(self.path(name), format!("{scenario:#}\n")).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
        command.args(args).current_dir(self.dir.path()).env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }

    fn firedrill(&self, args: &[&str]) -> Done {
        Done::of(&self.command(args).output().unwrap())
    }

    /// Runs a line of shell with the program as `$F`.
    fn shell(&self, line: &str) -> Done {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.dir.path()).env("F", env!("CARGO_BIN_EXE_firedrill"));
        Done::of(&command.stdin(Stdio::null()).output().unwrap())
    }

    /// Names of what is in the directory.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.dir.path().read_dir().unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// How a program ended.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
        let done = Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
        assert!(!done.err.contains("panicked"), "{}", done.err);
        done
    }

    /// Asserts the exit code.
    #[track_caller]
    fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts a part of standard error.
    #[track_caller]
    fn err(self, part: &str) -> Self {
        assert!(self.err.contains(part), "no `{part}` in {self:#?}");
        self
    }

    /// Asserts a part of standard output.
    #[track_caller]
    fn out(self, part: &str) -> Self {
        assert!(self.out.contains(part), "no `{part}` in {self:#?}");
        self
    }

    #[track_caller]
    fn silent(self) -> Self {
        assert_eq!(self.out, "", "{self:#?}");
        self
    }
}

/// Three data centers, 30 s, 2 requests a second each, and one crash.
fn small() -> Value {
    let site = |id: &str, lat: f64| json!({"id": id, "location": {"lat": lat, "lon": 139.0}, "nodes": 1});
    json!({
        "format": 1, "name": "small", "description": "For tests.",
        "duration": "30s", "warmup": "5s", "drain": "10s",
        "topology": {
            "data_centers": [site("a", 35.0), site("b", 36.0), site("c", 37.0)],
            "network": {"latency": "distance"},
        },
        "services": [{"id": "board", "application": "board", "replicas": 3}],
        "protocols": {"optimistic": {}, "hasty": {"kind": "optimistic", "ack": "none"}},
        "workload": [{"service": "board", "rate": "2/s"}],
        "timeline": [{"at": "10s", "do": "crash", "data_centers": ["a"], "for": "10s"}],
        "expect": [
            {"metric": "availability", "protocol": "optimistic", "at_least": 0.5},
        ],
    })
}

fn with(mut scenario: Value, pointer: &str, value: Value) -> Value {
    *scenario.pointer_mut(pointer).expect("the scenario has this") = value;
    scenario
}

/// Every file below a directory, by path from there.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in next.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                files.insert(path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn a_run_shows_a_table_and_says_how_to_replay_and_the_replay_is_the_same() {
    let place = Place::new();
    let done = place.firedrill(&["run", "small.json"]).code(0);
    let done = done.out("availability").out("optimistic").out("results results/small/summary.{csv,json}");
    let done = done.out("plots   results/small/{availability");
    let replay =
        done.out.lines().find_map(|line| line.strip_prefix("replay  firedrill ")).expect("a command to replay");
    assert_eq!(replay, "replay results/small/optimistic/seed-1/result.json");
    for file in ["summary.csv", "summary.json", "availability.svg", "availability.png", "hasty/seed-1/timeseries.csv"] {
        assert!(place.path("results/small").join(file).exists(), "{file}");
    }
    assert!(!done.out.contains('\u{1b}') && !done.err.contains('\u{1b}'), "no colours in a pipe");

    let before = tree(place.dir.path());
    let again = place.firedrill(&replay.split(' ').collect::<Vec<_>>()).code(0).out("same: fingerprint ");
    let record = parse(&String::from_utf8_lossy(&before[Path::new("results/small/optimistic/seed-1/result.json")]));
    again.out(record["fingerprint"].as_str().unwrap());
    assert_eq!(tree(place.dir.path()), before, "a replay writes nothing");
}

#[test]
fn the_bytes_are_the_same_whatever_the_jobs_and_differ_by_seed() {
    let place = Place::new();
    let run = |out: &str, seeds: &str, jobs: &str| {
        let args =
            ["run", "small.json", "--seeds", seeds, "--jobs", jobs, "--out", out, "--history", "--trace", "--no-plots"];
        place.firedrill(&args).code(0).out.replace(out, "OUT")
    };
    let printed = run("one", "0..4", "1");
    assert_eq!(run("two", "0..4", "2"), printed);
    assert_eq!(run("again", "0..4", "2"), printed);
    let one = tree(&place.path("one"));
    assert!(one == tree(&place.path("two")) && one == tree(&place.path("again")));
    assert_eq!(one.len(), 2 * 4 * 4 + 2);
    assert!(one.contains_key(Path::new("small/hasty/seed-3/trace.jsonl")));
    let result = |seed: u32| &one[&PathBuf::from(format!("small/hasty/seed-{seed}/result.json"))];
    let fingerprint = |seed| parse(std::str::from_utf8(result(seed)).unwrap())["fingerprint"].clone();
    assert_ne!(fingerprint(0), fingerprint(1));
}

#[test]
fn plots_are_the_same_bytes_too_and_can_be_drawn_again() {
    let place = Place::new();
    place.firedrill(&["run", "small.json", "--out", "one", "--jobs", "1"]).code(0);
    place.firedrill(&["run", "small.json", "--out", "two", "--jobs", "2"]).code(0);
    let before = tree(&place.path("one"));
    assert_eq!(before, tree(&place.path("two")));
    let pictures = before.keys().filter(|path| path.extension().is_some_and(|it| it == "svg")).count();
    assert!(pictures > 0);
    std::fs::remove_file(place.path("one/small/availability.svg")).unwrap();
    place.firedrill(&["plot", "one/small"]).code(0).out("one/small/availability.svg\n");
    assert_eq!(tree(&place.path("one")), before);
    let paths = parse(&place.firedrill(&["plot", "one", "--format", "json"]).code(0).out);
    assert_eq!(paths.as_array().unwrap().len(), 2 * pictures);
    place.firedrill(&["plot", "one", "--quiet"]).code(0).silent();
    place.firedrill(&["plot", "nowhere"]).code(2).silent().err("cannot read nowhere: no such file or directory");
    std::fs::create_dir(place.path("empty")).unwrap();
    place.firedrill(&["plot", "empty"]).code(2).silent().err("no results here");
}

#[test]
fn json_is_the_content_of_the_summary_and_nothing_else() {
    let place = Place::new();
    let args = ["run", "small.json", "--format", "json", "--no-plots"];
    let one = place.firedrill(&args).code(0);
    assert_eq!(one.out, std::fs::read_to_string(place.path("results/small/summary.json")).unwrap());
    assert_eq!(parse(&one.out)["protocols"], json!(["optimistic", "hasty"]));
    place.write("other.json", &with(small(), "/name", json!("other")));
    let both = place.firedrill(&["run", "small.json", "other.json", "--format", "json", "--no-plots"]).code(0);
    let both = parse(&both.out);
    assert_eq!(both[0], parse(&one.out));
    assert_eq!(both[1]["scenario"]["name"], "other");
    let wrong =
        place.firedrill(&["check", "small.json", "--set", "seed=x", "--set", "nme=y", "--format", "json"]).code(2);
    assert_eq!(parse(&wrong.out).as_array().unwrap().len(), 2);
    assert_eq!(place.firedrill(&["check", "small.json", "--format", "json"]).code(0).out, "[]\n");
    for topic in ["regions", "protocols", "faults", "metrics", "defaults"] {
        let rows = parse(&place.firedrill(&["list", topic, "--format", "json"]).code(0).out);
        assert!(rows[0].is_object(), "{topic}");
        let lines = place.firedrill(&["list", topic]).code(0).out.lines().count();
        assert_eq!(lines, rows.as_array().unwrap().len() + 1, "{topic}");
    }
}

#[test]
fn quiet_leaves_only_warnings_and_errors() {
    let place = Place::new();
    let done = place.firedrill(&["run", "small.json", "--quiet", "--protocol", "hasty", "--no-plots"]).code(0);
    assert_eq!(done.silent().err, "warning: small: 1 expectation about optimistic is skipped, as it does not run\n");
    assert!(!place.path("results/small/availability.svg").exists());
    place.firedrill(&["check", "small.json", "--quiet"]).code(0).silent();
    let replay = ["replay", "results/small/hasty/seed-1/result.json", "--quiet"];
    assert_eq!(place.firedrill(&replay).code(0).silent().err, "");
}

#[test]
fn a_broken_expectation_is_exit_1_and_says_where() {
    let place = Place::new();
    let done = place.firedrill(&["run", "small.json", "--set", "expect.0.at_least=1", "--quiet", "--no-plots"]);
    done.code(1).silent().err("broken in 1 of 2 runs; see results/small/optimistic/seed-1/result.json");
    // Not measured is not held.
    let set = "expect.0={\"metric\": \"reprovision_s\", \"at_most\": 5}";
    place.firedrill(&["run", "small.json", "--set", set, "--quiet", "--no-plots"]).code(1);
    // That the output is not written counts more, and what ran is judged nevertheless.
    let done = place.shell("$F run small.json --set expect.0.at_least=1 --no-plots > /dev/full");
    done.code(4).err("cannot write to standard output").err("broken in 1 of 2");
}

#[test]
fn what_cannot_be_decided_is_exit_3_unless_something_is_broken() {
    let place = Place::new();
    let late = "timeline=[{\"at\": \"29900ms\", \"do\": \"crash\", \"primary_of\": \"board\", \"for\": \"50ms\"}]";
    let open = ["run", "small.json", "--no-plots", "--set", late, "--set", "drain=0s", "--protocol", "optimistic"];
    place.firedrill(&open).code(3).out("could not be decided").err("a checker could not decide in 1 of 1 run;");
    let broken: Vec<_> = open.iter().copied().chain(["--set", "expect.0.at_least=1"]).collect();
    place.firedrill(&broken).code(1);
}

#[test]
fn an_expectation_of_a_protocol_that_was_not_asked_for_is_skipped_and_said_so() {
    let place = Place::new();
    let done = place.firedrill(&["run", "small.json", "--protocol", "hasty", "--no-plots"]).code(0);
    done.err("1 expectation about optimistic is skipped, as it does not run");
}

#[test]
fn every_mistake_is_told_at_once_and_nothing_is_created() {
    let place = Place::new();
    place.write("wrong.json", &with(with(small(), "/duration", json!("30")), "/services/0/replicas", json!(4)));
    std::fs::write(place.path("torn.json"), "{\"format\": 1,").unwrap();
    let before = place.names();
    let done = place.firedrill(&["run", "small.json", "wrong.json", "torn.json", "absent.json", "."]).code(2).silent();
    let done = done.err("wrong.json:").err("torn.json:1:").err("absent.json: error: cannot read the scenario");
    done.err("it is a directory");
    let refused: [(&[&str], &str); 10] = [
        (&["small.json", "./small.json"], "same name, `small`"),
        (&["small.json", "--protocol", "optimstic"], "no protocol `optimstic`; it has optimistic and hasty"),
        (&["small.json", "--seed", "1", "--seeds", "0..2"], "cannot be used with"),
        (&["small.json", "--seeds", "2..2"], "there is no seed in 2..2"),
        (&["small.json", "--seeds", "0..18446744073709551615"], "too many for one command"),
        (&["small.json", "--seed", "-1"], "'-1'"),
        (&["small.json", "--jobs", "0"], "--jobs"),
        (&["small.json", "--set", "seed"], "path=value"),
        (&["small.json", "--set", "topology.node=5"], "--set topology.node=5"),
        (&[], "SCENARIO"),
    ];
    for (args, part) in refused {
        let args: Vec<_> = ["run"].iter().chain(args).copied().collect();
        place.firedrill(&args).code(2).silent().err(part);
    }
    assert_eq!(place.names(), before);
}

#[test]
fn a_change_by_set_is_what_runs() {
    let place = Place::new();
    let args = ["run", "small.json", "--set", "seed=7", "--set", "protocols.hasty.ack=all", "--no-plots", "--quiet"];
    place.firedrill(&args).code(0);
    let text = std::fs::read_to_string(place.path("results/small/hasty/seed-7/result.json")).unwrap();
    assert_eq!(parse(&text)["scenario"]["as_written"]["protocols"]["hasty"]["ack"], "all");
    place.firedrill(&["run", "small.json", "--seed", "18446744073709551615", "--no-plots", "--quiet"]).code(0);
    assert!(place.path("results/small/hasty/seed-18446744073709551615/result.json").exists());
    assert!(place.path("results/small/hasty/seed-7/result.json").exists(), "other results are left alone");
}

#[test]
fn schemas_among_scenarios_are_skipped() {
    let place = Place::new();
    place.write("scenario.schema.json", &parse(&place.firedrill(&["schema"]).code(0).out));
    place.firedrill(&["check", "small.json", "scenario.schema.json"]).code(0).err("scenario.schema.json: skipping it");
}

#[test]
fn a_replay_finds_an_edit_and_refuses_what_is_not_whole() {
    let place = Place::new();
    place.firedrill(&["run", "small.json", "--protocol", "hasty", "--quiet", "--no-plots"]).code(0);
    let path = place.path("results/small/hasty/seed-1/result.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let replay = |text: &str| {
        std::fs::write(place.path("result.json"), text).unwrap();
        place.firedrill(&["replay", "result.json"])
    };
    replay(&whole).code(0).out("same: ");
    replay(&whole[..whole.len() / 2]).code(2).silent().err("it is not whole");
    replay(&whole.replace("\"events\": ", "\"events\": 1")).code(2).silent().err("changed after firedrill wrote it");
    replay("{}").code(2).silent().err("not a result of firedrill");
    replay("").code(2).silent();

    // A record that firedrill itself wrote so, with a checksum that fits.
    let firedrill::output::Written { mut record, files } = firedrill::output::read_result(&path).unwrap();
    let written = |record: &firedrill::run::Record| {
        let written = firedrill::output::Written { record: record.clone(), files: files.clone() };
        String::from_utf8(written.to_bytes()).unwrap()
    };
    record.metrics.all.requests_ok = Some(1);
    let done = replay(&written(&record)).code(1).out("different: metrics.all.requests_ok\n  recorded  1\n  now       ");
    done.out("It is the only difference; every event is the same");
    let done = place.firedrill(&["replay", "result.json", "--format", "json"]).code(1);
    assert_eq!(parse(&done.out)["first"]["path"], "metrics.all.requests_ok");
    record.seed = 2;
    replay(&written(&record)).code(1).out("different: fingerprint").out("the events of the run are not the same");
    record.firedrill = "0.0.1".into();
    replay(&written(&record)).code(2).silent().err("written by firedrill 0.0.1");
    record.firedrill = env!("CARGO_PKG_VERSION").into();
    record.scenario.hash = "0".into();
    replay(&written(&record)).code(2).silent().err("the scenario in it was changed");
    place.firedrill(&["replay", "absent.json"]).code(2).silent().err("cannot read absent.json");
}

#[test]
fn a_replay_writes_where_it_is_told_and_never_over_what_it_compares() {
    let place = Place::new();
    place.firedrill(&["run", "small.json", "--protocol", "hasty", "--quiet", "--no-plots"]).code(0);
    let result = "results/small/hasty/seed-1/result.json";
    let before = tree(place.dir.path());
    place.firedrill(&["replay", result, "--out", "results"]).code(2).silent().err("would replace");
    place.firedrill(&["replay", result, "--out", "small.json"]).code(4).silent().err("not a directory");
    place.firedrill(&["replay", result, "--trace"]).code(2).silent().err("--out");
    assert_eq!(tree(place.dir.path()), before);
    place.firedrill(&["replay", result, "--out", "again", "--trace"]).code(0).err("again/small/hasty/seed-1");
    let again = tree(&place.path("again/small/hasty/seed-1"));
    assert_eq!(again[Path::new("timeseries.csv")], before[Path::new("results/small/hasty/seed-1/timeseries.csv")]);
    let record = |path: &str| firedrill::output::read_record(&place.path(path)).unwrap();
    assert_eq!(record("again/small/hasty/seed-1/result.json"), record(result));
    assert_eq!(again.len(), 3);
}

#[test]
fn output_that_cannot_be_written_is_exit_4() {
    let place = Place::new();
    std::fs::write(place.path("taken"), "").unwrap();
    std::fs::create_dir_all(place.path("half/small/hasty")).unwrap();
    std::fs::write(place.path("half/small/hasty/seed-3"), "").unwrap();
    let before = tree(place.dir.path());
    place.firedrill(&["run", "small.json", "--out", "taken"]).code(4).silent().err("taken is not a directory");
    place.firedrill(&["run", "small.json", "--out", "taken/deep"]).code(4).silent().err("taken is not a directory");
    place.firedrill(&["run", "small.json", "--out", "half", "--seeds", "0..5"]).code(4).silent().err("seed-3");
    // A mistake in a scenario is told first.
    place.firedrill(&["run", "small.json", "--out", "taken", "--set", "seed=x"]).code(2);
    assert_eq!(tree(place.dir.path()), before);
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_whole_files_only() {
    let place = Place::new();
    // No file may be larger than 8 blocks, and a result is.
    let done = place.shell("trap '' XFSZ; ulimit -f 8; exec \"$F\" run small.json --out out --no-plots");
    done.code(4).silent().err("cannot write out/small/").err("too large");
    assert_eq!(tree(&place.path("out")).into_keys().collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = Place::new();
    place.shell("{ $F list regions; echo code $? >&2; } | true").code(0).err("code 0");
    place.shell("{ $F run small.json --no-plots; echo code $? >&2; } | true").code(0).err("code 0");
    place.shell("$F schema > /dev/full").code(4).err("cannot write to standard output: no space left on device");
    place.shell("$F check absent.json 2> /dev/full").code(2);
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_is_finished() {
    let place = Place::new();
    let args = ["run", "small.json", "--seeds", "0..100000", "--jobs", "2", "--set", "expect.0.at_least=1"];
    let child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let first = place.path("results/small/optimistic/seed-1/result.json");
    let mut waited = 0;
    while !first.exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
        waited += 1;
        assert!(waited < 3_000, "no run finished within a minute");
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    // Broken expectations would be exit 1, and an interrupt counts more.
    let done = Done::of(&child.wait_with_output().unwrap()).code(130);
    let done = done.err("of 200000 runs finished, and are kept").out("availability");
    let summary = parse(&std::fs::read_to_string(place.path("results/small/summary.json")).unwrap());
    let runs = summary["runs"].as_array().unwrap();
    assert!(done.err.contains(&format!("interrupted: {} of", runs.len())), "{}", done.err);
    let results: Vec<_> =
        tree(&place.path("results")).into_keys().filter(|path| path.ends_with("result.json")).collect();
    assert_eq!(results.len(), runs.len(), "the summary covers exactly what was written");
    for run in runs {
        let path = place.path("results/small").join(run["result"].as_str().unwrap());
        firedrill::output::read_record(&path).unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(!place.path("results/small/availability.svg").exists(), "no one waits for plots after Ctrl-C");
}

#[test]
fn help_names_every_command_and_shows_examples() {
    let place = Place::new();
    let commands = ["run", "check", "replay", "verify", "plot", "list", "schema", "completions"];
    let help = place.firedrill(&["--help"]).code(0);
    for command in commands {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command}");
        place.firedrill(&[command, "--help"]).code(0).out("Example").out(&format!("  firedrill {command}"));
    }
    place.firedrill(&["--version"]).code(0).out(env!("CARGO_PKG_VERSION"));
    place.firedrill(&[]).code(2).silent().err("Usage");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        place.firedrill(&["completions", shell]).code(0).out("replay");
    }
}

#[test]
fn weird_arguments_are_refused_in_words() {
    let place = Place::new();
    let long = "x".repeat(100_000);
    let deep = format!("seed={}", "[".repeat(100_000));
    let cases: [&[&str]; 10] = [
        &["fly"],
        &["run", ""],
        &["run", &long],
        &["run", "small.json", "--set", &deep],
        &["run", "small.json", "--set", "...=1"],
        &["run", "small.json", "--protocol", ""],
        &["run", "small.json", "--out", ""],
        &["run", "small.json", "--seeds", "0..\u{1f525}"],
        &["check", "/dev/null"],
        &["replay", "."],
    ];
    for args in cases {
        let done = place.firedrill(args).code(2).silent();
        assert!(done.err.contains("error"), "{args:?}: {done:?}");
    }
    assert_eq!(place.names(), ["small.json"]);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_are_names() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = Place::new();
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff.json");
    std::fs::copy(place.path("small.json"), place.dir.path().join(odd)).unwrap();
    let out = std::ffi::OsStr::from_bytes(b"out-\xff");
    let mut command = place.command(&["run", "--no-plots"]);
    Done::of(&command.arg(odd).arg("--out").arg(out).output().unwrap()).code(0);
    assert!(place.dir.path().join(out).join("small/hasty/seed-1/result.json").exists());
}

/// The crate that Raft is built on draws from the thread's random numbers, and they differ from process to
/// process: no byte of a result may come from there.
#[test]
fn raft_gives_the_same_bytes_in_every_process() {
    let place = Place::new();
    let raft = json!({"raft": {"snapshot_entries": 20}, "raft-plain": {"kind": "raft", "pre_vote": false}});
    let scenario = with(with(small(), "/protocols", raft), "/expect", json!([]));
    let crashes = json!([
        {"at": "10s", "do": "crash", "primary_of": "board", "for": "8s"},
        {"at": "15s", "do": "partition", "groups": [["b"], ["*"]], "for": "5s"},
        {"at": "21s", "do": "crash", "primary_of": "board", "disk": "lost", "for": "3s"},
    ]);
    place.write("small.json", &with(scenario, "/timeline", crashes));
    for out in ["first", "second"] {
        let args = ["run", "small.json", "--no-plots", "--trace", "--seeds", "0..3", "--out", out];
        place.firedrill(&args).code(0);
    }
    let (first, second) = (tree(&place.path("first")), tree(&place.path("second")));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    assert!(first.iter().all(|(path, bytes)| second[path] == *bytes), "two processes differ");
    let trace = String::from_utf8_lossy(&first[Path::new("small/raft/seed-1/trace.jsonl")]).into_owned();
    assert!(trace.matches("\"elected\"").count() >= 2, "elections happen, so timeouts matter");
}
