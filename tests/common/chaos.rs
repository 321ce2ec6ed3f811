//! Seeded chaos: random disasters over five sites. In the manner of swarm testing each seed enables a
//! random part of the faults, so that some runs are rich in one kind.

use firedrill::id::{DcId, NodeId};
use firedrill::protocols::optimistic::{Ack, MergePolicy, Options, ReadLevel};
use firedrill::rng::Stream;
use firedrill::run::Probe;
use firedrill::scenario::{Kind, Scenario};
use firedrill::time::{Duration, SimTime};
use firedrill::workload::Application;
use firedrill::world::fault::{Action, CorruptWhat, Disk, Endpoint, Fault, Targets};

use super::{fault, scenario, sites};

const SITES: u32 = 5;

/// The kinds of faults that a sweep may draw from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// Splits, partial and one-way cuts, crashes, pauses, loss, flaps, slowness, clocks.
    KeepDisks,
    /// The same, and disks are lost.
    LoseDisks,
}

/// A scenario for a seed, and the options of its protocol.
pub fn chaos(seed: u64, kinds: Kinds) -> (Scenario, Options) {
    let mut stream = Stream::new(seed, "test chaos", &[kinds as u64]);
    let application = if stream.chance(0.5) { Application::Board } else { Application::Kv };
    let duration = 60 + stream.below(61);
    let mut drill = scenario(SITES as usize, application, duration);
    drill.seed = seed;
    let enabled: Vec<u64> = (0..KIND_COUNT).filter(|_| stream.chance(0.5)).collect();
    let enabled = if enabled.is_empty() { vec![stream.below(KIND_COUNT)] } else { enabled };
    let count = 1 + stream.below(8);
    for _ in 0..count {
        let at = SimTime::ZERO + Duration::from_millis(15_000 + stream.below((duration - 35) * 1_000));
        let longest = if stream.chance(0.3) { 2_000 } else { 20_000 };
        let lasts = Duration::from_millis(200 + stream.below(longest));
        let kind = enabled[stream.below(enabled.len() as u64) as usize];
        let mut one = random_fault(kind, kinds, &mut stream);
        // Slowness multiplies: twice the worst would stop a disk for longer than the run.
        let slow = |fault: &Fault| matches!(fault.action, Action::Slow { .. });
        if slow(&one) && drill.timeline.iter().any(slow) {
            continue;
        }
        one.at = at;
        if one.lasts.is_none() && !matches!(one.action, Action::Clock { .. }) {
            one.lasts = Some(lasts);
        }
        drill.timeline.push(one);
    }
    drill.timeline.sort_by_key(|fault| fault.at);
    let options = random_options(application, &mut stream);
    drill.protocols[0].kind = Kind::Optimistic(options.clone());
    (drill, options)
}

fn random_options(application: Application, stream: &mut Stream) -> Options {
    let merges = [
        MergePolicy::RankWins,
        MergePolicy::Replay,
        MergePolicy::LastWriterWins,
        MergePolicy::Siblings,
        if application == Application::Board { MergePolicy::Crdt } else { MergePolicy::Replay },
    ];
    Options {
        merge: merges[stream.below(5) as usize],
        ack: if stream.chance(0.8) { Ack::All } else { Ack::Copies { copies: 2, data_centers: 2 } },
        reads: if stream.chance(0.8) { ReadLevel::Latest } else { ReadLevel::Session },
        sync_limit: if stream.chance(0.3) { 20 } else { 4_000 },
        epoch_max: if stream.chance(0.3) { 8 } else { 1 << 63 },
        ..super::options()
    }
}

const KIND_COUNT: u64 = 9;

fn some_nodes(stream: &mut Stream) -> Vec<NodeId> {
    let mut all: Vec<NodeId> = (0..SITES).map(NodeId).collect();
    stream.shuffle(&mut all);
    all.truncate(1 + stream.below(u64::from(SITES)) as usize);
    all.sort_unstable();
    all
}

fn two_ends(stream: &mut Stream) -> (Vec<Endpoint>, Vec<Endpoint>) {
    let mut all: Vec<u32> = (0..SITES).collect();
    stream.shuffle(&mut all);
    let left = 1 + stream.below(2) as usize;
    let right = 1 + stream.below(2) as usize;
    (sites(&all[..left]), sites(&all[left..left + right]))
}

