//! One machine: its processor, the requests in hand, the timers of its replicas, and what waits while it
//! is paused.

use std::collections::VecDeque;

use crate::id::NodeId;
use crate::machine::{RequestId, WriteId};
use crate::op::Request;
use crate::sim::{Queue, TimerId};
use crate::time::{Duration, LocalTime, SimTime};

use super::clock::Clock;
use super::disk::Disk;
use super::event::Event;
use super::faults::FaultKey;
use super::front::ClientRequest;
use super::ledger::{Ledger, PowerState};

/// A request that a replica has not answered after this long is forgotten: its client has given up.
const REQUEST_AGE_MAX: Duration = Duration::from_secs(60);
/// Timers of one replica, above which idle ones give their place to new ones.
const IDLE_TIMERS_MAX: usize = 32;
/// Datagrams and requests that a paused machine, or a busy processor, holds at most; more are dropped,
/// as by a full socket buffer. Messages of sessions are kept: a connection holds its sender back instead.
pub(super) const WAITING_MAX: usize = 1 << 16;

/// Why a machine does not run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub by: FaultKey,
    pub what: HoldKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldKind {
    /// `silent`: the site is dead, nothing refuses in the process's name.
    Crash {
        silent: bool,
    },
    Pause,
}

/// Whether a machine is meant to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Awake,
    ShuttingDown,
    /// Until it has booted again: the end of a fault does not wake it.
    Asleep,
}

/// Something that reached a machine and that a paused one must let wait. All but timeouts, which come
/// first when it resumes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parcel {
    /// A protocol message, by its slot.
    Message(u32),
    /// A client's letter, by its slot.
    Letter(u32),
    /// The processor finished what it was doing.
    Served,
    Written {
        replica: u32,
        id: WriteId,
    },
    Reconfigure(u32),
    Link {
        replica: u32,
        peer: NodeId,
        up: bool,
    },
}

pub(super) struct Body<R> {
    /// Counts boots; messages to another incarnation are void.
    pub incarnation: u32,
    /// A process exists.
    pub alive: bool,
    /// A process exists and stands still.
    pub paused: bool,
    /// Powering on: its boot timer runs.
    pub booting: bool,
    pub holds: Vec<Hold>,
    pub rest: Rest,
    pub ledger: Ledger,
    /// When its agent last asked how things stand, and the processor time spent until then.
    pub surveyed: (LocalTime, Duration),
    /// Factors of faults that slow it, and their product.
    pub slowed: Vec<(FaultKey, f64)>,
    pub slowness: f64,
    pub clock: Clock,
    /// The fault whose drift is in force.
    pub drift_by: Option<FaultKey>,
    pub disk: Disk<R>,
    pub processor: Processor,
    pub asked: Asked,
    /// In order of arrival while paused.
    pub waiting: Vec<Parcel>,
    /// Timers (replica, slot) that expired while paused, in order.
    pub expired: Vec<(u32, u32)>,
    /// Indices of the replicas on it.
    pub replicas: Vec<u32>,
    pub power_timer: TimerId,
}

impl<R> Body<R> {
    pub fn new<W: Copy>(node: NodeId, queue: &mut Queue<Event<W>>) -> Self {
        Self {
            incarnation: 0,
            alive: false,
            paused: false,
            booting: false,
            holds: Vec::new(),
            rest: Rest::Awake,
            ledger: Ledger::new(),
            surveyed: (LocalTime::default(), Duration::ZERO),
            slowed: Vec::new(),
            slowness: 1.0,
            clock: Clock::new(),
            drift_by: None,
            disk: Disk::new(queue.timer(Event::Synced(node))),
            processor: Processor::new(queue.timer(Event::Served(node))),
            asked: Asked::default(),
            waiting: Vec::new(),
            expired: Vec::new(),
            replicas: Vec::new(),
            power_timer: queue.timer(Event::Powered(node)),
        }
    }

    /// A duration of this machine's work, at its present slowness.
    #[inline]
    pub fn slow(&self, work: Duration) -> Duration {
        if self.slowness == 1.0 {
            return work;
        }
        Duration::from_nanos((work.as_nanos() as f64 * self.slowness) as u64)
    }

    /// Nothing answers for a process that does not run: the site is dead, the machine is off, or frozen.
    pub fn silent(&self) -> bool {
        self.booting
            || self.rest != Rest::Awake
            || self.holds.iter().any(|hold| hold.what != HoldKind::Crash { silent: false })
    }

    /// What it draws power for.
    pub fn power_state(&self) -> PowerState {
        if self.holds.iter().any(|hold| hold.what == HoldKind::Crash { silent: true }) {
            return PowerState::Dead;
        }
        match self.rest {
            _ if self.alive => PowerState::Awake,
            _ if self.booting => PowerState::Booting,
            Rest::ShuttingDown => PowerState::ShuttingDown,
            Rest::Asleep => PowerState::Asleep,
            Rest::Awake => PowerState::Idle,
        }
    }

