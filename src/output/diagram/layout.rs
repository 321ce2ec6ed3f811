//! Where lifelines and instants are, and what they carry.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{DcId, NodeId};
use crate::machine::Note;
use crate::output::plots::palette;
use crate::output::plots::scene::{Font, Ink, fit, text_width};
use crate::run::tape::{Condition, Happened, Tape};
use crate::scenario::Scenario;
use crate::story::{Running, Scene, is_heartbeat};
use crate::time::SimTime;
use crate::world::DropReason;

use super::Span;
use super::arrows::{Arrow, End};
use super::canvas::{Canvas, Stroke};

const WIDTH: f64 = 1280.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
/// Between two lifelines.
const ROW: f64 = 74.0;
/// Between the lifelines of two data centers.
const GAP: f64 = 16.0;
/// Half of the height of a lifeline's band.
const BAND: f64 = 7.0;
const FAULT: f64 = 22.0;

const TITLE: Font = Font { size: 19.0, bold: true, ink: palette::TEXT };
const SMALL: Font = Font { size: 12.5, bold: false, ink: palette::SOFT };
const NAME: Font = Font { size: 14.0, bold: true, ink: palette::TEXT };
const PLAIN: Font = Font { size: 12.5, bold: false, ink: palette::TEXT };

/// Bands of views, in turn: pale, so that arrows stand out.
const VIEWS: [(u8, u8, u8); 6] =
    [(189, 215, 238), (252, 228, 180), (198, 224, 205), (234, 209, 226), (214, 220, 229), (238, 232, 190)];
/// So many kinds of messages have a colour of their own.
const COLOURS: usize = 7;

/// Draws the sign of a legend's entry at a place.
type Sign<'a> = &'a dyn Fn(&mut Canvas, f64, f64);

/// From when to when a replica was in which state; `None`: no process ran.
type Piece<'a> = (SimTime, SimTime, Option<&'a Condition>);

/// The frame of a picture.
pub struct Layout<'a> {
    scenario: &'a Scenario,
    tape: &'a Tape,
    span: &'a Span,
    scene: Scene,
    /// The replicas, by data center and then in order.
    rows: Vec<NodeId>,
    y: BTreeMap<NodeId, f64>,
    left: f64,
    bottom: f64,
    protocol: &'a str,
}

impl<'a> Layout<'a> {
    pub fn new(scenario: &'a Scenario, tape: &'a Tape, protocol: &'a str, span: &'a Span) -> Self {
        let scene = Scene::new(scenario.topology.nodes.len(), tape);
        let mut rows = scenario.services[span.service.index()].replicas.clone();
        rows.sort_by_key(|&node| (scenario.topology.site_of(node), node));
        let names = rows.iter().map(|&node| text_width(scenario.node(node), NAME));
        let left = names.fold(60.0_f64, f64::max) + 40.0;
        let top = TOP + 16.0 + FAULT * shown_faults(&scene, span).len() as f64 + 44.0;
        let (mut y, mut at, mut site): (_, _, Option<DcId>) = (BTreeMap::new(), top, None);
        for &node in &rows {
            let own = scenario.topology.site_of(node);
            if site.is_some_and(|site| site != own) {
                at += GAP;
            }
            site = Some(own);
            y.insert(node, at);
            at += ROW;
        }
        Self { scenario, tape, span, scene, rows, y, left, bottom: at - ROW + 34.0, protocol }
    }

    fn x(&self, at: SimTime) -> f64 {
        let length = self.span.to.since(self.span.from).as_secs_f64();
        let since = at.as_secs_f64() - self.span.from.as_secs_f64();
        self.left + (WIDTH - RIGHT - self.left) * (since / length).clamp(0.0, 1.0)
    }

