//! `firedrill schema`.

use super::{Status, screen};
use crate::scenario;

pub(super) const EXAMPLES: &str = "\
Example:
  firedrill schema > scenario.schema.json
and name it in a scenario, so that editors complete and check it:
  \"$schema\": \"scenario.schema.json\"";

/// Prints the schema.
pub fn schema() -> Status {
    screen::json(&scenario::schema()).err().unwrap_or(Status::Held)
}
