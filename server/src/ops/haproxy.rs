//! HAProxy in front of us: `pki haproxy render|sync|status`.

mod tell;

use ::haproxy::{Route, render};
use serde::{Deserialize, Serialize};
use store::file::{OnExisting, Visibility, make_dir, place};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{Error, Operation};
use crate::Pki;
use crate::fleet::{self, Instead};

pub use tell::{
    HaproxyBackend, HaproxyCertificate, HaproxyFailure, HaproxyInstalled, HaproxyState, HaproxyStatus,
    HaproxySync, HaproxySynced,
};

/// Writes a configuration from the settings, and from what is said instead of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct HaproxyRender {
    /// The domains instead of `haproxy.domains`, in the same words.
    pub domains: Vec<String>,
    /// Instead of `haproxy.http_address`.
    pub http: Vec<String>,
    /// Instead of `haproxy.https_address`.
    pub https: Vec<String>,
    /// The admin socket instead of the first of `haproxy.instances`.
    pub admin: Option<String>,
    /// Instead of `haproxy.challenge_address`.
    #[serde(default)]
    pub challenges: Option<String>,
    /// Instead of `haproxy.alpn_address`.
    pub alpn: Option<String>,
    /// HAProxy is started by an ordinary user, not by root.
    pub unprivileged: bool,
    /// Place the files that the configuration names and that are ours: the list of certificates, the maps.
    pub place: bool,
}

/// What was rendered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaproxyRendered {
    /// The configuration.
    pub config: String,
    /// The list of certificates; `None` where nothing is terminated.
    pub crt_list: Option<String>,
    /// Where that belongs.
    pub crt_list_file: String,
    /// The files that were placed.
    pub placed: Vec<String>,
    /// Those of them that are placeholders: HAProxy starts with them, and nobody trusts them.
    #[serde(default)]
    pub placeholders: Vec<String>,
    /// Files that the configuration names and that are not there: HAProxy does not start without them.
    pub missing: Vec<String>,
}

impl Operation for HaproxyRender {
    const NAME: &'static str = "haproxy-render";
    const ACTION: Action = Action::Configure;
    type Reply = HaproxyRendered;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<HaproxyRendered, Error> {
        let lay = self.place;
        let plan = fleet::plan(pki, self.instead()?)?;
        let site = plan.site()?;
        let rendered = render(&site)?;
        let (mut placed, mut placeholders) = (Vec::new(), Vec::new());
        if lay {
            let folder = std::path::Path::new(plan.files.folder.as_str());
            make_dir(folder, Visibility::Public)?;
            let mut put = |file: &::haproxy::FilePath, text: &str, existing| -> Result<(), Error> {
                place(file.as_str().as_ref(), text.as_bytes(), Visibility::Secret, existing)?;
                placed.push(file.to_string());
                Ok(())
            };
            if let Some(list) = &rendered.crt_list {
                put(&site.crt_list, list, OnExisting::Replace)?;
            }
            put(&site.revoked, &fleet::revoked_file(pki, now)?, OnExisting::Replace)?;
            if !std::path::Path::new(site.challenges.as_str()).exists() {
                put(&site.challenges, "", OnExisting::Replace)?;
            }
            let laid = fleet::placeholders::lay(&plan.domains, &plan.files, now)?;
            placeholders.extend(laid.iter().map(ToString::to_string));
            placed.extend(placeholders.iter().cloned());
        }
        let mut needed = vec![site.challenges.clone(), site.revoked.clone()];
        if rendered.crt_list.is_some() {
            needed.push(site.crt_list.clone());
        }
        for domain in &site.domains {
            if let Route::Terminate { certificate, clients, .. } = &domain.route {
                needed.push(certificate.clone());
                if let ::haproxy::Clients::Asked { ca, crl, .. } = clients {
                    needed.extend([ca.clone(), crl.clone()]);
                }
            }
        }
        needed.sort();
        needed.dedup();
        let absent = |file: &::haproxy::FilePath| !std::path::Path::new(file.as_str()).exists();
        Ok(HaproxyRendered {
            config: rendered.config,
            crt_list: rendered.crt_list,
            crt_list_file: site.crt_list.to_string(),
            placed,
            placeholders,
            missing: needed.iter().filter(|file| absent(file)).map(ToString::to_string).collect(),
        })
    }
}

impl HaproxyRender {
    fn instead(self) -> Result<Instead, Error> {
        let word = |word: &str| Error::Word { word: word.to_owned(), expected: "an address and a port" };
        let address = |text: &String| text.parse().map_err(|_| word(text));
        let addresses = |all: &[String]| all.iter().map(address).collect::<Result<Vec<_>, _>>();
        Ok(Instead {
            domains: self.domains.iter().map(|text| text.parse()).collect::<Result<_, ::haproxy::Error>>()?,
            http: addresses(&self.http)?,
            https: addresses(&self.https)?,
            admin: self.admin.map(|path| path.parse()).transpose()?,
            challenges: self.challenges.as_ref().map(address).transpose()?,
            alpn: self.alpn.as_ref().map(address).transpose()?,
            unprivileged: self.unprivileged,
        })
    }
}
