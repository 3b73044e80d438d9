//! Samples and what is said of them. The median speaks; the spread is always told with it.

use std::time::{Duration, Instant};

/// Measured values in one unit, in the order of their size.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Takes what was measured, in any order.
    pub fn new(mut values: Vec<f64>) -> Samples {
        values.sort_by(f64::total_cmp);
        Samples(values)
    }

    /// The value that the share `at` (0 to 1) of all lie at or below; 0 if there is none.
    pub fn quantile(&self, at: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let place = (self.0.len() as f64 * at).ceil() as usize;
        self.0.get(place.saturating_sub(1).min(last)).copied().unwrap_or(0.0)
    }

    /// The median.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value that one in a hundred is above.
    pub fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    /// The smallest and the largest.
    pub fn range(&self) -> (f64, f64) {
        (self.0.first().copied().unwrap_or(0.0), self.0.last().copied().unwrap_or(0.0))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Samples {
        Samples::new(values.into_iter().collect())
    }
}

/// A figure and its limit, measured in turn.
#[derive(Clone, Debug, Default)]
pub struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// Adds a figure and the limit as it was just then.
    pub fn push(&mut self, figure: f64, limit: f64) {
        self.0.push((figure, limit));
    }

    /// The figures.
    pub fn figures(&self) -> Samples {
        self.0.iter().map(|pair| pair.0).collect()
    }

    /// The limits.
    pub fn limits(&self) -> Samples {
        self.0.iter().map(|pair| pair.1).collect()
    }
}

/// Milliseconds that `act` takes, and what it returns.
pub fn timed<T>(act: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let done = act();
    (milliseconds(begun.elapsed()), done)
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// How often a second `act` is done by `threads` threads together, over about `time`.
///
/// `prepare` makes what each thread works on.
pub fn rate<A: FnMut()>(threads: usize, time: Duration, prepare: impl Fn() -> A + Sync) -> f64 {
    let prepare = &prepare;
    let rates: Vec<f64> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(move || {
                    let mut act = prepare();
                    let (begun, mut done) = (Instant::now(), 0u64);
                    while begun.elapsed() < time {
                        (0..16).for_each(|_| act());
                        done += 16;
                    }
                    done as f64 / begun.elapsed().as_secs_f64()
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("it only counts")).collect()
    });
    rates.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let samples: Samples = (1..=100).rev().map(f64::from).collect();
        assert_eq!((samples.median(), samples.p99()), (50.0, 99.0));
        assert_eq!(samples.range(), (1.0, 100.0));
        assert_eq!(Samples::new(vec![7.0]).p99(), 7.0);
        assert_eq!(Samples::default().median(), 0.0);
    }
}
