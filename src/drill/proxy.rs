//! The proxy between the gate and the service: it passes answers on, changes those that a fault touches, and keeps count.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::faults::{Fault, Play};
use super::service::{Pace, Service};
use super::subject::{Answered, Subject};
use super::wire::{Asked, Manner, Reply, serve};
use crate::http::{RequestLimits, decoded};

/// The header by which the proxy knows the gate: nobody else on this machine is let through to the service.
pub(super) const KEY: &str = "x-canary-gate-drill";

/// A fault, where it is played.
#[derive(Clone, Copy)]
pub(super) struct Interference<'p> {
    pub(super) fault: &'p Fault,
    /// Everywhere, where there are none.
    pub(super) targets: Option<&'p BTreeSet<String>>,
    pub(super) subject: &'p Subject,
}

impl Interference<'_> {
    pub(super) fn is_at(&self, target: &str) -> bool {
        self.targets.is_none_or(|targets| targets.contains(target))
    }
}

/// How the service is asked.
#[derive(Clone, Copy)]
pub(super) struct Forwarding<'p> {
    pub(super) service: &'p Service,
    /// What the gate says in [`KEY`].
    pub(super) key: &'p str,
    pub(super) limits: RequestLimits,
    /// Where the plan does not say itself how many requests there are.
    pub(super) pace: Option<&'p Pace>,
}

/// What went through.
#[derive(Default)]
pub(super) struct Log {
    /// How many requests reached the service.
    pub(super) forwarded: usize,
    /// How many answers the fault changed.
    pub(super) touched: usize,
    /// Why the service gave no answer.
    pub(super) troubles: Vec<String>,
    /// Why the fault cannot be played to this service.
    pub(super) impossible: Option<String>,
    /// Requests that were not let through.
    pub(super) refused: BTreeSet<String>,
    pub(super) answered: Vec<Answered>,
    /// How long the service took, at the most.
    pub(super) slowest: Duration,
    /// How many answers there were by path.
    counts: BTreeMap<String, usize>,
}

/// A proxy on a port of this machine.
pub(super) struct Proxy<'p> {
    listener: TcpListener,
    forwarding: Forwarding<'p>,
    interference: Option<Interference<'p>>,
    log: RefCell<Log>,
}

impl<'p> Proxy<'p> {
    /// # Errors
    /// Why no port can be had.
    pub(super) async fn open(
        forwarding: Forwarding<'p>,
        interference: Option<Interference<'p>>,
    ) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|error| format!("no port of this machine can be listened on: {error}"))?;
        Ok(Self { listener, forwarding, interference, log: RefCell::default() })
    }

    /// # Errors
    /// Why it is not known.
    pub(super) fn address(&self) -> Result<SocketAddr, String> {
        self.listener.local_addr().map_err(|error| format!("the port of this machine is not known: {error}"))
    }

    pub(super) async fn serve(&self) -> Infallible {
        serve(&self.listener, async |asked| self.answer(&asked).await).await
    }

    pub(super) fn into_log(self) -> Log {
        self.log.into_inner()
    }

    async fn answer(&self, asked: &Asked) -> Reply {
        if asked.header(KEY) != Some(self.forwarding.key) {
            return Reply::new(403, "text/plain", "this port is for the drill of canary-gate alone");
        }
        if !matches!(&*asked.method, "GET" | "HEAD") {
            let target = asked.target.split('?').next().unwrap_or_default();
            self.log.borrow_mut().refused.insert(format!("{} {target}", asked.method));
            return Reply::new(405, "text/plain", "a drill of canary-gate sends nothing but GET and HEAD to a service");
        }
        let here = self.interference.filter(|interference| interference.is_at(&asked.target));
        let number = {
            let mut log = self.log.borrow_mut();
            let count = log.counts.entry(asked.target.clone()).or_default();
            *count += 1;
            *count - 1
        };
        let alone = here.filter(|here| here.fault.play.is_alone()).map(|here| here.fault.play);
        let began = Instant::now();
        let mut reply = match alone {
            Some(_) => Reply::new(200, "text/plain", ""),
            None => match self.forwarded(asked).await {
                Ok(reply) => reply,
                Err(why) => {
                    let path = asked.target.split('?').next().unwrap_or_default();
                    self.log.borrow_mut().troubles.push(format!("{} {path}: {why}", asked.method));
                    return Reply::new(502, "text/plain", "the service did not answer the drill");
                }
            },
        };
        if let Some(here) = here {
            match self.play(&here, &mut reply, number, began.elapsed()) {
                Ok(true) => self.log.borrow_mut().touched += 1,
                Ok(false) => {}
                Err(why) => self.log.borrow_mut().impossible = Some(why),
            }
        }
        reply
    }

    async fn forwarded(&self, asked: &Asked) -> Result<Reply, String> {
        let Forwarding { service, key: _, limits, pace } = self.forwarding;
        if let Some(pace) = pace {
            pace.turn().await;
        }
        let began = Instant::now();
        self.log.borrow_mut().forwarded += 1;
        let reply = service.answer(asked, limits, KEY).await?;
        let mut log = self.log.borrow_mut();
        // What the service answers otherwise than before, the fault must not be given the credit for.
        let before = self.interference.and_then(|here| {
            let known = here.subject.answered.iter().find(|known| known.target == asked.target);
            known.map(|known| known.status).filter(|before| *before != reply.status)
        });
        if let Some(before) = before {
            let path = asked.target.split('?').next().unwrap_or_default();
            log.troubles.push(format!("{} {path}: {}, and {before} without a fault", asked.method, reply.status));
        }
        log.slowest = log.slowest.max(began.elapsed());
        if !log.answered.iter().any(|known| known.target == asked.target) {
            let (target, status) = (asked.target.clone(), reply.status);
            log.answered.push(Answered { target, status, media_type: reply.media_type() });
        }
        Ok(reply)
    }

    /// Plays the fault to an answer; false where it is not this one's turn.
    ///
    /// # Errors
    /// Why the answer cannot be made ill in this way.
    fn play(&self, here: &Interference<'_>, reply: &mut Reply, number: usize, took: Duration) -> Result<bool, String> {
        match here.fault.play {
            Play::Later(_) if number == 0 => return Ok(false),
            Play::Share(_, of) if number % of != of - 1 => return Ok(false),
            Play::Status(status) | Play::Later(status) | Play::Share(status, _) => reply.status = status,
            Play::Slower(share) => reply.after = took.mul_f64(share).max(here.subject.least_difference() * 2),
            Play::Manner(manner) => {
                if matches!(manner, Manner::Cut | Manner::Reset) && reply.body.len() < 2 {
                    return Err("the healthy answer has no body to break off in".into());
                }
                reply.manner = manner;
            }
            Play::Redirect(to) => {
                reply.status = 302;
                reply.set("Location", to);
                reply.body.clear();
            }
            Play::Coding => {
                decode(reply, self.forwarding.limits.body)?;
                if reply.body.is_empty() {
                    return Err("the healthy answer is empty".into());
                }
                reply.set("Content-Encoding", "gzip");
            }
            Play::Edit(edit) => {
                let healthy = reply.clone();
                let edited =
                    decode(reply, self.forwarding.limits.body).and_then(|()| edit(reply, here.subject, number));
                if let Err(why) = edited {
                    *reply = healthy;
                    return Err(why);
                }
            }
        }
        Ok(true)
    }
}

