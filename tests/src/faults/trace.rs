//! The calls of an operation, as strace wrote them down, and by what each is found again.
//!
//! strace counts calls for each thread by itself, so `when=N` strikes whichever thread comes first
//! to its Nth call, and which thread does what differs from run to run. A point is therefore narrowed
//! with `-P` to the file or the name that the call is about: of those it counts alone. In a process
//! namespace of its own a process has the same number in each run, and so have the temporary files
//! that bear it. A name that other recordings of the same operation do not know is not used. Where two
//! threads do the same to one file, the calls of the second are counted from another call on that comes
//! before them. Where there is none, the call is out of reach, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The calls that change what is on disk, or make it last.
pub(super) const CALLS: [&str; 16] = [
    "fchmod",
    "fdatasync",
    "fsync",
    "ftruncate",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "openat",
    "pwrite64",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "write",
];

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL before the call has any effect.
    Kill,
    /// An fsync or fdatasync fails once with EIO.
    SyncFails,
    /// A write fails once with ENOSPC.
    DiskFull,
}

impl Fault {
    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill -9",
            Fault::SyncFails => "EIO",
            Fault::DiskFull => "ENOSPC",
        }
    }

    /// Whether it can happen at a call of this name.
    pub(super) fn strikes(self, call: &str) -> bool {
        match self {
            Fault::Kill => true,
            Fault::SyncFails => matches!(call, "fsync" | "fdatasync"),
            Fault::DiskFull => matches!(call, "write" | "pwrite64"),
        }
    }

    pub(super) fn injection(self) -> &'static str {
        match self {
            Fault::Kill => "signal=KILL",
            Fault::SyncFails => "error=EIO",
            Fault::DiskFull => "error=ENOSPC",
        }
    }
}

/// One place where a fault happens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The system call.
    pub call: String,
    /// The calls that are counted.
    pub name: Name,
    /// Which of them it is, in one thread.
    pub nth: usize,
    /// The call that the counting begins behind; without one it begins at the start.
    pub after: Option<Box<Point>>,
}

/// By what a call is told from others with the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A path below the sandbox that it names, or that its file has.
    Path(String),
    /// A relative path that it names.
    Word(String),
    /// Nothing.
    Any,
}

impl std::fmt::Display for Point {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.call, self.nth)?;
        match &self.name {
            Name::Path(name) | Name::Word(name) => write!(formatter, " of {name}")?,
            Name::Any => {}
        }
        match &self.after {
            Some(after) => write!(formatter, " after {after}"),
            None => Ok(()),
        }
    }
}

/// The calls an operation makes.
#[derive(Clone, Debug)]
pub struct Recording {
    /// One point for every call that can be struck, in the order they were made.
    pub points: Vec<Point>,
    /// The calls that cannot be struck, because an earlier one always takes their place.
    pub hidden: Vec<Point>,
    /// Of both, the writes to what is no file below the sandbox, a socket mostly: no disk is too full for those.
    pub elsewhere: BTreeSet<Point>,
}

impl Recording {
    /// The points at which `fault` can happen.
    pub fn points_of(&self, fault: Fault) -> Vec<Point> {
        self.of(fault, &self.points)
    }

    /// The calls at which `fault` could happen, but that are out of reach.
    pub fn hidden_of(&self, fault: Fault) -> Vec<Point> {
        self.of(fault, &self.hidden)
    }

    fn of(&self, fault: Fault, points: &[Point]) -> Vec<Point> {
        let room = |point: &Point| fault != Fault::DiskFull || !self.elsewhere.contains(point);
        points.iter().filter(|point| fault.strikes(&point.call) && room(point)).cloned().collect()
    }
}

/// A call as it was recorded.
pub(super) struct Made {
    thread: String,
    call: String,
    /// What it can be told from others by, the best first.
    names: Vec<Name>,
    /// Whether it changes anything, or makes it last.
    changes: bool,
}

/// Reads a trace. Lines look like `895 fsync(12</tmp/x/pki/ca.crl>) = 0`.
pub(super) fn calls(text: &str, root: &Path) -> Vec<Made> {
    let mut made = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        if !CALLS.contains(&call) {
            continue;
        }
        // Opening what is there, or reading, changes nothing: being killed at it is being killed at
        // the call before. What lies elsewhere, like /dev/null, is nobody's.
        let opens = call == "openat" && !arguments.contains("O_CREAT");
        let changes = !opens && !arguments.contains("/dev/null");
        let names = names(call, arguments, root);
        made.push(Made { thread: thread.to_owned(), call: call.to_owned(), names, changes });
    }
    made
}