    pub fn draw(&self, arrows: &[Arrow]) -> String {
        let mut canvas = Canvas::new();
        let colours = colours(arrows);
        let service = self.scenario.service(self.span.service);
        let title = format!("{}, {}: {service}", self.scenario.name, self.protocol);
        canvas.text((self.left, 30.0), &title, TITLE);
        let (from, to) = (self.span.from.as_secs_f64(), self.span.to.as_secs_f64());
        canvas.text((self.left, 49.0), &format!("from {from} s to {to} s; time runs to the right"), SMALL);
        self.grid(&mut canvas);
        self.faults(&mut canvas);
        self.rows.iter().for_each(|&node| self.lifeline(&mut canvas, node));
        arrows.iter().for_each(|arrow| self.arrow(&mut canvas, arrow, &colours));
        self.marks(&mut canvas);
        let height = self.legend(&mut canvas, &colours);
        canvas.finish((WIDTH, height), &format!("Space-time diagram of {title}, from {from} s to {to} s"))
    }

    /// Vertical lines at round times.
    fn grid(&self, canvas: &mut Canvas) {
        let length = self.span.to.since(self.span.from).as_nanos();
        let steps = [1_u64, 2, 5].iter().flat_map(|&unit| (0..14).map(move |power| unit * 10_u64.pow(power)));
        let step = steps.filter(|&step| length / step <= 12).min().unwrap_or(length.max(1));
        let mut at = self.span.from.as_nanos().div_ceil(step) * step;
        let digits = (9 - step.ilog10().min(9)) as usize;
        while at <= self.span.to.as_nanos() {
            let x = self.x(SimTime::from_nanos(at));
            let stroke = Stroke { ink: palette::GRID, width: 1.0, dashed: false };
            canvas.line((x, TOP), (x, self.bottom), stroke, "");
            let label = format!("{:.digits$} s", at as f64 / 1e9);
            let left = (x - text_width(&label, SMALL) / 2.0).min(WIDTH - RIGHT - text_width(&label, SMALL));
            canvas.text((left, self.bottom + 16.0), &label, SMALL);
            at += step;
        }
    }

    /// A bar for each fault that is on in the span, above the lifelines, and a shade down through them.
    fn faults(&self, canvas: &mut Canvas) {
        for (index, fault) in shown_faults(&self.scene, self.span).into_iter().enumerate() {
            let fault = &self.scene.faults[fault];
            let y = TOP + 6.0 + FAULT * index as f64;
            let (from, to) = (self.x(fault.began), self.x(fault.ended.unwrap_or(self.span.to)));
            let to = to.max(from + 2.0);
            canvas.rect((from, y), (to - from, FAULT - 5.0), palette::BAD.alpha(0.20), &fault.told.label);
            if fault.began >= self.span.from {
                let stroke = Stroke { ink: palette::BAD.alpha(0.7), width: 1.2, dashed: true };
                canvas.line((from, y), (from, self.bottom), stroke, &format!("{} begins", fault.told.label));
            }
            if let Some(ended) = fault.ended.filter(|&ended| ended < self.span.to && ended > fault.began) {
                let stroke = Stroke { ink: palette::SOFT.alpha(0.7), width: 1.2, dashed: true };
                canvas.line((to, y), (to, self.bottom), stroke, &format!("{} ends", fault.told.label));
                let note = fit(&format!("“{}” ends", fault.told.label), PLAIN, WIDTH - RIGHT - to - 6.0);
                if ended.since(self.span.from) < self.span.to.since(self.span.from).scale(1, 3) {
                    canvas.text((to + 5.0, y + 13.0), &note, PLAIN);
                    continue;
                }
            }
            let x = from + 5.0;
            canvas.text((x, y + 13.0), &fit(&fault.told.label, PLAIN, WIDTH - RIGHT - x), PLAIN);
        }
    }

