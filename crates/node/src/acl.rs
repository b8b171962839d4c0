//! Users and what they may do: passwords, commands, keys and channels, by the rules of `ACL SETUSER`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::iter;

use bytes::Bytes;
use model::Command;
use model::plan::Credentials;
use sha2::{Digest as _, Sha256};

use crate::args::{glob, is, text};
use crate::keys::{self, Need};
use crate::table::{self, Spec, cat, flag};

/// Why a user may not run a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Command,
    Key,
    Channel,
}

/// What commands a user may run: the names in the table.
#[derive(Clone, Debug, Default)]
struct Commands {
    allowed: BTreeSet<&'static str>,
    /// `+select|0`: a command with this first argument only.
    with_argument: BTreeSet<(&'static str, Bytes)>,
    /// Nothing is denied.
    all: bool,
    /// `+@all` was the last word about all.
    all_first: bool,
}

/// A pattern of keys, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    pattern: Bytes,
    read: bool,
    write: bool,
}

impl KeyPattern {
    fn show(&self) -> String {
        let prefix = match (self.read, self.write) {
            (true, false) => "%R~",
            (false, true) => "%W~",
            _ => "~",
        };
        format!("{prefix}{}", text(&self.pattern))
    }
}

/// A set of permissions; a user has one, and more in parentheses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    commands: Commands,
    keys: Vec<KeyPattern>,
    all_keys: bool,
    channels: Vec<Bytes>,
    all_channels: bool,
}

/// One user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) enabled: bool,
    pub(crate) no_password: bool,
    /// What was said by `sanitize-payload`, its opposite, or `reset`. There is no `RESTORE` that it could matter to.
    sanitize: Option<bool>,
    /// SHA-256 in hexadecimal.
    pub(crate) passwords: Vec<String>,
    root: Selector,
    others: Vec<Selector>,
}

