//! A scenario, a protocol and a seed give a [`RunResult`].

mod cast;
mod census;
mod checks;
pub mod contest;
mod coverage;
mod expect;
mod fates;
mod finish;
pub mod lines;
pub mod phases;
pub mod stage;
pub mod tape;
mod verdicts;
mod watch;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::invariants::Invariants;
use crate::history::Event;
use crate::id::{DcId, NodeId, ServiceId};
use crate::machine::Machine;
use crate::metrics::energy::SiteSecond;
use crate::metrics::recorder::Recorder;
use crate::metrics::window::Window;
use crate::metrics::{MetricsTable, Phase, Recovery, Residency, Second};
use crate::protocols::optimistic;
use crate::scenario::{Check, Kind, Protocol, Scenario};
use crate::time::{Duration, SimTime};
use crate::workload::{Clients, Plan};
use crate::world::fault::Action;
use crate::world::topology::Topology;
use crate::world::{World, WorldConfig};

use self::cast::Cast;
pub use self::contest::{Contest, Membership, Promises, Survives, groups};
use self::coverage::Coverage;
use self::finish::Finished;
use self::lines::{Lines, Names};
use self::stage::{AFTER_CORRUPTION, OBSERVE_EVERY, Seat, Stage};
use self::tape::{Tape, Wanted};
use self::watch::Watch;
pub use crate::scenario::Agents;

/// All that a run leaves behind: the content of `result.json`, and the rows of its time series.
/// It holds no wall-clock time, path or host name.
#[derive(Clone, Debug)]
pub struct RunResult {
    pub record: Record,
    /// By service, in scenario order, one row a second from 0 to the duration.
    pub seconds: Vec<(String, Vec<Second>)>,
    /// If the scenario says what power its machines draw.
    pub power: Option<PowerSeries>,
    /// Lines of `history.jsonl`, if asked for.
    pub history: Option<Vec<u8>>,
    /// Lines of `trace.jsonl`, if asked for.
    pub trace: Option<Vec<u8>>,
    /// States and decisions that the protocol reached, ascending, if asked for.
    pub features: Vec<u64>,
}

/// Power of data centers, one row of them a second from 0 to the duration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PowerSeries {
    /// Their names, in scenario order.
    pub data_centers: Vec<String>,
    pub seconds: Vec<Vec<SiteSecond>>,
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
    /// Where replicas were and when machines were awake, if they may move or their power is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residency: Option<Residency>,
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
    /// Features for whoever looks for runs unlike others.
    pub coverage: bool,
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
    let Protocol { label, kind, .. } = protocol;
    let agents = scenario.agents(protocol);
    let drill = Drill { scenario, label, seed, keep, probe, agents: agents.as_ref() };
    let (mut result, examined) = match kind {
        Kind::Optimistic(options) => drill.movable(&contest::optimistic(options, &Probe::default())),
        Kind::Raft(options) => drill.movable(&contest::raft(options)),
        Kind::OmniPaxos(options) => drill.movable(&contest::omnipaxos(options)),
        Kind::Viewstamped(options) => drill.movable(&contest::viewstamped(options)),
        Kind::StaticPrimary(options) => drill.fixed(&contest::static_primary(options)),
        Kind::LazyConsensus(options) => drill.fixed(&contest::lazy_consensus(options)),
        Kind::DynamicVoting(options) => drill.fixed(&contest::dynamic_voting(options)),
    };
    if let Some((name, says)) = kind.defect() {
        result.record.notes.push(format!("{label} has the deliberate defect `{name}`: {says}"));
    }
    (result, examined)
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
    Drill { scenario, label, seed, keep, probe: None, agents: None }.fixed(contest).0
}

/// As [`run_machine`], under a probe, with what checkers need kept in memory.
pub fn run_machine_probed<M: Machine>(
    scenario: &Scenario,
    label: &str,
    seed: u64,
    probe: &Probe,
    contest: &Contest<'_, M>,
) -> (RunResult, Examined) {
    Drill { scenario, label, seed, keep: probe.keep, probe: Some(probe), agents: None }.fixed(contest)
}

/// As [`run_machine_probed`], with an agent on each machine that starts, moves and stops replicas. The protocol must
/// be able to change its members, and its contest say how a newcomer is configured.
pub fn run_reorganised<M: Machine + 'static>(
    scenario: &Scenario,
    label: &str,
    seed: u64,
    probe: &Probe,
    contest: &Contest<'_, M>,
    agents: &Agents,
) -> (RunResult, Examined) {
    let drill = Drill { scenario, label, seed, keep: probe.keep, probe: Some(probe), agents: Some(agents) };
    drill.movable(contest)
}

/// What a test does to a run beyond its scenario.
#[derive(Clone, Debug, Default)]
pub struct Probe {
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
    run_machine_probed(scenario, "optimistic", seed, probe, &contest::optimistic(options, probe))
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

/// What a run is made of besides its machines.
struct Drill<'a> {
    scenario: &'a Scenario,
    label: &'a str,
    seed: u64,
    keep: Keep,
    probe: Option<&'a Probe>,
    agents: Option<&'a Agents>,
}

