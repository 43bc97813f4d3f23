//! Making keys and tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, AlgorithmFamily, Header};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use ring::{error, hmac};

use super::jwk::{Jwk, KeyError, coordinate};
use super::{Claims, Key, crypto, token};

/// Algorithms that keys can be made for. RSA keys are only read: curves do the same with less.
pub const ALGORITHMS: [&str; 6] = ["ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512"];

/// A key that signs tokens.
pub struct SigningKey {
    jwk: Jwk,
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Secret(hmac::Key),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
}

impl SigningKey {
    /// A new key for one of [`ALGORITHMS`], called `kid` or, without it, by eight random bytes.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] for others.
    pub fn generate(algorithm: &str, kid: Option<String>) -> Result<Self, KeyError> {
        let known = ALGORITHMS.contains(&algorithm);
        let alg: Algorithm = known
            .then(|| algorithm.parse().ok())
            .flatten()
            .ok_or(KeyError::Algorithm)?;
        let mut jwk = Jwk {
            alg: Some(algorithm.to_owned()),
            kid: Some(match kid {
                Some(kid) => kid,
                None => BASE64.encode(random(8)?),
            }),
            ..Jwk::default()
        };
        match alg {
            Algorithm::ES256 | Algorithm::ES384 => curve(&mut jwk, alg)?,
            Algorithm::EdDSA => {
                let seed = random(32)?;
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(rejected)?;
                jwk.kty = "OKP".to_owned();
                jwk.crv = Some("Ed25519".to_owned());
                jwk.x = Some(BASE64.encode(pair.public_key()));
                jwk.d = Some(BASE64.encode(seed));
            }
            _ => {
                let size = match alg {
                    Algorithm::HS384 => 48,
                    Algorithm::HS512 => 64,
                    _ => 32,
                };
                jwk.kty = "oct".to_owned();
                jwk.k = Some(BASE64.encode(random(size)?));
            }
        }
        let operations: &[&str] = match jwk.kty.as_str() {
            "oct" => &["sign", "verify"],
            _ => &["sign"],
        };
        jwk.key_ops = Some(operations.iter().copied().map(str::to_owned).collect());
        Self::new(jwk)
    }

    /// Reads a secret or private key.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn read(text: &str) -> Result<Self, KeyError> {
        let jwk = Jwk::read(text)?;
        jwk.allow("sign")?;
        Self::new(jwk)
    }

    fn new(jwk: Jwk) -> Result<Self, KeyError> {
        let algorithm = jwk.algorithm()?;
        let random = SystemRandom::new();
        let pair = match algorithm.family() {
            AlgorithmFamily::Hmac => {
                let hash = crypto::hmac_algorithm(algorithm).map_err(|_| KeyError::Algorithm)?;
                Pair::Secret(hmac::Key::new(hash, &jwk.secret()?))
            }
            AlgorithmFamily::Ec => {
                let size = coordinate(algorithm);
                let private = Jwk::sized(jwk.d.as_ref(), "d", size)?;
                let mut point = vec![4];
                point.extend(Jwk::sized(jwk.x.as_ref(), "x", size)?);
                point.extend(Jwk::sized(jwk.y.as_ref(), "y", size)?);
                let signing = ec_algorithm(algorithm);
                EcdsaKeyPair::from_private_key_and_public_key(signing, &private, &point, &random)
                    .map(Pair::Ec)
                    .map_err(rejected)?
            }
            AlgorithmFamily::Ed => {
                let seed = Jwk::sized(jwk.d.as_ref(), "d", 32)?;
                let public = Jwk::sized(jwk.x.as_ref(), "x", 32)?;
                Ed25519KeyPair::from_seed_and_public_key(&seed, &public)
                    .map(Pair::Ed)
                    .map_err(rejected)?
            }
            AlgorithmFamily::Rsa => Pair::Rsa(Box::new(rsa(&jwk)?), padding(algorithm)?),
        };
        Ok(Self {
            jwk,
            algorithm,
            pair,
        })
    }

    /// The name of the key.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.jwk.kid.as_deref()
    }

    /// The key as JSON, secret part included.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(&self.jwk)
    }

    /// What a relay needs to check this key's tokens, as JSON. `None` for secrets, which have no public half.
    #[must_use]
    pub fn public_json(&self) -> Option<String> {
        if matches!(self.pair, Pair::Secret(_)) {
            return None;
        }
        let Jwk {
            kty,
            alg,
            kid,
            crv,
            x,
            y,
            n,
            e,
            scope,
            ..
        } = self.jwk.clone();
        Some(json(&Jwk {
            kty,
            alg,
            kid,
            crv,
            x,
            y,
            n,
            e,
            scope,
            key_ops: Some(vec!["verify".to_owned()]),
            ..Jwk::default()
        }))
    }

    /// Signs a token.
    ///
    /// # Errors
    /// [`KeyError::Member`] for claims that grant nothing, [`KeyError::Rejected`] when the cryptography fails.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        if claims.is_useless() || claims.grants().is_err() {
            return Err(KeyError::Member("put or get"));
        }
        let mut header = Header::new(self.algorithm);
        header.kid.clone_from(&self.jwk.kid);
        let header = BASE64.encode(serde_json::to_vec(&header)?);
        let claims = BASE64.encode(serde_json::to_vec(claims)?);
        let message = format!("{header}.{claims}");
        let signature = self.signature(message.as_bytes());
        let signature = signature.map_err(|_| KeyError::Rejected("signing failed".to_owned()))?;
        let signed = format!("{message}.{}", BASE64.encode(signature));
        // A key whose halves do not belong together makes tokens that nobody takes.
        token::check_with(&signed, &Key::try_from(&self.jwk)?)
            .map_err(|refusal| KeyError::Rejected(refusal.to_string()))?;
        Ok(signed)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, error::Unspecified> {
        let random = SystemRandom::new();
        Ok(match &self.pair {
            Pair::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
            Pair::Ec(pair) => pair.sign(&random, message)?.as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*padding, &random, message, &mut signature)?;
                signature
            }
        })
    }
}

