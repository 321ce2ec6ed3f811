//! Energy against readiness: what each protocol or policy of a scenario pays, and what it gets for it.

use super::super::numbers::{self, Unit};
use super::axis::{Scale, Tick, linear_ticks, tick_text};
use super::data::{Protocol, Range, Run, Runs};
use super::palette;
use super::scene::{Anchor, Font, Scene, fit, text_width};
use super::strips::{WIDTH, heading};

const TOP: f64 = 138.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 92.0;
/// Between the panels, with the ticks of the right one.
const BETWEEN: f64 = 104.0;
const RIGHT: f64 = WIDTH - 34.0;
const AXIS: f64 = 66.0;
const NAME_ROW: f64 = 25.0;
const POINT: f64 = 7.0;
const SAME_ENERGY: f64 = 1.001;
const LABEL: Font = Font { size: 15.0, ..palette::LABEL };

/// What a panel shows upwards: the higher, the better.
struct Quality {
    title: &'static str,
    unit: Unit,
    value: fn(&Run) -> Option<f64>,
    /// Less is better.
    inverted: bool,
    /// What is said of a protocol without a value.
    absent: &'static str,
}

const READY: Quality = Quality {
    title: "share of time ready for the loss of any data center",
    unit: Unit::Percent,
    value: |run| run.housing.as_ref().map(|housing| housing.ready),
    inverted: false,
    absent: "not known",
};

const REPROVISION: Quality = Quality {
    title: "time until services are provisioned again, s",
    unit: Unit::Seconds,
    value: |run| run.record.metrics.all.reprovision_s,
    inverted: true,
    absent: "never",
};

const AVAILABILITY: Quality = Quality {
    title: "requests that succeed",
    unit: Unit::Percent,
    value: |run| run.record.metrics.all.availability,
    inverted: false,
    absent: "not known",
};

impl Quality {
    /// What a run without a value counts as.
    const fn worst(&self) -> f64 {
        if self.inverted { f64::INFINITY } else { f64::NEG_INFINITY }
    }
}

/// The median of the runs of a protocol, and their range.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    range: Range,
}

impl Spread {
    /// `None`: fewer than half of the runs have a value.
    fn of(values: impl Iterator<Item = Option<f64>>, otherwise: f64) -> Option<Self> {
        let values: Vec<Option<f64>> = values.collect();
        let known = || values.iter().flatten().copied();
        let range =
            Range { low: known().fold(f64::INFINITY, f64::min), high: known().fold(f64::NEG_INFINITY, f64::max) };
        let mut sorted: Vec<f64> = values.iter().map(|value| value.unwrap_or(otherwise)).collect();
        sorted.sort_by(f64::total_cmp);
        let median = numbers::median(&sorted).filter(|median| median.is_finite())?;
        Some(Self { median, range })
    }
}

/// A protocol in a panel.
struct Point {
    /// Its place in the table.
    index: usize,
    energy: Spread,
    quality: Option<Spread>,
}

