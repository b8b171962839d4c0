//! [`Testbed`]: a cluster for a test to work with, by its own client and its own hand.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::history::{Action, What};
use model::plan::{Client, Cluster, Workload};
use model::{ClientId, EventName, Fault, History, NodeId, Plan, Time, Verdict};
use tokio::time::{sleep, timeout};

use crate::builder::Builder;
use crate::calls::Calls;
use crate::driver::{Answer, CallError, Tls};
use crate::host::Host;
use crate::view::View;

/// The client that sees the cluster through the addresses of the testbed itself.
const DEFAULT_CLIENT: &str = "client";
/// Time that dropped clients have to close their connections before a verdict.
const SETTLE: Duration = Duration::from_secs(1);

/// A running cluster. It ends when this is dropped.
///
/// Under `#[tokio::test(start_paused = true)]` time is virtual: it jumps to the next thing that happens whenever
/// everything waits, and a failover of 45 seconds takes milliseconds. With a running clock everything works the same, in
/// real time.
///
/// It needs tokio's current-thread runtime to be repeatable, and the client must live on the same runtime.
pub struct Testbed {
    plan: Mutex<Plan>,
    host: Arc<Host>,
    calls: Mutex<Vec<Arc<Calls>>>,
    patience: Duration,
    /// Records of the history that [`Testbed::wait_for`] has been through.
    seen: Mutex<usize>,
    view: Arc<View>,
}

/// What can go wrong with a testbed. None of it is the client's fault but, perhaps, [`TestbedError::NotSeen`].
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// A plan needs at least one group and one Sentinel.
    #[error("a cluster needs at least one master group and one sentinel")]
    NoCluster,
    /// The scenario is not valid.
    #[error(transparent)]
    Scenario(#[from] scenario::ScenarioErrors),
    /// The sockets could not be had.
    #[error("no sockets for the cluster: {0}")]
    Io(#[from] io::Error),
    /// What was waited for did not come.
    #[error("no {event} within {} s, at {now}", .waited.as_secs())]
    NotSeen {
        /// The event.
        event: EventName,
        /// How long it was waited for.
        waited: Duration,
        /// The time of the run.
        now: Time,
    },
    /// A fault hit no node.
    #[error("{fault} found nothing to act on at {now}")]
    NoTarget {
        /// Its sentence.
        fault: String,
        /// The time of the run.
        now: Time,
    },
}

impl Testbed {
    /// A cluster to be described.
    pub fn builder() -> Builder {
        Builder::standard()
    }

    /// The cluster and the timeline of a scenario file. Its clients are views to connect through, by their id; they are
    /// not run.
    pub fn from_yaml(source: &str) -> Result<Builder, TestbedError> {
        Ok(Builder::new(scenario::parse(source, "scenario", &scenario::Options::default())?))
    }

    /// The cluster and the timeline of a plan. Its clients are views to connect through, by their id; they are not run.
    pub fn from_plan(plan: Plan) -> Builder {
        Builder::new(plan)
    }

    pub(crate) fn new(plan: Plan, host: Host, patience: Duration) -> Result<Self, TestbedError> {
        let view = host.add_client(&ClientId::new(DEFAULT_CLIENT), Cluster::DEFAULT_ZONE)?;
        let (calls, seen) = (Mutex::default(), Mutex::new(0));
        Ok(Self { plan: Mutex::new(plan), host: Arc::new(host), calls, patience, seen, view })
    }

    /// The addresses of the Sentinels, as a client in the default zone dials them.
    pub fn sentinel_addrs(&self) -> Vec<SocketAddr> {
        self.addrs(&self.view, Cluster::sentinel_nodes)
    }

    /// The address of the group's master, as most Sentinels answer now; `None` if there is no such group or no majority
    /// for one master.
    pub fn master_addr(&self, group: &str) -> Option<SocketAddr> {
        self.view.node(self.host.master(group)?)
    }

    /// The master of a group, as most Sentinels answer now.
    pub fn master(&self, group: &str) -> Option<NodeId> {
        self.host.master(group)
    }

    /// The address of a node, as a client in the default zone dials it; `None` if there is no such node.
    pub fn node_addr(&self, node: NodeId) -> Option<SocketAddr> {
        self.view.node(node)
    }

    /// How connections to the cluster are to be encrypted; `None` if none is.
    pub fn tls(&self) -> Option<Tls> {
        self.host.tls()
    }

    /// The addresses through which the client called `name` sees the cluster, from its own zone. Whoever dials them is
    /// that client.
    ///
    /// # Errors
    /// There are no sockets for it.
    pub fn view(&self, name: &str, zone: &str) -> Result<ClientView<'_>, TestbedError> {
        let view = self.host.add_client(&ClientId::new(name), zone)?;
        Ok(ClientView { bed: self, view })
    }

    /// A client whose operations the test reports, so that [`Testbed::verdict`] judges them. It stands in the default
    /// zone, has a deadline of 10 s a call and a budget of 3 s, unless the plan has a client of that name.
    ///
    /// # Errors
    /// There are no sockets for it.
    pub fn client(&self, name: &str) -> Result<Reporter, TestbedError> {
        let id = ClientId::new(name);
        self.host.add_client(&id, Cluster::DEFAULT_ZONE)?;
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.clients.iter().all(|client| client.id != name) {
            plan.clients.push(Client::new(name, Workload::Counter));
        }
        let calls = Arc::new(Calls::new(Arc::clone(&self.host), id));
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&calls));
        Ok(Reporter { calls })
    }

    /// Does something to the cluster, now, after everything has arrived that clients have sent. Gives the nodes that it
    /// hit.
    ///
    /// # Errors
    /// [`TestbedError::NoTarget`] if there was nothing to hit: `kill master` without a master.
    pub async fn inject(&self, fault: Fault) -> Result<Vec<NodeId>, TestbedError> {
        self.inject_for(fault, None).await
    }

    /// As [`Testbed::inject`]; undone after this long.
    pub async fn inject_lasting(&self, fault: Fault, lasting: Duration) -> Result<Vec<NodeId>, TestbedError> {
        self.inject_for(fault, Some(lasting)).await
    }

    async fn inject_for(&self, fault: Fault, lasting: Option<Duration>) -> Result<Vec<NodeId>, TestbedError> {
        self.host.catch_up().await;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = self.history(|history| history.records.len());
        let hit = self.host.inject(&fault, lasting);
        if hit.is_empty() {
            return Err(TestbedError::NoTarget { fault: fault.to_string(), now: self.now() });
        }
        Ok(hit)
    }

    /// Waits until a Sentinel publishes the event, or has since the last [`Testbed::inject`] or, if that was later,
    /// since the event that was waited for last. Gives its time.
    ///
    /// # Errors
    /// [`TestbedError::NotSeen`] after the [patience](Builder::patience) of the testbed.
    pub async fn wait_for(&self, event: EventName) -> Result<Time, TestbedError> {
        let find = self.host.find(|history| {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let new = history.records.get(*seen..).unwrap_or_default();
            let is_it = |what: &What| matches!(what, What::Event { event: found, .. } if *found == event);
            let index = new.iter().position(|record| is_it(&record.what))?;
            *seen += index + 1;
            Some(new[index].at)
        });
        let not_seen = |_| TestbedError::NotSeen { event, waited: self.patience, now: self.now() };
        timeout(self.patience, find).await.map_err(not_seen)
    }

    /// Waits until `look` finds something in the history.
    ///
    /// # Errors
    /// `None` after the [patience](Builder::patience) of the testbed.
    pub async fn wait_until<T>(&self, look: impl FnMut(&History) -> Option<T>) -> Option<T> {
        timeout(self.patience, self.host.find(look)).await.ok()
    }

    /// Time since the start.
    pub fn now(&self) -> Time {
        self.host.now()
    }

    /// Looks at what has happened so far.
    pub fn history<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        self.host.history(look)
    }

    /// Ends the cluster and judges what its [clients](Testbed::client) did. Drop them first: what they leave open counts
    /// against them. Tasks do not, since those of the client cannot be told from those of the test.
    ///
    /// # Errors
    /// A socket failed the testbed during the run.
    pub async fn verdict(self) -> Result<Verdict, TestbedError> {
        Ok(self.finish().await?.1)
    }

    /// As [`Testbed::verdict`], with the history that it is about.
    pub async fn finish(self) -> Result<(History, Verdict), TestbedError> {
        for calls in self.calls.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            calls.abandon();
        }
        sleep(SETTLE).await;
        let plan = self.plan.into_inner().unwrap_or_else(PoisonError::into_inner);
        for client in &plan.clients {
            let client = ClientId::new(&client.id);
            let open = self.host.open_connections(&client);
            self.host.record(What::Residue { client, open, tasks: 0 });
        }
        let history = self.host.finish()?;
        let verdict = check::judge(&plan, &history);
        Ok((history, verdict))
    }

    fn addrs(&self, view: &View, nodes: impl Fn(&Cluster) -> Vec<NodeId>) -> Vec<SocketAddr> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        nodes(&plan.cluster).into_iter().filter_map(|node| view.node(node)).collect()
    }
}

