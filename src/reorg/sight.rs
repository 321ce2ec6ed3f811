//! What an agent knows of other machines and sites: only what it was told, and for how long ago.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::evidence::Evidence;
use super::map::Map;
use super::message::{Advert, Life, Part, Plan, Row, Seat, SiteLife, Summary};
use super::policy::Policy;
use crate::id::{DcId, NodeId, ServiceId};
use crate::rng::Stream;
use crate::time::{Duration, LocalTime};

/// What an agent believes. All of it expires, or is replaced by the next word.
#[derive(Debug)]
pub struct Sight {
    pub me: NodeId,
    pub map: Rc<Map>,
    pub policy: Rc<Policy>,
    born: LocalTime,
    /// Machines of the own site, but this one, by their last adverts.
    neighbours: BTreeMap<NodeId, Neighbour>,
    /// Machines of the own site that said they go to sleep.
    asleep: BTreeMap<NodeId, LocalTime>,
    /// Machines of the own site that were sent a packet to wake.
    waking: BTreeMap<NodeId, LocalTime>,
    /// By site; nothing of the own one.
    sites: Vec<Option<Heard>>,
}

#[derive(Clone, Debug)]
struct Neighbour {
    advert: Rc<Advert>,
    heard: LocalTime,
}

#[derive(Clone, Debug)]
struct Heard {
    summary: Rc<Summary>,
    heard: LocalTime,
}

impl Sight {
    pub fn new(me: NodeId, map: Rc<Map>, policy: Rc<Policy>, now: LocalTime) -> Self {
        let sites = vec![None; map.sites.len()];
        let (neighbours, asleep, waking) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { me, map, policy, born: now, neighbours, asleep, waking, sites }
    }

    pub fn site(&self) -> DcId {
        self.map.site_of(self.me)
    }

    /// Clamps what a fault may have overwritten: nothing was heard in the future.
    pub fn sanity(&mut self, now: LocalTime) {
        self.born = self.born.min(now);
        self.neighbours.values_mut().for_each(|one| one.heard = one.heard.min(now));
        self.asleep.values_mut().chain(self.waking.values_mut()).for_each(|at| *at = (*at).min(now));
        self.sites.iter_mut().flatten().for_each(|one| one.heard = one.heard.min(now));
    }

    pub fn hear_advert(&mut self, from: NodeId, advert: Rc<Advert>, now: LocalTime) {
        if advert.plan == Plan::Sleep {
            self.neighbours.remove(&from);
            self.waking.remove(&from);
            self.asleep.insert(from, now);
        } else if self.map.site_of(from) == self.site() {
            self.asleep.remove(&from);
            self.waking.remove(&from);
            self.neighbours.insert(from, Neighbour { advert, heard: now });
        }
    }

    /// Word from another site, `age` ago.
    pub fn hear_summary(&mut self, summary: Rc<Summary>, age: Duration, now: LocalTime) {
        let heard = now - age.min(now.since(LocalTime::ZERO));
        let site = summary.site;
        if site == self.site() {
            return;
        }
        let known = &mut self.sites[site.index()];
        if known.as_ref().is_none_or(|known| known.heard <= heard) {
            *known = Some(Heard { summary, heard });
        }
    }

    /// What is passed on to the own site.
    pub fn roll(&self, now: LocalTime) -> Rc<[Row]> {
        let row = |heard: &Heard| Row { summary: heard.summary.clone(), age: now.since(heard.heard) };
        self.sites.iter().flatten().map(row).collect()
    }

    fn heard_lately(&self, neighbour: &Neighbour, now: LocalTime) -> bool {
        now.since(neighbour.heard) <= self.policy.silent_after
    }

    /// The lowest machine of the own site that is awake speaks for it.
    pub fn steward(&self, now: LocalTime) -> NodeId {
        let awake = self.neighbours.iter().filter(|(_, one)| self.heard_lately(one, now)).map(|(&node, _)| node);
        awake.chain([self.me]).min().expect("this machine is one")
    }

    pub fn is_steward(&self, now: LocalTime) -> bool {
        self.steward(now) == self.me
    }

