//! Deterministic changes of inputs, for the fuzz targets and for the smoke test over their corpus.

use firedrill::rng::Stream;
use serde_json::{Map, Value, json};

/// Pieces that parsers of text trip over.
const PIECES: [&str; 24] = [
    "",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ":",
    ",",
    "#",
    "nil",
    "null",
    "é",
    "\u{1f525}",
    "\u{0}",
    "\n",
    "\r\n",
    "-",
    "99999999999999999999",
    "1e999",
    ":ok",
    ":fail",
    " - ",
    "\u{feff}",
];

/// Changes a text in one to three places.
pub fn bytes(data: &[u8], seed: u64) -> Vec<u8> {
    let mut stream = Stream::new(seed, "mutated bytes", &[]);
    let mut data = data.to_vec();
    for _ in 0..=stream.below(3) {
        let at = |stream: &mut Stream, data: &[u8]| stream.below(data.len() as u64 + 1) as usize;
        let (one, other) = (at(&mut stream, &data), at(&mut stream, &data));
        let (from, to) = (one.min(other), one.max(other));
        match stream.below(6) {
            0 => data.truncate(one),
            1 if to > from => data[from] = stream.bits() as u8,
            2 if to > from => data[from] ^= 1 << stream.below(8),
            3 if to - from < 64 => _ = data.drain(from..to),
            4 if to - from < 4_096 => {
                let copied = data[from..to].to_vec();
                let place = at(&mut stream, &data);
                data.splice(place..place, copied);
            }
            _ => {
                let piece = PIECES[stream.below(PIECES.len() as u64) as usize];
                let end = if to - from < 16 { to } else { from };
                data.splice(from..end, piece.bytes());
            }
        }
    }
    data
}

/// Changes one or two values of a JSON text; `None` if it is none.
pub fn json(data: &[u8], seed: u64) -> Option<Vec<u8>> {
    let mut root: Value = serde_json::from_slice(data).ok()?;
    let mut stream = Stream::new(seed, "mutated json", &[]);
    for _ in 0..=stream.below(2) {
        let donor = nth(&mut root.clone(), &mut stream).clone();
        let place = nth(&mut root, &mut stream);
        change(place, donor, &mut stream);
    }
    serde_json::to_vec(&root).ok()
}

/// Any value in the tree, itself included.
fn nth<'a>(root: &'a mut Value, stream: &mut Stream) -> &'a mut Value {
    fn count(value: &Value) -> u64 {
        match value {
            Value::Array(items) => 1 + items.iter().map(count).sum::<u64>(),
            Value::Object(map) => 1 + map.values().map(count).sum::<u64>(),
            _ => 1,
        }
    }
    fn find(value: &mut Value, mut index: u64) -> &mut Value {
        if index == 0 {
            return value;
        }
        index -= 1;
        let below: Vec<&mut Value> = match value {
            Value::Array(items) => items.iter_mut().collect(),
            Value::Object(map) => map.values_mut().collect(),
            _ => Vec::new(),
        };
        for child in below {
            let size = count(child);
            if index < size {
                return find(child, index);
            }
            index -= size;
        }
        unreachable!("the index is below the count")
    }
    let index = stream.below(count(root));
    find(root, index)
}

fn change(place: &mut Value, donor: Value, stream: &mut Stream) {
    let any = |stream: &mut Stream, count: usize| stream.below(count as u64) as usize;
    match place {
        Value::Array(items) if !items.is_empty() && stream.chance(0.8) => {
            let at = any(stream, items.len());
            match stream.below(3) {
                0 => _ = items.remove(at),
                1 => items.insert(at, items[at].clone()),
                _ => items.insert(at, donor),
            }
        }
        Value::Object(map) if !map.is_empty() && stream.chance(0.8) => {
            let at = any(stream, map.len());
            let key = map.keys().nth(at).cloned().unwrap_or_default();
            match stream.below(3) {
                0 => _ = map.shift_remove(&key),
                1 => _ = map.insert(format!("{key}x"), donor),
                _ => _ = map.insert(key, donor),
            }
        }
        Value::Number(number) if stream.chance(0.6) => {
            let number = number.as_f64().unwrap_or(1.0);
            let factor = [0.0, -1.0, 0.5, 2.0, 10.0, 1e9][any(stream, 6)];
            *place = json!(number * factor);
        }
        Value::String(text) if stream.chance(0.6) => {
            *place = Value::String(text_like(text, stream));
        }
        _ if stream.chance(0.5) => *place = donor,
        _ => *place = interesting(stream),
    }
}

/// A quantity with another number or unit, a text cut short, or one with something odd in it.
fn text_like(text: &str, stream: &mut Stream) -> String {
    const UNITS: [&str; 14] = ["ns", "us", "ms", "s", "m", "h", "d", "/s", "/m", "B", "kB", "GiB", "bps", "Gbps"];
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    match stream.below(4) {
        0 if !digits.is_empty() => format!("{digits}{}", UNITS[stream.below(14) as usize]),
        1 if !digits.is_empty() => format!("{}{}", stream.bits() >> stream.below(64), &text[digits.len()..]),
        2 => text.chars().take(stream.below(8) as usize).collect(),
        _ => format!("{text}{}", PIECES[stream.below(PIECES.len() as u64) as usize]),
    }
}

fn interesting(stream: &mut Stream) -> Value {
    match stream.below(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(u64::MAX),
        4 => json!(i64::MIN),
        5 => json!(1e308),
        6 => json!(-0.0),
        7 => json!(""),
        8 => json!("*"),
        9 => json!("100y"),
        10 => json!("18446744073709551615ns"),
        11 => json!([]),
        12 => Value::Object(Map::new()),
        _ => json!("a".repeat(100)),
    }
}
