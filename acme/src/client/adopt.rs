//! Finding an order that was sent, and whose answer never came (RFC 8555 §7.1.2.1).
//!
//! An order counts against the authority's limits whether we heard of it or not. Before another is sent, the
//! account's list of orders is looked through for one that is open and for exactly these names. Where an
//! authority keeps no such list, nothing is found, and another order is sent.

use std::collections::BTreeSet;

use http::header::LINK;
use serde::Deserialize;
use serde_json::Value;

use super::Names;
use super::session::{Fault, Session};
use crate::wire::jws::AccountKey;

/// The most orders that are looked at.
const ORDERS: usize = 100;
/// The most pages of the list that are read.
const PAGES: usize = 40;

/// What we read of an account.
#[derive(Deserialize)]
struct Account {
    orders: Option<String>,
}

/// One page of its list of orders.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    orders: Vec<String>,
}

/// What we read of an order.
#[derive(Deserialize)]
struct Order {
    status: String,
    #[serde(default)]
    identifiers: Vec<Identifier>,
}

#[derive(Deserialize)]
struct Identifier {
    value: String,
}

/// The URL of an open order of this account for exactly these names, if there is one.
pub(super) async fn open_order(
    session: &Session,
    key: &AccountKey,
    account: &str,
    names: &Names,
) -> Result<Option<String>, Fault> {
    let wanted: BTreeSet<String> = names.to_strings().into_iter().collect();
    let Some((found, _)) = read::<Account>(session, key, account, account).await? else { return Ok(None) };
    let mut next = found.orders;
    let (mut pages, mut orders) = (0, 0);
    while let Some(url) = next.take().filter(|_| pages < PAGES) {
        pages += 1;
        let Some((page, links)) = read::<Page>(session, key, account, &url).await? else { break };
        next = links.iter().find_map(|link| next_page(link));
        for url in page.orders {
            orders += 1;
            if orders > ORDERS {
                return Ok(None);
            }
            let Some((order, _)) = read::<Order>(session, key, account, &url).await? else { continue };
            let of: BTreeSet<String> = order.identifiers.into_iter().map(|one| one.value).collect();
            if of == wanted && matches!(order.status.as_str(), "pending" | "ready") {
                return Ok(Some(url));
            }
        }
    }
    Ok(None)
}

type Links = Vec<String>;

/// Reads an object by POST-as-GET (RFC 8555 §6.3); `None` if the authority has no such thing, or nothing
/// that we understand.
async fn read<T: for<'de> Deserialize<'de>>(
    session: &Session,
    key: &AccountKey,
    account: &str,
    url: &str,
) -> Result<Option<(T, Links)>, Fault> {
    let nonce = session.nonce().await?;
    let jws = key
        .sign_as(account, url, &nonce, None::<&Value>)
        .map_err(|fault| Fault::Library(instant_acme::Error::Other(fault.into())))?;
    let (body, headers) = match session.post(url, &jws).await {
        Ok(answer) => answer,
        Err(Fault::Problem(problem)) if matches!(problem.status, Some(403 | 404 | 405 | 501)) => {
            return Ok(None);
        }
        Err(other) => return Err(other),
    };
    let links = headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok().map(str::to_owned));
    Ok(serde_json::from_slice(&body).ok().map(|object| (object, links.collect())))
}

/// Where a `Link` header says the next page is (RFC 8288 §3).
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|one| {
        let (url, parameters) = one.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next"));
        next.then(|| url.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_other_links() {
        let link = "<https://ca.example/dir>;rel=\"index\", <https://ca.example/o?cursor=3>;rel=\"next\"";
        assert_eq!(next_page(link).as_deref(), Some("https://ca.example/o?cursor=3"));
        assert_eq!(next_page("<https://ca.example/dir>;rel=\"index\""), None);
        assert_eq!(next_page("nonsense"), None);
    }
}
