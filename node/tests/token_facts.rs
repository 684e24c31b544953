//! The local token emits the topics, answers the selectors and reverts with the errors of MNEE on mainnet.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a surprise in an artifact fails the test"
)]

use std::collections::BTreeSet;

use alloy::{
    primitives::{hex, keccak256},
    sol_types::{SolCall, SolError, SolEvent, SolEventInterface, SolInterface},
};
use serde_json::Value;
use x402::local::token::MneeToken::{self, MneeTokenErrors, MneeTokenEvents};

const TOKEN: &str = include_str!("../../contracts/artifacts/MneeToken.json");
const PROXY: &str = include_str!("../../contracts/artifacts/Proxy.json");

#[test]
fn events_have_the_topics_of_mainnet() {
    let expected = [
        (
            MneeToken::Transfer::SIGNATURE_HASH,
            "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
        ),
        (
            MneeToken::Approval::SIGNATURE_HASH,
            "8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925",
        ),
        (
            MneeToken::TokensMinted::SIGNATURE_HASH,
            "3f2c9d57c068687834f0de942a9babb9e5acab57d516d3480a3c16ee165a4273",
        ),
        (
            MneeToken::TokensBurnt::SIGNATURE_HASH,
            "3db896db0b7a2f53b4a4550f52efed13d6733eb1b099bbd99c3b74c3b90e9747",
        ),
        (
            MneeToken::HoldingsBurnt::SIGNATURE_HASH,
            "1b560ad975f2a2685fce792af7ad191c5f1c0bfbbf108c676319be3ccb014ddf",
        ),
        (
            MneeToken::FundsConfiscated::SIGNATURE_HASH,
            "5a592536e075e29026312219123e24de374314962469686d4c992d3c7292c1b4",
        ),
        (
            MneeToken::AccountFrozen::SIGNATURE_HASH,
            "4f2a367e694e71282f29ab5eaa04c4c0be45ac5bf2ca74fb67068b98bdc2887d",
        ),
        (
            MneeToken::AccountUnfrozen::SIGNATURE_HASH,
            "f915cd9fe234de6e8d3afe7bf2388d35b2b6d48e8c629a24602019bde79c213a",
        ),
        (
            MneeToken::AccountBlacklisted::SIGNATURE_HASH,
            "571f7b497ee6f6b62bf6238259f34ef72ad585355587cf9feed80bb4a2b5ce93",
        ),
        (
            MneeToken::AccountDelisted::SIGNATURE_HASH,
            "129586f509bc9e1d64c9e837fe75b9fe85ea015e22bef0ef5df82eda27e1e23e",
        ),
        (
            MneeToken::Paused::SIGNATURE_HASH,
            "62e78cea01bee320cd4e420270b5ea74000d11b0c9f74754ebdbfc544b05a258",
        ),
        (
            MneeToken::Unpaused::SIGNATURE_HASH,
            "5db9ee0a495bf2e6ff9c91a7834c1ba4fdd244a5e8aa4e537bd38aeae4b073aa",
        ),
        (
            MneeToken::Upgraded::SIGNATURE_HASH,
            "bc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b",
        ),
    ];
    for (topic, text) in expected {
        assert_eq!(hex::encode(topic), text);
    }
}

#[test]
fn refusals_and_views_have_the_selectors_of_mainnet() {
    let expected = [
        (MneeToken::blacklistedAddress::SELECTOR, "97a23270"),
        (MneeToken::frozenAddress::SELECTOR, "ea6970d8"),
        (MneeToken::tokenPaused::SELECTOR, "86c75e74"),
        (MneeToken::blacklistedCall::SELECTOR, "dbac26e9"),
        (MneeToken::frozenCall::SELECTOR, "d0516650"),
        (MneeToken::pausedCall::SELECTOR, "5c975abb"),
    ];
    for (selector, text) in expected {
        assert_eq!(hex::encode(selector), text);
    }
}

/// Canonical signatures of one kind of entry in the compiled ABIs, hashed.
fn hashes(kind: &str) -> BTreeSet<[u8; 32]> {
    let abis =
        [TOKEN, PROXY].map(|text| serde_json::from_str::<Value>(text).unwrap()["abi"].clone());
    let entries = abis.iter().flat_map(|abi| abi.as_array().unwrap());
    entries
        .filter(|entry| entry["type"] == kind)
        .map(|entry| {
            let types: Vec<&str> = entry["inputs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|input| input["type"].as_str().unwrap())
                .collect();
            keccak256(format!(
                "{}({})",
                entry["name"].as_str().unwrap(),
                types.join(",")
            ))
            .0
        })
        .collect()
}

fn selectors(hashes: &BTreeSet<[u8; 32]>) -> BTreeSet<[u8; 4]> {
    hashes
        .iter()
        .map(|hash| [hash[0], hash[1], hash[2], hash[3]])
        .collect()
}

#[test]
fn the_declared_interface_is_the_compiled_one() {
    let events: BTreeSet<[u8; 32]> = MneeTokenEvents::SELECTORS.iter().copied().collect();
    assert_eq!(events, hashes("event"));
    assert_eq!(<MneeTokenEvents as SolEventInterface>::COUNT, events.len());
    assert_eq!(
        MneeTokenErrors::selectors().collect::<BTreeSet<_>>(),
        selectors(&hashes("error"))
    );
    let functions: BTreeSet<[u8; 4]> = MneeToken::MneeTokenCalls::selectors().collect();
    assert!(functions.is_subset(&selectors(&hashes("function"))));
}
