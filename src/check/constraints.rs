//! C1 to C5 of the reorganisation (specification, section 7), judged by an observer who sees all machines. Agents
//! know none of this.
//!
//! - C1, C2 and C3 are asked at each whole second at which the world is at rest: nothing has happened for as long as
//!   [`Settling`] says. From then on they hold at every second until the next disturbance, while replicas move too.
//!   They are asked only of services for which there are enough sound machines and data centers, and which have a
//!   primary. A replica that is taken in before another is let go counts once.
//! - C4 is asked whenever a machine goes to sleep.
//! - C5 is asked of the sides of a split: once a side has not heard another for so long that it noticed, and until
//!   it takes the silence for a disaster, no machine there goes to sleep and no primary there lets go of a replica
//!   that it reaches.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::capacity::Capacity;
use crate::id::{DcId, NodeId, ServiceId};
use crate::machine::{Machine, Status};
use crate::reorg::{Map, Policy, Service, Violations};
use crate::time::{Duration, SimTime};
use crate::world::{AllReplicas, PowerState, Replicas};

/// The protocol's own way back to one view, as its other checks allow for.
const ONE_VIEW: Duration = Duration::from_secs(45);
/// One step of a manager: a search and the pause after it, beside the lease in which a replica starts.
const STEP: Duration = Duration::from_secs(15);

/// How long the layer may take to settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settling {
    /// After a disturbance is over. Everybody is heard again, and it has been calm for a lease; the protocol is back
    /// in one view; a machine that is needed has booted; and each replica of the largest service was replaced, one
    /// after the other, each by a search, a start within a lease, and a pause; a first search may have failed.
    pub after: Duration,
    /// After machines fell silent for good: what is silent has first to be given up.
    pub without: Duration,
}

impl Settling {
    pub fn of(map: &Map, policy: &Policy) -> Self {
        let boot = map.machines.iter().map(|machine| machine.boot).max().unwrap_or_default();
        let degree = map.services.iter().map(|service| service.degree).max().unwrap_or(0) as u64;
        let heard = policy.site_silent_after() + policy.lease;
        let again = policy.low_for.scale(1, 4);
        let after = ONE_VIEW + heard + boot + (policy.lease + STEP).saturating_mul(degree) + again;
        Self { after, without: after + policy.disaster_after + policy.repair_after }
    }
}

/// When what is asked, from the timeline alone.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// Something has happened lately: C1 to C3 are not asked.
    pub unrest: Vec<(SimTime, SimTime)>,
    /// Links are cut: C5 is asked.
    pub splits: Vec<(SimTime, SimTime)>,
}

/// The constraints, as places in lists of what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    Spread,
    Share,
    NextDisaster,
    LastCopies,
    Suspend,
}

impl Constraint {
    pub const ALL: [Self; 5] = [Self::Spread, Self::Share, Self::NextDisaster, Self::LastCopies, Self::Suspend];

    /// Whether the layer observes it.
    pub fn is_on(self, policy: &Policy) -> bool {
        let on = policy.constraints;
        match self {
            Self::Spread => on.spread,
            Self::Share => on.share,
            Self::NextDisaster => on.next_disaster,
            Self::LastCopies => on.last_copies,
            Self::Suspend => on.suspend,
        }
    }
}

/// The first time that a constraint did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub at: SimTime,
    pub service: Option<ServiceId>,
    pub what: String,
    pub nodes: Vec<NodeId>,
}

/// What was found of one constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// How often it was asked.
    pub asked: u64,
    pub breach: Option<Breach>,
}

/// Whether one data center hears another.
#[derive(Clone, Copy, Debug, Default)]
struct Hearing {
    heard: Option<SimTime>,
    /// It was heard, and is no longer, though machines are awake there.
    apart: Option<SimTime>,
}

#[derive(Debug)]
pub struct Constraints {
    map: Rc<Map>,
    policy: Rc<Policy>,
    settling: Settling,
    spans: Spans,
    findings: [Finding; 5],
    /// Row-major by (who hears, who is heard).
    hearing: Vec<Hearing>,
    /// By service: the replica set of each primary, a second ago.
    sets: Vec<BTreeMap<NodeId, Vec<NodeId>>>,
    /// Since when capacity for the loss of a data center is missing.
    short_since: Option<SimTime>,
}

/// The primary that serves, and its word: of several, that of the largest view, and then of the newest.
pub fn newest<M: Machine>(replicas: &Replicas<'_, M>) -> Option<(NodeId, Status)> {
    let serving = serving(replicas).map(|(node, machine)| (node, machine.status()));
    serving.max_by_key(|(_, status)| (status.members.len(), status.view))
}

fn serving<'a, M: Machine>(replicas: &Replicas<'a, M>) -> impl Iterator<Item = (NodeId, &'a M)> {
    let running = replicas.nodes().iter().copied().filter(move |&node| !replicas.paused(node));
    running.filter_map(move |node| Some((node, replicas.machine(node)?))).filter(|(_, machine)| machine.serving())
}

