//! How Redis shows which commands a user may run.

/// The commands of a server, all by their place in its table.
pub struct Commands<'a> {
    /// Their names; a subcommand's is `config|get`.
    pub names: &'a [&'a str],
    /// In the order of `ACL CAT`.
    pub categories: &'a [&'a str],
    /// Whether the command at this place is in a category.
    pub is_in: &'a dyn Fn(usize, &str) -> bool,
}

/// What a user may run.
pub struct Allowed<'a> {
    /// By the places of the commands.
    pub commands: &'a [bool],
    /// `+@all` was the last word about all.
    pub all: bool,
    /// `+select|0`: commands, by their places, with a first argument. They do not count for one that is allowed anyway.
    pub first_args: &'a [(usize, String)],
}

impl Commands<'_> {
    /// Whether a rule about a category is about a command: a category has a command with all its subcommands.
    fn is_under(&self, at: usize, category: &str) -> bool {
        let container = || {
            let (of, _) = self.names[at].split_once('|')?;
            self.names.iter().position(|name| *name == of)
        };
        (self.is_in)(at, category) || container().is_some_and(|container| (self.is_in)(container, category))
    }

    /// As Redis 7.0 puts it: the categories that fit best, then the commands in which those differ from what is allowed.
    /// Redis has these in the order of a hash table, which differs from process to process.
    pub fn describe(&self, user: &Allowed<'_>) -> String {
        let Self { names, categories, is_in } = self;
        let add = !user.all;
        let mut words = vec![if add { "-@all" } else { "+@all" }.to_owned()];
        let sign = if add { '+' } else { '-' };
        // What is told so far, and what is left of the wish.
        let mut told = vec![!add; names.len()];
        let mut left = user.commands.to_vec();
        let mut used: Vec<&str> = Vec::new();
        loop {
            let mut best: Option<(&str, usize, usize)> = None;
            for category in categories.iter().filter(|category| !used.contains(category)) {
                let bits = || left.iter().enumerate().filter(|(at, _)| is_in(*at, category));
                let on = bits().filter(|(_, allowed)| **allowed).count();
                let off = bits().count() - on;
                let (same, diff) = if add { (on, off) } else { (off, on) };
                let better = best.is_none_or(|(_, least, most)| diff < least || (diff == least && same > most));
                if same > diff && better {
                    best = Some((category, diff, same));
                }
            }
            let Some((category, ..)) = best else { break };
            words.push(format!("{sign}@{category}"));
            used.push(category);
            for at in (0..names.len()).filter(|at| self.is_under(*at, category)) {
                told[at] = add;
                left[at] = !add;
            }
        }
        for (at, name) in names.iter().enumerate() {
            let to = user.commands[at];
            if told[at] == to {
                continue;
            }
            let under = format!("{name}|");
            words.push(format!("{}{name}", if to { '+' } else { '-' }));
            for (other, sub) in names.iter().enumerate() {
                if other == at || sub.starts_with(&under) {
                    told[other] = to;
                }
            }
        }
        let rest = user.first_args.iter().filter(|(at, _)| !user.commands[*at]);
        words.extend(rest.map(|(at, argument)| format!("+{}|{argument}", names[*at])));
        words.join(" ")
    }
}
