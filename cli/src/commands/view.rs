//! How replies that several commands share look to people.

use server::ops::view::{AuthorityView, CertificateView, CrlView, Publication, Status};
use time::OffsetDateTime;

use crate::{
    context::{distance, moment},
    error::Outcome,
    output::{Cell, Column, Output, Style, Table},
};

/// A table of certificates.
pub fn certificates(certificates: &[CertificateView], now: OffsetDateTime) -> Table {
    let mut table = Table::new([
        Column::text("NAME"),
        Column::whole("PROFILE"),
        Column::whole("STATUS"),
        Column::whole("EXPIRES"),
        Column::text("SERIAL"),
    ]);
    for certificate in certificates {
        table.row([
            certificate.name.clone().into(),
            certificate.profile.clone().into(),
            status(certificate),
            distance(certificate.not_after, now).into(),
            certificate.serial.clone().into(),
        ]);
    }
    table
}

/// A table of the certificates that a dry run would revoke; `already` are serials that are revoked.
pub fn would_be_revoked(certificates: &[CertificateView], already: &[String], now: OffsetDateTime) -> Table {
    let mut table = Table::new([
        Column::text("NAME"),
        Column::whole("PROFILE"),
        Column::whole("WOULD BE"),
        Column::whole("EXPIRES"),
        Column::text("SERIAL"),
    ]);
    for certificate in certificates {
        let outcome = if already.contains(&certificate.serial) { "as it is: revoked" } else { "revoked" };
        table.row([
            certificate.name.clone().into(),
            certificate.profile.clone().into(),
            outcome.to_string().into(),
            distance(certificate.not_after, now).into(),
            certificate.serial.clone().into(),
        ]);
    }
    table
}

/// A certificate's worth as a cell.
pub fn status(certificate: &CertificateView) -> Cell {
    let (word, style) = match certificate.status {
        Status::Expired => ("expired", Style::Faint),
        Status::Held => ("held", Style::Warn),
        Status::Revoked => ("revoked", Style::Bad),
        Status::Valid => ("valid", Style::Good),
    };
    Cell::styled(word, style)
}

/// Everything the inventory says of a certificate, a name and a value a line.
pub fn certificate_fields(certificate: &CertificateView, now: OffsetDateTime) -> Vec<(&'static str, String)> {
    let status = match certificate.status {
        Status::Expired => "expired",
        Status::Held => "held",
        Status::Revoked => "revoked",
        Status::Valid => "valid",
    };
    let mut fields = vec![
        ("name", certificate.name.clone()),
        ("profile", certificate.profile.clone()),
        ("status", status.to_string()),
        ("serial", certificate.serial.clone()),
        ("fingerprint", certificate.fingerprint.clone()),
    ];
    fields.extend(certificate.names.iter().map(|name| ("names", name.clone())));
    fields.extend([
        ("key type", certificate.key_type.clone()),
        ("valid from", moment(certificate.not_before)),
        (
            "valid until",
            format!("{} ({})", moment(certificate.not_after), distance(certificate.not_after, now)),
        ),
    ]);
    if let Some(revocation) = &certificate.revocation {
        fields.push(("revoked", format!("{} ({})", moment(revocation.at), revocation.reason)));
    }
    fields
}

/// A table of authorities.
pub fn authorities(authorities: &[AuthorityView], now: OffsetDateTime) -> Table {
    let mut table = Table::new([
        Column::whole("KEY ID"),
        Column::whole("ROLE"),
        Column::whole("STATE"),
        Column::whole("KEY"),
        Column::whole("TYPE"),
        Column::whole("EXPIRES"),
        Column::whole("LIVE"),
        Column::text("SUBJECT"),
    ]);
    for authority in authorities {
        // Whose certificate is not made yet has no end.
        let expires = match authority.state.as_str() {
            "awaiting-certificate" => "-".to_string(),
            _ => distance(authority.not_after, now),
        };
        table.row([
            authority.key_id.clone().into(),
            authority.role.clone().into(),
            authority.state.clone().into(),
            authority.key.clone().into(),
            authority.key_type.clone().into(),
            expires.into(),
            authority.live_certificates.to_string().into(),
            authority.subject.clone().into(),
        ]);
    }
    table
}

/// A table of published lists.
pub fn lists(lists: &[CrlView], now: OffsetDateTime) -> Table {
    let mut table = Table::new([
        Column::whole("ROLE"),
        Column::whole("NUMBER"),
        Column::whole("ENTRIES"),
        Column::whole("MADE"),
        Column::whole("NEXT DUE"),
        Column::text("PATH"),
    ]);
    for list in lists {
        table.row([
            list.role.clone().into(),
            list.number.clone().into(),
            list.entries.to_string().into(),
            distance(list.this_update, now).into(),
            distance(list.next_update, now).into(),
            list.path.clone().into(),
        ]);
    }
    table
}

/// Says whether the new lists are in place, and what that means for the exit code.
pub fn publication(publication: &Publication, output: &mut Output) -> Outcome {
    match publication {
        Publication::Published { lists } => {
            for list in lists {
                let entries = count(list.entries, "entry", "entries");
                output.say(&format!("published {} (number {}, {entries})", list.path, list.number));
            }
            Outcome::Done
        }
        Publication::Pending { causes } => {
            output.warn("enforced here, but the new list is not in place: others still see the old one");
            for cause in causes {
                output.warn(&format!("caused by: {cause}"));
            }
            output.hint(
                "`pki crl publish` tries again; `pki crl publish --root --root-key FILE` for the root's list",
            );
            Outcome::CrlPending
        }
    }
}

/// Says whether a new authority's files are in place, and what that means for the exit code.
pub fn placement(unpublished: &[String], output: &mut Output) -> Outcome {
    if unpublished.is_empty() {
        return Outcome::Done;
    }
    output.warn("it is in force, but not all of its files are in place");
    for cause in unpublished {
        output.warn(&format!("caused by: {cause}"));
    }
    output.hint("`pki crl publish` tries again; a running service does so by itself");
    Outcome::CrlPending
}

/// When and by whom a certificate was issued.
pub fn issue_note(certificate: &CertificateView) -> String {
    format!("{} by {}", moment(certificate.issued_at), certificate.issued_by)
}

/// So many of a thing.
pub fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}
