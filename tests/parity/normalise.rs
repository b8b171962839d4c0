//! What may differ from run to run is replaced: addresses by the names of nodes, ids by `<id>`, and the values of the
//! fields that hold times, counts of sockets and bytes, by `<...>`. That such a field is there, and where, is compared.

use super::Addresses;
use super::value::Value;

/// Fields of instances, `INFO`, `CLIENT LIST`, `HELLO` and the like whose values are not compared.
#[rustfmt::skip]
const MASKED: &[&str] = &[
    // Of an instance at a Sentinel: times, and what was just sent.
    "last-ping-sent", "last-ok-ping-reply", "last-ping-reply", "info-refresh", "role-reported-time",
    "last-hello-message", "s-down-time", "o-down-time", "link-pending-commands", "slave-repl-offset",
    "master-link-down-time",
    // INFO server: the process and its machine.
    "redis_git_sha1", "redis_git_dirty", "redis_build_id", "os", "multiplexing_api", "atomicvar_api", "gcc_version",
    "monotonic_clock", "process_id", "process_supervised", "run_id", "server_time_usec", "uptime_in_seconds",
    "uptime_in_days", "hz", "lru_clock", "executable", "config_file", "arch_bits", "tcp_port",
    // INFO clients.
    "connected_clients", "client_recent_max_input_buffer", "client_recent_max_output_buffer", "maxclients",
    // INFO memory.
    "used_memory", "used_memory_human", "used_memory_rss", "used_memory_rss_human", "used_memory_peak",
    "used_memory_peak_human", "used_memory_peak_perc", "used_memory_overhead", "used_memory_startup",
    "used_memory_dataset", "used_memory_dataset_perc", "allocator_allocated", "allocator_active",
    "allocator_resident", "total_system_memory", "total_system_memory_human", "used_memory_lua",
    "used_memory_vm_eval", "used_memory_lua_human", "used_memory_scripts_eval", "used_memory_vm_functions",
    "used_memory_vm_total", "used_memory_vm_total_human", "used_memory_functions", "used_memory_scripts",
    "used_memory_scripts_human", "allocator_frag_ratio", "allocator_frag_bytes", "allocator_rss_ratio",
    "allocator_rss_bytes", "rss_overhead_ratio", "rss_overhead_bytes", "mem_fragmentation_ratio",
    "mem_fragmentation_bytes", "mem_total_replication_buffers", "mem_clients_slaves", "mem_clients_normal",
    "mem_replication_backlog", "mem_allocator",
    // INFO persistence.
    "rdb_changes_since_last_save", "rdb_last_save_time", "rdb_last_bgsave_time_sec", "rdb_last_cow_size", "rdb_saves",
    // INFO stats.
    "total_connections_received", "total_commands_processed", "instantaneous_ops_per_sec", "total_net_input_bytes",
    "total_net_output_bytes", "total_net_repl_input_bytes", "total_net_repl_output_bytes",
    "instantaneous_input_kbps", "instantaneous_output_kbps", "instantaneous_input_repl_kbps",
    "instantaneous_output_repl_kbps", "total_error_replies", "total_reads_processed", "total_writes_processed",
    "latest_fork_usec", "reply_buffer_shrinks", "reply_buffer_expands", "total_forks", "evicted_keys", "total_eviction_exceeded_time", "expire_cycle_cpu_milliseconds",
    // INFO replication: offsets.
    "master_replid", "master_replid2", "master_repl_offset", "second_repl_offset", "repl_backlog_histlen",
    "repl_backlog_first_byte_offset", "slave_repl_offset", "slave_read_repl_offset", "master_last_io_seconds_ago",
    // INFO cpu.
    "used_cpu_sys", "used_cpu_user", "used_cpu_sys_children", "used_cpu_user_children", "used_cpu_sys_main_thread",
    "used_cpu_user_main_thread",
    // CONFIG GET: what the processes of a test are started with.
    "bind", "bind-source-addr", "dir", "logfile", "pidfile", "repl-diskless-sync-delay", "enable-debug-command",
    "protected-mode", "tcp-backlog",
    // CLIENT LIST, CLIENT INFO, ACL LOG, HELLO.
    "id", "fd", "age-seconds",
];

/// The same within a line: `key=value` fields of `CLIENT LIST` and of a replica's line in `INFO`.
#[rustfmt::skip]
const MASKED_PAIRS: &[&str] = &[
    "id", "addr", "fd", "age", "idle", "qbuf", "qbuf-free", "argv-mem", "rbs", "rbp", "obl", "oll", "omem",
    "tot-mem", "offset", "lag", "usec", "usec_per_call",
];

/// Replaces what may differ.
pub(crate) fn normalise(value: Value, addresses: &Addresses) -> Value {
    let value = mask(value);
    text(value, addresses)
}