fn hash(password: &[u8]) -> String {
    Sha256::digest(password).iter().fold(String::with_capacity(64), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

const UNKNOWN: &str = "Unknown command or category name in ACL";

impl Commands {
    fn set_all(&mut self, all: bool) {
        *self = Self { all, all_first: all, ..Self::default() };
        if all {
            self.allowed = table::all().iter().map(|spec| spec.name).collect();
        }
    }

    fn set(&mut self, names: impl Iterator<Item = &'static str>, allow: bool) {
        self.all &= allow;
        for name in names {
            self.with_argument.retain(|(of, _)| *of != name);
            if allow {
                self.allowed.insert(name);
            } else {
                self.allowed.remove(name);
            }
        }
    }

    /// `+get`, `-@write`, `+client|id`
    fn apply(&mut self, allow: bool, name: &str) -> Result<(), &'static str> {
        let lower = name.to_ascii_lowercase();
        if let Some(category) = lower.strip_prefix('@') {
            if category == "all" {
                self.set_all(allow);
                return Ok(());
            }
            let bit = cat::named(category).ok_or(UNKNOWN)?;
            self.set(table::all().iter().filter(|spec| spec.categories() & bit != 0).map(|spec| spec.name), allow);
        } else {
            let with_subcommands = |spec: &&Spec| {
                spec.name == lower || spec.name.strip_prefix(&lower).is_some_and(|rest| rest.starts_with('|'))
            };
            let mut named = table::all().iter().filter(with_subcommands).map(|spec| spec.name).peekable();
            if named.peek().is_none() {
                let (name, argument) = lower.rsplit_once('|').ok_or(UNKNOWN)?;
                let spec = table::all().iter().find(|spec| spec.name == name).ok_or(UNKNOWN)?;
                if allow && name.contains('|') {
                    return Err("Allowing first-arg of a subcommand is not supported");
                }
                if !allow || table::has_subcommands(spec.name) {
                    return Err(UNKNOWN);
                }
                if argument.is_empty() {
                    return Err("Syntax error");
                }
                self.with_argument.insert((spec.name, Bytes::from(argument.to_owned())));
            }
            drop(named);
            self.set(table::all().iter().filter(with_subcommands).map(|spec| spec.name), allow);
        }
        Ok(())
    }

    /// `-@all +@read`
    fn show(&self) -> String {
        let names: Vec<&str> = table::all().iter().map(|spec| spec.name).collect();
        let categories = cat::NAMES.map(|(_, name)| name);
        let is_in = |at: usize, category: &str| {
            cat::named(category).is_some_and(|bit| table::all()[at].categories() & bit != 0)
        };
        let allowed: Vec<bool> = names.iter().map(|name| self.allowed.contains(name)).collect();
        let first_args: Vec<(usize, String)> = (self.with_argument.iter())
            .filter_map(|(of, word)| Some((names.iter().position(|name| name == of)?, text(word).into_owned())))
            .collect();
        let commands = model::acl::Commands { names: &names, categories: &categories, is_in: &is_in };
        commands.describe(&model::acl::Allowed { commands: &allowed, all: self.all_first, first_args: &first_args })
    }

    fn allows(&self, spec: &Spec, command: &Command) -> bool {
        self.all || self.allowed.contains(spec.name) || {
            let argument = command.get(1).map(|word| Bytes::from(word.to_ascii_lowercase()));
            argument.is_some_and(|argument| self.with_argument.contains(&(spec.name, argument)))
        }
    }
}

impl Selector {
    fn nothing() -> Self {
        let mut selector = Self::default();
        selector.commands.set_all(false);
        selector
    }

    fn everything() -> Self {
        let mut selector = Self { all_keys: true, all_channels: true, ..Self::default() };
        selector.commands.set_all(true);
        selector
    }

    fn apply(&mut self, rule: &[u8]) -> Result<(), &'static str> {
        match rule {
            _ if is(rule, "allcommands") => self.commands.set_all(true),
            _ if is(rule, "nocommands") => self.commands.set_all(false),
            _ if is(rule, "allkeys") || rule == b"~*" => {
                self.keys.clear();
                self.all_keys = true;
            }
            _ if is(rule, "resetkeys") => {
                self.keys.clear();
                self.all_keys = false;
            }
            _ if is(rule, "allchannels") || rule == b"&*" => {
                self.channels.clear();
                self.all_channels = true;
            }
            _ if is(rule, "resetchannels") => {
                self.channels.clear();
                self.all_channels = false;
            }
            [b'~', pattern @ ..] => self.add_key(pattern, true, true)?,
            [b'%', rest @ ..] => {
                let tilde = rest.iter().position(|byte| *byte == b'~').ok_or("Syntax error")?;
                let (flags, pattern) = (rest[..tilde].to_ascii_uppercase(), &rest[tilde + 1..]);
                if flags.is_empty() || flags.iter().any(|flag| !b"RW".contains(flag)) {
                    return Err("Syntax error");
                }
                self.add_key(pattern, flags.contains(&b'R'), flags.contains(&b'W'))?;
            }
            [b'&', pattern @ ..] => {
                if self.all_channels {
                    return Err(
                        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not \
                                have any effect. Try 'resetchannels' to start with an empty list of channels",
                    );
                }
                let pattern = Bytes::copy_from_slice(pattern);
                if !self.channels.contains(&pattern) {
                    self.channels.push(pattern);
                }
            }
            [sign @ (b'+' | b'-'), name @ ..] => self.commands.apply(*sign == b'+', &text(name))?,
            _ => return Err("Syntax error"),
        }
        Ok(())
    }

    fn add_key(&mut self, pattern: &[u8], read: bool, write: bool) -> Result<(), &'static str> {
        if self.all_keys {
            return Err(
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
                        effect. Try 'resetkeys' to start with an empty list of patterns",
            );
        }
        let pattern = KeyPattern { pattern: Bytes::copy_from_slice(pattern), read, write };
        if !self.keys.contains(&pattern) {
            self.keys.push(pattern);
        }
        Ok(())
    }

    /// Why a command is denied, and the first word of it that is.
    fn denies_word<'a>(&self, spec: &Spec, command: &'a Command) -> Option<(Denied, &'a Bytes)> {
        if !spec.has(flag::NO_AUTH) && !self.commands.allows(spec, command) {
            return Some((Denied::Command, &command.0[0]));
        }
        let reaches = |key: &Bytes, need: Need| {
            let fits = |pattern: &KeyPattern, read: bool, write: bool| {
                (!read || pattern.read) && (!write || pattern.write) && glob(&pattern.pattern, key)
            };
            self.keys.iter().any(|pattern| fits(pattern, need.read(), need.write()))
        };
        let denied = |(key, need): &(&'a Bytes, Need)| !reaches(key, *need);
        if !self.all_keys
            && let Some((key, _)) = keys::of(spec, command).into_iter().find(denied)
        {
            return Some((Denied::Key, key));
        }
        let hears = |channel: &Bytes| self.channels.iter().any(|pattern| glob(pattern, channel));
        let channels: &[Bytes] = match spec.name {
            "publish" | "spublish" => &command.0[1..2],
            "subscribe" | "psubscribe" | "ssubscribe" => &command.0[1..],
            _ => &[],
        };
        let allowed = |channel: &Bytes| match spec.name {
            "psubscribe" => self.channels.contains(channel),
            _ => hears(channel),
        };
        let denied = channels.iter().find(|channel| !self.all_channels && !allowed(channel));
        denied.map(|channel| (Denied::Channel, channel))
    }

    pub(crate) fn show_commands(&self) -> String {
        self.commands.show()
    }

    pub(crate) fn show_keys(&self) -> String {
        if self.all_keys {
            return "~*".to_owned();
        }
        self.keys.iter().map(KeyPattern::show).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn show_channels(&self) -> String {
        if self.all_channels {
            return "&*".to_owned();
        }
        self.channels.iter().map(|channel| format!("&{}", text(channel))).collect::<Vec<_>>().join(" ")
    }

    /// `~app:* resetchannels &ch:* -@all +get`
    fn show(&self) -> String {
        let channels =
            if self.all_channels { "&*".to_owned() } else { format!("resetchannels {}", self.show_channels()) };
        let parts = [self.show_keys(), channels.trim_end().to_owned(), self.show_commands()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

impl User {
    /// As `ACL SETUSER name` makes one: off, and without any permission.
    pub(crate) fn new() -> Self {
        Self {
            enabled: false,
            no_password: false,
            sanitize: None,
            passwords: Vec::new(),
            root: Selector::nothing(),
            others: Vec::new(),
        }
    }

    fn all_powerful(enabled: bool, password: Option<&str>) -> Self {
        let passwords = password.map(|password| hash(password.as_bytes())).into_iter().collect();
        Self {
            enabled,
            no_password: password.is_none(),
            sanitize: None,
            passwords,
            root: Selector::everything(),
            others: Vec::new(),
        }
    }

    pub(crate) fn takes(&self, password: &[u8]) -> bool {
        self.enabled && (self.no_password || self.passwords.contains(&hash(password)))
    }

    /// True if nothing is denied, so that nothing need be checked.
    pub(crate) fn unrestricted(&self) -> bool {
        self.root.all_keys && self.root.all_channels && self.root.commands.all
    }

    /// True if it may read every key, also those that a command does not name.
    pub(crate) fn reads_everything(&self) -> bool {
        iter::once(&self.root).chain(&self.others).any(|selector| {
            selector.all_keys || selector.keys.iter().any(|keys| keys.read && &keys.pattern[..] == b"*")
        })
    }

    pub(crate) fn set_password(&mut self, password: &str) {
        self.passwords = if password.is_empty() { Vec::new() } else { vec![hash(password.as_bytes())] };
        self.no_password = password.is_empty();
    }

    /// One rule of `ACL SETUSER`.
    pub(crate) fn apply(&mut self, rule: &[u8]) -> Result<(), &'static str> {
        match rule {
            _ if is(rule, "on") => self.enabled = true,
            _ if is(rule, "off") => self.enabled = false,
            _ if is(rule, "nopass") => {
                self.no_password = true;
                self.passwords.clear();
            }
            _ if is(rule, "resetpass") => {
                self.no_password = false;
                self.passwords.clear();
            }
            _ if is(rule, "reset") => *self = Self { sanitize: Some(true), ..Self::new() },
            _ if is(rule, "clearselectors") => self.others.clear(),
            _ if is(rule, "sanitize-payload") => self.sanitize = Some(true),
            _ if is(rule, "skip-sanitize-payload") => self.sanitize = Some(false),
            [b'>', password @ ..] => self.add_password(hash(password)),
            [b'#', digest @ ..] => self.add_password(valid_hash(digest)?),
            [b'<', password @ ..] => self.remove_password(&hash(password))?,
            [b'!', digest @ ..] => self.remove_password(&valid_hash(digest)?)?,
            [b'(', rules @ .., b')'] => {
                let mut selector = Selector::nothing();
                for rule in rules.split(|byte| *byte == b' ').filter(|rule| !rule.is_empty()) {
                    selector.apply(rule)?;
                }
                self.others.push(selector);
            }
            _ => self.root.apply(rule)?,
        }
        Ok(())
    }

    fn add_password(&mut self, digest: String) {
        if !self.passwords.contains(&digest) {
            self.passwords.push(digest);
        }
        self.no_password = false;
    }

    fn remove_password(&mut self, digest: &str) -> Result<(), &'static str> {
        let before = self.passwords.len();
        self.passwords.retain(|known| known != digest);
        if self.passwords.len() < before {
            return Ok(());
        }
        Err("The password you are trying to remove from the user does not exist")
    }

    /// Why it may not run this command; one set of permissions that allows it is enough.
    pub(crate) fn denies(&self, spec: &Spec, command: &Command) -> Option<Denied> {
        self.denies_word(spec, command).map(|(denied, _)| denied)
    }

    /// The same, with the first word of the command that is denied.
    pub(crate) fn denies_word<'a>(&self, spec: &Spec, command: &'a Command) -> Option<(Denied, &'a Bytes)> {
        let mut nearest = self.root.denies_word(spec, command)?;
        for selector in &self.others {
            let denied = selector.denies_word(spec, command)?;
            if nearest.0 == Denied::Command {
                nearest = denied;
            }
        }
        Some(nearest)
    }

    /// The permissions in parentheses.
    pub(crate) fn selectors(&self) -> &[Selector] {
        &self.others
    }

    pub(crate) fn root(&self) -> &Selector {
        &self.root
    }

    pub(crate) fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        if self.no_password {
            flags.push("nopass");
        }
        if let Some(sanitize) = self.sanitize {
            flags.push(if sanitize { "sanitize-payload" } else { "skip-sanitize-payload" });
        }
        flags
    }

    /// A line of `ACL LIST`.
    pub(crate) fn line(&self, name: &str) -> String {
        let mut line = format!("user {name} {}", self.flags().join(" "));
        for password in &self.passwords {
            line.push_str(" #");
            line.push_str(password);
        }
        line.push(' ');
        line.push_str(&self.root.show());
        for selector in &self.others {
            let _ = write!(line, " ({})", selector.show());
        }
        line
    }
}

fn valid_hash(digest: &[u8]) -> Result<String, &'static str> {
    if digest.len() == 64 && digest.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(text(digest).into_owned());
    }
    Err("The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")
}

/// The users of a node, by name.
pub(crate) type Users = BTreeMap<Bytes, User>;

pub(crate) const DEFAULT: Bytes = Bytes::from_static(b"default");

/// The users that a node starts with.
pub(crate) fn users(auth: Option<&Credentials>) -> Users {
    match auth {
        None => Users::from([(DEFAULT, User::all_powerful(true, None))]),
        Some(Credentials { user: None, password }) => {
            Users::from([(DEFAULT, User::all_powerful(true, Some(password.as_str())))])
        }
        Some(Credentials { user: Some(user), password }) => Users::from([
            (DEFAULT, User::all_powerful(false, None)),
            (Bytes::from(user.clone()), User::all_powerful(true, Some(password.as_str()))),
        ]),
    }
}
