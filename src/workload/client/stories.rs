//! Stories of single clients, as dialogues: lines with `>` are what happens to the clients, the lines
//! after it are all that they do about it.
//!
//! One place asks one service of three replicas: n1 is 10 ms away, n2 20 ms, n0 30 ms. An attempt is
//! given up after 400 ms and 1.5 round trips, a request after 2 s. There is one session. A request is
//! sent as `KIND NUMBER.ATTEMPT to SERVER`, with the floor, and the token's length if it carries one.

use super::dialogue::{dialogue, dialogue_with};
use crate::time::Duration;

#[test]
fn the_nearest_first_then_whoever_answered_as_primary() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 redirects to n0
        write 1.2 to n0, floor 1, fresh
        > n0 done 7
        write 1 ok by n0
        > write
        write 2 invoke
        write 2.1 to n0, floor 2, token 7
        ",
    );
}

#[test]
fn a_silent_server_is_left_after_its_patience_and_avoided_by_all() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > wait 414
        > wait 1
        write 1.2 to n2, floor 1, fresh
        > write
        write 2 invoke
        write 2.1 to n2, floor 1, fresh
        > n2 redirects to n1
        write 1.3 to n0, floor 1, fresh
        > n0 done 1
        write 1 ok by n0
        > n2 done 2
        write 2 ok by n2
        > wait 4999
        > read
        read 1 invoke
        read 1.1 to n2, floor 3, token 2
        > n2 refuses
        read 1.2 to n0, floor 3, token 2
        > n0 refuses
        read 1.3 to n1, floor 3, token 2
        > wait 1
        > read
        read 2 invoke
        read 2.1 to n2, floor 3, token 2
        > n2 refuses
        read 2.2 to n1, floor 3, token 2
        ",
    );
}

#[test]
fn a_silent_server_that_others_name_is_asked_when_they_were_asked() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > wait 415
        write 1.2 to n2, floor 1, fresh
        > n2 redirects to n1
        write 1.3 to n0, floor 1, fresh
        > n0 redirects to n1
        back off
        > wait to retry
        write 1.4 to n2, floor 1, fresh
        > n2 redirects to n1
        write 1.5 to n0, floor 1, fresh
        > n0 redirects to n1
        write 1.6 to n1, floor 1, fresh
        > n1 done 3
        write 1 ok by n1
        ",
    );
}

#[test]
fn a_late_answer_is_an_answer_and_forgives_silence() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > wait 415
        write 1.2 to n2, floor 1, fresh
        > n1 done 4
        write 1 ok by n1
        > n2 done 4
        > write
        write 2 invoke
        write 2.1 to n1, floor 2, token 4
        ",
    );
}

#[test]
fn after_a_round_of_refusals_it_backs_off_and_begins_again() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 refuses
        write 1.2 to n2, floor 1, fresh
        > n2 refuses
        write 1.3 to n0, floor 1, fresh
        > n0 refuses
        back off
        > wait to retry
        write 1.4 to n1, floor 1, fresh
        > n1 refuses
        write 1.5 to n2, floor 1, fresh
        > wait 3000
        write 1.6 to n0, floor 1, fresh
        back off
        write 1.7 to n1, floor 1, fresh
        write 1.8 to n2, floor 1, fresh
        write 1.9 to n0, floor 1, fresh
        write 1 info
        ",
    );
}

#[test]
fn redirects_in_a_circle_end_in_a_backoff() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 redirects to n0
        write 1.2 to n0, floor 1, fresh
        > n0 redirects to n1
        write 1.3 to n2, floor 1, fresh
        > n2 redirects to n0
        back off
        ",
    );
}

#[test]
fn while_nobody_leads_the_living_are_asked_again_and_not_the_silent() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > wait 415
        write 1.2 to n2, floor 1, fresh
        > n2 redirects
        write 1.3 to n0, floor 1, fresh
        > n0 refuses
        back off
        > wait to retry
        write 1.4 to n2, floor 1, fresh
        > n2 done 5
        write 1 ok by n2
        ",
    );
}

#[test]
fn a_replica_outside_the_table_is_learnt_from_a_redirect() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 redirects to n9
        write 1.2 to n2, floor 1, fresh
        > n2 redirects to n3
        write 1.3 to n3, floor 1, fresh
        > n3 done 5
        write 1 ok by n3
        ",
    );
}

#[test]
fn refused_by_all_is_a_failure_and_a_silent_attempt_leaves_it_open() {
    dialogue_with(
        Duration::from_millis(300),
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 refuses
        write 1.2 to n2, floor 1, fresh
        > n2 refuses
        write 1.3 to n0, floor 1, fresh
        > wait 200
        > n0 refuses
        back off
        > wait to retry
        write 1.4 to n1, floor 1, fresh
        > n1 refuses
        write 1.5 to n2, floor 1, fresh
        > n2 refuses
        write 1.6 to n0, floor 1, fresh
        > n0 refuses
        back off
        > wait 100
        write 1.7 to n1, floor 1, fresh
        write 1 info
        ",
    );
}

#[test]
fn a_server_silent_for_a_whole_short_deadline_is_avoided_too() {
    dialogue_with(
        Duration::from_millis(300),
        "
        > read
        read 1 invoke
        read 1.1 to n1, floor 1, fresh
        > wait 300
        read 1 info
        > read
        read 2 invoke
        read 2.1 to n2, floor 1, fresh
        ",
    );
}

