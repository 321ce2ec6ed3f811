//! `result.json`: what a run was, and what came of it.
//!
//! The file holds a [`Record`] with two spaces of indent and keys in the order of the struct, a last key
//! `checksum`, and a newline. The checksum is BLAKE3 over the rest as compact JSON with sorted keys, so a
//! number that was edited by hand is noticed, and mere formatting is not.

use std::path::Path;

use serde_json::Value;

use super::{OutputError, files};
use crate::run::Record;

/// The version of `result.json` that this firedrill writes and reads.
pub const FORMAT: u32 = 1;
/// The version of firedrill.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const CHECKSUM: &str = "checksum";

/// The exact content of `result.json`.
pub fn record_bytes(record: &Record) -> Vec<u8> {
    let mut value = serde_json::to_value(record).expect("a record has only string keys");
    let sum = checksum(&value);
    if let Value::Object(map) = &mut value {
        map.insert(CHECKSUM.into(), Value::String(sum));
    }
    let mut bytes = serde_json::to_vec_pretty(&value).expect("a JSON value can be written");
    bytes.push(b'\n');
    bytes
}

/// Reads a `result.json`. A record of another version of firedrill is returned: [`other_version`] tells.
///
/// # Errors
/// The file cannot be read, is not JSON (with line and column), is of another format, lacks a field or has
/// one too many, or was changed after it was written.
pub fn read_record(path: &Path) -> Result<Record, OutputError> {
    let text = files::read_text(path)?;
    parse_record(&text).map_err(|problem| OutputError::content(path, problem))
}

/// Reads a record in order to run it again: `hash_of` gives the hash of a resolved scenario, and it must be
/// the one that the file claims.
///
/// # Errors
/// Those of [`read_record`], and a `scenario.hash` that does not belong to `scenario.resolved`.
pub fn read_record_to_replay(path: &Path, hash_of: impl Fn(&Value) -> String) -> Result<Record, OutputError> {
    let record = read_record(path)?;
    let hash = hash_of(&record.scenario.resolved);
    if hash != record.scenario.hash {
        let claimed = &record.scenario.hash;
        return Err(OutputError::content(
            path,
            format!(
                "`scenario.hash` is {claimed}, but `scenario.resolved` hashes to {hash}: the scenario in it was changed"
            ),
        ));
    }
    Ok(record)
}

/// The version of firedrill that wrote a record, if it is not this one: results may differ then.
pub fn other_version(record: &Record) -> Option<&str> {
    (record.firedrill != VERSION).then_some(record.firedrill.as_str())
}

fn parse_record(text: &str) -> Result<Record, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            format!("it ends in the middle (line {}, column {}): it is not whole", error.line(), error.column())
        } else {
            format!("it is not JSON: {error}")
        }
    })?;
    let Value::Object(map) = &mut value else {
        return Err("it is not a result of firedrill: a JSON object was expected".into());
    };
    match map.get("format").and_then(Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => return Err(format!("its `format` is {format}, and this firedrill reads format {FORMAT}")),
        None => return Err("it is not a result of firedrill: it has no `format`".into()),
    }
    let Some(claimed) = map.shift_remove(CHECKSUM) else {
        return Err("it has no `checksum`: it was not written by firedrill, or was changed".into());
    };
    let sum = checksum(&value);
    let writer = value.get("firedrill").and_then(Value::as_str).unwrap_or(VERSION).to_owned();
    let record: Record = serde_json::from_value(value).map_err(|error| {
        if writer == VERSION {
            format!("{error}")
        } else {
            format!("{error} (it was written by firedrill {writer}, and this is {VERSION})")
        }
    })?;
    if claimed.as_str() != Some(&sum) {
        return Err("its content does not match its `checksum`: it was changed after firedrill wrote it".into());
    }
    Ok(record)
}

/// BLAKE3 of compact JSON with sorted keys, in hexadecimal.
fn checksum(value: &Value) -> String {
    let sorted = serde_json::to_vec(&sorted(value)).expect("a JSON value can be written");
    format!("blake3:{}", blake3::hash(&sorted).to_hex())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|&(key, _)| key);
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixture;

    fn text() -> String {
        String::from_utf8(record_bytes(&fixture::record("raft", 3))).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let record = fixture::record("raft", 3);
        assert_eq!(parse_record(&text()).unwrap(), record);
        assert!(text().starts_with("{\n  \"format\": 1,\n  \"firedrill\": \""));
        assert!(text().ends_with("\"\n}\n"));
        assert_eq!(record_bytes(&record), record_bytes(&parse_record(&text()).unwrap()));
    }

    #[test]
    fn a_number_edited_by_hand_is_noticed_and_formatting_is_not() {
        let edited = text().replacen("\"seed\": 3", "\"seed\": 4", 1);
        assert_ne!(edited, text());
        assert!(parse_record(&edited).unwrap_err().contains("checksum"));
        let value: Value = serde_json::from_str(&text()).unwrap();
        parse_record(&sorted(&value).to_string()).unwrap();
    }

    #[test]
    fn a_file_that_is_not_whole_or_not_ours_is_refused_with_the_reason() {
        let text = text();
        let half = &text[..text.len() / 2];
        for (content, reason) in [
            (half.to_owned(), "it ends in the middle (line "),
            (text.replacen(':', ";", 1), "line 2 column"),
            ("[1]".into(), "a JSON object was expected"),
            ("{}".into(), "it has no `format`"),
            (
                text.replacen("\"format\": 1", "\"format\": 2", 1),
                "its `format` is 2, and this firedrill reads format 1",
            ),
            (text.replacen("\"events\"", "\"evts\"", 1), "unknown field `evts`"),
            (text.replacen("\"checksum\"", "\"sum\"", 1), "it has no `checksum`"),
        ] {
            let problem = parse_record(&content).unwrap_err();
            assert!(problem.contains(reason), "{problem}");
        }
    }

    #[test]
    fn another_version_is_data_and_is_named_when_its_fields_differ() {
        let mut record = fixture::record("raft", 3);
        record.firedrill = "9.9.9".into();
        let text = String::from_utf8(record_bytes(&record)).unwrap();
        assert_eq!(other_version(&parse_record(&text).unwrap()), Some("9.9.9"));
        let problem = parse_record(&text.replacen("\"events\"", "\"steps\"", 1)).unwrap_err();
        assert!(problem.contains("written by firedrill 9.9.9"), "{problem}");
    }

    #[test]
    fn a_scenario_that_does_not_match_its_hash_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.json");
        let record = fixture::record("raft", 3);
        std::fs::write(&path, record_bytes(&record)).unwrap();
        let hash = record.scenario.hash.clone();
        assert_eq!(read_record_to_replay(&path, |_| hash.clone()).unwrap(), record);
        let error = read_record_to_replay(&path, |_| "other".into()).unwrap_err();
        assert!(error.to_string().contains("`scenario.resolved` hashes to other"), "{error}");
        assert!(!error.is_about_writing());
        let missing = read_record(&dir.path().join("none.json")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read "), "{missing}");
    }
}
