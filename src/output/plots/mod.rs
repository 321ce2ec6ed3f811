//! Pictures of a scenario's runs, as SVG and PNG, drawn from result files alone.
//!
//! A plot is first a [`scene::Scene`], a list of shapes, and then rendered twice. The font is built in
//! (Noto Sans); in SVG the viewer's own is used if it has a similar one.

mod axis;
mod bars;
mod data;
mod energy;
mod housing;
mod over_time;
pub(super) mod palette;
mod pareto;
mod phases;
mod placement;
mod places;
mod recovery;
mod render;
pub(super) mod scene;
mod strips;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::scene::Scene;
use super::{OutputError, Written, files, power, read_result, sealed, timeseries};
use crate::scenario;

/// The plots that may stand in a scenario's directory.
pub const NAMES: [&str; 11] = [
    "availability",
    "outage",
    "recovery",
    "latency",
    "primaries",
    "power",
    "replicas",
    "machines",
    "energy",
    "reprovision",
    "readiness",
];

/// Draws the plots of a scenario's directory, or of each in a directory of results. Returns their paths;
/// the directory of each is named after its scenario.
///
/// The runs are those that `summary.json` lists and that are still there; without it, all.
///
/// # Errors
/// There are no results, one cannot be read, is not whole or was changed, they are of different versions of a
/// scenario, or a picture cannot be written.
pub fn plot(dir: &Path) -> Result<Vec<PathBuf>, OutputError> {
    if has_results(dir)? {
        return plot_scenario(dir);
    }
    let mut written = Vec::new();
    for scenario in sorted_dirs(dir)? {
        if has_results(&scenario)? {
            written.extend(plot_scenario(&scenario)?);
        }
    }
    if written.is_empty() { Err(OutputError::NoResults { path: dir.to_owned() }) } else { Ok(written) }
}

fn plot_scenario(dir: &Path) -> Result<Vec<PathBuf>, OutputError> {
    let mut all: Vec<Written> = Vec::new();
    let mut places = None;
    for path in results(dir)? {
        let written = read_result(&path)?;
        if let Some(first) = all.first()
            && first.record.scenario.hash != written.record.scenario.hash
        {
            let problem = "it is of another version of the scenario than the results beside it; run them together";
            return Err(OutputError::content(&path, problem));
        }
        if places.is_none() && written.record.residency.is_some() {
            let scenario = scenario::from_value(&written.record.scenario.resolved)
                .map_err(|wrong| OutputError::content(&path, format!("its scenario is not valid:\n{wrong}")))?;
            places = places::Places::of(&scenario);
        }
        all.push(written);
    }
    let moving = places.is_some();
    let read = |written: &Written| {
        let run = dir.join(&written.record.protocol).join(format!("seed-{}", written.record.seed));
        let series = timeseries::read_series(written, &run)?;
        let power = if moving { power::read_series(written, &run)? } else { None };
        Ok(data::Files { series, power })
    };
    let Some(runs) = data::Runs::gather(all, places, read)? else {
        return Err(OutputError::NoResults { path: dir.to_owned() });
    };
    let mut written = Vec::new();
    for (name, scene) in scenes(&runs) {
        let paths = [dir.join(format!("{name}.svg")), dir.join(format!("{name}.png"))];
        let Some(scene) = scene else {
            paths.iter().try_for_each(|path| files::remove(path))?;
            continue;
        };
        let failed = |problem| OutputError::Draw { path: paths[0].clone(), problem };
        files::write_bytes(&paths[0], render::svg(&scene).map_err(failed)?.as_bytes())?;
        let failed = |problem| OutputError::Draw { path: paths[1].clone(), problem };
        files::write_bytes(&paths[1], &render::png(&scene).map_err(failed)?)?;
        written.extend(paths);
    }
    Ok(written)
}

/// Every plot by name; `None` where there is nothing to show.
fn scenes(runs: &data::Runs) -> Vec<(&'static str, Option<Scene>)> {
    let [availability, outage, recovery, latency, primaries, power, replicas, machines, energy, reprovision, readiness] =
        NAMES;
    vec![
        (availability, Some(over_time::availability(runs))),
        (outage, Some(bars::outage(runs))),
        (recovery, recovery::recovery(runs)),
        (latency, Some(over_time::latency(runs))),
        (primaries, Some(over_time::primaries(runs))),
        (power, over_time::power(runs)),
        (replicas, placement::replicas(runs)),
        (machines, placement::machines(runs)),
        (energy, energy::energy(runs)),
        (reprovision, bars::reprovision(runs)),
        (readiness, pareto::readiness(runs)),
    ]
}

fn has_results(dir: &Path) -> Result<bool, OutputError> {
    Ok(!found_results(dir)?.is_empty())
}

/// The results to draw: those of the last command, or else all, by protocol and seed.
fn results(dir: &Path) -> Result<Vec<PathBuf>, OutputError> {
    let path = dir.join("summary.json");
    if !path.exists() {
        return found_results(dir);
    }
    let text = files::read_text(&path)?;
    let summary = sealed::open(&text).map_err(|problem| OutputError::content(&path, problem))?;
    let runs = summary.get("runs").and_then(Value::as_array);
    let listed = runs.into_iter().flatten().filter_map(|run| {
        let result = format!("seed-{}/result.json", run["seed"].as_u64()?);
        Some(dir.join(run["protocol"].as_str()?).join(result))
    });
    let there: Vec<_> = listed.filter(|path| path.exists()).collect();
    if there.is_empty() { found_results(dir) } else { Ok(there) }
}

fn found_results(dir: &Path) -> Result<Vec<PathBuf>, OutputError> {
    let mut found = Vec::new();
    for protocol in sorted_dirs(dir)? {
        let mut seeds: Vec<(u64, PathBuf)> = sorted_dirs(&protocol)?
            .into_iter()
            .filter_map(|run| {
                let seed = run.file_name()?.to_str()?.strip_prefix("seed-")?.parse().ok()?;
                Some((seed, run.join("result.json")))
            })
            .filter(|(_, result)| result.exists())
            .collect();
        seeds.sort();
        found.extend(seeds.into_iter().map(|(_, result)| result));
    }
    Ok(found)
}

/// The directories in a directory that are not hidden, by name.
fn sorted_dirs(dir: &Path) -> Result<Vec<PathBuf>, OutputError> {
    let failed = |source| OutputError::Read { path: dir.to_owned(), source };
    let mut dirs = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            dirs.push(path);
        }
    }
    dirs.sort();
    Ok(dirs)
}
