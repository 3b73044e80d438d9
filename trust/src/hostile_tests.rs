//! Whatever strangers send is read or refused, never a panic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use crate::TrustSet;
use crate::authority::read_lists;
use crate::entry::EntryName;
use crate::local::clients_file;
use crate::project::DnsPattern;
use crate::rights::ProjectName;
use crate::testing::*;
use crate::token::{Expiry, TokenId, WireToken};

/// Text that looks like a token's JSON here and there.
fn json() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(r#""client_name":"a","#.to_owned()),
        Just(r#""fingerprint":"00","#.to_owned()),
        Just(format!(r#""fingerprint":"{}","#, "0".repeat(64))),
        Just(r#""addresses":["a"],"#.to_owned()),
        Just(r#""addresses":{},"#.to_owned()),
        Just(r#""secret":"x","#.to_owned()),
        Just(r#""expires_at":"9999-99-99T00:00:00Z","#.to_owned()),
        Just(r#""expires_at":"-0001-01-01T00:00:00+99:99""#.to_owned()),
        "\\PC{0,20}",
    ];
    prop::collection::vec(part, 0..8)
        .prop_map(|parts| format!("{{{}}}", parts.concat().trim_end_matches(',')))
}

proptest! {
    #[test]
    fn tokens(text in "\\PC{0,200}", json in json()) {
        let _ = WireToken::decode(&text);
        if let Ok(token) = WireToken::decode(&STANDARD.encode(json)) {
            prop_assert_eq!(WireToken::decode(&token.encode().unwrap()).unwrap(), token);
        }
    }

    #[test]
    fn words(text in "\\PC{0,100}") {
        if let Ok(name) = text.parse::<EntryName>() {
            prop_assert_eq!(name.as_str(), &text);
        }
        if let Some(name) = EntryName::nearest(&text) {
            prop_assert!(name.as_str().parse::<EntryName>().is_ok());
        }
        if let Ok(expiry) = text.parse::<Expiry>() {
            let _ = expiry.after(NOW);
            prop_assert_eq!(expiry.to_string().parse::<Expiry>().unwrap(), expiry);
        }
        let _ = (text.parse::<ProjectName>(), text.parse::<DnsPattern>(), text.parse::<TokenId>());
    }

    #[test]
    fn spans(parts in prop::collection::vec((any::<u32>(), "[SMHdwmyx]"), 0..4)) {
        let text = parts.iter().map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ");
        if let Ok(expiry) = text.parse::<Expiry>()
            && let Ok(Some(end)) = expiry.after(NOW)
        {
            prop_assert!(end > NOW);
        }
    }

    #[test]
    fn files(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0..2000usize) {
        let _ = read_lists(&bytes);
        let set = TrustSet::open(store::Store::in_memory()).unwrap();
        let mut pem = stranger("anna").to_pem().into_bytes();
        let at = cut % pem.len();
        pem.splice(at..at, bytes.iter().copied().take(8));
        let contents = clients_file::read(&pem, &set.now().unwrap());
        prop_assert!(contents.new.len() <= 1);
        let _ = clients_file::read(&bytes, &set.now().unwrap());
    }
}
