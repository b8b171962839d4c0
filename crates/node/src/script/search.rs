//! How long a search with a pattern takes. Lua cannot be interrupted in one, and there are some that do not end in a lifetime;
//! so each is first made here, with a question every so many steps whether it may go on, and then by Lua.

use super::STEPS_BETWEEN_LOOKS;

/// Why a search was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It may not go on.
    Killed,
    /// Lua would run out of stack.
    TooDeep,
    /// Lua will complain of the pattern.
    Malformed,
}

/// Parts of a pattern within each other.
const DEPTH_MAX: u32 = 1_000;

/// Where a capture begins, and its length once it is closed.
type Capture = (usize, Option<usize>);

pub(super) struct Search<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<Capture>,
    depth: u32,
    steps: u32,
    may_go_on: &'a dyn Fn() -> bool,
}

impl<'a> Search<'a> {
    pub(super) fn new(text: &'a [u8], pattern: &'a [u8], may_go_on: &'a dyn Fn() -> bool) -> Self {
        // To Lua 5.1 a pattern ends with its first zero.
        let end = pattern.iter().position(|byte| *byte == 0).unwrap_or(pattern.len());
        Self { text, pattern: &pattern[..end], captures: Vec::new(), depth: 0, steps: 0, may_go_on }
    }

    /// Searches from `from` on, for one match or for all.
    pub(super) fn run(&mut self, from: usize, all: bool, may_be_anchored: bool) -> Result<(), Stop> {
        let anchored = may_be_anchored && self.pattern.first() == Some(&b'^');
        let mut at = from;
        while at <= self.text.len() {
            self.captures.clear();
            let end = self.matches(at, usize::from(anchored))?;
            if anchored || end.is_some() && !all {
                break;
            }
            at = end.filter(|end| *end > at).unwrap_or(at + 1);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_BETWEEN_LOOKS) && !(self.may_go_on)() { Err(Stop::Killed) } else { Ok(()) }
    }