    fn lifeline(&self, canvas: &mut Canvas, node: NodeId) {
        let y = self.y[&node];
        let name = self.scenario.node(node);
        canvas.text((16.0, y + 5.0), name, NAME);
        let ends = (self.x(self.span.from), self.x(self.span.to));
        let axis = Stroke { ink: palette::AXIS, width: 1.2, dashed: false };
        canvas.line((ends.0, y), (ends.1, y), axis, name);
        let pieces = self.states(node);
        self.views(canvas, node, &pieces);
        for &(from, to, state) in &pieces {
            let (x, width) = (self.x(from), self.x(to) - self.x(from));
            let Some(state) = state else { continue };
            if state.serving {
                canvas.rect((x, y - 2.0), (width, 4.0), palette::protocol(0), &format!("{name} serves"));
            }
            if state.frozen {
                let grey = palette::SOFT.alpha(0.45);
                canvas.rect((x, y - BAND), (width, 2.0 * BAND), grey, &format!("{name} is frozen"));
            }
        }
        self.rests(canvas, node);
    }

    /// A band for each view, with its number and size where there is room.
    fn views(&self, canvas: &mut Canvas, node: NodeId, pieces: &[Piece<'_>]) {
        let mut bands: Vec<(SimTime, SimTime, &Condition)> = Vec::new();
        for &(from, to, state) in pieces {
            let Some(state) = state.filter(|state| state.view.is_some()) else { continue };
            match bands.last_mut() {
                Some(last) if last.1 == from && last.2.view == state.view && last.2.members == state.members => {
                    last.1 = to
                }
                _ => bands.push((from, to, state)),
            }
        }
        let (y, name) = (self.y[&node], self.scenario.node(node));
        for (from, to, state) in bands {
            let Some((epoch, coordinator)) = state.view else { continue };
            let (x, width) = (self.x(from), self.x(to) - self.x(from));
            let members: Vec<&str> = state.members.iter().map(|&one| self.scenario.node(one)).collect();
            let by = self.scenario.node(coordinator);
            let title = format!("{name}: view {epoch} of {} (by {by})", members.join(", "));
            let colour = VIEWS[(epoch as usize % VIEWS.len() + coordinator.index()) % VIEWS.len()];
            canvas.rect((x, y - BAND), (width, 2.0 * BAND), Ink::solid(colour), &title);
            let label = format!("view {epoch} ({})", state.members.len());
            if text_width(&label, SMALL) + 6.0 < width {
                canvas.text((x + 3.0, y - BAND - 4.0), &label, SMALL);
            }
        }
    }

    /// When the process of a machine is down or stands still.
    fn rests(&self, canvas: &mut Canvas, node: NodeId) {
        let y = self.y[&node];
        let name = self.scenario.node(node);
        let (from, to) = (self.span.from, self.span.to);
        let first = self.scene.life(node, from);
        let mut changes = vec![(from, first.0)];
        changes.extend(self.scene.changes(node, from, to));
        for (index, &(at, life)) in changes.iter().enumerate() {
            let end = changes.get(index + 1).map_or(to, |next| next.0);
            let (x0, x1) = (self.x(at), self.x(end));
            match life {
                Running::Up => {
                    if index > 0 {
                        canvas.shape(
                            &[(x0, y - 9.0), (x0 + 8.0, y), (x0, y + 9.0)],
                            palette::protocol(2),
                            &format!("{name} runs"),
                        );
                    }
                }
                Running::Down => {
                    canvas.rect((x0, y - BAND - 1.0), (x1 - x0, 2.0 * BAND + 2.0), Ink::solid((255, 255, 255)), "");
                    let stroke = Stroke { ink: palette::BAD, width: 1.6, dashed: true };
                    canvas.line((x0, y), (x1, y), stroke, &format!("{name} is down"));
                    cross(canvas, (x0, y), 6.0, palette::BAD, &format!("{name} crashes"));
                }
                Running::Paused => {
                    canvas.rect(
                        (x0, y - BAND),
                        (x1 - x0, 2.0 * BAND),
                        palette::TEXT.alpha(0.35),
                        &format!("{name} is paused"),
                    );
                }
            }
        }
    }

    /// The states of a replica in the span, as pieces.
    fn states(&self, node: NodeId) -> Vec<Piece<'a>> {
        let mut pieces: Vec<Piece<'a>> = Vec::new();
        for moment in &self.tape.moments {
            let Happened::State(change) = &moment.what else { continue };
            if change.0 != self.span.service || change.1 != node || moment.at >= self.span.to {
                continue;
            }
            let at = moment.at.max(self.span.from);
            if let Some(last) = pieces.last_mut() {
                last.1 = at;
            }
            pieces.retain(|piece| piece.0 < piece.1);
            pieces.push((at, self.span.to, change.2.as_ref()));
        }
        pieces
    }

