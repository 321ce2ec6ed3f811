//! Times as bars: outage and recovery, and how long services took to be provisioned again.

#![allow(clippy::disallowed_methods, reason = "pictures and tables do not decide a run")]

use super::super::numbers::{self, Unit};
use super::axis::{Scale, Tick, linear_ticks, round_up, tick_text};
use super::data::{Protocol, Run, Runs};
use super::palette;
use super::places::Places;
use super::scene::{Anchor, Font, Scene, fit, text_width};
use super::strips::{WIDTH, heading};
use crate::metrics::{Metrics, MetricsTable, Recovery};

/// Below a subtitle of one line.
const TOP: f64 = 90.0;
const HEAD: f64 = 30.0;
const GAP: f64 = 12.0;
const AXIS: f64 = 62.0;
/// The longest times are so many times the shortest before the axis bends.
const LINEAR_UP_TO: f64 = 60.0;
/// With more services there is no room for a group of each.
const MOST_SERVICES: usize = 6;

/// Seconds that a run took; `None`: it does not apply, or was not reached.
type Time<'a> = Box<dyn Fn(&Run) -> Option<f64> + 'a>;

/// A group of bars.
struct Group<'a> {
    name: String,
    about: &'static str,
    value: Time<'a>,
    /// For a time until something: whether a run waited for it in vain.
    waited: Box<dyn Fn(&Run) -> bool + 'a>,
    /// What is said if no run has a value or waited for one.
    absent: &'static str,
}

type Reached = fn(&Recovery) -> Option<f64>;

impl<'a> Group<'a> {
    /// A metric over all services.
    fn metric(name: &str, about: &'static str, value: fn(&Metrics) -> Option<f64>, reached: Option<Reached>) -> Self {
        let waited = move |run: &Run| {
            let mut recoveries = run.record.recoveries.iter();
            let short = reached.is_some_and(|reached| recoveries.any(|it| it.censored && reached(it).is_none()));
            short && value(&run.record.metrics.all).is_none()
        };
        let value = move |run: &Run| value(&run.record.metrics.all);
        Self { name: name.into(), about, value: Box::new(value), waited: Box::new(waited), absent: "–" }
    }

    /// Until services are provisioned again after a fault.
    fn reprovision(
        places: &'a Places,
        name: &str,
        about: &'static str,
        value: impl Fn(&MetricsTable) -> Option<f64> + Clone + 'a,
    ) -> Self {
        let measured = value.clone();
        let waited =
            move |run: &Run| places.reorganises(&run.record.protocol) && measured(&run.record.metrics).is_none();
        let value = move |run: &Run| value(&run.record.metrics);
        let absent = "nothing is repaired";
        Self { name: name.into(), about, value: Box::new(value), waited: Box::new(waited), absent }
    }
}

/// What a bar shows: the median of the runs, and their range. A run that never got there counts as longest.
struct Bar {
    /// `None`: at least half of the runs have no value.
    median: Option<f64>,
    low: f64,
    high: f64,
    text: String,
}

impl Bar {
    fn of(group: &Group<'_>, protocol: &Protocol) -> Self {
        let values: Vec<Option<f64>> = protocol.runs.iter().map(|run| (group.value)(run)).collect();
        let waited = |run: &&Run| (group.value)(run).is_none() && (group.waited)(run);
        let never = protocol.runs.iter().filter(waited).count();
        let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let finite = sorted.len();
        let (low, high) = (sorted.first().copied().unwrap_or(0.0), sorted.last().copied().unwrap_or(0.0));
        sorted.extend(std::iter::repeat_n(f64::INFINITY, never));
        let median = numbers::median(&sorted).filter(|median| median.is_finite());
        let runs = sorted.len();
        let seconds = |value: f64| numbers::with_unit(value, Unit::Seconds);
        let text = match median {
            Some(median) => {
                let range = if low == high {
                    String::new()
                } else {
                    let bare = |value| numbers::bare(value, Unit::Seconds);
                    format!(" ({} to {})", bare(low), bare(high))
                };
                let missing = if never > 0 { format!(", not reached in {never} of {runs}") } else { String::new() };
                seconds(median) + &range + &missing
            }
            None if never > 0 && finite > 0 => format!("not reached in {never} of {runs}"),
            None if never > 0 => "not reached".into(),
            None => group.absent.into(),
        };
        Self { median, low, high, text }
    }
}

