//! A run as a trace in Perfetto's protobuf format, for ui.perfetto.dev and its SQL.
//!
//! Lanes: a group for each data center, in it a lane for each node (down, paused), below it two for each replica:
//! its views, and its role with the decisions that it told of. A group has a lane for each fault; another the
//! counters of each service: requests answered, failed, and writes acknowledged, by second. Messages are flows from
//! an instant at the sender's to one at the receiver's; heartbeats are left out unless asked for.

mod notes;
mod proto;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::proto::{Message, event, packet, trace, track};
use crate::history::What;
use crate::id::{NodeId, ServiceId};
use crate::machine::Role;
use crate::run::RunResult;
use crate::run::tape::{Carried, Condition, Happened, Step, Tape};
use crate::scenario::Scenario;
use crate::story::{Running, Scene, is_heartbeat};
use crate::time::SimTime;

/// So many messages are put into a trace at most.
pub const MESSAGES_MAX: usize = 200_000;

/// Which messages a trace holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only those sent from the first instant up to the second.
    pub span: Option<(SimTime, SimTime)>,
    pub heartbeats: bool,
}

/// A trace, and how many messages were left out because they are too many.
#[derive(Debug)]
pub struct Trace {
    pub bytes: Vec<u8>,
    pub left_out: usize,
}

/// Encodes a run.
pub fn encode(scenario: &Scenario, result: &RunResult, tape: &Tape, choice: Choice) -> Trace {
    let scene = Scene::new(scenario.topology.nodes.len(), tape);
    let end = SimTime::from_nanos((result.record.simulated_s * 1e9) as u64);
    let mut writer = Writer { scenario, scene: &scene, tape, end, bytes: Vec::new() };
    writer.tracks();
    writer.faults();
    writer.lives();
    writer.replicas();
    writer.counters();
    let left_out = writer.messages(choice);
    Trace { bytes: writer.bytes, left_out }
}

/// Names of tracks: a kind in the high bits, what it is of in the low ones.
mod uuid {
    use crate::id::{DcId, NodeId, ServiceId};

    pub const FAULTS: u64 = 1 << 40;
    pub const CLIENTS: u64 = 2 << 40;

    pub fn fault(index: usize) -> u64 {
        FAULTS + 1 + index as u64
    }
    pub fn counter(service: ServiceId, which: u64) -> u64 {
        CLIENTS + 1 + u64::from(service.0) * 8 + which
    }
    pub fn site(site: DcId) -> u64 {
        (3 << 40) + u64::from(site.0)
    }
    pub fn node(node: NodeId) -> u64 {
        (4 << 40) + u64::from(node.0)
    }
    pub fn views(service: ServiceId, node: NodeId) -> u64 {
        (5 << 40) + (u64::from(service.0) << 20) + u64::from(node.0)
    }
    pub fn role(service: ServiceId, node: NodeId) -> u64 {
        (6 << 40) + (u64::from(service.0) << 20) + u64::from(node.0)
    }
}

/// A replica's state from an instant on; `None`: no process runs.
type Change<'a> = (SimTime, Option<&'a Condition>);

/// When a message arrives, and the number of its flow.
type Flow = (SimTime, u64);

struct Writer<'a> {
    scenario: &'a Scenario,
    scene: &'a Scene,
    tape: &'a Tape,
    end: SimTime,
    bytes: Vec<u8>,
}

