//! Random dialogues with crashes, cuts, held disks, lost disks and new configurations: whatever was
//! acknowledged is in the one history, and everyone comes to the newest configuration.

use std::rc::Rc;

use super::replica::Part;
use super::tests::{describe, options};
use super::{Config, Options, Replica};
use crate::id::{ClientId, NodeId};
use crate::machine::{Machine, RequestId};
use crate::op::{Outcome, WriteKey};
use crate::protocols::theatre::{Theatre, groups, write};
use crate::rng::Stream;

const NODES: u32 = 5;
const CLIENTS: u32 = 4;

struct Soak {
    theatre: Theatre<Replica>,
    stream: Stream,
    asked: Vec<(RequestId, WriteKey)>,
    numbers: [u32; CLIENTS as usize],
    /// It ended with somebody who did not follow the leader.
    stuck: bool,
    /// Nodes whose disk stands still.
    held: [bool; NODES as usize],
    /// What happened, for a failure's message.
    story: Vec<String>,
}

impl Soak {
    fn new(seed: u64) -> Self {
        let options = Options { snapshot_entries: 6, ..options() };
        let config = |group| Rc::new(Config { options: options.clone(), group });
        let theatre = Theatre::new(groups(NODES).into_iter().map(config).collect(), describe);
        let stream = Stream::new(seed, "omnipaxos soak", &[]);
        let (numbers, held) = ([0; CLIENTS as usize], [false; NODES as usize]);
        Self { theatre, stream, asked: Vec::new(), numbers, stuck: false, held, story: Vec::new() }
    }

    fn command(&mut self, command: String) {
        self.theatre.command(&command);
        self.story.push(command);
    }

    fn any(&mut self) -> u32 {
        self.stream.below(u64::from(NODES)) as u32
    }

    fn members(&self) -> impl Iterator<Item = (NodeId, &Replica)> {
        self.theatre.nodes().into_iter().filter_map(|node| Some((node, self.theatre.machine(node)?)))
    }

    /// A lost disk is survived while all other disks hold what they acknowledged.
    fn may_lose_a_disk(&self) -> bool {
        let newest = self.members().map(|(_, machine)| machine.configuration.id).max();
        let settled = self.members().filter(|(_, machine)| {
            matches!(machine.part, Part::Member(..) | Part::Retired { .. }) && Some(machine.configuration.id) == newest
        });
        settled.count() == NODES as usize && self.held == [false; NODES as usize]
    }

    fn act(&mut self) {
        let (node, other) = (self.any(), self.any());
        match self.stream.below(16) {
            0..6 => self.write(),
            6 if node != other => self.command(format!("cut n{node} n{other}")),
            7 if node != other => self.command(format!("cut n{node} -> n{other}")),
            8 => self.command("heal".into()),
            9 => self.command(format!("crash n{node}")),
            10 | 11 if self.theatre.machine(NodeId(node)).is_none() => self.command(format!("boot n{node}")),
            12 => self.hold(node, true),
            13 => self.hold(node, false),
            14 if self.may_lose_a_disk() => {
                self.command(format!("wipe n{node}"));
                self.command(format!("boot n{node}"));
            }
            15 => self.reconfigure(),
            _ => {}
        }
        let millis = 1 + self.stream.below(400);
        self.command(format!("run {millis}"));
    }

    fn hold(&mut self, node: u32, held: bool) {
        self.held[node as usize] = held;
        self.command(format!("{} n{node}", if held { "hold" } else { "sync" }));
    }

    fn write(&mut self) {
        let client = self.stream.below(u64::from(CLIENTS)) as u32;
        let serving: Vec<NodeId> =
            self.members().filter(|(_, machine)| machine.serving()).map(|(node, _)| node).collect();
        for node in serving {
            self.numbers[client as usize] += 1;
            let number = self.numbers[client as usize];
            let id = self.theatre.ask(node, write(client, number));
            self.asked.push((id, WriteKey { client: ClientId(client), number }));
        }
    }

    fn reconfigure(&mut self) {
        let Some(leader) = self.theatre.leader() else { return };
        let mut nodes: Vec<u32> = (0..NODES).collect();
        self.stream.shuffle(&mut nodes);
        nodes.truncate(3 + self.stream.below(3) as usize);
        let names: Vec<String> = nodes.iter().map(|node| format!("n{node}")).collect();
        self.command(format!("reconfigure n{} {}", leader.0, names.join(" ")));
    }

