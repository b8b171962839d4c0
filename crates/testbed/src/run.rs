//! [`Run`]: one plan, one seed, from the start of the cluster to the verdict.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::task::Poll;
use std::time::Duration;

use model::history::What;
use model::plan::Need;
use model::{ClientId, History, Plan, Seed, Time, Verdict};
use sim::Delivery;
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::c_library::entropy::Entropy;
use crate::calls::Calls;
use crate::driver::{Driver, Settings, Trouble};
use crate::host::Host;
use crate::pace::pace;
use crate::panics;
use crate::workload::{Worker, sessions, work};

/// Virtual time that dropped clients have to close their connections and end their tasks.
const SETTLE: Duration = Duration::from_secs(1);

/// Virtual time between two looks at whether a run can end before its time.
const LOOK: Duration = Duration::from_secs(1);

/// A plan, a seed and the drivers that its clients may name.
#[derive(Clone)]
pub struct Run {
    /// What is run.
    pub plan: Plan,
    /// The root of all randomness, also of the clients' own.
    pub seed: Seed,
    /// The drivers; the first is that of the clients that name none.
    pub drivers: Vec<Arc<dyn Driver>>,
    /// Real time without progress of the virtual clock after which the run is given up.
    pub watchdog: Duration,
    /// End the run before its time once nothing can be learnt from it any more: for so long nothing of the timeline was
    /// due, the cluster was whole and at rest, and every client worked without an error.
    pub quiet: Option<Duration>,
    /// Keep every message that is delivered, in [`RunOutcome::deliveries`]. Changes nothing of what happens.
    pub watch_deliveries: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    /// What happened.
    pub history: History,
    /// What nodes and clients said to each other, if [`Run::watch_deliveries`] asked for it.
    pub deliveries: Vec<Delivery>,
    /// What it means.
    pub verdict: Verdict,
    /// Time that passed on the virtual clock.
    pub virtual_time: Duration,
    /// Time that passed for real.
    pub wall_time: Duration,
}

/// Why a run gave no history.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A client names a driver that there is not.
    #[error("client {client} wants the driver {driver}, which there is not")]
    UnknownDriver {
        /// The client.
        client: String,
        /// The driver; empty if it named none and there are none.
        driver: String,
    },
    /// The client cannot do what the plan asks of it.
    #[error("the driver {driver} has not what {client} needs: {need}")]
    NotApplicable {
        /// The client.
        client: String,
        /// Its driver.
        driver: String,
        /// What it lacks.
        need: Need,
    },
    /// The driver could not go on, for a reason that is none of the client's.
    #[error("client {client}: {what}")]
    Driver {
        /// The client.
        client: String,
        /// What the driver says.
        what: String,
    },
    /// The client, or the lab, panicked.
    #[error("panicked: {message}")]
    Panicked {
        /// The first panic and its place.
        message: String,
    },
    /// The virtual clock stood still for too long, as it does while somebody is busy for ever.
    #[error("the virtual clock stood still at {at} for {} s of real time", .waited.as_secs())]
    Hung {
        /// Where it stood.
        at: Time,
        /// For how long.
        waited: Duration,
    },
    /// The lab could not get the sockets, the thread or the runtime that it needs. Running again may help.
    #[error("no sockets for the cluster: {0}")]
    Io(#[from] io::Error),
}

impl Run {
    /// A run with a watchdog of 60 s.
    pub fn new(plan: Plan, seed: Seed, drivers: Vec<Arc<dyn Driver>>) -> Self {
        Self { plan, seed, drivers, watchdog: Duration::from_secs(60), quiet: None, watch_deliveries: false }
    }

