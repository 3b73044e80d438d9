//! The CSV file of a batch. Total: every line is either a row, a row that will be reported as failed,
//! or a reason to refuse the whole file before anything is done.
//!
//! The file is refused when we cannot know what is meant: not UTF-8, no header, unknown or repeated
//! columns. A wrong value, a line of another length and a name that an earlier row has fail their row.

use std::{
    collections::{HashMap, hash_map::Entry},
    str::FromStr,
};

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
    let mut rows = Vec::new();
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    for record in reader.records() {
        let record = record.map_err(|error| refuse("it cannot be read").because(&error))?;
        let line = record.position().map_or(0, |position| lines.of(position.byte()));
        let value = |column: &str| {
            columns.iter().position(|name| *name == column).and_then(|index| record.get(index)).unwrap_or("")
        };
        let name = value("name").to_string();
        let request = if record.len() == columns.len() {
            request(&value, defaults).and_then(|request| first_of_its_files(request, line, &mut seen))
        } else {
            let (found, expected) = (values(record.len()), columns.len());
            Err(CommandError::usage(format!("{found} where the header has {expected}")))
        };
        rows.push(Row { line, name, request });
    }
    Ok(rows)
}

/// Refuses a request for the files of an earlier row: two names may differ and still ask for the same.
fn first_of_its_files(
    request: Request,
    line: u64,
    seen: &mut HashMap<String, u64>,
) -> Result<Request, CommandError> {
    match seen.entry(request.slug().as_str().to_string()) {
        Entry::Occupied(first) => {
            Err(CommandError::usage(format!("the name was on line {} already", first.get())))
        }
        Entry::Vacant(place) => {
            place.insert(line);
            Ok(request)
        }
    }
}

fn values(number: usize) -> String {
    if number == 1 { "1 value".to_string() } else { format!("{number} values") }
}

/// Counts lines, as an editor does that knows every way to end one: LF, CR LF, and CR alone, which the
/// records may end with too.
struct Lines<'a> {
    text: &'a [u8],
    /// Where the count has come to.
    at: usize,
    /// The line there, from 1.
    line: u64,
}

impl Lines<'_> {
    /// The line that a record begins on: its position is that of the empty lines before it.
    fn of(&mut self, position: u64) -> u64 {
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(self.text.len());
        let empty = self.text[from..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        while self.at < from + empty {
            let rest = &self.text[self.at..];
            let ending = match rest {
                [b'\r', b'\n', ..] => 2,
                [b'\r' | b'\n', ..] => 1,
                _ => 0,
            };
            self.line += u64::from(ending > 0);
            self.at += ending.max(1);
        }
        self.line
    }
}

fn columns(header: &csv::StringRecord) -> Result<Vec<&'static str>, CommandError> {
    let mut columns: Vec<&'static str> = Vec::new();
    for name in header {
        let lower = name.trim_start_matches('\u{feff}').to_ascii_lowercase();
        let Some(column) = COLUMNS.into_iter().find(|column| *column == lower) else {
            let refusal = refuse(&format!("line 1: unknown column {name:?}"));
            return Err(match lower.contains([';', '\t']) {
                true => refusal.hint("columns are separated by commas; `;` separates values in one cell"),
                false => refusal,
            });
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
    let request =
        Request { profile: defaults.profile, name, names, days, key_type, project: None, trusted: None };
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
    fn every_way_to_end_a_line_counts() {
        let lines = |text| rows(text).unwrap().iter().map(|row| row.line).collect::<Vec<_>>();
        assert_eq!(lines("name\nalice\n\nbob\n"), [2, 4]);
        assert_eq!(lines("name\r\nalice\r\n\r\nbob\r\n"), [2, 4]);
        assert_eq!(lines("name\ralice\r\rbob"), [2, 4]);
        assert_eq!(lines("name,email\n\"a\nb\",x\ralice,\n"), [2, 4]);
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
        ] {
            let error = rows(text).unwrap_err();
            let told = format!("{} {}", error.message, error.causes.join(" "));
            assert!(told.contains(reason), "{text:?}: {told}");
            assert!(!error.hints.is_empty());
        }
    }

    #[test]
    fn a_line_of_another_length_and_a_repeated_name_fail_their_rows_alone() {
        let rows = rows("name,email\nalice\nalice,\nbob,,\nalice,\ncarol,\n").unwrap();
        let told: Vec<String> = rows
            .iter()
            .map(|row| row.request.as_ref().err().map_or_else(String::new, |error| error.message.clone()))
            .collect();
        let expected = [
            "1 value where the header has 2",
            "",
            "3 values where the header has 2",
            "the name was on line 3 already",
            "",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_file_with_semicolons_is_told_of_commas() {
        let error = rows("name;email\nalice;a@example.org\n").unwrap_err();
        assert!(error.hints.iter().any(|hint| hint.contains("commas")), "{error:?}");
    }

    #[test]
    fn names_that_share_a_file_are_duplicates() {
        let defaults = Defaults { profile: ProfileName::Server, days: None, key_type: KeyType::P384 };
        let rows = parse("name\nwww.example.org\nWWW.Example.ORG\n", defaults).unwrap();
        assert!(rows[0].request.is_ok());
        let error = rows[1].request.as_ref().unwrap_err();
        assert!(error.message.contains("line 2"), "{error:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(name|email|,|;|\"|\n|\r|a|é|\u{0}|\\PC){0,40}") {
            let _ = rows(&text);
        }
    }
}
