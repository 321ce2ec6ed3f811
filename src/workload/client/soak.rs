//! Random runs of clients against servers that answer, delay and fall silent at random.

use std::collections::{BTreeMap, BTreeSet};

use super::{Act, Clients, Load, Plan, Service, Ticket, Wake};
use crate::history::{Event, What};
use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::op::{Answer, Done, Op, Outcome, Request, Tip, WriteKey};
use crate::rng::Stream;
use crate::time::{Duration, SimTime};
use crate::workload::{Application, Profile};

const END: SimTime = SimTime::from_nanos(60_000_000_000);

fn plan() -> Plan {
    let load = |service: u32, from: &[u32]| Load {
        service: ServiceId(service),
        from: from.iter().map(|&place| DcId(place)).collect(),
        rate: 40.0,
        weights: vec![],
        reads_nearest: false,
        reads: 0.5,
        appends: 0.2,
        swaps: 0.3,
        keys: 20,
        skew: 0.99,
        value_bytes: 224,
        deadline: Duration::from_secs(2),
        clients: 3,
        attempt_timeout: Duration::from_millis(400),
        profile: Profile::Constant,
        surges: vec![],
    };
    let service = |name: &str, application| Service {
        name: name.into(),
        application,
        replicas: vec![NodeId(0), NodeId(1), NodeId(2)],
    };
    Plan {
        services: vec![service("board", Application::Board), service("accounts", Application::Kv)],
        loads: vec![load(0, &[0, 1]), load(1, &[1]), load(1, &[0, 1])],
        longitudes: vec![0.0, 135.0],
        round_trips: vec![
            [5, 10, 20].map(Duration::from_millis).to_vec(),
            [20, 10, 5].map(Duration::from_millis).to_vec(),
        ],
        doors: vec![],
        start: SimTime::ZERO,
        end: END,
    }
}

/// What happens next in a random run.
#[derive(Clone, Copy, Debug)]
enum Next {
    Wake(Wake),
    Reply(Ticket, u16, NodeId, Outcome),
    Tell(ServiceId, NodeId, WriteKey),
}

/// A run against servers drawn from `answers`, by instant and order.
struct Run {
    clients: Clients,
    answers: Stream,
    queue: BTreeMap<(SimTime, u64), Next>,
    count: u64,
    acts: Vec<(SimTime, Act)>,
}

impl Run {
    fn new(seed: u64, answers: u64) -> Self {
        let mut run = Self {
            clients: Clients::new(plan(), seed),
            answers: Stream::new(answers, "answers", &[]),
            queue: BTreeMap::new(),
            count: 0,
            acts: Vec::new(),
        };
        let mut out = Vec::new();
        run.clients.start(&mut out);
        run.take(SimTime::ZERO, out);
        while let Some(((now, _), next)) = run.queue.pop_first() {
            let mut out = Vec::new();
            match next {
                Next::Wake(wake) => run.clients.wake(now, wake, &mut out),
                Next::Reply(ticket, attempt, server, outcome) => {
                    run.clients.reply(now, ticket, attempt, server, &outcome, &mut out);
                }
                Next::Tell(service, server, write) => run.clients.told(now, service, server, write, &mut out),
            }
            run.take(now, out);
        }
        run
    }

    fn take(&mut self, now: SimTime, out: Vec<Act>) {
        for act in out {
            self.acts.push((now, act));
            match act {
                Act::At(at, wake) => self.later(at, Next::Wake(wake)),
                Act::Send { server, service, ticket, attempt, request, .. } => {
                    self.serve(now, server, service, ticket, attempt, request);
                }
                Act::Acknowledge { .. } | Act::Event(_) => {}
            }
        }
    }

    fn later(&mut self, at: SimTime, next: Next) {
        self.count += 1;
        self.queue.insert((at, self.count), next);
    }