/// Nothing if no service may move, or nothing is known of energy.
pub fn readiness(runs: &Runs) -> Option<Scene> {
    runs.places.as_ref()?;
    let energy = |protocol: &Protocol| {
        Spread::of(protocol.runs.iter().map(|run| run.record.metrics.all.energy_kwh), f64::INFINITY)
    };
    let energies: Vec<Option<Spread>> = runs.protocols.iter().map(energy).collect();
    let reference = |value: fn(&crate::metrics::Metrics) -> Option<f64>| {
        let all = runs.protocols.iter().flat_map(|protocol| protocol.metric(value));
        Spread::of(all.filter(Option::is_some), f64::INFINITY).map(|spread| spread.median)
    };
    let all_awake = reference(|m| m.energy_all_awake_kwh)?;
    let ideal = reference(|m| m.energy_ideal_kwh);
    let highest = energies.iter().flatten().map(|energy| energy.range.high).fold(all_awake, f64::max);
    let repaired = |protocol: &Protocol| protocol.metric(|m| m.reprovision_s).iter().any(Option::is_some);
    let faults = runs.protocols.iter().flat_map(|protocol| &protocol.runs).any(|run| !run.record.recoveries.is_empty());
    let second = if faults && runs.protocols.iter().any(repaired) { &REPROVISION } else { &AVAILABILITY };
    let panels = [&READY, second];
    let told = energies.iter().flatten().count();
    let bottom = TOP + HEIGHT;
    let full = bottom + AXIS + NAME_ROW * told as f64 + 16.0;
    let title = format!("{}: energy against readiness", runs.scenario);
    let mut scene = Scene { title: title.clone(), width: WIDTH as u32, height: full.ceil() as u32, shapes: Vec::new() };
    scene.rect((0.0, 0.0), (WIDTH, full.ceil()), palette::WHITE);
    let many = if runs.seeds.len() > 1 { "; point: median, cross: lowest to highest" } else { "" };
    let what = "higher and further left is better; line: the Pareto front, which nothing else beats in both";
    heading(&mut scene, &title, &format!("{what}; {}{many}", runs.seed_names()));

    let width = (RIGHT - LEFT - BETWEEN) / 2.0;
    let (ticks, end) = linear_ticks(highest * 1.02, 6, "");
    for (panel, quality) in panels.into_iter().enumerate() {
        let left = LEFT + (width + BETWEEN) * panel as f64;
        let points: Vec<Point> = (energies.iter().enumerate())
            .filter_map(|(index, energy)| {
                let values = runs.protocols[index].runs.iter().map(quality.value);
                Some(Point { index, energy: (*energy)?, quality: Spread::of(values, quality.worst()) })
            })
            .collect();
        let frame = Frame { left, right: left + width, energy: end, quality, scale: vertical(quality, &points) };
        frame.axes(&mut scene, &ticks, [("ideal", ideal), ("all awake", Some(all_awake))]);
        frame.draw(&mut scene, runs, &points);
        if panel == 0 {
            names(&mut scene, runs, &points, all_awake, bottom + AXIS);
        }
    }
    Some(scene)
}

/// Ticks and their range upwards.
fn vertical(quality: &Quality, points: &[Point]) -> (Vec<Tick>, f64, f64) {
    let known = || points.iter().filter_map(|point| point.quality).flat_map(|one| [one.range.low, one.range.high]);
    if quality.inverted {
        let (ticks, high) = linear_ticks(known().fold(0.0, f64::max), 5, "");
        return (ticks, high * 1.12, -high * 0.06);
    }
    let lowest = known().fold(1.0, f64::min);
    // The worst share of the time or of requests that was lost decides how closely one looks.
    let (mut ticks, lost) = linear_ticks(((1.0 - lowest) * 100.0).max(1e-4), 6, "");
    for tick in &mut ticks {
        let percent = 100.0 - tick.at;
        *tick = Tick::new(percent / 100.0, format!("{} %", tick_text((percent * 1e6).round() / 1e6)));
    }
    (ticks, 1.0 - lost / 100.0 * 1.06, 1.0 + lost / 100.0 * 0.06)
}

struct Frame<'a> {
    left: f64,
    right: f64,
    /// kWh at the right end.
    energy: f64,
    quality: &'a Quality,
    /// Ticks, and what is at the bottom and at the top.
    scale: (Vec<Tick>, f64, f64),
}

