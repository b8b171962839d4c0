//! From the text of `sentinel.conf` to a [`Config`].

use std::fmt::Display;
use std::time::Duration;

use model::machine::Identity;
use model::plan::Credentials;
use model::{Addr, NodeId, RunId, words};

use super::FileError;
use super::directives::DIRECTIVES;
use crate::config::{Config, KnownMaster, Monitor};

/// The options of `sentinel …` and what follows each, for messages.
pub(super) const OPTIONS: [(&str, &str); 24] = [
    ("monitor", "<name> <ip> <port> <quorum>"),
    ("down-after-milliseconds", "<name> <milliseconds>"),
    ("failover-timeout", "<name> <milliseconds>"),
    ("parallel-syncs", "<name> <replicas>"),
    ("notification-script", "<name> <path>"),
    ("client-reconfig-script", "<name> <path>"),
    ("auth-pass", "<name> <password>"),
    ("auth-user", "<name> <user>"),
    ("master-reboot-down-after-period", "<name> <milliseconds>"),
    ("rename-command", "<name> <command> <new command>"),
    ("config-epoch", "<name> <epoch>"),
    ("leader-epoch", "<name> <epoch>"),
    ("known-replica", "<name> <ip> <port>"),
    ("known-slave", "<name> <ip> <port>"),
    ("known-sentinel", "<name> <ip> <port> [<id>]"),
    ("current-epoch", "<epoch>"),
    ("myid", "<40 hex digits>"),
    ("announce-ip", "<ip>"),
    ("announce-port", "<port>"),
    ("resolve-hostnames", "yes|no"),
    ("announce-hostnames", "yes|no"),
    ("deny-scripts-reconfig", "yes|no"),
    ("sentinel-user", "<user>"),
    ("sentinel-pass", "<password>"),
];

/// Port of a Sentinel whose file names none.
const DEFAULT_PORT: u16 = 26379;

/// One statement, with the line that it stands in.
struct Statement<'a> {
    number: usize,
    text: &'a str,
    /// The words, the first in lower case.
    words: Vec<String>,
}

impl Statement<'_> {
    fn error(&self, problem: impl Into<String>, help: impl Into<String>) -> FileError {
        FileError { line: self.number, text: self.text.to_owned(), problem: problem.into(), help: help.into() }
    }

    /// Argument `index` as a number of at least `least`.
    fn number<T: std::str::FromStr + PartialOrd + Display + Copy>(
        &self,
        index: usize,
        least: T,
    ) -> Result<T, FileError> {
        let given = &self.words[index];
        given.parse().ok().filter(|number| *number >= least).ok_or_else(|| {
            self.error(format!("`{given}` is not a number"), format!("write a whole number of {least} or more"))
        })
    }

    fn yes_no(&self, index: usize) -> Result<bool, FileError> {
        match self.words[index].to_ascii_lowercase().as_str() {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => Err(self.error(format!("`{other}` is neither yes nor no"), "write `yes` or `no`")),
        }
    }

    /// Arguments `index` and the one behind it, as host and port.
    fn addr(&self, index: usize, names: bool) -> Result<Addr, FileError> {
        let host = &self.words[index];
        if model::hosts::literal(host).is_none() && !names {
            return Err(self.error(
                format!("`{host}` is not an IP address"),
                "write an IP address, or allow names with `sentinel resolve-hostnames yes`",
            ));
        }
        let port = self.number::<u16>(index + 1, 1);
        let port = port.map_err(|error| FileError { help: "write a port from 1 to 65535".into(), ..error })?;
        Ok(Addr::new(host, port))
    }
}

