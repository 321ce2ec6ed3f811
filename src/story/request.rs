//! The life of one request: where it was asked, tried, answered, revoked, and why.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::history::{Event, What};
use crate::id::{ClientId, NodeId, ServiceId};
use crate::machine::{Note, Views};
use crate::op::{Outcome, WriteKey};
use crate::run::tape::{Attempt, Fate, Happened, RequestName, Step, Tape};
use crate::scenario::Scenario;
use crate::time::{Duration, SimTime};
use crate::world::DropReason;
use crate::world::fault::Endpoint;

use super::beats::Teller;
use super::course::Course;
use super::scene::{Life as Running, Scene};
use super::why::Why;
use super::words::{self, length, time};
use super::{Kind, Line, Stage};

/// The life of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Life {
    pub request: String,
    pub service: String,
    /// For example `post on key 17 from tokyo`.
    pub what: String,
    pub lines: Vec<Line>,
    /// What became of it, in a sentence.
    pub end: String,
}

/// Reads `c12/w34`, `c12/r34`, or `12/34` if only one of both is meant: the client, the number, and whether it reads.
///
/// # Errors
/// How a request is named.
pub fn parse(text: &str) -> Result<(ClientId, u32, Option<bool>), String> {
    let wrong = || {
        format!(
            "`{text}` names no request: write CLIENT/NUMBER as in history.jsonl, for example c12/w34 for the write 34 of client 12, and c12/r34 for its read"
        )
    };
    let (client, number) = text.split_once(['/', '#']).ok_or_else(wrong)?;
    let client = client.strip_prefix('c').unwrap_or(client);
    let (read, number) = match number.as_bytes().first() {
        Some(b'w') => (Some(false), &number[1..]),
        Some(b'r') => (Some(true), &number[1..]),
        _ => (None, number),
    };
    match (client.parse::<u32>(), number.parse::<u32>()) {
        (Ok(client), Ok(number)) => Ok((ClientId(client), number, read)),
        _ => Err(wrong()),
    }
}

/// The request of the history that is meant.
///
/// # Errors
/// There is none, or both a read and a write have this number.
pub fn find(tape: &Tape, client: ClientId, number: u32, read: Option<bool>) -> Result<RequestName, String> {
    let fits = |event: &&Event| {
        event.client == client && event.number == number && read.is_none_or(|read| read == event.op.is_read())
    };
    let found: BTreeSet<RequestName> = tape.history.iter().filter(fits).map(RequestName::of).collect();
    let list = "`firedrill explain RESULT --failed` lists some that failed or were revoked, and `firedrill replay RESULT --out DIR --history` writes them all";
    match found.iter().collect::<Vec<_>>()[..] {
        [one] => Ok(*one),
        [] => Err(format!("no request c{}/{number} was made in this run; {list}", client.0)),
        _ => Err(format!("c{0}/{number} is a write and a read: say c{0}/w{number} or c{0}/r{number}", client.0)),
    }
}

/// Requests that did not end well in one way.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    pub what: &'static str,
    pub number: u64,
    /// The first ones, and when they were asked.
    pub first: Vec<(RequestName, SimTime)>,
}

