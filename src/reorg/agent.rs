//! The agent of one machine: it takes stock every round, tells others, lends, manages the services whose
//! primaries are here, and decides with the steward of its site when machines sleep and wake.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::evidence::{Class, Evidence};
use super::gauge::Gauge;
use super::lending::Lending;
use super::manager::{Manager, Outlook, held};
use super::map::Map;
use super::message::{Advert, Life, Message, Need, Part, Plan, Seat, Urgency};
use super::policy::Policy;
use super::sight::Sight;
use super::steward::{Stewardship, Yawn};
use crate::id::{NodeId, ServiceId};
use crate::machine::{
    BootError, Context, Corrupt, Decision, Effect, Housed, Input, Inventory, LinkKind, Machine, Note, Order, RequestId,
    Role, Status, Survey, Views,
};
use crate::op::{Outcome, Request, Tip, WriteKey};
use crate::rng::Stream;
use crate::time::{Duration, LocalTime};

pub(super) type Cx<'a> = Context<'a, Agent>;

/// What an agent is told once and cannot be corrupted.
#[derive(Clone, Debug)]
pub struct Config {
    pub me: NodeId,
    pub map: Rc<Map>,
    pub policy: Rc<Policy>,
    /// How the views of the replicas stand to each other: where they succeed each other, the newer knows best
    /// who is a member.
    pub views: Views,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The next round.
    Round,
    /// The time for offers to a service is over.
    Choose(ServiceId),
}

/// The agent of one machine.
#[derive(Debug)]
pub struct Agent {
    pub(super) config: Rc<Config>,
    incarnation: u64,
    rounds: u64,
    pub(super) sight: Sight,
    load: Gauge,
    shares: BTreeMap<ServiceId, Gauge>,
    pub(super) own: Rc<Advert>,
    housed: Vec<Housed>,
    window: Duration,
    lending: Lending,
    managers: BTreeMap<ServiceId, Manager>,
    class: Class,
    evidence: Evidence,
    /// C5: saving is suspended, and since when it is not.
    is_suspended: bool,
    calm_since: LocalTime,
    hot_since: Option<LocalTime>,
    cold_since: Option<LocalTime>,
    pub(super) yawn: Yawn,
    pub(super) stewardship: Stewardship,
    /// Where services went that left this machine.
    left: BTreeMap<ServiceId, NodeId>,
}

impl Agent {
    fn me(&self) -> NodeId {
        self.config.me
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.config.policy
    }

    /// Whether a disaster or a partition is under way.
    pub(super) const fn is_suspended(&self) -> bool {
        self.is_suspended
    }

    /// Load of this machine between 0 and 1, over the last seconds and over the last minutes.
    pub(super) fn load(&self) -> &Gauge {
        &self.load
    }

    /// What this machine is asked to carry, and does not carry yet.
    pub(super) fn is_pledged(&self) -> bool {
        self.lending.is_pledged()
    }

    pub(super) fn seats(&self) -> &[Seat] {
        &self.own.seats
    }

    /// Has been lightly loaded for long.
    pub(super) fn is_cold(&mut self, now: LocalTime) -> bool {
        let is_low = self.load.now() < self.config.policy.low;
        held(&mut self.cold_since, is_low, self.config.policy.low_for, now)
    }

    /// Puts a decision about this machine or its site into the trace.
    pub(super) fn decided(&self, action: &'static str, nodes: Vec<NodeId>, cx: &mut Cx<'_>) {
        cx.note(Note::Decided(Box::new(Decision {
            action,
            class: self.class.name(),
            nodes,
            silent_sites: self.evidence.silent_sites.iter().map(|&(site, _)| site).collect(),
            silent_nodes: self.evidence.silent_nodes.clone(),
            agree: self.evidence.agree.clone(),
            differ: self.evidence.differ.clone(),
            service: None,
        })));
    }

    /// What is known of a machine, this one included.
    pub(super) fn life(&self, node: NodeId, now: LocalTime) -> Life {
        if node == self.me() { Life::Awake(self.own.clone()) } else { self.sight.life(node, now) }
    }

