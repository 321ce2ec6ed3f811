//! The state at one instant, and what led to it.

use serde::Serialize;

use crate::id::{DcId, NodeId, ServiceId};
use crate::machine::Role;
use crate::run::RunResult;
use crate::run::tape::Tape;
use crate::scenario::Scenario;
use crate::time::SimTime;
use crate::world::fault::Endpoint;

use super::beats::Teller;
use super::chapters::tell;
use super::course::Course;
use super::scene::{Life, Scene};
use super::words::{self, time};
use super::{Kind, Line, Stage, seconds};

/// So many lines of what led to it, at most.
const CAUSES: usize = 12;

/// A run at one instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Instant {
    #[serde(rename = "at_s", serialize_with = "seconds")]
    pub at: SimTime,
    /// The faults that are on.
    pub faults: Vec<String>,
    pub services: Vec<ServiceInstant>,
}

/// A service at one instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceInstant {
    pub service: String,
    pub serving: Vec<String>,
    /// Name and state of each replica, in order of placement.
    pub replicas: Vec<(String, String)>,
    /// Places whose clients reach no replica that serves.
    pub cut_off: Vec<String>,
    /// What has begun and not ended.
    pub under_way: Vec<String>,
    /// What led to it, nearest first.
    pub causes: Vec<Line>,
}

/// The state of each service at an instant, and the lines of the story that led to it.
pub fn at(scenario: &Scenario, result: &RunResult, tape: &Tape, only: Option<ServiceId>, at: SimTime) -> Instant {
    let scene = Scene::new(scenario.topology.nodes.len(), tape);
    let stage = Stage { scenario, scene: &scene };
    let story = tell(scenario, result, tape, only);
    let active = scene.faults.iter().filter(|fault| fault.is_active(at));
    let fault = |fault: &super::scene::FaultSpan| {
        let until = fault.ended.map_or("to the end".into(), |ended| format!("until {}", time(ended)));
        format!("“{}” since {}, {until}", fault.told.label, time(fault.began))
    };
    let services = story.services.iter().map(|told| {
        let index = scenario.services.iter().position(|one| one.name == told.service).unwrap_or_default();
        let course = Course::new(ServiceId::from(index), &scenario.services[index].replicas, tape, &scene);
        let before = told.chapters.iter().flat_map(|chapter| chapter.heads.iter().chain(&chapter.lines));
        let mut before: Vec<Line> = before.filter(|line| line.at <= at).cloned().collect();
        before.reverse();
        before.sort_by_key(|line| std::cmp::Reverse(line.at));
        of_service(stage, &course, at, before)
    });
    Instant { at, faults: active.map(fault).collect(), services: services.collect() }
}

fn of_service(stage: Stage<'_>, course: &Course<'_>, at: SimTime, mut before: Vec<Line>) -> ServiceInstant {
    let words = stage.words();
    let serving = course.serving_at(at);
    let goes_on = |line: &&Line| {
        line.at < at
            && at < line.until
            && matches!(line.kind, Kind::ViewChange | Kind::Branches | Kind::Outage | Kind::Campaign | Kind::Suspicion)
    };
    let under_way = before.iter().filter(goes_on).map(|line| format!("{} {}", time(line.at), line.text)).collect();
    before.truncate(CAUSES);
    ServiceInstant {
        service: stage.scenario.service(course.service).to_owned(),
        serving: serving.iter().map(|&node| words.node(node).to_owned()).collect(),
        replicas: course
            .replicas
            .iter()
            .map(|&node| (words.node(node).to_owned(), replica(stage, course, node, at)))
            .collect(),
        cut_off: cut_off(stage, course.service, serving, at),
        under_way,
        causes: before,
    }
}

/// What a replica does, what it takes part in, and whom it does not reach.
fn replica(stage: Stage<'_>, course: &Course<'_>, node: NodeId, at: SimTime) -> String {
    let (scene, words) = (stage.scene, stage.words());
    let teller = Teller { stage, course, edges: &[] };
    let (life, since) = scene.life(node, at);
    let by = scene.holding(node, at);
    let by = if by.is_empty() { String::new() } else { format!(" ({})", stage.telling().faults(&by)) };
    match life {
        Life::Down => return format!("down since {}{by}", time(since)),
        Life::Paused => return format!("paused since {}{by}", time(since)),
        Life::Up => {}
    }
    let Some(state) = course.state(node, at) else { return "runs, and has not started this service".into() };
    let mut parts = Vec::new();
    parts.push(match (state.serving, state.role, state.candidate) {
        (true, ..) => "serves as primary".to_owned(),
        (false, Role::Listening, _) => "listens, and takes no part yet".into(),
        (false, Role::Leading, _) => "leads, and does not serve".into(),
        (false, Role::Following, Some(leader)) if leader != node => format!("follows {}", words.node(leader)),
        (false, Role::Following, _) => "follows nobody".into(),
    });
    if let Some((epoch, coordinator)) = state.view {
        parts.push(format!("view {epoch} of {} (by {})", teller.names(&state.members), words.node(coordinator)));
    }
    if state.frozen {
        parts.push("frozen for a view change".into());
    }
    if state.changing {
        parts.push("coordinates a view change".into());
    }
    let suspected = course.suspects(node, at);
    if !suspected.is_empty() {
        parts.push(format!("suspects {}", teller.names(&suspected)));
    }
    let reached = scene.reach(node, course.replicas, at);
    let cut: Vec<NodeId> =
        course.replicas.iter().copied().filter(|one| scene.runs(*one, at) && !reached.contains(one)).collect();
    if !cut.is_empty() {
        parts.push(format!("is cut off from {}", words.nodes(&cut)));
    }
    parts.join("; ")
}

/// Places whose clients reach nobody who serves.
fn cut_off(stage: Stage<'_>, service: ServiceId, serving: &[NodeId], at: SimTime) -> Vec<String> {
    let loads = stage.scenario.loads.iter().filter(|load| load.service == service);
    let mut places: Vec<DcId> = loads.flat_map(|load| load.from.iter().copied()).collect();
    places.sort_unstable();
    places.dedup();
    let reaches = |place: DcId| {
        let here = Endpoint::Place(place);
        serving.iter().any(|&node| {
            let there = Endpoint::Node(node);
            stage.scene.runs(node, at) && stage.scene.open(here, there, at) && stage.scene.open(there, here, at)
        })
    };
    places.into_iter().filter(|&place| !reaches(place)).map(|place| stage.scenario.place(place).to_owned()).collect()
}

impl ServiceInstant {
    /// Who serves, in words.
    pub fn who_serves(&self) -> String {
        match self.serving.as_slice() {
            [] => "nobody serves".into(),
            all => format!("{} {}", words::list(all), words::verb(all.len(), "serves", "serve")),
        }
    }
}
