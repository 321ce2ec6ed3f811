//! Who served when, which branches there were at once, and when nobody was answered.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::NodeId;
use crate::machine::{Note, Views};
use crate::metrics::Second;
use crate::run::tape::Outcomes;
use crate::time::{Duration, SimTime};
use crate::world::fault::Endpoint;

use super::beats::Teller;
use super::scene::Life;
use super::why::Why;
use super::words::{self, length, time};
use super::{Kind, Line, Outage};

/// A primary that stops and goes on within this time was frozen for a view change, or the like.
const BLINK: Duration = Duration::from_secs(1);
/// A time without a primary that is not worth a word.
const SHORT: Duration = Duration::from_millis(100);
/// So many beginnings of one node in a chapter, and more are told together.
const MOST: usize = 3;

/// A node serves from one instant up to another.
#[derive(Clone, Copy, Debug)]
struct Span {
    node: NodeId,
    from: SimTime,
    /// `None`: to the end.
    to: Option<SimTime>,
}

impl Span {
    fn covers(&self, at: SimTime) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

impl Teller<'_> {
    /// Lines about who serves, and about branches that exist at once.
    pub fn servings(&self, views: Views) -> Vec<Line> {
        let spans = self.spans();
        let mut lines = self.turns(&spans);
        if views == Views::Coexist {
            lines.extend(self.branches(&spans));
        }
        lines
    }

