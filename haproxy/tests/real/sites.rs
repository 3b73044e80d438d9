//! Sites to render: every form, and any mixture of them.

use std::net::SocketAddr;
use std::path::Path;

use haproxy::{
    Clients, Demand, Domain, FilePath, IssuerKey, Label, Node, Privileges, ProxyHeader, Responder, Route,
    Site, Speech,
};
use proptest::prelude::*;

use crate::world::Authority;

/// A name for a thing.
pub fn label(text: &str) -> Label {
    text.parse().unwrap()
}

/// A file of the folder.
pub fn file(folder: &Path, name: &str) -> FilePath {
    folder.join(name).to_str().unwrap().parse().unwrap()
}

/// Writes the maps of a site, empty.
pub fn empty_maps(folder: &Path) {
    for map in ["challenges.map", "revoked.map"] {
        std::fs::write(folder.join(map), "").unwrap();
    }
}

/// A site without domains.
pub fn empty(folder: &Path, http: SocketAddr, https: SocketAddr) -> Site {
    // Tests run at the same time and share the names of sockets inside the kernel.
    let unique = format!("t{}-{}", std::process::id(), https.port());
    Site {
        name: label(&unique),
        admin: file(folder, "admin.sock"),
        privileges: Privileges::Keep,
        http: vec![http],
        https: vec![https],
        challenges: file(folder, "challenges.map"),
        revoked: file(folder, "revoked.map"),
        crt_list: file(folder, "crt-list"),
        http_responder: None,
        alpn_responder: None,
        domains: Vec::new(),
    }
}

/// A domain of one name and one node.
pub fn domain(name: &str, port: u16, route: Route) -> Domain {
    Domain {
        label: label(name.split('.').next().unwrap()),
        names: vec![name.parse().unwrap()],
        route,
        nodes: vec![Node { label: label("one"), address: SocketAddr::from(([127, 0, 0, 1], port)) }],
    }
}

/// A terminated domain's route; `NAME.pem` is written to the folder.
pub fn terminated(folder: &Path, authority: &Authority, name: &str, clients: Clients) -> Route {
    authority.issue(name, &[9]).write(folder, name);
    Route::Terminate { certificate: file(folder, &format!("{name}.pem")), clients, speech: Speech::Http }
}

/// The folder that [`any_site`] is about: an authority, its list, a certificate.
pub fn furnish(folder: &Path) -> IssuerKey {
    empty_maps(folder);
    let authority = Authority::named("root");
    authority.identity.write(folder, "ca");
    authority.issue("www.example.net", &[9]).write(folder, "www");
    std::fs::write(folder.join("ca.crl"), authority.list(&[])).unwrap();
    authority.key()
}

/// A terminated domain's route with everything that a line of the list of certificates can have.
pub fn asked(folder: &Path, issuer: IssuerKey) -> Route {
    let (ca, crl) = (file(folder, "ca.pem"), file(folder, "ca.crl"));
    let clients = Clients::Asked { demand: Demand::Optional, ca, crl, issuers: vec![issuer] };
    Route::Terminate { certificate: file(folder, "www.pem"), clients, speech: Speech::Http }
}

fn addresses() -> impl Strategy<Value = SocketAddr> {
    let v4 = (any::<[u8; 4]>(), 1..=u16::MAX).prop_map(|(octets, port)| SocketAddr::from((octets, port)));
    let v6 = (any::<[u8; 16]>(), 1..=u16::MAX).prop_map(|(octets, port)| SocketAddr::from((octets, port)));
    prop_oneof![v4, v6].prop_filter("a host's", |one| {
        let ip = one.ip();
        let mapped = matches!(ip, std::net::IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        !(ip.is_unspecified() || ip.is_multicast() || mapped)
    })
}

fn routes(folder: &Path, issuer: IssuerKey) -> impl Strategy<Value = Route> + use<> {
    let (ca, crl) = (file(folder, "ca.pem"), file(folder, "ca.crl"));
    let certificate = file(folder, "www.pem");
    let asked =
        move |demand| Clients::Asked { demand, ca: ca.clone(), crl: crl.clone(), issuers: vec![issuer] };
    let clients =
        prop_oneof![Just(Clients::Unasked), Just(asked(Demand::Optional)), Just(asked(Demand::Required)),];
    let ca = file(folder, "ca.pem");
    let speech = prop_oneof![
        Just(Speech::Http),
        Just(Speech::Https { ca, name: "inner.example.net".parse().unwrap() }),
    ];
    prop_oneof![
        Just(Route::Passthrough(ProxyHeader::None)),
        Just(Route::Passthrough(ProxyHeader::V2)),
        (clients, speech).prop_map(move |(clients, speech)| Route::Terminate {
            certificate: certificate.clone(),
            clients,
            speech,
        }),
    ]
}

/// Any site that is in order.
pub fn any_site(folder: &Path, issuer: IssuerKey) -> impl Strategy<Value = Site> + use<> {
    let listener = SocketAddr::from(([0, 0, 0, 0], 80));
    let base = empty(folder, listener, SocketAddr::from(([0, 0, 0, 0], 443)));
    let nodes = prop::collection::btree_set(addresses(), 1..5);
    let domain = (1..5_usize, routes(folder, issuer), nodes);
    let domains = prop::collection::vec(domain, 1..6);
    let told = prop_oneof![Just(ProxyHeader::None), Just(ProxyHeader::V2)];
    let alpn = (addresses(), told).prop_map(|(address, header)| Responder { address, header });
    let responders = (prop::option::of(addresses()), prop::option::of(alpn));
    let listeners = prop::collection::btree_set(addresses(), 0..3);
    (domains, responders, listeners, any::<bool>()).prop_map(move |(domains, responders, more, drop)| {
        let mut site = base.clone();
        (site.http_responder, site.alpn_responder) = responders;
        site.privileges = if drop { Privileges::Drop { admin: 0 } } else { Privileges::Keep };
        site.https.extend(more.into_iter().filter(|one| one.port() != 443));
        for (d, (names, route, nodes)) in domains.into_iter().enumerate() {
            site.domains.push(Domain {
                label: label(&format!("d{d}")),
                names: (0..names).map(|n| format!("n{n}.d{d}.example").parse().unwrap()).collect(),
                route,
                nodes: nodes
                    .into_iter()
                    .enumerate()
                    .map(|(n, address)| Node { label: label(&format!("node{n}")), address })
                    .collect(),
            });
        }
        site
    })
}