    fn serve(
        &mut self,
        now: SimTime,
        server: NodeId,
        service: ServiceId,
        ticket: Ticket,
        attempt: u16,
        request: Request,
    ) {
        let token = Tip { length: self.answers.below(1_000), hash: 1 };
        let answer = match request.op {
            Op::Read { .. } => Answer::Read { digest: self.answers.bits(), bytes: 1 },
            Op::CompareAndSwap { .. } => Answer::Swapped(self.answers.chance(0.5)),
            _ => Answer::Done,
        };
        let done = Done { answer, token, epoch: 1, degree: 3, data_centers: 3, degraded: false };
        let outcome = match self.answers.below(20) {
            0..8 => Outcome::Done(done),
            8 | 9 => Outcome::Redirect { hint: Some(NodeId(self.answers.below(3) as u32)) },
            10 => Outcome::Redirect { hint: None },
            11..15 => Outcome::Refused,
            15 => Outcome::Regressed,
            16 if !request.op.is_read() => Outcome::Revoked,
            17 => Outcome::SessionUnknown,
            _ => return,
        };
        // Some answers come after the patience with an attempt, some twice, some after the deadline.
        for _ in 0..1 + self.answers.below(2) {
            let delay = Duration::from_nanos((self.answers.exponential() * 2e8) as u64);
            self.later(now + delay, Next::Reply(ticket, attempt, server, outcome));
        }
        if self.answers.chance(0.02) {
            let number = (request.number + 3).saturating_sub(self.answers.below(6) as u32);
            let delay = Duration::from_millis(self.answers.below(3_000));
            self.later(now + delay, Next::Tell(service, server, WriteKey { client: request.client, number }));
        }
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.acts.iter().filter_map(|(_, act)| if let Act::Event(event) = act { Some(event) } else { None })
    }

    /// What was asked, without the one thing that may depend on answers.
    fn asked(&self) -> Vec<Event> {
        let invoked = self.events().filter(|event| event.what == What::Invoke);
        invoked
            .map(|&event| match event.op {
                Op::CompareAndSwap { key, value, .. } => {
                    Event { op: Op::CompareAndSwap { key, expect: 0, value }, ..event }
                }
                _ => event,
            })
            .collect()
    }
}

#[test]
fn arrivals_are_the_same_whatever_the_answers() {
    let (one, other, reseeded) = (Run::new(1, 1), Run::new(1, 2), Run::new(2, 1));
    assert!(one.events().ne(other.events()), "the answers differ");
    assert!(one.asked().len() > 10_000);
    assert_eq!(one.asked(), other.asked());
    assert_ne!(one.asked(), reseeded.asked());
    let swaps =
        |run: &Run| run.events().filter(|event| matches!(event.op, Op::CompareAndSwap { expect: 1.., .. })).count();
    assert!(swaps(&one) > 100, "sessions expect what they read");
}

#[test]
fn the_same_answers_give_the_same_acts() {
    assert_eq!(Run::new(3, 3).acts, Run::new(3, 3).acts);
}

#[test]
fn arrivals_fall_on_all_sessions_of_all_places_at_the_rate() {
    let run = Run::new(4, 4);
    let mut counts = vec![0u32; run.clients.client_count()];
    let mut keys = [0u32; 20];
    let mut reads = 0.0f64;
    for event in run.asked() {
        counts[event.client.index()] += 1;
        keys[event.op.key() as usize] += 1;
        reads += if event.op.is_read() { 1.0 } else { 0.0 };
        assert_eq!(run.clients.place_of(event.client), event.place);
        assert_eq!(run.clients.service_of(event.client), event.service);
        assert!(event.at < END && event.at == event.invoked);
    }
    // 40 a second for 60 seconds over 3 sessions, at 5 pairs of load and place.
    assert_eq!(counts.len(), 15);
    assert!(counts.iter().all(|&count| (660..940).contains(&count)), "{counts:?}");
    assert!((reads / 12_000.0 - 0.5).abs() < 0.03, "{reads}");
    assert!(keys[0] > keys[1] && keys[1] > keys[5] && keys[5] > keys[19], "{keys:?}");
}

