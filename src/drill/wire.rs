//! HTTP/1.1 on a port of this machine, for the gate alone: what the drill answers it with, and in which manner.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The most connections at a time; the gate opens a few dozen.
const CONNECTIONS: usize = 256;

/// The largest head of a request.
const HEAD: usize = 256 * 1024;

/// How long a byte takes that drips.
const DRIP: Duration = Duration::from_millis(50);

/// What a body that breaks off, or drips, promises beyond its bytes.
const BEYOND: usize = 1_000_000;

/// A request as it came.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    /// The path and the query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Asked {
    /// A header's value; names in any case.
    pub(super) fn header(&self, wanted: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| &**value)
    }
}

/// An answer, and how it is sent.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Without the length of the body, which is that of its bytes.
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) manner: Manner,
    /// How long it waits before it is sent.
    pub(super) after: Duration,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    /// Never: the connection stays open.
    Hang,
    /// Never: the connection is closed.
    Close,
    /// Half of the body, then the end of the connection.
    Cut,
    /// Half of the body, then a reset.
    Reset,
    /// A byte at a time, for longer than anybody waits.
    Drip,
}

impl Reply {
    pub(super) fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), media_type.as_bytes().to_vec())];
        Self { status, headers, body: body.into(), manner: Manner::Whole, after: Duration::ZERO }
    }

    pub(super) fn header(&self, wanted: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| &**value)
    }

    pub(super) fn without(&mut self, unwanted: &str) {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(unwanted));
    }

    /// Sets a header, in place of any of its name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.without(name);
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    /// The media type in lower case, without its parameters; empty where there is none.
    pub(super) fn media_type(&self) -> String {
        let text = String::from_utf8_lossy(self.header("content-type").unwrap_or_default()).into_owned();
        text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// Answers whoever connects, for as long as this is awaited: what is open then ends with it.
pub(super) async fn serve(listener: &TcpListener, answer: impl AsyncFn(Asked) -> Reply) -> Infallible {
    const AGAIN: Duration = Duration::from_millis(10);
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => open.push(converse(stream, &answer)),
                // Out of descriptors, perhaps: what is open ends some time.
                Err(_) => sleep(AGAIN).await,
            },
            // A connection that ends badly is the gate's to see.
            Some(_) = open.next(), if !open.is_empty() => {}
        }
    }
}

async fn converse(stream: TcpStream, answer: &impl AsyncFn(Asked) -> Reply) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    while let Some(head) = head(&stream, &mut received).await? {
        let Some(asked) = parsed(&head) else {
            return write(&stream, b"HTTP/1.1 400 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        };
        let has_body = asked.header("content-length").is_some_and(|length| length.trim() != "0")
            || asked.header("transfer-encoding").is_some();
        let is_head = asked.method == "HEAD";
        let reply = answer(asked).await;
        let is_whole = send(&stream, &reply, is_head, has_body).await?;
        if !is_whole || has_body {
            break;
        }
    }
    Ok(())
}

/// The next head of a request; nothing where the connection ended.
async fn head(stream: &TcpStream, received: &mut Vec<u8>) -> io::Result<Option<String>> {
    const END: &[u8] = b"\r\n\r\n";
    loop {
        if let Some(at) = received.windows(END.len()).position(|window| window == END) {
            let rest = received.split_off(at + END.len());
            let head = std::mem::replace(received, rest);
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        if received.len() > HEAD || !read(stream, received).await? {
            return Ok(None);
        }
    }
}

/// Reads what is there; false at the end.
async fn read(stream: &TcpStream, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut bytes) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                into.extend_from_slice(&bytes[..count]);
                return Ok(true);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn parsed(head: &str) -> Option<Asked> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let is_request = !method.is_empty() && target.starts_with('/');
    let headers = lines.filter(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    is_request.then_some(Asked { method, target, headers: headers.collect::<Option<_>>()? })
}

/// Sends an answer; false where the connection cannot take another request.
async fn send(stream: &TcpStream, reply: &Reply, is_head: bool, is_last: bool) -> io::Result<bool> {
    sleep(reply.after).await;
    match reply.manner {
        Manner::Close => return Ok(false),
        Manner::Hang => {
            while read(stream, &mut Vec::new()).await? {}
            return Ok(false);
        }
        Manner::Whole | Manner::Cut | Manner::Reset | Manner::Drip => {}
    }
    let is_whole = reply.manner == Manner::Whole;
    let mut bytes = format!("HTTP/1.1 {} \r\n", reply.status).into_bytes();
    for (name, value) in &reply.headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    let has_length = !is_head && !matches!(reply.status, 100..=199 | 204 | 304);
    if has_length {
        let length = reply.body.len() + if is_whole { 0 } else { BEYOND };
        bytes.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
    }
    if is_last {
        bytes.extend_from_slice(b"Connection: close\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    if is_whole && has_length {
        bytes.extend_from_slice(&reply.body);
    }
    write(stream, &bytes).await?;
    let half = &reply.body[..reply.body.len() / 2];
    match reply.manner {
        Manner::Whole | Manner::Hang | Manner::Close => return Ok(true),
        Manner::Cut => write(stream, half).await?,
        Manner::Reset => {
            write(stream, half).await?;
            stream.set_zero_linger()?;
        }
        Manner::Drip => {
            for byte in reply.body.iter().chain(b" ").cycle().take(BEYOND) {
                sleep(DRIP).await;
                write(stream, &[*byte]).await?;
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_or_refused() {
        let asked = parsed("GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Key:  v:w \r\n\r\n").unwrap();
        assert_eq!((&*asked.method, &*asked.target), ("GET", "/a?b=c"));
        assert_eq!((asked.header("x-key"), asked.header("other")), (Some("v:w"), None));
        for head in ["", "GET", "GET a HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", " / HTTP/1.1\r\n\r\n"] {
            assert!(parsed(head).is_none(), "{head:?}");
        }
    }
}
