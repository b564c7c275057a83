//! Versions, cipher suites and groups: what openvpn's options ask for in OpenSSL's words, out of what there is.

use std::fmt;
use std::sync::Arc;

use longcable_core::options::{CertProfile, TlsOptions, TlsVersion, Word};
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::failure::Fatal;
use crate::log;

/// What a handshake may agree on, most wanted first.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
}

/// The cipher suites of TLS 1.2: IANA's name as openvpn writes it, OpenSSL's name, the suite.
pub(crate) const TLS12_SUITES: [(&str, &str, SupportedCipherSuite); 6] = [
    (
        "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS-ECDHE-RSA-WITH-CHACHA20-POLY1305-SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
];

/// The cipher suites of TLS 1.3.
pub(crate) const TLS13_SUITES: [(&str, SupportedCipherSuite); 3] = [
    ("TLS_AES_256_GCM_SHA384", cipher_suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_AES_128_GCM_SHA256", cipher_suite::TLS13_AES_128_GCM_SHA256),
];

/// The groups of the key exchange: OpenSSL's name first, then others.
pub(crate) const GROUPS: [(&[&str], &dyn SupportedKxGroup); 3] = [
    (&["X25519"], kx_group::X25519),
    (&["prime256v1", "secp256r1", "P-256"], kx_group::SECP256R1),
    (&["secp384r1", "P-384"], kx_group::SECP384R1),
];

/// Cipher suites and groups that a list may name beside others although they are not there.
const OTHER_TLS13_SUITES: [&str; 2] = ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"];
const OTHER_GROUPS: [&str; 9] = [
    "X448",
    "secp521r1",
    "P-521",
    "ffdhe2048",
    "ffdhe3072",
    "ffdhe4096",
    "secp256k1",
    "brainpoolP256r1",
    "x25519mlkem768",
];

impl Settings {
    /// Reads the options.
    pub(super) fn new(options: &TlsOptions<'_>) -> Result<Self, Fatal> {
        let versions: Vec<_> = [(TlsVersion::V13, &version::TLS13), (TlsVersion::V12, &version::TLS12)]
            .into_iter()
            .filter(|(version, _)| (options.version_min..=options.version_max).contains(version))
            .map(|(_, version)| version)
            .collect();
        if versions.is_empty() {
            return Err(option_error("tls-version-max", "it is below 'tls-version-min'"));
        }
        let suite_b = options.profile == CertProfile::SuiteB;
        let list = match options.cipher_list {
            Some(word) => word.to_string(),
            None if suite_b => "SUITEB128".to_owned(),
            None => "DEFAULT".to_owned(),
        };
        let mut cipher_suites = ciphersuites(options.ciphersuites)?;
        cipher_suites.extend(cipher_list(&list, options.profile)?.into_iter().map(|(_, _, suite)| suite));
        let provider = CryptoProvider { cipher_suites, kx_groups: groups(options.groups)?, ..default_provider() };
        Ok(Self { provider: Arc::new(provider), versions })
    }
}

/// OpenSSL's name of a cipher suite, as logs show it.
pub(super) fn suite_name(suite: CipherSuite) -> &'static str {
    let tls13 = TLS13_SUITES.iter().map(|(name, known)| (*name, known));
    let tls12 = TLS12_SUITES.iter().map(|(_, name, known)| (*name, known));
    tls13.chain(tls12).find(|(_, known)| known.suite() == suite).map_or("unknown", |(name, _)| name)
}

/// A group and the length of its keys, as logs show them.
pub(super) fn group_name(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::X25519 => "253 bits X25519",
        NamedGroup::secp256r1 => "256 bits ECprime256v1",
        NamedGroup::secp384r1 => "384 bits ECsecp384r1",
        _ => "unknown",
    }
}

fn option_error(option: &str, problem: impl fmt::Display) -> Fatal {
    Fatal::of_option(option, problem)
}

fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// `tls-ciphersuites`.
fn ciphersuites(list: Option<Word<'_>>) -> Result<Vec<SupportedCipherSuite>, Fatal> {
    let Some(list) = list else { return Ok(TLS13_SUITES.map(|(_, suite)| suite).to_vec()) };
    let known = |name: &str| TLS13_SUITES.iter().find(|(known, _)| *known == name.replace('-', "_"));
    choose(
        "tls-ciphersuites",
        &list.to_string(),
        |name| known(name).map(|(_, suite)| *suite),
        |name| OTHER_TLS13_SUITES.contains(&name.replace('-', "_").as_str()),
        &names(TLS13_SUITES.map(|(name, _)| name)),
    )
}

