//! The physical world: sites, links, machines, disks, clocks, and what breaks them.

pub mod fault;
pub mod regions;
pub mod topology;
