//! Stories of clients whose service moves: what they do with news of it, with front doors, and with near replicas.
//! The place is that of the other stories; n3 is 5 ms away and no replica at first.

use super::dialogue::dialogue;

#[test]
fn news_of_the_service_comes_before_what_the_clients_knew() {
    dialogue(
        "
        > published n2 n3
        > write
        write 1 invoke
        write 1.1 to n2, floor 1, fresh
        > n2 refuses
        write 1.2 to n3, floor 1, fresh
        > n3 refuses
        write 1.3 to n1, floor 1, fresh
        > n1 redirects
        write 1.4 to n0, floor 1, fresh
        > n0 redirects to n3
        back off
        > published n3 n2
        > wait to retry
        write 1.5 to n3, floor 1, fresh
        > n3 done 4
        write 1 ok by n3
        ",
    );
}

#[test]
fn a_front_door_is_asked_when_no_replica_answers() {
    dialogue(
        "
        > door n3
        > write
        write 1 invoke
        write 1.1 to n1, floor 1, fresh
        > n1 refuses
        write 1.2 to n2, floor 1, fresh
        > n2 refuses
        write 1.3 to n0, floor 1, fresh
        > n0 refuses
        write 1.4 to n3, floor 1, fresh
        > n3 redirects
        back off
        > wait to retry
        write 1.5 to n1, floor 1, fresh
        > n1 redirects
        write 1.6 to n2, floor 1, fresh
        > n2 redirects
        write 1.7 to n0, floor 1, fresh
        > n0 redirects
        back off
        ",
    );
}

#[test]
fn a_near_replica_that_lags_sends_a_read_to_the_primary() {
    dialogue(
        "
        > published n0 n1 n2
        > read the nearest
        > write
        write 1 invoke
        write 1.1 to n0, floor 1, fresh
        > n0 done 7
        write 1 ok by n0
        > read
        read 1 invoke
        read 1.1 to n1, floor 2, token 7
        > n1 regressed
        read 1.2 to n0, floor 2, token 7
        > n0 done 7
        read 1 ok by n0
        > read
        read 2 invoke
        read 2.1 to n1, floor 2, token 7
        > n1 redirects to n0
        read 2.2 to n0, floor 2, token 7
        > n0 done 7
        read 2 ok by n0
        > read
        read 3 invoke
        read 3.1 to n1, floor 2, token 7
        > n1 done 7
        read 3 ok by n1
        > write
        write 2 invoke
        write 2.1 to n0, floor 2, token 7
        ",
    );
}
