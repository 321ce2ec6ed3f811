//! Checks that a scenario asks for, beyond those that every run is judged by.

use crate::check::legitimate::{Members, legitimate};
use crate::check::linearizability::{self, Outcome};
use crate::check::succession::{Pace, Succession};
use crate::history::Event;
use crate::machine::{Machine, Views};
use crate::scenario::{Check, Scenario};
use crate::time::{Duration, SimTime};
use crate::workload::Service;
use crate::world::Replicas;
use crate::world::fault::{Action, Disk};

use super::contest::Promises;
use super::verdicts::{Judged, SETTLE};
use super::{Verdict, VerdictOutcome};

/// Steps that the search for an order of one service's operations may take; a step is about a microsecond.
const STEPS: u64 = 500_000;

/// Beyond suspicion and delays: how late a tick may be, and what jitter and reordering add to a delay.
const SLACK: Duration = Duration::from_secs(1);

/// What watches how views succeed each other, if that is asked for and the protocol has such views.
pub fn succession(scenario: &Scenario, service: &Service, promises: &Promises) -> Option<Succession> {
    let asked = [Check::Succession, Check::Rest].iter().any(|check| scenario.checks.contains(check));
    let membership = promises.membership.filter(|_| asked)?;
    let added = scenario.timeline.iter().map(|fault| match fault.action {
        Action::Degrade { add_delay, .. } => add_delay,
        _ => Duration::ZERO,
    });
    // Delays stack, and a message that is overtaken takes up to as long again.
    let longest = scenario.topology.paths.iter().map(|path| path.one_way).max().unwrap_or_default();
    let under_way = added.fold(longest, |sum, delay| sum + delay).saturating_mul(2);
    let pace = Pace {
        heartbeat: membership.heartbeat,
        silence_max: membership.suspect_after + membership.heartbeat + under_way + SLACK,
    };
    let corruptions = scenario.timeline.iter().filter(|fault| matches!(fault.action, Action::Corrupt { .. }));
    Some(Succession::new(pace, service.replicas.len(), corruptions.map(|fault| fault.at).min()))
}

type Found = (VerdictOutcome, Option<String>);

const HOLDS: Found = (VerdictOutcome::Valid, None);

fn violated(what: impl Into<String>) -> Found {
    (VerdictOutcome::Violated, Some(what.into()))
}

fn excused(why: impl Into<String>) -> Found {
    (VerdictOutcome::NotApplicable, Some(why.into()))
}

impl Judged<'_> {
    /// The verdict of a check that is asked for. `spared`: no more disks were lost than the protocol survives.
    pub(super) fn further<M: Machine>(
        &self,
        check: Check,
        replicas: &Replicas<'_, M>,
        promises: &Promises,
        spared: bool,
    ) -> Verdict {
        let (states, (outcome, evidence)) = match check {
            Check::Linearizability => (
                "one order of all operations explains every answer, and keeps each between its start and its end",
                self.linearizability(promises, spared),
            ),
            Check::Accounts => (
                "one history revokes no acknowledged write, and elsewhere the client of a revoked one is told",
                self.accounts::<M>(),
            ),
            Check::Succession => (
                "views are proposed with the living, go on without a member at the third attempt, and from no tail",
                self.succession(),
            ),
            Check::Rest => (
                "long after the last fault nobody who runs is left out of the view, and none is installed",
                self.rest(replicas, promises),
            ),
        };
        self.verdict(check.name(), states, outcome, evidence)
    }

    fn loses_disks(&self) -> bool {
        let lost = |action: &Action| matches!(action, Action::Crash { disk: Disk::Lost, .. });
        self.scenario.timeline.iter().any(|fault| lost(&fault.action))
            || self.scenario.failures.iter().any(|failure| failure.disk == Disk::Lost)
    }

    fn linearizability(&self, promises: &Promises, spared: bool) -> Found {
        let until = if promises.fresh_reads {
            None
        } else if promises.linearizable_in_one_chain {
            if self.loses_disks() {
                return excused("a disk was lost");
            }
            self.seat.invariants.chain_broken()
        } else {
            return excused("with these options the protocol does not promise it");
        };
        if self.corrupted() {
            return excused("state was overwritten (L3)");
        }
        if !spared {
            return excused("more disks were destroyed than it survives (L1)");
        }
        let events: Vec<Event> = self.history.iter().filter(|event| event.service == self.service).copied().collect();
        match linearizability::check(&events, until, STEPS) {
            Outcome::Valid => HOLDS,
            Outcome::Unknown => {
                (VerdictOutcome::Unknown, Some(format!("no order was found within {STEPS} steps, and none excluded")))
            }
            Outcome::Violated { key, evidence, .. } => violated(format!("on key {key}, {evidence}")),
        }
    }

    fn accounts<M: Machine>(&self) -> Found {
        let fates = self.fates;
        if M::VIEWS == Views::Succeed && fates.revoked > 0 {
            return violated(format!("{} acknowledged writes were revoked", fates.revoked));
        }
        // A client is told when it can be reached, which takes a while.
        if fates.told < fates.revoked && self.unrest(SETTLE).is_none() && !self.is_cut_at_the_end() {
            let (told, revoked) = (fates.told, fates.revoked);
            return violated(format!("{revoked} writes were revoked, and the clients of {told} were told"));
        }
        HOLDS
    }

    /// Whether some condition of the network stays to the end.
    fn is_cut_at_the_end(&self) -> bool {
        let goes_on = |at: SimTime, lasts: Option<Duration>| lasts.is_none_or(|lasts| at + lasts > self.end);
        self.scenario.timeline.iter().any(|fault| {
            let cuts = matches!(
                fault.action,
                Action::Partition { .. } | Action::Cut { .. } | Action::Flap { .. } | Action::Degrade { .. }
            );
            cuts && goes_on(fault.at, fault.lasts)
        })
    }

    fn succession(&self) -> Found {
        match &self.seat.succession {
            None => excused("the protocol has no views of this kind"),
            Some(succession) => succession.violation().map_or(HOLDS, violated),
        }
    }

    /// Whoever failed is left out for a while; when that is over too, everyone is in.
    fn rest<M: Machine>(&self, replicas: &Replicas<'_, M>, promises: &Promises) -> Found {
        let Some(membership) = promises.membership else {
            return excused("the protocol leaves nobody out");
        };
        let settle = SETTLE + membership.hold_down_max;
        if let Some(why) = self.unrest(settle) {
            return excused(why);
        }
        let last = self.scenario.timeline.iter().map(|fault| self.moves_until(fault)).max().unwrap_or_default();
        let late = self.seat.succession.as_ref().and_then(Succession::last_installed).filter(|&at| at > last + settle);
        if let Some(at) = late {
            let after = at.since(last).as_secs_f64();
            return violated(format!(
                "a view was installed at {:.6} s, {after:.1} s after the last fault",
                at.as_secs_f64()
            ));
        }
        legitimate(replicas, Members::All).map_or_else(violated, |()| HOLDS)
    }
}
