//! The commands that a Sentinel has, with their subcommands, as `COMMAND` shows them.

use model::Reply;

/// A command or a subcommand.
pub(crate) struct Spec {
    /// `client|list` for a subcommand.
    pub name: &'static str,
    /// How many words it takes, its name among them; negative for at least so many.
    pub arity: i64,
    flags: &'static str,
    categories: &'static str,
    tips: &'static str,
}

const fn spec(
    name: &'static str,
    arity: i64,
    flags: &'static str,
    categories: &'static str,
    tips: &'static str,
) -> Spec {
    Spec { name, arity, flags, categories, tips }
}

impl Spec {
    pub(crate) fn arity_fits(&self, words: usize) -> bool {
        if self.arity >= 0 { words as i64 == self.arity } else { words as i64 >= -self.arity }
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.split(' ').any(|known| known == flag)
    }

    pub(crate) fn is_in(&self, category: &str) -> bool {
        self.categories.split(' ').any(|known| known == category)
    }

    /// Whether a rule about a category is about it: a category has a command with all its subcommands.
    pub(crate) fn is_under(&self, category: &str) -> bool {
        let container = || find(self.name.split_once('|')?.0);
        self.is_in(category) || container().is_some_and(|container| TABLE[container].is_in(category))
    }

    /// The entry of `COMMAND INFO`, with those of its subcommands.
    pub(crate) fn entry(&self) -> Reply {
        let words = |text: &'static str| text.split(' ').filter(|word| !word.is_empty());
        let flags = words(self.flags).map(|flag| Reply::Simple(flag.into()));
        let categories = words(self.categories).map(|category| Reply::Simple(format!("@{category}").into()));
        let tips = words(self.tips).map(Reply::word);
        let subcommands: Vec<Reply> = subcommands(self.name).map(Self::entry).collect();
        Reply::Array(vec![
            Reply::word(self.name),
            Reply::Int(self.arity),
            Reply::Set(flags.collect()),
            Reply::Int(0),
            Reply::Int(0),
            Reply::Int(0),
            Reply::Set(categories.collect()),
            Reply::Set(tips.collect()),
            Reply::Set(Vec::new()),
            if subcommands.is_empty() { Reply::Set(subcommands) } else { Reply::Array(subcommands) },
        ])
    }
}

/// The commands, without their subcommands.
pub(crate) fn commands() -> impl Iterator<Item = &'static Spec> {
    TABLE.iter().filter(|spec| !spec.name.contains('|'))
}

