//! Certificates and lists that rcgen has made, at fixed dates.

mod chain;
mod crl;
mod hostile;
mod name;
mod peer;

use std::boxed::Box;
use std::string::{String, ToString as _};
use std::vec::Vec;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use super::{Certificate, Observer, PeerVerified, Reason, Refusal, Verifier};
use crate::options::{CertProfile, PeerRules};
use crate::tls::Role;

/// 2027-01-15, when everything is valid that does not say otherwise (2025 to 2034).
const NOW: u64 = 1_800_000_000;

/// A certificate with its key.
struct Entity {
    der: Vec<u8>,
    key: KeyPair,
    params: CertificateParams,
}

impl Entity {
    /// Signed by `issuer`, or by itself.
    fn new(name: &str, issuer: Option<&Self>, edit: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2035, 1, 1));
        params.distinguished_name.push(DnType::CommonName, name);
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = match issuer {
            Some(issuer) => params.signed_by(&key, &issuer.as_issuer()),
            None => params.self_signed(&key),
        };
        Self { der: certificate.unwrap().der().to_vec(), key, params }
    }

    fn authority(name: &str, issuer: Option<&Self>) -> Self {
        Self::new(name, issuer, as_authority)
    }

    fn leaf(name: &str, issuer: &Self) -> Self {
        Self::new(name, Some(issuer), |_| {})
    }

    fn as_issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    fn view(&self) -> Certificate<'_> {
        Certificate::parse(&self.der).unwrap()
    }
}

fn as_authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign].to_vec();
}

/// A value in DER.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let [high, low] = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let header = match contents.len() {
        0..0x80 => [tag, low].to_vec(),
        0x80..0x100 => [tag, 0x81, low].to_vec(),
        _ => [tag, 0x82, high, low].to_vec(),
    };
    [header, contents].concat()
}

/// A verifier of servers that trusts nobody yet.
fn servers() -> Verifier<'static> {
    Verifier {
        roots: &[],
        crls: &[],
        rules: Box::leak(Box::default()),
        profile: CertProfile::default(),
        peer_role: Role::Server,
        algorithms: webpki::ALL_VERIFICATION_ALGS,
        unix_now: Some(NOW),
    }
}

/// What `verifier` says if it trusts `roots`.
fn verify_with(
    verifier: Verifier<'_>,
    roots: &[&Entity],
    presented: &[&Entity],
    observer: &mut dyn Observer,
) -> Result<PeerVerified, (u8, Reason)> {
    let roots: Vec<_> = roots.iter().map(|root| root.der.as_slice()).collect();
    let presented: Vec<_> = presented.iter().map(|entity| entity.der.as_slice()).collect();
    let verified = Verifier { roots: &roots, ..verifier }.verify(presented[0], &presented[1..], observer);
    let chain = verified.map_err(|refusal: Refusal| (refusal.depth, refusal.reason))?;
    Ok(chain.prove(|| Ok::<_, ()>(())).unwrap())
}

/// The same without anything special; the name of the peer.
fn verify(roots: &[&Entity], presented: &[&Entity]) -> Result<String, (u8, Reason)> {
    verify_with(servers(), roots, presented, &mut ()).map(|peer| peer.common_name().to_string())
}

/// What an observer is told.
#[derive(Default)]
struct Seen {
    certificates: Vec<String>,
    without_crl: Vec<u8>,
    refuse_at: Option<u8>,
}

impl Observer for Seen {
    fn certificate(&mut self, depth: u8, certificate: &Certificate<'_>) -> Result<(), Reason> {
        self.certificates.push(std::format!("{depth} {}", certificate.subject()));
        if self.refuse_at == Some(depth) { Err(Reason::Script) } else { Ok(()) }
    }

    fn without_crl(&mut self, depth: u8, _certificate: &Certificate<'_>) {
        self.without_crl.push(depth);
    }
}
