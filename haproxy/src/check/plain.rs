//! What concerns the process and port 80.

use super::read::{Document, Line, Mode, Section};
use super::{Fault, Findings, Surroundings};

pub(super) fn check(document: &Document, around: &Surroundings<'_>, findings: &mut Findings) {
    process(document, around, findings);
    logging(document, findings);
    for front in document.fronts() {
        order(front, findings);
        addresses(front, findings);
        hosts(front, findings);
        if front.mode() == Mode::Http {
            for line in front.beginning(&["tcp-request", "inspect-delay"]) {
                if front.beginning(&["tcp-request", "content"]).next().is_none() {
                    let found = "an inspect-delay in an HTTP frontend without `tcp-request content`";
                    findings.add(line.number, Fault::NoEffect, found);
                }
            }
            challenge(document, front, findings);
        }
    }
    for section in document.sections() {
        for line in &section.lines {
            if line.words.windows(3).any(|three| three == ["redirect", "scheme", "https"]) {
                let found = "http://HOST:80/ is redirected to https://HOST:80/, where no TLS is spoken";
                findings.add(line.number, Fault::RedirectKeepsPort, found);
            }
        }
    }
}

/// How many files HAProxy opens besides two for each connection (measured: 100000 need 200032).
const BESIDES: u64 = 32;

/// A limit below which an explicit maxconn is nobody's trouble: the kernel's own hard limit for processes.
const COMMON_LIMIT: u64 = 4096;

fn process(document: &Document, around: &Surroundings<'_>, findings: &mut Findings) {
    let tls = document.fronts().flat_map(Section::binds).any(|bind| bind.has("ssl"));
    for line in document.global() {
        let first = line.words.first().map(String::as_str).unwrap_or_default();
        match first {
            "maxconn" => {
                let wanted = line.words.get(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
                let needed = wanted.saturating_mul(2).saturating_add(BESIDES);
                if needed > COMMON_LIMIT {
                    let here = match around.open_files {
                        Some(limit) if limit < needed => format!(" (here it is {limit})"),
                        Some(_) | None => String::new(),
                    };
                    let found = format!(
                        "{wanted} connections need {needed} open files; under a lower limit{here} HAProxy does not start"
                    );
                    findings.add(line.number, Fault::TooManyFiles, found);
                }
            }
            "stats" if line.begins(&["stats", "socket"]) && !line.has("expose-fd") => {
                let found = "a new process can't take the listeners over by this socket";
                findings.add(line.number, Fault::ListenersNotHanded, found);
            }
            name if !tls && (name.starts_with("ssl-default-bind") || name.starts_with("tune.ssl.")) => {
                let found = format!("{name} concerns listeners with `ssl`, and there is none");
                findings.add(line.number, Fault::NoEffect, found);
            }
            _ => {}
        }
    }
}

fn logging(document: &Document, findings: &mut Findings) {
    let target = document.global().any(|line| line.begins(&["log"]));
    let silent = document.fronts().find(|front| match front.last(&["log"]) {
        Some(line) => line.after("log") == Some("global") && !target,
        None => true,
    });
    if let Some(front) = silent {
        let found = match target {
            true => "`log` in global says where, but no frontend has `log global`: no connection is logged",
            false => "no log was named: no connection is logged",
        };
        findings.add(front.number, Fault::NothingLogged, found);
    }
}

fn order(front: &Section, findings: &mut Findings) {
    let Some(default) = front.beginning(&["default_backend"]).next() else { return };
    if front.beginning(&["use_backend"]).any(|line| line.number > default.number) {
        let found = "default_backend stands before use_backend";
        findings.add(default.number, Fault::Misleading, found);
    }
}

/// The address of a bind line without its port.
fn address(bind: &Line) -> Option<(&str, u16)> {
    let (host, port) = bind.words.get(1)?.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

fn addresses(front: &Section, findings: &mut Findings) {
    let bound: Vec<_> = front.binds().filter_map(|line| Some((line, address(line)?))).collect();
    let is_v6 = |host: &str| host.contains(':') || host.starts_with('[');
    let all_v4 = bound.iter().find(|(_, (host, _))| matches!(*host, "" | "*" | "0.0.0.0"));
    if let Some((line, (_, port))) = all_v4.filter(|_| !bound.iter().any(|(_, (host, _))| is_v6(host))) {
        findings.add(line.number, Fault::OnlyIpv4, format!("port {port} is listened on for IPv4 alone"));
    }
}

/// Words that compare the Host header as it was sent.
fn hosts(front: &Section, findings: &mut Findings) {
    for line in &front.lines {
        for (at, word) in line.words.iter().enumerate() {
            let plain = word.to_ascii_lowercase();
            let fetched = plain.strip_prefix("req.").unwrap_or(&plain);
            let converters = fetched.strip_prefix("hdr(host)");
            let Some(converters) = converters.filter(|rest| rest.is_empty() || rest.starts_with(',')) else {
                continue;
            };
            let portless = ["host_only", "field(", "regsub("].iter().any(|one| converters.contains(one));
            if !portless && is_exact(&line.words[at + 1..]) {
                let found = "the whole Host header is compared: `Host: NAME:80`, which authorities send, is not equal";
                findings.add(line.number, Fault::HostWithPort, found);
            }
        }
    }
}

/// Whether the flags behind an expression ask for equality.
fn is_exact(behind: &[String]) -> bool {
    let mut words = behind.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-m" => return words.next() == Some("str"),
            "--" => return true,
            flag if flag.starts_with('-') => {}
            _ => return true,
        }
    }
    false
}

/// Whether port 80 has its own way for the challenge.
fn challenge(document: &Document, front: &Section, findings: &mut Findings) {
    let at_80 = front.binds().any(|bind| address(bind).is_some_and(|(_, port)| port == 80));
    let redirects = |section: &Section| section.lines.iter().any(|line| line.has("redirect"));
    let upgrades = redirects(front) || document.handed(front).any(|(_, back)| redirects(back));
    let plain = front.binds().any(|bind| !bind.has("ssl") && !bind.has("accept-proxy"));
    let answers = front.mentions("acme-challenge")
        || front
            .lines
            .iter()
            .any(|line| line.begins(&["http-request", "return"]) && line.mentions("path,map("));
    if plain && (at_80 || upgrades) && !answers {
        let found = "/.well-known/acme-challenge/ has no way of its own: it is redirected or refused, and depends on TLS being up";
        findings.add(front.number, Fault::ChallengeUnanswered, found);
    }
}
