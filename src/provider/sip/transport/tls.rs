//! Owns who is believed over TLS: chains up to the configured or the machine's authorities, and names compared with the
//! domain of the trunk's URI as RFC 5922 says, never with what DNS led to. Also our own certificate.

use std::{io, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use webpki::EndEntityCert;

use super::super::{
    config::{Config, ConfigFault},
    trunk_uri::Host,
};

/// Only the wildcard of a certificate covers the trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only a wildcard in the certificate covers the trunk")]
struct OnlyByWildcard;

/// What TLS connections to the trunks of a carrier are made with.
///
/// # Errors
/// Every certificate or key that cannot be read.
pub(crate) fn client(config: &Config) -> Result<Arc<ClientConfig>, Vec<ConfigFault>> {
    let mut faults = Vec::new();
    let mut fault = |member, why: String| faults.push(ConfigFault { member, why });
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = match &config.ca {
        Some(pem) => configured_roots(pem).unwrap_or_else(|why| {
            fault("ca", why);
            RootCertStore::empty()
        }),
        None => machine_roots(),
    };
    let own = match (&config.client_certificate, &config.client_key) {
        (Some(chain), Some(key)) => {
            let chain = certificates(chain).map_err(|why| fault("client_certificate", why)).ok();
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
            let key = key.map_err(|_| fault("client_key", String::from("holds no private key in PEM"))).ok();
            chain.zip(key)
        }
        (Some(_) | None, _) => None,
    };
    let verifier = Verifier { roots, provider: Arc::clone(&provider), wildcards: config.wildcard_certificates };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = match builder {
        Ok(builder) => builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)),
        Err(error) => {
            fault("trunk", format!("TLS cannot be used: {error}"));
            return Err(faults);
        }
    };
    let client = match own {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key),
        None => Ok(builder.with_no_client_auth()),
    };
    match client {
        Ok(client) if faults.is_empty() => Ok(Arc::new(client)),
        Ok(_) => Err(faults),
        Err(error) => {
            let why =
                format!("does not belong to `client_certificate`, or is of a kind that is not supported: {error}");
            faults.push(ConfigFault { member: "client_key", why });
            Err(faults)
        }
    }
}

/// The name that is verified, and told to the server (SNI) where it is one of DNS.
pub(crate) fn server_name(host: &Host) -> io::Result<ServerName<'static>> {
    match host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
    }
}

/// What went wrong with a handshake, and what to do about it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum belongs to a library and may grow")]
pub(crate) fn explain(error: &io::Error) -> String {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => String::from(
                "it ends the TLS handshake; is the port one for TLS, and does it want a client certificate?",
            ),
            _ => format!("the TLS handshake breaks: {error}"),
        };
    };
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) if other.is::<OnlyByWildcard>() => {
            String::from(
                "only a wildcard in its certificate covers the trunk; if the carrier has no other, set wildcard_certificates = true",
            )
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => String::from(
            "its certificate comes from an authority that is not known here; give the authority's certificate as ca_file",
        ),
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            String::from("its certificate has expired (or this machine's clock is wrong); tell the carrier")
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            String::from("its certificate is not valid yet; is this machine's clock right?")
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => String::from(
            "its certificate is not for the host of `trunk`; write the trunk by the name in the certificate",
        ),
        Error::InvalidCertificate(other) => format!("its certificate is refused: {other}"),
        Error::InvalidMessage(_) => String::from("it does not speak TLS at this port; is the port right?"),
        Error::AlertReceived(alert) => format!(
            "it refuses our side of TLS ({alert:?}); if it wants a client certificate, give client_certificate_file and client_key_file"
        ),
        other => format!("the TLS handshake fails: {other}"),
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(some) if !some.is_empty() => Ok(some),
        Ok(_) => Err(String::from("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
        Err(_) => Err(String::from("is no PEM")),
    }
}

fn configured_roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| format!("holds a certificate that no authority can have: {error}"))?;
    }
    Ok(roots)
}

/// Certificates that cannot be read are left out, as they are by everything else on the machine.
fn machine_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
    wildcards: bool,
}

impl Verifier {
    /// RFC 5922 section 7: `sip:` URIs and DNS names of the certificate are identities, compared as a whole.
    fn name(&self, end_entity: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
        let ServerName::DnsName(wanted) = name else {
            return verify_server_name(&ParsedCertificate::try_from(end_entity)?, name);
        };
        let wanted = wanted.as_ref();
        let broken = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
        let certificate = EndEntityCert::try_from(end_entity).map_err(broken)?;
        let same = |other: &str| other.trim_end_matches('.').eq_ignore_ascii_case(wanted);
        let by_uri = certificate.valid_uri_names().any(|uri| {
            let bare = uri.split_once(':').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("sip"));
            bare.is_some_and(|(_, host)| same(host))
        });
        if by_uri || certificate.valid_dns_names().any(same) {
            return Ok(());
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
        // What is left is a wildcard.
        if self.wildcards {
            Ok(())
        } else {
            Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(OnlyByWildcard)))))
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        self.name(end_entity, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
