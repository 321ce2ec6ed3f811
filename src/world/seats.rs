//! Which replica sits where: by service and machine.

use crate::id::{NodeId, ServiceId};

/// Nobody sits here.
const EMPTY: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Seat {
    replica: u32,
    /// Counts the replicas that have sat here.
    tenants: u32,
}

/// A seat for each service on each machine.
#[derive(Debug)]
pub(super) struct Seats {
    nodes: usize,
    seats: Vec<Seat>,
}

impl Seats {
    pub fn new(services: usize, nodes: usize) -> Self {
        Self { nodes, seats: vec![Seat { replica: EMPTY, tenants: 0 }; services * nodes] }
    }

    fn at(&self, service: ServiceId, node: NodeId) -> Option<usize> {
        let at = service.index() * self.nodes + node.index();
        (node.index() < self.nodes && at < self.seats.len()).then_some(at)
    }

    /// The replica of a service on a machine. Either may be unknown.
    #[inline]
    pub fn get(&self, service: ServiceId, node: NodeId) -> Option<u32> {
        let replica = self.seats[self.at(service, node)?].replica;
        (replica != EMPTY).then_some(replica)
    }

    /// Names the replica that sits there, or the next one if none does: what is sent to one of them is not for
    /// another.
    #[inline]
    pub fn tenant(&self, service: ServiceId, node: NodeId) -> u32 {
        let seat = self.at(service, node).map(|at| self.seats[at]);
        seat.map_or(0, |seat| seat.tenants + u32::from(seat.replica == EMPTY))
    }

    /// # Panics
    /// If the seat is taken, or there is none.
    pub fn take(&mut self, service: ServiceId, node: NodeId, replica: u32) {
        let at = self.at(service, node).expect("the service and the machine are known");
        let seat = &mut self.seats[at];
        assert_eq!(seat.replica, EMPTY, "a service has one replica on a node");
        *seat = Seat { replica, tenants: seat.tenants + 1 };
    }

    /// The replica leaves its seat.
    pub fn leave(&mut self, service: ServiceId, node: NodeId) -> Option<u32> {
        let replica = self.get(service, node)?;
        let at = self.at(service, node)?;
        self.seats[at].replica = EMPTY;
        Some(replica)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_one_tenant_is_not_for_another() {
        let (service, node) = (ServiceId(1), NodeId(2));
        let mut seats = Seats::new(2, 3);
        let first = seats.tenant(service, node);
        seats.take(service, node, 7);
        assert_eq!((seats.get(service, node), seats.tenant(service, node)), (Some(7), first));
        assert_eq!((seats.leave(service, node), seats.leave(service, node)), (Some(7), None));
        let second = seats.tenant(service, node);
        assert_ne!(first, second);
        seats.take(service, node, 7);
        assert_eq!(seats.tenant(service, node), second);
        assert_eq!(seats.get(ServiceId(2), node), None, "unknown ones have no seat");
        assert_eq!(seats.get(ServiceId(0), NodeId(5)), None);
    }
}