fn random_fault(kind: u64, kinds: Kinds, stream: &mut Stream) -> Fault {
    let lost = kinds == Kinds::LoseDisks && stream.chance(0.4);
    let disk = if lost { Disk::Lost } else { Disk::Kept };
    let (label, action) = match kind {
        0 => {
            let mut groups: Vec<Vec<Endpoint>> = vec![Vec::new(); 2 + stream.below(2) as usize];
            for site in 0..SITES {
                let group = stream.below(groups.len() as u64) as usize;
                groups[group].extend([Endpoint::Node(NodeId(site)), Endpoint::Place(DcId(site))]);
            }
            ("partition", Action::Partition { groups })
        }
        1 => {
            let (from, to) = two_ends(stream);
            ("cut", Action::Cut { from, to, one_way: false })
        }
        2 => {
            let (from, to) = two_ends(stream);
            ("one-way cut", Action::Cut { from, to, one_way: true })
        }
        3 => (
            "crash",
            Action::Crash { targets: Targets::Nodes { nodes: some_nodes(stream), silent: stream.chance(0.5) }, disk },
        ),
        4 => ("pause", Action::Pause { targets: Targets::Nodes { nodes: some_nodes(stream), silent: false } }),
        5 => {
            let (loss, duplicate, reorder) = (stream.open01() * 0.1, stream.open01() * 0.1, stream.open01() * 0.2);
            let add_delay = Duration::from_millis(stream.below(100));
            ("degrade", Action::Degrade { between: two_ends(stream), add_delay, loss, duplicate, reorder })
        }
        6 => {
            let up = Duration::from_millis(200 + stream.below(4_000));
            let down = Duration::from_millis(200 + stream.below(4_000));
            ("flap", Action::Flap { between: two_ends(stream), up, down })
        }
        7 => {
            let factor = [10.0, 100.0, 5_000.0][stream.below(3) as usize];
            ("slow", Action::Slow { targets: Targets::Nodes { nodes: some_nodes(stream), silent: false }, factor })
        }
        _ => {
            let jump = stream.below(4_000_000_000) as i64 - 2_000_000_000;
            let targets = Targets::Nodes { nodes: some_nodes(stream), silent: false };
            ("clock", Action::Clock { targets, jump, drift_ppm: 100.0 })
        }
    };
    fault(SimTime::ZERO, None, label, action)
}

/// Everything is overwritten at once, with some nodes down meanwhile.
pub fn corruption(seed: u64) -> (Scenario, Options) {
    let mut stream = Stream::new(seed, "test corruption", &[]);
    let application = if stream.chance(0.5) { Application::Board } else { Application::Kv };
    let mut drill = scenario(SITES as usize, application, 75);
    drill.seed = seed;
    let all: Vec<NodeId> = (0..SITES).map(NodeId).collect();
    let down = stream.below(4) as usize;
    let mut dead = all.clone();
    stream.shuffle(&mut dead);
    dead.truncate(down);
    let at = SimTime::ZERO + Duration::from_millis(25_000 + stream.below(5_000));
    if down > 0 {
        let targets = Targets::Nodes { nodes: dead, silent: true };
        let crash = Action::Crash { targets, disk: Disk::Kept };
        drill.timeline.push(fault(at - Duration::from_millis(stream.below(8_000)), None, "crash", crash));
    }
    let what = [CorruptWhat::All, CorruptWhat::All, CorruptWhat::Volatile, CorruptWhat::Log, CorruptWhat::Messages]
        [stream.below(5) as usize];
    let targets = Targets::Nodes { nodes: all, silent: false };
    drill.timeline.push(fault(at, None, "corrupt", Action::Corrupt { targets, what }));
    let mut options = random_options(application, &mut stream);
    options.epoch_max = if stream.chance(0.5) { 8 } else { 1 << 63 };
    options.hold_down_max = Duration::from_secs(2);
    drill.protocols[0].kind = Kind::Optimistic(options.clone());
    (drill, options)
}

/// Replica sets that whoever is primary is asked for meanwhile, on both sides of a split too.
pub fn reconfigurations(seed: u64, drill: &Scenario) -> Probe {
    let mut stream = Stream::new(seed, "test reconfigurations", &[]);
    let span = drill.duration.as_nanos() / 1_000_000 - 45_000;
    let mut asked = Vec::new();
    for _ in 0..1 + stream.below(4) {
        let at = SimTime::ZERO + Duration::from_millis(20_000 + stream.below(span));
        let mut set: Vec<NodeId> = (0..SITES).map(NodeId).collect();
        stream.shuffle(&mut set);
        set.truncate(2 + stream.below(u64::from(SITES) - 1) as usize);
        asked.extend((0..SITES).map(|node| (at, NodeId(node), set.clone())));
    }
    asked.sort_by_key(|(at, ..)| *at);
    Probe { reconfigure: asked, ..Probe::default() }
}
