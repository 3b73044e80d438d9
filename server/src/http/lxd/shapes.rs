//! What LXD's endpoints are answered with, field by field as LXD names them.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::ops::trust::token::TokenView;
use crate::ops::trust::view::TrustView;

/// A trusted certificate.
#[derive(Serialize, ToSchema)]
pub(super) struct CertificateObject<'a> {
    /// PEM.
    certificate: &'a str,
    /// SHA-256 over its DER, lower-case hex.
    fingerprint: &'a str,
    /// What the entry is called.
    name: &'a str,
    /// The projects that it is limited to.
    projects: &'a [String],
    /// Whether it is limited to projects.
    restricted: bool,
    /// `client`, `server` or `metrics`.
    r#type: &'a str,
}

impl CertificateObject<'_> {
    /// `None` for a user of this machine, who has no certificate.
    pub(super) fn of(entry: &TrustView) -> Option<CertificateObject<'_>> {
        Some(CertificateObject {
            certificate: entry.certificate.as_deref()?,
            fingerprint: entry.fingerprint.as_deref()?,
            name: &entry.name,
            projects: &entry.rights.projects,
            restricted: entry.rights.restricted,
            r#type: &entry.rights.kind,
        })
    }
}

/// A token, which LXD has as an operation.
#[derive(Serialize, ToSchema)]
pub(super) struct OperationObject<'a> {
    /// `token`.
    class: &'a str,
    /// When the token was made.
    #[schema(format = "date-time")]
    created_at: String,
    /// What it does, in words.
    description: &'a str,
    /// Why it failed; empty.
    err: &'a str,
    /// A UUID.
    id: &'a str,
    /// The member of a cluster: `none`.
    location: &'a str,
    /// Whether it can be cancelled.
    may_cancel: bool,
    /// What the token says.
    metadata: TokenMetadata<'a>,
    /// What it works on: `null`.
    #[schema(value_type = Option<Object>)]
    resources: Option<()>,
    /// `Running`, or `Cancelled` once it is redeemed, revoked or past its end.
    status: &'a str,
    /// 103, or 401.
    status_code: u16,
    /// As `created_at`.
    #[schema(format = "date-time")]
    updated_at: String,
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It can be redeemed.
    Running,
    /// It can't any more: it was redeemed or revoked, or its end has come.
    Cancelled,
}

/// What a token says.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenMetadata<'a> {
    /// Where the client will look for the service.
    addresses: &'a [String],
    /// When it ends; absent if it doesn't.
    #[serde(rename = "expiresAt", skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    /// SHA-256 of the server's certificate.
    fingerprint: &'a str,
    /// What was asked for.
    request: TokenRequest<'a>,
    /// What lets its holder in: told once, to whoever makes the token; `redacted` afterwards.
    secret: &'a str,
}

/// What whoever redeems a token becomes.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenRequest<'a> {
    /// Empty.
    certificate: &'a str,
    /// The name of the entry.
    name: &'a str,
    /// Empty.
    password: &'a str,
    /// The projects that it will be limited to.
    projects: &'a [String],
    /// Whether it will be limited to projects.
    restricted: bool,
    /// Whether this is a token: it is.
    token: bool,
    /// `client`.
    r#type: &'a str,
}

impl<'a> OperationObject<'a> {
    /// A token as LXD shows it.
    pub(super) fn of(token: &'a TokenView, secret: &'a str, standing: Standing) -> OperationObject<'a> {
        let (status, status_code) = match standing {
            Standing::Running => ("Running", 103),
            Standing::Cancelled => ("Cancelled", 401),
        };
        let created = super::operations::moment(token.created_at);
        OperationObject {
            class: "token",
            created_at: created.clone(),
            description: "Certificate add token",
            err: "",
            id: &token.id,
            location: "none",
            may_cancel: standing == Standing::Running,
            metadata: TokenMetadata {
                addresses: &token.addresses,
                expires_at: token.expires_at.map(super::operations::moment),
                fingerprint: &token.fingerprint,
                request: TokenRequest {
                    certificate: "",
                    name: &token.name,
                    password: "",
                    projects: &token.rights.projects,
                    restricted: token.rights.restricted,
                    token: true,
                    r#type: &token.rights.kind,
                },
                secret,
            },
            resources: None,
            status,
            status_code,
            updated_at: created,
        }
    }
}

/// The service, as far as whoever asks may know it.
#[derive(Serialize, ToSchema)]
pub(super) struct About {
    /// What clients may count on besides the API as it was at first.
    pub(super) api_extensions: Vec<String>,
    /// `stable`.
    pub(super) api_status: String,
    /// `1.0`.
    pub(super) api_version: String,
    /// `trusted` or `untrusted`.
    pub(super) auth: String,
    /// `tls`.
    pub(super) auth_methods: Vec<String>,
    /// `tls`; absent for a stranger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_user_method: Option<String>,
    /// Who asks, by the certificate's fingerprint; absent for a stranger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auth_user_name: Option<String>,
    /// Whether a certificate was shown.
    pub(super) client_certificate: bool,
    /// The settings that were set, for those who may change them.
    #[schema(value_type = Option<Object>)]
    pub(super) config: Option<Map<String, Value>>,
    /// Absent for a stranger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<Environment>,
    /// Whether everybody is let in: no.
    pub(super) public: bool,
}

/// What the service runs on.
#[derive(Serialize, ToSchema)]
pub(super) struct Environment {
    /// Where it can be reached.
    pub(super) addresses: Vec<String>,
    /// Of the machine.
    pub(super) architectures: Vec<String>,
    /// The service's own, PEM.
    pub(super) certificate: String,
    /// SHA-256 over its DER.
    pub(super) certificate_fingerprint: String,
    /// Its name.
    pub(super) kernel: String,
    /// Of the machine.
    pub(super) kernel_architecture: String,
    /// `default`.
    pub(super) project: String,
    /// `pki`.
    pub(super) server: String,
    /// No.
    pub(super) server_clustered: bool,
    /// The machine's name.
    pub(super) server_name: String,
    /// Of the process.
    pub(super) server_pid: u32,
    /// The version of this program.
    pub(super) server_version: String,
}