/// Fills in a new pair on the curve of `algorithm`.
fn curve(jwk: &mut Jwk, algorithm: Algorithm) -> Result<(), KeyError> {
    let (size, crv) = match algorithm {
        Algorithm::ES384 => (48, "P-384"),
        _ => (32, "P-256"),
    };
    let random = SystemRandom::new();
    let signing = ec_algorithm(algorithm);
    let document = EcdsaKeyPair::generate_pkcs8(signing, &random)
        .map_err(|error| KeyError::Rejected(error.to_string()))?;
    let pair = EcdsaKeyPair::from_pkcs8(signing, document.as_ref(), &random).map_err(rejected)?;
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(size);
    jwk.kty = "EC".to_owned();
    jwk.crv = Some(crv.to_owned());
    jwk.x = Some(BASE64.encode(x));
    jwk.y = Some(BASE64.encode(y));
    jwk.d = Some(BASE64.encode(private_number(document.as_ref(), size)?));
    Ok(())
}

/// The private number in a PKCS#8 document that ring made: an octet string inside version 1 of `ECPrivateKey` (RFC 5915).
fn private_number(document: &[u8], size: usize) -> Result<&[u8], KeyError> {
    let length = u8::try_from(size).unwrap_or_default();
    let head = [2, 1, 1, 4, length];
    let at = document.windows(head.len()).position(|bytes| bytes == head);
    at.and_then(|at| document.get(at + head.len()..)?.get(..size))
        .ok_or_else(|| KeyError::Rejected("the generated key cannot be read".to_owned()))
}

fn rsa(jwk: &Jwk) -> Result<RsaKeyPair, KeyError> {
    let member = Jwk::bytes;
    RsaKeyPair::from_components(&KeyPairComponents {
        public_key: PublicKeyComponents {
            n: member(jwk.n.as_ref(), "n")?,
            e: member(jwk.e.as_ref(), "e")?,
        },
        d: member(jwk.d.as_ref(), "d")?,
        p: member(jwk.p.as_ref(), "p")?,
        q: member(jwk.q.as_ref(), "q")?,
        dP: member(jwk.dp.as_ref(), "dp")?,
        dQ: member(jwk.dq.as_ref(), "dq")?,
        qInv: member(jwk.qi.as_ref(), "qi")?,
    })
    .map_err(rejected)
}

fn padding(algorithm: Algorithm) -> Result<&'static dyn RsaEncoding, KeyError> {
    Ok(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_SHA512,
        Algorithm::PS256 => &RSA_PSS_SHA256,
        Algorithm::PS384 => &RSA_PSS_SHA384,
        Algorithm::PS512 => &RSA_PSS_SHA512,
        _ => return Err(KeyError::Algorithm),
    })
}

fn ec_algorithm(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}

fn random(size: usize) -> Result<Vec<u8>, KeyError> {
    let mut bytes = vec![0; size];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|error| KeyError::Rejected(error.to_string()))?;
    Ok(bytes)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn rejected(error: error::KeyRejected) -> KeyError {
    KeyError::Rejected(error.to_string())
}

fn json(jwk: &Jwk) -> String {
    serde_json::to_string_pretty(jwk).unwrap_or_default()
}

/// Names the key, never its contents.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("id", &self.jwk.kid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "mint_tests.rs"]
mod tests;
