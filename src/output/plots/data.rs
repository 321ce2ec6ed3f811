//! What the plots of a scenario show: the runs of one command, their time cut into bins.

use super::super::Written;
use super::super::timeseries::Series;
use super::housing::{Cut, Housing};
use super::places::Places;
use crate::metrics::Second;
use crate::run::{PowerSeries, Record};

/// At most so many bins across a plot; longer runs have bins of several seconds.
const MOST_BINS: u64 = 1_000;
/// Widths of bins in seconds.
const WIDTHS: [u64; 14] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200];

/// The runs of a scenario.
pub struct Runs {
    pub scenario: String,
    /// In the order of the table.
    pub protocols: Vec<Protocol>,
    pub seeds: Vec<u64>,
    pub services: Vec<String>,
    /// Of the first run; they are the same for all.
    pub phases: Vec<Mark>,
    pub warmup_s: f64,
    pub end_s: f64,
    /// Seconds in a bin.
    pub bin_s: u64,
    /// If agents reorganise services in one of the runs.
    pub places: Option<Places>,
}

/// What was read of a run beside its record.
#[derive(Default)]
pub struct Files {
    pub series: Series,
    pub power: Option<PowerSeries>,
}

/// A phase of the disaster.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub from_s: f64,
    pub to_s: f64,
    pub label: String,
}

/// The runs of one protocol, in the order of seeds given.
pub struct Protocol {
    pub label: String,
    pub runs: Vec<Run>,
}

pub struct Run {
    pub record: Record,
    /// Over all services.
    pub all: Vec<Bin>,
    /// In the order of [`Runs::services`]; empty for a service that this run lacks.
    pub services: Vec<Vec<Bin>>,
    /// If services may move in a run of this scenario, and the result tells where they were.
    pub housing: Option<Housing>,
    /// If the power of machines is known: means of each bin.
    pub watts: Option<Vec<Watts>>,
}

/// All data centers, on average over a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Watts {
    pub drawn: f64,
    /// If watts followed load exactly.
    pub ideal: f64,
    /// If those that slept had been idle.
    pub all_awake: f64,
    /// Machines that the load would keep busy all the time.
    pub busy_nodes: f64,
    seconds: u32,
}

/// The lowest and highest value of the seconds in a bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    pub fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
    fn add(to: &mut Option<Self>, value: f64) {
        let value = Self { low: value, high: value };
        *to = Some(to.map_or(value, |range| range.with(value)));
    }
}

/// Some consecutive seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    pub requests: u64,
    pub ok: u64,
    /// Percent of successes in each second that had requests.
    pub percent: Option<Range>,
    /// Mean of the seconds' medians, weighed by successes.
    pub p50_ms: Option<f64>,
    weighed: (f64, f64),
    /// The worst second.
    pub p99_ms: Option<f64>,
    pub primaries: Option<Range>,
    pub members: Option<Range>,
    pub awake: Option<Range>,
    pub watts: Option<Range>,
}

impl Bin {
    pub fn mean_percent(&self) -> Option<f64> {
        (self.requests > 0).then(|| 100.0 * self.ok as f64 / self.requests as f64)
    }

    fn add(&mut self, second: &Second) {
        self.requests += u64::from(second.requests);
        self.ok += u64::from(second.ok);
        if second.requests > 0 {
            Range::add(&mut self.percent, 100.0 * f64::from(second.ok) / f64::from(second.requests));
        }
        if let Some(p50) = second.latency_p50_ms {
            let weight = f64::from(second.ok.max(1));
            self.weighed = (self.weighed.0 + weight * p50, self.weighed.1 + weight);
            self.p50_ms = Some(self.weighed.0 / self.weighed.1);
        }
        if let Some(p99) = second.latency_p99_ms {
            self.p99_ms = Some(self.p99_ms.map_or(p99, |worst| worst.max(p99)));
        }
        Range::add(&mut self.primaries, f64::from(second.primaries));
        Range::add(&mut self.members, f64::from(second.view_members));
        if let Some(awake) = second.nodes_awake {
            Range::add(&mut self.awake, f64::from(awake));
        }
        if let Some(watts) = second.watts {
            Range::add(&mut self.watts, watts);
        }
    }
}

/// The same second of all services as one: sums of requests and power, the worst of the others.
fn together(seconds: &[&Second]) -> Second {
    let mut all = Second { view_members: u32::MAX, ..Second::default() };
    let (mut weighed, mut weights) = (0.0, 0.0);
    for second in seconds {
        all.second = second.second;
        all.requests = all.requests.saturating_add(second.requests);
        all.ok = all.ok.saturating_add(second.ok);
        all.primaries = all.primaries.max(second.primaries);
        all.view_members = all.view_members.min(second.view_members);
        all.latency_p99_ms = worse(all.latency_p99_ms, second.latency_p99_ms, f64::max);
        if let Some(p50) = second.latency_p50_ms {
            let weight = f64::from(second.ok.max(1));
            weighed += weight * p50;
            weights += weight;
        }
        all.watts = worse(all.watts, second.watts, |sum, more| sum + more);
        let awake = worse(all.nodes_awake.map(f64::from), second.nodes_awake.map(f64::from), |sum, more| sum + more);
        all.nodes_awake = awake.map(|nodes| nodes as u32);
    }
    all.latency_p50_ms = (weights > 0.0).then(|| weighed / weights);
    all
}

fn worse(one: Option<f64>, other: Option<f64>, join: fn(f64, f64) -> f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(join(one, other)),
        (one, other) => one.or(other),
    }
}

