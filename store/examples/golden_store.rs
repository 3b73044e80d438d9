//! Writes the golden store that every later version must open: `tests/fixtures/store-v1`.
//!
//! Run once for each format, never again for the same one:
//! `cargo run -p store --example golden_store -- store/tests/fixtures/store-v1`

use std::path::PathBuf;

use store::checkpoint::{AuditKey, LogName};
use store::{Batch, Class, Create, Key, OpenOptions, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target: PathBuf = std::env::args_os().nth(1).ok_or("the target directory is missing")?.into();
    let work = tempfile::tempdir()?;
    let mut options = OpenOptions::new(Create::IfAbsent);
    // Small enough for several sealed segments.
    options.limits.segment = 4096;
    let (store, _) = Store::open(&work.path().join("store"), options)?;
    for number in 0..12u8 {
        let class = if number % 4 == 3 { Class::State } else { Class::Ledger };
        let time = 1_760_000_000 + i64::from(number);
        let mut batch = Batch::new(class, time, "local:1000(anna)", format!("change {number} — ü"));
        batch.put(Key::new("small").part(format!("{}", number % 5)), vec![number; usize::from(number)]);
        batch.put(Key::new("large").part("a/b%c").part([number % 3]), vec![number; 700]);
        if number % 3 == 2 {
            batch.delete(Key::new("small").part(format!("{}", number % 5)));
        }
        if number == 6 {
            store.begin_epoch(batch)?;
        } else {
            store.commit(batch)?;
        }
    }
    let random = aws_lc_rs::rand::SystemRandom::new();
    let audit = AuditKey::load_or_create(&work.path().join("audit.key"), &random)?;
    let origin = LogName::new("golden.example")?;
    store.checkpoint(&audit, &origin, 1_760_000_100)?;
    store.snapshot()?.copy_to(&target)?;
    std::fs::write(target.join("audit.pub"), format!("{}\n", audit.public(origin)))?;
    Ok(())
}