#[test]
fn a_regression_is_noted_and_the_same_server_asked_without_the_token() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 done 9
        write 1 ok by n1
        > read
        read 1 invoke
        read 1.1 to n1, floor 2, token 9
        > n1 regressed
        read 1 regressed by n1
        read 1.2 to n1, floor 2
        > n1 done 4
        read 1 ok by n1
        > write
        write 2 invoke
        write 2.1 to n1, floor 2, token 4
        ",
    );
}

#[test]
fn a_revoked_write_fails_and_is_told_once_and_acknowledged_always() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 revoked
        write 1 revoked by n1
        acknowledge 1 to n1
        write 1 fail
        > write
        write 2 invoke
        write 2.1 to n1, floor 2, fresh
        > n1 done 3
        write 2 ok by n1
        > n0 tells 2
        write 2 revoked by n0
        acknowledge 2 to n0
        > n1 tells 2
        acknowledge 2 to n1
        > n1 tells 1
        acknowledge 1 to n1
        > n1 tells 3
        acknowledge 3 to n1
        ",
    );
}

#[test]
fn a_revocation_told_before_the_answer_ends_the_request() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n2 tells 1
        write 1 revoked by n2
        write 1 fail
        acknowledge 1 to n2
        > n1 revoked
        > wait 3000
        ",
    );
}

#[test]
fn an_expired_session_ends_its_open_writes_and_opens_again() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 done 1
        write 1 ok by n1
        > write
        write 2 invoke
        write 2.1 to n1, floor 2, token 1
        > write
        write 3 invoke
        write 3.1 to n1, floor 2, token 1
        > read
        read 1 invoke
        read 1.1 to n1, floor 2, token 1
        > n1 session unknown
        write 2 fail
        write 3 info
        > write
        write 4 invoke
        write 4.1 to n1, floor 4, token 1, fresh
        > n1 session unknown
        > n1 done 2
        read 1 ok by n1
        > n1 done 3
        write 4 ok by n1
        > write
        write 5 invoke
        write 5.1 to n1, floor 5, token 3
        ",
    );
}

#[test]
fn a_final_refusal_after_a_silent_attempt_leaves_the_outcome_unknown() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > wait 415
        write 1.2 to n2, floor 1, fresh
        > n2 number taken
        write 1 info
        > write
        write 2 invoke
        write 2.1 to n2, floor 2, fresh
        > n2 number taken
        write 2 fail
        ",
    );
}

#[test]
fn the_floor_waits_for_the_oldest_write() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > write
        write 2 invoke
        write 2.1 to n1, floor 1, fresh
        > write
        write 3 invoke
        write 3.1 to n1, floor 1, fresh
        > n1 refuses
        write 1.2 to n2, floor 1, fresh
        > n1 done 1
        write 2 ok by n1
        > read
        read 1 invoke
        read 1.1 to n1, floor 1, token 1
        > n2 done 2
        write 1 ok by n2
        > read
        read 2 invoke
        read 2.1 to n2, floor 3, token 2
        ",
    );
}

#[test]
fn a_late_answer_never_hits_the_next_request_in_the_slot() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > wait 415
        write 1.2 to n2, floor 1, fresh
        > n2 done 1
        write 1 ok by n2
        > write
        write 2 invoke
        write 2.1 to n2, floor 2, token 1
        > n1 done 9
        > wait 415
        > n2 session unknown
        write 2 fail
        ",
    );
}

#[test]
fn an_answer_at_the_instant_of_the_deadline_is_too_late() {
    dialogue_with(
        Duration::from_millis(300),
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > meanwhile 300
        > n1 done 1
        > wait 0
        write 1 info
        ",
    );
}

#[test]
fn an_old_wake_never_hits_the_next_request_in_the_slot() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > wait 100
        > n1 done 1
        write 1 ok by n1
        > write
        write 2 invoke
        write 2.1 to n1, floor 2, token 1
        > wait 414
        > wait 1
        write 2.2 to n2, floor 2, token 1
        ",
    );
}

#[test]
fn a_request_that_met_a_regression_carries_no_later_token_either() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 done 9
        write 1 ok by n1
        > read
        read 1 invoke
        read 1.1 to n1, floor 2, token 9
        > read
        read 2 invoke
        read 2.1 to n1, floor 2, token 9
        > n1 regressed
        read 1 regressed by n1
        read 1.2 to n1, floor 2
        > n1 regressed
        read 2 regressed by n1
        read 2.2 to n1, floor 2
        > n1 done 4
        read 1 ok by n1
        > n1 refuses
        read 2.3 to n2, floor 2
        > n2 regressed
        read 2 regressed by n2
        read 2.4 to n0, floor 2
        ",
    );
}

#[test]
fn a_late_refusal_does_not_disturb_the_present_attempt() {
    dialogue(
        "
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > wait 415
        write 1.2 to n2, floor 1, fresh
        > n1 refuses
        > n2 refuses
        write 1.3 to n0, floor 1, fresh
        > n0 refuses
        back off
        ",
    );
}

#[test]
fn a_read_answered_elsewhere_does_not_hide_the_primary() {
    dialogue(
        "
        > read
        read 1 invoke
        read 1.1 to n1, floor 1, fresh
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > wait 1
        > n1 done 1
        read 1 ok by n1
        > read
        read 2 invoke
        read 2.1 to n1, floor 1, token 1, fresh
        > n1 redirects to n2
        write 1.2 to n2, floor 1, token 1, fresh
        > n2 done 2
        write 1 ok by n2
        > n1 done 2
        read 2 ok by n1
        > write
        write 2 invoke
        write 2.1 to n2, floor 2, token 2
        ",
    );
}
