//! Scripts that take long. A script that has not ended after its first steps is left where it stands; nobody else is served,
//! as in Redis, and the script goes on in slices by the clock. So its steps take time, the same time in each run.

use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::{Command, Conn, Input, Output, Reply, Time};

use crate::access::Failure;
use crate::args::yes_no;
use crate::commands::tracking::Invalid;
use crate::dispatch::{Answer, Call, Outcome, Within};
use crate::node::Node;
use crate::script::{Ask, Ended, Failed, KILLED, Program, Steps, Thread};
use crate::table;

/// What takes no time, in hundreds of thousands of steps.
const LOOKS_AT_ONCE: u32 = 20;
/// And then the steps of a slice, and the time that it takes.
const LOOKS_OF_SLICE: u32 = 2;
const SLICE: Duration = Duration::from_millis(10);
/// A script that cannot be left, as it is part of a transaction, is killed after so many.
const LOOKS_MAX: u32 = 200;

pub(crate) const BUSY: Failure = std::borrow::Cow::Borrowed(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
);

/// What a script may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permit {
    pub(crate) read_only: bool,
    pub(crate) allow_oom: bool,
}

/// For whom a script runs.
#[derive(Debug)]
pub(crate) struct Caller {
    conn: Conn,
    /// The database that it had selected.
    db: usize,
    pub(crate) permit: Permit,
    /// The script called a command that writes.
    pub(crate) wrote: bool,
}

/// A script under way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    thread: Thread,
    pub(crate) caller: Caller,
    /// The command that called it.
    command: Command,
    /// From then on others are told.
    busy_from: Time,
    /// `SCRIPT KILL`
    pub(crate) killed: bool,
    /// What it is in the middle of.
    steps: Steps,
    /// [`Node::dirty`] before it began.
    dirty: u64,
    /// What it did so far, which nobody has heard of yet.
    changes: Vec<(usize, Command)>,
    invalid: Vec<Invalid>,
}

impl Node {
    /// Runs a script, to its end or for as long as it takes no time.
    pub(crate) fn run_script(&mut self, call: &mut Call<'_>, program: Program, permit: Permit) -> Outcome {
        let db = self.clients.get(&call.conn).map_or(0, |client| client.db);
        let mut caller = Caller { conn: call.conn, db, permit, wrote: false };
        if call.within != Within::Nothing || !program.may_take_long() {
            let looks = AtomicU32::new(0);
            let go_on = move |_| looks.fetch_add(1, Ordering::Relaxed) < LOOKS_MAX;
            let ended =
                program.run(&mut |ask| self.answer_script(&mut caller, call.command, ask, call.now, call.out), go_on);
            self.select_again(&caller);
            return Ok(self.end_script(call.command, ended));
        }
        let threshold = self.config.other("busy-reply-threshold").parse().unwrap_or(0);
        let mut script = UnderWay {
            thread: Thread::start(program).map_err(|error| format!("ERR cannot run a script: {error}"))?,
            caller,
            command: call.command.clone(),
            busy_from: if threshold == 0 { Time::NEVER } else { call.now + Duration::from_millis(threshold) },
            killed: false,
            steps: Steps::Script,
            dirty: self.dirty,
            changes: Vec::new(),
            invalid: Vec::new(),
        };
        if let Some(ended) = self.advance(&mut script, LOOKS_AT_ONCE, call.now, call.out) {
            return Ok(self.end_script(call.command, ended));
        }
        self.put_aside(&mut script);
        self.sleep(call.now + SLICE, Some(script));
        Ok(Answer::Blocked)
    }

    /// Counts the errors that a script, called by `command`, has ended with.
    fn end_script(&mut self, command: &Command, Ended { reply, errors, random }: Ended) -> Answer {
        self.random = random.unwrap_or(self.random);
        for Failed { text, counted } in errors {
            match table::lookup(command) {
                Ok(spec) if counted => self.stats.failed(spec.name),
                _ => self.stats.error(&text),
            }
        }
        reply.into()
    }

    /// Lets a script run up to the look of this number; how it ended if it did. It waits to hear whether it may go on if not.
    fn advance(&mut self, script: &mut UnderWay, looks: u32, now: Time, out: &mut Vec<Output>) -> Option<Ended> {
        let mut left = looks;
        loop {
            let reply = match script.thread.next() {
                Ask::GoOn(_) if script.killed => Reply::error(KILLED),
                Ask::GoOn(steps) => {
                    script.steps = steps;
                    left -= 1;
                    if left == 0 {
                        return None;
                    }
                    Reply::OK
                }
                Ask::Ended(ended) => {
                    self.select_again(&script.caller);
                    return Some(ended);
                }
                ask => self.answer_script(&mut script.caller, &script.command, ask, now, out),
            };
            script.thread.answer(reply);
        }
    }