    /// Takes stock, and acts on it.
    fn round(&mut self, survey: Survey, cx: &mut Cx<'_>) {
        let now = cx.now;
        self.rounds += 1;
        self.sanity(now);
        self.measure(survey, now);
        self.end_leases(now, cx);
        self.evidence = self.sight.evidence(now);
        self.class = self.evidence.class(self.policy().site_silent_after(), self.policy().disaster_after);
        self.is_suspended = self.evidence.suspends_saving(self.class, self.policy().disaster_after);
        if self.is_suspended {
            self.calm_since = now;
        }
        self.manage(now, cx);
        self.rest(now, cx);
        self.tell(now, cx);
    }

    /// Clamps what a fault may have overwritten into what is possible.
    fn sanity(&mut self, now: LocalTime) {
        self.sight.sanity(now);
        self.managers.values_mut().for_each(|manager| manager.sanity(now));
        self.yawn.sanity(now);
        self.calm_since = self.calm_since.min(now);
        for since in [&mut self.hot_since, &mut self.cold_since].into_iter().flatten() {
            *since = (*since).min(now);
        }
    }

    fn measure(&mut self, survey: Survey, now: LocalTime) {
        let Survey { window, busy, replicas } = survey;
        self.window = window;
        let share = |part: Duration| match window.as_nanos() {
            0 => 0.0,
            whole => part.as_nanos() as f64 / whole as f64,
        };
        self.load.add(share(busy), window);
        self.shares.retain(|service, _| replicas.iter().any(|housed| housed.service == *service));
        for housed in &replicas {
            self.shares.entry(housed.service).or_default().add(share(housed.busy), window);
        }
        self.housed = replicas;
        let thousandths = |load: f64| (load * 1_000.0) as u32;
        let seat = |housed: &Housed| Seat {
            service: housed.service,
            part: if housed.status.serving {
                Part::Primary
            } else if housed.status.replica_set.contains(&self.config.me) {
                Part::Member
            } else {
                Part::Outside
            },
            epoch: housed.status.view.map_or(0, |view| view.0),
            load: thousandths(self.shares[&housed.service].now()),
            bytes: housed.bytes,
        };
        let seats: Vec<Seat> = self.housed.iter().map(seat).collect();
        for seat in seats.iter().filter(|seat| seat.part != Part::Outside) {
            self.lending.settle(seat.service);
        }
        self.own = Rc::new(Advert {
            incarnation: self.incarnation,
            load: thousandths(self.load.now()),
            promised: self.lending.promised(),
            plan: self.yawn.plan(),
            refused: !self.yawn.may_try(self.config.policy.low_for, now),
            seats,
        });
    }

    /// Offers that nobody took, and replicas that nobody took in: what they hold nobody counts on.
    fn end_leases(&mut self, now: LocalTime, cx: &mut Cx<'_>) {
        for (service, started) in self.lending.expire(&self.config.policy, now) {
            if started && self.is_stranger(service, None) {
                cx.effects.push(Effect::Order(Order::Stop { service }));
            }
        }
    }

    /// Whether the replica here counts for nobody, by its own word: it was let go of, and what it holds others hold
    /// too, or it never took part. Where views succeed each other, a newer view that it is no member of overrules
    /// what a replica that missed its own removal believes.
    fn is_stranger(&self, service: ServiceId, newer: Option<u64>) -> bool {
        let Some(housed) = self.housed.iter().find(|housed| housed.service == service) else { return false };
        let status = &housed.status;
        let overruled = self.config.views == Views::Succeed
            && newer.is_some_and(|epoch| status.view.is_none_or(|view| view.0 < epoch));
        !status.serving && (status.released || overruled)
    }

