//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write};

/// What a family of samples is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// Samples as they are written down.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family. The help is one line of ours.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string can't fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample of it.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            self.0.push_str(if place == 0 { "{" } else { "," });
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{label}=\"{value}\"");
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// All that was written.
    pub(super) fn done(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_prometheus_reads_them() {
        let mut text = Text::default();
        text.family("pki_a_total", Kind::Counter, "Things.");
        text.sample("pki_a_total", &[], 3);
        text.sample("pki_a_total", &[("route", "/a\"\\\n"), ("status", "200")], 0.25);
        let expected = "# HELP pki_a_total Things.\n# TYPE pki_a_total counter\npki_a_total 3\n\
                        pki_a_total{route=\"/a\\\"\\\\\\n\",status=\"200\"} 0.25\n";
        assert_eq!(text.done(), expected);
    }
}
