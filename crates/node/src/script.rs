//! Lua scripts: a fresh interpreter for each run, without libraries of the system, bounded in memory; on a thread of its own
//! if it may take long (see [`thread`]). What a script sees is that of Redis 7.0; the libraries `cmsgpack`, `struct` and `bit` are not there, and
//! `cjson` is without its settings.

mod convert;
mod random;
mod search;
mod thread;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use mlua::chunk::ChunkMode;
use mlua::debug::DebugNames;
use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};
use model::Reply;

use self::convert::{COUNTED, from_lua, is_counted, to_lua, within, words};
pub(crate) use self::random::Random;
use self::search::{Search, Stop};
pub(crate) use self::thread::{Ask, Thread};

/// Steps of the interpreter after which a script asks whether it may go on, as in Redis.
const STEPS_BETWEEN_LOOKS: u32 = 100_000;
/// Bytes that a script may use.
const MEMORY_MAX: usize = 1024 * 1024 * 1024;
/// The name of every script in messages: `user_script:1: …`.
const NAME: &str = "@user_script";
const CJSON: &[u8] = b"cjson";
const GLOBALS: &[u8] = b"_G";
/// Why a script ends that may not go on.
pub(crate) const KILLED: &str = "Script killed by user with SCRIPT KILL...";

/// What takes the time of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steps {
    /// Instructions.
    Script,
    /// A search with a pattern, in which Redis cannot look around.
    Search,
}

/// The digest that `EVALSHA` names a script by.
pub(crate) fn digest(script: &[u8]) -> String {
    sha1_smol::Sha1::from(script).digest().to_string()
}

/// An interpreter with nothing loaded.
fn interpreter() -> mlua::Result<Lua> {
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
    Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))
}

/// What is around every script. Compiled once: that takes longer than most scripts do.
fn prelude(lua: &Lua) -> mlua::Result<Function> {
    static COMPILED: OnceLock<Vec<u8>> = OnceLock::new();
    let load = |code: &[u8], mode| lua.load(code).set_name("=prelude").set_mode(mode).into_function();
    if COMPILED.get().is_none() {
        let compiled = load(include_bytes!("script/prelude.lua"), ChunkMode::Text)?.dump(false);
        let _ = COMPILED.set(compiled);
    }
    load(COMPILED.get().expect("it was compiled"), ChunkMode::Binary)
}

fn compile(lua: &Lua, script: &[u8]) -> Result<Function, String> {
    let chunk = lua.load(script).set_name(NAME).set_mode(ChunkMode::Text);
    chunk.into_function().map_err(|error| match error {
        mlua::Error::SyntaxError { message, .. } => message,
        other => other.to_string(),
    })
}

/// The error text if the script cannot be compiled.
pub(crate) fn check(script: &[u8]) -> Result<(), String> {
    let lua = interpreter().map_err(|error| error.to_string())?;
    compile(&lua, script).map(|_| ())
}

/// How a script has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) reply: Reply,
    /// The errors in its reply.
    pub(crate) errors: Vec<Failed>,
    /// Where the random numbers of the next one go on from, if any were drawn.
    pub(crate) random: Option<Random>,
}

impl Ended {
    pub(crate) fn failed(error: &str) -> Self {
        let text = one_line(error);
        Self { reply: Reply::error(text.clone()), errors: vec![Failed { text, counted: false }], random: None }
    }
}

/// A script with what it is called with.
pub(crate) struct Program {
    pub(crate) script: Bytes,
    pub(crate) sha: String,
    pub(crate) keys: Vec<Bytes>,
    pub(crate) argv: Vec<Bytes>,
    /// Where its random numbers go on from.
    pub(crate) random: Random,
}

impl Program {
    /// True unless it is over soon in any case: there is no loop in it, nor anything that could be called again and again,
    /// nor a way to compile a text that has one, nor a search with a pattern. What has to be named is named in the script, but for the globals that are
    /// found in `_G` by names that are put together.
    pub(crate) fn may_take_long(&self) -> bool {
        let has = |word: &str| self.script.windows(word.len()).any(|part| part == word.as_bytes());
        ["while", "repeat", "for", "function", "load", "_G", "find", "match", "gsub"].into_iter().any(has)
    }

    /// Runs the script. `ask` carries out what it asks for, and `go_on` says every 100,000 steps whether it may go on, with
    /// what the steps are of. An error is given with the place in the script, as Redis does.
    pub(crate) fn run(
        &self,
        ask: &mut dyn FnMut(Ask) -> Reply,
        go_on: impl Fn(Steps) -> bool + Send + Sync + 'static,
    ) -> Ended {
        let random = RefCell::new(self.random);
        let ended = try_run(self, &random, ask, go_on).unwrap_or_else(|error| Ended::failed(&format!("ERR {error}")));
        Ended { random: Some(random.into_inner()), ..ended }
    }
}