    fn manage(&mut self, now: LocalTime, cx: &mut Cx<'_>) {
        let is_hot = self.load.now() > self.policy().high;
        let is_hot = held(&mut self.hot_since, is_hot, self.config.policy.high_for, now);
        let primaries: Vec<ServiceId> =
            self.own.seats.iter().filter(|seat| seat.part == Part::Primary).map(|seat| seat.service).collect();
        self.managers.retain(|service, _| primaries.contains(service));
        // The heaviest leaves first: fewest moves.
        let heaviest = self.own.seats.iter().filter(|seat| primaries.contains(&seat.service));
        let heaviest = heaviest.max_by_key(|seat| (seat.load, seat.service)).map(|seat| seat.service);
        for service in primaries {
            let is_hot = is_hot && heaviest == Some(service);
            self.with_manager(service, is_hot, cx, |manager, out, cx| manager.round(out, cx));
        }
        if is_hot {
            // What was done takes effect first.
            self.hot_since = None;
        }
    }

    /// Lets the manager of a service act, if its primary is here.
    fn with_manager<R>(
        &mut self,
        service: ServiceId,
        is_hot: bool,
        cx: &mut Cx<'_>,
        act: impl FnOnce(&mut Manager, &Outlook<'_>, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let now = cx.now;
        let seat = self.own.seat(service).filter(|seat| seat.part == Part::Primary)?;
        debug_assert_eq!(seat.service, service);
        let mut manager = self.managers.remove(&service).unwrap_or_else(|| Manager::new(service, now));
        let housed = self.housed.iter().find(|housed| housed.service == service)?;
        let out = Outlook {
            sight: &self.sight,
            now,
            own: &self.own,
            housed,
            window: self.window,
            class: self.class,
            evidence: &self.evidence,
            is_suspended: self.is_suspended,
            calm_for: now.since(self.calm_since),
            is_hot,
        };
        let result = act(&mut manager, &out, cx);
        self.managers.insert(service, manager);
        Some(result)
    }

    /// Tells the site about this machine, and as its steward the other sites about it.
    fn tell(&mut self, now: LocalTime, cx: &mut Cx<'_>) {
        for node in self.sight.neighbours() {
            cx.send(node, Message::Advert(self.own.clone()));
        }
        if self.sight.is_steward(now) {
            self.speak_for_the_site(self.rounds, cx);
        }
    }

    /// Everything here is settled, so the machine goes to sleep.
    pub(super) fn good_night(&mut self, cx: &mut Cx<'_>) {
        let own = Advert { plan: Plan::Sleep, ..(*self.own).clone() };
        self.own = Rc::new(own);
        self.tell(cx.now, cx);
        cx.effects.push(Effect::Order(Order::Sleep));
    }

    /// Offers a place, if there is room.
    fn bid(&mut self, need: &Need, cx: &mut Cx<'_>) {
        if self.own.seat(need.service).is_some() != need.takes_lead || self.yawn.is_gone() {
            return;
        }
        if self.yawn.plan() == Plan::Empty && need.urgency == Urgency::Saving {
            return;
        }
        let machine = &self.config.map.machines[self.me().index()];
        let Some(bid) = self.lending.bid(need, self.own.load, machine.capacity, &self.config.policy, cx.now) else {
            return;
        };
        self.yawn.stay();
        for (search, service) in bid.displaced {
            cx.send(search.manager, Message::Decline { search, service });
        }
        let site = &self.config.map.sites[machine.site.index()];
        let (before, after) = (f64::from(self.own.load) / 1_000.0, f64::from(bid.load) / 1_000.0);
        let watts = (machine.power.at(after) - machine.power.at(before)) * site.pue * site.weight;
        let milliwatts = (watts * 1_000.0).max(0.0) as u64;
        let offer = Message::Offer { search: need.search, service: need.service, milliwatts, load: bid.load };
        cx.send(need.search.manager, offer);
    }

    /// A need reaches this site's steward.
    fn need(&mut self, need: &Rc<Need>, cx: &mut Cx<'_>) {
        match self.pick(need, cx.now) {
            Some(node) if node == self.me() => self.bid(need, cx),
            Some(node) => cx.send(node, Message::Need { need: need.clone(), is_passed_on: true }),
            None if need.urgency > Urgency::Saving => self.wake_for(need, cx),
            None => {}
        }
    }

    fn heard(&mut self, from: NodeId, message: Message, cx: &mut Cx<'_>) {
        let now = cx.now;
        match message {
            Message::Advert(advert) => self.sight.hear_advert(from, advert, now),
            Message::Summary(summary) => {
                let steward = self.sight.steward(now);
                if steward != self.me() && self.config.map.site_of(from) != self.sight.site() {
                    cx.send(steward, Message::Summary(summary.clone()));
                }
                self.sight.hear_summary(summary, Duration::ZERO, now);
            }
            Message::Roll(rows) => {
                for row in rows.iter() {
                    self.sight.hear_summary(row.summary.clone(), row.age, now);
                }
            }
            Message::Need { need, is_passed_on: true } => self.bid(&need, cx),
            Message::Need { need, is_passed_on: false } => self.need(&need, cx),
            Message::Offer { search, service, milliwatts, load } => {
                let manager = self.managers.get_mut(&service);
                if !manager.is_some_and(|manager| manager.offered(from, search, milliwatts, load)) {
                    cx.send(from, Message::Decline { search, service });
                }
            }
            Message::Accept { search, service, replicas } => self.accepted(from, search, service, &replicas, cx),
            Message::Decline { search, service } => {
                self.lending.decline(service, search);
                if let Some(manager) = self.managers.get_mut(&service) {
                    manager.declined(from, search, now);
                }
            }
            Message::Join { search, service } => {
                if let Some(manager) = self.managers.get_mut(&service) {
                    manager.joined(from, search, now);
                }
            }
            Message::Return { service, epoch, replicas } => self.returned(service, epoch, &replicas, cx),
            Message::Recall { service } => match self.managers.get_mut(&service) {
                Some(manager) => manager.recall(from),
                None => cx.send(from, Message::Veto { node: from, why: "the primary is elsewhere" }),
            },
            Message::Renew { service, .. } => self.lending.renew(service, &self.config.policy, now),
            Message::SleepIntent => self.asked_to_sleep(from, cx),
            Message::Veto { node, .. } if node == self.me() => self.yawn.refused(now),
            Message::Veto { .. } => {}
        }
    }

    /// An offer of this machine was taken.
    fn accepted(
        &mut self,
        from: NodeId,
        search: super::message::Search,
        service: ServiceId,
        replicas: &[NodeId],
        cx: &mut Cx<'_>,
    ) {
        let goes = !self.yawn.is_gone() && self.lending.accept(service, search, &self.config.policy, cx.now);
        if !goes {
            return cx.send(from, Message::Decline { search, service });
        }
        cx.effects.push(Effect::Order(Order::Start { service, members: replicas.to_vec() }));
        cx.send(from, Message::Join { search, service });
    }

    /// The replica here is no longer wanted, says the manager.
    fn returned(&mut self, service: ServiceId, epoch: u64, replicas: &[NodeId], cx: &mut Cx<'_>) {
        if let Some(&node) = replicas.first() {
            self.left.insert(service, node);
        }
        // One that is about to be taken in by a newer manager is not for the old one to stop.
        if !replicas.contains(&self.me()) && self.is_stranger(service, Some(epoch)) {
            self.lending.end(service);
            cx.effects.push(Effect::Order(Order::Stop { service }));
        }
    }

    /// A client asks for a service that is elsewhere.
    fn redirect(&self, id: RequestId, service: ServiceId, cx: &mut Cx<'_>) {
        let known = self.sight.whereabouts(service, &self.own.seats, cx.now);
        let hint = known.first().or_else(|| self.left.get(&service)).copied().filter(|&node| node != self.me());
        cx.reply(id, Outcome::Redirect { hint });
    }

    /// C4: whether some service managed here objects to a machine's sleep.
    pub(super) fn a_service_objects(&mut self, node: NodeId, cx: &mut Cx<'_>) -> bool {
        let services: Vec<ServiceId> = self.managers.keys().copied().collect();
        services.into_iter().any(|service| {
            self.with_manager(service, false, cx, |manager, out, _| manager.objects_to_sleep_of(node, out))
                .unwrap_or(false)
        })
    }
}

impl Machine for Agent {
    type Message = Message;
    type Timer = Timer;
    /// Nothing: all that an agent knows it hears again.
    type Record = ();
    type Config = Rc<Config>;

