//! `SENTINEL` and its subcommands.

use std::borrow::Cow;
use std::time::Duration;

use model::plan::Credentials;
use model::{Addr, Command, EventName, Output, Reply, RunId, Time};

use crate::commands::{Answer, NOT_AN_INTEGER, parse, word};
use crate::config::Settings;
use crate::config::{Monitor, Periods};
use crate::instance::Who;
use crate::link::Lane;
use crate::machine::Sentinel;

const NO_SUCH_MASTER: &str = "ERR No such master with that name";
const SCRIPTS_DENIED: &str = "ERR Reconfiguration of scripts path is denied for security reasons. Check the \
     deny-scripts-reconfig configuration directive in your Sentinel configuration";

impl Sentinel {
    pub(crate) fn sentinel_command(
        &mut self,
        sub: &str,
        command: &Command,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Answer {
        let ms = self.clock(now);
        match sub {
            "masters" => {
                let masters = (0..self.masters.len()).map(|m| self.master_table(m, ms));
                Ok(Reply::Array(masters.collect()))
            }
            "master" => Ok(self.master_table(self.named(command, 2)?, ms)),
            "replicas" | "slaves" => {
                let m = self.named(command, 2)?;
                let shown = (0..self.masters[m].replicas.len()).filter(|r| self.masters[m].replicas[*r].announced);
                Ok(Reply::Array(shown.map(|r| self.replica_table(m, r, ms)).collect()))
            }
            "sentinels" => {
                let m = self.named(command, 2)?;
                Ok(Reply::Array((0..self.masters[m].peers.len()).map(|p| self.peer_table(m, p, ms)).collect()))
            }
            "get-master-addr-by-name" => Ok(match self.named(command, 2) {
                Ok(m) => {
                    let addr = self.shown(self.masters[m].current());
                    Reply::Array(vec![Reply::host(&addr), Reply::port(&addr)])
                }
                Err(_) => Reply::NullArray,
            }),
            "is-master-down-by-addr" => self.is_master_down(command, now, out),
            "myid" => Ok(Reply::bulk(self.id.to_string())),
            "ckquorum" => self.ckquorum(self.named(command, 2)?),
            "failover" => self.manual_failover(self.named(command, 2)?, now, out),
            "reset" => {
                let hit = self.matching(&command.0[2]);
                for m in &hit {
                    self.reset_by_hand(*m, now, out);
                }
                Ok(Reply::Int(hit.len() as i64))
            }
            "monitor" => self.monitor(command, now, out),
            "remove" => {
                let m = self.named(command, 2)?;
                self.remove(m, out);
                Ok(Reply::OK)
            }
            "set" => self.set(command, out),
            "config" => self.config_command(command, out),
            "flushconfig" => {
                self.flush();
                Ok(Reply::OK)
            }
            "info-cache" => Ok(self.info_cache(command, now)),
            "pending-scripts" => Ok(self.scripts.pending(self.clock(now))),
            "debug" => self.debug(command),
            "simulate-failure" => self.simulate_failure(command),
            _ => Ok(model::help("sentinel")),
        }
    }

    /// Masters whose name matches a glob.
    fn matching(&self, pattern: &[u8]) -> Vec<usize> {
        (0..self.masters.len()).filter(|m| crate::machine::glob(pattern, self.masters[*m].name().as_bytes())).collect()
    }

    fn named(&self, command: &Command, index: usize) -> Result<usize, Cow<'static, str>> {
        let name = word(command, index);
        self.masters.iter().position(|master| master.name() == name).ok_or(Cow::Borrowed(NO_SUCH_MASTER))
    }

    /// `SENTINEL IS-MASTER-DOWN-BY-ADDR ip port current-epoch runid`
    fn is_master_down(&mut self, command: &Command, now: Time, out: &mut Vec<Output>) -> Answer {
        let host = word(command, 2);
        let port: i64 = parse(&command.0[3]).ok_or(NOT_AN_INTEGER)?;
        let epoch: i64 = parse(&command.0[4]).ok_or(NOT_AN_INTEGER)?;
        let asked = u16::try_from(port).ok().and_then(|port| self.resolver().place_or_name(&Addr::new(&host, port)));
        let found = asked.and_then(|place| self.masters.iter().position(|master| master.base.place.is(&place)));
        let Some(m) = found else {
            return Ok(Reply::Array(vec![Reply::Int(0), Reply::word("*"), Reply::Int(0)]));
        };
        let down = self.tilt_since.is_none() && self.masters[m].base.s_down;
        let candidate = word(command, 5);
        let (mut leader, mut leader_epoch) = (None, 0);
        if candidate != "*" {
            let candidate = RunId::told(&candidate);
            let now = self.clock(now);
            self.vote(m, epoch as u64, &candidate, now, out);
            let ballot = &self.masters[m].ballot;
            leader = ballot.leader.as_ref().map(|leader| Reply::bulk(leader.to_string()));
            leader_epoch = ballot.epoch as i64;
        }
        let leader = leader.unwrap_or(Reply::word("*"));
        Ok(Reply::Array(vec![Reply::Int(i64::from(down)), leader, Reply::Int(leader_epoch)]))
    }

