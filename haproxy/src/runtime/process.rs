//! The process behind a Runtime API: which one it is, what it has loaded, and how it is made to begin anew.

use std::time::{Duration, Instant};

use time::{Date, Month, PrimitiveDateTime, Time};

use super::{Address, Bounds, Runtime};
use crate::{Error, FilePath};

/// One life of a HAProxy. Whatever was told to another one is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its process.
    pub pid: u32,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// What it says its version is.
    pub version: String,
}

/// A list that HAProxy has loaded; times in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedList {
    /// When it was made.
    pub last_update: i64,
    /// Until when it counts.
    pub next_update: i64,
}

/// A backend or a server of one, and how HAProxy finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The backend.
    pub backend: String,
    /// The server; `None` for the backend itself.
    pub server: Option<String>,
    /// HAProxy's word: `UP`, `DOWN`, `no check` and others.
    pub state: String,
}

impl Runtime {
    /// Which process answers.
    pub fn worker(&self) -> Result<Worker, Error> {
        let line = "show info";
        let answer = self.ask(line)?;
        let field = |name: &str| {
            answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
        };
        let read = || {
            Some(Worker {
                pid: field("Pid")?.parse().ok()?,
                started: field("Start_time_sec")?.parse().ok()?,
                version: field("Version")?.to_owned(),
            })
        };
        read().ok_or_else(|| self.unexpected(line, &answer))
    }

    /// The lists of a file that HAProxy has loaded; none if it uses no such file.
    ///
    /// The answer names every revoked certificate: ask once for each [`Worker`].
    pub fn lists(&self, file: &FilePath) -> Result<Vec<LoadedList>, Error> {
        let line = format!("show ssl crl-file {file}");
        let answer = self.ask(&line)?;
        if answer.lines().next() != Some(format!("Filename: {file}").as_str()) {
            return Ok(Vec::new());
        }
        let refused = || self.unexpected(&line, &answer);
        let mut lists = Vec::new();
        let mut last = None;
        for line in answer.lines() {
            if let Some(time) = line.strip_prefix("Last Update: ") {
                last = Some(moment(time).ok_or_else(refused)?);
            } else if let Some(time) = line.strip_prefix("Next Update: ") {
                let next_update = moment(time).ok_or_else(refused)?;
                lists.push(LoadedList { last_update: last.take().ok_or_else(refused)?, next_update });
            }
        }
        Ok(lists)
    }

    /// How HAProxy finds its backends and their servers.
    pub fn health(&self) -> Result<Vec<Health>, Error> {
        let line = "show stat";
        let answer = self.ask(line)?;
        let refused = || self.unexpected(line, &answer);
        let mut lines = answer.lines();
        let head = lines.next().and_then(|head| head.strip_prefix("# ")).ok_or_else(refused)?;
        let status = head.split(',').position(|name| name == "status").ok_or_else(refused)?;
        let mut all = Vec::new();
        for row in lines.filter(|row| !row.is_empty()) {
            let fields: Vec<&str> = row.split(',').collect();
            let (Some(&backend), Some(&server), Some(&state)) =
                (fields.first(), fields.get(1), fields.get(status))
            else {
                return Err(refused());
            };
            let server = match server {
                "FRONTEND" => continue,
                "BACKEND" => None,
                name => Some(name.to_owned()),
            };
            all.push(Health { backend: backend.to_owned(), server, state: state.to_owned() });
        }
        Ok(all)
    }
}

/// The master of a HAProxy: it starts new workers, and has nothing else to be told.
#[derive(Clone, Debug)]
pub struct Master(Runtime);

/// What the master says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reloads {
    done: u64,
    failed: u64,
}

/// How long a new worker may take to start.
const START: Duration = Duration::from_secs(60);
/// How long a master may be busy with itself.
const LULL: Duration = Duration::from_secs(1);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(20);

impl Master {
    /// The master whose socket is at this address (`haproxy -W -S`).
    pub fn new(address: Address, bounds: Bounds) -> Master {
        Master(Runtime::master(address, bounds))
    }

    /// Starts a new worker with the files as they are now, and returns when it serves. If it does not
    /// start, the old one goes on. Connections that are open go on in the old one.
    pub fn reload(&self) -> Result<(), Error> {
        let before = self.reloads_in_a_moment()?;
        let answer = self.0.ask("reload")?;
        if !answer.is_empty() && !answer.starts_with("Success=1") {
            return Err(self.0.unexpected("reload", &answer));
        }
        let end = Instant::now() + START;
        loop {
            // It can't be reached while it begins anew.
            match self.reloads() {
                Ok(now) if now.done > before.done => {
                    return match now.failed > before.failed {
                        true => Err(Error::NotReloaded { instance: self.0.address.to_string() }),
                        false => Ok(()),
                    };
                }
                Ok(_) => {}
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => {}
            }
            if Instant::now() >= end {
                return Err(Error::NotReloaded { instance: self.0.address.to_string() });
            }
            std::thread::sleep(LOOK);
        }
    }

    /// A master that has just started its workers executes itself once more, to be small while it waits; for
    /// that moment nobody listens on its socket.
    fn reloads_in_a_moment(&self) -> Result<Reloads, Error> {
        let end = Instant::now() + LULL;
        loop {
            match self.reloads() {
                Err(Error::Exchange { .. }) if Instant::now() < end => std::thread::sleep(LOOK),
                done => return done,
            }
        }
    }

    fn reloads(&self) -> Result<Reloads, Error> {
        let line = "show proc";
        let answer = self.0.ask(line)?;
        let read = |row: &str| {
            let mut words = row.split_whitespace();
            let (_pid, kind, done) = (words.next()?, words.next()?, words.next()?);
            let failed = words.next()?.strip_prefix("[failed:").map(|_| words.next())??;
            let failed = failed.strip_suffix(']')?.parse().ok()?;
            (kind == "master").then_some(Reloads { done: done.parse().ok()?, failed })
        };
        answer.lines().find_map(read).ok_or_else(|| self.0.unexpected(line, &answer))
    }
}

/// A time as OpenSSL prints it: `Nov  9 08:08:50 2026 GMT`.
fn moment(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let [month, day, clock, year, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let month = Month::try_from(u8::try_from(month + 1).ok()?).ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    let mut parts = clock.split(':').map(|part| part.parse::<u8>());
    let mut part = || parts.next()?.ok();
    let time = Time::from_hms(part()?, part()?, part()?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_openssl_prints_them() {
        assert_eq!(moment("Jan  1 00:00:00 1970 GMT"), Some(0));
        assert_eq!(moment("Nov 29 08:08:50 2026 GMT"), Some(1_795_939_730));
        for bad in [
            "",
            "Nov 29 08:08:50 2026",
            "Nov 31 08:08:50 2026 GMT",
            "Nov 29 08:08 2026 GMT",
            "X 1 1:1:1 1 GMT",
        ] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }
}