/// Requests of the measured span that did not end well, by kind.
pub fn failed(scenario: &Scenario, tape: &Tape, only: Option<ServiceId>, most: usize) -> Vec<Failed> {
    let start = SimTime::ZERO + scenario.warmup;
    let mut kinds: BTreeMap<&'static str, Vec<(RequestName, SimTime)>> = BTreeMap::new();
    let mut add = |kind, name, at| kinds.entry(kind).or_default().push((name, at));
    let mut invoked: BTreeMap<WriteKey, SimTime> = BTreeMap::new();
    let measured = |event: &&Event| event.invoked >= start && only.is_none_or(|only| only == event.service);
    for event in tape.history.iter().filter(measured) {
        let name = RequestName::of(event);
        match event.what {
            What::Invoke if !name.read => {
                invoked.insert(WriteKey { client: name.client, number: name.number }, event.at);
            }
            What::Fail => {
                add("failed for certain: refused everywhere, or revoked before an answer", name, event.invoked)
            }
            What::Info => add("no answer before the deadline", name, event.invoked),
            What::Revoked { .. } => {
                add("acknowledged or pending, then revoked by a merge, and told so", name, event.invoked)
            }
            _ => {}
        }
    }
    for ((service, write), fate) in &tape.fates {
        let kind = match fate {
            Fate::Reapplied | Fate::Revoked { told: true } => continue,
            Fate::Revoked { told: false } => "acknowledged, then revoked, and not told",
            Fate::Stranded(_) => "acknowledged, and stranded at the end",
            Fate::Lost => "acknowledged, and lost",
        };
        if only.is_none_or(|only| only == *service)
            && let Some(&at) = invoked.get(write)
        {
            add(kind, RequestName { client: write.client, number: write.number, read: false }, at);
        }
    }
    let list = |(what, mut first): (&'static str, Vec<(RequestName, SimTime)>)| {
        first.sort_by_key(|one| one.1);
        let number = first.len() as u64;
        first.truncate(most);
        Failed { what, number, first }
    };
    kinds.into_iter().map(list).collect()
}

/// What became of one attempt.
#[derive(Clone, Debug, Default)]
struct Passage {
    request: Vec<(SimTime, Step)>,
    answer: Vec<(SimTime, Step)>,
    outcome: Option<(SimTime, Outcome)>,
}

/// Tells the life of a request that [`find`] found; the tape must have kept its letters.
pub fn life(scenario: &Scenario, tape: &Tape, name: RequestName) -> Life {
    let scene = Scene::new(scenario.topology.nodes.len(), tape);
    let stage = Stage { scenario, scene: &scene };
    let events: Vec<&Event> = tape.history.iter().filter(|event| RequestName::of(event) == name).collect();
    let first = events[0];
    let course = Course::new(first.service, &scenario.services[first.service.index()].replicas, tape, &scene);
    let teller = Teller { stage, course: &course, edges: &[] };
    let biographer = Biographer { stage, teller: &teller, tape, name };
    let what = format!("{} on key {} from {}", first.op.name(), first.op.key(), scenario.place(first.place));
    let mut lines = vec![Line::new(first.invoked, Kind::Request, format!("{} asks: {what}", words::request(name)))];
    lines.extend(biographer.attempts());
    lines.extend(events.iter().filter_map(|event| biographer.event(event)));
    if !name.read {
        lines.extend(biographer.merges());
    }
    lines.sort_by_key(|line| line.at);
    Life {
        request: words::request(name),
        service: scenario.service(first.service).to_owned(),
        what,
        lines,
        end: biographer.end(&events),
    }
}

struct Biographer<'a> {
    stage: Stage<'a>,
    teller: &'a Teller<'a>,
    tape: &'a Tape,
    name: RequestName,
}