/// Takes an answer out of its content coding.
fn decode(reply: &mut Reply, limit: u64) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    for (_, value) in reply.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding")) {
        let value = HeaderValue::from_bytes(value).map_err(|_| "the answer's content coding cannot be read")?;
        headers.append(CONTENT_ENCODING, value);
    }
    reply.body = decoded(&headers, &reply.body, limit).map_err(|failure| failure.to_string())?;
    reply.without("content-encoding");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    /// What a proxy in front of the sample answers, and how many requests it passed on.
    fn answered(request: &'static str) -> (String, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let limits = RequestLimits { time: Duration::from_secs(1), body: 1000 };
            let forwarding = Forwarding { service: &Service::Sample, key: "s3cret", limits, pace: None };
            let proxy = Proxy::open(forwarding, None).await.unwrap();
            let address = proxy.address().unwrap();
            let asking = tokio::task::spawn_blocking(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                text
            });
            let text = tokio::select! {
                text = asking => text.unwrap(),
                never = proxy.serve() => match never {},
            };
            (text, proxy.into_log().forwarded)
        })
    }

    #[test]
    fn only_the_gate_is_let_through_and_only_by_get_and_head() {
        for (request, status, forwarded) in [
            ("GET /api/health HTTP/1.1\r\n\r\n", "403", 0),
            ("GET /api/health HTTP/1.1\r\nX-Canary-Gate-Drill: guessed\r\n\r\n", "403", 0),
            ("GET /api/health HTTP/1.1\r\nX-Canary-Gate-Drill: s3cret\r\n\r\n", "200", 1),
            ("HEAD /api/health HTTP/1.1\r\nX-Canary-Gate-Drill: s3cret\r\n\r\n", "200", 1),
            ("POST /api/health HTTP/1.1\r\nX-Canary-Gate-Drill: s3cret\r\nContent-Length: 2\r\n\r\n{}", "405", 0),
            ("DELETE /api/health HTTP/1.1\r\nX-Canary-Gate-Drill: s3cret\r\n\r\n", "405", 0),
            ("GET http://elsewhere/ HTTP/1.1\r\nX-Canary-Gate-Drill: s3cret\r\n\r\n", "400", 0),
        ] {
            let (text, count) = answered(request);
            assert!(
                text.starts_with(&format!("HTTP/1.1 {status} ")) && count == forwarded,
                "{request}: {text} {count}"
            );
            assert_eq!(
                text.contains("\"status\":\"ok\""),
                status == "200" && request.starts_with("GET"),
                "{request}: {text}"
            );
        }
    }
}
