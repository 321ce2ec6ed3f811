//! Numbers that a person would have chosen.

use serde_json::Value;

use super::Subject;
use super::edit::{self, SECOND};

/// Grains to which lengths of time are rounded, in nanoseconds.
const GRAINS: [u64; 10] = [
    600 * SECOND,
    60 * SECOND,
    30 * SECOND,
    10 * SECOND,
    5 * SECOND,
    SECOND,
    SECOND / 2,
    SECOND / 10,
    SECOND / 100,
    SECOND / 1_000,
];

/// All times at once to a coarse grain, then each number by itself: 0 and 1 first, then to fewer and fewer digits.
pub fn rounder(subject: &Subject) -> Vec<Value> {
    let value = &subject.value;
    let places = edit::places(value);
    let numbers: Vec<_> =
        places.into_iter().filter(|(pointer, one)| edit::digits(one) > 0 && !is_fixed(pointer)).collect();
    let mut proposals: Vec<Value> = [30 * SECOND, 10 * SECOND, 5 * SECOND, SECOND, SECOND / 10]
        .into_iter()
        .map(|grain| {
            let mut copy = value.clone();
            for (pointer, one) in &numbers {
                if let (Some(time), Some(place)) = (edit::time(one), copy.pointer_mut(pointer)) {
                    *place = edit::time_value(((time + grain / 2) / grain * grain).max(grain));
                }
            }
            copy
        })
        .collect();
    for (pointer, one) in &numbers {
        let rounder = alternatives(one).into_iter().filter(|other| edit::digits(other) < edit::digits(one));
        proposals.extend(rounder.map(|other| edit::put(value, pointer, other)));
    }
    proposals
}

fn is_fixed(pointer: &str) -> bool {
    ["/format", "/seed"].contains(&pointer)
}

fn alternatives(value: &Value) -> Vec<Value> {
    if let Some(time) = edit::time(value) {
        let near = GRAINS.iter().flat_map(|grain| [time / grain * grain, time.next_multiple_of(*grain)]);
        return near.map(edit::time_value).collect();
    }
    if let Some((rate, unit)) = edit::rate(value) {
        return fewer_digits(rate).into_iter().map(|rate| format!("{}{unit}", edit::number(rate)).into()).collect();
    }
    let number = value.as_f64().unwrap_or(0.0);
    [0.0, 1.0].into_iter().chain(fewer_digits(number)).map(edit::number).collect()
}

/// The number to one and to two digits, both ways.
fn fewer_digits(number: f64) -> Vec<f64> {
    let text = format!("{:e}", number.abs());
    let Some((_, exponent)) = text.split_once('e') else { return Vec::new() };
    let Ok(exponent) = exponent.parse::<i32>() else { return Vec::new() };
    let mut found = Vec::new();
    for digits in 0..2 {
        // Read back as text, so that a tenth is the tenth that a person writes.
        let grain = |count: i64| format!("{count}e{}", exponent - digits).parse::<f64>().unwrap_or(number);
        let count = number / grain(1);
        found.extend([grain(count.floor() as i64), grain(count.ceil() as i64)]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rounder_numbers_have_fewer_digits() {
        assert_eq!(fewer_digits(0.137), [0.1, 0.2, 0.13, 0.14]);
        assert_eq!(fewer_digits(1234.0), [1000.0, 2000.0, 1200.0, 1300.0]);
        assert_eq!(fewer_digits(-0.25), [-0.3, -0.2, -0.25, -0.25]);
        assert_eq!(fewer_digits(0.0), [0.0; 4]);
        let times = alternatives(&json!("61.237s"));
        for wanted in ["60s", "2m", "65s", "61s", "61500ms", "61200ms"] {
            assert!(times.contains(&json!(wanted)), "{wanted}: {times:?}");
        }
        assert!(alternatives(&json!("7.3/s")).contains(&json!("7/s")));
        assert!(alternatives(&json!(0.8)).contains(&json!(1)));
    }
}
