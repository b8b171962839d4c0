//! What the fakes reply is what the real ones reply: the same scripts of commands, sent to a real cluster and to a fake
//! one, in RESP2 and RESP3. Every difference in type, order, fields or text is a failure unless the script lists it with
//! a reason. The language of the scripts is described in `parity/script.rs`.

mod parity;

use parity::compare;

#[track_caller]
fn same_replies(name: &str, text: &str) {
    let Some(binaries) = real::required(&format!("the reply parity of {name}")) else { return };
    let differences = compare(&binaries, name, text);
    assert!(differences.is_empty(), "{} replies differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn of_a_sentinel() {
    same_replies("sentinel.script", include_str!("data/parity/sentinel.script"));
}

#[test]
fn of_a_sentinel_with_a_password() {
    same_replies("sentinel-auth.script", include_str!("data/parity/sentinel-auth.script"));
}

#[test]
fn of_a_sentinel_about_itself() {
    same_replies("sentinel-info.script", include_str!("data/parity/sentinel-info.script"));
}

#[test]
fn of_a_sentinel_on_connections() {
    same_replies("sentinel-connection.script", include_str!("data/parity/sentinel-connection.script"));
}

#[test]
fn of_a_sentinel_to_hellos() {
    same_replies("sentinel-hello.script", include_str!("data/parity/sentinel-hello.script"));
}

#[test]
fn of_a_sentinel_about_clients() {
    same_replies("sentinel-client.script", include_str!("data/parity/sentinel-client.script"));
}

#[test]
fn of_a_sentinel_to_subscribers() {
    same_replies("sentinel-pubsub.script", include_str!("data/parity/sentinel-pubsub.script"));
}

#[test]
fn of_a_sentinel_about_commands() {
    same_replies("sentinel-command.script", include_str!("data/parity/sentinel-command.script"));
}

#[test]
fn of_a_sentinel_with_users() {
    same_replies("sentinel-acl.script", include_str!("data/parity/sentinel-acl.script"));
}

#[test]
fn of_a_sentinel_before_its_end() {
    same_replies("sentinel-shutdown.script", include_str!("data/parity/sentinel-shutdown.script"));
}

#[test]
fn of_a_sentinel_to_bytes() {
    same_replies("sentinel-bytes.script", include_str!("data/parity/sentinel-bytes.script"));
}

#[test]
fn of_a_data_node() {
    same_replies("node.script", include_str!("data/parity/node.script"));
}

#[test]
fn of_a_data_node_to_wrong_arguments() {
    same_replies("node-errors.script", include_str!("data/parity/node-errors.script"));
}

#[test]
fn of_a_data_node_whose_parameters_change() {
    same_replies("node-config.script", include_str!("data/parity/node-config.script"));
}

#[test]
fn of_a_data_node_about_clients() {
    same_replies("node-client.script", include_str!("data/parity/node-client.script"));
}

#[test]
fn of_a_data_node_to_a_stranger() {
    same_replies("node-stranger.script", include_str!("data/parity/node-stranger.script"));
}

#[test]
fn of_a_data_node_to_scripts() {
    same_replies("node-scripts.script", include_str!("data/parity/node-scripts.script"));
}

#[test]
fn of_a_data_node_to_transactions() {
    same_replies("node-exec.script", include_str!("data/parity/node-exec.script"));
}

#[test]
fn of_a_data_node_that_is_busy() {
    same_replies("node-busy.script", include_str!("data/parity/node-busy.script"));
}

#[test]
fn of_a_data_node_that_counts_reads() {
    same_replies("node-reads.script", include_str!("data/parity/node-reads.script"));
}

#[test]
fn of_a_data_node_about_itself() {
    same_replies("node-info.script", include_str!("data/parity/node-info.script"));
}

#[test]
fn of_a_data_node_about_its_commands() {
    same_replies("node-admin.script", include_str!("data/parity/node-admin.script"));
}

#[test]
fn of_a_data_node_with_a_password() {
    same_replies("node-auth.script", include_str!("data/parity/node-auth.script"));
}

#[test]
fn of_sentinels_that_watch_two_masters() {
    same_replies("sentinel-masters.script", include_str!("data/parity/sentinel-masters.script"));
}

#[test]
fn of_sentinels_that_announce_other_addresses() {
    same_replies("sentinel-announce.script", include_str!("data/parity/sentinel-announce.script"));
}

#[test]
fn of_a_sentinel_that_stood_still() {
    same_replies("sentinel-tilt.script", include_str!("data/parity/sentinel-tilt.script"));
}

#[test]
fn of_a_sentinel_whose_master_starts_again() {
    same_replies("sentinel-reboot.script", include_str!("data/parity/sentinel-reboot.script"));
}
