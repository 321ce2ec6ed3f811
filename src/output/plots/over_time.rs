//! Which strips each plot over time has.

use super::super::numbers::{self, Unit};
use super::axis::{Scale, Tick, linear_ticks, log_ticks, tick_text};
use super::data::{Bin, Protocol, Range, Runs};
use super::palette;
use super::scene::{Ink, Scene};
use super::strips::{Layer, Picture, Strip};
use crate::metrics::Metrics;

/// With more services there is no room for a row of each.
const MOST_SERVICES: usize = 6;
pub const LINE: f64 = 1.8;
/// Opacity of a band over seeds, and over the seconds of a bin.
const SEEDS_BAND: f64 = 0.3;
const BIN_BAND: f64 = 0.55;

/// What the line and the band are, for the subtitle.
pub fn explain(runs: &Runs, line: &str) -> String {
    let mut parts = vec![runs.seed_names()];
    if let Some(seed) = runs.seeds.first().filter(|_| runs.seeds.len() > 1) {
        parts.push(format!("line: seed {seed}"));
        parts.push("band: lowest and highest of all seeds".into());
    } else if runs.bin_s > 1 {
        parts.push(format!("band: lowest and highest second in each {}", numbers::span(runs.bin_s as f64)));
    }
    if runs.bin_s > 1 {
        parts.push(format!("{line} over {}", numbers::span(runs.bin_s as f64)));
    }
    parts.join("; ")
}

pub fn spreads(runs: &Runs) -> bool {
    runs.seeds.len() > 1 || runs.bin_s > 1
}

/// `a, b and c`, or how many.
pub fn names(runs: &Runs) -> String {
    match runs.protocols.as_slice() {
        [] => String::new(),
        [only] => only.label.clone(),
        [first @ .., last] if first.len() < 4 => {
            let first: Vec<_> = first.iter().map(|protocol| protocol.label.as_str()).collect();
            format!("{} and {}", first.join(", "), last.label)
        }
        many => format!("{} protocols", many.len()),
    }
}

/// A metric of the runs in words: one value, or a median.
pub fn told(protocol: &Protocol, unit: Unit, value: fn(&Metrics) -> Option<f64>) -> Option<String> {
    let mut values: Vec<f64> = protocol.metric(value).into_iter().flatten().collect();
    values.sort_by(f64::total_cmp);
    let median = numbers::median(&values)?;
    let many = if values.len() > 1 { " (median)" } else { "" };
    Some(numbers::with_unit(median, unit) + many)
}

pub fn note(parts: Vec<Option<String>>) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn ranges(range: impl Fn(&Bin) -> Option<Range>, protocol: &Protocol, ink: Ink) -> Layer {
    let alpha = if protocol.runs.len() > 1 { SEEDS_BAND } else { BIN_BAND };
    Layer::Band { ranges: protocol.spread(range), ink: ink.alpha(alpha) }
}

/// Share of successful requests over time.
pub fn availability(runs: &Runs) -> Scene {
    let strips = runs.protocols.iter().enumerate().map(|(index, protocol)| {
        let ink = palette::protocol(index);
        let mut layers = Vec::new();
        if spreads(runs) {
            layers.push(ranges(|bin| bin.percent, protocol, ink));
        } else {
            let fill = Layer::Fill { values: protocol.first(Bin::mean_percent), base: 100.0, ink: ink.alpha(0.2) };
            layers.push(fill);
        }
        layers.push(Layer::Step { values: protocol.first(Bin::mean_percent), width: LINE, ink });
        let rows = service_rows(runs, protocol);
        let weight = 1.0 + 0.13 * rows.len() as f64;
        if !rows.is_empty() {
            layers.push(Layer::Rows(rows));
        }
        let counted = note(vec![
            told(protocol, Unit::Percent, |m| m.availability).map(|value| format!("{value} of requests succeeded")),
            told(protocol, Unit::Seconds, |m| m.outage_total_s).map(|value| format!("{value} without any success")),
        ]);
        Strip {
            header: Some((ink, protocol.label.clone(), counted)),
            weight,
            scale: Scale::Linear { low: 0.0, high: 104.0 },
            ticks: vec![Tick::new(0.0, "0 %"), Tick::new(50.0, "50 %"), Tick::new(100.0, "100 %")],
            layers,
        }
    });
    let strips = strips.collect();
    let mut subtitle = format!("requests that succeed, by the second they start in; {}", explain(runs, "line: mean"));
    if (2..=MOST_SERVICES).contains(&runs.services.len()) {
        subtitle.push_str("; rows: blue 99 % and more, yellow less, red none");
    }
    Picture { runs, title: format!("availability of {}", names(runs)), subtitle, legend: Vec::new(), strips }.scene()
}