    const LINKS: LinkKind = LinkKind::Datagram;
    const VIEWS: Views = Views::Coexist;

    fn boot(config: &Self::Config, _log: &[()], cx: &mut Cx<'_>) -> Result<Self, BootError> {
        let incarnation = cx.rng.bits();
        let phase = config.policy.advertise.scale(cx.rng.below(1_000), 1_000);
        cx.set_timer(Timer::Round, phase);
        let (map, policy) = (config.map.clone(), config.policy.clone());
        let own = Advert { incarnation, load: 0, promised: 0, plan: Plan::Stay, refused: false, seats: Vec::new() };
        Ok(Self {
            config: config.clone(),
            incarnation,
            rounds: 0,
            sight: Sight::new(config.me, map, policy, cx.now),
            load: Gauge::default(),
            shares: BTreeMap::new(),
            own: Rc::new(own),
            housed: Vec::new(),
            window: Duration::ZERO,
            lending: Lending::default(),
            managers: BTreeMap::new(),
            class: Class::Calm,
            evidence: Evidence::default(),
            is_suspended: false,
            calm_since: cx.now,
            hot_since: None,
            cold_since: None,
            yawn: Yawn::default(),
            stewardship: Stewardship::default(),
            left: BTreeMap::new(),
        })
    }

    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_>) {
        match input {
            Input::Timeout(Timer::Round) => {
                cx.set_timer(Timer::Round, self.config.policy.advertise);
                cx.effects.push(Effect::Order(Order::Survey));
            }
            Input::Timeout(Timer::Choose(service)) => {
                self.with_manager(service, false, cx, Manager::choose);
            }
            Input::Survey(survey) => self.round(survey, cx),
            Input::Message { from, message } => self.heard(from, message, cx),
            Input::Stray { id, service, .. } => self.redirect(id, service, cx),
            Input::Request { .. }
            | Input::Acknowledged { .. }
            | Input::Written(_)
            | Input::LinkUp(_)
            | Input::LinkDown(_)
            | Input::Reconfigure(_) => {}
        }
    }

