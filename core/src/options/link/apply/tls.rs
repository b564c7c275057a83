//! The options of a TLS link, one at a time.

use super::*;

const SECONDS_FROM_1: &str = "a time in seconds, at least 1";
const CIPHERS: &str = "ciphers from --show-ciphers with colons between them, as in AES-256-GCM:AES-128-GCM";
const DATA_CIPHERS_LEN_MAX: usize = 127;
/// The extensions that `x509-username-field` takes.
const ALTERNATIVE_NAMES: [&str; 2] = ["ext:subjectAltName", "ext:issuerAltName"];
/// What openvpn lets `max-packet-size` be, in bytes.
const PACKET_SIZES: core::ops::RangeInclusive<u64> = 154..=2048;

impl<'a> LinkConfig<'a> {
    pub(super) fn apply_tls(&mut self, d: &Args<'_, 'a>) -> Done {
        if self.apply_negotiation(d)? == Applied::Taken {
            return Ok(Applied::Taken);
        }
        for topic in
            [Self::apply_credentials, Self::apply_wrapping, Self::apply_stack, Self::apply_peer, Self::apply_session]
        {
            if topic(self, d)? == Applied::Taken {
                self.tls_option = Some(d.name);
                return Ok(Applied::Taken);
            }
        }
        Ok(Applied::NotMine)
    }

