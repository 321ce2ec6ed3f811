//! Searches for disasters, by the built program.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const INNOCENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/fuzz/innocent.json");

struct Done {
    code: i32,
    out: String,
    err: String,
}

fn firedrill(dir: &Path, args: &[&str]) -> Done {
    let ended = Command::new(env!("CARGO_BIN_EXE_firedrill")).args(args).current_dir(dir).output();
    let ended = ended.expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Done { code: ended.status.code().expect("it ends by itself"), out: text(&ended.stdout), err: text(&ended.stderr) }
}

fn report(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}{}", done.out, done.err))
}

/// Every file below a directory, with its content.
fn files(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).expect("it is there").map(|it| it.expect("it is").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else {
            let text = std::fs::read_to_string(&path).expect("it is text");
            found.push((path.file_name().expect("it has a name").into(), text));
        }
    }
}

#[test]
fn the_same_is_found_with_any_number_of_jobs() {
    let searched = |jobs: &str| {
        let dir = tempfile::tempdir().expect("a directory");
        let args = ["fuzz", INNOCENT, "--protocol", "raft,optimistic", "--break", "ack-before-commit"];
        let more = ["--runs", "70", "--jobs", jobs, "--format", "json", "--seed", "3"];
        let done = firedrill(dir.path(), &[&args[..], &more[..]].concat());
        let mut told = report(&done);
        for wall_clock in ["seconds", "runs_per_second"] {
            assert!(told[wall_clock].as_f64().is_some_and(|value| value > 0.0));
            told[wall_clock] = Value::Null;
        }
        let mut left = Vec::new();
        if dir.path().join("results").exists() {
            files(dir.path(), &mut left);
        }
        (done.code, told, left)
    };
    let one = searched("1");
    assert_eq!(one.1["runs"], 70);
    assert!(one.1["protocols"][1]["features"].as_u64().is_some_and(|count| count > 20), "{:#}", one.1);
    assert_eq!(one, searched("2"));
    assert_eq!(one, searched("5"));
}

#[test]
fn a_defect_is_found_and_what_is_found_replays() {
    let dir = tempfile::tempdir().expect("a directory");
    let args = ["--protocol", "viewstamped", "--break", "ack-before-commit", "--until-found", "--runs", "2000"];
    let done = firedrill(dir.path(), &[&["fuzz", INNOCENT][..], &args[..], &["--format", "json"][..]].concat());
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    let told = report(&done);
    let found = told["findings"].as_array().expect("a list");
    assert!(!found.is_empty());
    for finding in found {
        let path = finding["scenario"].as_str().expect("a path");
        let again = firedrill(dir.path(), &["run", path, "--no-plots", "--format", "json", "--out", "again"]);
        assert_eq!(again.code, 1, "{}{}", again.out, again.err);
        let verdicts = report(&again)["runs"][0]["verdicts"].clone();
        let same = |verdict: &&Value| {
            (&verdict["outcome"], &verdict["check"], &verdict["evidence"])
                == (&json!("violated"), &finding["check"], &finding["evidence"])
        };
        assert!(verdicts.as_array().expect("a list").iter().any(|verdict| same(&verdict)), "{verdicts:#}");
        let checked = firedrill(dir.path(), &["check", path]);
        assert_eq!(checked.code, 0, "{}", checked.err);
    }
}

/// Each was a finding of a protocol as it is meant, and shows a mistake that is mended.
#[test]
fn what_was_found_and_mended_stays_mended() {
    let dir = tempfile::tempdir().expect("a directory");
    let found = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/findings");
    let mut paths: Vec<_> =
        std::fs::read_dir(found).expect("there are some").map(|it| it.expect("it is").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let done = firedrill(dir.path(), &["run", &path.to_string_lossy(), "--no-plots", "--quiet"]);
        assert_ne!(done.code, 1, "{}: {}", path.display(), done.err);
    }
}

#[test]
fn sound_protocols_are_searched_in_vain() {
    let dir = tempfile::tempdir().expect("a directory");
    let done = firedrill(dir.path(), &["fuzz", INNOCENT, "--runs", "140"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(done.out.contains("innocent: 140 runs"), "{}", done.out);
    assert!(!dir.path().join("results").exists(), "nothing was found, so nothing is written");
}

#[test]
fn mistakes_are_told_before_anything_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let says = |args: &[&str], words: &[&str]| {
        let done = firedrill(dir.path(), &[&["fuzz"], args].concat());
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{args:?}: {}", done.err);
        words.iter().for_each(|word| assert!(done.err.contains(word), "{args:?}: {}", done.err));
    };
    says(&["nowhere.json"], &["nowhere.json", "there is no such file"]);
    says(&[INNOCENT, "--protocol", "rft"], &["no protocol `rft`", "raft"]);
    says(&[INNOCENT, "--break", "skip-read-indx"], &["did you mean `skip-read-index`?"]);
    says(&[INNOCENT, "--faults", "partitoin"], &["did you mean `partition`?"]);
    says(&[INNOCENT, "--for", "10"], &["10"]);
    says(&[INNOCENT, "--runs", "0"], &["0"]);
    says(&[INNOCENT, "--set", "duration=12s"], &["disasters take 5 s"]);
    let alone = ["--set", r#"topology={"data_centers":[{"id":"tokyo","region":"azure:japaneast","nodes":1}]}"#];
    let one = ["--set", r#"services=[{"id":"kv","application":"kv","replicas":1}]"#, "--faults", "cut"];
    says(&[&[INNOCENT], &alone[..], &one[..]].concat(), &["more nodes"]);
    std::fs::write(dir.path().join("results"), "in the way").expect("it can be written");
    let done = firedrill(dir.path(), &["fuzz", INNOCENT, "--runs", "1"]);
    assert_eq!(done.code, 4, "{}", done.err);
}
