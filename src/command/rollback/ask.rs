//! A question on a terminal.

use std::io::{Write as _, stderr, stdin};
use std::thread;

use tokio::sync::oneshot;

/// Asks, and waits for a line; only `y` and `yes` are one. Whoever does not wait for the answer leaves a thread behind that reads on: it
/// ends with the process.
///
/// # Errors
/// Why nobody can answer.
pub(super) async fn yes(question: &str) -> Result<bool, String> {
    let mut out = stderr();
    let asked = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    asked.map_err(|error| format!("nobody can be asked: {error}"))?;
    let (answered, answer) = oneshot::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = stdin().read_line(&mut line).map(|_| line);
        let _ = answered.send(read);
    });
    match answer.await {
        Ok(Ok(line)) => Ok(matches!(&*line.trim().to_ascii_lowercase(), "y" | "yes")),
        Ok(Err(error)) => Err(format!("the answer cannot be read: {error}")),
        Err(_) => Err("nobody answered".into()),
    }
}
