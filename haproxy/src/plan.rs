//! From what an administrator wrote to a [`Site`]: where every file of it lies is decided here.
//!
//! It reads and writes nothing. The files of one site lie in one folder, the bundles where they are kept
//! for everybody.

use std::net::SocketAddr;

use ca::cert::DnsName;

use crate::written::{DomainSpec, Way};
use crate::{Clients, Domain, Error, FilePath, IssuerKey, Label, Privileges, Responder, Route, Site};

/// Everything that a site is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The domains as they were written.
    pub domains: Vec<DomainSpec>,
    /// Where plain HTTP is listened for.
    pub http: Vec<SocketAddr>,
    /// Where TLS is listened for.
    pub https: Vec<SocketAddr>,
    /// The socket of the Runtime API.
    pub admin: FilePath,
    /// What HAProxy gives up after it has started.
    pub privileges: Privileges,
    /// Who answers HTTP-01 where the map does not.
    pub http_responder: Option<SocketAddr>,
    /// Who answers TLS-ALPN-01.
    pub alpn_responder: Option<Responder>,
    /// The files.
    pub files: Files,
    /// Who may have issued a client's certificate.
    pub issuers: Vec<IssuerKey>,
    /// Tells this site's inner socket from those of other sites of the machine.
    pub name: Label,
}

/// Where the files of a site lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The folder with the maps and the list of certificates.
    pub folder: FilePath,
    /// The folder in which every certificate obtained by ACME has one of its own.
    pub bundles: FilePath,
    /// The CA certificates of clients, PEM.
    pub ca: FilePath,
    /// Their lists, PEM.
    pub crl: FilePath,
}

impl Files {
    /// The map of revoked certificates.
    pub fn revoked(&self) -> Result<FilePath, Error> {
        self.inside("revoked.map")
    }

    /// The map of ACME challenges.
    pub fn challenges(&self) -> Result<FilePath, Error> {
        self.inside("challenges.map")
    }

    /// The list of certificates.
    pub fn crt_list(&self) -> Result<FilePath, Error> {
        self.inside("crt-list")
    }

    /// The bundle of a certificate by its first name.
    pub fn bundle(&self, first: &DnsName) -> Result<FilePath, Error> {
        let folder = ca::cert::Slug::of(first.as_ref());
        format!("{}/{}/haproxy.pem", self.bundles, folder.as_str()).parse()
    }

    fn inside(&self, name: &str) -> Result<FilePath, Error> {
        format!("{}/{name}", self.folder).parse()
    }
}

/// A certificate that HAProxy serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The file it is read from.
    pub file: FilePath,
    /// A name it is served for.
    pub name: DnsName,
}

impl Plan {
    /// The certificates of the terminated domains, each file once.
    pub fn bundles(&self) -> Result<Vec<Bundle>, Error> {
        bundles(&self.domains, &self.files)
    }

    /// The site.
    pub fn site(&self) -> Result<Site, Error> {
        let mut domains = Vec::with_capacity(self.domains.len());
        for (index, spec) in self.domains.iter().enumerate() {
            let label = spec.label(index + 1, &domains)?;
            let (names, nodes) = (spec.names.clone(), spec.numbered_nodes()?);
            domains.push(Domain { label, names, route: self.route(spec)?, nodes });
        }
        Ok(Site {
            name: self.name.clone(),
            admin: self.admin.clone(),
            privileges: self.privileges,
            http: self.http.clone(),
            https: self.https.clone(),
            challenges: self.files.challenges()?,
            revoked: self.files.revoked()?,
            crt_list: self.files.crt_list()?,
            http_responder: self.http_responder,
            alpn_responder: self.alpn_responder,
            domains,
        })
    }

    fn route(&self, spec: &DomainSpec) -> Result<Route, Error> {
        let (verify, speech) = match &spec.way {
            Way::Pass(header) => return Ok(Route::Passthrough(*header)),
            Way::Terminate { verify, speech, .. } => (verify, speech),
        };
        let clients = match verify {
            None => Clients::Unasked,
            Some(demand) => Clients::Asked {
                demand: *demand,
                ca: self.files.ca.clone(),
                crl: self.files.crl.clone(),
                issuers: self.issuers.clone(),
            },
        };
        Ok(Route::Terminate { certificate: file_of(spec, &self.files)?, clients, speech: speech.clone() })
    }
}

/// The certificates of the terminated domains among these, each file once.
pub fn bundles(domains: &[DomainSpec], files: &Files) -> Result<Vec<Bundle>, Error> {
    let mut found: Vec<Bundle> = Vec::new();
    for spec in domains.iter().filter(|spec| matches!(spec.way, Way::Terminate { .. })) {
        let file = file_of(spec, files)?;
        if let Some(name) = spec.names.first().filter(|_| found.iter().all(|known| known.file != file)) {
            found.push(Bundle { file, name: name.clone() });
        }
    }
    Ok(found)
}

fn file_of(spec: &DomainSpec, files: &Files) -> Result<FilePath, Error> {
    match (&spec.way, spec.names.first()) {
        (Way::Terminate { certificate: Some(file), .. }, _) => Ok(file.clone()),
        (_, Some(first)) => files.bundle(first),
        (_, None) => Err(Error::Missing { what: "names", of: "a domain".to_owned() }),
    }
}
