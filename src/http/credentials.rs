//! How requests prove who sends them.

use std::pin::Pin;

use tokio::time::Instant;

use super::{Advice, Answer, Header};

/// A future of this thread.
pub(crate) type Local<'f, T> = Pin<Box<dyn Future<Output = T> + 'f>>;

/// One way to sign a request: with which of the credentials, and whether they are taken afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// Which credentials; nothing for a request without any.
    pub(crate) key: Option<usize>,
    pub(crate) fresh: bool,
}

impl Round {
    pub(crate) const BARE: Self = Self { key: None, fresh: false };

    pub(crate) fn kept(key: usize) -> Self {
        Self { key: Some(key), fresh: false }
    }

    pub(crate) fn fresh(key: usize) -> Self {
        Self { key: Some(key), fresh: true }
    }
}

/// What a client attaches to requests of its own origin, and what it makes of refusals.
pub(crate) trait Credentials {
    /// The ways to sign the next request: the first one, and those that follow while the answer is a refusal.
    fn rounds(&self) -> Vec<Round>;

    /// The header of a round, if it has one.
    ///
    /// # Errors
    /// Why the credentials that the round wants cannot be had.
    fn header(&self, round: Round, deadline: Instant) -> Local<'_, Result<Option<Header>, String>>;

    /// Whether the answer refuses these credentials, so that the next round is worth trying.
    fn refused(&self, answer: &Answer, round: Round) -> bool;

    /// Hears which round brought an answer that is not a refusal.
    fn accepted(&self, round: Round);

    /// What a person can do about an answer, where not the application gave it but what stands in front of it. `trouble` is
    /// why the request had no credentials.
    fn advice<'f>(
        &'f self,
        answer: &'f Answer,
        round: Round,
        trouble: Option<&'f str>,
        deadline: Instant,
    ) -> Local<'f, Option<Advice>>;
}
