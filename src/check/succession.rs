//! Checks of how views succeed each other, where sides may serve without each other: who is taken into a view,
//! when a change goes on without a member, and which branch a merge goes on from (protocol specification,
//! sections 4 and 5).

use std::collections::VecDeque;

use crate::id::NodeId;
use crate::machine::{Machine, Note};
use crate::op::Tip;
use crate::time::{Duration, SimTime};
use crate::world::Replicas;

/// How soon the dead are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two heartbeats. A replica that did not run for longer perceives no more than this of it.
    pub heartbeat: Duration,
    /// Silence, as a replica perceives it, after which nobody is taken for alive: suspicion, and the longest
    /// that a heartbeat may be under way.
    pub silence_max: Duration,
}

/// A change goes on without members that do not answer only after so many attempts were given up.
const ATTEMPTS_GIVEN_UP: u32 = 2;

/// The newest views are remembered, so that memory does not grow with the run.
const REMEMBERED: usize = 512;

/// A view that every member of it is known to hold.
#[derive(Clone, Debug)]
struct Confirmed {
    /// Its entry.
    view: Tip,
    /// An entry behind which every holder knows that the view was confirmed.
    known_at: Tip,
    /// The entries of the confirmed views that it goes on from.
    after: Vec<Tip>,
}

/// What a replica did as coordinator, and when it ran.
#[derive(Clone, Debug, Default)]
struct Coordinator {
    proposed: Vec<NodeId>,
    given_up: u32,
    stepped: SimTime,
    /// How long it ran, gaps counting for no more than a heartbeat.
    ran: Duration,
    /// By place: how long it had run when that replica last made a step.
    ran_at_step_of: Vec<Duration>,
}

/// The checks of one service.
#[derive(Debug)]
pub struct Succession {
    pace: Pace,
    /// From then on state that a fault made up may be met anywhere, and nothing is judged.
    corrupted: Option<SimTime>,
    coordinators: Vec<Coordinator>,
    confirmed: VecDeque<Confirmed>,
    /// When a coordinator last installed a view.
    last_installed: Option<SimTime>,
    /// Ends of logs that some replica had just after it installed a view, and so in no log that it did not install.
    installed: VecDeque<Tip>,
    violation: Option<String>,
}

impl Succession {
    pub fn new(pace: Pace, replicas: usize, corrupted: Option<SimTime>) -> Self {
        let one = Coordinator { ran_at_step_of: vec![Duration::ZERO; replicas], ..Coordinator::default() };
        Self {
            pace,
            corrupted,
            coordinators: vec![one; replicas],
            confirmed: VecDeque::new(),
            last_installed: None,
            installed: VecDeque::new(),
            violation: None,
        }
    }

    /// The first thing that was wrong.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// When a view last took effect at its coordinator.
    pub fn last_installed(&self) -> Option<SimTime> {
        self.last_installed
    }

    fn violated(&mut self, now: SimTime, what: String) {
        if self.violation.is_none() {
            self.violation = Some(format!("at {:.6} s: {what}", now.as_secs_f64()));
        }
    }

    /// A replica made a step.
    pub fn stepped(&mut self, now: SimTime, node: NodeId, nodes: &[NodeId]) {
        let Some(place) = nodes.iter().position(|&one| one == node) else { return };
        let heartbeat = self.pace.heartbeat;
        let one = &mut self.coordinators[place];
        one.ran += now.since(one.stepped).min(heartbeat);
        one.stepped = now;
        for other in &mut self.coordinators {
            other.ran_at_step_of[place] = other.ran + now.since(other.stepped).min(heartbeat);
        }
    }

