//! Which messages are drawn, and how each ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::NodeId;
use crate::run::tape::{Carried, Happened, Step, Tape};
use crate::time::SimTime;
use crate::world::DropReason;

use super::{ARROWS_MAX, Span};
use crate::story::is_heartbeat;

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was delivered, or is under way when the span ends.
    Arrives(SimTime),
    /// It left, and nobody took it.
    Ignored(SimTime, DropReason),
    /// It did not leave, or was lost.
    Dropped(DropReason),
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrow {
    pub name: &'static str,
    pub from: NodeId,
    pub to: NodeId,
    pub sent: SimTime,
    pub end: End,
}

/// The messages of a span, in order of sending.
///
/// # Errors
/// They are too many, or a kind that is asked for does not occur.
pub fn collect(tape: &Tape, span: &Span) -> Result<Vec<Arrow>, String> {
    let all = every(tape, span);
    let kinds: BTreeSet<&str> = all.iter().map(|arrow| arrow.name).collect();
    if let Some(unknown) = span.kinds.iter().find(|kind| !kinds.contains(kind.as_str())) {
        let known: Vec<&str> = kinds.into_iter().collect();
        return Err(format!("no message `{unknown}` is sent in this span; there are {}", known.join(", ")));
    }
    let shown = |arrow: &Arrow| match span.kinds.is_empty() {
        true => span.heartbeats || !is_heartbeat(arrow.name),
        false => span.kinds.iter().any(|kind| kind == arrow.name) || (span.heartbeats && is_heartbeat(arrow.name)),
    };
    let arrows: Vec<Arrow> = all.into_iter().filter(shown).collect();
    if arrows.len() > ARROWS_MAX {
        return Err(too_many(&arrows));
    }
    Ok(arrows)
}

fn too_many(arrows: &[Arrow]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    arrows.iter().for_each(|arrow| *counts.entry(arrow.name).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
    let list: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    format!(
        "{} messages are too many for one picture (at most {ARROWS_MAX}): {}. Choose a shorter span with --from and --to, or only some kinds with --messages",
        arrows.len(),
        list.join(", ")
    )
}

/// Every message of the service that was sent in the span.
fn every(tape: &Tape, span: &Span) -> Vec<Arrow> {
    let mut arrows: Vec<Arrow> = Vec::new();
    // Messages under way, by who sends what to whom and when it arrives.
    let mut flying: BTreeMap<(NodeId, NodeId, &str, SimTime), Vec<usize>> = BTreeMap::new();
    for moment in &tape.moments {
        let Happened::Message(Carried { service, from, to, name, step }) = moment.what else { continue };
        if service != span.service {
            continue;
        }
        let sent = moment.at;
        let inside = span.from <= sent && sent < span.to;
        match step {
            Step::Sent { arrives } if inside => {
                flying.entry((from, to, name, arrives)).or_default().push(arrows.len());
                arrows.push(Arrow { name, from, to, sent, end: End::Arrives(arrives) });
            }
            Step::Dropped(why) => match flying.get_mut(&(from, to, name, sent)).and_then(Vec::pop) {
                Some(index) => arrows[index].end = End::Ignored(sent, why),
                None if inside && matches!(why, DropReason::Cut | DropReason::Lost | DropReason::Disconnected) => {
                    arrows.push(Arrow { name, from, to, sent, end: End::Dropped(why) });
                }
                None => {}
            },
            Step::Sent { .. } | Step::Delivered => {}
        }
    }
    arrows
}
