//! Keys and certificates for a TLS link between two ends that know each other's certificate: no authority is needed.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use longcable_core::crypto::StaticKey;
use longcable_core::tls::Role;
use longcable_core::x509::Certificate;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use zeroize::Zeroizing;

use crate::crypto::FastRng;
use crate::failure::Fatal;

/// How long the certificates are valid, in years. They are pinned, so an end that is lost is shut out by its
/// fingerprint and not by a date.
const VALID_YEARS: u64 = 20;
/// A clock that shows an earlier year is wrong.
const YEAR_MIN: u64 = 2026;
const SECONDS_PER_YEAR: u64 = 31_556_952;

/// What two ends need to prove themselves to each other.
pub struct Credentials {
    client: Identity,
    server: Identity,
    tls_crypt: Zeroizing<String>,
    last_year: i32,
}

/// A self-signed certificate with its key.
struct Identity {
    certificate: String,
    key: Zeroizing<String>,
    fingerprint: String,
}

impl Credentials {
    /// Makes new ones for two ends of these names, which are for people only.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(client: &str, server: &str) -> Result<Self, Fatal> {
        let last_year = last_year();
        let identity =
            |name| Identity::generate(name, last_year).map_err(|error| format!("Cannot make a certificate: {error}"));
        let mut tls_crypt = Zeroizing::new(String::new());
        // A String takes any text.
        let _ = StaticKey::generate(&mut FastRng::new()).write_to(&mut *tls_crypt);
        Ok(Self {
            client: identity(client).map_err(Fatal::new)?,
            server: identity(server).map_err(Fatal::new)?,
            tls_crypt,
            last_year,
        })
    }

    /// The year until whose end the certificates are valid.
    pub fn last_year(&self) -> i32 {
        self.last_year
    }

    /// The options of the end with this role, everything inline.
    pub fn options(&self, role: Role) -> Zeroizing<String> {
        let (own, peer, options) = match role {
            Role::Client => (&self.client, &self.server, "tls-client"),
            // openvpn insists on 'dh', although the key exchange is that of elliptic curves.
            Role::Server => (&self.server, &self.client, "tls-server\ndh none"),
        };
        let (fingerprint, certificate, key) = (&peer.fingerprint, &own.certificate, &*own.key);
        let tls_crypt = &*self.tls_crypt;
        Zeroizing::new(format!(
            "{options}\npeer-fingerprint {fingerprint}\n<cert>\n{certificate}</cert>\n<key>\n{key}</key>\n<tls-crypt>\n\
             {tls_crypt}</tls-crypt>\n"
        ))
    }
}

impl Identity {
    fn generate(name: &str, last_year: i32) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        // A router may start with its clock at 1970.
        params.not_before = date_time_ymd(1970, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Both, so that the ends may change their roles.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?;
        let read = Certificate::parse(certificate.der()).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        let fingerprint = fingerprint(&read.sha256());
        Ok(Self { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()), fingerprint })
    }
}

/// The last year of validity of a certificate that is made now.
fn last_year() -> i32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let year = (1970 + now / SECONDS_PER_YEAR).max(YEAR_MIN) + VALID_YEARS;
    i32::try_from(year).unwrap_or(i32::MAX).min(9999)
}

/// As `peer-fingerprint` has it: bytes in hexadecimal with colons between them.
fn fingerprint(digest: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest {
        let colon = if text.is_empty() { "" } else { ":" };
        // A String takes any text.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use longcable_core::options::{CertProfile, ControlKey, KeySource, LinkConfig};
    use longcable_core::x509::{Reason, Verifier};
    use rustls::crypto::ring::default_provider;

    use super::*;

    /// Both ends' options as they are in a config, the certificate of each against the rules of the other.
    #[test]
    fn each_end_trusts_the_other_and_nobody_else() {
        let credentials = Credentials::generate("home", "office").unwrap();
        let stranger = Credentials::generate("home", "office").unwrap();
        let text = |role: Role| format!("dev tun\nremote a\n{}", &*credentials.options(role));
        let (client, server) = (text(Role::Client), text(Role::Server));
        let foreign = format!("dev tun\n{}", &*stranger.options(Role::Client));
        let [client, server, foreign] = [&client, &server, &foreign].map(|text| LinkConfig::parse(text).unwrap());
        assert_eq!((client.tls.role, server.tls.role), (Some(Role::Client), Some(Role::Server)));
        let key = |config: &LinkConfig<'_>| match config.tls.wrapping {
            ControlKey::Crypt(KeySource::Inline(text)) => *StaticKey::parse(text).unwrap().to_bytes(),
            other => panic!("{other:?}"),
        };
        assert_eq!(key(&client), key(&server));

        let certificate = |config: &LinkConfig<'_>| match config.tls.cert {
            Some(KeySource::Inline(text)) => pem::parse(text).unwrap().into_contents(),
            other => panic!("{other:?}"),
        };
        let check = |rules: &LinkConfig<'_>, peer: &LinkConfig<'_>, unix_now| {
            let verifier = Verifier {
                roots: &[],
                crls: &[],
                rules: &rules.tls.peer,
                profile: CertProfile::SuiteB,
                peer_role: peer.tls.role.unwrap(),
                algorithms: default_provider().signature_verification_algorithms.all,
                unix_now: Some(unix_now),
            };
            let verified = verifier.verify(&certificate(peer), &[], &mut ()).map_err(|refusal| refusal.reason)?;
            Ok(verified.prove(|| Ok::<_, Reason>(()))?.common_name().to_owned())
        };
        for now in [0, 60, 1_800_000_000, 1_800_000_000 + 19 * SECONDS_PER_YEAR] {
            assert_eq!(check(&client, &server, now), Ok("office".to_owned()), "{now}");
            assert_eq!(check(&server, &client, now), Ok("home".to_owned()), "{now}");
        }
        assert_eq!(check(&client, &server, 4_000_000_000), Err(Reason::Expired));
        assert_eq!(check(&server, &foreign, 1_800_000_000), Err(Reason::Fingerprint));
    }
}
