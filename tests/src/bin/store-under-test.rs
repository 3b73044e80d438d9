//! Commits to a store whose segments are small: what `faults::power` records of the store alone.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = std::env::args().nth(1).ok_or("how many commits?")?.parse()?;
    let directory = std::env::var_os("PKI_DIR").ok_or("no PKI_DIR")?;
    tests::faults::serve_commits(std::path::Path::new(&directory), number)
}
