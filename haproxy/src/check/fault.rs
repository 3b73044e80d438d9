//! The kinds of faults: what each is called, how bad it is, what mends it.

/// A fault that `haproxy -c` does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// More connections than files may be opened.
    TooManyFiles,
    /// The Host header is compared with its port.
    HostWithPort,
    /// A redirect to https that keeps the port of http.
    RedirectKeepsPort,
    /// Nobody answers the ACME challenge at port 80.
    ChallengeUnanswered,
    /// A TLS client is answered in plain HTTP.
    PlainAnswer,
    /// A line without effect.
    NoEffect,
    /// The order of lines suggests what is not so.
    Misleading,
    /// Who does not speak TLS holds a connection for the whole delay.
    HeldOpen,
    /// The challenge reaches a node that does not know it.
    ChallengeScattered,
    /// A node counts as up while its port is open.
    BareCheck,
    /// Nothing is logged.
    NothingLogged,
    /// IPv6 is not listened for.
    OnlyIpv4,
    /// A reload closes and opens the listeners.
    ListenersNotHanded,
    /// A resumed session is not looked up in the lists.
    Resumption,
    /// Client certificates are verified without a list.
    NoList,
    /// A list has run out, or does not exist.
    ListRunOut,
    /// The list of one of the CAs is missing.
    ListMissing,
    /// A revocation is in force at the next reload only.
    RevokedLate,
    /// Bad client certificates are let through.
    BadLetIn,
    /// Who asks for one name may be served another.
    OtherHost,
    /// A client can send what HAProxy should say of it.
    Forged,
}

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does no harm, and not what it says.
    Note,
    /// It works until something else happens.
    Warning,
    /// It does not work, or lets in who should not be.
    Error,
}

impl Severity {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl Fault {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Fault::TooManyFiles => "too-many-files",
            Fault::HostWithPort => "host-with-port",
            Fault::RedirectKeepsPort => "redirect-keeps-port",
            Fault::ChallengeUnanswered => "challenge-unanswered",
            Fault::PlainAnswer => "plain-answer",
            Fault::NoEffect => "no-effect",
            Fault::Misleading => "misleading",
            Fault::HeldOpen => "held-open",
            Fault::ChallengeScattered => "challenge-scattered",
            Fault::BareCheck => "bare-check",
            Fault::NothingLogged => "nothing-logged",
            Fault::OnlyIpv4 => "only-ipv4",
            Fault::ListenersNotHanded => "listeners-not-handed",
            Fault::Resumption => "resumption",
            Fault::NoList => "no-list",
            Fault::ListRunOut => "list-run-out",
            Fault::ListMissing => "list-missing",
            Fault::RevokedLate => "revoked-late",
            Fault::BadLetIn => "bad-let-in",
            Fault::OtherHost => "other-host",
            Fault::Forged => "forged",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Fault::TooManyFiles
            | Fault::HostWithPort
            | Fault::RedirectKeepsPort
            | Fault::PlainAnswer
            | Fault::Resumption
            | Fault::ListRunOut
            | Fault::ListMissing
            | Fault::BadLetIn
            | Fault::OtherHost
            | Fault::Forged => Severity::Error,
            Fault::ChallengeUnanswered
            | Fault::HeldOpen
            | Fault::ChallengeScattered
            | Fault::BareCheck
            | Fault::NothingLogged
            | Fault::NoList
            | Fault::RevokedLate => Severity::Warning,
            Fault::NoEffect | Fault::Misleading | Fault::OnlyIpv4 | Fault::ListenersNotHanded => {
                Severity::Note
            }
        }
    }

    /// What to write instead.
    pub fn mend(self) -> &'static str {
        match self {
            Fault::TooManyFiles => {
                "leave maxconn out of `global`: HAProxy computes it from the limit; raise LimitNOFILE to have more"
            }
            Fault::HostWithPort => "compare `req.hdr(host),host_only` (2.5 and later)",
            Fault::RedirectKeepsPort => {
                "http-request redirect code 308 location https://%[req.hdr(host),host_only]%[pathq]"
            }
            Fault::ChallengeUnanswered => {
                "route `path_beg /.well-known/acme-challenge/` before the redirect, or answer it from a map"
            }
            Fault::PlainAnswer => "use a backend of `mode tcp` with `tcp-request content reject`",
            Fault::NoEffect => "leave it out",
            Fault::Misleading => "write default_backend last: HAProxy takes it last wherever it stands",
            Fault::HeldOpen => {
                "`tcp-request content accept if { req.ssl_hello_type 1 }`, then `tcp-request content reject`; inspect-delay 3s"
            }
            Fault::ChallengeScattered => "balance source",
            Fault::BareCheck => "check check-ssl verify none: a node is up when it completes a TLS handshake",
            Fault::NothingLogged => {
                "`log global` in defaults, `option tcplog` and `option httplog`, and in a chroot `log stdout format raw local0`"
            }
            Fault::OnlyIpv4 => "bind :::PORT v4v6",
            Fault::ListenersNotHanded => "add `expose-fd listeners`",
            Fault::Resumption => {
                "`tune.ssl.cachesize 0` in global and `no-tls-tickets` in ssl-default-bind-options, both"
            }
            Fault::NoList => "crl-file FILE, with the list of every CA of the path",
            Fault::ListRunOut => "put the current list there and reload; until then every client is refused",
            Fault::ListMissing => "append that CA's list to the crl-file; until then its clients are refused",
            Fault::RevokedLate => {
                "deny by a map of revoked serial numbers for every request, as `pki haproxy render` writes it"
            }
            Fault::BadLetIn => "http-request deny if { ssl_c_used } !{ ssl_c_verify 0 }",
            Fault::OtherHost => {
                "http-request deny deny_status 421 unless { req.hdr(host),host_only,lower,strcmp(txn.sni) eq 0 }, \
                 after http-request set-var(txn.sni) ssl_fc_sni,lower"
            }
            Fault::Forged => "`http-request del-header` of the same name before it, without a condition",
        }
    }
}
