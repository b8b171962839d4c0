//! How long a client may stay with a master that has been replaced, as its documentation states.

use model::fault::Answer;
use model::history::{ClosedBy, What};
use model::{Fault, Target, Time};
use tokio::time::sleep;

use crate::lab::{Lab, Seen, ms, write};

/// What the Sentinels do from before a failover until some seconds after it.
#[derive(Clone, Debug)]
enum Trouble {
    Answer(Answer),
    /// They answer errors, and are down in the end.
    Refuse,
}

/// The documentation of `Settings::check_interval` states the bound: that interval and a response time-out, 1.5 s by
/// default.
#[tokio::test(start_paused = true)]
async fn when_sentinels_are_well_again_a_stale_master_is_left_within_the_stated_bound() {
    let error = || Answer::Error("ERR out of order".to_owned());
    let answers = [error(), Answer::Null, Answer::Hang, Answer::Stale];
    for trouble in answers.into_iter().map(Trouble::Answer).chain([Trouble::Refuse]) {
        let lab = Lab::start().await;
        let old = lab.master();
        let mut master = lab.client().master();
        write(&mut master).await;
        let to_all = |answer| Fault::Override { target: Target::Sentinels, answer };
        lab.inject(to_all(Answer::NoSwitchEvent)).await;
        lab.inject(to_all(if let Trouble::Answer(answer) = &trouble { answer.clone() } else { error() })).await;
        let writing = async {
            loop {
                write(&mut master).await;
                sleep(ms(1)).await;
            }
        };
        let script = async {
            sleep(ms(1_500)).await;
            lab.inject(Fault::Failover { via: None, master: None }).await;
            let told = lab.bed.wait_until(|history| {
                let told = history
                    .records
                    .iter()
                    .filter(|record| matches!(&record.what, What::Answer { addr, .. } if *addr != old));
                (told.count() == 3).then_some(())
            });
            told.await.expect("all sentinels know");
            let switched = lab.bed.now();
            sleep(ms(1_000)).await;
            if matches!(trouble, Trouble::Refuse) {
                lab.inject(Fault::Kill(Target::Sentinels)).await;
            }
            sleep(ms(3_000)).await;
            lab.inject(Fault::Heal(Target::Sentinels)).await;
            if matches!(trouble, Trouble::Refuse) {
                let _ = lab.bed.inject(Fault::Restart(Target::Sentinels)).await;
            }
            let well = lab.bed.now();
            sleep(ms(3_000)).await;
            (switched, well)
        };
        let (switched, well) = tokio::select! {
            biased;
            times = script => times,
            () = writing => unreachable!("it writes for ever"),
        };
        assert_ne!(lab.master(), old);
        let seen = lab.seen();
        let on_old: Vec<Time> =
            seen.iter().filter(|sight| sight.ran("SET") && sight.node == old).map(|sight| sight.at).collect();
        assert!(on_old.iter().any(|at| *at > switched), "{trouble:?}: it was never on a stale master");
        let last = *on_old.last().expect("a write");
        let bound = ms(1_000) + ms(500);
        assert!(last <= well || last.since(well) <= bound, "{trouble:?}: {last} {well}");
        // The old master has thrown nobody out: the client left by itself.
        let left =
            seen.iter().find(|sight| sight.node == old && matches!(sight.seen, Seen::Closed(_))).expect("it left");
        assert_eq!(left.seen, Seen::Closed(ClosedBy::Client), "{trouble:?}");
        assert!(left.at > well && left.at.since(well) <= bound, "{trouble:?}: {} {well}", left.at);
    }
}