    /// Where the match of the pattern from `p` on ends that begins at `s`.
    fn matches(&mut self, s: usize, p: usize) -> Result<Option<usize>, Stop> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Stop::TooDeep);
        }
        let end = self.follow(s, p);
        self.depth -= 1;
        end
    }

    fn follow(&mut self, mut s: usize, mut p: usize) -> Result<Option<usize>, Stop> {
        loop {
            self.step()?;
            let Some(&item) = self.pattern.get(p) else { return Ok(Some(s)) };
            let after = self.pattern.get(p + 1).copied();
            match (item, after) {
                (b'(', Some(b')')) => return self.open(s, p + 2, Some(0)),
                (b'(', _) => return self.open(s, p + 1, None),
                (b')', _) => return self.close(s, p + 1),
                (b'%', None) => return Err(Stop::Malformed),
                (b'%', Some(b'b')) => {
                    let Some(end) = self.balanced(s, p + 2)? else { return Ok(None) };
                    (s, p) = (end, p + 4);
                }
                (b'%', Some(b'f')) => {
                    if self.pattern.get(p + 2) != Some(&b'[') {
                        return Err(Stop::Malformed);
                    }
                    let end = self.item_end(p + 2)?;
                    let before = if s == 0 { 0 } else { self.text[s - 1] };
                    let here = self.text.get(s).copied().unwrap_or(0);
                    if self.in_set(before, p + 2, end - 1) || !self.in_set(here, p + 2, end - 1) {
                        return Ok(None);
                    }
                    p = end;
                }
                (b'%', Some(digit @ b'0'..=b'9')) => {
                    let index = usize::from(digit).checked_sub(usize::from(b'1')).ok_or(Stop::Malformed)?;
                    let &(from, length) = self.captures.get(index).ok_or(Stop::Malformed)?;
                    let captured = &self.text[from..from + length.ok_or(Stop::Malformed)?];
                    if !self.text[s..].starts_with(captured) {
                        return Ok(None);
                    }
                    (s, p) = (s + captured.len(), p + 2);
                }
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                _ => {
                    let end = self.item_end(p)?;
                    let fits = self.fits(s, p, end);
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if fits && let Some(found) = self.matches(s + 1, end + 1)? {
                                return Ok(Some(found));
                            }
                            p = end + 1;
                        }
                        Some(b'*') => return self.longest(s, p, end),
                        Some(b'+') => return if fits { self.longest(s + 1, p, end) } else { Ok(None) },
                        Some(b'-') => return self.shortest(s, p, end),
                        _ if fits => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn open(&mut self, s: usize, p: usize, length: Option<usize>) -> Result<Option<usize>, Stop> {
        self.captures.push((s, length));
        let count = self.captures.len();
        let found = self.matches(s, p)?;
        if found.is_none() {
            self.captures.truncate(count - 1);
        }
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize) -> Result<Option<usize>, Stop> {
        let index = self.captures.iter().rposition(|(_, length)| length.is_none()).ok_or(Stop::Malformed)?;
        self.captures[index].1 = Some(s - self.captures[index].0);
        let found = self.matches(s, p)?;
        if found.is_none() {
            self.captures[index].1 = None;
        }
        Ok(found)
    }

    fn longest(&mut self, s: usize, p: usize, end: usize) -> Result<Option<usize>, Stop> {
        let mut last = s;
        while self.fits(last, p, end) {
            self.step()?;
            last += 1;
        }
        for s in (s..=last).rev() {
            if let Some(found) = self.matches(s, end + 1)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn shortest(&mut self, mut s: usize, p: usize, end: usize) -> Result<Option<usize>, Stop> {
        loop {
            if let Some(found) = self.matches(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.fits(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn balanced(&mut self, s: usize, p: usize) -> Result<Option<usize>, Stop> {
        let &[open, close, ..] = self.pattern.get(p..).unwrap_or_default() else { return Err(Stop::Malformed) };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1;
        for at in s + 1..self.text.len() {
            self.step()?;
            let byte = self.text[at];
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// Where the item at `p` ends: a byte, a class or a set.
    fn item_end(&self, p: usize) -> Result<usize, Stop> {
        match self.pattern[p] {
            b'%' if p + 1 == self.pattern.len() => Err(Stop::Malformed),
            b'%' => Ok(p + 2),
            b'[' => {
                let mut at = p + 1 + usize::from(self.pattern.get(p + 1) == Some(&b'^'));
                loop {
                    let byte = self.pattern.get(at).ok_or(Stop::Malformed)?;
                    at += if *byte == b'%' && at + 1 < self.pattern.len() { 2 } else { 1 };
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// True if the byte at `s` is what the item from `p` to `end` stands for.
    fn fits(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else { return false };
        match self.pattern[p] {
            b'.' => true,
            b'%' => in_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, end - 1),
            literal => literal == byte,
        }
    }

    /// True if `byte` is in the set from the `[` at `p` to the `]` at `end`.
    fn in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let negated = self.pattern[p + 1] == b'^';
        let mut at = p + 1 + usize::from(negated);
        while at < end {
            let hit = match &self.pattern[at..end] {
                [b'%', class, ..] => {
                    at += 2;
                    in_class(byte, *class)
                }
                [low, b'-', high, ..] => {
                    at += 3;
                    (*low..=*high).contains(&byte)
                }
                [literal, ..] => {
                    at += 1;
                    *literal == byte
                }
                [] => false,
            };
            if hit {
                return !negated;
            }
        }
        negated
    }
}

fn in_class(byte: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte == b' ' || (9..=13).contains(&byte),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the first match ends, as Lua says it too.
    fn end_in_lua(text: &str, pattern: &str) -> Result<Option<usize>, Stop> {
        let lua = super::super::interpreter().unwrap();
        let find: mlua::Function =
            lua.load("return function(t, p) return select(2, string.find(t, '^' .. p)) end").call(()).unwrap();
        find.call::<Option<usize>>((text, pattern)).map_err(|_| Stop::Malformed)
    }

    #[test]
    fn matches_are_those_of_lua() {
        let texts =
            ["", "a", "aaa", "abc", "THE (quick) fox", "key = value", "((a)(b", "x[1]", "a.b%c", "aXbXc", "\t 12\n"];
        let patterns = [
            "",
            "a",
            "a*",
            "a+",
            "a-",
            "a?b",
            ".-X",
            ".*X",
            "(a)(b)",
            "()a()",
            "(a*)%1",
            "%a+",
            "%A+",
            "%b()",
            "%f[%w]%w+",
            "[abc]+",
            "[^abc]*",
            "[a-c]-$",
            "[%a_][%w_]*",
            "%s*%d+%s*$",
            "[]]",
            "[^]]*",
            "[a-]",
            "[%]]",
            "a$",
            "$",
            "a$b",
            "(.-)%s*=%s*(.*)",
            "%",
            "[a",
            "(a",
            "a)",
            "%1",
            "%f",
            "%b",
            "[%",
            "%.",
            "%%",
            "^a",
            ".",
            "%u%l",
            "%x%X",
            "%p",
            "%c",
            "(a",
            "((a)(b)",
            "%0",
            "(a)%2",
            "(a%1)",
        ];
        for text in texts {
            for pattern in patterns {
                let go_on = || true;
                let ours = Search::new(text.as_bytes(), pattern.as_bytes(), &go_on).matches(0, 0);
                let lua = end_in_lua(text, pattern);
                // A capture that is never closed is found out by Lua when it has matched.
                if lua != Err(Stop::Malformed) || ours.is_err() {
                    assert_eq!(ours, lua, "{text:?} {pattern:?}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_end_is_asked_about() {
        let (text, pattern) = ("a".repeat(40), "a?".repeat(40) + &"a".repeat(40) + "b");
        let looks = std::cell::Cell::new(0);
        let go_on = || {
            looks.set(looks.get() + 1);
            looks.get() < 5
        };
        let stopped = Search::new(text.as_bytes(), pattern.as_bytes(), &go_on).run(0, false, true);
        assert_eq!((stopped, looks.get()), (Err(Stop::Killed), 5));
        let go_on = || true;
        let deep = "a?".repeat(2_000);
        let text = "a".repeat(2_000);
        assert_eq!(Search::new(text.as_bytes(), deep.as_bytes(), &go_on).run(0, false, true), Err(Stop::TooDeep));
    }
}
