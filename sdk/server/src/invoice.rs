//! Invoice ids: issued and recognised with a key, never stored.
//!
//! An id is `inv_` and hex of: expiry (8 bytes, Unix seconds), 12 random bytes, and 16 bytes of
//! HMAC-SHA256 over both and the terms. Whoever has the key knows which terms an id was issued for,
//! so a restart or a second instance loses nothing. The key is derived from the provider's API key
//! with a label of its own and is good for nothing else.

use alloy_primitives::{Address, hex};
use aws_lc_rs::{constant_time, hmac};
use secrecy::{ExposeSecret, SecretString};
use x402_schemas::{
    amount::Amount,
    invoice::{InvoiceError, InvoiceId, Resource},
    network::Network,
    proof::LIFETIME_SECONDS,
};

const PREFIX: &str = "inv_";
const EXPIRY_LEN: usize = 8;
pub(crate) const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const SIGNED_LEN: usize = EXPIRY_LEN + NONCE_LEN;

/// Separates the derived key from every other use of the API key.
const KEY_LABEL: &[u8] = b"x402-server invoice key v1";

/// What an invoice asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) resource: Resource,
    pub(crate) price: Amount,
    pub(crate) pay_to: Address,
    pub(crate) network: Network,
}

/// How an invoice id stands to some terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Issued here for these terms, and a proof of it may still live.
    Redeemable,
    /// Issued here for these terms, so long ago that no proof of it can live.
    Ended,
    /// Issued for other terms, by somebody else, or not at all.
    NotOurs,
}

/// The keys that issue and recognise invoices.
#[derive(Debug)]
pub(crate) struct InvoiceKeys {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

impl InvoiceKeys {
    pub(crate) fn new(api_key: &SecretString, previous: Option<&SecretString>) -> Self {
        Self {
            current: derive(api_key),
            previous: previous.map(derive),
        }
    }

    /// A new invoice id. `nonce` has to be random: it is what makes two invoices two.
    pub(crate) fn issue(
        &self,
        terms: &Terms,
        expires_at: u64,
        nonce: [u8; NONCE_LEN],
    ) -> Result<InvoiceId, InvoiceError> {
        let signed = [expires_at.to_be_bytes().as_slice(), nonce.as_slice()].concat();
        let tag = tag(&self.current, &signed, terms);
        format!("{PREFIX}{}{}", hex::encode(signed), hex::encode(tag)).parse()
    }

    /// Whether the id was issued for these terms. The expiry bounds paying, not redeeming: money that
    /// came is honoured for as long as its proof can live.
    pub(crate) fn standing(&self, id: &InvoiceId, terms: &Terms, now: u64) -> Standing {
        let Some((signed, given)) = parts(id) else {
            return Standing::NotOurs;
        };
        let matches = |key: &hmac::Key| {
            constant_time::verify_slices_are_equal(&tag(key, &signed, terms), &given).is_ok()
        };
        let ours = matches(&self.current) || self.previous.as_ref().is_some_and(matches);
        let expires_at = signed.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        match expires_at {
            Some(_) if !ours => Standing::NotOurs,
            Some(at) if now <= at.saturating_add(LIFETIME_SECONDS) => Standing::Redeemable,
            Some(_) => Standing::Ended,
            None => Standing::NotOurs,
        }
    }
}

fn derive(api_key: &SecretString) -> hmac::Key {
    let key = hmac::Key::new(hmac::HMAC_SHA256, api_key.expose_secret().as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, KEY_LABEL).as_ref())
}

/// Every field has a fixed length except the resource, which comes last, so no two terms sign alike.
fn tag(key: &hmac::Key, signed: &[u8], terms: &Terms) -> [u8; TAG_LEN] {
    let mut context = hmac::Context::with_key(key);
    context.update(signed);
    context.update(&terms.price.base_units().to_be_bytes::<32>());
    context.update(terms.pay_to.as_slice());
    context.update(&terms.network.chain_id().to_be_bytes());
    context.update(terms.resource.as_str().as_bytes());
    let mut tag = [0; TAG_LEN];
    for (byte, signed) in tag.iter_mut().zip(context.sign().as_ref()) {
        *byte = *signed;
    }
    tag
}

