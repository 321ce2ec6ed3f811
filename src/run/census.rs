//! Who belongs to each service while agents move replicas, and when a service was provisioned again.
//!
//! Looked at each whole second, by an observer who sees all machines: agents know none of this. A service is *whole*
//! if its newest serving primary's view has as many running members as its degree, and would keep `next_degree` of
//! them if any one data center were lost. All are whole if each is, and if the machines outside of any one data
//! center that are awake, or could be in time, have capacity for the load of the last second with its headroom.

use std::rc::Rc;

use crate::check::capacity::Capacity;
use crate::check::constraints::newest;
use crate::id::{NodeId, ServiceId};
use crate::machine::Machine;
use crate::metrics::window::Window;
use crate::metrics::{Metrics, ReplicaEvent};
use crate::reorg::{Map, Policy};
use crate::scenario::Agents;
use crate::time::SimTime;
use crate::world::{AllReplicas, Replicas};

/// The way back from one disturbance.
#[derive(Clone, Copy, Debug)]
struct Return {
    from: SimTime,
    /// Something was missing after it.
    broken: bool,
    /// When nothing was missing any more.
    whole: Option<SimTime>,
}

impl Return {
    fn seen(&mut self, now: SimTime, whole: bool) {
        if now > self.from && self.whole.is_none() {
            self.broken |= !whole;
            self.whole = whole.then_some(now);
        }
    }

    fn seconds(&self) -> Option<f64> {
        let whole = self.whole?;
        Some(if self.broken { whole.since(self.from).as_secs_f64() } else { 0.0 })
    }
}

/// The worst of all; null if one of them was not reached.
fn worst(returns: &[Return]) -> Option<f64> {
    returns.iter().try_fold(None::<f64>, |worst, one| {
        let seconds = one.seconds()?;
        Some(Some(worst.map_or(seconds, |worst| worst.max(seconds))))
    })?
}

/// What is known of one service.
struct Known {
    members: Vec<NodeId>,
    /// Started by an agent, and not a member yet.
    newcomers: Vec<NodeId>,
    events: Vec<(SimTime, NodeId, &'static str)>,
    returns: Vec<Return>,
    /// By window.
    moves: Vec<u64>,
    bytes: Vec<u64>,
}

pub struct Census {
    policy: Rc<Policy>,
    map: Rc<Map>,
    windows: Vec<Window>,
    services: Vec<Known>,
    all: Vec<Return>,
}

impl Census {
    pub fn new(agents: &Agents, services: usize, windows: &[Window], disturbances: &[SimTime]) -> Self {
        let all: Vec<Return> = disturbances.iter().map(|&from| Return { from, broken: false, whole: None }).collect();
        let known = |_| Known {
            members: Vec::new(),
            newcomers: Vec::new(),
            events: Vec::new(),
            returns: all.clone(),
            moves: vec![0; windows.len()],
            bytes: vec![0; windows.len()],
        };
        Self {
            services: (0..services).map(known).collect(),
            all,
            policy: agents.policy.clone(),
            map: agents.map.clone(),
            windows: windows.to_vec(),
        }
    }

    /// An agent had a replica started or stopped.
    pub fn housed(&mut self, now: SimTime, service: ServiceId, node: NodeId, starts: bool) {
        let Some(known) = self.services.get_mut(service.index()) else { return };
        known.events.push((now, node, if starts { "start" } else { "stop" }));
        known.newcomers.retain(|&one| one != node);
        if starts {
            known.newcomers.push(node);
            count(&self.windows, &mut known.moves, now, 1);
        }
    }

    /// A whole second is over.
    pub fn observe<M: Machine>(&mut self, now: SimTime, world: &AllReplicas<'_, M>, capacity: &Capacity) {
        let mut whole = capacity.outlives_a_loss(self.policy.headroom);
        for (index, replicas) in world.services().take(self.services.len()).enumerate() {
            let members = newest(&replicas).map(|(_, status)| status.members).unwrap_or_default();
            let (wanted, next) = (self.map.services[index].degree, self.policy.next_degree);
            let up: Vec<NodeId> =
                members.iter().copied().filter(|&node| replicas.up(node) && !replicas.paused(node)).collect();
            let mut at_sites = vec![0; self.map.sites.len()];
            up.iter().for_each(|&node| at_sites[self.map.site_of(node).index()] += 1);
            let most = at_sites.into_iter().max().unwrap_or(0);
            let own = up.len() >= wanted && up.len() - most >= next;
            whole &= own;
            let known = &mut self.services[index];
            known.returns.iter_mut().for_each(|one| one.seen(now, own));
            known.changed(now, members, &self.windows, &replicas);
        }
        self.all.iter_mut().for_each(|one| one.seen(now, whole));
    }

    /// Puts what is known of a window, or of the whole run, where results tell it.
    pub fn fill(&self, window: usize, service: Option<usize>, metrics: &mut Metrics) {
        let of = |pick: fn(&Known) -> &Vec<u64>| match service {
            Some(service) => pick(&self.services[service])[window],
            None => self.services.iter().map(|known| pick(known)[window]).sum(),
        };
        metrics.moves = Some(of(|known| &known.moves));
        metrics.bytes_moved = Some(of(|known| &known.bytes));
        if window == 0 {
            metrics.reprovision_s = worst(service.map_or(&self.all, |service| &self.services[service].returns));
        }
    }

    /// What happened to the replicas of a service, in order.
    pub fn events(&self, service: usize, name: impl Fn(NodeId) -> String) -> Vec<ReplicaEvent> {
        let events = self.services[service].events.iter();
        events.map(|&(at, node, what)| ReplicaEvent(at.as_secs_f64(), name(node), what.to_owned())).collect()
    }
}

impl Known {
    fn changed<M: Machine>(
        &mut self,
        now: SimTime,
        members: Vec<NodeId>,
        windows: &[Window],
        replicas: &Replicas<'_, M>,
    ) {
        // Without a primary nobody says who belongs to it.
        if members.is_empty() || members == self.members {
            return;
        }
        for &node in members.iter().filter(|node| !self.members.contains(node)) {
            self.events.push((now, node, "join"));
            if self.newcomers.contains(&node) {
                self.newcomers.retain(|&one| one != node);
                count(windows, &mut self.bytes, now, replicas.bytes(node));
            }
        }
        for &node in self.members.iter().filter(|node| !members.contains(node)) {
            self.events.push((now, node, "leave"));
        }
        self.members = members;
    }
}

fn count(windows: &[Window], into: &mut [u64], now: SimTime, more: u64) {
    for (count, _) in into.iter_mut().zip(windows).filter(|(_, window)| window.contains(now)) {
        *count += more;
    }
}
