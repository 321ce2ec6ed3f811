//! What a run measures of machines rather than of requests: power, load, sleep, and replicas that move.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::census::Census;
use super::phases;
use crate::check::capacity::Lookout;
use crate::check::constraints::{Constraints, Settling};
use crate::id::{NodeId, ServiceId};
use crate::machine::Machine;
use crate::metrics::energy::{Meter, Metered, Reading};
use crate::metrics::window::Window;
use crate::metrics::{MetricsTable, NodeRecord, Residency};
use crate::reorg::Map;
use crate::scenario::{Agents, Scenario};
use crate::time::{Duration, SimTime};
use crate::world::{AllReplicas, PowerState};

/// What is seen of the reorganisation.
struct Layer {
    lookout: Lookout,
    census: Census,
    constraints: Constraints,
    map: Rc<Map>,
    wake_within: Duration,
}

impl Layer {
    fn new(scenario: &Scenario, agents: &Agents, windows: &[Window], disturbances: &[SimTime]) -> Self {
        let Agents { map, policy } = agents;
        let spans = phases::spans(scenario, Settling::of(map, policy));
        Self {
            lookout: Lookout::new(map.machines.len()),
            census: Census::new(agents, scenario.services.len(), windows, disturbances),
            constraints: Constraints::new(map.clone(), policy.clone(), spans),
            map: map.clone(),
            wake_within: policy.wake_within,
        }
    }

    fn observe<M: Machine>(&mut self, now: SimTime, world: &AllReplicas<'_, M>) {
        let capacity = self.lookout.look(now, world, &self.map, self.wake_within);
        self.census.observe(now, world, &capacity);
        self.constraints.observe(now, world, &capacity);
    }
}

pub struct Watch {
    /// If the power of all machines is known.
    meter: Option<Meter>,
    /// If there are agents.
    layer: Option<Layer>,
    services: usize,
    /// By machine: since when it is in which state of power.
    states: Vec<Vec<(SimTime, PowerState)>>,
    /// By second and service: machines awake that hold a replica.
    holders: Vec<Vec<u32>>,
}

impl Watch {
    pub fn new(scenario: &Scenario, agents: Option<&Agents>, windows: &[Window], disturbances: &[SimTime]) -> Self {
        let topology = &scenario.topology;
        let metered = topology.nodes.iter().map(|node| {
            let site = node.data_center;
            let pue = topology.data_centers[site.index()].pue;
            Some(Metered { site, power: node.power.clone()?, pue })
        });
        let services = scenario.services.len();
        let machines: Option<Vec<Metered>> = metered.collect();
        Self {
            meter: machines.map(|machines| Meter::new(machines, services, windows)),
            layer: agents.map(|agents| Layer::new(scenario, agents, windows, disturbances)),
            services,
            states: vec![Vec::new(); topology.nodes.len()],
            holders: Vec::new(),
        }
    }

    pub fn power_changed(&mut self, now: SimTime, node: NodeId, state: PowerState) {
        self.states[node.index()].push((now, state));
    }

    pub fn housed(&mut self, now: SimTime, service: ServiceId, node: NodeId, starts: bool) {
        if let Some(layer) = &mut self.layer {
            layer.census.housed(now, service, node, starts);
        }
    }

    pub fn sleeps<M: Machine>(&mut self, now: SimTime, node: NodeId, world: &AllReplicas<'_, M>) {
        if let Some(layer) = &mut self.layer {
            layer.constraints.sleeps(now, node, world);
        }
    }

    /// C1 to C5, if there are agents.
    pub fn constraints(&self) -> Option<&Constraints> {
        self.layer.as_ref().map(|layer| &layer.constraints)
    }

    /// At the end of each second, and at the edges of windows.
    pub fn observe<M: Machine>(&mut self, now: SimTime, on_the_second: bool, world: &AllReplicas<'_, M>) {
        if let Some(meter) = &mut self.meter {
            let reading = |index| {
                let node = NodeId::from(index);
                let (state, times) = (world.power_state(node), world.power_times(node, now));
                Reading { state, times, busy: world.busy(node, now) }
            };
            let readings: Vec<Reading> = (0..self.states.len()).map(reading).collect();
            let services: Vec<Duration> =
                world.services().take(self.services).map(|replicas| replicas.counts().busy).collect();
            meter.sample(now, &readings, &services);
            if on_the_second {
                meter.second_ended();
                let awake = |node: &&NodeId| readings[node.index()].state == PowerState::Awake;
                let holders = world.services().take(self.services).map(|replicas| {
                    replicas.nodes().iter().filter(|&&node| replicas.holds(node)).filter(awake).count() as u32
                });
                self.holders.push(holders.collect());
            }
        }
        if let Some(layer) = self.layer.as_mut().filter(|_| on_the_second) {
            layer.observe(now, world);
        }
    }

