//! `result.json`: what a run was, and what came of it.
//!
//! The file holds a [`Record`] with two spaces of indent and keys in the order of the struct; then `files`, the
//! digest of each file beside it; and a last key `checksum` over all of that, which [`super::sealed`] explains.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use super::{OutputError, contents, files, sealed};
use crate::run::{Record, RunResult};

/// The files that may stand beside a `result.json`. The first always does.
pub const BESIDE: [&str; 4] = ["timeseries.csv", "history.jsonl", "trace.jsonl", "power.csv"];

const FILES: &str = "files";

/// A record, and the digests of the files beside it by their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub record: Record,
    pub files: BTreeMap<String, String>,
}

impl Written {
    /// What [`super::write_run`] writes of this run.
    pub fn of(result: &RunResult) -> Self {
        let digest = |(name, content): (&str, files::Content<'_>)| (name.to_owned(), digest(content));
        let files = contents(result, |contents| contents.iter().copied().map(digest).collect());
        Self { record: result.record.clone(), files }
    }

    /// As a JSON object, without a checksum.
    pub fn to_value(&self) -> Value {
        let mut value = serde_json::to_value(&self.record).expect("a record has only string keys");
        value[FILES] = serde_json::to_value(&self.files).expect("names are strings");
        value
    }

    /// The exact content of `result.json`.
    pub fn to_bytes(&self) -> Vec<u8> {
        sealed::bytes(&sealed::seal(self.to_value()))
    }

    /// Checks that those of its files that stand in `dir` are as they were written.
    ///
    /// # Errors
    /// One cannot be read, or was changed.
    pub fn check_files(&self, dir: &Path) -> Result<(), OutputError> {
        let there = self.files.iter().map(|(name, digest)| (dir.join(name), digest));
        for (path, recorded) in there.filter(|(path, _)| path.exists()) {
            check(&path, &files::read(&path)?, recorded)?;
        }
        Ok(())
    }

    /// The text of a file beside it, if it is as it was written.
    ///
    /// # Errors
    /// It is not there, or was changed.
    pub(super) fn read_beside(&self, dir: &Path, name: &str) -> Result<String, OutputError> {
        let path = dir.join(name);
        let text = files::read_text(&path)?;
        let recorded = self.files.get(name).map_or("", String::as_str);
        check(&path, text.as_bytes(), recorded)?;
        Ok(text)
    }
}

fn check(path: &Path, content: &[u8], recorded: &str) -> Result<(), OutputError> {
    if hex(&blake3::hash(content)) == recorded {
        return Ok(());
    }
    let problem = "it is not the file of which the result.json beside it has the digest: it is not whole, or was \
                   changed after firedrill wrote it; take the original, or run the scenario again";
    Err(OutputError::content(path, problem))
}

/// The digest of what a file is to hold.
fn digest(content: files::Content<'_>) -> String {
    struct Digest(blake3::Hasher);
    impl Write for Digest {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // The writers of contents write a few bytes at a time.
    let mut digest = io::BufWriter::with_capacity(1 << 16, Digest(blake3::Hasher::new()));
    content(&mut digest).and_then(|()| digest.flush()).expect("a digest takes everything");
    hex(&digest.get_ref().0.finalize())
}

fn hex(hash: &blake3::Hash) -> String {
    format!("blake3:{}", hash.to_hex())
}

/// Reads a `result.json` with the digests of the files beside it.
///
/// # Errors
/// The file cannot be read, is not JSON (with line and column), is of another format or version, was changed
/// after it was written, or lacks a field or has one too many.
pub fn read_result(path: &Path) -> Result<Written, OutputError> {
    let text = files::read_text(path)?;
    parse(&text).map_err(|problem| OutputError::content(path, problem))
}

/// The record of a `result.json`.
///
/// # Errors
/// Those of [`read_result`].
pub fn read_record(path: &Path) -> Result<Record, OutputError> {
    read_result(path).map(|written| written.record)
}

/// Reads a result in order to run it again: `hash_of` gives the hash of a resolved scenario, and it must be
/// the one that the file claims. The files beside it need not be there, but may not have been changed.
///
/// # Errors
/// Those of [`read_result`], a `scenario.hash` that does not belong to `scenario.resolved`, and a changed file
/// beside it.
pub fn read_result_to_replay(path: &Path, hash_of: impl Fn(&Value) -> String) -> Result<Written, OutputError> {
    let written = read_result(path)?;
    let scenario = &written.record.scenario;
    let hash = hash_of(&scenario.resolved);
    if hash != scenario.hash {
        let claimed = &scenario.hash;
        return Err(OutputError::content(
            path,
            format!(
                "`scenario.hash` is {claimed}, but `scenario.resolved` hashes to {hash}: the scenario in it was changed"
            ),
        ));
    }
    written.check_files(path.parent().unwrap_or(Path::new("")))?;
    Ok(written)
}

/// Reads a result from the content of a `result.json`.
///
/// # Errors
/// A clause that says what is wrong with it, and what to do.
pub fn parse(text: &str) -> Result<Written, String> {
    let mut map = sealed::open(text)?;
    let files = map.shift_remove(FILES).ok_or("it has no `files`: it was not written by firedrill")?;
    let files: BTreeMap<String, String> = serde_json::from_value(files).map_err(|error| format!("`files`: {error}"))?;
    if let Some(other) = files.keys().find(|name| !BESIDE.contains(&name.as_str())) {
        return Err(format!("`files`: {other} is no file that firedrill writes"));
    }
    if !files.contains_key(BESIDE[0]) {
        return Err(format!("`files`: {} is missing", BESIDE[0]));
    }
    let record = serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())?;
    Ok(Written { record, files })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixture;

    fn written() -> Written {
        Written::of(&fixture::run(&fixture::quake(), "raft", 3))
    }

    fn text() -> String {
        String::from_utf8(written().to_bytes()).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back() {
        assert_eq!(parse(&text()).unwrap(), written());
        assert!(text().starts_with("{\n  \"format\": 1,\n  \"firedrill\": \""));
        assert!(text().ends_with("\"\n}\n"));
        assert_eq!(written().to_bytes(), parse(&text()).unwrap().to_bytes());
    }

    #[test]
    fn cut_anywhere_it_is_refused() {
        let text = text();
        let end = text.trim_end().len();
        for at in (0..end).step_by(97).chain(end - 200..end) {
            parse(&text[..at]).unwrap_err();
        }
    }

    #[test]
    fn an_edited_digit_is_noticed_wherever_it_stands() {
        let text = text();
        for (at, digit) in text.char_indices().filter(|(_, letter)| letter.is_ascii_digit()).step_by(13) {
            let other = if digit == '7' { '8' } else { '7' };
            let edited = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            parse(&edited).unwrap_err();
        }
    }

    #[test]
    fn a_whole_file_with_other_fields_is_refused_with_their_names() {
        let with = |change: fn(&mut Value)| {
            let mut value = written().to_value();
            change(&mut value);
            parse(&String::from_utf8(sealed::bytes(&sealed::seal(value))).unwrap()).unwrap_err()
        };
        assert!(with(|it| it["evts"] = 1.into()).contains("unknown field `evts`"));
        assert!(with(|it| it["events"] = "many".into()).contains("invalid type"));
        assert!(with(|it| it["files"] = Value::Null).contains("`files`: "));
        assert!(with(|it| it["files"]["../a.csv"] = "".into()).contains("`files`: ../a.csv is no file"));
        assert!(with(|it| it["files"] = serde_json::json!({})).contains("`files`: timeseries.csv is missing"));
        let without = |it: &mut Value| _ = it.as_object_mut().unwrap().shift_remove("files");
        assert!(with(without).contains("it has no `files`"));
    }

    #[test]
    fn a_scenario_that_does_not_match_its_hash_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.json");
        std::fs::write(&path, written().to_bytes()).unwrap();
        let hash = written().record.scenario.hash;
        assert_eq!(read_result_to_replay(&path, |_| hash.clone()).unwrap(), written());
        let error = read_result_to_replay(&path, |_| "other".into()).unwrap_err();
        assert!(error.to_string().contains("`scenario.resolved` hashes to other"), "{error}");
        assert!(!error.is_about_writing());
        let missing = read_record(&dir.path().join("none.json")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read "), "{missing}");
    }
}
