//! The decision.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use moq_net::PathOwned;
use ring::digest;
use rustls::server::danger::ClientCertVerifier;

use super::flags::AuthFlags;
use super::grant::{self, Grants};
use super::keys::Keys;
use super::lease::{Lease, SystemWall, Uses, Wall};
use super::peers::{self, Peer};
use super::site::Sites;
use super::{Asked, Refusal, SettingsError, token};

/// Knows who may do what.
pub struct Authority {
    keys: Option<Arc<Keys>>,
    public: Grants,
    peers: Vec<Peer>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    sites: Sites,
    require_expiry: bool,
    token_sessions: usize,
    uses: Uses,
    wall: Arc<dyn Wall>,
}

/// What somebody may do below a path.
pub(crate) struct Granted {
    /// What everything is relative to.
    pub(crate) root: PathOwned,
    /// Relative to the root.
    pub(crate) grants: Grants,
    pub(crate) peer: Option<String>,
    pub(crate) lease: Lease,
}

impl Authority {
    /// Lets everybody do everything, except pages that are not of this machine: for a relay on a loopback address.
    #[must_use]
    pub fn open() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            keys: None,
            public: Grants::everything(),
            peers: Vec::new(),
            verifier: None,
            // Nothing in there can fail to parse.
            sites: Sites::new(loopback, &[], &[]).unwrap_or_else(|_| unreachable!()),
            require_expiry: false,
            token_sessions: usize::MAX,
            uses: Uses::default(),
            wall: Arc::new(SystemWall),
        }
    }

    /// What the flags say, for a relay that listens on `bind` and goes by `names`. Reads the keys once, so that a mistake
    /// shows now.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub async fn new(
        flags: &AuthFlags,
        bind: SocketAddr,
        names: &[String],
    ) -> Result<Self, SettingsError> {
        let mut public = Grants::default();
        if flags.says_nothing() {
            if !bind.ip().is_loopback() {
                return Err(SettingsError::Nothing);
            }
            public = Grants::everything();
        }
        for (texts, put, get) in [
            (&flags.auth_public, true, true),
            (&flags.auth_public_get, false, true),
            (&flags.auth_public_put, true, false),
        ] {
            for text in texts {
                let prefix =
                    grant::prefix(text).map_err(|_too_long| SettingsError::Prefix(text.clone()))?;
                put.then(|| public.put.push(prefix.clone()));
                get.then(|| public.get.push(prefix));
            }
        }
        let keys = match (&flags.auth_key, &flags.auth_key_dir) {
            (Some(place), _) => Some(Keys::one(place)?),
            (None, Some(place)) => Some(Keys::directory(place)?),
            (None, None) => None,
        };
        if let Some(keys) = &keys {
            keys.check().await?;
        }
        let verifier = flags.auth_peer_ca.as_deref().map(peers::verifier);
        Ok(Self {
            keys: keys.map(Arc::new),
            public,
            peers: flags
                .auth_peer
                .iter()
                .map(|text| Peer::parse(text))
                .collect::<Result<_, _>>()?,
            verifier: verifier.transpose()?,
            sites: Sites::new(bind, names, &flags.allow_origin)?,
            require_expiry: flags.auth_require_exp,
            token_sessions: flags.auth_token_sessions,
            ..Self::open()
        })
    }

    /// What checks client certificates during the TLS handshake, if any are asked for.
    pub(crate) fn verifier(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        self.verifier.clone()
    }

    /// The page and the name it used, for whatever is not decided by a token: see [`Sites`].
    pub(crate) async fn decide(&self, asked: &Asked<'_>) -> Result<Granted, Refusal> {
        self.sites.check(asked)?;
        let root = asked.root()?;
        let granted = |grants: &Grants, peer, lease| {
            let grants = grants.below(&root);
            (!grants.is_empty()).then(|| Granted {
                root: root.clone(),
                grants,
                peer,
                lease,
            })
        };
        if let Some(peer) = self.peer(asked) {
            self.sites.check_ambient(asked, true)?;
            return granted(&peer.grants, Some(peer.name.clone()), Lease::default()).ok_or(
                Refusal::Forbidden("the certificate has no rights on this path"),
            );
        }
        if let Some(token) = asked.token()? {
            let (grants, lease) = self.proved(&token).await?;
            return granted(&grants, None, lease).ok_or(NO_RIGHTS);
        }
        let public = granted(&self.public, None, Lease::default())
            .ok_or(Refusal::Unauthorized("a token is needed"))?;
        self.sites.check_ambient(asked, false)?;
        Ok(public)
    }

    /// The configured identity of the client's certificate.
    fn peer(&self, asked: &Asked<'_>) -> Option<&Peer> {
        let certificate = asked.certificate?;
        self.peers.iter().find(|peer| peer.is(certificate))
    }

    async fn proved(&self, token: &str) -> Result<(Grants, Lease), Refusal> {
        let keys = self
            .keys
            .as_ref()
            .ok_or(Refusal::Unauthorized("this relay takes no tokens"))?;
        let proof = token::check(token, keys, self.wall.now()).await?;
        if self.require_expiry && proof.end.is_none() {
            return Err(Refusal::Unauthorized("the token never ends"));
        }
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        let digest = digest.as_ref().try_into().unwrap_or_default();
        let guard = self.uses.count(digest, self.token_sessions)?;
        let lease = Lease::new(self.wall.clone(), proof.end, keys.clone(), proof.key, guard);
        Ok((proof.claims.grants()?, lease))
    }
}

const NO_RIGHTS: Refusal = Refusal::Forbidden("the token has no rights on this path");

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("keys", &self.keys)
            .field("public", &self.public)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}
