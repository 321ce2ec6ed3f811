//! Result files, tables and pictures of finished runs.
//!
//! ```text
//! OUT/SCENARIO/PROTOCOL/seed-N/   result.json, timeseries.csv, and on request history.jsonl, trace.jsonl
//! OUT/SCENARIO/                   summary.csv, summary.json and the plots
//! ```
//!
//! Files appear whole or not at all; a run's directory is replaced whole. Nothing here depends on the time
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
pub mod record;
pub mod summary;
mod table;
pub mod timeseries;

#[cfg(test)]
mod fixture;

use std::io::Write;
use std::path::{Path, PathBuf};

pub use error::OutputError;
pub use files::check_destination;
pub use find::find_results;
pub use plots::plot;
pub use record::{other_version, read_record, read_record_to_replay, record_bytes};
pub use summary::summary_json;
pub use table::{TableStyle, summary_table};

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

/// Writes a run, and replaces an earlier one of the same protocol and seed whole. Returns its directory.
///
/// # Errors
/// A file could not be written; the earlier run is then as it was.
pub fn write_run(out: &Path, scenario: &str, result: &RunResult) -> Result<PathBuf, OutputError> {
    let record = &result.record;
    let dir = run_dir(out, scenario, &record.protocol, record.seed);
    files::create_dir(dir.parent().unwrap_or(out))?;
    let json = record_bytes(record);
    let write_json = |file: &mut dyn Write| file.write_all(&json);
    let write_csv = |file: &mut dyn Write| timeseries::write_csv(&result.seconds, file);
    let write_history = |file: &mut dyn Write| file.write_all(result.history.as_deref().unwrap_or_default());
    let write_trace = |file: &mut dyn Write| file.write_all(result.trace.as_deref().unwrap_or_default());
    let mut contents: Vec<(&str, files::Content<'_>)> =
        vec![("result.json", &write_json), ("timeseries.csv", &write_csv)];
    if result.history.is_some() {
        contents.push(("history.jsonl", &write_history));
    }
    if result.trace.is_some() {
        contents.push(("trace.jsonl", &write_trace));
    }
    files::replace_dir(&dir, &contents)?;
    Ok(dir)
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
    let mut json = serde_json::to_vec_pretty(&summary_json(records)).expect("a JSON value can be written");
    json.push(b'\n');
    files::write_bytes(&paths[1], &json)?;
    Ok(paths)
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
        assert_eq!(timeseries::read_series(&dir.join("timeseries.csv")).unwrap(), result.seconds);
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
