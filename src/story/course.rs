//! What the replicas of one service did, in order, with what the trace shows of the causes.

use std::collections::BTreeMap;

use crate::id::{NodeId, ServiceId};
use crate::machine::Note;
use crate::run::tape::{Carried, Condition, Happened, Step, Tape};
use crate::time::SimTime;
use crate::world::DropReason;
use crate::world::fault::Endpoint;

use super::scene::{Life, Scene};
use super::why::Why;

/// A decision that a replica told of.
#[derive(Debug)]
pub struct Told<'a> {
    pub at: SimTime,
    pub node: NodeId,
    pub note: &'a Note,
    /// Of suspicions and of proposals that were given up: what the trace shows of the reason.
    pub why: Vec<Why>,
    /// Of suspicions: when the suspect was heard last.
    pub heard: Option<SimTime>,
}

/// The course of one service.
#[derive(Debug)]
pub struct Course<'a> {
    pub service: ServiceId,
    pub replicas: &'a [NodeId],
    pub notes: Vec<Told<'a>>,
    /// Who serves from when on.
    pub serving: Vec<(SimTime, &'a [NodeId])>,
    states: BTreeMap<NodeId, Vec<(SimTime, Option<&'a Condition>)>>,
}

/// What one replica sent to another, since the other heard it last.
#[derive(Debug, Default)]
struct Link {
    heard: Option<SimTime>,
    /// Since then, by reason: the first and the last drop, and how many.
    dropped: Vec<Dropped>,
    /// When what was sent last arrives, if it was not dropped.
    arrives: Option<SimTime>,
}

#[derive(Debug)]
struct Dropped {
    reason: DropReason,
    first: SimTime,
    last: SimTime,
    count: u32,
}

impl Link {
    fn takes(&mut self, at: SimTime, step: Step) {
        match step {
            Step::Sent { arrives } => self.arrives = Some(arrives),
            Step::Delivered => *self = Self { heard: Some(at), dropped: Vec::new(), arrives: self.arrives },
            Step::Dropped(reason) => match self.dropped.iter_mut().find(|one| one.reason == reason) {
                Some(one) => (one.last, one.count) = (at, one.count + 1),
                None => self.dropped.push(Dropped { reason, first: at, last: at, count: 1 }),
            },
        }
    }
}

/// Whether messages of this name only say that their sender lives.
pub fn is_heartbeat(name: &str) -> bool {
    ["Heartbeat", "Alive"].iter().any(|part| name.contains(part))
}

type Links = BTreeMap<(NodeId, NodeId), Link>;

impl<'a> Course<'a> {
    pub fn new(service: ServiceId, replicas: &'a [NodeId], tape: &'a Tape, scene: &Scene) -> Self {
        let mut course = Self { service, replicas, notes: Vec::new(), serving: Vec::new(), states: BTreeMap::new() };
        let (mut links, mut beats) = (Links::new(), Links::new());
        let mut proposed: BTreeMap<NodeId, SimTime> = BTreeMap::new();
        for moment in &tape.moments {
            let at = moment.at;
            match &moment.what {
                Happened::Message(Carried { service: of, from, to, step, name }) if *of == service => {
                    links.entry((*from, *to)).or_default().takes(at, *step);
                    if is_heartbeat(name) {
                        beats.entry((*from, *to)).or_default().takes(at, *step);
                    }
                }
                Happened::Serving(change) if change.0 == service => course.serving.push((at, &change.1)),
                Happened::State(change) if change.0 == service => {
                    course.states.entry(change.1).or_default().push((at, change.2.as_ref()));
                }
                Happened::Note(noted) if noted.service == service => {
                    let node = noted.node;
                    let (mut why, mut heard) = (Vec::new(), None);
                    match &noted.note {
                        Note::Suspected(peer) => {
                            // Detectors count heartbeats alone, where there are any.
                            let counted = if beats.is_empty() { &links } else { &beats };
                            heard = counted.get(&(*peer, node)).and_then(|link| link.heard);
                            why = silence(scene, counted, (*peer, node), heard.unwrap_or(SimTime::ZERO), at);
                        }
                        Note::Proposed { .. } => {
                            proposed.insert(node, at);
                        }
                        Note::Abandoned { missing, .. } => {
                            let since = proposed.get(&node).copied().unwrap_or(at);
                            why = missing
                                .iter()
                                .flat_map(|&one| no_answer(scene, &links, node, one, since, at))
                                .collect();
                        }
                        _ => {}
                    }
                    course.notes.push(Told { at, node, note: &noted.note, why, heard });
                }
                _ => {}
            }
        }
        course
    }

    /// The state of a replica at an instant; `None`: no process runs, or has not yet.
    pub fn state(&self, node: NodeId, at: SimTime) -> Option<&'a Condition> {
        let changes = self.states.get(&node)?;
        let after = changes.partition_point(|&(changed, _)| changed <= at);
        changes[after.checked_sub(1)?].1
    }

    /// Who serves at an instant.
    pub fn serving_at(&self, at: SimTime) -> &'a [NodeId] {
        let after = self.serving.partition_point(|&(changed, _)| changed <= at);
        after.checked_sub(1).map_or(&[], |last| self.serving[last].1)
    }

    /// Whom a replica suspects at an instant.
    pub fn suspects(&self, node: NodeId, at: SimTime) -> Vec<NodeId> {
        let mut suspected = Vec::new();
        for told in self.notes.iter().filter(|told| told.node == node && told.at <= at) {
            match told.note {
                Note::Suspected(peer) => suspected.push(*peer),
                Note::Trusted(peer) => suspected.retain(|one| one != peer),
                _ => {}
            }
        }
        suspected.retain(|&peer| peer != node);
        suspected
    }
}