    /// When each node served, blinks left out, in order of beginning.
    fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for &node in self.course.replicas {
            let mut own: Vec<Span> = Vec::new();
            for &(at, nodes) in &self.course.serving {
                let open = own.last().is_some_and(|span| span.to.is_none());
                match (nodes.contains(&node), open) {
                    (true, false) => match own.last_mut() {
                        Some(last) if last.to.is_some_and(|to| at.since(to) < BLINK) => last.to = None,
                        _ => own.push(Span { node, from: at, to: None }),
                    },
                    (false, true) => own.last_mut().expect("it is open").to = Some(at),
                    _ => {}
                }
            }
            spans.extend(own);
        }
        spans.sort_by_key(|span| span.from);
        spans
    }

    fn turns(&self, spans: &[Span]) -> Vec<Line> {
        let mut often: BTreeMap<(usize, NodeId), Vec<&Span>> = BTreeMap::new();
        for span in spans {
            often.entry((self.chapter(span.from), span.node)).or_default().push(span);
        }
        let mut lines = Vec::new();
        for ((_, node), own) in often {
            if own.len() > MOST + 1 {
                let (first, last) = (own[0].from, own[own.len() - 1]);
                let until = last.to.unwrap_or(last.from);
                let text = format!(
                    "{} serves on and off: it begins {} until {}",
                    self.stage.words().node(node),
                    words::times(own.len()),
                    time(last.from)
                );
                lines.push(Line { until, ..Line::new(first, Kind::Serving, text) });
                continue;
            }
            for span in own {
                lines.push(self.begins(span, spans));
                if let Some(to) = span.to
                    && !self.hands_over(span, to, spans)
                {
                    lines.push(self.stops(span.node, to));
                }
            }
        }
        lines
    }

    /// Whether another takes over in the same instant: its line says so.
    fn hands_over(&self, span: &Span, to: SimTime, spans: &[Span]) -> bool {
        spans.iter().any(|other| other.node != span.node && other.from == to)
    }

    fn begins(&self, span: &Span, spans: &[Span]) -> Line {
        let others = |at: SimTime| spans.iter().any(|other| other.node != span.node && other.covers(at));
        let replaced = spans.iter().find(|other| other.node != span.node && other.to == Some(span.from));
        let ended = spans.iter().filter_map(|other| other.to).filter(|&to| to <= span.from).max();
        let name = self.stage.words().node(span.node);
        let state = self.course.state(span.node, span.from);
        let reign = self.reign();
        let view =
            state.and_then(|state| state.view).map_or(String::new(), |(epoch, _)| format!(" in {reign} {epoch}"));
        let text = match (replaced, ended) {
            (Some(other), _) => format!("{name} serves{view} in the place of {}", self.stage.words().node(other.node)),
            (None, Some(ended)) if !others(span.from) && span.from.since(ended) > SHORT => {
                format!("{name} serves{view}; nobody had for {}", length(span.from.since(ended)))
            }
            _ => format!("{name} serves{view}"),
        };
        let mut line = Line::new(span.from, Kind::Serving, text);
        self.set_causes(&mut line, &self.overwritten(span.node, span.from));
        line
    }

    /// The state of a replica was overwritten in this very instant.
    fn overwritten(&self, node: NodeId, at: SimTime) -> Vec<Why> {
        let by = self.stage.scene.corrupting(node, at, at);
        if by.is_empty() { Vec::new() } else { vec![Why::Corrupted { node, by }] }
    }

    fn stops(&self, node: NodeId, at: SimTime) -> Line {
        let name = self.stage.words().node(node);
        let mut line = Line::new(at, Kind::Serving, format!("{name} serves no more"));
        let (life, since) = self.stage.scene.life(node, at);
        let by = self.stage.scene.holding(node, at);
        match life {
            Life::Down => self.set_causes(&mut line, &[Why::Down { node, since, by }]),
            Life::Paused => self.set_causes(&mut line, &[Why::Paused { node, since, by }]),
            Life::Up => {
                let overwritten = self.overwritten(node, at);
                if overwritten.is_empty() {
                    line.because.push(self.own_reason(node, at));
                }
                self.set_causes(&mut line, &overwritten);
            }
        }
        line
    }

    /// Why a running replica stopped serving, by what it told in that instant and by its state.
    fn own_reason(&self, node: NodeId, at: SimTime) -> String {
        let words = self.stage.words();
        let notes = self.course.notes.iter().filter(|told| told.node == node && told.at == at);
        let mut reason = None;
        for told in notes {
            match told.note {
                Note::SteppedDown { why } => return format!("it steps down: {why}"),
                Note::Installed { epoch, coordinator, .. } if *coordinator != node => {
                    return format!("it joins view {epoch} of {}", words.node(*coordinator));
                }
                Note::Follows(leader) if *leader != node => {
                    reason = Some(format!("it follows {} now", words.node(*leader)));
                }
                Note::ViewChange { view } => reason = Some(format!("it calls for view {view}")),
                Note::Corrected(why) => reason = Some(format!("it corrected an illegal state: {why}")),
                _ => {}
            }
        }
        let state = self.course.state(node, at);
        reason.unwrap_or_else(|| match state {
            Some(state) if state.frozen => match state.candidate.filter(|&leader| leader != node) {
                Some(leader) => format!("it is frozen for a view that {} proposes", words.node(leader)),
                None => "it is frozen for a view change".into(),
            },
            Some(state) if state.candidate.is_some_and(|leader| leader != node) => {
                format!("it follows {} now", words.node(state.candidate.unwrap_or(node)))
            }
            Some(state) if !state.serving => {
                let reached = self.stage.scene.reach(node, self.course.replicas, at);
                format!(
                    "it gave up the lead; it reaches {} of {} replicas, itself included",
                    reached.len(),
                    self.course.replicas.len()
                )
            }
            _ => super::NO_CAUSE.into(),
        })
    }

    /// Times in which two or more served.
    fn branches(&self, spans: &[Span]) -> Vec<Line> {
        let mut edges: Vec<SimTime> = spans.iter().flat_map(|span| [Some(span.from), span.to]).flatten().collect();
        edges.sort_unstable();
        edges.dedup();
        // A run of instants with several at once, and who they were.
        let mut runs: Vec<(SimTime, Option<SimTime>, BTreeSet<NodeId>)> = Vec::new();
        for (index, &at) in edges.iter().enumerate() {
            let now: BTreeSet<NodeId> = spans.iter().filter(|span| span.covers(at)).map(|span| span.node).collect();
            if now.len() < 2 {
                continue;
            }
            let to = edges.get(index + 1).copied();
            match runs.last_mut() {
                Some(last) if last.1 == Some(at) => {
                    last.1 = to;
                    last.2.extend(now);
                }
                _ => runs.push((at, to, now)),
            }
        }
        let lines = runs.iter().map(|(from, to, nodes)| self.branch(*from, *to, nodes, spans)).collect();
        self.fold(lines, "times with several branches")
    }

    fn branch(&self, from: SimTime, to: Option<SimTime>, nodes: &BTreeSet<NodeId>, spans: &[Span]) -> Line {
        let side = |&node: &NodeId| {
            let name = self.stage.words().node(node);
            let began = spans.iter().filter(|span| span.node == node && to.is_none_or(|to| span.from < to));
            let at = began.map(|span| span.from).max().unwrap_or(from).max(from);
            match self.course.state(node, at).and_then(|state| Some((state.view?, &state.members))) {
                Some(((epoch, _), members)) => format!("{name} (view {epoch} of {})", self.names(members)),
                None => name.to_owned(),
            }
        };
        let sides: Vec<String> = nodes.iter().map(side).collect();
        let span = match to {
            Some(to) => format!("for {} until {}", length(to.since(from)), time(to)),
            None => "to the end".into(),
        };
        let text = format!("{} branches at once, {span}: {}", words::number(nodes.len()), words::list(&sides));
        let mut line = Line::new(from, Kind::Branches, text);
        line.until = to.unwrap_or(from);
        let mut whys = Vec::new();
        for &a in nodes {
            for &b in nodes.iter().filter(|&&b| b != a) {
                let by = self.stage.scene.cutting(Endpoint::Node(a), Endpoint::Node(b), from);
                if !by.is_empty() {
                    whys.push(Why::Cut { from: a, to: b, by });
                }
            }
        }
        self.set_causes(&mut line, &whys);
        line
    }

    /// Lines that tell of outages.
    pub fn outages(&self, outages: &[Outage], outcomes: &[Outcomes]) -> Vec<Line> {
        let lines = outages.iter().map(|one| self.outage(one, outcomes)).collect();
        self.fold(lines, "outages")
    }

    fn outage(&self, outage: &Outage, outcomes: &[Outcomes]) -> Line {
        let at = |second: u64| SimTime::ZERO + Duration::from_secs(second);
        let (from, to) = (at(outage.from_s), at(outage.to_s));
        let text = format!(
            "OUTAGE of {} s, from {} s to {} s: none of {} got an answer",
            outage.out_s,
            outage.from_s,
            outage.to_s,
            words::count(outage.requests, "request")
        );
        let mut line = Line { until: to, ..Line::new(from, Kind::Outage, text) };
        self.who_served(from, to, &mut line);
        let range = outage.from_s as usize..(outage.to_s as usize).min(outcomes.len());
        let sum = outcomes.get(range).unwrap_or_default().iter().fold(Outcomes::default(), |sum, one| Outcomes {
            sent: sum.sent + one.sent,
            done: sum.done + one.done,
            refused: sum.refused + one.refused,
            redirected: sum.redirected + one.redirected,
            unfinished: sum.unfinished + one.unfinished,
            cut: sum.cut + one.cut,
            silent: sum.silent + one.silent,
        });
        let met: Vec<String> = [
            (sum.refused, "refused (no process, or a full queue)"),
            (sum.redirected, "sent on to another server"),
            (sum.unfinished, "begun and not finished"),
            (sum.cut, "cut off on the way"),
            (sum.silent, "met by a dead machine"),
        ]
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", words::grouped(u64::from(*number))))
        .collect();
        if sum.sent > 0 {
            let tried = words::count(u64::from(sum.sent), "attempt");
            let met = if met.is_empty() { "none of them answered in time".into() } else { words::list(&met) };
            line.because.push(format!("clients made {tried}: {met}"));
        }
        line
    }

    /// Who served in a span, and what kept the others, or a leader's followers, away in its middle.
    fn who_served(&self, from: SimTime, to: SimTime, line: &mut Line) {
        let middle = from + Duration::from_nanos(to.since(from).as_nanos() / 2);
        let spans = self.spans();
        let served: BTreeSet<NodeId> = spans
            .iter()
            .filter(|span| span.from < to && span.to.is_none_or(|end| end > from))
            .map(|span| span.node)
            .collect();
        let (scene, words) = (self.stage.scene, self.stage.words());
        let ran: Vec<NodeId> = self.course.replicas.iter().copied().filter(|&node| scene.runs(node, middle)).collect();
        let mut whys = Vec::new();
        match served.len() {
            0 => line.because.push("nobody served in this time".into()),
            _ => {
                for &node in &served {
                    let reached = scene.reach(node, self.course.replicas, middle);
                    let name = words.node(node);
                    let others = reached.len().saturating_sub(1);
                    line.because.push(match scene.runs(node, middle) {
                        true => format!(
                            "{name} held itself for primary, and reached {} of {} others",
                            words::number(others),
                            words::number(self.course.replicas.len() - 1)
                        ),
                        false => format!("{name} served last"),
                    });
                    whys.extend(self.barriers(node, &reached, middle));
                }
            }
        }
        if served.is_empty() {
            let best = ran.iter().map(|&node| scene.reach(node, self.course.replicas, middle)).max_by_key(Vec::len);
            if let Some(best) = best {
                let count = self.course.replicas.len();
                line.because.push(format!(
                    "at most {} of {count} replicas were together ({})",
                    best.len(),
                    self.names(&best)
                ));
                if let Some(&one) = best.first() {
                    whys.extend(self.barriers(one, &best, middle));
                }
            }
        }
        whys.extend(self.course.replicas.iter().filter_map(|&node| {
            let (life, since) = scene.life(node, middle);
            let by = scene.holding(node, middle);
            match life {
                Life::Down => Some(Why::Down { node, since, by }),
                Life::Paused => Some(Why::Paused { node, since, by }),
                Life::Up => {
                    let by = scene.slowing(node, middle);
                    (!by.is_empty()).then_some(Why::Slow { node, by })
                }
            }
        }));
        self.set_causes(line, &whys);
    }
}