/// Follows the open requests through all acts of a run.
#[derive(Default)]
struct Ledger {
    open: BTreeMap<(ClientId, bool, u32), Event>,
    digests: BTreeSet<u64>,
    revoked: BTreeSet<(ClientId, u32)>,
    attempts: BTreeSet<(Ticket, u16)>,
    ended: [u32; 3],
}

impl Ledger {
    fn event(&mut self, event: &Event) {
        let key = (event.client, event.op.is_read(), event.number);
        match event.what {
            What::Invoke => {
                assert!(self.open.insert(key, *event).is_none());
                assert!(event.op.value().is_none_or(|value| self.digests.insert(value.digest)), "digests are unique");
            }
            What::Revoked { .. } => {
                assert!(self.revoked.insert((event.client, event.number)), "told once");
            }
            What::Regressed { .. } => assert!(self.open.contains_key(&key)),
            What::Ok { .. } | What::Fail | What::Info => {
                let asked = self.open.remove(&key).expect("one end to each request");
                assert_eq!((asked.op, asked.at, asked.place), (event.op, event.invoked, event.place));
                let late = event.at.since(asked.at) >= Duration::from_secs(2);
                let kind = match event.what {
                    What::Ok { .. } => 0,
                    What::Fail => 1,
                    _ => 2,
                };
                assert!(!late || kind > 0, "no success at or after the deadline");
                self.ended[kind] += 1;
            }
        }
    }

    fn send(&mut self, ticket: Ticket, attempt: u16, request: Request) {
        let key = (request.client, request.op.is_read(), request.number);
        assert!(self.open.contains_key(&key), "only open requests are sent");
        assert!(self.attempts.insert((ticket, attempt)), "attempts are told apart");
        let writes = (request.client, false, 0)..(request.client, true, 0);
        let lowest = self.open.range(writes).next().map(|(&(.., number), _)| number);
        match lowest {
            Some(lowest) => assert_eq!(request.floor, lowest),
            None => assert!(request.op.is_read()),
        }
    }
}

#[test]
fn every_request_ends_once_and_floors_tell_the_truth() {
    let run = Run::new(5, 5);
    let mut ledger = Ledger::default();
    let mut slots = 0;
    for (_, act) in &run.acts {
        match act {
            Act::Event(event) => ledger.event(event),
            &Act::Send { ticket, attempt, request, .. } => {
                slots = slots.max(ticket.slot);
                ledger.send(ticket, attempt, request);
            }
            Act::At(..) | Act::Acknowledge { .. } => {}
        }
    }
    assert!(ledger.open.is_empty() && run.clients.idle());
    assert!(ledger.ended.iter().all(|&count| count > 500), "ok, fail, info: {:?}", ledger.ended);
    assert!(ledger.revoked.len() > 100);
    assert!(slots < 600, "slots are used again: {slots} for {} requests", run.asked().len());
}

#[test]
fn the_wait_before_a_retry_is_jittered_below_a_doubling_limit() {
    let run = Run::new(6, 6);
    let mut waits: BTreeMap<Ticket, Vec<Duration>> = BTreeMap::new();
    for (now, act) in &run.acts {
        if let Act::At(at, Wake::Retry { ticket }) = act {
            waits.entry(*ticket).or_default().push(at.since(*now));
        }
    }
    let limits = [50, 100, 200, 400, 500, 500].map(Duration::from_millis);
    let mut most = [Duration::ZERO; 6];
    for waits in waits.values() {
        for (index, (&wait, &limit)) in waits.iter().zip(&limits).enumerate() {
            assert!(wait < limit, "backoff {index} of {wait}");
            most[index] = most[index].max(wait);
        }
    }
    assert!(most[0] > Duration::from_millis(45) && most[1] > Duration::from_millis(90), "{most:?}");
}
