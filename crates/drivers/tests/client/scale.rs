//! The default client in numbers: many of them at once, and many failovers one after the other.

use std::sync::{Arc, Mutex};

use model::fault::Answer;
use model::{Fault, Target};
use sentinel_client::{Address, Client, Connection, Metrics, Peer};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::lab::{DIALS_A_SECOND, Lab, MASTER, Seen, most_within_a_second, ms, write};

/// When one client says that it opened a connection.
#[derive(Default)]
struct Dials(Mutex<Vec<Instant>>);

impl Metrics for Dials {
    fn connection_opened(&self, _: Peer, _: &Address) {
        self.0.lock().unwrap().push(Instant::now());
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_clients_that_lose_their_master_at_once_each_stay_under_the_cap_and_recover() {
    const CLIENTS: usize = 500;
    let lab = Lab::start().await;
    let dials: Vec<Arc<Dials>> = (0..CLIENTS).map(|_| Arc::default()).collect();
    let settings = |seed: usize| lab.settings().seed(seed as u64).metrics(dials[seed].clone());
    let mut masters: Vec<Connection> = (0..CLIENTS).map(|seed| Client::new(settings(seed)).unwrap().master()).collect();
    for master in &mut masters {
        write(master).await;
    }
    sleep(ms(2_000)).await;
    let now = lab.now().await;
    lab.inject(Fault::Kill(MASTER)).await;
    let mut writes: JoinSet<()> =
        masters.into_iter().map(|mut master| async move { write(&mut master).await }).collect();
    while let Some(written) = writes.join_next().await {
        written.expect("a client that recovers");
    }
    // The clients follow the first Sentinel that knows; the majority comes up to two seconds later.
    sleep(ms(3_000)).await;
    let opened = lab.seen().iter().filter(|sight| sight.seen == Seen::Opened).count();
    let dials: Vec<Vec<Instant>> = dials.iter().map(|dials| dials.0.lock().unwrap().clone()).collect();
    assert_eq!(dials.iter().map(Vec::len).sum::<usize>(), opened, "what the clients say, and what the nodes saw");
    let most = dials.iter().map(|dials| most_within_a_second(dials)).max().unwrap();
    assert!((1..=DIALS_A_SECOND).contains(&most), "one client opened {most} connections within a second");
    let executed = lab.seen_since(now).iter().filter(|sight| sight.node == lab.master() && sight.ran("SET")).count();
    assert_eq!(executed, CLIENTS);
}

/// A Sentinel that errs is dialled anew each time. With seven of them nothing but the cap holds a client back: without
/// it, it would open more.
#[tokio::test(start_paused = true)]
async fn a_client_that_would_dial_more_stays_under_the_cap_and_recovers() {
    let lab = Lab::with(|plan| plan.cluster.sentinels = 7).await;
    let mut master = Client::new(lab.settings_with(&[1, 2, 3, 4, 5, 6, 7])).unwrap().master();
    write(&mut master).await;
    sleep(ms(2_000)).await;
    let now = lab.now().await;
    let error = Answer::Error("ERR out of order".to_owned());
    let erring = Fault::Override { target: Target::Sentinels, answer: error };
    lab.bed.inject_lasting(erring, ms(10_000)).await.expect("sentinels");
    lab.inject(Fault::Kill(MASTER)).await;
    write(&mut master).await;
    let most = lab.most_dials(now);
    assert!((1..=DIALS_A_SECOND).contains(&most), "{most} connections within a second");
}

/// Connections that are open.
fn open(lab: &Lab) -> usize {
    lab.seen().iter().fold(0, |open, sight| match sight.seen {
        Seen::Opened => open + 1,
        Seen::Closed(_) => open - 1,
        Seen::Ran(..) => open,
    })
}

#[tokio::test(start_paused = true)]
async fn a_thousand_failovers_in_a_row_leave_nothing_behind() {
    let lab = Lab::start().await;
    let client = lab.client();
    let mut master = client.master();
    write(&mut master).await;
    sleep(ms(5_000)).await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let baseline = (open(&lab), tasks());
    for _ in 0..1_000 {
        let old = lab.master();
        lab.inject(Fault::Failover { via: None, master: None }).await;
        // Under load, until the old master is a replica again.
        for _ in 0..150 {
            write(&mut master).await;
            sleep(ms(100)).await;
        }
        assert_ne!(lab.master(), old);
    }
    sleep(ms(5_000)).await;
    assert_eq!((open(&lab), tasks()), baseline);
    drop((master, client));
    sleep(ms(1_000)).await;
    assert_eq!(open(&lab), 0);
}