    fn arrow(&self, canvas: &mut Canvas, arrow: &Arrow, colours: &BTreeMap<&str, Ink>) {
        let (y0, y1) = (self.y.get(&arrow.from), self.y.get(&arrow.to));
        let (Some(&y0), Some(&y1)) = (y0, y1) else { return };
        let thin = is_heartbeat(arrow.name);
        let ink = if thin { palette::BOUNDARY } else { colours.get(arrow.name).copied().unwrap_or(palette::SOFT) };
        let stroke = Stroke { ink: ink.alpha(0.9), width: if thin { 0.7 } else { 1.3 }, dashed: false };
        let start = (self.x(arrow.sent), y0);
        let (from, to) = (self.scenario.node(arrow.from), self.scenario.node(arrow.to));
        let seconds = arrow.sent.as_secs_f64();
        match arrow.end {
            End::Dropped(why) => {
                // A stub in the direction of its way: nobody knows how far it came.
                let end = (start.0 + 9.0, y0 + (y1 - y0).signum() * 24.0);
                let title = format!("{} from {from} to {to} at {seconds:.3} s: {}", arrow.name, reason(why));
                canvas.line(start, end, stroke, &title);
                cross(canvas, end, 3.2, palette::BAD, &title);
            }
            End::Arrives(at) | End::Ignored(at, _) => {
                let title = format!("{} from {from} to {to}, {seconds:.3} s to {:.3} s", arrow.name, at.as_secs_f64());
                let end = self.clipped(start, (at, y1));
                canvas.line(start, end, stroke, &title);
                if at > self.span.to {
                    return;
                }
                if let End::Ignored(_, why) = arrow.end {
                    cross(canvas, end, 4.0, palette::BAD, &format!("{title}: {}", reason(why)));
                } else {
                    head(canvas, start, end, ink, if thin { 4.0 } else { 6.5 });
                }
            }
        }
    }

    /// The end of an arrow, or where it leaves the picture.
    fn clipped(&self, start: (f64, f64), (at, y): (SimTime, f64)) -> (f64, f64) {
        if at <= self.span.to {
            return (self.x(at), y);
        }
        let length = self.span.to.since(self.span.from).as_secs_f64();
        let scale = (WIDTH - RIGHT - self.left) / length;
        let full = self.left + (at.as_secs_f64() - self.span.from.as_secs_f64()) * scale;
        let edge = WIDTH - RIGHT;
        let share = ((edge - start.0) / (full - start.0)).clamp(0.0, 1.0);
        (edge, start.1 + (y - start.1) * share)
    }

    /// Decisions and timers: small signs on the lifelines.
    fn marks(&self, canvas: &mut Canvas) {
        let inside = |at: SimTime| self.span.from <= at && at < self.span.to;
        for moment in self.tape.moments.iter().filter(|moment| inside(moment.at)) {
            let x = self.x(moment.at);
            match &moment.what {
                Happened::Note(noted) if noted.service == self.span.service => {
                    let Some(&y) = self.y.get(&noted.node) else { continue };
                    self.decision(canvas, (x, y), moment.at, &noted.note, noted.node);
                }
                Happened::Timer(timer) if timer.0 == self.span.service && !is_tick(&timer.2) => {
                    let Some(&y) = self.y.get(&timer.1) else { continue };
                    let stroke = Stroke { ink: palette::AXIS, width: 1.0, dashed: false };
                    canvas.line((x, y + BAND), (x, y + BAND + 5.0), stroke, &format!("the timer {} runs out", timer.2));
                }
                _ => {}
            }
        }
    }

