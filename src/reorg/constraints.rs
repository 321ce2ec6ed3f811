//! The constraints C1 to C3 on where the replicas of a service are, and the potential G by which placements
//! are compared (specification, section 7).

use super::map::{Map, Service};
use super::policy::Policy;
use crate::id::{DcId, NodeId};

/// How often a placement violates each constraint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// C1: data centers and zones that are missing.
    pub spread: u32,
    /// C2: replicas beyond a data center's share.
    pub share: u32,
    /// C3: replicas that would be missing after the loss of a data center, over all of them.
    pub next_disaster: u32,
}

impl Violations {
    /// Of a service whose replicas are on these machines.
    pub fn of(replicas: &[NodeId], service: &Service, map: &Map, next_degree: usize) -> Self {
        let mut sites: Vec<DcId> = replicas.iter().map(|&node| map.site_of(node)).collect();
        sites.sort_unstable();
        let shares: Vec<usize> = sites.chunk_by(|a, b| a == b).map(<[DcId]>::len).collect();
        let mut zones: Vec<u32> = replicas.iter().map(|&node| map.zone_of(node)).collect();
        zones.sort_unstable();
        zones.dedup();
        let missing = |wanted: usize, there: usize| wanted.saturating_sub(there) as u32;
        let share = service.degree.div_ceil(service.data_centers.max(1));
        Self {
            spread: missing(service.data_centers, shares.len()) + missing(service.zones, zones.len()),
            share: shares.iter().map(|&there| missing(there, share)).sum(),
            next_disaster: shares.iter().map(|&lost| missing(next_degree, replicas.len() - lost)).sum(),
        }
    }

    /// Counted under a policy: a constraint that is switched off does not count.
    pub fn count(self, policy: &Policy) -> u32 {
        let one = |on: bool, violations: u32| if on { violations } else { 0 };
        one(policy.constraints.spread, self.spread)
            + one(policy.constraints.share, self.share)
            + one(policy.constraints.next_disaster, self.next_disaster)
    }
}

/// One machine's part in G, in watts: what it draws, and what its overload counts for.
pub fn cost_of_load(load: f64, node: NodeId, map: &Map, policy: &Policy) -> f64 {
    let machine = &map.machines[node.index()];
    let site = &map.sites[machine.site.index()];
    let overload = (load - policy.high).max(0.0);
    machine.power.at(load) * site.pue * site.weight + policy.overload_weight * overload * overload
}

/// What moving so many bytes counts for, in watts.
pub fn cost_of_move(bytes: u64, policy: &Policy) -> f64 {
    policy.move_weight * bytes as f64 / 1e9
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::reorg::map::{Machine, Power, Site};
    use crate::reorg::policy::Constraints;
    use crate::time::Duration;

    /// Sites of so many machines each, of 60 W idle and 160 W full; each a zone of its own.
    pub fn map(sites: &[u32], services: Vec<Service>) -> Map {
        let mut map = Map { machines: Vec::new(), sites: Vec::new(), services, one_way: Vec::new() };
        for (site, &count) in sites.iter().enumerate() {
            let first = map.machines.len();
            let nodes = (first..first + count as usize).map(NodeId::from).collect();
            map.sites.push(Site { zone: site as u32, nodes, pue: 1.0, weight: 1.0 });
            let deciles = std::array::from_fn(|at| 60.0 + 10.0 * at as f64);
            let power = Power { deciles, boot: 200.0, shutdown: 60.0, sleep: 5.0 };
            let machine = Machine { site: DcId::from(site), capacity: 1_000.0, boot: Duration::from_secs(260), power };
            map.machines.extend(std::iter::repeat_n(machine, count as usize));
        }
        let ms = |far: bool| Duration::from_millis(if far { 20 } else { 0 });
        let count = sites.len();
        map.one_way = (0..count * count).map(|at| ms(at / count != at % count)).collect();
        map
    }

    pub fn service(degree: usize, data_centers: usize, pool: u32) -> Service {
        let pool = (0..pool).map(NodeId).collect();
        Service { degree, data_centers, zones: 2, pool, reads_anywhere: false }
    }

    pub fn policy() -> Policy {
        let seconds = Duration::from_secs;
        Policy {
            repair: true,
            balance: true,
            save: true,
            constraints: Constraints::ALL,
            advertise: seconds(1),
            silent_after: seconds(4),
            repair_after: seconds(30),
            disaster_after: seconds(300),
            lease: seconds(15),
            high: 0.7,
            high_for: seconds(30),
            low: 0.3,
            low_for: seconds(300),
            headroom: 1.25,
            next_degree: 2,
            reserve_degree: 2,
            wake_within: seconds(300),
            overload_weight: 1_000.0,
            violation_weight: 10_000.0,
            move_weight: 1.0,
            epsilon: 5.0,
        }
    }

    fn violations(nodes: &[u32]) -> Violations {
        let map = map(&[2, 2, 2], vec![service(3, 2, 6)]);
        let nodes: Vec<NodeId> = nodes.iter().copied().map(NodeId).collect();
        Violations::of(&nodes, &map.services[0], &map, 2)
    }

    #[test]
    fn each_constraint_counts_what_is_missing() {
        assert_eq!(violations(&[0, 2, 4]), Violations::default());
        // Two in one site: its loss leaves one.
        assert_eq!(violations(&[0, 1, 4]), Violations { spread: 0, share: 0, next_disaster: 1 });
        // The share of a site is ceil(3 / 2) = 2.
        let all_in_one = map(&[4, 1, 1], vec![service(3, 2, 6)]);
        let nodes = [NodeId(0), NodeId(1), NodeId(2)];
        let there = Violations::of(&nodes, &all_in_one.services[0], &all_in_one, 2);
        assert_eq!(there, Violations { spread: 2, share: 1, next_disaster: 2 });
        assert_eq!(violations(&[0]), Violations { spread: 2, share: 0, next_disaster: 2 });
    }

    #[test]
    fn a_constraint_that_is_off_does_not_count() {
        let mut policy = policy();
        let all = Violations { spread: 1, share: 1, next_disaster: 1 };
        assert_eq!(all.count(&policy), 3);
        policy.constraints.next_disaster = false;
        assert_eq!(all.count(&policy), 2);
        policy.constraints.spread = false;
        assert_eq!(all.count(&policy), 1);
        policy.constraints.share = false;
        assert_eq!(all.count(&policy), 0);
    }

    #[test]
    fn overload_costs_more_than_power_saves() {
        let (map, policy) = (map(&[2], Vec::new()), policy());
        let cost = |load: f64| cost_of_load(load, NodeId(0), &map, &policy);
        // Two halves rather than one whole: 60 W for the second machine, but 90 for the overload.
        assert!(cost(1.0) + 5.0 > 2.0 * cost(0.5));
        // Two that are lightly used rather than one: nothing is overloaded.
        assert!(cost(0.6) + 5.0 < 2.0 * cost(0.3));
    }
}