/// The signed part and the tag of an id in its one spelling: another case is another invoice.
fn parts(id: &InvoiceId) -> Option<([u8; SIGNED_LEN], [u8; TAG_LEN])> {
    let digits = id.as_str().strip_prefix(PREFIX)?;
    if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let bytes = hex::decode(digits).ok()?;
    let (signed, tag) = bytes.split_first_chunk()?;
    Some((*signed, tag.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn terms() -> Terms {
        Terms {
            resource: "GET https://api.example.com/report".parse().unwrap(),
            price: "0.05".parse().unwrap(),
            pay_to: Address::repeat_byte(1),
            network: Network::DEVNET,
        }
    }

    fn keys(current: &str, previous: Option<&str>) -> InvoiceKeys {
        let previous = previous.map(SecretString::from);
        InvoiceKeys::new(&SecretString::from(current), previous.as_ref())
    }

    fn issued(expires_at: u64) -> InvoiceId {
        keys("a", None)
            .issue(&terms(), expires_at, [7; NONCE_LEN])
            .unwrap()
    }

    #[test]
    fn an_invoice_is_recognised_by_any_instance_with_the_key() {
        let id = issued(NOW);
        assert_eq!(
            keys("a", None).standing(&id, &terms(), NOW),
            Standing::Redeemable
        );
        assert_eq!(
            keys("b", None).standing(&id, &terms(), NOW),
            Standing::NotOurs
        );
    }

    #[test]
    fn an_invoice_of_other_terms_is_not_ours() {
        let id = issued(NOW);
        let changes: [fn(&mut Terms); 6] = [
            |terms| terms.resource = "POST https://api.example.com/report".parse().unwrap(),
            |terms| terms.resource = "GET https://api.example.com/report2".parse().unwrap(),
            |terms| terms.resource = "GET https://api.example.org/report".parse().unwrap(),
            |terms| terms.price = "0.050000000000000001".parse().unwrap(),
            |terms| terms.pay_to = Address::repeat_byte(2),
            |terms| terms.network = Network::MAINNET,
        ];
        for change in changes {
            let mut other = terms();
            change(&mut other);
            assert_eq!(
                keys("a", None).standing(&id, &other, NOW),
                Standing::NotOurs,
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_changed_character_makes_it_another_invoice() {
        let id = issued(NOW);
        for position in 0..id.as_str().len() {
            let mut changed = id.as_str().to_owned().into_bytes();
            changed[position] = if changed[position] == b'0' {
                b'1'
            } else {
                b'0'
            };
            let changed = String::from_utf8(changed).unwrap().parse().unwrap();
            assert_eq!(
                keys("a", None).standing(&changed, &terms(), NOW),
                Standing::NotOurs,
                "{position}"
            );
        }
        let shouted = format!("inv_{}", id.as_str()[4..].to_uppercase());
        for other in ["inv_", "inv_00", "other", &shouted, &format!("{id}00")] {
            assert_eq!(
                keys("a", None).standing(&other.parse().unwrap(), &terms(), NOW),
                Standing::NotOurs,
                "{other}"
            );
        }
    }

    #[test]
    fn the_expiry_bounds_paying_and_the_proofs_life_bounds_redeeming() {
        let id = issued(NOW);
        let standing = |now| keys("a", None).standing(&id, &terms(), now);
        assert_eq!(standing(NOW + LIFETIME_SECONDS), Standing::Redeemable);
        assert_eq!(standing(NOW + LIFETIME_SECONDS + 1), Standing::Ended);
        let id = issued(u64::MAX);
        assert_eq!(
            keys("a", None).standing(&id, &terms(), u64::MAX),
            Standing::Redeemable
        );
    }

    #[test]
    fn the_previous_key_recognises_its_invoices_and_issues_none() {
        let rotated = keys("b", Some("a"));
        assert_eq!(
            rotated.standing(&issued(NOW), &terms(), NOW),
            Standing::Redeemable
        );
        let new = rotated.issue(&terms(), NOW, [7; NONCE_LEN]).unwrap();
        assert_eq!(
            keys("a", None).standing(&new, &terms(), NOW),
            Standing::NotOurs
        );
    }

    /// The file is shared with the other implementations of this scheme.
    #[test]
    fn ids_are_those_of_the_vectors() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors.json")).unwrap();
        let issued = vectors["issuedInvoices"].as_array().unwrap();
        assert!(!issued.is_empty());
        for vector in issued {
            let text = |name: &str| vector[name].as_str().unwrap();
            let terms = Terms {
                resource: text("resource").parse().unwrap(),
                price: text("price").parse().unwrap(),
                pay_to: text("payTo").parse().unwrap(),
                network: text("network").parse().unwrap(),
            };
            let nonce = hex::decode_to_array(text("nonce")).unwrap();
            let id = keys(text("apiKey"), None)
                .issue(&terms, vector["expiresAt"].as_u64().unwrap(), nonce)
                .unwrap();
            assert_eq!(id.as_str(), text("invoiceId"));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_id_panics_the_reader_or_passes(text in "(inv_)?[0-9a-f]{1,100}") {
            let standing = keys("a", None).standing(&text.parse().unwrap(), &terms(), NOW);
            proptest::prop_assert_eq!(standing, Standing::NotOurs);
        }

        #[test]
        fn two_nonces_are_two_invoices(one: [u8; 12], other: [u8; 12]) {
            let issue = |nonce| keys("a", None).issue(&terms(), NOW, nonce).unwrap();
            proptest::prop_assert_eq!(issue(one) == issue(other), one == other);
        }
    }
}