impl Writer<'_> {
    fn packet(&mut self, packet: Message) {
        let packet = packet.number(packet::SEQUENCE, 1);
        self.bytes.extend(Message::default().message(trace::PACKET, &packet).into_bytes());
    }

    fn event(&mut self, at: SimTime, event: &Message) {
        self.packet(Message::default().number(packet::TIMESTAMP, at.as_nanos()).message(packet::TRACK_EVENT, event));
    }

    /// A slice on a track; nothing that has no length.
    fn slice(&mut self, track: u64, (from, to): (SimTime, SimTime), category: &str, name: &str) {
        if from >= to {
            return;
        }
        let begin = Message::default()
            .number(event::TYPE, event::BEGIN)
            .number(event::TRACK, track)
            .text(event::CATEGORY, category)
            .text(event::NAME, name);
        self.event(from, &begin);
        self.event(to, &Message::default().number(event::TYPE, event::END).number(event::TRACK, track));
    }

    fn describe(&mut self, descriptor: &Message) {
        self.packet(Message::default().message(packet::TRACK_DESCRIPTOR, descriptor));
    }

    /// A group of lanes: Perfetto shows a process.
    fn group(&mut self, uuid: u64, id: u64, name: &str) {
        let process = Message::default().number(track::PROCESS_ID, id).text(track::PROCESS_NAME, name);
        let descriptor = Message::default()
            .number(track::UUID, uuid)
            .text(track::NAME, name)
            .message(track::PROCESS, &process)
            .number(track::CHILD_ORDERING, track::EXPLICIT);
        self.describe(&descriptor);
    }

    fn lane(&mut self, uuid: u64, parent: u64, rank: u64, name: &str) {
        let descriptor = Message::default()
            .number(track::UUID, uuid)
            .text(track::NAME, name)
            .number(track::PARENT, parent)
            .number(track::CHILD_ORDERING, track::EXPLICIT)
            .number(track::RANK, rank);
        self.describe(&descriptor);
    }

    fn tracks(&mut self) {
        self.group(uuid::FAULTS, 1, "faults");
        for index in 0..self.scene.faults.len() {
            let label = self.scene.faults[index].told.label.clone();
            self.lane(uuid::fault(index), uuid::FAULTS, index as u64, &label);
        }
        self.group(uuid::CLIENTS, 2, "clients");
        let scenario = self.scenario;
        for (index, service) in scenario.services.iter().enumerate() {
            let names = ["answered in time", "failed", "writes acknowledged"];
            for (which, name) in names.iter().enumerate() {
                let unit = if which == 0 { "%" } else { "/s" };
                let counter = Message::default().text(track::UNIT_NAME, unit);
                let descriptor = Message::default()
                    .number(track::UUID, uuid::counter(ServiceId::from(index), which as u64))
                    .text(track::NAME, &format!("{}: {name}", service.name))
                    .number(track::PARENT, uuid::CLIENTS)
                    .number(track::RANK, (index * 8 + which) as u64)
                    .message(track::COUNTER, &counter);
                self.describe(&descriptor);
            }
        }
        for (index, site) in scenario.topology.data_centers.iter().enumerate() {
            let dc = crate::id::DcId::from(index);
            self.group(uuid::site(dc), 10 + index as u64, &site.name);
            for (rank, &node) in site.nodes.iter().enumerate() {
                self.lane(uuid::node(node), uuid::site(dc), rank as u64, scenario.node(node));
            }
        }
        for (service, node) in self.seats() {
            let name = scenario.service(service);
            let rank = u64::from(service.0) * 2;
            self.lane(uuid::views(service, node), uuid::node(node), rank, &format!("{name}: views"));
            self.lane(uuid::role(service, node), uuid::node(node), rank + 1, &format!("{name}: role"));
        }
    }

    fn seats(&self) -> Vec<(ServiceId, NodeId)> {
        let services = self.scenario.services.iter().enumerate();
        let seats = services
            .flat_map(|(index, service)| service.replicas.iter().map(move |&node| (ServiceId::from(index), node)));
        seats.collect()
    }

    fn faults(&mut self) {
        for index in 0..self.scene.faults.len() {
            let fault = &self.scene.faults[index];
            let track = uuid::fault(index);
            if fault.is_instant() {
                self.instant(fault.began, track, "fault", &fault.told.label, &[], None);
            } else {
                let span = (fault.began, fault.ended.unwrap_or(self.end));
                self.slice(track, span, "fault", &fault.told.label);
            }
        }
    }

    fn instant(
        &mut self,
        at: SimTime,
        track: u64,
        category: &str,
        name: &str,
        details: &[(&str, String)],
        flow: Option<(u32, u64)>,
    ) {
        let mut instant = Message::default()
            .number(event::TYPE, event::INSTANT)
            .number(event::TRACK, track)
            .text(event::CATEGORY, category)
            .text(event::NAME, name);
        for (key, value) in details {
            let annotation = Message::default().text(event::ANNOTATION_NAME, key).text(event::ANNOTATION_TEXT, value);
            instant = instant.message(event::ANNOTATION, &annotation);
        }
        if let Some((field, id)) = flow {
            instant = instant.fixed(field, id);
        }
        self.event(at, &instant);
    }

    /// When machines were down or paused.
    fn lives(&mut self) {
        for index in 0..self.scenario.topology.nodes.len() {
            let node = NodeId::from(index);
            let changes: Vec<_> = self.scene.changes(node, SimTime::ZERO, self.end).collect();
            for (place, &(at, life)) in changes.iter().enumerate() {
                let to = changes.get(place + 1).map_or(self.end, |next| next.0);
                match life {
                    Running::Down => self.slice(uuid::node(node), (at, to), "machine", "down"),
                    Running::Paused => self.slice(uuid::node(node), (at, to), "machine", "paused"),
                    Running::Up => {}
                }
            }
        }
    }

    fn replicas(&mut self) {
        let tape = self.tape;
        let mut states: BTreeMap<(ServiceId, NodeId), Vec<Change<'_>>> = BTreeMap::new();
        for moment in &tape.moments {
            match &moment.what {
                Happened::State(change) => {
                    states.entry((change.0, change.1)).or_default().push((moment.at, change.2.as_ref()));
                }
                Happened::Note(noted) => {
                    if let Some((name, details)) = notes::told(self.scenario, &noted.note) {
                        let track = uuid::role(noted.service, noted.node);
                        self.instant(moment.at, track, "decision", &name, &details, None);
                    }
                }
                _ => {}
            }
        }
        for ((service, node), changes) in states {
            let view = |state: &Condition| {
                let (epoch, _) = state.view?;
                let members: Vec<&str> = state.members.iter().map(|&one| self.scenario.node(one)).collect();
                Some(format!("view {epoch}: {}", members.join(", ")))
            };
            let role = |state: &Condition| Some(role_of(state).to_owned());
            let views = pieces(&changes, self.end, view);
            let roles = pieces(&changes, self.end, role);
            for (span, name) in views {
                self.slice(uuid::views(service, node), span, "view", &name);
            }
            for (span, name) in roles {
                self.slice(uuid::role(service, node), span, "role", &name);
            }
        }
    }

    /// By second: requests answered in time and failed, and writes acknowledged.
    fn counters(&mut self) {
        let seconds = self.end.as_nanos().div_ceil(1_000_000_000) as usize + 1;
        for index in 0..self.scenario.services.len() {
            let service = ServiceId::from(index);
            let mut rows = vec![[0_u64; 4]; seconds];
            for one in self.tape.history.iter().filter(|one| one.service == service) {
                let at = |time: SimTime| (time.as_nanos() / 1_000_000_000) as usize;
                match one.what {
                    What::Invoke => rows[at(one.at)][0] += 1,
                    What::Ok { .. } => {
                        rows[at(one.invoked)][1] += 1;
                        rows[at(one.at)][3] += u64::from(!one.op.is_read());
                    }
                    What::Fail | What::Info => rows[at(one.invoked)][2] += 1,
                    What::Revoked { .. } | What::Regressed { .. } => {}
                }
            }
            for (second, [asked, answered, failed, acked]) in rows.into_iter().enumerate() {
                let at = SimTime::from_nanos(second as u64 * 1_000_000_000);
                if asked > 0 {
                    self.value(at, uuid::counter(service, 0), answered as f64 / asked as f64 * 100.0);
                }
                self.value(at, uuid::counter(service, 1), failed as f64);
                self.value(at, uuid::counter(service, 2), acked as f64);
            }
        }
    }

    fn value(&mut self, at: SimTime, track: u64, value: f64) {
        let counter = Message::default()
            .number(event::TYPE, event::VALUE)
            .number(event::TRACK, track)
            .float(event::COUNTER, value);
        self.event(at, &counter);
    }

    /// Messages as flows. Returns how many were left out because there are too many.
    fn messages(&mut self, choice: Choice) -> usize {
        let tape = self.tape;
        let wanted = |at: SimTime, carried: &Carried| {
            choice.span.is_none_or(|(from, to)| from <= at && at < to)
                && (choice.heartbeats || !is_heartbeat(carried.name))
        };
        let sent = tape.moments.iter().filter(|moment| match &moment.what {
            Happened::Message(carried) => !matches!(carried.step, Step::Delivered) && wanted(moment.at, carried),
            _ => false,
        });
        let number = sent.count();
        if number > MESSAGES_MAX {
            return number;
        }
        // Flows under way, by who sent what to whom.
        let mut under_way: BTreeMap<(ServiceId, NodeId, NodeId, &str), Vec<Flow>> = BTreeMap::new();
        let mut next = 1;
        for moment in &tape.moments {
            let Happened::Message(carried) = &moment.what else { continue };
            let Carried { service, from, to, name, step } = *carried;
            let key = (service, from, to, name);
            match step {
                Step::Sent { arrives } if wanted(moment.at, carried) => {
                    under_way.entry(key).or_default().push((arrives, next));
                    let label = format!("{name} to {}", self.scenario.node(to));
                    let flow = Some((event::FLOW, next));
                    self.instant(moment.at, uuid::role(service, from), "message", &label, &[], flow);
                    next += 1;
                }
                Step::Sent { .. } => {}
                Step::Dropped(why) => {
                    let ended = take(under_way.get_mut(&key), moment.at);
                    let label =
                        format!("{name} from {} to {} dropped", self.scenario.node(from), self.scenario.node(to));
                    let details = [("why", format!("{why:?}").to_lowercase())];
                    if ended.is_some() || wanted(moment.at, carried) {
                        let at = if ended.is_some() { to } else { from };
                        let flow = ended.map(|id| (event::FLOW_ENDS, id));
                        self.instant(moment.at, uuid::role(service, at), "message", &label, &details, flow);
                    }
                }
                Step::Delivered => {
                    if let Some(id) = take(under_way.get_mut(&key), moment.at) {
                        let label = format!("{name} from {}", self.scenario.node(from));
                        let flow = Some((event::FLOW_ENDS, id));
                        self.instant(moment.at, uuid::role(service, to), "message", &label, &[], flow);
                    }
                }
            }
        }
        0
    }
}

