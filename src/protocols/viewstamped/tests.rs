//! The protocol's dialogues, one a section of "Viewstamped Replication Revisited".

use std::rc::Rc;

use super::{Config, Message, Mutation, Options, Replica, Standing};
use crate::id::NodeId;
use crate::machine::{Input, Machine};
use crate::op::Outcome;
use crate::protocols::Group;
use crate::protocols::theatre::{Theatre, groups, play, write};
use crate::time::Duration;

fn describe(message: &Message) -> String {
    let part = |log: &super::log::Part| {
        let image = if log.image.is_some() { "image and " } else { "" };
        format!("{image}{} after {}", log.entries.len(), log.after)
    };
    let group = |epochs: &super::log::Epochs| format!("epoch {}", epochs.current.epoch);
    let view = message.view().map_or_else(String::new, |view| match view.epoch {
        0 => format!("view {}", view.number),
        epoch => format!("epoch {epoch} view {}", view.number),
    });
    match message {
        Message::Prepare { after, entries, commit, .. } => {
            format!("{view}, {} after {after}, commit {commit}", entries.len())
        }
        Message::PrepareOk { op, .. } => format!("{view}, {op}"),
        Message::Commit { commit, .. } => format!("{view}, {commit}"),
        Message::StartViewChange { .. } => view,
        Message::DoViewChange { vote, .. } => {
            let (normal, op, commit) = (vote.last_normal.number, vote.op, vote.commit);
            format!("{view}, normal in {normal}, op {op}, commit {commit}, {}", part(&vote.log))
        }
        Message::StartView { log, commit, .. } | Message::NewState { log, commit, .. } => {
            format!("{view}, {}, commit {commit}", part(log))
        }
        Message::GetState { op, .. } => format!("{view}, after {op}"),
        Message::Recovery { .. } => String::new(),
        Message::RecoveryResponse { view, whole, .. } => {
            let whole = whole.as_ref().map_or(String::new(), |whole| format!(", {}", part(&whole.log)));
            format!("view {}{whole}", view.number)
        }
        Message::StartEpoch { epochs } => group(epochs),
        Message::EpochStarted { epoch } => format!("epoch {epoch}"),
    }
}

fn configs(count: u32, snapshot_entries: u64, mutation: Option<Mutation>) -> Vec<Rc<Config>> {
    let (election_timeout, heartbeat) = (Duration::from_secs(3), Duration::from_millis(300));
    let options = Options { election_timeout, heartbeat, snapshot_entries, mutation };
    let config = |group| Rc::new(Config { options: options.clone(), group });
    groups(count).into_iter().map(config).collect()
}

fn transcript(name: &str, count: u32, snapshot_entries: u64) {
    let path = format!("src/protocols/viewstamped/transcripts/{name}.txt");
    play::<Replica>(&path, configs(count, snapshot_entries, None), describe);
}

#[test]
fn section_4_1_normal_operation() {
    transcript("4.1-normal-operation", 3, 100);
}

#[test]
fn section_4_2_view_change() {
    transcript("4.2-view-change", 3, 100);
}

#[test]
fn section_4_2_a_minority_waits_one_view_ahead() {
    transcript("4.2-minority", 5, 100);
}

#[test]
fn section_4_2_the_next_primary_is_dead_too() {
    transcript("4.2-two-primaries-dead", 5, 100);
}

#[test]
fn section_4_2_an_uncommitted_suffix_is_replaced() {
    transcript("4.2-suffix-replaced", 3, 100);
}

#[test]
fn section_4_2_one_who_cannot_hear_the_primary_replaces_it() {
    transcript("4.2-deaf-backup", 3, 100);
}

#[test]
fn section_4_3_recovery_of_a_lost_disk() {
    transcript("4.3-recovery", 3, 100);
}

#[test]
fn section_4_3_a_lost_primary_waits_for_a_view_change() {
    transcript("4.3-lost-primary", 3, 100);
}

#[test]
fn section_4_3_a_majority_of_disks_lost() {
    transcript("4.3-majority-lost", 3, 100);
}

#[test]
fn section_5_1_recovery_from_a_checkpoint() {
    transcript("5.1-checkpoint", 3, 2);
}

