//! Numbers as people read them: in tables and on plots.

#![allow(clippy::disallowed_methods, reason = "pictures and tables do not decide a run")]

/// What a number counts, which decides its digits and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A ratio from 0 to 1, shown as percent.
    Percent,
    Seconds,
    Millis,
    Count,
    /// A plain number to three digits.
    Plain,
}

/// A number with its unit, for example `99.98 %`.
pub(super) fn with_unit(value: f64, unit: Unit) -> String {
    let suffix = match unit {
        Unit::Percent => " %",
        Unit::Seconds => " s",
        Unit::Millis => " ms",
        Unit::Count | Unit::Plain => "",
    };
    bare(value, unit) + suffix
}

/// A number without its unit.
pub(super) fn bare(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Percent => percent(value),
        Unit::Count => group(&format!("{value:.0}")),
        Unit::Seconds | Unit::Millis | Unit::Plain => three_digits(value),
    }
}

/// A difference with its sign; of ratios in percentage points.
pub(super) fn signed(value: f64, unit: Unit) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    match unit {
        Unit::Percent => format!("{sign}{}", three_digits(100.0 * value)),
        _ => format!("{sign}{}", bare(value, unit)),
    }
}

/// The unit of a difference, as a suffix.
pub(super) const fn difference_suffix(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => " pp",
        Unit::Seconds => " s",
        Unit::Millis => " ms",
        Unit::Count | Unit::Plain => "",
    }
}

/// Two decimals, and as many more (up to five) as keep a value short of all from reading as 100.
fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent == 0.0 || percent == 100.0 {
        return format!("{percent:.0}");
    }
    for decimals in 2..=5 {
        let text = format!("{percent:.decimals$}");
        let rounded: f64 = text.parse().unwrap_or(percent);
        if rounded != 100.0 && rounded != 0.0 {
            return text;
        }
    }
    if percent > 50.0 { ">99.99999".into() } else { "<0.00001".into() }
}

/// About three significant digits, whole from 100 on, without trailing zeros after the point.
fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.0995 || size == 0.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let trimmed = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    group(trimmed)
}

/// Puts a space between groups of three digits, from five digits on.
fn group(text: &str) -> String {
    let whole = text.find('.').unwrap_or(text.len());
    let start = usize::from(text.starts_with('-'));
    if whole - start < 5 {
        return text.to_owned();
    }
    let mut grouped = text[..start].to_owned();
    for (index, digit) in text[start..whole].chars().enumerate() {
        if index > 0 && (whole - start - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped + &text[whole..]
}

/// A number next to the bound it is compared with: six significant digits, or all if those are fewer.
pub(super) fn exact(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let decimals = (5 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A point in simulated time as `m:ss` or `h:mm:ss`.
pub(super) fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).floor();
    let rest = seconds - whole;
    let whole = whole as u64;
    let (hours, minutes, secs) = (whole / 3_600, whole / 60 % 60, whole % 60);
    let fraction = if rest >= 0.001 {
        format!("{rest:.3}").trim_start_matches('0').trim_end_matches('0').to_owned()
    } else {
        String::new()
    };
    if hours > 0 {
        format!("{hours}:{minutes:02}:{secs:02}{fraction}")
    } else {
        format!("{minutes}:{secs:02}{fraction}")
    }
}

/// A length of simulated time in the largest round unit: `45 s`, `10 min`, `24 h`.
pub(super) fn span(seconds: f64) -> String {
    for (size, unit) in [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min")] {
        if seconds >= 2.0 * size && (seconds / size * 2.0).fract() == 0.0 {
            return format!("{} {unit}", three_digits(seconds / size));
        }
    }
    with_unit(seconds, Unit::Seconds)
}

/// The middle of sorted values; the mean of the two middle ones of an even number.
pub(super) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_reads_100_only_when_nothing_failed() {
        for (ratio, text) in [
            (1.0, "100"),
            (0.0, "0"),
            (0.9998, "99.98"),
            (0.999_999, "99.9999"),
            (0.999_999_999_9, ">99.99999"),
            (0.8331, "83.31"),
            (0.000_01, "0.001"),
        ] {
            assert_eq!(bare(ratio, Unit::Percent), text);
        }
    }

    #[test]
    fn numbers_carry_the_digits_a_reader_needs() {
        for (value, text) in [
            (0.0, "0"),
            (2.0, "2"),
            (2.345, "2.35"),
            (25.34, "25.3"),
            (99.97, "100"),
            (101.4, "101"),
            (1_234.0, "1234"),
            (86_400.0, "86 400"),
            (-1_234_567.0, "-1 234 567"),
            (0.0123, "0.0123"),
        ] {
            assert_eq!(bare(value, Unit::Seconds), text);
        }
        assert_eq!(with_unit(12_345.0, Unit::Count), "12 345");
    }

    #[test]
    fn a_number_beside_its_bound_has_six_digits() {
        assert_eq!(
            [0.984_498_484, 0.97, 123_456_789.0, 0.0, 12.25].map(exact),
            ["0.984498", "0.97", "123456789", "0", "12.25"]
        );
    }

    #[test]
    fn times_are_clocks_and_spans() {
        assert_eq!(
            [0.0, 59.0, 90.5, 3_600.0].map(clock),
            ["0:00".to_owned(), "0:59".into(), "1:30.5".into(), "1:00:00".into()]
        );
        assert_eq!(
            [45.0, 90.0, 600.0, 86_400.0, 172_800.0].map(span),
            ["45 s".to_owned(), "90 s".into(), "10 min".into(), "24 h".into(), "2 d".into()]
        );
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
    }
}