/// Masks the values behind the names of [`MASKED`].
fn mask(value: Value) -> Value {
    let Value::Many(kind, items) = value else { return value };
    let mut out: Vec<Value> = Vec::with_capacity(items.len());
    let may_be_named = items.len().is_multiple_of(2);
    for (index, item) in items.into_iter().enumerate() {
        let named = may_be_named
            && index % 2 == 1
            && matches!(&out[index - 1], Value::Bulk(_, name) if MASKED.iter().any(|masked| masked.as_bytes() == name));
        out.push(match item {
            Value::Line(text) if named => Value::Line(format!("{}<...>", &text[..1])),
            Value::Bulk(kind, text) if named && !since_the_epoch(&text) => Value::Bulk(kind, b"<...>".to_vec()),
            other => mask(other),
        });
    }
    Value::Many(kind, out)
}

/// True if this is no age of anything in a test, but the number of milliseconds since 1970.
fn since_the_epoch(text: &[u8]) -> bool {
    text.len() == 13 && text.iter().all(u8::is_ascii_digit)
}

fn text(value: Value, addresses: &Addresses) -> Value {
    match value {
        Value::Line(line) => Value::Line(words(&monitored(line), addresses)),
        Value::Bulk(kind, bytes) => match String::from_utf8(bytes) {
            Ok(line) => Value::Bulk(kind, words(&line, addresses).into_bytes()),
            Err(error) => Value::Bulk(kind, error.into_bytes()),
        },
        Value::Many(kind, items) => Value::Many(kind, items.into_iter().map(|item| text(item, addresses)).collect()),
    }
}

/// A line of `MONITOR` without its time.
fn monitored(line: String) -> String {
    let is_time =
        |text: &str| text.starts_with('+') && text[1..].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
    match line.split_once(" [") {
        Some((time, rest)) if is_time(time) => format!("+<...> [{rest}"),
        _ => line,
    }
}

/// A text, line by line.
fn words(text: &str, addresses: &Addresses) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let masked = match line.split_once(':') {
            Some((name, value)) if text.contains('\n') && MASKED.contains(&name) => {
                let end = if value.ends_with("\r\n") { "\r\n" } else { "\n" };
                format!("{name}:<...>{end}")
            }
            _ => pairs(line),
        };
        out.push_str(&masked);
    }
    let mut out = ids(&out);
    for (node, addr) in addresses {
        let ip = addr.ip().to_string();
        out = replace_word(&out, &ip, &format!("<{node}>"));
    }
    replicas_in_order(&out)
}

/// The lines `slave0:..`, `slave1:..` of `INFO`, which come in the order in which the replicas happened to connect.
fn replicas_in_order(text: &str) -> String {
    let replica = |line: &&str| {
        line.split_once(':').is_some_and(|(name, _)| {
            name.strip_prefix("slave")
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    let mut values: Vec<&str> =
        text.split_inclusive('\n').filter(replica).filter_map(|line| Some(line.split_once(':')?.1)).collect();
    values.sort_unstable();
    let mut values = values.into_iter().enumerate();
    let ordered = text.split_inclusive('\n').map(|line| match Some(line).filter(replica).and_then(|_| values.next()) {
        Some((number, value)) => format!("slave{number}:{value}"),
        None => line.to_owned(),
    });
    ordered.collect()
}

/// Masks `key=value` fields, where there are several.
fn pairs(line: &str) -> String {
    if line.matches('=').count() < 2 {
        return line.to_owned();
    }
    let mut out = String::with_capacity(line.len());
    for field in line.split_inclusive([' ', ',']) {
        let Some((key, value)) = field.split_once('=') else {
            out.push_str(field);
            continue;
        };
        let name = key.rsplit(':').next().unwrap_or(key);
        if MASKED_PAIRS.contains(&name) || name == "laddr" && is_ephemeral(value) {
            let end = value.trim_start_matches(|c: char| !matches!(c, ' ' | ',' | '\r' | '\n'));
            out.push_str(key);
            out.push_str("=<...>");
            out.push_str(end);
        } else {
            out.push_str(field);
        }
    }
    out
}

/// True for an address with a port that the system gave.
fn is_ephemeral(addr: &str) -> bool {
    let port = addr.trim_end().rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    port.is_some_and(|port| port >= 32_768)
}

/// Replaces runs of exactly 40 hex digits.
fn ids(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_hexdigit() {
            run.push(c);
            continue;
        }
        out.push_str(if run.len() == 40 { "<id>" } else { &run });
        run.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// Replaces a word that is no part of a longer number.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, tail) = rest.split_at(at);
        let after = &tail[word.len()..];
        out.push_str(before);
        let joined = |c: char| c.is_ascii_digit() || c == '.';
        let part = before.ends_with(joined) || after.starts_with(|c: char| c.is_ascii_digit());
        out.push_str(if part { word } else { by });
        rest = after;
    }
    out.push_str(rest);
    out
}
