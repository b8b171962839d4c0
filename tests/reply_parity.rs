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
fn of_a_data_node() {
    same_replies("node.script", include_str!("data/parity/node.script"));
}
