//! Scales and round ticks.

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
        Tick::new(at, numbers::bare(at / size, Unit::Plain))
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
        Tick::new(at, format!("{}{unit}", numbers::bare(at, Unit::Plain)))
    });
    (ticks.collect(), count as f64 * step)
}

/// Ticks at powers of ten with bare lines between them, over whole decades around the values.
pub fn log_ticks(low: f64, high: f64, unit: &str) -> (Vec<Tick>, Scale) {
    let sane = |value: f64, otherwise: f64| if value.is_finite() && value > 0.0 { value } else { otherwise };
    let low = sane(low, 1.0);
    let high = sane(high, low * 10.0).max(low);
    let first = (low.log10() + 1e-9).floor().clamp(-6.0, 12.0) as i32;
    let last = ((high.log10() - 1e-9).ceil() as i32).clamp(first + 1, 13);
    let mut ticks = Vec::new();
    for power in first..=last {
        let at = 10.0_f64.powi(power);
        ticks.push(Tick::new(at, format!("{}{unit}", numbers::bare(at, Unit::Plain))));
        if power < last && last - first <= 4 {
            ticks.extend((2..10).map(|part| Tick::new(f64::from(part) * at, "")));
        }
    }
    (ticks, Scale::Log { low: 10.0_f64.powi(first), high: 10.0_f64.powi(last) })
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
        let (ticks, scale) = log_ticks(8.5, 420.0, " ms");
        assert_eq!(texts(&ticks), ["1 ms", "10 ms", "100 ms", "1000 ms"]);
        assert_eq!(scale.share(1_000.0), 1.0);
        assert!((scale.share(10.0) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(scale.share(0.0), 0.0);
        let (ticks, _) = log_ticks(f64::NAN, f64::INFINITY, "");
        assert_eq!(texts(&ticks), ["1", "10"]);
    }
}
