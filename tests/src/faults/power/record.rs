//! Recording: what a run did to the disk, call by call, and from when on each change is durable.
//!
//! The rules are those of POSIX and nothing kinder: a file's bytes last once an `fsync` or
//! `fdatasync` of that file, begun after they were written, has come back; its name lasts once the
//! same was done to the folder. `sync_file_range` makes nothing last. What this refuses: a call whose
//! effect it does not know, and a recording that does not lead to the files that really lie there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Change, Content, Disk, Node};
use super::trace::{Call, Descriptor, calls};

/// Every call that can change what a file system holds, and those that move a file's position.
pub(super) const CALLS: &str = "openat,open,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,lseek,ftruncate,truncate,\
fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,mknod,mknodat,\
chmod,fchmod,fchmodat,fsync,fdatasync,sync,syncfs,msync,mmap,copy_file_range,sendfile,splice,io_uring_setup,dup,dup2,dup3";

/// A change with its time.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) change: Change,
    /// From this line of the trace on it may be on the disk.
    pub(super) begins: usize,
    ends: usize,
    /// From this line on it is; `None` if nothing ever made it last.
    pub(super) durable: Option<usize>,
}

/// What was said on standard output, and when.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) ends: usize,
}

/// A run, or several one after the other without a power cut between them.
pub(super) struct Recording {
    /// The disk before it, all of it durable.
    pub(super) before: Disk,
    pub(super) steps: Vec<Step>,
    pub(super) said: Vec<Said>,
    /// What each path held at any time, by its hash: whatever else lies there is a half.
    pub(super) seen: BTreeMap<String, BTreeSet<u64>>,
    /// One more than the last line.
    pub(super) end: usize,
}

struct Recorder {
    root: PathBuf,
    work: String,
    live: Disk,
    recording: Recording,
    positions: HashMap<(Node, String), u64>,
    appending: BTreeSet<(Node, String)>,
}

/// The hash by which contents are told apart.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

impl Recording {
    /// Puts traces together that were taken one after the other below `root`, which held `before` at
    /// first and holds now what they led to. Relative paths begin at `work`, a folder below it.
    pub(super) fn of(before: Disk, traces: &[String], root: &Path, work: &str) -> Result<Recording, String> {
        let recording = Recording {
            before: before.clone(),
            steps: Vec::new(),
            said: Vec::new(),
            seen: BTreeMap::new(),
            end: 0,
        };
        let mut recorder = Recorder {
            root: root.to_owned(),
            work: work.to_owned(),
            live: before,
            recording,
            positions: HashMap::new(),
            appending: BTreeSet::new(),
        };
        for (path, node) in recorder.live.paths() {
            recorder.see(path, node);
        }
        for trace in traces {
            let first = recorder.recording.end;
            for call in calls(trace, first)? {
                if call.succeeded() {
                    recorder.take(&call).map_err(|cause| format!("line {}: {cause}", call.ends + 1))?;
                }
            }
            recorder.recording.end = first + trace.lines().count() + 1;
        }
        recorder.compare()?;
        Ok(recorder.recording)
    }

    /// The last path of each node.
    pub(super) fn named(&self) -> BTreeMap<Node, String> {
        let mut disk = self.before.clone();
        let mut names = BTreeMap::new();
        for step in &self.steps {
            if step.change.file().is_none() {
                names.extend(disk.paths().into_iter().map(|(path, node)| (node, path)));
                disk.apply(&step.change);
            }
        }
        names.extend(disk.paths().into_iter().map(|(path, node)| (node, path)));
        names
    }
}

impl Recorder {
    /// A path below the root, without its slash at the front; `None` for any other.
    fn below(&self, path: &str) -> Option<String> {
        let rest = Path::new(path).strip_prefix(&self.root).ok()?;
        let plain = rest.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        plain.then(|| rest.to_string_lossy().into_owned())
    }

