//! What the program makes of a file that it is given, for those that test it without running it.
//!
//! Nothing is asked for and nothing is written.

use ca::key::KeyType;
use server::ops::issue::{Issue, ProfileName};

use crate::batch::rows::{self, Defaults};

/// One line of a batch's CSV file.
#[derive(Clone, Debug)]
pub struct BatchRow {
    /// Its line, from 1.
    pub line: u64,
    /// What it asks for (a CSR is made later), or why it is refused.
    pub request: Result<Issue, String>,
}

/// The rows of a batch's CSV file, or why all of it is refused.
pub fn batch_rows(text: &str, profile: ProfileName) -> Result<Vec<BatchRow>, String> {
    let defaults = Defaults { profile, days: None, key_type: KeyType::P384 };
    let rows = rows::parse(text, defaults).map_err(|error| error.message)?;
    let row = |row: rows::Row| BatchRow {
        line: row.line,
        request: row
            .request
            .map(|request| request.operation(String::new(), false))
            .map_err(|error| error.message),
    };
    Ok(rows.into_iter().map(row).collect())
}
