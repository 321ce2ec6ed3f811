//! The mechanism in a whole world: what section 6 of its specification promises, disaster by disaster.

mod common;

use common::*;
use firedrill::history::What;
use firedrill::id::{DcId, NodeId};
use firedrill::metrics::Metrics;
use firedrill::protocols::optimistic::{Ack, MergePolicy, Options, ReadLevel};
use firedrill::run::{Examined, Keep, Probe, RunResult, VerdictOutcome, run, run_probed};
use firedrill::scenario::Scenario;
use firedrill::time::Duration;
use firedrill::workload::Application;
use firedrill::world::fault::{Action, Disk, Endpoint};

/// The largest one-way delay of the test topology.
const ONE_WAY: Duration = Duration::from_millis(35);

fn play_with(scenario: &Scenario, options: &Options) -> (RunResult, Examined) {
    run_probed(scenario, options, 1, &Probe::default())
}

fn play(scenario: &Scenario) -> (RunResult, Examined) {
    play_with(scenario, &options())
}

fn all(result: &RunResult) -> &Metrics {
    &result.record.metrics.all
}

fn assert_promises_kept(result: &RunResult) {
    for verdict in &result.record.verdicts {
        assert_eq!(verdict.outcome, VerdictOutcome::Valid, "{}: {:?}", verdict.check, verdict.evidence);
    }
}

/// B, and on top of it what a client may still wait for: its attempt's timeout and its longest backoff.
fn answers_again_within(options: &Options) -> f64 {
    let attempt = Duration::from_millis(400) + ONE_WAY.saturating_mul(3);
    (bound(options, ONE_WAY) + attempt + Duration::from_millis(500)).as_secs_f64()
}

/// Share of requests from a site, started in a span of seconds, that succeeded.
fn served(examined: &Examined, site: u32, from: u64, to: u64) -> f64 {
    let inside = examined
        .history
        .iter()
        .filter(|event| event.place == DcId(site) && secs(from) <= event.invoked && event.invoked < secs(to));
    let (mut asked, mut answered) = (0u32, 0u32);
    for event in inside {
        match event.what {
            What::Invoke => asked += 1,
            What::Ok { .. } => answered += 1,
            _ => {}
        }
    }
    f64::from(answered) / f64::from(asked)
}

#[test]
fn a_quiet_service_answers_everything() {
    let (result, _) = play(&scenario(5, Application::Board, 60));
    assert_promises_kept(&result);
    assert_eq!(all(&result).availability, Some(1.0));
    assert_eq!(all(&result).writes_acked, all(&result).writes_applied);
    assert_eq!(all(&result).divergence_s, Some(0.0));
    assert_eq!(all(&result).reads_stale, Some(0));
    assert_eq!(all(&result).replies_degraded, Some(0));
}

#[test]
fn a_majority_crashes_at_once_and_the_rest_serves_until_it_returns() {
    let mut drill = scenario(5, Application::Kv, 240);
    drill.timeline = vec![crash(60, 100, &[0, 1, 2, 3])];
    let (result, examined) = play(&drill);
    assert_promises_kept(&result);
    let recovered = all(&result).recovery_first_s.expect("it answers again");
    assert!(recovered <= answers_again_within(&options()), "{recovered} s");
    assert_eq!(served(&examined, 4, 70, 155), 1.0, "the survivor serves on");
    assert_eq!(served(&examined, 0, 70, 155), 1.0, "and the users of dead sites reach it");
    assert_eq!(all(&result).writes_lost, Some(0));
    assert_eq!(all(&result).writes_revoked, Some(0), "crashes that do not break the chain revoke nothing");
    let converged = all(&result).convergence_s.expect("it converges");
    assert!(converged <= bound(&options(), ONE_WAY).as_secs_f64() + 1.5, "B and 3P after a restart: {converged} s");
}

fn split(groups: &[&[u32]], merge: MergePolicy, application: Application) {
    let mut drill = scenario(5, application, 200);
    drill.timeline = vec![partition(60, 60, groups)];
    let options = Options { merge, ..options() };
    let (result, examined) = play_with(&drill, &options);
    assert_promises_kept(&result);
    for site in 0..5 {
        assert_eq!(served(&examined, site, 70, 118), 1.0, "site {site} serves through the split");
    }
    let metrics = all(&result);
    assert!(metrics.divergence_s > Some(45.0), "all sides accepted writes");
    assert_eq!(metrics.writes_lost, Some(0));
    assert_eq!(metrics.writes_stranded, Some(0));
    let converged = metrics.convergence_s.expect("it converges");
    assert!(converged <= bound(&options, ONE_WAY).as_secs_f64(), "{converged} s");
    if merge == MergePolicy::RankWins {
        assert!(metrics.writes_revoked > Some(0), "the losers' writes are in the journal");
        assert_eq!(metrics.writes_revoked_told, metrics.writes_revoked, "and every client is told");
        assert_eq!(metrics.writes_reapplied, Some(0));
    } else if application == Application::Board {
        assert_eq!(metrics.writes_revoked, Some(0), "a grow-only board loses nothing");
        assert!(metrics.writes_reapplied > Some(0));
    }
}

