//! Keeps secrets out of everything that is written.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Text of fewer characters is not hidden: it would blank out ordinary words.
const SHORTEST: usize = 4;

/// Replaces secrets in text that is about to be written. Clones share what they know, also what they learn later.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    secrets: Arc<RwLock<Vec<String>>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(***)")
    }
}

impl Redactor {
    /// Hides one more secret from now on.
    pub(crate) fn hide(&self, secret: &str) {
        if secret.chars().count() < SHORTEST {
            return;
        }
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        if !secrets.iter().any(|known| known == secret) {
            secrets.push(secret.to_owned());
            // The longest first, so that no secret is left over behind a shorter one inside it.
            secrets.sort_by_key(|known| std::cmp::Reverse(known.len()));
        }
    }

    /// The text with every secret replaced by `***`.
    pub(crate) fn clean(&self, text: &str) -> String {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), "***") } else { text }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_nowhere() {
        let redactor = Redactor::default();
        redactor.hide("s3cret");
        redactor.clone().hide("Bearer s3cret-value");
        redactor.hide("abc");
        assert_eq!(redactor.clean("got Bearer s3cret-value, s3cret and abc"), "got ***, *** and abc");
        assert!(!format!("{redactor:?}").contains("s3cret"));
        let shared = redactor.clone();
        std::thread::spawn(move || shared.hide("late-one")).join().unwrap();
        assert_eq!(redactor.clean("late-one"), "***");
    }
}
