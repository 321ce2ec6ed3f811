//! The scenarios of the library, and their reference results.

use std::path::{Path, PathBuf};

use firedrill::metrics::Metrics;
use firedrill::output;
use firedrill::protocols::optimistic::Options;
use firedrill::run::Record;
use firedrill::scenario::{self, Kind, Scenario, Source};
use firedrill::time::Duration;

pub const REFERENCE: &str = "results/reference";
/// What to do about a reference result that is missing or old.
pub const REFRESH: &str = "run `scripts/reproduce` to refresh the reference results";

/// Every scenario file, in order of name.
pub fn paths() -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir("scenarios")
        .expect("there is a directory of scenarios")
        .map(|entry| entry.expect("the directory can be listed").path())
        .filter(|path| path.to_string_lossy().ends_with(".json") && !path.to_string_lossy().ends_with(".schema.json"))
        .collect();
    paths.sort();
    paths
}

pub fn load(path: &Path) -> Scenario {
    let bytes = std::fs::read(path).expect("a scenario can be read");
    let directory = path.parent().expect("a file is in a directory").to_owned();
    let source = Source { name: path.display().to_string(), bytes };
    scenario::load(&source, &[], &|name| std::fs::read(directory.join(name)).map_err(|error| error.to_string()))
        .unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// A scenario of the library by its name.
pub fn named(name: &str) -> Scenario {
    load(&Path::new("scenarios").join(format!("{name}.json")))
}

/// Labels of the protocols.
pub fn labels(scenario: &Scenario) -> Vec<&str> {
    scenario.protocols.iter().map(|one| one.label.as_str()).collect()
}

/// Labels of the variants of the optimistic mechanism, with their options.
pub fn optimistic(scenario: &Scenario) -> Vec<(&str, &Options)> {
    let options = |one: &'_ Kind| matches!(one, Kind::Optimistic(_));
    let protocols = scenario.protocols.iter().filter(|one| options(&one.kind));
    protocols
        .map(|one| match &one.kind {
            Kind::Optimistic(options) => (one.label.as_str(), options),
            _ => unreachable!("filtered"),
        })
        .collect()
}

pub fn reference_dir(scenario: &str, label: &str) -> PathBuf {
    output::run_dir(Path::new(REFERENCE), scenario, label, 1)
}

/// The reference result of one protocol.
pub fn reference(scenario: &str, label: &str) -> Record {
    let path = reference_dir(scenario, label).join("result.json");
    output::read_result_to_replay(&path, scenario::hash).unwrap_or_else(|error| panic!("{error}; {REFRESH}")).record
}

/// What is in the reference of the only service, or of all together.
pub fn metrics(scenario: &str, label: &str) -> Metrics {
    reference(scenario, label).metrics.all
}

/// A column of the time series of a reference result, with the second of each row.
pub fn column(scenario: &str, label: &str, column: &str) -> Vec<(f64, f64)> {
    let path = reference_dir(scenario, label).join("timeseries.csv");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; {REFRESH}", path.display()));
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let at = header.iter().position(|&name| name == column).expect("a column of that name");
    let number = |text: &str| text.parse::<f64>().ok();
    lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            Some((number(cells[0])?, number(cells[at])?))
        })
        .collect()
}

/// The largest one-way delay between two replicas of one service, with a little for jitter.
pub fn one_way(scenario: &Scenario) -> Duration {
    let sets = scenario.services.iter().map(|service| &service.replicas);
    let pairs = sets.flat_map(|set| set.iter().flat_map(move |&a| set.iter().map(move |&b| (a, b))));
    let longest = pairs.map(|(a, b)| scenario.topology.between_nodes(a, b).one_way).max();
    longest.unwrap_or(Duration::ZERO) + Duration::from_millis(5)
}

/// B of the specification for a variant of a scenario.
pub fn bound(scenario: &Scenario, options: &Options) -> Duration {
    super::bound(options, one_way(scenario))
}

/// B, and the largest attempt and backoff of a client: when it has an answer again.
pub fn answers_again(scenario: &Scenario, options: &Options) -> Duration {
    let far = one_way(scenario);
    let attempt = scenario.loads.iter().map(|load| load.attempt_timeout).max().unwrap_or(Duration::ZERO);
    bound(scenario, options) + attempt + far + far + far + Duration::from_millis(500)
}
