//! `scenarios/bugs/`: for each deliberate defect a small disaster that shows it, and that the protocol as it is meant
//! survives.

use std::path::{Path, PathBuf};

use firedrill::cli;
use firedrill::run::{Keep, run};
use firedrill::scenario::{self, Scenario, catalogue};
use firedrill::shrink::Failure;
use rayon::prelude::*;
use serde_json::Value;

const MOST_ENTRIES: usize = 5;

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("scenarios/bugs").expect("the directory is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn load(path: &Path) -> Scenario {
    cli::open(path).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// What fails under the scenario's own seed.
fn failures(scenario: &Scenario) -> Vec<Failure> {
    Failure::of(&run(scenario, &scenario.protocols[0], scenario.seed, Keep::default()).record)
}

#[test]
fn every_defect_has_its_bug_and_every_bug_a_defect() {
    let kinds = catalogue::protocols_table().rows.into_iter().map(|row| row[0].clone());
    let mut wanted: Vec<String> = kinds
        .flat_map(|kind| {
            catalogue::defects(&kind).iter().map(move |(defect, _)| format!("{kind}-{defect}")).collect::<Vec<_>>()
        })
        .collect();
    wanted.sort();
    assert_eq!(files().iter().map(|path| stem(path)).collect::<Vec<_>>(), wanted);
}

#[test]
fn every_bug_shows_what_its_description_says() {
    let wrong: Vec<String> = files()
        .par_iter()
        .filter_map(|path| {
            let scenario = load(path);
            let (defect, _) = scenario.protocols[0].kind.defect().expect("it has a defect");
            assert_eq!((scenario.name.clone(), scenario.protocols.len()), (stem(path), 1));
            assert_eq!(stem(path), format!("{}-{defect}", scenario.protocols[0].kind.name()));
            assert!(scenario.timeline.len() + scenario.failures.len() <= MOST_ENTRIES, "{}", path.display());
            let failures = failures(&scenario);
            let told = |failure: &Failure| scenario.description.contains(&format!("`{}`", failure.name()));
            (!failures.iter().any(told)).then(|| format!("{}: {failures:?}", path.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_bug_is_gone_with_its_defect() {
    let wrong: Vec<String> = files()
        .par_iter()
        .filter_map(|path| {
            let mut sound = load(path).as_written;
            let protocols = sound["protocols"].as_object_mut().expect("a scenario has protocols");
            let removed =
                protocols.values_mut().filter_map(Value::as_object_mut).all(|one| one.remove("break").is_some());
            assert!(removed, "{}", path.display());
            let sound = scenario::from_value(&sound).unwrap_or_else(|wrong| panic!("{wrong}"));
            let failures = failures(&sound);
            (!failures.is_empty()).then(|| format!("{}: {failures:?}", path.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As an editor wants them, and as a person reads them.
#[test]
fn every_bug_is_written_as_shrink_writes() {
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("a scenario is text");
        let scenario = load(&path);
        assert_eq!(scenario.as_written["$schema"], "../scenario.schema.json");
        assert_eq!(text, scenario::text(&scenario.as_written, &scenario.resolved), "{}", path.display());
    }
}
