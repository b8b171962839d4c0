//! Users and what they may do, by the rules of `ACL SETUSER`. A Sentinel has no keys: patterns of keys are kept and
//! shown, and never matter.

use std::borrow::Cow;

use model::words;
use sha2::{Digest as _, Sha256};

use crate::commands::table::{self, CATEGORIES, Spec, TABLE};
use crate::config::Settings;
use crate::machine::glob;

/// Why a user may not run a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Command,
    Channel,
}

/// A set of permissions. A user has one, and more in parentheses; one that permits is enough.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selector {
    /// By the index in [`TABLE`].
    allowed: Vec<bool>,
    /// `+ping|x`: the command with this first argument.
    first_args: Vec<(usize, String)>,
    /// `+@all` was the last word about all: what a later version adds is allowed too.
    all_commands: bool,
    /// As they are shown; `~*` for all.
    keys: Vec<String>,
    /// `*` for all.
    channels: Vec<String>,
}

/// One user.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) no_password: bool,
    sanitize: Option<bool>,
    /// SHA-256 in hexadecimal.
    passwords: Vec<String>,
    selectors: Vec<Selector>,
}

/// Every user of a Sentinel, sorted by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Users(Vec<User>);

const UNKNOWN: &str = "Unknown command or category name in ACL";
const SYNTAX: &str = "Syntax error";
const BAD_HASH: &str =
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
const NO_SUCH_PASSWORD: &str = "The password you are trying to remove from the user does not exist";
const ALL_KEYS: &str = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
     effect. Try 'resetkeys' to start with an empty list of patterns";
const ALL_CHANNELS: &str = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not \
     have any effect. Try 'resetchannels' to start with an empty list of channels";

impl Users {
    /// The users of a configuration file: `requirepass` first, then the `user` lines.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut default = User::new("default");
        for rule in ["on", "nopass", "~*", "&*", "+@all"] {
            default.apply(rule).expect("a rule of Redis itself");
        }
        if !settings.requirepass.is_empty() {
            default.apply("resetpass").expect("a rule of Redis itself");
            default.apply(&format!(">{}", settings.requirepass)).expect("any password");
        }
        let mut users = Self(vec![default]);
        for line in &settings.users {
            let words = words::split(line.as_bytes()).unwrap_or_default();
            let mut words = words.iter().map(|word| String::from_utf8_lossy(word).into_owned());
            let Some(name) = words.next() else { continue };
            let mut user = User::new(&name);
            // Redis resets the user that is there already, which leaves a flag.
            if name == "default" {
                user.apply("reset").expect("a rule of Redis itself");
            }
            let rules: Vec<String> = words.collect();
            // Of a line with a rule that is wrong, the rules before it count.
            let _ = user.apply_all(&rules);
            users.put(user);
        }
        users
    }

    pub(crate) fn get(&self, name: &str) -> Option<&User> {
        self.0.iter().find(|user| user.name == name)
    }

    pub(crate) fn put(&mut self, user: User) {
        match self.0.binary_search_by(|known| known.name.cmp(&user.name)) {
            Ok(at) => self.0[at] = user,
            Err(at) => self.0.insert(at, user),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|user| user.name != name);
        self.0.len() < before
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &User> {
        self.0.iter()
    }

    /// True if whoever connects is the default user at once.
    pub(crate) fn open(&self) -> bool {
        self.get("default").is_some_and(|user| user.enabled && user.no_password)
    }

    /// True if the password is right and the user may log in.
    pub(crate) fn login(&self, name: &str, password: &[u8]) -> bool {
        let hash = hash(password);
        self.get(name).is_some_and(|user| user.enabled && (user.no_password || user.passwords.contains(&hash)))
    }
}

