//! Result files, tables and pictures of finished runs.
//!
//! ```text
//! OUT/SCENARIO/PROTOCOL/seed-N/   result.json, timeseries.csv, power.csv if power is known, and on
//!                                 request history.jsonl, trace.jsonl
//! OUT/SCENARIO/                   summary.csv, summary.json and the plots
//! OUT/fuzz/SCENARIO/PROTOCOL/     scenarios that show what a search found
//! ```
//!
//! Files appear whole or not at all; a run's directory is replaced whole. `result.json` and `summary.json` have a
//! checksum, and `result.json` has the digests of the files beside it: what was cut, edited, or written by another
//! version is refused. Nothing here depends on the time
//! of day, on the machine or on fonts of the system: the same results give the same bytes. Plots are drawn
//! from these files alone. This module and `cli` are the only ones that touch files.

pub mod diagram;
mod error;
mod files;
mod find;
mod numbers;
pub mod paired;
pub mod perfetto;
pub mod plots;
mod power;
pub mod record;
pub mod sealed;
pub mod summary;
mod table;
pub mod timeseries;

#[cfg(test)]
mod fixture;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use error::OutputError;
pub use files::check_destination;
pub use find::find_results;
pub use plots::plot;
pub use record::{Written, read_record, read_result, read_result_to_replay};
pub use summary::summary_json;
pub use table::{TableStyle, summary_table};

use crate::import::seal;
use crate::run::{Record, RunResult};

/// Each value once, in the order of first appearance.
fn distinct<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = std::collections::BTreeSet::new();
    values.filter(|&value| seen.insert(value)).collect()
}

/// The directory of one run.
pub fn run_dir(out: &Path, scenario: &str, protocol: &str, seed: u64) -> PathBuf {
    out.join(scenario).join(protocol).join(format!("seed-{seed}"))
}

/// Writes a text file whole or not at all. Its directory must exist.
///
/// # Errors
/// It could not be written; what stood there before is untouched.
pub fn write_text(path: &Path, text: &str) -> Result<(), OutputError> {
    files::write_bytes(path, text.as_bytes())
}

/// Reads a text file; `None` if it is not there.
///
/// # Errors
/// It is there and cannot be read, or it is not text.
pub fn read_text(path: &Path) -> Result<Option<String>, OutputError> {
    if path.exists() { files::read_text(path).map(Some) } else { Ok(None) }
}

/// Removes a file if it is there.
///
/// # Errors
/// The system refuses.
pub fn remove(path: &Path) -> Result<(), OutputError> {
    files::remove(path)
}

