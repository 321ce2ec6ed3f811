//! What a machine lends: the offers it made, the replicas it took in on trust, and when it gives them up.

use std::collections::BTreeMap;

use super::message::{Claim, Need, Search, Urgency};
use super::policy::Policy;
use crate::id::ServiceId;
use crate::time::LocalTime;

/// Share of the threshold of overload up to which a machine takes on new load.
const FILL: f64 = 0.9;

/// A place that is lent, or offered.
#[derive(Clone, Debug)]
struct Lease {
    search: Search,
    claim: Claim,
    /// In thousandths of this machine.
    load: u32,
    until: LocalTime,
    /// The replica runs here.
    started: bool,
    /// It is a member: nothing is to be renewed. What it was promised counts on until it shows as load.
    settled: bool,
}

/// The leases of one machine, at most one a service.
#[derive(Debug, Default)]
pub struct Lending {
    leases: BTreeMap<ServiceId, Lease>,
}

/// What becomes of a need that reached a machine.
#[derive(Debug, PartialEq, Eq)]
pub struct Bid {
    /// The load with the newcomer, in thousandths.
    pub load: u32,
    /// Weaker claims that made way.
    pub displaced: Vec<(Search, ServiceId)>,
}

impl Lending {
    /// Load that is promised and not carried yet.
    pub fn promised(&self) -> u32 {
        self.leases.values().map(|lease| lease.load).sum()
    }

    /// Whether anything is promised for which no replica runs.
    pub fn is_pledged(&self) -> bool {
        !self.leases.is_empty()
    }

    /// Offers a place to a service, if there is room at this `load`, or weaker claims can make way.
    pub fn bid(&mut self, need: &Need, load: u32, capacity: f64, policy: &Policy, now: LocalTime) -> Option<Bid> {
        let newcomer = (need.rate as f64 / capacity * 1_000.0) as u32;
        let full = match need.urgency {
            // Too much load is better than no replica.
            Urgency::Disaster | Urgency::LoneSurvivor => u32::MAX,
            _ => (policy.high * FILL * 1_000.0) as u32,
        };
        if self.leases.get(&need.service).is_some_and(|lease| lease.started) {
            // Another manager of the service holds this place already.
            return None;
        }
        let claim = need.claim();
        let weaker = |(&service, lease): (&ServiceId, &Lease)| {
            let is_weaker = !lease.started && service != need.service && lease.claim < claim;
            is_weaker.then_some((lease.claim, lease.search, service, lease.load))
        };
        let mut weak: Vec<_> = self.leases.iter().filter_map(weaker).collect();
        weak.sort_unstable_by_key(|&(claim, ..)| std::cmp::Reverse(claim));
        let own = self.leases.get(&need.service).map_or(0, |lease| lease.load);
        let mut after = load + self.promised() - own + newcomer;
        let mut displaced = Vec::new();
        while after > full {
            let (_, search, service, load) = weak.pop()?;
            after -= load;
            displaced.push((search, service));
        }
        for (_, service) in &displaced {
            self.leases.remove(service);
        }
        let until = now + policy.lease;
        let lease = Lease { search: need.search, claim, load: newcomer, until, started: false, settled: false };
        self.leases.insert(need.service, lease);
        Some(Bid { load: after, displaced })
    }

    /// The offer is taken. False: there is none any more.
    pub fn accept(&mut self, service: ServiceId, search: Search, policy: &Policy, now: LocalTime) -> bool {
        match self.leases.get_mut(&service).filter(|lease| lease.search == search) {
            Some(lease) => {
                lease.started = true;
                lease.until = now + policy.lease;
                true
            }
            None => false,
        }
    }

    /// The offer is not needed.
    pub fn decline(&mut self, service: ServiceId, search: Search) {
        if self.leases.get(&service).is_some_and(|lease| lease.search == search && !lease.started) {
            self.leases.remove(&service);
        }
    }

    pub fn renew(&mut self, service: ServiceId, policy: &Policy, now: LocalTime) {
        if let Some(lease) = self.leases.get_mut(&service).filter(|lease| !lease.settled) {
            lease.until = now + policy.lease;
        }
    }

    /// The replica became a member.
    pub fn settle(&mut self, service: ServiceId) {
        if let Some(lease) = self.leases.get_mut(&service).filter(|lease| lease.started) {
            lease.settled = true;
        }
    }

    /// The replica is gone.
    pub fn end(&mut self, service: ServiceId) {
        self.leases.remove(&service);
    }

