//! What a disk holds: files and folders as numbered nodes, and the changes that calls make to them.
//!
//! A name and the file behind it are two things, as on a real disk: that a file's bytes are on the
//! disk says nothing of its name, and the other way round.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A file or a folder, whatever it is called.
pub(super) type Node = usize;

/// The folder everything lies in.
pub(super) const ROOT: Node = 0;

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    File { bytes: Arc<Vec<u8>>, mode: u32 },
    Folder { names: BTreeMap<String, Node>, mode: u32 },
}

/// What one call does to the disk.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { file: Node, offset: u64, bytes: Arc<Vec<u8>> },
    Length { file: Node, length: u64 },
    Mode { node: Node, mode: u32 },
    Name { folder: Node, name: String, node: Node },
    Forget { folder: Node, name: String },
    Move { from: (Node, String), to: (Node, String), node: Node },
}

impl Change {
    /// The file whose bytes it changes.
    pub(super) fn file(&self) -> Option<Node> {
        match self {
            Change::Write { file, .. } | Change::Length { file, .. } => Some(*file),
            Change::Mode { .. } | Change::Name { .. } | Change::Forget { .. } | Change::Move { .. } => None,
        }
    }

    /// The folders whose names it changes.
    pub(super) fn folders(&self) -> Vec<Node> {
        match self {
            Change::Name { folder, .. } | Change::Forget { folder, .. } => vec![*folder],
            Change::Move { from, to, .. } if from.0 == to.0 => vec![from.0],
            Change::Move { from, to, .. } => vec![from.0, to.0],
            Change::Write { .. } | Change::Length { .. } | Change::Mode { .. } => Vec::new(),
        }
    }
}

/// Nodes by their numbers.
#[derive(Clone, Debug)]
pub(super) struct Disk(pub(super) Vec<Content>);

impl Disk {
    /// Reads what lies below `root`; sockets and the like are left out.
    pub(super) fn read(root: &Path) -> Result<Disk, String> {
        let mut disk = Disk(Vec::new());
        disk.add(root)?;
        Ok(disk)
    }

    fn add(&mut self, path: &Path) -> Result<Node, String> {
        use std::os::unix::fs::PermissionsExt;
        let refuse = |error: std::io::Error| format!("{}: {error}", path.display());
        let metadata = std::fs::symlink_metadata(path).map_err(refuse)?;
        let mode = metadata.permissions().mode() & 0o7777;
        let node = self.0.len();
        if metadata.is_dir() {
            self.0.push(Content::Folder { names: BTreeMap::new(), mode });
            for entry in std::fs::read_dir(path).map_err(refuse)? {
                let entry = entry.map_err(refuse)?;
                let kind = entry.file_type().map_err(refuse)?;
                if !kind.is_dir() && !kind.is_file() {
                    continue;
                }
                let name = entry.file_name().to_string_lossy().into_owned();
                let child = self.add(&entry.path())?;
                if let Content::Folder { names, .. } = &mut self.0[node] {
                    names.insert(name, child);
                }
            }
        } else {
            let bytes = Arc::new(std::fs::read(path).map_err(refuse)?);
            self.0.push(Content::File { bytes, mode });
        }
        Ok(node)
    }

    /// The node of a path below the root, as `pki/ca.crl`.
    pub(super) fn find(&self, path: &str) -> Option<Node> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(ROOT, |node, name| match &self.0[node] {
            Content::Folder { names, .. } => names.get(name).copied(),
            Content::File { .. } => None,
        })
    }

    /// The folder that holds a path, and the name in it.
    pub(super) fn place(&self, path: &str) -> Option<(Node, String)> {
        let path = path.trim_end_matches('/');
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Some((self.find(folder)?, name.to_owned()))
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { file, offset, bytes } => {
                if let Content::File { bytes: there, .. } = &mut self.0[*file] {
                    write(Arc::make_mut(there), *offset, bytes);
                }
            }
            Change::Length { file, length } => {
                if let Content::File { bytes, .. } = &mut self.0[*file] {
                    Arc::make_mut(bytes).resize(usize::try_from(*length).unwrap_or(usize::MAX), 0);
                }
            }
            Change::Mode { node, mode: new } => match &mut self.0[*node] {
                Content::File { mode, .. } | Content::Folder { mode, .. } => *mode = *new,
            },
            Change::Name { folder, name, node } => self.put(*folder, name, *node),
            Change::Forget { folder, name } => self.take(*folder, name),
            Change::Move { from, to, node } => {
                // Its first name may never have reached the disk, or be another file's by now.
                if matches!(&self.0[from.0], Content::Folder { names, .. } if names.get(&from.1) == Some(node))
                {
                    self.take(from.0, &from.1);
                }
                self.put(to.0, &to.1, *node);
            }
        }
    }

    fn put(&mut self, folder: Node, name: &str, node: Node) {
        if let Content::Folder { names, .. } = &mut self.0[folder] {
            names.insert(name.to_owned(), node);
        }
    }

    fn take(&mut self, folder: Node, name: &str) {
        if let Content::Folder { names, .. } = &mut self.0[folder] {
            names.remove(name);
        }
    }

    /// Every path with its node, folders before what lies in them.
    pub(super) fn paths(&self) -> Vec<(String, Node)> {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), ROOT)];
        while let Some((path, node)) = open.pop() {
            if let Content::Folder { names, .. } = &self.0[node] {
                let under =
                    |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                open.extend(names.iter().map(|(name, child)| (under(name), *child)));
            }
            found.push((path, node));
        }
        found
    }

    /// Writes everything below `root`, which exists.
    pub(super) fn write(&self, root: &Path) -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        for (path, node) in self.paths() {
            let at = root.join(&path);
            let mode = match &self.0[node] {
                Content::Folder { mode, .. } => {
                    if node != ROOT && !at.is_dir() {
                        std::fs::create_dir(&at)?;
                    }
                    mode
                }
                Content::File { bytes, mode } => {
                    std::fs::write(&at, bytes.as_slice())?;
                    mode
                }
            };
            std::fs::set_permissions(&at, std::fs::Permissions::from_mode(*mode))?;
        }
        Ok(())
    }
}

/// Writes into a file; what it skips over reads as zeros.
pub(super) fn write(bytes: &mut Vec<u8>, offset: u64, new: &[u8]) {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = offset.saturating_add(new.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}
