//! Applies the timeline, and failures at random, to the world.

use crate::id::{NodeId, ServiceId};
use crate::machine::{Corrupt, LinkKind, Machine};
use crate::rng::Stream;
use crate::time::Duration;

use super::engine::World;
use super::event::Event;
use super::fault::{Action, CorruptWhat, Disk, Endpoint, Targets};
use super::front::{FaultNews, Front};
use super::network::{Harm, Shape};
use super::node::{HoldKind, Rest};

/// Names a fault for as long as a run lasts: its place in the timeline, or beyond that a process of
/// failures at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FaultKey(pub u32);

/// A fault that has begun and not ended.
pub(super) struct Active {
    /// The machines that it hit.
    nodes: Vec<NodeId>,
    /// Those that no restart has taken from it.
    holding: Vec<NodeId>,
    depends_on_protocol: bool,
}

/// What a fault did when it began.
#[derive(Default)]
struct Begun {
    nodes: Vec<NodeId>,
    depends_on_protocol: bool,
    unsupported: bool,
    /// Faults that this one ended.
    ended: Vec<FaultKey>,
    /// It goes on: there is something to end.
    lasting: bool,
}

impl<M: Machine, F: Front<M>> World<M, F> {
    pub(super) fn fault_begins(&mut self, key: FaultKey) {
        let (action, lasts) = match self.timeline.get(key.0 as usize) {
            Some(fault) => (fault.action.clone(), fault.lasts),
            None => {
                let process = key.0 as usize - self.timeline.len();
                (self.processes[process].action.clone(), Some(self.repair_time(process)))
            }
        };
        let begun = self.perform(key, action);
        let Begun { nodes, depends_on_protocol, unsupported, ended, lasting } = begun;
        self.news(key, true, depends_on_protocol, unsupported, &nodes);
        if lasting || lasts.is_some() {
            self.active[key.0 as usize] = Some(Active { holding: nodes.clone(), nodes, depends_on_protocol });
        }
        for ended in ended {
            self.conclude(ended);
        }
        if let Some(lasts) = lasts.filter(|&lasts| self.now + lasts <= self.end) {
            self.queue.schedule(self.now + lasts, Event::FaultEnds(key));
        }
    }

    fn perform(&mut self, key: FaultKey, action: Action) -> Begun {
        let crash = |silent| HoldKind::Crash { silent };
        match action {
            Action::Crash { targets, disk } => {
                let silent = matches!(targets, Targets::Nodes { silent: true, .. });
                self.on_targets(key, &targets, |world, node| world.hold(node, key, crash(silent), disk))
            }
            Action::Pause { targets } => {
                self.on_targets(key, &targets, |world, node| world.hold(node, key, HoldKind::Pause, Disk::Kept))
            }
            Action::Slow { targets, factor } => self.on_targets(key, &targets, |world, node| {
                let body = &mut world.scene.bodies[node.index()];
                body.slowed.push((key, factor));
                body.set_slowness();
            }),
            Action::Clock { targets, jump, drift_ppm } => {
                let begun = self.on_targets(key, &targets, |world, node| {
                    let body = &mut world.scene.bodies[node.index()];
                    body.clock.jump(jump);
                    body.clock.set_drift(world.now, drift_ppm);
                    body.drift_by = Some(key);
                });
                Begun { lasting: drift_ppm != 0.0, ..begun }
            }
            Action::Restart { targets, cold } => self.restart(key, &targets, cold),
            Action::Corrupt { targets, what } => self.corrupt(key, &targets, what),
            Action::Partition { groups } => {
                let shape = Shape::Between(self.scene.network.groups(&groups));
                self.impose(key, shape, Harm::Cut)
            }
            Action::Cut { from, to, one_way } => {
                let shape = self.links(&from, &to, one_way);
                self.impose(key, shape, Harm::Cut)
            }
            Action::Flap { between: (a, b), down, .. } => {
                let shape = self.links(&a, &b, false);
                self.queue.schedule(self.now + down, Event::FlapTurns { by: key, down: false });
                self.impose(key, shape, Harm::Cut)
            }
            Action::Degrade { between: (a, b), add_delay, loss, duplicate, reorder } => {
                let shape = self.links(&a, &b, false);
                self.impose(key, shape, Harm::Degrade { add_delay, loss, duplicate, reorder })
            }
            Action::Heal { between } => {
                let only = between.map(|(a, b)| self.links(&a, &b, false));
                let ended = self.scene.network.heal(only);
                self.network_changed();
                Begun { ended, ..Begun::default() }
            }
            Action::Load => Begun::default(),
        }
    }

