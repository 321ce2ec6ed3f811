//! The manager of one service: it lives with the agent of the machine where the primary runs, and only there.
//!
//! It keeps the service at its degree, within the constraints, near its users and off hot machines. It changes
//! the replica set one step at a time, make before break: find a machine, have an empty replica started there,
//! ask the protocol to take it in, wait until it holds everything, and only then ask the protocol to let go of
//! whoever it replaces. What was let go is stopped last, when the protocol has confirmed that it is no member.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::agent::{Cx, Timer};
use super::constraints::{Violations, cost_of_load, cost_of_move};
use super::evidence::{Class, Evidence};
use super::message::{Advert, Life, Message, Need, Part, Search, SiteLife, Urgency};
use super::policy::Policy;
use super::sight::Sight;
use crate::id::{DcId, NodeId, ServiceId};
use crate::machine::{Decision, Effect, Housed, Note, Order, Status};
use crate::time::{Duration, LocalTime};

/// Stewards that one search asks, the more the oftener it found nobody.
const ASKED: usize = 6;
/// A protocol that was asked for another set is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// A replica that is taken in, or let go, is given up after this.
const PATIENCE: Duration = Duration::from_secs(600);
/// After a search that found nobody, and after each finished step.
const PAUSE: Duration = Duration::from_secs(5);
/// The primary moves nearer to its users only if their mean round trip falls by this share and this much.
const NEARER_BY: f64 = 0.2;
const NEARER_MS: f64 = 5.0;
/// Time constant over which demand is averaged.
const DEMAND_OVER: f64 = 60.0;

/// What a manager sees in one round.
pub struct Outlook<'a> {
    pub sight: &'a Sight,
    pub now: LocalTime,
    pub own: &'a Advert,
    pub housed: &'a Housed,
    pub window: Duration,
    pub class: Class,
    pub evidence: &'a Evidence,
    /// A disaster or a partition is under way, or has not been for so long.
    pub is_suspended: bool,
    pub calm_for: Duration,
    /// This machine has been hot for long, and this service is to leave it.
    pub is_hot: bool,
}

impl Outlook<'_> {
    fn policy(&self) -> &Policy {
        &self.sight.policy
    }
    fn status(&self) -> &Status {
        &self.housed.status
    }
    fn set(&self) -> &[NodeId] {
        &self.housed.status.replica_set
    }
    fn me(&self) -> NodeId {
        self.sight.me
    }
    /// Load of a machine between 0 and 1 and beyond; `None`: it is not awake, as far as is known.
    fn load(&self, node: NodeId) -> Option<f64> {
        let thousandths = if node == self.me() { self.own.load } else { self.sight.advert(node, self.now)?.load };
        Some(f64::from(thousandths) / 1_000.0)
    }
    /// Load that the service's requests put on this machine.
    fn own_share(&self) -> f64 {
        self.own.seat(self.housed.service).map_or(0.0, |seat| f64::from(seat.load) / 1_000.0)
    }
    fn rate(&self) -> f64 {
        self.own_share() * self.sight.map.machines[self.me().index()].capacity
    }
    fn violations(&self, replicas: &[NodeId]) -> u32 {
        let map = &self.sight.map;
        let service = map.service(self.housed.service);
        Violations::of(replicas, service, map, self.policy().next_degree).count(self.policy())
    }
    fn cost(&self, load: f64, node: NodeId) -> f64 {
        cost_of_load(load, node, &self.sight.map, self.policy())
    }
    /// More than counts as hot.
    fn is_loaded(&self) -> bool {
        f64::from(self.own.load) / 1_000.0 > self.policy().high
    }
    /// C5 suspends what would only save or tidy up.
    fn is_settled(&self) -> bool {
        let policy = self.policy();
        !policy.constraints.suspend || (!self.is_suspended && self.calm_for >= policy.lease)
    }
}

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

