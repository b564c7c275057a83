//! Object identifiers, as the contents of their DER form.

use crate::tls::Role;

pub(super) const COMMON_NAME: &[u8] = b"\x55\x04\x03"; // 2.5.4.3

pub(super) const SUBJECT_KEY_ID: &[u8] = b"\x55\x1d\x0e"; // 2.5.29.14
pub(super) const KEY_USAGE: &[u8] = b"\x55\x1d\x0f"; // 2.5.29.15
pub(super) const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1d\x11"; // 2.5.29.17
pub(super) const ISSUER_ALT_NAME: &[u8] = b"\x55\x1d\x12"; // 2.5.29.18
pub(super) const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13"; // 2.5.29.19
pub(super) const NAME_CONSTRAINTS: &[u8] = b"\x55\x1d\x1e"; // 2.5.29.30
pub(super) const CERTIFICATE_POLICIES: &[u8] = b"\x55\x1d\x20"; // 2.5.29.32
pub(super) const AUTHORITY_KEY_ID: &[u8] = b"\x55\x1d\x23"; // 2.5.29.35
pub(super) const EXTENDED_KEY_USAGE: &[u8] = b"\x55\x1d\x25"; // 2.5.29.37
pub(super) const NETSCAPE_TYPE: &[u8] = b"\x60\x86\x48\x01\x86\xf8\x42\x01\x01"; // 2.16.840.1.113730.1.1

/// The extended key usage for an end of TLS.
pub(super) const fn tls_usage(role: Role) -> &'static [u8] {
    match role {
        Role::Server => b"\x2b\x06\x01\x05\x05\x07\x03\x01", // 1.3.6.1.5.5.7.3.1
        Role::Client => b"\x2b\x06\x01\x05\x05\x07\x03\x02", // 1.3.6.1.5.5.7.3.2
    }
}

/// An identifier with OpenSSL's short and long name of it.
pub(super) struct Named {
    pub(super) oid: &'static [u8],
    pub(super) short: &'static str,
    pub(super) long: &'static str,
}

const fn named(oid: &'static [u8], short: &'static str, long: &'static str) -> Named {
    Named { oid, short, long }
}

/// Attributes of names.
pub(super) const ATTRIBUTES: &[Named] = &[
    named(COMMON_NAME, "CN", "commonName"),
    named(b"\x55\x04\x04", "SN", "surname"),
    named(b"\x55\x04\x05", "serialNumber", "serialNumber"),
    named(b"\x55\x04\x06", "C", "countryName"),
    named(b"\x55\x04\x07", "L", "localityName"),
    named(b"\x55\x04\x08", "ST", "stateOrProvinceName"),
    named(b"\x55\x04\x09", "street", "streetAddress"),
    named(b"\x55\x04\x0a", "O", "organizationName"),
    named(b"\x55\x04\x0b", "OU", "organizationalUnitName"),
    named(b"\x55\x04\x0c", "title", "title"),
    named(b"\x55\x04\x0d", "description", "description"),
    named(b"\x55\x04\x0f", "businessCategory", "businessCategory"),
    named(b"\x55\x04\x11", "postalCode", "postalCode"),
    named(b"\x55\x04\x14", "telephoneNumber", "telephoneNumber"),
    named(b"\x55\x04\x29", "name", "name"),
    named(b"\x55\x04\x2a", "GN", "givenName"),
    named(b"\x55\x04\x2b", "initials", "initials"),
    named(b"\x55\x04\x2c", "generationQualifier", "generationQualifier"),
    named(b"\x55\x04\x2d", "x500UniqueIdentifier", "x500UniqueIdentifier"),
    named(b"\x55\x04\x2e", "dnQualifier", "dnQualifier"),
    named(b"\x55\x04\x41", "pseudonym", "pseudonym"),
    named(b"\x55\x04\x48", "role", "role"),
    named(b"\x55\x04\x61", "organizationIdentifier", "organizationIdentifier"),
    named(b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "UID", "userId"),
    named(b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x03", "mail", "rfc822Mailbox"),
    named(b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC", "domainComponent"),
    named(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress", "emailAddress"),
    named(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02", "unstructuredName", "unstructuredName"),
    named(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x08", "unstructuredAddress", "unstructuredAddress"),
    named(b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01", "jurisdictionL", "jurisdictionLocalityName"),
    named(b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02", "jurisdictionST", "jurisdictionStateOrProvinceName"),
    named(b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03", "jurisdictionC", "jurisdictionCountryName"),
];

/// Extended key usages.
pub(super) const USAGES: &[Named] = &[
    named(tls_usage(Role::Server), "serverAuth", "TLS Web Server Authentication"),
    named(tls_usage(Role::Client), "clientAuth", "TLS Web Client Authentication"),
    named(b"\x2b\x06\x01\x05\x05\x07\x03\x03", "codeSigning", "Code Signing"),
    named(b"\x2b\x06\x01\x05\x05\x07\x03\x04", "emailProtection", "E-mail Protection"),
    named(b"\x2b\x06\x01\x05\x05\x07\x03\x05", "ipsecEndSystem", "IPSec End System"),
    named(b"\x2b\x06\x01\x05\x05\x07\x03\x06", "ipsecTunnel", "IPSec Tunnel"),
    named(b"\x2b\x06\x01\x05\x05\x07\x03\x07", "ipsecUser", "IPSec User"),
    named(b"\x2b\x06\x01\x05\x05\x07\x03\x08", "timeStamping", "Time Stamping"),
    named(b"\x2b\x06\x01\x05\x05\x07\x03\x09", "OCSPSigning", "OCSP Signing"),
    named(b"\x2b\x06\x01\x05\x05\x07\x03\x11", "ipsecIKE", "ipsec Internet Key Exchange"),
    named(b"\x55\x1d\x25\x00", "anyExtendedKeyUsage", "Any Extended Key Usage"),
    named(b"\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x02", "msSmartcardLogin", "Microsoft Smartcard Login"),
];

/// Calls `matches` with what an identifier may be called: its names and its numbers. `true` if one of them does.
pub(super) fn is_called(table: &[Named], oid: &[u8], mut matches: impl FnMut(&str) -> bool) -> bool {
    let known = table.iter().find(|entry| entry.oid == oid);
    known.is_some_and(|entry| matches(entry.short) || matches(entry.long)) || matches(&dotted(oid))
}

/// The numbers, as in `2.5.4.3`; empty if there are too many or too large ones.
pub(super) fn dotted(oid: &[u8]) -> heapless::String<160> {
    let mut text = heapless::String::new();
    if let Ok(oid) = der::asn1::ObjectIdentifier::from_bytes(oid) {
        // It has at most 39 bytes of at most four characters, thus fits.
        let _ = core::fmt::write(&mut text, format_args!("{oid}"));
    }
    text
}
