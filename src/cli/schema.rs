//! `firedrill schema`.

use super::Status;

pub const EXAMPLES: &str = "\
Example:
  firedrill schema > scenario.schema.json";

pub fn schema() -> Status {
    Status::Held
}
