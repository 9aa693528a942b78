//! A server that answers with bytes as they are, one answer a connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::canary::app;

/// A server on loopback that ends when it is dropped.
pub struct Raw {
    port: u16,
    over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Raw {
    /// `answer` gives the bytes for a path; where it gives nothing, the healthy application answers.
    pub fn start(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::accept(move |mut stream| {
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone()?);
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head)? == 0 {
                    return Ok(());
                }
            }
            let path = head.split_whitespace().nth(1).unwrap_or("/").to_owned();
            stream.write_all(&answer(&path).unwrap_or_else(|| healthy(&path)))?;
            // Closed in one direction first, so that no reset overtakes the last bytes.
            stream.shutdown(std::net::Shutdown::Write)?;
            let _ = reader.read(&mut [0; 1024]);
            Ok(())
        })
    }

    /// `converse` has each connection to itself.
    pub fn accept(converse: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let (ended, converse) = (over.clone(), Arc::new(converse));
        let listener = thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let converse = converse.clone();
                thread::spawn(move || {
                    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                    let _ = converse(stream);
                });
            }
        });
        Self { port, over, listener: Some(listener) }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
    }
}

/// A whole answer with status 200, its length stated.
pub fn response(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// What the healthy application answers for a path.
pub fn healthy(path: &str) -> Vec<u8> {
    let (media_type, body) = match path {
        "/" => ("text/html", app::page()),
        "/assets/" => ("text/html", "<!doctype html><title>assets</title>".into()),
        "/api/health" => ("application/json", r#"{"status":"ok"}"#.into()),
        "/health/readiness" => ("application/json", "{}".into()),
        "/api/metrics" => (app::TEXT, app::metrics(&app::Traffic::default())),
        app::STYLE => ("text/css", "body { margin: 0 }\n".into()),
        _ => ("text/javascript", "export const app = 1;\n".into()),
    };
    response(&format!("Content-Type: {media_type}\r\n"), body.as_bytes())
}
