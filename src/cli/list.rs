//! `firedrill list`.

use super::Status;

/// List what there is.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn list(_: &Args) -> Status {
    Status::Held
}