impl Drill<'_> {
    /// A protocol that can change its members: with agents, if the scenario asks for them.
    fn movable<M: Machine + 'static>(&self, contest: &Contest<'_, M>) -> (RunResult, Examined) {
        match self.agents {
            Some(agents) => self.perform(cast::reorganised(self.scenario, contest, agents), &contest.promises),
            None => self.fixed(contest),
        }
    }

    /// A protocol that keeps the replicas that it is given.
    fn fixed<M: Machine>(&self, contest: &Contest<'_, M>) -> (RunResult, Examined) {
        self.perform(cast::fixed(self.scenario, contest), &contest.promises)
    }

    fn perform<M: Machine>(&self, cast: Cast<M>, promises: &Promises) -> (RunResult, Examined) {
        let &Self { scenario, label, seed, probe, .. } = self;
        let phases = phases::phases(scenario);
        let windows = windows(scenario, &phases);
        let end = SimTime::ZERO + scenario.duration + longest_deadline(scenario) + scenario.drain;
        let Cast { services, agents, spare } = cast;
        let config = WorldConfig {
            topology: scenario.topology.clone(),
            services,
            timeline: scenario.timeline.clone(),
            failures: scenario.failures.clone(),
            seed,
            end,
            observe_every: Some(OBSERVE_EVERY),
            agents,
            spare,
        };
        let doors = if agents.is_some() { front_doors(&scenario.topology) } else { Vec::new() };
        let mut front = self.stage(&windows, promises, doors, self.watch(agents.is_some(), &windows));
        front.moves_until = agents.map(|_| end);
        let wanted = probe.and_then(|probe| probe.tape);
        front.tape = wanted.map(|wanted| Tape::new(wanted, scenario.services.len(), M::VIEWS));
        if self.agents.is_some() && agents.is_none() {
            front.notes.push("the protocol cannot change its members, so nothing was reorganised".to_owned());
        }
        let mut world = World::<M, Stage>::new(config, front);
        for (at, node, set) in probe.into_iter().flat_map(|probe| &probe.reconfigure) {
            world.inject_reconfigure(*at, ServiceId(0), *node, set.clone());
        }
        world.run();
        let (fingerprint, events) = (world.fingerprint(), world.events());
        let (mut fates, mut verdicts, mut fate_of) = (Vec::new(), Vec::new(), BTreeMap::new());
        // Agents come after the services, and hold nothing for clients.
        for (replicas, seat) in world.replicas().services().zip(&world.front().seats) {
            let service = replicas.service();
            let own = fates::fates(&replicas, &seat.recorder, |write, fate| {
                fate_of.insert((service, write), fate);
            });
            let history = world.front().kept.as_ref().map_or(&[][..], |kept| &kept.history);
            let judged = verdicts::Judged { scenario, service, fates: &own, end, seat, history };
            verdicts.extend(judged.verdicts(&replicas, promises));
            fates.push(own);
        }
        let mut stage = world.into_front();
        if let Some(tape) = &mut stage.tape {
            tape.fates = fate_of;
        }
        verdicts.extend(stage.watch.constraints().into_iter().flat_map(|all| verdicts::of_constraints(all, scenario)));
        let finished = Finished { scenario, label, seed, fingerprint, events, end, phases, windows, fates, verdicts };
        finished.result(stage)
    }
}

/// The machines whose agents clients ask where a service is, when no replica that they know answers: two of each
/// data center, so that one may be down.
fn front_doors(topology: &Topology) -> Vec<NodeId> {
    topology.data_centers.iter().flat_map(|site| site.nodes.iter().take(2).copied()).collect()
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

impl Drill<'_> {
    fn watch(&self, reorganises: bool, windows: &[Window]) -> Watch {
        let disturbances: Vec<SimTime> = phases::disturbances(self.scenario).iter().map(|one| one.at).collect();
        Watch::new(self.scenario, self.agents.filter(|_| reorganises), windows, &disturbances)
    }

    fn stage(&self, windows: &[Window], promises: &Promises, doors: Vec<NodeId>, watch: Watch) -> Stage {
        let &Self { scenario, seed, keep, probe, .. } = self;
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
            doors,
            start: SimTime::ZERO,
            end: SimTime::ZERO + scenario.duration,
        };
        let disturbances = phases::disturbances(scenario);
        let corruptions = scenario.timeline.iter().filter(|fault| matches!(fault.action, Action::Corrupt { .. }));
        let rests: Vec<_> = corruptions.map(|fault| (fault.at, fault.at + AFTER_CORRUPTION)).collect();
        let seats = scenario.services.iter().map(|service| Seat {
            recorder: Recorder::new(windows, disturbances.clone(), service.replicas.len(), scenario.duration),
            invariants: Invariants::new(promises.on_every_member, rests.clone()),
            settled_late: false,
            succession: checks::succession(scenario, service, promises),
        });
        let mut edges: Vec<SimTime> = windows.iter().flat_map(|window| [window.from, window.to]).collect();
        edges.sort_unstable();
        edges.dedup();
        let names = Names {
            services: scenario
                .services
                .iter()
                .map(|service| service.name.clone())
                .chain([cast::AGENTS.to_owned()])
                .collect(),
            nodes: topology.nodes.iter().map(|node| node.name.clone()).collect(),
            places: topology.data_centers.iter().map(|site| site.name.clone()).collect(),
        };
        let lines = Lines::new(names, keep.history, keep.trace);
        let mut stage =
            Stage::new(Clients::new(plan, seed), seats.collect(), edges, longest_deadline(scenario), lines, watch);
        let examine = probe.is_some() || scenario.checks.contains(&Check::Linearizability);
        stage.kept = examine.then(Examined::default);
        stage.coverage = keep.coverage.then(Coverage::default);
        stage
    }
}