/// The subcommands of a command.
fn subcommands(name: &'static str) -> impl Iterator<Item = &'static Spec> {
    TABLE.iter().filter(move |spec| spec.name.split_once('|').is_some_and(|(command, _)| command == name))
}

/// The index of `ping` or `client|list`, in lower case.
pub(crate) fn find(name: &str) -> Option<usize> {
    TABLE.binary_search_by(|spec| spec.name.cmp(name)).ok()
}

/// True for a command like `CLIENT`.
pub(crate) fn has_subcommands(index: usize) -> bool {
    // They come next, in the order of the table.
    let next = TABLE.get(index + 1).and_then(|next| next.name.strip_prefix(TABLE[index].name));
    next.is_some_and(|rest| rest.starts_with('|'))
}

/// The categories of the access list, in Redis's order.
#[rustfmt::skip]
pub(crate) const CATEGORIES: [&str; 21] = [
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream",
    "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
];

/// Every command, in the order of the names: name, arity, flags, categories, tips.
#[rustfmt::skip]
pub(crate) const TABLE: &[Spec] = &[
    spec("acl", -2, "", "slow", ""),
    spec("acl|cat", -2, "noscript loading stale", "slow", ""),
    spec("acl|deluser", -3, "admin noscript loading stale", "admin slow dangerous", ""),
    spec("acl|dryrun", -4, "admin noscript loading stale", "admin slow dangerous", ""),
    spec("acl|genpass", -2, "noscript loading stale", "slow", ""),
    spec("acl|getuser", 3, "admin noscript loading stale", "admin slow dangerous", ""),
    spec("acl|help", 2, "loading stale", "slow", ""),
    spec("acl|list", 2, "admin noscript loading stale", "admin slow dangerous", ""),
    spec("acl|load", 2, "admin noscript loading stale", "admin slow dangerous", ""),
    spec("acl|log", -2, "admin noscript loading stale", "admin slow dangerous", ""),
    spec("acl|save", 2, "admin noscript loading stale", "admin slow dangerous", ""),
    spec("acl|setuser", -3, "admin noscript loading stale", "admin slow dangerous", ""),
    spec("acl|users", 2, "admin noscript loading stale", "admin slow dangerous", ""),
    spec("acl|whoami", 2, "noscript loading stale", "slow", ""),
    spec("auth", -2, "noscript loading stale fast no_auth allow_busy", "fast connection", ""),
    spec("client", -2, "", "slow", ""),
    spec("client|caching", 3, "noscript loading stale", "slow connection", ""),
    spec("client|getname", 2, "noscript loading stale", "slow connection", ""),
    spec("client|getredir", 2, "noscript loading stale", "slow connection", ""),
    spec("client|help", 2, "loading stale", "slow connection", ""),
    spec("client|id", 2, "noscript loading stale", "slow connection", ""),
    spec("client|info", 2, "noscript loading stale", "slow connection", "nondeterministic_output"),
    spec("client|kill", -3, "admin noscript loading stale", "admin slow dangerous connection", ""),
    spec("client|list", -2, "admin noscript loading stale", "admin slow dangerous connection", "nondeterministic_output"),
    spec("client|no-evict", 3, "admin noscript loading stale", "admin slow dangerous connection", ""),
    spec("client|pause", -3, "admin noscript loading stale", "admin slow dangerous connection", ""),
    spec("client|reply", 3, "noscript loading stale", "slow connection", ""),
    spec("client|setname", 3, "noscript loading stale", "slow connection", ""),
    spec("client|tracking", -3, "noscript loading stale", "slow connection", ""),
    spec("client|trackinginfo", 2, "noscript loading stale", "slow connection", ""),
    spec("client|unblock", -3, "admin noscript loading stale", "admin slow dangerous connection", ""),
    spec("client|unpause", 2, "admin noscript loading stale", "admin slow dangerous connection", ""),
    spec("command", -1, "loading stale", "slow connection", "nondeterministic_output_order"),
    spec("command|count", 2, "loading stale", "slow connection", ""),
    spec("command|docs", -2, "loading stale", "slow connection", "nondeterministic_output_order"),
    spec("command|getkeys", -4, "loading stale", "slow connection", ""),
    spec("command|getkeysandflags", -4, "loading stale", "slow connection", ""),
    spec("command|help", 2, "loading stale", "slow connection", ""),
    spec("command|info", -2, "loading stale", "slow connection", "nondeterministic_output_order"),
    spec("command|list", -2, "loading stale", "slow connection", "nondeterministic_output_order"),
    spec("hello", -1, "noscript loading stale fast no_auth allow_busy", "fast connection", ""),
    spec("info", -1, "loading stale", "slow dangerous", "nondeterministic_output request_policy:all_shards response_policy:special"),
    spec("ping", -1, "fast", "fast connection", "request_policy:all_shards response_policy:all_succeeded"),
    spec("psubscribe", -2, "pubsub noscript loading stale", "pubsub slow", ""),
    spec("publish", 3, "pubsub loading stale fast", "pubsub fast", ""),
    spec("punsubscribe", -1, "pubsub noscript loading stale", "pubsub slow", ""),
    spec("role", 1, "noscript loading stale fast", "admin fast dangerous", ""),
    spec("sentinel", -2, "admin", "admin slow dangerous", ""),
    spec("sentinel|ckquorum", 3, "admin", "admin slow dangerous", ""),
    spec("sentinel|config", -3, "admin", "admin slow dangerous", ""),
    spec("sentinel|debug", -2, "admin", "admin slow dangerous", ""),
    spec("sentinel|failover", 3, "admin", "admin slow dangerous", ""),
    spec("sentinel|flushconfig", 2, "admin", "admin slow dangerous", ""),
    spec("sentinel|get-master-addr-by-name", 3, "admin", "admin slow dangerous", ""),
    spec("sentinel|help", 2, "loading stale", "slow", ""),
    spec("sentinel|info-cache", -3, "admin", "admin slow dangerous", ""),
    spec("sentinel|is-master-down-by-addr", 6, "admin", "admin slow dangerous", ""),
    spec("sentinel|master", 3, "admin", "admin slow dangerous", ""),
    spec("sentinel|masters", 2, "admin", "admin slow dangerous", ""),
    spec("sentinel|monitor", 6, "admin", "admin slow dangerous", ""),
    spec("sentinel|myid", 2, "admin", "admin slow dangerous", ""),
    spec("sentinel|pending-scripts", 2, "admin", "admin slow dangerous", ""),
    spec("sentinel|remove", 3, "admin", "admin slow dangerous", ""),
    spec("sentinel|replicas", 3, "admin", "admin slow dangerous", ""),
    spec("sentinel|reset", 3, "admin", "admin slow dangerous", ""),
    spec("sentinel|sentinels", 3, "admin", "admin slow dangerous", ""),
    spec("sentinel|set", -5, "admin", "admin slow dangerous", ""),
    spec("sentinel|simulate-failure", -3, "admin", "admin slow dangerous", ""),
    spec("sentinel|slaves", 3, "admin", "admin slow dangerous", ""),
    spec("shutdown", -1, "admin noscript loading stale no_multi allow_busy", "admin slow dangerous", ""),
    spec("subscribe", -2, "pubsub noscript loading stale", "pubsub slow", ""),
    spec("unsubscribe", -1, "pubsub noscript loading stale", "pubsub slow", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_found_in_the_order_of_the_names() {
        assert!(TABLE.is_sorted_by(|one, next| one.name < next.name));
        for (index, spec) in TABLE.iter().enumerate() {
            assert_eq!(find(spec.name), Some(index));
            assert_eq!(has_subcommands(index), subcommands(spec.name).next().is_some(), "{}", spec.name);
        }
    }
}