/// The cluster as one client sees it.
pub struct ClientView<'a> {
    bed: &'a Testbed,
    view: Arc<View>,
}

impl ClientView<'_> {
    /// The addresses of the Sentinels.
    pub fn sentinel_addrs(&self) -> Vec<SocketAddr> {
        self.bed.addrs(&self.view, Cluster::sentinel_nodes)
    }

    /// The address of a node; `None` if there is no such node.
    pub fn node_addr(&self, node: NodeId) -> Option<SocketAddr> {
        self.view.node(node)
    }

    /// The address of the group's master, as most Sentinels answer now.
    pub fn master_addr(&self, group: &str) -> Option<SocketAddr> {
        self.view.node(self.bed.master(group)?)
    }
}

/// Reports what a client does, so that it can be judged.
#[derive(Clone)]
pub struct Reporter {
    calls: Arc<Calls>,
}

impl Reporter {
    /// Carries out an operation and records how it went. `call` is given the operation's name, `writer#17`; put it into
    /// the key (`INCR counter:writer#17`) or the value (`LPUSH`, `PUBLISH`), so that what the nodes execute is traced
    /// to it.
    pub async fn operation(
        &self,
        action: Action,
        call: impl AsyncFnOnce(String) -> Result<Answer, CallError>,
    ) -> Result<Answer, CallError> {
        let op = self.calls.next();
        self.calls.start(&op, action, None);
        let result = call(op.to_string()).await;
        self.calls.end(op, &result);
        result
    }
}
