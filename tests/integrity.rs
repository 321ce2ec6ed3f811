//! What firedrill wrote is taken back whole, unchanged and of this version, or refused with a reason: whatever
//! digit is edited, wherever a file is cut, whichever of its files is missing.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use firedrill::import::{self, Imported, Options, Problem};
use firedrill::output;
use firedrill::run::{Keep, run};
use firedrill::scenario;
use serde_json::{Value, json};
use tempfile::TempDir;

const FILES: [&str; 4] = ["result.json", "timeseries.csv", "history.jsonl", "trace.jsonl"];

/// The files of one run, by the order of [`FILES`], and `summary.json`.
struct Originals {
    files: [String; 4],
    summary: String,
}

fn small() -> Value {
    let site = |id: &str, lat: f64| json!({"id": id, "location": {"lat": lat, "lon": 139.0}, "nodes": 1});
    json!({
        "format": 1, "name": "small", "duration": "20s", "warmup": "5s", "drain": "5s",
        "topology": {"data_centers": [site("a", 35.0), site("b", 36.0), site("c", 37.0)], "network": {"latency": "distance"}},
        "services": [{"id": "board", "application": "board", "replicas": 3}],
        "protocols": {"optimistic": {}},
        "workload": [{"service": "board", "rate": "2/s"}],
        "timeline": [{"at": "10s", "do": "crash", "data_centers": ["a"], "for": "5s"}],
    })
}

