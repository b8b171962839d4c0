//! "Did you mean": the known word that is nearest to an unknown one.

/// What other tools, or Redis before version 5, call what has another name here, the likelier first.
const SYNONYMS: [(&str, &str); 43] = [
    ("slave", "replica:best"),
    ("slaves", "replicas"),
    ("replica", "replica:best"),
    ("primary", "master"),
    ("leader", "sentinel:leader"),
    ("crash", "kill"),
    ("stop", "shutdown"),
    ("start", "restart"),
    ("pause", "freeze"),
    ("suspend", "freeze"),
    ("resume", "thaw"),
    ("unpause", "thaw"),
    ("sleep", "debug_sleep"),
    ("drop", "unreachable"),
    ("isolate", "unreachable"),
    ("delay", "latency"),
    ("slow", "latency"),
    ("disconnect", "cut"),
    ("reset", "cut"),
    ("split", "partition"),
    ("promote", "failover"),
    ("slaveof", "replicaof"),
    ("recover", "heal"),
    ("switch", "+switch-master"),
    ("time", "at"),
    ("duration", "for"),
    ("duration", "run_for"),
    ("events", "timeline"),
    ("steps", "timeline"),
    ("name", "id"),
    ("name", "title"),
    ("type", "workload"),
    ("timeout", "deadline"),
    ("interval", "every"),
    ("between", "from"),
    ("and", "to"),
    ("from", "between"),
    ("to", "and"),
    ("of", "between"),
    ("recovered", "recovered_within"),
    ("recovery", "recovered_within"),
    ("errors", "failed_at_most"),
    ("failures", "failed_at_most"),
];

/// A hint that names the one of `known` that `unknown` means elsewhere, or the nearest, if one is near enough to be a slip of the
/// keyboard.
pub fn did_you_mean<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    let means = |(word, here): &&(&str, &str)| word.eq_ignore_ascii_case(unknown) && known.contains(here);
    let word = SYNONYMS.iter().find(means).map(|(_, here)| *here).or_else(|| nearest(unknown, &known))?;
    Some(format!("did you mean `{word}`?"))
}

/// The nearest word, if it is near.
fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    // Any two short words are near each other, unless they differ in case only, and the distance of long ones takes quadratic time.
    let most = match unknown.chars().count() {
        0..3 => 0,
        length => (length / 3).clamp(1, 3),
    };
    let distance = |word: &str| {
        if word.eq_ignore_ascii_case(unknown) { 0 } else { strsim::damerau_levenshtein(unknown, word) }
    };
    let near = known.iter().filter(|_| unknown.len() <= 64).map(|word| (distance(word), *word));
    near.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// The names as a list for a message: "`a`, `b`"; "none" if there are none.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    // As many as any map has keys: only names that the author gave are ever cut.
    const MOST: usize = 40;
    let mut names = names.into_iter();
    let text = names.by_ref().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.count() {
        0 if text.is_empty() => "none".to_owned(),
        0 => text,
        rest => format!("{text} and {rest} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["kill", "restart", "partition"];
        assert_eq!(did_you_mean("kil", known).as_deref(), Some("did you mean `kill`?"));
        assert_eq!(did_you_mean("partitoin", known).as_deref(), Some("did you mean `partition`?"));
        assert_eq!(did_you_mean("explode", known), None);
        assert_eq!(did_you_mean("KILL", known).as_deref(), Some("did you mean `kill`?"));
        assert_eq!(did_you_mean("i1", ["I1", "I2"]).as_deref(), Some("did you mean `I1`?"));
        assert_eq!(did_you_mean("I9", ["I1", "I2"]), None);
        assert_eq!(did_you_mean(&"k".repeat(1_000), known), None);
    }

    #[test]
    fn words_of_other_tools_are_known() {
        let faults = crate::convert::FAULTS;
        assert_eq!(did_you_mean("crash", faults).as_deref(), Some("did you mean `kill`?"));
        assert_eq!(did_you_mean("Delay", faults).as_deref(), Some("did you mean `latency`?"));
        assert_eq!(did_you_mean("duration", ["title", "run_for"]).as_deref(), Some("did you mean `run_for`?"));
        assert_eq!(did_you_mean("duration", ["at", "for"]).as_deref(), Some("did you mean `for`?"));
        assert_eq!(did_you_mean("slaves", ["master", "replicas"]).as_deref(), Some("did you mean `replicas`?"));
        assert_eq!(did_you_mean("slaves", ["master"]), None, "there is no such word here");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a", "b"]), "`a`, `b`");
        assert!(listed(std::iter::repeat_n("a", 50)).ends_with("`a` and 10 more"));
    }
}