/// Reads the text of a configuration file. The Sentinel is `node`; its address is the first one of `bind` (127.0.0.1 if
/// there is none) with `port` (26379 if there is none). Where the host listens elsewhere it changes
/// [`Config::identity`].
///
/// # Errors
/// The first line that is wrong, and what would be right.
pub fn parse(text: &str, node: NodeId) -> Result<Config, FileError> {
    let mut statements = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let unbalanced = || FileError {
            line: number,
            text: line.to_owned(),
            problem: "the quotes are not balanced".into(),
            help: "close the quote, and write `\\\"` for a quote within a word in double quotes".into(),
        };
        let words = words::split(line.as_bytes()).ok_or_else(unbalanced)?;
        let mut words: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        if let Some(first) = words.first_mut() {
            first.make_ascii_lowercase();
        }
        statements.push(Statement { number, text: line, words });
    }
    let mut config = Config::new(Identity { node, addr: Addr::new("127.0.0.1", DEFAULT_PORT) });
    text.clone_into(&mut config.text);
    // As in Redis: what masters depend on comes first, then the masters, then what belongs to them.
    let (sentinel, server): (Vec<_>, Vec<_>) =
        statements.into_iter().partition(|statement| statement.words[0] == "sentinel");
    for statement in &server {
        read_server(&mut config, statement)?;
    }
    let mut masters = Vec::new();
    let mut options = Vec::new();
    for mut statement in sentinel {
        let Some(option) = statement.words.get_mut(1) else {
            return Err(
                statement.error("`sentinel` without an option", "write `sentinel monitor <name> …` or the like")
            );
        };
        option.make_ascii_lowercase();
        check_arguments(&statement)?;
        match statement.words[1].as_str() {
            "monitor" => masters.push(statement),
            _ if OPTIONS.iter().any(|(name, form)| *name == statement.words[1] && form.starts_with("<name>")) => {
                options.push(statement);
            }
            _ => read_global(&mut config, &statement)?,
        }
    }
    for statement in &masters {
        read_monitor(&mut config, statement)?;
    }
    for statement in &options {
        read_option(&mut config, statement)?;
    }
    Ok(config)
}

/// An option of Redis itself.
fn read_server(config: &mut Config, statement: &Statement<'_>) -> Result<(), FileError> {
    let [name, arguments @ ..] = &statement.words[..] else { return Ok(()) };
    let single = || match arguments {
        [argument] => Ok(argument),
        _ => Err(statement.error(format!("`{name}` takes one argument"), "write it in quotes if it has spaces")),
    };
    match name.as_str() {
        "port" => {
            single()?;
            let port = statement.number::<u16>(1, 1).map_err(|error| FileError {
                help: "write a port from 1 to 65535; a Sentinel must have one".into(),
                ..error
            })?;
            config.identity.addr.port = port;
        }
        "bind" => {
            let host = arguments.iter().map(|host| host.trim_start_matches('-'));
            if let Some(host) = host.clone().find(|host| host.parse::<std::net::IpAddr>().is_ok()) {
                config.identity.addr = Addr::new(host, config.identity.addr.port);
            }
        }
        "maxclients" => {
            single()?;
            config.settings.max_clients = statement.number(1, 1)?;
        }
        "requirepass" => single()?.clone_into(&mut config.settings.requirepass),
        "user" => {
            if arguments.is_empty() {
                return Err(statement.error("`user` without a name", "write `user <name> on >password ~* &* +@all`"));
            }
            let words: Vec<String> = arguments.iter().map(|argument| words::word(argument)).collect();
            config.settings.users.push(words.join(" "));
        }
        "include" | "aclfile" => {
            return Err(statement.error(
                format!("`{name}` is not supported: a Sentinel here has one file"),
                "write what the other file holds into this one",
            ));
        }
        _ if DIRECTIVES.binary_search(&name.as_str()).is_ok() => {}
        _ => {
            return Err(statement.error(
                format!("there is no option `{name}`"),
                "an option of a Sentinel begins with `sentinel`, every other one is one of Redis 7.0",
            ));
        }
    }
    Ok(())
}

/// The number of arguments.
fn check_arguments(statement: &Statement<'_>) -> Result<(), FileError> {
    let option = &statement.words[1];
    let Some((_, form)) = OPTIONS.iter().find(|(name, _)| name == option) else {
        let names: Vec<&str> = OPTIONS.iter().map(|(name, _)| *name).collect();
        let problem = format!("there is no option `sentinel {option}`");
        return Err(statement.error(problem, format!("there are: {}", names.join(", "))));
    };
    let most = 1 + form.matches('<').count().max(1);
    let least = most - form.matches('[').count();
    if (least..=most).contains(&(statement.words.len() - 1)) {
        return Ok(());
    }
    let problem = format!("`sentinel {option}` with {} arguments", statement.words.len() - 2);
    Err(statement.error(problem, format!("write `sentinel {option} {form}`")))
}

