//! Which machine ran what in one run, and what each service had, from its result file.

use std::collections::BTreeMap;

use super::data::Range;
use super::places::{Places, Wanted};
use crate::metrics::{NodeRecord, ReplicaEvent};
use crate::run::Record;

/// The time that a plot shows, cut into bins.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub warmup_s: f64,
    pub end_s: f64,
    pub bin_s: u64,
}

/// A machine in the middle of a bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs so many replicas.
    Running(u32),
    Booting,
    Asleep,
    Down,
}

/// What a service had on running machines in a bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    pub replicas: Range,
    pub sites: Range,
    pub zones: Range,
}

/// One run.
pub struct Housing {
    /// By machine and bin.
    pub machines: Vec<Vec<State>>,
    /// By service and bin; `None`: it never served before.
    pub services: Vec<Vec<Option<Kept>>>,
    /// Machines that run in a bin, on average.
    pub running: Vec<f64>,
    /// Share of the measured time in which the loss of any one data center would have left enough of every service.
    pub ready: f64,
}

/// Members of a service that run, from one change to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stay {
    from: f64,
    to: f64,
    replicas: usize,
    sites: usize,
    zones: usize,
    /// Those that the loss of any one data center leaves.
    left: usize,
}

impl Cut {
    pub fn bins(&self) -> usize {
        (self.end_s / self.bin_s as f64).ceil() as usize
    }

    /// The bins that a span touches.
    fn touched(&self, (from, to): (f64, f64)) -> std::ops::Range<usize> {
        let width = self.bin_s as f64;
        let end = ((to / width).ceil() as usize).min(self.bins());
        ((from / width).floor() as usize).min(end)..end
    }

    /// The bins whose middles a span covers.
    fn middles(&self, (from, to): (f64, f64)) -> std::ops::Range<usize> {
        let at = |time: f64| ((time / self.bin_s as f64 - 0.5).ceil().max(0.0) as usize).min(self.bins());
        at(from)..at(to).max(at(from))
    }
}

impl Housing {
    /// `None`: the result does not tell.
    pub fn of(places: &Places, record: &Record, cut: Cut) -> Option<Self> {
        let residency = record.residency.as_ref()?;
        let unknown = NodeRecord::default();
        let of = |name: &String| residency.nodes.get(name).unwrap_or(&unknown);
        let nodes: Vec<&NodeRecord> = places.machines.iter().map(|machine| of(&machine.name)).collect();
        let runs: Vec<Vec<(f64, f64)>> = nodes.iter().map(|node| without(&node.awake, &node.down)).collect();
        let index: BTreeMap<&str, usize> =
            places.machines.iter().enumerate().map(|(at, machine)| (machine.name.as_str(), at)).collect();
        let moves = |wanted: &Wanted| match residency.replicas.get(&wanted.name) {
            Some(events) => known(events, &index),
            None => wanted.given.iter().map(|&machine| (0.0, machine, "join")).collect(),
        };
        let mut machines = states(&nodes, cut);
        let (mut services, mut stays) = (Vec::new(), Vec::new());
        for wanted in &places.services {
            let moves = moves(wanted);
            count(&moves, cut, &mut machines);
            let of_service = followed(places, &runs, &moves, cut.end_s);
            services.push(by_bin(&of_service, cut));
            stays.push(of_service);
        }
        let ready = readiness(&stays, places.next_degree(&record.protocol), cut);
        Some(Self { machines, services, running: running(&runs, cut), ready })
    }
}

/// Events on machines that are known, by index.
fn known<'a>(events: &'a [ReplicaEvent], index: &BTreeMap<&str, usize>) -> Vec<(f64, usize, &'a str)> {
    let event = |ReplicaEvent(at, machine, what): &'a ReplicaEvent| Some((*at, *index.get(machine.as_str())?, &**what));
    events.iter().filter_map(event).collect()
}

/// The parts of spans that no other span covers. Both ascend and do not overlap among themselves.
fn without(spans: &[(f64, f64)], others: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut left = Vec::new();
    for &(mut from, to) in spans {
        for &(start, end) in others {
            if start > from && start < to {
                left.push((from, start));
            }
            if start < to {
                from = from.max(end);
            }
        }
        if to > from {
            left.push((from, to));
        }
    }
    left
}

/// What each machine does in the middle of each bin, without replicas yet. A result that does not tell is of a machine
/// whose process or site is dead.
fn states(nodes: &[&NodeRecord], cut: Cut) -> Vec<Vec<State>> {
    let of = |node: &&NodeRecord| {
        let mut states = vec![State::Down; cut.bins()];
        let kinds = [
            (&node.awake, State::Running(0)),
            (&node.booting, State::Booting),
            (&node.asleep, State::Asleep),
            (&node.down, State::Down),
        ];
        for (spans, state) in kinds {
            spans.iter().for_each(|&span| states[cut.middles(span)].fill(state));
        }
        states
    };
    nodes.iter().map(of).collect()
}

