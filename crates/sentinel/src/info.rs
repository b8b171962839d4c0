//! Reading a data node's `INFO`, and what follows from it: discovery of replicas, the end of a promotion, and the
//! repairs of nodes that are not what the configuration says.

use model::{Addr, EventName, Output, RunId};

use crate::Ms;
use crate::instance::{FailoverState, Reconf, Replica, Role, Who};
use crate::machine::Sentinel;
use crate::place::Place;

/// What Sentinel reads in an `INFO`.
#[derive(Debug, Default, PartialEq)]
struct Info<'a> {
    run_id: Option<RunId>,
    replicas: Vec<Addr>,
    link_down_ms: Ms,
    role: Option<InfoRole>,
    master_host: Option<&'a str>,
    master_port: Option<u16>,
    link_up: Option<bool>,
    priority: Option<u32>,
    offset: Option<u64>,
    announced: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InfoRole {
    Master,
    Slave,
}

impl<'a> Info<'a> {
    fn parse(text: &'a str) -> Self {
        let mut info = Self::default();
        // Nearly all lines are of no interest.
        let of_interest = |line: &&str| matches!(line.as_bytes(), [b'm', b'a', ..] | [b'r', ..] | [b's', b'l', ..]);
        for line in text.lines().filter(of_interest) {
            let Some((key, value)) = line.split_once(':') else { continue };
            match key {
                "run_id" => info.run_id = value.get(..40).map(RunId::told),
                "master_link_down_since_seconds" => {
                    info.link_down_ms = value.parse::<Ms>().unwrap_or(0).saturating_mul(1_000);
                }
                "role" if value == "master" => info.role = Some(InfoRole::Master),
                "role" if value == "slave" => info.role = Some(InfoRole::Slave),
                _ if key.starts_with("slave") && key[5..].starts_with(|c: char| c.is_ascii_digit()) => {
                    info.replicas.extend(replica_line(value));
                }
                // The fields of a replica count only behind its role.
                _ if info.role != Some(InfoRole::Slave) => {}
                "master_host" => info.master_host = Some(value),
                "master_port" => info.master_port = value.parse().ok(),
                "master_link_status" => info.link_up = Some(value.eq_ignore_ascii_case("up")),
                "slave_priority" => info.priority = value.parse().ok(),
                "slave_repl_offset" => info.offset = value.parse().ok(),
                "replica_announced" => info.announced = value.parse::<i64>().ok().map(|flag| flag != 0),
                _ => {}
            }
        }
        info
    }
}

/// `ip=10.0.0.2,port=6379,state=online,…`
fn replica_line(value: &str) -> Option<Addr> {
    let field = |name: &str| value.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    Some(Addr::new(field("ip")?, field("port")?.parse().ok()?))
}

impl Sentinel {
    /// An `INFO` of a data node arrived.
    pub(crate) fn refresh_info(&mut self, who: Who, text: &str, now: Ms, out: &mut Vec<Output>) {
        let info = Info::parse(text);
        if let Some(run_id) = &info.run_id {
            self.see_run_id(who, run_id, now, out);
        }
        if let Who::Master(m) = who {
            for addr in &info.replicas {
                self.add_replica(m, addr, now, out);
            }
        }
        if let Who::Replica(m, r) = who {
            read_replica(&mut self.masters[m].replicas[r], &info, now);
        }
        let report = match who {
            Who::Replica(m, r) => &mut self.masters[m].replicas[r].report,
            Who::Master(m) | Who::Peer(m, _) => &mut self.masters[m].report,
        };
        report.at = now;
        report.master_link_down = info.link_down_ms;
        text.clone_into(&mut report.text);
        let Some(role) = info.role else { return };
        let role = if role == InfoRole::Master { Role::Master } else { Role::Slave };
        let changed = report.role != role;
        if changed {
            report.role = role;
            report.role_since = now;
            if let (Role::Slave, Who::Replica(m, r)) = (role, who) {
                self.masters[m].replicas[r].conf_changed = now;
            }
            let expected = matches!(who, Who::Master(_)) == (role == Role::Master);
            let event = if expected { EventName::RoleChange } else { EventName::RoleChanged };
            let text = self.text_of(who).str(format!(" new reported role is {}", role.as_str()));
            self.emit(who.master(), (event, text), out);
        }
        if self.tilt_since.is_some() {
            return;
        }
        if let Who::Replica(m, r) = who {
            match role {
                Role::Master => self.replica_is_master(m, r, now, out),
                Role::Slave => self.replica_is_slave(m, r, now, out),
            }
        }
    }

    fn see_run_id(&mut self, who: Who, run_id: &RunId, now: Ms, out: &mut Vec<Output>) {
        match &self.instance(who).run_id {
            Some(known) if known == run_id => return,
            Some(_) => {
                self.emit(who.master(), (EventName::Reboot, self.text_of(who)), out);
                if let Who::Master(m) = who
                    && self.masters[m].reboot_down_after() != 0
                {
                    self.masters[m].rebooted_since = now;
                }
            }
            None => {}
        }
        self.instance_mut(who).run_id = Some(run_id.clone());
    }