    /// Whom to tell news for a site: its last known steward, else its machines in turn.
    pub fn spokesman(&self, site: DcId, turn: u64, now: LocalTime) -> NodeId {
        let nodes = &self.map.sites[site.index()].nodes;
        match &self.sites[site.index()] {
            Some(heard) if now.since(heard.heard) <= self.policy.site_silent_after() => heard.summary.steward,
            _ => nodes[(turn % nodes.len() as u64) as usize],
        }
    }

    /// Machines of the own site but this one.
    pub fn neighbours(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.map.sites[self.site().index()].nodes.iter().copied().filter(|&node| node != self.me)
    }

    /// Machines of the own site that are silent, and were not sent a packet lately: they may be asleep, and those
    /// who knew it may have forgotten.
    pub fn perhaps_asleep(&self, now: LocalTime) -> Vec<NodeId> {
        let again = self.policy.low_for.saturating_mul(2);
        let was_woken = |node: &NodeId| self.waking.get(node).is_some_and(|&at| now.since(at) < again);
        let long = |life: Life| matches!(life, Life::Silent(since) if since > self.policy.repair_after);
        self.neighbours().filter(|&node| long(self.neighbour_life(node, now)) && !was_woken(&node)).collect()
    }

    /// A packet to wake it is on its way.
    pub fn woken(&mut self, node: NodeId, now: LocalTime) {
        self.waking.insert(node, now);
    }

    pub fn life(&self, node: NodeId, now: LocalTime) -> Life {
        let site = self.map.site_of(node);
        if site == self.site() {
            return self.neighbour_life(node, now);
        }
        let Some(heard) = &self.sites[site.index()] else {
            return Life::Silent(now.since(self.born));
        };
        let known = heard.summary.nodes.iter().find(|(one, _)| *one == node).map(|(_, life)| life);
        match (self.site_life(site, now), known) {
            (SiteLife::Silent(since), Some(Life::Awake(_) | Life::Waking) | None) => Life::Silent(since),
            (_, Some(life)) => life.clone(),
            (_, None) => Life::Silent(now.since(self.born)),
        }
    }

    fn neighbour_life(&self, node: NodeId, now: LocalTime) -> Life {
        let boots = self.map.machines[node.index()].boot.saturating_mul(2);
        match (self.neighbours.get(&node), self.asleep.get(&node), self.waking.get(&node)) {
            (Some(one), ..) if self.heard_lately(one, now) => Life::Awake(one.advert.clone()),
            (_, _, Some(&at)) if now.since(at) <= boots => Life::Waking,
            // Woken in vain: it does not sleep, it is down.
            (_, Some(_), None) => Life::Asleep,
            (one, ..) => Life::Silent(now.since(one.map_or(self.born, |one| one.heard))),
        }
    }

    /// The last advert of a machine that counts as awake; not of this machine.
    pub fn advert(&self, node: NodeId, now: LocalTime) -> Option<Rc<Advert>> {
        match self.life(node, now) {
            Life::Awake(advert) => Some(advert),
            Life::Asleep | Life::Waking | Life::Silent(_) => None,
        }
    }

    /// Silent for as long as counts.
    pub fn is_silent(&self, node: NodeId, now: LocalTime) -> bool {
        node != self.me && matches!(self.life(node, now), Life::Silent(since) if since > self.policy.silent_after)
    }

    /// What this machine was told by a site itself.
    fn own_word(&self, site: DcId, now: LocalTime) -> SiteLife {
        let (since, asleep) = match &self.sites[site.index()] {
            None => (now.since(self.born), false),
            Some(heard) => {
                let awake = |life: &Life| matches!(life, Life::Awake(_) | Life::Waking);
                let asleep = !heard.summary.nodes.iter().any(|(_, life)| awake(life));
                (now.since(heard.heard), asleep)
            }
        };
        match since > self.policy.site_silent_after() {
            false => SiteLife::Heard,
            // Its last machine said good night; what was silent before is another matter.
            true if asleep => SiteLife::Asleep,
            true => SiteLife::Silent(since),
        }
    }

    pub fn site_life(&self, site: DcId, now: LocalTime) -> SiteLife {
        if site == self.site() {
            return SiteLife::Heard;
        }
        let own = self.own_word(site, now);
        // Who has just started, or was cut off meanwhile, does not know who went to sleep: others do.
        let is_unheard = matches!(own, SiteLife::Silent(_));
        if is_unheard && self.words(now).any(|word| word.hears.get(site.index()) == Some(&SiteLife::Asleep)) {
            return SiteLife::Asleep;
        }
        own
    }

