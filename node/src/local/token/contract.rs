//! The contracts as this crate knows them: the declared interface and the committed artifacts.
//!
//! Declared by hand, because the names below are how the code reads; a test compares every signature with the ABI that the
//! compiler wrote.

use alloy::{
    primitives::{Bytes, hex},
    sol,
    transports::{RpcError, TransportError},
};
use serde_json::Value;

use self::MneeToken::MneeTokenErrors;
use super::TokenError;

const TOKEN_ARTIFACT: &str = include_str!("../../../../contracts/artifacts/MneeToken.json");
const PROXY_ARTIFACT: &str = include_str!("../../../../contracts/artifacts/Proxy.json");

sol! {
    /// The local token. Signatures, topics and selectors are mainnet's, but for the administrators' calls.
    #[derive(Debug)]
    interface MneeToken {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);
        event TokensMinted(address indexed account, uint256 indexed amount);
        event TokensBurnt(uint256 indexed amount);
        event HoldingsBurnt(address indexed account, uint256 indexed amount);
        event FundsConfiscated(address indexed account, uint256 indexed amount, address indexed sentTo);
        event AccountFrozen(address indexed account);
        event AccountUnfrozen(address indexed account);
        event AccountBlacklisted(address indexed account);
        event AccountDelisted(address indexed account);
        event Paused(address account);
        event Unpaused(address account);
        event Upgraded(address indexed implementation);

        error blacklistedAddress();
        error frozenAddress();
        error tokenPaused();
        error onlyAdmin();
        error zeroAddress();
        error alreadyInitialized();
        error onlyProxyAdmin();
        error implementationHasNoCode();

        function decimals() external view returns (uint8);
        function admin() external view returns (address);
        function paused() external view returns (bool);
        function blacklisted(address account) external view returns (bool);
        function frozen(address account) external view returns (bool);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function transfer(address to, uint256 amount) external returns (bool);
        function transferFrom(address from, address to, uint256 amount) external returns (bool);
        function approve(address spender, uint256 amount) external returns (bool);

        function initialize(address firstAdmin) external;
        function mint(address to, uint256 amount) external;
        function burn(uint256 amount) external;
        function pause() external;
        function unpause() external;
        function blacklist(address account) external;
        function delist(address account) external;
        function freeze(address account) external;
        function unfreeze(address account) external;
        function confiscate(address victim, address to, uint256 amount) external;
        function burnHoldings(address account) external;
        function rescue(address to, uint256 amount) external;
        function upgradeTo(address implementation) external;
    }
}

/// What it takes to create the implementation.
pub(super) fn token_creation() -> Result<Bytes, TokenError> {
    code("MneeToken", TOKEN_ARTIFACT, "bytecode")
}

/// The implementation as it lies on the chain.
pub(super) fn token_code() -> Result<Bytes, TokenError> {
    code("MneeToken", TOKEN_ARTIFACT, "deployedBytecode")
}

/// The proxy as it lies on the chain.
pub(super) fn proxy_code() -> Result<Bytes, TokenError> {
    code("Proxy", PROXY_ARTIFACT, "deployedBytecode")
}

/// Tells the contract's refusal from a failure of the chain.
pub(super) fn refusal(error: TransportError) -> TokenError {
    let RpcError::ErrorResp(payload) = &error else {
        return TokenError::Chain(error);
    };
    let Some(data) = payload.as_revert_data() else {
        return TokenError::Chain(error);
    };
    let known = data
        .first_chunk()
        .and_then(|id| MneeTokenErrors::name_by_selector(*id));
    let reason = known.unwrap_or(&payload.message).to_owned();
    TokenError::Refused { reason, data }
}

/// A field of a committed artifact, as bytes.
fn code(name: &'static str, artifact: &str, field: &str) -> Result<Bytes, TokenError> {
    let artifact: Value = serde_json::from_str(artifact).map_err(|_| TokenError::Artifact(name))?;
    let text = artifact
        .get(field)
        .and_then(Value::as_str)
        .ok_or(TokenError::Artifact(name))?;
    hex::decode(text)
        .map(Bytes::from)
        .map_err(|_| TokenError::Artifact(name))
}
