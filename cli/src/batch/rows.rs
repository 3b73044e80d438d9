//! The CSV file of a batch. Total: every line is either a row, a row that will be reported as failed,
//! or a reason to refuse the whole file before anything is done.
//!
//! The file is refused when we cannot know what is meant: not UTF-8, no header, unknown or repeated
//! columns, lines of another length, the same name twice. A value that is merely wrong fails its row.

use std::{collections::HashMap, str::FromStr};

use ca::{
    cert::{CommonName, EmailAddress, SubjectAltName, UriName},
    key::KeyType,
};
use server::ops::issue::ProfileName;

use crate::{
    commands::issue::{bad_name, dns_name, ip_address, server_name, without_repeats},
    error::CommandError,
    issuance::{Request, key_type},
};

/// The columns that there are.
const COLUMNS: [&str; 7] = ["name", "email", "uri", "dns", "ip", "days", "key_type"];

/// How many faulty lines are listed.
const SHOWN: usize = 20;

/// What holds where a row says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// What the certificates are for.
    pub profile: ProfileName,
    /// Lifetime.
    pub days: Option<u32>,
    /// Type of the keys.
    pub key_type: KeyType,
}

/// One line of the file.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its line, from 1.
    pub line: u64,
    /// The name as it was written.
    pub name: String,
    /// What is asked for, or why it can't be.
    pub request: Result<Request, CommandError>,
}

/// Reads a file's rows.
pub fn parse(text: &str, defaults: Defaults) -> Result<Vec<Row>, CommandError> {
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| refuse("its first line cannot be read").because(&error))?;
    let columns = columns(header)?;
    let mut faults = Vec::new();
    let mut rows = Vec::new();
    let mut seen: HashMap<String, u64> = HashMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                faults.push(error.to_string());
                continue;
            }
        };
        let line = record.position().map_or(0, |position| line(text, position));
        if record.len() != columns.len() {
            let (found, expected) = (record.len(), columns.len());
            faults.push(format!("line {line}: {found} values where the header has {expected} columns"));
            continue;
        }
        let value = |column: &str| {
            columns.iter().position(|name| *name == column).and_then(|index| record.get(index)).unwrap_or("")
        };
        let name = value("name").to_string();
        let request = request(&value, defaults);
        // Two names may differ and still ask for the same files.
        let place =
            request.as_ref().map_or_else(|_| name.clone(), |request| request.slug().as_str().to_string());
        if let Some(first) = seen.insert(place, line) {
            faults.push(format!("line {line}: {name:?} was on line {first} already"));
            continue;
        }
        rows.push(Row { line, name, request });
    }
    if faults.is_empty() {
        return Ok(rows);
    }
    let more = faults.len().saturating_sub(SHOWN);
    faults.truncate(SHOWN);
    if more > 0 {
        faults.push(format!("and {more} more lines"));
    }
    let mut error = refuse("some of its lines are no rows");
    error.causes = faults;
    Err(error)
}

/// The line that a record begins on: its position is that of the empty lines before it.
fn line(text: &str, position: &csv::Position) -> u64 {
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
    position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

fn columns(header: &csv::StringRecord) -> Result<Vec<&'static str>, CommandError> {
    let mut columns: Vec<&'static str> = Vec::new();
    for name in header {
        let lower = name.trim_start_matches('\u{feff}').to_ascii_lowercase();
        let Some(column) = COLUMNS.into_iter().find(|column| *column == lower) else {
            return Err(refuse(&format!("line 1: unknown column {name:?}")));
        };
        if columns.contains(&column) {
            return Err(refuse(&format!("line 1: the column {column} is there twice")));
        }
        columns.push(column);
    }
    if columns.contains(&"name") { Ok(columns) } else { Err(refuse("line 1: the column name is missing")) }
}

fn refuse(reason: &str) -> CommandError {
    CommandError::usage(format!("the CSV file was refused: {reason}"))
        .hint(format!("the first line names the columns, of these: {}", COLUMNS.join(", ")))
        .hint("nothing was issued")
}

