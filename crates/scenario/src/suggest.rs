//! "Did you mean": the known word that is nearest to an unknown one.

/// A hint that names the nearest of `known`, if one is near enough to be a slip of the keyboard.
pub fn did_you_mean<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Any two short words are near each other, unless they differ in case only, and the distance of long ones takes quadratic time.
    let most = match unknown.chars().count() {
        0..3 => 0,
        length => (length / 3).clamp(1, 3),
    };
    let distance = |word: &str| {
        if word.eq_ignore_ascii_case(unknown) { 0 } else { strsim::damerau_levenshtein(unknown, word) }
    };
    known
        .into_iter()
        .filter(|_| unknown.len() <= 64)
        .map(|word| (distance(word), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| format!("did you mean `{word}`?"))
}

/// The names as a list for a message: "`a`, `b`"; "none" if there are none.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let mut names = names.into_iter();
    let mut text = names.by_ref().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.next().is_some() {
        text.push_str(" …");
    }
    if text.is_empty() { "none".to_owned() } else { text }
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
    fn long_lists_are_cut() {
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a", "b"]), "`a`, `b`");
        assert!(listed(std::iter::repeat_n("a", 30)).ends_with("`a` …"));
    }
}
