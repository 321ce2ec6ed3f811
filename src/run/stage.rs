//! The front of a world: clients, the recorders and checkers of each service, and the files asked for.

use crate::check::invariants::Invariants;
use crate::check::legitimate::{Members, legitimate};
use crate::check::succession::Succession;
use crate::history::{self, What};
use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::machine::{Machine, Note, Views};
use crate::metrics::recorder::Recorder;
use crate::op::{Done, Outcome, WriteKey};
use crate::time::{Duration, SimTime};
use crate::workload::{Act, Clients, Ticket, Wake};
use crate::world::{AllReplicas, Answered, ClientRequest, FaultNews, Front, Outside, PowerState, Replicas, TraceEvent};

use super::coverage::Coverage;
use super::lines::Lines;
use super::tape::Tape;
use super::watch::Watch;
use super::{Examined, Installed};

/// How often the world is looked at: the resolution of convergence times.
pub const OBSERVE_EVERY: Duration = Duration::from_millis(100);

/// After state was overwritten, the checks of each event rest for this long.
pub const AFTER_CORRUPTION: Duration = Duration::from_secs(30);

/// Where replicas move to the end of a run, a legitimate state is looked for as long before.
const LATE: Duration = Duration::from_secs(30);

/// What the front holds of one service.
pub struct Seat {
    pub recorder: Recorder,
    pub invariants: Invariants,
    /// Seen in a legitimate state towards the end of a run in which replicas move to the end.
    pub settled_late: bool,
    /// If the scenario asks for it.
    pub succession: Option<Succession>,
}

/// A read under way, for judging whether its answer is stale.
#[derive(Clone, Copy, Debug)]
struct Read {
    /// Of the slot's use; `None`: not used yet.
    generation: Option<u32>,
    /// The write to its key that was acknowledged last when it began.
    latest: Option<WriteKey>,
    /// The attempt that was answered last, and whether that answer missed the write.
    attempt: u16,
    stale: bool,
}

pub struct Stage {
    clients: Clients,
    pub seats: Vec<Seat>,
    reads: Vec<Read>,
    acts: Vec<Act>,
    /// Edges of windows: traffic is read there.
    edges: Vec<SimTime>,
    /// Seconds after which no request that started then is open.
    patience: u64,
    /// For checkers, if asked for.
    pub kept: Option<Examined>,
    /// If asked for.
    pub coverage: Option<Coverage>,
    /// For stories, diagrams and traces, if asked for.
    pub tape: Option<Tape>,
    pub lines: Lines,
    pub watch: Watch,
    pub notes: Vec<String>,
    /// The end of a run in which replicas move.
    pub moves_until: Option<SimTime>,
}

impl Stage {
    pub fn new(
        clients: Clients,
        seats: Vec<Seat>,
        edges: Vec<SimTime>,
        deadline: Duration,
        lines: Lines,
        watch: Watch,
    ) -> Self {
        let patience = deadline.as_nanos().div_ceil(1_000_000_000) + 2;
        Self {
            clients,
            seats,
            reads: Vec::new(),
            acts: Vec::new(),
            edges,
            patience,
            kept: None,
            coverage: None,
            tape: None,
            lines,
            watch,
            notes: Vec::new(),
            moves_until: None,
        }
    }

    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Carries out what the clients want.
    fn act(&mut self, stale: bool, world: &mut Outside<'_, Wake>) {
        for act in std::mem::take(&mut self.acts) {
            match act {
                Act::At(at, wake) => world.schedule(at, wake),
                Act::Send { place, server, service, ticket, attempt, request } => {
                    if request.op.is_read() {
                        self.read_begins(service, ticket, request.op.key());
                    }
                    let who = ClientRequest { service, place, ticket: pack(ticket), attempt };
                    if let Some(tape) = &mut self.tape {
                        tape.attempt(world.now(), who, server, &request);
                    }
                    world.send(who, server, request);
                }
                Act::Acknowledge { place, server, service, write } => world.acknowledge(service, place, server, write),
                Act::Event(event) => self.event(&event, stale),
            }
        }
    }

    fn read_begins(&mut self, service: ServiceId, ticket: Ticket, key: u32) {
        let slot = ticket.slot as usize;
        if slot >= self.reads.len() {
            let unused = Read { generation: None, latest: None, attempt: 0, stale: false };
            self.reads.resize(slot + 1, unused);
        }
        let generation = Some(ticket.generation);
        if self.reads[slot].generation != generation {
            let latest = self.seats[service.index()].recorder.latest(key);
            self.reads[slot] = Read { generation, latest, attempt: 0, stale: false };
        }
    }

