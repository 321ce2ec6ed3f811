//! View changes, from the first proposal to the confirmation, and what they merged.

use std::collections::BTreeMap;

use crate::id::NodeId;
use crate::machine::{Branch, Note, Union};
use crate::op::Tip;
use crate::time::{Duration, SimTime};

use super::beats::Teller;
use super::course::Told;
use super::scene::Life;
use super::why::Why;
use super::words::{self, length, time, verb};
use super::{Kind, Line};

/// A proposal that comes later than this after the last one is another change.
const CHANGE: Duration = Duration::from_secs(10);

/// A view change of one coordinator.
#[derive(Debug)]
struct Change<'a> {
    coordinator: NodeId,
    /// When, with which epoch and members. Empty: it was installed without a proposal.
    proposals: Vec<(SimTime, u64, &'a [NodeId])>,
    /// Proposals that found no answer of these.
    given_up: Vec<(&'a [NodeId], &'a [Why])>,
    installed: Option<(SimTime, u64, &'a [NodeId])>,
    confirmed: Option<SimTime>,
    /// When the coordinator turned to something else.
    over: SimTime,
}

impl<'a> Change<'a> {
    fn of(coordinator: NodeId, at: SimTime) -> Self {
        let (proposals, given_up) = (Vec::new(), Vec::new());
        Self { coordinator, proposals, given_up, installed: None, confirmed: None, over: at }
    }

    fn began(&self) -> SimTime {
        self.proposals.first().map(|one| one.0).or(self.installed.map(|one| one.0)).unwrap_or(self.over)
    }

    fn members(&self) -> &'a [NodeId] {
        self.installed.map(|one| one.2).or(self.proposals.last().map(|one| one.2)).unwrap_or_default()
    }
}

impl<'a> Teller<'a> {
    /// Lines of view changes and merges.
    pub fn changes(&self) -> Vec<Line> {
        let confirms = self.course.notes.iter().any(|told| matches!(told.note, Note::Confirmed { .. }));
        let mut changes: Vec<Change<'_>> =
            self.course.replicas.iter().flat_map(|&node| self.changes_of(node)).collect();
        changes.sort_by_key(Change::began);
        let lines = changes.iter().map(|change| self.tell_change(change, confirms)).collect();
        let mut lines = self.fold(lines, "view changes");
        lines.extend(self.merges());
        lines
    }

