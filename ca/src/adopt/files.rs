//! Reads what an old CA left on disk: its index, and the certificates that lie beside it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use store::file::{FileError, read_limited};

use super::AdoptError;
use crate::cert::Certificate;
use crate::index_txt::{self, Row, limits};

/// Where `openssl ca` and easy-rsa keep certificates, seen from the index.
const PLACES: [&str; 5] =
    ["newcerts", "certs_by_serial", "issued", "revoked/certs_by_serial", "renewed/certs_by_serial"];

/// How many octets one certificate's file may have: OpenSSL writes it out in words before the PEM.
const FILE_LIMIT: usize = 256 * 1024;

/// Reads an index file.
pub fn read_index(path: &Path) -> Result<Vec<Row>, AdoptError> {
    let file = read_limited(path, limits::FILE)?;
    index_txt::parse(&file).map_err(|source| AdoptError::Index { path: path.to_owned(), source })
}

/// The certificates in the directories beside an index, as far as there are such.
pub fn files_beside(index: &Path) -> Result<Vec<Certificate>, AdoptError> {
    let directory = index.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for place in PLACES {
        for path in listed(&directory.join(place))? {
            let text = read_limited(&path, FILE_LIMIT)?;
            let certificate = Certificate::from_pem(&text);
            found.push(certificate.map_err(|source| AdoptError::Certificate { path, source })?);
        }
    }
    Ok(found)
}

/// The `.pem` and `.crt` files of a directory in the order of their names; none if it isn't there.
fn listed(directory: &Path) -> Result<Vec<PathBuf>, AdoptError> {
    let failed = |source| FileError::Io { operation: "list", path: directory.to_owned(), source };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error).into()),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "pem" || extension == "crt") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