    /// What was done, and where it ended.
    fn tell(&self) -> String {
        let machine = |(node, machine): (NodeId, &Replica)| {
            let part = match machine.part {
                Part::Member(..) => "takes part in",
                Part::Lost { .. } => "was lost before",
                Part::Retired { .. } => "is out of",
                Part::Failed => "failed in",
            };
            let (configuration, view) = (&machine.configuration, machine.view());
            format!("n{} {part} {configuration:?}, in view {view:?}, at {:?}", node.0, machine.tip())
        };
        let ends = self.members().map(machine);
        self.story.iter().cloned().chain(ends).collect::<Vec<_>>().join("\n")
    }

    /// Of any two histories one is a prefix of the other.
    fn agrees(&self) -> Result<(), String> {
        for (a, one) in self.members() {
            for (b, other) in self.members() {
                if one.tip().length >= other.tip().length && !one.covers(other.tip()) {
                    return Err(format!("n{} and n{} differ", a.0, b.0));
                }
            }
        }
        Ok(())
    }

    /// Whether somebody promised more than the leader has, and nobody asks it for more: the crate's limit that
    /// the module's documentation tells of, which the next election ends.
    fn stragglers(&self) -> bool {
        let leader = self.theatre.leader().and_then(|node| self.theatre.machine(node));
        leader.is_some_and(|lead| {
            let number = |machine: &Replica| match &machine.part {
                Part::Member(omni, _) if machine.configuration == lead.configuration => Some(omni.get_promise()),
                _ => None,
            };
            self.members().any(|(_, machine)| number(machine) > number(lead))
        })
    }

    fn end(&mut self) -> Result<u32, String> {
        self.command("heal".into());
        for node in 0..NODES {
            if self.theatre.machine(NodeId(node)).is_none() {
                self.command(format!("boot n{node}"));
            }
            self.command(format!("sync n{node}"));
        }
        self.command("run 10000".into());
        self.agrees()?;
        if self.stragglers() {
            self.stuck = true;
            let leader = self.theatre.leader().ok_or("there is no leader, or more than one")?;
            self.command(format!("crash n{}", leader.0));
            self.command(format!("boot n{}", leader.0));
            self.command("run 10000".into());
            self.agrees()?;
        }
        let leader = self.theatre.leader().ok_or("there is no leader, or more than one")?;
        let lead = self.theatre.machine(leader).expect("it leads");
        for (id, key) in &self.asked {
            if matches!(self.theatre.outcome(*id), Some(Outcome::Done(_))) && !lead.applied(*key) {
                return Err(format!("c{}.{} was acknowledged and is gone", key.client.0, key.number));
            }
        }
        for (node, machine) in self.members() {
            // Who is out and stays out says nothing, so nobody tells it of a newer configuration.
            let is_out = match machine.part {
                Part::Lost { .. } => true,
                Part::Retired { .. } => lead.configuration.pid(node).is_none(),
                Part::Member(..) | Part::Failed => false,
            };
            if !is_out && machine.configuration != lead.configuration {
                return Err(format!("n{} stays in configuration {}", node.0, machine.configuration.id));
            }
            if matches!(machine.part, Part::Failed) {
                return Err(format!("the crate failed at n{}", node.0));
            }
            if matches!(machine.part, Part::Member(..)) && machine.view() != lead.view() {
                return Err(format!("n{} follows {:?}, not {:?}", node.0, machine.view(), lead.view()));
            }
        }
        Ok(lead.configuration.id)
    }
}

#[test]
fn nothing_acknowledged_is_lost_through_any_configurations() {
    let (mut configurations, mut acknowledged, mut stuck) = (0, 0, 0);
    for seed in 0..300 {
        let mut soak = Soak::new(seed);
        soak.command("run 1000".into());
        let mut result = Ok(());
        for _ in 0..80 {
            soak.act();
            result = result.and_then(|()| soak.agrees());
        }
        let ended = result.and_then(|()| soak.end());
        let newest = ended.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}\n{}", soak.tell()));
        configurations += newest - 1;
        stuck += u32::from(soak.stuck);
        let done = |(id, _): &&(RequestId, WriteKey)| matches!(soak.theatre.outcome(*id), Some(Outcome::Done(_)));
        acknowledged += soak.asked.iter().filter(done).count();
    }
    println!("{configurations} configurations ended, {acknowledged} writes acknowledged, {stuck} times stragglers");
    assert!(configurations > 300 && acknowledged > 3_000, "{configurations}, {acknowledged}: nothing was tried");
}
