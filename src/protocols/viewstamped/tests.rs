//! The protocol's dialogues, one a section of "Viewstamped Replication Revisited".

use std::rc::Rc;

use super::{Config, Message, Options, Replica};
use crate::protocols::theatre::{groups, play};
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

fn configs(count: u32, snapshot_entries: u64) -> Vec<Rc<Config>> {
    let (election_timeout, heartbeat) = (Duration::from_secs(3), Duration::from_millis(300));
    let options = Options { election_timeout, heartbeat, snapshot_entries };
    let config = |group| Rc::new(Config { options: options.clone(), group, mutation: None });
    groups(count).into_iter().map(config).collect()
}

fn transcript(name: &str, count: u32, snapshot_entries: u64) {
    let path = format!("src/protocols/viewstamped/transcripts/{name}.txt");
    play::<Replica>(&path, configs(count, snapshot_entries), describe);
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
