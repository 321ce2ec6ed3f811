//! The control.

use crate::sweep;
use firedrill::protocols::static_primary::Options;
use firedrill::scenario::Kind;
use firedrill::time::Duration;

#[test]
fn static_primary_under_chaos() {
    sweep(&Kind::StaticPrimary(Options { heartbeat: Duration::from_millis(300), snapshot_entries: 50 }));
}
