//! What the protocol promised under the faults that happened, and whether it kept it.

use crate::check::constraints::{Breach, Constraint, Constraints, Finding};
use crate::check::invariants::Invariants;
use crate::check::legitimate::{Members, legitimate};
use crate::history::Event;
use crate::id::ServiceId;
use crate::machine::{Machine, Views};
use crate::metrics::recorder::Fates;
use crate::scenario::Scenario;
use crate::time::{Duration, SimTime};
use crate::world::Replicas;
use crate::world::fault::{Action, Fault};

use super::contest::{Promises, Survives};
use super::stage::Seat;
use super::{Verdict, VerdictOutcome};

/// Faults later than this before the end leave no time to settle.
pub(super) const SETTLE: Duration = Duration::from_secs(45);

pub struct Judged<'a> {
    pub scenario: &'a Scenario,
    pub service: ServiceId,
    pub fates: &'a Fates,
    pub end: SimTime,
    pub seat: &'a Seat,
    /// Of all services, if the scenario asks for a check that needs it.
    pub history: &'a [Event],
}

impl Judged<'_> {
    pub fn verdicts<M: Machine>(&self, replicas: &Replicas<'_, M>, promises: &Promises) -> Vec<Verdict> {
        let invariants = &self.seat.invariants;
        let lost = replicas.nodes().iter().filter(|&&node| replicas.disk_lost(node)).count();
        let spared = match promises.survives {
            Survives::NoLostDisk => lost == 0,
            Survives::Minority => 2 * lost < replicas.placed(),
        };
        let mut verdicts = vec![
            match M::VIEWS {
                Views::Coexist => self.within_a_view(invariants, promises.on_every_member),
                Views::Succeed => self.one_history(invariants, promises.on_every_member),
            },
            self.settled::<M>(replicas),
            self.nothing_lost(spared, promises.durable_before_ack),
            self.once_only(),
        ];
        if promises.fresh_reads {
            verdicts.push(self.fresh_reads(invariants));
        }
        let asked = self.scenario.checks.iter();
        verdicts.extend(asked.map(|&check| self.further(check, replicas, promises, spared)));
        verdicts
    }

    pub(super) fn verdict(
        &self,
        check: &str,
        states: &str,
        outcome: VerdictOutcome,
        evidence: Option<String>,
    ) -> Verdict {
        let evidence = evidence.map(|text| format!("{}: {text}", self.scenario.service(self.service)));
        Verdict { check: check.to_owned(), states: states.to_owned(), outcome, evidence }
    }

    fn within_a_view(&self, invariants: &Invariants, on_every_member: bool) -> Verdict {
        let states = if on_every_member {
            "within a view, logs are prefixes of the primary's, and each acknowledged write is durable on every member"
        } else {
            "within a view, logs are prefixes of the primary's"
        };
        self.at_every_event("I1", states, invariants)
    }

    fn one_history(&self, invariants: &Invariants, on_every_member: bool) -> Verdict {
        let states = if on_every_member {
            "of any two committed histories one is a prefix of the other, and each acknowledged write is durable on every member"
        } else {
            "of any two committed histories one is a prefix of the other"
        };
        self.at_every_event("agreement", states, invariants)
    }

    fn at_every_event(&self, check: &str, states: &str, invariants: &Invariants) -> Verdict {
        let (outcome, evidence) = match invariants.violation() {
            Some(what) => (VerdictOutcome::Violated, Some(what.to_owned())),
            None if invariants.checks() == 0 => {
                (VerdictOutcome::Unknown, Some("nothing was there to check".to_owned()))
            }
            None => (VerdictOutcome::Valid, None),
        };
        self.verdict(check, states, outcome, evidence)
    }

    /// I2, I3, I5, I6 at the end: whatever happened is over for long enough.
    fn settled<M: Machine>(&self, replicas: &Replicas<'_, M>) -> Verdict {
        let (check, states) = match M::VIEWS {
            Views::Coexist => {
                ("I2 I3 I5 I6", "every live component ends in a legitimate state: one primary, one view, one history")
            }
            Views::Succeed => ("settled", "wherever enough replicas end together, they have one leader and follow it"),
        };
        let (outcome, evidence) = match (legitimate(replicas, Members::ButHeld), self.unrest(SETTLE)) {
            (Ok(()), _) => (VerdictOutcome::Valid, None),
            // The end came in the middle of a move.
            (Err(_), _) if self.seat.settled_late => (VerdictOutcome::Valid, None),
            (Err(what), None) => (VerdictOutcome::Violated, Some(what)),
            (Err(what), Some(why)) => (VerdictOutcome::Unknown, Some(format!("{what}, but {why}"))),
        };
        self.verdict(check, states, outcome, evidence)
    }

    /// When a fault is over; its beginning, if it stays as it is to the end.
    pub(super) fn moves_until(&self, fault: &Fault) -> SimTime {
        let over = fault.lasts.map(|lasts| fault.at + lasts);
        over.filter(|&over| over <= self.end).unwrap_or(fault.at)
    }

    /// Why the world may still be moving at the end, `settle` being the time that it takes to come to rest.
    pub(super) fn unrest(&self, settle: Duration) -> Option<String> {
        if !self.scenario.failures.is_empty() {
            return Some("failures strike at random to the end".to_owned());
        }
        for fault in &self.scenario.timeline {
            let over = fault.lasts.map(|lasts| fault.at + lasts);
            let goes_on = over.is_none_or(|over| over > self.end);
            let restless = matches!(fault.action, Action::Flap { .. } | Action::Degrade { .. } | Action::Slow { .. });
            if goes_on && restless {
                return Some(format!("\"{}\" goes on to the end", fault.label));
            }
            if self.end.since(self.moves_until(fault)) < settle {
                return Some(format!("\"{}\" was too late to settle", fault.label));
            }
        }
        None
    }

    pub(super) fn corrupted(&self) -> bool {
        self.scenario.timeline.iter().any(|fault| matches!(fault.action, Action::Corrupt { .. }))
    }

    fn nothing_lost(&self, spared: bool, durable_before_ack: bool) -> Verdict {
        let states = "each acknowledged write is in the history or in the journal of a serving group, or on a disk out of its reach";
        let excuse = if !spared {
            Some("more disks were destroyed than it survives (L1)")
        } else if self.corrupted() {
            Some("state was overwritten (L3)")
        } else if !durable_before_ack {
            Some("the ack rule does not wait for a disk (L1)")
        } else {
            None
        };
        let lost = self.fates.lost;
        let (outcome, evidence) = match (lost, excuse) {
            (0, _) => (VerdictOutcome::Valid, None),
            (_, Some(why)) => (VerdictOutcome::NotApplicable, Some(format!("{lost} writes are on no disk: {why}"))),
            (_, None) => (VerdictOutcome::Violated, Some(format!("{lost} acknowledged writes are on no disk"))),
        };
        self.verdict("I4", states, outcome, evidence)
    }

    fn fresh_reads(&self, invariants: &Invariants) -> Verdict {
        let states = "no read misses a write that was acknowledged before it began";
        let (outcome, evidence) = match invariants.stale() {
            None => (VerdictOutcome::Valid, None),
            Some(what) => (VerdictOutcome::Violated, Some(what.to_owned())),
        };
        self.verdict("fresh reads", states, outcome, evidence)
    }

    fn once_only(&self) -> Verdict {
        let states = "no write of a client is applied twice";
        let twice = self.fates.duplicated;
        let (outcome, evidence) = match (twice, self.corrupted()) {
            (0, _) => (VerdictOutcome::Valid, None),
            (_, true) => (VerdictOutcome::NotApplicable, Some(format!("{twice} twice, after state was overwritten"))),
            (_, false) => (VerdictOutcome::Violated, Some(format!("{twice} writes were applied twice"))),
        };
        self.verdict("I7", states, outcome, evidence)
    }
}

