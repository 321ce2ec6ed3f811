//! The write-ahead log of a replica, and how a start reads it.

use std::rc::Rc;

use super::config::Config;
use super::entry::{Entry, Journaled};
use super::log::{Chain, Image, Log};
use super::message::View;
use super::state::State;

/// A record on the disk.
#[derive(Clone, Debug)]
pub enum Record {
    Append(Vec<Rc<Entry>>),
    /// Switches log and view at once: keep `keep` entries, then these.
    Install {
        keep: u64,
        entries: Vec<Rc<Entry>>,
        view: View,
    },
    /// The whole log on an image, and the view: after compaction, a foreign base, or a correction.
    Snapshot {
        image: Rc<Image>,
        entries: Vec<Rc<Entry>>,
        view: Option<View>,
        /// Writes that a bad link cut off.
        aside: Rc<[Journaled]>,
    },
}

/// What a disk holds.
#[derive(Debug)]
pub struct Read {
    pub log: Log,
    pub view: Option<View>,
    pub aside: Rc<[Journaled]>,
}

impl Record {
    /// Bytes on the disk; saturates at 4 GiB.
    pub fn bytes(&self) -> u32 {
        let entries = |entries: &[Rc<Entry>]| entries.iter().map(|entry| u64::from(entry.bytes())).sum::<u64>();
        let body = match self {
            Self::Append(new) => entries(new),
            Self::Install { entries: new, view, .. } => 32 + 4 * view.members.len() as u64 + entries(new),
            Self::Snapshot { image, entries: new, aside, .. } => {
                32 + image.state.bytes() + entries(new) + aside.iter().map(|one| u64::from(one.bytes())).sum::<u64>()
            }
        };
        u32::try_from(16 + body).unwrap_or(u32::MAX)
    }
}

/// Reads the records in order. One that does not link or is not sound is passed over, and what builds on it
/// with it: other replicas bring that again.
pub fn read(config: &Config, records: &[Record]) -> Read {
    let mut chain = Chain { base: empty_image(config), entries: Vec::new() };
    let mut view = None;
    let mut kept: Rc<[Journaled]> = Rc::new([]);
    for record in records {
        match record {
            Record::Append(new) if chain.links(new) => chain.entries.extend(new.iter().cloned()),
            Record::Append(_) => {}
            Record::Install { keep, entries, view: installed } => {
                let prefix = chain.prefix(*keep);
                if prefix.length() == *keep && prefix.links(entries) {
                    chain = prefix;
                    chain.entries.extend(entries.iter().cloned());
                    view = Some(installed.clone());
                }
            }
            Record::Snapshot { image, entries, view: installed, aside } => {
                let fresh = Chain { base: image.clone(), entries: Vec::new() };
                if image.is_sound() && fresh.links(entries) {
                    chain = fresh;
                    chain.entries.extend(entries.iter().cloned());
                    view.clone_from(installed);
                    kept = aside.clone();
                }
            }
        }
    }
    Read { log: Log::from_chain(chain), view, aside: kept }
}

/// The image of a replica that knows nothing.
pub fn empty_image(config: &Config) -> Rc<Image> {
    Image::new(crate::op::Tip::default(), State::new(config.replica_set.clone()))
}
