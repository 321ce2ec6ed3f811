//! Reorganisation: service groups that lend, borrow, move and sleep (specification, section 7).
//!
//! An [`Agent`] lives on each machine. It exchanges messages with the agents of other machines over the same
//! links as everything else, knows only what they tell it and what its own machine tells it, and keeps nothing
//! on a disk: what it believes expires, so a wrong belief settles by itself. The agent of the machine on which
//! a service's primary runs manages that service, for as long as it does.
//!
//! | file | job |
//! |---|---|
//! | `policy` | the constants of a scenario |
//! | `map` | what cannot be corrupted: machines, sites, services, distances |
//! | `message` | what agents say to each other |
//! | `gauge` | loads, smoothed and foreseen |
//! | `evidence` | what seems to have happened: classification |
//! | `constraints` | C1 to C3 and the potential G of a placement |
//! | `sight` | what an agent knows of others, and for how long it counts |
//! | `lending` | offers and leases of one machine |
//! | `manager` | one service: its degree, constraints, load and place |
//! | `steward` | one site: its word to others, its sleeping machines |
//! | `agent` | one machine's agent: its rounds, what it hears, and all of the above together |
//! | `resident` | replicas and agents as one kind of machine, for the world |

mod agent;
mod constraints;
mod evidence;
mod gauge;
mod lending;
mod manager;
mod map;
mod message;
mod policy;
mod resident;
mod sight;
mod steward;

pub use agent::{Agent, Config, Timer};
pub use constraints::Violations;
pub use map::{Machine, Map, Power, Service, Site};
pub use message::Message;
pub use policy::{Constraints, Policy};
pub use resident::{Resident, ResidentConfig};
