//! A ratio needs its proving number: whether so few exceptions among so many requests prove that they are rare enough.

use super::distribution::{at_least, at_most};

/// The probability with which a proof may err.
const DOUBT: f64 = 0.05;

/// The most requests that a sentence asks for; a limit that needs more cannot be proven in practice.
const MOST: usize = 1 << 40;

/// What requests prove about a limit on the share of exceptions among them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Proof {
    /// With a share above the limit, so few exceptions would come less than once in 20 times.
    Proven,
    /// With a share at or below the limit, so many exceptions would come less than once in 20 times.
    Refuted,
    /// Neither.
    Unproven {
        /// The requests it takes with no more exceptions than there are; `None` where no number does.
        needed: Option<usize>,
    },
}

/// What `exceptions` among `requests` prove about a share of at most `limit`, by the exact binomial. No request, a limit
/// that is not a share, and more exceptions than requests prove nothing.
pub(crate) fn proof(requests: usize, exceptions: usize, limit: f64) -> Proof {
    if exceptions > requests || !(0.0..=1.0).contains(&limit) {
        return Proof::Unproven { needed: None };
    }
    if requests > 0 && proves(requests, exceptions, limit) {
        Proof::Proven
    } else if exceptions > 0 && at_least(exceptions, requests, limit) <= DOUBT {
        Proof::Refuted
    } else {
        Proof::Unproven { needed: needed(exceptions, limit) }
    }
}

/// The least number of requests that proves the limit with so many exceptions.
pub(crate) fn needed(exceptions: usize, limit: f64) -> Option<usize> {
    let mut most = exceptions.max(1);
    while !proves(most, exceptions, limit) {
        most = most.checked_mul(2).filter(|&most| most <= MOST)?;
    }
    // Less than half of that does not, or the loop would have ended before.
    let mut least = exceptions.max(1);
    while least < most {
        let middle = usize::midpoint(least, most);
        if proves(middle, exceptions, limit) {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    Some(most)
}

fn proves(requests: usize, exceptions: usize, limit: f64) -> bool {
    // Every share is at most 1.
    limit == 1.0 || at_most(exceptions, requests, limit) <= DOUBT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_that_prove_a_limit() {
        for (limit, wanted) in
            [(0.05, [59, 93, 124, 153]), (0.01, [299, 473, 628, 773]), (0.005, [598, 947, 1258, 1549])]
        {
            for (exceptions, wanted) in wanted.into_iter().enumerate() {
                assert_eq!(needed(exceptions, limit), Some(wanted), "{exceptions} of {limit}");
                assert_eq!(proof(wanted, exceptions, limit), Proof::Proven);
                assert_eq!(proof(wanted - 1, exceptions, limit), Proof::Unproven { needed: Some(wanted) });
            }
        }
    }

    #[test]
    fn a_table_of_answers() {
        let unproven = |needed| Proof::Unproven { needed };
        for (requests, exceptions, limit, wanted) in [
            // The usual "at most 1 % of 20 requests" proves nothing.
            (20, 0, 0.01, unproven(Some(299))),
            (20, 1, 0.01, unproven(Some(473))),
            (20, 2, 0.01, Proof::Refuted),
            (1000, 17, 0.01, Proof::Refuted),
            (1000, 15, 0.01, unproven(Some(2306))),
            (1000, 4, 0.01, Proof::Proven),
            (0, 0, 0.01, unproven(Some(299))),
            (0, 0, 1.0, unproven(Some(1))),
            (1, 1, 1.0, Proof::Proven),
            // No number of requests proves that there is never an exception; one exception refutes it.
            (1_000_000, 0, 0.0, unproven(None)),
            (1_000_000, 1, 0.0, Proof::Refuted),
            (1, 1, 0.01, Proof::Refuted),
            // What cannot be.
            (3, 4, 0.5, unproven(None)),
            (10, 0, f64::NAN, unproven(None)),
            (10, 0, -0.1, unproven(None)),
            (10, 0, 1.1, unproven(None)),
            (1_000_000, 9_800, 0.01, Proof::Proven),
        ] {
            assert_eq!(proof(requests, exceptions, limit), wanted, "{exceptions} of {requests}, limit {limit}");
        }
    }
}