    fn changes_of(&self, node: NodeId) -> Vec<Change<'a>> {
        let mut done: Vec<Change<'a>> = Vec::new();
        let mut open: Option<Change<'a>> = None;
        for told in self.course.notes.iter().filter(|told| told.node == node) {
            let at = told.at;
            match told.note {
                Note::Proposed { epoch, members } => {
                    let goes_on = |change: &Change<'_>| {
                        change.installed.is_none()
                            && change.proposals.last().is_some_and(|last| at.since(last.0) <= CHANGE)
                    };
                    if !open.as_ref().is_some_and(goes_on) {
                        done.extend(open.take());
                    }
                    let change = open.get_or_insert_with(|| Change::of(node, at));
                    change.proposals.push((at, *epoch, members));
                    change.over = at;
                }
                Note::Abandoned { missing, .. } => {
                    if let Some(change) = &mut open {
                        change.given_up.push((missing, &told.why));
                        change.over = at;
                    }
                }
                Note::Installed { epoch, coordinator, members } if *coordinator == node => {
                    if open.as_ref().is_some_and(|change| change.installed.is_some()) {
                        done.extend(open.take());
                    }
                    let change = open.get_or_insert_with(|| Change::of(node, at));
                    change.installed = Some((at, *epoch, members));
                }
                Note::Confirmed { epoch, .. } => {
                    if let Some(change) = &mut open
                        && change.installed.is_some_and(|one| one.1 == *epoch)
                    {
                        change.confirmed = Some(at);
                        done.extend(open.take());
                    }
                }
                // It takes part in the view of another: its own proposal is void.
                Note::Installed { .. } => done.extend(open.take()),
                _ => {}
            }
        }
        done.extend(open);
        done
    }

    fn tell_change(&self, change: &Change<'a>, confirms: bool) -> Line {
        let name = self.stage.words().node(change.coordinator);
        let members = self.names(change.members());
        let began = change.began();
        let mut text = match (change.proposals.first(), change.installed) {
            (None, Some((_, epoch, _))) => format!("{name} begins view {epoch} of {members}"),
            (Some(_), Some((at, epoch, _))) => {
                let after = length(at.since(began));
                format!("{name} proposes view {epoch} of {members}: it takes effect after {after}")
            }
            (_, None) => format!("{name} proposes a view of {members}, and nothing comes of it"),
        };
        let tried = change.proposals.len();
        if tried > 1 {
            text.push_str(&match change.installed {
                Some(_) => format!(", at the attempt number {tried}"),
                None => format!(" ({tried} attempts until {})", time(change.over)),
            });
        }
        if let (Some((at, ..)), Some(proposal)) = (change.installed, change.proposals.last()) {
            let without: Vec<NodeId> =
                proposal.2.iter().copied().filter(|one| !change.members().contains(one)).collect();
            if !without.is_empty() {
                text.push_str(&format!(", without {}, who did not answer", self.names(&without)));
            }
            match change.confirmed {
                Some(confirmed) if change.members().len() > 1 => {
                    text.push_str(&format!(", and every member holds it {} later", length(confirmed.since(at))));
                }
                None if confirms && change.members().len() > 1 => text.push_str(", but is never confirmed"),
                _ => {}
            }
        }
        let until = change.confirmed.or(change.installed.map(|one| one.0)).unwrap_or(change.over);
        let mut line = Line { until, ..Line::new(began, Kind::ViewChange, text) };
        line.because.extend(self.reasons(change));
        self.obstacles(change, &mut line);
        line
    }

    /// Who left and who joined, against the view that the coordinator held before, and why.
    fn reasons(&self, change: &Change<'a>) -> Vec<String> {
        let (node, began) = (change.coordinator, change.began());
        let Some((_, _, proposed)) = change.proposals.first() else { return Vec::new() };
        let before = self.course.state(node, began).filter(|state| state.view.is_some());
        let Some(before) = before.map(|state| &state.members) else { return Vec::new() };
        let left: Vec<NodeId> = before.iter().copied().filter(|one| !proposed.contains(one)).collect();
        let joined: Vec<NodeId> = proposed.iter().copied().filter(|one| !before.contains(one)).collect();
        let suspected = self.course.suspects(node, began);
        let name = self.stage.words().node(node);
        let mut reasons = Vec::new();
        let (gone, others): (Vec<NodeId>, Vec<NodeId>) = left.into_iter().partition(|one| suspected.contains(one));
        if !gone.is_empty() {
            reasons.push(format!("{name} suspects {}", self.names(&gone)));
        }
        let mut strangers = Vec::new();
        for one in others {
            let held = self.course.notes.iter().rev().find(|told| {
                told.at <= began && matches!(told.note, Note::HeldDown { node: held, .. } if *held == one)
            });
            let own = self.stage.words().node(one);
            match held {
                Some(held) if held.node == node => {
                    reasons.push(format!("{name} keeps {own} out, which failed it ({})", time(held.at)));
                }
                Some(held) if held.node == one => reasons.push(format!("{own} holds itself back ({})", time(held.at))),
                _ => strangers.push(one),
            }
        }
        if !strangers.is_empty() {
            let follow = verb(strangers.len(), "does", "do");
            reasons.push(format!("{} {follow} not follow {name} at the time", self.names(&strangers)));
        }
        if !joined.is_empty() {
            let follow = verb(joined.len(), "follows", "follow");
            reasons.push(format!("{} {follow} {name} now", self.names(&joined)));
        }
        reasons
    }

    /// What was in the way of proposals that were given up.
    fn obstacles(&self, change: &Change<'a>, line: &mut Line) {
        let mut missing: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (nodes, _) in &change.given_up {
            nodes.iter().for_each(|&node| *missing.entry(node).or_default() += 1);
        }
        let mut whys: Vec<Why> = change.given_up.iter().flat_map(|(_, why)| why.iter().cloned()).collect();
        if !missing.is_empty() {
            let each: Vec<String> = missing
                .iter()
                .map(|(&node, &often)| format!("{} {}", self.stage.words().node(node), words::times(often)))
                .collect();
            line.because.push(format!("no answer in time of {}", words::list(&each)));
        }
        if change.installed.is_none() && change.given_up.is_empty() {
            line.because.extend(self.end_of_proposal(change, &mut whys));
        }
        self.set_causes(line, &whys);
    }

    /// Why a proposal that was not given up came to nothing.
    fn end_of_proposal(&self, change: &Change<'a>, whys: &mut Vec<Why>) -> Option<String> {
        let node = change.coordinator;
        let soon = change.over + CHANGE;
        let dies = self.stage.scene.changes(node, change.over, soon).find(|(_, life)| *life != Life::Up);
        if let Some((since, life)) = dies {
            let by = self.stage.scene.holding(node, since);
            whys.push(match life {
                Life::Paused => Why::Paused { node, since, by },
                Life::Up | Life::Down => Why::Down { node, since, by },
            });
            return None;
        }
        let turned = |told: &&Told<'_>| told.node == node && change.over <= told.at && told.at <= soon;
        let name = self.stage.words().node(node);
        for told in self.course.notes.iter().filter(turned) {
            match told.note {
                Note::Follows(leader) if *leader != node => {
                    let leader = self.stage.words().node(*leader);
                    return Some(format!("{name} follows {leader} from {} on", time(told.at)));
                }
                Note::Installed { epoch, coordinator, .. } if *coordinator != node => {
                    let other = self.stage.words().node(*coordinator);
                    return Some(format!("{name} took part in view {epoch} of {other} at {}", time(told.at)));
                }
                Note::SteppedDown { why } => return Some(format!("{name} stepped down: {why}")),
                _ => {}
            }
        }
        Some(super::NO_CAUSE.into())
    }

    fn merges(&self) -> Vec<Line> {
        let merges = self.course.notes.iter().filter_map(|told| match told.note {
            Note::Merged { branches, duplicates, union, .. } => {
                Some(self.tell_merge(told, *branches, *duplicates, union))
            }
            _ => None,
        });
        self.fold(merges.collect(), "merges")
    }

    fn tell_merge(&self, told: &Told<'a>, branches: usize, duplicates: usize, union: &Union) -> Line {
        let name = self.stage.words().node(told.node);
        let [base, losers @ ..] = union.branches.as_slice() else {
            let revoked = words::count(union.revoked.len() as u64, "write");
            let why = union.revoked.first().map_or("", |one| one.why);
            return Line::new(told.at, Kind::Merge, format!("{name} journals {revoked} as revoked: {why}"));
        };
        let into = match losers {
            [one] => format!("the branch of {}", self.side(one)),
            _ => format!("{} branches", words::number(branches)),
        };
        let text = format!("{name} merges {into} into the history of {}: {}", self.side(base), fates(union, None));
        let mut line = Line::new(told.at, Kind::Merge, text);
        for (index, loser) in losers.iter().enumerate() {
            let reason = rank_reason(base, loser, self.size(base), self.size(loser));
            line.because.push(match losers.len() {
                1 => format!("the merged branch {reason}"),
                _ => format!("the branch of {} {reason}: {}", self.side(loser), fates(union, Some(index + 1))),
            });
        }
        if duplicates > 0 {
            let of = words::count(duplicates as u64, "write");
            line.because.push(format!("{of} stood in several branches with the same answer"));
        }
        let mut whys: BTreeMap<&str, u64> = BTreeMap::new();
        union.revoked.iter().for_each(|one| *whys.entry(one.why).or_default() += 1);
        for (why, number) in whys {
            line.because.push(format!("{} revoked, as {why}", words::count(number, "write")));
        }
        line
    }

    /// The view that a branch was confirmed in last, and its members.
    pub fn side(&self, branch: &Branch) -> String {
        match branch.view {
            Some((tip, epoch)) => match self.members_of(tip) {
                Some((_, members)) => format!("view {epoch} ({})", self.names(members)),
                None => format!("view {epoch}"),
            },
            None => "no confirmed view".into(),
        }
    }

    /// Who confirmed the view whose entry this is, and its members.
    pub fn members_of(&self, tip: Tip) -> Option<(NodeId, &'a [NodeId])> {
        self.course.notes.iter().find_map(|told| match told.note {
            Note::Confirmed { tip: confirmed, members, .. } if *confirmed == tip => {
                Some((told.node, members.as_slice()))
            }
            _ => None,
        })
    }

    fn size(&self, branch: &Branch) -> usize {
        branch.view.and_then(|(tip, _)| self.members_of(tip)).map_or(0, |one| one.1.len())
    }
}