/// C1 to C5 of the reorganisation.
pub fn of_constraints(constraints: &Constraints, scenario: &Scenario) -> Vec<Verdict> {
    Constraint::ALL.into_iter().map(|one| of_constraint(one, constraints, scenario)).collect()
}

fn of_constraint(constraint: Constraint, constraints: &Constraints, scenario: &Scenario) -> Verdict {
    let (check, states, unasked) = match constraint {
        Constraint::Spread => {
            ("C1", "at rest, each service is in as many data centers and zones as it is to be", AT_REST)
        }
        Constraint::Share => ("C2", "at rest, no data center holds more than its share of a service", AT_REST),
        Constraint::NextDisaster => {
            ("C3", "at rest, the loss of any one data center leaves replicas and capacity enough", AT_REST)
        }
        Constraint::LastCopies => {
            ("C4", "no machine goes to sleep with one of the last copies of a service", "no machine went to sleep")
        }
        Constraint::Suspend => (
            "C5",
            "while a side of a split does not hear another, it puts no machine to sleep and lets go of no replica",
            "no side of a split was silent for long enough to be noticed",
        ),
    };
    let policy = constraints.policy();
    let is_placement = matches!(constraint, Constraint::Spread | Constraint::Share | Constraint::NextDisaster);
    let excuse = if !constraint.is_on(policy) {
        Some("it is switched off")
    } else if is_placement && !policy.repair {
        Some("the policy repairs nothing")
    } else {
        None
    };
    let (outcome, evidence) = match (constraints.finding(constraint), excuse) {
        (Finding { breach: Some(breach), .. }, None) => (VerdictOutcome::Violated, Some(told(breach, scenario))),
        (Finding { breach: Some(breach), .. }, Some(why)) => {
            (VerdictOutcome::NotApplicable, Some(format!("{}: {why}", told(breach, scenario))))
        }
        (Finding { asked: 0, .. }, _) => (VerdictOutcome::NotApplicable, Some(unasked.to_owned())),
        (Finding { breach: None, .. }, _) => (VerdictOutcome::Valid, None),
    };
    Verdict { check: check.to_owned(), states: states.to_owned(), outcome, evidence }
}

/// Why C1 to C3 may not have been asked.
const AT_REST: &str = "the world was never at rest for long enough, or too few data centers and machines were left";

fn told(breach: &Breach, scenario: &Scenario) -> String {
    let nodes: Vec<&str> = breach.nodes.iter().map(|&node| scenario.node(node)).collect();
    let service = breach.service.map(|service| format!("{}: ", scenario.service(service))).unwrap_or_default();
    let nodes = if nodes.is_empty() { String::new() } else { format!(" ({})", nodes.join(", ")) };
    format!("{service}at {:.0} s: {}{nodes}", breach.at.as_secs_f64(), breach.what)
}
