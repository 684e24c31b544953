//! Which attempt a payment was claimed for, so that a failed one can be repeated.
//!
//! The verifier repeats a claim only to the attempt that made it. An attempt that ended without an
//! answer for the buyer is remembered; the next request with the same proof takes it over. Taking
//! removes it, so of two requests at once only one is served. Nothing survives a restart: then the
//! verifier answers ALREADY_CLAIMED and the provider settles it with the buyer.

use std::time::Duration;

use moka::{policy::EvictionPolicy, sync::Cache};
use x402_schemas::{invoice::InvoiceId, proof::LIFETIME_SECONDS};

/// The most failed attempts that are remembered, about 30 MB; the oldest is forgotten first.
const MAX_REMEMBERED: u64 = 65_536;

/// How often one payment may start the handler until it gives an answer.
const MAX_RUNS: u32 = 16;

/// Attempts that ended without an answer.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    unanswered: Cache<InvoiceId, Unanswered>,
}

#[derive(Clone, Debug)]
struct Unanswered {
    name: String,
    runs_left: u32,
}

/// One request's try at serving an invoice. Dropped before it is over, it can be taken over.
#[derive(Debug)]
pub(crate) struct Attempt {
    attempts: Attempts,
    invoice_id: InvoiceId,
    unanswered: Unanswered,
    taken_over: bool,
    over: bool,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        let unanswered = Cache::builder()
            .max_capacity(MAX_REMEMBERED)
            // A stranger's flood must not keep the newest entry out, as admission by use would.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(Duration::from_secs(LIFETIME_SECONDS))
            .build();
        Self { unanswered }
    }

    /// The attempt that was left unanswered for this invoice, or a new one called `fresh_name`.
    pub(crate) fn begin(&self, invoice_id: InvoiceId, fresh_name: String) -> Attempt {
        let left = self.unanswered.remove(&invoice_id);
        Attempt {
            attempts: self.clone(),
            invoice_id,
            taken_over: left.is_some(),
            unanswered: left.unwrap_or(Unanswered {
                name: fresh_name,
                runs_left: MAX_RUNS,
            }),
            over: false,
        }
    }
}

impl Attempt {
    /// What the verifier knows it by.
    pub(crate) fn name(&self) -> &str {
        &self.unanswered.name
    }

    /// Whether it was begun by an earlier request, so that the verifier may know it.
    pub(crate) const fn is_taken_over(&self) -> bool {
        self.taken_over
    }

    /// The handler is about to start.
    pub(crate) fn run(&mut self) {
        self.unanswered.runs_left = self.unanswered.runs_left.saturating_sub(1);
    }

    /// The buyer has an answer.
    pub(crate) fn answered(mut self) {
        self.over = true;
    }

    /// The verifier did not accept the proof now. A new attempt has claimed nothing and is
    /// forgotten; one that was taken over may hold the claim and stays.
    pub(crate) fn refused(mut self) {
        self.over = !self.taken_over;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.over && self.unanswered.runs_left > 0 {
            self.attempts
                .unanswered
                .insert(self.invoice_id.clone(), self.unanswered.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn begin(attempts: &Attempts, name: &str) -> Attempt {
        attempts.begin("inv_1".parse().unwrap(), name.to_owned())
    }

    #[test]
    fn an_attempt_without_an_answer_is_taken_over() {
        let attempts = Attempts::new();
        drop(begin(&attempts, "a"));
        assert_eq!(begin(&attempts, "b").name(), "a");
    }

    #[test]
    fn an_attempt_with_an_answer_is_over() {
        let attempts = Attempts::new();
        begin(&attempts, "a").answered();
        assert_eq!(begin(&attempts, "b").name(), "b");
    }

    #[test]
    fn a_refusal_forgets_new_attempts_and_keeps_those_that_may_hold_the_claim() {
        let attempts = Attempts::new();
        begin(&attempts, "a").refused();
        drop(begin(&attempts, "b"));
        let taken_over = begin(&attempts, "c");
        assert_eq!(taken_over.name(), "b");
        taken_over.refused();
        assert_eq!(begin(&attempts, "d").name(), "b");
    }

    #[test]
    fn a_payment_does_not_start_the_handler_for_ever() {
        let attempts = Attempts::new();
        for _ in 0..MAX_RUNS {
            let mut attempt = begin(&attempts, "a");
            assert_eq!(attempt.name(), "a");
            attempt.run();
        }
        assert_eq!(begin(&attempts, "b").name(), "b");
    }

    #[test]
    fn of_requests_at_once_only_one_takes_the_attempt_over() {
        for _ in 0..50 {
            let attempts = Attempts::new();
            drop(begin(&attempts, "a"));
            let barrier = Barrier::new(4);
            let taken = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            begin(&attempts, "b")
                        })
                    })
                    .collect();
                let held: Vec<_> = threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .collect();
                held.iter().filter(|attempt| attempt.name() == "a").count()
            });
            assert_eq!(taken, 1);
        }
    }
}