    fn decision(&self, canvas: &mut Canvas, (x, y): (f64, f64), at: SimTime, note: &Note, node: NodeId) {
        let name = self.scenario.node(node);
        let when = format!("at {:.3} s", at.as_secs_f64());
        let peer = |peer: &NodeId| self.scenario.topology.nodes.get(peer.index()).map_or("?", |node| &node.name);
        let (ink, title) = match note {
            Note::Suspected(one) => (palette::BAD, format!("{name} suspects {} {when}", peer(one))),
            Note::Trusted(one) => (palette::protocol(2), format!("{name} hears from {} again {when}", peer(one))),
            Note::Campaigns { term } => {
                (palette::protocol(1), format!("{name} stands for election in term {term} {when}"))
            }
            Note::Elected { term } => (palette::protocol(0), format!("{name} is elected in term {term} {when}")),
            Note::Proposed { epoch, .. } => (palette::protocol(1), format!("{name} proposes view {epoch} {when}")),
            Note::Abandoned { epoch, .. } => (palette::BAD, format!("{name} gives up view {epoch} {when}")),
            Note::Confirmed { epoch, .. } => (palette::protocol(0), format!("every member holds view {epoch} {when}")),
            Note::ViewChange { view } => (palette::protocol(1), format!("{name} calls for view {view} {when}")),
            Note::Merged { branches, revoked, reapplied, .. } => (
                palette::protocol(3),
                format!(
                    "{name} merges {} {when}: {reapplied} writes executed again, {revoked} revoked",
                    branches_in_words(*branches)
                ),
            ),
            _ => return,
        };
        canvas.shape(&[(x, y - 5.0), (x + 5.0, y), (x, y + 5.0), (x - 5.0, y)], ink, &title);
    }

