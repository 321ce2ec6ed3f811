//! Electric power of machines.

use crate::power::Power;
use crate::scenario::diagnostics::Problems;
use crate::scenario::item::{Form, Item};

/// Watts of the named model `two-socket-2017`: the idle and full medians of 98 two-socket servers of 2017-2021.
const IDLE: f64 = 62.0;
const FULL: f64 = 419.0;
/// Watts while booting (Gandhi et al. 2012), and asleep (judgement).
const BOOT: f64 = 200.0;
const SLEEP: f64 = 5.0;

/// Shares of the way from idle to full power at each tenth of the load: the mean of two measured two-socket servers
/// (IBM x3550 with Xeon X5670 and X5675, SPECpower_ssj2008 of 2010 and 2011), because the deciles of the 98 newer
/// ones were not kept.
const MEASURED: [f64; 11] = [0.0, 0.234, 0.304, 0.362, 0.425, 0.498, 0.585, 0.686, 0.799, 0.898, 1.0];

/// What `power` says, in a form that was checked.
pub fn of(item: Option<&Item>) -> Power {
    let number = |name: &str| item.and_then(|item| item.number(name));
    let (idle, full) = (number("idle").unwrap_or(IDLE), number("full").unwrap_or(FULL));
    let deciles = match item.map_or("", Item::kind) {
        "deciles" => listed(item.map_or(&[], |item| item.list("watts"))),
        "linear" => between(idle, full, |load| load),
        "fan-2007" => between(idle, full, |load| 2.0 * load - libm::pow(load, 1.4)),
        _ => std::array::from_fn(|at| idle + (full - idle) * MEASURED[at]),
    };
    Power {
        deciles,
        boot: number("boot").unwrap_or(BOOT),
        shutdown: number("shutdown").unwrap_or(deciles[0]),
        sleep: number("sleep").unwrap_or(SLEEP),
    }
}

/// A machine that draws less the more it does is a slip of the pen.
pub fn check(item: Option<&Item>, problems: &mut Problems) {
    let Some(item) = item else { return };
    if let (Some(idle), Some(full)) = (item.number("idle"), item.number("full"))
        && idle > full
    {
        let place =
            item.get("full").filter(|full| full.origin.is_written()).or_else(|| item.get("idle")).unwrap_or(item);
        let message = format!("{idle} W at no load are more than {full} W at full load");
        problems.add(place.origin, &place.path, message).expected("`idle` <= `full`");
    }
    let watts = item.list("watts");
    let falls = listed(watts).windows(2).position(|pair| pair[0] > pair[1]);
    if let (Some(at), 11) = (falls, watts.len())
        && !watts.iter().any(Item::is_bad)
    {
        let message = format!("watts fall between a load of {}0 % and {}0 %", at, at + 1);
        problems.add(watts[at + 1].origin, &watts[at + 1].path, message).expected("watts that rise with the load");
    }
}

fn between(idle: f64, full: f64, share: impl Fn(f64) -> f64) -> [f64; 11] {
    std::array::from_fn(|at| idle + (full - idle) * share(at as f64 / 10.0))
}

fn listed(items: &[Item]) -> [f64; 11] {
    let watts = |at: usize| match items.get(at).map(|item| &item.form) {
        Some(Form::Number(watts)) => *watts,
        _ => 0.0,
    };
    std::array::from_fn(watts)
}