    /// The path that a folder's descriptor and a name lead to.
    fn joined(&self, folder: &str, name: &str) -> Option<String> {
        match (name.starts_with('/'), folder.is_empty()) {
            (true, _) => self.below(name),
            (false, true) => Some(format!("{}/{name}", self.work)),
            (false, false) => self.below(&format!("{folder}/{name}")),
        }
    }

    /// The path in the arguments `at` (a folder) and `at + 1`.
    fn path_at(&self, call: &Call, at: usize) -> Result<Option<String>, String> {
        let folder = call.descriptor(at)?.map(|folder| folder.path).unwrap_or_default();
        Ok(self.joined(&folder, &call.text(at + 1)?))
    }

    fn path(&self, call: &Call, at: usize) -> Result<Option<String>, String> {
        Ok(self.joined("", &call.text(at)?))
    }

    /// The node that the descriptor in an argument stands for; `None` for one outside, and for a socket.
    fn opened(&self, call: &Call, at: usize) -> Result<Option<(Node, Descriptor)>, String> {
        let Some(descriptor) = call.descriptor(at)? else { return Ok(None) };
        let Some(path) = self.below(&descriptor.path) else { return Ok(None) };
        Ok(self.live.find(&path).map(|node| (node, descriptor)))
    }

    fn change(&mut self, change: Change, call: &Call) {
        self.live.apply(&change);
        match &change {
            Change::Name { folder, name, node } | Change::Move { to: (folder, name), node, .. } => {
                if let Some(path) = self.named(*folder, name) {
                    self.see(path, *node);
                }
            }
            Change::Write { .. } | Change::Length { .. } | Change::Mode { .. } | Change::Forget { .. } => {}
        }
        self.recording.steps.push(Step { change, begins: call.begins, ends: call.ends, durable: None });
    }

    fn named(&self, folder: Node, name: &str) -> Option<String> {
        let (path, _) = self.live.paths().into_iter().find(|(_, node)| *node == folder)?;
        Some(if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") })
    }

    fn see(&mut self, path: String, node: Node) {
        if let Content::File { bytes, .. } = &self.live.0[node] {
            let hash = digest(bytes);
            self.recording.seen.entry(path).or_default().insert(hash);
        }
    }

    fn take(&mut self, call: &Call) -> Result<(), String> {
        match call.name.as_str() {
            "openat" => {
                let path = self.path_at(call, 0)?;
                self.open(
                    call,
                    path,
                    call.argument(2)?,
                    if call.arguments.len() > 3 { call.mode(3)? } else { 0 },
                )
            }
            "write" if call.argument(0)?.starts_with("1<\\x70\\x69\\x70\\x65") => {
                let text = String::from_utf8_lossy(&call.bytes(1)?).into_owned();
                self.recording.said.push(Said { text, ends: call.ends });
                Ok(())
            }
            "write" | "writev" => {
                let Some((file, descriptor)) = self.opened(call, 0)? else { return Ok(()) };
                let key = (file, descriptor.number);
                let mut offset = self.positions.get(&key).copied().unwrap_or(0);
                if self.appending.contains(&key)
                    && let Content::File { bytes, .. } = &self.live.0[file]
                {
                    offset = bytes.len() as u64;
                }
                let bytes = self.written(call)?;
                self.positions.insert(key, offset + bytes.len() as u64);
                self.change(Change::Write { file, offset, bytes: Arc::new(bytes) }, call);
                Ok(())
            }
            "pwrite64" => {
                let Some((file, _)) = self.opened(call, 0)? else { return Ok(()) };
                let (bytes, offset) = (Arc::new(self.written(call)?), call.number(3)?);
                self.change(Change::Write { file, offset, bytes }, call);
                Ok(())
            }
            "lseek" => {
                if let Some((file, descriptor)) = self.opened(call, 0)? {
                    self.positions.insert((file, descriptor.number), call.returned()?);
                }
                Ok(())
            }
            "ftruncate" => {
                let Some((file, _)) = self.opened(call, 0)? else { return Ok(()) };
                let length = call.number(1)?;
                self.change(Change::Length { file, length }, call);
                Ok(())
            }
            "fallocate" => self.allocate(call),
            "mmap" => match call.argument(3)?.contains("MAP_SHARED")
                && call.argument(2)?.contains("PROT_WRITE")
            {
                true if self.opened(call, 4)?.is_some() => Err("a file is written through memory".to_owned()),
                _ => Ok(()),
            },
            "fchmod" => {
                let Some((node, _)) = self.opened(call, 0)? else { return Ok(()) };
                let mode = call.mode(1)?;
                self.change(Change::Mode { node, mode }, call);
                Ok(())
            }
            "fsync" | "fdatasync" => {
                if let Some((node, _)) = self.opened(call, 0)? {
                    self.sync(node, call);
                }
                Ok(())
            }
            "dup" | "dup2" | "dup3" => match self.opened(call, 0)? {
                None => Ok(()),
                Some((_, descriptor)) => Err(format!("{} is duplicated", descriptor.path)),
            },
            _ => self.rename(call),
        }
    }

    fn written(&self, call: &Call) -> Result<Vec<u8>, String> {
        let (mut bytes, length) = (call.bytes(1)?, call.returned()?);
        // It may have written less than it was given.
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(format!("{length} bytes were written, {} are recorded", bytes.len())),
        }
    }