    /// What colours and signs mean. Returns the height of the picture.
    fn legend(&self, canvas: &mut Canvas, colours: &BTreeMap<&str, Ink>) -> f64 {
        let mut at = Cursor { x: self.left, y: self.bottom + 46.0, left: self.left };
        for (name, ink) in colours {
            let (x, y) = at.room(30.0 + text_width(name, PLAIN));
            canvas.line((x, y - 4.0), (x + 18.0, y - 4.0), Stroke { ink: *ink, width: 2.0, dashed: false }, "");
            head(canvas, (x, y - 4.0), (x + 24.0, y - 4.0), *ink, 7.0);
            canvas.text((x + 29.0, y), name, PLAIN);
        }
        at.next();
        let signs: [(&str, Sign<'_>); 8] = [
            ("serves", &|canvas, x, y| canvas.rect((x, y - 6.0), (22.0, 4.0), palette::protocol(0), "")),
            ("in a view", &|canvas, x, y| canvas.rect((x, y - 10.0), (22.0, 12.0), Ink::solid(VIEWS[0]), "")),
            ("frozen", &|canvas, x, y| canvas.rect((x, y - 10.0), (22.0, 12.0), palette::SOFT.alpha(0.45), "")),
            ("down", &|canvas, x, y| {
                let stroke = Stroke { ink: palette::BAD, width: 1.6, dashed: true };
                canvas.line((x, y - 4.0), (x + 22.0, y - 4.0), stroke, "");
            }),
            ("lost or cut off", &|canvas, x, y| cross(canvas, (x + 10.0, y - 4.0), 4.0, palette::BAD, "")),
            ("suspicion, or given up", &|canvas, x, y| diamond(canvas, x, y, palette::BAD)),
            ("proposal or campaign", &|canvas, x, y| diamond(canvas, x, y, palette::protocol(1))),
            ("merge", &|canvas, x, y| diamond(canvas, x, y, palette::protocol(3))),
        ];
        for (name, sign) in signs {
            let (x, y) = at.room(30.0 + text_width(name, PLAIN));
            sign(canvas, x, y);
            canvas.text((x + 29.0, y), name, PLAIN);
        }
        at.y + 20.0
    }
}

/// Where the next entry of a legend goes.
struct Cursor {
    x: f64,
    y: f64,
    left: f64,
}

impl Cursor {
    fn room(&mut self, width: f64) -> (f64, f64) {
        if self.x + width > WIDTH - RIGHT {
            self.next();
        }
        let place = (self.x, self.y);
        self.x += width + 20.0;
        place
    }
    fn next(&mut self) {
        (self.x, self.y) = (self.left, self.y + 22.0);
    }
}

/// Faults that are on at some time in the span, by their place in the scene.
fn shown_faults(scene: &Scene, span: &Span) -> Vec<usize> {
    let on = |index: &usize| {
        let fault = &scene.faults[*index];
        fault.began < span.to && fault.ended.is_none_or(|ended| ended > span.from || fault.began >= span.from)
    };
    (0..scene.faults.len()).filter(on).collect()
}

/// The colours of the kinds of messages: the most frequent first; the others share one.
fn colours(arrows: &[Arrow]) -> BTreeMap<&'static str, Ink> {
    let names: BTreeSet<&'static str> =
        arrows.iter().map(|arrow| arrow.name).filter(|name| !is_heartbeat(name)).collect();
    let mut names: Vec<&'static str> = names.into_iter().collect();
    let count = |name: &str| arrows.iter().filter(|arrow| arrow.name == name).count();
    names.sort_by_key(|name| (std::cmp::Reverse(count(name)), *name));
    let ink = |index: usize| if index < COLOURS { palette::protocol(index) } else { palette::SOFT };
    let heartbeats = arrows.iter().find(|arrow| is_heartbeat(arrow.name)).map(|arrow| (arrow.name, palette::BOUNDARY));
    names.into_iter().enumerate().map(|(index, name)| (name, ink(index))).chain(heartbeats).collect()
}

/// `a branch`, `2 branches`.
pub fn branches_in_words(number: usize) -> String {
    if number == 1 { "a branch".into() } else { format!("{number} branches") }
}

/// A timer that only counts time.
fn is_tick(name: &str) -> bool {
    ["Tick", "Heartbeat"].contains(&name)
}

const fn reason(why: DropReason) -> &'static str {
    match why {
        DropReason::Cut => "cut off",
        DropReason::Lost => "lost by chance",
        DropReason::Restarted => "its receiver's process began anew",
        DropReason::Down => "no process runs there",
        DropReason::Disconnected => "there is no connection",
        DropReason::Full => "its receiver has no room for it",
    }
}

fn cross(canvas: &mut Canvas, (x, y): (f64, f64), size: f64, ink: Ink, title: &str) {
    let stroke = Stroke { ink, width: 1.8, dashed: false };
    canvas.line((x - size, y - size), (x + size, y + size), stroke, title);
    canvas.line((x - size, y + size), (x + size, y - size), stroke, title);
}

fn diamond(canvas: &mut Canvas, x: f64, y: f64, ink: Ink) {
    let (x, y) = (x + 11.0, y - 4.0);
    canvas.shape(&[(x, y - 5.0), (x + 5.0, y), (x, y + 5.0), (x - 5.0, y)], ink, "");
}

/// The point of an arrow.
fn head(canvas: &mut Canvas, from: (f64, f64), to: (f64, f64), ink: Ink, size: f64) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = (dx * dx + dy * dy).sqrt().max(0.001);
    let (ux, uy) = (dx / length, dy / length);
    let base = (to.0 - ux * size, to.1 - uy * size);
    let half = size * 0.42;
    canvas.shape(&[to, (base.0 - uy * half, base.1 + ux * half), (base.0 + uy * half, base.1 - ux * half)], ink, "");
}
