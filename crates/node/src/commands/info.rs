//! The text of `INFO`, section by section, in Redis 7.0's order. Values that a machine without I/O does not have
//! (memory, processor time) are left out.

use std::fmt::Write as _;
use std::mem;

use bytes::Bytes;
use model::{Text, Time};

use crate::args::is;
use crate::client::ClientType;
use crate::node::Node;
use crate::replication::replica::LinkState;
use crate::replication::seconds_between;

const SECTIONS: [&str; 9] =
    ["server", "clients", "memory", "persistence", "stats", "replication", "cpu", "errorstats", "keyspace"];

/// Text under construction: plain text is gathered, addresses become parts of their own.
struct Lines {
    text: Text,
    plain: String,
}

impl Lines {
    fn flush(&mut self) {
        if !self.plain.is_empty() {
            self.text = mem::take(&mut self.text).str(mem::take(&mut self.plain));
        }
    }

    fn host(&mut self, addr: &model::Addr) {
        self.flush();
        self.text = mem::take(&mut self.text).host(addr);
    }

    fn port(&mut self, addr: &model::Addr) {
        self.flush();
        self.text = mem::take(&mut self.text).port(addr);
    }
}

/// The sections asked for; all of them if none is named.
pub(crate) fn render(node: &Node, now: Time, names: &[Bytes]) -> Text {
    let everything =
        names.is_empty() || names.iter().any(|name| ["all", "default", "everything"].iter().any(|word| is(name, word)));
    let mut lines = Lines { text: Text::new(), plain: String::with_capacity(1_024) };
    let mut first = true;
    for section in SECTIONS {
        if !everything && !names.iter().any(|name| is(name, section)) {
            continue;
        }
        if !first {
            lines.plain.push_str("\r\n");
        }
        first = false;
        // Writing to a string does not fail.
        let _ = match section {
            "server" => server(node, now, &mut lines),
            "clients" => clients(node, &mut lines.plain),
            "memory" => line(&mut lines.plain, "# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n"),
            "persistence" => persistence(node, now, &mut lines.plain),
            "stats" => stats(node, &mut lines.plain),
            "replication" => replication(node, now, &mut lines),
            "cpu" => line(&mut lines.plain, "# CPU\r\n"),
            "errorstats" => line(&mut lines.plain, "# Errorstats\r\n"),
            _ => keyspace(node, now, &mut lines.plain),
        };
    }
    lines.flush();
    lines.text
}

fn line(out: &mut String, text: &str) -> std::fmt::Result {
    out.write_str(text)
}

fn server(node: &Node, now: Time, lines: &mut Lines) -> std::fmt::Result {
    let uptime = now.since(node.started).as_secs();
    lines.plain.push_str(
        "# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n\
         redis_build_id:0000000000000000\r\nredis_mode:standalone\r\narch_bits:64\r\n",
    );
    write!(lines.plain, "process_id:{}\r\n", node.config.identity.node.number)?;
    write!(lines.plain, "process_supervised:no\r\nrun_id:{}\r\ntcp_port:", node.run_id)?;
    lines.port(&node.config.identity.addr);
    write!(lines.plain, "\r\nserver_time_usec:{}\r\n", node.config.unix_micros(now))?;
    write!(lines.plain, "uptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\n", uptime / 86_400)?;
    lines.plain.write_str("hz:10\r\nconfigured_hz:10\r\nconfig_file:\r\nio_threads_active:0\r\n")
}

fn clients(node: &Node, out: &mut String) -> std::fmt::Result {
    let connected = node.clients.values().filter(|client| client.kind() != ClientType::Replica).count();
    write!(out, "# Clients\r\nconnected_clients:{connected}\r\ncluster_connections:0\r\n")?;
    write!(out, "maxclients:{}\r\n", node.config.max_clients)?;
    write!(out, "blocked_clients:{}\r\ntracking_clients:0\r\n", node.blocked.len())
}

fn persistence(node: &Node, now: Time, out: &mut String) -> std::fmt::Result {
    let loading = u8::from(node.is_loading(now));
    let saved = node.config.unix_millis(node.started) / 1_000;
    write!(out, "# Persistence\r\nloading:{loading}\r\nasync_loading:0\r\nrdb_changes_since_last_save:0\r\n")?;
    write!(out, "rdb_bgsave_in_progress:0\r\nrdb_last_save_time:{saved}\r\nrdb_last_bgsave_status:ok\r\n")?;
    out.write_str("aof_enabled:0\r\naof_rewrite_in_progress:0\r\n")
}

