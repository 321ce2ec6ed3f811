//! Searches: who is asked for a machine, and which of the offers is taken.

use std::rc::Rc;

use super::super::agent::{Cx, Timer};
use super::super::constraints::cost_of_move;
use super::super::message::{Message, Need, Search, SiteLife, Urgency};
use super::outlook::decided;
use super::steps::{Goal, Offer, Step};
use super::{Manager, Outlook, PAUSE};
use crate::id::{DcId, NodeId};
use crate::machine::{Effect, Order};
use crate::time::Duration;

/// Stewards that one search asks, the more the oftener it found nobody.
const ASKED: usize = 6;

impl Manager {
    /// Sites that could take a newcomer to `base`, best first: by violations, then by distance from here.
    pub(super) fn sites_for(&self, base: &[NodeId], out: &Outlook<'_>) -> Vec<(u32, Duration, DcId)> {
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
    pub(super) fn find(
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
    pub(super) fn find_leader(
        &mut self,
        action: &'static str,
        members: Vec<NodeId>,
        out: &Outlook<'_>,
        cx: &mut Cx<'_>,
    ) {
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
    pub(super) fn wake_a_sleeping_site(&self, out: &Outlook<'_>, cx: &mut Cx<'_>) {
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
    pub(super) fn saved_by_leaving(&self, node: Option<NodeId>, out: &Outlook<'_>) -> f64 {
        let Some(node) = node else { return 0.0 };
        let machine = &out.sight.map.machines[node.index()];
        let site = &out.sight.map.sites[machine.site.index()];
        let advert = if node == out.me() { None } else { out.sight.advert(node, out.now) };
        let (load, seats) = advert.map_or((out.own.load, out.own.seats.len()), |one| (one.load, one.seats.len()));
        let idle = machine.power.at(f64::from(load) / 1_000.0) - machine.power.sleep;
        idle * site.pue * site.weight / seats.max(1) as f64
    }

    pub(super) fn relieved_by_leaving(&self, node: Option<NodeId>, out: &Outlook<'_>) -> f64 {
        match node {
            Some(node) if node == out.me() => {
                let load = out.load(node).unwrap_or(0.0);
                out.cost(load, node) - out.cost(load - out.own_share(), node)
            }
            _ => 0.0,
        }
    }
}
