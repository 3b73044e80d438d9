//! A line of the table: a figure, its limit, its target, and whether it meets it.

use super::measure::{Pairs, Samples};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things a second: more is better.
    PerSecond,
    /// Milliseconds: less is better.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// MiB.
    Mebibytes,
    /// Bytes.
    Bytes,
    /// A plain number: so many times.
    Times,
}

impl Unit {
    /// A number with its unit.
    pub fn show(self, value: f64) -> String {
        let word = match self {
            Unit::PerSecond => "/s",
            Unit::Milliseconds => " ms",
            Unit::Seconds => " s",
            Unit::Mebibytes => " MiB",
            Unit::Bytes => " B",
            Unit::Times => " ×",
        };
        format!("{}{word}", number(value))
    }

    fn more_is_better(self) -> bool {
        self == Unit::PerSecond
    }
}

/// A number to three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 10_000.0 => thousands(value),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// The best that the machine could do, as measured in the same run.
#[derive(Clone, Debug)]
pub struct Limit {
    value: f64,
    what: String,
}

/// What is asked of a figure.
#[derive(Clone, Debug)]
enum Target {
    Bound { value: f64, what: String },
    Share(f64),
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub(super) group: &'static str,
    work: String,
    unit: Unit,
    figure: f64,
    detail: String,
    spread: Option<(f64, f64)>,
    limit: Option<Limit>,
    target: Option<Target>,
    failed: Option<Failure>,
}

/// Why there is no figure.
#[derive(Clone, Debug)]
enum Failure {
    /// The program to measure can't be had here: that is said, and is no failure of the run.
    Absent(String),
    /// The measuring broke.
    Broken(String),
}

impl Row {
    /// A figure that was measured once.
    pub fn once(work: impl Into<String>, unit: Unit, figure: f64) -> Row {
        Row {
            group: "",
            work: work.into(),
            unit,
            figure,
            detail: String::new(),
            spread: None,
            limit: None,
            target: None,
            failed: None,
        }
    }

    /// The median of several runs; the spread is from the best to the worst of them.
    pub fn median(work: impl Into<String>, unit: Unit, runs: &Samples) -> Row {
        Row { spread: Some(runs.range()), ..Row::once(work, unit, runs.median()) }
    }

    /// The median of many single acts, with the p99 beside it; the spread is from p10 to p90.
    pub fn distribution(work: impl Into<String>, acts: &Samples) -> Row {
        let spread = (acts.quantile(0.1), acts.quantile(0.9));
        let row = Row { spread: Some(spread), ..Row::once(work, Unit::Milliseconds, acts.median()) };
        // Of fewer the p99 is the worst one, and called so.
        let word = if acts.count() >= 100 { "p99" } else { "worst" };
        row.with(format!("{word} {}", Unit::Milliseconds.show(acts.p99())))
    }

    /// The medians of a figure and of its limit that were measured in turn.
    pub fn pairs(work: impl Into<String>, unit: Unit, pairs: &Pairs, what: impl Into<String>) -> Row {
        Row::median(work, unit, &pairs.figures()).limit(pairs.limits().median(), what)
    }

    /// A row whose measuring failed.
    pub fn failed(work: impl Into<String>, cause: impl Into<String>) -> Row {
        Row { failed: Some(Failure::Broken(cause.into())), ..Row::once(work, Unit::Times, 0.0) }
    }

    /// A row for a program that can't be had here.
    pub fn absent(work: impl Into<String>, cause: impl Into<String>) -> Row {
        Row { failed: Some(Failure::Absent(cause.into())), ..Row::once(work, Unit::Times, 0.0) }
    }

    /// Adds a word beside the figure.
    pub fn with(mut self, detail: impl AsRef<str>) -> Row {
        if !self.detail.is_empty() {
            self.detail.push_str("; ");
        }
        self.detail.push_str(detail.as_ref());
        self
    }

    /// Sets the limit, in the figure's unit.
    pub fn limit(mut self, value: f64, what: impl Into<String>) -> Row {
        self.limit = Some(Limit { value, what: what.into() });
        self
    }

    /// Asks for a figure at least (of a rate) or at most (of all else) so large, and says what that is
    /// made of; none asks nothing.
    pub fn target_of(mut self, value: Option<f64>, what: impl Into<String>) -> Row {
        self.target = value.map(|value| Target::Bound { value, what: what.into() });
        self
    }

    /// Asks for so much of the limit (0 to 1).
    pub fn target_share(mut self, share: f64) -> Row {
        self.target = Some(Target::Share(share));
        self
    }