    fn ckquorum(&self, m: usize) -> Answer {
        let master = &self.masters[m];
        let usable = 1 + master.peers.iter().filter(|peer| !peer.base.s_down).count();
        let voters = master.peers.len() + 1;
        let no_quorum = usable < master.config.quorum as usize;
        let no_majority = usable < voters / 2 + 1;
        if !no_quorum && !no_majority {
            return Ok(Reply::Simple(
                format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached").into(),
            ));
        }
        let mut text = format!("NOQUORUM {usable} usable Sentinels. ");
        if no_quorum {
            text.push_str("Not enough available Sentinels to reach the specified quorum for this master");
        }
        if no_majority {
            if no_quorum {
                text.push_str(". ");
            }
            text.push_str("Not enough available Sentinels to reach the majority and authorize a failover");
        }
        Err(text.into())
    }

    fn manual_failover(&mut self, m: usize, now: Time, out: &mut Vec<Output>) -> Answer {
        let now = self.clock(now);
        if self.masters[m].in_progress {
            return Err("INPROG Failover already in progress".into());
        }
        if self.best_replica(m, now).is_none() {
            return Err("NOGOODSLAVE No suitable replica to promote".into());
        }
        self.start_failover(m, now, out);
        self.masters[m].forced = true;
        Ok(Reply::OK)
    }

    fn reset_by_hand(&mut self, m: usize, now: Time, out: &mut Vec<Output>) {
        let now = self.clock(now);
        for peer in std::mem::take(&mut self.masters[m].peers) {
            self.links.release(peer.base.link, out);
        }
        self.reset(m, now, out);
        self.emit(m, (EventName::ResetMaster, self.text_of(Who::Master(m))), out);
    }

    fn monitor(&mut self, command: &Command, now: Time, out: &mut Vec<Output>) -> Answer {
        let quorum: i64 = parse(&command.0[5]).ok_or("ERR Invalid quorum")?;
        let port: i64 = parse(&command.0[4]).ok_or("ERR Invalid port")?;
        if quorum <= 0 {
            return Err("ERR Quorum must be 1 or greater.".into());
        }
        let host = word(command, 3);
        if self.resolver().place(&Addr::new(&host, 0)).is_none() {
            return Err("ERR Invalid IP address or hostname specified".into());
        }
        let port = u16::try_from(port).map_err(|_| "ERR Invalid port number.")?;
        let name = word(command, 2);
        if self.masters.iter().any(|master| master.name() == name) {
            return Err("ERR Duplicate master name.".into());
        }
        let monitor = Monitor {
            down_after: Duration::from_millis(self.periods.default_down_after as u64),
            failover_timeout: Duration::from_millis(self.periods.default_failover_timeout as u64),
            ..Monitor::new(&name, Addr::new(&host, port), quorum as u32)
        };
        self.add_master(monitor.into(), now);
        let m = self.masters.len() - 1;
        self.flush();
        let text = self.text_of(Who::Master(m)).str(format!(" quorum {quorum}"));
        self.emit(m, (EventName::Monitor, text), out);
        Ok(Reply::OK)
    }

    fn remove(&mut self, m: usize, out: &mut Vec<Output>) {
        let text = self.text_of(Who::Master(m));
        self.emit(m, (EventName::MonitorRemoved, text), out);
        let master = self.masters.remove(m);
        self.flush();
        self.links.release(master.base.link, out);
        for replica in master.replicas {
            self.links.release(replica.base.link, out);
        }
        for peer in master.peers {
            self.links.release(peer.base.link, out);
        }
    }