/// Everything that strace's `-P` knows a call by, the best first.
fn names(call: &str, arguments: &str, root: &Path) -> Vec<Name> {
    let below = |path: &str| {
        let path = Path::new(path).strip_prefix(root).ok()?.to_str()?;
        Some(Name::Path(path.to_owned()))
    };
    // What stands between quotes is a name, or what is written.
    let writes = matches!(call, "write" | "pwrite64");
    let quoted: Vec<&str> =
        arguments.split('"').skip(1).step_by(2).take(if writes { 0 } else { 2 }).collect();
    // Of the two names that `rename` and `link` take, strace goes by the first.
    let by = quoted.iter().take(if matches!(call, "rename" | "link") { 1 } else { 2 });
    let mut names: Vec<Name> = Vec::new();
    for word in by.rev() {
        match word.starts_with('/') {
            true => names.extend(below(word)),
            false => names.push(Name::Word((*word).to_owned())),
        }
    }
    // Of what stands outside of them, the files of descriptors; what follows the `)` is the answer.
    let outside: String = arguments.split('"').step_by(2).take(if writes { 1 } else { 3 }).collect();
    let outside = outside.split(')').next().unwrap_or_default();
    for (at, _) in outside.match_indices('<') {
        let path = outside[at + 1..].split('>').next().unwrap_or_default();
        if !outside[..at].ends_with("AT_FDCWD") {
            names.extend(below(path).filter(|name| !names.contains(name)));
        }
    }
    names.push(Name::Any);
    names
}

/// Whether what a write goes to is a file below the sandbox.
fn is_file(names: &[Name]) -> bool {
    names.iter().any(|name| matches!(name, Name::Path(_)))
}

/// Whether the call that was made to fail was about a file below the sandbox. In a trace it is one line, or one
/// that ends unfinished and another that takes it up.
pub(super) fn struck_a_file(trace: &str, root: &Path) -> bool {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let whole = match rest.starts_with("<... ") {
            true => begun.get(thread).copied().unwrap_or_default(),
            false => rest,
        };
        begun.insert(thread, whole);
        if line.contains("(INJECTED)") {
            let about = |(call, arguments)| is_file(&names(call, arguments, root));
            return whole.split_once('(').is_some_and(about);
        }
    }
    false
}

/// How many calls before one that has no name of its own are tried to count from.
const ANCHORS: usize = 4;

/// Makes points of the calls of the first of several runs: by the best name that every run knew the call
/// by, if no call before it was known by the same.
pub(super) fn recording(runs: &[Vec<Made>]) -> Recording {
    let mut recording = Recording { points: Vec::new(), hidden: Vec::new(), elsewhere: BTreeSet::new() };
    let Some(first) = runs.first() else { return recording };
    let found = first_points(runs, &vec![0; runs.len()]);
    for (at, made) in first.iter().enumerate().filter(|(_, made)| made.changes) {
        let earlier = |own: bool| {
            let before = (0..at).rev().filter(move |before| (first[*before].thread == made.thread) == own);
            before.filter_map(|before| found[before].as_ref()).take(ANCHORS)
        };
        let counted_from = |anchor: &Point| {
            let starts: Option<Vec<usize>> = runs.iter().map(|run| place(run, anchor)).collect();
            let starts = starts?;
            let point = first_points(runs, &starts).into_iter().nth(at - starts[0])??;
            Some(Point { after: Some(Box::new(anchor.clone())), ..point })
        };
        let point = found[at].clone();
        let point = point.or_else(|| earlier(true).chain(earlier(false)).find_map(counted_from));
        let (found, point) = match point {
            Some(point) => (&mut recording.points, point),
            None => match points(first).swap_remove(at).into_iter().next() {
                Some(point) => (&mut recording.hidden, point),
                None => continue,
            },
        };
        if !is_file(&made.names) {
            recording.elsewhere.insert(point.clone());
        }
        found.push(point);
    }
    recording
}

/// Where counting begins that begins behind a call.
fn place(run: &[Made], anchor: &Point) -> Option<usize> {
    points(run).iter().position(|points| points.contains(anchor)).map(|at| at + 1)
}

/// For each call of the first run, counted from `starts` on: the best point that strikes it first, if there is
/// one that all the runs have.
fn first_points(runs: &[Vec<Made>], starts: &[usize]) -> Vec<Option<Point>> {
    let mut runs = runs.iter().zip(starts).map(|(run, start)| points(&run[*start..]));
    let first = runs.next().unwrap_or_default();
    let others: Vec<BTreeSet<Point>> = runs.map(|points| points.into_iter().flatten().collect()).collect();
    let mut taken = BTreeSet::new();
    let best = |points: Vec<Point>| {
        let new: Vec<Point> = points.into_iter().filter(|point| taken.insert(point.clone())).collect();
        new.into_iter().find(|point| others.iter().all(|other| other.contains(point)))
    };
    first.into_iter().map(best).collect()
}