impl User {
    /// A user who may do nothing.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            enabled: false,
            no_password: false,
            sanitize: None,
            passwords: Vec::new(),
            selectors: vec![Selector::new()],
        }
    }

    /// Applies the rules in order, those in parentheses put together. Gives the rule that is wrong, and why; the user is
    /// not to be used then.
    pub(crate) fn apply_all(&mut self, rules: &[String]) -> Result<(), String> {
        let joined = words::join_parentheses(rules)
            .map_err(|first| format!("Unmatched parenthesis in acl selector starting at '{}'.", rules[first]))?;
        for rule in &joined {
            let rule = String::from_utf8_lossy(rule);
            self.apply(&rule).map_err(|why| format!("Error in ACL SETUSER modifier '{rule}': {why}"))?;
        }
        Ok(())
    }

    fn apply(&mut self, rule: &str) -> Result<(), Cow<'static, str>> {
        match rule.to_ascii_lowercase().as_str() {
            "on" => self.enabled = true,
            "off" => self.enabled = false,
            "nopass" => {
                self.no_password = true;
                self.passwords.clear();
            }
            "resetpass" => {
                self.no_password = false;
                self.passwords.clear();
            }
            "sanitize-payload" => self.sanitize = Some(true),
            "skip-sanitize-payload" => self.sanitize = Some(false),
            "clearselectors" => self.selectors.truncate(1),
            "reset" => *self = Self { sanitize: Some(true), ..Self::new(&self.name) },
            _ => match rule.split_at_checked(1) {
                Some((">", password)) => self.add_password(hash(password.as_bytes())),
                Some(("#", digits)) => self.add_password(valid_hash(digits)?),
                Some(("<", password)) => self.remove_password(&hash(password.as_bytes()))?,
                Some(("!", digits)) => self.remove_password(&valid_hash(digits)?)?,
                Some(("(", rules)) => {
                    let rules = rules.strip_suffix(')').ok_or(SYNTAX)?;
                    let mut selector = Selector::new();
                    for rule in rules.split_ascii_whitespace() {
                        selector.apply(rule)?;
                    }
                    self.selectors.push(selector);
                }
                _ => self.selectors[0].apply(rule)?,
            },
        }
        Ok(())
    }

    fn add_password(&mut self, hash: String) {
        self.no_password = false;
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
    }

    fn remove_password(&mut self, hash: &str) -> Result<(), &'static str> {
        let at = self.passwords.iter().position(|known| known == hash).ok_or(NO_SUCH_PASSWORD)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// Whether the user may run a command: `index` in [`TABLE`], its arguments, and the channels in them.
    pub(crate) fn check(&self, index: usize, args: &[&str], channels: &[&str], literal: bool) -> Result<(), Denied> {
        let mut denied = Denied::Command;
        for selector in &self.selectors {
            match selector.check(index, args, channels, literal) {
                Ok(()) => return Ok(()),
                Err(Denied::Channel) => denied = Denied::Channel,
                Err(Denied::Command) => {}
            }
        }
        Err(denied)
    }

    /// True if the user may still hear a channel, or a pattern if `literal`.
    pub(crate) fn may_hear(&self, channel: &str, literal: bool) -> bool {
        self.selectors.iter().any(|selector| selector.hears(channel, literal))
    }

    /// The words of `ACL LIST`, without the name.
    pub(crate) fn rules(&self) -> String {
        let mut words = vec![if self.enabled { "on" } else { "off" }.to_owned()];
        words.extend(self.no_password.then(|| "nopass".to_owned()));
        words.extend(self.sanitize_word().map(str::to_owned));
        words.extend(self.passwords.iter().map(|hash| format!("#{hash}")));
        words.push(self.selectors[0].rules());
        words.extend(self.selectors[1..].iter().map(|selector| format!("({})", selector.rules())));
        words.join(" ")
    }

    fn sanitize_word(&self) -> Option<&'static str> {
        self.sanitize.map(|sanitize| if sanitize { "sanitize-payload" } else { "skip-sanitize-payload" })
    }

    pub(crate) fn flags(&self) -> Vec<&'static str> {
        let state = if self.enabled { "on" } else { "off" };
        let password = self.no_password.then_some("nopass");
        [Some(state), password, self.sanitize_word()].into_iter().flatten().collect()
    }

    pub(crate) fn passwords(&self) -> &[String] {
        &self.passwords
    }

    /// The permissions of the user itself first.
    pub(crate) fn selectors(&self) -> &[Selector] {
        &self.selectors
    }
}

