//! Makes loopback far away: a TCP proxy that hands bytes on after half a round trip, either way, and knows nothing of what they are.
//!
//! `cargo run --release --example delay -- --round-trip 50 127.0.0.1:8443 …` prints an address for each one behind it, a line each,
//! and serves until it is ended. A connection costs a round trip of its own, as TCP's handshake does: a client on loopback is
//! connected at once, and its first bytes are held back for as long instead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "outside production code")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

/// Makes loopback far away.
#[derive(Parser)]
struct Delay {
    /// A round trip, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50.0)]
    round_trip: f64,
    /// What is behind it
    #[arg(required = true)]
    to: Vec<SocketAddr>,
}

fn main() {
    let delay = Delay::parse();
    let round_trip = Duration::from_secs_f64(delay.round_trip / 1000.0);
    let servers: Vec<_> = delay
        .to
        .into_iter()
        .map(|to| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            println!("{}", listener.local_addr().expect("an address"));
            thread::spawn(move || serve(&listener, to, round_trip))
        })
        .collect();
    for server in servers {
        server.join().expect("a server that goes on");
    }
}

fn serve(listener: &TcpListener, to: SocketAddr, round_trip: Duration) {
    for client in listener.incoming() {
        let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else { continue };
        let connected = Instant::now() + round_trip;
        let ways = [(&client, &server, connected), (&server, &client, Instant::now())];
        for (from, to, not_before) in ways {
            _ = from.set_nodelay(true);
            let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
            thread::spawn(move || hand_on(from, to, not_before, round_trip / 2));
        }
    }
}

/// Hands on what comes, each piece after `delay`, the first not before a moment plus that.
fn hand_on(mut from: TcpStream, mut to: TcpStream, not_before: Instant, delay: Duration) {
    let (pieces, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    let writing = thread::spawn(move || {
        for (at, piece) in due {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            // An empty piece is the end.
            let handed_on = if piece.is_empty() { to.shutdown(Shutdown::Write) } else { to.write_all(&piece) };
            if handed_on.is_err() {
                return;
            }
        }
    });
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut piece).unwrap_or(0);
        let at = Instant::now().max(not_before) + delay;
        if pieces.send((at, piece[..read].to_vec())).is_err() || read == 0 {
            break;
        }
    }
    drop(pieces);
    _ = writing.join();
}
