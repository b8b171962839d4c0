//! The language of the scripts: one command a line.
//!
//! ```text
//! # a comment
//! @node sentinel-1                        whom the commands are for that say nothing else
//! @password secret                        what the data nodes ask of their clients
//! @sentinel-password secret               what the Sentinels ask of their clients
//! SENTINEL MASTER mymaster                a command; words in quotes as in redis-cli
//! PING {redis-1.ip} {redis-1.port}        the address of a node
//! redis-2> ROLE                           for another node
//! /b> SUBSCRIBE x                         on another connection
//! /bare> PING                             a connection whose name begins with `bare` is not logged in and stays in RESP2
//! /b> @read                               one more reply or push
//! /b> @read "port 7777"                   the next one that has this text; others are passed over
//! @send CLIENT REPLY OFF                  a command that is not answered
//! @raw "*1\r\n$-5\r\n"                    bytes, and what is answered until the connection is quiet or closed
//! @kill redis-1                           and `@restart`, `@freeze`, `@thaw`: done to its process
//! @sleep 2500ms                           time passes
//! @until flags=master SENTINEL MASTERS    repeated until the reply has that text, which is not compared
//! [sorted: why] COMMAND LIST              the elements, and the words of a string, in any order
//! [shape: why] ROLE                       only the types, and the lengths of arrays
//! [length: why] ACL GENPASS               the same, and the lengths of strings
//! [differs: why] FOO                      a difference that is known; a failure if it is none
//! ```

use std::fmt;
use std::time::Duration;

use model::plan::Credentials;
use model::{NodeId, words};

/// A script.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// In the order of the file.
    pub(crate) steps: Vec<Step>,
    password: Option<String>,
    sentinel_password: Option<String>,
}

/// One line.
#[derive(Debug)]
pub(crate) struct Step {
    /// Counted from 1.
    pub(crate) line: usize,
    /// Whom it is for.
    pub(crate) node: NodeId,
    /// On which connection.
    pub(crate) connection: String,
    /// How the replies are compared.
    pub(crate) mode: Mode,
    /// What is done.
    pub(crate) action: Action,
}

/// What is done.
#[derive(Debug)]
pub(crate) enum Action {
    /// A command, and its replies.
    Command(Vec<String>),
    /// A command without a reply.
    Send(Vec<String>),
    /// One more reply: the next one, or the next one that has this text.
    Read(Option<String>),
    /// Bytes, and whatever is answered.
    Raw(Vec<u8>),
    /// A command, until its reply has this text.
    Until(String, Vec<String>),
    /// Something is done to the process of a node.
    Do(Deed, NodeId),
    /// Time passes.
    Sleep(Duration),
}

/// What is done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Kill,
    Restart,
    Freeze,
    Thaw,
}

impl Deed {
    fn parse(directive: &str) -> Option<Self> {
        match directive {
            "@kill" => Some(Self::Kill),
            "@restart" => Some(Self::Restart),
            "@freeze" => Some(Self::Freeze),
            "@thaw" => Some(Self::Thaw),
            _ => None,
        }
    }
}

/// How replies are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Exactly.
    Exact,
    /// The elements, and the words of a string, in any order.
    Sorted,
    /// Types, and the lengths of arrays.
    Shape,
    /// The same, and the lengths of strings.
    Length,
    /// Not the same, for this reason.
    Differs(String),
}

/// A line that cannot be read.
#[derive(Debug)]
pub(crate) struct ScriptError {
    line: usize,
    problem: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl Script {
    /// What data nodes ask.
    pub(crate) fn auth(&self) -> Option<Credentials> {
        self.password.clone().map(|password| Credentials { user: None, password })
    }

    /// What Sentinels ask.
    pub(crate) fn sentinel_auth(&self) -> Option<Credentials> {
        self.sentinel_password.clone().map(|password| Credentials { user: None, password })
    }

    /// The password of a node.
    pub(crate) fn password_of(&self, node: NodeId) -> Option<&str> {
        if node.is_sentinel() { self.sentinel_password.as_deref() } else { self.password.as_deref() }
    }
}

/// Reads a script.
pub(crate) fn parse(text: &str) -> Result<Script, ScriptError> {
    let mut script = Script::default();
    let mut node = NodeId::sentinel(1);
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let error = |problem: &str| ScriptError { line: line_number, problem: format!("{problem}: `{line}`") };
        let mut rest = line.trim();
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        let mut mode = Mode::Exact;
        if let Some(tail) = rest.strip_prefix('[') {
            let (inside, tail) = tail.split_once(']').ok_or_else(|| error("the bracket is not closed"))?;
            let (name, why) = inside.split_once(':').ok_or_else(|| error("write the reason behind a colon"))?;
            if why.trim().is_empty() {
                return Err(error("write the reason behind the colon"));
            }
            mode = match name.trim() {
                "sorted" => Mode::Sorted,
                "shape" => Mode::Shape,
                "length" => Mode::Length,
                "differs" => Mode::Differs(why.trim().to_owned()),
                _ => return Err(error("write `sorted`, `shape`, `length` or `differs`")),
            };
            rest = tail.trim();
        }
        let (mut target, mut connection) = (node, "a".to_owned());
        if let Some((place, tail)) = rest.split_once("> ")
            && !place.contains([' ', '"'])
        {
            let (name, label) = place.split_once('/').unwrap_or((place, "a"));
            if !name.is_empty() {
                target = name.parse().map_err(|()| error("there is no such node"))?;
            }
            label.clone_into(&mut connection);
            rest = tail.trim();
        }
        let bytes = words::split(rest.as_bytes()).ok_or_else(|| error("the quotes are not balanced"))?;
        let mut words: Vec<String> = bytes.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let action = match words[0].as_str() {
            "@node" => {
                let name = words.get(1).ok_or_else(|| error("which node?"))?;
                node = name.parse().map_err(|()| error("there is no such node"))?;
                continue;
            }
            "@password" => {
                script.password = words.get(1).cloned();
                continue;
            }
            "@sentinel-password" => {
                script.sentinel_password = words.get(1).cloned();
                continue;
            }
            "@read" => Action::Read(words.get(1).cloned()),
            "@raw" => Action::Raw(bytes.get(1).ok_or_else(|| error("which bytes?"))?.to_vec()),
            "@send" => Action::Send(words.split_off(1)),
            "@until" if words.len() > 2 => {
                let command = words.split_off(2);
                Action::Until(words[1].clone(), command)
            }
            "@sleep" => {
                let ms = words.get(1).and_then(|time| time.strip_suffix("ms")?.parse().ok());
                Action::Sleep(Duration::from_millis(ms.ok_or_else(|| error("write how long: `500ms`"))?))
            }
            directive if let Some(deed) = Deed::parse(directive) => {
                let name = words.get(1).ok_or_else(|| error("which node?"))?;
                Action::Do(deed, name.parse().map_err(|()| error("there is no such node"))?)
            }
            directive if directive.starts_with('@') => return Err(error("there is no such directive")),
            _ => Action::Command(words),
        };
        script.steps.push(Step { line: line_number, node: target, connection, mode, action });
    }
    Ok(script)
}
