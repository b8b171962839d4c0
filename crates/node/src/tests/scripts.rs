//! Scripts: what they change, what replicas hear of it, and that none runs for ever.

use super::harness::{Lab, show};

fn eval(lab: &mut Lab, script: &str) -> String {
    let conn = lab.client(0);
    let words = ["EVAL", script, "0"].map(|word| bytes::Bytes::from(word.to_owned()));
    lab.input(0, model::Input::Received(conn, model::Frame::Command(model::Command(words.to_vec()))));
    lab.heard.get_mut(&(0, conn)).and_then(std::collections::VecDeque::pop_front).map_or("(none)".into(), |r| show(&r))
}

#[test]
fn a_script_that_does_not_end_is_killed_and_cannot_help_it() {
    let mut lab = Lab::single();
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    ] {
        let reply = eval(&mut lab, script);
        assert!(reply.starts_with("-ERR Script killed by user with SCRIPT KILL. script: "), "{script}: {reply}");
    }
    let reply = eval(&mut lab, "return string.rep('x', 1024 * 1024 * 1024)");
    assert!(reply.starts_with("-ERR ") && reply.contains("memory"), "{reply}");
    let reply = eval(&mut lab, "local t = {} t[1] = t return t");
    assert!(reply.len() < 10_000, "{reply}");
    assert_eq!(lab.ask(0, "PING"), "+PONG");
}

#[test]
fn replicas_hear_what_a_script_changed() {
    let mut lab = Lab::cluster(1);
    let before = lab.wire.len();
    assert_eq!(eval(&mut lab, "redis.call('set','a',1) redis.call('incr','a') return redis.call('get','a')"), "\"2\"");
    assert_eq!(eval(&mut lab, "return redis.call('get','a')"), "\"2\"");
    assert_eq!(eval(&mut lab, "return redis.call('incr','a')"), ":3");
    lab.run(50);
    let stream: Vec<String> = lab.wire[before..]
        .iter()
        .filter_map(|(from, _, frame)| match frame {
            model::Frame::Command(command) if *from == 0 => Some(format!("{command:?}")),
            _ => None,
        })
        .collect();
    assert_eq!(stream, ["MULTI", "SELECT 0", "set a 1", "incr a", "EXEC", "incr a"]);
    assert_eq!(lab.ask(1, "GET a"), "\"3\"");
}

#[test]
fn an_error_keeps_what_was_done_before_it() {
    let mut lab = Lab::single();
    assert!(eval(&mut lab, "redis.call('set','a',1) error('late')").starts_with("-ERR user_script:1: late script: "));
    assert_eq!(lab.ask(0, "GET a"), "\"1\"");
}

#[test]
fn random_numbers_follow_from_the_seed() {
    let draw = |lab: &mut Lab| eval(lab, "return tostring(math.random())");
    let (mut one, mut other) = (Lab::single(), Lab::single());
    let first = draw(&mut one);
    assert_eq!(first, draw(&mut other));
    assert_ne!(first, draw(&mut one));
}