#[test]
fn section_5_2_state_transfer() {
    transcript("5.2-state-transfer", 3, 100);
}

#[test]
fn section_5_2_state_transfer_beyond_the_log() {
    transcript("5.2-image", 3, 2);
}

#[test]
fn section_5_3_the_new_primary_asks_for_more() {
    transcript("5.3-primary-asks", 3, 100);
}

#[test]
fn section_7_reconfiguration() {
    transcript("7-reconfiguration", 5, 100);
}

#[test]
fn section_7_3_replaced_replicas_bring_a_new_one_up() {
    transcript("7.3-new-member", 5, 2);
}

#[test]
fn disks_a_crash_of_all_forgets_nothing() {
    transcript("disks-crash-of-all", 3, 100);
}

#[test]
fn disks_a_primary_that_starts_again_changes_the_view() {
    transcript("disks-primary-restarts", 3, 100);
}

/// Newcomers whom no configuration names start on empty disks, and replace everybody, one by one and then two at
/// once. They have the state before the epoch begins that counts on them, and the first of each set leads.
#[test]
fn newcomers_replace_everybody_and_the_first_leads() {
    let mut stage = Theatre::<Replica>::new(configs(3, 20, None), |_| String::new());
    stage.run(500);
    let mut set = stage.nodes();
    let (mut number, mut gap) = (0, 0);
    for count in [1, 1, 2, 3] {
        let members = set.clone();
        for _ in 0..count {
            let me = NodeId::from(stage.nodes().len());
            let group = Group { me, members: members.clone(), ..groups(3).remove(0) };
            let config = configs(3, 20, None).remove(0);
            stage.arrive(Rc::new(Config { group, ..(*config).clone() }));
            set.remove(0);
            set.push(me);
        }
        stage.run(2_000);
        let primary = stage.leader().expect("a primary");
        assert!(members.contains(&primary), "the newcomers wait");
        stage.step(primary, Input::Reconfigure(set.clone()));
        let mut since = stage.now;
        for _ in 0..200 {
            number += 1;
            let asked = stage.leader().map(|primary| stage.ask(primary, write(number, 1)));
            stage.run(50);
            if asked.is_some_and(|id| matches!(stage.outcome(id), Some(Outcome::Done(_)))) {
                gap = gap.max(stage.now.since(since).as_nanos() / 1_000_000);
                since = stage.now;
            }
        }
        assert_eq!(stage.leader(), Some(set[0]), "{set:?}");
        let status = stage.machine(set[0]).map(Machine::status).expect("it runs");
        let mut members = set.clone();
        members.sort_unstable();
        assert_eq!((&status.replica_set, &status.members, &status.synced), (&set, &members, &members));
        for gone in stage.nodes().into_iter().filter(|node| !set.contains(node)) {
            assert!(stage.machine(gone).is_none_or(|gone| gone.status().released), "n{}", gone.0);
            stage.crash(gone);
        }
    }
    println!("the longest gap between answers is {gap} ms");
    assert!(gap < 1_000, "{gap} ms");
}

/// The list is the same, and another one leads: it begins an epoch in which the first does.
#[test]
fn the_same_group_is_asked_for_with_another_primary() {
    let mut stage = Theatre::<Replica>::new(configs(3, 100, None), |_| String::new());
    stage.run(500);
    for set in [[2, 0, 1], [2, 1, 0], [0, 1, 2]] {
        let set = set.map(NodeId).to_vec();
        let primary = stage.leader().expect("a primary");
        stage.step(primary, Input::Reconfigure(set.clone()));
        stage.run(1_000);
        assert_eq!(stage.leader(), Some(set[0]));
    }
}

/// A newcomer that took part, and starts again, has not forgotten what it promised.
#[test]
fn a_newcomer_starts_again_as_a_member() {
    let mut stage = Theatre::<Replica>::new(configs(3, 100, None), |_| String::new());
    stage.run(500);
    let set: Vec<NodeId> = (0..4).map(NodeId).collect();
    let group = Group { me: NodeId(3), members: stage.nodes(), ..groups(3).remove(0) };
    let newcomer = stage.arrive(Rc::new(Config { group, ..(*configs(3, 100, None).remove(0)).clone() }));
    stage.crash(newcomer);
    stage.boot(newcomer);
    stage.step(NodeId(0), Input::Reconfigure(set));
    stage.run(1_000);
    stage.ask(NodeId(0), write(1, 1));
    stage.run(200);
    let before = stage.machine(newcomer).map(|one| (one.view, one.log.end())).expect("it runs");
    stage.crash(newcomer);
    stage.boot(newcomer);
    let one = stage.machine(newcomer).expect("it runs");
    assert_eq!((one.view, one.log.end()), before);
    assert!(!matches!(one.standing, Standing::Recovering | Standing::Retired));
}

