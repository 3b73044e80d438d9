//! A site's configuration as text.
//!
//! A pure function: the same site gives the same text, byte for byte, and nothing is read or written. Its
//! shape: one frontend for port 80; one for port 443 that looks at the name a TLS client asks for and
//! either passes the connection through or hands it to the frontend that terminates TLS, over a socket
//! inside the kernel and with the client's address in front of it.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use crate::Error;
use crate::site::{Clients, Demand, Domain, Limits, Privileges, ProxyHeader, Responder, Route, Site, Speech};

/// What HAProxy is to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The configuration.
    pub config: String,
    /// The list of certificates, for the file [`Site::crt_list`]; `None` where nothing is terminated.
    pub crt_list: Option<String>,
}

/// Writes the configuration of a site, or says what is wrong with the site.
///
/// It is for HAProxy 2.6 and later. The maps of the site, and the certificates, CAs and lists of its
/// terminated domains, must exist when HAProxy starts.
pub fn render(site: &Site) -> Result<Rendered, Error> {
    site.examine(Limits::STANDARD)?;
    let terminates = site.domains.iter().any(|domain| matches!(domain.route, Route::Terminate { .. }));
    let mut config = Text(String::new());
    config.global(site, terminates);
    config.plain(site);
    config.dispatcher(site);
    for domain in &site.domains {
        if let Route::Passthrough(header) = domain.route {
            config.passthrough(domain, header);
        }
    }
    if terminates {
        config.terminator(site);
        for domain in &site.domains {
            if let Route::Terminate { speech, .. } = &domain.route {
                config.terminated(domain, speech);
            }
        }
    }
    config.refusals();
    let crt_list = terminates.then(|| crt_list(&site.domains));
    Ok(Rendered { config: config.0, crt_list })
}

/// One line for each name: HAProxy bounds the words of a line.
fn crt_list(domains: &[Domain]) -> String {
    let mut list = Text(String::new());
    for domain in domains {
        let Route::Terminate { certificate, clients, .. } = &domain.route else { continue };
        let policy = match clients {
            Clients::Unasked => String::new(),
            Clients::Asked { demand, ca, crl, .. } => {
                let verify = match demand {
                    Demand::Optional => "optional",
                    Demand::Required => "required",
                };
                format!("[ca-file {ca} crl-file {crl} verify {verify}] ")
            }
        };
        for name in &domain.names {
            list.line(format_args!("{certificate} {policy}{name}"));
        }
    }
    list.0
}

/// HAProxy's words for why a client's certificate is refused: the codes of OpenSSL's verification.
const CAUSES: [(&str, &str); 8] = [
    ("3", "no revocation list of its issuer"),
    ("9", "not yet valid"),
    ("10", "expired"),
    ("12", "the revocation list has run out"),
    ("18", "self-signed"),
    ("20", "unknown issuer"),
    ("21", "unknown issuer"),
    ("23", "revoked"),
];

struct Text(String);

