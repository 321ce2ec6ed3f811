//! Clients and their load: who asks what, when, and what a client library does when nobody answers.

mod arrival;
mod client;
mod mix;
mod profile;
mod servers;
mod session;

use crate::id::{DcId, NodeId, ServiceId};
use crate::time::{Duration, SimTime};

pub use client::{Act, Clients, Plan, Ticket, Wake};

/// The load of one `workload` entry of a scenario on one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    pub service: ServiceId,
    /// Places the requests come from; `rate` is of each.
    pub from: Vec<DcId>,
    /// Requests a second at factor 1.
    pub rate: f64,
    /// What `rate` is multiplied by at each place of `from`; empty: nothing.
    pub weights: Vec<f64>,
    /// Reads go to the nearest replica first, not to the primary.
    pub reads_nearest: bool,
    /// Probability that a request reads.
    pub reads: f64,
    /// Of the writes of `kv`: shares that append and that compare-and-swap; the rest put.
    pub appends: f64,
    pub swaps: f64,
    pub keys: u32,
    /// Exponent of Zipf's law over the keys; 0 is uniform.
    pub skew: f64,
    pub value_bytes: u32,
    pub deadline: Duration,
    /// Sessions at each place.
    pub clients: u32,
    /// A request carries its session's token, so that a session sees its own writes.
    pub attempt_timeout: Duration,
    pub profile: Profile,
    /// The timeline's changes of load for this service, each at some of the places.
    pub surges: Vec<Surge>,
}

impl Load {
    /// Requests a second of one of its places, at factor 1.
    pub fn rate_at(&self, place: DcId) -> f64 {
        let at = self.from.iter().position(|&one| one == place);
        at.and_then(|at| self.weights.get(at)).map_or(self.rate, |weight| self.rate * weight)
    }
}

/// How the rate changes with time.
#[derive(Clone, Debug, PartialEq)]
pub enum Profile {
    Constant,
    /// 24 factors of mean 1, linear between them, repeated each `period`; `shifted`: by the place's longitude / 15 h.
    Diurnal {
        period: Duration,
        hours: [f64; 24],
        shifted: bool,
        /// Since the midnight before the first day of a week, at longitude 0, when the run starts.
        start: Duration,
        /// Factor of the last two of each seven periods.
        weekend: f64,
    },
    /// Rises linearly from 1 to `factor` over `rise` from `at`, holds, then falls by half each `half_life`.
    FlashCrowd {
        at: SimTime,
        rise: Duration,
        hold: Duration,
        factor: f64,
        half_life: Duration,
    },
}

/// A change of load in the timeline: linear ramp to `factor`, and at the end a ramp back.
#[derive(Clone, Debug, PartialEq)]
pub struct Surge {
    pub from: Vec<DcId>,
    pub at: SimTime,
    pub lasts: Option<Duration>,
    pub factor: f64,
    pub ramp: Duration,
}

/// What an application can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    Board,
    Kv,
}

/// A service as its clients and its placement see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub name: String,
    pub application: Application,
    /// In order of priority, first highest.
    pub replicas: Vec<NodeId>,
}