#[test]
fn both_sides_of_a_split_serve_and_merge() {
    for merge in [MergePolicy::Replay, MergePolicy::Crdt, MergePolicy::RankWins] {
        split(&[&[0, 1, 2], &[3, 4]], merge, Application::Board);
    }
    for merge in [MergePolicy::Replay, MergePolicy::LastWriterWins, MergePolicy::Siblings, MergePolicy::RankWins] {
        split(&[&[0, 1, 2], &[3, 4]], merge, Application::Kv);
    }
}

#[test]
fn all_three_parts_of_a_split_serve_and_merge() {
    for merge in [MergePolicy::Replay, MergePolicy::Crdt, MergePolicy::RankWins] {
        split(&[&[0, 1], &[2, 3], &[4]], merge, Application::Board);
    }
}

#[test]
fn a_destroyed_majority_takes_nothing_along_under_all() {
    let mut drill = scenario(5, Application::Board, 240);
    let lost = Action::Crash { targets: nodes(&[0, 1, 2, 3]), disk: Disk::Lost };
    drill.timeline = vec![fault(secs(60), Some(60), "destroy", lost)];
    let (result, _) = play(&drill);
    assert_promises_kept(&result);
    assert_eq!(all(&result).writes_lost, Some(0), "the survivor holds every acknowledged write");
}

#[test]
fn without_an_ack_rule_a_destroyed_primary_loses_writes() {
    let mut drill = scenario(5, Application::Board, 120);
    drill.loads[0].rate = 40.0;
    // Its words to the other replicas are cut off a second before its end; its clients still reach it.
    let others = (1..5).map(|node| Endpoint::Node(NodeId(node))).collect();
    let mute = Action::Cut { from: vec![Endpoint::Node(NodeId(0))], to: others, one_way: true };
    let lost = Action::Crash { targets: nodes(&[0]), disk: Disk::Lost };
    drill.timeline = vec![fault(secs(59), Some(5), "mute", mute), fault(secs(60), Some(30), "destroy", lost)];
    let (safe, _) = play_with(&drill, &options());
    assert_eq!(all(&safe).writes_lost, Some(0), "under all nothing was acknowledged meanwhile");
    let (result, _) = play_with(&drill, &Options { ack: Ack::None, ..options() });
    assert!(all(&result).writes_lost > Some(0), "what was acknowledged before it was anywhere else is gone");
}

#[test]
fn a_large_state_moves_in_the_background_over_a_thin_link() {
    // A minute of writes behind a link of 20 Mbit/s takes longer than any view change may.
    let mut drill = scenario(3, Application::Board, 240);
    drill.loads[0].rate = 20.0;
    drill.loads[0].reads = 0.0;
    drill.loads[0].value_bytes = 2_000;
    for (from, to) in [(0, 2), (2, 0), (1, 2), (2, 1)] {
        drill.topology.paths[from * 3 + to].bandwidth = 20_000_000;
    }
    drill.timeline = vec![partition(40, 60, &[&[0, 1], &[2]])];
    let options = Options { sync_limit: 200, ..options() };
    let (result, examined) = play_with(&drill, &options);
    assert_promises_kept(&result);
    assert_eq!(all(&result).writes_lost, Some(0));
    assert_eq!(all(&result).writes_revoked, Some(0));
    let last = examined.installed.last().expect("views were installed");
    assert_eq!(last.members.len(), 3);
    let from = examined.history.iter().filter(|event| event.invoked >= secs(100) && event.invoked < secs(200));
    let worst =
        from.filter(|event| matches!(event.what, What::Ok { .. })).map(|event| event.at.since(event.invoked)).max();
    assert!(worst < Some(Duration::from_secs(2)), "nobody waits for the bulk: {worst:?}");
}

