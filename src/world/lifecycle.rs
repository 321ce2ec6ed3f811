//! Boot, crash, pause and resume of machines.
//!
//! A machine runs when no fault holds it. Holds are counted by fault, so the end of one never revives
//! what another still holds. A pause freezes the machine: a crash that ends meanwhile boots it only when
//! the pause is over.

use crate::id::NodeId;
use crate::machine::{Context, LinkKind, Machine, Note};
use crate::rng::Stream;

use super::engine::World;
use super::fault::Disk;
use super::faults::FaultKey;
use super::front::{Front, TraceEvent};
use super::node::{Hold, HoldKind, Job, Parcel};

/// The monotonic clock of an incarnation starts at a reading below this many nanoseconds (about 13 days).
const CLOCK_START_MAX: u64 = 1 << 50;

impl<M: Machine, F: Front<M>> World<M, F> {
    /// A machine starts again, in the middle of a run.
    fn boot(&mut self, node: NodeId) {
        self.start_process(node);
        if M::LINKS == LinkKind::Session {
            self.scene.sessions.reborn(node);
            self.links_changed();
        }
        self.boot_replicas(node);
    }

    pub(super) fn start_process(&mut self, node: NodeId) {
        let body = &mut self.scene.bodies[node.index()];
        debug_assert!(!body.alive && body.holds.is_empty());
        body.incarnation += 1;
        body.alive = true;
        let incarnation = body.incarnation;
        let ids = [u64::from(node.0), u64::from(incarnation)];
        let start = Stream::new(self.seed, "monotonic clock", &ids).below(CLOCK_START_MAX);
        body.clock.restart(self.now, start);
        self.trace(&TraceEvent::Booted { node, incarnation });
    }

    /// Each replica of a new process starts from what its disk holds.
    pub(super) fn boot_replicas(&mut self, node: NodeId) {
        let incarnation = self.scene.bodies[node.index()].incarnation;
        for index in 0..self.scene.bodies[node.index()].replicas.len() {
            let seat = self.scene.bodies[node.index()].replicas[index];
            self.boot_replica(seat, incarnation);
        }
    }

    fn boot_replica(&mut self, seat: u32, incarnation: u32) {
        let replica = &mut self.scene.replicas[seat as usize];
        let (service, node) = (replica.service, replica.node);
        let ids = [u64::from(service.0), u64::from(node.0), u64::from(incarnation)];
        replica.rng = Stream::new(self.seed, "machine", &ids);
        replica.durable = None;
        let clock = &self.scene.bodies[node.index()].clock;
        let (now, wall) = (clock.local(self.now), clock.wall(self.now));
        let mut context = Context { now, wall, rng: &mut replica.rng, effects: &mut self.effects };
        match M::boot(&replica.config, &replica.records, &mut context) {
            Ok(machine) => {
                replica.machine = Some(machine);
                self.apply(seat);
            }
            Err(error) => {
                self.effects.clear();
                let note = Note::Refused("its log does not start it");
                self.front.note(self.now, service, node, &note, &self.scene.of(service));
                self.trace(&TraceEvent::BootFailed { service, node, why: &error.0 });
            }
        }
        self.stepped(seat);
    }

    /// A fault takes hold of a machine.
    pub(super) fn hold(&mut self, node: NodeId, by: FaultKey, what: HoldKind, disk: Disk) {
        self.scene.bodies[node.index()].holds.push(Hold { by, what });
        match what {
            HoldKind::Crash { .. } => self.crash(node, disk),
            HoldKind::Pause => self.settle(node),
        }
    }

    /// Ends the holds that `ends` picks on a machine, and lets it run if none is left.
    pub(super) fn release(&mut self, node: NodeId, ends: impl Fn(&Hold) -> bool) {
        self.scene.bodies[node.index()].holds.retain(|hold| !ends(hold));
        self.settle(node);
    }

    /// Brings a machine into the state that its holds leave it.
    fn settle(&mut self, node: NodeId) {
        let body = &self.scene.bodies[node.index()];
        match (body.alive, body.holds.is_empty()) {
            (true, false) if !body.paused => self.pause(node),
            (true, true) if body.paused => self.resume(node),
            (false, true) if !body.booting => self.boot(node),
            _ => {}
        }
    }

    /// Powers on a machine that no fault holds any more; its process starts after its boot time.
    pub(super) fn power_on(&mut self, node: NodeId) {
        let boot = self.scene.topology.nodes[node.index()].boot;
        let body = &mut self.scene.bodies[node.index()];
        body.booting = true;
        self.queue.arm(body.boot_timer, self.now + boot);
    }

    pub(super) fn powered_on(&mut self, node: NodeId) {
        self.scene.bodies[node.index()].booting = false;
        self.settle(node);
    }

    /// Kills the process, if there is one, and perhaps destroys the disk.
    fn crash(&mut self, node: NodeId, disk: Disk) {
        let body = &mut self.scene.bodies[node.index()];
        let (was_alive, incarnation) = (body.alive, body.incarnation);
        (body.alive, body.paused, body.booting) = (false, false, false);
        self.queue.disarm(body.boot_timer);
        self.queue.disarm(body.processor.timer);
        self.queue.disarm(body.disk.timer);
        body.asked.clear();
        body.expired.clear();
        let mut tail = Stream::new(self.seed, "unsynced tail", &[u64::from(node.0), u64::from(incarnation)]);
        for unsynced in body.disk.crash(&mut tail) {
            self.scene.replicas[unsynced.replica as usize].keep(unsynced);
        }
        for parcel in std::mem::take(&mut self.scene.bodies[node.index()].waiting) {
            self.discard(parcel);
        }
        while let Some(job) = self.scene.bodies[node.index()].processor.pop() {
            self.discard(match job {
                Job::Message(slot) => Parcel::Message(slot),
                Job::Request(slot) => Parcel::Letter(slot),
            });
        }
        let seats = std::mem::take(&mut self.scene.bodies[node.index()].replicas);
        for &seat in &seats {
            let replica = &mut self.scene.replicas[seat as usize];
            replica.machine = None;
            replica.timers.clear(&mut self.queue);
            replica.held.clear();
            replica.durable = None;
            if disk == Disk::Lost {
                replica.records.clear();
                replica.disk_lost = true;
            }
        }
        if was_alive {
            self.trace(&TraceEvent::Crashed { node });
            if M::LINKS == LinkKind::Session {
                self.links_changed();
            }
        }
        for &seat in &seats {
            self.stepped(seat);
        }
        self.scene.bodies[node.index()].replicas = seats;
    }

    fn pause(&mut self, node: NodeId) {
        self.scene.bodies[node.index()].paused = true;
        self.trace(&TraceEvent::Paused { node });
        self.all_stepped(node);
    }

    /// The process goes on. Timers that ran out meanwhile come first, so that a protocol can see how long it
    /// stood still before it reads what waited.
    fn resume(&mut self, node: NodeId) {
        let body = &mut self.scene.bodies[node.index()];
        body.paused = false;
        let (expired, waiting) = (std::mem::take(&mut body.expired), std::mem::take(&mut body.waiting));
        self.trace(&TraceEvent::Resumed { node });
        for (replica, slot) in expired {
            if self.scene.replicas[replica as usize].timers.hear(slot) {
                self.timeout(replica, slot);
            }
        }
        for parcel in waiting {
            self.open(node, parcel);
        }
        self.all_stepped(node);
    }

    fn all_stepped(&mut self, node: NodeId) {
        for index in 0..self.scene.bodies[node.index()].replicas.len() {
            self.stepped(self.scene.bodies[node.index()].replicas[index]);
        }
    }
}