    /// What a static-key link may have as well.
    fn apply_negotiation(&mut self, d: &Args<'_, 'a>) -> Done {
        match d.name.as_str().unwrap_or_default() {
            "data-ciphers" | "ncp-ciphers" => self.tls.data_ciphers = data_ciphers(d)?,
            "data-ciphers-fallback" => self.tls.data_ciphers_fallback = Some(cipher(d)?),
            "data-epoch" => self.tls.data_epoch = true,
            "compat-mode" => self.tls.compat = Some(d.parsed(0, "a version as in 2.4.0", version)?),
            "key-method" => d.choice(0, &[("2", ())], "2: method 1 is insecure and was removed from openvpn")?,
            "max-packet-size" => {
                let size = d.number::<u64>(0, "a number of bytes")?.clamp(*PACKET_SIZES.start(), *PACKET_SIZES.end());
                self.tls.max_packet_size = u16::try_from(size).unwrap_or(u16::MAX);
                self.mssfix = Mssfix::Mtu(self.tls.max_packet_size);
            }
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    fn apply_credentials(&mut self, d: &Args<'_, 'a>) -> Done {
        let tls = &mut self.tls;
        let slot = match d.name.as_str().unwrap_or_default() {
            name @ ("tls-client" | "tls-server") => {
                let role = if name == "tls-client" { Role::Client } else { Role::Server };
                if tls.role.is_some_and(|other| other != role) {
                    return Err(conflict(d, "one end is the 'tls-client', the other the 'tls-server'; leave one out"));
                }
                tls.role = Some(role);
                return Ok(Applied::Taken);
            }
            "ca" => &mut tls.ca,
            "cert" => &mut tls.cert,
            "key" => &mut tls.key,
            "extra-certs" => &mut tls.extra_certs,
            "pkcs12" => &mut tls.pkcs12,
            _ => return Ok(Applied::NotMine),
        };
        *slot = source(d)?.or(*slot);
        Ok(Applied::Taken)
    }

    fn apply_wrapping(&mut self, d: &Args<'_, 'a>) -> Done {
        let wrapping: fn(KeySource<'a>) -> ControlKey<'a> = match d.name.as_str().unwrap_or_default() {
            "tls-auth" => ControlKey::Auth,
            "tls-crypt" => ControlKey::Crypt,
            "tls-crypt-v2" => ControlKey::CryptV2,
            _ => return Ok(Applied::NotMine),
        };
        match d.arg(1) {
            Some(_) if d.name == "tls-auth" => self.key_direction = Some(direction(d, 1)?),
            // It concerns servers that answer strangers without keeping anything in mind.
            Some(_) => {
                let choices = [("allow-noncookie", ()), ("force-cookie", ())];
                d.choice(1, &choices, "allow-noncookie or force-cookie")?;
            }
            None => {}
        }
        let Some(key) = source(d)? else { return Ok(Applied::Taken) };
        let wanted = wrapping(key);
        let before = core::mem::replace(&mut self.tls.wrapping, wanted);
        if before != ControlKey::None && core::mem::discriminant(&before) != core::mem::discriminant(&wanted) {
            return Err(conflict(
                d,
                "a link has one of 'tls-auth', 'tls-crypt' and 'tls-crypt-v2', the same at both ends; leave the others \
                 out",
            ));
        }
        Ok(Applied::Taken)
    }

    fn apply_stack(&mut self, d: &Args<'_, 'a>) -> Done {
        let tls = &mut self.tls;
        match d.name.as_str().unwrap_or_default() {
            "tls-version-min" => {
                let highest = d.arg(1).map(|_| d.choice(1, &[("or-highest", ())], "or-highest")).transpose()?.is_some();
                let versions =
                    [("1.0", None), ("1.1", None), ("1.2", Some(TlsVersion::V12)), ("1.3", Some(TlsVersion::V13))];
                let version = match d.choice(0, &versions, "1.2 or 1.3") {
                    Err(_) if highest => Some(TlsVersion::V13),
                    other => other?,
                };
                self.old_tls_version = version.is_none();
                tls.version_min = version.unwrap_or(TlsVersion::V12);
            }
            "tls-version-max" => {
                let versions = [("1.2", TlsVersion::V12), ("1.3", TlsVersion::V13)];
                tls.version_max = d.choice(0, &versions, "1.2 or 1.3: older versions of TLS are insecure")?;
            }
            "tls-cipher" => tls.cipher_list = Some(d.required(0)?),
            "tls-ciphersuites" => tls.ciphersuites = Some(d.required(0)?),
            "tls-groups" | "ecdh-curve" => tls.groups = Some(d.required(0)?),
            "tls-cert-profile" => {
                let profiles = [
                    ("insecure", CertProfile::Insecure),
                    ("legacy", CertProfile::Legacy),
                    ("preferred", CertProfile::Preferred),
                    ("suiteb", CertProfile::SuiteB),
                ];
                tls.profile = d.choice(0, &profiles, "insecure, legacy, preferred or suiteb")?;
            }
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    fn apply_peer(&mut self, d: &Args<'_, 'a>) -> Done {
        let peer = &mut self.tls.peer;
        match d.name.as_str().unwrap_or_default() {
            "remote-cert-tls" => {
                let roles = [("server", Role::Server), ("client", Role::Client)];
                peer.role = Some(d.choice(0, &roles, "server or client: the role of the peer")?);
                (peer.key_usage, peer.extended_key_usage) = (None, None);
            }
            "remote-cert-ku" => {
                let bits = |word: Word<'_>| u16::from_str_radix(word.as_str()?, 16).ok();
                let valid = "key usages in hexadecimal, as in a0";
                let usages = (0..d.args.len()).map(|index| d.parsed(index, valid, bits));
                peer.key_usage = Some(usages.collect::<Result<_, _>>()?);
            }
            "remote-cert-eku" => {
                peer.extended_key_usage = Some(d.required(0)?);
                // `remote-cert-tls` is a key usage and an extended one; the latter is another now.
                if peer.role.take().is_some() && peer.key_usage.is_none() {
                    peer.key_usage = Some(Vec::new());
                }
            }
            "verify-x509-name" => {
                let kinds =
                    [("subject", NameKind::Subject), ("name", NameKind::Name), ("name-prefix", NameKind::NamePrefix)];
                let kind = d.arg(1).map(|_| d.choice(1, &kinds, "subject, name or name-prefix")).transpose()?;
                peer.name = Some((d.required(0)?, kind.unwrap_or_default()));
            }
            "verify-hash" => {
                let algorithms = [("SHA1", false), ("SHA256", true)];
                let wanted = d.arg(1).map(|_| d.choice(1, &algorithms, "SHA1 or SHA256")).transpose()?;
                let valid = "20 bytes (SHA1) or 32 bytes (SHA256) in hexadecimal with colons between them";
                fingerprints(d, valid, &mut peer.authority, |text| {
                    let sha1 = || octets(text).map(Fingerprint::Sha1);
                    let sha256 = || octets(text).map(Fingerprint::Sha256);
                    match wanted {
                        Some(true) => sha256(),
                        Some(false) => sha1(),
                        None => sha1().or_else(sha256),
                    }
                })?;
            }
            "peer-fingerprint" => {
                let valid = "the SHA256 of a certificate: 32 bytes in hexadecimal with colons between them; write only what \
                             stands after '='";
                if d.arg(1).is_some() {
                    return Err(d.bad_value(0, valid));
                }
                fingerprints(d, valid, &mut peer.peer, octets)?;
            }
            "crl-verify" if d.arg(1).is_some() => {
                d.choice(1, &[("dir", ())], "dir, or nothing")?;
                self.tls.crl = Some(RevocationList::Directory(d.required(0)?));
            }
            "crl-verify" => self.tls.crl = source(d)?.map(RevocationList::List).or(self.tls.crl),
            "x509-username-field" => {
                let valid = "a field of the subject such as CN, serialNumber, ext:subjectAltName or ext:issuerAltName";
                let known = |word: &Word<'_>| match word.as_str() {
                    Some("") | None => false,
                    Some(field) => !field.starts_with("ext:") || ALTERNATIVE_NAMES.contains(&field),
                };
                let fields = (0..d.args.len()).map(|index| d.parsed(index, valid, |word| Some(word).filter(known)));
                peer.user_name_fields = fields.collect::<Result<_, _>>()?;
            }
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }

    fn apply_session(&mut self, d: &Args<'_, 'a>) -> Done {
        let tls = &mut self.tls;
        let positive = |word: Word<'_>| u32::try_from(word.parse_number()?).ok().filter(|seconds| *seconds > 0);
        match d.name.as_str().unwrap_or_default() {
            "tls-timeout" => tls.timeout = d.parsed(0, SECONDS_FROM_1, positive)?,
            "hand-window" => tls.hand_window = d.parsed(0, SECONDS_FROM_1, positive)?,
            "tran-window" => tls.tran_window = d.number(0, SECONDS)?,
            "reneg-sec" => {
                // openvpn takes what is below 0 for 0.
                let negative = |word: Word<'_>| word.as_str()?.strip_prefix('-')?.parse::<u32>().ok();
                tls.reneg_sec = if d.arg(0).and_then(negative).is_some() { 0 } else { d.number(0, SECONDS)? };
                let max = tls.reneg_sec;
                let shortest = |word: Word<'_>| u32::try_from(word.parse_number()?).ok().filter(|min| *min <= max);
                let valid = "as shortest time at most the longest one, which comes first";
                tls.reneg_sec_min = d.arg(1).map(|_| d.parsed(1, valid, shortest)).transpose()?;
            }
            "reneg-bytes" => tls.reneg_bytes = Some(d.number(0, "a number of bytes")?),
            "reneg-pkts" => tls.reneg_pkts = d.number(0, "a number of packets")?,
            "single-session" => tls.single_session = true,
            "tls-exit" => tls.tls_exit = true,
            _ => return Ok(Applied::NotMine),
        }
        Ok(Applied::Taken)
    }
}

fn conflict(d: &Args<'_, '_>, why: &'static str) -> Refused {
    d.refuse(0, Problem::Conflict { why })
}

fn data_ciphers<'a>(d: &Args<'_, 'a>) -> Result<Vec<Cipher, DATA_CIPHERS_MAX>, Refused> {
    let mut list = Vec::new();
    for entry in d.parsed(0, CIPHERS, |word| word.as_str())?.split(':') {
        let name = entry.strip_prefix('?');
        match Cipher::from_name(name.unwrap_or(entry)) {
            Some(cipher) => push_cipher(&mut list, cipher),
            None if entry == "DEFAULT" => DEFAULT_DATA_CIPHERS.into_iter().for_each(|c| push_cipher(&mut list, c)),
            None if name.is_some() || entry.is_empty() => {}
            None => {
                let problem = Problem::BadValue { value: Word::literal(entry), valid: CIPHERS };
                return Err(d.refuse(1, problem));
            }
        }
    }
    let names = list.iter().map(|cipher: &Cipher| cipher.name().len().saturating_add(1));
    if names.fold(0, usize::saturating_add) > DATA_CIPHERS_LEN_MAX.saturating_add(1) {
        return Err(d.bad_value(0, "at most 127 characters, as a longer list does not fit into openvpn's messages"));
    }
    if list.is_empty() { Err(d.bad_value(0, CIPHERS)) } else { Ok(list) }
}

/// Adds a cipher unless the list has it; so it never has more than there are.
fn push_cipher(list: &mut Vec<Cipher, DATA_CIPHERS_MAX>, cipher: Cipher) {
    const { assert!(DATA_CIPHERS_MAX >= Cipher::ALL.len()) };
    if !list.contains(&cipher) {
        let _ = list.push(cipher);
    }
}

/// `major.minor.patch`.
fn version(word: Word<'_>) -> Option<(u8, u8, u8)> {
    let mut numbers = word.as_str()?.split('.').map(|number| number.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(version)
}

/// Adds the fingerprint of the argument, or one for each line of the block.
fn fingerprints<'a, T, const N: usize>(
    d: &Args<'_, 'a>,
    valid: &'static str,
    list: &mut Vec<T, N>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<(), Refused> {
    let Some(block) = d.inline else {
        if d.required(0)? != "[inline]" {
            push(list, d.parsed(0, valid, |word| parse(word.as_str()?))?, d)?;
        }
        return Ok(());
    };
    let mut lines = block.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    // An empty list would mean that nothing is checked.
    let first = lines.next().ok_or_else(|| conflict(d, "the block holds no fingerprint; write one on each line"))?;
    for line in core::iter::once(first).chain(lines) {
        let problem = Problem::BadValue { value: Word::literal(line), valid };
        push(list, parse(line).ok_or_else(|| d.refuse(0, problem))?, d)?;
    }
    Ok(())
}

/// Bytes in hexadecimal with colons between them.
fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut octets = [0; N];
    let mut parts = text.split(':');
    for octet in &mut octets {
        let digits = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit()));
        *octet = u8::from_str_radix(digits?, 16).ok()?;
    }
    parts.next().is_none().then_some(octets)
}

#[cfg(test)]
mod tests;
