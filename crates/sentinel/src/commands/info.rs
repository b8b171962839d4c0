//! `INFO` and `ROLE`.

use model::{Command, Reply, Text, Time};

use crate::machine::Sentinel;

/// The sections that a Sentinel has, in its order.
const SECTIONS: [&str; 5] = ["server", "clients", "stats", "cpu", "sentinel"];
/// Arguments that mean every section.
const EVERY: [&str; 3] = ["all", "default", "everything"];

/// Fields of the section `stats` after the counters: nothing that they count happens at a Sentinel.
#[rustfmt::skip]
const STATS: [(&str, &str); 48] = [
    ("instantaneous_ops_per_sec", "0"), ("total_net_input_bytes", "0"), ("total_net_output_bytes", "0"),
    ("total_net_repl_input_bytes", "0"), ("total_net_repl_output_bytes", "0"), ("instantaneous_input_kbps", "0.00"),
    ("instantaneous_output_kbps", "0.00"), ("instantaneous_input_repl_kbps", "0.00"),
    ("instantaneous_output_repl_kbps", "0.00"), ("rejected_connections", "0"), ("sync_full", "0"),
    ("sync_partial_ok", "0"), ("sync_partial_err", "0"), ("expired_keys", "0"), ("expired_stale_perc", "0.00"),
    ("expired_time_cap_reached_count", "0"), ("expire_cycle_cpu_milliseconds", "0"), ("evicted_keys", "0"),
    ("evicted_clients", "0"), ("total_eviction_exceeded_time", "0"), ("current_eviction_exceeded_time", "0"),
    ("keyspace_hits", "0"), ("keyspace_misses", "0"), ("pubsub_channels", ""), ("pubsub_patterns", ""),
    ("pubsubshard_channels", "0"), ("latest_fork_usec", "0"), ("total_forks", "0"), ("migrate_cached_sockets", "0"),
    ("slave_expires_tracked_keys", "0"), ("active_defrag_hits", "0"), ("active_defrag_misses", "0"),
    ("active_defrag_key_hits", "0"), ("active_defrag_key_misses", "0"), ("total_active_defrag_time", "0"),
    ("current_active_defrag_time", "0"), ("tracking_total_keys", "0"), ("tracking_total_items", "0"),
    ("tracking_total_prefixes", ""), ("unexpected_error_replies", "0"), ("total_error_replies", ""),
    ("dump_payload_sanitizations", "0"), ("total_reads_processed", ""), ("total_writes_processed", ""),
    ("io_threaded_reads_processed", "0"), ("io_threaded_writes_processed", "0"), ("reply_buffer_shrinks", "0"),
    ("reply_buffer_expands", "0"),
];

impl Sentinel {
    pub(super) fn role(&self) -> Reply {
        let names = self.masters.iter().map(|master| Reply::bulk(master.name().to_owned())).collect();
        Reply::Array(vec![Reply::word("sentinel"), Reply::Array(names)])
    }

