//! Protocols: state machines behind [`crate::machine::Machine`].
//!
//! [`optimistic`] is the mechanism that the project is about. The others are what it is compared with, and
//! have one history: [`raft`] and [`omnipaxos`] drive crates that run in production, [`viewstamped`],
//! [`lazy_consensus`] and [`dynamic_voting`] are written here after their papers, [`static_primary`] is the
//! control that never fails over. They share a replicated service ([`store`]) and a place where writes wait
//! until they are committed ([`desk`]), and nothing of how they agree.

/// The deliberate defects of a protocol: variant, name in scenarios, and what it does, in a sentence.
macro_rules! mutations {
    ($($variant:ident $name:literal $says:literal)+) => {
        /// Deliberate defects, for tests of the judges and for demonstrations: each must make a judge say no.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutation {
            $(#[doc = $says] $variant,)+
        }

        impl Mutation {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Of every one its name in scenarios, and what it does.
            pub const NAMES: &'static [(&'static str, &'static str)] = &[$(($name, $says)),+];

            /// The one of this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|mutation| mutation.told().0 == name)
            }

            /// Its name in scenarios, and what it does.
            pub const fn told(self) -> (&'static str, &'static str) {
                Self::NAMES[self as usize]
            }
        }
    };
}
pub(crate) use mutations;

pub mod desk;
pub mod dynamic_voting;
pub mod lazy_consensus;
pub mod omnipaxos;
pub mod optimistic;
pub mod raft;
pub mod static_primary;
pub mod store;
#[cfg(test)]
pub mod theatre;
pub mod viewstamped;

use crate::id::NodeId;
use crate::op::{Answer, Done, Outcome, Tip};
use crate::time::Duration;

/// What a replica is told of its group, once and for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub me: NodeId,
    /// All replicas that the service was installed on, this one included, in order of placement: the first is
    /// preferred where a choice is free. For a newcomer: those that are to take it in, and not itself.
    pub members: Vec<NodeId>,
    /// The largest round trip between two of them.
    pub round_trip_max: Duration,
}

impl Group {
    /// All members but this one.
    pub fn others(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().copied().filter(|&node| node != self.me)
    }
    /// The least number of members that is more than half of them.
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }
}

/// The answer to an executed operation. `degree` replicas are known to hold it, each taken for a data center.
pub const fn done(answer: Answer, token: Tip, epoch: u64, degree: usize) -> Outcome {
    let degree = degree as u16;
    Outcome::Done(Done { answer, token, epoch, degree, data_centers: degree, degraded: false })
}
