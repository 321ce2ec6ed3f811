mod common;
use common::chaos::{Kinds, chaos};
use common::judge::complaints;
use firedrill::protocols::optimistic::Mutation;
#[test]
fn drop_acks() {
    let seed: u64 = std::env::var("FIREDRILL_SEED").unwrap().parse().unwrap();
    let (scenario, options) = chaos(seed, Kinds::KeepDisks);
    println!(
        "{:?}",
        complaints(&scenario, &options, seed, Some(Mutation::DropReplicateAcks), &[firedrill::id::NodeId(2)])
    );
}
