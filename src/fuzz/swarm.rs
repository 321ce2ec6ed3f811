//! Whole inputs at random, swarm style: each has its own few kinds of faults, its own intensity, ending, load and
//! options, so that some runs are rich in what others never do.

use serde_json::{Map, Value, json};

use super::grammar::{self, Action, Entry};
use super::ground::Ground;
use crate::rng::Stream;
use crate::scenario::Kind;

/// Entries of a timeline, at most: with more, each hides what the others do.
const MOST_ENTRIES: usize = 24;

/// What is drawn of a run: with the ground it makes a scenario.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its place among the protocols of the ground.
    pub(super) protocol: usize,
    pub(super) seed: u64,
    pub(super) timeline: Vec<Entry>,
    /// Everything is over, healed and running in time for the service to come to rest.
    pub(super) quiet: bool,
    /// Fields of every load.
    pub(super) load: Map<String, Value>,
    /// Options of the protocol that the scenario does not write.
    pub(super) options: Map<String, Value>,
}

impl Input {
    /// What makes a finding easier to understand: fewer entries, shorter faults, fewer options.
    pub(super) fn size(&self) -> (usize, u64, usize) {
        let lasts = self.timeline.iter().map(|entry| entry.for_ms.unwrap_or(0)).sum();
        (self.timeline.len(), lasts, self.options.len())
    }

    /// Puts entries into the run, in order, and ends them if the ending is quiet.
    pub(super) fn tidy(&mut self, ground: &Ground) {
        let last = if self.quiet { ground.quiet_ms } else { ground.duration_ms } - 1;
        for entry in &mut self.timeline {
            entry.at_ms = entry.at_ms.clamp(ground.from_ms, last);
            if self.quiet {
                let left = (last - entry.at_ms).max(1);
                entry.for_ms = if entry.may_last() { Some(entry.for_ms.unwrap_or(left).min(left)) } else { None };
            }
        }
        self.timeline.sort_by_key(|entry| entry.at_ms);
        self.timeline.truncate(MOST_ENTRIES);
        grammar::tame(&mut self.timeline);
    }
}

/// How hard faults strike in a run.
#[derive(Clone, Copy, Debug)]
pub struct Intensity {
    /// Lengths are up to this.
    pub longest_ms: u64,
    /// Probability that a disk is lost in a crash.
    pub loses_disks: f64,
    /// Probability that a fault never ends by itself.
    pub stays: f64,
}

impl Intensity {
    pub fn draw(stream: &mut Stream) -> Self {
        Self {
            longest_ms: [1_000, 4_000, 12_000, 30_000][stream.below(4) as usize],
            loses_disks: if stream.chance(0.6) { 0.0 } else { 0.5 },
            stays: if stream.chance(0.5) { 0.0 } else { 0.5 },
        }
    }
}

/// A new input for a protocol.
pub fn draw(ground: &Ground, protocol: usize, stream: &mut Stream) -> Input {
    let enabled: Vec<Action> = ground.actions.iter().copied().filter(|_| stream.chance(0.4)).collect();
    let enabled = if enabled.is_empty() {
        vec![ground.actions[stream.below(ground.actions.len() as u64) as usize]]
    } else {
        enabled
    };
    let intensity = Intensity::draw(stream);
    let mut input = Input {
        protocol,
        seed: 1 + stream.below(1_000_000),
        timeline: Vec::new(),
        quiet: stream.chance(0.7),
        load: load(stream),
        options: options(ground, protocol, stream),
    };
    for _ in 0..=stream.below(8) {
        grammar::add(ground, &enabled, intensity, &mut input, stream);
    }
    input.tidy(ground);
    input
}

fn one_of<const N: usize>(choices: [Value; N], stream: &mut Stream) -> Value {
    choices[stream.below(N as u64) as usize].clone()
}

/// How users behave: few keys and many writes make conflicts, swaps tell what was there before.
pub fn load(stream: &mut Stream) -> Map<String, Value> {
    let mut load = Map::new();
    let mut may = |name: &str, value: Value, drawn: bool| {
        if drawn {
            load.insert(name.to_owned(), value);
        }
    };
    let rate = one_of([json!("0.5/s"), json!("2/s"), json!("2/s"), json!("5/s"), json!("12/s")], stream);
    may("rate", rate, stream.chance(0.7));
    may("reads", one_of([json!(0.1), json!(0.5), json!(0.9)], stream), stream.chance(0.7));
    may("keys", one_of([json!(1), json!(3), json!(20)], stream), stream.chance(0.7));
    may("clients", one_of([json!(1), json!(3), json!(8)], stream), stream.chance(0.5));
    may("deadline", one_of([json!("1s"), json!("2s"), json!("8s")], stream), stream.chance(0.3));
    load
}

