//! Flags that spell out a policy, for an agent's and a workspace's commands.

use clap::Args;
use x402_schemas::{
    address,
    amount::{Amount, AmountError},
    network::Network,
    policy::{ActiveHours, AllowedProvider, HostPattern, Policy, RollingLimit, TimeError},
};

/// What may be spent. Days, months and hours are UTC.
#[derive(Clone, Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The most for one request, in MNEE.
    #[arg(long)]
    per_request: Amount,
    /// The most in a day.
    #[arg(long)]
    daily: Amount,
    /// The most in a month.
    #[arg(long)]
    monthly: Amount,
    /// The most ever.
    #[arg(long)]
    total: Option<Amount>,
    /// The most in the hours before a payment, as `24=5`. Repeat for more.
    #[arg(long, value_name = "HOURS=AMOUNT", value_parser = rolling)]
    rolling: Vec<RollingLimit>,
    /// Whom it may pay: a payee's address, or `*` for anyone. Repeat for more.
    #[arg(long = "allow", required = true)]
    allowed_providers: Vec<AllowedProvider>,
    /// A payee whom it may not pay. Repeat for more.
    #[arg(long = "deny", value_parser = address::parse)]
    denied_providers: Vec<alloy::primitives::Address>,
    /// A host that it may buy from, as `api.example.com` or `*.example.com`; any when absent. Repeat for more.
    #[arg(long = "allow-host")]
    allowed_hosts: Vec<HostPattern>,
    /// A host that it may not buy from. Repeat for more.
    #[arg(long = "deny-host")]
    denied_hosts: Vec<HostPattern>,
    /// Pay hosts that no provider has registered, too.
    #[arg(long)]
    allow_unregistered: bool,
    /// Pay invoices only that their provider has signed.
    #[arg(long)]
    require_signed_invoices: bool,
    /// A network that it may pay on; the gateway's own when absent. Repeat for more.
    #[arg(long = "network")]
    networks: Vec<Network>,
    /// The most payments within a minute.
    #[arg(long)]
    payments_per_minute: Option<u32>,
    /// Refuse to buy the same again within so many seconds.
    #[arg(long)]
    duplicate_within_seconds: Option<u32>,
    /// When it may pay, as `08:00-18:00`.
    #[arg(long, value_name = "FROM-TO", value_parser = active_hours)]
    active_hours: Option<ActiveHours>,
    /// When the policy ends, as `2027-01-01T00:00:00Z`.
    #[arg(long)]
    expires_at: Option<jiff::Timestamp>,
    /// A payment of more than this waits for `x402 approval approve`.
    #[arg(long)]
    approval_above: Option<Amount>,
}

impl From<PolicyArgs> for Policy {
    fn from(args: PolicyArgs) -> Self {
        // A list that nothing was given for is no list: an empty one would allow nothing.
        let given = |count: usize| (count > 0).then_some(());
        Self {
            denied_providers: args.denied_providers,
            allowed_hosts: given(args.allowed_hosts.len()).map(|()| args.allowed_hosts),
            denied_hosts: args.denied_hosts,
            allow_unregistered: args.allow_unregistered,
            require_signed_invoices: args.require_signed_invoices,
            networks: given(args.networks.len()).map(|()| args.networks),
            rolling: args.rolling,
            total: args.total,
            payments_per_minute: args.payments_per_minute,
            duplicate_within_seconds: args.duplicate_within_seconds,
            active_hours: args.active_hours,
            expires_at: args.expires_at,
            approval_above: args.approval_above,
            ..Self::new(
                args.per_request,
                args.daily,
                args.monthly,
                args.allowed_providers,
            )
        }
    }
}

fn rolling(text: &str) -> Result<RollingLimit, String> {
    let (hours, limit) = text
        .split_once('=')
        .ok_or("write hours and limit as 24=5")?;
    Ok(RollingLimit {
        hours: hours
            .parse()
            .map_err(|_| "the hours before = are a number")?,
        limit: limit
            .parse()
            .map_err(|error: AmountError| format!("the limit after =: {error}"))?,
    })
}

fn active_hours(text: &str) -> Result<ActiveHours, String> {
    let (from, to) = text
        .split_once('-')
        .ok_or("write them as 08:00-18:00, UTC")?;
    let time = |text: &str| {
        text.parse()
            .map_err(|error: TimeError| format!("{text}: {error}"))
    };
    Ok(ActiveHours {
        from: time(from)?,
        to: time(to)?,
    })
}