impl Frame<'_> {
    fn x(&self, energy: f64) -> f64 {
        self.left + (self.right - self.left) * Scale::Linear { low: 0.0, high: self.energy }.share(energy)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + HEIGHT * (1.0 - Scale::Linear { low: self.scale.1, high: self.scale.2 }.share(value))
    }

    /// Where a point is; without a value at the bottom.
    fn place(&self, point: &Point) -> (f64, f64) {
        let y = point.quality.map_or(TOP + HEIGHT, |quality| self.y(quality.median));
        (self.x(point.energy.median), y)
    }

    fn axes(&self, scene: &mut Scene, ticks: &[Tick], references: [(&str, Option<f64>); 2]) {
        let (left, right, bottom) = (self.left, self.right, TOP + HEIGHT);
        scene.rect((left, TOP), (right, bottom), palette::CALM);
        for tick in ticks {
            let x = self.x(tick.at);
            scene.line(vec![(x, TOP), (x, bottom)], 1.0, palette::GRID);
            scene.text((x, bottom + 24.0), tick.text.clone(), Anchor::Middle, palette::TICK);
        }
        for tick in &self.scale.0 {
            let y = self.y(tick.at);
            scene.line(vec![(left, y), (right, y)], 1.0, palette::GRID);
            scene.text((left - 9.0, y + 5.5), tick.text.clone(), Anchor::Right, palette::TICK);
        }
        for (name, at) in references {
            let Some(x) = at.map(|at| self.x(at)) else { continue };
            scene.line(vec![(x, TOP), (x, bottom)], 1.6, palette::BOUNDARY);
            let anchor = if x > right - 78.0 { Anchor::Right } else { Anchor::Left };
            scene.text((x, TOP - 7.0), name, anchor, palette::NOTE);
        }
        scene.line(vec![(left, TOP), (left, bottom)], 1.2, palette::AXIS);
        scene.line(vec![(left, bottom), (right, bottom)], 1.2, palette::AXIS);
        let title = fit(self.quality.title, LABEL, right - left + 70.0);
        scene.text((left - 60.0, TOP - 29.0), title, Anchor::Left, LABEL);
        scene.text((f64::midpoint(left, right), bottom + 50.0), "energy, kWh", Anchor::Middle, palette::TICK);
    }

    fn draw(&self, scene: &mut Scene, runs: &Runs, points: &[Point]) {
        let front = front(points, self.quality.inverted);
        let mut line: Vec<(f64, f64)> = Vec::new();
        for &at in &front {
            let (x, y) = self.place(&points[at]);
            line.push((x, line.last().map_or(TOP + HEIGHT, |last| last.1)));
            line.push((x, y));
        }
        if let Some(&(_, y)) = line.last() {
            line.push((self.right, y));
            scene.line(line.clone(), 2.2, palette::SOFT);
        }
        let mut taken: Vec<(f64, f64, f64, f64)> = points.iter().map(|point| around(self.place(point))).collect();
        taken.extend(line.windows(2).map(|ends| {
            let [(x, y), (to, other)] = [ends[0], ends[1]];
            (x.min(to) - 1.0, x.max(to) + 1.0, y.min(other) - 1.0, y.max(other) + 1.0)
        }));
        for (at, point) in points.iter().enumerate() {
            let (x, y) = self.place(point);
            let ink = palette::protocol(point.index);
            let energy = point.energy.range;
            scene.line(vec![(self.x(energy.low), y), (self.x(energy.high), y)], 2.0, ink);
            if let Some(quality) = point.quality {
                scene.line(vec![(x, self.y(quality.range.low)), (x, self.y(quality.range.high))], 2.0, ink);
            }
            scene.rect((x - POINT, y - POINT), (x + POINT, y + POINT), ink);
            let absent = if point.quality.is_none() { format!(": {}", self.quality.absent) } else { String::new() };
            let text = fit(&format!("{}{absent}", runs.protocols[point.index].label), LABEL, self.right - self.left);
            let font = Font { bold: front.contains(&at), ..LABEL };
            let width = 1.08 * text_width(&text, font);
            let spots = [(x + POINT + 5.0, y + 5.0), (x - POINT - 5.0 - width, y + 5.0)];
            let rows = [y - POINT - 6.0, y + POINT + 17.0, y - POINT - 24.0, y + POINT + 35.0];
            let other = rows.map(|row| ((x - width / 2.0).clamp(self.left + 3.0, self.right - width - 3.0), row));
            let fits = |&(left, base): &(f64, f64)| {
                let own = (left, left + width, base - 12.0, base + 3.0);
                let inside = left >= self.left && own.1 <= self.right && own.2 >= TOP && base <= TOP + HEIGHT - 2.0;
                inside && taken.iter().all(|it| own.1 < it.0 || it.1 < own.0 || own.3 < it.2 || it.3 < own.2)
            };
            // In a crowd the legend has to do.
            let Some((left, base)) = spots.into_iter().chain(other).find(fits) else { continue };
            taken.push((left, left + width, base - 12.0, base + 3.0));
            scene.text((left, base), text, Anchor::Left, font);
        }
    }
}

