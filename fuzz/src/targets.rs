//! What each fuzz target does with its input, for libFuzzer and for `tests/fuzz_corpus.rs`.
//!
//! Beyond not panicking: a scenario that is taken resolves to itself, one that is refused says where; a history
//! that is taken can be judged, one that is refused names a line of it; a result that is taken is written as it
//! was read.

use std::fmt::Write as _;

use firedrill::check::verify::{Check, History, Span};
use firedrill::import::{self, Imported, Initial, Input, Model, Options};
use firedrill::output::{record, sealed, timeseries};
use firedrill::scenario::{self, Diagnostics, Scenario, Source};
use serde_json::Value;

/// A target by its name, which is also that of its directory in the corpus.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Whether inputs are JSON, so that changes of values are worth more than those of bytes.
    pub json: bool,
}

pub const ALL: [Target; 7] = [
    Target { name: "scenario", run: scenario, json: true },
    Target { name: "set", run: set, json: false },
    Target { name: "history_firedrill", run: history_firedrill, json: false },
    Target { name: "history_jepsen", run: history_jepsen, json: false },
    Target { name: "history_porcupine", run: history_porcupine, json: false },
    Target { name: "result", run: result, json: true },
    Target { name: "timeseries", run: timeseries, json: false },
];

/// The one table of round trips that a scenario can name.
const TABLE: &str = "from,to,round_trip\na,b,12ms\nb,a,13ms\n";

/// What `--set` changes.
const BASE: &str = r#"{
  "format": 1, "name": "base", "duration": "1m",
  "topology": {"data_centers": [{"id": "a", "nodes": 1}, {"id": "b", "nodes": [{"rack": "r"}, {}]}, {"id": "c", "nodes": 1}],
    "network": {"latency": {"csv": "table.csv"}}, "links": [{"between": ["a", "c"], "round_trip": "8ms"}, {"between": ["b", "c"], "round_trip": "8ms"}]},
  "services": [{"id": "s", "application": "kv", "replicas": 3}],
  "protocols": {"optimistic": {}, "raft.two": {"kind": "raft"}},
  "workload": [{"service": "s", "rate": "5/s"}],
  "timeline": [{"at": "30s", "do": "crash", "nodes": ["a/0"], "for": "5s"}],
  "failures": [{"kind": "node"}],
  "expect": [{"metric": "availability", "at_least": 0.5}]
}"#;

fn load(bytes: &[u8], sets: &[(String, String)]) -> Result<Scenario, Diagnostics> {
    let source = Source { name: "input".into(), bytes: bytes.to_vec() };
    scenario::load(&source, sets, &|name| match name {
        "table.csv" => Ok(TABLE.into()),
        _ => Err("there is no such file".into()),
    })
}

/// A scenario file.
pub fn scenario(input: &[u8]) {
    match load(input, &[]) {
        Ok(scenario) => resolves_to_itself(&scenario),
        Err(diagnostics) => places_are_in(&diagnostics, input),
    }
}

/// Lines of `path=value`, as `--set` takes them, for a scenario that is right.
pub fn set(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let sets: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let sets: Vec<_> = sets.into_iter().map(|(path, value)| (path.to_owned(), value.to_owned())).collect();
    match load(BASE.as_bytes(), &sets) {
        Ok(scenario) => resolves_to_itself(&scenario),
        Err(diagnostics) => places_are_in(&diagnostics, BASE.as_bytes()),
    }
}

fn resolves_to_itself(scenario: &Scenario) {
    let again = scenario::from_value(&scenario.resolved);
    let again = again.unwrap_or_else(|diagnostics| panic!("what it resolves to is refused:\n{diagnostics}"));
    assert_eq!(scenario.resolved, again.resolved, "it resolves to something else");
    assert_eq!(scenario.hash, again.hash);
}