fn request<'v>(value: &impl Fn(&str) -> &'v str, defaults: Defaults) -> Result<Request, CommandError> {
    let wrong =
        |what: &str, text: &str, error: &dyn std::error::Error| without_hints(bad_name(what, text, error));
    let all = |column: &str| {
        value(column).split(';').map(str::trim).filter(|text| !text.is_empty()).collect::<Vec<_>>()
    };
    let mut names = Vec::new();
    let name = match defaults.profile {
        ProfileName::Client => {
            let name = value("name");
            CommonName::from_str(name).map_err(|error| wrong("name", name, &error))?.to_string()
        }
        ProfileName::Server => {
            let (name, first) = server_name(value("name")).map_err(without_hints)?;
            names.push(first);
            name
        }
    };
    for text in all("email") {
        let email = EmailAddress::from_str(text).map_err(|error| wrong("e-mail address", text, &error))?;
        names.push(SubjectAltName::Email(email));
    }
    for text in all("uri") {
        names.push(SubjectAltName::Uri(UriName::from_str(text).map_err(|error| wrong("URI", text, &error))?));
    }
    for text in all("dns") {
        names.push(dns_name(text).map_err(without_hints)?);
    }
    for text in all("ip") {
        names.push(ip_address(text).map_err(without_hints)?);
    }
    let days = match value("days") {
        "" => defaults.days,
        text => match text.parse::<u32>() {
            Ok(days) if days > 0 => Some(days),
            _ => return Err(CommandError::usage(format!("{text:?} is no number of days"))),
        },
    };
    let key_type = match value("key_type") {
        "" => defaults.key_type,
        text => key_type(text).map_err(|error| CommandError::usage(format!("key type {text:?}: {error}")))?,
    };
    let mut names = without_repeats(names);
    if defaults.profile == ProfileName::Server {
        // The first is the name itself.
        names.remove(0);
    }
    let request = Request { profile: defaults.profile, name, names, days, key_type };
    request.check().map_err(without_hints)?;
    Ok(request)
}

/// A row's failure is one line among many; its hints are for a command of its own.
fn without_hints(mut error: CommandError) -> CommandError {
    error.hints.clear();
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<Row>, CommandError> {
        let defaults = Defaults { profile: ProfileName::Client, days: Some(7), key_type: KeyType::P384 };
        parse(text, defaults)
    }

    #[test]
    fn rows_are_read_with_their_lines() {
        let rows =
            rows("name,email,days,key_type\n\nalice,a@example.org; b@example.org,30,p256\nbob,,,\n").unwrap();
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [3, 4]);
        let alice = rows[0].request.as_ref().unwrap();
        assert_eq!((alice.days, alice.key_type, alice.names.len()), (Some(30), KeyType::P256, 2));
        let bob = rows[1].request.as_ref().unwrap();
        assert_eq!((bob.days, bob.key_type, bob.names.len()), (Some(7), KeyType::P384, 0));
    }

    #[test]
    fn a_wrong_value_fails_its_row_alone() {
        let rows = rows("name,email,days\nalice,nobody,\nbob,,\ncarol,,-1\n,,\n").unwrap();
        let failed: Vec<bool> = rows.iter().map(|row| row.request.is_err()).collect();
        assert_eq!(failed, [true, false, true, true]);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_refused_whole() {
        for (text, reason) in [
            ("", "name is missing"),
            ("email\na@example.org\n", "name is missing"),
            ("name,name\na,b\n", "twice"),
            ("name,colour\na,b\n", "unknown column"),
            ("name,email\nalice\n", "line 2: 1 values"),
            ("name,email\nalice,,\n", "line 2: 3 values"),
            ("name\nalice\nbob\nalice\n", "line 4: \"alice\" was on line 2 already"),
        ] {
            let error = rows(text).unwrap_err();
            let told = format!("{} {}", error.message, error.causes.join(" "));
            assert!(told.contains(reason), "{text:?}: {told}");
            assert!(!error.hints.is_empty());
        }
    }

    #[test]
    fn names_that_share_a_file_are_duplicates() {
        let defaults = Defaults { profile: ProfileName::Server, days: None, key_type: KeyType::P384 };
        let error = parse("name\nwww.example.org\nWWW.Example.ORG\n", defaults).unwrap_err();
        assert_eq!(error.causes.len(), 1, "{error:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(name|email|,|;|\"|\n|\r|a|é|\u{0}|\\PC){0,40}") {
            let _ = rows(&text);
        }
    }
}
