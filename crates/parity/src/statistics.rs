//! Medians, and how unlikely a difference is by chance.

use serde::Serialize;

/// The least, the middle and the greatest of some values, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many values.
    pub count: usize,
    /// The least.
    pub min: f64,
    /// The middle one; of an even number the mean of the middle two.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// `None` of no values.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) };
        Some(Self { count: values.len(), min, median, max })
    }
}

/// The range in which the median of `count` values lies if they are drawn from the same source as `values`, but for two
/// times this `chance`. `count` is odd. `None` of no values.
pub fn median_range(mut values: Vec<f64>, count: usize, chance: f64) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let (least, most) = (*values.first()?, *values.last()?);
    // The median of `count` lies at or below a value if more than half of them do.
    let below = |rank: usize| {
        let part = rank as f64 / values.len() as f64;
        let of_count =
            |k: usize| ln_choose(count, k).exp() * part.powi(k as i32) * (1.0 - part).powi((count - k) as i32);
        (count / 2 + 1..=count).map(of_count).sum::<f64>()
    };
    let low = (1..=values.len()).find(|rank| below(*rank) > chance).map_or(least, |rank| values[rank - 1]);
    let high = (1..=values.len()).find(|rank| below(*rank) >= 1.0 - chance).map_or(most, |rank| values[rank - 1]);
    Some((low, high))
}

/// So many of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many.
    pub yes: usize,
    /// Of how many.
    pub of: usize,
}

/// The probability that two shares differ at least as much as these if there is no difference but chance: Fisher's exact
/// test, two-sided.
pub fn by_chance(a: Share, b: Share) -> f64 {
    let (yes, all) = (a.yes + b.yes, a.of + b.of);
    // ln of the number of ways in which `k` of the `yes` fall to `a`.
    let ways = |k: usize| ln_choose(a.of, k) + ln_choose(b.of, yes - k);
    let total = ln_choose(all, yes);
    let (least, most) = (yes.saturating_sub(b.of), yes.min(a.of));
    let seen = ways(a.yes);
    // As likely as the one seen, but for rounding, counts too.
    let probability: f64 =
        (least..=most).map(ways).filter(|ways| *ways <= seen + 1e-7).map(|ways| (ways - total).exp()).sum();
    probability.min(1.0)
}

fn ln_choose(n: usize, k: usize) -> f64 {
    (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(yes: usize, of: usize) -> Share {
        Share { yes, of }
    }

    #[test]
    fn the_middle() {
        let median = |values: &[f64]| Spread::of(values.to_vec()).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    /// Of one value the range is that of the values; the more, the nearer to the middle.
    #[test]
    fn the_range_of_medians() {
        let values = || (0..1_000).map(f64::from).collect::<Vec<_>>();
        assert_eq!(median_range(values(), 1, 0.01), Some((10.0, 989.0)));
        // Of three the median is below the part p with 3p²-2p³; 0.01 at p = 0.059.
        assert_eq!(median_range(values(), 3, 0.01), Some((58.0, 941.0)));
        assert_eq!(median_range(Vec::new(), 3, 0.01), None);
    }

    /// Worked by hand: of 8 cups of tea, 4 and 4, all guessed right happens once in 70, both ways.
    #[test]
    fn fishers_exact_test() {
        assert!((by_chance(share(4, 4), share(0, 4)) - 2.0 / 70.0).abs() < 1e-9);
        assert!((by_chance(share(3, 4), share(1, 4)) - 34.0 / 70.0).abs() < 1e-9);
        assert!((by_chance(share(2, 5), share(80, 200)) - 1.0).abs() < 1e-9);
        assert!(by_chance(share(5, 5), share(0, 200)) < 1e-9);
        assert!(by_chance(share(0, 5), share(0, 200)) > 0.999);
    }
}