/// The step under way.
#[derive(Debug)]
struct Goal {
    /// Who makes way for the newcomer.
    instead_of: Option<NodeId>,
    since: LocalTime,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Offers are collected until the timer of the search.
    Find { need: Rc<Need>, offers: Vec<Offer> },
    /// An empty replica is to start there.
    Start { node: NodeId, search: Search },
    /// The protocol is to take it in.
    TakeIn { node: NodeId, asked: Option<LocalTime> },
    /// The protocol is to let go of these.
    LetGo { nodes: Vec<NodeId>, asked: Option<LocalTime> },
    /// The protocol is to make it primary.
    Lead { node: NodeId, asked: Option<LocalTime> },
}

/// A place that a machine offers.
#[derive(Clone, Copy, Debug)]
struct Offer {
    node: NodeId,
    /// Power that it would add.
    watts: f64,
    load: f64,
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

    /// Each replica's machine is told that it is still wanted, and by whom.
    fn renew(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let due = out.policy().lease.scale(1, 3);
        if self.renewed.is_some_and(|at| out.now.since(at) < due) {
            return;
        }
        self.renewed = Some(out.now);
        let (service, replicas): (_, Rc<[NodeId]>) = (self.service, out.set().into());
        let epoch = out.status().view.map_or(0, |view| view.0);
        let newcomer = self.goal.as_ref().and_then(|goal| match goal.step {
            Step::Start { node, .. } | Step::TakeIn { node, .. } => Some(node),
            _ => None,
        });
        let holders: BTreeSet<NodeId> = out.set().iter().copied().chain(newcomer).collect();
        for node in holders.into_iter().filter(|&node| node != out.me()) {
            cx.send(node, Message::Renew { service, epoch, replicas: replicas.clone() });
        }
    }