impl Biographer<'_> {
    fn write(&self) -> WriteKey {
        WriteKey { client: self.name.client, number: self.name.number }
    }

    fn attempts(&self) -> Vec<Line> {
        let mine = |(_, attempt): &(usize, &Attempt)| attempt.request == self.name;
        let attempts: Vec<(usize, &Attempt)> = self.tape.attempts.iter().enumerate().filter(mine).collect();
        let mut courses: BTreeMap<u32, Passage> =
            attempts.iter().map(|one| (one.0 as u32, Passage::default())).collect();
        for moment in &self.tape.moments {
            match &moment.what {
                Happened::Letter { attempt, answer, step } => {
                    if let Some(course) = courses.get_mut(attempt) {
                        let steps = if *answer { &mut course.answer } else { &mut course.request };
                        steps.push((moment.at, *step));
                    }
                }
                Happened::Answered { attempt, outcome } => {
                    if let Some(course) = courses.get_mut(attempt) {
                        course.outcome.get_or_insert((moment.at, **outcome));
                    }
                }
                _ => {}
            }
        }
        let each = attempts.iter().enumerate();
        each.map(|(place, (index, attempt))| {
            let next = attempts.get(place + 1).map(|one| one.1.at);
            self.attempt(place + 1, attempt, &courses[&(*index as u32)], next)
        })
        .collect()
    }

    fn attempt(&self, number: usize, attempt: &Attempt, course: &Passage, next: Option<SimTime>) -> Line {
        let server = self.stage.words().node(attempt.server);
        let mut whys = Vec::new();
        let mut because = Vec::new();
        let met = self.met(attempt, course, next, &mut whys, &mut because);
        let mut line = Line::new(attempt.at, Kind::Request, format!("attempt {number}, at {server}: {met}"));
        self.teller.set_causes(&mut line, &whys);
        line.because.extend(because);
        line
    }

    /// What an attempt met.
    fn met(
        &self,
        attempt: &Attempt,
        course: &Passage,
        next: Option<SimTime>,
        whys: &mut Vec<Why>,
        because: &mut Vec<String>,
    ) -> String {
        if let Some((at, outcome)) = course.outcome {
            self.why_so(attempt, at, &outcome, whys, because);
            return format!("{} after {}", self.outcome(&outcome), length(at.since(attempt.at)));
        }
        let waited =
            next.map_or(String::new(), |next| format!(", and is given up after {}", length(next.since(attempt.at))));
        let dropped = |steps: &[(SimTime, Step)]| {
            steps.iter().find_map(|&(at, step)| match step {
                Step::Dropped(why) => Some((at, why)),
                _ => None,
            })
        };
        let (place, node) = (Endpoint::Place(attempt.place), Endpoint::Node(attempt.server));
        if let Some((at, why)) = dropped(&course.request) {
            return format!("{}{waited}", self.dropped("the request", place, node, at, why, whys, because));
        }
        if let Some((at, why)) = dropped(&course.answer) {
            return format!("{}{waited}", self.dropped("its answer", node, place, at, why, whys, because));
        }
        let delivered = course.request.iter().find(|one| one.1 == Step::Delivered);
        match delivered {
            Some(&(at, _)) => {
                self.why_silent(attempt.server, at, next.unwrap_or(at + Duration::from_secs(1)), whys, because);
                format!("the request arrives at {}, and no answer comes{waited}", time(at))
            }
            None => {
                let (life, since) = self.stage.scene.life(attempt.server, attempt.at);
                let by = self.stage.scene.holding(attempt.server, attempt.at);
                match life {
                    Running::Paused => whys.push(Why::Paused { node: attempt.server, since, by }),
                    Running::Down => whys.push(Why::Down { node: attempt.server, since, by }),
                    Running::Up => because.push("it was still on its way, or waited in line".into()),
                }
                format!("no answer comes{waited}")
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what was dropped, where, when and why, and two lists to add to")]
    fn dropped(
        &self,
        what: &str,
        from: Endpoint,
        to: Endpoint,
        at: SimTime,
        why: DropReason,
        whys: &mut Vec<Why>,
        because: &mut Vec<String>,
    ) -> String {
        let scene = self.stage.scene;
        match why {
            DropReason::Cut => {
                because.push(format!("cut by {}", self.stage.telling().faults(&scene.cutting(from, to, at))));
                format!("{what} does not pass")
            }
            DropReason::Lost => {
                let by = scene.degrading(from, to, at);
                because.push(match by.is_empty() {
                    true => "by chance".into(),
                    false => format!("by {}", self.stage.telling().faults(&by)),
                });
                format!("{what} is lost")
            }
            DropReason::Full => format!("{what} finds a full queue"),
            DropReason::Down | DropReason::Restarted | DropReason::Disconnected => {
                if let Endpoint::Node(node) = to {
                    let (life, since) = scene.life(node, at);
                    let by = scene.holding(node, at);
                    if life == Running::Down {
                        whys.push(Why::Down { node, since, by });
                    }
                }
                format!("{what} finds no process, and nobody says so")
            }
        }
    }

    fn outcome(&self, outcome: &Outcome) -> String {
        let words = self.stage.words();
        match outcome {
            Outcome::Done(done) => {
                let degraded = if done.degraded { ", degraded" } else { "" };
                let held = words::count(u64::from(done.degree), "replica");
                format!("done in view {} (held by {held}{degraded})", done.epoch)
            }
            Outcome::Revoked => "answered that a merge has revoked it".into(),
            Outcome::NumberTaken => "answered that another operation has this number".into(),
            Outcome::SessionUnknown => "answered that the session is unknown".into(),
            Outcome::Redirect { hint: Some(node) } => format!("sent on to {}", words.node(*node)),
            Outcome::Redirect { hint: None } => "sent on, as it does not lead and knows nobody who does".into(),
            Outcome::Unfinished { hint: Some(node) } => {
                format!("begun, not finished, and sent on to {}", words.node(*node))
            }
            Outcome::Unfinished { hint: None } => "begun and not finished".into(),
            Outcome::Refused => "refused".into(),
            Outcome::Regressed => "answered that it does not have what the session has seen".into(),
        }
    }

    /// Why the answer was no success, as far as the trace tells.
    fn why_so(
        &self,
        attempt: &Attempt,
        at: SimTime,
        outcome: &Outcome,
        whys: &mut Vec<Why>,
        because: &mut Vec<String>,
    ) {
        let node = attempt.server;
        // When the server decided: on the way back nothing changes.
        let when = attempt.at + Duration::from_nanos(at.since(attempt.at).as_nanos() / 2);
        let (life, since) = self.stage.scene.life(node, when);
        let by = self.stage.scene.holding(node, when);
        match outcome {
            Outcome::Refused if life == Running::Down => whys.push(Why::Down { node, since, by }),
            Outcome::Refused | Outcome::Redirect { hint: None } | Outcome::Unfinished { .. } => {
                because.extend(self.state_of(node, when));
            }
            _ => {}
        }
    }

    fn state_of(&self, node: NodeId, at: SimTime) -> Option<String> {
        let state = self.teller.course.state(node, at)?;
        let name = self.stage.words().node(node);
        let what = match (state.serving, state.frozen, state.role) {
            (_, true, _) => "is frozen for a view change",
            (true, ..) => "serves, so its queue was full or it could not finish",
            (_, _, crate::machine::Role::Listening) => "has just started, and listens",
            (_, _, crate::machine::Role::Leading) => "leads, and does not serve yet",
            (_, _, crate::machine::Role::Following) => match state.candidate.filter(|&leader| leader != node) {
                Some(leader) => return Some(format!("{name} follows {}", self.stage.words().node(leader))),
                None => "knows no leader",
            },
        };
        Some(format!("{name} {what}"))
    }

    /// Why a server that has a request does not answer: it stands still, or waits for others.
    fn why_silent(&self, node: NodeId, at: SimTime, until: SimTime, whys: &mut Vec<Why>, because: &mut Vec<String>) {
        let (scene, course) = (self.stage.scene, self.teller.course);
        let changed = scene.changes(node, at, until).find(|(_, life)| *life != Running::Up);
        if let Some((since, life)) = changed {
            let by = scene.holding(node, since);
            whys.push(if life == Running::Paused {
                Why::Paused { node, since, by }
            } else {
                Why::Down { node, since, by }
            });
            return;
        }
        let before = whys.len();
        let Some(state) = course.state(node, until) else { return };
        let reached = scene.reach(node, course.replicas, until);
        let missing: Vec<NodeId> =
            state.members.iter().copied().filter(|one| *one != node && !reached.contains(one)).collect();
        let short = self.tape.views == Views::Succeed && reached.len() * 2 <= course.replicas.len();
        if !missing.is_empty() && (self.tape.views == Views::Coexist || short) {
            because.push(format!("it waits for {} of its view", self.stage.words().nodes(&missing)));
            let others = self.teller.barriers(node, &reached, until);
            whys.extend(others.into_iter().filter(|why| match why {
                Why::Down { node, .. } | Why::Paused { node, .. } => missing.contains(node),
                Why::Cut { from, to, .. } => missing.contains(from) || missing.contains(to),
                _ => false,
            }));
        } else if state.frozen {
            because.push("it is frozen for a view change".into());
        }
        let slow: Vec<NodeId> =
            state.members.iter().copied().filter(|&one| !scene.slowing(one, until).is_empty()).collect();
        whys.extend(slow.into_iter().map(|node| Why::Slow { node, by: scene.slowing(node, until) }));
        if whys.len() == before && because.is_empty() {
            because.push(super::NO_CAUSE.into());
        }
    }

    fn event(&self, event: &Event) -> Option<Line> {
        let words = self.stage.words();
        let text = match event.what {
            What::Invoke => return None,
            What::Ok { server, epoch, degraded, .. } => {
                let degraded = if degraded { ", degraded" } else { "" };
                let after = length(event.at.since(event.invoked));
                format!("acknowledged by {} in view {epoch}{degraded}, {after} after it was asked", words.node(server))
            }
            What::Fail => "it fails for certain: no attempt was executed to last".into(),
            What::Info => "the deadline passes: it may or may not have been executed".into(),
            What::Revoked { server } => format!("{} tells the client that it was revoked", words.node(server)),
            What::Regressed { server } => {
                format!(
                    "{} does not have what the session has seen: the client asks again without that condition",
                    words.node(server)
                )
            }
        };
        Some(Line::new(event.at, Kind::Request, text))
    }

    /// Merges that dealt with the write.
    fn merges(&self) -> Vec<Line> {
        let write = self.write();
        let mut lines = Vec::new();
        for told in &self.teller.course.notes {
            let Note::Merged { union, .. } = told.note else { continue };
            let name = self.stage.words().node(told.node);
            let side = |index: usize| union.branches.get(index).map(|branch| self.teller.side(branch));
            let base = side(0).map_or(String::new(), |base| format!(" in favour of {base}"));
            if let Some(one) = union.revoked.iter().find(|one| one.write == write) {
                let mut line =
                    Line::new(told.at, Kind::Merge, format!("a merge by {name} revokes it{base}: {}", one.why));
                line.because
                    .extend(one.branch.and_then(side).map(|branch| format!("it stood in the branch of {branch}")));
                lines.push(line);
            } else if let Some(one) = union.reapplied.iter().find(|one| one.0 == write) {
                let branch = side(one.1).unwrap_or_default();
                let text = format!("a merge by {name} executes it again{base}; it stood in the branch of {branch}");
                lines.push(Line::new(told.at, Kind::Merge, text));
            }
        }
        lines
    }

    fn end(&self, events: &[&Event]) -> String {
        let ok = events.iter().any(|event| matches!(event.what, What::Ok { .. }));
        let fate = self.tape.fates.get(&(events[0].service, self.write())).filter(|_| !self.name.read);
        let words = self.stage.words();
        match (fate, ok) {
            (Some(Fate::Reapplied), _) => "it is in the history, executed again by a merge".into(),
            (Some(Fate::Revoked { told: true }), _) => "it was revoked, and its client knows".into(),
            (Some(Fate::Revoked { told: false }), _) => "it was revoked, and its client does not know".into(),
            (Some(Fate::Stranded(nodes)), _) => {
                format!("it is only on the disks of {}, out of reach", words.nodes(nodes))
            }
            (Some(Fate::Lost), _) => "it is LOST: acknowledged, and on no disk".into(),
            (None, true) if self.name.read => "it was answered".into(),
            (None, true) => "it was acknowledged, and is in the history".into(),
            (None, false) if events.iter().any(|event| event.what == What::Fail) => "it failed for certain".into(),
            (None, false) => "it got no answer in time".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_by_client_kind_and_number() {
        let named = |read| Ok((ClientId(12), 34, read));
        assert_eq!(parse("c12/w34"), named(Some(false)));
        assert_eq!(parse("c12/r34"), named(Some(true)));
        for text in ["c12/34", "12/34", "c12#34"] {
            assert_eq!(parse(text), named(None), "{text}");
        }
        for text in ["", "c12", "c/w1", "c12/x34", "c12/w", "c-1/w1", "c12/w4294967296"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
