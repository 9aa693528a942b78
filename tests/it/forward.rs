//! A server in front of another.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::canary::server::{Reply, Request};

/// Forwards a request to another server and returns that server's answer.
pub fn forward(to: &str, request: &Request) -> Reply {
    let mut stream = TcpStream::connect(to.trim_start_matches("http://")).unwrap();
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    write!(stream, "{} {}{query} HTTP/1.1\r\n", request.method, request.path).unwrap();
    for (name, value) in &request.headers {
        write!(stream, "{name}: {value}\r\n").unwrap();
    }
    write!(stream, "\r\n").unwrap();
    stream.write_all(&request.body).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    Reply::new(status, &header("content-type"), body)
}

/// Hands bytes on between two connections until both have ended.
pub fn both_ways(one: &TcpStream, other: &TcpStream) -> std::io::Result<()> {
    let way = |from: &TcpStream, to: &TcpStream| {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        Ok::<_, std::io::Error>(std::thread::spawn(move || {
            _ = std::io::copy(&mut from, &mut to);
            _ = to.shutdown(std::net::Shutdown::Write);
        }))
    };
    let ways = [way(one, other)?, way(other, one)?];
    for way in ways {
        way.join().unwrap();
    }
    Ok(())
}
