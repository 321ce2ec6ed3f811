//! Faults at random: what a timeline can do, and a few patterns of it that single faults seldom make.

use serde_json::{Map, Value, json};

use super::ground::Ground;
use super::swarm::{Input, Intensity};
use crate::rng::Stream;
use crate::time::Duration;

/// What an entry of a timeline does, by its name in scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Crash,
    Restart,
    Pause,
    Slow,
    Clock,
    Corrupt,
    Partition,
    Cut,
    Flap,
    Degrade,
    Heal,
    Load,
}

impl Action {
    pub const ALL: [Self; 12] = [
        Self::Crash,
        Self::Restart,
        Self::Pause,
        Self::Slow,
        Self::Clock,
        Self::Corrupt,
        Self::Partition,
        Self::Cut,
        Self::Flap,
        Self::Degrade,
        Self::Heal,
        Self::Load,
    ];

    /// All but corruption, which most promises do not survive.
    pub fn usual() -> Vec<Self> {
        Self::ALL.into_iter().filter(|&action| action != Self::Corrupt).collect()
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Slow => "slow",
            Self::Clock => "clock",
            Self::Corrupt => "corrupt",
            Self::Partition => "partition",
            Self::Cut => "cut",
            Self::Flap => "flap",
            Self::Degrade => "degrade",
            Self::Heal => "heal",
            Self::Load => "load",
        }
    }

    /// Between machines, so that there must be two.
    const fn is_of_network(self) -> bool {
        matches!(self, Self::Partition | Self::Cut | Self::Flap | Self::Degrade | Self::Heal)
    }

    pub(super) fn has_room(self, ground: &Ground) -> bool {
        !self.is_of_network() || ground.nodes.len() > 1
    }
}

/// An entry of a timeline.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at_ms: u64,
    pub for_ms: Option<u64>,
    pub action: Action,
    /// The fields of the action.
    pub body: Map<String, Value>,
}

impl Entry {
    /// Whether it can have a length: the others are over at once.
    pub fn may_last(&self) -> bool {
        !matches!(self.action, Action::Restart | Action::Clock | Action::Corrupt | Action::Heal)
    }

    pub fn to_value(&self) -> Value {
        let time = |ms: u64| Value::from(Duration::from_millis(ms).to_string());
        let mut fields = Map::new();
        fields.insert("at".into(), time(self.at_ms));
        fields.insert("do".into(), self.action.name().into());
        fields.extend(self.body.clone());
        fields.extend(self.for_ms.map(|lasts| ("for".to_owned(), time(lasts))));
        Value::Object(fields)
    }
}

/// Adds a fault of one of these kinds, or a pattern of it.
pub fn add(ground: &Ground, kinds: &[Action], intensity: Intensity, input: &mut Input, stream: &mut Stream) {
    let action = kinds[stream.below(kinds.len() as u64) as usize];
    let last = if input.quiet { ground.quiet_ms } else { ground.duration_ms };
    let at_ms = (ground.from_ms + stream.below(last - ground.from_ms)) / 10 * 10;
    let lasts = 10 * (1 + stream.below(intensity.longest_ms / 10));
    let stays = stream.chance(intensity.stays);
    let body = body(action, ground, intensity.loses_disks, stream);
    let mut entry = Entry { at_ms, for_ms: None, action, body };
    entry.for_ms = (entry.may_last() && !stays).then_some(lasts);
    match action {
        Action::Pause if stream.chance(0.3) => jerks(&entry, &mut input.timeline, stream),
        Action::Partition if stream.chance(0.4) => moves(&entry, ground, &mut input.timeline, stream),
        Action::Crash if stream.chance(0.2) => rolls(&entry, ground, intensity, &mut input.timeline, stream),
        _ => input.timeline.push(entry),
    }
}

/// The same fault with other targets and strength.
pub fn again(entry: &Entry, ground: &Ground, stream: &mut Stream) -> Entry {
    let loses_disks = if entry.body.get("disk").is_some() { 0.5 } else { 0.0 };
    Entry { body: body(entry.action, ground, loses_disks, stream), ..entry.clone() }
}

/// Processes that run in jerks: they pause again and again.
fn jerks(entry: &Entry, timeline: &mut Vec<Entry>, stream: &mut Stream) {
    let lasts = 10 * (20 + stream.below(380));
    let period = lasts + 10 * (10 + stream.below(190));
    for jerk in 0..2 + stream.below(5) {
        timeline.push(Entry { at_ms: entry.at_ms + jerk * period, for_ms: Some(lasts), ..entry.clone() });
    }
}

/// A split that moves: each lasts until another takes its place.
fn moves(entry: &Entry, ground: &Ground, timeline: &mut Vec<Entry>, stream: &mut Stream) {
    let mut at_ms = entry.at_ms;
    for _ in 0..2 + stream.below(3) {
        let lasts = 10 * (20 + stream.below(780));
        timeline.push(Entry { at_ms, for_ms: Some(lasts), ..again(entry, ground, stream) });
        at_ms += lasts;
    }
}

/// Crashes one after the other.
fn rolls(entry: &Entry, ground: &Ground, intensity: Intensity, timeline: &mut Vec<Entry>, stream: &mut Stream) {
    let mut nodes = ground.nodes.clone();
    stream.shuffle(&mut nodes);
    let mut at_ms = entry.at_ms;
    for node in nodes.into_iter().take(2 + stream.below(4) as usize) {
        let mut body = Map::new();
        body.insert("nodes".into(), json!([node]));
        put_disk(&mut body, intensity.loses_disks, stream);
        timeline.push(Entry { at_ms, body, ..entry.clone() });
        at_ms += 10 * (10 + stream.below(590));
    }
}