    fn open(&mut self, call: &Call, path: Option<String>, flags: &str, mode: u32) -> Result<(), String> {
        let Some(path) = path else { return Ok(()) };
        let has = |flag: &str| flags.split('|').any(|one| one == flag);
        if has("O_SYNC") || has("O_DSYNC") || has("O_TMPFILE") {
            return Err(format!("{path} is opened with {flags}"));
        }
        let node = match (self.live.find(&path), has("O_CREAT")) {
            (Some(node), _) => node,
            (None, true) => {
                let (folder, name) = self.live.place(&path).ok_or_else(|| format!("{path} has no folder"))?;
                let node = self.add(Content::File { bytes: Arc::default(), mode: mode & !0o022 });
                self.change(Change::Name { folder, name, node }, call);
                node
            }
            (None, false) => return Ok(()),
        };
        if let Some(Descriptor { number, .. }) = call.opened() {
            let key = (node, number);
            match has("O_APPEND") {
                true => self.appending.insert(key.clone()),
                false => self.appending.remove(&key),
            };
            self.positions.insert(key, 0);
        }
        match &self.live.0[node] {
            Content::File { bytes, .. } if has("O_TRUNC") && !bytes.is_empty() => {
                self.change(Change::Length { file: node, length: 0 }, call);
            }
            _ => {}
        }
        Ok(())
    }

    /// A node that nothing leads to yet.
    fn add(&mut self, content: Content) -> Node {
        self.live.0.push(content.clone());
        self.recording.before.0.push(content);
        self.live.0.len() - 1
    }

    fn allocate(&mut self, call: &Call) -> Result<(), String> {
        let Some((file, _)) = self.opened(call, 0)? else { return Ok(()) };
        let (mode, end) = (call.argument(1)?, call.number(2)? + call.number(3)?);
        match (mode, &self.live.0[file]) {
            ("FALLOC_FL_KEEP_SIZE", _) => Ok(()),
            ("0", Content::File { bytes, .. }) => {
                if (bytes.len() as u64) < end {
                    self.change(Change::Length { file, length: end }, call);
                }
                Ok(())
            }
            _ => Err(format!("fallocate with {mode}")),
        }
    }

