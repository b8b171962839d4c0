//! Clients that break the process that runs them. A campaign has to survive them, and to name the run that they broke.

use std::sync::Arc;

use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

use crate::Zoo;

/// What a client does to its process, at its tenth operation. Until then it is the correct client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Havoc {
    /// It panics.
    Panics,
    /// It ends the process.
    Aborts,
    /// It never gives the processor back.
    Spins,
    /// It takes memory, and more.
    Grows,
}

/// All of them.
pub fn havoc() -> Vec<Arc<dyn Driver>> {
    [Havoc::Panics, Havoc::Aborts, Havoc::Spins, Havoc::Grows].map(|havoc| Arc::new(havoc) as Arc<dyn Driver>).into()
}

impl Driver for Havoc {
    fn name(&self) -> &'static str {
        match self {
            Self::Panics => "broken-panics",
            Self::Aborts => "broken-aborts",
            Self::Spins => "broken-spins",
            Self::Grows => "broken-grows",
        }
    }

    fn about(&self) -> &'static str {
        match self {
            Self::Panics => "it panics",
            Self::Aborts => "it ends the process",
            Self::Spins => "it never gives the processor back",
            Self::Grows => "it takes memory, and more",
        }
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let inner = Zoo(None).open(settings).await?;
            Ok(Box::new(Breaking { inner, calls: 0, havoc: *self }) as Box<dyn Session>)
        })
    }
}

struct Breaking {
    inner: Box<dyn Session>,
    calls: u32,
    havoc: Havoc,
}

impl Session for Breaking {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        self.calls += 1;
        if self.calls == 10 {
            match self.havoc {
                Havoc::Panics => panic!("on purpose"),
                Havoc::Aborts => std::process::abort(),
                Havoc::Spins => loop {
                    std::hint::spin_loop();
                },
                Havoc::Grows => grow(),
            }
        }
        self.inner.call(request)
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        self.inner.subscribe(topics, on_message)
    }
}

/// Takes memory by and by, so that whoever watches sees it before the system has none left; and at most 512 MiB, if
/// nobody does.
fn grow() -> ! {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        if taken.len() < 512 {
            taken.push(vec![1; 1 << 20]);
        }
        std::thread::yield_now();
        std::hint::black_box(&taken);
    }
}