/// Writes a run, and replaces an earlier one of the same protocol and seed whole. Returns its directory.
///
/// # Errors
/// A file could not be written; the earlier run is then as it was.
pub fn write_run(out: &Path, scenario: &str, result: &RunResult) -> Result<PathBuf, OutputError> {
    let record = &result.record;
    let dir = run_dir(out, scenario, &record.protocol, record.seed);
    files::create_dir(dir.parent().unwrap_or(out))?;
    let json = Written::of(result).to_bytes();
    let write_json = |file: &mut dyn Write| file.write_all(&json);
    contents(result, |beside| {
        let all = [&[("result.json", &write_json as files::Content<'_>)], beside].concat();
        files::replace_dir(&dir, &all)
    })?;
    Ok(dir)
}

/// What stands in the files beside a `result.json`.
fn contents<T>(result: &RunResult, then: impl FnOnce(&[(&'static str, files::Content<'_>)]) -> T) -> T {
    let [timeseries, history, trace, watts] = record::BESIDE;
    let RunResult { seconds, power, history: events, trace: steps, .. } = result;
    let write_csv = |file: &mut dyn Write| timeseries::write_csv(seconds, file);
    let write_history = |file: &mut dyn Write| seal::write(events.as_deref().unwrap_or_default(), file);
    let write_trace = |file: &mut dyn Write| file.write_all(steps.as_deref().unwrap_or_default());
    let write_power = |file: &mut dyn Write| power.as_ref().map_or(Ok(()), |power| power::write_csv(power, file));
    let mut beside: Vec<(&str, files::Content<'_>)> = vec![(timeseries, &write_csv)];
    if power.is_some() {
        beside.push((watts, &write_power));
    }
    if events.is_some() {
        beside.push((history, &write_history));
    }
    if steps.is_some() {
        beside.push((trace, &write_trace));
    }
    then(&beside)
}

/// Writes one file whole or not at all, with the directories above it.
///
/// # Errors
/// It could not be written.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        files::create_dir(dir)?;
    }
    files::write_bytes(path, bytes)
}

/// Writes `summary.csv` and `summary.json` for the runs of one command. Returns their paths.
///
/// # Errors
/// A file could not be written.
pub fn write_summary(out: &Path, scenario: &str, records: &[Record]) -> Result<[PathBuf; 2], OutputError> {
    let dir = out.join(scenario);
    files::create_dir(&dir)?;
    let paths = [dir.join("summary.csv"), dir.join("summary.json")];
    files::write_file(&paths[0], &|file| summary::write_csv(records, file))?;
    files::write_bytes(&paths[1], &sealed::bytes(&summary_json(records)))?;
    Ok(paths)
}

/// Where a search of a scenario leaves what it finds: one scenario file for each finding of a protocol.
pub fn findings_dir(out: &Path, scenario: &str) -> PathBuf {
    out.join("fuzz").join(scenario)
}

/// Writes a scenario that shows a finding, in place of an earlier one of the same name. Returns its path.
///
/// # Errors
/// The file could not be written.
pub fn write_finding(dir: &Path, protocol: &str, name: &str, scenario: &Value) -> Result<PathBuf, OutputError> {
    let dir = dir.join(protocol);
    files::create_dir(&dir)?;
    let path = dir.join(format!("{name}.json"));
    files::write_bytes(&path, format!("{scenario:#}\n").as_bytes())?;
    Ok(path)
}

/// Writes finished runs of one scenario, their summary and their plots, and returns the table: for programs
/// that use this crate as a library.
///
/// # Errors
/// A file could not be written.
pub fn publish(out: &Path, results: &[RunResult]) -> Result<String, OutputError> {
    let Some(first) = results.first() else { return Ok(String::new()) };
    let name = &first.record.scenario.name;
    for result in results {
        write_run(out, name, result)?;
    }
    let records: Vec<Record> = results.iter().map(|result| result.record.clone()).collect();
    write_summary(out, name, &records)?;
    let plots = plot(&out.join(name))?;
    Ok(summary_table(&records, TableStyle { out: Some(out), plots: &plots, ..TableStyle::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rerun_replaces_its_own_address_whole_and_nothing_else() {
        let out = tempfile::tempdir().unwrap();
        let mut result = fixture::run(&fixture::quake(), "raft", 1);
        result.history = Some(b"{}\n".to_vec());
        result.trace = Some(b"{}\n".to_vec());
        let dir = write_run(out.path(), "tokyo-quake", &result).unwrap();
        assert_eq!(dir, out.path().join("tokyo-quake/raft/seed-1"));
        let other = write_run(out.path(), "tokyo-quake", &fixture::run(&fixture::quake(), "raft", 2)).unwrap();
        assert!(dir.join("history.jsonl").exists() && dir.join("trace.jsonl").exists());
        let before = std::fs::read(other.join("result.json")).unwrap();

        (result.history, result.trace) = (None, None);
        write_run(out.path(), "tokyo-quake", &result).unwrap();
        assert!(!dir.join("history.jsonl").exists() && !dir.join("trace.jsonl").exists());
        assert_eq!(std::fs::read(other.join("result.json")).unwrap(), before);

        assert_eq!(read_record(&dir.join("result.json")).unwrap(), result.record);
        assert_eq!(timeseries::read_series(&Written::of(&result), &dir).unwrap(), result.seconds);
    }

    #[test]
    fn summaries_are_written_beside_the_protocols() {
        let out = tempfile::tempdir().unwrap();
        let records = [fixture::record("raft", 1), fixture::record("optimistic", 1)];
        let [csv, json] = write_summary(out.path(), "tokyo-quake", &records).unwrap();
        assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 5);
        let text = std::fs::read_to_string(json).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), summary_json(&records));
        assert!(text.ends_with("}\n"));
    }

    #[test]
    fn a_file_in_the_way_is_an_error_of_writing() {
        let out = tempfile::tempdir().unwrap();
        std::fs::write(out.path().join("tokyo-quake"), "in the way").unwrap();
        let error = write_run(out.path(), "tokyo-quake", &fixture::run(&fixture::quake(), "raft", 1)).unwrap_err();
        assert!(matches!(&error, OutputError::NotADirectory { .. }) && error.is_about_writing(), "{error}");
        assert_eq!(error.path(), out.path().join("tokyo-quake"));
    }
}
