//! As much of WebSockets (RFC 6455) as telling events takes: the handshake, frames of text to the client, and
//! of the client's own frames that it lives or goes.
//!
//! What a client says is read to its end and passed over. Refused are frames without a mask, of more than
//! [`LONGEST`], and what is no frame: the connection ends.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderName, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most octets of a frame of the client's.
const LONGEST: u64 = 16 * 1024;

/// What a frame is (RFC 6455 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The other end goes.
    Close,
    /// The other end asks whether we live; we answer with the same.
    Ping(Vec<u8>),
    /// Anything else.
    Other,
}

/// Why a connection ends (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// The service stops.
    GoingAway = 1001,
    /// The client has lost what let it in, or does not keep up.
    Policy = 1008,
}

/// The answer to a handshake (RFC 6455 §4.2.2); `None` if this is none of version 13.
pub(super) fn accept(headers: &HeaderMap) -> Option<Response> {
    let names = |header: HeaderName, wanted: &str| {
        let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    let is_key = STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    if !is_key
        || !names(UPGRADE, "websocket")
        || !names(CONNECTION, "upgrade")
        || !names(SEC_WEBSOCKET_VERSION, "13")
    {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(proof(key)).ok()?);
    Some(response)
}

/// What shows that the key was read. No secret rests on SHA-1 here: the RFC has it so.
fn proof(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Sends a text.
pub(super) async fn text(to: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    send(to, 0x1, text.as_bytes()).await
}

/// Asks whether the other end lives.
pub(super) async fn ping(to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    send(to, 0x9, &[]).await
}

/// Answers a ping.
pub(super) async fn pong(to: &mut (impl AsyncWrite + Unpin), said: &[u8]) -> io::Result<()> {
    send(to, 0xA, said).await
}

/// Says farewell.
pub(super) async fn close(to: &mut (impl AsyncWrite + Unpin), why: Closing) -> io::Result<()> {
    send(to, 0x8, &(why as u16).to_be_bytes()).await
}

async fn send(to: &mut (impl AsyncWrite + Unpin), kind: u8, said: &[u8]) -> io::Result<()> {
    let mut frame = vec![0x80 | kind];
    match (u8::try_from(said.len()), u16::try_from(said.len())) {
        (Ok(length @ 0..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        (_, Err(_)) => {
            frame.push(127);
            frame.extend((said.len() as u64).to_be_bytes());
        }
    }
    frame.extend(said);
    to.write_all(&frame).await?;
    to.flush().await
}

/// Reads the next frame. What is dropped in the middle can't be gone on with.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let wrong = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    let mut head = [0; 2];
    from.read_exact(&mut head).await?;
    let length = match head[1] & 0x7F {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        length => u64::from(length),
    };
    // RFC 6455 §5.1: a client masks everything. §5.5: a control frame is short and whole.
    let is_control = head[0] & 0x08 != 0;
    if head[1] & 0x80 == 0 || head[0] & 0x70 != 0 || length > LONGEST {
        return wrong("a frame without a mask, with an extension, or too long");
    }
    if is_control && (length > 125 || head[0] & 0x80 == 0) {
        return wrong("a control frame that is long or in parts");
    }
    let mut mask = [0; 4];
    from.read_exact(&mut mask).await?;
    let mut said = vec![0; usize::try_from(length).unwrap_or_default()];
    from.read_exact(&mut said).await?;
    said.iter_mut().zip(mask.iter().cycle()).for_each(|(octet, mask)| *octet ^= mask);
    match head[0] & 0x0F {
        0x8 => Ok(Frame::Close),
        0x9 => Ok(Frame::Ping(said)),
        0x0..=0x2 | 0xA => Ok(Frame::Other),
        _ => wrong("a frame of an unknown kind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(said: &[(&'static str, &str)]) -> HeaderMap {
        let named = said.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        named.collect()
    }

    #[test]
    fn the_handshake_is_that_of_the_rfc() {
        // RFC 6455 §1.3.
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", key),
        ];
        let answer = accept(&headers(&good)).unwrap();
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for (at, value) in [(0, "h2c"), (1, "close"), (2, "8"), (3, "c2hvcnQ="), (3, "!")] {
            let mut bad = good;
            bad[at].1 = value;
            assert!(accept(&headers(&bad)).is_none(), "{bad:?}");
            assert!(accept(&headers(&[&good[..at], &good[at + 1..]].concat())).is_none());
        }
    }

    #[tokio::test]
    async fn frames_are_written_and_read_strictly() {
        for (length, head) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125][..]),
            (126, &[0x81, 126, 0, 126][..]),
            (70_000, &[0x81, 127][..]),
        ] {
            let (mut written, said) = (Vec::new(), "x".repeat(length));
            text(&mut written, &said).await.unwrap();
            assert!(written.starts_with(head), "{:?}", &written[..4.min(written.len())]);
            assert!(written.ends_with(said.as_bytes()));
        }
        let mut written = Vec::new();
        close(&mut written, Closing::Policy).await.unwrap();
        assert_eq!(written, [0x88, 2, 0x03, 0xF0]);
        let masked = |head: u8, said: &[u8]| {
            let mut frame = vec![head, 0x80 | u8::try_from(said.len()).unwrap(), 1, 2, 3, 4];
            frame.extend(said.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(octet, mask)| octet ^ mask));
            frame
        };
        let reading = |bytes: Vec<u8>| async move { read(&mut bytes.as_slice()).await };
        assert_eq!(reading(masked(0x89, b"hello")).await.unwrap(), Frame::Ping(b"hello".to_vec()));
        assert_eq!(reading(masked(0x88, &[3, 232])).await.unwrap(), Frame::Close);
        assert_eq!(reading(masked(0x81, b"text")).await.unwrap(), Frame::Other);
        let mut bad = vec![
            masked(0x09, b"in parts"),
            masked(0x83, b"unknown"),
            masked(0xC1, b"extended"),
            vec![0x81, 0],
        ];
        bad.push(vec![0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0]);
        bad.push([&[0x89, 0xFE, 0, 126, 0, 0, 0, 0][..], &[0; 126]].concat());
        bad.push(masked(0x81, b"cut")[..7].to_vec());
        for bytes in bad {
            assert!(reading(bytes.clone()).await.is_err(), "{bytes:?}");
        }
    }
}
