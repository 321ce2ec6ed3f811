//! What the steward of a site does for it: it speaks with other sites, picks machines for services that look
//! for one, and sees to it that enough machines are awake; and how a machine asks to sleep.

use std::rc::Rc;

use super::agent::{Agent, Cx};
use super::constraints::cost_of_load;
use super::gauge::Gauge;
use super::message::{Life, Message, Need, Part, Plan, SiteLife, Urgency};
use super::sight::{Capacity, missing_after_a_loss};
use crate::id::{DcId, NodeId, ServiceId};
use crate::machine::{Effect, Order};
use crate::rng::Stream;
use crate::time::{Duration, LocalTime};

/// Clients of the site are told where services are after a change, and again after so many rounds.
const PUBLISH_EVERY: u64 = 30;
/// A machine that asked to sleep waits so many rounds for a veto.
const VETO_ROUNDS: u64 = 3;
/// Share of the threshold of overload up to which the machines of a site are filled before one is woken.
const FILL: f64 = 0.9;

/// What a steward remembers of its site.
#[derive(Debug, Default)]
pub struct Stewardship {
    /// Client operations a second that the site carries.
    carried: Gauge,
    counted: Option<LocalTime>,
    /// How often, and when last, a machine of a sleeping site was called.
    calls: u32,
    called: Option<LocalTime>,
    /// By service: what the site's clients were told last.
    published: Vec<Vec<NodeId>>,
    /// A machine of the site that asked to sleep, and when.
    yawning: Option<(NodeId, LocalTime)>,
}

/// How far a machine is on its way to sleep.
#[derive(Debug, Default)]
pub struct Yawn {
    state: State,
    /// When somebody objected last.
    refused: Option<LocalTime>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Awake,
    /// Its replicas are asked to leave.
    Emptying {
        since: LocalTime,
    },
    /// It asked the stewards, and waits for a veto.
    Asking {
        since: LocalTime,
    },
    Gone,
}

impl Yawn {
    pub const fn plan(&self) -> Plan {
        match self.state {
            State::Awake => Plan::Stay,
            State::Emptying { .. } | State::Asking { .. } => Plan::Empty,
            State::Gone => Plan::Sleep,
        }
    }
    pub fn is_gone(&self) -> bool {
        self.state == State::Gone
    }
    /// It is needed.
    pub fn stay(&mut self) {
        if self.state != State::Gone {
            self.state = State::Awake;
        }
    }
    /// Somebody objects.
    pub fn refused(&mut self, now: LocalTime) {
        if self.state != State::Gone {
            self.state = State::Awake;
            self.refused = Some(now);
        }
    }
    pub fn may_try(&self, pause: Duration, now: LocalTime) -> bool {
        self.refused.is_none_or(|refused| now.since(refused) >= pause)
    }
    pub fn sanity(&mut self, now: LocalTime) {
        if let Some(refused) = &mut self.refused {
            *refused = (*refused).min(now);
        }
        if let State::Emptying { since } | State::Asking { since } = &mut self.state {
            *since = (*since).min(now);
        }
    }
    pub fn overwrite(&mut self, rng: &mut Stream) {
        let at = LocalTime::from_nanos(rng.bits() >> 8);
        self.state = match rng.below(3) {
            0 => State::Awake,
            1 => State::Emptying { since: at },
            _ => State::Asking { since: at },
        };
        self.refused = Some(at);
    }
}

/// For the site.
impl Agent {
    /// Tells the other sites about this one, this one about the others, and its clients where services are.
    pub(super) fn speak_for_the_site(&mut self, round: u64, cx: &mut Cx<'_>) {
        let now = cx.now;
        self.stewardship.yawning = self.stewardship.yawning.filter(|&(node, at)| {
            now.since(at) <= self.config.policy.low_for && matches!(self.sight.life(node, now), Life::Awake(_))
        });
        let summary = Rc::new(self.sight.summary(&self.own, now));
        for site in (0..self.config.map.sites.len()).map(DcId::from).filter(|&site| site != self.sight.site()) {
            cx.send(self.sight.spokesman(site, round, now), Message::Summary(summary.clone()));
        }
        let roll = self.sight.roll(now);
        for node in self.sight.neighbours() {
            cx.send(node, Message::Roll(roll.clone()));
        }
        self.publish(round, cx);
        self.call_the_forgotten(cx);
        self.keep_enough_awake(cx);
    }

