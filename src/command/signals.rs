//! The signals that end a command before its time.

use futures_util::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::CommandError;

/// The signals that end a run early.
pub(super) struct Signals(Vec<(&'static str, Signal)>);

impl Signals {
    /// # Errors
    /// A system that has no resources left for it.
    pub(super) fn listen() -> Result<Self, CommandError> {
        let kinds = [
            ("SIGINT", SignalKind::interrupt()),
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
        ];
        let listen = |(name, kind)| match signal(kind) {
            Ok(signal) => Ok((name, signal)),
            Err(error) => Err(CommandError::no_verdict(format!("{name} cannot be listened for: {error}"))),
        };
        kinds.into_iter().map(listen).collect::<Result<_, _>>().map(Self)
    }

    /// The name of the next one.
    pub(super) async fn next(&mut self) -> &'static str {
        let signals = self.0.iter_mut().map(|(name, signal)| {
            Box::pin(async {
                signal.recv().await;
                *name
            })
        });
        select_all(signals).await.0
    }
}