/// Errors must not span lines.
fn one_line(text: &str) -> String {
    text.trim_end().replace(['\r', '\n'], " ")
}

fn array(lua: &Lua, items: &[Bytes]) -> mlua::Result<Table> {
    lua.create_sequence_from(items.iter().map(|item| lua.create_string(item)).collect::<mlua::Result<Vec<_>>>()?)
}

fn try_run(
    program: &Program,
    random: &RefCell<Random>,
    ask: &mut dyn FnMut(Ask) -> Reply,
    go_on: impl Fn(Steps) -> bool + Send + Sync + 'static,
) -> mlua::Result<Ended> {
    let Program { script, sha, keys, argv, .. } = program;
    let lua = interpreter()?;
    let function = match compile(&lua, script) {
        Ok(function) => function,
        Err(message) => {
            let text = format!("ERR Error compiling script (new function): {message}");
            return Ok(Ended::failed(&text));
        }
    };
    lua.set_memory_limit(MEMORY_MAX)?;
    let go_on = Arc::new(go_on);
    let may_search = Arc::clone(&go_on);
    let triggers = HookTriggers::new().every_nth_instruction(STEPS_BETWEEN_LOOKS);
    lua.set_global_hook(triggers, move |_, _| {
        if go_on(Steps::Script) { Ok(VmState::Continue) } else { Err(mlua::Error::runtime(KILLED)) }
    })?;
    let prelude = prelude(&lua)?;
    // Only who names the library waits for it.
    let names = |name: &[u8]| script.windows(name.len()).any(|word| word == name);
    let cjson = if names(CJSON) || names(GLOBALS) {
        let table: Table = lua.load(include_str!("script/cjson.lua")).set_name("=cjson").call(Value::NULL)?;
        for name in ["encode", "decode"] {
            table.raw_set(name, library(&lua, table.raw_get(name)?)?)?;
        }
        Some(table)
    } else {
        None
    };
    // Version 3 in the replies that the script sees.
    let sees_resp3 = Cell::new(false);
    let ask = RefCell::new(ask);
    let send = |args: MultiValue| match words(&args) {
        // A script cannot call back while a command runs, so nobody else holds this.
        Ok(command) => Ok((ask.borrow_mut())(Ask::Call(command, sees_resp3.get()))),
        Err(text) => Err(text),
    };
    lua.scope(|scope| {
        let call = scope.create_function(|lua, args: MultiValue| match send(args) {
            Err(text) => Err(mlua::Error::external(Failed { text: text.to_owned(), counted: false })),
            Ok(Reply::Error(text)) => Err(mlua::Error::external(Failed { text: text.into_owned(), counted: true })),
            Ok(reply) => to_lua(lua, &reply, sees_resp3.get()),
        })?;
        let call_safely = scope.create_function(|lua, args: MultiValue| match send(args) {
            Err(text) => within(lua, "err", text),
            Ok(reply) => to_lua(lua, &reply, sees_resp3.get()),
        })?;
        let told = lua.create_function(|_, error: Value| {
            Ok(failed(&error).or_else(|| cause::<Raised>(&error).map(|raised| raised.0.as_str())).map(str::to_owned))
        })?;
        let may_run = scope.create_function(|_, args: MultiValue| {
            let failed = |text: String| mlua::Error::external(Failed { text, counted: false });
            let command = words(&args).map_err(|text| failed(text.to_owned()))?;
            match (ask.borrow_mut())(Ask::MayRun(command)) {
                Reply::Error(text) => Err(failed(text.into_owned())),
                reply => Ok(reply == Reply::Int(1)),
            }
        })?;
        let sha1hex = lua.create_function(|_, text: mlua::LuaString| Ok(digest(&text.as_bytes())))?;
        let setresp = scope.create_function(|_, version: i64| {
            sees_resp3.set(version == 3);
            Ok(())
        })?;
        let checked = lua.create_function(|lua, check: Function| checked(lua, check))?;
        let draw = scope.create_function(|lua, args: MultiValue| random.borrow_mut().random(lua, &args))?;
        let reseed = scope.create_function(|lua, args: MultiValue| random.borrow_mut().reseed(lua, &args))?;
        let through = lua.create_function(|lua, (behind, native, changes)| through(lua, behind, native, changes))?;
        let guarded = lua.create_function(move |lua, (name, native): (String, Function)| {
            let may_search = Arc::clone(&may_search);
            guarded(lua, name, native, move || may_search(Steps::Search))
        })?;
        let place = lua.create_function(|lua, failure: Value| locate(lua, &failure))?;
        let (keys, argv) = (array(&lua, keys)?, array(&lua, argv)?);
        let (ok, value): (bool, Value) = prelude.call((
            &function,
            call,
            call_safely,
            told,
            may_run,
            checked,
            sha1hex,
            setresp,
            draw,
            reseed,
            place,
            guarded,
            through,
            cjson,
            keys,
            argv,
        ))?;
        if ok {
            let mut errors = Vec::new();
            let reply = from_lua(&value, sees_resp3.get(), 0, &mut errors);
            return Ok(Ended { reply, errors, random: None });
        }
        Ok(failure(&value, sha))
    })
}