    /// The summaries of all sites that are heard, but the own one.
    fn words(&self, now: LocalTime) -> impl Iterator<Item = &Summary> + '_ {
        let sites = (0..self.map.sites.len()).map(DcId::from).filter(|&site| site != self.site());
        sites
            .filter(move |&site| self.own_word(site, now) == SiteLife::Heard)
            .filter_map(|site| self.sites[site.index()].as_ref().map(|heard| &*heard.summary))
    }

    pub fn evidence(&self, now: LocalTime) -> Evidence {
        let mut evidence = Evidence::default();
        let sites = (0..self.map.sites.len()).map(DcId::from);
        for site in sites {
            if let SiteLife::Silent(since) = self.site_life(site, now) {
                evidence.silent_sites.push((site, since));
            }
        }
        for word in self.words(now) {
            let silent = evidence.silent_sites.iter();
            if silent.clone().any(|(site, _)| word.hears.get(site.index()) == Some(&SiteLife::Heard)) {
                evidence.differ.push(word.site);
            } else {
                evidence.agree.push(word.site);
            }
        }
        let long = |life: &Life| matches!(life, Life::Silent(since) if *since > self.policy.silent_after);
        let near = self.neighbours().map(|node| (node, self.neighbour_life(node, now)));
        evidence.silent_nodes = near.filter(|(_, life)| long(life)).map(|(node, _)| node).collect();
        for word in self.words(now) {
            evidence.silent_nodes.extend(word.nodes.iter().filter(|(_, life)| long(life)).map(|&(node, _)| node));
        }
        evidence
    }

    /// What this site tells the others, if this machine's advert is `own`.
    pub fn summary(&self, own: &Rc<Advert>, now: LocalTime) -> Summary {
        let site = self.site();
        let life = |&node: &NodeId| {
            let life = if node != self.me {
                self.life(node, now)
            } else if own.plan == Plan::Sleep {
                Life::Asleep
            } else {
                Life::Awake(own.clone())
            };
            (node, life)
        };
        let hears = |one| if one == site { SiteLife::Heard } else { self.own_word(one, now) };
        Summary {
            site,
            steward: self.me,
            nodes: self.map.sites[site.index()].nodes.iter().map(life).collect(),
            hears: (0..self.map.sites.len()).map(DcId::from).map(hears).collect(),
        }
    }

    /// Every replica on another machine that is awake and heard.
    pub fn seats(&self, now: LocalTime) -> impl Iterator<Item = (NodeId, Seat)> + '_ {
        let near = self.neighbours.iter().filter(move |(_, one)| self.heard_lately(one, now));
        let near = near.map(|(&node, one)| (node, &one.advert));
        let far = self.words(now).flat_map(|word| word.nodes.iter()).filter_map(|(node, life)| match life {
            Life::Awake(advert) => Some((*node, advert)),
            _ => None,
        });
        near.chain(far).flat_map(|(node, advert)| advert.seats.iter().map(move |&seat| (node, seat)))
    }

    /// Where a service is, its primary first: that of the newest view that is heard of.
    pub fn whereabouts(&self, service: ServiceId, own: &[Seat], now: LocalTime) -> Vec<NodeId> {
        let own = own.iter().map(|&seat| (self.me, seat));
        let mut seats: Vec<(NodeId, Seat)> = self
            .seats(now)
            .chain(own)
            .filter(|(_, seat)| seat.service == service && seat.part != Part::Outside)
            .collect();
        let rank = |seat: &Seat| (seat.part == Part::Primary, seat.epoch);
        seats.sort_by(|(a_node, a), (b_node, b)| rank(b).cmp(&rank(a)).then(a_node.cmp(b_node)));
        seats.into_iter().map(|(node, _)| node).collect()
    }

    /// A transient fault: beliefs and their ages become anything.
    pub fn overwrite(&mut self, rng: &mut Stream) {
        let mut any = || LocalTime::from_nanos(rng.bits() >> 8);
        self.born = any();
        self.neighbours.values_mut().for_each(|one| one.heard = any());
        self.sites.iter_mut().flatten().for_each(|one| one.heard = any());
        let nodes: Vec<NodeId> = self.neighbours().collect();
        for node in nodes {
            match rng.below(4) {
                0 => _ = self.neighbours.remove(&node),
                1 => _ = self.asleep.insert(node, LocalTime::from_nanos(rng.bits() >> 8)),
                2 => _ = self.waking.insert(node, LocalTime::from_nanos(rng.bits() >> 8)),
                _ => {}
            }
        }
        for site in 0..self.sites.len() {
            if rng.chance(0.3) {
                self.sites[site] = None;
            }
        }
    }

    /// By site: the capacity that is awake, and of machines that could be awake in time, and the client
    /// operations a second that are carried now. `own` is this machine's load, or none if it is about to sleep.
    pub fn capacities(&self, own: Option<u32>, now: LocalTime) -> Vec<Capacity> {
        let mut capacities = vec![Capacity::default(); self.map.sites.len()];
        let mut count = |node: NodeId, life: &Life| {
            let machine = &self.map.machines[node.index()];
            let site = &mut capacities[machine.site.index()];
            match life {
                Life::Awake(advert) => {
                    site.awake += machine.capacity;
                    site.carried += f64::from(advert.load) / 1_000.0 * machine.capacity;
                }
                Life::Asleep | Life::Waking if machine.boot <= self.policy.wake_within => {
                    site.in_time += machine.capacity;
                }
                Life::Asleep | Life::Waking | Life::Silent(_) => {}
            }
        };
        self.neighbours().for_each(|node| count(node, &self.neighbour_life(node, now)));
        for word in self.words(now) {
            word.nodes.iter().for_each(|(node, life)| count(*node, life));
        }
        let machine = &self.map.machines[self.me.index()];
        let site = &mut capacities[machine.site.index()];
        match own {
            Some(load) => {
                site.awake += machine.capacity;
                site.carried += f64::from(load) / 1_000.0 * machine.capacity;
            }
            None if machine.boot <= self.policy.wake_within => site.in_time += machine.capacity,
            None => {}
        }
        capacities
    }
}