/// Counts the replicas of a service on the machines that run.
fn count(moves: &[(f64, usize, &str)], cut: Cut, machines: &mut [Vec<State>]) {
    let mut since: BTreeMap<usize, f64> = BTreeMap::new();
    let mut housed = |machine: usize, span: (f64, f64)| {
        for state in &mut machines[machine][cut.middles(span)] {
            if let State::Running(replicas) = state {
                *replicas += 1;
            }
        }
    };
    for &(at, machine, what) in moves {
        if matches!(what, "start" | "join") {
            since.entry(machine).or_insert(at);
        } else if let Some(from) = since.remove(&machine) {
            housed(machine, (from, at));
        }
    }
    since.into_iter().for_each(|(machine, from)| housed(machine, (from, cut.end_s)));
}

/// Follows a service from its first member on.
fn followed(places: &Places, runs: &[Vec<(f64, f64)>], moves: &[(f64, usize, &str)], end_s: f64) -> Vec<Stay> {
    let joins = moves.iter().filter(|(_, _, what)| matches!(*what, "join" | "leave"));
    let mut times: Vec<f64> = joins.clone().map(|one| one.0).collect();
    let Some(&first) = times.first() else { return Vec::new() };
    for machine in joins.clone().map(|one| one.1).collect::<std::collections::BTreeSet<_>>() {
        times.extend(runs[machine].iter().flat_map(|&(from, to)| [from, to]).filter(|&time| time > first));
    }
    times.push(end_s);
    times.retain(|&time| time <= end_s);
    times.sort_by(f64::total_cmp);
    times.dedup();
    let mut members: Vec<usize> = Vec::new();
    let mut coming = joins.peekable();
    let mut stays = Vec::new();
    for pair in times.windows(2) {
        while let Some((_, machine, what)) = coming.next_if(|one| one.0 <= pair[0]) {
            members.retain(|member| member != machine);
            if *what == "join" {
                members.push(*machine);
            }
        }
        let up = |&&machine: &&usize| runs[machine].iter().any(|&(from, to)| from <= pair[0] && pair[0] < to);
        let up: Vec<usize> = members.iter().filter(up).copied().collect();
        stays.push(stay((pair[0], pair[1]), places, &up));
    }
    stays
}

fn stay((from, to): (f64, f64), places: &Places, up: &[usize]) -> Stay {
    let (mut sites, mut zones) = (BTreeMap::new(), BTreeMap::new());
    for machine in up.iter().map(|&machine| &places.machines[machine]) {
        *sites.entry(machine.site).or_insert(0) += 1;
        *zones.entry(machine.zone).or_insert(0) += 1;
    }
    let left = up.len() - sites.values().copied().max().unwrap_or(0);
    Stay { from, to, replicas: up.len(), sites: sites.len(), zones: zones.len(), left }
}

fn by_bin(stays: &[Stay], cut: Cut) -> Vec<Option<Kept>> {
    let mut bins: Vec<Option<Kept>> = vec![None; cut.bins()];
    let range = |value: usize| Range { low: value as f64, high: value as f64 };
    for stay in stays {
        let (replicas, sites, zones) = (range(stay.replicas), range(stay.sites), range(stay.zones));
        for bin in &mut bins[cut.touched((stay.from, stay.to))] {
            *bin = Some(match *bin {
                Some(kept) => Kept {
                    replicas: kept.replicas.with(replicas),
                    sites: kept.sites.with(sites),
                    zones: kept.zones.with(zones),
                },
                None => Kept { replicas, sites, zones },
            });
        }
    }
    bins
}

/// The share of the measured time in which no service had too little left.
fn readiness(services: &[Vec<Stay>], next_degree: usize, cut: Cut) -> f64 {
    let whole = cut.end_s - cut.warmup_s;
    let mut short: Vec<(f64, f64)> = Vec::new();
    for stays in services {
        let first = stays.first().map_or(cut.end_s, |stay| stay.from);
        let poor = stays.iter().filter(|stay| stay.left < next_degree).map(|stay| (stay.from, stay.to));
        short.extend(std::iter::once((0.0, first)).chain(poor));
    }
    short.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut lost, mut until) = (0.0, cut.warmup_s);
    for (from, to) in short {
        lost += (to.min(cut.end_s) - from.max(until)).max(0.0);
        until = until.max(to);
    }
    if whole > 0.0 { 1.0 - lost / whole } else { 0.0 }
}

