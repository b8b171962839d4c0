//! The random numbers that scripts draw: Redis's own `drand48`, which begins anew with each run.

/// The generator.
pub(super) struct Random(u64);

const MASK: u64 = (1 << 48) - 1;
/// What a draw is divided by.
const MOST: u64 = i32::MAX as u64;

impl Random {
    pub(super) fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 16 | 0x330e)
    }

    /// From 0 up to, and without, 1.
    pub(super) fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & MASK;
        (self.0 >> 17) as f64 % MOST as f64 / MOST as f64
    }
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
