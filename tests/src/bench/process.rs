//! What the kernel says of a process: its memory, what it wrote.

use std::path::Path;

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn read(process: &str, file: &str) -> String {
    let path = format!("/proc/{process}/{file}");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Memory in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// All pages that are in memory.
    pub resident: f64,
    /// The same, with shared pages divided among those who share them.
    pub proportional: f64,
}

impl Memory {
    /// Of the process with this id.
    pub fn of(process: u32) -> Memory {
        let text = read(&process.to_string(), "smaps_rollup");
        Memory { resident: mebibytes(field(&text, "Rss")), proportional: mebibytes(field(&text, "Pss")) }
    }
}

/// The most memory a process (`self` or an id) ever had since [`forget_peak`], MiB.
pub fn peak(process: &str) -> f64 {
    mebibytes(field(&read(process, "status"), "VmHWM"))
}

/// Begins the peak anew.
pub fn forget_peak(process: &str) {
    let path = format!("/proc/{process}/clear_refs");
    std::fs::write(&path, "5").unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Octets that this process caused to be written to the disk.
pub fn written() -> u64 {
    field(&read("self", "io"), "write_bytes")
}

/// Octets on disk of everything below a path, as the file system lays them out.
pub fn on_disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = std::fs::symlink_metadata(path) else { return 0 };
    let below = match found.is_dir() {
        true => {
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| on_disk(&entry.path())).sum()
        }
        false => 0,
    };
    found.blocks() * 512 + below
}

fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        let memory = Memory::of(std::process::id());
        assert!(memory.resident > 0.5 && memory.proportional > 0.0, "{memory:?}");
        forget_peak("self");
        let before = peak("self");
        let block = vec![1u8; 32 << 20];
        assert!(peak("self") - before > 30.0 && block[1 << 20] == 1);
    }
}
