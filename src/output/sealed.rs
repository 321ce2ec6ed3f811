//! JSON files that vouch for their own content: `result.json` and `summary.json`.
//!
//! The first keys are `format` and `firedrill`, the version that wrote it. The last key, `checksum`, is BLAKE3
//! over the rest as compact JSON with sorted keys, so that an edit by hand is noticed, and mere formatting is
//! not. It is not the form of RFC 8785, which rounds whole numbers beyond 2^53 and would not notice an edited
//! seed.

use serde_json::{Map, Value};

/// The version of these files that this firedrill writes and reads.
pub const FORMAT: u32 = 1;
/// The version of firedrill.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const CHECKSUM: &str = "checksum";
/// What a user can do about a file that is not as it was written.
const ADVICE: &str = "take the original, or run the scenario again";

/// Adds the checksum.
pub fn seal(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        let sum = checksum(map);
        map.insert(CHECKSUM.into(), Value::String(sum));
    }
    value
}

/// The text of a sealed value: two spaces of indent, and a newline.
pub fn bytes(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("a JSON value can be written");
    bytes.push(b'\n');
    bytes
}

/// The content without its checksum, if it is whole, as it was written, and of this version.
///
/// # Errors
/// A clause that says what is wrong with it, and what to do.
pub fn open(text: &str) -> Result<Map<String, Value>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            let (line, column) = (error.line(), error.column());
            format!("it ends in the middle (line {line}, column {column}): it is not whole; {ADVICE}")
        } else {
            format!("it is not JSON: {error}; {ADVICE}")
        }
    })?;
    let Value::Object(mut map) = value else {
        return Err("it is not a result of firedrill: a JSON object was expected".into());
    };
    match map.get("format") {
        Some(format) if format.as_u64() == Some(u64::from(FORMAT)) => {}
        Some(format) => return Err(format!("its `format` is {format}, and this firedrill reads format {FORMAT}")),
        None => return Err("it is not a result of firedrill: it has no `format`".into()),
    }
    let Some(writer) = map.get("firedrill").and_then(Value::as_str) else {
        return Err("it is not a result of firedrill: it does not name the version, `firedrill`, that wrote it".into());
    };
    if writer != VERSION {
        return Err(format!(
            "it was written by firedrill {writer}, and this is {VERSION}; what runs do and measure may differ between \
             versions, so use {writer}, or run the scenario again"
        ));
    }
    let Some(claimed) = map.shift_remove(CHECKSUM) else {
        return Err(format!("it has no `checksum`: it was not written by firedrill, or was changed; {ADVICE}"));
    };
    if claimed.as_str() != Some(&checksum(&map)) {
        return Err(format!(
            "its content does not match its `checksum`: it was changed after firedrill wrote it; {ADVICE}"
        ));
    }
    Ok(map)
}

/// BLAKE3 of compact JSON with sorted keys, in hexadecimal.
fn checksum(map: &Map<String, Value>) -> String {
    let text = serde_json::to_vec(&sorted_object(map)).expect("a JSON value can be written");
    format!("blake3:{}", blake3::hash(&text).to_hex())
}

fn sorted_object(map: &Map<String, Value>) -> Value {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|&(key, _)| key);
    Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => sorted_object(map),
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text() -> String {
        let value =
            json!({"format": FORMAT, "firedrill": VERSION, "seed": u64::MAX, "list": [0.5, {"b": 1, "a": null}]});
        String::from_utf8(bytes(&seal(value))).unwrap()
    }

    #[test]
    fn an_edited_digit_is_noticed_wherever_it_stands_and_formatting_is_not() {
        let text = text();
        open(&text).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        open(&sorted(&value).to_string()).unwrap();
        for (at, digit) in text.char_indices().filter(|(_, letter)| letter.is_ascii_digit()) {
            let other = if digit == '7' { '8' } else { '7' };
            let edited = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(open(&edited).is_err(), "{edited}");
        }
    }

    #[test]
    fn what_is_not_whole_not_ours_or_of_another_version_is_refused_with_the_reason() {
        let text = text();
        for (content, reason) in [
            (text[..text.len() / 2].to_owned(), "it ends in the middle (line "),
            (text.replacen(':', ";", 1), "line 2 column"),
            ("[1]".into(), "a JSON object was expected"),
            ("{}".into(), "it has no `format`"),
            (
                text.replacen("\"format\": 1", "\"format\": 2", 1),
                "its `format` is 2, and this firedrill reads format 1",
            ),
            (text.replacen("\"firedrill\": \"", "\"firedrill\": \"9.", 1), "it was written by firedrill 9."),
            (text.replacen("\"firedrill\"", "\"program\"", 1), "it does not name the version"),
            (text.replacen("\"checksum\"", "\"sum\"", 1), "it has no `checksum`"),
            (text.replacen("\"seed\"", "\"sead\"", 1), "it was changed after firedrill wrote it"),
        ] {
            let problem = open(&content).unwrap_err();
            assert!(problem.contains(reason), "{problem}");
        }
    }
}
