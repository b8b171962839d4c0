//! The layout of an instance, as `SENTINEL MASTERS` and its like show it.

use model::{Reply, Text};

use crate::Ms;
use crate::instance::{FailoverState, Instance, Reconf, Who};
use crate::machine::Sentinel;

impl Sentinel {
    pub(crate) fn master_table(&self, m: usize, now: Ms) -> Reply {
        let master = &self.masters[m];
        let report = &master.report;
        let mut table = Table(Vec::with_capacity(24));
        self.common(&mut table, Who::Master(m), Reply::bulk(master.name().to_owned()), now);
        table.number("info-refresh", age(report.at, now));
        table.text("role-reported", report.role.as_str());
        table.number("role-reported-time", now - report.role_since);
        table.number("config-epoch", master.config_epoch as i64);
        table.number("num-slaves", master.replicas.len() as i64);
        table.number("num-other-sentinels", master.peers.len() as i64);
        table.number("quorum", i64::from(master.config.quorum));
        table.number("failover-timeout", master.failover_timeout());
        table.number("parallel-syncs", i64::from(master.config.parallel_syncs));
        let config = &master.config;
        for (name, path) in [
            ("notification-script", &config.notification_script),
            ("client-reconfig-script", &config.client_reconfig_script),
        ] {
            if let Some(path) = path {
                table.push(name, Reply::bulk(path.clone()));
            }
        }
        table.reply()
    }

    pub(crate) fn replica_table(&self, m: usize, r: usize, now: Ms) -> Reply {
        let replica = &self.masters[m].replicas[r];
        let report = &replica.report;
        let mut table = Table(Vec::with_capacity(24));
        let name = Reply::Text(Text::new().host_port(&replica.name));
        self.common(&mut table, Who::Replica(m, r), name, now);
        table.number("info-refresh", age(report.at, now));
        table.text("role-reported", report.role.as_str());
        table.number("role-reported-time", now - report.role_since);
        table.number("master-link-down-time", report.master_link_down);
        table.text("master-link-status", if replica.link_up { "ok" } else { "err" });
        // The master's address as the replica gives it, which is one of the world's.
        if let Some(host) = &replica.master_host {
            let addr = model::Addr::new(host, replica.master_port);
            table.push("master-host", Reply::host(&addr));
            table.push("master-port", Reply::port(&addr));
        } else {
            table.text("master-host", "?");
            table.number("master-port", 0);
        }
        table.number("slave-priority", i64::from(replica.priority));
        table.number("slave-repl-offset", replica.offset as i64);
        table.number("replica-announced", i64::from(replica.announced));
        table.reply()
    }

    pub(crate) fn peer_table(&self, m: usize, p: usize, now: Ms) -> Reply {
        let peer = &self.masters[m].peers[p];
        let mut table = Table(Vec::with_capacity(16));
        self.common(&mut table, Who::Peer(m, p), Reply::bulk(peer.id().to_string()), now);
        table.number("last-hello-message", now - peer.last_hello);
        let leader = peer.leader.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        table.push("voted-leader", Reply::bulk(leader));
        table.number("voted-leader-epoch", peer.leader_epoch as i64);
        table.reply()
    }

    fn common(&self, table: &mut Table, who: Who, name: Reply, now: Ms) {
        let instance: &Instance = self.instance(who);
        let link = self.links.get(instance.link);
        table.push("name", name);
        let shown = self.shown(&instance.place);
        table.push("ip", Reply::host(&shown));
        table.push("port", Reply::port(&shown));
        let run_id = instance.run_id.as_ref().map_or_else(String::new, ToString::to_string);
        table.push("runid", Reply::bulk(run_id));
        table.push("flags", Reply::bulk(self.flags(who)));
        table.number("link-pending-commands", link.pending.len() as i64);
        table.number("link-refcount", i64::from(link.refcount));
        if let Who::Master(m) = who
            && self.masters[m].in_progress
        {
            table.text("failover-state", self.masters[m].state.as_str());
        }
        table.number("last-ping-sent", if link.waiting_since == 0 { 0 } else { now - link.waiting_since });
        table.number("last-ok-ping-reply", now - link.last_available);
        table.number("last-ping-reply", now - link.last_pong);
        if instance.s_down {
            table.number("s-down-time", now - instance.s_down_since);
        }
        if let Who::Master(m) = who
            && self.masters[m].o_down
        {
            table.number("o-down-time", now - self.masters[m].o_down_since);
        }
        table.number("down-after-milliseconds", self.masters[who.master()].down_after());
    }

    /// Flags in the order in which Redis prints them.
    fn flags(&self, who: Who) -> String {
        let instance = self.instance(who);
        let master = &self.masters[who.master()];
        let mut flags = Vec::with_capacity(4);
        let mut flag = |set: bool, name: &'static str| {
            if set {
                flags.push(name);
            }
        };
        flag(instance.s_down, "s_down");
        flag(matches!(who, Who::Master(_)) && master.o_down, "o_down");
        flag(matches!(who, Who::Master(_)), "master");
        flag(matches!(who, Who::Replica(..)), "slave");
        flag(matches!(who, Who::Peer(..)), "sentinel");
        flag(self.links.get(instance.link).disconnected, "disconnected");
        if let Who::Peer(_, p) = who {
            flag(master.peers[p].finds_down, "master_down");
        }
        if let Who::Master(_) = who {
            flag(master.in_progress, "failover_in_progress");
        }
        if let Who::Replica(_, r) = who {
            let replica = &master.replicas[r];
            flag(replica.promoted, "promoted");
            flag(matches!(replica.reconf, Reconf::Sent(_)), "reconf_sent");
            flag(replica.reconf == Reconf::InProgress, "reconf_inprog");
            flag(replica.reconf == Reconf::Done, "reconf_done");
        }
        if let Who::Master(_) = who {
            flag(master.forced && master.state != FailoverState::None, "force_failover");
        }
        flags.join(",")
    }
}

/// Milliseconds since `at`; 0 if it never was.
fn age(at: Ms, now: Ms) -> i64 {
    if at == 0 { 0 } else { now - at }
}

struct Table(Vec<(Reply, Reply)>);

impl Table {
    fn push(&mut self, name: &'static str, value: Reply) {
        self.0.push((Reply::word(name), value));
    }

    fn text(&mut self, name: &'static str, value: &'static str) {
        self.push(name, Reply::word(value));
    }

    fn number(&mut self, name: &'static str, value: i64) {
        self.push(name, Reply::bulk(value.to_string()));
    }

    fn reply(self) -> Reply {
        Reply::Map(self.0)
    }
}