/// A command that failed under `redis.call`. Scripts see it as text if they catch it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failed {
    pub(crate) text: String,
    /// The error is in the statistics already.
    pub(crate) counted: bool,
}

/// What a function of a library complains about.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn cause<E: std::error::Error + 'static>(error: &Value) -> Option<&E> {
    let Value::Error(error) = error else { return None };
    error.chain().find_map(|cause| cause.downcast_ref::<E>())
}

fn failed(error: &Value) -> Option<&str> {
    cause::<Failed>(error).map(|failed| failed.text.as_str())
}

/// A function of a library as scripts see it. It is none of Lua's own, so that the place where it is called is known also if
/// a script ends with the call; that is part of the error, as always in Lua.
fn library(lua: &Lua, run: Function) -> mlua::Result<Function> {
    lua.create_function(move |lua, args: MultiValue| {
        let (done, value): (bool, Value) = run.call(args)?;
        if done { Ok(value) } else { Err(raised(lua, &value.to_string()?)) }
    })
}

/// A complaint of a function that a script has called, with the place of the call.
fn raised(lua: &Lua, complaint: &str) -> mlua::Error {
    let line =
        lua.inspect_stack(1, |frame| frame.current_line().filter(|_| frame.source().source.as_deref() == Some(NAME)));
    let place = line.flatten().map_or_else(String::new, |line| format!("{}:{line}: ", &NAME[1..]));
    // What a function of the script complains of has its place.
    let place = if complaint.starts_with(&NAME[1..]) { "" } else { &place };
    mlua::Error::external(Raised(format!("{place}{complaint}")))
}

/// A complaint about an argument, counted from 1, of the function under way.
fn bad_argument(lua: &Lua, number: usize, why: &str) -> mlua::Error {
    raised(lua, &as_called(lua, &format!("bad argument #{number} to '?' ({why})")))
}

/// A function of `string` that searches with a pattern, which asks now and then whether it may go on.
fn guarded(
    lua: &Lua,
    name: String,
    native: Function,
    may_go_on: impl Fn() -> bool + Send + 'static,
) -> mlua::Result<Function> {
    lua.create_function(move |lua, args: MultiValue| {
        match rehearsed(&name, &args, &may_go_on) {
            Ok(()) | Err(Stop::Malformed) => {}
            Err(Stop::Killed) => return Err(mlua::Error::runtime(KILLED)),
            Err(Stop::TooDeep) => return Err(raised(lua, "pattern too complex")),
        }
        call_native(lua, &native, args)
    })
}

/// A function that is given a table: it sees what stands behind a stand-in, and `changes` nothing of that.
fn through(lua: &Lua, behind: Table, native: Function, changes: bool) -> mlua::Result<Function> {
    lua.create_function(move |lua, mut args: MultiValue| {
        if let Some(shown @ Value::Table(_)) = args.front()
            && let table @ Value::Table(_) = behind.raw_get::<Value>(shown)?
        {
            if changes {
                return Err(mlua::Error::external(Raised("Attempt to modify a readonly table".to_owned())));
            }
            args[0] = table;
        }
        call_native(lua, &native, args)
    })
}

/// Calls a function of Lua; what it complains about is said as if the script had called it.
fn call_native(lua: &Lua, native: &Function, args: MultiValue) -> mlua::Result<MultiValue> {
    native.call::<MultiValue>(args).map_err(|error| match &error {
        mlua::Error::RuntimeError(text) if !text.contains(KILLED) => {
            let text = text.split("\nstack traceback:").next().unwrap_or_default();
            raised(lua, &as_called(lua, text))
        }
        _ => error,
    })
}

/// A complaint about an argument, by the name and the number that it has in the script: a method does not count its first one,
/// and what `pcall` calls has no name.
fn as_called(lua: &Lua, complaint: &str) -> String {
    let called = |names: DebugNames<'_>| {
        (names.name.map_or_else(|| "?".to_owned(), Cow::into_owned), names.name_what == Some("method"))
    };
    let (name, method) = lua.inspect_stack(0, |frame| called(frame.names())).unwrap_or_default();
    let complaint = complaint.replace("'?'", &format!("'{name}'"));
    let parts = complaint.strip_prefix("bad argument #").and_then(|rest| rest.split_once(' '));
    match parts.and_then(|(number, rest)| Some((number.parse::<u8>().ok()?, rest))) {
        Some((1, rest)) if method => {
            let why = rest.split_once('(').map_or("", |(_, why)| why);
            format!("calling '{name}' on bad self ({why}")
        }
        Some((number, rest)) if method => format!("bad argument #{} {rest}", number - 1),
        _ => complaint,
    }
}

