//! The legitimate state of a service (protocol specification, section 6): one incumbent that follows itself
//! in each fully connected live component, all views equal, every tip in its history, nobody changing.
//! For protocols of one history: one leader wherever enough replicas are together, and all behind it.

use crate::id::NodeId;
use crate::machine::{Machine, Status, Views};
use crate::world::Replicas;

/// How strictly membership is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Members {
    /// The view holds exactly the component.
    All,
    /// The view may leave out those whom its leader holds down or is still bringing up to date.
    ButHeld,
}

/// Whether every component of the service is in a legitimate state; if not, what is wrong.
pub fn legitimate<M: Machine>(replicas: &Replicas<'_, M>, members: Members) -> Result<(), String> {
    let live: Vec<(NodeId, Status)> = replicas
        .nodes()
        .iter()
        .filter(|&&node| !replicas.paused(node))
        .filter_map(|&node| Some((node, replicas.machine(node)?.status())))
        .filter(|(node, status)| status.replica_set.contains(node) && !status.impaired)
        .collect();
    for component in components(replicas, &live) {
        let complete = component
            .iter()
            .enumerate()
            .all(|(at, (a, _))| component[at + 1..].iter().all(|(b, _)| replicas.connected(*a, *b)));
        match (M::VIEWS, complete) {
            (Views::Coexist, true) => one_view(replicas, &component, members)?,
            (Views::Coexist, false) => each_is_led(replicas, &component)?,
            (Views::Succeed, true) => one_leader(replicas, &component)?,
            // Who serves under cuts that are not transitive differs by protocol: it is measured, not judged.
            (Views::Succeed, false) => {}
        }
    }
    Ok(())
}

type Live<'a> = (NodeId, &'a Status);

/// Groups of nodes that messages pass between in both directions, perhaps over others.
fn components<'a, M: Machine>(replicas: &Replicas<'_, M>, live: &'a [(NodeId, Status)]) -> Vec<Vec<Live<'a>>> {
    let mut left: Vec<Live<'a>> = live.iter().map(|(node, status)| (*node, status)).collect();
    let mut found = Vec::new();
    while let Some(first) = left.pop() {
        let mut component = vec![first];
        let mut at = 0;
        while at < component.len() {
            let from = component[at].0;
            let (joined, rest): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(node, _)| replicas.connected(from, *node));
            component.extend(joined);
            left = rest;
            at += 1;
        }
        component.sort_by_key(|(node, _)| *node);
        found.push(component);
    }
    found
}

/// A node without any history that its leader's replica set does not count: taken out of it, and wiped since.
/// It only thinks that it is a replica, as one that knows nothing does; it follows until it is asked for.
fn is_spare(node: NodeId, status: &Status, lead: &Status) -> bool {
    status.tip.length == 0 && !status.serving && !lead.replica_set.contains(&node)
}

fn one_view<M: Machine>(replicas: &Replicas<'_, M>, component: &[Live<'_>], members: Members) -> Result<(), String> {
    let names: Vec<u32> = component.iter().map(|(node, _)| node.0).collect();
    let leaders: Vec<&Live<'_>> = component.iter().filter(|(_, status)| status.serving).collect();
    let [(leader, lead)] = leaders[..] else {
        return Err(format!("nodes {names:?} have {} primaries", leaders.len()));
    };
    if lead.candidate != Some(*leader) {
        return Err(format!("primary {} follows another", leader.0));
    }
    let held = |node: &NodeId| members == Members::ButHeld && lead.held.contains(node);
    let left_out = |(node, status): &Live<'_>| held(node) || is_spare(*node, status, lead);
    let wanted: Vec<NodeId> = component.iter().filter(|one| !left_out(one)).map(|(node, _)| *node).collect();
    if lead.members != wanted {
        return Err(format!("the view of {} has members {:?}, not {names:?}", leader.0, lead.members));
    }
    let machine = replicas.machine(*leader).expect("a live node has a machine");
    for (node, status) in component.iter().filter(|one| !left_out(one)) {
        if status.view != lead.view || status.members != lead.members {
            return Err(format!("node {} has view {:?}, its primary {:?}", node.0, status.view, lead.view));
        }
        if status.frozen || status.changing {
            return Err(format!("node {} is changing its view", node.0));
        }
        if !machine.covers(status.tip) {
            return Err(format!("the log of node {} is not in its primary's", node.0));
        }
    }
    Ok(())
}

/// Of protocols of one history: who can serve by the protocol's rule has one leader, whom all follow.
fn one_leader<M: Machine>(replicas: &Replicas<'_, M>, component: &[Live<'_>]) -> Result<(), String> {
    let statuses: Vec<&Status> = component.iter().map(|(_, status)| *status).collect();
    if !M::can_serve(&statuses) {
        return Ok(());
    }
    let newest = component.iter().filter(|(_, status)| status.serving).max_by_key(|(_, status)| status.view);
    let Some((leader, lead)) = newest else {
        let names: Vec<u32> = component.iter().map(|(node, _)| node.0).collect();
        return Err(format!("nodes {names:?} can serve and have no leader"));
    };
    let machine = replicas.machine(*leader).expect("a live node has a machine");
    for (node, status) in component {
        if status.view != lead.view {
            return Err(format!("node {} has view {:?}, its leader {:?}", node.0, status.view, lead.view));
        }
        if status.changing {
            return Err(format!("node {} is choosing a leader", node.0));
        }
        if !machine.covers(status.tip) {
            return Err(format!("the history of node {} is not in its leader's", node.0));
        }
    }
    Ok(())
}

/// Under cuts that are not transitive: everyone leads, or is in the view of a leader it can reach; and no
/// two leaders reach each other.
fn each_is_led<M: Machine>(replicas: &Replicas<'_, M>, component: &[Live<'_>]) -> Result<(), String> {
    for (node, status) in component {
        let led = status.serving
            || component.iter().any(|(leader, lead)| {
                lead.serving
                    && replicas.connected(*node, *leader)
                    && (lead.held.contains(node)
                        || is_spare(*node, status, lead)
                        || (status.view == lead.view && lead.members.contains(node)))
            });
        if !led {
            return Err(format!("node {} neither leads nor is in the view of a leader that it reaches", node.0));
        }
    }
    for (at, (a, one)) in component.iter().enumerate() {
        for (b, other) in &component[at + 1..] {
            if one.serving && other.serving && replicas.connected(*a, *b) {
                return Err(format!("primaries {} and {} reach each other", a.0, b.0));
            }
        }
    }
    Ok(())
}