    pub fn set_slowness(&mut self) {
        self.slowness = self.slowed.iter().map(|&(_, factor)| factor).product();
    }
}

/// What a processor works on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    /// A client's letter that asks, by its slot.
    Request(u32),
    /// A protocol message, by its slot.
    Message(u32),
}

/// A processor that serves one thing at a time, in order of arrival.
#[derive(Debug)]
pub(super) struct Processor {
    /// The first is being served.
    jobs: VecDeque<Job>,
    /// How many of them are requests.
    requests: u32,
    /// Total time of service begun.
    spent: Duration,
    /// The job at hand: how long it takes, and when it is done.
    work: Duration,
    until: SimTime,
    pub timer: TimerId,
}

impl Processor {
    fn new(timer: TimerId) -> Self {
        let (spent, work) = (Duration::ZERO, Duration::ZERO);
        Self { jobs: VecDeque::new(), requests: 0, spent, work, until: SimTime::ZERO, timer }
    }

    /// Turns to the job at the front, which takes so long.
    pub fn begin(&mut self, now: SimTime, work: Duration) {
        self.spent += work;
        self.work = work;
        self.until = now + work;
    }

    /// How long the job at hand takes.
    pub fn work(&self) -> Duration {
        self.work
    }

    /// Time spent on jobs so far.
    pub fn spent_by(&self, now: SimTime) -> Duration {
        self.spent.saturating_sub(self.until.since(now))
    }

    /// The job at hand is given up.
    pub fn stop(&mut self, now: SimTime) {
        self.spent = self.spent_by(now);
        self.until = now.min(self.until);
    }

    /// Whether one more request finds a place: `queue` of them may wait behind what is being served.
    pub fn has_room(&self, queue: u32) -> bool {
        let serving = u32::from(matches!(self.jobs.front(), Some(Job::Request(_))));
        self.jobs.is_empty() || self.requests - serving < queue
    }

    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// Takes a job. True: it is the only one, so its service begins.
    #[must_use]
    pub fn push(&mut self, job: Job) -> bool {
        self.requests += u32::from(matches!(job, Job::Request(_)));
        self.jobs.push_back(job);
        self.jobs.len() == 1
    }

    /// What is being served.
    pub fn current(&self) -> Option<Job> {
        self.jobs.front().copied()
    }

    /// The current job is done.
    pub fn pop(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front();
        self.requests -= u32::from(matches!(job, Some(Job::Request(_))));
        job
    }
}

/// A request in the hands of a replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub who: ClientRequest,
    pub request: Request,
    since: SimTime,
}

/// The requests in the hands of a machine's replicas, until they are answered or too old.
#[derive(Debug, Default)]
pub(super) struct Asked {
    entries: Vec<(u32, Option<Ask>)>,
    free: Vec<u32>,
    /// Where the search for old entries goes on.
    hand: usize,
}

impl Asked {
    pub fn admit(&mut self, now: SimTime, who: ClientRequest, request: Request) -> RequestId {
        // Two looks for each newcomer: entries that nobody will answer cannot pile up.
        for _ in 0..2 {
            self.hand = if self.hand + 1 < self.entries.len() { self.hand + 1 } else { 0 };
            if let Some((_, Some(ask))) = self.entries.get(self.hand)
                && now.since(ask.since) > REQUEST_AGE_MAX
            {
                self.free(self.hand as u32);
            }
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push((0, None));
            (self.entries.len() - 1) as u32
        });
        let entry = &mut self.entries[slot as usize];
        entry.1 = Some(Ask { who, request, since: now });
        RequestId(u64::from(entry.0) << 32 | u64::from(slot))
    }

    fn free(&mut self, slot: u32) {
        let entry = &mut self.entries[slot as usize];
        entry.0 = entry.0.wrapping_add(1);
        entry.1 = None;
        self.free.push(slot);
    }

    /// Takes the request that `id` names, unless it was answered, forgotten or lost in a crash.
    pub fn answer(&mut self, id: RequestId) -> Option<Ask> {
        let slot = id.0 as u32;
        let &(generation, ask) = self.entries.get(slot as usize)?;
        let ask = ask.filter(|_| u64::from(generation) == id.0 >> 32)?;
        self.free(slot);
        Some(ask)
    }

    /// A crash: all are lost, and their names mean nothing any more.
    pub fn clear(&mut self) {
        for slot in 0..self.entries.len() as u32 {
            if self.entries[slot as usize].1.is_some() {
                self.free(slot);
            }
        }
    }
}

/// The named timers of a replica over those of the event queue.
#[derive(Debug)]
pub(super) struct Timers<T> {
    /// Slots by name, in order of names.
    names: Vec<(T, u32)>,
    slots: Vec<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    name: T,
    id: TimerId,
    /// Ran out while the machine was paused.
    expired: bool,
}

impl<T: Copy + Ord> Timers<T> {
    pub fn new() -> Self {
        Self { names: Vec::new(), slots: Vec::new() }
    }

    fn find(&self, name: T) -> Result<u32, usize> {
        self.names.binary_search_by(|(known, _)| known.cmp(&name)).map(|place| self.names[place].1)
    }

