//! A scenario, a protocol and a seed give a [`RunResult`].

pub mod contest;
mod expect;
mod fates;
pub mod lines;
pub mod phases;
pub mod stage;
pub mod tape;
mod verdicts;

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::check::invariants::Invariants;
use crate::history::Event;
use crate::id::{DcId, NodeId, ServiceId};
use crate::machine::Machine;
use crate::metrics::recorder::{Fates, Recorded, Recorder, worst};
use crate::metrics::window::{Counted, Tally, Window};
use crate::metrics::{Metrics, MetricsTable, Phase, Recovery, Second};
use crate::protocols::optimistic;
use crate::scenario::{Kind, Protocol, Scenario};
use crate::time::{Duration, SimTime};
use crate::workload::{Clients, Plan};
use crate::world::fault::Action;
use crate::world::{ServiceSpec, World, WorldConfig};

pub use self::contest::{Contest, Promises, Survives, groups};
use self::fates::fates;
use self::lines::{Lines, Names};
use self::stage::{AFTER_CORRUPTION, OBSERVE_EVERY, Seat, Stage};
use self::tape::{Tape, Wanted};

/// All that a run leaves behind: the content of `result.json`, and the rows of its time series.
/// It holds no wall-clock time, path or host name.
#[derive(Clone, Debug)]
pub struct RunResult {
    pub record: Record,
    /// By service, in scenario order, one row a second from 0 to the duration.
    pub seconds: Vec<(String, Vec<Second>)>,
    /// Lines of `history.jsonl`, if asked for.
    pub history: Option<Vec<u8>>,
    /// Lines of `trace.jsonl`, if asked for.
    pub trace: Option<Vec<u8>>,
}

/// `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this format: 1.
    pub format: u32,
    /// Version of firedrill.
    pub firedrill: String,
    pub scenario: ScenarioRecord,
    /// The label of the protocol.
    pub protocol: String,
    pub seed: u64,
    /// Empty until rare-event sampling: (event index, new seed) at which the streams are reseeded.
    pub branches: Vec<(u64, u64)>,
    /// 16 hexadecimal digits: a hash over every event.
    pub fingerprint: String,
    pub events: u64,
    pub simulated_s: f64,
    pub metrics: MetricsTable,
    pub recoveries: Vec<Recovery>,
    pub phases: Vec<Phase>,
    pub expectations: Vec<ExpectationResult>,
    pub verdicts: Vec<Verdict>,
    /// Facts a reader must know, for example that a target depended on the protocol.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioRecord {
    pub name: String,
    pub as_written: serde_json::Value,
    pub resolved: serde_json::Value,
    pub hash: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectationResult {
    pub metric: String,
    pub service: Option<String>,
    /// For example `at least 0.97`.
    pub expected: String,
    pub measured: Option<f64>,
    pub held: bool,
    /// Why a null or censored metric violates it, or the span it was cut to.
    pub note: Option<String>,
}

/// The judgement of one checker. Order of severity: valid, unknown, violated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// For example `I1`, `I4`.
    pub check: String,
    /// What it states, in a sentence.
    pub states: String,
    pub outcome: VerdictOutcome,
    /// The smallest evidence it can give.
    pub evidence: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictOutcome {
    Valid,
    /// It does not apply to this run: the faults that happened are outside what the protocol promises.
    NotApplicable,
    Unknown,
    Violated,
}

/// What a run is to leave behind besides its result. None of it changes the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep {
    /// Lines of `history.jsonl`.
    pub history: bool,
    /// Lines of `trace.jsonl`.
    pub trace: bool,
}

/// Runs one protocol of a scenario under one seed.
pub fn run(scenario: &Scenario, protocol: &Protocol, seed: u64, keep: Keep) -> RunResult {
    enter(scenario, protocol, seed, keep, None).0
}

/// As [`run`], with what checkers need kept in memory.
pub fn run_examined(scenario: &Scenario, protocol: &Protocol, seed: u64, keep: Keep) -> (RunResult, Examined) {
    enter(scenario, protocol, seed, keep, Some(&Probe::default()))
}

/// As [`run`], with what happened kept as values.
pub fn run_taped(scenario: &Scenario, protocol: &Protocol, seed: u64, wanted: Wanted) -> (RunResult, Tape) {
    let probe = Probe { tape: Some(wanted), ..Probe::default() };
    let (result, examined) = enter(scenario, protocol, seed, Keep::default(), Some(&probe));
    (result, examined.tape.expect("it was asked for"))
}