    fn answer_script(
        &mut self,
        caller: &mut Caller,
        calling: &Command,
        ask: Ask,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Reply {
        match ask {
            Ask::Call(words, resp3) => self.call_of_script(caller, (calling, &Command(words)), resp3, now, out),
            Ask::MayRun(words) => self.may_script_run(caller.conn, &Command(words)),
            Ask::GoOn(_) | Ask::Ended(_) => Reply::OK,
        }
    }

    /// What a script selected is nobody else's.
    fn select_again(&mut self, caller: &Caller) {
        if let Some(client) = self.clients.get_mut(&caller.conn) {
            client.db = caller.db;
        }
    }

    fn call_of_script(
        &mut self,
        caller: &mut Caller,
        (calling, command): (&Command, &Command),
        resp3: bool,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Reply {
        let conn = caller.conn;
        let before =
            self.clients.get_mut(&conn).map(|client| mem::replace(&mut client.resp, if resp3 { 3 } else { 2 }));
        let mut call = Call { now, conn, command, within: Within::Script(calling), out };
        let reply = self.call_from_script(&mut call, caller);
        if let Some((client, resp)) = self.clients.get_mut(&conn).zip(before) {
            client.resp = resp;
        }
        reply
    }

    fn may_script_run(&self, conn: Conn, command: &Command) -> Reply {
        match table::lookup(command) {
            Ok(spec) => {
                yes_no(self.clients.get(&conn).is_some_and(|client| self.denied(client, spec, command).is_none()))
            }
            Err(_) => Reply::error("ERR Invalid command passed to redis.acl_check_cmd()"),
        }
    }

    /// What a script did is nobody's business until it ends.
    fn put_aside(&mut self, script: &mut UnderWay) {
        mem::swap(&mut self.changes, &mut script.changes);
        mem::swap(&mut self.invalid, &mut script.invalid);
    }

    /// Runs the next slice of the script under way; true if there is none any more.
    pub(crate) fn run_slice(&mut self, now: Time, out: &mut Vec<Output>) -> bool {
        let Some(mut script) = self.asleep.as_mut().and_then(|asleep| asleep.script.take()) else { return true };
        self.put_aside(&mut script);
        script.thread.answer(if script.killed { Reply::error(KILLED) } else { Reply::OK });
        let Some(ended) = self.advance(&mut script, LOOKS_OF_SLICE, now, out) else {
            self.put_aside(&mut script);
            if let Some(asleep) = &mut self.asleep {
                asleep.until = now + SLICE;
                asleep.script = Some(script);
            }
            return false;
        };
        let changed = self.dirty > script.dirty;
        let answer = self.end_script(&script.command, ended);
        if let Ok(spec) = table::lookup(&script.command) {
            self.stats.concluded(spec.name);
            self.conclude(now, script.caller.conn, (spec, script.command), (Ok(answer), changed), out);
        }
        true
    }

    /// The script that keeps others waiting.
    pub(crate) fn script_under_way(&mut self) -> Option<&mut UnderWay> {
        self.asleep.as_mut()?.script.as_mut()
    }

    /// True while others are told of a script that takes long.
    pub(crate) fn is_busy(&self) -> bool {
        self.asleep.as_ref().is_some_and(|asleep| asleep.script.is_some())
    }

    /// Serves the others as far as a script that takes long allows: not its own client, and not the master.
    pub(crate) fn serve_while_busy(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(script) = self.script_under_way() else { return };
        if now < script.busy_from || script.steps == Steps::Search {
            return;
        }
        let conn = script.caller.conn;
        let waits = |input: &Input| match input {
            Input::Connected(of) | Input::Accepted(of, _) | Input::Received(of, _) | Input::Closed(of) => {
                *of == conn || of.is_outbound()
            }
            Input::Tick | Input::ClockJump(_) | Input::LoadingUntil(_) | Input::IgnoreClientKill(_) => false,
        };
        let inputs = self.asleep.as_mut().map(|asleep| mem::take(&mut asleep.inputs)).unwrap_or_default();
        for input in inputs {
            if waits(&input) {
                if let Some(asleep) = &mut self.asleep {
                    asleep.inputs.push_back(input);
                }
            } else if !self.ended {
                self.input(now, input, out);
            }
        }
    }
}
