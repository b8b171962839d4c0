//! The clients behind the lab's trait.

use std::sync::Arc;

use model::history::Cause;
use model::plan::{Need, Workload};
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::Defect;
use crate::client::Client;

/// The driver of the correct client, or of the one with this defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zoo(pub Option<Defect>);

/// The correct client and every wrong one.
pub fn all() -> Vec<Arc<dyn Driver>> {
    let wrong = Defect::ALL.iter().copied().map(Some);
    std::iter::once(None).chain(wrong).map(|defect| Arc::new(Zoo(defect)) as Arc<dyn Driver>).collect()
}

/// The driver called `name`.
pub fn by_name(name: &str) -> Option<Arc<dyn Driver>> {
    all().into_iter().find(|driver| driver.name() == name)
}

/// The workload at which alone the client called `name` is wrong; `None` if there is no such client, or not one workload alone.
pub fn wrong_at(name: &str) -> Option<Workload> {
    Defect::ALL.iter().find(|defect| defect.name() == name).and_then(|defect| defect.workload())
}

impl Driver for Zoo {
    fn name(&self) -> &'static str {
        self.0.map_or("correct", Defect::name)
    }

    fn about(&self) -> &'static str {
        self.0.map_or("the client of the zoo without a defect", Defect::about)
    }

    fn can(&self, _need: Need) -> bool {
        true
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        let client = Client::new(settings, self.0);
        let session: Box<dyn Session> = match self.0 {
            Some(Defect::WaitsInLine) => Box::new(InLine(Arc::new(Mutex::new(client)))),
            _ => Box::new(client),
        };
        Box::pin(async { Ok(session) })
    }
}

/// A client that one caller uses at a time.
struct InLine(Arc<Mutex<Client>>);

impl Session for InLine {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move { self.0.lock().await.call(request).await })
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(async move { self.0.lock().await.follow(topics, on_message).await })
    }

    fn share(&self) -> Option<Box<dyn Session>> {
        Some(Box::new(Self(Arc::clone(&self.0))))
    }
}

impl Session for Client {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        // Deadlines are the caller's, who is told when one is over, unless the defect is not to keep them.
        let keeps = match self.defect {
            Some(
                Defect::WaitsForEver
                | Defect::TrustsPing
                | Defect::TriesForEver
                | Defect::ClosesPolitely
                | Defect::FixedDelay,
            ) => false,
            Some(Defect::BlocksForEver) => request.blocks().is_none(),
            _ => true,
        };
        if !keeps {
            return Box::pin(Client::call(self, request));
        }
        let deadline = self.settings.deadline;
        Box::pin(async move {
            let over = CallError { may_have_run: true, cause: Cause::Timeout, text: "the deadline is over".to_owned() };
            timeout(deadline, Client::call(self, request)).await.unwrap_or(Err(over))
        })
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(self.follow(topics, on_message))
    }

    /// Each caller has connections of its own.
    fn share(&self) -> Option<Box<dyn Session>> {
        Some(Box::new(self.shared()))
    }
}