    /// Runs the plan to its end, on a fresh thread, in virtual time, and judges it.
    ///
    /// The same plan, seed and drivers give the same history, with three exceptions. While this process starts another one,
    /// the child has copies of all sockets until it calls `exec`, and one that is closed here is still open to its peer.
    /// If a driver [blocks](Driver::blocks), the clock follows the real one, and no two runs are the same. And without
    /// `--cfg tokio_unstable` among the `rustflags` of the build, tokio's own generator cannot be seeded: a client that
    /// has several tasks wait for one `tokio::sync::watch`, or polls by `select!` without `biased`, leaves an order to
    /// it, and it goes by the number of runtimes that the process has had. Then only the first run of a process repeats.
    ///
    /// # Errors
    /// See [`RunError`]. The thread of a run that hung is left behind.
    pub fn run(self) -> Result<RunOutcome, RunError> {
        let drivers: Vec<Arc<dyn Driver>> = self
            .plan
            .clients
            .iter()
            .map(|client| self.driver_of(client.driver.as_deref(), &client.id))
            .collect::<Result<_, _>>()?;
        for (client, driver) in self.plan.clients.iter().zip(&drivers) {
            if let Some(need) = self.plan.needs(client).find(|need| !driver.can(*need)) {
                let (client, driver) = (client.id.clone(), driver.name().to_owned());
                return Err(RunError::NotApplicable { client, driver, need });
            }
        }
        let began = std::time::Instant::now();
        let watchdog = self.watchdog;
        let clock = Arc::new(AtomicU64::new(0));
        let (sender, receiver) = sync_channel(1);
        let thread = {
            let clock = Arc::clone(&clock);
            let name = format!("run of seed {}", self.seed.0);
            std::thread::Builder::new().name(name).spawn(move || {
                let _ = sender.send(on_a_fresh_thread(self, drivers, clock));
            })?
        };
        let mut before = 0;
        let outcome = loop {
            match receiver.recv_timeout(watchdog) {
                Ok(outcome) => break outcome,
                Err(RecvTimeoutError::Timeout) => {
                    let at = clock.load(Ordering::Relaxed);
                    if std::mem::replace(&mut before, at) == at {
                        return Err(RunError::Hung { at: Time::from_micros(at), waited: watchdog });
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(RunError::Panicked { message: "the thread of the run ended".to_owned() });
                }
            }
        };
        let _ = thread.join();
        outcome.map(|outcome| RunOutcome { wall_time: began.elapsed(), ..outcome })
    }

    fn driver_of(&self, name: Option<&str>, client: &str) -> Result<Arc<dyn Driver>, RunError> {
        let found = match name {
            Some(name) => self.drivers.iter().find(|driver| driver.name() == name),
            None => self.drivers.first(),
        };
        found.cloned().ok_or_else(|| RunError::UnknownDriver {
            client: client.to_owned(),
            driver: name.unwrap_or_default().to_owned(),
        })
    }
}

/// The whole run, on the thread that is its own.
fn on_a_fresh_thread(run: Run, drivers: Vec<Arc<dyn Driver>>, clock: Arc<AtomicU64>) -> Result<RunOutcome, RunError> {
    let _entropy = Entropy::seed_thread(run.seed);
    panics::keep();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // How much faster than the real clock that of the run goes; in virtual time nothing holds it back.
        let speed = drivers.iter().filter(|driver| driver.blocks()).map(|driver| driver.speed().max(1)).min();
        let sockets = speed.is_some() || drivers.iter().any(|driver| !driver.stays_within());
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(speed != Some(1));
        if sockets {
            builder.enable_io();
        }
        if speed.is_none() {
            // Names are looked up one after the other.
            builder.max_blocking_threads(1);
        }
        #[cfg(tokio_unstable)]
        builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&run.seed.derive("tokio").0.to_le_bytes()));
        let runtime = builder.build()?;
        let outcome = runtime.block_on(async {
            tokio::select! {
                biased;
                () = pace(speed.unwrap_or(1)), if speed.is_some_and(|speed| speed > 1) => unreachable!("it goes on for ever"),
                outcome = play(run, drivers, speed, clock, sockets) => outcome,
            }
        });
        // A thread that still blocks is left behind. Its node's socket is closed, so that it ends by itself.
        runtime.shutdown_background();
        outcome
    }));
    match (panics::take(), outcome) {
        (None, Ok(outcome)) => outcome,
        (message, _) => Err(RunError::Panicked { message: message.unwrap_or_default() }),
    }
}