/// The flow that arrives at an instant, or waited in line and is taken now: the one that was due first.
fn take(flows: Option<&mut Vec<Flow>>, at: SimTime) -> Option<u64> {
    let flows = flows?;
    let due = (0..flows.len()).filter(|&index| flows[index].0 <= at).min_by_key(|&index| flows[index].0)?;
    Some(flows.remove(due).1)
}

const fn role_of(state: &Condition) -> &'static str {
    match (state.serving, state.frozen, state.changing, state.role) {
        (_, true, ..) => "frozen",
        (true, _, true, _) => "serves, changes the view",
        (true, ..) => "serves",
        (_, _, true, _) => "changes the view",
        (_, _, _, Role::Leading) => "leads",
        (_, _, _, Role::Listening) => "listens",
        (_, _, _, Role::Following) => "follows",
    }
}

/// Spans of equal names, in order.
fn pieces(
    changes: &[Change<'_>],
    end: SimTime,
    name: impl Fn(&Condition) -> Option<String>,
) -> Vec<((SimTime, SimTime), String)> {
    let mut out: Vec<((SimTime, SimTime), String)> = Vec::new();
    let mut open: Option<(SimTime, String)> = None;
    for &(at, state) in changes {
        let now = state.and_then(&name);
        if open.as_ref().map(|open| &open.1) == now.as_ref() {
            continue;
        }
        if let Some((from, name)) = open.take() {
            out.push(((from, at), name));
        }
        open = now.map(|name| (at, name));
    }
    out.extend(open.map(|(from, name)| ((from, end), name)));
    out
}
