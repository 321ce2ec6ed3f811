//! The manager of one service: it lives with the agent of the machine where the primary runs, and only there.
//!
//! It keeps the service at its degree, within the constraints, near its users and off hot machines. It changes
//! the replica set one step at a time, make before break: find a machine, have an empty replica started there,
//! ask the protocol to take it in, wait until it holds everything, and only then ask the protocol to let go of
//! whoever it replaces. What was let go is stopped last, when the protocol has confirmed that it is no member.
//!
//! | file | job |
//! |---|---|
//! | `outlook` | what it sees in one round |
//! | `search` | who is asked for a machine, and which offer is taken |
//! | `steps` | one change of the replica set, step by step |
//! | `improve` | what is not urgent |

mod improve;
mod outlook;
mod search;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::agent::Cx;
use super::evidence::Class;
use super::message::{Life, Message, Part, Urgency};
use crate::id::{DcId, NodeId, ServiceId};
use crate::time::{Duration, LocalTime};

pub use self::outlook::Outlook;
use self::steps::{Goal, Step};

/// A replica that is taken in, or let go, is given up after this.
const PATIENCE: Duration = Duration::from_secs(600);
/// After a search that found nobody, and after each finished step.
const PAUSE: Duration = Duration::from_secs(5);
/// Time constant over which demand is averaged.
const DEMAND_OVER: f64 = 60.0;

#[derive(Debug)]
pub struct Manager {
    service: ServiceId,
    searches: u64,
    goal: Option<Goal>,
    /// Since when a replica is missing: its machine is silent, or has none.
    missing: BTreeMap<NodeId, LocalTime>,
    /// Machines that asked to be rid of their replica.
    recalls: BTreeSet<NodeId>,
    /// No new step of convenience before this.
    quiet_until: LocalTime,
    /// Searches in a row that found nobody.
    failures: u32,
    /// This machine is hot, and no member can carry what it does.
    members_have_no_room: bool,
    /// Requests a second by place, smoothed.
    demand: BTreeMap<DcId, f64>,
    /// The primary would be nearer to its users elsewhere, since when.
    farther_since: Option<LocalTime>,
    /// All replicas that answer reads are hot, or could be fewer, since when.
    crowded_since: Option<LocalTime>,
    sparse_since: Option<LocalTime>,
    /// Replicas for reads beyond the degree.
    extra: usize,
    renewed: Option<LocalTime>,
}

impl Manager {
    pub fn new(service: ServiceId, now: LocalTime) -> Self {
        Self {
            service,
            searches: 0,
            goal: None,
            missing: BTreeMap::new(),
            recalls: BTreeSet::new(),
            quiet_until: now + PAUSE,
            failures: 0,
            members_have_no_room: false,
            demand: BTreeMap::new(),
            farther_since: None,
            crowded_since: None,
            sparse_since: None,
            extra: 0,
            renewed: None,
        }
    }

    /// Clamps what a fault may have overwritten.
    pub fn sanity(&mut self, now: LocalTime) {
        self.quiet_until = self.quiet_until.min(now + PATIENCE);
        self.missing.values_mut().for_each(|at| *at = (*at).min(now));
        let since = [&mut self.farther_since, &mut self.crowded_since, &mut self.sparse_since, &mut self.renewed];
        since.into_iter().flatten().for_each(|at| *at = (*at).min(now));
        if let Some(goal) = &mut self.goal {
            goal.since = goal.since.min(now);
        }
    }

    /// Takes stock, pursues the step under way, or decides on the next.
    pub fn round(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        self.note_missing(out);
        self.note_demand(out);
        self.renew(out, cx);
        self.dismiss_strangers(out, cx);
        match self.goal.take() {
            Some(goal) => self.goal = self.pursue(goal, out, cx),
            None => self.decide(out, cx),
        }
    }

    fn note_missing(&mut self, out: &Outlook<'_>) {
        let now = out.now;
        // A replica is missing too that another manager had stopped before this one counted it in again.
        let is_missing = |node: NodeId| match out.sight.life(node, now) {
            _ if node == out.me() => false,
            Life::Awake(advert) => advert.seat(self.service).is_none(),
            Life::Asleep => true,
            Life::Waking => false,
            Life::Silent(since) => since > out.policy().silent_after,
        };
        self.missing.retain(|node, _| out.set().contains(node) && is_missing(*node));
        for &node in out.set().iter().filter(|&&node| is_missing(node)) {
            self.missing.entry(node).or_insert(now);
        }
    }

    fn note_demand(&mut self, out: &Outlook<'_>) {
        let window = out.window.as_secs_f64();
        if window <= 0.0 {
            return;
        }
        let weight = window / (window + DEMAND_OVER);
        self.demand.values_mut().for_each(|rate| *rate *= 1.0 - weight);
        for demand in &out.housed.served {
            let rate = f64::from(demand.reads + demand.writes) / window;
            *self.demand.entry(demand.place).or_default() += rate * weight;
        }
    }

