//! Stable codes for everything that can be refused. Codes are API: never renamed, only added.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:tt,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $code)] $variant,)+
        }

        impl $name {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::codes::UnknownCode;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($code => Ok(Self::$variant),)+ _ => Err($crate::codes::UnknownCode) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use codes;

/// The text is no code of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown code")]
pub struct UnknownCode;

codes! {
    /// Why policy does not allow a payment. The first that holds is reported.
    Denial {
        /// The agent is revoked or has no policy.
        AgentDisabled = "AGENT_DISABLED",
        /// An owner has paused the agent.
        AgentPaused = "AGENT_PAUSED",
        /// An owner has paused the workspace.
        WorkspacePaused = "WORKSPACE_PAUSED",
        /// The agent's or the workspace's policy has expired.
        PolicyExpired = "POLICY_EXPIRED",
        /// Outside of the policy's hours of the UTC day.
        OutsideActiveHours = "OUTSIDE_ACTIVE_HOURS",
        /// The payee or the host is not on a policy's list, or on its list of those denied.
        ProviderNotAllowed = "PROVIDER_NOT_ALLOWED",
        /// The host is registered and its provider is not paid at this payee, or nobody has registered it.
        RecipientNotRegistered = "RECIPIENT_NOT_REGISTERED",
        /// The invoice's signature is not its provider's over what it asks for.
        InvoiceSignatureInvalid = "INVOICE_SIGNATURE_INVALID",
        /// A policy wants the invoice signed by its provider and it is not.
        InvoiceNotSigned = "INVOICE_NOT_SIGNED",
        /// Another network than this gateway pays on, or than the policy allows.
        NetworkNotAllowed = "NETWORK_NOT_ALLOWED",
        /// More than the agent's limit for one request.
        AgentRequestLimit = "AGENT_REQUEST_LIMIT",
        /// More than the workspace's limit for one request.
        WorkspaceRequestLimit = "WORKSPACE_REQUEST_LIMIT",
        /// Would pass the agent's limit for the UTC day.
        AgentDailyLimit = "AGENT_DAILY_LIMIT",
        /// Would pass the agent's limit for the UTC month.
        AgentMonthlyLimit = "AGENT_MONTHLY_LIMIT",
        /// Would pass one of the agent's limits over the hours before now.
        AgentRollingLimit = "AGENT_ROLLING_LIMIT",
        /// Would pass the most that the agent may ever spend.
        AgentBudgetExceeded = "AGENT_BUDGET_EXCEEDED",
        /// Would pass the workspace's budget for the UTC month, or a limit of its policy.
        WorkspaceBudgetExceeded = "WORKSPACE_BUDGET_EXCEEDED",
        /// Too many payments within a minute; try again later.
        RateLimited = "RATE_LIMITED",
        /// The invoice was quoted or paid with other terms.
        DuplicatePayment = "DUPLICATE_PAYMENT",
        /// The same resource was bought from the same payee for the same amount a moment ago.
        DuplicatePurchase = "DUPLICATE_PURCHASE",
        /// An owner has to approve this amount.
        ApprovalRequired = "APPROVAL_REQUIRED",
    }
}

codes! {
    /// Why an allowed payment did not happen.
    PaymentFailure {
        /// The treasury holds too little MNEE.
        InsufficientBalance = "INSUFFICIENT_BALANCE",
        /// The treasury has approved too little to the workspace's spender.
        InsufficientAllowance = "INSUFFICIENT_ALLOWANCE",
        /// The workspace's spender has too little ether for what the transaction may come to cost.
        InsufficientGas = "INSUFFICIENT_GAS",
        /// The issuer has paused the token.
        TokenPaused = "TOKEN_PAUSED",
        /// The issuer has blacklisted or frozen payer or payee.
        AccountBlocked = "ACCOUNT_BLOCKED",
        /// The quote is older than its 60 seconds.
        QuoteExpired = "QUOTE_EXPIRED",
        /// No quote of this agent has that id.
        QuoteNotFound = "QUOTE_NOT_FOUND",
        /// The transaction was mined and reverted, and is final.
        TransactionFailed = "TRANSACTION_FAILED",
        /// No treasury, or the chain cannot be reached; nothing was sent.
        WalletError = "WALLET_ERROR",
        /// An owner has rejected it.
        ApprovalRejected = "APPROVAL_REJECTED",
        /// No owner has approved it in time.
        ApprovalExpired = "APPROVAL_EXPIRED",
    }
}

/// Why a payment has ended without money moving: policy, or what came after it. One list of codes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum PaymentError {
    /// Policy denied it.
    Denied(Denial),
    /// It was allowed and did not happen.
    Failed(PaymentFailure),
}

impl PaymentError {
    /// The stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied(denial) => denial.as_str(),
            Self::Failed(failure) => failure.as_str(),
        }
    }
}

impl std::str::FromStr for PaymentError {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let denied = text.parse().map(Self::Denied);
        denied.or_else(|_| text.parse().map(Self::Failed))
    }
}

codes! {
    /// Why a proof does not verify, in the order of precedence: the first that holds is reported.
    Refusal {
        /// Not a proof of this gateway: malformed, unknown key, wrong signature.
        InvalidProof = "INVALID_PROOF",
        /// Older than 24 hours.
        ProofExpired = "PROOF_EXPIRED",
        /// The index covers the proof's block and shows no such payment there.
        PaymentNotFound = "PAYMENT_NOT_FOUND",
        /// Not indexed yet, or not confirmed deeply enough: ask again after `retryAfterMs`.
        PaymentPending = "PAYMENT_PENDING",
        /// It pays another invoice or another resource.
        InvoiceMismatch = "INVOICE_MISMATCH",
        /// It pays another amount, be it by one base unit.
        AmountMismatch = "AMOUNT_MISMATCH",
        /// It pays somebody else, or the caller is not its payee.
        RecipientMismatch = "RECIPIENT_MISMATCH",
        /// It is of another network or token.
        NetworkMismatch = "NETWORK_MISMATCH",
        /// It was used before, for another invoice or in another attempt.
        AlreadyClaimed = "ALREADY_CLAIMED",
        /// It was on the chain and a reorg has removed it.
        PaymentReverted = "PAYMENT_REVERTED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_payment_names_one_reason_only() {
        let denials = Denial::ALL.iter().map(|code| PaymentError::Denied(*code));
        let failures = PaymentFailure::ALL
            .iter()
            .map(|code| PaymentError::Failed(*code));
        for error in denials.chain(failures) {
            assert_eq!(error.as_str().parse(), Ok(error));
            let text = serde_json::to_string(&error).unwrap();
            assert_eq!(serde_json::from_str::<PaymentError>(&text).unwrap(), error);
        }
    }
}
