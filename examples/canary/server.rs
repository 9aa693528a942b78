//! HTTP/1.1 on loopback, one thread per connection, with replies that can also break off, drip, hang or reset.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

/// A request as received.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The path without the query.
    pub path: String,
    pub query: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// How many requests for this path came before this one.
    pub before: usize,
    /// How long ago the first request came. A start that is simulated begins there, however late the client is.
    pub since_first: Duration,
}

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

/// A body, whole or misbehaving.
pub enum Body {
    Whole(Vec<u8>),
    /// Fewer bytes than the promised length, then the end.
    Cut(Vec<u8>, usize),
    /// Some bytes, then a reset.
    Reset(Vec<u8>),
    /// One byte at a time, over and over, until the client closes the connection.
    Drip(Vec<u8>, Duration),
    /// The same bytes over and over, without pause.
    Endless(Vec<u8>),
    /// Nothing at all, not even a status line.
    Hang,
    /// The connection is closed before the status line.
    Close,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = if content_type.is_empty() { vec![] } else { vec![("Content-Type".into(), content_type.into())] };
        Self { status, headers, body: Body::Whole(body.into()) }
    }

    pub fn json(status: u16, body: &str) -> Self {
        Self::new(status, "application/json", body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

pub type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A running server, which stops when it is dropped.
pub struct Canary {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

/// How the server starts.
#[derive(Default)]
pub struct Start {
    /// How long the port refuses connections at first.
    pub listen_after: Duration,
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Canary {
    pub fn start(handler: Handler) -> Self {
        Self::start_with(handler, Start::default())
    }

    pub fn start_with(handler: Handler, start: Start) -> Self {
        // Bound at once, so that no other process takes the port; it refuses connections until it listens.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        let address = socket.local_addr().expect("an address").as_socket().expect("an IP address");
        let scheme = if start.tls.is_some() { "https" } else { "http" };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Shared { handler, seen: seen.clone(), first: Arc::default(), tls: start.tls };
        let stopped = stop.clone();
        if start.listen_after.is_zero() {
            socket.listen(128).expect("listening");
        }
        thread::spawn(move || {
            if !start.listen_after.is_zero() {
                thread::sleep(start.listen_after);
                socket.listen(128).expect("listening");
            }
            accept(&socket.into(), &shared, &stopped);
        });
        Self { address, scheme, seen, stop }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The requests received so far, in order.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("a lock").clone()
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

#[derive(Clone)]
struct Shared {
    handler: Handler,
    seen: Arc<Mutex<Vec<Request>>>,
    first: Arc<OnceLock<Instant>>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

fn accept(listener: &TcpListener, shared: &Shared, stop: &AtomicBool) {
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = shared.clone();
        thread::spawn(move || {
            let _ = stream.set_nodelay(true);
            let _ = match &shared.tls {
                None => converse(&stream, &stream, &shared),
                Some(config) => rustls::ServerConnection::new(config.clone())
                    .map_err(std::io::Error::other)
                    .and_then(|tls| converse(rustls::StreamOwned::new(tls, &stream), &stream, &shared)),
            };
        });
    }
}

/// Requests and replies on one connection, until either side ends it.
fn converse(stream: impl Read + Write, socket: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream, shared)? {
        let reply = (shared.handler)(&request);
        if !send(stream.get_mut(), socket, &request, reply)? {
            break;
        }
    }
    Ok(())
}

fn read_request(stream: &mut impl BufRead, shared: &Shared) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_u64);
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    let since_first = shared.first.get_or_init(Instant::now).elapsed();
    let mut seen = shared.seen.lock().expect("a lock");
    let before = seen.iter().filter(|other| other.path == path).count();
    let request = Request { method, path, query, headers, body, before, since_first };
    seen.push(request.clone());
    Ok(Some(request))
}

/// Sends a reply. Returns whether the connection can take another request.
fn send(stream: &mut impl Write, socket: &TcpStream, request: &Request, reply: Reply) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = match &reply.body {
        Body::Whole(body) => Some(body.len()),
        Body::Cut(_, length) => Some(*length),
        Body::Reset(body) => Some(body.len() + 1000),
        Body::Drip(..) | Body::Endless(_) | Body::Hang | Body::Close => None,
    };
    match length {
        Some(length) => head.push_str(&format!("Content-Length: {length}\r\n\r\n")),
        None => head.push_str("Connection: close\r\n\r\n"),
    }
    match reply.body {
        Body::Hang => {
            thread::sleep(Duration::from_mins(1));
            return Ok(false);
        }
        Body::Close => return Ok(false),
        _ => stream.write_all(head.as_bytes())?,
    }
    match reply.body {
        Body::Whole(body) => {
            if request.method != "HEAD" {
                stream.write_all(&body)?;
            }
            stream.flush()?;
            return Ok(true);
        }
        Body::Cut(body, _) => stream.write_all(&body)?,
        Body::Reset(body) => {
            stream.write_all(&body)?;
            stream.flush()?;
            // Long enough for the client to read the bytes: a reset discards what is still in transit.
            thread::sleep(Duration::from_millis(20));
            SockRef::from(socket).set_linger(Some(Duration::ZERO))?;
        }
        Body::Drip(body, every) => {
            for byte in body.iter().cycle() {
                stream.write_all(&[*byte])?;
                stream.flush()?;
                thread::sleep(every);
            }
        }
        Body::Endless(piece) => loop {
            stream.write_all(&piece)?;
        },
        Body::Hang | Body::Close => {}
    }
    stream.flush()?;
    Ok(false)
}
