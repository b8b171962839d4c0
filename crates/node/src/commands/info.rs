//! The text of `INFO`, section by section, in Redis 7.0's order. Values that a machine without I/O does not have
//! are estimates (memory) or those of a server that has just started.

use std::fmt::Write as _;
use std::mem;

use bytes::Bytes;
use model::addr::Part;
use model::{Text, Time};

use super::info_fields::{self, Section};
use crate::args::is;
use crate::client::ClientType;
use crate::node::Node;
use crate::replication::replica::LinkState;
use crate::replication::seconds_between;
use crate::stats::Calls;

const SECTIONS: [&str; 13] = [
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "commandstats",
    "errorstats",
    "latencystats",
    "cluster",
    "keyspace",
];

/// Sections that are not among those shown by default.
const DETAILS: [&str; 2] = ["commandstats", "latencystats"];

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

    fn text(&mut self, text: Text) {
        if let [Part::Str(plain)] = &text.0[..] {
            self.plain.push_str(plain);
        } else {
            self.flush();
            self.text = mem::take(&mut self.text).text(text);
        }
    }
}

/// The sections asked for; all of them if none is named.
pub(crate) fn render(node: &Node, now: Time, names: &[Bytes]) -> Text {
    let everything =
        names.is_empty() || names.iter().any(|name| ["all", "default", "everything"].iter().any(|word| is(name, word)));
    let all = names.iter().any(|name| is(name, "all") || is(name, "everything"));
    let mut lines = Lines { text: Text::new(), plain: String::with_capacity(6_144) };
    let mut first = true;
    for section in SECTIONS {
        let named = names.iter().any(|name| is(name, section));
        let wanted = if DETAILS.contains(&section) { named || all } else { named || everything };
        if !wanted {
            continue;
        }
        if !first {
            lines.plain.push_str("\r\n");
        }
        first = false;
        // Writing to a string does not fail.
        let _ = match section {
            "replication" => replication(node, now, &mut lines),
            "commandstats" => calls(node, &mut lines.plain),
            "errorstats" => errors(node, &mut lines.plain),
            "latencystats" => latencies(node, &mut lines.plain),
            "keyspace" => keyspace(node, now, &mut lines.plain),
            other => {
                match other {
                    "server" => server(node, now, &mut lines),
                    "clients" => clients(node, &mut lines),
                    "memory" => memory(node, &mut lines),
                    "persistence" => persistence(node, now, &mut lines),
                    "stats" => stats(node, &mut lines),
                    "cpu" => fields(&mut lines, &info_fields::CPU, |_| None),
                    "modules" => fields(&mut lines, &info_fields::MODULES, |_| None),
                    _ => fields(&mut lines, &info_fields::CLUSTER, |_| None),
                }
                Ok(())
            }
        };
    }
    lines.flush();
    lines.text
}

/// Writes the fields of a section; `live` knows the values of those that have none of their own.
fn fields(lines: &mut Lines, section: &Section, live: impl Fn(&str) -> Option<Text>) {
    for (before, name) in &section.live {
        lines.plain.push_str(before);
        if let Some(value) = live(name) {
            lines.text(value);
        }
    }
    lines.plain.push_str(&section.rest);
}

/// A live value as it is shown.
#[allow(clippy::needless_pass_by_value)] // Numbers and strings, which are made for it.
fn number(value: impl ToString) -> Option<Text> {
    Some(Text::from(value.to_string()))
}

fn server(node: &Node, now: Time, lines: &mut Lines) {
    let uptime = now.since(node.started).as_secs();
    fields(lines, &info_fields::SERVER, |name| match name {
        "process_id" => number(node.config.identity.node.number),
        "run_id" => number(&node.run_id),
        "tcp_port" => Some(Text::new().port(&node.config.identity.addr)),
        "server_time_usec" => number(node.config.unix_micros(now)),
        "uptime_in_seconds" => number(uptime),
        "hz" | "configured_hz" => number(node.config.other("hz")),
        "uptime_in_days" => number(uptime / 86_400),
        "lru_clock" => number((node.config.unix_millis(now) / 1_000) & 0xff_ffff),
        _ => None,
    });
}

fn clients(node: &Node, lines: &mut Lines) {
    let connected = || node.clients.values().filter(|client| client.kind() != ClientType::Replica).count();
    fields(lines, &info_fields::CLIENTS, |name| match name {
        "connected_clients" => number(connected()),
        "maxclients" => number(node.config.max_clients),
        "blocked_clients" => number(node.blocked.len()),
        "tracking_clients" => number(node.tracking),
        _ => None,
    });
}

/// What a server without data uses, and the part of it that is there from the start.
const EMPTY: u64 = 916_712;
const STARTUP: u64 = 875_944;
/// What a small key takes.
const KEY: u64 = 96;

/// An estimate: a machine has no memory of its own to measure.
/// All bytes in use, those of them that hold no data, and those that do.
pub(crate) fn memory_used(node: &Node) -> (u64, u64, u64) {
    let keys: u64 = node.data.0.iter().map(|db| db.len() as u64).sum();
    let backlog = node.repl.backlog.as_ref().map_or(0, crate::replication::backlog::Backlog::length);
    let used = EMPTY + keys * KEY + backlog;
    (used, STARTUP + backlog, used - STARTUP - backlog)
}

