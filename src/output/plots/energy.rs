//! Awake machines and their power against the load, while services may move.

use super::super::numbers::{self, Unit};
use super::axis::{Scale, linear_ticks};
use super::data::{Bin, Protocol, Run, Runs, Watts};
use super::over_time::{LINE, note, told, whole_ticks};
use super::palette;
use super::places::Places;
use super::scene::{Ink, Scene};
use super::strips::{Layer, Picture, Strip};
use crate::metrics::Metrics;

const THIN: f64 = 1.4;

/// Nothing if no service may move.
pub fn energy(runs: &Runs) -> Option<Scene> {
    let places = runs.places.as_ref()?;
    let first = |protocol: &'_ Protocol| protocol.runs.first().is_some_and(|run| run.housing.is_some());
    if !runs.protocols.iter().any(first) {
        return None;
    }
    let all = || runs.protocols.iter().flat_map(|protocol| protocol.runs.first()).flat_map(|run| &run.watts).flatten();
    let highest = all().map(|watts| watts.drawn.max(watts.all_awake).max(watts.ideal)).reduce(f64::max);
    let mut strips = Vec::new();
    for (index, protocol) in runs.protocols.iter().enumerate() {
        let Some(run) = protocol.runs.first().filter(|run| run.housing.is_some()) else { continue };
        let ink = palette::protocol(index);
        let header = Some((ink, protocol.label.clone(), counted(protocol)));
        strips.extend(machines(places, run, ink, header));
        if let (Some(highest), Some(watts)) = (highest, &run.watts) {
            strips.push(power(watts, highest, ink));
        }
    }
    strips.push(load(runs));
    let averages =
        if runs.bin_s > 1 { format!("; means of {}", numbers::span(runs.bin_s as f64)) } else { String::new() };
    let seed = match runs.seeds.first().filter(|_| runs.seeds.len() > 1) {
        Some(seed) => format!("seed {seed} of {}; numbers: medians", runs.seed_names()),
        None => runs.seed_names(),
    };
    let watts = if highest.is_some() { ", and the power of all data centers" } else { "" };
    let subtitle = format!("machines that run{watts}, against the load; {seed}{averages}");
    let mut legend = vec![(palette::AXIS, "all machines awake".to_owned())];
    if highest.is_some() {
        let ideal = "ideal: watts that follow load exactly, machines that are busy all the time";
        legend.push((palette::IDEAL, ideal.into()));
    }
    Some(Picture { runs, title: "machines and power against load".into(), subtitle, legend, strips }.scene())
}

/// Energy, and what of it was saved.
fn counted(protocol: &Protocol) -> String {
    let energy = told(protocol, Unit::Plain, |m| m.energy_kwh).map(|energy| format!("{energy} kWh"));
    let all_awake = told(protocol, Unit::Plain, |m| m.energy_all_awake_kwh).map(|all| format!("all awake {all}"));
    let ideal = told(protocol, Unit::Plain, |m| m.energy_ideal_kwh).map(|ideal| format!("ideal {ideal}"));
    let share = |m: &Metrics| {
        let percent = 100.0 * (1.0 - m.energy_kwh? / m.energy_all_awake_kwh.filter(|&all| all > 0.0)?);
        // Below this it is what rounding left.
        (percent >= 0.05).then_some(percent)
    };
    let saved = told(protocol, Unit::Plain, share).map(|percent| format!("{percent} % saved"));
    note(vec![energy, all_awake, ideal, saved])
}

fn step(values: impl Iterator<Item = f64>, width: f64, ink: Ink) -> Layer {
    Layer::Step { values: values.map(Some).collect(), width, ink }
}

fn fill(values: impl Iterator<Item = f64>, ink: Ink) -> Layer {
    Layer::Fill { values: values.map(Some).collect(), base: 0.0, ink }
}

fn machines(places: &Places, run: &Run, ink: Ink, header: Option<(Ink, String, String)>) -> Option<Strip> {
    let running = &run.housing.as_ref()?.running;
    let all = places.machines.len() as f64;
    let mut layers =
        vec![fill(running.iter().copied(), ink.alpha(0.15)), step(running.iter().map(|_| all), THIN, palette::AXIS)];
    if let Some(watts) = &run.watts {
        layers.push(fill(watts.iter().map(|bin| bin.busy_nodes), palette::IDEAL.alpha(0.35)));
        layers.push(step(watts.iter().map(|bin| bin.busy_nodes), THIN, palette::IDEAL));
    }
    layers.push(step(running.iter().copied(), LINE, ink));
    let scale = Scale::Linear { low: 0.0, high: all * 1.08 };
    Some(Strip { header, weight: 1.0, scale, ticks: whole_ticks(all, "machines"), layers })
}

fn power(watts: &[Watts], highest: f64, ink: Ink) -> Strip {
    let (kilo, unit) = if highest >= 10_000.0 { (1_000.0, " kW") } else { (1.0, " W") };
    let (mut ticks, high) = linear_ticks(highest / kilo, 3, unit);
    ticks.iter_mut().for_each(|tick| tick.at *= kilo);
    Strip {
        header: None,
        weight: 1.2,
        scale: Scale::Linear { low: 0.0, high: high * kilo * 1.04 },
        ticks,
        layers: vec![
            fill(watts.iter().map(|bin| bin.drawn), ink.alpha(0.15)),
            fill(watts.iter().map(|bin| bin.ideal), palette::IDEAL.alpha(0.35)),
            step(watts.iter().map(|bin| bin.ideal), THIN, palette::IDEAL),
            step(watts.iter().map(|bin| bin.all_awake), THIN, palette::AXIS),
            step(watts.iter().map(|bin| bin.drawn), LINE, ink),
        ],
    }
}

/// Requests of all services, which are the same for all protocols.
fn load(runs: &Runs) -> Strip {
    let bins = runs.protocols.first().and_then(|protocol| protocol.runs.first()).map_or(&[][..], |run| &run.all);
    let rate = |bin: &Bin| bin.requests as f64 / runs.bin_s as f64;
    let highest = bins.iter().map(rate).fold(0.0, f64::max);
    let (ticks, high) = linear_ticks(highest, 2, "/s");
    Strip {
        header: Some((palette::SOFT, "load".into(), "requests to all services".into())),
        weight: 0.8,
        scale: Scale::Linear { low: 0.0, high: high * 1.04 },
        ticks,
        layers: vec![
            fill(bins.iter().map(rate), palette::SOFT.alpha(0.2)),
            step(bins.iter().map(rate), LINE, palette::SOFT),
        ],
    }
}