fn stats(node: &Node, out: &mut String) -> std::fmt::Result {
    let stats = &node.stats;
    write!(out, "# Stats\r\ntotal_connections_received:{}\r\n", stats.connections)?;
    write!(out, "total_commands_processed:{}\r\n", stats.commands)?;
    write!(out, "sync_full:{}\r\nsync_partial_ok:{}\r\n", stats.sync_full, stats.sync_partial_ok)?;
    write!(out, "sync_partial_err:{}\r\nexpired_keys:{}\r\n", stats.sync_partial_err, stats.expired)?;
    write!(out, "keyspace_hits:{}\r\nkeyspace_misses:{}\r\n", stats.hits, stats.misses)?;
    write!(out, "pubsub_channels:{}\r\npubsub_patterns:{}\r\n", node.channels.len(), node.patterns.len())?;
    write!(out, "total_error_replies:{}\r\n", stats.errors)
}

fn replication(node: &Node, now: Time, lines: &mut Lines) -> std::fmt::Result {
    let repl = &node.repl;
    lines.plain.push_str("# Replication\r\n");
    if let Some(upstream) = &repl.upstream {
        lines.plain.push_str("role:slave\r\nmaster_host:");
        lines.host(&upstream.master);
        lines.plain.push_str("\r\nmaster_port:");
        lines.port(&upstream.master);
        let status = if upstream.is_up() { "up" } else { "down" };
        let idle = if upstream.is_up() { now.since(upstream.last_io).as_secs() as i64 } else { -1 };
        let syncing = u8::from(upstream.state == LinkState::Sync);
        write!(lines.plain, "\r\nmaster_link_status:{status}\r\nmaster_last_io_seconds_ago:{idle}\r\n")?;
        write!(lines.plain, "master_sync_in_progress:{syncing}\r\n")?;
        // Redis shows 1 while it has no place in any history to go on from.
        let offset = if upstream.resumable { repl.offset } else { 1 };
        write!(lines.plain, "slave_read_repl_offset:{offset}\r\nslave_repl_offset:{offset}\r\n")?;
        if syncing == 1 {
            let io = now.since(upstream.last_io).as_secs();
            lines.plain.push_str("master_sync_total_bytes:0\r\nmaster_sync_read_bytes:0\r\n");
            lines.plain.push_str("master_sync_left_bytes:0\r\nmaster_sync_perc:0.00\r\n");
            write!(lines.plain, "master_sync_last_io_seconds_ago:{io}\r\n")?;
        }
        if !upstream.is_up() {
            let down = upstream.down_since.map_or(-1, |since| seconds_between(since, now) as i64);
            write!(lines.plain, "master_link_down_since_seconds:{down}\r\n")?;
        }
        write!(lines.plain, "slave_priority:{}\r\nslave_read_only:1\r\nreplica_announced:1\r\n", node.config.priority)?;
    } else {
        lines.plain.push_str("role:master\r\n");
    }
    write!(lines.plain, "connected_slaves:{}\r\n", repl.replicas.len())?;
    if node.config.min_replicas_to_write > 0 && !node.config.min_replicas_max_lag.is_zero() {
        write!(lines.plain, "min_slaves_good_slaves:{}\r\n", repl.good_replicas)?;
    }
    let links = repl.replicas.iter().filter_map(|conn| node.clients.get(conn)?.replica.as_ref());
    for (index, link) in links.enumerate() {
        write!(lines.plain, "slave{index}:ip=")?;
        lines.host(&link.addr);
        lines.plain.push_str(",port=");
        lines.port(&link.addr);
        let online = link.snapshot_due.is_none();
        let state = if online { "online" } else { "wait_bgsave" };
        let lag = if online { seconds_between(link.acked_at, now) } else { 0 };
        write!(lines.plain, ",state={state},offset={},lag={lag}\r\n", link.acked)?;
    }
    let out = &mut lines.plain;
    write!(out, "master_failover_state:no-failover\r\nmaster_replid:{}\r\nmaster_replid2:", repl.id)?;
    let (second, end) = match &repl.second {
        Some((id, end)) => (id.as_str(), *end as i64),
        None => ("0000000000000000000000000000000000000000", -1),
    };
    write!(out, "{second}\r\nmaster_repl_offset:{}\r\nsecond_repl_offset:{end}\r\n", repl.offset)?;
    let (active, size, first, length) = match &repl.backlog {
        Some(backlog) => (1, backlog.limit(), backlog.first_byte(), backlog.length()),
        None => (0, node.config.backlog_size, 0, 0),
    };
    write!(out, "repl_backlog_active:{active}\r\nrepl_backlog_size:{size}\r\n")?;
    write!(out, "repl_backlog_first_byte_offset:{first}\r\nrepl_backlog_histlen:{length}\r\n")
}

fn keyspace(node: &Node, now: Time, out: &mut String) -> std::fmt::Result {
    out.push_str("# Keyspace\r\n");
    let unix = node.config.unix_millis(now);
    for (index, db) in node.data.0.iter().enumerate().filter(|(_, db)| db.len() > 0) {
        let left: u64 = db.iter().filter_map(|(_, _, at)| at).map(|at| at.saturating_sub(unix)).sum();
        let average = left.checked_div(db.expiring() as u64).unwrap_or(0);
        write!(out, "db{index}:keys={},expires={},avg_ttl={average}\r\n", db.len(), db.expiring())?;
    }
    Ok(())
}
