//! The table, as text for a terminal and as docs/benchmarks.md.

use super::row::Row;

const HEADS: [&str; 7] = ["work", "figure", "spread", "limit, same run", "share", "target", "verdict"];

/// The rows as markdown tables, a heading for each group.
pub fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut group = "";
    for row in rows {
        if row.group != group {
            group = row.group;
            text.push_str(&format!(
                "\n## {group}\n\n| {} |\n|{}\n",
                HEADS.join(" | "),
                "---|".repeat(HEADS.len())
            ));
        }
        text.push_str(&format!("| {} |\n", row.cells().join(" | ")));
    }
    text
}

/// The whole document.
pub fn document(head: &[(String, String)], rows: &[Row]) -> String {
    let mut text = PREFACE.to_owned();
    text.push_str("\n## The run\n\n| | |\n|---|---|\n");
    for (name, value) in head {
        text.push_str(&format!("| {name} | {value} |\n"));
    }
    text.push_str(&tables(rows));
    text
}

const PREFACE: &str = "\
# Benchmarks

Written by `tests/bench`; not by hand. Everything here was measured in one run on one machine: run it
on yours. `tests/bench --quick` takes minutes, `tests/bench --only NAME` measures some rows alone.

How to read a row:

- **figure**: the median, with the p99 beside it where single acts were timed.
- **spread**: the best and the worst of the runs; where single acts were timed, p10 and p90.
- **limit**: what the machine itself does at best, measured in turn with the figure: bare signatures and
  verifications, a bare `fdatasync`, the same bytes written plainly. Noise apart, nothing is faster.
- **share**: how near the figure comes to its limit; 100 % is the limit itself. Of a time it is the part
  of it that could not be saved.
- **target**: what the project asks of itself, and **verdict**, whether it got there.

Only issuance of P-256 certificates is compared between programs. `openssl ca` and easy-rsa write no
`fsync`: what they answered can be lost with the power. OpenBao's raft and `pki` do.
";