    fn event(&mut self, event: &history::Event, stale: bool) {
        let stale = stale && event.op.is_read() && matches!(event.what, What::Ok { .. });
        self.seats[event.service.index()].recorder.event(event, stale);
        self.lines.event(event);
        if let Some(kept) = &mut self.kept {
            kept.history.push(*event);
        }
        if let Some(tape) = &mut self.tape {
            tape.history.push(*event);
        }
    }
}

const fn pack(ticket: Ticket) -> u64 {
    (ticket.slot as u64) << 32 | ticket.generation as u64
}

const fn unpack(ticket: u64) -> Ticket {
    Ticket { slot: (ticket >> 32) as u32, generation: ticket as u32 }
}

impl<M: Machine> Front<M> for Stage {
    type Wake = Wake;

    fn start(&mut self, world: &mut Outside<'_, Wake>) {
        for &edge in &self.edges {
            world.observe_at(edge);
        }
        self.clients.start(&mut self.acts);
        self.act(false, world);
    }

    fn wake(&mut self, wake: Wake, world: &mut Outside<'_, Wake>) {
        self.clients.wake(world.now(), wake, &mut self.acts);
        self.act(false, world);
    }

    fn reply(&mut self, to: ClientRequest, server: NodeId, outcome: &Outcome, world: &mut Outside<'_, Wake>) {
        if let Some(tape) = &mut self.tape {
            tape.answered(world.now(), to, outcome);
        }
        let ticket = unpack(to.ticket);
        let read = self.reads.get(ticket.slot as usize);
        let stale = read
            .is_some_and(|read| read.stale && read.generation == Some(ticket.generation) && read.attempt == to.attempt);
        self.clients.reply(world.now(), ticket, to.attempt, server, outcome, &mut self.acts);
        self.act(stale, world);
    }

    fn told(
        &mut self,
        service: ServiceId,
        _place: DcId,
        server: NodeId,
        write: WriteKey,
        world: &mut Outside<'_, Wake>,
    ) {
        self.clients.told(world.now(), service, server, write, &mut self.acts);
        self.act(false, world);
    }

    fn published(&mut self, service: ServiceId, place: DcId, replicas: &[NodeId], _world: &mut Outside<'_, Wake>) {
        self.clients.published(place, service, replicas);
    }

    fn place_of(&self, _service: ServiceId, client: ClientId) -> DcId {
        self.clients.place_of(client)
    }

    fn stepped(&mut self, now: SimTime, service: ServiceId, node: NodeId, replicas: &Replicas<'_, M>) {
        // Agents serve no clients.
        let Some(seat) = self.seats.get_mut(service.index()) else { return };
        match M::VIEWS {
            Views::Coexist => {
                if let Some(place) = replicas.nodes().iter().position(|&one| one == node) {
                    seat.recorder.serving(now, place, serves(replicas, node));
                }
            }
            Views::Succeed => seat.newest_serves(now, replicas),
        }
        seat.invariants.stepped(now, node, replicas);
        if let Some(succession) = &mut seat.succession {
            succession.stepped(now, node, replicas.nodes());
        }
        if let Some(tape) = &mut self.tape {
            let serving = seat.recorder.serving_places().map(|place| replicas.nodes()[place]).collect();
            tape.stepped(now, service, node, replicas.machine(node).map(M::status));
            tape.serving(now, service, serving);
        }
    }

    fn note(&mut self, now: SimTime, service: ServiceId, node: NodeId, note: &Note, replicas: &Replicas<'_, M>) {
        if let Note::Confirmed { tip, .. } = note
            && let Some(seat) = self.seats.get_mut(service.index())
        {
            seat.invariants.confirmed(now, node, *tip, replicas);
        }
        if let Note::Installed { epoch, coordinator, members } = note
            && *coordinator == node
            && let Some(kept) = &mut self.kept
        {
            let members = members.clone();
            kept.installed.push(Installed { at: now, service, epoch: *epoch, coordinator: node, members });
        }
        if let Some(succession) = self.seats.get_mut(service.index()).and_then(|seat| seat.succession.as_mut()) {
            succession.note(now, node, note, replicas);
        }
        if let Some(coverage) = &mut self.coverage {
            coverage.note(service, node, note);
        }
        self.lines.note(now, service, node, note);
        if let Some(tape) = &mut self.tape {
            tape.note(now, service, node, note);
        }
    }