fn places_are_in(diagnostics: &Diagnostics, text: &[u8]) {
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    assert!(!diagnostics.0.is_empty(), "it is refused without a reason");
    for diagnostic in &diagnostics.0 {
        assert!(!diagnostic.message.is_empty());
        if diagnostic.line == 0 {
            let names_a_place = diagnostic.file.starts_with("--set ") || !diagnostic.path.is_empty();
            let is_a_count = diagnostic.message.ends_with("more problems");
            assert!(names_a_place || is_a_count, "no place: {diagnostic:?}");
            continue;
        }
        let line = lines.get(diagnostic.line - 1).unwrap_or_else(|| panic!("beyond the text: {diagnostic:?}"));
        assert!((1..=line.len() + 1).contains(&diagnostic.column), "beyond the line: {diagnostic:?}");
    }
    assert!(!diagnostics.render(true).is_empty() && diagnostics.to_json().is_array());
}

/// `history.jsonl`.
pub fn history_firedrill(input: &[u8]) {
    history(input, Input::Firedrill);
}

/// Histories of Jepsen.
pub fn history_jepsen(input: &[u8]) {
    history(input, Input::Jepsen);
}

/// Logs and stores of Porcupine's tests.
pub fn history_porcupine(input: &[u8]) {
    history(input, Input::Porcupine);
}

fn history(input: &[u8], format: Input) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // The end of a text that ends with a newline is in a line of its own, as editors count.
    let lines = text.split('\n').count();
    // What a user may say of a file follows from its length, so that one input is one case.
    let model = [None, None, None, Some(Model::Kv), Some(Model::Register), Some(Model::Board)][text.len() % 6];
    let initial = [None, None, None, Some(Initial::Absent), Some(Initial::Unknown), Some(Initial::Value("0".into()))];
    let initial = initial[text.len() / 6 % 6].clone();
    for format in [None, Some(format)] {
        match import::read(text, &Options { input: format, model, initial: initial.clone() }) {
            Ok(imported) => can_be_judged(&imported),
            Err(problem) => {
                assert!(problem.line <= lines, "beyond the text: {problem:?}");
                assert!(!problem.message.is_empty());
            }
        }
    }
}

fn can_be_judged(imported: &Imported) {
    assert!(!imported.events.is_empty() && imported.events.is_sorted_by_key(|event| event.at));
    assert!(imported.events.iter().all(|event| event.invoked <= event.at));
    if imported.events.len() > 100 {
        return;
    }
    let history = History::new(&imported.events, imported.initial_unknown, imported.left_out.first().cloned());
    let mut told = String::new();
    for service in history.services() {
        for judgement in history.judge(service, Span::WHOLE, &Check::ALL, 2_000) {
            let evidence = judgement.evidence.map(|text| imported.in_its_words(&text));
            let _ = writeln!(told, "{} {:?} {evidence:?}", imported.service(service), judgement.outcome);
        }
    }
}

/// `result.json`: as it is, and, so that what is behind the checksum is reached, with one that fits.
pub fn result(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let as_it_is = record::parse(text);
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        as_it_is.expect_err("it is not JSON");
        return;
    };
    let sealed = String::from_utf8(sealed::bytes(&sealed::seal(value))).expect("JSON is text");
    match record::parse(&sealed) {
        Ok(written) => {
            let bytes = String::from_utf8(written.to_bytes()).expect("JSON is text");
            let again = record::parse(&bytes).unwrap_or_else(|problem| panic!("what is written is refused: {problem}"));
            assert_eq!(again, written);
            // What `replay` does with it before it runs.
            let _ = scenario::from_value(&written.record.scenario.resolved);
        }
        Err(problem) => assert!(!problem.is_empty()),
    }
}

/// `timeseries.csv`.
pub fn timeseries(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match timeseries::parse(text) {
        Ok(series) => {
            let mut bytes = Vec::new();
            timeseries::write_csv(&series, &mut bytes).expect("memory takes everything");
            let again = timeseries::parse(std::str::from_utf8(&bytes).expect("it is text"));
            assert!(again.is_ok(), "what is written is refused: {again:?}");
        }
        Err(problem) => assert!(problem.starts_with("line "), "no line: {problem}"),
    }
}
