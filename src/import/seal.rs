//! The first and the last line of firedrill's own `history.jsonl`, which tell whether all of it is there.
//!
//! The first line names the format and the version that wrote it, the last line the number of lines between
//! them and the BLAKE3 of all that stands before it. A history without either, from another program, is read
//! as it is.

use std::io::{self, Write};

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Problem;

/// The version of `history.jsonl` that this firedrill writes and reads.
const FORMAT: u64 = 1;

/// What a user can do about a history that is not as it was written.
const ADVICE: &str = "take the original, or make it again with `firedrill run --history`";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    lines: usize,
    blake3: String,
}

/// Writes lines of events between a first and a last line that vouch for them.
///
/// # Errors
/// Those of `out`.
pub fn write(lines: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let first = format!("{}\n", json!({ "format": FORMAT, "firedrill": env!("CARGO_PKG_VERSION") }));
    let digest = blake3::Hasher::new().update(first.as_bytes()).update(lines).finalize();
    out.write_all(first.as_bytes())?;
    out.write_all(lines)?;
    let count = lines.iter().filter(|&&byte| byte == b'\n').count();
    writeln!(out, "{}", json!({ "lines": count, "blake3": digest.to_hex().as_str() }))
}

/// The number of lines before the events, and the events.
pub(super) fn open(text: &str) -> Result<(usize, &str), Problem> {
    let count = text.lines().count();
    let not_whole = |message: &str| Err(Problem::new(count, format!("{message}: the file is not whole; {ADVICE}")));
    let (above, last) = split_last(text);
    let last: Option<Last> = serde_json::from_str(last).ok();
    if !begins(text)? {
        return match last {
            Some(_) => not_whole("it ends with firedrill's last line, and does not begin with its first"),
            None => Ok((0, text)),
        };
    }
    let Some(Last { lines, blake3 }) = last.filter(|_| count > 1) else {
        return not_whole("it ends before the last line that firedrill writes");
    };
    if lines != count - 2 {
        let there = count - 2;
        return not_whole(&format!("it should have {lines} lines of events, and has {there}"));
    }
    if blake3 != blake3::hash(above.as_bytes()).to_hex().as_str() {
        let message = format!("what stands above does not match its digest: it was changed; {ADVICE}");
        return Err(Problem::new(count, message));
    }
    let first = above.find('\n').map_or(above.len(), |end| end + 1);
    Ok((1, &above[first..]))
}

/// Whether the first line is that of firedrill's own history, of a format that can be read.
fn begins(text: &str) -> Result<bool, Problem> {
    let first = text.lines().next().unwrap_or_default();
    let Ok(Json::Object(first)) = serde_json::from_str(first) else { return Ok(false) };
    let Some(writer) = first.get("firedrill") else { return Ok(false) };
    let format = first.get("format").unwrap_or(&Json::Null);
    if format.as_u64() == Some(FORMAT) {
        return Ok(true);
    }
    let message = format!(
        "its `format` is {format} (firedrill {writer} wrote it), and this firedrill reads {FORMAT}; judge it with that version"
    );
    Err(Problem::new(1, message))
}

/// What stands before the last line, and that line.
fn split_last(text: &str) -> (&str, &str) {
    let whole = text.strip_suffix('\n').unwrap_or(text);
    let at = whole.rfind('\n').map_or(0, |before| before + 1);
    (&text[..at], &whole[at..])
}
