//! Names, serial numbers and fingerprints as openvpn 2.6 and OpenSSL 3.0 show them.

use super::*;
use crate::x509::Name;
use crate::x509::der_input::whole;

/// A relative distinguished name: of each attribute its identifier, tag and bytes.
type Rdn<'a> = &'a [(&'a [u8], u8, &'a [u8])];

fn name(rdns: &[Rdn<'_>]) -> Vec<u8> {
    let rdns: Vec<_> = rdns
        .iter()
        .map(|rdn| {
            let attributes: Vec<_> =
                rdn.iter().map(|(oid, tag, value)| tlv(0x30, &[&tlv(6, &[oid]), &tlv(*tag, &[value])])).collect();
            tlv(0x31, &attributes.iter().map(Vec::as_slice).collect::<Vec<_>>())
        })
        .collect();
    tlv(0x30, &rdns.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn shown(der: &[u8]) -> Option<String> {
    whole(der, Name::read).ok().map(|name| name.to_string())
}

const C: &[u8] = b"\x55\x04\x06";
const O: &[u8] = b"\x55\x04\x0a";
const OU: &[u8] = b"\x55\x04\x0b";
const CN: &[u8] = b"\x55\x04\x03";
const UID: &[u8] = b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01";
const MAIL: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01";
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const T61: u8 = 0x14;
const IA5: u8 = 0x16;
const BMP: u8 = 0x1e;

#[test]
fn subjects() {
    let cases: &[(&[Rdn<'_>], &str)] = &[
        (&[&[(C, PRINTABLE, b"XX")], &[(O, UTF8, b"T")], &[(CN, UTF8, b"server")]], "C=XX, O=T, CN=server"),
        (
            &[
                &[(O, UTF8, b"T, Inc. \"quoted\" <a;b=c> #x+y\\z")],
                &[(OU, UTF8, b"#lead")],
                &[(OU, UTF8, b" sp ")],
                &[(CN, UTF8, b" sp, \"ace ")],
            ],
            "O=T, Inc. \"quoted\" <a;b=c> #x+y\\\\z, OU=#lead, OU= sp , CN= sp, \"ace ",
        ),
        (&[&[(O, UTF8, "Übung €".as_bytes())], &[(CN, UTF8, "naïve-日本".as_bytes())]], "O=Übung €, CN=naïve-日本"),
        (
            &[
                &[(CN, UTF8, b"multi"), (UID, UTF8, b"42")],
                &[(OU, UTF8, b"A"), (OU, UTF8, b"B")],
                &[(MAIL, IA5, b"a@b.c")],
            ],
            "CN=multi + UID=42, OU=A + OU=B, emailAddress=a@b.c",
        ),
        (&[&[(O, UTF8, b"a\x01b\x7fc")], &[(CN, UTF8, b"ct\trl")]], "O=a\\01b\\7Fc, CN=ct\\09rl"),
        (&[&[(CN, BMP, b"\x00b\x00m\x00p\x00\xe9\x20\xac")]], "CN=bmpé€"),
        (&[&[(CN, BMP, b"\xd8\x3d\xde\x00")]], "CN=😀"),
        (&[&[(CN, T61, b"caf\xe9")]], "CN=café"),
        (&[&[(b"\x2a\x03\x04\x05", UTF8, b"val")], &[(CN, UTF8, b"unk")]], "1.2.3.4.5=val, CN=unk"),
        (&[&[(b"\x2b\x06\x01\x04\x01\x86\x8d\x1f\x07", UTF8, b"v2")]], "1.3.6.1.4.1.99999.7=v2"),
        // A terminal would obey this one; openvpn shows it as it is.
        (&[&[(CN, UTF8, "a\u{9b}b".as_bytes())]], "CN=a_b"),
        (&[], ""),
    ];
    for (rdns, expected) in cases {
        assert_eq!(shown(&name(rdns)).as_deref(), Some(*expected));
    }
}

#[test]
fn names_that_are_refused() {
    let with = |tag, value: &[u8]| shown(&name(&[&[(CN, tag, value)]]));
    assert_eq!(with(UTF8, b"good\0evil"), None);
    assert_eq!(with(BMP, b"\0a\0\0\0b"), None);
    assert_eq!(with(BMP, b"\0a\0"), None, "half a character");
    assert_eq!(with(BMP, b"\xd8\x3d\0a"), None, "half a pair");
    assert_eq!(with(UTF8, b"a\xff"), None);
    assert_eq!(with(UTF8, b"good").as_deref(), Some("CN=good"));
}

#[test]
fn attributes_and_the_last_common_name() {
    let der = name(&[&[(CN, UTF8, b"first"), (UID, UTF8, b"a\tb")], &[(CN, UTF8, b"second")]]);
    let name = whole(&der, Name::read).unwrap();
    let attributes: Vec<_> =
        name.attributes().map(|attribute| std::format!("{}:{}", attribute.short_name(), attribute.value())).collect();
    assert_eq!(attributes, ["CN:first", "UID:a_b", "CN:second"]);
    assert_eq!(name.common_name().unwrap().to_string(), "second");
}

#[test]
fn serial_numbers() {
    let ca = Entity::authority("Root", None);
    for (bytes, decimal, hexadecimal) in [
        ("05", "5", "05"),
        ("00", "0", "00"),
        ("1000", "4096", "10:00"),
        ("80", "128", "80"),
        ("010000000000000000", "18446744073709551616", "01:00:00:00:00:00:00:00:00"),
        (
            "286b7e62e7d00b380187bdb6ffb8971974b2952a",
            "230756820373027610005164108642301434546923672874",
            "28:6b:7e:62:e7:d0:0b:38:01:87:bd:b6:ff:b8:97:19:74:b2:95:2a",
        ),
    ] {
        let number = SerialNumber::from_slice(&hex::decode(bytes).unwrap());
        let entity = Entity::new("x", Some(&ca), |params| params.serial_number = Some(number));
        let serial = entity.view().serial();
        assert_eq!((serial.to_string().as_str(), serial.hex().to_string().as_str()), (decimal, hexadecimal));
    }
    let too_long = SerialNumber::from_slice(&[1; 33]);
    let entity = Entity::new("x", Some(&ca), |params| params.serial_number = Some(too_long));
    assert!(Certificate::parse(&entity.der).is_err());
    let longest =
        Entity::new("x", Some(&ca), |params| params.serial_number = Some(SerialNumber::from_slice(&[0x7f; 32])));
    assert_eq!(longest.view().serial().to_string().len(), 77);
}

/// An RSA authority and a certificate of version 1 that it has signed, by `openssl ca`.
const OPENSSL: &[u8] = include_bytes!("openssl.pem");

#[test]
fn certificates_of_openssl() {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    let [ca, leaf]: [CertificateDer<'_>; 2] =
        CertificateDer::pem_slice_iter(OPENSSL).collect::<Result<Vec<_>, _>>().unwrap().try_into().unwrap();
    let view = Certificate::parse(&leaf).unwrap();
    assert_eq!(view.der(), &*leaf);
    assert_eq!(view.issuer().to_string(), "CN=RSA CA");
    assert_eq!(view.subject().to_string(), "C=XX, O=T, Inc., CN=server, emailAddress=a@b.c");
    assert_eq!((view.serial().to_string(), view.serial().hex().to_string()), ("43789".into(), "ab:0d".into()));
    assert_eq!((view.validity().not_before, view.validity().not_after), (1_735_689_600, 2_524_607_999));
    assert_eq!(hex::encode(view.sha1()), "7056180c536c551423a2c8cae9ef54b7d4a2d7a0");
    assert_eq!(hex::encode(view.sha256()), "2ed1256b27bc84f0f9def8f0699a881ab8c53391fa03e8f627f97e47ad7187ca");
    assert_eq!(view.spki()[..4], [0x30, 0x82, 0x01, 0x22], "RSA with 2048 bits");

    let [ca, leaf] = [ca, leaf].map(|der| Entity {
        der: der.to_vec(),
        key: KeyPair::generate().unwrap(),
        params: CertificateParams::default(),
    });
    assert_eq!(verify(&[&ca], &[&leaf]), Ok("server".to_string()));
    let preferred = Verifier { profile: CertProfile::Preferred, ..servers() };
    assert!(verify_with(preferred, &[&ca], &[&leaf], &mut ()).is_ok());
}
