//! `history.jsonl` and `trace.jsonl`: one JSON object a line, only if asked for.

use serde_json::{Map, Value, json};

use crate::history::{Event, What};
use crate::id::{DcId, NodeId, ServiceId};
use crate::machine::Note;
use crate::op::{Answer, Op};
use crate::time::SimTime;
use crate::world::fault::Endpoint;
use crate::world::{FaultNews, Passage, TraceEvent};

/// Names of things, for lines that a person reads.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub services: Vec<String>,
    pub nodes: Vec<String>,
    pub places: Vec<String>,
}

/// The lines written so far.
#[derive(Debug, Default)]
pub struct Lines {
    names: Names,
    history: Option<Vec<u8>>,
    trace: Option<Vec<u8>>,
}

impl Lines {
    pub fn new(names: Names, history: bool, trace: bool) -> Self {
        Self { names, history: history.then(Vec::new), trace: trace.then(Vec::new) }
    }

    pub const fn traced(&self) -> bool {
        self.trace.is_some()
    }

    /// The content of the two files.
    pub fn into_files(self) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        (self.history, self.trace)
    }

    /// `{t_ns, client, number, service, place, type, op, key, value, result, server, view}`; absent parts are null.
    /// Writes and reads of a client are numbered apart; values are digests in hexadecimal.
    pub fn event(&mut self, event: &Event) {
        let Some(out) = &mut self.history else { return };
        let (kind, result, server, view) = match event.what {
            What::Invoke => ("invoke", Value::Null, None, Value::Null),
            What::Ok { answer, server, epoch, .. } => ("ok", answer_value(answer), Some(server), json!(epoch)),
            What::Fail => ("fail", Value::Null, None, Value::Null),
            What::Info => ("info", Value::Null, None, Value::Null),
            What::Revoked { server } => ("revoked", Value::Null, Some(server), Value::Null),
            // An attempt, not an event of the operation's life.
            What::Regressed { .. } => return,
        };
        let mut value = event.op.value().map_or(Value::Null, |value| json!(hex(value.digest)));
        if let Op::CompareAndSwap { expect, value: new, .. } = event.op {
            value = json!([hex(expect), hex(new.digest)]);
        }
        let line = json!({
            "t_ns": event.at.as_nanos(),
            "client": event.client.0,
            "number": event.number,
            "service": self.names.services[event.service.index()],
            "place": self.names.places[event.place.index()],
            "type": kind,
            "op": event.op.name(),
            "key": event.op.key(),
            "value": value,
            "result": result,
            "server": server.map(|node| self.names.nodes[node.index()].clone()),
            "view": view,
        });
        push(out, &line);
    }

    pub fn note(&mut self, at: SimTime, service: ServiceId, node: NodeId, note: &Note) {
        let Some(out) = &mut self.trace else { return };
        let name = |node: &NodeId| json!(self.names.nodes[node.index()]);
        let names = |nodes: &[NodeId]| Value::Array(nodes.iter().map(name).collect());
        let (what, detail) = match note {
            Note::Suspected(node) => ("suspected", json!({ "peer": name(node) })),
            Note::Trusted(node) => ("trusted", json!({ "peer": name(node) })),
            Note::Follows(node) => ("follows", json!({ "peer": name(node) })),
            Note::Proposed { epoch, members } => ("proposed", json!({ "epoch": epoch, "members": names(members) })),
            Note::Abandoned { epoch, missing } => ("abandoned", json!({ "epoch": epoch, "missing": names(missing) })),
            Note::Installed { epoch, coordinator, members } => {
                ("installed", json!({ "epoch": epoch, "coordinator": name(coordinator), "members": names(members) }))
            }
            Note::Confirmed { epoch, members, tip } => {
                ("confirmed", json!({ "epoch": epoch, "members": names(members), "length": tip.length }))
            }
            Note::Merged { branches, reapplied, revoked, duplicates, .. } => (
                "merged",
                json!({ "branches": branches, "reapplied": reapplied, "revoked": revoked, "duplicates": duplicates }),
            ),
            Note::Compacted { floor } => ("compacted", json!({ "floor": floor })),
            Note::HeldDown { node, failures } => ("held-down", json!({ "peer": name(node), "failures": failures })),
            Note::SteppedDown { why } => ("stepped-down", json!({ "why": why })),
            Note::Corrected(why) => ("corrected", json!({ "why": why })),
            Note::Refused(why) => ("refused", json!({ "why": why })),
            Note::ReplicaSet(nodes) => ("replica-set", json!({ "nodes": names(nodes) })),
            Note::Campaigns { term } => ("campaigns", json!({ "term": term })),
            Note::Elected { term } => ("elected", json!({ "term": term })),
            Note::Snapshot { length } => ("snapshot", json!({ "length": length })),
            Note::ViewChange { view } => ("view-change", json!({ "epoch": view })),
            Note::Recovering => ("recovering", json!({})),
            Note::Recovered => ("recovered", json!({})),
            Note::Decided(decision) => {
                let sites = |sites: &[DcId]| sites.iter().map(|site| json!(self.names.places[site.index()])).collect();
                let mut detail = Map::new();
                detail.insert("action".into(), json!(decision.action));
                detail.insert("class".into(), json!(decision.class));
                let service = decision.service.map(|service| self.names.services[service.index()].clone());
                detail.insert("service".into(), json!(service));
                detail.insert("nodes".into(), names(&decision.nodes));
                detail.insert("silent_sites".into(), sites(&decision.silent_sites));
                detail.insert("silent_nodes".into(), names(&decision.silent_nodes));
                detail.insert("agree".into(), sites(&decision.agree));
                detail.insert("differ".into(), sites(&decision.differ));
                ("decided", Value::Object(detail))
            }
        };
        let line = json!({
            "t_ns": at.as_nanos(),
            "service": self.names.services[service.index()],
            "node": self.names.nodes[node.index()],
            "what": what,
            "detail": detail,
        });
        push(out, &line);
    }

    pub fn fault(&mut self, at: SimTime, news: &FaultNews<'_>) {
        let Some(out) = &mut self.trace else { return };
        let nodes: Vec<&str> = news.nodes.iter().map(|node| self.names.nodes[node.index()].as_str()).collect();
        let what = if news.begins { "fault-begins" } else { "fault-ends" };
        push(out, &json!({ "t_ns": at.as_nanos(), "what": what, "fault": news.label, "nodes": nodes }));
    }

    pub fn trace(&mut self, at: SimTime, event: &TraceEvent<'_>) {
        let Some(out) = &mut self.trace else { return };
        let mut line = Map::new();
        line.insert("t_ns".into(), json!(at.as_nanos()));
        let end = |end: &Endpoint| match end {
            Endpoint::Node(node) => json!(self.names.nodes[node.index()]),
            Endpoint::Place(place) => json!(format!("clients at {}", self.names.places[place.index()])),
        };
        let node = |node: &NodeId| json!(self.names.nodes[node.index()]);
        let service = |service: &ServiceId| json!(self.names.services[service.index()]);
        let fields: Vec<(&str, Value)> = match event {
            TraceEvent::Sent { passage: Passage { service: s, from, to, name, .. }, bytes, arrives } => vec![
                ("what", json!("sent")),
                ("service", service(s)),
                ("from", end(from)),
                ("to", end(to)),
                ("message", json!(name)),
                ("bytes", json!(bytes)),
                ("arrives_ns", json!(arrives.as_nanos())),
            ],
            TraceEvent::Dropped { passage: Passage { service: s, from, to, name, .. }, why } => vec![
                ("what", json!("dropped")),
                ("service", service(s)),
                ("from", end(from)),
                ("to", end(to)),
                ("message", json!(name)),
                ("why", json!(format!("{why:?}").to_lowercase())),
            ],
            TraceEvent::Delivered { passage: Passage { service: s, from, to, name, .. } } => vec![
                ("what", json!("delivered")),
                ("service", service(s)),
                ("from", end(from)),
                ("to", end(to)),
                ("message", json!(name)),
            ],
            TraceEvent::Timeout { service: s, node: at, timer } => vec![
                ("what", json!("timeout")),
                ("service", service(s)),
                ("node", node(at)),
                ("timer", json!(format!("{timer:?}").to_lowercase())),
            ],
            TraceEvent::Wrote { service: s, node: at, id, bytes, checkpoint } => vec![
                ("what", json!("wrote")),
                ("service", service(s)),
                ("node", node(at)),
                ("write", json!(id.0)),
                ("bytes", json!(bytes)),
                ("checkpoint", json!(checkpoint)),
            ],
            TraceEvent::Durable { service: s, node: at, id } => {
                vec![("what", json!("durable")), ("service", service(s)), ("node", node(at)), ("write", json!(id.0))]
            }
            TraceEvent::LinkUp { service: s, node: at, peer } => {
                vec![("what", json!("link-up")), ("service", service(s)), ("node", node(at)), ("peer", node(peer))]
            }
            TraceEvent::LinkDown { service: s, node: at, peer } => {
                vec![("what", json!("link-down")), ("service", service(s)), ("node", node(at)), ("peer", node(peer))]
            }
            TraceEvent::Booted { node: at, incarnation } => {
                vec![("what", json!("booted")), ("node", node(at)), ("incarnation", json!(incarnation))]
            }
            TraceEvent::BootFailed { service: s, node: at, why } => {
                vec![("what", json!("boot-failed")), ("service", service(s)), ("node", node(at)), ("why", json!(why))]
            }
            TraceEvent::Crashed { node: at } => vec![("what", json!("crashed")), ("node", node(at))],
            TraceEvent::Slept { node: at } => vec![("what", json!("slept")), ("node", node(at))],
            TraceEvent::Started { service: s, node: at } => {
                vec![("what", json!("started")), ("service", service(s)), ("node", node(at))]
            }
            TraceEvent::Stopped { service: s, node: at } => {
                vec![("what", json!("stopped")), ("service", service(s)), ("node", node(at))]
            }
            TraceEvent::Paused { node: at } => vec![("what", json!("paused")), ("node", node(at))],
            TraceEvent::Resumed { node: at } => vec![("what", json!("resumed")), ("node", node(at))],
        };
        line.extend(fields.into_iter().map(|(key, value)| (key.to_owned(), value)));
        push(out, &Value::Object(line));
    }
}

fn push(out: &mut Vec<u8>, line: &Value) {
    serde_json::to_writer(&mut *out, line).expect("a value without maps of other keys writes to memory");
    out.push(b'\n');
}

fn hex(digest: u64) -> String {
    format!("{digest:016x}")
}

fn answer_value(answer: Answer) -> Value {
    match answer {
        Answer::Read { digest, .. } => json!(hex(digest)),
        Answer::Done => json!(true),
        Answer::Swapped(swapped) => json!(swapped),
    }
}