    /// A packet does no harm to a machine that is down, and wakes one whose sleep was forgotten.
    fn call_the_forgotten(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        for node in self.sight.perhaps_asleep(now) {
            self.sight.woken(node, now);
            cx.effects.push(Effect::Order(Order::Wake(node)));
        }
        let long = |life| matches!(life, SiteLife::Silent(since) if since > self.config.policy.disaster_after);
        let sites = (0..self.config.map.sites.len()).map(DcId::from);
        let silent = sites.filter(|&site| long(self.sight.site_life(site, now))).collect::<Vec<_>>();
        if self.is_first_steward(now) && self.may_call(self.config.policy.low_for, now) {
            for site in silent {
                let nodes = &self.config.map.sites[site.index()].nodes;
                cx.effects.push(Effect::Order(Order::Wake(nodes[self.stewardship.calls as usize % nodes.len()])));
            }
        }
    }

    fn publish(&mut self, round: u64, cx: &mut Cx<'_>) {
        let services = self.config.map.services.len();
        let mut known: Vec<Vec<(bool, u64, NodeId)>> = vec![Vec::new(); services];
        let own = self.own.seats.iter().map(|&seat| (self.config.me, seat));
        for (node, seat) in self.sight.seats(cx.now).chain(own).filter(|(_, seat)| seat.part != Part::Outside) {
            known[seat.service.index()].push((seat.part == Part::Primary, seat.epoch, node));
        }
        self.stewardship.published.resize(services, Vec::new());
        for (index, mut seats) in known.into_iter().enumerate() {
            seats.sort_unstable_by_key(|&(primary, epoch, node)| (std::cmp::Reverse((primary, epoch)), node));
            let replicas: Vec<NodeId> = seats.into_iter().map(|(_, _, node)| node).collect();
            let is_due = (round + index as u64).is_multiple_of(PUBLISH_EVERY);
            if !replicas.is_empty() && (is_due || self.stewardship.published[index] != replicas) {
                self.stewardship.published[index].clone_from(&replicas);
                let service = ServiceId::from(index);
                cx.effects.push(Effect::Order(Order::Publish { service, replicas }));
            }
        }
    }

    /// The machine of this site that suits a need best: one that is awake, in the service's pool, and has room.
    /// To save, or with saving switched on, the fullest that has room; else the emptiest.
    pub(super) fn pick(&self, need: &Need, now: LocalTime) -> Option<NodeId> {
        let map = &self.config.map;
        let pool = &map.service(need.service).pool;
        let nodes = map.sites[self.sight.site().index()].nodes.iter().copied();
        let open = nodes.filter(|node| pool.binary_search(node).is_ok() && !need.except.contains(node));
        let after = |node: NodeId| match self.life(node, now) {
            Life::Awake(advert) if advert.seat(need.service).is_none() && advert.plan == Plan::Stay => {
                let newcomer = need.rate as f64 / map.machines[node.index()].capacity;
                Some(f64::from(advert.load + advert.promised) / 1_000.0 + newcomer)
            }
            _ => None,
        };
        let room = self.policy().high * FILL;
        let mut suited: Vec<(f64, NodeId)> = open.filter_map(|node| Some((after(node)?, node))).collect();
        suited.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let with_room = suited.iter().rev().find(|(load, _)| *load <= room);
        // What no machine has room for is best off where it is alone.
        let newcomer = |node: NodeId| need.rate as f64 / map.machines[node.index()].capacity;
        let is_idle = |load: f64, node: NodeId| load - newcomer(node) <= self.policy().low / 2.0;
        let fits = |load: f64, node: NodeId| {
            load <= room || need.urgency >= Urgency::Disaster || need.urgency == Urgency::Balance && is_idle(load, node)
        };
        let emptiest = suited.first().filter(|&&(load, node)| fits(load, node));
        let picked = if self.policy().save { with_room.or(emptiest) } else { emptiest };
        picked.map(|&(_, node)| node)
    }

    /// Nobody has room who is awake: a sleeping machine of the pool is woken, and the need will be told again.
    pub(super) fn wake_for(&mut self, need: &Need, cx: &mut Cx<'_>) {
        let pool = &self.config.map.service(need.service).pool.clone();
        self.wake_one(|node| pool.binary_search(&node).is_ok(), "wake for a service that needs a machine", cx);
    }

