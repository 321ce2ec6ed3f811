//! The control's dialogues.

use std::rc::Rc;

use super::{Config, Message, Options, Replica};
use crate::protocols::theatre::{groups, play};
use crate::time::Duration;

fn describe(message: &Message) -> String {
    match message {
        Message::Updates { epoch, base, updates, committed } => {
            format!("epoch {epoch}, {} after {base}, committed {committed}", updates.len())
        }
        Message::Image { epoch, store } => format!("epoch {epoch}, of {}", store.tip().length),
        Message::Holds { epoch, length, .. } => format!("epoch {epoch}, {length}"),
    }
}

fn transcript(name: &str, snapshot_entries: u64) {
    let options = Options { heartbeat: Duration::from_millis(300), snapshot_entries };
    let configs = groups(3).into_iter().map(|group| Rc::new(Config { options: options.clone(), group })).collect();
    play::<Replica>(&format!("src/protocols/static_primary/transcripts/{name}.txt"), configs, describe);
}

#[test]
fn a_write_waits_for_every_backup() {
    transcript("a-write", 100);
}

#[test]
fn nothing_is_acknowledged_while_one_backup_is_down() {
    transcript("a-backup-is-down", 100);
}

#[test]
fn what_a_crashed_primary_had_not_made_durable_is_dropped_everywhere() {
    transcript("a-primary-forgets", 100);
}

#[test]
fn a_lost_backup_is_filled_again_and_a_lost_primary_stays_out() {
    transcript("disks-are-lost", 2);
}