/// An option that concerns no single master.
fn read_global(config: &mut Config, statement: &Statement<'_>) -> Result<(), FileError> {
    let value = &statement.words[2];
    let settings = &mut config.settings;
    match statement.words[1].as_str() {
        "current-epoch" => config.current_epoch = statement.number(2, 0)?,
        "myid" => {
            let id = RunId::parse(value);
            config.my_id = Some(id.ok_or_else(|| {
                statement.error("this is no id of a Sentinel", "write 40 hex digits, or leave the line out")
            })?);
        }
        "announce-ip" => settings.announce_ip = Some(value.to_owned()).filter(|ip| !ip.is_empty()),
        "announce-port" => settings.announce_port = statement.number(2, 0)?,
        "resolve-hostnames" => settings.resolve_hostnames = statement.yes_no(2)?,
        "announce-hostnames" => settings.announce_hostnames = statement.yes_no(2)?,
        "deny-scripts-reconfig" => settings.deny_scripts_reconfig = statement.yes_no(2)?,
        "sentinel-user" => value.clone_into(&mut settings.sentinel_user),
        _ => value.clone_into(&mut settings.sentinel_pass),
    }
    Ok(())
}

fn read_monitor(config: &mut Config, statement: &Statement<'_>) -> Result<(), FileError> {
    let name = &statement.words[2];
    if config.masters.iter().any(|master| master.monitor.name == *name) {
        return Err(statement.error(format!("the master `{name}` is there twice"), "give each master its own name"));
    }
    let addr = statement.addr(3, config.settings.resolve_hostnames)?;
    let quorum = statement.number(5, 1)?;
    config.masters.push(Monitor::new(name, addr, quorum).into());
    Ok(())
}

/// An option of one master.
fn read_option(config: &mut Config, statement: &Statement<'_>) -> Result<(), FileError> {
    let names = config.settings.resolve_hostnames;
    let name = &statement.words[2];
    let Some(master) = config.masters.iter_mut().find(|master| master.monitor.name == *name) else {
        let help = format!("write `sentinel monitor {name} <ip> <port> <quorum>`");
        return Err(statement.error(format!("no master `{name}` is monitored"), help));
    };
    let value = &statement.words[3];
    let KnownMaster { monitor, config_epoch, leader_epoch, replicas, sentinels } = master;
    let millis = |least| statement.number(3, least).map(Duration::from_millis);
    match statement.words[1].as_str() {
        "down-after-milliseconds" => monitor.down_after = millis(1)?,
        "failover-timeout" => monitor.failover_timeout = millis(1)?,
        "master-reboot-down-after-period" => monitor.reboot_down_after = millis(0)?,
        "parallel-syncs" => monitor.parallel_syncs = statement.number(3, 0)?,
        "notification-script" => monitor.notification_script = Some(value.clone()),
        "client-reconfig-script" => monitor.client_reconfig_script = Some(value.clone()),
        "auth-pass" => {
            let user = monitor.auth.take().and_then(|auth| auth.user);
            monitor.auth = Some(Credentials { user, password: value.clone() });
        }
        "auth-user" => {
            let password = monitor.auth.take().map(|auth| auth.password).unwrap_or_default();
            monitor.auth = Some(Credentials { user: Some(value.clone()), password });
        }
        "rename-command" => {
            if monitor.renamed.iter().any(|(plain, _)| plain.eq_ignore_ascii_case(value)) {
                let problem = format!("`{value}` is renamed twice");
                return Err(statement.error(problem, "keep one of the lines"));
            }
            monitor.renamed.push((value.clone(), statement.words[4].clone()));
        }
        "config-epoch" => *config_epoch = statement.number(3, 0)?,
        "leader-epoch" => *leader_epoch = statement.number(3, 0)?,
        "known-sentinel" => {
            let addr = statement.addr(3, names)?;
            // Without an id, which very old files lack, it must be met again.
            if let Some(id) = statement.words.get(5) {
                let id = RunId::told(id);
                if sentinels.iter().any(|(_, known)| *known == id) {
                    return Err(statement.error("this Sentinel is there twice", "keep one of the lines"));
                }
                sentinels.push((addr, id));
            }
        }
        _ => {
            let addr = statement.addr(3, names)?;
            if replicas.contains(&addr) {
                return Err(statement.error("this replica is there twice", "keep one of the lines"));
            }
            replicas.push(addr);
        }
    }
    Ok(())
}