/// Outage and recovery.
pub fn outage(runs: &Runs) -> Scene {
    let groups = [
        Group::metric("outage, total", "seconds in which nothing succeeded", |m| m.outage_total_s, None),
        Group::metric("outage, longest", "without a break", |m| m.outage_longest_s, None),
        Group::metric(
            "recovery, first success",
            "from a fault on; the worst fault",
            |m| m.recovery_first_s,
            Some(|r| r.first_success_s),
        ),
        Group::metric(
            "recovery, sustained",
            "from a fault to 99 % for 5 s; the worst fault",
            |m| m.recovery_s,
            Some(|r| r.sustained_s),
        ),
        Group::metric(
            "convergence",
            "from the end of a fault to a legitimate state; the worst fault",
            |m| m.convergence_s,
            Some(|r| r.converged_s),
        ),
    ];
    chart(runs, &format!("{}: outage and recovery", runs.scenario), &groups)
}

/// How long it took until each service was provisioned again; nothing if no service may move, or nothing went wrong.
pub fn reprovision(runs: &Runs) -> Option<Scene> {
    const ALL: &str = "whole, with capacity for the loss of any data center; the worst fault";
    const SERVICE: &str = "all its replicas, enough of them outside of any data center; the worst fault";
    let places = runs.places.as_ref()?;
    let faults =
        runs.reorganised().flat_map(|(_, protocol, _)| &protocol.runs).any(|run| !run.record.recoveries.is_empty());
    if !faults {
        return None;
    }
    let mut groups = vec![Group::reprovision(places, "all services", ALL, |table| table.all.reprovision_s)];
    if (2..=MOST_SERVICES).contains(&places.services.len()) {
        groups.extend(places.services.iter().map(|service| {
            let value = |table: &MetricsTable| table.services.get(&service.name)?.reprovision_s;
            Group::reprovision(places, &service.name, SERVICE, value)
        }));
    } else if places.services.len() > MOST_SERVICES {
        let half = |table: &MetricsTable| {
            let time = |metrics: &Metrics| metrics.reprovision_s.unwrap_or(f64::INFINITY);
            let mut times: Vec<f64> = table.services.values().map(time).collect();
            times.sort_by(f64::total_cmp);
            times.get((times.len().max(1) - 1) / 2).copied().filter(|time| time.is_finite())
        };
        groups.push(Group::reprovision(places, "half of the services", SERVICE, half));
    }
    Some(chart(runs, &format!("{}: time until services are provisioned again", runs.scenario), &groups))
}

