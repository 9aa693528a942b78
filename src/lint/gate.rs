//! The gate where a pipeline runs it: its arguments, as its own command line reads them.

use std::time::Duration;

use super::at::At;
use super::file::base;

/// What the arguments of `canary-gate verify` or `canary-gate audit` say, as far as rules ask for it.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct GateArgs {
    /// Whether they are those of an audit, which verifies no canary.
    pub(crate) audits: bool,
    /// Whether an audit waits for what cannot be seen at once.
    pub(crate) wait: bool,
    pub(crate) timeout: Option<String>,
    pub(crate) window: Option<String>,
    pub(crate) expect_percent: Option<u32>,
    pub(crate) require_identity: bool,
    pub(crate) tag: Option<String>,
    pub(crate) checks: Option<String>,
    pub(crate) url: bool,
}

/// Reads arguments as the gate does.
pub(crate) type ReadArgs<'a> = dyn Fn(&[String]) -> Result<GateArgs, String> + 'a;

/// A run of the gate in a file.
pub(crate) struct Gate<'a> {
    /// Its arguments.
    pub(crate) args: At<'a>,
    pub(crate) read: Result<GateArgs, String>,
}

impl<'a> Gate<'a> {
    /// The gate, where an image or its arguments say that it is one.
    pub(crate) fn of(image: Option<&str>, args: Option<At<'a>>, whole: At<'a>, read: &ReadArgs<'_>) -> Option<Self> {
        let words: Vec<String> = args.into_iter().flat_map(At::items).filter_map(At::text).map(str::to_owned).collect();
        let verifies = words.first().is_some_and(|word| word == "verify" || word == "audit");
        let parsed = read(&words);
        let flags = words.len() > 1 && (parsed.is_ok() || words.iter().any(|word| is_flag(word)));
        if !(image.is_some_and(is_gate) || verifies && flags) {
            return None;
        }
        Some(Self { args: args.unwrap_or(whole), read: parsed })
    }

    pub(crate) fn known(&self) -> Option<&GateArgs> {
        self.read.as_ref().ok()
    }

    /// The argument that sets a flag, or all of them.
    pub(crate) fn flag(&self, name: &str) -> At<'a> {
        let fits = |at: &At<'a>| {
            at.text()
                .is_some_and(|text| text == name || text.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
        };
        self.args.items().find(fits).unwrap_or(self.args)
    }
}

impl GateArgs {
    /// The limit that the arguments give.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.timeout.as_deref().and_then(|written| crate::plan::duration(written).ok())
    }
}

/// Whether an image is the gate's, by its name.
pub(crate) fn is_gate(image: &str) -> bool {
    let name = base(image);
    name.split(['@', ':']).next().is_some_and(|name| name.contains("canary-gate"))
}

fn is_flag(word: &str) -> bool {
    ["--expect-percent", "--require-identity", "--checks", "--window", "--wait"]
        .iter()
        .any(|flag| word.starts_with(flag))
}
