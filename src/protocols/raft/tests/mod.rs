//! Tests of the adapter: dialogues with all messages, and what the crate's own interface promises.

mod dialogues;
mod driver;

use std::rc::Rc;

use super::{AfterDiskLoss, Config, Options, Reads};
use crate::protocols::theatre::groups;
use crate::time::Duration;

fn options() -> Options {
    Options {
        election_timeout: (Duration::from_millis(300), Duration::from_millis(600)),
        heartbeat: Duration::from_millis(100),
        tick: Duration::from_millis(10),
        pre_vote: true,
        check_quorum: true,
        reads: Reads::ReadIndex,
        after_disk_loss: AfterDiskLoss::StayOut,
        snapshot_entries: 100,
        mutation: None,
    }
}

fn configs(count: u32, options: &Options) -> Vec<Rc<Config>> {
    let config = |group| Rc::new(Config { options: options.clone(), group });
    groups(count).into_iter().map(config).collect()
}