fn around((x, y): (f64, f64)) -> (f64, f64, f64, f64) {
    (x - POINT, x + POINT, y - POINT, y + POINT)
}

/// The points that no other beats, by energy, each better than the one before. Energies that differ by less than
/// [`SAME_ENERGY`] are equal.
fn front(points: &[Point], inverted: bool) -> Vec<usize> {
    let sign = if inverted { -1.0 } else { 1.0 };
    let known: Vec<(usize, f64, f64)> = (points.iter().enumerate())
        .filter_map(|(at, point)| Some((at, point.energy.median, sign * point.quality?.median)))
        .collect();
    let beaten = |&(_, energy, quality): &(usize, f64, f64)| {
        known.iter().any(|&(_, other, better)| {
            (better > quality && other <= energy * SAME_ENERGY) || (better >= quality && other * SAME_ENERGY < energy)
        })
    };
    let mut front: Vec<_> = known.iter().filter(|one| !beaten(one)).copied().collect();
    front.sort_by(|one, other| one.2.total_cmp(&other.2).then(one.1.total_cmp(&other.1)));
    front.into_iter().map(|(at, ..)| at).collect()
}

/// Below the panels: colour, name and numbers of each.
fn names(scene: &mut Scene, runs: &Runs, points: &[Point], all_awake: f64, top: f64) {
    let label = |point: &Point| fit(&runs.protocols[point.index].label, palette::NAME, 330.0);
    let longest = points.iter().map(|point| text_width(&label(point), palette::NAME)).fold(0.0, f64::max);
    let after = LEFT + 23.0 + 1.08 * longest + 16.0;
    for (row, point) in points.iter().enumerate() {
        let base = top + NAME_ROW * row as f64 + 16.0;
        let protocol = &runs.protocols[point.index];
        scene.rect((LEFT, base - 12.5), (LEFT + 14.0, base + 1.5), palette::protocol(point.index));
        scene.text((LEFT + 23.0, base), label(point), Anchor::Left, palette::NAME);
        let energy = numbers::with_unit(point.energy.median, Unit::Plain);
        let mut parts = vec![format!("{energy} kWh, {:.1} % of all awake", 100.0 * point.energy.median / all_awake)];
        let median = |quality: &Quality| {
            let values = protocol.runs.iter().map(quality.value);
            let spread = Spread::of(values, quality.worst())?;
            Some(numbers::with_unit(spread.median, quality.unit))
        };
        parts.extend(median(&READY).map(|share| format!("{share} of the time ready")));
        parts.extend(median(&REPROVISION).map(|time| format!("whole again in {time}")));
        parts.extend(median(&AVAILABILITY).map(|share| format!("{share} of requests succeed")));
        scene.text((after, base), fit(&parts.join(", "), palette::NOTE, RIGHT - after), Anchor::Left, palette::NOTE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_holds_what_nothing_else_beats() {
        let one = |value: f64| Spread { median: value, range: Range { low: value, high: value } };
        let point =
            |energy: f64, quality: Option<f64>| Point { index: 0, energy: one(energy), quality: quality.map(one) };
        let points = [
            point(3.0, Some(0.9)),
            point(1.0, Some(0.5)),
            point(2.0, Some(0.4)),
            point(3.0, Some(0.8)),
            point(0.5, None),
            point(4.0, Some(0.9)),
        ];
        assert_eq!(front(&points, false), [1, 0]);
        assert_eq!(front(&points, true), [1, 2]);
        let nearly = [point(3.0, Some(0.9)), point(2.9999, Some(0.8)), point(2.0, Some(0.5))];
        assert_eq!(front(&nearly, false), [2, 0]);
    }

    #[test]
    fn half_of_the_runs_must_have_a_value() {
        let of = |values: &[Option<f64>]| Spread::of(values.iter().copied(), f64::INFINITY).map(|it| it.median);
        assert_eq!(of(&[Some(1.0), Some(3.0), None]), Some(3.0));
        assert_eq!(of(&[Some(1.0), None, None]), None);
        assert_eq!(of(&[]), None);
    }
}
