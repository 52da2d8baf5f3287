//! Owns what every store must keep: one suite, run against the store in memory, on disk, in Redis and in a Redis Cluster;
//! then what only one of them can do wrong.

mod beside;
mod embedded;
mod guard;
mod lab;
mod life;
mod lookup;
mod model;
mod old;
mod redis;
mod sample;
mod suite;
mod tls;

use lab::Lab;

/// Makes one test of each function of the suite for each store; for the cluster, which is slow to start, one test of all.
macro_rules! conformance {
    ($($module:ident: $($test:ident)+;)+) => {
        mod in_memory { $($(
            #[tokio::test]
            async fn $test() { super::suite::$module::$test(&super::Lab::memory().await).await; }
        )+)+ }

        mod on_disk { $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::suite::$module::$test(&super::Lab::disk().await).await; }
        )+)+ }

        mod in_redis { $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::suite::$module::$test(&super::Lab::redis().await).await; }
        )+)+ }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn in_a_cluster() {
            let lab = Lab::cluster().await;
            $($(
                println!("{}", stringify!($test));
                suite::$module::$test(&lab).await;
                lab.servers.iter().for_each(|node| node.send::<()>(&["FLUSHALL"]));
            )+)+
        }
    };
}

conformance! {
    changes:
        a_new_verification_holds_its_number
        a_hold_ends_with_the_verification
        holds_are_taken_and_let_go
        a_number_held_as_alternate_names_the_client
        a_change_is_written_onto_its_revision_only
        of_many_that_change_at_once_one_wins
        nothing_is_written_when_it_is_too_late
        a_turn_is_spent_once
        what_has_expired_stays_gone
        two_thousand_at_once_are_all_kept
        changes_are_told
        idempotency_keys_are_remembered
        the_first_number_key_is_kept
        health_tells_the_clock;
    effects:
        effects_wait_are_taken_and_done
        a_taken_effect_comes_back_after_its_lease
        retries_are_counted
        dead_letters_are_kept_and_revived
        a_limit_is_kept_over_all_partitions
        deadlines_come_in_order
        deadlines_move_and_go;
    listings:
        verifications_are_listed
        calls_are_filtered
        a_call_is_found_by_name
        expired_records_are_gone
        erased_records_are_gone
        how_results_were_delivered_is_noted
        everything_is_listed_as_a_plain_model_says;
    far_back:
        what_is_rare_is_found_however_far_back
        what_is_erased_leaves_nothing_in_the_index;
    guarded:
        what_stands_against_a_change_keeps_it_out
        who_holds_a_number_comes_before_what_is_counted
        of_a_thousand_at_once_so_many_are_admitted_as_there_is_room_for
        rows_pause_and_end
        bars_are_set_told_and_lifted
        what_is_counted_ends_by_itself;
    tallies:
        what_is_settled_is_counted_once
        of_many_that_settle_at_once_one_counts
        lives_are_counted_as_they_went
        kinds_have_a_bound
        spans_without_anything_are_empty
        tallies_equal_a_recount_of_the_call_log;
}