    /// A replica tells of a decision.
    pub fn note<M: Machine>(&mut self, now: SimTime, node: NodeId, note: &Note, replicas: &Replicas<'_, M>) {
        let Some(place) = replicas.nodes().iter().position(|&one| one == node) else { return };
        if matches!(note, Note::Installed { coordinator, .. } if *coordinator == node) {
            self.last_installed = Some(now);
        }
        if self.corrupted.is_some_and(|at| at <= now) {
            return;
        }
        match note {
            Note::Proposed { members, .. } => {
                self.members_are_alive(now, place, members, replicas.nodes());
                self.coordinators[place].proposed.clone_from(members);
            }
            Note::Abandoned { .. } => self.coordinators[place].given_up += 1,
            Note::Installed { coordinator, members, .. } => {
                if *coordinator == node {
                    self.nobody_was_left_early(now, place, node, members);
                    self.goes_on_from_no_tail(now, node, replicas);
                }
                if let Some(machine) = replicas.machine(node) {
                    remember(&mut self.installed, machine.tip());
                }
                self.coordinators[place].given_up = 0;
            }
            Note::Confirmed { tip, .. } => self.confirm(node, *tip, replicas),
            _ => {}
        }
    }

    /// Nobody is proposed for a view who has been dead for longer than suspicion takes.
    fn members_are_alive(&mut self, now: SimTime, place: usize, members: &[NodeId], nodes: &[NodeId]) {
        let coordinator = &self.coordinators[place];
        let ran = coordinator.ran + now.since(coordinator.stepped).min(self.pace.heartbeat);
        let silent = |&(at, node): &(usize, &NodeId)| {
            at != place
                && members.contains(node)
                && ran.saturating_sub(coordinator.ran_at_step_of[at]) > self.pace.silence_max
        };
        if let Some((at, dead)) = nodes.iter().enumerate().find(silent) {
            let since = now.since(self.coordinators[at].stepped).as_secs_f64();
            let (me, dead) = (nodes[place].0, dead.0);
            self.violated(
                now,
                format!("node {me} proposes a view with node {dead}, which has not run for {since:.1} s"),
            );
        }
    }

    /// A member that does not answer is gone on without only at the third attempt.
    fn nobody_was_left_early(&mut self, now: SimTime, place: usize, node: NodeId, members: &[NodeId]) {
        let coordinator = &self.coordinators[place];
        let missing: Vec<u32> =
            coordinator.proposed.iter().filter(|one| !members.contains(one)).map(|one| one.0).collect();
        let given_up = coordinator.given_up;
        if !missing.is_empty() && given_up < ATTEMPTS_GIVEN_UP {
            let (me, tries) = (node.0, given_up + 1);
            self.violated(now, format!("node {me} installs a view without {missing:?} at attempt {tries} of 3"));
        }
    }

    /// A branch whose last confirmed view another branch has gone on from is never what a merge goes on from.
    fn goes_on_from_no_tail<M: Machine>(&mut self, now: SimTime, node: NodeId, replicas: &Replicas<'_, M>) {
        let Some(machine) = replicas.machine(node) else { return };
        let in_chain = self.confirmed.iter().filter(|one| machine.chain_holds(one.known_at));
        let Some(base) = in_chain.max_by_key(|one| one.view) else { return };
        // A later view in the base may have been confirmed there, without its members having heard of it.
        if self.installed.iter().any(|&tip| tip.length > base.view.length && machine.chain_holds(tip)) {
            return;
        }
        let passed_over = |one: &&Confirmed| {
            one.after.contains(&base.view) && !machine.chain_holds(one.view) && machine.covers(one.known_at)
        };
        if let Some(lost) = self.confirmed.iter().find(passed_over) {
            let (from, to) = (base.view.length, lost.view.length);
            self.violated(
                now,
                format!("the merge of node {} goes on from the view at {from}, and not from the one at {to} that followed it", node.0),
            );
        }
    }

    fn confirm<M: Machine>(&mut self, node: NodeId, view: Tip, replicas: &Replicas<'_, M>) {
        let Some(machine) = replicas.machine(node) else { return };
        let held = self.confirmed.iter().map(|one| one.view).filter(|&tip| tip != view && machine.chain_holds(tip));
        let after = held.collect();
        let known_at = machine.tip();
        remember(&mut self.confirmed, Confirmed { view, known_at, after });
    }
}

fn remember<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() == REMEMBERED {
        all.pop_front();
    }
    all.push_back(one);
}