    /// How near the limit it is: 1 is the limit itself.
    fn share(&self) -> Option<f64> {
        let limit = self.limit.as_ref()?.value;
        match self.unit.more_is_better() {
            true => (limit > 0.0).then(|| self.figure / limit),
            false => (self.figure > 0.0).then(|| limit / self.figure),
        }
    }

    /// Whether the measuring broke.
    pub fn has_failed(&self) -> bool {
        matches!(self.failed, Some(Failure::Broken(_)))
    }

    fn verdict(&self) -> String {
        let missed = |by: f64| match by > 0.0 {
            false => "met".to_owned(),
            true if by >= 1.0 => format!("**missed: {:.1} times it**", by + 1.0),
            true => format!("**missed by {:.0} %**", (by * 100.0).max(1.0)),
        };
        match (&self.target, self.share()) {
            (None, _) => "–".to_owned(),
            (Some(Target::Share(wanted)), Some(share)) => missed(1.0 - share / wanted),
            (Some(Target::Share(_)), None) => "no limit was measured".to_owned(),
            (Some(Target::Bound { value, .. }), _) if self.unit.more_is_better() => {
                missed(1.0 - self.figure / value)
            }
            (Some(Target::Bound { value, .. }), _) => missed(self.figure / value - 1.0),
        }
    }

    /// Its cells: work, figure, spread, limit, share, target, verdict.
    pub fn cells(&self) -> [String; 7] {
        let none = || "–".to_owned();
        if let Some(failure) = &self.failed {
            let told = match failure {
                Failure::Absent(cause) => format!("can't be had here: {cause}"),
                Failure::Broken(cause) => {
                    format!("**not measured**: {}", cause.lines().next().unwrap_or_default())
                }
            };
            return [self.work.clone(), told, none(), none(), none(), none(), none()];
        }
        let mut figure = self.unit.show(self.figure);
        if !self.detail.is_empty() {
            figure.push_str(&format!(" ({})", self.detail));
        }
        let spread = |(low, high)| format!("{} – {}", number(low), self.unit.show(high));
        let spread = self.spread.map_or_else(none, spread);
        let limit = self.limit.as_ref().map_or_else(none, |limit| match limit.what.as_str() {
            "" => self.unit.show(limit.value),
            what => format!("{} ({what})", self.unit.show(limit.value)),
        });
        let share = self.share().map_or_else(none, |share| match share * 100.0 {
            percent if percent < 1.0 => format!("{percent:.1} %"),
            percent => format!("{percent:.0} %"),
        });
        let target = match &self.target {
            None => none(),
            Some(Target::Share(share)) => format!("≥ {:.0} % of the limit", share * 100.0),
            Some(Target::Bound { value, what }) => {
                let sign = if self.unit.more_is_better() { "≥" } else { "≤" };
                match what.as_str() {
                    "" => format!("{sign} {}", self.unit.show(*value)),
                    what => format!("{sign} {} ({what})", self.unit.show(*value)),
                }
            }
        };
        [self.work.clone(), figure, spread, limit, share, target, self.verdict()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_by_how_much() {
        let rate = |figure| Row::once("rate", Unit::PerSecond, figure).limit(1_000.0, "").target_share(0.6);
        assert_eq!(rate(600.0).verdict(), "met");
        assert_eq!(rate(300.0).verdict(), "**missed by 50 %**");
        let time = |figure| Row::once("time", Unit::Milliseconds, figure).target_of(Some(10.0), "");
        assert_eq!(time(10.0).verdict(), "met");
        assert_eq!(time(12.0).verdict(), "**missed by 20 %**");
        assert_eq!(time(35.0).verdict(), "**missed: 3.5 times it**");
        assert_eq!(Row::once("none", Unit::Bytes, 1.0).verdict(), "–");
    }

    #[test]
    fn a_share_is_of_the_limit_in_both_directions() {
        let rate = Row::once("rate", Unit::PerSecond, 50.0).limit(200.0, "");
        assert_eq!(rate.cells()[4], "25 %");
        let time = Row::once("time", Unit::Milliseconds, 50.0).limit(20.0, "");
        assert_eq!(time.cells()[4], "40 %");
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(Unit::PerSecond.show(15_432.1), "15 432/s");
        assert_eq!(Unit::Milliseconds.show(0.0421), "0.042 ms");
        assert_eq!(Unit::Milliseconds.show(0.421), "0.42 ms");
        assert_eq!(Unit::Mebibytes.show(42.13), "42.1 MiB");
        let row = Row::median("x", Unit::PerSecond, &Samples::new(vec![10.0, 12_000.0]));
        assert_eq!(row.cells()[2], "10.0 – 12 000/s");
        let row = Row::median("x", Unit::PerSecond, &Samples::new(vec![11_000.0, 12_000.0]));
        assert_eq!(row.cells()[2], "11 000 – 12 000/s");
    }
}