    /// Puts what was measured in a window where results tell it. `names`: of the services.
    pub fn fill<'a>(&self, window: usize, names: impl Iterator<Item = &'a str>, table: &mut MetricsTable) {
        if let Some(meter) = &self.meter {
            meter.fill(window, &mut table.all);
        }
        if let Some(Layer { census, .. }) = &self.layer {
            census.fill(window, None, &mut table.all);
        }
        for (index, name) in names.enumerate() {
            let Some(metrics) = table.services.get_mut(name) else { continue };
            if let Some(meter) = &self.meter {
                meter.fill_service(window, index, metrics);
            }
            if let Some(Layer { census, .. }) = &self.layer {
                census.fill(window, Some(index), metrics);
            }
        }
    }

    /// Machines awake that hold a replica of a service, and watts that it accounts for, by second.
    pub fn seconds(&self, service: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        let watts = self.meter.iter().flat_map(|meter| meter.seconds()).map(move |second| second.services[service]);
        self.holders.iter().map(move |holders| holders[service]).zip(watts)
    }

    pub fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    /// Where replicas were, and when machines were awake; `None`: nothing moves, and nothing is known of power.
    pub fn residency(&self, scenario: &Scenario, end: SimTime) -> Option<Residency> {
        if self.meter.is_none() && self.layer.is_none() {
            return None;
        }
        let node = |(index, states): (usize, &Vec<(SimTime, PowerState)>)| {
            let used = self.meter.as_ref().map(|meter| meter.machine(0, index));
            let record = NodeRecord {
                energy_kwh: used.map(|(energy, _)| energy),
                load_mean: used.and_then(|(_, load)| load),
                awake: spans(states, end, |state| matches!(state, PowerState::Awake | PowerState::Idle)),
                booting: spans(states, end, |state| state == PowerState::Booting),
                asleep: spans(states, end, |state| matches!(state, PowerState::Asleep | PowerState::ShuttingDown)),
                down: spans(states, end, |state| matches!(state, PowerState::Idle | PowerState::Dead)),
            };
            (scenario.node(NodeId::from(index)).to_owned(), record)
        };
        let mut replicas = BTreeMap::new();
        if let Some(Layer { census, .. }) = &self.layer {
            for (index, service) in scenario.services.iter().enumerate() {
                replicas.insert(service.name.clone(), census.events(index, |node| scenario.node(node).to_owned()));
            }
        }
        Some(Residency { replicas, nodes: self.states.iter().enumerate().map(node).collect() })
    }
}

/// Spans in seconds, up to the end, in which a state of power was one of those wanted.
fn spans(states: &[(SimTime, PowerState)], end: SimTime, wanted: impl Fn(PowerState) -> bool) -> Vec<(f64, f64)> {
    let mut spans: Vec<(SimTime, SimTime)> = Vec::new();
    for (index, &(from, _)) in states.iter().enumerate().filter(|(_, state)| wanted(state.1)) {
        let to = states.get(index + 1).map_or(end, |next| next.0);
        match spans.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ if from < to => spans.push((from, to)),
            _ => {}
        }
    }
    spans.iter().map(|(from, to)| (from.as_secs_f64(), to.as_secs_f64())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_states_of_one_kind_are_one_span() {
        let at = |seconds| SimTime::ZERO + Duration::from_secs(seconds);
        let states = [
            (at(0), PowerState::Awake),
            (at(10), PowerState::Idle),
            (at(20), PowerState::ShuttingDown),
            (at(25), PowerState::Asleep),
            (at(40), PowerState::Booting),
            (at(50), PowerState::Awake),
        ];
        let of = |wanted: &[PowerState]| spans(&states, at(60), |state| wanted.contains(&state));
        assert_eq!(of(&[PowerState::Awake, PowerState::Idle]), [(0.0, 20.0), (50.0, 60.0)]);
        assert_eq!(of(&[PowerState::ShuttingDown, PowerState::Asleep]), [(20.0, 40.0)]);
        assert_eq!(of(&[PowerState::Idle, PowerState::Dead]), [(10.0, 20.0)]);
        assert_eq!(of(&[PowerState::Dead]), []);
    }
}
