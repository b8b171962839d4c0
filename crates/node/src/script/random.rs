//! The random numbers that scripts draw: Redis's own `drand48`, which goes on from script to script.

use mlua::{Lua, MultiValue, Value};

use super::{bad_argument, raised};

/// The generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Random(u64);

const MASK: u64 = (1 << 48) - 1;
/// What a draw is divided by.
const MOST: u64 = i32::MAX as u64;

/// As a process begins.
impl Default for Random {
    fn default() -> Self {
        Self(0x1234_abcd_330e)
    }
}

impl Random {
    fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 16 | 0x330e)
    }

    /// From 0 up to, and without, 1.
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & MASK;
        (self.0 >> 17) as f64 % MOST as f64 / MOST as f64
    }

    /// `math.random`
    pub(super) fn random(&mut self, lua: &Lua, args: &MultiValue) -> mlua::Result<f64> {
        let drawn = self.draw();
        let empty = |number| bad_argument(lua, number, "interval is empty");
        match args.len() {
            0 => Ok(drawn),
            1 => {
                let high = whole(lua, args, 1)?;
                if high < 1 { Err(empty(1)) } else { Ok((drawn * f64::from(high)).floor() + 1.0) }
            }
            2 => {
                let (low, high) = (whole(lua, args, 1)?, whole(lua, args, 2)?);
                let width = f64::from(high.wrapping_sub(low).wrapping_add(1));
                if low > high { Err(empty(2)) } else { Ok((drawn * width).floor() + f64::from(low)) }
            }
            _ => Err(raised(lua, "wrong number of arguments")),
        }
    }

    /// `math.randomseed`
    pub(super) fn reseed(&mut self, lua: &Lua, args: &MultiValue) -> mlua::Result<()> {
        *self = Self::new(whole(lua, args, 1)? as u32);
        Ok(())
    }
}

/// The argument of this number, from 1, of a function: without its fraction, and without its higher bits.
fn whole(lua: &Lua, args: &MultiValue, number: usize) -> mlua::Result<i32> {
    let value = args.get(number - 1);
    let read = value.map(|value| lua.coerce_number(value.clone())).transpose()?.flatten();
    let got = value.map_or("no value", Value::type_name);
    let wrong = || bad_argument(lua, number, &format!("number expected, got {got}"));
    read.map(|value| value as i64 as i32).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-server 7.0.15 draws.
    #[test]
    fn as_drawn_by_redis() {
        let show = |seed| format!("{:.14}", Random::new(seed).draw());
        assert_eq!(show(5), "0.52483957937213");
    }
}
