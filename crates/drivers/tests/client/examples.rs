//! The examples of the client, each through a failover.
#![allow(dead_code)] // The examples have a `main` each.

use std::ops::ControlFlow;

use axum::extract::State;
use model::Fault;
use redis::AsyncCommands as _;
use tokio::time::sleep;

#[path = "../../../client/examples/quickstart.rs"]
mod quickstart;
#[path = "../../../client/examples/subscriber.rs"]
mod subscriber;
#[path = "../../../client/examples/web.rs"]
mod web;
#[path = "../../../client/examples/worker.rs"]
mod worker;

use crate::lab::{Lab, MASTER, ms};
use subscriber::News;

#[tokio::test(start_paused = true)]
async fn quickstart() {
    let lab = Lab::start().await;
    let client = lab.client();
    for fault in [None, Some(Fault::Failover { via: None, master: None })] {
        if let Some(fault) = fault {
            lab.inject(fault).await;
            lab.switched().await;
        }
        let (greeting, copy) = quickstart::greet(&client).await.expect("a greeting");
        assert_eq!(greeting, "hello");
        assert!(copy.is_none_or(|copy| copy == "hello"));
    }
}

#[tokio::test(start_paused = true)]
async fn web() {
    let lab = Lab::start().await;
    let client = lab.client();
    let visit = || web::visit(State(client.master()));
    let before = lab.master();
    assert_eq!(visit().await.as_deref(), Ok("visit 1\n"));
    lab.inject(Fault::Kill(MASTER)).await;
    // Once the loss is noticed nothing is sent; the handler waits for the new master, which has the first visit.
    sleep(ms(100)).await;
    assert_eq!(visit().await.as_deref(), Ok("visit 2\n"));
    // The client follows the first Sentinel that knows; the majority comes up to two seconds later.
    sleep(ms(3_000)).await;
    assert_ne!(lab.master(), before);
}

#[tokio::test(start_paused = true)]
async fn worker() {
    let lab = Lab::start().await;
    let client = lab.client();
    let producing = async {
        let mut master = client.master();
        for job in 0..100 {
            let _: i64 = master.rpush("jobs", job).await.expect("a job is queued");
            sleep(ms(100)).await;
            if job == 20 {
                lab.inject(Fault::Kill(MASTER)).await;
                // A push on a connection that nobody knows to be dead yet may have run, and is not repeated.
                sleep(ms(100)).await;
            }
        }
    };
    let mut done: Vec<i32> = Vec::new();
    let working = worker::work(&client, "jobs", |job| {
        done.push(job.parse().expect("a number"));
        if done.last() == Some(&99) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    tokio::join!(producing, working);
    assert_eq!(done, (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn subscriber() {
    let lab = Lab::start().await;
    let client = lab.client();
    let publishing = async {
        let mut master = client.master();
        sleep(ms(500)).await;
        let _: i64 = master.publish("news", "before").await.expect("a publication");
        lab.inject(Fault::Kill(MASTER)).await;
        lab.switched().await;
        sleep(ms(3_000)).await;
        let _: i64 = master.publish("news", "after").await.expect("a publication");
    };
    let mut heard = Vec::new();
    let listening = subscriber::listen(&client, "news", |news| {
        heard.push(news);
        if heard.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    tokio::join!(publishing, listening);
    assert_eq!(heard, [News::Message("before".into()), News::Gap, News::Message("after".into())]);
}