/// Why nothing of `from` reached `to` after `since`.
fn silence(scene: &Scene, links: &Links, (from, to): (NodeId, NodeId), since: SimTime, at: SimTime) -> Vec<Why> {
    let mut why: Vec<Why> = lifeless(scene, from, since, at).into_iter().collect();
    why.extend(stalls(scene, to, since, at));
    why.extend(on_the_way(scene, links, (from, to), since, at));
    if why.is_empty() {
        why.extend([from, to].into_iter().filter_map(|node| slow(scene, node, at)));
        let by = scene.corrupting(to, since, at);
        if !by.is_empty() {
            why.push(Why::Corrupted { node: to, by });
        }
    }
    if why.is_empty() {
        why.push(Why::Unknown { node: from, what: "fell silent" });
    }
    why
}

/// Why `asked` did not answer what `asker` asked at `since`.
fn no_answer(scene: &Scene, links: &Links, asker: NodeId, asked: NodeId, since: SimTime, at: SimTime) -> Vec<Why> {
    let mut why: Vec<Why> = lifeless(scene, asked, since, at).into_iter().collect();
    why.extend(stalls(scene, asker, since, at));
    why.extend(on_the_way(scene, links, (asker, asked), since, at));
    why.extend(on_the_way(scene, links, (asked, asker), since, at));
    if why.is_empty() {
        why.extend(slow(scene, asked, at));
    }
    if why.is_empty() {
        why.push(Why::Unknown { node: asked, what: "did not answer in time" });
    }
    why
}

/// The process does not run, or did not throughout.
fn lifeless(scene: &Scene, node: NodeId, from: SimTime, to: SimTime) -> Option<Why> {
    let (life, since) = scene.life(node, to);
    let by = scene.holding(node, to);
    match life {
        Life::Down => Some(Why::Down { node, since, by }),
        Life::Paused => Some(Why::Paused { node, since, by }),
        Life::Up if since > from => {
            let before = scene.changes(node, from, to).any(|(_, life)| life == Life::Down);
            before.then_some(Why::Restarted { node, at: since })
        }
        Life::Up => None,
    }
}

/// The process stood still for a while.
fn stalls(scene: &Scene, node: NodeId, from: SimTime, to: SimTime) -> Option<Why> {
    let mut paused = None;
    let mut stalled = None;
    for (at, life) in scene.changes(node, SimTime::ZERO, to) {
        match (life, paused) {
            (Life::Paused, _) => paused = Some(at),
            (Life::Up, Some(since)) if at > from => stalled = Some(Why::Stalled { node, from: since, to: at }),
            _ => {}
        }
    }
    stalled
}

fn slow(scene: &Scene, node: NodeId, at: SimTime) -> Option<Why> {
    let by = scene.slowing(node, at);
    (!by.is_empty()).then_some(Why::Slow { node, by })
}

/// What became of what `from` sent to `to`.
fn on_the_way(scene: &Scene, links: &Links, (from, to): (NodeId, NodeId), since: SimTime, at: SimTime) -> Vec<Why> {
    let Some(link) = links.get(&(from, to)) else { return Vec::new() };
    let (one, other) = (Endpoint::Node(from), Endpoint::Node(to));
    let mut why = Vec::new();
    for &Dropped { reason, first, count, .. } in link.dropped.iter().filter(|one| one.last >= since) {
        match reason {
            DropReason::Cut => why.push(Why::Cut { from, to, by: scene.cutting(one, other, first) }),
            DropReason::Lost => why.push(Why::Lost { from, to, count, by: scene.degrading(one, other, first) }),
            DropReason::Disconnected => {
                let mut by = scene.cutting(one, other, first);
                by.extend(scene.cutting(other, one, first));
                by.sort_unstable();
                by.dedup();
                why.push(match by.is_empty() {
                    true => Why::Disconnected { from, to },
                    false => Why::Cut { from, to, by },
                });
            }
            DropReason::Down | DropReason::Restarted => why.extend(lifeless(scene, to, since, at)),
            DropReason::Full => why.extend(slow(scene, to, at)),
        }
    }
    if link.dropped.is_empty() && link.arrives.is_some_and(|arrives| arrives > at) {
        let by = scene.degrading(one, other, at);
        if !by.is_empty() {
            why.push(Why::Late { from, to, by });
        }
    }
    why
}