impl Selector {
    fn new() -> Self {
        Self {
            allowed: vec![false; TABLE.len()],
            first_args: Vec::new(),
            all_commands: false,
            keys: Vec::new(),
            channels: Vec::new(),
        }
    }

    fn apply(&mut self, rule: &str) -> Result<(), Cow<'static, str>> {
        match rule.to_ascii_lowercase().as_str() {
            "allkeys" | "~*" => self.keys = vec!["~*".to_owned()],
            "resetkeys" => self.keys.clear(),
            "allchannels" | "&*" => self.channels = vec!["*".to_owned()],
            "resetchannels" => self.channels.clear(),
            "allcommands" | "+@all" => self.set_all(true),
            "nocommands" | "-@all" => self.set_all(false),
            lower => match rule.split_at_checked(1) {
                Some(("~" | "%", _)) => self.add_key(rule)?,
                Some(("&", channel)) => {
                    if self.channels.iter().any(|known| known == "*") {
                        return Err(ALL_CHANNELS.into());
                    }
                    if !self.channels.iter().any(|known| known == channel) {
                        self.channels.push(channel.to_owned());
                    }
                }
                Some((sign @ ("+" | "-"), _)) => match lower[1..].strip_prefix('@') {
                    Some(category) => self.set_category(category, sign == "+")?,
                    None => self.set_command(&lower[1..], sign == "+")?,
                },
                _ => return Err(SYNTAX.into()),
            },
        }
        Ok(())
    }

    fn set_all(&mut self, to: bool) {
        self.allowed.fill(to);
        self.all_commands = to;
        self.first_args.clear();
    }

    fn add_key(&mut self, rule: &str) -> Result<(), Cow<'static, str>> {
        if self.keys.iter().any(|known| known == "~*") {
            return Err(ALL_KEYS.into());
        }
        let shown = match rule.strip_prefix('%') {
            None => rule.to_owned(),
            Some(flagged) => {
                let (flags, pattern) = flagged.split_once('~').ok_or(SYNTAX)?;
                match flags.to_ascii_uppercase().as_str() {
                    "R" => format!("%R~{pattern}"),
                    "W" => format!("%W~{pattern}"),
                    "RW" | "WR" => format!("~{pattern}"),
                    _ => return Err(SYNTAX.into()),
                }
            }
        };
        if !self.keys.contains(&shown) {
            self.keys.push(shown);
        }
        Ok(())
    }

    fn set_category(&mut self, category: &str, to: bool) -> Result<(), Cow<'static, str>> {
        if !CATEGORIES.contains(&category) {
            return Err(UNKNOWN.into());
        }
        for (index, spec) in TABLE.iter().enumerate().filter(|(_, spec)| spec.is_under(category)) {
            self.set(index, spec, to);
        }
        Ok(())
    }

    fn set(&mut self, index: usize, spec: &Spec, to: bool) {
        self.allowed[index] = to;
        self.first_args.retain(|(command, _)| TABLE[*command].name != spec.name);
    }

    /// A command with all its subcommands, one subcommand, or a command with a first argument.
    fn set_command(&mut self, name: &str, to: bool) -> Result<(), Cow<'static, str>> {
        if let Some(index) = table::find(name) {
            let under = format!("{name}|");
            for (other, spec) in TABLE.iter().enumerate() {
                if other == index || spec.name.starts_with(&under) {
                    self.set(other, spec, to);
                }
            }
            return Ok(());
        }
        let (command, argument) = name.rsplit_once('|').ok_or(UNKNOWN)?;
        let index = table::find(command).ok_or(UNKNOWN)?;
        if command.contains('|') {
            return Err("Allowing first-arg of a subcommand is not supported".into());
        }
        if table::has_subcommands(index) || argument.is_empty() {
            return Err(UNKNOWN.into());
        }
        if !to {
            return Err(UNKNOWN.into());
        }
        self.first_args.push((index, argument.to_owned()));
        Ok(())
    }

    fn check(&self, index: usize, args: &[&str], channels: &[&str], literal: bool) -> Result<(), Denied> {
        let by_argument = || {
            let first = args.first();
            self.first_args.iter().any(|(command, argument)| {
                *command == index && first.is_some_and(|arg| arg.eq_ignore_ascii_case(argument))
            })
        };
        let no_auth = TABLE[index].has("no_auth");
        if !self.allowed[index] && !no_auth && !by_argument() {
            return Err(Denied::Command);
        }
        if channels.iter().all(|channel| self.hears(channel, literal)) { Ok(()) } else { Err(Denied::Channel) }
    }

    fn hears(&self, channel: &str, literal: bool) -> bool {
        self.channels.iter().any(|pattern| {
            pattern == "*" || (if literal { pattern == channel } else { glob(pattern.as_bytes(), channel.as_bytes()) })
        })
    }

    /// `~* &* +@all`
    fn rules(&self) -> String {
        let mut words = self.keys.clone();
        if self.channels.iter().any(|channel| channel == "*") {
            words.push("&*".to_owned());
        } else {
            words.push("resetchannels".to_owned());
            words.extend(self.channels.iter().map(|channel| format!("&{channel}")));
        }
        words.push(self.commands());
        words.join(" ")
    }

    pub(crate) fn keys(&self) -> String {
        self.keys.join(" ")
    }

    pub(crate) fn channels(&self) -> String {
        self.channels.iter().map(|channel| format!("&{channel}")).collect::<Vec<_>>().join(" ")
    }

    /// `-@all +@read`
    pub(crate) fn commands(&self) -> String {
        let names: Vec<&str> = TABLE.iter().map(|spec| spec.name).collect();
        let is_in = |at: usize, category: &str| TABLE[at].is_in(category);
        let commands = model::acl::Commands { names: &names, categories: &CATEGORIES, is_in: &is_in };
        commands.describe(&model::acl::Allowed {
            commands: &self.allowed,
            all: self.all_commands,
            first_args: &self.first_args,
        })
    }
}

