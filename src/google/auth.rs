//! Identity tokens on requests to a private service.

use std::cell::Cell;
use std::rc::Rc;

use clap::ValueEnum;
use tokio::time::Instant;

use super::front_end::{self, Refusal};
use super::{AccessTokens, IdentityTokens};
use crate::http::{Advice, Answer, Credentials, Header, Local, Round};

/// When identity tokens are sent to the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// After an answer of 401 or 403.
    Auto,
    /// With every request.
    Always,
    /// Never.
    Never,
}

/// Identity tokens for one service, sent where it wants them.
pub(crate) struct Auth {
    mode: AuthMode,
    tokens: Rc<IdentityTokens>,
    /// What tokens may be for, in the order in which they are tried: the service's address, then the tagged one.
    audiences: Vec<String>,
    header: &'static str,
    /// Whether the service takes traffic from everywhere; nothing where nobody says so.
    open: Option<bool>,
    /// The audience in use; nothing while no token is sent.
    using: Cell<Option<usize>>,
}

impl Auth {
    /// `taken` where the plan sets Authorization itself: Cloud Run then reads another header.
    pub(crate) fn new(
        mode: AuthMode,
        tokens: Rc<IdentityTokens>,
        audiences: Vec<String>,
        taken: bool,
        open: Option<bool>,
    ) -> Self {
        let header = if taken { "X-Serverless-Authorization" } else { "Authorization" };
        let using = Cell::new((mode == AuthMode::Always).then_some(0));
        Self { mode, tokens, audiences, header, open, using }
    }

    /// What to do about a refusal for want of a token, or of the right one.
    async fn private(&self, answer: &Answer, round: Round, deadline: Instant) -> Advice {
        let audience = round.key.and_then(|key| self.audiences.get(key));
        let text = match (audience, answer.status) {
            (None, _) => "the service is private, and no token was sent (--auth never)".into(),
            (Some(_), 401) => format!(
                "the service is private, and refuses the identity token: its audience may be wrong (tried {}); pass the one that \
                 it wants with --audience",
                self.audiences.join(" and ")
            ),
            (Some(_), _) => {
                let account = self.tokens.account(deadline).await;
                format!("the service is private: grant roles/run.invoker to {account}")
            }
        };
        Advice { text, unseen: false }
    }
}

impl Credentials for Auth {
    /// Bare while no token was wanted; then the token of the audience in use, the same afresh (it may have been revoked or
    /// may have expired on the way), and that of another audience.
    fn rounds(&self) -> Vec<Round> {
        let using = self.using.get();
        let mut rounds = if using.is_none() { vec![Round::BARE] } else { Vec::new() };
        if self.mode != AuthMode::Never {
            let first = using.unwrap_or(0);
            rounds.extend([Round::kept(first), Round::fresh(first)]);
            rounds.extend((0..self.audiences.len()).filter(|other| *other != first).map(Round::kept));
        }
        rounds
    }

    fn header(&self, round: Round, deadline: Instant) -> Local<'_, Result<Option<Header>, String>> {
        Box::pin(async move {
            let Some(audience) = round.key.and_then(|key| self.audiences.get(key)) else { return Ok(None) };
            if round.fresh {
                self.tokens.forget(audience);
            }
            let token = self.tokens.get(audience, deadline).await?;
            Ok(Some(Header::bearer_as(self.header, &token)))
        })
    }

    /// Only the front end's own refusal asks for a token; one of the application is an answer like any other. A token that
    /// is known there and may not come in (403) is no better for being taken afresh.
    fn refused(&self, answer: &Answer, round: Round) -> bool {
        let private = matches!(front_end::refusal(answer), Some(Refusal::Private | Refusal::Proxy));
        private && (round.key.is_none() || answer.status == 401)
    }

    fn accepted(&self, round: Round) {
        if round.key.is_some() {
            self.using.set(round.key);
        }
    }

    fn advice<'f>(
        &'f self,
        answer: &'f Answer,
        round: Round,
        trouble: Option<&'f str>,
        deadline: Instant,
    ) -> Local<'f, Option<Advice>> {
        Box::pin(async move {
            let seen = |text: String| Some(Advice { text, unseen: false });
            // Without a token the canary was not seen: that says nothing of it.
            let unseen = |who: &str, why: &str| {
                let text = format!("{who}, and there is no identity token for it: {why}");
                Some(Advice { text, unseen: true })
            };
            match front_end::refusal(answer)? {
                Refusal::Private => match trouble {
                    Some(why) => unseen("the service is private", why),
                    None => Some(self.private(answer, round, deadline).await),
                },
                Refusal::Proxy => match trouble {
                    Some(why) => unseen("Identity-Aware Proxy stands in front of the service", why),
                    None => seen(
                    "Identity-Aware Proxy refuses the request: it wants an identity token for its own client (--audience with \
                     the client's id, --auth always), of an account with roles/iap.httpsResourceAccessor"
                        .into(),
                    ),
                },
                Refusal::Reserved => seen(format!(
                    "the path {} never reaches the container: under run.app the front end keeps /healthz and other paths ending \
                     in z, /eventlog and /_ah/ for itself; use another path",
                    answer.url.path()
                )),
                Refusal::NotFound if self.open == Some(true) => seen(
                    "this is the front end's own answer, though the service takes traffic from everywhere: no revision answers \
                     at this address (a wrong host, or a tag that was removed)"
                        .into(),
                ),
                Refusal::NotFound => seen(
                    "this is the front end's own answer: the service's ingress may be internal, and the gate runs outside; run \
                     the verify job in a private pool of the service's network"
                        .into(),
                ),
            }
        })
    }
}

/// Access tokens of the machine's service account, on requests to a service that takes them as its own.
pub(crate) struct AccessAuth {
    tokens: Rc<AccessTokens>,
}

impl AccessAuth {
    pub(crate) fn new(tokens: Rc<AccessTokens>) -> Self {
        Self { tokens }
    }
}

impl Credentials for AccessAuth {
    fn rounds(&self) -> Vec<Round> {
        vec![Round::kept(0), Round::fresh(0)]
    }

    fn header(&self, round: Round, deadline: Instant) -> Local<'_, Result<Option<Header>, String>> {
        Box::pin(async move {
            if round.fresh {
                self.tokens.drop_kept().await;
            }
            let token = self.tokens.get(deadline).await?;
            Ok(Some(Header::bearer(&token)))
        })
    }

    fn refused(&self, answer: &Answer, _: Round) -> bool {
        answer.status == 401
    }

    fn accepted(&self, _: Round) {}

    fn advice<'f>(
        &'f self,
        answer: &'f Answer,
        _: Round,
        trouble: Option<&'f str>,
        _: Instant,
    ) -> Local<'f, Option<Advice>> {
        let trouble = trouble.filter(|_| matches!(answer.status, 401 | 403));
        let text = trouble.map(|trouble| format!("there is no access token: {trouble}"));
        Box::pin(async move { text.map(|text| Advice { text, unseen: true }) })
    }
}
