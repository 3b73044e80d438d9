//! How those who are trusted look to people.

use server::ops::trust::{token::TokenView, view::RightsWanted, view::TrustView};
use time::OffsetDateTime;

use crate::{
    context::{distance, moment},
    output::{Cell, Column, Style, Table},
};

/// The digits of a fingerprint that a table shows, as LXD does.
const SHOWN: usize = 12;

/// A table of entries.
pub fn entries(entries: &[TrustView], now: OffsetDateTime) -> Table {
    let mut table = Table::new([
        Column::text("NAME"),
        Column::whole("TYPE"),
        Column::whole("STATUS"),
        Column::text("REACHES"),
        Column::whole("WHO"),
        Column::whole("EXPIRES"),
        Column::whole("ADDED"),
    ]);
    for entry in entries {
        table.row([
            entry.name.clone().into(),
            entry.rights.kind.clone().into(),
            status(entry),
            reaches(&entry.rights).into(),
            who(entry).into(),
            entry.not_after.map_or_else(|| "-".to_string(), |end| distance(end, now)).into(),
            distance(entry.added_at, now).into(),
        ]);
    }
    table
}

/// Everything about an entry, a name and a value a line.
pub fn fields(entry: &TrustView, now: OffsetDateTime) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("name", entry.name.clone()),
        ("type", entry.rights.kind.clone()),
        ("status", entry.status.clone()),
        ("reaches", reaches(&entry.rights)),
    ];
    fields.extend(entry.fingerprint.clone().map(|fingerprint| ("fingerprint", fingerprint)));
    fields.extend(entry.uid.map(|uid| ("local user", uid.to_string())));
    fields.extend(entry.former.iter().map(|former| ("renewed", former.clone())));
    let end = |end| format!("{} ({})", moment(end), distance(end, now));
    fields.extend(entry.not_after.map(|not_after| ("valid until", end(not_after))));
    fields.push(("origin", entry.origin.clone()));
    fields.push(("added", format!("{} by {}", moment(entry.added_at), entry.added_by)));
    fields
}

fn status(entry: &TrustView) -> Cell {
    match entry.status.as_str() {
        "trusted" => Cell::styled("trusted", Style::Good),
        other => Cell::styled(other, Style::Bad),
    }
}

/// Where rights extend to, in words.
pub fn reaches(rights: &RightsWanted) -> String {
    match (rights.restricted, rights.projects.as_slice()) {
        (false, _) => "everything".to_string(),
        (true, []) => "nothing".to_string(),
        (true, projects) => projects.join(","),
    }
}

fn who(entry: &TrustView) -> String {
    match (&entry.fingerprint, entry.uid) {
        (Some(fingerprint), _) => short(fingerprint).to_string(),
        (None, Some(uid)) => format!("local user {uid}"),
        (None, None) => "-".to_string(),
    }
}

/// The beginning of a fingerprint.
pub fn short(fingerprint: &str) -> &str {
    fingerprint.get(..SHOWN).unwrap_or(fingerprint)
}

fn purpose(token: &TokenView) -> String {
    let of = token.enrolment.as_ref().map_or(&token.rights.kind, |enrolment| &enrolment.profile);
    format!("{} ({of})", token.purpose)
}

/// A table of tokens.
pub fn tokens(tokens: &[TokenView], now: OffsetDateTime) -> Table {
    let mut table = Table::new([
        Column::text("NAME"),
        Column::whole("FOR"),
        Column::text("REACHES"),
        Column::whole("EXPIRES"),
        Column::whole("CREATED"),
        Column::whole("ID"),
    ]);
    for token in tokens {
        let expires = match token.expires_at {
            None => "never".to_string(),
            Some(_) if token.expired => "expired".to_string(),
            Some(end) => distance(end, now),
        };
        table.row([
            token.name.clone().into(),
            purpose(token).into(),
            reaches(&token.rights).into(),
            expires.into(),
            distance(token.created_at, now).into(),
            token.id.clone().into(),
        ]);
    }
    table
}
