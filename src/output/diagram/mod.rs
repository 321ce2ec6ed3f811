//! A space-time diagram of a span of a run: a lifeline for each replica, grouped by data center, time from left
//! to right, messages as arrows, views as bands, and what befell machines and links.
//!
//! | file | job |
//! |---|---|
//! | `arrows` | which messages are shown, and how each ended |
//! | `layout` | where lifelines and instants are, what they carry |
//! | `canvas` | SVG text |

mod arrows;
mod canvas;
mod layout;

pub(super) use layout::branches_in_words;

use crate::id::ServiceId;
use crate::run::tape::Tape;
use crate::scenario::Scenario;
use crate::time::SimTime;

/// Which part of a run is drawn, and how much of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub from: SimTime,
    pub to: SimTime,
    pub service: ServiceId,
    /// Only messages of these kinds; all but heartbeats if empty.
    pub kinds: Vec<String>,
    /// Heartbeats too, as thin lines.
    pub heartbeats: bool,
}

/// So many arrows can be told apart.
pub const ARROWS_MAX: usize = 400;

/// Draws a span of a run as SVG.
///
/// # Errors
/// There are too many messages to tell apart, or a kind that is asked for does not occur: with what can be done.
pub fn draw(scenario: &Scenario, tape: &Tape, protocol: &str, span: &Span) -> Result<String, String> {
    let arrows = arrows::collect(tape, span)?;
    Ok(layout::Layout::new(scenario, tape, protocol, span).draw(&arrows))
}