/// What strikes each of these calls, or one of another thread before it.
fn points(calls: &[Made]) -> Vec<Vec<Point>> {
    let mut counts: BTreeMap<(&str, &str, &Name), usize> = BTreeMap::new();
    let point = |made: &Made, name: &Name, nth| Point {
        call: made.call.clone(),
        name: name.clone(),
        nth,
        after: None,
    };
    let mut all = Vec::new();
    for made in calls {
        let points = made.names.iter().map(|name| {
            let count = counts.entry((&made.thread, &made.call, name)).or_default();
            *count += 1;
            point(made, name, *count)
        });
        all.push(points.collect());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(points: &[Point]) -> Vec<String> {
        points.iter().map(Point::to_string).collect()
    }

    #[test]
    fn a_call_is_known_by_a_name_that_other_runs_know_it_by() {
        let run = |serial: &str| {
            let trace = format!(
                "\
10 pwrite64(5</s/pki/store/index/db>, \"\\\"</x>\\\"\"..., 9, 0) = 9
11 pwrite64(9</s/pki/store/journal/1.seg>, \"x\"..., 9, 0) = 9
10 openat(5</s>, \"there\", O_RDONLY) = 3</s/there>
10 openat(AT_FDCWD</s/work>, \"/s/pki/lock\", O_RDWR|O_CREAT, 0600) = 3</s/pki/lock>
12 openat(5</s>, \"{serial}.crt\", O_WRONLY|O_CREAT, 0600) = 3</s/{serial}.crt>
10 renameat(5</s>, \".pki-tmp-1-0\", 5</s>, \"{serial}.crt\") = 0
10 renameat(5</s>, \".pki-tmp-1-1\", 5</s>, \"ca.crt\") = 0
10 write(1<pipe:[7]>, \"said\", 4) = 4
12 fsync(5</s/pki/ca.crl> <unfinished ...>
12 <... fsync resumed>) = 0
13 fsync(5</s/pki/ca.crl>) = 0
10 +++ exited with 0 +++
"
            );
            calls(&trace, Path::new("/s"))
        };
        let found = recording(&[run("17"), run("18")]);
        let full = found.points_of(Fault::DiskFull);
        assert_eq!(
            shown(&full),
            ["pwrite64 1 of pki/store/index/db", "pwrite64 1 of pki/store/journal/1.seg",]
        );
        let expected = [
            "pwrite64 1 of pki/store/index/db",
            "pwrite64 1 of pki/store/journal/1.seg",
            "openat 1 of pki/lock",
            "openat 1 of  after openat 1 of pki/lock",
            "renameat 1 of .pki-tmp-1-0",
            "renameat 1 of ca.crt",
            "write 1",
            "fsync 1 of pki/ca.crl",
            "fsync 1 of pki/ca.crl after fsync 1 of pki/ca.crl",
        ];
        assert_eq!(shown(&found.points), expected);
        assert!(found.hidden.is_empty());
        let once = || calls("10 fsync(5</s/pki/ca.crl>) = 0\n", Path::new("/s"));
        assert_eq!(shown(&recording(&[once(), once()]).points), ["fsync 1 of pki/ca.crl"]);
        // What another run does not do is out of reach.
        assert_eq!(shown(&recording(&[once(), Vec::new()]).hidden), ["fsync 1 of pki/ca.crl"]);
    }

    #[test]
    fn a_full_disk_fails_no_write_but_one_to_a_file() {
        // Two files whose names differ from run to run, and a socket: told by their place alone.
        let run = |serial: &str| {
            let trace = format!(
                "10 write(4</s/{serial}.crt>, \"x\", 1) = 1\n10 write(5<socket:[7]>, \"</s/x>\", 5) = 5\n\
                 10 write(6</s/{serial}.key>, \"x\", 1) = 1\n"
            );
            calls(&trace, Path::new("/s"))
        };
        let found = recording(&[run("17"), run("18")]);
        assert_eq!(shown(&found.points), ["write 1", "write 2", "write 3"]);
        assert_eq!(shown(&found.points_of(Fault::DiskFull)), ["write 1", "write 3"]);
        assert_eq!(found.points_of(Fault::Kill).len(), 3);

        let (file, socket) = ("write(4</s/19.crt>, \"x\", 1", "write(5<socket:[7]>, \"</s/x>\", 5");
        let failed = "= -1 ENOSPC (No space left on device) (INJECTED)";
        for (call, expected) in [(file, true), (socket, false)] {
            let whole = format!("10 {call}) {failed}\n");
            assert_eq!(struck_a_file(&whole, Path::new("/s")), expected, "{whole}");
            let parts =
                format!("10 {call} <unfinished ...>\n11 {socket}) = 5\n10 <... write resumed>) {failed}\n");
            assert_eq!(struck_a_file(&parts, Path::new("/s")), expected, "{parts}");
        }
    }
}