/// A row of colour for each service, if there are several but not many.
fn service_rows(runs: &Runs, protocol: &Protocol) -> Vec<(String, Vec<Option<Ink>>)> {
    let Some(run) = protocol.runs.first() else { return Vec::new() };
    if !(2..=MOST_SERVICES).contains(&run.services.len()) {
        return Vec::new();
    }
    let ink = |bin: &Bin| {
        bin.percent.map(|percent| match percent.low {
            low if low >= 99.0 => palette::GOOD_ROW,
            low if low > 0.0 => palette::PART_ROW,
            _ => palette::BAD,
        })
    };
    runs.services.iter().zip(&run.services).map(|(name, bins)| (name.clone(), bins.iter().map(ink).collect())).collect()
}

/// p50 and p99 over time, on a logarithmic axis.
pub fn latency(runs: &Runs) -> Scene {
    let all = || runs.protocols.iter().flat_map(|protocol| &protocol.runs).flat_map(|run| &run.all);
    let values = || all().flat_map(|bin| [bin.p50_ms, bin.p99_ms]).flatten().filter(|&value| value > 0.0);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let (ticks, scale) = log_ticks(low, high, " ms", runs.protocols.len() <= 3);
    let strips = runs.protocols.iter().enumerate().map(|(index, protocol)| {
        let ink = palette::protocol(index);
        let p50 = protocol.first(|bin| bin.p50_ms);
        let p99 = protocol.first(|bin| bin.p99_ms);
        let point = |value: Option<f64>| value.map(|value| Range { low: value, high: value });
        let mut layers = Vec::new();
        if runs.seeds.len() > 1 {
            layers.push(ranges(|bin| point(bin.p99_ms), protocol, palette::SOFT));
            layers.push(ranges(|bin| point(bin.p50_ms), protocol, ink));
        }
        let last = |values: &[Option<f64>]| values.iter().rev().flatten().next().copied();
        let ends = [(last(&p99), "p99", palette::SOFT), (last(&p50), "p50", palette::TEXT)];
        layers.push(Layer::Step { values: p99, width: 1.2, ink: palette::SOFT });
        layers.push(Layer::Step { values: p50, width: 2.2, ink });
        for (value, text, ink) in ends {
            layers.extend(value.map(|value| Layer::EndLabel { value, text: text.into(), ink }));
        }
        let counted = note(vec![
            told(protocol, Unit::Millis, |m| m.latency_p50_ms).map(|value| format!("p50 {value}")),
            told(protocol, Unit::Millis, |m| m.latency_p99_ms).map(|value| format!("p99 {value}")),
        ]);
        Strip { header: Some((ink, protocol.label.clone(), counted)), weight: 1.0, scale, ticks: ticks.clone(), layers }
    });
    let strips = strips.collect();
    let what = "time to the answer, of requests that succeed, by the second they start in; thick p50, thin p99";
    let worst = if runs.bin_s > 1 { "p50: mean, p99: worst second," } else { "" };
    let subtitle = format!("{what}; {}", explain_latency(runs, worst));
    Picture { runs, title: format!("latency of {}", names(runs)), subtitle, legend: Vec::new(), strips }.scene()
}

fn explain_latency(runs: &Runs, line: &str) -> String {
    let mut text = runs.seed_names();
    if let Some(seed) = runs.seeds.first().filter(|_| runs.seeds.len() > 1) {
        text.push_str(&format!("; lines: seed {seed}; bands: all seeds"));
    }
    if runs.bin_s > 1 {
        text.push_str(&format!("; {line} in {}", numbers::span(runs.bin_s as f64)));
    }
    text
}