static ORIGINALS: LazyLock<Originals> = LazyLock::new(|| {
    let scenario = scenario::from_value(&small()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let result = run(&scenario, &scenario.protocols[0], 1, Keep { history: true, trace: true, ..Keep::default() });
    let out = tempfile::tempdir().unwrap();
    output::publish(out.path(), &[result]).unwrap();
    let dir = out.path().join("small");
    let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let files = FILES.map(|name| text(dir.join("optimistic/seed-1").join(name)));
    Originals { files, summary: text(dir.join("summary.json")) }
});

/// A directory of results with one run in it.
struct Place {
    out: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { out: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(place.run()).unwrap();
        std::fs::write(place.dir().join("summary.json"), &ORIGINALS.summary).unwrap();
        for (name, text) in FILES.iter().zip(&ORIGINALS.files) {
            std::fs::write(place.run().join(name), text).unwrap();
        }
        place
    }

    fn dir(&self) -> PathBuf {
        self.out.path().join("small")
    }

    fn run(&self) -> PathBuf {
        self.dir().join("optimistic/seed-1")
    }

    /// Puts this in the place of a file, asks, and puts the original back.
    fn with<T>(&self, name: &str, text: &str, ask: impl FnOnce() -> T) -> T {
        let path = self.run().join(name);
        let original = std::fs::read(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let answer = ask();
        std::fs::write(&path, original).unwrap();
        answer
    }

    /// The exit code, and what was said about it.
    fn firedrill(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
        let output = command.args(args).current_dir(self.run()).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stderr).expect("output is UTF-8");
        assert!(!text.contains("panicked"), "{text}");
        (output.status.code(), text)
    }
}

fn history(text: &str) -> Result<Imported, Problem> {
    import::read(text, &Options::default())
}

/// The text with another digit at this place.
fn with_digit(text: &str, at: usize) -> String {
    let other = if text[at..].starts_with('7') { '8' } else { '7' };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

fn digits(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().filter(|(_, letter)| letter.is_ascii_digit()).map(|(at, _)| at)
}

#[test]
fn untouched_they_are_taken() {
    let place = Place::new();
    assert_eq!(place.firedrill(&["replay", "result.json"]).0, Some(0));
    assert_eq!(place.firedrill(&["plot", "../.."]).0, Some(0));
    assert_eq!(
        place.firedrill(&["verify", "history.jsonl", "--phases", "result.json", "--check", "causal"]).0,
        Some(0)
    );
    // A result is replayed without the files beside it, too.
    for name in &FILES[1..] {
        std::fs::remove_file(place.run().join(name)).unwrap();
    }
    assert_eq!(place.firedrill(&["replay", "result.json"]).0, Some(0));
}

#[test]
fn an_edited_digit_is_refused_in_each_file_by_each_command_that_reads_it() {
    let place = Place::new();
    let cases: [(&str, &str, &[&str]); 7] = [
        ("result.json", "\"events\": ", &["replay", "result.json"]),
        ("result.json", "\"availability\": ", &["plot", "../.."]),
        ("result.json", "\"to_s\": ", &["verify", "history.jsonl", "--phases", "result.json"]),
        ("timeseries.csv", "\n5,board,", &["plot", "../.."]),
        ("timeseries.csv", "\n5,board,", &["replay", "result.json"]),
        ("trace.jsonl", "\"t_ns\":", &["replay", "result.json"]),
        ("history.jsonl", "\"t_ns\":1", &["verify", "history.jsonl"]),
    ];
    for (name, before, args) in cases {
        let text = &ORIGINALS.files[FILES.iter().position(|file| *file == name).unwrap()];
        let at = text.find(before).unwrap_or_else(|| panic!("{name} has {before}")) + before.len();
        let (code, said) = place.with(name, &with_digit(text, at), || place.firedrill(args));
        assert_eq!(code, Some(2), "{name}, {args:?}: {said}");
        assert!(said.contains(name) && said.contains("changed"), "it says what and why: {said}");
        assert!(said.contains("again"), "it says what to do: {said}");
    }
    let edited = ORIGINALS.summary.replacen("\"events\": ", "\"events\": 1", 1);
    std::fs::write(place.dir().join("summary.json"), edited).unwrap();
    let (code, said) = place.firedrill(&["plot", "../.."]);
    assert!(code == Some(2) && said.contains("summary.json") && said.contains("changed"), "{said}");
}

#[test]
fn every_digit_counts() {
    let [result, timeseries, events, _] = &ORIGINALS.files;
    for at in digits(result).step_by(11) {
        output::record::parse(&with_digit(result, at)).unwrap_err();
    }
    for at in digits(events).step_by(37) {
        history(&with_digit(events, at)).unwrap_err();
    }
    let place = Place::new();
    let whole = output::read_result(&place.run().join("result.json")).unwrap();
    let read = || output::timeseries::read_series(&whole, &place.run());
    read().unwrap();
    for at in digits(timeseries).step_by(23) {
        place.with("timeseries.csv", &with_digit(timeseries, at), read).unwrap_err();
    }
}

#[test]
fn cut_anywhere_they_are_refused_without_a_panic() {
    let [result, timeseries, events, _] = &ORIGINALS.files;
    // Near the ends every byte, and between them many. The newline at the very end of JSON says nothing.
    let cuts = |text: &str, step: usize| {
        let end = text.trim_end().len();
        (0..300).chain((300..end - 300).step_by(step)).chain(end - 300..end).collect::<Vec<_>>()
    };
    for at in cuts(result, 61) {
        output::record::parse(&result[..at]).unwrap_err();
    }
    for at in cuts(events, 61) {
        let problem = history(&events[..at]).map(|_| at).unwrap_err();
        assert!(at == 0 || problem.line > 0, "cut at {at}: {problem:?}");
    }
    let lines: Vec<usize> = events.match_indices('\n').map(|(at, _)| at + 1).collect();
    for &at in &lines[..lines.len() - 1] {
        let problem = history(&events[..at]).map(|_| at).expect_err("whole lines are missing");
        assert!(problem.message.contains("the file is not whole"), "{problem}");
    }
    let place = Place::new();
    let whole = output::read_result(&place.run().join("result.json")).unwrap();
    for at in 0..timeseries.len() {
        let read = || output::timeseries::read_series(&whole, &place.run());
        place.with("timeseries.csv", &timeseries[..at], read).unwrap_err();
    }
    for (name, args) in [
        ("result.json", ["replay", "result.json"]),
        ("result.json", ["plot", "../.."]),
        ("timeseries.csv", ["plot", "../.."]),
        ("history.jsonl", ["verify", "history.jsonl"]),
    ] {
        let text = &ORIGINALS.files[FILES.iter().position(|file| *file == name).unwrap()];
        let (code, said) = place.with(name, &text[..text.len() * 2 / 3], || place.firedrill(&args));
        assert!(code == Some(2) && said.contains(name) && said.contains("not whole"), "{args:?}: {said}");
    }
}

#[test]
fn another_version_is_refused_and_named() {
    let place = Place::new();
    let mut value: Value = serde_json::from_str(&ORIGINALS.files[0]).unwrap();
    value.as_object_mut().unwrap().shift_remove("checksum");
    let resealed = |key: &str, to: Value| {
        let mut value = value.clone();
        value[key] = to;
        String::from_utf8(output::sealed::bytes(&output::sealed::seal(value))).unwrap()
    };
    for args in
        [&["replay", "result.json"][..], &["plot", "../.."], &["verify", "history.jsonl", "--phases", "result.json"]]
    {
        let old = resealed("firedrill", json!("0.0.1"));
        let (code, said) = place.with("result.json", &old, || place.firedrill(args));
        assert!(
            code == Some(2) && said.contains("written by firedrill 0.0.1") && said.contains("result.json"),
            "{said}"
        );
        let (code, said) = place.with("result.json", &resealed("format", json!(2)), || place.firedrill(args));
        assert!(code == Some(2) && said.contains("its `format` is 2"), "{said}");
    }
    let events = &ORIGINALS.files[2];
    let new = events.replacen("\"format\":1", "\"format\":2", 1);
    assert_ne!(new, *events);
    let (code, said) = place.with("history.jsonl", &new, || place.firedrill(&["verify", "history.jsonl"]));
    assert!(code == Some(2) && said.contains("history.jsonl:1: its `format` is 2 (firedrill "), "{said}");
}

#[test]
fn a_missing_file_is_named() {
    let place = Place::new();
    std::fs::remove_file(place.run().join("timeseries.csv")).unwrap();
    let (code, said) = place.firedrill(&["plot", "../.."]);
    assert!(code == Some(2) && said.contains("timeseries.csv: no such file"), "{said}");
    std::fs::remove_file(place.run().join("result.json")).unwrap();
    let (code, said) = place.firedrill(&["replay", "result.json"]);
    assert!(code == Some(2) && said.contains("cannot read result.json"), "{said}");
}

#[test]
fn a_replay_compares_the_files_that_were_recorded() {
    let place = Place::new();
    let mut written = output::read_result(&place.run().join("result.json")).unwrap();
    assert_eq!(written.files.keys().collect::<Vec<_>>(), ["history.jsonl", "timeseries.csv", "trace.jsonl"]);
    for name in &FILES[1..] {
        std::fs::remove_file(place.run().join(name)).unwrap();
    }
    written.files.insert("trace.jsonl".into(), "blake3:0".into());
    let other = String::from_utf8(written.to_bytes()).unwrap();
    let asked = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
        let output = command.args(["replay", "result.json"]).current_dir(place.run()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = place.with("result.json", &other, asked);
    assert!(code == Some(1) && said.contains("different: files.trace.jsonl\n  recorded  \"blake3:0\""), "{said}");
}

#[test]
fn a_history_from_elsewhere_needs_no_first_and_last_line() {
    let events = &ORIGINALS.files[2];
    let (first, rest) = events.split_once('\n').unwrap();
    let (bare, last) = rest.trim_end().rsplit_once('\n').unwrap();
    assert!(first.starts_with("{\"format\":1,\"firedrill\":\"") && last.starts_with("{\"lines\":"), "{first} {last}");
    let (whole, foreign) = (history(events).unwrap(), history(bare).unwrap());
    assert_eq!(whole.events, foreign.events);
    let problem = history(rest).unwrap_err();
    assert!(problem.message.contains("does not begin with its first"), "{problem}");
    let problem = history(&format!("{first}\n")).unwrap_err();
    assert!(problem.message.contains("not whole"), "{problem}");
    // A problem in a line says which line of the file it is.
    let twice = format!("{}\n{}", bare.lines().next().unwrap(), bare);
    assert_eq!(history(&twice).unwrap_err().line, 2);
}
