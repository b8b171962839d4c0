//! Reading from replicas.

use model::history::Cause;
use redis::aio::MultiplexedConnection;
use testbed::driver::{Answer, CallError, Request};
use tokio::time::Instant;

use crate::Defect;
use crate::client::{BELIEF, Client, run};
use crate::dial::{Addr, Role, dial, role, unsent};

/// The replica in use, and what is known of the others.
#[derive(Default)]
pub(crate) struct Replicas {
    used: Option<(Addr, MultiplexedConnection, Instant)>,
    /// Never to be used again.
    struck: Vec<Addr>,
}

impl Client {
    /// A read from a replica; from the master, where no replica can be read from.
    pub(crate) async fn read(&mut self, request: &Request) -> Result<Answer, CallError> {
        let (addr, mut connection) = match self.replica().await? {
            Some(found) => found,
            None if self.has(Defect::NeedsReplica) || self.has(Defect::FreezesReplicas) => {
                return Err(unsent(Cause::Other, "there is no replica"));
            }
            None => return self.read_from_master(request).await,
        };
        run(&mut connection, request).await.map_err(|error| {
            self.replicas.used = None;
            self.strike(addr);
            let refused = error.code().is_some();
            let cause = if refused { Cause::Server } else { Cause::Connection };
            CallError { may_have_run: !refused, cause, text: error.to_string() }
        })
    }

    fn strike(&mut self, addr: Addr) {
        if self.has(Defect::FreezesReplicas) {
            self.replicas.struck.push(addr);
        }
    }

    /// A replica that says that it is one and follows its master.
    async fn replica(&mut self) -> Result<Option<(Addr, MultiplexedConnection)>, CallError> {
        let careless = matches!(self.defect, Some(Defect::ReadsFlagged | Defect::ReadsUnsynced));
        if let Some((addr, connection, verified)) = &mut self.replicas.used {
            if careless || verified.elapsed() < BELIEF {
                return Ok(Some((addr.clone(), connection.clone())));
            }
            if matches!(role(connection).await, Ok(Role::Replica)) {
                *verified = Instant::now();
                return Ok(Some((addr.clone(), connection.clone())));
            }
            let addr = addr.clone();
            self.replicas.used = None;
            self.strike(addr);
        }
        let mut listed = self.sentinels.replicas().await?;
        listed.retain(|(addr, _)| !self.replicas.struck.contains(addr));
        if careless {
            listed.truncate(1);
        } else {
            listed.retain(|(_, flags)| flags == "slave");
        }
        for (addr, _) in listed {
            let dialled = dial(&addr, self.settings.data_auth.as_ref(), self.patience()).await;
            let told = match dialled {
                Ok(mut connection) if careless => {
                    let _ = role(&mut connection).await;
                    Ok((connection, Role::Replica))
                }
                Ok(mut connection) => role(&mut connection).await.map(|role| (connection, role)),
                Err(error) => Err(error),
            };
            match told {
                Ok((connection, Role::Replica)) => {
                    self.replicas.used = Some((addr.clone(), connection.clone(), Instant::now()));
                    return Ok(Some((addr, connection)));
                }
                Ok(_) => {}
                Err(error) if careless => return Err(unsent(Cause::Connection, &error.to_string())),
                Err(_) => self.strike(addr),
            }
        }
        Ok(None)
    }
}
