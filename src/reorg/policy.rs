//! What a scenario chooses of the reorganisation.

use crate::time::Duration;

/// All constants of the layer, as the scenario resolved them.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Recruit replicas in place of those that failed.
    pub repair: bool,
    /// Move primaries and replicas by load.
    pub balance: bool,
    /// Consolidate replicas at low load, and let empty machines sleep.
    pub save: bool,
    pub constraints: Constraints,

    /// Between two adverts of an agent, and between two rounds of a manager.
    pub advertise: Duration,
    /// A machine or site that says nothing for so long is silent.
    pub silent_after: Duration,
    /// T_repair: a silent machine whose site is alive is replaced after this.
    pub repair_after: Duration,
    /// T_disaster: a suspected partition that lasts longer is taken for a disaster.
    pub disaster_after: Duration,
    /// What was promised, lent or claimed is void after this, unless it is renewed.
    pub lease: Duration,

    /// u_high and T_up: a machine is hot whose load is above this for so long.
    pub high: f64,
    pub high_for: Duration,
    /// u_low and T_down: a machine may be emptied whose load is below this for so long.
    pub low: f64,
    pub low_for: Duration,
    /// Capacity kept for each unit of load, at least 1.
    pub headroom: f64,

    /// r_next: replicas that each service keeps after the loss of any one data center.
    pub next_degree: usize,
    /// Recruiting stops at this degree while a partition is suspected.
    pub reserve_degree: usize,
    /// T_wake: sleeping machines that boot within this count as capacity for the next disaster.
    pub wake_within: Duration,

    /// Weights of the potential G, in watts: of a unit of overload squared, of one violated constraint, and of
    /// one gigabyte moved.
    pub overload_weight: f64,
    pub violation_weight: f64,
    pub move_weight: f64,
    /// Watts that a move must gain.
    pub epsilon: f64,
}

impl Policy {
    /// A steward may fail, and another take over, before its site counts as silent.
    pub fn site_silent_after(&self) -> Duration {
        (self.silent_after + self.advertise).saturating_mul(2)
    }
}

/// Which constraints are observed. Switching one off is for showing what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constraints {
    /// C1: replicas in at least so many data centers and zones as the service's spread says.
    pub spread: bool,
    /// C2: at most ceil(r / d_min) replicas a data center.
    pub share: bool,
    /// C3: provisioned for the loss of any one data center.
    pub next_disaster: bool,
    /// C4: no machine sleeps that holds one of the last r_next synchronised copies.
    pub last_copies: bool,
    /// C5: no consolidation while a partition or a lone survivor is seen.
    pub suspend: bool,
}

impl Constraints {
    pub const ALL: Self = Self { spread: true, share: true, next_disaster: true, last_copies: true, suspend: true };
}