fn hash(password: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(password).iter().fold(String::with_capacity(64), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn valid_hash(digits: &str) -> Result<String, &'static str> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() == 64 && digits.bytes().all(lower) { Ok(digits.to_owned()) } else { Err(BAD_HASH) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(rules: &str) -> User {
        let mut user = User::new("u");
        let rules: Vec<String> = rules.split(' ').map(str::to_owned).collect();
        user.apply_all(&rules).unwrap_or_else(|error| panic!("{error}"));
        user
    }

    #[test]
    fn what_is_allowed() {
        // rules, command, first argument, allowed?
        for (rules, command, argument, allowed) in [
            ("+@all", "sentinel|masters", "", true),
            ("+@all -@dangerous", "sentinel|masters", "", false),
            ("+@all -client|kill", "client|kill", "", false),
            ("+@all -client|kill", "client|id", "", true),
            ("-@all +client", "client|id", "", true),
            ("+client|id", "client|list", "", false),
            ("+ping|hello", "ping", "hello", true),
            ("+ping|hello", "ping", "you", false),
            ("+@connection -@all", "ping", "", false),
            ("-@all", "auth", "", true),
            ("-@all (+ping)", "ping", "", true),
        ] {
            let index = table::find(command).unwrap();
            assert_eq!(user(rules).check(index, &[argument], &[], false).is_ok(), allowed, "{rules}: {command}");
        }
    }

    #[test]
    fn rules_that_are_shown_mean_the_same() {
        for rules in [
            "+@all -@dangerous",
            "+ping +subscribe &+sdown",
            "-@all +@connection -client|kill +sentinel|masters ~a %R~b",
            "+@all -ping",
            "+client|id +client|list",
            "(+ping ~x) (+info &y)",
            "reset skip-sanitize-payload nopass on +ping|x allkeys allchannels",
        ] {
            let first = user(rules);
            let again = user(&first.rules());
            assert_eq!(again.rules(), first.rules(), "{rules}");
            for (one, other) in first.selectors.iter().zip(&again.selectors) {
                assert_eq!(one.allowed, other.allowed, "{rules}: {}", first.rules());
            }
        }
    }
}
