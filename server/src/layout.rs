//! Where things lie in the directory of a PKI. Names only: nothing here touches the disk.

use std::path::{Path, PathBuf};

/// The directory of one PKI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of the directory `root`.
    pub fn new(root: impl Into<PathBuf>) -> Layout {
        Layout { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The journal and its index.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The private keys; for nobody else to enter.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The key that seals secrets in the store.
    pub fn store_key(&self) -> PathBuf {
        self.keys().join("store.key")
    }

    /// The key that signs checkpoints.
    pub fn audit_key(&self) -> PathBuf {
        self.keys().join("audit.key")
    }

    /// Every generation's certificate and list, by key identifier.
    pub fn authorities(&self) -> PathBuf {
        self.root.join("cas")
    }

    /// The service's own server certificate.
    pub fn service(&self) -> PathBuf {
        self.root.join("service")
    }

    /// Where the public listener was last, for the next start. A backup leaves it out: it belongs to the machine.
    pub fn public_address(&self) -> PathBuf {
        self.service().join(".public-address")
    }

    /// The operator's client certificate.
    pub fn operator(&self) -> PathBuf {
        self.root.join("operator")
    }

    /// Certificates obtained by ACME.
    pub fn acme(&self) -> PathBuf {
        self.root.join("acme")
    }

    /// What HAProxy reads, unless a setting says another place.
    pub fn haproxy(&self) -> PathBuf {
        self.root.join("haproxy")
    }

    /// Every live authority's certificate, PEM.
    pub fn chain(&self) -> PathBuf {
        self.root.join("chain.crt")
    }

    /// Every live authority's list, PEM.
    pub fn chain_lists(&self) -> PathBuf {
        self.root.join("chain.crl")
    }

    /// What was imported of foreign authorities.
    pub fn trusted_ca(&self) -> PathBuf {
        self.root.join("trusted-ca")
    }

    /// The authorities whose clients may come, PEM, as LXD names the file.
    pub fn trusted_authorities(&self) -> PathBuf {
        self.trusted_ca().join("server.ca")
    }

    /// Their lists, as LXD names the file.
    pub fn trusted_list_file(&self) -> PathBuf {
        self.trusted_ca().join("ca.crl")
    }

    /// The lists that came with `pki trust ca add`.
    pub fn trusted_lists(&self) -> PathBuf {
        self.trusted_ca().join("lists")
    }

    /// Every folder that is there and that files are put into, but the store's: where an interrupted writer may
    /// have left something.
    pub fn written(&self) -> Vec<PathBuf> {
        let obtained = std::fs::read_dir(self.acme()).into_iter().flatten().flatten();
        let own = [self.authorities(), self.keys(), self.service(), self.operator(), self.trusted_lists()];
        let all = std::iter::once(self.root().to_owned()).chain(own);
        all.chain(obtained.map(|folder| folder.path())).filter(|folder| folder.is_dir()).collect()
    }

    /// The list of the imported authority of this key, DER.
    pub fn trusted_list(&self, key: &str) -> PathBuf {
        self.trusted_lists().join(format!("{key}.crl"))
    }

    /// Where `clients.pem` lies.
    pub fn authenticated(&self) -> PathBuf {
        self.root.join("authenticated-certs")
    }

    /// The certificates of clients that an administrator trusts by appending them, PEM.
    pub fn clients(&self) -> PathBuf {
        self.authenticated().join("clients.pem")
    }

    /// The service's socket, unless it was told another place.
    pub fn socket(&self) -> PathBuf {
        self.root.join("pki.socket")
    }
}
