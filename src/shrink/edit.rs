//! Edits of a scenario's JSON, by JSON Pointer. No key of the format needs an escape.

use std::ops::Range;

use serde_json::Value;

use crate::scenario::parse_duration;
use crate::time::Duration;

/// Second in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// Parts of a list, largest first: the whole, halves, and so on down to each element. Taking away one part after the
/// other is delta debugging without its tests of the parts alone (Zeller and Hildebrandt 2002).
pub fn chunks(len: usize) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let mut size = len;
    while size > 0 {
        chunks.extend((0..len).step_by(size).map(|from| from..len.min(from + size)));
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    chunks
}

/// A list without a part of it.
pub fn without<T: Clone>(list: &[T], part: &Range<usize>) -> Vec<T> {
    [&list[..part.start], &list[part.end..]].concat()
}

/// The elements of the list at a pointer; none if there is no list.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The value with another one at a pointer, where something stands.
pub fn put(value: &Value, pointer: &str, new: Value) -> Value {
    let mut copy = value.clone();
    if let Some(place) = copy.pointer_mut(pointer) {
        *place = new;
    }
    copy
}

/// The value with a member of the object at a pointer set.
pub fn put_member(value: &Value, pointer: &str, key: &str, new: Value) -> Value {
    let mut copy = value.clone();
    if let Some(fields) = copy.pointer_mut(pointer).and_then(Value::as_object_mut) {
        fields.insert(key.to_owned(), new);
    }
    copy
}

/// Takes away what is at a pointer, if anything is.
pub fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => _ = fields.shift_remove(key),
        Some(Value::Array(items)) => {
            if let Some(at) = key.parse().ok().filter(|&at: &usize| at < items.len()) {
                items.remove(at);
            }
        }
        _ => {}
    }
}

/// Everything inside a value with its pointer, outer before inner.
pub fn places(value: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found
}

fn collect<'a>(value: &'a Value, pointer: &str, found: &mut Vec<(String, &'a Value)>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, inner)| (format!("{pointer}/{key}"), inner)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, inner)| (format!("{pointer}/{at}"), inner)).collect(),
        _ => Vec::new(),
    };
    for (pointer, inner) in inner {
        found.push((pointer.clone(), inner));
        collect(inner, &pointer, found);
    }
}

/// A length of time in nanoseconds.
pub fn time(value: &Value) -> Option<u64> {
    value.as_str().and_then(|text| parse_duration(text).ok()).map(Duration::as_nanos)
}

/// A length of time as people write it: below two minutes in seconds.
pub fn time_value(nanos: u64) -> Value {
    if nanos < 120 * SECOND && nanos.is_multiple_of(SECOND) {
        format!("{}s", nanos / SECOND).into()
    } else {
        Duration::from_nanos(nanos).to_string().into()
    }
}

/// A rate such as `2.5/s`: its number, and the rest.
pub fn rate(value: &Value) -> Option<(f64, &str)> {
    let text = value.as_str()?;
    let (number, _) = text.split_once('/')?;
    Some((number.parse().ok()?, &text[number.len()..]))
}

/// A number as JSON has it: whole without a point.
pub fn number(number: f64) -> Value {
    let whole = number as i64;
    if whole as f64 == number { whole.into() } else { number.into() }
}

/// How many digits someone must read to know a value: none of 0 and 1, and of a length of time those of its count of
/// nanoseconds without the zeros at its end.
pub fn digits(value: &Value) -> u64 {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => match (time(value), rate(value)) {
            (Some(nanos), _) => nanos.to_string(),
            (None, Some(_)) => text.split('/').next().unwrap_or_default().to_owned(),
            _ => return 0,
        },
        _ => return 0,
    };
    if value.is_number() && text == "1" {
        return 0;
    }
    let figures: String = text.split('e').next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    let figures = figures.trim_start_matches('0');
    let figures = figures.trim_end_matches('0');
    figures.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_get_smaller_and_cover_the_list() {
        assert!(chunks(0).is_empty());
        assert_eq!(chunks(2), [0..2, 0..1, 1..2]);
        assert_eq!(chunks(5), [0..5, 0..3, 3..5, 0..2, 2..4, 4..5, 0..1, 1..2, 2..3, 3..4, 4..5]);
        assert_eq!(without(&[1, 2, 3, 4], &(1..3)), [1, 4]);
    }

    #[test]
    fn digits_are_those_that_must_be_read() {
        for (value, count) in [
            (json!(0), 0),
            (json!(1), 0),
            (json!(5), 1),
            (json!(0.25), 2),
            (json!(2000), 1),
            (json!("60s"), 1),
            (json!("1m"), 1),
            (json!("61.237s"), 5),
            (json!("250ms"), 2),
            (json!("2.5/s"), 2),
            (json!("tokyo/0"), 0),
            (json!("kept"), 0),
            (json!(true), 0),
        ] {
            assert_eq!(digits(&value), count, "{value}");
        }
    }

    #[test]
    fn what_is_removed_is_gone_and_nothing_else() {
        let mut value = json!({"a": {"b": 1, "c": [1, 2, 3]}});
        for pointer in ["/a/c/1", "/a/b", "/a/x", "/a/c/9", "/x/y", ""] {
            remove(&mut value, pointer);
        }
        assert_eq!(value, json!({"a": {"c": [1, 3]}}));
        let pointers: Vec<_> = places(&value).into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["/a", "/a/c", "/a/c/0", "/a/c/1"]);
    }
}