    /// `SENTINEL SET name option value …`: each is applied as it is read, those before a bad one stay.
    fn set(&mut self, command: &Command, out: &mut Vec<Output>) -> Answer {
        let m = self.named(command, 2)?;
        let mut at = 3;
        while at < command.len() {
            let given = word(command, at);
            let option = given.to_ascii_lowercase();
            let wanted = if option == "rename-command" { 2 } else { 1 };
            if command.len() - at <= wanted {
                return Err(format!("ERR Unknown option or number of arguments for SENTINEL SET '{given}'").into());
            }
            let value = word(command, at + 1);
            let number: Option<i64> = parse(&command.0[at + 1]);
            let invalid = || Cow::Owned(format!("ERR Invalid argument '{value}' for SENTINEL SET '{given}'"));
            let positive = number.filter(|number| *number > 0).ok_or_else(invalid);
            let millis = |number: i64| Duration::from_millis(number as u64);
            let master = &mut self.masters[m];
            match option.as_str() {
                "down-after-milliseconds" => master.config.down_after = millis(positive?),
                "failover-timeout" => master.config.failover_timeout = millis(positive?),
                // Redis keeps the lower 32 bits of these.
                "parallel-syncs" => master.config.parallel_syncs = positive? as u32,
                "quorum" => master.config.quorum = positive? as u32,
                "master-reboot-down-after-period" => {
                    let period = number.filter(|number| *number >= 0).ok_or_else(invalid)?;
                    master.config.reboot_down_after = millis(period);
                }
                "auth-pass" | "auth-user" => self.set_auth(m, &option, value.clone(), out),
                "notification-script" | "client-reconfig-script" => {
                    if self.settings.deny_scripts_reconfig {
                        return Err(SCRIPTS_DENIED.into());
                    }
                    // No file is ever run, so whether there is one does not matter.
                    let path = Some(value.clone()).filter(|path| !path.is_empty());
                    match option.as_str() {
                        "notification-script" => master.config.notification_script = path,
                        _ => master.config.client_reconfig_script = path,
                    }
                }
                "rename-command" => {
                    let renamed = word(command, at + 2);
                    if value.is_empty() || renamed.is_empty() {
                        // It names the empty one.
                        return Err(format!("ERR Invalid argument '' for SENTINEL SET '{given}'").into());
                    }
                    let renames = &mut master.config.renamed;
                    renames.retain(|(plain, _)| !plain.eq_ignore_ascii_case(&value));
                    if !value.eq_ignore_ascii_case(&renamed) {
                        renames.push((value.clone(), renamed));
                    }
                }
                _ => {
                    return Err(format!("ERR Unknown option or number of arguments for SENTINEL SET '{given}'").into());
                }
            }
            let shown = if option == "auth-pass" { "******".to_owned() } else { value };
            let mut text = self.text_of(Who::Master(m)).str(format!(" {option} {shown}"));
            if wanted == 2 {
                text = text.str(format!(" {}", word(command, at + 2)));
            }
            self.emit(m, (EventName::Set, text), out);
            self.flush();
            at += 1 + wanted;
        }
        Ok(Reply::OK)
    }

    /// New credentials: the connections to the data nodes are made anew.
    fn set_auth(&mut self, m: usize, option: &str, value: String, out: &mut Vec<Output>) {
        let old = self.masters[m].config.auth.take();
        let (user, password) = old.map_or((None, String::new()), |auth| (auth.user, auth.password));
        let (user, password) = match option {
            "auth-pass" => (user, value),
            _ => (Some(value).filter(|user| !user.is_empty()), password),
        };
        self.masters[m].config.auth =
            (!password.is_empty() || user.is_some()).then_some(Credentials { user, password });
        let replicas = self.masters[m].replicas.iter().map(|replica| replica.base.link);
        let links: Vec<_> = std::iter::once(self.masters[m].base.link).chain(replicas).collect();
        for link in links {
            self.links.close(link, Lane::Commands, out);
            self.links.close(link, Lane::PubSub, out);
        }
    }

    fn config_command(&mut self, command: &Command, out: &mut Vec<Output>) -> Answer {
        let usage = "ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.";
        match (word(command, 2).to_ascii_lowercase().as_str(), command.len()) {
            ("get", 4) => {
                let Settings { sentinel_user, sentinel_pass, announce_ip, announce_port, .. } = &self.settings;
                let yes_no = |flag: bool| if flag { "yes".to_owned() } else { "no".to_owned() };
                let all = [
                    ("resolve-hostnames", yes_no(self.settings.resolve_hostnames)),
                    ("announce-hostnames", yes_no(self.settings.announce_hostnames)),
                    ("announce-ip", announce_ip.clone().unwrap_or_default()),
                    ("announce-port", announce_port.to_string()),
                    ("sentinel-user", sentinel_user.clone()),
                    ("sentinel-pass", sentinel_pass.clone()),
                ];
                let asked = command.0[3].to_ascii_lowercase();
                let hit = all.into_iter().filter(|(name, _)| crate::machine::glob(&asked, name.as_bytes()));
                Ok(Reply::Map(hit.map(|(name, value)| (Reply::word(name), Reply::bulk(value))).collect()))
            }
            ("set", 5) => self.config_set(&word(command, 3), &word(command, 4), out),
            _ => Err(usage.into()),
        }
    }

