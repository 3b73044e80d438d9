//! What concerns port 443 and the nodes behind it.

use super::read::{Document, Line, Mode, Section};
use super::{Fault, Findings};

pub(super) fn check(document: &Document, findings: &mut Findings) {
    for front in document.fronts().filter(|front| front.mode() == Mode::Tcp) {
        if front.binds().all(|bind| !bind.has("ssl")) {
            for (line, back) in document.handed(front).filter(|(_, back)| back.mode() == Mode::Http) {
                let found = format!(
                    "{} speaks HTTP: a TLS client that is handed to it is answered in plain text",
                    back.name
                );
                findings.add(line.number, Fault::PlainAnswer, found);
            }
        }
        held(front, findings);
    }
    for back in document.backs().filter(|back| back.mode() == Mode::Tcp) {
        scattered(back, findings);
        checks(back, findings);
    }
}

fn held(front: &Section, findings: &mut Findings) {
    let content = ["tcp-request", "content"];
    let rules = || front.beginning(&content).filter(|line| line.mentions("req.ssl_hello_type"));
    let accepts = rules().any(|line| line.words.get(2).is_some_and(|word| word == "accept"));
    for line in rules() {
        if line.words.get(2).is_some_and(|word| word == "reject") && line.has("unless") && !accepts {
            let found =
                "who sends nothing holds a connection for the whole inspect-delay, 5 s of the documented one";
            findings.add(line.number, Fault::HeldOpen, found);
        }
    }
}

fn servers(back: &Section) -> Vec<&Line> {
    back.beginning(&["server"]).collect()
}

fn scattered(back: &Section, findings: &mut Findings) {
    if servers(back).len() < 2 {
        return;
    }
    let balance = back.last(&["balance"]);
    let (number, method) = match balance.and_then(|line| Some((line.number, line.words.get(1)?.as_str()))) {
        Some(told) => told,
        None => (back.number, "roundrobin"),
    };
    if matches!(method, "roundrobin" | "static-rr" | "leastconn" | "random" | "first") {
        let found = format!(
            "{method} over several nodes: an authority asks several times at once, and one node holds the answer"
        );
        findings.add(number, Fault::ChallengeScattered, found);
    }
}

fn checks(back: &Section, findings: &mut Findings) {
    let scripted = back.lines.iter().any(|line| line.begins(&["tcp-check"]));
    for line in back.beginning(&["option", "tcp-check"]) {
        if !scripted {
            findings.add(line.number, Fault::NoEffect, "option tcp-check without `tcp-check` rules");
        }
    }
    let looks_inside =
        ["httpchk", "ssl-hello-chk", "ldap-check", "mysql-check", "pgsql-check", "redis-check", "smtpchk"]
            .into_iter()
            .any(|option| back.last(&["option", option]).is_some());
    if scripted || looks_inside {
        return;
    }
    let common: Vec<&Line> = back.beginning(&["default-server"]).collect();
    let of = |server: &Line, word: &str| server.has(word) || common.iter().any(|line| line.has(word));
    let bare = servers(back)
        .into_iter()
        .find(|server| of(server, "check") && !of(server, "check-ssl") && !of(server, "ssl"));
    if let Some(server) = bare {
        let found = "`check` connects and closes: a node is up as long as its port is open";
        findings.add(server.number, Fault::BareCheck, found);
    }
}
