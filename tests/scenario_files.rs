//! Every scenario of the repository loads, and what it resolves to is the same scenario again.

use firedrill::scenario::{self, Scenario, Source};

fn load(path: &std::path::Path) -> Scenario {
    let bytes = std::fs::read(path).expect("a scenario can be read");
    let directory = path.parent().expect("a file is in a directory").to_owned();
    let source = Source { name: path.display().to_string(), bytes };
    scenario::load(&source, &[], &|name| std::fs::read(directory.join(name)).map_err(|error| error.to_string()))
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn scenarios() -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir("scenarios")
        .expect("there is a directory of scenarios")
        .map(|entry| entry.expect("the directory can be listed").path())
        .filter(|path| path.to_string_lossy().ends_with(".json") && !path.to_string_lossy().ends_with(".schema.json"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_scenario_resolves_to_itself() {
    let paths = scenarios();
    assert!(!paths.is_empty());
    for path in paths {
        let first = load(&path);
        let again = scenario::from_value(&first.resolved).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        assert_eq!(first.resolved, again.resolved, "{}", path.display());
        assert_eq!(first.hash, again.hash);
        let bare = |scenario: Scenario| format!("{:?}", Scenario { as_written: serde_json::Value::Null, ..scenario });
        assert!(bare(first) == bare(again), "{}", path.display());
    }
}

#[test]
fn a_majority_fails() {
    let scenario = load(std::path::Path::new("scenarios/majority-failure.json"));
    assert_eq!(scenario.services[0].replicas.len(), 5);
    assert_eq!(scenario.timeline[0].label, "crash 4 of board");
    let osaka = scenario.topology.between_sites(0.into(), 1.into());
    assert_eq!(osaka.one_way, firedrill::time::Duration::from_millis(6));
}

/// Set FIREDRILL_UPDATE=1 to write it again.
#[test]
fn the_schema_is_fresh() {
    let path = "scenarios/scenario.schema.json";
    let text = serde_json::to_string_pretty(&scenario::schema()).expect("JSON can be written") + "\n";
    if std::env::var_os("FIREDRILL_UPDATE").is_some() {
        std::fs::write(path, &text).expect("the schema can be written");
    }
    let shipped = std::fs::read_to_string(path).expect("the schema is shipped");
    assert!(shipped == text, "{path} is old: run `FIREDRILL_UPDATE=1 cargo test --test scenario_files`");
}