/// Options of a protocol within what it is made for. Each is left as it is more often than not.
pub fn options(ground: &Ground, protocol: usize, stream: &mut Stream) -> Map<String, Value> {
    let mut options = Map::new();
    for (names, choices) in knobs(&ground.protocols[protocol].kind, ground.grows_only) {
        let choice = stream.below(choices.len() as u64) as usize;
        if stream.chance(0.4) {
            let values = names.iter().zip(&choices[choice]);
            options.extend(values.map(|(&name, value)| (name.to_owned(), value.clone())));
        }
    }
    // What the scenario writes stays, and what is drawn together with it is left out too.
    let written = &ground.protocols[protocol].written;
    for (names, _) in knobs(&ground.protocols[protocol].kind, ground.grows_only) {
        if names.iter().any(|name| written.contains_key(*name)) {
            names.iter().for_each(|name| _ = options.shift_remove(*name));
        }
    }
    options
}

/// Options that are drawn together, and what they may be.
type Knob = (&'static [&'static str], Vec<Vec<Value>>);

fn single(name: &'static [&'static str; 1], values: Vec<Value>) -> Knob {
    (name, values.into_iter().map(|value| vec![value]).collect())
}

fn snapshots() -> Knob {
    single(&["snapshot_entries"], vec![json!(5), json!(20), json!(100)])
}

fn suspicion() -> Knob {
    let pair = |heartbeat: &str, suspect: &str| vec![json!(heartbeat), json!(suspect)];
    (&["heartbeat", "suspect_after"], vec![pair("100ms", "300ms"), pair("250ms", "1s"), pair("500ms", "2s")])
}

fn elections() -> Knob {
    let pair = |heartbeat: &str, election: &str| vec![json!(heartbeat), json!(election)];
    (&["heartbeat", "election_timeout"], vec![pair("100ms", "300ms"), pair("200ms", "1s"), pair("300ms", "2s")])
}

fn knobs(kind: &Kind, grows_only: bool) -> Vec<Knob> {
    match kind {
        Kind::Optimistic(_) => optimistic(grows_only),
        Kind::Raft(_) => vec![
            elections(),
            snapshots(),
            single(&["pre_vote"], vec![json!(false)]),
            single(&["check_quorum"], vec![json!(false)]),
        ],
        Kind::OmniPaxos(_) => {
            vec![single(&["election_timeout"], vec![json!("500ms"), json!("1s"), json!("2s")]), snapshots()]
        }
        Kind::Viewstamped(_) => vec![elections(), snapshots()],
        Kind::StaticPrimary(_) => vec![snapshots()],
        Kind::LazyConsensus(_) => vec![suspicion(), snapshots()],
        Kind::DynamicVoting(_) => vec![
            suspicion(),
            (
                &["stable_after", "view_deadline"],
                vec![vec![json!("100ms"), json!("20ms")], vec![json!("300ms"), json!("400ms")]],
            ),
            snapshots(),
        ],
    }
}

fn optimistic(grows_only: bool) -> Vec<Knob> {
    let mut merges = vec![json!("rank-wins"), json!("last-writer-wins"), json!("siblings")];
    merges.extend(grows_only.then(|| json!("crdt")));
    let times = |freeze: &str, deadline: &str| vec![json!(freeze), json!(deadline)];
    vec![
        suspicion(),
        // Barely longer than a change may take, with its messages around the world: who thaws while one is under way
        // refuses what it installs, so with less no view need ever be complete.
        (
            &["freeze", "view_deadline"],
            vec![times("1050ms", "50ms"), times("1400ms", "400ms"), times("1800ms", "800ms"), times("5s", "2s")],
        ),
        single(&["merge"], merges),
        single(&["ack"], vec![json!({"copies": 2}), json!({"copies": 2, "data_centers": 2})]),
        single(&["reads"], vec![json!("latest")]),
        // Epochs wrap within a run, absent members are evicted, and what is missing is brought in the background.
        single(&["epoch_max"], vec![json!(8)]),
        single(&["retain_entries"], vec![json!(5), json!(50)]),
        single(&["sync_limit"], vec![json!(5), json!(50)]),
        single(&["hold_down_max"], vec![json!("2s"), json!("8s")]),
    ]
}
