//! [`Pool`]: dedicated connections that are used again, kept by the crate `deadpool`.

use std::convert::Infallible;
use std::sync::Arc;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};

use crate::dedicated::Dedicated;
use crate::keeper::Node;

/// A pool of [`Dedicated`] connections to one master, for tasks that block. Cheap to clone.
///
/// A connection that is given back is used again, unless a command has changed it (`WATCH`, `SELECT`) or was dropped
/// before its reply came. When the master moves, the idle connections to the old one are closed at once; they come back,
/// to the new one, with their next command.
///
/// ```no_run
/// # async fn example(client: sentinel_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use redis::AsyncCommands as _;
///
/// let pool = client.pool().max_size(8).build()?;
/// let mut connection = pool.get().await?;
/// let job: Option<(String, String)> = connection.blpop("jobs", 5.0).await?;
/// # Ok(()) }
/// ```
pub type Pool = managed::Pool<Manager>;

/// Settings of a [`Pool`]: how many connections at most (four for each processor), how long to wait for one (as long as the
/// [budget](crate::Retry::budget) of the client's settings; then `get` fails with a time-out).
pub type PoolBuilder = managed::PoolBuilder<Manager>;

/// A [`Dedicated`] connection that goes back into its [`Pool`] when it is dropped.
pub type Pooled = managed::Object<Manager>;

/// Makes the connections of a [`Pool`].
#[derive(Debug)]
pub struct Manager {
    node: Arc<Node>,
}

/// A pool for the connections to `node`.
pub(crate) fn builder(node: Arc<Node>) -> PoolBuilder {
    let budget = node.core.settings.retry.budget;
    Pool::builder(Manager { node }).runtime(deadpool::Runtime::Tokio1).wait_timeout(Some(budget))
}

impl managed::Manager for Manager {
    type Type = Dedicated;
    type Error = Infallible;

    async fn create(&self) -> Result<Dedicated, Infallible> {
        Ok(Dedicated::new(Arc::clone(&self.node)))
    }

    async fn recycle(&self, connection: &mut Dedicated, _: &Metrics) -> RecycleResult<Infallible> {
        if connection.renew() { Ok(()) } else { Err(RecycleError::message("it has been changed")) }
    }
}