/// Static dispatch: one line a kind.
fn enter(
    scenario: &Scenario,
    protocol: &Protocol,
    seed: u64,
    keep: Keep,
    probe: Option<&Probe>,
) -> (RunResult, Examined) {
    let Protocol { label, kind } = protocol;
    match kind {
        Kind::Optimistic(options) => {
            drive(scenario, label, seed, keep, probe, &contest::optimistic(options, &Probe::default()))
        }
        Kind::Raft(options) => drive(scenario, label, seed, keep, probe, &contest::raft(options, None)),
        Kind::OmniPaxos(options) => drive(scenario, label, seed, keep, probe, &contest::omnipaxos(options, None)),
        Kind::Viewstamped(options) => drive(scenario, label, seed, keep, probe, &contest::viewstamped(options, None)),
        Kind::StaticPrimary(options) => drive(scenario, label, seed, keep, probe, &contest::static_primary(options)),
        Kind::LazyConsensus(options) => {
            drive(scenario, label, seed, keep, probe, &contest::lazy_consensus(options, None))
        }
        Kind::DynamicVoting(options) => {
            drive(scenario, label, seed, keep, probe, &contest::dynamic_voting(options, None))
        }
    }
}

/// Runs any machine in a scenario, under a label of its own: how a protocol that this crate does not know
/// joins a comparison.
pub fn run_machine<M: Machine>(
    scenario: &Scenario,
    label: &str,
    seed: u64,
    keep: Keep,
    contest: &Contest<'_, M>,
) -> RunResult {
    drive(scenario, label, seed, keep, None, contest).0
}

/// As [`run_machine`], under a probe, with what checkers need kept in memory.
pub fn run_machine_probed<M: Machine>(
    scenario: &Scenario,
    label: &str,
    seed: u64,
    probe: &Probe,
    contest: &Contest<'_, M>,
) -> (RunResult, Examined) {
    drive(scenario, label, seed, probe.keep, Some(probe), contest)
}

/// What a test does to a run beyond its scenario.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// A deliberate defect of the optimistic mechanism.
    pub mutation: Option<optimistic::Mutation>,
    /// The machines that have it; all if empty.
    pub broken: Vec<NodeId>,
    /// The replica set at the start, if it is not everyone who is placed.
    pub replica_set: Option<Vec<NodeId>>,
    /// When, at which machine, and which replica set is asked for, of the first service.
    pub reconfigure: Vec<(SimTime, NodeId, Vec<NodeId>)>,
    pub keep: Keep,
    /// Keep what happened, as values.
    pub tape: Option<Wanted>,
}

/// Runs the optimistic mechanism under a probe, with what checkers need kept in memory.
pub fn run_probed(
    scenario: &Scenario,
    options: &optimistic::Options,
    seed: u64,
    probe: &Probe,
) -> (RunResult, Examined) {
    drive(scenario, "optimistic", seed, probe.keep, Some(probe), &contest::optimistic(options, probe))
}

/// What checkers need beyond a result.
#[derive(Debug, Default)]
pub struct Examined {
    pub history: Vec<Event>,
    /// Every view that took effect at its coordinator.
    pub installed: Vec<Installed>,
    /// By service: until when the confirmed views formed one chain; `None`: to the end.
    pub chain_broken: Vec<Option<SimTime>>,
    /// What happened, if it was asked for.
    pub tape: Option<Tape>,
}

/// A view took effect at its coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    pub at: SimTime,
    pub service: ServiceId,
    pub epoch: u64,
    pub coordinator: NodeId,
    pub members: Vec<NodeId>,
}

