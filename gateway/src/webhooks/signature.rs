//! Secrets of webhooks and what they sign, as Standard Webhooks has it: HMAC-SHA256 over id, time and
//! body, `v1,` and Base64; with several secrets several signatures, parted by spaces.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretSlice};
use x402_service::api_key::{NoRandomness, random_bytes};

const PREFIX: &str = "whsec_";
/// Bytes of a secret; the standard asks for 24 to 64.
const SECRET_LEN: usize = 32;

/// Signs what is sent to one webhook.
#[derive(Debug)]
pub(crate) struct Secret(SecretSlice<u8>);

impl Secret {
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        Ok(Self::from_bytes(random_bytes::<SECRET_LEN>()?.to_vec()))
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(SecretSlice::from(bytes))
    }

    /// For storing it encrypted.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.expose_secret().to_vec()
    }

    /// For showing it to its owner once.
    pub(crate) fn expose(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0.expose_secret()))
    }

    fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let mut signing = hmac::Context::with_key(&key);
        signing.update(format!("{id}.{seconds}.").as_bytes());
        signing.update(body);
        format!("v1,{}", STANDARD.encode(signing.sign()))
    }
}

/// `webhook-signature`: by each secret that counts now.
pub(crate) fn header(secrets: &[Secret], id: &str, seconds: i64, body: &[u8]) -> String {
    let signatures = secrets.iter().map(|secret| secret.sign(id, seconds, body));
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_standards_own_example() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let secret = Secret::from_bytes(secret);
        assert_eq!(secret.expose(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signed = header(
            &[secret],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            body,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_never_shows_in_debug_output() {
        let secret = Secret::from_bytes(vec![200; 32]);
        assert!(!format!("{secret:?}").contains("200"));
    }
}
