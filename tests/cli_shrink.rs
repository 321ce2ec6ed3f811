//! `firedrill shrink`, as a shell sees it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

struct Place(TempDir);

struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("finding.json", &finding());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, value: &Value) {
        std::fs::write(self.path(name), format!("{value:#}\n")).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
        command.args(line.split(' ')).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn firedrill(&self, line: &str) -> Done {
        let output = self.command(line).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
        let done = Done { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
        assert!(!done.err.contains("panicked"), "{}", done.err);
        done
    }

    fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Done {
    #[track_caller]
    fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn refused(self, part: &str) {
        let done = self.code(2);
        assert!(done.err.contains(part), "no `{part}` in {}", done.err);
        assert_eq!(done.out, "");
    }
}

/// A cut one way that a primary with a defect does not mind, among twenty entries that have no part in it.
fn finding() -> Value {
    let site = |id: &str, lat: f64| json!({"id": id, "location": {"lat": lat, "lon": 139.0}, "nodes": 1});
    let mut timeline: Vec<Value> = (0..20)
        .map(|at| {
            let instant = format!("{}ms", 10_000 + 731 * at);
            match at % 4 {
                0 => json!({"at": instant, "do": "slow", "nodes": ["b/0"], "factor": 1.5, "for": "300ms"}),
                1 => json!({"at": instant, "do": "degrade", "between": ["a", "b"], "add_delay": "7ms", "for": "2s"}),
                2 => json!({"at": instant, "do": "clock", "nodes": ["d/0", "a/0"], "jump": "-31ms"}),
                _ => json!({"at": instant, "do": "load", "service": "board", "factor": 1.7, "for": "1s"}),
            }
        })
        .collect();
    timeline.insert(11, json!({"at": "17.313s", "do": "cut", "from": ["c", "d"], "to": ["a"], "one_way": true}));
    json!({
        "format": 1, "name": "padded", "description": "A long story.", "seed": 5, "duration": "47s", "warmup": "5s",
        "topology": {
            "data_centers": [site("a", 35.0), site("b", 36.0), site("c", 37.0), site("d", 38.0)],
            "network": {"latency": "distance"},
        },
        "services": [{"id": "board", "application": "board", "replicas": 4}],
        "protocols": {
            "raft": {},
            "optimistic": {"break": "one-way-trust", "stable_after": "700ms"},
        },
        "workload": [{"service": "board", "rate": "1.7/s", "reads": 0.61, "clients": 3}],
        "timeline": timeline,
        "expect": [{"metric": "availability", "protocol": "raft", "at_least": 0.1}],
    })
}

/// Checks that fail in a result.
fn violated(place: &Place, file: &str) -> Vec<String> {
    place.firedrill(&format!("run {file} --no-plots --quiet --out again")).code(1);
    let scenario: Value = serde_json::from_str(&place.read(file)).unwrap();
    let (name, seed) = (scenario["name"].as_str().unwrap(), scenario["seed"].as_u64().unwrap());
    let result = place.read(&format!("again/{name}/optimistic/seed-{seed}/result.json"));
    let result: Value = serde_json::from_str(&result).unwrap();
    let verdicts = result["verdicts"].as_array().unwrap().iter();
    verdicts.filter(|one| one["outcome"] == "violated").map(|one| one["check"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_padded_finding_shrinks_to_what_matters_with_any_number_of_jobs() {
    let place = Place::new();
    let before = violated(&place, "finding.json");
    let done = place.firedrill("shrink finding.json --seeds 2 --jobs 2 --format json").code(0);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&report["before"]["entries"], &report["smallest"]), (&json!(21), &json!(true)));
    assert_eq!(report["out"], "finding-shrunk.json");
    assert!(!place.path("finding-shrunk.json.progress").exists());
    let small: Value = serde_json::from_str(&place.read("finding-shrunk.json")).unwrap();
    assert!(small["timeline"].as_array().unwrap().len() <= 5, "{small:#}");
    assert_eq!(small["name"], "padded-shrunk");
    assert_eq!(small["protocols"], json!({"optimistic": {"break": "one-way-trust"}}));
    let description = small["description"].as_str().unwrap();
    assert!(description.starts_with("optimistic with the defect `one-way-trust`: "), "{description}");
    place.firedrill("check finding-shrunk.json").code(0);
    assert!(violated(&place, "finding-shrunk.json").contains(&before[0]), "{before:?}");
    let sound = "run finding-shrunk.json --set protocols={\"optimistic\":{}} --no-plots --quiet --out sound";
    let sound = place.firedrill(sound);
    // So short a run may leave open whether all has settled.
    assert!([Some(0), Some(3)].contains(&sound.code), "{}", sound.err);

    let human = place.firedrill("shrink finding.json --seeds 2 --jobs 1 --out one.json").code(0);
    assert_eq!(place.read("one.json"), place.read("finding-shrunk.json"));
    for part in ["entries ", "21 ", "shows   ", "replay  firedrill run one.json"] {
        assert!(human.out.contains(part), "no `{part}` in {}", human.out);
    }
    let runs = format!("runs    {},", report["runs"]);
    assert!(human.out.contains(&runs), "no `{runs}` in {}", human.out);
    assert_eq!(human.err, "");
}

#[test]
fn what_was_killed_goes_on_to_the_same_end() {
    let place = Place::new();
    place.firedrill("shrink finding.json --seeds 1 --out whole.json --quiet").code(0);
    let progress = || std::fs::read(place.path("killed.json.progress")).unwrap_or_default();
    let mut kills = 0;
    for _ in 0..3 {
        let mut child =
            place.command("shrink finding.json --seeds 1 --out killed.json --quiet --jobs 1").spawn().unwrap();
        let known = progress();
        while child.try_wait().unwrap().is_none() && progress().len() <= known.len() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if place.path("killed.json").exists() {
            break;
        }
        kills += 1;
        let progress: Value = serde_json::from_slice(&progress()).expect("it is whole");
        assert!(!progress["answers"].as_object().unwrap().is_empty());
    }
    assert!(kills > 0, "it ended before it could be killed");
    place.firedrill("shrink finding.json --seeds 1 --out killed.json --quiet").code(0);
    assert_eq!(place.read("killed.json"), place.read("whole.json"));
    assert!(!place.names().contains(&"killed.json.progress".to_owned()));
}

#[test]
fn a_budget_of_runs_ends_it_early_and_a_larger_one_goes_on() {
    let place = Place::new();
    let done = place.firedrill("shrink finding.json --seeds 1 --out a.json --runs 30 --format json --jobs 2").code(0);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&report["runs"], &report["smallest"]), (&json!(30), &json!(false)));
    let early = place.read("a.json");
    assert!(early.len() < place.read("finding.json").len());
    place.firedrill("shrink finding.json --seeds 1 --out b.json --runs 30 --quiet --jobs 1").code(0);
    assert_eq!(place.read("b.json"), early);
    place.firedrill("shrink finding.json --seeds 1 --out a.json --quiet").code(0);
    place.firedrill("shrink finding.json --seeds 1 --out b.json --runs 100 --quiet").code(0);
    place.firedrill("shrink finding.json --seeds 1 --out b.json --quiet").code(0);
    assert_eq!(place.read("a.json"), place.read("b.json"));
    assert_ne!(place.read("a.json"), early);
}

#[test]
fn what_cannot_be_shrunk_is_refused() {
    let place = Place::new();
    let before = place.names();
    place.firedrill("shrink finding.json --protocol raft").refused("nothing to shrink: every verdict");
    place.firedrill("shrink finding.json --protocol rft").refused("no protocol `rft`; it has raft and optimistic");
    place.firedrill("shrink finding.json --check I4").refused("`I4` does not fail, but ");
    place.firedrill("shrink finding.json --out finding.json").refused("is the finding itself");
    place.firedrill("shrink finding.json --break one-way-truss").refused("did you mean `one-way-trust`?");
    place.firedrill("shrink finding.json --keep topolgy").refused("--keep topolgy: the finding has no such field");
    place.firedrill("shrink absent.json").refused("there is no such file");
    let mut hopeless = finding();
    hopeless["expect"] = json!([{"metric": "availability", "at_least": 2}]);
    place.write("hopeless.json", &hopeless);
    place
        .firedrill("shrink hopeless.json --protocol optimistic --check availability")
        .refused("fails without its defect `one-way-trust` too");
    std::fs::remove_file(place.path("hopeless.json")).unwrap();
    assert_eq!(place.names(), before, "nothing was written");
}

#[test]
fn progress_of_another_search_is_refused() {
    let place = Place::new();
    place.firedrill("shrink finding.json --out a.json --runs 5 --quiet").code(0);
    let progress = place.read("a.json.progress");
    place
        .firedrill("shrink finding.json --out a.json --seeds 9")
        .refused("a.json.progress: it is of a search with --seeds 10");
    let mut other = finding();
    other["duration"] = json!("48s");
    place.write("other.json", &other);
    place
        .firedrill("shrink other.json --out a.json")
        .refused("another finding, or the finding has been changed; remove it");
    std::fs::write(place.path("a.json.progress"), progress.replace(env!("CARGO_PKG_VERSION"), "9.9.9")).unwrap();
    place.firedrill("shrink finding.json --out a.json").refused("it is of firedrill 9.9.9, and this is");
    std::fs::write(place.path("a.json.progress"), &progress[..progress.len() / 2]).unwrap();
    place.firedrill("shrink finding.json --out a.json").refused("it is no progress of a shrink");
    std::fs::write(place.path("a.json.progress"), progress).unwrap();
    place.firedrill("shrink finding.json --out a.json --quiet").code(0);
}
