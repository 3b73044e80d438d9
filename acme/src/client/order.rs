//! How an order goes on (RFC 8555 §7.1.6): a pure decision on the stage that we stored and the status
//! that the authority tells.
//!
//! Every stage is durable before the request that follows it leaves. After a crash the stored order is
//! looked at again and goes on from there; where that is impossible the decision says so, and a new
//! order is begun.

use instant_acme::OrderStatus;

use super::model::Stage;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answer the challenges of the names that are not valid yet.
    Authorize,
    /// Drop this order, place another one.
    BeginAnew,
    /// Fetch the certificate.
    Download,
    /// Report which names could not be validated; the order is dead.
    Fail,
    /// Send the stored request.
    Finalize,
    /// Make key and request and store them.
    Prepare,
    /// Hand out what is stored.
    Take,
    /// Look again in a moment.
    Wait,
}

/// Decides from what is stored and what the authority says.
pub fn next(stage: &Stage, status: OrderStatus) -> Step {
    match (stage, status) {
        // Whoever has an order has left this stage.
        (Stage::Placing, _) => Step::BeginAnew,
        (Stage::Issued { .. }, _) => Step::Take,
        (_, OrderStatus::Invalid) => Step::Fail,
        (Stage::Created | Stage::Answering, OrderStatus::Pending) => Step::Authorize,
        (Stage::Created | Stage::Answering, OrderStatus::Ready) => Step::Prepare,
        // It was finalized, and not with a key that we have.
        (Stage::Created | Stage::Answering, OrderStatus::Processing | OrderStatus::Valid) => Step::BeginAnew,
        // An order does not go back from ready to pending.
        (Stage::Finalizing { .. }, OrderStatus::Pending) => Step::BeginAnew,
        (Stage::Finalizing { .. }, OrderStatus::Ready) => Step::Finalize,
        (Stage::Finalizing { .. }, OrderStatus::Processing) => Step::Wait,
        (Stage::Finalizing { .. }, OrderStatus::Valid) => Step::Download,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSES: [OrderStatus; 5] = [
        OrderStatus::Pending,
        OrderStatus::Ready,
        OrderStatus::Processing,
        OrderStatus::Valid,
        OrderStatus::Invalid,
    ];

    fn stages() -> [Stage; 5] {
        [
            Stage::Created,
            Stage::Answering,
            Stage::Finalizing { sealed_key: vec![1].into(), csr: vec![2].into() },
            Stage::Issued { sealed_key: vec![1].into(), chain: String::new() },
            Stage::Placing,
        ]
    }

    #[test]
    fn the_whole_table() {
        use Step::*;
        let steps: Vec<Vec<Step>> = stages()
            .iter()
            .map(|stage| STATUSES.iter().map(|status| next(stage, *status)).collect())
            .collect();
        assert_eq!(steps[0], [Authorize, Prepare, BeginAnew, BeginAnew, Fail]);
        assert_eq!(steps[1], [Authorize, Prepare, BeginAnew, BeginAnew, Fail]);
        assert_eq!(steps[2], [BeginAnew, Finalize, Wait, Download, Fail]);
        assert_eq!(steps[3], [Take, Take, Take, Take, Take]);
        assert_eq!(steps[4], [BeginAnew; 5]);
    }

    #[test]
    fn a_certificate_is_fetched_only_for_a_key_that_is_stored() {
        for stage in stages() {
            for status in STATUSES {
                if matches!(next(&stage, status), Step::Finalize | Step::Download | Step::Take) {
                    assert!(matches!(stage, Stage::Finalizing { .. } | Stage::Issued { .. }));
                }
            }
        }
    }
}
