//! A script of what happens to the clients of one place, and a transcript of all that they do about it.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::history::{Event, What};
use crate::id::{ClientId, DcId, NodeId, ServiceId};
use crate::op::{Answer, Done, Op, Outcome, Tip, WriteKey};
use crate::time::{Duration, SimTime};

use super::{Act, Clients, Load, Plan, Service, Ticket, Wake};
use crate::workload::{Application, Profile};

/// A place of clients, and the answers that have not reached it yet.
struct Story {
    clients: Clients,
    now: SimTime,
    wakes: BTreeMap<(SimTime, u64), Wake>,
    /// Attempts without an answer: server, ticket, attempt.
    asked: Vec<(NodeId, Ticket, u16)>,
    /// The dialogue so far.
    told: String,
}

fn load(deadline: Duration) -> Load {
    Load {
        service: ServiceId(0),
        from: vec![DcId(0)],
        rate: 1.0,
        weights: vec![],
        reads_nearest: false,
        reads: 0.0,
        appends: 0.0,
        swaps: 0.0,
        keys: 10,
        skew: 0.99,
        value_bytes: 224,
        deadline,
        clients: 1,
        attempt_timeout: Duration::from_millis(400),
        profile: Profile::Constant,
        surges: vec![],
    }
}

impl Story {
    fn new(deadline: Duration) -> Self {
        let service = Service {
            name: "board".into(),
            application: Application::Board,
            replicas: vec![NodeId(0), NodeId(1), NodeId(2)],
        };
        let plan = Plan {
            services: vec![service],
            loads: vec![load(deadline)],
            longitudes: vec![0.0],
            round_trips: vec![[30, 10, 20, 5].map(Duration::from_millis).to_vec()],
            doors: vec![],
            start: SimTime::ZERO,
            end: SimTime::ZERO,
        };
        Self {
            clients: Clients::new(plan, 1),
            now: SimTime::ZERO,
            wakes: BTreeMap::new(),
            asked: Vec::new(),
            told: String::new(),
        }
    }

    fn command(&mut self, command: &str) {
        writeln!(self.told, "> {command}").expect("a string takes text");
        let words: Vec<&str> = command.split_whitespace().collect();
        let mut out = Vec::new();
        match words[..] {
            [kind @ ("write" | "read")] => {
                self.clients.loads[0].reads = if kind == "read" { 1.0 } else { 0.0 };
                self.clients.wake(self.now, Wake::Arrival { load: 0, place: 0 }, &mut out);
            }
            ["wait", "to", "retry"] => {
                let retry = self.wakes.iter().find(|(_, wake)| matches!(wake, Wake::Retry { .. }));
                let (&(at, _), _) = retry.expect("a backoff");
                return self.pass(at);
            }
            ["read", "the", "nearest"] => {
                self.clients.loads[0].reads_nearest = true;
                return;
            }
            ["door", door] => {
                let round_trip = self.clients.round_trips[0][node(door).index()];
                return self.clients.tables[0].servers.add_door(node(door), round_trip);
            }
            ["published", ref replicas @ ..] => {
                let replicas: Vec<NodeId> = replicas.iter().map(|name| node(name)).collect();
                return self.clients.published(DcId(0), ServiceId(0), &replicas);
            }
            ["meanwhile", millis] => {
                // The instant has come, but what happens now comes before the wakes of that instant.
                self.pass(self.now + Duration::from_millis(parse(millis)) - Duration::from_nanos(1));
                self.now = self.now + Duration::from_nanos(1);
                return;
            }
            ["wait", millis] => return self.pass(self.now + Duration::from_millis(parse(millis))),
            [server, "tells", number] => {
                let write = WriteKey { client: ClientId(0), number: parse(number) as u32 };
                self.clients.told(self.now, ServiceId(0), node(server), write, &mut out);
            }
            [server, ref answer @ ..] => {
                let first = self.asked.iter().position(|&(asked, ..)| asked == node(server));
                let (server, ticket, attempt) = self.asked.remove(first.expect("an attempt without an answer"));
                self.clients.reply(self.now, ticket, attempt, server, &outcome(answer), &mut out);
            }
            [] => panic!("an empty command"),
        }
        self.tell(out);
    }

