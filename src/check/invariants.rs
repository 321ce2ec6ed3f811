//! Checks while a run goes on: what must hold at every event of a view, and which confirmed views there were.

use crate::id::NodeId;
use crate::machine::{Machine, Views};
use crate::op::Tip;
use crate::time::SimTime;
use crate::world::Replicas;

/// The checks of one service during a run.
#[derive(Debug)]
pub struct Invariants {
    /// Each acknowledged write is on every member of the view: promised by this protocol and ack rule.
    on_every_member: bool,
    /// When state is overwritten by faults, each with when it is put right at the latest: nothing is promised
    /// in between.
    rests: Vec<(SimTime, SimTime)>,
    violation: Option<String>,
    /// How often something was checked: a verdict of nothing checked is no verdict.
    checks: u64,
    /// The longest committed history seen, and who had it: of protocols of one history.
    furthest: Option<(NodeId, Tip)>,
    /// The first read that missed a write acknowledged before it began.
    stale: Option<String>,
    confirmed: Option<Tip>,
    /// When a confirmed view first did not continue the one confirmed before it.
    chain_broken: Option<SimTime>,
}

impl Invariants {
    pub fn new(on_every_member: bool, rests: Vec<(SimTime, SimTime)>) -> Self {
        Self {
            on_every_member,
            rests,
            violation: None,
            checks: 0,
            furthest: None,
            stale: None,
            confirmed: None,
            chain_broken: None,
        }
    }

    fn rests(&self, now: SimTime) -> bool {
        self.rests.iter().any(|&(from, until)| from <= now && now < until)
    }

    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub fn checks(&self) -> u64 {
        self.checks
    }

    /// Until when the confirmed views formed one chain; `None`: to the end.
    pub fn chain_broken(&self) -> Option<SimTime> {
        self.chain_broken
    }

    fn violated(&mut self, now: SimTime, what: String) {
        if self.violation.is_none() {
            self.violation = Some(format!("at {:.6} s: {what}", now.as_secs_f64()));
        }
    }

    /// The first stale read, told.
    pub fn stale(&self) -> Option<&str> {
        self.stale.as_deref()
    }

    /// A replica answered a read of `key` without a write that was acknowledged before the read began.
    pub fn read_stale(&mut self, now: SimTime, node: NodeId, key: u32) {
        if self.stale.is_none() {
            let at = now.as_secs_f64();
            self.stale = Some(format!("at {at:.6} s: node {} answered a stale read of key {key}", node.0));
        }
    }

    /// After a step of `node`: its history agrees with those it has to agree with.
    pub fn stepped<M: Machine>(&mut self, now: SimTime, node: NodeId, replicas: &Replicas<'_, M>) {
        if self.rests(now) {
            return;
        }
        let Some(machine) = replicas.machine(node) else { return };
        match M::VIEWS {
            Views::Coexist => self.follows_its_primary(now, node, machine, replicas),
            Views::Succeed => self.agrees_with_the_furthest(now, node, machine, replicas),
        }
    }

    /// Of protocols of one history: of any two committed histories one is a prefix of the other.
    fn agrees_with_the_furthest<M: Machine>(
        &mut self,
        now: SimTime,
        node: NodeId,
        machine: &M,
        replicas: &Replicas<'_, M>,
    ) {
        let tip = machine.tip();
        let Some((holder, furthest)) = self.furthest else {
            self.furthest = (tip.length > 0).then_some((node, tip));
            return;
        };
        let agrees = if tip.length >= furthest.length {
            self.furthest = Some((node, tip));
            machine.covers(furthest)
        } else {
            // Its holder may have crashed, or started anew: then the next to get as far is compared.
            let other = replicas.machine(holder).filter(|other| other.tip().length >= tip.length);
            let Some(other) = other else { return };
            other.covers(tip)
        };
        self.checks += 1;
        if !agrees {
            self.violated(now, format!("nodes {} and {} committed different histories", node.0, holder.0));
        }
    }

    /// Within a view, a member's log is a prefix of its primary's (I1).
    fn follows_its_primary<M: Machine>(&mut self, now: SimTime, node: NodeId, machine: &M, replicas: &Replicas<'_, M>) {
        let Some((_, primary, _)) = machine.view().filter(|view| view.1 != node) else { return };
        let Some(leader) = replicas.machine(primary) else { return };
        if !leader.serving() || leader.view() != machine.view() {
            return;
        }
        self.checks += 1;
        if !leader.covers(machine.tip()) {
            self.violated(now, format!("the log of node {} is no prefix of that of its primary {}", node.0, primary.0));
        }
    }

    /// A write was acknowledged by `node` at `token`: it is durable on every member of the view (I1).
    pub fn acknowledged<M: Machine>(&mut self, now: SimTime, node: NodeId, token: Tip, replicas: &Replicas<'_, M>) {
        if self.rests(now) || !self.on_every_member {
            return;
        }
        let Some(primary) = replicas.machine(node) else { return };
        let view = primary.view();
        for member in primary.status().members {
            let Some(machine) = replicas.machine(member).filter(|machine| machine.view() == view) else { continue };
            self.checks += 1;
            if !machine.holds_durably(token) {
                self.violated(
                    now,
                    format!("primary {} acknowledged a write that member {} does not hold", node.0, member.0),
                );
            }
        }
    }

    /// Every member of a view acknowledged its entry, `tip`.
    pub fn confirmed<M: Machine>(&mut self, now: SimTime, node: NodeId, tip: Tip, replicas: &Replicas<'_, M>) {
        let Some(machine) = replicas.machine(node) else { return };
        if self.confirmed.is_some_and(|before| !machine.chain_holds(before)) && self.chain_broken.is_none() {
            self.chain_broken = Some(now);
        }
        self.confirmed = Some(tip);
    }
}
