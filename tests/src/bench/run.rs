//! Runs the table from its first line to its last, and says what came of it.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use super::document::{document, tables};
use super::limits::Curve;
use super::machine::{Ticks, describe, load};
use super::options::{Options, Scale};
use super::row::Row;
use super::site::Site;
use super::table::{Benchmark, TABLE, Work};
use crate::{Program, source_tree};

/// A run under way.
pub struct Bench {
    options: Options,
    fresh_issue: Option<f64>,
    step: Option<usize>,
}

impl Bench {
    /// How large everything is.
    pub fn scale(&self) -> Scale {
        self.options.scale
    }

    /// What was asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The largest number of certificates of this run.
    pub fn is_largest(&self, site: &Site) -> bool {
        self.scale().sizes().last().is_some_and(|&largest| site.loaded() >= largest)
    }

    /// Notes how long `pki issue-client` took with a new PKI, in milliseconds.
    pub fn note_fresh_issue(&mut self, time: f64) {
        self.fresh_issue = Some(time);
    }

    /// How long that was, if it was measured in this run.
    pub fn fresh_issue(&self) -> Option<f64> {
        self.fresh_issue
    }

    /// Which step of the revoking it is, once it has begun.
    pub fn step(&self) -> Option<usize> {
        self.step
    }

    /// Runs one benchmark; a failure is its row.
    fn row_of(&mut self, benchmark: &Benchmark, site: Option<&mut Site>) -> Vec<Row> {
        let begun = Instant::now();
        let place = site.as_ref().map_or(String::new(), |site| {
            format!(", {} certificates, {} revoked", site.loaded(), site.revoked())
        });
        let ran = catch_unwind(AssertUnwindSafe(|| match (benchmark.work, site) {
            (Work::Alone(work), _) => work(self),
            (Work::AtSize(work) | Work::AtRevoked(work), Some(site)) => work(self, site),
            (Work::AtSize(_) | Work::AtRevoked(_), None) => Vec::new(),
        }));
        let mut rows = ran.unwrap_or_else(|panic| {
            let told = panic.downcast_ref::<String>().cloned();
            let told = told.or_else(|| panic.downcast_ref::<&str>().map(|&told| told.to_owned()));
            vec![Row::failed(format!("{}{place}", benchmark.name), told.unwrap_or_default())]
        });
        rows.iter_mut().for_each(|row| row.group = benchmark.group);
        say(&format!("{}{place}: {:.0} s", benchmark.name, begun.elapsed().as_secs_f64()));
        rows
    }

    /// Runs all that were chosen; the rows come in the order of the table.
    fn rows(&mut self) -> Vec<Row> {
        let mut rows: Vec<(usize, Vec<Row>)> = Vec::new();
        let chosen: Vec<(usize, &Benchmark)> =
            TABLE.iter().enumerate().filter(|(_, benchmark)| self.options.chooses(benchmark.name)).collect();
        for &(place, benchmark) in chosen.iter().filter(|(_, found)| matches!(found.work, Work::Alone(_))) {
            rows.push((place, self.row_of(benchmark, None)));
        }
        let of = |wanted: fn(&Work) -> bool| -> Vec<(usize, &Benchmark)> {
            chosen.iter().filter(|(_, found)| wanted(&found.work)).copied().collect()
        };
        let at_size = of(|work| matches!(work, Work::AtSize(_)));
        let at_revoked = of(|work| matches!(work, Work::AtRevoked(_)));
        if at_size.is_empty() && at_revoked.is_empty() {
            return in_order(rows);
        }
        // One directory for all of them: filling it takes the most time.
        let mut site = Site::fresh(Curve::P256);
        let first = self.scale().sizes().first().copied().unwrap_or(0);
        for &size in self.scale().sizes() {
            let begun = Instant::now();
            site.load_to(size, first, self.scale().fleet());
            say(&format!("{size} certificates loaded: {:.0} s", begun.elapsed().as_secs_f64()));
            for &(place, benchmark) in &at_size {
                rows.push((place, self.row_of(benchmark, Some(&mut site))));
            }
        }
        if at_revoked.is_empty() {
            return in_order(rows);
        }
        for (step, count) in self.scale().revoked().into_iter().enumerate() {
            self.step = Some(step);
            let begun = Instant::now();
            site.revoke_to(count);
            say(&format!("{count} certificates revoked: {:.0} s", begun.elapsed().as_secs_f64()));
            for &(place, benchmark) in &at_revoked {
                rows.push((place, self.row_of(benchmark, Some(&mut site))));
            }
        }
        in_order(rows)
    }
}

fn in_order(mut rows: Vec<(usize, Vec<Row>)>) -> Vec<Row> {
    rows.sort_by_key(|(place, _)| *place);
    rows.into_iter().flat_map(|(_, rows)| rows).collect()
}

/// Runs what the words of a command line ask for, prints the table, writes the document.
pub fn main(words: impl IntoIterator<Item = String>) -> ExitCode {
    let words: Vec<String> = words.into_iter().collect();
    if words == ["--list"] {
        let names: Vec<&str> = TABLE.iter().map(|benchmark| benchmark.name).collect();
        print(&format!("{}\n", names.join("\n")));
        return ExitCode::SUCCESS;
    }
    if let [word, count] = words.as_slice()
        && word == "--make-list"
    {
        print(&super::lists::make(count.parse().expect("a number of entries")));
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(words) {
        Ok(options) => options,
        Err(odd) => {
            say(&odd);
            return ExitCode::from(2);
        }
    };
    let place = std::env::temp_dir();
    let mut head = describe(&place);
    let version =
        super::machine::first_line(std::process::Command::new(Program::Shipped.path()).arg("--version"));
    head.insert(0, ("date".to_owned(), options.date.clone()));
    head.insert(1, ("program".to_owned(), format!("{version}, {}", options.revision)));
    head.insert(2, ("scale".to_owned(), options.scale.name().to_owned()));
    head.push(("load before the run".to_owned(), load()));
    let (ticks, begun) = (Ticks::now(), Instant::now());
    let mut bench = Bench { options, fresh_issue: None, step: None };
    let rows = bench.rows();
    head.push(("during the run".to_owned(), Ticks::now().since(ticks)));
    head.push(("the run took".to_owned(), format!("{:.0} min", begun.elapsed().as_secs_f64() / 60.0)));
    print(&tables(&rows));
    if let Some(path) = &bench.options.document {
        if let Err(error) = std::fs::write(path, document(&head, &rows)) {
            say(&format!("{}: {error}", path.display()));
            return ExitCode::FAILURE;
        }
        say(&format!("written: {}", path.strip_prefix(source_tree()).unwrap_or(path).display()));
    }
    let failed = rows.iter().filter(|row| row.has_failed()).count();
    match failed {
        0 => ExitCode::SUCCESS,
        _ => {
            say(&format!("{failed} rows could not be measured"));
            ExitCode::FAILURE
        }
    }
}

/// Words on the way, for whoever waits.
fn say(words: &str) {
    let _ = writeln!(std::io::stderr(), "tests/bench: {words}");
}

fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
