//! [`Builder`]: the cluster that a test asks for.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use model::plan::{Cluster, Credentials, Expect};
use model::{Plan, Seed};

use crate::host::Host;
use crate::testbed::{Testbed, TestbedError};

/// The cluster that a test asks for: one master called `mymaster`, 2 replicas, 3 Sentinels with quorum 2 and Sentinel's
/// own time-outs, unless told otherwise.
#[derive(Clone, Debug)]
#[must_use = "nothing happens before it is started"]
pub struct Builder {
    plan: Plan,
    seed: Seed,
    patience: Duration,
}

impl Builder {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, seed: Seed(0), patience: Duration::from_secs(600) }
    }

    /// The standard cluster.
    pub(crate) fn standard() -> Self {
        Self::new(Plan {
            title: "a test".to_owned(),
            cluster: Cluster::standard(),
            clients: Vec::new(),
            timeline: Vec::new(),
            run_for: Duration::ZERO,
            expect: Expect::default(),
        })
    }

    /// The master's name.
    pub fn master(mut self, name: &str) -> Self {
        name.clone_into(&mut self.plan.cluster.groups[0].name);
        self
    }

    /// Replicas of the master.
    pub fn replicas(mut self, replicas: u16) -> Self {
        self.plan.cluster.groups[0].replicas = replicas;
        self
    }

    /// Sentinels. The quorum becomes a majority of them.
    pub fn sentinels(mut self, sentinels: u16) -> Self {
        self.plan.cluster.sentinels = sentinels;
        self.plan.cluster.groups[0].quorum = sentinels / 2 + 1;
        self
    }

    /// Sentinels that must agree that the master is down.
    pub fn quorum(mut self, quorum: u16) -> Self {
        self.plan.cluster.groups[0].quorum = quorum;
        self
    }

    /// `down-after-milliseconds`.
    pub fn down_after(mut self, down_after: Duration) -> Self {
        self.plan.cluster.groups[0].down_after = down_after;
        self
    }

    /// `failover-timeout`.
    pub fn failover_timeout(mut self, failover_timeout: Duration) -> Self {
        self.plan.cluster.groups[0].failover_timeout = failover_timeout;
        self
    }

    /// The password of the data nodes.
    pub fn password(mut self, password: &str) -> Self {
        self.plan.cluster.groups[0].auth = Some(Credentials { user: None, password: password.to_owned() });
        self
    }

    /// The password of the Sentinels.
    pub fn sentinel_password(mut self, password: &str) -> Self {
        self.plan.cluster.sentinel_auth = Some(Credentials { user: None, password: password.to_owned() });
        self
    }

    /// Whatever else a plan can say: zones, priorities, a timeline, expectations.
    pub fn plan(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(&mut self.plan);
        self
    }

    /// The root of all randomness of the cluster; 0 by default. The same seed gives the same elections.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Seed(seed);
        self
    }

    /// How long [`Testbed::wait_for`] waits at most, on tokio's clock; 10 minutes by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts the cluster. Time counts from now. Every Sentinel knows the master from the start; they take about two
    /// seconds to find the replicas and each other.
    ///
    /// # Errors
    /// The plan makes no cluster, or there are no sockets for it.
    #[allow(clippy::unused_async)]
    pub async fn start(self) -> Result<Testbed, TestbedError> {
        if self.plan.cluster.groups.is_empty() || self.plan.cluster.sentinels == 0 {
            return Err(TestbedError::NoCluster);
        }
        let host = Host::start(&self.plan, self.seed, Arc::new(AtomicU64::new(0)), true)?;
        // Without names the test may have others to look up.
        if !self.plan.cluster.hosts.is_empty() {
            host.answer_names(true)?;
        }
        Testbed::new(self.plan, host, self.patience)
    }
}