fn memory(node: &Node, lines: &mut Lines) {
    let (used, overhead, dataset) = memory_used(node);
    let backlog = overhead - STARTUP;
    fields(lines, &info_fields::MEMORY, |name| match name {
        "used_memory" | "used_memory_peak" => number(used),
        "used_memory_human" | "used_memory_peak_human" => number(human(used)),
        "used_memory_peak_perc" => number("100.00%"),
        "lazyfreed_objects" => number(node.stats.freed_lazily),
        "maxmemory" => number(node.config.max_memory),
        "maxmemory_human" => number(human(node.config.max_memory)),
        "maxmemory_policy" => number(node.config.other("maxmemory-policy")),
        "used_memory_overhead" => number(overhead),
        "used_memory_dataset" => number(dataset),
        "used_memory_dataset_perc" => number(format!("{:.2}%", dataset as f64 * 100.0 / (used - STARTUP) as f64)),
        "number_of_cached_scripts" => number(node.scripts.len()),
        "mem_replication_backlog" | "mem_total_replication_buffers" => number(backlog),
        _ => None,
    });
}

/// Bytes as Redis shows them to people: `895.23K`.
fn human(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_024 => format!("{bytes}B"),
        1_024..1_048_576 => format!("{:.2}K", value / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.2}M", value / 1_048_576.0),
        _ => format!("{:.2}G", value / 1_073_741_824.0),
    }
}

fn persistence(node: &Node, now: Time, lines: &mut Lines) {
    fields(lines, &info_fields::PERSISTENCE, |name| match name {
        "loading" => number(u8::from(node.is_loading(now))),
        "aof_enabled" => number(u8::from(node.config.other("appendonly") == "yes")),
        "aof_last_rewrite_time_sec" => number(if node.stats.aof_rewrites > 0 { 0 } else { -1 }),
        "aof_rewrites" => number(node.stats.aof_rewrites),
        "rdb_changes_since_last_save" => number(node.dirty),
        "rdb_last_save_time" => number(node.config.unix_millis(node.started) / 1_000),
        _ => None,
    });
}

fn stats(node: &Node, lines: &mut Lines) {
    let stats = &node.stats;
    fields(lines, &info_fields::STATS, |name| match name {
        "total_connections_received" => number(stats.connections),
        "total_commands_processed" => number(stats.commands),
        "rejected_connections" => number(stats.rejected),
        "sync_full" => number(stats.sync_full),
        "sync_partial_ok" => number(stats.sync_partial_ok),
        "sync_partial_err" => number(stats.sync_partial_err),
        "expired_keys" => number(stats.expired),
        "keyspace_hits" => number(stats.hits),
        "keyspace_misses" => number(stats.misses),
        "pubsub_channels" => number(node.channels.len()),
        "pubsub_patterns" => number(node.patterns.len()),
        "pubsubshard_channels" => number(node.shards.len()),
        "tracking_total_keys" => number(node.tracked.len()),
        "tracking_total_prefixes" => {
            number(model::tracking::totals(node.clients.values().map(|client| client.tracking.as_ref())).1)
        }
        "tracking_total_items" => number(node.tracked.values().map(std::collections::BTreeSet::len).sum::<usize>()),
        "total_error_replies" => number(stats.total_errors),
        "total_reads_processed" | "total_writes_processed" => number(stats.commands),
        _ => None,
    });
}

/// Every call counts as one microsecond.
fn calls(node: &Node, out: &mut String) -> std::fmt::Result {
    out.push_str("# Commandstats\r\n");
    for (name, Calls { ran: calls, rejected, failed }) in &node.stats.calls {
        let each = f64::from(u8::from(*calls > 0));
        write!(out, "cmdstat_{name}:calls={calls},usec={calls},usec_per_call={each:.2},")?;
        write!(out, "rejected_calls={rejected},failed_calls={failed}\r\n")?;
    }
    Ok(())
}

fn latencies(node: &Node, out: &mut String) -> std::fmt::Result {
    out.push_str("# Latencystats\r\n");
    if node.config.other("latency-tracking") == "no" {
        return Ok(());
    }
    let percentiles = node.config.other("latency-tracking-info-percentiles").split_ascii_whitespace();
    let shown = percentiles.map(|percentile| format!("p{percentile}=1.003")).collect::<Vec<_>>().join(",");
    for (name, _) in node.stats.calls.iter().filter(|(_, calls)| calls.ran > 0) {
        write!(out, "latency_percentiles_usec_{name}:{shown}\r\n")?;
    }
    Ok(())
}

fn errors(node: &Node, out: &mut String) -> std::fmt::Result {
    out.push_str("# Errorstats\r\n");
    for (code, count) in &node.stats.errors {
        write!(out, "errorstat_{code}:count={count}\r\n")?;
    }
    Ok(())
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
        let read_only = u8::from(node.config.replica_read_only);
        let announced = u8::from(node.config.other("replica-announced") == "yes");
        write!(lines.plain, "slave_priority:{}\r\nslave_read_only:{read_only}\r\n", node.config.priority)?;
        write!(lines.plain, "replica_announced:{announced}\r\n")?;
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
        let average = db.mean_expiry().map_or(0, |at| at.saturating_sub(unix));
        write!(out, "db{index}:keys={},expires={},avg_ttl={average}\r\n", db.len(), db.expiring())?;
    }
    Ok(())
}