    /// Whom the step under way is about to take in.
    fn newcomer(&self) -> Option<NodeId> {
        match self.goal.as_ref()?.step {
            Step::Start { node, .. } | Step::TakeIn { node, .. } => Some(node),
            Step::Find { .. } | Step::LetGo { .. } | Step::Lead { .. } => None,
        }
    }

    /// Each replica's machine is told that it is still wanted, and by whom.
    fn renew(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let due = out.policy().lease.scale(1, 3);
        if self.renewed.is_some_and(|at| out.now.since(at) < due) {
            return;
        }
        self.renewed = Some(out.now);
        let (service, replicas): (_, Rc<[NodeId]>) = (self.service, out.set().into());
        let epoch = out.status().view.map_or(0, |view| view.0);
        let holders: BTreeSet<NodeId> = out.set().iter().copied().chain(self.newcomer()).collect();
        for node in holders.into_iter().filter(|&node| node != out.me()) {
            cx.send(node, Message::Renew { service, epoch, replicas: replicas.clone() });
        }
    }

    /// A replica on a machine that is no member is returned: let go by this manager or by one before it.
    fn dismiss_strangers(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let newcomer = self.newcomer();
        let members = &out.status().members;
        let strangers = out.sight.seats(out.now).filter(|(node, seat)| {
            seat.service == self.service
                && seat.part != Part::Primary
                && !out.set().contains(node)
                && !members.contains(node)
                && Some(*node) != newcomer
        });
        let (epoch, replicas): (_, Rc<[NodeId]>) = (out.status().view.map_or(0, |view| view.0), out.set().into());
        for (node, _) in strangers {
            cx.send(node, Message::Return { service: self.service, epoch, replicas: replicas.clone() });
        }
    }

    /// Members whose machines have been silent for long enough that they are to be replaced.
    fn failed(&self, out: &Outlook<'_>) -> Vec<NodeId> {
        let lost_site = match out.class {
            Class::DataCenterDisaster(site) => Some(site),
            _ => None,
        };
        let due = |(&node, &since): (&NodeId, &LocalTime)| {
            let at_once = Some(out.sight.map.site_of(node)) == lost_site || out.class == Class::Disaster;
            (at_once || out.now.since(since) >= out.policy().repair_after).then_some(node)
        };
        self.missing.iter().filter_map(due).collect()
    }

    /// Decides on the next step, if there is one to take.
    fn decide(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let service = out.sight.map.service(self.service);
        let present: Vec<NodeId> = out.set().iter().copied().filter(|node| !self.missing.contains_key(node)).collect();
        let is_lone = present.len() <= 1 && service.degree > 1;
        let failed = self.failed(out);
        let wanted = match out.class {
            Class::SuspectedPartition => out.policy().reserve_degree.min(service.degree),
            _ => service.degree + self.extra,
        };
        // Who is missing for a short while only still counts, unless nobody else is left.
        let counted = if is_lone { present.len() } else { out.set().len() - failed.len() };
        if out.policy().repair && counted < wanted {
            if out.now >= self.quiet_until {
                let urgency = match out.class {
                    _ if is_lone => Urgency::LoneSurvivor,
                    Class::Calm | Class::NodeFailure => Urgency::Repair,
                    _ => Urgency::Disaster,
                };
                let base: Vec<NodeId> = out.set().iter().copied().filter(|node| !failed.contains(node)).collect();
                self.find("recruit", urgency, None, &base, 0.0, out, cx);
            }
            return;
        }
        // Only once there are enough others, and never while the silent side may be serving.
        let is_gone = matches!(out.class, Class::Calm | Class::NodeFailure | Class::DataCenterDisaster(_));
        if out.policy().repair && is_gone && !failed.is_empty() && out.set().len() > failed.len() {
            return self.let_go("replace the failed", failed, out, cx);
        }
        if out.now < self.quiet_until || !out.is_settled() || !self.missing.is_empty() || out.status().changing {
            return;
        }
        if out.set().iter().any(|node| !out.status().members.contains(node)) {
            return;
        }
        if out.set().len() > wanted {
            return self.shed(out, cx);
        }
        self.improve(out, cx);
    }

    /// A machine asks to be rid of its replica.
    pub fn recall(&mut self, from: NodeId) {
        self.recalls.insert(from);
    }

    /// Whether this service objects to a machine's sleep (C4): it holds one of its last copies.
    pub fn objects_to_sleep_of(&self, node: NodeId, out: &Outlook<'_>) -> bool {
        let others = out.status().synced.iter().filter(|&&one| one != node);
        let awake = others.filter(|&&one| one == out.me() || matches!(out.sight.life(one, out.now), Life::Awake(_)));
        out.set().contains(&node) && awake.count() < out.policy().next_degree.max(1)
    }
}

/// Whether something has been so for long enough.
pub fn held(since: &mut Option<LocalTime>, is_so: bool, long: Duration, now: LocalTime) -> bool {
    if !is_so {
        *since = None;
        return false;
    }
    now.since(*since.get_or_insert(now)) >= long
}