fn drive<M: Machine>(
    scenario: &Scenario,
    label: &str,
    seed: u64,
    keep: Keep,
    probe: Option<&Probe>,
    contest: &Contest<'_, M>,
) -> (RunResult, Examined) {
    let phases = phases::phases(scenario);
    let windows = windows(scenario, &phases);
    let end = SimTime::ZERO + scenario.duration + longest_deadline(scenario) + scenario.drain;
    let services = scenario.services.iter();
    let specs = services
        .map(|service| ServiceSpec {
            replicas: service.replicas.clone(),
            configs: (contest.configs)(service, &scenario.topology),
        })
        .collect();
    let config = WorldConfig {
        topology: scenario.topology.clone(),
        services: specs,
        timeline: scenario.timeline.clone(),
        failures: scenario.failures.clone(),
        seed,
        end,
        observe_every: Some(OBSERVE_EVERY),
    };
    let mut front = stage(scenario, seed, keep, probe.is_some(), &windows, contest.promises.on_every_member);
    front.tape = probe.and_then(|probe| probe.tape).map(|wanted| Tape::new(wanted, scenario.services.len(), M::VIEWS));
    let mut world = World::<M, Stage>::new(config, front);
    for (at, node, set) in probe.into_iter().flat_map(|probe| &probe.reconfigure) {
        world.inject_reconfigure(*at, ServiceId(0), *node, set.clone());
    }
    world.run();
    let (fingerprint, events) = (world.fingerprint(), world.events());
    let mut fate_of = BTreeMap::new();
    let fates: Vec<Fates> = world
        .replicas()
        .services()
        .zip(&world.front().seats)
        .map(|(replicas, seat)| {
            fates(&replicas, &seat.recorder, |write, fate| {
                fate_of.insert((replicas.service(), write), fate);
            })
        })
        .collect();
    let mut verdicts = Vec::new();
    for (index, replicas) in world.replicas().services().enumerate() {
        let seat = &world.front().seats[index];
        let judged = verdicts::Judged { scenario, service: ServiceId::from(index), fates: &fates[index], end };
        verdicts.extend(judged.verdicts(&replicas, &seat.invariants, &contest.promises));
    }
    let mut stage = world.into_front();
    if let Some(tape) = &mut stage.tape {
        tape.fates = fate_of;
    }
    let finished = Finished { scenario, label, seed, fingerprint, events, end, phases, windows, fates, verdicts };
    finished.result(stage)
}

fn longest_deadline(scenario: &Scenario) -> Duration {
    scenario.loads.iter().map(|load| load.deadline).max().unwrap_or(Duration::ZERO)
}

/// The measured run first, then the phases, then the spans of expectations.
fn windows(scenario: &Scenario, phases: &[(Window, String)]) -> Vec<Window> {
    let measured = Window { from: SimTime::ZERO + scenario.warmup, to: SimTime::ZERO + scenario.duration };
    let spans = scenario.expectations.iter().map(|one| expect::window(one, measured));
    [measured].into_iter().chain(phases.iter().map(|phase| phase.0)).chain(spans).collect()
}

fn stage(
    scenario: &Scenario,
    seed: u64,
    keep: Keep,
    examine: bool,
    windows: &[Window],
    on_every_member: bool,
) -> Stage {
    let topology = &scenario.topology;
    let places = topology.data_centers.len();
    let round_trips = |place: usize| {
        let site = DcId::from(place);
        let trip = |node| {
            let there = topology.site_of(NodeId::from(node));
            topology.between_sites(site, there).one_way + topology.between_sites(there, site).one_way
        };
        (0..topology.nodes.len()).map(trip).collect()
    };
    let plan = Plan {
        services: scenario.services.clone(),
        loads: scenario.loads.clone(),
        longitudes: topology.data_centers.iter().map(|site| site.longitude).collect(),
        round_trips: (0..places).map(round_trips).collect(),
        start: SimTime::ZERO,
        end: SimTime::ZERO + scenario.duration,
    };
    let disturbances = phases::disturbances(scenario);
    let corruptions = scenario.timeline.iter().filter(|fault| matches!(fault.action, Action::Corrupt { .. }));
    let rests: Vec<_> = corruptions.map(|fault| (fault.at, fault.at + AFTER_CORRUPTION)).collect();
    let seats = scenario.services.iter().map(|service| Seat {
        recorder: Recorder::new(windows, disturbances.clone(), service.replicas.len(), scenario.duration),
        invariants: Invariants::new(on_every_member, rests.clone()),
    });
    let mut edges: Vec<SimTime> = windows.iter().flat_map(|window| [window.from, window.to]).collect();
    edges.sort_unstable();
    edges.dedup();
    let names = Names {
        services: scenario.services.iter().map(|service| service.name.clone()).collect(),
        nodes: topology.nodes.iter().map(|node| node.name.clone()).collect(),
        places: topology.data_centers.iter().map(|site| site.name.clone()).collect(),
    };
    let lines = Lines::new(names, keep.history, keep.trace);
    let mut stage = Stage::new(Clients::new(plan, seed), seats.collect(), edges, longest_deadline(scenario), lines);
    if examine {
        stage.kept = Some(Examined::default());
    }
    stage
}

/// A run that is over, to be written up.
struct Finished<'a> {
    scenario: &'a Scenario,
    label: &'a str,
    seed: u64,
    fingerprint: u64,
    events: u64,
    end: SimTime,
    phases: Vec<(Window, String)>,
    windows: Vec<Window>,
    fates: Vec<Fates>,
    verdicts: Vec<Verdict>,
}

