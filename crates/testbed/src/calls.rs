//! [`Calls`]: the operations of one client, as the history tells them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::history::{Action, OpError, OpResult, Value, What};
use model::{ClientId, OpId, Time};

use crate::driver::{Answer, CallError};
use crate::host::Host;

/// Numbers the operations of one client and records how they begin and end.
pub(crate) struct Calls {
    host: Arc<Host>,
    client: ClientId,
    numbers: Mutex<Numbers>,
}

#[derive(Default)]
struct Numbers {
    last: u64,
    /// When each that is under way began, but for subscriptions, which last.
    open: BTreeMap<u64, Option<Time>>,
    /// When one last ended well, and when one did not.
    succeeded: Option<Time>,
    failed: Option<Time>,
}

impl Calls {
    /// The operations of `client`, none so far.
    pub(crate) fn new(host: Arc<Host>, client: ClientId) -> Self {
        Self { host, client, numbers: Mutex::default() }
    }

    /// The next operation.
    pub(crate) fn next(&self) -> OpId {
        let mut numbers = self.numbers();
        numbers.last += 1;
        OpId { client: self.client.clone(), seq: numbers.last }
    }

    /// The operation begins now.
    pub(crate) fn start(&self, op: &OpId, action: Action, of: Option<OpId>) {
        let began = (action != Action::Subscribe).then(|| self.host.now());
        self.numbers().open.insert(op.seq, began);
        self.host.record(What::Started { op: op.clone(), action, of });
    }

    /// The operation has ended.
    pub(crate) fn end(&self, op: OpId, result: &Result<Answer, CallError>) {
        let now = Some(self.host.now());
        let mut numbers = self.numbers();
        numbers.open.remove(&op.seq);
        *(if result.is_ok() { &mut numbers.succeeded } else { &mut numbers.failed }) = now;
        drop(numbers);
        self.host.record(What::Ended { op, result: self.outcome(result) });
    }

    /// True if for so long something has ended well and nothing else, and nothing is under way from before.
    pub(crate) fn well_for(&self, quiet: Duration) -> bool {
        let now = self.host.now();
        let recent = |at: Time| at + quiet >= now;
        let numbers = self.numbers();
        numbers.succeeded.is_some_and(recent)
            && !numbers.failed.is_some_and(recent)
            && numbers.open.values().flatten().all(|began| recent(*began))
    }

    /// A message reached a subscription. One that is of no operation is not recorded.
    pub(crate) fn delivered(&self, payload: &[u8]) {
        if let Some(op) = OpId::find(payload) {
            self.host.record(What::Delivered { client: self.client.clone(), op });
        }
    }

    /// The run ends: what is open stays unfinished.
    pub(crate) fn abandon(&self) {
        let open = std::mem::take(&mut self.numbers().open);
        for seq in open.into_keys() {
            let op = OpId { client: self.client.clone(), seq };
            self.host.record(What::Ended { op, result: OpResult::Unfinished });
        }
    }

    fn numbers(&self) -> std::sync::MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcome(&self, result: &Result<Answer, CallError>) -> OpResult {
        match result {
            Ok(answer) => OpResult::Ok {
                value: match answer {
                    Answer::Done => None,
                    Answer::Nil => Some(Value::Nil),
                    Answer::Number(number) => Some(Value::Number(*number)),
                    Answer::Value(value) => Some(Value::of(value)),
                },
            },
            Err(error) => {
                let told = OpError {
                    cause: error.cause,
                    error: self.host.view(&self.client).translate_text(error.text.clone()),
                };
                if error.may_have_run { OpResult::Ambiguous(told) } else { OpResult::Failed(told) }
            }
        }
    }
}