    fn answered(&mut self, now: SimTime, by: NodeId, answer: &Answered<'_>, replicas: &Replicas<'_, M>) {
        let Outcome::Done(Done { token, .. }) = *answer.outcome else { return };
        if !answer.request.op.is_read() {
            self.seats[answer.to.service.index()].invariants.acknowledged(now, by, token, replicas);
            return;
        }
        let ticket = unpack(answer.to.ticket);
        let Some(read) =
            self.reads.get_mut(ticket.slot as usize).filter(|read| read.generation == Some(ticket.generation))
        else {
            return;
        };
        let machine = replicas.machine(by).expect("a replica that answers runs");
        read.attempt = answer.to.attempt;
        // A write that a merge revoked is not missing: its client is told.
        read.stale = read.latest.is_some_and(|write| !machine.applied(write) && !machine.journaled(write));
        if read.stale {
            let seat = &mut self.seats[answer.to.service.index()];
            seat.invariants.read_stale(now, by, answer.request.op.key());
        }
    }

    fn housed(&mut self, now: SimTime, service: ServiceId, node: NodeId, starts: bool) {
        self.watch.housed(now, service, node, starts);
    }

    fn sleeps(&mut self, now: SimTime, node: NodeId, replicas: &AllReplicas<'_, M>) {
        self.watch.sleeps(now, node, replicas);
    }

    fn power_changed(&mut self, now: SimTime, node: NodeId, state: PowerState) {
        self.watch.power_changed(now, node, state);
    }

    fn fault(&mut self, now: SimTime, what: &FaultNews<'_>, _replicas: &AllReplicas<'_, M>) {
        let at = now.as_secs_f64();
        if what.begins && what.depends_on_protocol {
            self.notes.push(format!(
                "at {at} s, \"{}\" chose its target by the protocol's state: protocols do not meet the same disaster",
                what.label
            ));
        }
        if what.unsupported {
            self.notes.push(format!("at {at} s, \"{}\" changed nothing: the protocol does not support it", what.label));
        }
        self.lines.fault(now, what);
        if let Some(tape) = &mut self.tape {
            tape.fault(now, what);
        }
    }

    fn observe(&mut self, now: SimTime, replicas: &AllReplicas<'_, M>) {
        let second = now.as_nanos() / 1_000_000_000;
        let on_the_second = now.as_nanos().is_multiple_of(1_000_000_000) && second > 0;
        let edge = self.edges.contains(&now);
        let late = on_the_second && self.moves_until.is_some_and(|end| end.since(now) <= LATE);
        if edge || on_the_second {
            self.watch.observe(now, on_the_second, replicas);
        }
        for (seat, replicas) in self.seats.iter_mut().zip(replicas.services()) {
            if edge {
                let counts = replicas.counts();
                seat.recorder.traffic(now, counts.messages, counts.bytes_wan);
            }
            if on_the_second && let Some(coverage) = &mut self.coverage {
                coverage.state(&replicas);
            }
            if on_the_second {
                seat.end_second(second, self.patience, &replicas);
            }
            if seat.recorder.unsettled(now) && legitimate(&replicas, Members::All).is_ok() {
                seat.recorder.legitimate(now);
            }
            seat.settled_late |= late && !seat.settled_late && legitimate(&replicas, Members::ButHeld).is_ok();
        }
    }

    fn traced(&self) -> bool {
        self.lines.traced() || self.tape.is_some()
    }

    fn trace(&mut self, now: SimTime, event: &TraceEvent<'_>) {
        self.lines.trace(now, event);
        if let Some(tape) = &mut self.tape {
            tape.trace(now, event);
        }
    }
}

/// Accepts writes as primary, as far as it knows.
fn serves<M: Machine>(replicas: &Replicas<'_, M>, node: NodeId) -> bool {
    !replicas.paused(node) && replicas.machine(node).is_some_and(M::serving)
}

impl Seat {
    /// Where views succeed each other, a leader that has not heard of its successor serves nobody.
    fn newest_serves<M: Machine>(&mut self, now: SimTime, replicas: &Replicas<'_, M>) {
        let view = |node| replicas.machine(node).and_then(M::view);
        let serving = replicas.nodes().iter().copied().filter(|&node| serves(replicas, node));
        let newest = serving.max_by_key(|&node| view(node));
        for (place, &node) in replicas.nodes().iter().enumerate() {
            self.recorder.serving(now, place, newest == Some(node));
        }
    }

    fn end_second<M: Machine>(&mut self, second: u64, patience: u64, replicas: &Replicas<'_, M>) {
        let up = replicas.nodes().iter().filter(|&&node| replicas.up(node) && !replicas.paused(node));
        let serving = up.clone().filter_map(|&node| replicas.machine(node)).filter(|machine| machine.serving());
        let members = serving.map(|machine| machine.status().members.len()).max().unwrap_or(0);
        self.recorder.second_ended(second as usize - 1, self.recorder.serving_count(), members, up.count());
        self.recorder.close_before(second.saturating_sub(patience) as usize);
    }
}