impl Runs {
    /// Gathers the runs, by protocol. `places`: if services may move; `read` reads the other files of a result.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn gather<E>(
        all: Vec<Written>,
        places: Option<Places>,
        read: impl Fn(&Written) -> Result<Files, E>,
    ) -> Result<Option<Self>, E> {
        let Some(written) = all.first() else { return Ok(None) };
        let rows = read(written)?.series;
        let first = &written.record;
        let seconds = rows.iter().filter_map(|(_, seconds)| seconds.last()).map(|last| last.second + 1).max();
        let end_s = first.phases.last().map_or(0.0, |phase| phase.to_s).max(seconds.unwrap_or(0) as f64).max(1.0);
        let mut runs = Self {
            scenario: first.scenario.name.clone(),
            protocols: Vec::new(),
            seeds: super::super::distinct(all.iter().map(|written| written.record.seed)),
            services: rows.iter().map(|(service, _)| service.clone()).collect(),
            phases: first
                .phases
                .iter()
                .map(|phase| Mark { from_s: phase.from_s, to_s: phase.to_s, label: phase.label.clone() })
                .collect(),
            warmup_s: first.phases.first().map_or(0.0, |phase| phase.from_s),
            end_s,
            bin_s: bin_width(end_s),
            places,
        };
        for written in all {
            let files = read(&written)?;
            let run = runs.cut(written.record, &files);
            match runs.protocols.iter_mut().find(|protocol| protocol.label == run.record.protocol) {
                Some(protocol) => protocol.runs.push(run),
                None => runs.protocols.push(Protocol { label: run.record.protocol.clone(), runs: vec![run] }),
            }
        }
        Ok(Some(runs))
    }

    fn cut(&self, record: Record, files: &Files) -> Run {
        let rows = &files.series;
        let count = (self.end_s / self.bin_s as f64).ceil() as usize;
        let empty = vec![Bin::default(); count];
        let bin = |second: &Second| usize::try_from(second.second / self.bin_s).ok().filter(|&bin| bin < count);
        let mut all = empty.clone();
        for row in 0..rows.iter().map(|(_, seconds)| seconds.len()).max().unwrap_or(0) {
            let seconds: Vec<&Second> = rows.iter().filter_map(|(_, seconds)| seconds.get(row)).collect();
            let second = together(&seconds);
            if let Some(bin) = bin(&second) {
                all[bin].add(&second);
            }
        }
        let service = |name: &String| {
            let mut bins = empty.clone();
            for (_, seconds) in rows.iter().filter(|(service, _)| service == name) {
                for second in seconds {
                    if let Some(bin) = bin(second) {
                        bins[bin].add(second);
                    }
                }
            }
            bins
        };
        let services = if self.services.len() > 1 { self.services.iter().map(service).collect() } else { Vec::new() };
        let cut = Cut { warmup_s: self.warmup_s, end_s: self.end_s, bin_s: self.bin_s };
        let housing = self.places.as_ref().and_then(|places| Housing::of(places, &record, cut));
        let watts = files.power.as_ref().map(|power| watts(power, self.bin_s, count));
        Run { record, all, services, housing, watts }
    }

    /// `seed 7` or `seeds 0..20`.
    pub fn seed_names(&self) -> String {
        super::super::table::seed_names(&self.seeds)
    }

    /// Protocols beside which agents reorganise services, with their places in the table.
    pub fn reorganised(&self) -> impl Iterator<Item = (usize, &Protocol, &Places)> {
        let with = |places| {
            let all = self.protocols.iter().enumerate().map(move |(index, protocol)| (index, protocol, places));
            all.filter(|(_, protocol, places): &(_, _, &Places)| places.reorganises(&protocol.label))
        };
        self.places.iter().flat_map(with)
    }
}

impl Protocol {
    /// A value in each bin of the first run.
    pub fn first<T>(&self, value: impl Fn(&Bin) -> Option<T>) -> Vec<Option<T>> {
        self.runs.first().map(|run| run.all.iter().map(value).collect()).unwrap_or_default()
    }

    /// The range in each bin over all runs.
    pub fn spread(&self, range: impl Fn(&Bin) -> Option<Range>) -> Vec<Option<Range>> {
        let bins = self.runs.iter().map(|run| run.all.len()).max().unwrap_or(0);
        let over_runs = |bin: usize| {
            let ranges = self.runs.iter().filter_map(|run| range(run.all.get(bin)?));
            ranges.reduce(Range::with)
        };
        (0..bins).map(over_runs).collect()
    }

    /// A metric of every run.
    pub fn metric(&self, value: impl Fn(&crate::metrics::Metrics) -> Option<f64>) -> Vec<Option<f64>> {
        self.runs.iter().map(|run| value(&run.record.metrics.all)).collect()
    }
}

fn watts(power: &PowerSeries, bin_s: u64, count: usize) -> Vec<Watts> {
    let mut bins = vec![Watts::default(); count];
    for (second, sites) in power.seconds.iter().enumerate() {
        let Some(bin) = bins.get_mut((second as u64 / bin_s) as usize) else { break };
        bin.seconds += 1;
        for site in sites {
            bin.drawn += site.watts;
            bin.ideal += site.ideal_watts;
            bin.all_awake += site.all_awake_watts;
            bin.busy_nodes += site.load.unwrap_or(0.0) * f64::from(site.nodes_awake);
        }
    }
    for bin in &mut bins {
        let seconds = f64::from(bin.seconds.max(1));
        for sum in [&mut bin.drawn, &mut bin.ideal, &mut bin.all_awake, &mut bin.busy_nodes] {
            *sum /= seconds;
        }
    }
    bins
}

fn bin_width(end_s: f64) -> u64 {
    let fits = |&width: &u64| end_s <= (width * MOST_BINS) as f64;
    WIDTHS.into_iter().find(fits).unwrap_or_else(|| (end_s / MOST_BINS as f64 / 86_400.0).ceil() as u64 * 86_400)
}