    /// Leases that ended, and whether a replica was started on each.
    pub fn expire(&mut self, policy: &Policy, now: LocalTime) -> Vec<(ServiceId, bool)> {
        let latest = now + policy.lease;
        // A fault may have written a time that never comes.
        self.leases.values_mut().for_each(|lease| lease.until = lease.until.min(latest));
        let over: Vec<_> = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.until <= now)
            .map(|(&service, lease)| (service, lease.started))
            .collect();
        for (service, _) in &over {
            self.leases.remove(service);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;
    use crate::reorg::constraints::tests::policy;
    use crate::time::Duration;

    fn second(at: u64) -> LocalTime {
        LocalTime::from_nanos(at * 1_000_000_000)
    }

    fn need(service: u32, urgency: Urgency, degree: usize, rate: u64) -> Need {
        let search = Search { manager: NodeId(service), number: 1 };
        Need {
            search,
            service: ServiceId(service),
            urgency,
            degree,
            except: Vec::new(),
            takes_lead: false,
            rate,
            bytes: 0,
        }
    }

    /// A machine of 1,000 operations a second that carries 100: there is room for 530 more.
    fn bid(lending: &mut Lending, need: &Need, now: u64) -> Option<Bid> {
        lending.bid(need, 100, 1_000.0, &policy(), second(now))
    }

    #[test]
    fn the_stronger_claim_to_a_place_wins_and_the_weaker_is_told() {
        let mut lending = Lending::default();
        let balance = need(1, Urgency::Balance, 3, 300);
        assert_eq!(bid(&mut lending, &balance, 0), Some(Bid { load: 400, displaced: Vec::new() }));
        assert_eq!(bid(&mut lending, &need(2, Urgency::Saving, 3, 300), 1), None, "weaker, and no room");
        assert_eq!(bid(&mut lending, &need(3, Urgency::Balance, 3, 300), 1), None, "equal, but a later service");
        let repair = need(4, Urgency::Repair, 2, 300);
        let displaced = vec![(balance.search, ServiceId(1))];
        assert_eq!(bid(&mut lending, &repair, 2), Some(Bid { load: 400, displaced }));
        assert!(!lending.accept(ServiceId(1), balance.search, &policy(), second(2)), "it made way");
        assert!(lending.accept(ServiceId(4), repair.search, &policy(), second(2)));
        assert_eq!(bid(&mut lending, &need(5, Urgency::Repair, 1, 300), 2), None, "what runs does not make way");
        let urgent = bid(&mut lending, &need(6, Urgency::LoneSurvivor, 1, 300), 2);
        assert_eq!(urgent, Some(Bid { load: 700, displaced: Vec::new() }), "too much load is better than no replica");
    }

    #[test]
    fn of_two_repairs_the_service_with_fewer_replicas_goes_first() {
        let mut lending = Lending::default();
        let two = need(1, Urgency::Repair, 2, 400);
        let one = need(2, Urgency::Repair, 1, 400);
        assert!(bid(&mut lending, &two, 0).is_some());
        assert_eq!(bid(&mut lending, &one, 0).map(|bid| bid.displaced), Some(vec![(two.search, ServiceId(1))]));
        assert_eq!(bid(&mut lending, &two, 0), None);
    }

    #[test]
    fn leases_expire_unless_they_are_renewed() {
        let mut lending = Lending::default();
        let repair = need(1, Urgency::Repair, 2, 300);
        assert!(bid(&mut lending, &repair, 0).is_some());
        assert_eq!(lending.promised(), 300);
        assert!(lending.accept(ServiceId(1), repair.search, &policy(), second(1)));
        lending.renew(ServiceId(1), &policy(), second(10));
        assert_eq!(lending.expire(&policy(), second(24)), []);
        assert_eq!(lending.expire(&policy(), second(25)), [(ServiceId(1), true)]);
        assert_eq!((lending.promised(), lending.is_pledged()), (0, false));
    }

    #[test]
    fn a_lease_that_a_fault_made_endless_ends() {
        let mut lending = Lending::default();
        assert!(bid(&mut lending, &need(1, Urgency::Repair, 2, 300), 1_000_000).is_some());
        assert_eq!(lending.expire(&policy(), second(1)), []);
        let end = second(1) + policy().lease;
        assert_eq!(lending.expire(&policy(), end + Duration::from_nanos(0)), [(ServiceId(1), false)]);
    }
}
