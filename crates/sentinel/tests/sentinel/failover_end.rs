//! How a failover ends that does not go as it should: the passes in which its leader gives up a state.

use crate::common::{Did, Lab, MASTER, NEVER, REPLICAS};
use model::Reply;

const TIMEOUT: u64 = 12_000;

/// A failover by hand at 20 s, up to the promotion; when that was seen.
fn promoted(lab: &mut Lab) -> u64 {
    lab.run_to(20_000);
    assert_eq!(lab.ask("SENTINEL FAILOVER mymaster"), Reply::OK);
    while lab.events("+promoted-slave").is_empty() {
        lab.pass();
    }
    lab.events("+promoted-slave")[0]
}

/// With equal priorities and offsets the one with the smaller run id.
const PROMOTED: u16 = REPLICAS[0];
const OTHER: u16 = REPLICAS[1];

#[test]
fn it_does_not_end_while_the_promoted_replica_is_down() {
    let mut lab = Lab::new(3_000, TIMEOUT, 1);
    lab.run_to(19_000);
    // So that it is still to be told when the promoted one goes.
    lab.party(OTHER).obeys = false;
    let seen = promoted(&mut lab);
    lab.party(PROMOTED).answers = false;
    lab.run_to(seen + 10_000);
    assert_eq!(lab.events("+sdown").len(), 1, "{:?}", lab.events);
    // The other one turns at last, and all that is missing is the new master.
    lab.party(OTHER).follows = Some(PROMOTED);
    lab.run_to(seen + TIMEOUT + 8_000);
    assert_eq!(lab.events("+slave-reconf-done").len(), 1);
    assert_eq!(lab.events("+failover-end"), NEVER, "not when all is done, nor when the time is over");
    assert_eq!(lab.events("+failover-end-for-timeout"), NEVER);

    lab.party(PROMOTED).answers = true;
    while lab.events("-sdown").is_empty() {
        lab.pass();
    }
    let up = lab.events("-sdown")[0];
    lab.pass();
    let ended = lab.pass_after(up);
    let end: Vec<&str> = lab.names_since(ended).into_iter().take(3).collect();
    assert_eq!(end, ["+failover-end-for-timeout", "+failover-end", "+switch-master"], "{:?}", lab.events);
    assert_eq!(lab.events("+failover-end"), [ended]);
}

#[test]
fn it_ends_when_the_promoted_replica_is_back_though_time_is_left() {
    let mut lab = Lab::new(3_000, 60_000, 1);
    let seen = promoted(&mut lab);
    lab.party(PROMOTED).answers = false;
    // The other one is down too, so that it is not waited for.
    lab.party(OTHER).answers = false;
    lab.run_to(seen + 8_000);
    assert_eq!(lab.events("+sdown").len(), 2);
    assert_eq!(lab.events("+failover-end"), NEVER);
    lab.party(PROMOTED).answers = true;
    while lab.events("-sdown").is_empty() {
        lab.pass();
    }
    let up = lab.events("-sdown")[0];
    lab.pass();
    assert_eq!(lab.events("+failover-end"), [lab.pass_after(up)]);
    assert_eq!(lab.events("+failover-end-for-timeout"), NEVER);
    assert_eq!(lab.events("+switch-master"), [lab.pass_after(up)], "in the same pass");
}

#[test]
fn a_replica_that_does_not_turn_is_waited_for_until_the_time_out() {
    let mut lab = Lab::new(3_000, TIMEOUT, 1);
    lab.run_to(19_000);
    lab.party(OTHER).obeys = false;
    let seen = promoted(&mut lab);
    lab.run_to(seen + TIMEOUT);
    assert_eq!(lab.events("+failover-end"), NEVER);
    lab.run_to(seen + TIMEOUT + 200);
    let ended = lab.pass_after(seen + TIMEOUT);
    for event in ["+failover-end-for-timeout", "+failover-end", "+switch-master"] {
        assert_eq!(lab.events(event), [ended], "{event}");
    }
    assert_eq!(lab.events("+slave-reconf-sent-be"), NEVER, "it was told before");
}

