//! Which program holds a port, for the error that says so. Linux tells in `/proc`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// Names the program that listens on `address`, as far as this user may see it.
pub(super) fn holder(address: SocketAddr) -> String {
    find(Path::new("/proc"), address)
        .unwrap_or_else(|| "another program, which this user may not see,".to_owned())
}

fn find(proc: &Path, address: SocketAddr) -> Option<String> {
    let inodes: Vec<u64> = ["net/tcp", "net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(proc.join(table)).ok())
        .flat_map(|table| listening(&table, address.port()))
        .collect();
    for process in fs::read_dir(proc).ok()?.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = files.flatten().filter_map(|file| fs::read_link(file.path()).ok()).any(|target| {
            socket_inode(&target.to_string_lossy()).is_some_and(|inode| inodes.contains(&inode))
        });
        if holds {
            let program = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(match program.trim() {
                "" => format!("process {pid}"),
                program => format!("{} (pid {pid})", program.escape_debug()),
            });
        }
    }
    None
}

/// The inodes of the sockets that listen on `port`, from `/proc/net/tcp` or `tcp6`.
fn listening(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let held = u16::from_str_radix(local, 16).ok()?;
        (held == port && *fields.get(3)? == LISTEN).then(|| fields.get(9)?.parse().ok()).flatten()
    };
    table.lines().skip(1).filter_map(inode).collect()
}

fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_names_its_holder() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = find(Path::new("/proc"), listener.local_addr().unwrap()).unwrap();
        assert!(found.ends_with(&format!("(pid {})", std::process::id())), "{found}");
    }

    #[test]
    fn a_port_nobody_holds_has_no_holder() {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(find(Path::new("/proc"), address), None);
    }

    #[test]
    fn tables_are_read_strictly() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1\n\
             1: 0100007F:1F90 0100007F:1F91 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1\nbroken\n";
        assert_eq!(listening(table, 8080), [4242]);
        assert!(listening(table, 8081).is_empty());
        assert_eq!(socket_inode("socket:[17]"), Some(17));
        assert_eq!(socket_inode("pipe:[17]"), None);
    }
}
