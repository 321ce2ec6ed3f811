//! Boot, crash, pause and resume of machines.
//!
//! A machine runs when no fault holds it. Holds are counted by fault, so the end of one never revives
//! what another still holds. A pause freezes the machine: a crash that ends meanwhile boots it only when
//! the pause is over. A machine that was told to sleep is woken by a packet only: a fault holds it as any
//! other, and leaves it asleep.

use crate::id::NodeId;
use crate::machine::{Context, LinkKind, Machine, Note};
use crate::rng::Stream;

use super::engine::World;
use super::fault::Disk;
use super::faults::FaultKey;
use super::front::{Front, TraceEvent};
use super::node::{Hold, HoldKind, Job, Parcel, Rest};

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
        body.surveyed = (body.clock.local(self.now), body.processor.spent_by(self.now));
        self.account(node);
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

    pub(super) fn boot_replica(&mut self, seat: u32, incarnation: u32) {
        let replica = &mut self.scene.replicas[seat as usize];
        let (service, node) = (replica.service, replica.node);
        let tenant = self.scene.seats.tenant(service, node);
        let ids = [service.0, node.0, incarnation, tenant].map(u64::from);
        // The first replica on a machine may do without its number.
        replica.rng = Stream::new(self.seed, "machine", if tenant == 1 { &ids[..3] } else { &ids });
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
            HoldKind::Crash { .. } => self.end_process(node, Some(disk)),
            HoldKind::Pause => self.settle(node),
        }
        self.account(node);
    }

    /// Ends the holds that `ends` picks on a machine, and lets it run if none is left.
    pub(super) fn release(&mut self, node: NodeId, ends: impl Fn(&Hold) -> bool) {
        self.scene.bodies[node.index()].holds.retain(|hold| !ends(hold));
        self.settle(node);
        self.account(node);
    }

    /// Notes what the machine draws power for from now on.
    pub(super) fn account(&mut self, node: NodeId) {
        let body = &mut self.scene.bodies[node.index()];
        let state = body.power_state();
        if body.ledger.state != state {
            body.ledger.enter(self.now, state);
            self.front.power_changed(self.now, node, state);
        }
    }

    /// Brings a machine into the state that its holds leave it.
    fn settle(&mut self, node: NodeId) {
        let body = &self.scene.bodies[node.index()];
        match (body.alive, body.holds.is_empty()) {
            (true, false) if !body.paused => self.pause(node),
            (true, true) if body.paused => self.resume(node),
            (false, true) if !body.booting && body.rest == Rest::Awake => self.boot(node),
            _ => {}
        }
    }

    /// Powers on a machine that no fault holds any more; its process starts after its boot time.
    pub(super) fn power_on(&mut self, node: NodeId) {
        let boot = self.scene.topology.nodes[node.index()].boot;
        let body = &mut self.scene.bodies[node.index()];
        body.booting = true;
        self.queue.arm(body.power_timer, self.now + boot);
        self.account(node);
    }

    /// The machine has booted, or has shut down.
    pub(super) fn powered(&mut self, node: NodeId) {
        let body = &mut self.scene.bodies[node.index()];
        body.rest = if std::mem::take(&mut body.booting) { Rest::Awake } else { Rest::Asleep };
        self.settle(node);
        self.account(node);
    }

    /// Ends the process, if there is one: by a crash, which may destroy the disk, or cleanly.
    pub(super) fn end_process(&mut self, node: NodeId, crash: Option<Disk>) {
        let body = &mut self.scene.bodies[node.index()];
        let (was_alive, incarnation) = (body.alive, body.incarnation);
        (body.alive, body.paused, body.booting) = (false, false, false);
        if body.rest == Rest::ShuttingDown {
            body.rest = Rest::Asleep;
        }
        self.queue.disarm(body.power_timer);
        self.queue.disarm(body.processor.timer);
        self.queue.disarm(body.disk.timer);
        body.processor.stop(self.now);
        body.asked.clear();
        body.expired.clear();
        let replicas = &mut self.scene.replicas;
        match crash {
            Some(_) => {
                let mut tail = Stream::new(self.seed, "unsynced tail", &[u64::from(node.0), u64::from(incarnation)]);
                body.disk.crash(&mut tail).for_each(|unsynced| replicas[unsynced.replica as usize].keep(unsynced));
            }
            None => body.disk.flush().for_each(|unsynced| replicas[unsynced.replica as usize].keep(unsynced)),
        }
        self.empty_hands(node);
        let seats = std::mem::take(&mut self.scene.bodies[node.index()].replicas);
        for &seat in &seats {
            self.end_replica(seat, crash == Some(Disk::Lost));
        }
        if was_alive {
            let event = if crash.is_some() { TraceEvent::Crashed { node } } else { TraceEvent::Slept { node } };
            self.trace(&event);
            if M::LINKS == LinkKind::Session {
                self.links_changed();
            }
        }
        for &seat in &seats {
            self.stepped(seat);
        }
        self.scene.bodies[node.index()].replicas = seats;
    }

    fn end_replica(&mut self, seat: u32, disk_lost: bool) {
        let replica = &mut self.scene.replicas[seat as usize];
        replica.machine = None;
        replica.timers.clear(&mut self.queue);
        replica.held.clear();
        replica.durable = None;
        if disk_lost {
            replica.records.clear();
            replica.bytes = 0;
            let lost = &mut self.scene.services[replica.service.index()].disks_lost;
            if !lost.contains(&replica.node) {
                lost.push(replica.node);
            }
        }
    }

    /// What waited at a process that is no more is void.
    fn empty_hands(&mut self, node: NodeId) {
        for parcel in std::mem::take(&mut self.scene.bodies[node.index()].waiting) {
            self.discard(parcel);
        }
        while let Some(job) = self.scene.bodies[node.index()].processor.pop() {
            self.discard(match job {
                Job::Message(slot) => Parcel::Message(slot),
                Job::Request(slot) => Parcel::Letter(slot),
            });
        }
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