/// A few thousand moments of everything at once, reconfigurations among it, on a stage where each is known.
mod at_random {
    use super::configs;
    use crate::id::NodeId;
    use crate::machine::{Machine, RequestId};
    use crate::op::{Outcome, WriteKey};
    use crate::protocols::theatre::{Theatre, write};
    use crate::protocols::viewstamped::{Mutation, Replica};
    use crate::rng::Stream;

    const NODES: u64 = 5;

    struct Drill {
        theatre: Theatre<Replica>,
        stream: Stream,
        asked: Vec<(RequestId, WriteKey)>,
        /// The only one that ever loses its disk: a group of three survives no second.
        unlucky: u64,
    }

    impl Drill {
        fn new(seed: u64, mutation: Option<Mutation>) -> Self {
            let mut stream = Stream::new(seed, "viewstamped at random", &[]);
            let unlucky = stream.below(NODES);
            let mut theatre = Theatre::new(configs(5, 5, mutation), |_| String::new());
            if !seed.is_multiple_of(2) {
                theatre.weather(Some(Stream::new(seed, "viewstamped in a storm", &[])));
            }
            Self { theatre, stream, asked: Vec::new(), unlucky }
        }

        fn node(&mut self) -> u64 {
            self.stream.below(NODES)
        }

        fn write(&mut self, node: u64) {
            let client = self.asked.len() as u32;
            let request = write(client, 1);
            let id = self.theatre.ask(NodeId(node as u32), request);
            self.asked.push((id, request.write_key()));
        }

        /// Mostly whom a client would ask.
        fn primary_or(&mut self, node: u64) -> u64 {
            let primary = self.theatre.leader().filter(|_| self.stream.chance(0.8));
            primary.map_or(node, |primary| u64::from(primary.0))
        }

        fn group(&mut self) -> String {
            let mut nodes: Vec<u64> = (0..NODES).collect();
            self.stream.shuffle(&mut nodes);
            nodes.truncate(3 + self.stream.below(3) as usize);
            nodes.iter().map(|node| format!("n{node} ")).collect()
        }

        fn step(&mut self) {
            let (a, b) = (self.node(), self.node());
            let down = self.theatre.machine(NodeId(a as u32)).is_none();
            match self.stream.below(20) {
                0 if a != b => self.theatre.command(&format!("cut n{a} n{b}")),
                1 if a != b => self.theatre.command(&format!("cut n{a} -> n{b}")),
                2..=4 => self.theatre.command("heal"),
                5 if !down => self.theatre.command(&format!("crash n{a}")),
                6 if self.stream.chance(0.3) => {
                    let unlucky = self.unlucky;
                    self.theatre.command(&format!("wipe n{unlucky}"));
                }
                7 => self.theatre.command(&format!("hold n{a}")),
                8 => self.theatre.command(&format!("sync n{a}")),
                9 => {
                    let (at, group) = (self.primary_or(a), self.group());
                    self.theatre.command(&format!("reconfigure n{at} {group}"));
                }
                10..=12 if down => self.theatre.command(&format!("boot n{a}")),
                _ => {
                    let at = self.primary_or(a);
                    self.write(at);
                    let millis = [1, 15, 60, 500, 4_000][self.stream.below(5) as usize];
                    self.theatre.run(millis);
                }
            }
        }

        /// Of any two committed histories one is a prefix of the other.
        fn agree(&self) -> Result<(), String> {
            let machines: Vec<&Replica> =
                self.theatre.nodes().iter().filter_map(|&n| self.theatre.machine(n)).collect();
            for one in &machines {
                for other in machines.iter().filter(|other| other.tip().length >= one.tip().length) {
                    if !other.covers(one.tip()) {
                        return Err(format!("n{} and n{} differ", one.me().0, other.me().0));
                    }
                }
            }
            Ok(())
        }

