//! Options that several commands share.

use clap::ValueEnum;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and sentences for people.
    #[default]
    Human,
    /// JSON for programs, and nothing else on standard output.
    Json,
}

/// Some seeds in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    pub first: u64,
    /// At least 1.
    pub count: u64,
}

impl Seeds {
    pub fn one(seed: u64) -> Self {
        Self { first: seed, count: 1 }
    }
}

/// Reads `A..B`, half open.
pub fn seeds(text: &str) -> Result<Seeds, String> {
    let wanted = "seeds are written A..B: from A up to and without B, for example 0..200";
    let (first, end) = text.split_once("..").ok_or(wanted)?;
    if end.starts_with('=') {
        return Err(format!("the end is never included; {wanted}"));
    }
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("`{text}` is no whole number; {wanted}"));
    let (first, end) = (number(first)?, number(end)?);
    match end.checked_sub(first) {
        None | Some(0) => Err(format!("there is no seed in {text}; {wanted}")),
        Some(count) => Ok(Seeds { first, count }),
    }
}

/// Reads `path=value`.
pub fn set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, value)) if !path.is_empty() => Ok((path.to_owned(), value.to_owned())),
        _ => {
            Err("a change is written path=value, for example protocols.optimistic.ack=none or timeline.0.for=2m".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_half_open() {
        assert_eq!(seeds("0..200"), Ok(Seeds { first: 0, count: 200 }));
        assert_eq!(seeds("7..8"), Ok(Seeds::one(7)));
        assert_eq!(seeds(&format!("0..{}", u64::MAX)), Ok(Seeds { first: 0, count: u64::MAX }));
        for wrong in
            ["", "5", "..", "5..", "..5", "5..5", "6..5", "0..=5", "a..b", "-1..5", "0...5", "0..18446744073709551616"]
        {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_change_has_a_path_and_a_value() {
        let pair = |path: &str, value: &str| Ok((path.to_owned(), value.to_owned()));
        assert_eq!(set("seed=5"), pair("seed", "5"));
        assert_eq!(set("description=a=b"), pair("description", "a=b"));
        assert_eq!(set("description="), pair("description", ""));
        assert!(set("seed").is_err() && set("=5").is_err() && set("").is_err());
    }
}