/// Makes the search that `name` will make. Where to begin is counted from 1, and from the end if it is negative.
fn rehearsed(name: &str, args: &MultiValue, may_go_on: &dyn Fn() -> bool) -> Result<(), Stop> {
    let (Some(Value::String(text)), Some(Value::String(pattern))) = (args.front(), args.get(1)) else { return Ok(()) };
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let mut search = Search::new(&text, &pattern, may_go_on);
    if matches!(name, "gsub" | "gmatch") {
        return search.run(0, true, name == "gsub");
    }
    if name == "find" && args.get(3).is_some_and(|plain| !matches!(plain, Value::Nil | Value::Boolean(false))) {
        return Ok(());
    }
    let from = args.get(2).and_then(Value::as_f64).unwrap_or(1.0);
    let from = if from < 0.0 { (text.len() as f64 + from).max(0.0) } else { (from - 1.0).max(0.0) };
    search.run(from as usize, false, true)
}

/// A function of `redis` as scripts see it, from one that gives the text of its complaint and a value. See [`library`].
fn checked(lua: &Lua, run: Function) -> mlua::Result<Function> {
    lua.create_function(move |_, args: MultiValue| match run.call::<(Option<String>, Value)>(args)? {
        (Some(complaint), _) => Err(mlua::Error::external(Failed { text: complaint, counted: false })),
        (None, value) => Ok(value),
    })
}

/// The error handler, called where the error happened: the error as a table, with the line of the script.
fn locate(lua: &Lua, failure: &Value) -> mlua::Result<Table> {
    let table = match failure {
        Value::Table(table) => table.clone(),
        other => {
            let text = match other {
                Value::String(text) => text.to_string_lossy().clone(),
                Value::Error(_) if let Some(Failed { text, counted }) = cause::<Failed>(failure) => {
                    let table = lua.create_table()?;
                    table.raw_set("err", text.as_str())?;
                    table.raw_set(COUNTED, *counted)?;
                    return placed(lua, table);
                }
                Value::Error(_) if let Some(raised) = cause::<Raised>(failure) => raised.0.clone(),
                Value::Error(error) => match error.as_ref() {
                    mlua::Error::RuntimeError(text) => text.clone(),
                    mlua::Error::MemoryError(_) => "not enough memory".to_owned(),
                    other => other.to_string().lines().next().unwrap_or_default().to_owned(),
                },
                Value::Nil => "nil".to_owned(),
                other => other.to_string().unwrap_or_default(),
            };
            let table = lua.create_table()?;
            table.raw_set("err", format!("ERR {text}"))?;
            table
        }
    };
    placed(lua, table)
}

/// What is around the script, or no Lua at all.
const NO_SCRIPT: [&str; 4] = ["=prelude", "=cjson", "=[C]", "=(tail call)"];

/// Adds the line of the script, or of a text that it has compiled.
fn placed(lua: &Lua, table: Table) -> mlua::Result<Table> {
    for level in 1..200 {
        let line = lua.inspect_stack(level, |frame| {
            let source = frame.source().source.filter(|source| !NO_SCRIPT.contains(&&**source))?;
            Some((source.into_owned(), frame.current_line().unwrap_or(0)))
        });
        match line {
            None => break,
            Some(None) => {}
            Some(Some((source, line))) => {
                table.raw_set("source", source)?;
                table.raw_set("line", line)?;
                break;
            }
        }
    }
    Ok(table)
}

/// `text script: <sha>, on @user_script:1.`
fn failure(value: &Value, sha: &str) -> Ended {
    let Value::Table(table) = value else {
        // Without memory Redis's interpreter does not call the handler either.
        let text = match value {
            Value::String(text) => text.to_string_lossy().clone(),
            _ => "not enough memory".to_owned(),
        };
        return Ended::failed(&format!("ERR {text} script: {sha}."));
    };
    let text =
        table.raw_get::<mlua::LuaString>("err").map_or_else(|_| "ERR unknown error".into(), |e| e.to_string_lossy());
    let place = (table.raw_get::<Option<String>>("source"), table.raw_get::<Option<i64>>("line"));
    let mut ended = Ended::failed(&match place {
        (Ok(Some(source)), Ok(Some(line))) => format!("{text} script: {sha}, on {source}:{line}."),
        _ => format!("{text} script: {sha}."),
    });
    for error in &mut ended.errors {
        error.counted = is_counted(table);
    }
    ended
}
