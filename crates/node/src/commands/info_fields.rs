//! The fields of `INFO` that are as long as the list of them is, in Redis 7.0.15's order. Where the second half is empty the
//! node knows the value; the others stand for what does not happen at a node without disk, threads and memory of its own, and
//! have the value of a server that has just started.

use std::sync::LazyLock;

/// Name and value.
type Field = (&'static str, &'static str);

/// A section as it is written: nearly all of it is the same every time.
pub(super) struct Section {
    /// Text, and the name of the field whose value follows it.
    pub(super) live: Vec<(String, &'static str)>,
    /// What follows the last such value.
    pub(super) rest: String,
}

impl Section {
    fn new(title: &str, fields: &[Field]) -> Self {
        let mut live = Vec::new();
        let mut rest = format!("# {title}\r\n");
        for (name, value) in fields {
            rest.push_str(name);
            rest.push(':');
            if value.is_empty() {
                live.push((std::mem::take(&mut rest), *name));
            }
            rest.push_str(value);
            rest.push_str("\r\n");
        }
        Self { live, rest }
    }
}

#[rustfmt::skip]
pub(super) static SERVER: LazyLock<Section> = LazyLock::new(|| Section::new("Server", &[
    ("redis_version", "7.0.15"), ("redis_git_sha1", "00000000"), ("redis_git_dirty", "0"), ("redis_build_id", "0"),
    ("redis_mode", "standalone"), ("os", "Linux"), ("arch_bits", "64"), ("monotonic_clock", "POSIX clock_gettime"),
    ("multiplexing_api", "epoll"), ("atomicvar_api", "c11-builtin"), ("gcc_version", "0.0.0"), ("process_id", ""),
    ("process_supervised", "no"), ("run_id", ""), ("tcp_port", ""), ("server_time_usec", ""),
    ("uptime_in_seconds", ""), ("uptime_in_days", ""), ("hz", ""), ("configured_hz", ""), ("lru_clock", ""),
    ("executable", "/usr/bin/redis-server"), ("config_file", ""), ("io_threads_active", "0"),
]));

#[rustfmt::skip]
pub(super) static CLIENTS: LazyLock<Section> = LazyLock::new(|| Section::new("Clients", &[
    ("connected_clients", ""), ("cluster_connections", "0"), ("maxclients", ""),
    ("client_recent_max_input_buffer", "0"), ("client_recent_max_output_buffer", "0"), ("blocked_clients", ""),
    ("tracking_clients", ""), ("clients_in_timeout_table", "0"),
]));

#[rustfmt::skip]
pub(super) static MEMORY: LazyLock<Section> = LazyLock::new(|| Section::new("Memory", &[
    ("used_memory", ""), ("used_memory_human", ""), ("used_memory_rss", "12079104"),
    ("used_memory_rss_human", "11.52M"), ("used_memory_peak", ""), ("used_memory_peak_human", ""),
    ("used_memory_peak_perc", ""), ("used_memory_overhead", ""), ("used_memory_startup", "875944"),
    ("used_memory_dataset", ""), ("used_memory_dataset_perc", ""), ("allocator_allocated", "1690848"),
    ("allocator_active", "1826816"), ("allocator_resident", "4497408"), ("total_system_memory", "25276514304"),
    ("total_system_memory_human", "23.54G"), ("used_memory_lua", "32768"), ("used_memory_vm_eval", "32768"),
    ("used_memory_lua_human", "32.00K"), ("used_memory_scripts_eval", "0"), ("number_of_cached_scripts", ""),
    ("number_of_functions", "0"), ("number_of_libraries", "0"), ("used_memory_vm_functions", "33792"),
    ("used_memory_vm_total", "66560"), ("used_memory_vm_total_human", "65.00K"), ("used_memory_functions", "200"),
    ("used_memory_scripts", "200"), ("used_memory_scripts_human", "200B"), ("maxmemory", ""),
    ("maxmemory_human", ""), ("maxmemory_policy", ""), ("allocator_frag_ratio", "1.08"),
    ("allocator_frag_bytes", "135968"), ("allocator_rss_ratio", "2.46"), ("allocator_rss_bytes", "2670592"),
    ("rss_overhead_ratio", "2.69"), ("rss_overhead_bytes", "7581696"), ("mem_fragmentation_ratio", "13.79"),
    ("mem_fragmentation_bytes", "11203016"), ("mem_not_counted_for_evict", "0"), ("mem_replication_backlog", ""),
    ("mem_total_replication_buffers", ""), ("mem_clients_slaves", "0"), ("mem_clients_normal", "0"),
    ("mem_cluster_links", "0"), ("mem_aof_buffer", "0"), ("mem_allocator", "jemalloc-5.3.0"),
    ("active_defrag_running", "0"), ("lazyfree_pending_objects", "0"), ("lazyfreed_objects", ""),
]));

#[rustfmt::skip]
pub(super) static PERSISTENCE: LazyLock<Section> = LazyLock::new(|| Section::new("Persistence", &[
    ("loading", ""), ("async_loading", "0"), ("current_cow_peak", "0"), ("current_cow_size", "0"),
    ("current_cow_size_age", "0"), ("current_fork_perc", "0.00"), ("current_save_keys_processed", "0"),
    ("current_save_keys_total", "0"), ("rdb_changes_since_last_save", ""), ("rdb_bgsave_in_progress", "0"),
    ("rdb_last_save_time", ""), ("rdb_last_bgsave_status", "ok"), ("rdb_last_bgsave_time_sec", "-1"),
    ("rdb_current_bgsave_time_sec", "-1"), ("rdb_saves", "0"), ("rdb_last_cow_size", "0"),
    ("rdb_last_load_keys_expired", "0"), ("rdb_last_load_keys_loaded", "0"), ("aof_enabled", ""),
    ("aof_rewrite_in_progress", "0"), ("aof_rewrite_scheduled", "0"), ("aof_last_rewrite_time_sec", ""),
    ("aof_current_rewrite_time_sec", "-1"), ("aof_last_bgrewrite_status", "ok"), ("aof_rewrites", ""),
    ("aof_rewrites_consecutive_failures", "0"), ("aof_last_write_status", "ok"), ("aof_last_cow_size", "0"),
    ("module_fork_in_progress", "0"), ("module_fork_last_cow_size", "0"),
]));

#[rustfmt::skip]
pub(super) static STATS: LazyLock<Section> = LazyLock::new(|| Section::new("Stats", &[
    ("total_connections_received", ""), ("total_commands_processed", ""), ("instantaneous_ops_per_sec", "0"),
    ("total_net_input_bytes", "14"), ("total_net_output_bytes", "0"), ("total_net_repl_input_bytes", "0"),
    ("total_net_repl_output_bytes", "0"), ("instantaneous_input_kbps", "0.00"), ("instantaneous_output_kbps", "0.00"),
    ("instantaneous_input_repl_kbps", "0.00"), ("instantaneous_output_repl_kbps", "0.00"),
    ("rejected_connections", ""), ("sync_full", ""), ("sync_partial_ok", ""), ("sync_partial_err", ""),
    ("expired_keys", ""), ("expired_stale_perc", "0.00"), ("expired_time_cap_reached_count", "0"),
    ("expire_cycle_cpu_milliseconds", "0"), ("evicted_keys", "0"), ("evicted_clients", "0"),
    ("total_eviction_exceeded_time", "0"), ("current_eviction_exceeded_time", "0"), ("keyspace_hits", ""),
    ("keyspace_misses", ""), ("pubsub_channels", ""), ("pubsub_patterns", ""), ("pubsubshard_channels", ""),
    ("latest_fork_usec", "0"), ("total_forks", "0"), ("migrate_cached_sockets", "0"),
    ("slave_expires_tracked_keys", "0"), ("active_defrag_hits", "0"), ("active_defrag_misses", "0"),
    ("active_defrag_key_hits", "0"), ("active_defrag_key_misses", "0"), ("total_active_defrag_time", "0"),
    ("current_active_defrag_time", "0"), ("tracking_total_keys", ""), ("tracking_total_items", ""),
    ("tracking_total_prefixes", ""), ("unexpected_error_replies", "0"), ("total_error_replies", ""),
    ("dump_payload_sanitizations", "0"), ("total_reads_processed", ""), ("total_writes_processed", ""),
    ("io_threaded_reads_processed", "0"), ("io_threaded_writes_processed", "0"), ("reply_buffer_shrinks", "0"),
    ("reply_buffer_expands", "0"),
]));

#[rustfmt::skip]
pub(super) static CPU: LazyLock<Section> = LazyLock::new(|| Section::new("CPU", &[
    ("used_cpu_sys", "0.000000"), ("used_cpu_user", "0.000000"), ("used_cpu_sys_children", "0.000000"),
    ("used_cpu_user_children", "0.000000"), ("used_cpu_sys_main_thread", "0.000000"),
    ("used_cpu_user_main_thread", "0.000000"),
]));

pub(super) static MODULES: LazyLock<Section> = LazyLock::new(|| Section::new("Modules", &[]));

pub(super) static CLUSTER: LazyLock<Section> = LazyLock::new(|| Section::new("Cluster", &[("cluster_enabled", "0")]));