/// The bars of all protocols.
fn chart(runs: &Runs, title: &str, groups: &[Group<'_>]) -> Scene {
    let bars: Vec<Vec<Bar>> =
        groups.iter().map(|group| runs.protocols.iter().map(|protocol| Bar::of(group, protocol)).collect()).collect();
    let bar = (420.0 / (groups.len() * runs.protocols.len().max(1)) as f64).clamp(20.0, 40.0);
    let group_height = HEAD + bar * runs.protocols.len() as f64 + GAP;
    let bottom = TOP + group_height * groups.len() as f64;
    let height = (bottom + AXIS).ceil() as u32;
    let mut scene = Scene { title: title.to_owned(), width: WIDTH as u32, height, shapes: Vec::new() };
    scene.rect((0.0, 0.0), (WIDTH, f64::from(height)), palette::WHITE);
    let many = if runs.seeds.len() > 1 { "; bar: median of the seeds, line: lowest to highest" } else { "" };
    heading(&mut scene, title, &format!("shorter is better; {}{many}", runs.seed_names()));

    let names = runs.protocols.iter().map(|protocol| text_width(&protocol.label, palette::TICK)).fold(0.0, f64::max);
    let left = 24.0 + names.min(250.0) + 14.0;
    // Room for a value beside the longest bar.
    let values = bars.iter().flatten().map(|bar| text_width(&bar.text, palette::NUMBER)).fold(0.0, f64::max);
    let right = WIDTH - 36.0 - values.min(330.0);
    let highest = bars.iter().flatten().map(|bar| bar.high).fold(0.0, f64::max);
    let lowest =
        bars.iter().flatten().filter_map(|bar| bar.median).filter(|&it| it > 0.0).fold(f64::INFINITY, f64::min);
    let (scale, ticks, bent) = axis(lowest, highest);
    let x = |seconds: f64| left + (right - left) * scale.share(bent(seconds));
    for tick in &ticks {
        scene.line(vec![(x(tick.at), TOP), (x(tick.at), bottom)], 1.0, palette::GRID);
    }
    for (index, (group, bars)) in groups.iter().zip(&bars).enumerate() {
        let top = TOP + group_height * index as f64;
        group_bars(&mut scene, runs, group, bars, (left, top, bar), &x);
    }
    scene.line(vec![(left, TOP), (left, bottom)], 1.2, palette::AXIS);
    scene.line(vec![(left, bottom), (right, bottom)], 1.2, palette::AXIS);
    for tick in &ticks {
        scene.line(vec![(x(tick.at), bottom), (x(tick.at), bottom + 6.0)], 1.2, palette::AXIS);
        scene.text((x(tick.at), bottom + 23.0), tick.text.clone(), Anchor::Middle, palette::TICK);
    }
    let unit = if matches!(scale, Scale::Log { .. }) { "time, s (logarithmic from 1 s on)" } else { "time, s" };
    scene.text((f64::midpoint(left, right), bottom + 47.0), unit, Anchor::Middle, palette::TICK);
    scene
}

fn group_bars(
    scene: &mut Scene,
    runs: &Runs,
    group: &Group<'_>,
    bars: &[Bar],
    (left, top, height): (f64, f64, f64),
    x: &impl Fn(f64) -> f64,
) {
    let after = left + 4.0 + text_width(&group.name, palette::NAME) + 12.0;
    let end = after + text_width(group.about, palette::NOTE) + 6.0;
    scene.rect((left, top + 3.0), (end, top + HEAD - 3.0), palette::WHITE);
    scene.text((left + 4.0, top + 21.0), group.name.clone(), Anchor::Left, palette::NAME);
    scene.text((after, top + 21.0), group.about, Anchor::Left, palette::NOTE);
    for (index, (protocol, bar)) in runs.protocols.iter().zip(bars).enumerate() {
        let ink = palette::protocol(index);
        let top = top + HEAD + height * index as f64;
        let (upper, lower) = (top + height * 0.12, top + height * 0.88);
        let middle = f64::midpoint(upper, lower);
        let name = fit(&protocol.label, palette::TICK, left - 38.0);
        scene.text((left - 10.0, middle + 5.5), name, Anchor::Right, palette::TICK);
        let mut end = left;
        if let Some(median) = bar.median {
            // A bar of zero is a line, unlike a bar that is missing.
            end = x(median).max(left + 2.0);
            scene.rect((left, upper), (end, lower), ink);
            if bar.high > bar.low {
                let (from, to) = (x(bar.low), x(bar.high));
                scene.line(vec![(from, middle), (to, middle)], 2.0, palette::TEXT);
                for at in [from, to] {
                    scene.line(vec![(at, middle - 5.0), (at, middle + 5.0)], 2.0, palette::TEXT);
                }
                end = end.max(to);
            }
        }
        let ink = if bar.median.is_some() { palette::TEXT } else { palette::SOFT };
        let font = Font { ink, ..palette::NUMBER };
        scene.text((end + 8.0, middle + 5.5), fit(&bar.text, font, WIDTH - end - 12.0), Anchor::Left, font);
    }
}

/// Linear, or, if times differ much, logarithmic in one second and the time: 0, 1, 10, 100.
fn axis(lowest: f64, highest: f64) -> (Scale, Vec<Tick>, fn(f64) -> f64) {
    if lowest.is_finite() && highest > LINEAR_UP_TO * lowest.max(1.0) {
        let end = round_up(highest);
        let parts: &[f64] = if end <= 2_000.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let values = (0..=12).flat_map(|power| parts.iter().map(move |part| part * 10.0_f64.powi(power)));
        let values = std::iter::once(0.0).chain(values.take_while(|&at| at <= end * 1.001));
        let ticks = values.map(|at| Tick::new(at, tick_text(at))).collect();
        return (Scale::Log { low: 1.0, high: 1.0 + end }, ticks, |seconds| 1.0 + seconds);
    }
    let (ticks, high) = linear_ticks(highest, 8, "");
    (Scale::Linear { low: 0.0, high }, ticks, |seconds| seconds)
}