/// What a site can carry, and carries, in client operations a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Capacity {
    pub awake: f64,
    /// Asleep, and awake within T_wake.
    pub in_time: f64,
    pub carried: f64,
}

/// C3 of the capacities: what would be missing after the loss of the site that matters most.
pub fn missing_after_a_loss(capacities: &[Capacity], headroom: f64) -> f64 {
    let total: f64 = capacities.iter().map(|site| site.awake + site.in_time).sum();
    let carried: f64 = capacities.iter().map(|site| site.carried).sum();
    let left = |site: &Capacity| total - site.awake - site.in_time;
    let least = capacities.iter().map(left).fold(f64::INFINITY, f64::min);
    (carried * headroom - least).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reorg::constraints::tests::{map, policy};

    fn second(at: u64) -> LocalTime {
        LocalTime::from_nanos(at * 1_000_000_000)
    }

    fn advert(plan: Plan) -> Rc<Advert> {
        Rc::new(Advert { incarnation: 1, load: 500, promised: 0, plan, refused: false, seats: Vec::new() })
    }

    fn sight() -> Sight {
        Sight::new(NodeId(1), Rc::new(map(&[3, 2, 1], Vec::new())), Rc::new(policy()), second(100))
    }

    fn word(site: u32, steward: u32, hears: [bool; 3]) -> Rc<Summary> {
        let hears = hears.map(|heard| if heard { SiteLife::Heard } else { SiteLife::Silent(Duration::ZERO) });
        let nodes = vec![(NodeId(steward), Life::Awake(advert(Plan::Stay)))];
        Rc::new(Summary { site: DcId(site), steward: NodeId(steward), nodes, hears: hears.to_vec() })
    }

    #[test]
    fn the_lowest_machine_that_is_heard_speaks_for_its_site() {
        let mut sight = sight();
        assert!(sight.is_steward(second(100)), "it has heard of nobody");
        sight.hear_advert(NodeId(0), advert(Plan::Stay), second(101));
        sight.hear_advert(NodeId(2), advert(Plan::Stay), second(101));
        assert_eq!(sight.steward(second(105)), NodeId(0));
        assert_eq!(sight.steward(second(106)), NodeId(1), "silent for more than 4 s");
        sight.hear_advert(NodeId(0), advert(Plan::Sleep), second(107));
        assert_eq!(sight.life(NodeId(0), second(900)), Life::Asleep, "who said good night is not silent");
        sight.woken(NodeId(0), second(900));
        assert_eq!(sight.life(NodeId(0), second(1_000)), Life::Waking);
        assert!(matches!(sight.life(NodeId(0), second(2_000)), Life::Silent(_)), "woken in vain");
    }

    #[test]
    fn a_site_is_silent_when_nothing_comes_and_witnesses_say_what_they_hear() {
        let mut sight = sight();
        assert_eq!(sight.site_life(DcId(1), second(110)), SiteLife::Heard, "not yet");
        assert_eq!(sight.site_life(DcId(1), second(111)), SiteLife::Silent(Duration::from_secs(11)));
        sight.hear_summary(word(1, 3, [true; 3]), Duration::ZERO, second(120));
        sight.hear_summary(word(2, 5, [true; 3]), Duration::from_secs(1), second(120));
        assert!(sight.evidence(second(121)).silent_sites.is_empty());
        // Site 2 falls silent; site 1 still hears it, then no longer.
        sight.hear_summary(word(1, 4, [true; 3]), Duration::ZERO, second(131));
        let evidence = sight.evidence(second(131));
        assert_eq!(evidence.silent_sites, [(DcId(2), Duration::from_secs(12))]);
        assert_eq!((evidence.agree.len(), evidence.differ.as_slice()), (0, [DcId(1)].as_slice()));
        sight.hear_summary(word(1, 4, [true, true, false]), Duration::ZERO, second(132));
        let evidence = sight.evidence(second(132));
        assert_eq!((evidence.agree.as_slice(), evidence.differ.len()), ([DcId(1)].as_slice(), 0));
        assert_eq!(sight.spokesman(DcId(1), 0, second(132)), NodeId(4));
        assert_eq!(sight.spokesman(DcId(1), 1, second(200)), NodeId(4), "in turn, once it is silent");
        assert_eq!(sight.spokesman(DcId(1), 0, second(200)), NodeId(3));
    }

    #[test]
    fn a_site_that_went_to_sleep_is_not_silent() {
        let mut sight = sight();
        let nodes = vec![(NodeId(5), Life::Asleep)];
        let night = Summary { site: DcId(2), steward: NodeId(5), nodes, hears: vec![SiteLife::Heard; 3] };
        sight.hear_summary(Rc::new(night), Duration::ZERO, second(101));
        assert_eq!(sight.site_life(DcId(2), second(500)), SiteLife::Asleep);
        assert_eq!(sight.life(NodeId(5), second(500)), Life::Asleep);
        assert!(!sight.evidence(second(500)).silent_sites.iter().any(|&(site, _)| site == DcId(2)));
    }

    #[test]
    fn who_has_just_started_learns_from_others_which_site_sleeps() {
        let mut sight = sight();
        let nodes = vec![(NodeId(3), Life::Awake(advert(Plan::Stay)))];
        let hears = vec![SiteLife::Heard, SiteLife::Heard, SiteLife::Asleep];
        let word = Summary { site: DcId(1), steward: NodeId(3), nodes, hears };
        sight.hear_summary(Rc::new(word), Duration::ZERO, second(120));
        assert_eq!(sight.site_life(DcId(2), second(121)), SiteLife::Asleep);
        let mine = Rc::new(sight.summary(&advert(Plan::Stay), second(121)));
        assert!(matches!(mine.hears[2], SiteLife::Silent(_)), "a rumour is not passed on, or it would never end");
    }

    #[test]
    fn what_a_fault_wrote_into_the_future_expires_like_the_rest() {
        let mut sight = sight();
        sight.hear_advert(NodeId(0), advert(Plan::Stay), second(1_000_000));
        sight.sanity(second(101));
        assert_eq!(sight.steward(second(106)), NodeId(1));
    }

    #[test]
    fn the_loss_of_the_largest_site_must_be_carried() {
        let site = |awake, in_time, carried| Capacity { awake, in_time, carried };
        let sites = [site(1_000.0, 0.0, 600.0), site(1_000.0, 0.0, 600.0), site(0.0, 500.0, 0.0)];
        // 1,500 would be left of 2,500.
        assert_eq!(missing_after_a_loss(&sites, 1.25), 0.0);
        assert_eq!(missing_after_a_loss(&sites, 1.5), 300.0);
        assert_eq!(missing_after_a_loss(&sites[..2], 1.0), 200.0);
    }
}
