//! How recovery times are distributed over seeds: the share of runs that answer again within a time.

use super::super::numbers::{self, Unit};
use super::axis::{Scale, Tick, linear_ticks, log_ticks};
use super::data::{Protocol, Runs};
use super::palette;
use super::scene::{Anchor, Scene, fit};
use super::strips::{WIDTH, heading};

/// With fewer runs a distribution says nothing that the bars do not.
const FEWEST_RUNS: usize = 10;
const LEFT: f64 = 84.0;
/// Room for the names on the right.
const RIGHT: f64 = 850.0;
const TOP: f64 = 100.0;
const HEIGHT: f64 = 430.0;
const AXIS: f64 = 66.0;
const NAME_HEIGHT: f64 = 46.0;
/// Times that differ more than this are shown on a logarithmic axis.
const LINEAR_UP_TO: f64 = 12.0;

/// The times of one protocol.
struct Curve {
    /// Ascending.
    seconds: Vec<f64>,
    /// Runs, those that never answered again included.
    runs: usize,
}

impl Curve {
    fn of(protocol: &Protocol) -> Self {
        let (mut seconds, mut never) = (Vec::new(), 0);
        for run in &protocol.runs {
            match run.record.metrics.all.recovery_first_s {
                Some(value) => seconds.push(value),
                None if run.record.recoveries.iter().any(|one| one.first_success_s.is_none()) => never += 1,
                None => {}
            }
        }
        seconds.sort_by(f64::total_cmp);
        Self { runs: seconds.len() + never, seconds }
    }

    /// The time within which this share of all runs answered again.
    fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share * self.runs as f64).ceil().max(1.0) as usize;
        self.seconds.get(rank - 1).copied()
    }

    /// Corners of the step curve as (seconds, share), without its run to the right edge.
    fn steps(&self) -> Vec<(f64, f64)> {
        let mut corners = Vec::new();
        let mut share = 0.0;
        for (index, &at) in self.seconds.iter().enumerate() {
            corners.push((at, share));
            share = (index + 1) as f64 / self.runs as f64;
            corners.push((at, share));
        }
        corners
    }
}

/// The curves of all protocols; `None` if there are too few runs, or nothing to recover from.
pub fn recovery(runs: &Runs) -> Option<Scene> {
    let curves: Vec<Curve> = runs.protocols.iter().map(Curve::of).collect();
    let times = || curves.iter().flat_map(|curve| curve.seconds.iter().copied());
    if runs.seeds.len() < FEWEST_RUNS || times().next().is_none() {
        return None;
    }
    let lowest = times().filter(|&time| time > 0.0).fold(f64::INFINITY, f64::min);
    let highest = times().fold(0.0, f64::max);
    let (ticks, scale) = if highest > LINEAR_UP_TO * lowest {
        log_ticks(lowest, highest, "", true)
    } else {
        let (ticks, high) = linear_ticks(highest, 10, "");
        (ticks, Scale::Linear { low: 0.0, high })
    };
    let height = HEIGHT.max(NAME_HEIGHT * curves.len() as f64);
    let (bottom, title) = (TOP + height, format!("{}: time until requests are answered again", runs.scenario));
    let full = (bottom + AXIS).ceil();
    let mut scene = Scene { title: title.clone(), width: WIDTH as u32, height: full as u32, shapes: Vec::new() };
    scene.rect((0.0, 0.0), (WIDTH, full), palette::WHITE);
    let subtitle =
        format!("share of runs, from a fault to the first success (the worst fault of a run); {}", runs.seed_names());
    heading(&mut scene, &title, &subtitle);
    let x = |seconds: f64| LEFT + (RIGHT - LEFT) * scale.share(seconds);
    let y = |share: f64| bottom - height * share;
    grid(&mut scene, &ticks, bottom, &x, &y);
    for (index, curve) in curves.iter().enumerate() {
        let mut points: Vec<(f64, f64)> = curve.steps().into_iter().map(|(at, share)| (x(at), y(share))).collect();
        let Some(&(_, end)) = points.last() else { continue };
        points.insert(0, (LEFT, bottom));
        points.push((RIGHT, end));
        scene.line(points, 2.4, palette::protocol(index));
    }
    names(&mut scene, runs, &curves);
    Some(scene)
}

fn grid(scene: &mut Scene, ticks: &[Tick], bottom: f64, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) {
    for tick in ticks {
        scene.line(vec![(x(tick.at), y(1.0)), (x(tick.at), bottom)], 1.0, palette::GRID);
        if !tick.text.is_empty() {
            scene.line(vec![(x(tick.at), bottom), (x(tick.at), bottom + 6.0)], 1.2, palette::AXIS);
            scene.text((x(tick.at), bottom + 24.0), tick.text.clone(), Anchor::Middle, palette::TICK);
        }
    }
    for percent in [0.0, 25.0, 50.0, 75.0, 100.0] {
        let at = y(percent / 100.0);
        scene.line(vec![(LEFT, at), (RIGHT, at)], 1.0, palette::GRID);
        scene.text((LEFT - 10.0, at + 5.5), format!("{percent:.0} %"), Anchor::Right, palette::TICK);
    }
    scene.line(vec![(LEFT, y(1.0)), (LEFT, bottom)], 1.2, palette::AXIS);
    scene.line(vec![(LEFT, bottom), (RIGHT, bottom)], 1.2, palette::AXIS);
    let middle = f64::midpoint(LEFT, RIGHT);
    scene.text((middle, bottom + 50.0), "time from the fault to the first success, s", Anchor::Middle, palette::TICK);
}

/// Names with their colours and quantiles, on the right.
fn names(scene: &mut Scene, runs: &Runs, curves: &[Curve]) {
    let left = RIGHT + 34.0;
    for (index, (protocol, curve)) in runs.protocols.iter().zip(curves).enumerate() {
        let top = TOP + NAME_HEIGHT * index as f64;
        scene.rect((left, top + 3.0), (left + 22.0, top + 15.0), palette::protocol(index));
        let room = WIDTH - left - 40.0;
        scene.text((left + 30.0, top + 15.0), fit(&protocol.label, palette::NAME, room), Anchor::Left, palette::NAME);
        let seconds =
            |share| curve.quantile(share).map_or("never".into(), |time| numbers::with_unit(time, Unit::Seconds));
        let told = format!("median {}, 99 % {}", seconds(0.5), seconds(0.99));
        scene.text((left + 30.0, top + 34.0), fit(&told, palette::NOTE, room), Anchor::Left, palette::NOTE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_never_answer_keep_the_curve_below_one() {
        let curve = Curve { seconds: vec![1.0, 2.0, 4.0], runs: 4 };
        assert_eq!(curve.steps().last(), Some(&(4.0, 0.75)));
        assert_eq!((curve.quantile(0.5), curve.quantile(0.75), curve.quantile(0.99)), (Some(2.0), Some(4.0), None));
    }
}