    fn config_set(&mut self, name: &str, value: &str, out: &mut Vec<Output>) -> Answer {
        let invalid = || Cow::Owned(format!("ERR Invalid value '{value}' to SENTINEL CONFIG SET '{name}'"));
        let yes_no = || match value.to_ascii_lowercase().as_str() {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(invalid()),
        };
        match name.to_ascii_lowercase().as_str() {
            "resolve-hostnames" => self.settings.resolve_hostnames = yes_no()?,
            "announce-hostnames" => self.settings.announce_hostnames = yes_no()?,
            "announce-ip" => self.settings.announce_ip = Some(value.to_owned()),
            "announce-port" => self.settings.announce_port = value.parse().map_err(|_| invalid())?,
            "sentinel-user" | "sentinel-pass" => {
                if name.eq_ignore_ascii_case("sentinel-user") {
                    value.clone_into(&mut self.settings.sentinel_user);
                } else {
                    value.clone_into(&mut self.settings.sentinel_pass);
                }
                let links: Vec<_> =
                    self.masters.iter().flat_map(|master| &master.peers).map(|peer| peer.base.link).collect();
                for link in links {
                    self.links.close(link, Lane::Commands, out);
                }
            }
            _ => return Err(format!("ERR Invalid argument '{name}' to SENTINEL CONFIG SET").into()),
        }
        self.flush();
        Ok(Reply::OK)
    }

    fn info_cache(&self, command: &Command, now: Time) -> Reply {
        let now = self.clock(now);
        let cached = |report: &crate::instance::Report| {
            if report.at == 0 {
                Reply::Array(vec![Reply::Int(0), Reply::Null])
            } else {
                Reply::Array(vec![Reply::Int(now - report.at), Reply::bulk(report.text.clone())])
            }
        };
        let mut reply = Vec::new();
        for m in (2..command.len()).filter_map(|index| self.named(command, index).ok()) {
            let master = &self.masters[m];
            reply.push(Reply::bulk(master.name().to_owned()));
            let replicas = master.replicas.iter().map(|replica| &replica.report);
            reply.push(Reply::Array(std::iter::once(&master.report).chain(replicas).map(cached).collect()));
        }
        Reply::Array(reply)
    }

    fn debug(&mut self, command: &Command) -> Answer {
        if command.len() == 2 {
            let shown = PERIODS.iter().map(|(name, get)| {
                let mut periods = self.periods;
                (Reply::bulk(name.to_ascii_uppercase()), Reply::bulk(get(&mut periods).to_string()))
            });
            return Ok(Reply::Map(shown.collect()));
        }
        let mut at = 2;
        while at < command.len() {
            let given = word(command, at);
            let period = PERIODS.iter().find(|(name, _)| given.eq_ignore_ascii_case(name));
            let (Some((_, get)), Some(value)) = (period, command.get(at + 1)) else {
                return Err(format!("ERR Unknown option or number of arguments for SENTINEL DEBUG '{given}'").into());
            };
            match parse::<i64>(value) {
                Some(value) if value > 0 => *get(&mut self.periods) = value,
                _ => {
                    let value = word(command, at + 1);
                    return Err(format!("ERR Invalid argument '{value}' for SENTINEL DEBUG '{given}'").into());
                }
            }
            at += 2;
        }
        Ok(Reply::OK)
    }

    fn simulate_failure(&mut self, command: &Command) -> Answer {
        (self.crash_after_election, self.crash_after_promotion) = (false, false);
        for index in 2..command.len() {
            match word(command, index).to_ascii_lowercase().as_str() {
                "crash-after-election" => self.crash_after_election = true,
                "crash-after-promotion" => self.crash_after_promotion = true,
                "help" => {
                    let words = ["crash-after-election", "crash-after-promotion"];
                    return Ok(Reply::Array(words.map(Reply::word).to_vec()));
                }
                _ => return Err("ERR Unknown failure simulation specified".into()),
            }
        }
        Ok(Reply::OK)
    }
}

type Accessor = fn(&mut Periods) -> &mut i64;

/// The time constants under the names of `SENTINEL DEBUG`, in its order.
const PERIODS: [(&str, Accessor); 13] = [
    ("info-period", |p| &mut p.info),
    ("ping-period", |p| &mut p.ping),
    ("ask-period", |p| &mut p.ask),
    ("publish-period", |p| &mut p.publish),
    ("default-down-after", |p| &mut p.default_down_after),
    ("default-failover-timeout", |p| &mut p.default_failover_timeout),
    ("tilt-trigger", |p| &mut p.tilt_trigger),
    ("tilt-period", |p| &mut p.tilt),
    ("slave-reconf-timeout", |p| &mut p.slave_reconf_timeout),
    ("min-link-reconnect-period", |p| &mut p.min_link_reconnect),
    ("election-timeout", |p| &mut p.election_timeout),
    ("script-max-runtime", |p| &mut p.script_max_runtime),
    ("script-retry-delay", |p| &mut p.script_retry_delay),
];
