//! When values were last accessed: what `OBJECT IDLETIME` tells.

use std::collections::BTreeMap;

use super::{Form, Value};

/// Unix time in seconds, as far as the 24 bits go that Redis keeps of it.
pub(crate) type Clock = u32;

const LAST: Clock = 0xff_ffff;

/// What the clock shows at this time, in Unix milliseconds.
pub(crate) fn clock(now: u64) -> Clock {
    (now / 1_000) as Clock & LAST
}

/// Seconds from an access until `now`.
pub(crate) fn idle(now: Clock, accessed: Clock) -> u32 {
    if now >= accessed { now - accessed } else { now + (LAST - accessed) }
}

/// When what was idle for so many seconds at `now` was accessed, which wraps around where Redis's does.
pub(crate) fn idle_for(now: Clock, seconds: i64) -> Clock {
    let at = i64::from(now).wrapping_sub(seconds.wrapping_mul(1_000) / 1_000);
    (if at < 0 { at + i64::from(LAST) } else { at }) as Clock & LAST
}

/// The number that a value is, if it is one of those that are there once for all keys.
pub(crate) fn shared(value: &Value, form: Form) -> Option<u16> {
    match value {
        Value::Str(text) if form == Form::ByValue && text.len() <= 4 => {
            crate::args::parse_int(text).and_then(|number| u16::try_from(number).ok())
        }
        _ => None,
    }
}

/// When each of the shared numbers was last accessed, under whichever key.
#[derive(Debug)]
pub(crate) struct SharedNumbers {
    started: Clock,
    accessed: BTreeMap<u16, Clock>,
}

impl SharedNumbers {
    /// Those of a process that starts at this time.
    pub(crate) fn new(started: Clock) -> Self {
        Self { started, accessed: BTreeMap::new() }
    }

    pub(crate) fn accessed(&self, number: u16) -> Clock {
        self.accessed.get(&number).copied().unwrap_or(self.started)
    }

    pub(crate) fn access(&mut self, number: u16, at: Clock) {
        self.accessed.insert(number, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_wraps_around() {
        let last = u64::from(LAST) * 1_000;
        assert_eq!((clock(last + 999), clock(last + 1_000)), (LAST, 0));
        assert_eq!(idle(5, LAST), 5);
        assert_eq!(idle(5, idle_for(5, 10)), 10);
        assert_eq!(idle(100, idle_for(100, 100)), 100);
    }
}
