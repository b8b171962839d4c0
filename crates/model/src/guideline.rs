//! The guideline for clients of Redis Sentinel (`sentinel-clients` of the documentation of Redis), clause by clause, in the
//! project's own words, and what a node can see of each.

/// One clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its number, from 1, in the order of the text.
    pub number: u8,
    /// What a client should do, or may.
    pub text: &'static str,
    /// True if it may, so that not to do it is no fault.
    pub optional: bool,
    /// Why it is not judged, if it is not.
    pub unjudged: Option<&'static str>,
}

const fn judged(number: u8, text: &'static str) -> Clause {
    Clause { number, text, optional: false, unjudged: None }
}

const fn optional(number: u8, text: &'static str) -> Clause {
    Clause { number, text, optional: true, unjudged: None }
}

const fn unjudged(number: u8, text: &'static str, why: &'static str) -> Clause {
    Clause { number, text, optional: false, unjudged: Some(why) }
}

/// All of them.
pub const CLAUSES: [Clause; 31] = [
    unjudged(1, "takes a list of Sentinels and a name", "every driver is given both"),
    unjudged(2, "goes through the list", "judged with 4 and 9"),
    judged(3, "waits for one Sentinel for a second at most"),
    judged(4, "asks the next Sentinel after an error or a time-out"),
    unjudged(5, "returns an error when all were tried", "judged with 25 and 26, and by I5"),
    unjudged(6, "begins with the one that replied last", "one that asks all at once has no order"),
    judged(7, "asks for the master's address by its name"),
    unjudged(8, "connects to the address that it was given", "I2 holds it to that"),
    judged(9, "asks the next Sentinel when one does not know the name"),
    judged(10, "confirms by ROLE that the node is a master"),
    unjudged(11, "reads INFO where there is no ROLE", "the nodes have ROLE; INFO counts as well"),
    unjudged(12, "waits a little when the role is wrong", "I6 holds it to that"),
    unjudged(13, "begins anew then", "judged with 14"),
    judged(14, "asks a Sentinel whenever it connects anew"),
    unjudged(15, "also after a time-out or an error", "judged with 14"),
    unjudged(16, "also when its user reconnects", "what the user does is not seen"),
    unjudged(17, "also after any other loss", "judged with 14"),
    judged(18, "asks a Sentinel when the node has closed the connection"),
    unjudged(19, "takes a wrong role for a sign of old data", "a statement"),
    unjudged(20, "may meet an old master through an old Sentinel for a while", "a statement"),
    judged(21, "finds replicas by SENTINEL REPLICAS"),
    judged(22, "confirms by ROLE that the node is a replica"),
    unjudged(23, "does so for each connection of a pool", "judged with 14"),
    judged(24, "closes all connections to the old master when the address has changed"),
    judged(25, "says clearly that it reached no Sentinel"),
    judged(26, "says clearly that no Sentinel knows the name"),
    optional(27, "renews its list of Sentinels"),
    unjudged(28, "adds those that it did not know", "the scenario fleet-replaced shows it"),
    unjudged(29, "need not keep the list", "a statement"),
    optional(30, "subscribes to the events of Sentinels"),
    unjudged(31, "does not depend on the events", "the scenarios of 5-events show it"),
];
