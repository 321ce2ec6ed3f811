//! What machines carry, and what they could carry, as an observer of all of them sees it.

use crate::id::NodeId;
use crate::machine::Machine;
use crate::reorg::Map;
use crate::time::{Duration, SimTime};
use crate::world::{AllReplicas, PowerState};

/// Client operations a second, at one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capacity {
    /// Carried since the last look.
    pub load: f64,
    /// By data center: of machines that are awake, or asleep and awake within T_wake.
    pub in_time: Vec<f64>,
    /// By data center: of all machines that no fault holds.
    pub sound: Vec<f64>,
}

impl Capacity {
    /// Whether what is left after the loss of any one data center carries the load with its headroom.
    pub fn outlives_a_loss(&self, headroom: f64) -> bool {
        self.carries(&self.in_time, headroom)
    }

    /// Whether it would if every machine were awake.
    pub fn could_outlive_a_loss(&self, headroom: f64) -> bool {
        self.carries(&self.sound, headroom)
    }

    fn carries(&self, sites: &[f64], headroom: f64) -> bool {
        let all: f64 = sites.iter().sum();
        sites.iter().all(|site| all - site >= self.load * headroom)
    }
}

/// Looks at the processors of all machines, again and again.
#[derive(Debug)]
pub struct Lookout {
    /// Processor time of each machine when last looked at.
    busy: Vec<Duration>,
    looked: SimTime,
}

impl Lookout {
    pub fn new(machines: usize) -> Self {
        Self { busy: vec![Duration::ZERO; machines], looked: SimTime::ZERO }
    }

    pub fn look<M: Machine>(
        &mut self,
        now: SimTime,
        world: &AllReplicas<'_, M>,
        map: &Map,
        wake_within: Duration,
    ) -> Capacity {
        let span = now.since(self.looked).as_secs_f64();
        self.looked = now;
        let none = vec![0.0; map.sites.len()];
        let mut capacity = Capacity { load: 0.0, in_time: none.clone(), sound: none };
        for (index, machine) in map.machines.iter().enumerate() {
            let node = NodeId::from(index);
            let busy = world.busy(node, now);
            let spent = busy.saturating_sub(std::mem::replace(&mut self.busy[index], busy));
            capacity.load += spent.as_secs_f64() / span.max(1e-9) * machine.capacity;
            let (is_sound, in_time) = match world.power_state(node) {
                PowerState::Awake | PowerState::Booting => (true, true),
                PowerState::Asleep | PowerState::ShuttingDown => (true, machine.boot <= wake_within),
                PowerState::Idle | PowerState::Dead => (false, false),
            };
            let site = machine.site.index();
            capacity.sound[site] += if is_sound { machine.capacity } else { 0.0 };
            capacity.in_time[site] += if in_time { machine.capacity } else { 0.0 };
        }
        capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_the_largest_site_must_be_carried() {
        let capacity =
            Capacity { load: 1_200.0, in_time: vec![1_000.0, 1_000.0, 500.0], sound: vec![1_000.0, 1_000.0, 1_000.0] };
        assert!(capacity.outlives_a_loss(1.25) && !capacity.outlives_a_loss(1.5), "1,500 would be left");
        assert!(capacity.could_outlive_a_loss(1.5) && !capacity.could_outlive_a_loss(1.7), "2,000 would be left");
    }
}
