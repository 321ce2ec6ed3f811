//! Quantities: a decimal number and a unit, in exact decimal arithmetic.
//!
//! `0.5ms` is 500,000 ns; nothing passes through a float on its way to time, bytes or bits a second.

use crate::time::Duration;

/// A unit and its size in base units.
type Unit = (&'static str, u64);

/// Units of time, in nanoseconds.
pub const TIME: &[Unit] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
/// Units of rate, in seconds.
pub const RATE: &[Unit] = &[("/s", 1), ("/m", 60), ("/h", 3_600)];
/// Units of size, in bytes.
pub const SIZE: &[Unit] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
/// Units of bandwidth, in bits a second.
pub const BANDWIDTH: &[Unit] = &[("bps", 1), ("kbps", 1_000), ("Mbps", 1_000_000), ("Gbps", 1_000_000_000)];

/// A number as written, and the size of its unit.
struct Split<'a> {
    negative: bool,
    whole: &'a str,
    /// Digits behind the point, without trailing zeros.
    fraction: &'a str,
    unit: u64,
}

/// Splits `-12.50ms`. The error says what is wrong.
fn split<'a>(text: &'a str, units: &[Unit]) -> Result<Split<'a>, String> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, mut rest) = rest.split_at(digits(rest));
    let mut fraction = "";
    if let Some(behind) = rest.strip_prefix('.') {
        (fraction, rest) = behind.split_at(digits(behind));
        if fraction.is_empty() {
            return Err("there is no digit behind the point".into());
        }
    }
    if whole.is_empty() {
        return Err("it does not begin with a number".into());
    }
    let known = super::diagnostics::quote_all(units.iter().map(|(unit, _)| *unit), "or");
    let Some((_, unit)) = units.iter().find(|(unit, _)| *unit == rest) else {
        return Err(match rest {
            "" => format!("it has no unit; units are {known}"),
            _ if rest.contains(char::is_whitespace) => "there is no space in a quantity".into(),
            _ if rest.bytes().any(|byte| byte.is_ascii_digit()) => "a quantity is one number and one unit".into(),
            _ => format!("{} is not a unit here; units are {known}", super::diagnostics::quote(rest)),
        });
    };
    Ok(Split { negative, whole, fraction: fraction.trim_end_matches('0'), unit: *unit })
}

const TOO_LARGE: &str = "it is too large";

/// The number of base units, which must be whole.
fn exact(split: &Split<'_>, base: &str) -> Result<u64, String> {
    let not_whole = || format!("it is not a whole number of {base}");
    // No fraction longer than this comes out whole in any unit: the finest is 2^-30 of a GiB.
    if split.fraction.len() > 30 {
        return Err(not_whole());
    }
    let digits = format!("{}{}", split.whole, split.fraction);
    let mantissa = digits.trim_start_matches('0');
    let mantissa: u128 = match mantissa {
        "" => 0,
        _ => mantissa.parse().map_err(|_| TOO_LARGE.to_owned())?,
    };
    let scaled = mantissa.checked_mul(u128::from(split.unit)).ok_or(TOO_LARGE)?;
    let divisor = 10_u128.pow(split.fraction.len() as u32);
    if !scaled.is_multiple_of(divisor) {
        return Err(not_whole());
    }
    u64::try_from(scaled / divisor).map_err(|_| TOO_LARGE.into())
}

fn unsigned(text: &str, units: &[Unit], base: &str) -> Result<u64, String> {
    let split = split(text, units)?;
    if split.negative {
        return Err("it must not be negative".into());
    }
    exact(&split, base)
}

/// A length of time, at most 100 years.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = Duration::from_nanos(unsigned(text, TIME, "nanoseconds")?);
    if time > Duration::LONGEST { Err("it is longer than 100 years".into()) } else { Ok(time) }
}

/// A length of time that may be negative, in nanoseconds.
pub fn jump(text: &str) -> Result<i64, String> {
    let size = time(text.strip_prefix('-').unwrap_or(text))?.as_nanos();
    let size = i64::try_from(size).map_err(|_| TOO_LARGE.to_owned())?;
    Ok(if text.starts_with('-') { -size } else { size })
}

