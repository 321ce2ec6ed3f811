//! Classification by evidence: a crash and a partition look the same from one side.

use crate::id::{DcId, NodeId};
use crate::time::Duration;

/// What seems to have happened (specification, section 7, first table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Everything that is awake is heard.
    Calm,
    /// Machines are silent whose sites are alive.
    NodeFailure,
    /// One site is silent, and all others agree; sites that fell silent before it are given up.
    DataCenterDisaster(DcId),
    /// Several sites are silent, or witnesses disagree, or there is none.
    SuspectedPartition,
    /// As before, for longer than T_disaster.
    Disaster,
}

impl Class {
    /// The name in traces and stories.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::NodeFailure => "node failure",
            Self::DataCenterDisaster(_) => "data-center disaster",
            Self::SuspectedPartition => "suspected partition",
            Self::Disaster => "disaster",
        }
    }
}

/// What an agent knows when it classifies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Sites from which nothing comes although they were not all asleep, since when.
    pub silent_sites: Vec<(DcId, Duration)>,
    /// Sites that are heard, and do not hear a silent one either.
    pub agree: Vec<DcId>,
    /// Sites that are heard, and still hear a silent one.
    pub differ: Vec<DcId>,
    /// Machines that are silent, of sites that are heard.
    pub silent_nodes: Vec<NodeId>,
}

impl Evidence {
    /// C5: nothing is consolidated, and no surplus shed, while a partition is suspected, a disaster is young, or
    /// somebody hears who is silent here: it may be serving.
    pub fn suspends_saving(&self, class: Class, disaster_after: Duration) -> bool {
        let is_young = self.silent_sites.iter().any(|&(_, since)| since <= disaster_after);
        class == Class::SuspectedPartition || is_young || !self.differ.is_empty()
    }

    /// What seems to have happened. Sites that fell silent within `window` of each other did so by one cause: one
    /// alone is a disaster there, if the others agree; several are a partition, until that has lasted so long
    /// that it makes no difference.
    pub fn class(&self, window: Duration, disaster_after: Duration) -> Class {
        let mut sites = self.silent_sites.clone();
        sites.sort_unstable_by_key(|&(site, since)| (since, site));
        let causes: Vec<&[(DcId, Duration)]> =
            sites.chunk_by(|&(_, later), &(_, earlier)| earlier.saturating_sub(later) <= window).collect();
        let has_witnesses = self.differ.is_empty() && !self.agree.is_empty();
        let lasts = |cause: &[(DcId, Duration)]| cause.iter().all(|&(_, since)| since > disaster_after);
        let is_clear = |cause: &&[(DcId, Duration)]| (cause.len() == 1 && has_witnesses) || lasts(cause);
        match causes.first() {
            None if self.silent_nodes.is_empty() => Class::Calm,
            None => Class::NodeFailure,
            Some(_) if !causes.iter().all(is_clear) => Class::SuspectedPartition,
            Some([(site, _)]) if has_witnesses => Class::DataCenterDisaster(*site),
            Some(_) => Class::Disaster,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn evidence(silent: &[(u32, u64)], agree: &[u32], differ: &[u32], nodes: &[u32]) -> Evidence {
        Evidence {
            silent_sites: silent.iter().map(|&(site, secs)| (DcId(site), Duration::from_secs(secs))).collect(),
            agree: agree.iter().copied().map(DcId).collect(),
            differ: differ.iter().copied().map(DcId).collect(),
            silent_nodes: nodes.iter().copied().map(NodeId).collect(),
        }
    }

    #[test]
    fn the_table_of_the_specification() {
        let class = |evidence: Evidence| evidence.class(Duration::from_secs(10), Duration::from_secs(300));
        assert_eq!(class(evidence(&[], &[], &[], &[])), Class::Calm);
        assert_eq!(class(evidence(&[], &[], &[], &[7])), Class::NodeFailure, "its site is alive");
        assert_eq!(class(evidence(&[(2, 5)], &[1, 3], &[], &[])), Class::DataCenterDisaster(DcId(2)));
        assert_eq!(class(evidence(&[(2, 5)], &[1], &[3], &[])), Class::SuspectedPartition, "a witness differs");
        assert_eq!(class(evidence(&[(2, 5)], &[], &[], &[])), Class::SuspectedPartition, "no witness");
        assert_eq!(class(evidence(&[(2, 5), (3, 5)], &[1], &[], &[])), Class::SuspectedPartition);
        assert_eq!(class(evidence(&[(2, 301), (3, 305)], &[1], &[], &[])), Class::Disaster);
        assert_eq!(class(evidence(&[(2, 305), (3, 299)], &[1], &[], &[])), Class::SuspectedPartition);
    }

    #[test]
    fn what_fell_silent_at_different_times_has_different_causes() {
        let class = |evidence: Evidence| evidence.class(Duration::from_secs(10), Duration::from_secs(300));
        let second = Class::DataCenterDisaster(DcId(3));
        assert_eq!(class(evidence(&[(2, 60), (3, 5)], &[1], &[], &[])), second, "one disaster after the other");
        assert_eq!(class(evidence(&[(1, 60), (2, 60), (3, 5)], &[4], &[], &[])), Class::SuspectedPartition);
        assert_eq!(class(evidence(&[(1, 400), (2, 400), (3, 5)], &[4], &[], &[])), second);
        assert_eq!(class(evidence(&[(1, 400), (2, 400), (3, 5)], &[4], &[5], &[])), Class::SuspectedPartition);
    }

    #[test]
    fn an_old_disaster_suspends_nothing() {
        let limit = Duration::from_secs(300);
        let suspends = |evidence: Evidence| evidence.suspends_saving(evidence.class(limit, limit), limit);
        assert!(suspends(evidence(&[(2, 60)], &[1], &[], &[])));
        assert!(!suspends(evidence(&[(2, 301)], &[1], &[], &[])));
        assert!(suspends(evidence(&[(2, 301)], &[1], &[3], &[])), "a witness hears it: it may be serving");
        assert!(!suspends(evidence(&[], &[1], &[], &[7])));
    }

    #[test]
    fn without_witnesses_only_time_tells() {
        let silent = evidence(&[(2, 301)], &[], &[], &[]);
        assert_eq!(silent.class(Duration::from_secs(10), DAY), Class::SuspectedPartition);
        assert_eq!(silent.class(Duration::from_secs(10), Duration::from_secs(300)), Class::Disaster);
    }
}
