//! Requests by listener, route and status: one addition each, without a lock.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::routes;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// TLS, for whoever shows a certificate.
    Https,
    /// Plain HTTP, for everybody.
    Public,
    /// The Unix socket.
    Socket,
}

impl Listener {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Listener; 3] = [Listener::Https, Listener::Public, Listener::Socket];

    /// What it is called.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Listener::Https => "https",
            Listener::Public => "public",
            Listener::Socket => "socket",
        }
    }
}

/// The statuses that are given; whatever else comes is counted as 0.
const STATUSES: [u16; 21] =
    [200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 408, 409, 412, 413, 429, 431, 500, 502, 503, 0];
/// What a path that leads nowhere is counted as: paths are the peer's words.
const NOWHERE: &str = "other";

/// The routes as they stand in the table, each once.
struct Routes {
    names: Vec<String>,
    by_path: HashMap<String, usize>,
    /// Those with a parameter: what stands before it, what after it, and which.
    patterns: Vec<(String, String, usize)>,
}

impl Routes {
    fn known() -> &'static Routes {
        static KNOWN: OnceLock<Routes> = OnceLock::new();
        KNOWN.get_or_init(Routes::read)
    }

    fn read() -> Routes {
        let mut known = Routes { names: Vec::new(), by_path: HashMap::new(), patterns: Vec::new() };
        for route in routes() {
            if known.names.contains(&route.path) {
                continue;
            }
            let place = known.names.len();
            let parts =
                route.path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1)));
            if let Some((before, after)) = parts {
                known.patterns.push((before.to_owned(), after.to_owned(), place));
            } else {
                known.by_path.insert(route.path.clone(), place);
            }
            known.names.push(route.path);
        }
        known.names.push(NOWHERE.to_owned());
        known
    }

    fn of(&self, path: &str) -> usize {
        if let Some(place) = self.by_path.get(path) {
            return *place;
        }
        let fits = |(before, after, _): &&(String, String, usize)| {
            let rest = path.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
        };
        self.patterns.iter().find(fits).map_or(self.names.len() - 1, |(_, _, place)| *place)
    }
}

/// Counts requests.
#[derive(Debug)]
pub(crate) struct Requests(Vec<AtomicU64>);

impl Default for Requests {
    fn default() -> Requests {
        let size = Listener::ALL.len() * Routes::known().names.len() * STATUSES.len();
        Requests(std::iter::repeat_with(AtomicU64::default).take(size).collect())
    }
}

impl Requests {
    /// A request for `path` was answered.
    pub(crate) fn count(&self, listener: Listener, path: &str, status: u16) {
        let known = Routes::known();
        let status = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        let place = (listener as usize * known.names.len() + known.of(path)) * STATUSES.len() + status;
        if let Some(count) = self.0.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that came at all: listener, route, status, how many.
    pub(crate) fn now(&self) -> Vec<(Listener, &'static str, u16, u64)> {
        let names = &Routes::known().names;
        let routes =
            Listener::ALL.iter().flat_map(|listener| names.iter().map(move |name| (*listener, name)));
        let each =
            routes.flat_map(|(listener, name)| STATUSES.map(|status| (listener, name.as_str(), status)));
        each.zip(&self.0)
            .map(|((listener, name, status), count)| (listener, name, status, count.load(Ordering::Relaxed)))
            .filter(|(_, _, _, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_counted_as_its_route_and_a_strangers_words_as_other() {
        let requests = Requests::default();
        for (listener, path, status) in [
            (Listener::Https, "/1.0", 200),
            (Listener::Https, "/1.0", 200),
            (Listener::Https, "/1.0/certificates/4a3f", 403),
            (Listener::Https, "/1.0/operations/x/wait", 200),
            (Listener::Https, "/1.0/certificates/", 404),
            (Listener::Https, "/1.0/certificates/a/b", 404),
            (Listener::Https, "/\"\n{secret}", 404),
            (Listener::Public, "/crl/4a3f/0.crl", 418),
            (Listener::Socket, "/1.0/pki/issue", 200),
        ] {
            requests.count(listener, path, status);
        }
        let mut now = requests.now();
        now.sort_by_key(|(listener, route, ..)| (listener.as_str(), *route));
        assert_eq!(
            now,
            [
                (Listener::Https, "/1.0", 200, 2),
                (Listener::Https, "/1.0/certificates/{fingerprint}", 403, 1),
                (Listener::Https, "/1.0/operations/{id}/wait", 200, 1),
                (Listener::Https, "other", 404, 3),
                (Listener::Public, "/crl/{keyid}/0.crl", 0, 1),
                (Listener::Socket, "/1.0/pki/issue", 200, 1),
            ]
        );
    }
}