        fn play(&mut self) -> Result<(), String> {
            for at in 0..150 {
                self.step();
                self.agree().map_err(|what| format!("step {at}: {what}"))?;
            }
            self.end().map_err(|what| format!("at the end: {what}"))
        }

        fn states(&self) -> String {
            let state = |node| match self.theatre.machine(node) {
                None => "down".into(),
                Some(one) => format!(
                    "{:?} in {:?}, normal in {:?}, commit {} of {}, group {:?}, coming {:?}",
                    one.standing,
                    one.view,
                    one.last_normal,
                    one.commit(),
                    one.log.end(),
                    one.epochs.current.members,
                    one.coming
                ),
            };
            self.theatre.nodes().into_iter().map(|node| format!("\n  n{}: {}", node.0, state(node))).collect()
        }

        /// Everything is well again: there is one primary, it has every acknowledged write, and all follow it.
        fn end(&mut self) -> Result<(), String> {
            self.theatre.command("heal");
            self.theatre.weather(None);
            for node in 0..NODES {
                self.theatre.command(&format!("sync n{node}"));
                if self.theatre.machine(NodeId(node as u32)).is_none() {
                    self.theatre.command(&format!("boot n{node}"));
                }
            }
            self.theatre.run(90_000);
            let leader = self.theatre.leader().ok_or_else(|| format!("no primary, or two:{}", self.states()))?;
            self.write(u64::from(leader.0));
            self.theatre.run(2_000);
            self.agree()?;
            let primary = self.theatre.machine(leader).ok_or("its primary is down")?;
            let done = |id| matches!(self.theatre.outcome(id), Some(Outcome::Done(_)));
            if let Some((_, key)) = self.asked.iter().find(|&&(id, key)| done(id) && !primary.applied(key)) {
                return Err(format!("{key:?} was acknowledged, and is lost"));
            }
            if !self.asked.last().is_some_and(|&(id, _)| done(id)) {
                return Err(format!("the primary is stuck:{}", self.states()));
            }
            let follows = |one: &Replica| (one.view(), one.tip()) == (primary.view(), primary.tip());
            let group = &primary.epochs.current.members;
            match group.iter().find(|&&node| !self.theatre.machine(node).is_some_and(follows)) {
                Some(node) => Err(format!("n{} does not follow:{}", node.0, self.states())),
                None => Ok(()),
            }
        }
    }

    #[test]
    fn epochs_views_and_recoveries_keep_one_history() {
        let (mut epochs, mut acknowledged, mut wrong) = (0, 0, Vec::new());
        let full = std::env::var("FIREDRILL_SWEEP").is_ok_and(|sweep| sweep == "full");
        let seeds: u64 = if full { 4_000 } else { 400 };
        for seed in 0..seeds {
            let mut drill = Drill::new(seed, None);
            if let Err(what) = drill.play() {
                wrong.push(format!("seed {seed}: {what}"));
                continue;
            }
            let machines = drill.theatre.nodes().into_iter().filter_map(|node| drill.theatre.machine(node));
            epochs += machines.map(|one| one.view.epoch).max().unwrap_or(0);
            let done = drill.theatre.replies.iter().filter(|(.., outcome)| matches!(outcome, Outcome::Done(_)));
            acknowledged += done.count();
        }
        assert!(wrong.is_empty(), "{} of {seeds} seeds:\n{}", wrong.len(), wrong.join("\n"));
        println!("{epochs} epochs, {acknowledged} writes acknowledged");
        assert!(
            epochs > seeds && acknowledged > 10 * seeds as usize,
            "{epochs} epochs, {acknowledged} writes: a drill of nothing"
        );
    }

    #[test]
    fn the_drill_catches_each_defect() {
        for mutation in [Mutation::AckBeforeCommit, Mutation::RecoverWithoutProtocol] {
            let wrong: Vec<String> =
                (0..400).filter_map(|seed| Drill::new(seed, Some(mutation)).play().err()).collect();
            println!("{mutation:?}: {} of 400, first {:?}", wrong.len(), wrong.first());
            assert!(!wrong.is_empty(), "{mutation:?} shows in no run");
        }
    }
}