    /// Calls about names.
    fn rename(&mut self, call: &Call) -> Result<(), String> {
        let (from, to) = match call.name.as_str() {
            "rename" => (self.path(call, 0)?, self.path(call, 1)?),
            "renameat" | "renameat2" => (self.path_at(call, 0)?, self.path_at(call, 2)?),
            "link" => (self.path(call, 0)?, self.path(call, 1)?),
            "linkat" => (self.path_at(call, 0)?, self.path_at(call, 2)?),
            "mkdir" => (self.path(call, 0)?, None),
            "mkdirat" => (self.path_at(call, 0)?, None),
            "unlink" | "rmdir" => (self.path(call, 0)?, None),
            "unlinkat" => (self.path_at(call, 0)?, None),
            other => return self.unknown(other, call),
        };
        let Some(from) = from else { return Ok(()) };
        if call.arguments.iter().any(|argument| argument.contains("RENAME_EXCHANGE")) {
            return Err("two names change places".to_owned());
        }
        if self.live.find(&from).is_none() && !call.name.starts_with("mkdir") {
            // A socket: sockets are not kept. A file that were missing here, `compare` would miss.
            return Ok(());
        }
        let placed = |path: &str| self.live.place(path).ok_or_else(|| format!("{path} has no folder"));
        let known = |path: &str| self.live.find(path).ok_or_else(|| format!("{path} is not known"));
        let change = match (call.name.as_str(), to) {
            ("mkdir", _) | ("mkdirat", _) => {
                let (folder, name) = placed(&from)?;
                let mode = call.mode(call.arguments.len() - 1)? & !0o022;
                let node = self.add(Content::Folder { names: BTreeMap::new(), mode });
                Change::Name { folder, name, node }
            }
            ("unlink" | "rmdir" | "unlinkat", _) => {
                let (folder, name) = placed(&from)?;
                Change::Forget { folder, name }
            }
            ("link" | "linkat", Some(to)) => {
                let node = known(&from)?;
                let (folder, name) = placed(&to)?;
                Change::Name { folder, name, node }
            }
            (_, Some(to)) => Change::Move { node: known(&from)?, from: placed(&from)?, to: placed(&to)? },
            (name, None) => return Err(format!("{name} of {from} leads out of the folder")),
        };
        self.change(change, call);
        Ok(())
    }

    /// A call that is not modelled may not touch what is recorded.
    fn unknown(&self, name: &str, call: &Call) -> Result<(), String> {
        let inside = call.arguments.iter().enumerate().any(|(at, argument)| {
            let path = call.descriptor(at).ok().flatten().map(|descriptor| descriptor.path);
            let path = path.or_else(|| argument.starts_with('"').then(|| call.text(at).ok()).flatten());
            path.is_some_and(|path| {
                self.joined("", &path).is_some_and(|path| self.live.find(&path).is_some())
            })
        });
        match inside || matches!(name, "sync" | "syncfs" | "io_uring_setup") {
            true => Err(format!("{name} is not known here")),
            false => Ok(()),
        }
    }

    /// Everything about `node` that had happened when the call began is durable when it ends.
    fn sync(&mut self, node: Node, call: &Call) {
        for at in 0..self.recording.steps.len() {
            let step = &self.recording.steps[at];
            if step.durable.is_some() || step.ends >= call.begins {
                continue;
            }
            let covered = match &step.change {
                Change::Write { file, .. } | Change::Length { file, .. } => *file == node,
                Change::Mode { node: other, .. } => *other == node && call.name == "fsync",
                // A move between two folders lasts once both are synced; there is none here.
                other => other.folders() == [node],
            };
            if covered {
                self.recording.steps[at].durable = Some(call.ends);
            }
        }
    }

    /// The recording must lead to what lies there.
    fn compare(&self) -> Result<(), String> {
        let real = Disk::read(&self.root)?;
        let content = |disk: &Disk| {
            let of = |node: Node| match &disk.0[node] {
                Content::File { bytes, mode } => Some((Arc::clone(bytes), *mode)),
                Content::Folder { .. } => None,
            };
            disk.paths().into_iter().map(|(path, node)| (path, of(node))).collect::<BTreeMap<_, _>>()
        };
        let (ours, theirs) = (content(&self.live), content(&real));
        for path in ours.keys().chain(theirs.keys()) {
            if ours.get(path) != theirs.get(path) {
                return Err(format!("the recording does not lead to the {path} that lies there"));
            }
        }
        Ok(())
    }
}