/// Slowness multiplies: twice the worst would stop a disk for longer than the run.
pub fn tame(timeline: &mut [Entry]) {
    let slow = timeline.iter_mut().filter(|entry| entry.action == Action::Slow);
    for entry in slow.skip(1) {
        entry.body.insert("factor".into(), json!(3));
    }
}

fn body(action: Action, ground: &Ground, loses_disks: f64, stream: &mut Stream) -> Map<String, Value> {
    let mut body = match action {
        Action::Partition => [("groups".to_owned(), groups(ground, stream))].into_iter().collect(),
        Action::Cut => {
            let [from, to] = sides(ground, stream);
            [("from".to_owned(), from), ("to".to_owned(), to)].into_iter().collect()
        }
        Action::Flap | Action::Degrade => [("between".to_owned(), json!(sides(ground, stream)))].into_iter().collect(),
        Action::Heal => Map::new(),
        Action::Load => [("service".to_owned(), json!(one(&ground.loaded, stream)))].into_iter().collect(),
        _ => targets(ground, stream),
    };
    let mut put = |name: &str, value: Value| _ = body.insert(name.to_owned(), value);
    let mut ms = |from: u64, to: u64| json!(format!("{}ms", from + 10 * stream.below((to - from) / 10)));
    match action {
        Action::Flap => {
            put("up", ms(200, 4_000));
            put("down", ms(200, 4_000));
        }
        Action::Degrade => {
            put("add_delay", ms(10, 500));
            put("loss", percent(20, stream));
            put("duplicate", percent(20, stream));
            put("reorder", percent(30, stream));
        }
        Action::Clock => {
            let ahead = stream.chance(0.5);
            put("jump", json!(format!("{}{}ms", if ahead { "" } else { "-" }, 10 + stream.below(4_000))));
            put("drift_ppm", json!(stream.below(1_000) as i64 - 500));
        }
        Action::Slow => put("factor", json!([10, 100, 1_000, 3_000][stream.below(4) as usize])),
        Action::Cut if stream.chance(0.5) => put("one_way", json!(true)),
        Action::Corrupt => {
            put("what", json!(["all", "all", "volatile", "log", "messages"][stream.below(5) as usize]));
        }
        Action::Load => put("factor", json!([0.1, 3.0, 10.0][stream.below(3) as usize])),
        Action::Crash => put_disk(&mut body, loses_disks, stream),
        _ => {}
    }
    body
}

fn put_disk(body: &mut Map<String, Value>, loses_disks: f64, stream: &mut Stream) {
    if stream.chance(loses_disks) {
        body.insert("disk".into(), "lost".into());
    }
}

fn percent(most: u64, stream: &mut Stream) -> Value {
    json!(stream.below(most + 1) as f64 / 100.0)
}

fn one<'a>(names: &'a [String], stream: &mut Stream) -> &'a str {
    &names[stream.below(names.len() as u64) as usize]
}

/// From one to `most` of these names, in their order.
fn some(names: &[String], most: usize, stream: &mut Stream) -> Vec<String> {
    let mut places: Vec<usize> = (0..names.len()).collect();
    stream.shuffle(&mut places);
    places.truncate(1 + stream.below(most.clamp(1, names.len()) as u64) as usize);
    places.sort_unstable();
    places.into_iter().map(|place| names[place].clone()).collect()
}

/// Which machines: by name most often, so that what is found can be made smaller.
fn targets(ground: &Ground, stream: &mut Stream) -> Map<String, Value> {
    let all = ground.nodes.len();
    let (name, value) = match stream.below(10) {
        0..5 => ("nodes", json!(some(&ground.nodes, all, stream))),
        5 => ("data_centers", json!(some(&ground.data_centers, ground.data_centers.len(), stream))),
        6 => ("zones", json!(some(&ground.zones, ground.zones.len(), stream))),
        7 => ("random", json!({"count": 1 + stream.below(all as u64)})),
        8 => ("majority_of", json!(one(&ground.services, stream))),
        _ => ("primary_of", json!(one(&ground.services, stream))),
    };
    [(name.to_owned(), value)].into_iter().collect()
}

/// Data centers, or nodes: what sides and groups are made of.
fn units<'a>(ground: &'a Ground, stream: &mut Stream) -> &'a [String] {
    let sites = ground.data_centers.len() > 1 && stream.chance(0.5);
    if sites { &ground.data_centers } else { &ground.nodes }
}

/// Two sides that exclude each other, the second perhaps the rest.
fn sides(ground: &Ground, stream: &mut Stream) -> [Value; 2] {
    let units = units(ground, stream);
    let left = some(units, units.len() - 1, stream);
    let rest: Vec<String> = units.iter().filter(|unit| !left.contains(unit)).cloned().collect();
    let right = if stream.chance(0.4) { json!("*") } else { json!(some(&rest, rest.len(), stream)) };
    [json!(left), right]
}

/// Two or three groups, the last of them the rest.
fn groups(ground: &Ground, stream: &mut Stream) -> Value {
    let units = units(ground, stream);
    let first = some(units, units.len() - 1, stream);
    let rest: Vec<String> = units.iter().filter(|unit| !first.contains(unit)).cloned().collect();
    if rest.len() > 1 && stream.chance(0.3) {
        let second = some(&rest, rest.len() - 1, stream);
        json!([first, second, ["*"]])
    } else {
        json!([first, ["*"]])
    }
}