fn within(spans: &[(SimTime, SimTime)], now: SimTime) -> bool {
    spans.iter().any(|&(from, until)| from <= now && now < until)
}

impl Constraints {
    pub fn new(map: Rc<Map>, policy: Rc<Policy>, spans: Spans) -> Self {
        let (sites, services) = (map.sites.len(), map.services.len());
        Self {
            settling: Settling::of(&map, &policy),
            spans,
            findings: Default::default(),
            hearing: vec![Hearing::default(); sites * sites],
            sets: vec![BTreeMap::new(); services],
            short_since: None,
            map,
            policy,
        }
    }

    pub fn finding(&self, constraint: Constraint) -> &Finding {
        &self.findings[constraint as usize]
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    fn broken(&mut self, constraint: Constraint, breach: Breach) {
        self.findings[constraint as usize].breach.get_or_insert(breach);
    }

    fn asked(&mut self, constraint: Constraint) {
        self.findings[constraint as usize].asked += 1;
    }

    /// A whole second is over.
    pub fn observe<M: Machine>(&mut self, now: SimTime, world: &AllReplicas<'_, M>, capacity: &Capacity) {
        self.listen(now, world);
        let is_at_rest = !within(&self.spans.unrest, now);
        for (index, replicas) in world.services().take(self.map.services.len()).enumerate() {
            let service = ServiceId::from(index);
            self.keeps_what_it_reaches(now, service, &replicas);
            if is_at_rest && let Some((_, status)) = newest(&replicas) {
                self.is_placed(now, service, &status, world, &replicas);
            }
        }
        self.has_capacity(now, is_at_rest, capacity);
    }

    /// C1, C2, and C3 of a service's replicas.
    fn is_placed<M: Machine>(
        &mut self,
        now: SimTime,
        id: ServiceId,
        status: &Status,
        world: &AllReplicas<'_, M>,
        replicas: &Replicas<'_, M>,
    ) {
        let map = self.map.clone();
        let (service, next) = (map.service(id), self.policy.next_degree);
        let is_sound = |node: NodeId| !matches!(world.power_state(node), PowerState::Idle | PowerState::Dead);
        if !can_be_placed(service, &map, next, is_sound) {
            return;
        }
        let nodes: Vec<NodeId> = status.replica_set.iter().copied().filter(|&node| replicas.up(node)).collect();
        let Violations { spread, share, next_disaster } = Violations::of(&nodes, service, &map, next);
        let surplus = nodes.len().saturating_sub(service.degree) as u32;
        for (constraint, holds, what) in [
            (Constraint::Spread, spread == 0, "too few data centers or zones"),
            (Constraint::Share, share <= surplus, "more than its share is in one data center"),
            (Constraint::NextDisaster, next_disaster == 0, "it would not outlive the loss of a data center"),
        ] {
            self.asked(constraint);
            if !holds {
                let (service, what) = (Some(id), what.to_owned());
                self.broken(constraint, Breach { at: now, service, what, nodes: nodes.clone() });
            }
        }
    }

    /// C3 of the load: what is missing is there again once machines have woken.
    fn has_capacity(&mut self, now: SimTime, is_at_rest: bool, capacity: &Capacity) {
        let headroom = self.policy.headroom;
        if !is_at_rest || capacity.outlives_a_loss(headroom) || !capacity.could_outlive_a_loss(headroom) {
            self.short_since = None;
            return;
        }
        let since = *self.short_since.get_or_insert(now);
        if now.since(since) >= self.settling.after {
            let what = format!(
                "machines awake, or awake in time, have not had capacity for the loss of a data center since {} s",
                since.as_secs_f64()
            );
            self.broken(Constraint::NextDisaster, Breach { at: now, service: None, what, nodes: Vec::new() });
        }
    }

    /// An agent puts its machine to sleep; what runs there still runs.
    pub fn sleeps<M: Machine>(&mut self, now: SimTime, node: NodeId, world: &AllReplicas<'_, M>) {
        self.asked(Constraint::LastCopies);
        for replicas in world.services().take(self.map.services.len()) {
            let Some((_, status)) = newest(&replicas) else { continue };
            if !status.synced.contains(&node) {
                continue;
            }
            let runs = |other: &NodeId| *other != node && replicas.up(*other) && !replicas.paused(*other);
            let left: Vec<NodeId> = status.synced.iter().copied().filter(runs).collect();
            if left.len() < self.policy.next_degree.max(1) {
                let what =
                    format!("a machine goes to sleep that holds one of the last copies: {} are left", left.len());
                let service = Some(replicas.service());
                self.broken(Constraint::LastCopies, Breach { at: now, service, what, nodes: vec![node] });
            }
        }
        if let Some(silent) = self.unheard(self.map.site_of(node), Duration::ZERO, now) {
            let what = format!("a machine goes to sleep although data center {} is not heard", silent.0);
            self.broken(Constraint::Suspend, Breach { at: now, service: None, what, nodes: vec![node] });
        }
    }

    /// Who hears whom, while links are cut and for a little before.
    fn listen<M: Machine>(&mut self, now: SimTime, world: &AllReplicas<'_, M>) {
        let long = self.policy.advertise.saturating_mul(5);
        let soon = now + long + Duration::from_secs(1);
        if !self.spans.splits.iter().any(|&(from, until)| from <= soon && now < until) {
            self.hearing.fill(Hearing::default());
            return;
        }
        let Some(agents) = world.services().last() else { return };
        let runs = |node: &NodeId| agents.up(*node) && !agents.paused(*node);
        let awake = |site: &crate::reorg::Site| site.nodes.iter().copied().filter(runs).collect::<Vec<NodeId>>();
        let awake: Vec<Vec<NodeId>> = self.map.sites.iter().map(awake).collect();
        for (at, one) in self.hearing.iter_mut().enumerate() {
            let (here, there) = (&awake[at / awake.len()], &awake[at % awake.len()]);
            let hears = || here.iter().any(|&to| there.iter().any(|&from| agents.open(from, to)));
            if here.is_empty() || there.is_empty() {
                *one = Hearing::default();
            } else if hears() {
                *one = Hearing { heard: Some(one.heard.unwrap_or(now)), apart: None };
            } else {
                let was_heard = one.heard.is_some_and(|since| now.since(since) >= long);
                *one = Hearing { heard: None, apart: one.apart.or(was_heard.then_some(now)) };
            }
        }
        let mut sites = (0..self.map.sites.len()).map(DcId::from);
        if sites.any(|site| self.unheard(site, Duration::ZERO, now).is_some()) {
            self.asked(Constraint::Suspend);
        }
    }

    /// A data center that `site` has not heard for long enough to have noticed, and `more`, and not for so long that
    /// it would give it up.
    fn unheard(&self, site: DcId, more: Duration, now: SimTime) -> Option<DcId> {
        let noticed = self.policy.site_silent_after() + self.policy.advertise.saturating_mul(3) + more;
        let given_up = self.policy.disaster_after.saturating_sub(self.policy.advertise.saturating_mul(3));
        let row = self.hearing.chunks(self.map.sites.len()).nth(site.index())?;
        let is_unheard =
            |one: &Hearing| one.apart.is_some_and(|since| noticed <= now.since(since) && now.since(since) < given_up);
        row.iter().position(is_unheard).map(DcId::from)
    }

    /// C5 of the primaries: none on a side of a split lets go of a running replica that it reaches. A step that began
    /// before may end.
    fn keeps_what_it_reaches<M: Machine>(&mut self, now: SimTime, service: ServiceId, replicas: &Replicas<'_, M>) {
        let sets: BTreeMap<NodeId, Vec<NodeId>> =
            serving(replicas).map(|(node, machine)| (node, machine.status().replica_set)).collect();
        let before = std::mem::replace(&mut self.sets[service.index()], sets);
        if !within(&self.spans.splits, now) {
            return;
        }
        for (primary, set) in &self.sets[service.index()] {
            let was = before.get(primary).into_iter().flatten();
            let gone = was.copied().filter(|node| !set.contains(node) && replicas.connected(*primary, *node));
            let gone: Vec<NodeId> = gone.collect();
            let silent = self.unheard(self.map.site_of(*primary), self.policy.lease, now);
            if let Some(silent) = silent.filter(|_| !gone.is_empty()) {
                let what = format!("a replica is let go although data center {} is not heard", silent.0);
                let breach = Breach { at: now, service: Some(service), what, nodes: gone };
                return self.broken(Constraint::Suspend, breach);
            }
        }
    }
}

/// Whether some placement on sound machines violates nothing.
fn can_be_placed(service: &Service, map: &Map, next_degree: usize, is_sound: impl Fn(NodeId) -> bool) -> bool {
    let mut sites: Vec<DcId> =
        service.pool.iter().copied().filter(|&node| is_sound(node)).map(|node| map.site_of(node)).collect();
    sites.sort_unstable();
    let share = service.degree.div_ceil(service.data_centers.max(1));
    let most = share.min(service.degree.saturating_sub(next_degree));
    let sites: Vec<(DcId, usize)> = sites.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect();
    let mut zones: Vec<u32> = sites.iter().map(|(site, _)| map.sites[site.index()].zone).collect();
    zones.sort_unstable();
    zones.dedup();
    sites.len() >= service.data_centers
        && zones.len() >= service.zones
        && sites.iter().map(|&(_, sound)| sound.min(most)).sum::<usize>() >= service.degree
}
