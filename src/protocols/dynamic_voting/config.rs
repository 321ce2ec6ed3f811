//! What a replica is told, and what follows from that alone.

use std::rc::Rc;

use super::options::Options;
use super::view::View;
use crate::protocols::Group;
use crate::time::Duration;

/// What a replica is told once.
#[derive(Clone, Debug)]
pub struct Config {
    pub options: Options,
    pub group: Group,
}

crate::protocols::mutations! {
    AcknowledgeAlone "acknowledge-alone"
        "The primary acknowledges a write once it is durable on its own disk."
    IgnoreAttempts "ignore-attempts"
        "Views that were attempted, and may have been installed, are not minded."
}

impl Config {
    /// The view that everybody is in before the first start.
    pub(super) fn first_view(&self) -> Rc<View> {
        let members = self.group.members.clone();
        Rc::new(View { number: members.len() as u64, primary: members[0], members })
    }

    /// The least number above `above` that only this replica uses.
    pub(super) fn next_number(&self, above: u64) -> u64 {
        let members = &self.group.members;
        let place = members.iter().position(|&node| node == self.group.me).unwrap_or(0) as u64;
        (above / members.len() as u64 + 1) * members.len() as u64 + place
    }

    /// How long an answer may take before what was sent is repeated.
    pub(super) fn patience(&self) -> Duration {
        self.group.round_trip_max.scale(3, 2).max(Duration::from_millis(20))
    }

    /// How long a phase of a view change may take.
    pub(super) fn deadline(&self) -> Duration {
        self.options.view_deadline + self.group.round_trip_max
    }
}
