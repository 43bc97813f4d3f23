//! Client certificates: what is configured for their name, and nothing else.

use moq_net::Error;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::world::{Binding, Denied, Dial, Directory, Identity, claims, key, start};

/// An authority that signs client certificates.
pub(crate) struct Issued {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

pub(crate) fn authority() -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Issued {
        pem: certificate.pem(),
        issuer: Issuer::new(params, key),
    }
}

impl Issued {
    fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn client(&self, name: &str) -> Identity {
        let (certificate, key) = self.issue(name);
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        (
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(private),
        )
    }

    /// As the texts of PEM files: certificate, key.
    pub(crate) fn client_pem(&self, name: &str) -> (String, String) {
        let (certificate, key) = self.issue(name);
        (certificate.pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn a_certificate_opens_what_is_configured_for_its_name_only() {
    let directory = Directory::new();
    let ca = authority();
    let root = directory.write("ca.pem", &ca.pem);
    let ours = key("ES256", "main");
    let file = directory.write("key.jwk", &ours.public_json().unwrap());
    let relay = start(&[
        "--auth-peer-ca",
        &root,
        "--auth-peer",
        "a.example=tenants/a",
        "--auth-peer",
        "b.example=tenants/b",
        "--auth-key",
        &file,
    ])
    .await;
    let a = ca.client("a.example");
    let unknown = ca.client("c.example");
    let token = ours.sign(&claims("tenants/b", &[], &[""])).unwrap();
    let with_token = format!("/tenants/b?jwt={token}");
    for binding in [Binding::WebTransport, Binding::Quic] {
        let dial = |target: &str, identity, page| {
            let target = target.to_owned();
            let relay = &relay;
            async move {
                let dial = Dial {
                    identity,
                    page,
                    ..Dial::default()
                };
                relay.dial_as(binding, &target, dial).await
            }
        };
        let unauthorized = Some(Denied::Session(Error::Unauthorized));
        let own = dial("/tenants/a", Some(&a), None).await.unwrap();
        let _broadcast = own.publish("x");
        let above = dial("/", Some(&a), None).await.unwrap();
        assert_eq!(above.sees(&["tenants/a/x"]).await, ["tenants/a/x"]);
        assert_eq!(
            dial("/tenants/b", Some(&a), None).await.err(),
            unauthorized,
            "B's path"
        );
        assert_eq!(
            dial(&with_token, Some(&a), None).await.err(),
            unauthorized,
            "its certificate goes first"
        );
        assert_eq!(
            dial("/tenants/a", Some(&unknown), None).await.err(),
            unauthorized
        );
        assert_eq!(dial("/tenants/a", None, None).await.err(), unauthorized);
        assert!(
            dial(&with_token, Some(&unknown), None).await.is_ok(),
            "the token counts"
        );
        assert!(dial(&with_token, None, None).await.is_ok());
    }
    let page = Dial {
        identity: Some(&a),
        page: Some("https://evil.example"),
        ..Dial::default()
    };
    let bridged = relay
        .dial_as(Binding::WebTransport, "/tenants/a", page)
        .await;
    assert_eq!(bridged.err(), Some(Denied::Session(Error::Unauthorized)));
}

#[tokio::test]
async fn a_certificate_of_another_authority_does_not_connect() {
    let directory = Directory::new();
    let root = directory.write("ca.pem", &authority().pem);
    let relay = start(&["--auth-peer-ca", &root, "--auth-peer", "a.example=a"]).await;
    let forged = authority().client("a.example");
    let tls = relay.tls(&["moq-lite-06"], Some(&forged));
    // TLS 1.3 clients are done before the server has looked: the refusal comes right after.
    if let Ok(connection) = relay.connect(tls).await {
        let why = connection.closed().await;
        assert!(
            why.to_string().contains("invalid peer certificate"),
            "{why}"
        );
    }
    assert_eq!(relay.relay.sessions(), 0);
}
