//! Scales and round ticks.

#![allow(clippy::disallowed_methods, reason = "pictures and tables do not decide a run")]

use super::super::numbers::{self, Unit};

/// A scale along one direction: from values to a share of the way, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    Linear { low: f64, high: f64 },
    Log { low: f64, high: f64 },
}

impl Scale {
    /// Values outside are put on the edge.
    pub fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Log { low, high } => (value.max(low) / low).ln() / (high / low).ln(),
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }
}

/// A place on an axis with what is written there; an empty text is a bare grid line.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub at: f64,
    pub text: String,
}

impl Tick {
    pub fn new(at: f64, text: impl Into<String>) -> Self {
        Self { at, text: text.into() }
    }
}

/// What a tick says: a number, as a power of ten if it would be long.
pub fn tick_text(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value) {
        format!("{value:.0e}")
    } else {
        numbers::bare(value, Unit::Plain)
    }
}

/// The axis of simulated time: its ticks, its unit, and the title to write below.
pub fn time_ticks(end_s: f64) -> (Vec<Tick>, String) {
    const STEPS: [f64; 22] = [
        1.0,
        2.0,
        5.0,
        10.0,
        15.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        900.0,
        1_800.0,
        3_600.0,
        7_200.0,
        10_800.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        432_000.0,
        864_000.0,
        2_592_000.0,
    ];
    const MOST_TICKS: f64 = 12.0;
    let (size, unit) = match end_s {
        end if end <= 180.0 => (1.0, "s"),
        end if end <= 10_800.0 => (60.0, "min"),
        end if end <= 345_600.0 => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    };
    let step = STEPS.into_iter().find(|step| end_s / step <= MOST_TICKS).unwrap_or_else(|| {
        let year = 31_536_000.0;
        (end_s / MOST_TICKS / year).ceil().max(1.0) * year
    });
    let count = (end_s / step + 1e-9).floor() as usize;
    let ticks = (0..=count).map(|index| {
        let at = index as f64 * step;
        Tick::new(at, tick_text(at / size))
    });
    (ticks.collect(), format!("time since the start, {unit}"))
}

/// Up to `most` round ticks from 0 to at least `high`, and where the axis ends.
pub fn linear_ticks(high: f64, most: usize, unit: &str) -> (Vec<Tick>, f64) {
    let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
    let rough = high / most as f64;
    let power = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * power).find(|&step| step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let count = (high / step - 1e-9).ceil().max(1.0) as usize;
    let ticks = (0..=count).map(|index| {
        let at = index as f64 * step;
        Tick::new(at, format!("{}{unit}", tick_text(at)))
    });
    (ticks.collect(), count as f64 * step)
}

/// The largest of 1, 2 and 5 times a power of ten that is not above the value.
fn round_down(value: f64) -> f64 {
    let power = 10.0_f64.powi(value.log10().floor() as i32);
    [5.0, 2.0, 1.0].into_iter().map(|part| part * power).find(|&at| at <= value * (1.0 + 1e-9)).unwrap_or(power)
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below the value.
pub fn round_up(value: f64) -> f64 {
    let power = 10.0_f64.powi(value.log10().floor() as i32);
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * power).find(|&at| at >= value * (1.0 - 1e-9)).unwrap_or(power)
}

/// Ticks at powers of ten, from a round number below the values to one above. If there is `room`, there are
/// bare lines between them; with that or few decades, 2 and 5 times a power of ten are labelled too.
pub fn log_ticks(low: f64, high: f64, unit: &str, room: bool) -> (Vec<Tick>, Scale) {
    let sane = |value: f64, otherwise: f64| {
        if value.is_finite() && value > 0.0 { value.clamp(1e-6, 1e13) } else { otherwise }
    };
    let low = round_down(sane(low, 1.0));
    let high = round_up(sane(high, low * 10.0)).max(low * 10.0);
    let decades = (high / low).log10();
    let every = if room || decades <= 2.0 { 1 } else { 2 };
    let first = low.log10().ceil() as i32;
    let mut ticks = Vec::new();
    for power in low.log10().floor() as i32..=high.log10().ceil() as i32 {
        for part in 1..10 {
            let at = f64::from(part) * 10.0_f64.powi(power);
            let told = (part == 1 && (power - first) % every == 0)
                || ((part == 2 || part == 5) && decades < if room { 2.5 } else { 1.2 });
            let shown = told || part == 1 || (room && decades <= 4.0);
            if shown && at >= low * 0.999 && at <= high * 1.001 {
                let text = if told { format!("{}{unit}", tick_text(at)) } else { String::new() };
                ticks.push(Tick { at, text });
            }
        }
    }
    (ticks, Scale::Log { low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.text.as_str()).filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn time_has_round_ticks_in_a_fitting_unit() {
        let (ticks, title) = time_ticks(600.0);
        assert_eq!(texts(&ticks), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
        assert_eq!(title, "time since the start, min");
        let (ticks, title) = time_ticks(86_400.0);
        assert_eq!(ticks.last().map(|tick| tick.text.as_str()), Some("24"));
        assert_eq!(title, "time since the start, h");
        assert_eq!(texts(&time_ticks(90.0).0), ["0", "10", "20", "30", "40", "50", "60", "70", "80", "90"]);
        for end in [0.001, 1.0, 3.3e9] {
            let (ticks, _) = time_ticks(end);
            assert!((1..=14).contains(&ticks.len()), "{end}: {}", ticks.len());
        }
    }

    #[test]
    fn values_have_round_ticks() {
        let (ticks, end) = linear_ticks(297.0, 5, " s");
        assert_eq!((texts(&ticks), end), (vec!["0 s", "100 s", "200 s", "300 s"], 300.0));
        assert_eq!(linear_ticks(0.0, 5, "").1, 1.0);
        let (ticks, scale) = log_ticks(8.5, 420.0, " ms", true);
        assert_eq!(texts(&ticks), ["5 ms", "10 ms", "20 ms", "50 ms", "100 ms", "200 ms", "500 ms"]);
        assert_eq!((scale.share(500.0), scale.share(5.0), scale.share(0.0)), (1.0, 0.0, 0.0));
        assert!((scale.share(50.0) - 0.5).abs() < 1e-12);
        assert_eq!(texts(&log_ticks(8.5, 4_200.0, " ms", true).0), ["10 ms", "100 ms", "1000 ms"]);
        let (ticks, _) = log_ticks(f64::NAN, f64::INFINITY, "", false);
        assert_eq!(texts(&ticks), ["1", "2", "5", "10"]);
    }
}
