//! HTTP/2 over TLS on loopback: a server that keeps the protocol and misbehaves within it, and one that writes frames as they are.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::bounds::Authority;
use crate::canary::app::answer;
use crate::canary::server::{Body, Reply, Request};
use crate::raw::Raw;

/// What comes of a request.
pub enum Play {
    Reply(Reply),
    /// The stream is reset before any answer.
    Reset(Reason),
    /// The body comes whole, and its end never does: the stream is reset instead.
    Cut(Reply, Reason),
    /// The body comes in part, and then nothing.
    Stall(Reply),
    /// The connection ends.
    End(Reason),
}

/// A server that speaks HTTP/2 alone and ends when it is dropped.
pub struct Http2 {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    _running: oneshot::Sender<()>,
}

impl Http2 {
    /// `play` says what comes of a request; where it says nothing, the healthy application answers.
    pub fn start(authority: &Authority, play: impl Fn(&Request) -> Option<Play> + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, connections) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicUsize>::default());
        let (running, over) = oneshot::channel();
        let shared = Arc::new(Shared { play: Box::new(play), seen: seen.clone() });
        let (acceptor, counted) = (TlsAcceptor::from(speaking(authority, &["h2"])), connections.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let accept = async {
                    loop {
                        let Ok((stream, _)) = listener.accept().await else { continue };
                        stream.set_nodelay(true).unwrap();
                        counted.fetch_add(1, Ordering::SeqCst);
                        let (acceptor, shared) = (acceptor.clone(), shared.clone());
                        tokio::spawn(async move {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                converse(stream, shared).await;
                            }
                        });
                    }
                };
                tokio::select! { _ = over => {}, () = accept => {} }
            });
        });
        Self { port, seen, connections, _running: running }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// What a server makes of requests.
pub type Plays = Box<dyn Fn(&Request) -> Option<Play> + Send + Sync>;

struct Shared {
    play: Plays,
    seen: Arc<Mutex<Vec<Request>>>,
}

async fn converse(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, shared: Arc<Shared>) {
    let Ok(mut connection) = h2::server::Builder::new().max_concurrent_streams(4).handshake::<_, Bytes>(stream).await
    else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let name = |name: &http::HeaderName| name.as_str().to_owned();
        let value = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut headers: std::collections::HashMap<_, _> =
            request.headers().iter().map(|(of, is)| (name(of), value(is))).collect();
        headers.insert(":authority".into(), request.uri().authority().unwrap().to_string());
        let path = request.uri().path().to_owned();
        let before = shared.seen.lock().unwrap().iter().filter(|other| other.path == path).count();
        let request = Request {
            method: request.method().to_string(),
            path,
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers,
            body: Vec::new(),
            before,
            since_first: Duration::ZERO,
        };
        shared.seen.lock().unwrap().push(request.clone());
        let head = |reply: &Reply| {
            let mut head = http::Response::builder().status(reply.status);
            for (name, value) in &reply.headers {
                head = head.header(name, value);
            }
            head.body(()).unwrap()
        };
        let whole = |reply: Reply| match reply.body {
            Body::Whole(body) => Bytes::from(body),
            _ => panic!("misbehaving is for Play to say"),
        };
        match (shared.play)(&request).unwrap_or_else(|| Play::Reply(answer(&request))) {
            Play::Reply(reply) => {
                let mut sending = respond.send_response(head(&reply), false).unwrap();
                sending.send_data(whole(reply), true).unwrap();
            }
            Play::Reset(reason) => respond.send_reset(reason),
            Play::Cut(reply, reason) => {
                let mut sending = respond.send_response(head(&reply), false).unwrap();
                sending.send_data(whole(reply), false).unwrap();
                // What is queued goes out before the reset does.
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    sending.send_reset(reason);
                });
            }
            Play::Stall(reply) => {
                let mut sending = respond.send_response(head(&reply), false).unwrap();
                let body = whole(reply);
                sending.send_data(body.slice(..body.len() / 2), false).unwrap();
                tokio::spawn(async move { _ = std::future::poll_fn(|context| sending.poll_reset(context)).await });
            }
            Play::End(reason) => connection.abrupt_shutdown(reason),
        }
    }
}

/// The server of an authority, with the protocols that it agrees to.
pub fn speaking(authority: &Authority, protocols: &[&str]) -> Arc<rustls::ServerConfig> {
    let mut config = (*authority.server).clone();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A connection on which frames are written as they are.
pub type Frames = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

/// A server that agrees to HTTP/2 in TLS; `play` gets each request's stream, and has the connection to itself.
pub fn raw(
    authority: &Authority,
    play: impl Fn(u32, &mut Frames) -> std::io::Result<()> + Send + Sync + 'static,
) -> Raw {
    let config = speaking(authority, &["h2"]);
    Raw::accept(move |stream| {
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        let tls = rustls::ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
        let mut frames = rustls::StreamOwned::new(tls, stream);
        frames.read_exact(&mut [0; 24])?;
        frames.write_all(&frame(4, 0, 0, &[]))?;
        loop {
            let mut head = [0; 9];
            frames.read_exact(&mut head)?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            frames.read_exact(&mut vec![0; length])?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if head[3] == 1 {
                play(stream, &mut frames)?;
                frames.flush()?;
            }
        }
    })
}

/// A frame: <https://www.rfc-editor.org/rfc/rfc9113#section-4.1>.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Header fields as literals: <https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2>.
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        assert!(text.len() < 127, "one byte for the length");
        [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}