/// `tls-groups` and `ecdh-curve`.
fn groups(list: Option<Word<'_>>) -> Result<Vec<&'static dyn SupportedKxGroup>, Fatal> {
    let Some(list) = list else { return Ok(GROUPS.map(|(_, group)| group).to_vec()) };
    let is = |known: &str, name: &str| known.eq_ignore_ascii_case(name);
    choose(
        "tls-groups' or 'ecdh-curve",
        &list.to_string(),
        |name| GROUPS.iter().find(|(known, _)| known.iter().any(|known| is(known, name))).map(|(_, group)| *group),
        |name| OTHER_GROUPS.iter().any(|known| is(known, name)),
        &names(GROUPS.map(|(names, _)| names[0])),
    )
}

/// The members of a list with colons. What others have and this program has not is passed over, as long as something
/// is left.
fn choose<T>(
    option: &str,
    list: &str,
    find: impl Fn(&str) -> Option<T>,
    is_foreign: impl Fn(&str) -> bool,
    supported: &str,
) -> Result<Vec<T>, Fatal> {
    let mut found = Vec::new();
    for name in list.split(':').filter(|name| !name.is_empty()) {
        match find(name) {
            Some(item) => found.push(item),
            None if is_foreign(name) => passed_over(option, name),
            None => return Err(option_error(option, format_args!("'{name}' is not known; there are: {supported}"))),
        }
    }
    match found.is_empty() {
        true => Err(option_error(option, format_args!("nothing in '{list}' is supported; there are: {supported}"))),
        false => Ok(found),
    }
}

fn passed_over(option: &str, name: &str) {
    log::warning(format_args!("WARNING: '{name}' of '{option}' is not supported and passed over"));
}

type Tls12Suite = (&'static str, &'static str, SupportedCipherSuite);

/// Evaluates an OpenSSL cipher list for TLS 1.2.
fn cipher_list(list: &str, profile: CertProfile) -> Result<Vec<Tls12Suite>, Fatal> {
    let supported = || names(TLS12_SUITES.map(|(name, _, _)| name));
    let mut chosen: Vec<Tls12Suite> = Vec::new();
    let mut killed: Vec<Tls12Suite> = Vec::new();
    for token in list.split([':', ',', ' ', ';']).filter(|token| !token.is_empty()) {
        let (operator, words) = match token.as_bytes()[0] {
            operator @ (b'!' | b'-' | b'+') => (operator, &token[1..]),
            b'@' => {
                command(token, profile, &mut chosen)?;
                continue;
            }
            _ => (b' ', token),
        };
        let Some(matching) = matching(words) else {
            if looks_like_a_suite(words) {
                passed_over("tls-cipher", words);
                continue;
            }
            let problem = format_args!("'{words}' is not known; the cipher suites are: {}", supported());
            return Err(option_error("tls-cipher", problem));
        };
        let is_in = |list: &[Tls12Suite], suite: &Tls12Suite| list.iter().any(|known| known.0 == suite.0);
        match operator {
            b'!' | b'-' => {
                chosen.retain(|suite| !is_in(&matching, suite));
                if operator == b'!' {
                    killed.extend(matching);
                }
            }
            b'+' => chosen.sort_by_key(|suite| is_in(&matching, suite)),
            _ => {
                for suite in matching {
                    if !is_in(&chosen, &suite) && !is_in(&killed, &suite) {
                        chosen.push(suite);
                    }
                }
            }
        }
    }
    match chosen.is_empty() {
        true => {
            let problem = format_args!("nothing in '{list}' is supported; the cipher suites are: {}", supported());
            Err(option_error("tls-cipher", problem))
        }
        false => Ok(chosen),
    }
}

/// `@STRENGTH` and `@SECLEVEL`.
fn command(token: &str, profile: CertProfile, chosen: &mut [Tls12Suite]) -> Result<(), Fatal> {
    match token {
        "@STRENGTH" => chosen.sort_by_key(|(_, name, _)| name.contains("AES128")),
        // All suites have at least 128 bits. What it says of certificates is 'tls-cert-profile' here.
        "@SECLEVEL=0" | "@SECLEVEL=1" => {}
        "@SECLEVEL=2" if matches!(profile, CertProfile::Preferred | CertProfile::SuiteB) => {}
        "@SECLEVEL=2" => {
            let problem = "for what '@SECLEVEL=2' demands of certificates, write 'tls-cert-profile preferred' as well";
            return Err(option_error("tls-cipher", problem));
        }
        _ => {
            let problem = format_args!("'{token}' is not supported; leave it out, or use 'tls-cert-profile'");
            return Err(option_error("tls-cipher", problem));
        }
    }
    Ok(())
}

/// The suites that have all properties of an expression such as `ECDHE+AESGCM`; `None` if one is not known.
fn matching(expression: &str) -> Option<Vec<Tls12Suite>> {
    let mut suites = TLS12_SUITES.to_vec();
    for word in expression.split('+') {
        let iana = word.replace('_', "-");
        let accepts: Box<dyn Fn(&Tls12Suite) -> bool> = match word {
            "DEFAULT" | "ALL" | "HIGH" | "TLSv1.2" | "FIPS" | "ECDHE" | "EECDH" | "kECDHE" | "kEECDH" | "ECDH" => {
                Box::new(|_| true)
            }
            "ECDSA" | "aECDSA" => Box::new(|(_, name, _)| name.contains("ECDSA")),
            "aRSA" => Box::new(|(_, name, _)| name.contains("RSA") && !name.contains("ECDSA")),
            "AES" | "AESGCM" => Box::new(|(_, name, _)| name.contains("GCM")),
            "AES128" => Box::new(|(_, name, _)| name.contains("AES128")),
            "AES256" => Box::new(|(_, name, _)| name.contains("AES256")),
            "CHACHA20" => Box::new(|(_, name, _)| name.contains("CHACHA20")),
            "SUITEB128" => Box::new(|(_, name, _)| name.contains("ECDSA-AES")),
            "SUITEB128ONLY" => Box::new(|(_, name, _)| name.contains("ECDSA-AES128")),
            "SUITEB192" => Box::new(|(_, name, _)| name.contains("ECDSA-AES256")),
            _ if MATCH_NOTHING.contains(&word) => Box::new(|_| false),
            _ if TLS12_SUITES.iter().any(|(name, openssl, _)| *name == iana || *openssl == word) => {
                let word = word.to_owned();
                Box::new(move |(name, openssl, _)| *name == iana || *openssl == word)
            }
            _ => return None,
        };
        suites.retain(|suite| accepts(suite));
    }
    Some(suites)
}

/// OpenSSL's words for properties that none of the suites has.
const MATCH_NOTHING: [&str; 64] = [
    "COMPLEMENTOFALL",
    "COMPLEMENTOFDEFAULT",
    "NULL",
    "eNULL",
    "aNULL",
    "EXP",
    "EXPORT",
    "EXPORT40",
    "EXPORT56",
    "LOW",
    "MEDIUM",
    "DES",
    "3DES",
    "RC2",
    "RC4",
    "IDEA",
    "SEED",
    "CAMELLIA",
    "CAMELLIA128",
    "CAMELLIA256",
    "ARIA",
    "ARIA128",
    "ARIA256",
    "ARIAGCM",
    "AESCCM",
    "AESCCM8",
    "MD5",
    "SHA",
    "SHA1",
    "SHA256",
    "SHA384",
    "PSK",
    "kPSK",
    "aPSK",
    "kECDHEPSK",
    "kDHEPSK",
    "kRSAPSK",
    "SRP",
    "kSRP",
    "aSRP",
    "DSS",
    "aDSS",
    "DH",
    "DHE",
    "EDH",
    "kDHE",
    "kEDH",
    "kDH",
    "kDHr",
    "kDHd",
    "aDH",
    "ADH",
    "AECDH",
    "kECDH",
    "kECDHr",
    "kECDHe",
    "aECDH",
    "kRSA",
    "RSA",
    "SSLv2",
    "SSLv3",
    "TLSv1",
    "TLSv1.0",
    "GOST",
];

/// Whether it could be the name of a suite that other programs have, such as `DHE-RSA-AES256-SHA`.
fn looks_like_a_suite(word: &str) -> bool {
    word.contains('-') && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::ring::ALL_CIPHER_SUITES;

    fn suites(list: &str) -> Vec<&'static str> {
        cipher_list(list, CertProfile::Legacy).unwrap().into_iter().map(|(_, name, _)| name).collect()
    }

    #[test]
    fn every_suite_and_group_of_the_library_has_a_name() {
        for suite in ALL_CIPHER_SUITES {
            assert_ne!(suite_name(suite.suite()), "unknown", "{suite:?}");
        }
        for group in default_provider().kx_groups {
            assert_ne!(group_name(group.name()), "unknown", "{group:?}");
        }
        assert_eq!(ALL_CIPHER_SUITES.len(), TLS12_SUITES.len() + TLS13_SUITES.len());
        assert_eq!(default_provider().kx_groups.len(), GROUPS.len());
    }

    #[test]
    fn cipher_lists_are_read_as_openssl_reads_them() {
        let all = suites("DEFAULT");
        assert_eq!(all.len(), 6);
        // openvpn's own default, and lists that people copy from each other.
        assert_eq!(suites("DEFAULT:!EXP:!LOW:!MEDIUM:!kDH:!kECDH:!DSS:!PSK:!SRP:!kRSA"), all);
        assert_eq!(suites("HIGH:!aNULL:!MD5:@STRENGTH").len(), 6);
        assert_eq!(suites("TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256"), ["ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(suites("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), ["ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(suites("ECDHE-RSA-AES256-GCM-SHA384"), ["ECDHE-RSA-AES256-GCM-SHA384"]);
        assert_eq!(suites("ECDHE+AESGCM:!ECDSA"), ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(suites("ALL:!CHACHA20:!AES128:-aRSA"), ["ECDHE-ECDSA-AES256-GCM-SHA384"]);
        assert_eq!(suites("SUITEB128ONLY"), ["ECDHE-ECDSA-AES128-GCM-SHA256"]);
        assert_eq!(suites("CHACHA20:AES256+aRSA:+ECDSA").last(), Some(&"ECDHE-ECDSA-CHACHA20-POLY1305"));
        // Suites of others may stand beside one that is there.
        assert_eq!(suites("TLS-DHE-RSA-WITH-AES-256-CBC-SHA:ECDHE-ECDSA-CHACHA20-POLY1305").len(), 1);
        // What was killed stays out.
        assert_eq!(suites("!AESGCM:ALL").len(), 2);
    }

    #[test]
    fn what_cannot_be_met_is_an_error_that_names_what_can() {
        for list in [
            "TLS-DHE-RSA-WITH-AES-256-CBC-SHA",
            "aNULL",
            "ALL:!ALL",
            "MAGIC",
            "HIGH:!MAGIC",
            "ALL:@SECLEVEL=2",
            "ALL:@SECLEVEL=3",
        ] {
            let error = cipher_list(list, CertProfile::Legacy).unwrap_err().to_string();
            assert!(error.starts_with("Options error: option 'tls-cipher': "), "{error}");
            assert!(error.contains("TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384") || list.contains('@'), "{error}");
        }
        let word = Word::literal;
        for list in ["TLS_MAGIC", "TLS_AES_128_CCM_SHA256", ""] {
            assert!(ciphersuites(Some(word(list))).unwrap_err().to_string().contains("TLS_AES_256_GCM_SHA384"));
        }
        for list in ["secp521r1", "P-257", "X448:ffdhe2048"] {
            assert!(groups(Some(word(list))).unwrap_err().to_string().contains("there are: X25519, prime256v1"));
        }
        let suites = ciphersuites(Some(word("TLS_AES_128_CCM_SHA256:TLS-AES-128-GCM-SHA256"))).unwrap();
        assert_eq!(
            suites.iter().map(|suite| suite_name(suite.suite())).collect::<Vec<_>>(),
            ["TLS_AES_128_GCM_SHA256"]
        );
        let groups = groups(Some(word("secp521r1:SECP384R1:x25519"))).unwrap();
        let groups: Vec<_> = groups.iter().map(|group| group.name()).collect();
        assert_eq!(groups, [NamedGroup::secp384r1, NamedGroup::X25519]);
    }

    #[test]
    fn versions_are_a_range() {
        let versions = |min, max| {
            let options = TlsOptions { version_min: min, version_max: max, ..TlsOptions::default() };
            Settings::new(&options).map(|settings| settings.versions.len())
        };
        assert_eq!(versions(TlsVersion::V12, TlsVersion::V13), Ok(2));
        assert_eq!(versions(TlsVersion::V13, TlsVersion::V13), Ok(1));
        assert!(versions(TlsVersion::V13, TlsVersion::V12).is_err());
        let options = TlsOptions { profile: CertProfile::SuiteB, ..TlsOptions::default() };
        assert_eq!(Settings::new(&options).unwrap().provider.cipher_suites.len(), 3 + 2);
    }
}
