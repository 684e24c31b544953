//! Who may do what in a workspace: the one table.
//!
//! A handler names what it does in the type of its caller, `Member<ManagingAgents>`, so it cannot be reached
//! by a lesser role. Stopping takes less than starting again, and nothing below an owner can give itself more.

use x402_schemas::api::members::Role;

/// Something that members do, and the least role that may.
pub(crate) trait Permission: Send + Sync + 'static {
    /// Every greater role may too.
    const LEAST: Role;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident: $least:ident,)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub(crate) struct $name;

            impl Permission for $name {
                const LEAST: Role = Role::$least;
            }
        )+
    };
}

permissions! {
    /// Looks at payments, spending, agents, providers, policies, members. Never at a key.
    Viewing: Viewer,
    /// Lets a payment go on that waits, or ends it.
    Approving: Member,
    /// Stops an agent.
    PausingAgents: Member,
    /// Makes agents, says what they may spend, lets paused ones go on, replaces and ends their keys.
    ManagingAgents: Admin,
    /// The same for providers.
    ManagingProviders: Admin,
    /// Looks at keys of agents and providers, and ends them; an owner those of members, too.
    ManagingKeys: Admin,
    /// Says where events of payments are sent, and has the secrets that they are signed with.
    ManagingWebhooks: Admin,
    /// Stops all agents.
    PausingWorkspace: Admin,
    /// Sets the budget and the policy of all agents together, lets a paused workspace go on.
    ManagingWorkspace: Owner,
    /// Says who is a member, in which role, with which key.
    ManagingMembers: Owner,
    /// Says where payments come from.
    ManagingTreasury: Owner,
}