async fn play(
    run: Run,
    drivers: Vec<Arc<dyn Driver>>,
    speed: Option<u32>,
    clock: Arc<AtomicU64>,
    sockets: bool,
) -> Result<RunOutcome, RunError> {
    let Run { plan, seed, quiet, watch_deliveries, .. } = run;
    for (client, driver) in plan.clients.iter().zip(&drivers) {
        let prepared = driver.prepare(sessions(client.workload)).await;
        prepared.map_err(|what| RunError::Driver { client: client.id.clone(), what })?;
    }
    let start = Instant::now();
    let host = Arc::new(Host::start(&plan, seed, clock, sockets)?);
    if let Some(speed) = speed {
        host.set_speed(speed);
    }
    host.answer_names(speed.is_none())?;
    if watch_deliveries {
        host.watch_deliveries();
    }
    let mut workers = JoinSet::new();
    let mut aborts = Vec::new();
    let mut calls = Vec::new();
    let mut troubles = Vec::new();
    for (client, driver) in plan.clients.iter().zip(drivers) {
        let id = ClientId::new(&client.id);
        host.set_driver(&id, driver.name());
        let (trouble, told) = Trouble::new();
        troubles.push((&client.id, told));
        let worker = Worker {
            calls: Arc::new(Calls::new(Arc::clone(&host), id.clone())),
            driver,
            settings: Settings {
                network: speed.is_none().then(|| host.network(&id)),
                ..settings(&plan, client, &host, seed, speed.unwrap_or(1), trouble)
            },
            start: start + client.start,
            client: client.clone(),
        };
        calls.push(Arc::clone(&worker.calls));
        aborts.push(workers.spawn(work(worker)));
    }
    tokio::select! {
        biased;
        error = any(troubles) => return Err(error),
        () = sleep_until(start + plan.run_for) => {}
        () = settled(&host, &calls, quiet.unwrap_or_default()), if quiet.is_some() => {}
    }
    for calls in &calls {
        calls.abandon();
    }
    // One after the other: what hundreds of connections say when they are closed at once is too much for the kernel to
    // deliver within the call that says it, and then comes in an order of its own.
    for abort in aborts {
        abort.abort();
        workers.join_next().await;
        host.catch_up().await;
    }
    drop((calls, workers));
    sleep(SETTLE).await;
    let tasks = Handle::current().metrics().num_alive_tasks().saturating_sub(host.tasks()) as u64;
    for client in &plan.clients {
        let client = ClientId::new(&client.id);
        host.record(What::Residue { open: host.open_connections(&client), client, tasks });
    }
    let deliveries = host.take_deliveries();
    let history = host.finish()?;
    let verdict = check::judge(&plan, &history);
    Ok(RunOutcome { history, deliveries, verdict, virtual_time: start.elapsed(), wall_time: Duration::ZERO })
}

/// Waits until the cluster was at rest, and every client worked well, for so long.
async fn settled(host: &Host, calls: &[Arc<Calls>], quiet: Duration) {
    let mut since = None;
    loop {
        sleep(LOOK).await;
        let now = host.now();
        if !host.is_settled() {
            since = None;
        } else if now >= *since.get_or_insert(now) + quiet && calls.iter().all(|calls| calls.well_for(quiet)) {
            return;
        }
    }
}

/// The first trouble of any driver.
async fn any(mut troubles: Vec<(&String, UnboundedReceiver<String>)>) -> RunError {
    poll_fn(|cx| {
        for (client, told) in &mut troubles {
            if let Poll::Ready(Some(what)) = told.poll_recv(cx) {
                return Poll::Ready(RunError::Driver { client: (*client).clone(), what });
            }
        }
        Poll::Pending
    })
    .await
}

/// What a client of the plan is set up with.
fn settings(
    plan: &Plan,
    client: &model::plan::Client,
    host: &Host,
    seed: Seed,
    speed: u32,
    trouble: Trouble,
) -> Settings {
    let view = host.view(&ClientId::new(&client.id));
    let all = plan.cluster.sentinel_nodes();
    let known = if client.sentinels.is_empty() { all } else { client.sentinels.clone() };
    let sentinels = known.into_iter().filter_map(|node| {
        let addr = view.node(node)?;
        let name = plan.cluster.host_name(node).map(str::to_owned);
        Some((name.unwrap_or_else(|| addr.ip().to_string()), addr.port()))
    });
    let group = plan.cluster.group(&client.master).map(|index| &plan.cluster.groups[index]);
    Settings {
        sentinels: sentinels.collect(),
        master: client.master.clone(),
        sentinel_auth: plan.cluster.sentinel_auth.clone(),
        address_map: view.address_map(),
        database: client.database,
        data_auth: group.and_then(|group| group.auth.clone()),
        tls: host.tls(),
        deadline: client.deadline,
        retry_ambiguous: client.retry_ambiguous,
        seed: seed.derive(&format!("client:{}", client.id)).0,
        speed,
        network: None,
        trouble,
    }
}