/// Bytes.
pub fn size(text: &str) -> Result<u64, String> {
    unsigned(text, SIZE, "bytes")
}

/// Bits a second.
pub fn bandwidth(text: &str) -> Result<u64, String> {
    unsigned(text, BANDWIDTH, "bits a second")
}

/// Events a second, above 0 and at most 10^9.
pub fn rate(text: &str) -> Result<f64, String> {
    let split = split(text, RATE)?;
    if split.negative {
        return Err("it must not be negative".into());
    }
    // Both numbers are the nearest doubles and the division is IEEE 754's: the same everywhere.
    let number: f64 = format!("{}.{}", split.whole, if split.fraction.is_empty() { "0" } else { split.fraction })
        .parse()
        .map_err(|_| TOO_LARGE.to_owned())?;
    let rate = number / split.unit as f64;
    match rate {
        _ if rate > 1e9 => Err(TOO_LARGE.into()),
        _ if rate <= 0.0 => Err("it must be above 0".into()),
        _ => Ok(rate),
    }
}

/// The shortest exact form of a bandwidth.
pub fn show_bandwidth(bits: u64) -> String {
    show(bits, BANDWIDTH)
}

/// The shortest exact form of a length of time that may be negative.
pub fn show_jump(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}", Duration::from_nanos(nanos.unsigned_abs()))
}

fn show(amount: u64, units: &[Unit]) -> String {
    let (unit, size) =
        units.iter().rev().find(|(_, size)| amount.is_multiple_of(*size) && amount > 0).unwrap_or(&units[0]);
    format!("{}{unit}", amount / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(time("0.5ms"), Ok(Duration::from_nanos(500_000)));
        assert_eq!(time("0.000000001s"), Ok(Duration::from_nanos(1)));
        assert_eq!(time("1.10s"), Ok(Duration::from_millis(1_100)));
        assert_eq!(time("100.000h"), Ok(Duration::from_secs(360_000)));
        assert_eq!(time("0.1ns").unwrap_err(), "it is not a whole number of nanoseconds");
        assert_eq!(size("0.000000000931322574615478515625GiB"), Ok(1));
        assert_eq!(size("1.5KiB"), Ok(1536));
        assert_eq!(bandwidth("3.6Gbps"), Ok(3_600_000_000));
        assert_eq!(size("18446744073709551615B"), Ok(u64::MAX));
        assert_eq!(size("18446744073709551616B").unwrap_err(), "it is too large");
        assert_eq!(jump("-2s"), Ok(-2_000_000_000));
        assert_eq!(rate("30/m"), Ok(0.5));
    }

    #[test]
    fn one_hundred_years_and_no_more() {
        assert_eq!(time("36500d"), Ok(Duration::LONGEST));
        assert!(time("36500.00000000000001d").is_err());
        assert_eq!(time("36501d").unwrap_err(), "it is longer than 100 years");
        assert_eq!(jump("-36501d").unwrap_err(), "it is longer than 100 years");
    }

    #[test]
    fn what_is_no_quantity_says_why() {
        for (text, why) in [
            ("", "it does not begin with a number"),
            ("s", "it does not begin with a number"),
            ("5", "it has no unit"),
            ("5 s", "no space"),
            ("1m30s", "one number and one unit"),
            ("5.s", "no digit behind the point"),
            (".5s", "does not begin with a number"),
            ("+5s", "does not begin with a number"),
            ("1e3s", "one number and one unit"),
            ("5sec", "`sec` is not a unit"),
            ("-5s", "must not be negative"),
            ("--5s", "does not begin with a number"),
            ("99999999999999999999999999999999999999999999h", "too large"),
            ("0.00000000000000000000000000000000000000001s", "not a whole number"),
        ] {
            let error = time(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(jump("--5s").is_err());
        assert!(rate("0/s").is_err() && rate("2e9/s").is_err() && rate("9999999999/s").is_err());
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for nanos in [0, 1, 999, 1_500, 60_000_000_000, i64::MAX / 4] {
            assert_eq!(jump(&show_jump(-nanos)), Ok(-nanos));
        }
        for bits in [0, 1, 1_500, 3_600_000_000, u64::MAX] {
            assert_eq!(bandwidth(&show_bandwidth(bits)), Ok(bits));
        }
    }
}
