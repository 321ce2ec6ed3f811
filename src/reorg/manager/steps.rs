//! One change of the replica set, step by step: what is under way, and how it goes on.

use std::rc::Rc;

use super::super::agent::Cx;
use super::super::message::{Need, Search};
use super::outlook::decided;
use super::{Manager, Outlook, PATIENCE, PAUSE};
use crate::id::NodeId;
use crate::machine::{Effect, Order};
use crate::time::{Duration, LocalTime};

/// A protocol that was asked for another set is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The step under way.
#[derive(Debug)]
pub(super) struct Goal {
    /// Who makes way for the newcomer.
    pub(super) instead_of: Option<NodeId>,
    pub(super) since: LocalTime,
    pub(super) step: Step,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Offers are collected until the timer of the search.
    Find { need: Rc<Need>, offers: Vec<Offer> },
    /// An empty replica is to start there.
    Start { node: NodeId, search: Search },
    /// The protocol is to take it in.
    TakeIn { node: NodeId, asked: Option<LocalTime> },
    /// The protocol is to let go of these.
    LetGo { nodes: Vec<NodeId>, asked: Option<LocalTime> },
    /// The protocol is to make it primary.
    Lead { node: NodeId, asked: Option<LocalTime> },
}

/// A place that a machine offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) node: NodeId,
    /// Power that it would add.
    pub(super) watts: f64,
    pub(super) load: f64,
}

impl Manager {
    /// An empty replica runs there.
    pub fn joined(&mut self, from: NodeId, search: Search, now: LocalTime) {
        if let Some(goal) = &mut self.goal
            && matches!(goal.step, Step::Start { node, search: ours } if node == from && ours == search)
        {
            goal.since = now;
            goal.step = Step::TakeIn { node: from, asked: None };
        }
    }

    /// The machine takes its promise back.
    pub fn declined(&mut self, from: NodeId, search: Search, now: LocalTime) {
        match &mut self.goal {
            Some(Goal { step: Step::Start { node, search: ours }, .. }) if *node == from && *ours == search => {
                self.goal = None;
                self.quiet_until = now + Duration::from_secs(1);
            }
            Some(Goal { step: Step::Find { need, offers }, .. }) if need.search == search => {
                offers.retain(|offer| offer.node != from);
            }
            _ => {}
        }
    }

    pub(super) fn let_go(&mut self, action: &'static str, nodes: Vec<NodeId>, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        decided(action, self.service, nodes.clone(), out, cx);
        let goal = Goal { instead_of: None, since: out.now, step: Step::LetGo { nodes, asked: None } };
        self.goal = self.pursue(goal, out, cx);
    }

    pub(super) fn lead(&mut self, action: &'static str, node: NodeId, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        decided(action, self.service, vec![node], out, cx);
        let goal = Goal { instead_of: None, since: out.now, step: Step::Lead { node, asked: None } };
        self.goal = self.pursue(goal, out, cx);
    }

    /// Asks the protocol again for what it has not done yet.
    pub(super) fn ask(&self, asked: &mut Option<LocalTime>, replicas: Vec<NodeId>, out: &Outlook<'_>, cx: &mut Cx<'_>) {
        if asked.is_none_or(|at| out.now.since(at) >= ASK_AGAIN) {
            *asked = Some(out.now);
            cx.effects.push(Effect::Order(Order::Reconfigure { service: self.service, replicas }));
        }
    }

    /// Goes on with a step; gives the next, if there is more to do.
    pub(super) fn pursue(&mut self, mut goal: Goal, out: &Outlook<'_>, cx: &mut Cx<'_>) -> Option<Goal> {
        let waited = out.now.since(goal.since);
        match &mut goal.step {
            Step::Find { .. } if waited > PAUSE.saturating_mul(2) => return self.give_up(PAUSE, out),
            Step::Start { .. } if waited > out.policy().lease => return self.give_up(PAUSE, out),
            Step::Find { .. } | Step::Start { .. } => {}
            Step::TakeIn { node, asked } => {
                let node = *node;
                // Its machine may have stopped it, in the name of a manager on the other side of a split.
                let is_gone = out.sight.advert(node, out.now).is_some_and(|advert| advert.seat(self.service).is_none());
                if out.sight.is_silent(node, out.now) || is_gone && waited > out.policy().lease || waited > PATIENCE {
                    let step = Step::LetGo { nodes: vec![node], asked: None };
                    return Some(Goal { instead_of: None, since: out.now, step });
                }
                if !out.set().contains(&node) {
                    self.ask(asked, with(out.set(), node, goal.instead_of), out, cx);
                } else if out.status().synced.contains(&node) && !out.status().changing {
                    let old = goal.instead_of?;
                    // What happened meanwhile may have made the old one dear.
                    let holds = !out.policy().constraints.suspend || !out.is_suspended;
                    let step = Step::LetGo { nodes: vec![old], asked: None };
                    return holds.then_some(Goal { instead_of: None, since: out.now, step });
                }
            }
            Step::LetGo { nodes, asked } => {
                let stays = |node: &&NodeId| out.set().contains(node) || out.status().members.contains(node);
                if !nodes.iter().any(|node| stays(&node)) || waited > PATIENCE {
                    // Its machine is told as a stranger's, now and as long as it has the replica.
                    return self.give_up(PAUSE, out);
                }
                let rest: Vec<NodeId> = out.set().iter().copied().filter(|node| !nodes.contains(node)).collect();
                if out.set().iter().any(|node| nodes.contains(node)) && !rest.is_empty() {
                    self.ask(asked, rest, out, cx);
                }
            }
            Step::Lead { node, asked } => {
                let node = *node;
                if waited > out.policy().lease.saturating_mul(2) || !out.set().contains(&node) {
                    return self.give_up(out.policy().low_for, out);
                }
                let rest = out.set_without(node);
                self.ask(asked, [node].into_iter().chain(rest).collect(), out, cx);
            }
        }
        Some(goal)
    }

    pub(super) fn give_up(&mut self, pause: Duration, out: &Outlook<'_>) -> Option<Goal> {
        self.quiet_until = out.now + pause;
        None
    }
}

/// The set with a newcomer: in the place of whom it replaces, so that who is to be primary stays so.
fn with(set: &[NodeId], newcomer: NodeId, instead_of: Option<NodeId>) -> Vec<NodeId> {
    let mut set = set.to_vec();
    let place = instead_of.and_then(|old| set.iter().position(|&node| node == old));
    match place {
        // Behind it: it leads until it is let go.
        Some(place) => set.insert(place + 1, newcomer),
        None => set.push(newcomer),
    }
    set
}