    /// A replica on a machine that is no member is returned: let go by this manager or by one before it.
    fn dismiss_strangers(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let expected = self.goal.as_ref().and_then(|goal| match &goal.step {
            Step::Start { node, .. } | Step::TakeIn { node, .. } => Some(*node),
            _ => None,
        });
        let members = &out.status().members;
        let strangers = out.sight.seats(out.now).filter(|(node, seat)| {
            seat.service == self.service
                && seat.part != Part::Primary
                && !out.set().contains(node)
                && !members.contains(node)
                && Some(*node) != expected
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

    /// Lets go of the replica that is missed least.
    fn shed(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let rest =
            |victim: NodeId| -> Vec<NodeId> { out.set().iter().copied().filter(|&node| node != victim).collect() };
        let place = |node: NodeId| out.set().iter().position(|&one| one == node);
        let cost = |&node: &NodeId| (out.violations(&rest(node)), node == out.me(), std::cmp::Reverse(place(node)));
        if let Some(victim) = out.set().iter().copied().min_by_key(cost) {
            self.let_go("shed", vec![victim], out, cx);
        }
    }

    /// What is not urgent: constraints, load, distance, and machines that would like to sleep.
    fn improve(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let policy = out.policy();
        if (policy.repair && self.mend_constraints(out, cx)) || (policy.balance && self.relieve(out, cx)) {
            return;
        }
        if policy.balance {
            self.count_readers(out);
            if self.approach(out, cx) {
                return;
            }
        }
        if policy.save {
            self.answer_recall(out, cx);
        }
    }

    /// Replaces the replica whose removal makes most room for fewer violations.
    fn mend_constraints(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) -> bool {
        let now = out.violations(out.set());
        if now == 0 {
            return false;
        }
        let after = |&victim: &NodeId| {
            let base: Vec<NodeId> = out.set().iter().copied().filter(|&node| node != victim).collect();
            let sites = self.sites_for(&base, out);
            sites.first().map_or(u32::MAX, |&(violations, ..)| violations)
        };
        let victims = out.set().iter().copied();
        let Some(victim) = victims.min_by_key(|node| (after(node), *node == out.me())) else { return false };
        if after(&victim) >= now {
            return false;
        }
        let base: Vec<NodeId> = out.set().iter().copied().filter(|&node| node != victim).collect();
        let rate = if victim == out.me() { out.rate() } else { 0.0 };
        self.find("mend the constraints", Urgency::Balance, Some(victim), &base, rate, out, cx);
        true
    }

    /// This machine is hot: another member leads, or else another machine takes this replica's place.
    fn relieve(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) -> bool {
        if !out.is_hot {
            return false;
        }
        let others: Vec<NodeId> = out.set().iter().copied().filter(|&node| node != out.me()).collect();
        if !std::mem::take(&mut self.members_have_no_room) {
            self.find_leader("move the primary off a hot machine", others, out, cx);
        } else {
            let (urgency, rate) = (Urgency::Balance, out.rate());
            self.find("migrate off a hot machine", urgency, Some(out.me()), &others, rate, out, cx);
        }
        true
    }

    /// Adds a replica for reads when those there are hot, and gives it up when fewer would do.
    fn count_readers(&mut self, out: &Outlook<'_>) {
        let service = out.sight.map.service(self.service);
        if !service.reads_anywhere {
            return;
        }
        let shares = out.sight.seats(out.now).filter(|(_, seat)| seat.service == self.service);
        let total = shares.map(|(_, seat)| f64::from(seat.load) / 1_000.0).sum::<f64>() + out.own_share();
        let (count, policy, now) = (out.set().len() as f64, out.policy(), out.now);
        let crowded = total / count > policy.high && self.extra < service.degree;
        let sparse = self.extra > 0 && total / (count - 1.0) < policy.high / 2.0;
        if held(&mut self.crowded_since, crowded, policy.high_for, now) {
            self.extra += 1;
            self.crowded_since = None;
        }
        if held(&mut self.sparse_since, sparse, policy.low_for, now) {
            self.extra -= 1;
            self.sparse_since = None;
        }
    }

    /// Moves the primary to the member that is nearest to the users, if that is much nearer, for long.
    fn approach(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) -> bool {
        let map = &out.sight.map;
        let total: f64 = self.demand.values().sum();
        let distance = |node: NodeId| {
            let site = map.site_of(node);
            let trip = |place: DcId| (map.one_way(place, site) + map.one_way(site, place)).as_millis_f64();
            self.demand.iter().map(|(&place, rate)| rate * trip(place)).sum::<f64>() / total.max(f64::MIN_POSITIVE)
        };
        let here = distance(out.me());
        // Far enough below what would count as hot that it does not come back.
        let room = (out.policy().low + out.policy().high) / 2.0;
        let has_room = |node: &NodeId| out.load(*node).is_some_and(|load| load + out.own_share() <= room);
        let members = out.set().iter().copied().filter(|&node| node != out.me()).filter(has_room);
        let best = members.map(|node| (distance(node), node)).min_by(|a, b| a.0.total_cmp(&b.0));
        let nearer = best.filter(|&(there, _)| here - there > NEARER_MS && there < here * (1.0 - NEARER_BY));
        if held(&mut self.farther_since, nearer.is_some() && total > 0.0, out.policy().low_for, out.now)
            && let Some((_, node)) = nearer
        {
            self.farther_since = None;
            self.find_leader("move the primary towards its users", vec![node], out, cx);
            return true;
        }
        false
    }

    /// Finds another place for a replica whose machine would like to sleep.
    fn answer_recall(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let Some(&node) = self.recalls.iter().find(|node| out.set().contains(node)) else {
            self.recalls.clear();
            return;
        };
        self.recalls.clear();
        let base: Vec<NodeId> = out.set().iter().copied().filter(|&one| one != node).collect();
        let rate = if node == out.me() { out.rate() } else { 0.0 };
        self.find("consolidate", Urgency::Saving, Some(node), &base, rate, out, cx);
    }

    /// A machine asks to be rid of its replica.
    pub fn recall(&mut self, from: NodeId) {
        self.recalls.insert(from);
    }

    /// Sites that could take a newcomer to `base`, best first: by violations, then by distance from here.
    fn sites_for(&self, base: &[NodeId], out: &Outlook<'_>) -> Vec<(u32, Duration, DcId)> {
        let map = &out.sight.map;
        let pool = &map.service(self.service).pool;
        let mut with = base.to_vec();
        let mut sites: Vec<(u32, Duration, DcId)> = (0..map.sites.len())
            .map(DcId::from)
            .filter(|&site| out.sight.site_life(site, out.now) == SiteLife::Heard)
            .filter_map(|site| {
                let free = |node: &&NodeId| pool.binary_search(node).is_ok() && !out.set().contains(node);
                let newcomer = *map.sites[site.index()].nodes.iter().find(free)?;
                with.push(newcomer);
                let violations = out.violations(&with);
                with.pop();
                Some((violations, map.one_way(out.sight.site(), site), site))
            })
            .collect();
        sites.sort_unstable();
        sites
    }

    /// Asks stewards for a machine.
    #[expect(clippy::too_many_arguments, reason = "one search, told in one line at each place that begins one")]
    fn find(
        &mut self,
        action: &'static str,
        urgency: Urgency,
        instead_of: Option<NodeId>,
        base: &[NodeId],
        rate: f64,
        out: &Outlook<'_>,
        cx: &mut Cx<'_>,
    ) {
        let mut sites = self.sites_for(base, out);
        if urgency == Urgency::Saving {
            // Within its site nothing changes for the constraints, and little for the users.
            let home = instead_of.map(|node| out.sight.map.site_of(node));
            sites.sort_by_key(|&(violations, _, site)| (violations, Some(site) != home));
        }
        sites.truncate(ASKED * (1 + self.failures as usize));
        self.searches += 1;
        let search = Search { manager: out.me(), number: self.searches };
        let need = Rc::new(Need {
            search,
            service: self.service,
            urgency,
            degree: out.set().len(),
            except: out.set().to_vec(),
            rate: rate as u64,
            bytes: out.housed.bytes,
            takes_lead: false,
        });
        let mut farthest = Duration::ZERO;
        for &(_, _, site) in &sites {
            let there = out.sight.map.one_way(out.sight.site(), site) + out.sight.map.one_way(site, out.sight.site());
            farthest = farthest.max(there);
            let steward = if site == out.sight.site() {
                out.sight.steward(out.now)
            } else {
                out.sight.spokesman(site, self.searches, out.now)
            };
            cx.send(steward, Message::Need { need: need.clone(), is_passed_on: false });
        }
        cx.set_timer(Timer::Choose(self.service), farthest.saturating_mul(2) + Duration::from_millis(200));
        decided(action, self.service, instead_of.into_iter().collect(), out, cx);
        self.goal = Some(Goal { instead_of, since: out.now, step: Step::Find { need, offers: Vec::new() } });
    }

    /// Asks members which of them could carry what the primary carries.
    fn find_leader(&mut self, action: &'static str, members: Vec<NodeId>, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        self.searches += 1;
        let need = Rc::new(Need {
            search: Search { manager: out.me(), number: self.searches },
            service: self.service,
            urgency: Urgency::Balance,
            degree: out.set().len(),
            except: Vec::new(),
            rate: out.rate() as u64,
            bytes: 0,
            takes_lead: true,
        });
        let mut farthest = Duration::ZERO;
        for &node in &members {
            let site = out.sight.map.site_of(node);
            farthest = farthest.max(out.sight.map.one_way(out.sight.site(), site));
            cx.send(node, Message::Need { need: need.clone(), is_passed_on: true });
        }
        cx.set_timer(Timer::Choose(self.service), farthest.saturating_mul(3) + Duration::from_millis(200));
        decided(action, self.service, members, out, cx);
        self.goal = Some(Goal { instead_of: None, since: out.now, step: Step::Find { need, offers: Vec::new() } });
    }

    /// A machine offers a place.
    pub fn offered(&mut self, from: NodeId, search: Search, milliwatts: u64, load: u32) -> bool {
        match &mut self.goal {
            Some(Goal { step: Step::Find { need, offers }, .. }) if need.search == search => {
                offers.push(Offer { node: from, watts: milliwatts as f64 / 1e3, load: f64::from(load) / 1e3 });
                true
            }
            _ => false,
        }
    }

    /// The time for offers is over: the best is accepted, if it is good enough.
    pub fn choose(&mut self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let Some(Goal { instead_of, since, step: Step::Find { need, offers } }) = self.goal.take() else { return };
        // The failed will go, so they count for no constraint.
        let failed = self.failed(out);
        let stays = |node: &NodeId| Some(*node) != instead_of && !failed.contains(node);
        let base: Vec<NodeId> = out.set().iter().copied().filter(stays).collect();
        let worth = |offer: &Offer| {
            let newcomer = (!need.takes_lead).then_some(offer.node);
            let with: Vec<NodeId> = base.iter().copied().chain(newcomer).collect();
            let overload = (offer.load - out.policy().high).max(0.0);
            -offer.watts
                - out.policy().overload_weight * overload * overload
                - out.policy().violation_weight * f64::from(out.violations(&with))
                - cost_of_move(need.bytes, out.policy())
        };
        let free = offers.iter().filter(|offer| out.set().contains(&offer.node) == need.takes_lead);
        let best = free.max_by(|a, b| worth(a).total_cmp(&worth(b)).then(b.node.cmp(&a.node))).copied();
        // Whoever gives up a place must gain by it; a new replica is needed at any price. That the users are
        // nearer is a gain that G does not count.
        let today = out.policy().violation_weight * f64::from(out.violations(out.set()));
        let gain = match need.urgency {
            Urgency::Saving => today + self.saved_by_leaving(instead_of, out),
            Urgency::Balance if need.takes_lead && !out.is_loaded() => f64::INFINITY,
            Urgency::Balance if need.takes_lead => today + self.relieved_by_leaving(Some(out.me()), out),
            Urgency::Balance => today + self.relieved_by_leaving(instead_of, out),
            Urgency::Repair | Urgency::Disaster | Urgency::LoneSurvivor => f64::INFINITY,
        };
        let best = best.filter(|offer| worth(offer) + gain > out.policy().epsilon);
        for offer in &offers {
            if best.is_none_or(|best| best.node != offer.node) {
                cx.send(offer.node, Message::Decline { search: need.search, service: self.service });
            }
        }
        if let Some(offer) = best {
            decided("take in", self.service, vec![offer.node], out, cx);
        }
        if let Some(offer) = best.filter(|_| need.takes_lead) {
            return self.lead("hand over", offer.node, out, cx);
        }
        let Some(offer) = best else {
            self.members_have_no_room = need.takes_lead && out.is_loaded();
            self.failures = (self.failures + 1).min(8);
            self.quiet_until = out.now + PAUSE;
            // A constraint that no site that is awake can mend is worth a machine too.
            let is_broken = need.urgency == Urgency::Balance && !need.takes_lead && today > 0.0;
            if need.urgency > Urgency::Balance || is_broken {
                self.wake_a_sleeping_site(out, cx);
            }
            if need.urgency <= Urgency::Balance {
                if !self.members_have_no_room {
                    self.quiet_until = out.now + out.policy().low_for.scale(1, 4).max(PAUSE);
                }
                if let Some(node) = instead_of.filter(|_| need.urgency == Urgency::Saving) {
                    cx.send(node, Message::Veto { node, why: "no other machine has room" });
                }
            }
            return;
        };
        self.failures = 0;
        let replicas: Rc<[NodeId]> = out.set().into();
        cx.send(offer.node, Message::Accept { search: need.search, service: self.service, replicas });
        let step = Step::Start { node: offer.node, search: need.search };
        self.goal = Some(Goal { instead_of, since, step });
    }

    /// No site that is awake has a machine: one of a site that sleeps is woken, another each time.
    fn wake_a_sleeping_site(&self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        let map = &out.sight.map;
        let pool = map.service(self.service).pool.iter().copied();
        let sleeps = |node: &NodeId| {
            out.sight.site_life(map.site_of(*node), out.now) == SiteLife::Asleep && !out.set().contains(node)
        };
        let nodes: Vec<NodeId> = pool.filter(sleeps).collect();
        if !nodes.is_empty() {
            let node = nodes[self.failures as usize % nodes.len()];
            decided("wake for a service that needs a machine", self.service, vec![node], out, cx);
            cx.effects.push(Effect::Order(Order::Wake(node)));
        }
    }

    /// A machine that can sleep without this replica saves its idle power, shared among its replicas.
    fn saved_by_leaving(&self, node: Option<NodeId>, out: &Outlook<'_>) -> f64 {
        let Some(node) = node else { return 0.0 };
        let machine = &out.sight.map.machines[node.index()];
        let site = &out.sight.map.sites[machine.site.index()];
        let advert = if node == out.me() { None } else { out.sight.advert(node, out.now) };
        let (load, seats) = advert.map_or((out.own.load, out.own.seats.len()), |one| (one.load, one.seats.len()));
        let idle = machine.power.at(f64::from(load) / 1_000.0) - machine.power.sleep;
        idle * site.pue * site.weight / seats.max(1) as f64
    }

    fn relieved_by_leaving(&self, node: Option<NodeId>, out: &Outlook<'_>) -> f64 {
        match node {
            Some(node) if node == out.me() => {
                let load = out.load(node).unwrap_or(0.0);
                out.cost(load, node) - out.cost(load - out.own_share(), node)
            }
            _ => 0.0,
        }
    }

    /// An empty replica runs there.
    pub fn joined(&mut self, from: NodeId, search: Search, now: LocalTime) {
        if let Some(goal) = &mut self.goal
            && matches!(goal.step, Step::Start { node, search: ours } if node == from && ours == search)
        {
            goal.since = now;
            goal.step = Step::TakeIn { node: from, asked: None };
        }
    }

    /// The machine takes its promise back.
    pub fn declined(&mut self, from: NodeId, search: Search, now: LocalTime) {
        match &mut self.goal {
            Some(Goal { step: Step::Start { node, search: ours }, .. }) if *node == from && *ours == search => {
                self.goal = None;
                self.quiet_until = now + Duration::from_secs(1);
            }
            Some(Goal { step: Step::Find { need, offers }, .. }) if need.search == search => {
                offers.retain(|offer| offer.node != from);
            }
            _ => {}
        }
    }

    fn let_go(&mut self, action: &'static str, nodes: Vec<NodeId>, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        decided(action, self.service, nodes.clone(), out, cx);
        let goal = Goal { instead_of: None, since: out.now, step: Step::LetGo { nodes, asked: None } };
        self.goal = self.pursue(goal, out, cx);
    }

    fn lead(&mut self, action: &'static str, node: NodeId, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        decided(action, self.service, vec![node], out, cx);
        let goal = Goal { instead_of: None, since: out.now, step: Step::Lead { node, asked: None } };
        self.goal = self.pursue(goal, out, cx);
    }

    /// Asks the protocol again for what it has not done yet.
    fn ask(&self, asked: &mut Option<LocalTime>, replicas: Vec<NodeId>, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        if asked.is_none_or(|at| out.now.since(at) >= ASK_AGAIN) {
            *asked = Some(out.now);
            cx.effects.push(Effect::Order(Order::Reconfigure { service: self.service, replicas }));
        }
    }

    /// Goes on with a step; gives the next, if there is more to do.
    fn pursue(&mut self, mut goal: Goal, out: &Outlook<'_>, cx: &mut Cx<'_>) -> Option<Goal> {
        let waited = out.now.since(goal.since);
        match &mut goal.step {
            Step::Find { .. } if waited > PAUSE.saturating_mul(2) => return self.give_up(PAUSE, out),
            Step::Start { .. } if waited > out.policy().lease => return self.give_up(PAUSE, out),
            Step::Find { .. } | Step::Start { .. } => {}
            Step::TakeIn { node, asked } => {
                let node = *node;
                // Its machine may have stopped it, in the name of a manager on the other side of a split.
                let is_gone = out.sight.advert(node, out.now).is_some_and(|advert| advert.seat(self.service).is_none());
                if out.sight.is_silent(node, out.now) || is_gone && waited > out.policy().lease || waited > PATIENCE {
                    let step = Step::LetGo { nodes: vec![node], asked: None };
                    return Some(Goal { instead_of: None, since: out.now, step });
                }
                if !out.set().contains(&node) {
                    self.ask(asked, with(out.set(), node, goal.instead_of), out, cx);
                } else if out.status().synced.contains(&node) && !out.status().changing {
                    let old = goal.instead_of?;
                    // What happened meanwhile may have made the old one dear.
                    let holds = !out.policy().constraints.suspend || !out.is_suspended;
                    let step = Step::LetGo { nodes: vec![old], asked: None };
                    return holds.then_some(Goal { instead_of: None, since: out.now, step });
                }
            }
            Step::LetGo { nodes, asked } => {
                let stays = |node: &&NodeId| out.set().contains(node) || out.status().members.contains(node);
                if !nodes.iter().any(|node| stays(&node)) || waited > PATIENCE {
                    // Its machine is told as a stranger's, now and as long as it has the replica.
                    return self.give_up(PAUSE, out);
                }
                let rest: Vec<NodeId> = out.set().iter().copied().filter(|node| !nodes.contains(node)).collect();
                if out.set().iter().any(|node| nodes.contains(node)) && !rest.is_empty() {
                    self.ask(asked, rest, out, cx);
                }
            }
            Step::Lead { node, asked } => {
                let node = *node;
                if waited > out.policy().lease.saturating_mul(2) || !out.set().contains(&node) {
                    return self.give_up(out.policy().low_for, out);
                }
                let rest = out.set().iter().copied().filter(|&one| one != node);
                self.ask(asked, [node].into_iter().chain(rest).collect(), out, cx);
            }
        }
        Some(goal)
    }

    fn give_up(&mut self, pause: Duration, out: &Outlook<'_>) -> Option<Goal> {
        self.quiet_until = out.now + pause;
        None
    }

    /// Whether this service objects to a machine's sleep (C4): it holds one of its last copies.
    pub fn objects_to_sleep_of(&self, node: NodeId, out: &Outlook<'_>) -> bool {
        let others = out.status().synced.iter().filter(|&&one| one != node);
        let awake = others.filter(|&&one| one == out.me() || matches!(out.sight.life(one, out.now), Life::Awake(_)));
        out.set().contains(&node) && awake.count() < out.policy().next_degree.max(1)
    }
}

/// The set with a newcomer: in the place of whom it replaces, so that who is to be primary stays so.
fn with(set: &[NodeId], newcomer: NodeId, instead_of: Option<NodeId>) -> Vec<NodeId> {
    let mut set = set.to_vec();
    let place = instead_of.and_then(|old| set.iter().position(|&node| node == old));
    match place {
        // Behind it: it leads until it is let go.
        Some(place) => set.insert(place + 1, newcomer),
        None => set.push(newcomer),
    }
    set
}

/// Whether something has been so for long enough.
pub fn held(since: &mut Option<LocalTime>, is_so: bool, long: Duration, now: LocalTime) -> bool {
    if !is_so {
        *since = None;
        return false;
    }
    now.since(*since.get_or_insert(now)) >= long
}

/// Puts a decision into the trace, with its evidence.
fn decided(action: &'static str, service: ServiceId, nodes: Vec<NodeId>, out: &Outlook<'_>, cx: &mut Cx<'_>) {
    let evidence = out.evidence;
    cx.note(Note::Decided(Box::new(Decision {
        action,
        class: out.class.name(),
        service: Some(service),
        nodes,
        silent_sites: evidence.silent_sites.iter().map(|&(site, _)| site).collect(),
        silent_nodes: evidence.silent_nodes.clone(),
        agree: evidence.agree.clone(),
        differ: evidence.differ.clone(),
    })));
}
