//! What is held, made again from the payments that count.

use std::collections::HashMap;

use sqlx::SqliteConnection;
use x402_schemas::amount::Amount;

use super::CheckReport;
use crate::ledger::{LedgerError, columns, held::Span, payments::Payment, prune};

/// Sums by (holder, span, period).
#[derive(Debug, Default)]
pub(super) struct Sums(HashMap<(String, &'static str, String), Amount>);

impl Sums {
    /// Counts a payment that is not void.
    pub(super) fn count(&mut self, payment: &Payment) -> Result<(), LedgerError> {
        let Some(at) = payment.reserved_at else {
            return Ok(());
        };
        for holder in [&payment.agent_id, &payment.workspace_id] {
            for span in Span::ALL {
                let key = (holder.clone(), span.as_str(), span.period(at));
                let sum = self.0.entry(key).or_default();
                *sum = sum
                    .checked_add(payment.invoice.amount)
                    .ok_or(LedgerError::Imbalance("a sum passes 256 bits"))?;
            }
        }
        Ok(())
    }

    /// Compares with what is held: nothing more, nothing less.
    pub(super) async fn compare(
        mut self,
        conn: &mut SqliteConnection,
        report: &mut CheckReport,
    ) -> Result<(), LedgerError> {
        let rows: Vec<(String, String, String, String)> = sqlx::query_as(
            "SELECT holder, span, period, amount FROM held ORDER BY holder, span, period",
        )
        .fetch_all(&mut *conn)
        .await?;
        // Of hours that were pruned nothing can be said any more.
        let pruned = prune::hours_pruned_before(conn).await?;
        let is_pruned = |span: &str, period: &str| {
            span == Span::Hour.as_str() && pruned.as_deref().is_some_and(|before| period < before)
        };
        for (holder, span, period, amount) in rows {
            if is_pruned(&span, &period) {
                continue;
            }
            let known = Span::ALL.into_iter().find(|known| known.as_str() == span);
            let sum = known
                .and_then(|span| {
                    self.0
                        .remove(&(holder.clone(), span.as_str(), period.clone()))
                })
                .unwrap_or_default();
            let held = columns::amount(&amount).ok();
            if held != Some(sum) {
                let held = held.map_or(amount, |held| held.to_string());
                report.differs(format!(
                    "{holder} holds {held} MNEE in {span} {period}, its payments sum to {sum}"
                ));
            }
        }
        let unseen = self.0.into_iter();
        let mut missing: Vec<_> = unseen
            .filter(|((_, span, period), _)| !is_pruned(span, period))
            .collect();
        missing.sort();
        for ((holder, span, period), sum) in missing {
            report.differs(format!(
                "{holder} holds nothing in {span} {period}, its payments sum to {sum}"
            ));
        }
        Ok(())
    }
}