/// What a merge made of the writes of one branch, or of all.
fn fates(union: &Union, branch: Option<usize>) -> String {
    let of = |one: Option<usize>| branch.is_none() || one == branch;
    let reapplied = union.reapplied.iter().filter(|one| of(Some(one.1))).count() as u64;
    let revoked = union.revoked.iter().filter(|one| of(one.branch)).count() as u64;
    match (reapplied, revoked) {
        (0, 0) => "no write was at stake".into(),
        (0, _) => format!("{} revoked", words::count(revoked, "write")),
        (_, 0) => format!("{} executed again", words::count(reapplied, "write")),
        _ => format!("{} executed again, {} revoked", words::count(reapplied, "write"), words::grouped(revoked)),
    }
}

/// Why the base ranked before another branch.
fn rank_reason(base: &Branch, loser: &Branch, base_members: usize, loser_members: usize) -> String {
    let epoch = |branch: &Branch| branch.view.map_or(0, |view| view.1);
    if loser.tail {
        "is only the unfinished end of a former primary".into()
    } else if base_members > loser_members && loser_members > 0 {
        format!("has fewer members ({loser_members} against {base_members})")
    } else if epoch(base) > epoch(loser) {
        format!("is of an earlier view ({} against {})", epoch(loser), epoch(base))
    } else if base.tip.length > loser.tip.length {
        format!("is shorter ({} entries against {})", words::grouped(loser.tip.length), words::grouped(base.tip.length))
    } else {
        "ranks after it".into()
    }
}