impl Text {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }

    fn lines(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn section(&mut self, head: fmt::Arguments<'_>) {
        self.line(format_args!(""));
        self.line(head);
    }

    fn binds(&mut self, addresses: &[SocketAddr]) {
        for address in addresses {
            // `[::]` listens for IPv4 as well unless it is said.
            let only = if address.is_ipv6() { " v6only" } else { "" };
            self.line(format_args!("  bind {address}{only}"));
        }
    }

    fn global(&mut self, site: &Site, terminates: bool) {
        self.lines("# Written by pki from its settings; changes are lost.\n\nglobal\n");
        self.lines("  log stdout format raw local0 info\n");
        let owner = match site.privileges {
            Privileges::Drop { admin } => {
                self.lines("  chroot /var/lib/haproxy\n  user haproxy\n  group haproxy\n");
                // Else the socket is root's, and nobody else's.
                format!("uid {admin} ")
            }
            Privileges::Keep => String::new(),
        };
        let admin = &site.admin;
        self.line(format_args!("  stats socket {admin} {owner}mode 600 level admin expose-fd listeners"));
        self.lines(GLOBAL);
        if terminates {
            self.lines(GLOBAL_OF_TLS);
        }
        self.lines(DEFAULTS);
    }

    fn plain(&mut self, site: &Site) {
        self.section(format_args!("frontend http"));
        self.binds(&site.http);
        self.lines("  mode http\n  option httplog\n");
        let map = &site.challenges;
        // The whole path is the key, so that nothing but a challenge is ever answered from the map.
        self.line(format_args!(
            "  http-request return status 200 content-type application/octet-stream \
             lf-string \"%[path,map({map})]\" if {{ path,map({map}) -m found }}"
        ));
        for name in site.domains.iter().flat_map(|domain| &domain.names) {
            self.line(format_args!("  acl ours req.hdr(host),host_only,lower -m str {name}"));
        }
        // A challenge may be for a name or an address that is not served.
        let (or, but) = match site.http_responder {
            Some(_) => {
                self.lines("  acl challenge path_beg /.well-known/acme-challenge/\n");
                (" or challenge", " unless challenge")
            }
            None => ("", ""),
        };
        self.line(format_args!("  http-request deny deny_status 403 unless ours{or}"));
        self.line(format_args!(
            "  http-request redirect code 308 location https://%[req.hdr(host),host_only]%[pathq]{but}"
        ));
        if site.http_responder.is_some() {
            self.lines("  use_backend acme-http if challenge\n");
        }
        self.lines("  default_backend refuse-http\n");
        if let Some(address) = site.http_responder {
            self.section(format_args!("backend acme-http"));
            // Not checked: it may be up for the time of an order only.
            self.line(format_args!("  mode http\n  server responder {address}"));
        }
    }

    fn dispatcher(&mut self, site: &Site) {
        self.section(format_args!("frontend tls"));
        self.binds(&site.https);
        self.lines(DISPATCHER);
        if site.alpn_responder.is_some() {
            self.lines("  use_backend acme-alpn if { req.ssl_alpn -m str acme-tls/1 }\n");
        }
        for domain in &site.domains {
            for name in &domain.names {
                let backend = match domain.route {
                    Route::Passthrough(_) => format!("nodes-{}", domain.label),
                    Route::Terminate { .. } => "terminator".to_owned(),
                };
                self.line(format_args!("  use_backend {backend} if {{ req.ssl_sni,lower -m str {name} }}"));
            }
        }
        self.lines("  default_backend refuse-tls\n");
        if let Some(Responder { address, header }) = site.alpn_responder {
            self.section(format_args!("backend acme-alpn"));
            // Not checked, like the other one.
            self.line(format_args!("  server responder {address}{}", word(header)));
        }
    }

    fn passthrough(&mut self, domain: &Domain, header: ProxyHeader) {
        self.section(format_args!("backend nodes-{}", domain.label));
        let header = word(header);
        self.lines("  balance source\n");
        self.line(format_args!("  default-server check check-ssl verify none inter 5s rise 1{header}"));
        self.nodes(domain);
    }

    fn terminated(&mut self, domain: &Domain, speech: &Speech) {
        self.section(format_args!("backend nodes-{}", domain.label));
        self.lines("  mode http\n  balance roundrobin\n");
        match speech {
            Speech::Http => self.lines("  default-server check inter 5s rise 1\n"),
            Speech::Https { ca, name } => self.line(format_args!(
                "  default-server check inter 5s rise 1 ssl verify required ca-file {ca} \
                 verifyhost {name} sni str({name}) check-sni {name}"
            )),
        }
        self.nodes(domain);
    }

    fn nodes(&mut self, domain: &Domain) {
        for node in &domain.nodes {
            self.line(format_args!("  server {} {}", node.label, node.address));
        }
    }

    fn terminator(&mut self, site: &Site) {
        self.section(format_args!("backend terminator"));
        self.line(format_args!("  server local abns@pki-{} send-proxy-v2", site.name));
        self.section(format_args!("frontend terminator"));
        // crt-ignore-err: the handshake succeeds and the request is answered with the cause. Every refusal
        // below is then a rule that must stand before the first use_backend.
        self.line(format_args!(
            "  bind abns@pki-{} accept-proxy ssl strict-sni crt-list {} \
             crt-ignore-err all ca-ignore-err all alpn h2,http/1.1",
            site.name, site.crt_list
        ));
        self.lines(TERMINATOR);
        for (code, cause) in CAUSES {
            self.refuse(cause, format_args!("{{ ssl_c_used }} {{ ssl_c_verify {code} }}"));
        }
        self.lines(TERMINATOR_REST);
        self.refuse(
            "revoked",
            format_args!("{{ ssl_c_used }} {{ var(txn.client),map({}) -m found }}", site.revoked),
        );
        for domain in &site.domains {
            if let Route::Terminate { clients, .. } = &domain.route {
                self.admission(domain, clients);
            }
        }
        self.lines(HEADERS);
        for domain in site.domains.iter().filter(|one| matches!(one.route, Route::Terminate { .. })) {
            self.line(format_args!("  use_backend nodes-{} if for-{}", domain.label, domain.label));
        }
        self.lines("  default_backend refuse-http\n");
    }

    /// Who is let in for a domain, once the certificate itself is known to be good.
    fn admission(&mut self, domain: &Domain, clients: &Clients) {
        let label = &domain.label;
        for name in &domain.names {
            self.line(format_args!("  acl for-{label} var(txn.sni) -m str {name}"));
        }
        let Clients::Asked { demand, issuers, .. } = clients else { return };
        for issuer in issuers {
            self.line(format_args!("  acl of-{label} var(txn.issuer) -m str {issuer}"));
        }
        self.refuse("issuer not listed", format_args!("for-{label} {{ ssl_c_used }} !of-{label}"));
        match demand {
            Demand::Required => self.refuse("none was shown", format_args!("for-{label} !{{ ssl_c_used }}")),
            Demand::Optional => {}
        }
    }

    fn refuse(&mut self, cause: &str, condition: fmt::Arguments<'_>) {
        self.line(format_args!(
            "  http-request return status 403 content-type text/plain \
             string \"client certificate refused: {cause}\\n\" if {condition}"
        ));
    }

    fn refusals(&mut self) {
        self.section(format_args!("backend refuse-http"));
        self.lines("  mode http\n  http-request deny deny_status 403\n");
        self.section(format_args!("backend refuse-tls"));
        self.lines("  tcp-request content reject\n");
    }
}