    pub(super) fn info(&self, command: &Command, now: Time) -> Reply {
        let asked: Vec<String> =
            command.0[1..].iter().map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase()).collect();
        let every = asked.is_empty() || asked.iter().any(|asked| EVERY.contains(&asked.as_str()));
        let wanted = SECTIONS.into_iter().filter(|section| every || asked.iter().any(|asked| asked == section));
        let text = wanted.enumerate().fold(Text::new(), |text, (index, section)| {
            let text = if index > 0 { text.str("\r\n") } else { text };
            text.text(match section {
                "server" => self.info_server(now),
                "clients" => self.info_clients(),
                "stats" => self.info_stats(),
                "cpu" => Text::from(
                    "# CPU\r\nused_cpu_sys:0.000000\r\nused_cpu_user:0.000000\r\nused_cpu_sys_children:0.000000\r\n\
                     used_cpu_user_children:0.000000\r\nused_cpu_sys_main_thread:0.000000\r\n\
                     used_cpu_user_main_thread:0.000000\r\n",
                ),
                _ => self.info_sentinel(now),
            })
        });
        Reply::Text(text)
    }

    fn info_server(&self, now: Time) -> Text {
        let uptime = self.uptime(now);
        let clock = self.clock(now);
        Text::from(format!(
            "# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n\
             redis_build_id:0\r\nredis_mode:sentinel\r\nos:Linux\r\narch_bits:64\r\n\
             monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\n\
             gcc_version:0.0.0\r\nprocess_id:1\r\nprocess_supervised:no\r\nrun_id:{}\r\ntcp_port:",
            self.process_id
        ))
        .port(&self.identity.addr)
        .str(format!(
            "\r\nserver_time_usec:{}\r\nuptime_in_seconds:{}\r\nuptime_in_days:{}\r\nhz:{}\r\nconfigured_hz:10\r\n\
             lru_clock:{}\r\nexecutable:/usr/bin/redis-sentinel\r\nconfig_file:/etc/redis/sentinel.conf\r\n\
             io_threads_active:0\r\n",
            clock * 1_000,
            uptime.as_secs(),
            uptime.as_secs() / 86_400,
            self.hz,
            (clock / 1_000) & 0xff_ffff,
        ))
    }

    fn info_clients(&self) -> Text {
        Text::from(format!(
            "# Clients\r\nconnected_clients:{}\r\ncluster_connections:0\r\nmaxclients:{}\r\n\
             client_recent_max_input_buffer:0\r\nclient_recent_max_output_buffer:0\r\nblocked_clients:{}\r\n\
             tracking_clients:{}\r\nclients_in_timeout_table:0\r\n",
            self.sessions.len(),
            self.settings.max_clients,
            self.postponed.len(),
            self.tracking().0,
        ))
    }

    /// How many clients track keys, and the number of their prefixes.
    fn tracking(&self) -> (usize, usize) {
        model::tracking::totals(self.sessions.values().map(|session| session.tracking.as_ref()))
    }

    fn info_stats(&self) -> Text {
        use std::fmt::Write as _;
        let distinct = |topics: &dyn Fn(&crate::machine::Session) -> Vec<bytes::Bytes>| {
            self.sessions.values().flat_map(topics).collect::<std::collections::BTreeSet<_>>().len() as u64
        };
        let mut text = format!(
            "# Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\n",
            self.connections(),
            self.executed
        );
        for (name, value) in &STATS {
            let counted = match *name {
                "pubsub_channels" => distinct(&|session| session.channels.iter().cloned().collect()),
                "pubsub_patterns" => distinct(&|session| session.patterns.iter().cloned().collect()),
                "tracking_total_prefixes" => self.tracking().1 as u64,
                "rejected_connections" => self.rejected,
                "total_error_replies" => self.errors,
                "total_net_input_bytes" => self.received_bytes,
                "total_reads_processed" | "total_writes_processed" => self.executed,
                _ => {
                    let _ = write!(text, "{name}:{value}\r\n");
                    continue;
                }
            };
            let _ = write!(text, "{name}:{counted}\r\n");
        }
        Text::from(text)
    }

    fn info_sentinel(&self, now: Time) -> Text {
        let now = self.clock(now);
        let tilt_for = self.tilt_since.map_or(-1, |since| (now - since) / 1_000);
        let failure_flags = u8::from(self.crash_after_election) + 2 * u8::from(self.crash_after_promotion);
        let mut text = Text::from(format!(
            "# Sentinel\r\nsentinel_masters:{}\r\nsentinel_tilt:{}\r\nsentinel_tilt_since_seconds:{tilt_for}\r\n\
             sentinel_running_scripts:{}\r\nsentinel_scripts_queue_length:{}\r\n\
             sentinel_simulate_failure_flags:{failure_flags}\r\n",
            self.masters.len(),
            u8::from(self.tilt_since.is_some()),
            self.scripts.running(),
            self.scripts.len(),
        ));
        for (index, master) in self.masters.iter().enumerate() {
            let status = if master.o_down {
                "odown"
            } else if master.base.s_down {
                "sdown"
            } else {
                "ok"
            };
            // Without brackets, of an IPv6 address too.
            let shown = self.shown(&master.base.place);
            text = text
                .str(format!("master{index}:name={},status={status},address=", master.name()))
                .host(&shown)
                .str(":")
                .port(&shown)
                .str(format!(",slaves={},sentinels={}\r\n", master.replicas.len(), master.peers.len() + 1));
        }
        text
    }
}
