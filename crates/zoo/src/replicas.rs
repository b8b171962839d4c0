//! Reading from replicas.

use model::history::Cause;
use testbed::driver::{Answer, CallError, Request};
use tokio::time::Instant;

use crate::Defect;
use crate::client::{BELIEF, Client, run};
use crate::dial::{Addr, Link, Peer, Role, dial, role, unsent, words};

/// The replica in use, and what is known of the others.
#[derive(Default)]
pub(crate) struct Replicas {
    used: Option<(Addr, Link, Instant)>,
    /// Never to be used again.
    struck: Vec<Addr>,
    /// Not to be used until then: they could not be read from.
    resting: Vec<(Addr, Instant)>,
}

impl Client {
    /// A read from a replica; from the master, where no replica can be read from.
    pub(crate) async fn read(&mut self, request: &Request) -> Result<Answer, CallError> {
        loop {
            let (addr, mut connection) = match self.replica().await? {
                Some(found) => found,
                None if self.has(Defect::NeedsReplica) => {
                    return Err(unsent(Cause::Other, "there is no replica"));
                }
                None => return self.read_from_master(request).await,
            };
            let error = match run(&mut connection, request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.replicas.used = None;
            self.strike(addr.clone());
            let hands_on = match self.defect {
                Some(Defect::ReadsFlagged) => true,
                Some(Defect::ReadsUnsynced) => error.code() == Some("LOADING"),
                Some(Defect::ReadsCutOff) => error.code() == Some("MASTERDOWN"),
                _ => false,
            };
            if hands_on {
                let refused = error.code().is_some();
                let cause = if refused { Cause::Server } else { Cause::Connection };
                return Err(CallError { may_have_run: !refused, cause, text: words(&error) });
            }
            // A read may be repeated: by another replica, and if there is none, by the master.
            self.replicas.resting.push((addr, Instant::now() + BELIEF));
        }
    }

    /// It takes whatever is listed first, and asks it nothing.
    fn careless(&self) -> bool {
        matches!(self.defect, Some(Defect::ReadsFlagged | Defect::ReadsUnsynced | Defect::ReadsCutOff))
    }

    fn strike(&mut self, addr: Addr) {
        if self.has(Defect::FreezesReplicas) {
            self.replicas.struck.push(addr);
        }
    }

    /// A replica that says that it is one and follows its master.
    async fn replica(&mut self) -> Result<Option<(Addr, Link)>, CallError> {
        let careless = self.careless();
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
        let now = Instant::now();
        self.replicas.resting.retain(|(_, until)| now < *until);
        let resting = |addr: &Addr| self.replicas.resting.iter().any(|(resting, _)| resting == addr);
        listed.retain(|(addr, _)| !self.replicas.struck.contains(addr) && !resting(addr));
        if !self.has(Defect::ReadsFlagged) {
            listed.retain(|(_, flags)| flags == "slave");
        }
        if careless {
            listed.truncate(1);
        }
        for (addr, _) in listed {
            let dialled = dial(&self.settings, Peer::Data, &addr, self.settings.database, self.patience()).await;
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
                Err(error) if self.has(Defect::ReadsFlagged) => {
                    return Err(unsent(Cause::Connection, &error.to_string()));
                }
                Err(_) => self.strike(addr),
            }
        }
        Ok(None)
    }
}