    fn pass(&mut self, until: SimTime) {
        while let Some((&key, &wake)) = self.wakes.first_key_value()
            && key.0 <= until
        {
            self.wakes.remove(&key);
            self.now = key.0;
            let mut out = Vec::new();
            self.clients.wake(self.now, wake, &mut out);
            self.tell(out);
        }
        self.now = until;
    }

    fn tell(&mut self, acts: Vec<Act>) {
        for act in acts {
            let line = match act {
                Act::At(at, wake) => {
                    let order = self.wakes.last_key_value().map_or(0, |(key, _)| key.1) + self.wakes.len() as u64 + 1;
                    self.wakes.insert((at, order), wake);
                    if !matches!(wake, Wake::Retry { .. }) {
                        continue;
                    }
                    "back off".to_owned()
                }
                Act::Send { place, server, service, ticket, attempt, request } => {
                    assert_eq!((place, service), (DcId(0), ServiceId(0)));
                    self.asked.push((server, ticket, attempt));
                    let token = request.token.map_or(String::new(), |tip| format!(", token {}", tip.length));
                    let fresh = if request.fresh { ", fresh" } else { "" };
                    let (kind, number) = (kind(request.op), request.number);
                    format!("{kind} {number}.{attempt} to n{}, floor {}{token}{fresh}", server.0, request.floor)
                }
                Act::Acknowledge { server, write, .. } => format!("acknowledge {} to n{}", write.number, server.0),
                Act::Event(event) => told(&event),
            };
            writeln!(self.told, "{line}").expect("a string takes text");
        }
    }
}

fn parse(number: &str) -> u64 {
    number.parse().expect("a number")
}

fn kind(op: Op) -> &'static str {
    if op.is_read() { "read" } else { "write" }
}

fn node(name: &str) -> NodeId {
    NodeId(name.strip_prefix('n').and_then(|number| number.parse().ok()).expect("a server such as n1"))
}

fn outcome(words: &[&str]) -> Outcome {
    match *words {
        ["done", length] => Outcome::Done(Done {
            answer: Answer::Done,
            token: Tip { length: parse(length), hash: 0 },
            epoch: 1,
            degree: 3,
            data_centers: 3,
            degraded: false,
        }),
        ["refuses"] => Outcome::Refused,
        ["redirects", "to", server] => Outcome::Redirect { hint: Some(node(server)) },
        ["redirects"] => Outcome::Redirect { hint: None },
        ["regressed"] => Outcome::Regressed,
        ["revoked"] => Outcome::Revoked,
        ["number", "taken"] => Outcome::NumberTaken,
        ["session", "unknown"] => Outcome::SessionUnknown,
        _ => panic!("no such answer: {words:?}"),
    }
}

fn told(event: &Event) -> String {
    let what = match event.what {
        What::Invoke => "invoke".to_owned(),
        What::Ok { server, .. } => format!("ok by n{}", server.0),
        What::Fail => "fail".to_owned(),
        What::Info => "info".to_owned(),
        What::Revoked { server } => format!("revoked by n{}", server.0),
        What::Regressed { server } => format!("regressed by n{}", server.0),
    };
    format!("{} {} {what}", kind(event.op), event.number)
}

/// Plays the commands of a dialogue and compares all of it.
pub(super) fn dialogue(text: &str) {
    dialogue_with(Duration::from_secs(2), text);
}

pub(super) fn dialogue_with(deadline: Duration, text: &str) {
    let expected: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut story = Story::new(deadline);
    for line in &expected {
        if let Some(command) = line.strip_prefix("> ") {
            story.command(command);
        }
    }
    let expected = expected.join("\n");
    assert!(story.told.trim() == expected, "expected:\n{expected}\n\nbut it went:\n{}", story.told);
}