    /// Wakes the sleeping machine that costs least, unless one is waking already.
    fn wake_one(&mut self, suits: impl Fn(NodeId) -> bool, why: &'static str, cx: &mut Cx<'_>) {
        let now = cx.now;
        let nodes: Vec<NodeId> = self.sight.neighbours().filter(|&node| suits(node)).collect();
        let lives: Vec<(NodeId, Life)> = nodes.into_iter().map(|node| (node, self.sight.life(node, now))).collect();
        if lives.iter().any(|(_, life)| *life == Life::Waking) {
            return;
        }
        let cost = |node: NodeId| cost_of_load(0.5, node, &self.config.map, &self.config.policy);
        let asleep = lives.iter().filter(|(_, life)| *life == Life::Asleep).map(|&(node, _)| node);
        let Some(node) = asleep.min_by(|&a, &b| cost(a).total_cmp(&cost(b)).then(a.cmp(&b))) else { return };
        self.sight.woken(node, now);
        self.decided(why, vec![node], cx);
        cx.effects.push(Effect::Order(Order::Wake(node)));
    }

    /// Speaks for the first of the sites that are awake, as far as this machine hears.
    fn is_first_steward(&self, now: LocalTime) -> bool {
        let mut sites = (0..self.config.map.sites.len()).map(DcId::from);
        sites.find(|&site| self.sight.site_life(site, now) == SiteLife::Heard) == Some(self.sight.site())
    }

    /// Whether other sites may be called again, and that they are.
    fn may_call(&mut self, pause: Duration, now: LocalTime) -> bool {
        let is_due = self.stewardship.called.is_none_or(|at| now.since(at) >= pause);
        if is_due {
            self.stewardship.calls = self.stewardship.calls.wrapping_add(1);
            self.stewardship.called = Some(now);
        }
        is_due
    }

    /// No steward is awake there: the first of those that are does it for all.
    fn wake_a_sleeping_site(&mut self, why: &'static str, cx: &mut Cx<'_>) {
        let now = cx.now;
        let mut sites = (0..self.config.map.sites.len()).map(DcId::from);
        let asleep = sites.find(|&site| self.sight.site_life(site, now) == SiteLife::Asleep);
        let Some(site) = asleep else { return };
        if !self.is_first_steward(now) || !self.may_call(self.config.policy.high_for, now) {
            return;
        }
        let nodes = &self.config.map.sites[site.index()].nodes;
        let node = nodes[self.stewardship.calls as usize % nodes.len()];
        self.decided(why, vec![node], cx);
        cx.effects.push(Effect::Order(Order::Wake(node)));
    }

    /// Wakes machines of the site in time for the load that is foreseen, and for the next disaster.
    fn keep_enough_awake(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let capacities = self.sight.capacities(Some(self.own.load), now);
        let own = capacities[self.sight.site().index()];
        let window = self.stewardship.counted.map_or(self.policy().advertise, |at| now.since(at));
        self.stewardship.counted = Some(now);
        self.stewardship.carried.add(own.carried, window);
        let boot = self.config.map.machines[self.config.me.index()].boot;
        let margin = self.policy().high_for + self.policy().lease;
        let foreseen = self.stewardship.carried.ahead(boot + margin);
        if foreseen > own.awake * self.policy().high * FILL {
            return self.wake_one(|_| true, "wake for the load that is foreseen", cx);
        }
        if self.lacks_for_the_next_disaster(&capacities) {
            let why = "wake for the next disaster";
            self.wake_one(|_| true, why, cx);
            self.wake_a_sleeping_site(why, cx);
        }
    }

    /// C3 of the capacities. After a disaster only what is awake counts.
    fn lacks_for_the_next_disaster(&self, capacities: &[Capacity]) -> bool {
        let policy = self.policy();
        if self.is_suspended() {
            let awake: f64 = capacities.iter().map(|site| site.awake).sum();
            let carried: f64 = capacities.iter().map(|site| site.carried).sum();
            return carried * policy.headroom > awake * policy.high;
        }
        policy.constraints.next_disaster && missing_after_a_loss(capacities, policy.headroom) > 0.0
    }

    /// Whether a machine may sleep, by what this steward knows.
    pub(super) fn asked_to_sleep(&mut self, from: NodeId, cx: &mut Cx<'_>) {
        if let Some(why) = self.objection(from, cx) {
            return cx.send(from, Message::Veto { node: from, why });
        }
        if self.config.map.site_of(from) == self.sight.site() {
            self.stewardship.yawning = Some((from, cx.now));
        }
    }