    fn links(&self, from: &[Endpoint], to: &[Endpoint], one_way: bool) -> Shape {
        let network = &self.scene.network;
        Shape::Links { from: network.set(from), to: network.set(to), one_way }
    }

    fn impose(&mut self, key: FaultKey, shape: Shape, harm: Harm) -> Begun {
        self.scene.network.impose(key, shape, harm);
        self.network_changed();
        Begun { lasting: true, ..Begun::default() }
    }

    fn network_changed(&mut self) {
        if M::LINKS == LinkKind::Session {
            self.links_changed();
        }
    }

    /// Does something to each target.
    fn on_targets(&mut self, key: FaultKey, targets: &Targets, act: impl Fn(&mut Self, NodeId)) -> Begun {
        let nodes = self.resolve(key, targets);
        for &node in &nodes {
            act(self, node);
        }
        let depends_on_protocol = matches!(targets, Targets::Primary { .. });
        Begun { nodes, depends_on_protocol, lasting: true, ..Begun::default() }
    }

    /// The machines that a fault hits, ascending.
    fn resolve(&self, key: FaultKey, targets: &Targets) -> Vec<NodeId> {
        let mut stream = Stream::new(self.seed, "targets", &[u64::from(key.0)]);
        let mut some = |of: &[NodeId], count: usize| {
            let mut nodes = of.to_vec();
            stream.shuffle(&mut nodes);
            nodes.truncate(count);
            nodes
        };
        let mut nodes = match targets {
            Targets::Nodes { nodes, .. } => nodes.clone(),
            Targets::Random { of, count } => some(of, *count),
            Targets::Majority { service, count } => {
                let service = &self.scene.services[service.index()];
                some(&service.nodes[..service.placed], *count)
            }
            Targets::Primary { service } => self.primaries(*service),
        };
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Every running replica that accepts writes as primary, else the first by placement.
    fn primaries(&self, service: ServiceId) -> Vec<NodeId> {
        let replicas = self.scene.of(service);
        let serves = |node: &NodeId| !replicas.paused(*node) && replicas.machine(*node).is_some_and(M::serving);
        let mut nodes: Vec<NodeId> = replicas.nodes().iter().copied().filter(serves).collect();
        if nodes.is_empty() {
            nodes.extend(replicas.nodes().first());
        }
        nodes
    }

    /// Ends every crash and pause of the targets. A cold one powers dead machines on first.
    fn restart(&mut self, key: FaultKey, targets: &Targets, cold: bool) -> Begun {
        let mut ended = Vec::new();
        let begun = self.on_targets(key, targets, |_, _| {});
        for &node in &begun.nodes {
            let body = &mut self.scene.bodies[node.index()];
            for hold in std::mem::take(&mut body.holds) {
                let Some(active) = &mut self.active[hold.by.0 as usize] else { continue };
                active.holding.retain(|&held| held != node);
                if active.holding.is_empty() && !ended.contains(&hold.by) {
                    ended.push(hold.by);
                }
            }
            let body = &self.scene.bodies[node.index()];
            if cold && !body.alive && !body.booting && body.rest == Rest::Awake {
                self.power_on(node);
            }
            self.release(node, |_| true);
        }
        Begun { lasting: false, ended, ..begun }
    }

    fn corrupt(&mut self, key: FaultKey, targets: &Targets, what: CorruptWhat) -> Begun {
        let begun = self.on_targets(key, targets, |_, _| {});
        let mut stream = Stream::new(self.seed, "corrupt", &[u64::from(key.0)]);
        let mut supported = true;
        let state = match what {
            CorruptWhat::Volatile => Some(Corrupt::Volatile),
            CorruptWhat::Log => Some(Corrupt::Log),
            CorruptWhat::All => Some(Corrupt::All),
            CorruptWhat::Messages => None,
        };
        for seat in 0..self.scene.replicas.len() {
            let replica = &mut self.scene.replicas[seat];
            let ids = [u64::from(key.0), u64::from(replica.service.0), u64::from(replica.node.0)];
            if let (Some(state), Some(machine), true) =
                (state, &mut replica.machine, begun.nodes.contains(&replica.node))
            {
                supported &= machine.corrupt(state, &mut Stream::new(self.seed, "corrupt replica", &ids));
                self.stepped(seat as u32);
            }
        }
        if matches!(what, CorruptWhat::Messages | CorruptWhat::All) {
            for flight in self.scene.messages.iter_mut().filter(|flight| begun.nodes.contains(&flight.from)) {
                supported &= M::corrupt_message(&mut flight.message, &mut stream);
            }
        }
        Begun { unsupported: !supported, lasting: false, ..begun }
    }

    /// A flapping link turns, unless it was healed.
    pub(super) fn flap_turns(&mut self, key: FaultKey, now_down: bool) {
        if self.active[key.0 as usize].is_none() {
            return;
        }
        let Some(Action::Flap { up, down, .. }) = self.timeline.get(key.0 as usize).map(|fault| &fault.action) else {
            return;
        };
        let next: Duration = if now_down { *down } else { *up };
        self.queue.schedule(self.now + next, Event::FlapTurns { by: key, down: !now_down });
        self.scene.network.turn(key, !now_down);
        self.network_changed();
    }

    /// The time that a fault was given is over. Something else may have ended it before.
    pub(super) fn fault_ends(&mut self, key: FaultKey) {
        if let Some(active) = &self.active[key.0 as usize] {
            let nodes = active.holding.clone();
            self.undo(key, &nodes);
            self.conclude(key);
        }
        if let Some(process) = (key.0 as usize).checked_sub(self.timeline.len()) {
            self.await_failure(process);
        }
    }

    /// Takes back what a fault does, and only that.
    fn undo(&mut self, key: FaultKey, nodes: &[NodeId]) {
        let action = match self.timeline.get(key.0 as usize) {
            Some(fault) => &fault.action,
            None => &self.processes[key.0 as usize - self.timeline.len()].action,
        };
        match action {
            Action::Crash { .. } | Action::Pause { .. } => {
                for &node in nodes {
                    self.release(node, |hold| hold.by == key);
                }
            }
            Action::Slow { .. } => {
                for &node in nodes {
                    let body = &mut self.scene.bodies[node.index()];
                    body.slowed.retain(|&(by, _)| by != key);
                    body.set_slowness();
                }
            }
            Action::Clock { .. } => {
                for &node in nodes {
                    let body = &mut self.scene.bodies[node.index()];
                    if body.drift_by == Some(key) {
                        body.clock.set_drift(self.now, 0.0);
                    }
                }
            }
            Action::Partition { .. } | Action::Cut { .. } | Action::Flap { .. } | Action::Degrade { .. } => {
                self.scene.network.lift(key);
                self.network_changed();
            }
            Action::Restart { .. } | Action::Corrupt { .. } | Action::Heal { .. } | Action::Load => {}
        }
    }

    /// A fault is over: tells the front, once.
    fn conclude(&mut self, key: FaultKey) {
        if let Some(active) = self.active[key.0 as usize].take() {
            self.news(key, false, active.depends_on_protocol, false, &active.nodes);
        }
    }

    fn news(&mut self, key: FaultKey, begins: bool, depends_on_protocol: bool, unsupported: bool, nodes: &[NodeId]) {
        let (index, label, action) = match self.timeline.get(key.0 as usize) {
            Some(fault) => (Some(key.0 as usize), fault.label.as_str(), &fault.action),
            None => {
                let process = &self.processes[key.0 as usize - self.timeline.len()];
                (None, process.label.as_str(), &process.action)
            }
        };
        let news = FaultNews { index, label, begins, depends_on_protocol, unsupported, nodes, action };
        self.front.fault(self.now, &news, &self.scene.all());
    }
}