    /// Arms `name` of the replica numbered `replica` for `at`, or moves it.
    pub fn set<W: Copy>(&mut self, name: T, at: SimTime, replica: u32, queue: &mut Queue<Event<W>>) {
        let slot = match self.find(name) {
            Ok(slot) => slot,
            Err(_) => self.adopt(name, replica, queue),
        };
        let timer = &mut self.slots[slot as usize];
        timer.expired = false;
        queue.arm(timer.id, at);
    }

    /// Finds a slot for a new name: that of an idle timer if there are many, so that a protocol which
    /// invents names does not grow the world.
    fn adopt<W: Copy>(&mut self, name: T, replica: u32, queue: &mut Queue<Event<W>>) -> u32 {
        let idle = |slot: &Slot<T>| !slot.expired && !queue.is_armed(slot.id);
        let reuse = match self.slots.len() {
            0..IDLE_TIMERS_MAX => None,
            _ => self.slots.iter().position(idle),
        };
        let slot = match reuse {
            Some(slot) => {
                self.names.retain(|&(_, named)| named as usize != slot);
                self.slots[slot].name = name;
                slot as u32
            }
            None => {
                let slot = self.slots.len() as u32;
                let id = queue.timer(Event::Timeout { replica, slot });
                self.slots.push(Slot { name, id, expired: false });
                slot
            }
        };
        let place = self.find(name).expect_err("the name is new");
        self.names.insert(place, (name, slot));
        slot
    }

    pub fn cancel<W: Copy>(&mut self, name: T, queue: &mut Queue<Event<W>>) {
        if let Ok(slot) = self.find(name) {
            self.slots[slot as usize].expired = false;
            queue.disarm(self.slots[slot as usize].id);
        }
    }

    pub fn name(&self, slot: u32) -> T {
        self.slots[slot as usize].name
    }

    /// The timer ran out while nobody could hear it.
    pub fn expire(&mut self, slot: u32) {
        self.slots[slot as usize].expired = true;
    }

    /// Whether an expired timer is still to be heard; it is heard once.
    pub fn hear(&mut self, slot: u32) -> bool {
        std::mem::take(&mut self.slots[slot as usize].expired)
    }

    /// The replica is stopped: its timers go back to the queue.
    pub fn release<W: Copy>(&mut self, queue: &mut Queue<Event<W>>) {
        self.names.clear();
        for slot in self.slots.drain(..) {
            queue.release(slot.id);
        }
    }

    /// A crash.
    pub fn clear<W: Copy>(&mut self, queue: &mut Queue<Event<W>>) {
        for slot in &mut self.slots {
            slot.expired = false;
            queue.disarm(slot.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ClientId, DcId, ServiceId};
    use crate::op::Op;

    fn admit(asked: &mut Asked, now: u64, number: u32) -> RequestId {
        let who = ClientRequest { service: ServiceId(0), place: DcId(0), ticket: u64::from(number), attempt: 0 };
        let op = Op::Read { key: 0 };
        let request = Request { client: ClientId(0), number, op, floor: 1, token: None, fresh: false };
        asked.admit(SimTime::ZERO + Duration::from_secs(now), who, request)
    }

    #[test]
    fn a_request_is_answered_once_and_never_after_a_crash() {
        let mut asked = Asked::default();
        let first = admit(&mut asked, 0, 1);
        assert_eq!(asked.answer(first).map(|ask| ask.request.number), Some(1));
        assert!(asked.answer(first).is_none());
        let second = admit(&mut asked, 0, 2);
        assert_ne!(first, second);
        asked.clear();
        let third = admit(&mut asked, 0, 3);
        assert!(asked.answer(second).is_none() && asked.answer(RequestId(u64::MAX)).is_none());
        assert!(asked.answer(third).is_some());
    }

    #[test]
    fn requests_that_nobody_answers_do_not_pile_up() {
        let mut asked = Asked::default();
        // 10 a second for an hour.
        for number in 0..36_000 {
            admit(&mut asked, u64::from(number) / 10, number);
        }
        assert!(asked.entries.len() < 2_000, "{} of about 600 that are young enough", asked.entries.len());
    }

    #[test]
    fn a_protocol_that_invents_timers_does_not_grow_the_world() {
        let mut queue: Queue<Event<()>> = Queue::new();
        let mut timers = Timers::new();
        timers.set(u64::MAX, SimTime::from_nanos(u64::MAX / 2), 0, &mut queue);
        for name in 0..10_000 {
            timers.set(name, SimTime::from_nanos(name), 0, &mut queue);
            let Some((_, Event::Timeout { slot, .. })) = queue.pop() else { panic!("it was armed") };
            assert_eq!(timers.name(slot), name);
        }
        assert!(timers.slots.len() <= IDLE_TIMERS_MAX && timers.names.len() == timers.slots.len());
        assert!(timers.names.is_sorted());
        timers.cancel(u64::MAX, &mut queue);
        assert!(queue.pop().is_none(), "the armed one kept its slot");
    }
}