    /// A replica reports itself as a master: the promotion that this Sentinel asked for, or one to be undone.
    fn replica_is_master(&mut self, m: usize, r: usize, now: Ms, out: &mut Vec<Output>) {
        let master = &self.masters[m];
        let replica = &master.replicas[r];
        if replica.promoted && master.in_progress && master.state == FailoverState::WaitPromotion {
            self.promotion_seen(m, r, now, out);
            return;
        }
        // Long enough for a newer configuration to arrive, which may say that it is right.
        let wait = self.periods.publish * 4;
        if !replica.promoted
            && self.master_looks_sane(m, now)
            && no_down_for(replica, wait, now)
            && now - replica.report.role_since > wait
        {
            let to = self.shown(&self.masters[m].base.place);
            self.send_slaveof(Who::Replica(m, r), Some(&to), out);
            self.emit(m, (EventName::ConvertToSlave, self.text_of(Who::Replica(m, r))), out);
        }
    }

    fn replica_is_slave(&mut self, m: usize, r: usize, now: Ms, out: &mut Vec<Output>) {
        let master = &self.masters[m];
        let replica = &master.replicas[r];
        let follows = |place: &Place| {
            let host = replica.master_host.as_deref();
            host.is_some_and(|host| self.resolver().leads_to(place, host, replica.master_port))
        };
        let to_promoted = master.promoted().is_some_and(|promoted| follows(&master.replicas[promoted].base.place));
        let wait = master.failover_timeout();
        let follows_master = follows(&master.base.place);
        if !follows_master
            && self.master_looks_sane(m, now)
            && no_down_for(replica, wait, now)
            && now - replica.conf_changed > wait
        {
            let to = self.shown(&master.base.place);
            self.send_slaveof(Who::Replica(m, r), Some(&to), out);
            self.emit(m, (EventName::FixSlaveConfig, self.text_of(Who::Replica(m, r))), out);
        }
        let replica = &self.masters[m].replicas[r];
        let link_up = replica.link_up;
        if matches!(replica.reconf, Reconf::Sent(_)) && to_promoted {
            self.masters[m].replicas[r].reconf = Reconf::InProgress;
            self.emit(m, (EventName::SlaveReconfInprog, self.text_of(Who::Replica(m, r))), out);
        }
        if self.masters[m].replicas[r].reconf == Reconf::InProgress && link_up {
            self.masters[m].replicas[r].reconf = Reconf::Done;
            self.emit(m, (EventName::SlaveReconfDone, self.text_of(Who::Replica(m, r))), out);
        }
    }

    fn master_looks_sane(&self, m: usize, now: Ms) -> bool {
        let master = &self.masters[m];
        master.report.role == Role::Master
            && !master.base.s_down
            && !master.o_down
            && now - master.report.at < self.periods.info * 2
    }
}

fn read_replica(replica: &mut Replica, info: &Info<'_>, now: Ms) {
    if let Some(host) = info.master_host
        && replica.master_host.as_deref().is_none_or(|known| !known.eq_ignore_ascii_case(host))
    {
        replica.master_host = Some(host.to_owned());
        replica.conf_changed = now;
    }
    if let Some(port) = info.master_port
        && replica.master_port != port
    {
        replica.master_port = port;
        replica.conf_changed = now;
    }
    if let Some(up) = info.link_up {
        replica.link_up = up;
    }
    if let Some(priority) = info.priority {
        replica.priority = priority;
    }
    if let Some(offset) = info.offset {
        replica.offset = offset;
    }
    if let Some(announced) = info.announced {
        replica.announced = announced;
    }
}

/// True if the replica was not found down in the last `period`.
fn no_down_for(replica: &Replica, period: Ms, now: Ms) -> bool {
    replica.base.s_down_since == 0 || now - replica.base.s_down_since > period
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_names_its_replicas() {
        let text = format!(
            "# Server\r\nrun_id:{}\r\n# Replication\r\nrole:master\r\nconnected_slaves:1\r\n\
             slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1\r\nmaster_host:ignored\r\n",
            "c".repeat(40)
        );
        let info = Info::parse(&text);
        assert_eq!(info.run_id, RunId::parse(&"c".repeat(40)));
        assert_eq!(info.role, Some(InfoRole::Master));
        assert_eq!(info.replicas, [Addr::new("10.0.0.2", 6379)]);
        assert_eq!(info.master_host, None);
    }

    #[test]
    fn a_replica_tells_of_its_master() {
        let text = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n\
                    master_link_down_since_seconds:7\r\nslave_repl_offset:99\r\nslave_priority:0\r\n\
                    slave_read_only:1\r\nreplica_announced:0\r\n";
        let info = Info::parse(text);
        let expected = Info {
            role: Some(InfoRole::Slave),
            master_host: Some("10.0.0.1"),
            master_port: Some(6379),
            link_up: Some(false),
            link_down_ms: 7_000,
            offset: Some(99),
            priority: Some(0),
            announced: Some(false),
            ..Info::default()
        };
        assert_eq!(info, expected);
    }

    #[test]
    fn nonsense_is_skipped() {
        assert_eq!(Info::parse("slave0:ip=x\r\nrun_id:short\r\nrole:\r\n:::\r\nslavé1:ip=1,port=2"), Info::default());
    }
}