    fn objection(&mut self, from: NodeId, cx: &mut Cx<'_>) -> Option<&'static str> {
        let now = cx.now;
        if self.policy().constraints.suspend && self.is_suspended() {
            return Some("C5: a disaster or a partition is under way");
        }
        if self.policy().constraints.last_copies && self.a_service_objects(from, cx) {
            return Some("C4: it holds one of the last copies of a service");
        }
        let in_site = self.config.map.site_of(from) == self.sight.site();
        if in_site && self.stewardship.yawning.is_some_and(|(node, _)| node != from) {
            return Some("another machine of the site is about to sleep");
        }
        let mut capacities = self.sight.capacities(Some(self.own.load), now);
        let machine = &self.config.map.machines[from.index()];
        let site = &mut capacities[machine.site.index()];
        site.awake -= machine.capacity;
        if machine.boot <= self.policy().wake_within {
            site.in_time += machine.capacity;
        }
        if in_site {
            let boot = machine.boot + self.policy().high_for + self.policy().lease;
            let foreseen = self.stewardship.carried.ahead(boot).max(site.carried);
            if foreseen > site.awake * self.policy().high * FILL && site.carried > 0.0 {
                return Some("the site would be short of capacity");
            }
        }
        self.lacks_for_the_next_disaster(&capacities).then_some("C3: the next disaster could not be carried")
    }
}

/// For this machine.
impl Agent {
    /// Goes to sleep step by step, if there is nothing to do here and nobody objects.
    pub(super) fn rest(&mut self, now: LocalTime, cx: &mut Cx<'_>) {
        let is_cold = self.is_cold(now);
        let policy = self.config.policy.clone();
        if !policy.save || self.yawn.is_gone() {
            return;
        }
        let is_suspended = policy.constraints.suspend && self.is_suspended();
        if is_suspended || self.load().now() > policy.high || self.is_pledged() {
            self.yawn.stay();
            return;
        }
        let may_keep_replicas = !policy.constraints.last_copies;
        match self.yawn.state {
            State::Awake => {
                if is_cold && self.yawn.may_try(policy.low_for, now) && self.is_next_to_sleep(now) {
                    self.yawn.state = State::Emptying { since: now };
                    self.decided("empty this machine", vec![self.config.me], cx);
                }
            }
            State::Emptying { .. } if self.seats().is_empty() || may_keep_replicas => {
                self.yawn.state = State::Asking { since: now };
                self.ask_the_stewards(cx);
            }
            State::Emptying { since } => {
                if now.since(since) > policy.low_for.saturating_mul(2) {
                    self.yawn.refused(now);
                } else {
                    self.recall_replicas(now, cx);
                }
            }
            State::Asking { since } => {
                if !self.seats().is_empty() && !may_keep_replicas {
                    self.yawn.stay();
                } else if now.since(since) >= policy.advertise.saturating_mul(VETO_ROUNDS) {
                    self.yawn.state = State::Gone;
                    self.decided("sleep", vec![self.config.me], cx);
                    self.good_night(cx);
                }
            }
            State::Gone => {}
        }
    }

    /// One machine of a site at a time, the emptiest, then the last; not the one that speaks for it, unless it is
    /// the only one awake.
    fn is_next_to_sleep(&self, now: LocalTime) -> bool {
        let me = self.config.me;
        let awake: Vec<(NodeId, Rc<super::message::Advert>)> =
            self.sight.neighbours().filter_map(|node| Some((node, self.sight.advert(node, now)?))).collect();
        if awake.iter().any(|(_, advert)| advert.plan != Plan::Stay) {
            return false;
        }
        if self.sight.is_steward(now) {
            // The last of its site: then the whole site sleeps, if its replicas find places elsewhere.
            return awake.is_empty();
        }
        let low = (self.policy().low * 1_000.0) as u32;
        let rank = |load: u32, seats: usize, node: NodeId| (seats, load, std::cmp::Reverse(node));
        let own = rank(self.own.load, self.seats().len(), me);
        let steward = self.sight.steward(now);
        // Who was refused lately yields to the others.
        let others = awake.iter().filter(|(node, advert)| *node != steward && advert.load < low && !advert.refused);
        others.map(|(node, advert)| rank(advert.load, advert.seats.len(), *node)).all(|other| own < other)
    }

    fn recall_replicas(&self, now: LocalTime, cx: &mut Cx<'_>) {
        for seat in self.seats() {
            let manager = match seat.part {
                Part::Primary => Some(self.config.me),
                _ => self.sight.whereabouts(seat.service, &[], now).first().copied(),
            };
            if let Some(manager) = manager {
                cx.send(manager, Message::Recall { service: seat.service });
            }
        }
    }

    /// Every steward that is heard may object.
    fn ask_the_stewards(&self, cx: &mut Cx<'_>) {
        for site in (0..self.config.map.sites.len()).map(DcId::from) {
            let steward = if site == self.sight.site() {
                self.sight.steward(cx.now)
            } else {
                self.sight.spokesman(site, 0, cx.now)
            };
            if steward != self.config.me {
                cx.send(steward, Message::SleepIntent);
            }
        }
    }
}
