//! The timer that renews an enrolled certificate: an instance of the unit that the package ships.
//!
//! `pki-renew@DIR.timer` runs `pki renew --self --out DIR`; root's is the system's, anybody else's their own.
//! Where systemd does not take it, the user is told what to run; that is no failure of the enrolment.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::context::Context;

/// Whether the timer is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// `--no-timer`: the user is told how.
    Told,
    /// By `systemctl`.
    On,
}

/// Switches the timer of a folder on, or says how.
pub fn install(folder: &Path, wanted: Timer, context: &mut Context) {
    let Some(folder) = folder.to_str() else {
        context.output.say("renew it by a timer of your own: systemd can't name this directory");
        return;
    };
    let unit = format!("pki-renew@{}.timer", escape(folder));
    let mut words = vec!["enable", "--now", unit.as_str()];
    if !rustix::process::geteuid().is_root() {
        words.insert(0, "--user");
    }
    let line = format!("systemctl {}", words.join(" "));
    if wanted == Timer::On {
        let ended = Command::new("systemctl")
            .args(&words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if ended.is_ok_and(|status| status.success()) {
            context.output.say(&format!("{unit} renews it at two thirds of its life"));
            return;
        }
    }
    context.output.say(&format!("switch its renewal on: {line}"));
    context
        .output
        .hint(&format!("without systemd, run this several times a day: pki renew --self --out {folder}"));
}

/// A path as part of a unit's name, as `systemd-escape --path` writes it (systemd.unit(5)).
pub fn escape(path: &str) -> String {
    let trimmed = path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    if trimmed.is_empty() {
        return "-".to_string();
    }
    let mut escaped = String::with_capacity(trimmed.len());
    for (place, octet) in trimmed.bytes().enumerate() {
        match octet {
            b'/' => escaped.push('-'),
            b'.' if place == 0 => escaped.push_str("\\x2e"),
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b':' | b'_' | b'.' => escaped.push(char::from(octet)),
            other => escaped.push_str(&format!("\\x{other:02x}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_systemd_does() {
        for (path, escaped) in [
            ("/etc/web", "etc-web"),
            ("//etc//web/", "etc-web"),
            ("/", "-"),
            ("/etc/my-app", "etc-my\\x2dapp"),
            ("/.hidden/a b", "\\x2ehidden-a\\x20b"),
            ("/a/.b", "a-.b"),
            ("/\u{e4}", "\\xc3\\xa4"),
        ] {
            assert_eq!(escape(path), escaped, "{path}");
        }
    }
}
