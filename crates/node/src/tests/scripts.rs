//! Scripts: what they change, what replicas hear of it, and that none runs for ever.

use super::harness::{Lab, show};

fn eval(lab: &mut Lab, script: &str) -> String {
    let conn = lab.client(0);
    send(lab, conn, &["EVAL", script, "0"]);
    lab.heard.get_mut(&(0, conn)).and_then(std::collections::VecDeque::pop_front).map_or("(none)".into(), |r| show(&r))
}

const KILLED: &str = "-ERR Script killed by user with SCRIPT KILL... script: ";
const ENDLESS: [&str; 3] = [
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
];

fn send(lab: &mut Lab, conn: model::Conn, command: &[&str]) {
    let words = command.iter().map(|word| bytes::Bytes::from((*word).to_owned()));
    lab.input(0, model::Input::Received(conn, model::Frame::Command(model::Command(words.collect()))));
}

fn heard(lab: &mut Lab, conn: model::Conn) -> Vec<String> {
    lab.heard.get_mut(&(0, conn)).map(|heard| heard.drain(..).map(|reply| show(&reply)).collect()).unwrap_or_default()
}

#[test]
fn a_script_that_does_not_end_is_killed_and_cannot_help_it() {
    for script in ENDLESS {
        let mut lab = Lab::single();
        let (busy, other) = (lab.client(0), lab.client(0));
        send(&mut lab, busy, &["EVAL", script, "0"]);
        send(&mut lab, busy, &["PING"]);
        send(&mut lab, other, &["PING"]);
        lab.run(4_990);
        assert_eq!(heard(&mut lab, other), [""; 0], "nobody is told before `busy-reply-threshold`");
        lab.run(20);
        let [told] = &heard(&mut lab, other)[..] else { panic!("one reply") };
        assert!(told.starts_with("-BUSY Redis is busy running a script."), "{told}");
        send(&mut lab, other, &["SCRIPT", "KILL"]);
        assert_eq!(heard(&mut lab, other), ["+OK"]);
        lab.run(10);
        let [ended, pong] = &heard(&mut lab, busy)[..] else { panic!("two replies") };
        assert!(ended.starts_with(KILLED) && ended.ends_with(", on @user_script:1."), "{script}: {ended}");
        assert_eq!(pong, "+PONG");
        assert_eq!(lab.ask(0, "PING"), "+PONG");
    }
}

#[test]
fn steps_take_time_and_the_same_in_each_run() {
    let took = || {
        let mut lab = Lab::single();
        let busy = lab.client(0);
        send(&mut lab, busy, &["EVAL", "for i = 1, 9950000 do end return redis.call('time')", "0"]);
        let before = lab.now;
        loop {
            match &heard(&mut lab, busy)[..] {
                [] => lab.run(1),
                [reply] => break (reply.clone(), lab.now.since(before)),
                more => panic!("{more:?}"),
            }
        }
    };
    let (reply, first) = took();
    assert_eq!((reply, first), took());
    assert_eq!(first, std::time::Duration::from_millis(400), "2,000,000 steps at once, then 200,000 in 10 ms");
}

#[test]
fn replicas_and_those_who_wait_hear_of_a_long_script_when_it_is_over() {
    let mut lab = Lab::cluster(1);
    let (busy, waits) = (lab.client(0), lab.client(0));
    send(&mut lab, waits, &["BLPOP", "list", "0"]);
    send(
        &mut lab,
        busy,
        &["EVAL", "redis.call('rpush','list','x') for i = 1, 9950000 do end return redis.call('set','a',1)", "0"],
    );
    let before = lab.wire.len();
    lab.run(300);
    assert_eq!(heard(&mut lab, waits), [""; 0]);
    assert!(!lab.wire[before..].iter().any(|(from, _, frame)| *from == 0 && format!("{frame:?}").contains("list")));
    lab.run(200);
    assert_eq!(heard(&mut lab, busy), ["+OK"]);
    assert_eq!(heard(&mut lab, waits).len(), 1);
    assert_eq!(lab.ask(1, "GET a"), "\"1\"");
    assert_eq!(lab.ask(1, "EXISTS list"), ":0");
}

#[test]
fn a_script_of_a_transaction_ends_within_it() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    for command in [&["MULTI"][..], &["EVAL", ENDLESS[1], "0"], &["EXEC"]] {
        send(&mut lab, conn, command);
    }
    let replies = heard(&mut lab, conn);
    assert!(replies[2].contains(&KILLED[1..]), "{replies:?}");
}

#[test]
fn what_scripts_take_is_limited() {
    let mut lab = Lab::single();
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
    assert_eq!(stream, ["SELECT 0", "MULTI", "set a 1", "incr a", "EXEC", "incr a"]);
    assert_eq!(lab.ask(1, "GET a"), "\"3\"");
}

#[test]
fn an_error_keeps_what_was_done_before_it() {
    let mut lab = Lab::single();
    assert!(eval(&mut lab, "redis.call('set','a',1) error('late')").starts_with("-ERR user_script:1: late script: "));
    assert_eq!(lab.ask(0, "GET a"), "\"1\"");
}

#[test]
fn random_numbers_go_on_from_script_to_script() {
    let mut lab = Lab::single();
    let mut draw = || eval(&mut lab, "return {tostring(math.random()), math.random(10)}");
    // What redis-server 7.0.15 draws after its start.
    assert_eq!([draw(), draw()], ["[\"0.39646477363839\" :9]", "[\"0.35333609737146\" :5]"]);
}

/// A search that takes longer than the world will last.
const SEARCH: &str = "return string.find(('a'):rep(60), ('a?'):rep(60) .. ('a'):rep(60) .. 'b')";

#[test]
fn a_search_that_does_not_end_stops_its_node() {
    let mut lab = Lab::single();
    let (busy, other) = (lab.client(0), lab.client(0));
    send(&mut lab, busy, &["EVAL", SEARCH, "0"]);
    send(&mut lab, other, &["PING"]);
    lab.run(7_000);
    send(&mut lab, other, &["SCRIPT", "KILL"]);
    lab.run(7_000);
    assert_eq!((heard(&mut lab, other), heard(&mut lab, busy)), (vec![], vec![]), "Redis does not look around either");
}

#[test]
fn a_search_that_does_not_end_is_killed_where_it_cannot_be_left() {
    let mut lab = Lab::single();
    let client = lab.client(0);
    for command in [&["MULTI"][..], &["EVAL", SEARCH, "0"], &["EXEC"]] {
        send(&mut lab, client, command);
    }
    let heard = heard(&mut lab, client);
    assert!(heard[2].contains("Script killed by user with SCRIPT KILL"), "{heard:?}");
    let hidden = SEARCH.replace("string.find", "string['fi' .. 'nd']");
    assert!(eval(&mut lab, &hidden).contains("Script killed by user with SCRIPT KILL"));
}