/// Replicas that accept writes, and members of the view, over time.
pub fn primaries(runs: &Runs) -> Scene {
    let highest = |range: fn(&Bin) -> Option<Range>| {
        let all = runs.protocols.iter().flat_map(|protocol| &protocol.runs).flat_map(|run| &run.all);
        all.filter_map(range).map(|range| range.high).fold(0.0, f64::max)
    };
    let (most_primaries, most_members) = (highest(|bin| bin.primaries).max(2.0), highest(|bin| bin.members).max(1.0));
    let mut strips = Vec::new();
    for (index, protocol) in runs.protocols.iter().enumerate() {
        let ink = palette::protocol(index);
        let values = protocol.first(|bin| bin.primaries.map(|range| range.high));
        let only = |wanted: fn(f64) -> bool| values.iter().map(|value| value.filter(|&value| wanted(value))).collect();
        let mut layers = Vec::new();
        if runs.seeds.len() > 1 {
            layers.push(ranges(|bin| bin.primaries, protocol, palette::AXIS));
        }
        layers.push(Layer::Fill { values: only(|value| value < 2.0), base: 0.0, ink: ink.alpha(0.3) });
        layers.push(Layer::Fill { values: only(|value| value >= 2.0), base: 0.0, ink: palette::BAD });
        layers.push(Layer::Step { values, width: LINE, ink: palette::TEXT });
        let divergence = told(protocol, Unit::Seconds, |m| m.divergence_s);
        strips.push(Strip {
            header: Some((
                ink,
                protocol.label.clone(),
                note(vec![divergence.map(|value| format!("{value} of divergence"))]),
            )),
            weight: 1.0,
            scale: Scale::Linear { low: 0.0, high: most_primaries * 1.06 },
            ticks: whole_ticks(most_primaries, "primaries"),
            layers,
        });
        let mut layers = Vec::new();
        if spreads(runs) {
            layers.push(ranges(|bin| bin.members, protocol, palette::AXIS));
        }
        let members = protocol.first(|bin| bin.members.map(|range| range.low));
        layers.push(Layer::Step { values: members, width: LINE, ink: palette::SOFT });
        strips.push(Strip {
            header: None,
            weight: 0.8,
            scale: Scale::Linear { low: 0.0, high: most_members * 1.06 },
            ticks: whole_ticks(most_members, "members"),
            layers,
        });
    }
    let several = if runs.services.len() > 1 { "of the worst service; " } else { "" };
    let subtitle = format!(
        "replicas that accept writes (two and more: divergence, red), and members of the largest serving view; {several}{}",
        explain(runs, "most primaries, fewest members")
    );
    Picture { runs, title: format!("primaries of {}", names(runs)), subtitle, legend: Vec::new(), strips }.scene()
}

/// Zero, the highest and the middle if that is whole, or all if they are few; the highest says what they count.
pub fn whole_ticks(high: f64, of: &str) -> Vec<Tick> {
    let whole = high.round() as u64;
    let values = match whole {
        0..=3 => (0..=whole).collect(),
        even if even % 2 == 0 => vec![0, even / 2, even],
        odd => vec![0, odd],
    };
    let tick = |value: u64| {
        let at = value as f64;
        Tick::new(at, if value == whole { format!("{} {of}", tick_text(at)) } else { tick_text(at) })
    };
    values.into_iter().map(tick).collect()
}

/// Nodes awake and their power; nothing if that was not measured, or if another plot shows it against the load.
pub fn power(runs: &Runs) -> Option<Scene> {
    if runs.places.is_some() {
        return None;
    }
    let all = || runs.protocols.iter().flat_map(|protocol| &protocol.runs).flat_map(|run| &run.all);
    let highest = |range: fn(&Bin) -> Option<Range>| all().filter_map(range).map(|range| range.high).reduce(f64::max);
    let (nodes, watts) = (highest(|bin| bin.awake), highest(|bin| bin.watts));
    if nodes.is_none() && watts.is_none() {
        return None;
    }
    let mut strips = Vec::new();
    for (index, protocol) in runs.protocols.iter().enumerate() {
        let ink = palette::protocol(index);
        let energy = told(protocol, Unit::Plain, |m| m.energy_kwh).map(|value| format!("{value} kWh"));
        let mut header = Some((ink, protocol.label.clone(), note(vec![energy])));
        let mut strip = |range: fn(&Bin) -> Option<Range>, high: f64, ticks: Vec<Tick>, ink: Ink| {
            let middle = |bin: &Bin| range(bin).map(|range| f64::midpoint(range.low, range.high));
            let mut layers = vec![Layer::Fill { values: protocol.first(middle), base: 0.0, ink: ink.alpha(0.15) }];
            if spreads(runs) {
                layers.push(ranges(range, protocol, ink));
            }
            layers.push(Layer::Step { values: protocol.first(middle), width: LINE, ink });
            let scale = Scale::Linear { low: 0.0, high: high * 1.06 };
            strips.push(Strip { header: header.take(), weight: 1.0, scale, ticks, layers });
        };
        if let Some(high) = nodes {
            strip(|bin| bin.awake, high.max(1.0), whole_ticks(high.max(1.0), "nodes"), palette::SOFT);
        }
        if let Some(high) = watts {
            let (ticks, high) = linear_ticks(high, 3, " W");
            strip(|bin| bin.watts, high, ticks, ink);
        }
    }
    let several = if runs.services.len() > 1 { ", summed over services" } else { "" };
    let subtitle =
        format!("nodes that are powered on, and their power in watts{several}; {}", explain(runs, "line: middle"));
    Some(Picture { runs, title: format!("power of {}", names(runs)), subtitle, legend: Vec::new(), strips }.scene())
}
