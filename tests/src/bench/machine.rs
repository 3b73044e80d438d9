//! What the figures were measured on. No name of a host or a user is ever told.

use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Processors, memory, kernel, file system, versions, and how busy it was: a line each.
pub fn describe(place: &Path) -> Vec<(String, String)> {
    let cpu = read("/proc/cpuinfo");
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let mebibytes =
        memory.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib / 1024);
    let model = field(&cpu, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    vec![
        ("processors".to_owned(), format!("{} × {model}", processors())),
        ("memory".to_owned(), format!("{mebibytes} MiB")),
        ("kernel".to_owned(), format!("Linux {kernel}")),
        ("file system".to_owned(), file_system(place)),
        ("OpenSSL".to_owned(), first_line(Command::new("openssl").arg("version"))),
    ]
}

/// How many processors there are.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The first line that a program says; empty if it can't be run.
pub fn first_line(command: &mut Command) -> String {
    let said = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
}

/// The kind of file system that a path lies on, with its options.
fn file_system(path: &Path) -> String {
    let mounts = read("/proc/self/mounts");
    let found = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?, words.next()?))
        })
        .filter(|(mounted, ..)| path.starts_with(mounted))
        .max_by_key(|(mounted, ..)| mounted.len());
    found.map_or_else(|| "unknown".to_owned(), |(_, kind, options)| format!("{kind} ({options})"))
}

/// Processor time since the machine started, in ticks: what others took away, and all of it.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    stolen: u64,
    busy: u64,
    all: u64,
}

impl Ticks {
    /// As it is now.
    pub fn now() -> Ticks {
        let stat = read("/proc/stat");
        let ticks: Vec<u64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .filter_map(|ticks| ticks.parse().ok())
            .collect();
        let of = |place: usize| ticks.get(place).copied().unwrap_or(0);
        let all = ticks.iter().take(8).sum();
        Ticks { stolen: of(7), busy: all - of(3) - of(4), all }
    }

    /// What happened since, in words.
    pub fn since(self, before: Ticks) -> String {
        let all = self.all.saturating_sub(before.all).max(1) as f64;
        let share = |now: u64, then: u64| now.saturating_sub(then) as f64 / all * 100.0;
        format!(
            "processors busy {:.0} % of the time, taken away by the host {:.1} %",
            share(self.busy, before.busy),
            share(self.stolen, before.stolen)
        )
    }
}

/// How busy the machine is before we begin: the load of the last minute.
pub fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}