/// Everything that was recorded, by service in scenario order.
struct Measured {
    services: Vec<(String, Recorded)>,
}

impl Measured {
    /// Metrics of one window over all services, and of each.
    fn table(&self, window: usize) -> MetricsTable {
        let mut total: Option<Tally> = None;
        let mut counted: Vec<Counted> = Vec::new();
        let mut services = BTreeMap::new();
        for (name, recorded) in &self.services {
            let tally = &recorded.tallies[window];
            services.insert(name.clone(), tally.metrics(&recorded.counted));
            counted.resize(counted.len().max(recorded.counted.len()), Counted::default());
            for (sum, one) in counted.iter_mut().zip(&recorded.counted) {
                sum.requests += one.requests;
                sum.ok += one.ok;
            }
            match &mut total {
                Some(total) => total.add(tally),
                None => total = Some(tally.clone()),
            }
        }
        MetricsTable { all: total.map(|tally| tally.metrics(&counted)).unwrap_or_default(), services }
    }
}

impl Finished<'_> {
    fn result(self, stage: Stage) -> (RunResult, Examined) {
        let Stage { seats, kept, tape, lines, notes, .. } = stage;
        let mut examined = kept.unwrap_or_default();
        examined.tape = tape;
        let mut measured = Measured { services: Vec::new() };
        for (seat, service) in seats.into_iter().zip(&self.scenario.services) {
            examined.chain_broken.push(seat.invariants.chain_broken());
            measured.services.push((service.name.clone(), seat.recorder.finish(self.end, &service.name)));
        }
        let metrics = self.metrics(&measured);
        let phase = |(at, (window, label)): (usize, &(Window, String))| Phase {
            from_s: window.from.as_secs_f64(),
            to_s: window.to.as_secs_f64(),
            label: label.clone(),
            metrics: measured.table(1 + at),
        };
        let spans = self.windows.len() - self.scenario.expectations.len();
        let expectations = expect::judge(self.scenario, self.label, &metrics, |at| measured.table(spans + at));
        let recoveries = measured.services.iter().flat_map(|(_, one)| one.recoveries.iter().cloned()).collect();
        let record = Record {
            format: 1,
            firedrill: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: ScenarioRecord {
                name: self.scenario.name.clone(),
                as_written: self.scenario.as_written.clone(),
                resolved: self.scenario.resolved.clone(),
                hash: self.scenario.hash.clone(),
            },
            protocol: self.label.to_owned(),
            seed: self.seed,
            branches: Vec::new(),
            fingerprint: format!("{:016x}", self.fingerprint),
            events: self.events,
            simulated_s: self.end.as_secs_f64(),
            phases: self.phases.iter().enumerate().map(phase).collect(),
            metrics,
            recoveries,
            expectations,
            verdicts: self.verdicts,
            notes,
        };
        let seconds = measured.services.into_iter().map(|(name, recorded)| (name, recorded.seconds)).collect();
        let (history, trace) = lines.into_files();
        (RunResult { record, seconds, history, trace }, examined)
    }

    /// The whole measured run: what its window tells, the recoveries, and the fates of writes.
    fn metrics(&self, measured: &Measured) -> MetricsTable {
        let mut table = measured.table(0);
        let recoveries: Vec<&Recovery> = measured.services.iter().flat_map(|(_, one)| &one.recoveries).collect();
        worst(recoveries.iter().copied(), &mut table.all);
        let mut sum = Fates::default();
        for ((name, recorded), fates) in measured.services.iter().zip(&self.fates) {
            let metrics = table.services.get_mut(name).expect("every service has a row");
            worst(recorded.recoveries.iter(), metrics);
            set_fates(metrics, fates);
            sum = Fates {
                applied: sum.applied + fates.applied,
                revoked: sum.revoked + fates.revoked,
                stranded: sum.stranded + fates.stranded,
                lost: sum.lost + fates.lost,
                reapplied: sum.reapplied + fates.reapplied,
                duplicated: sum.duplicated + fates.duplicated,
                told: sum.told + fates.told,
            };
        }
        set_fates(&mut table.all, &sum);
        table
    }
}

fn set_fates(metrics: &mut Metrics, fates: &Fates) {
    metrics.writes_applied = Some(fates.applied);
    metrics.writes_revoked = Some(fates.revoked);
    metrics.writes_stranded = Some(fates.stranded);
    metrics.writes_lost = Some(fates.lost);
    metrics.writes_reapplied = Some(fates.reapplied);
    metrics.writes_duplicated = Some(fates.duplicated);
    metrics.writes_revoked_told = Some(fates.told);
}
