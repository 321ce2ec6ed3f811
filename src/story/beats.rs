//! What replicas told of, as lines: what belongs together becomes one.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::NodeId;
use crate::machine::Note;
use crate::time::{Duration, SimTime};

use super::course::{Course, Told};
use super::why::{self, Why};
use super::words::{length, time, times, verb};
use super::{Kind, Line, Stage};

/// Notes of one kind that follow each other closer than this are one beat.
const BEAT: Duration = Duration::from_secs(2);
/// So many lines of one kind a chapter, and more are told together.
const MOST: usize = 4;

/// Tells the beats of one service.
pub struct Teller<'a> {
    pub stage: Stage<'a>,
    pub course: &'a Course<'a>,
    /// Where chapters begin; a beat lies within one.
    pub edges: &'a [SimTime],
}

impl<'a> Teller<'a> {
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = self.trust_and_suspicion(true);
        lines.extend(self.trust_and_suspicion(false));
        lines.extend(self.elections());
        lines.extend(self.followings());
        lines.extend(self.view_numbers());
        lines.extend(self.hold_downs());
        lines.extend(self.remarks());
        lines.extend(self.memberships());
        lines.extend(self.recoveries());
        lines
    }

    pub fn chapter(&self, at: SimTime) -> usize {
        self.edges.partition_point(|&edge| edge <= at)
    }

    /// Runs of the notes that `pick` picks: each within one chapter, without a pause longer than `gap`.
    fn runs(&self, gap: Duration, pick: impl Fn(&Told<'a>) -> bool) -> Vec<Vec<&'a Told<'a>>> {
        let mut runs: Vec<Vec<&Told<'_>>> = Vec::new();
        for told in self.course.notes.iter().filter(|told| pick(told)) {
            let joins = runs
                .last()
                .and_then(|run| run.last())
                .is_some_and(|last| told.at.since(last.at) <= gap && self.chapter(last.at) == self.chapter(told.at));
            match runs.last_mut() {
                Some(run) if joins => run.push(told),
                _ => runs.push(vec![told]),
            }
        }
        runs
    }

    pub fn names(&self, nodes: &[NodeId]) -> String {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        nodes.dedup();
        self.stage.words().members(self.course.service, &nodes)
    }

    fn name(&self, node: NodeId) -> &'a str {
        self.stage.words().node(node)
    }

    pub fn set_causes(&self, line: &mut Line, whys: &[Why]) {
        let telling = self.stage.telling();
        line.because.extend(telling.causes(whys));
        line.faults = telling.labels(whys);
    }

    fn trust_and_suspicion(&self, suspicion: bool) -> Vec<Line> {
        let peer = |told: &Told<'_>| match told.note {
            Note::Suspected(peer) if suspicion && *peer != told.node => Some(*peer),
            Note::Trusted(peer) if !suspicion && *peer != told.node => Some(*peer),
            _ => None,
        };
        let mut lines = Vec::new();
        for run in self.runs(BEAT, |told| peer(told).is_some()) {
            let pairs: BTreeSet<_> = run.iter().filter_map(|told| Some((told.node, peer(told)?))).collect();
            let (kind, one, many) = match suspicion {
                true => (Kind::Suspicion, "suspects", "suspect"),
                false => (Kind::Trust, "hears from", "hear from"),
            };
            let again = if suspicion { "" } else { " again" };
            let mut text = self.relation(&pairs, one, many, again);
            let (first, last) = (run[0].at, run[run.len() - 1].at);
            if last.since(first) > Duration::from_millis(50) {
                text.push_str(&format!(", within {}", length(last.since(first))));
            }
            let mut line = Line { until: last, ..Line::new(first, kind, text) };
            if suspicion {
                self.last_heard(&mut line, &run);
            }
            let whys: Vec<Why> = run.iter().flat_map(|told| told.why.iter().cloned()).collect();
            self.set_causes(&mut line, &whys);
            lines.push(line);
        }
        self.fold(lines, if suspicion { "suspicions" } else { "returns of trust" })
    }

    fn last_heard(&self, line: &mut Line, run: &[&Told<'_>]) {
        let heard: Vec<SimTime> = run.iter().filter_map(|told| told.heard).collect();
        let (Some(first), Some(last)) = (heard.iter().min(), heard.iter().max()) else { return };
        line.because.push(match (time(*first), time(*last)) {
            (first, last) if first != last => format!("heard last between {first} and {last}"),
            (_, last) => format!("heard last at {last}"),
        });
    }

    /// Who does something to whom, in as few words as the pairs allow.
    fn relation(&self, pairs: &BTreeSet<(NodeId, NodeId)>, one: &str, many: &str, end: &str) -> String {
        let mutual = pairs.iter().all(|&(a, b)| pairs.contains(&(b, a)));
        if mutual && let Some((a, b)) = why::sides(pairs) {
            let names = |set: &BTreeSet<NodeId>| self.stage.words().nodes(&set.iter().copied().collect::<Vec<_>>());
            return format!("{} {many} each other{end}", why::opposed(&a, &b, names));
        }
        let mut by_targets: BTreeMap<Vec<NodeId>, Vec<NodeId>> = BTreeMap::new();
        let mut targets: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for &(from, to) in pairs {
            targets.entry(from).or_default().push(to);
        }
        for (from, to) in targets {
            by_targets.entry(to).or_default().push(from);
        }
        if by_targets.len() > 3 {
            let all: Vec<NodeId> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
            return format!("{} {many} each other{end} in part ({} pairs)", self.names(&all), pairs.len());
        }
        let group = |(to, from): (&Vec<NodeId>, &Vec<NodeId>)| {
            let what = verb(from.len(), one, many);
            format!("{} {what} {}{end}", self.stage.words().nodes(from), self.stage.words().nodes(to))
        };
        by_targets.iter().map(group).collect::<Vec<_>>().join("; ")
    }

    /// Of many lines of a kind in a chapter the first ones are told, the others counted.
    pub fn fold(&self, lines: Vec<Line>, what: &str) -> Vec<Line> {
        let mut by_chapter: BTreeMap<usize, Vec<Line>> = BTreeMap::new();
        for line in lines {
            by_chapter.entry(self.chapter(line.at)).or_default().push(line);
        }
        let mut out = Vec::new();
        for mut lines in by_chapter.into_values() {
            if lines.len() > MOST + 1 {
                let rest = lines.split_off(MOST);
                let until = rest.iter().map(|line| line.until).max().unwrap_or_default();
                let text = format!("and so on: {} more {what} until {}", rest.len(), time(until));
                let mut line = Line { until, ..Line::new(rest[0].at, rest[0].kind, text) };
                let mut seen = BTreeSet::new();
                let faults = rest.iter().flat_map(|line| &line.faults);
                line.faults = faults.filter(|label| seen.insert((*label).clone())).cloned().collect();
                lines.push(line);
            }
            out.extend(lines);
        }
        out
    }

    /// Campaigns and elections of protocols with terms.
    fn elections(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut campaigns: Vec<&Told<'_>> = Vec::new();
        for told in &self.course.notes {
            let other_chapter = campaigns.first().is_some_and(|first| self.chapter(first.at) != self.chapter(told.at));
            match told.note {
                Note::Campaigns { .. } => {
                    if other_chapter {
                        lines.extend(self.in_vain(&std::mem::take(&mut campaigns)));
                    }
                    campaigns.push(told);
                }
                Note::Elected { term } => {
                    let own = campaigns.iter().rposition(|one| one.node == told.node).map(|at| campaigns.remove(at));
                    lines.extend(self.in_vain(&std::mem::take(&mut campaigns)));
                    let text = match own {
                        Some(own) => format!(
                            "{} stands for election at {} and is elected in term {term} after {}",
                            self.name(told.node),
                            time(own.at),
                            length(told.at.since(own.at))
                        ),
                        None => format!("{} is elected in term {term}", self.name(told.node)),
                    };
                    lines.push(Line::new(told.at, Kind::Election, text));
                }
                _ => {}
            }
        }
        lines.extend(self.in_vain(&campaigns));
        self.fold(lines, "campaigns and elections")
    }

    /// Campaigns that elected nobody.
    fn in_vain(&self, campaigns: &[&Told<'_>]) -> Option<Line> {
        let (first, last) = (campaigns.first()?, campaigns.last()?);
        let mut by_node: BTreeMap<NodeId, usize> = BTreeMap::new();
        campaigns.iter().for_each(|told| *by_node.entry(told.node).or_default() += 1);
        let terms: BTreeSet<u64> = campaigns
            .iter()
            .filter_map(|told| match told.note {
                Note::Campaigns { term } => Some(*term),
                _ => None,
            })
            .collect();
        let terms = match (terms.first(), terms.last()) {
            (Some(first), Some(last)) if first != last => format!("terms {first} to {last}"),
            (Some(term), _) => format!("term {term}"),
            _ => String::new(),
        };
        let nodes: Vec<NodeId> = by_node.keys().copied().collect();
        let stand = verb(by_node.len(), "stands", "stand");
        let span = match campaigns.len() {
            1 => String::new(),
            number => format!(", {} until {}", times(number), time(last.at)),
        };
        let text = format!("{} {stand} for election in vain{span} ({terms})", self.names(&nodes));
        let mut line = Line { until: last.at, ..Line::new(first.at, Kind::Campaign, text) };
        self.reaches(&mut line, by_node.keys().copied(), last.at);
        Some(line)
    }

    /// Whom those who stand for election reach, and what is in the way of a majority.
    pub fn reaches(&self, line: &mut Line, nodes: impl Iterator<Item = NodeId>, at: SimTime) {
        let (scene, replicas) = (self.stage.scene, self.course.replicas);
        let majority = replicas.len() / 2 + 1;
        let mut whys = Vec::new();
        let mut groups: BTreeMap<Vec<NodeId>, Vec<NodeId>> = BTreeMap::new();
        for node in nodes {
            groups.entry(scene.reach(node, replicas, at)).or_default().push(node);
        }
        for (reached, nodes) in groups {
            let others: Vec<NodeId> = reached.iter().copied().filter(|one| !nodes.contains(one)).collect();
            let all = self.stage.words().nodes(&nodes);
            let whom = match (others.is_empty(), nodes.len()) {
                (true, 1) => "nobody".to_owned(),
                (true, _) => "only each other".to_owned(),
                (false, _) => self.stage.words().nodes(&others),
            };
            let count = reached.len();
            let is = match count >= majority {
                true => format!(
                    "with {count} of {} that is a majority; what was in its way is not in the trace",
                    replicas.len()
                ),
                false => format!("{count} of {} are no majority", replicas.len()),
            };
            line.because.push(format!("{all} {} {whom}: {is}", verb(nodes.len(), "reaches", "reach")));
            whys.extend(nodes.iter().flat_map(|&node| self.barriers(node, &reached, at)));
        }
        self.set_causes(line, &whys);
    }

    /// Why a replica does not reach those that it does not reach.
    pub fn barriers(&self, node: NodeId, reached: &[NodeId], at: SimTime) -> Vec<Why> {
        use crate::world::fault::Endpoint::Node;
        let scene = self.stage.scene;
        let mut whys = Vec::new();
        for &other in self.course.replicas.iter().filter(|one| !reached.contains(one)) {
            match scene.life(other, at) {
                (super::scene::Life::Down, since) => {
                    whys.push(Why::Down { node: other, since, by: scene.holding(other, at) });
                }
                (super::scene::Life::Paused, since) => {
                    whys.push(Why::Paused { node: other, since, by: scene.holding(other, at) });
                }
                (super::scene::Life::Up, _) => {
                    for (from, to) in [(node, other), (other, node)] {
                        let by = scene.cutting(Node(from), Node(to), at);
                        if !by.is_empty() {
                            whys.push(Why::Cut { from, to, by });
                        }
                    }
                }
            }
        }
        whys
    }

    /// Whom replicas follow, where nothing else tells who leads.
    fn followings(&self) -> Vec<Line> {
        let tells_views = |told: &Told<'_>| {
            matches!(told.note, Note::Installed { .. } | Note::Elected { .. } | Note::Proposed { .. })
        };
        if self.course.notes.iter().any(tells_views) {
            return Vec::new();
        }
        let mut lines = Vec::new();
        for run in self.runs(BEAT, |told| matches!(told.note, Note::Follows(_))) {
            let mut leaders: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
            for told in &run {
                if let Note::Follows(leader) = told.note {
                    leaders.entry(*leader).or_default().push(told.node);
                }
            }
            let each: Vec<String> = leaders
                .iter()
                .map(|(&leader, followers)| {
                    let others: Vec<NodeId> = followers.iter().copied().filter(|&one| one != leader).collect();
                    match others.is_empty() {
                        true => format!("{} takes the lead", self.name(leader)),
                        false => {
                            format!(
                                "{} {} {}",
                                self.names(&others),
                                verb(others.len(), "follows", "follow"),
                                self.name(leader)
                            )
                        }
                    }
                })
                .collect();
            let until = run[run.len() - 1].at;
            lines.push(Line { until, ..Line::new(run[0].at, Kind::Following, each.join("; ")) });
        }
        self.fold(lines, "changes of whom they follow")
    }

    /// Replicas that advance to a numbered view before it has a primary.
    fn view_numbers(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for run in self.runs(BEAT, |told| matches!(told.note, Note::ViewChange { .. })) {
            let (mut nodes, mut views) = (Vec::new(), BTreeSet::new());
            for told in &run {
                if let Note::ViewChange { view } = told.note {
                    nodes.push(told.node);
                    views.insert(*view);
                }
            }
            let views = match (views.first(), views.last()) {
                (Some(first), Some(last)) if first != last => format!("views {first} to {last}"),
                (Some(view), _) => format!("view {view}"),
                _ => String::new(),
            };
            nodes.sort_unstable();
            nodes.dedup();
            let text = format!("{} {} for {views}", self.names(&nodes), verb(nodes.len(), "calls", "call"));
            let until = run[run.len() - 1].at;
            let mut line = Line { until, ..Line::new(run[0].at, Kind::Campaign, text) };
            if !self.installed_between(run[0].at, until + BEAT) {
                self.reaches(&mut line, nodes.into_iter(), until);
            }
            lines.push(line);
        }
        self.fold(lines, "calls for another view")
    }

    fn installed_between(&self, from: SimTime, to: SimTime) -> bool {
        let inside = |told: &&Told<'_>| from <= told.at && told.at <= to;
        self.course.notes.iter().filter(inside).any(|told| matches!(told.note, Note::Installed { .. }))
    }

    fn hold_downs(&self) -> Vec<Line> {
        let mut held: BTreeMap<(usize, NodeId, bool), Vec<(SimTime, NodeId)>> = BTreeMap::new();
        for told in &self.course.notes {
            if let Note::HeldDown { node, .. } = told.note {
                let key = (self.chapter(told.at), told.node, told.node == *node);
                held.entry(key).or_default().push((told.at, *node));
            }
        }
        let mut lines = Vec::new();
        for ((_, by, itself), all) in held {
            let nodes: BTreeSet<NodeId> = all.iter().map(|one| one.1).collect();
            let nodes: Vec<NodeId> = nodes.into_iter().collect();
            let (first, last) = (all[0].0, all[all.len() - 1].0);
            let often = match all.len() > nodes.len() {
                true => format!(", {} until {}", times(all.len()), time(last)),
                false => String::new(),
            };
            let text = match itself {
                true => format!("{} holds itself back: its storage does not answer in time{often}", self.name(by)),
                false => {
                    let failed = verb(nodes.len(), "it failed", "they failed");
                    format!(
                        "{} keeps {} out of its view for a while, as {failed}{often}",
                        self.name(by),
                        self.names(&nodes)
                    )
                }
            };
            let mut line = Line { until: last, ..Line::new(first, Kind::HoldDown, text) };
            let slow = nodes.iter().map(|&node| (node, self.stage.scene.slowing(node, first)));
            let whys: Vec<Why> =
                slow.filter(|(_, by)| !by.is_empty()).map(|(node, by)| Why::Slow { node, by }).collect();
            self.set_causes(&mut line, &whys);
            lines.push(line);
        }
        lines.sort_by_key(|line| line.at);
        self.fold(lines, "such exclusions")
    }

    /// Steps down, corrections and refusals: by what they say.
    fn remarks(&self) -> Vec<Line> {
        let mut remarks: BTreeMap<(usize, Kind, &str), Vec<&Told<'_>>> = BTreeMap::new();
        for told in &self.course.notes {
            let (kind, why) = match told.note {
                // The line that it serves no more says so.
                Note::SteppedDown { .. } if self.stops_serving(told.node, told.at) => continue,
                Note::SteppedDown { why } => (Kind::StepDown, *why),
                Note::Corrected(why) => (Kind::Correction, *why),
                Note::Refused(why) => (Kind::Refusal, *why),
                _ => continue,
            };
            remarks.entry((self.chapter(told.at), kind, why)).or_default().push(told);
        }
        let mut lines = Vec::new();
        for ((_, kind, why), all) in remarks {
            let nodes: Vec<NodeId> = all.iter().map(|told| told.node).collect();
            let mut distinct = nodes.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let (first, last) = (all[0].at, all[all.len() - 1].at);
            let often = match all.len() > distinct.len() {
                true => format!(" ({} until {})", times(all.len()), time(last)),
                false => String::new(),
            };
            let names = self.names(&distinct);
            let text = match kind {
                Kind::StepDown => format!("{names} {} down: {why}{often}", verb(distinct.len(), "steps", "step")),
                Kind::Correction => {
                    format!("{names} {} an illegal state: {why}{often}", verb(distinct.len(), "corrects", "correct"))
                }
                _ => format!("{names} {} {why}{often}", verb(distinct.len(), "refuses", "refuse")),
            };
            lines.push(Line { until: last, ..Line::new(first, kind, text) });
        }
        lines
    }

    fn stops_serving(&self, node: NodeId, at: SimTime) -> bool {
        let change = self.course.serving.iter().position(|one| one.0 == at && !one.1.contains(&node));
        change.is_some_and(|index| index > 0 && self.course.serving[index - 1].1.contains(&node))
    }

    /// What the protocol calls the number of a reign.
    pub fn reign(&self) -> &'static str {
        let terms = |told: &Told<'_>| matches!(told.note, Note::Campaigns { .. } | Note::Elected { .. });
        if self.course.notes.iter().any(terms) { "term" } else { "view" }
    }

    fn memberships(&self) -> Vec<Line> {
        let mut last: Option<&Vec<NodeId>> = None;
        let mut lines = Vec::new();
        for told in &self.course.notes {
            if let Note::ReplicaSet(nodes) = told.note
                && last != Some(nodes)
            {
                last = Some(nodes);
                let text = format!("the replica set is {}", self.names(nodes));
                lines.push(Line::new(told.at, Kind::Membership, text));
            }
        }
        self.fold(lines, "changes of the replica set")
    }

    fn recoveries(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for told in &self.course.notes {
            let text = match told.note {
                Note::Recovering => {
                    format!("{} lost its disk, and asks the others what it may have promised", self.name(told.node))
                }
                Note::Recovered => format!("{} knows enough to take part again", self.name(told.node)),
                _ => continue,
            };
            lines.push(Line::new(told.at, Kind::Recovery, text));
        }
        self.fold(lines, "such recoveries")
    }
}