    fn status(&self) -> Status {
        Status::at_rest(Role::Following, (0, self.me(), 0), &[self.me()], Tip::default())
    }

    fn serving(&self) -> bool {
        false
    }

    fn answers(&self, _request: &Request) -> bool {
        false
    }

    fn covers(&self, _tip: Tip) -> bool {
        true
    }

    fn applied(&self, _write: WriteKey) -> bool {
        false
    }

    fn inventory(&self) -> Inventory {
        Inventory::default()
    }

    fn inventory_of(_config: &Self::Config, _log: &[()]) -> Inventory {
        Inventory::default()
    }

    fn wire_bytes(message: &Message) -> u32 {
        message.bytes()
    }

    fn record_bytes(_record: &()) -> u32 {
        0
    }

    fn message_name(message: &Message) -> &'static str {
        message.name()
    }

    /// Everything is soft state, so everything may be overwritten: beliefs about others, and their ages.
    fn corrupt(&mut self, what: Corrupt, rng: &mut Stream) -> bool {
        if what != Corrupt::Log {
            self.sight.overwrite(rng);
            self.managers.clear();
            self.left.clear();
            self.class = Class::Calm;
            self.calm_since = LocalTime::from_nanos(rng.bits() >> 8);
            self.yawn.overwrite(rng);
        }
        true
    }

    fn corrupt_message(message: &mut Message, rng: &mut Stream) -> bool {
        if let Message::Advert(advert) = message {
            let load = rng.below(2_000) as u32;
            *advert = Rc::new(Advert { load, seats: Vec::new(), ..(**advert).clone() });
        }
        true
    }
}