/// Outages by the metric's own definition: a second is out if requests started in it and none succeeded;
/// seconds without requests neither extend nor end one.
pub fn outages(seconds: &[Second]) -> Vec<Outage> {
    let mut out: Vec<Outage> = Vec::new();
    let mut open = false;
    for row in seconds.iter().filter(|row| row.requests > 0) {
        if row.ok > 0 {
            open = false;
            continue;
        }
        match out.last_mut().filter(|_| open) {
            Some(last) => {
                last.to_s = row.second + 1;
                last.out_s += 1;
                last.requests += u64::from(row.requests);
            }
            None => out.push(Outage {
                from_s: row.second,
                to_s: row.second + 1,
                out_s: 1,
                requests: u64::from(row.requests),
            }),
        }
        open = true;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_without_requests_neither_extends_nor_ends_an_outage() {
        let row = |(second, requests, ok): (u64, u32, u32)| Second { second, requests, ok, ..Second::default() };
        let rows = [(3, 5, 5), (4, 5, 0), (5, 0, 0), (6, 7, 0), (7, 5, 1), (8, 2, 0)].map(row);
        let outage = |from_s, to_s, out_s, requests| Outage { from_s, to_s, out_s, requests };
        assert_eq!(outages(&rows), [outage(4, 7, 2, 12), outage(8, 9, 1, 2)]);
        assert_eq!(outages(&[]), []);
    }
}