#[test]
fn an_absent_member_that_costs_too_much_leaves_the_replica_set_and_comes_back() {
    let mut drill = scenario(3, Application::Board, 200);
    drill.loads[0].rate = 20.0;
    drill.timeline = vec![crash(30, 120, &[2])];
    let options = Options { retain_entries: 500, ..options() };
    let (result, examined) = play_with(&drill, &options);
    assert_promises_kept(&result);
    assert_eq!(all(&result).writes_lost, Some(0));
    assert_eq!(examined.installed.last().map(|view| view.members.len()), Some(3), "it is back in the view");
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_is_kept_and_another_does_not() {
    let mut drill = scenario(5, Application::Kv, 90);
    drill.timeline = vec![partition(30, 20, &[&[0, 1, 2], &[3, 4]]), crash(60, 10, &[0, 1])];
    let once = |seed, keep| run(&drill, &drill.protocols[0], seed, keep);
    let first = once(1, Keep::default());
    let again = once(1, Keep::default());
    let kept = once(1, Keep { history: true, trace: true, ..Keep::default() });
    assert_eq!(first.record, again.record);
    assert_eq!(first.seconds, again.seconds);
    assert_eq!(first.record, kept.record, "keeping a history and a trace changes nothing");
    assert!(kept.history.is_some_and(|lines| !lines.is_empty()) && kept.trace.is_some_and(|lines| !lines.is_empty()));
    assert_ne!(first.record.fingerprint, once(2, Keep::default()).record.fingerprint);
}

#[test]
fn every_policy_meets_the_same_arrivals() {
    let mut drill = scenario(5, Application::Board, 60);
    drill.timeline = vec![crash(30, 10, &[0, 1, 2])];
    let invoked = |merge| {
        let (_, examined) = play_with(&drill, &Options { merge, reads: ReadLevel::Any, ..options() });
        let events = examined.history.into_iter().filter(|event| event.what == What::Invoke);
        events.map(|event| (event.at, event.client, event.number, event.op)).collect::<Vec<_>>()
    };
    assert_eq!(invoked(MergePolicy::Replay), invoked(MergePolicy::RankWins));
}

#[test]
fn a_node_of_the_directory_joins_when_it_is_asked_for() {
    let drill = scenario(4, Application::Board, 60);
    let set = |nodes: &[u32]| nodes.iter().copied().map(NodeId).collect::<Vec<_>>();
    let probe = Probe {
        replica_set: Some(set(&[0, 1, 2])),
        reconfigure: vec![(secs(30), NodeId(0), set(&[0, 1, 2, 3]))],
        ..Probe::default()
    };
    let (result, examined) = run_probed(&drill, &options(), 1, &probe);
    assert_promises_kept(&result);
    let members = |at: u64| examined.installed.iter().rfind(|view| view.at < secs(at)).map(|view| view.members.len());
    assert_eq!((members(30), members(60)), (Some(3), Some(4)));
}

/// The primary is taken out of the replica set and asked for again, twice over, under load.
#[test]
fn a_primary_that_is_moved_away_hands_over_and_comes_back() {
    let mut drill = scenario(4, Application::Kv, 180);
    drill.loads[0].rate = 10.0;
    let set = |nodes: &[u32]| nodes.iter().copied().map(NodeId).collect::<Vec<_>>();
    let probe = Probe {
        replica_set: Some(set(&[0, 1, 2])),
        reconfigure: vec![
            (secs(30), NodeId(0), set(&[1, 2, 3])),
            // The first is to lead: it stays with whom it is.
            (secs(60), NodeId(1), set(&[1, 0, 2, 3])),
            (secs(90), NodeId(1), set(&[0, 2, 3])),
            (secs(120), NodeId(0), set(&[0, 1, 2, 3])),
        ],
        ..Probe::default()
    };
    let options = Options { reads: ReadLevel::Latest, ..options() };
    let (result, examined) = run_probed(&drill, &options, 1, &probe);
    assert_promises_kept(&result);
    let members = |at: u64| {
        let last = examined.installed.iter().rfind(|view| view.at < secs(at));
        last.map(|view| view.members.iter().map(|node| node.0).collect::<Vec<_>>())
    };
    for (at, wanted) in [
        (30, vec![0, 1, 2]),
        (60, vec![1, 2, 3]),
        (90, vec![0, 1, 2, 3]),
        (120, vec![0, 2, 3]),
        (180, vec![0, 1, 2, 3]),
    ] {
        assert_eq!(members(at), Some(wanted), "{at} s");
    }
    let metrics = all(&result);
    assert_eq!((metrics.writes_lost, metrics.writes_revoked, metrics.writes_stranded), (Some(0), Some(0), Some(0)));
    assert_eq!(metrics.replies_regressed, Some(0));
    assert!(metrics.outage_longest_s <= Some(2.0), "{:?} s without a primary", metrics.outage_longest_s);
    assert_eq!(examined.chain_broken[0], None, "one chain of views");
}

/// A report that is older than the last compaction says nothing against a member that acknowledged more since.
/// Here the log is compacted just after the links were cut, and two sites are destroyed two seconds later: had the
/// primary left the others out before it may suspect them, what the two acknowledged alone would be lost.
#[test]
fn a_view_does_not_shrink_before_suspicion_because_the_log_was_compacted() {
    let scenario = common::library::named("ack-rules");
    let (result, examined) = firedrill::run::run_examined(&scenario, &scenario.protocols[0], 4, Keep::default());
    assert_eq!(all(&result).writes_lost, Some(0));
    let early = examined.installed.iter().find(|view| secs(240) <= view.at && view.at < secs(242));
    assert_eq!(early, None);
}
