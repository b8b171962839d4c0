//! "Did you mean": the known word that is nearest to an unknown one.

/// A hint that names the nearest of `known`, if one is near enough to be a slip of the keyboard.
pub(crate) fn did_you_mean<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Any two short words are near each other, and the distance of long ones takes quadratic time.
    if !(3..=64).contains(&unknown.len()) {
        return None;
    }
    let most = (unknown.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(unknown, word), word))
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
        assert_eq!(did_you_mean(&"k".repeat(1_000), known), None);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a", "b"]), "`a`, `b`");
        assert!(listed(std::iter::repeat_n("a", 30)).ends_with("`a` …"));
    }
}
