//! Where replicas are over time: what each service has, and what each machine runs.

use super::super::numbers::{self, Unit};
use super::axis::Scale;
use super::data::{Protocol, Range, Runs};
use super::housing::{Housing, Kept, State};
use super::over_time::{LINE, note, told, whole_ticks};
use super::palette;
use super::places::{Places, Wanted};
use super::scene::{Ink, Scene};
use super::strips::{Layer, Picture, Strip};

/// With more services than this there is no row for each.
const MOST_ROWS: usize = 20;
const BAND: f64 = 0.3;
/// Pixels of a machine's row, by how many rows the picture has.
const TALLEST_ROW: f64 = 14.0;
const LOWEST_ROW: f64 = 1.2;
/// The height that all rows of machines together aim at.
const ROWS_AIM: f64 = 560.0;
/// Pixels that a strip of weight 1 has at least.
const PIXELS_OF_WEIGHT: f64 = 50.0;

/// How much of what it is to have a service has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    None,
    Short,
    Whole,
    More,
}

impl Fill {
    const ALL: [(Self, Ink, &'static str); 4] = [
        (Self::None, palette::BAD, "no running member"),
        (Self::Short, palette::PART_ROW, "fewer, or less spread, than asked"),
        (Self::Whole, palette::GOOD_ROW, "as asked"),
        (Self::More, palette::MORE_ROW, "more than asked"),
    ];

    /// The worst moment of a bin.
    fn of(kept: &Kept, wanted: &Wanted) -> Self {
        let (replicas, sites, zones) = (kept.replicas.low, kept.sites.low, kept.zones.low);
        if replicas < 1.0 {
            Self::None
        } else if replicas < wanted.replicas as f64 || sites < wanted.sites as f64 || zones < wanted.zones as f64 {
            Self::Short
        } else if kept.replicas.high > wanted.replicas as f64 {
            Self::More
        } else {
            Self::Whole
        }
    }

    fn ink(self) -> Ink {
        Self::ALL.iter().find(|one| one.0 == self).map_or(palette::AXIS, |one| one.1)
    }
}

/// The runs of protocols beside which agents are, with what is known of the first of each.
fn housed(runs: &Runs) -> impl Iterator<Item = (Ink, &Protocol, &Places, &Housing)> {
    runs.reorganised().filter_map(|(index, protocol, places)| {
        let housing = protocol.runs.first()?.housing.as_ref()?;
        Some((palette::protocol(index), protocol, places, housing))
    })
}

/// What both pictures say of seeds and bins.
fn explain(runs: &Runs) -> String {
    let mut text = match runs.seeds.first().filter(|_| runs.seeds.len() > 1) {
        Some(seed) => format!("seed {seed} of {}", runs.seed_names()),
        None => runs.seed_names(),
    };
    if runs.bin_s > 1 {
        text.push_str(&format!("; every {}", numbers::span(runs.bin_s as f64)));
    }
    text
}

/// Replicas and spread of services over time; nothing if none may move.
pub fn replicas(runs: &Runs) -> Option<Scene> {
    let mut strips = Vec::new();
    for (ink, protocol, places, housing) in housed(runs) {
        let counted = note(vec![
            told(protocol, Unit::Count, |m| m.moves.map(|moves| moves as f64)).map(|moves| format!("{moves} moves")),
            Some(format!("{} of the time ready for the next loss", numbers::with_unit(housing.ready, Unit::Percent))),
        ]);
        let mut header = Some((ink, protocol.label.clone(), counted));
        for count in COUNTS.iter().filter(|count| count.of != "zones" || places.zoned) {
            strips.push(count.strip(places, housing, ink, header.take()));
        }
        strips.push(fills(places, housing));
    }
    let zoned = runs.places.as_ref().is_some_and(|places| places.zoned);
    let counted = if zoned { "their data centers (sites) and disaster zones" } else { "their data centers (sites)" };
    let lines = "line: the service with fewest, band: up to the one with most, grey: the least that one is to have";
    let subtitle = format!("members that run, and {counted}; {lines}; {}", explain(runs));
    let legend = Fill::ALL.map(|(_, ink, text)| (ink, text.to_owned())).to_vec();
    let title = "replicas and spread of services".into();
    (!strips.is_empty()).then(|| Picture { runs, title, subtitle, legend, strips }.scene())
}

type Header = Option<(Ink, String, String)>;

/// Something that a service has several of.
struct Count {
    of: &'static str,
    kept: fn(&Kept) -> Range,
    wanted: fn(&Wanted) -> usize,
}

const COUNTS: [Count; 3] = [
    Count { of: "replicas", kept: |kept| kept.replicas, wanted: |wanted| wanted.replicas },
    Count { of: "sites", kept: |kept| kept.sites, wanted: |wanted| wanted.sites },
    Count { of: "zones", kept: |kept| kept.zones, wanted: |wanted| wanted.zones },
];

impl Count {
    /// The lowest and highest of all services.
    fn strip(&self, places: &Places, housing: &Housing, ink: Ink, header: Header) -> Strip {
        let bins = housing.services.first().map_or(0, Vec::len);
        let all = |bin: usize| {
            let kept = housing.services.iter().filter_map(|bins| bins[bin].as_ref());
            kept.map(self.kept).reduce(Range::with)
        };
        let ranges: Vec<Option<Range>> = (0..bins).map(all).collect();
        let asked = places.services.iter().map(self.wanted).min().unwrap_or(0) as f64;
        let most = ranges.iter().flatten().map(|range| range.high).fold(asked.max(1.0), f64::max);
        let lowest = ranges.iter().map(|range| range.map(|range| range.low)).collect();
        Strip {
            weight: if header.is_some() { 1.2 } else { 1.0 },
            header,
            scale: Scale::Linear { low: 0.0, high: most * 1.08 },
            ticks: whole_ticks(most, self.of),
            layers: vec![
                Layer::Step { values: vec![Some(asked); bins], width: 1.2, ink: palette::AXIS },
                Layer::Band { ranges, ink: ink.alpha(BAND) },
                Layer::Step { values: lowest, width: LINE, ink },
            ],
        }
    }
}

/// A row for each service, or how many services have how much.
fn fills(places: &Places, housing: &Housing) -> Strip {
    let fill = |(wanted, bins): (&Wanted, &Vec<Option<Kept>>)| -> Vec<Option<Fill>> {
        bins.iter().map(|kept| kept.as_ref().map(|kept| Fill::of(kept, wanted))).collect()
    };
    let fills: Vec<Vec<Option<Fill>>> = places.services.iter().zip(&housing.services).map(fill).collect();
    let services = places.services.len();
    if services <= MOST_ROWS {
        let row = |(wanted, fills): (&Wanted, &Vec<Option<Fill>>)| {
            (wanted.name.clone(), vec![fills.iter().map(|fill| fill.map(Fill::ink)).collect()])
        };
        let rows = places.services.iter().zip(&fills).map(row).collect();
        let weight = services as f64 * (TALLEST_ROW + 3.0) / PIXELS_OF_WEIGHT;
        return bare_strip(weight, Layer::Grid(rows));
    }
    let bins = fills.first().map_or(0, Vec::len);
    let mut below = vec![0.0; bins];
    let mut layers = Vec::new();
    for (class, ink, _) in Fill::ALL {
        let mut ranges = vec![None; bins];
        for (bin, range) in ranges.iter_mut().enumerate() {
            let many = fills.iter().filter(|fills| fills[bin] == Some(class)).count() as f64;
            if many > 0.0 {
                *range = Some(Range { low: below[bin], high: below[bin] + many });
                below[bin] += many;
            }
        }
        layers.push(Layer::Band { ranges, ink });
    }
    let scale = Scale::Linear { low: 0.0, high: services as f64 };
    Strip { header: None, weight: 2.0, scale, ticks: whole_ticks(services as f64, "services"), layers }
}

fn bare_strip(weight: f64, layer: Layer) -> Strip {
    let scale = Scale::Linear { low: 0.0, high: 1.0 };
    Strip { header: None, weight, scale, ticks: Vec::new(), layers: vec![layer] }
}

/// What each machine runs over time; nothing if no service may move.
pub fn machines(runs: &Runs) -> Option<Scene> {
    let (mut most, mut blocks) = (1, 0);
    for (_, _, _, housing) in housed(runs) {
        let replicas = housing.machines.iter().flatten().filter_map(|state| match state {
            State::Running(replicas) => Some(*replicas),
            _ => None,
        });
        most = most.max(replicas.max().unwrap_or(0));
        blocks += 1;
    }
    let rows = runs.places.as_ref().map_or(0, |places| places.machines.len()) * blocks;
    let row = (ROWS_AIM / rows.max(1) as f64).clamp(LOWEST_ROW, TALLEST_ROW);
    let ink = |state: &State| {
        Some(match state {
            State::Running(replicas) => palette::amount(*replicas, most),
            State::Booting => palette::BOOTING,
            State::Asleep => palette::ASLEEP,
            State::Down => palette::DOWN,
        })
    };
    let strips: Vec<Strip> = housed(runs)
        .map(|(colour, protocol, places, housing)| {
            let mut groups: Vec<(String, Vec<Vec<Option<Ink>>>)> =
                places.sites.iter().map(|site| (site.clone(), Vec::new())).collect();
            for (machine, states) in places.machines.iter().zip(&housing.machines) {
                groups[machine.site].1.push(states.iter().map(ink).collect());
            }
            groups.retain(|(_, rows)| !rows.is_empty());
            let moves = told(protocol, Unit::Count, |m| m.moves.map(|moves| moves as f64));
            let awake = told(protocol, Unit::Plain, |m| m.nodes_awake_mean);
            let counted = note(vec![
                awake.map(|awake| format!("{awake} of {} machines awake on average", places.machines.len())),
                moves.map(|moves| format!("{moves} moves")),
            ]);
            let weight = row * places.machines.len() as f64 / PIXELS_OF_WEIGHT;
            let header = Some((colour, protocol.label.clone(), counted));
            Strip { header, ..bare_strip(weight, Layer::Grid(groups)) }
        })
        .collect();
    let subtitle = format!("a row for each machine, by data center; colour: replicas that it runs; {}", explain(runs));
    let mut amounts: Vec<u32> = [0, 1, most.div_ceil(2), most].into_iter().filter(|&amount| amount <= most).collect();
    amounts.dedup();
    let amount = |&amount: &u32| {
        let text = match amount {
            0 => "awake, runs none".into(),
            1 => "1 replica".into(),
            many => format!("{many} replicas"),
        };
        (palette::amount(amount, most), text)
    };
    let mut legend: Vec<(Ink, String)> = amounts.iter().map(amount).collect();
    let resting = [(palette::ASLEEP, "asleep"), (palette::BOOTING, "boots"), (palette::DOWN, "down")];
    legend.extend(resting.map(|(ink, text)| (ink, text.to_owned())));
    let title = "which machine runs what".into();
    (!strips.is_empty()).then(|| Picture { runs, title, subtitle, legend, strips }.scene())
}