/// What makes a server line say who connects.
fn word(header: ProxyHeader) -> &'static str {
    match header {
        ProxyHeader::None => "",
        ProxyHeader::V2 => " send-proxy-v2",
    }
}

const GLOBAL: &str = "  stats timeout 2m
  hard-stop-after 30m
";

/// No session is resumed: HAProxy does not look at the lists again when one is.
const GLOBAL_OF_TLS: &str = "  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256
  ssl-default-bind-ciphers ECDHE+AESGCM:ECDHE+CHACHA20
  tune.ssl.cachesize 0
";

const DEFAULTS: &str = "
defaults
  log global
  option dontlognull
  timeout connect 5s
  timeout client 30s
  timeout client-fin 30s
  timeout server 120s
  timeout tunnel 6h
  timeout http-request 5s
";

const DISPATCHER: &str = "  mode tcp
  option tcplog
  tcp-request inspect-delay 3s
  tcp-request content accept if { req.ssl_hello_type 1 }
  tcp-request content reject
";

/// A request must be for the name that the handshake was for (RFC 9110 §7.4): the other name may ask for
/// client certificates when this one did not.
const TERMINATOR: &str = "  mode http
  option httplog
  http-request set-var(txn.sni) ssl_fc_sni,lower
  http-request set-var(txn.issuer) ssl_c_i_dn,sha2(256),hex if { ssl_c_used }
  http-request set-var(txn.client) ssl_c_serial,hex,concat(-,txn.issuer) if { ssl_c_used }
  http-request deny deny_status 421 unless { req.hdr(host),host_only,lower,strcmp(txn.sni) eq 0 }
";

/// What no cause above has named: errors that HAProxy was told to ignore are kept by depth as well.
const TERMINATOR_REST: &str = "  http-request return status 403 content-type text/plain \
lf-string \"client certificate refused: error %[ssl_c_verify] of its verification\\n\" \
if { ssl_c_used } !{ ssl_c_verify 0 }
  http-request return status 403 content-type text/plain \
lf-string \"client certificate refused: error %[ssl_c_err], %[ssl_c_ca_err] of its path\\n\" \
if { ssl_c_used } !{ ssl_c_err 0 } || { ssl_c_used } !{ ssl_c_ca_err 0 }
";

/// What nodes are told of a client comes from here and from nobody else: `_` is `-` to many programs. A
/// common name is percent-encoded, because it may hold anything.
const HEADERS: &str = "  http-request del-header (?i)^x[-_](ssl|forwarded)[-_] -m reg
  http-request del-header (?i)^forwarded$ -m reg
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-SSL-Verify %[ssl_c_verify] if { ssl_c_used }
  http-request set-header X-SSL-CN %[ssl_c_s_dn(cn),url_enc] if { ssl_c_used }
  http-request set-header X-SSL-Serial %[ssl_c_serial,hex] if { ssl_c_used }
  http-request set-header X-SSL-Fingerprint %[ssl_c_der,sha2(256),hex] if { ssl_c_used }
";