/// The mean number of machines that run, by bin.
fn running(runs: &[Vec<(f64, f64)>], cut: Cut) -> Vec<f64> {
    let width = cut.bin_s as f64;
    let mut sums = vec![0.0; cut.bins()];
    for &(from, to) in runs.iter().flatten() {
        for bin in cut.touched((from, to)) {
            let start = bin as f64 * width;
            sums[bin] += (to.min(start + width).min(cut.end_s) - from.max(start)).max(0.0);
        }
    }
    let length = |bin: usize| (cut.end_s - bin as f64 * width).min(width);
    sums.iter().enumerate().map(|(bin, sum)| sum / length(bin)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::places::Machine;
    use super::*;

    const CUT: Cut = Cut { warmup_s: 10.0, end_s: 100.0, bin_s: 10 };

    /// Four machines at three sites, of which the last two share a zone.
    fn places() -> Places {
        let machine = |at: usize, site: usize| Machine { name: format!("m/{at}"), site, zone: site.min(1) };
        let wanted = Wanted { name: "board".into(), replicas: 3, sites: 3, zones: 2, given: vec![0, 2, 3] };
        let machines = vec![machine(0, 0), machine(1, 0), machine(2, 1), machine(3, 2)];
        Places::made_up(machines, vec![wanted], 2)
    }

    #[test]
    fn spans_lose_what_others_cover() {
        let spans = [(0.0, 10.0), (20.0, 30.0)];
        assert_eq!(without(&spans, &[(5.0, 6.0), (8.0, 22.0)]), [(0.0, 5.0), (6.0, 8.0), (22.0, 30.0)]);
        assert_eq!(without(&spans, &[(0.0, 10.0)]), [(20.0, 30.0)]);
        assert_eq!(without(&[(0.0, 10.0)], &[(20.0, 30.0)]), [(0.0, 10.0)]);
    }

    #[test]
    fn a_service_has_the_members_that_run() {
        let places = places();
        let always = vec![(0.0, 100.0)];
        let runs = vec![vec![(0.0, 40.0), (70.0, 100.0)], always.clone(), always.clone(), always];
        let moves = [
            (5.0, 0, "join"),
            (5.0, 2, "join"),
            (5.0, 3, "join"),
            (45.0, 0, "leave"),
            (50.0, 1, "start"),
            (60.0, 1, "join"),
            (80.0, 0, "join"),
        ];
        let stays = followed(&places, &runs, &moves, 100.0);
        let told: Vec<_> = stays.iter().map(|it| (it.from, it.replicas, it.sites, it.zones, it.left)).collect();
        let expected = [
            (5.0, 3, 3, 2, 2),
            (40.0, 2, 2, 1, 1),
            (45.0, 2, 2, 1, 1),
            (60.0, 3, 3, 2, 2),
            (70.0, 3, 3, 2, 2),
            // Two of four are at one site.
            (80.0, 4, 3, 2, 2),
        ];
        assert_eq!(told, expected);
        let bins = by_bin(&stays, CUT);
        assert_eq!(bins[3].map(|kept| (kept.replicas.low, kept.replicas.high)), Some((3.0, 3.0)));
        assert_eq!(bins[4].map(|kept| (kept.replicas.low, kept.zones.high)), Some((2.0, 1.0)));
        // 20 of the 90 measured seconds; a second service that is short at the same time costs nothing more.
        let ready = readiness(&[stays.clone(), stays], 2, CUT);
        assert!((ready - 70.0 / 90.0).abs() < 1e-12, "{ready}");
        assert_eq!(running(&runs, CUT)[3..8], [4.0, 3.0, 3.0, 3.0, 4.0]);
    }

    #[test]
    fn machines_are_shown_in_the_state_that_they_are_in() {
        let sleeper = NodeRecord {
            awake: vec![(0.0, 40.0), (70.0, 100.0)],
            asleep: vec![(40.0, 60.0)],
            booting: vec![(60.0, 70.0)],
            down: vec![(80.0, 90.0)],
            ..NodeRecord::default()
        };
        let mut machines = states(&[&sleeper], CUT);
        count(&[(12.0, 0, "start"), (14.0, 0, "join"), (28.0, 0, "leave"), (72.0, 0, "join")], CUT, &mut machines);
        use State::{Asleep, Booting, Down, Running};
        let expected =
            [Running(0), Running(1), Running(1), Running(0), Asleep, Asleep, Booting, Running(1), Down, Running(1)];
        assert_eq!(machines, [expected]);
    }
}