#[test]
fn a_replica_that_was_not_told_is_said_to_have_been_at_the_time_out() {
    let mut lab = Lab::new(3_000, TIMEOUT, 1);
    lab.run_to(19_000);
    let seen = promoted(&mut lab);
    // It has turned to the new master, as its INFO says, but is not in step with it: it is on its way, and not done.
    lab.party(OTHER).in_step = false;
    lab.run_to(seen + TIMEOUT);
    assert_eq!(lab.events("+slave-reconf-inprog").len(), 1);
    assert_eq!(lab.events("+slave-reconf-done"), NEVER);
    lab.run_to(seen + TIMEOUT + 200);
    let ended = lab.pass_after(seen + TIMEOUT);
    let end: Vec<&str> = lab.names_since(ended).into_iter().take(4).collect();
    assert_eq!(end, ["+failover-end-for-timeout", "+failover-end", "+slave-reconf-sent-be", "+switch-master"]);
}

#[test]
fn a_promotion_that_does_not_come_is_given_up_at_the_time_out() {
    let mut lab = Lab::new(3_000, TIMEOUT, 1);
    lab.run_to(20_000);
    lab.party(PROMOTED).obeys = false;
    assert_eq!(lab.ask("SENTINEL FAILOVER mymaster"), Reply::OK);
    lab.run_to(20_000 + TIMEOUT + 1_000);
    let [told] = lab.events("+failover-state-wait-promotion")[..] else { panic!("{:?}", lab.events) };
    assert_eq!(lab.events("-failover-abort-slave-timeout"), [lab.pass_after(told + TIMEOUT)]);
    let told = |words: &str| words.starts_with("SLAVEOF");
    let commands = lab.deeds.iter().filter(|(_, _, _, did)| matches!(did, Did::Sent(words) if told(words)));
    assert_eq!(commands.count(), 1, "nobody else was told anything");
    assert_eq!(lab.party(MASTER).follows, None);
}

#[test]
fn a_replica_that_cannot_be_told_is_given_up_at_the_time_out() {
    let mut lab = Lab::new(30_000, TIMEOUT, 1);
    lab.run_to(20_000);
    assert_eq!(lab.ask("SENTINEL FAILOVER mymaster"), Reply::OK);
    while lab.events("+selected-slave").is_empty() {
        lab.pass();
    }
    // Its links are lost and do not come back.
    lab.party(PROMOTED).refuses = true;
    lab.lose(PROMOTED);
    let selected = lab.events("+selected-slave")[0];
    lab.run_to(selected + TIMEOUT + 1_000);
    assert_eq!(lab.events("+failover-state-wait-promotion"), NEVER);
    assert_eq!(lab.events("-failover-abort-slave-timeout"), [lab.pass_after(selected + TIMEOUT)]);
}

#[test]
fn a_simulated_crash_ends_the_process_at_its_state() {
    for (failure, state) in [
        ("crash-after-election", "+elected-leader"),
        ("crash-after-promotion", "+promoted-slave"),
        ("CRASH-AFTER-PROMOTION", "+promoted-slave"),
    ] {
        let mut lab = Lab::new(3_000, TIMEOUT, 1);
        lab.run_to(20_000);
        assert_eq!(lab.ask(&format!("SENTINEL SIMULATE-FAILURE {failure}")), Reply::OK);
        assert_eq!(lab.ask("SENTINEL FAILOVER mymaster"), Reply::OK);
        lab.run_to(30_000);
        assert_eq!(lab.exits, lab.events(state), "{failure}");
        assert_eq!(lab.exits.len(), 1, "{failure}");
        assert_eq!(lab.names_since(lab.exits[0]).last(), Some(&state), "nothing happens after it");
        let said = lab.deeds.iter().filter(|(at, _, _, did)| *at == lab.exits[0] && matches!(did, Did::Sent(_)));
        // The promotion is seen in a reply, to what the pass before has sent.
        assert!(state == "+promoted-slave" || said.count() == 0, "nothing leaves in its last pass");
    }
    // Whoever asks for help has nothing simulated any more.
    let mut lab = Lab::new(3_000, TIMEOUT, 1);
    lab.run_to(20_000);
    lab.ask("SENTINEL SIMULATE-FAILURE crash-after-election");
    lab.ask("SENTINEL SIMULATE-FAILURE help");
    lab.ask("SENTINEL FAILOVER mymaster");
    lab.run_to(30_000);
    assert_eq!(lab.exits, NEVER);
    assert_eq!(lab.events("+switch-master").len(), 1);
}
