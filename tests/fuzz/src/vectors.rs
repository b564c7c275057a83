//! Packets and keys that openvpn has made, from `tests/vectors`.

macro_rules! vectors {
    ($($name:ident $file:literal,)+) => {
        $(pub const $name: &str = include_str!(concat!("../../vectors/", $file));)+
    };
}

vectors! {
    COUNT_KEY "count.key",
    STATIC_AES "static_aes256cbc_sha1.vec",
    OCC "static_occ_request_reply.vec",
    TLS_AUTH "tls_auth.vec",
    TLS_CRYPT "tls_crypt.vec",
    TLS_CRYPT_V2 "tls_crypt_v2.vec",
    DYNAMIC "dynamic_tls_crypt.vec",
    KEY_MESSAGES "key_method2.vec",
}

/// Names and values of a vector file; bytes are hexadecimal text.
pub fn values(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.trim(), value.trim()))
}

/// The value of this name as bytes.
pub fn bytes(text: &'static str, name: &str) -> Vec<u8> {
    let value = values(text).find(|(known, _)| *known == name).map(|(_, value)| value);
    decode(value.unwrap_or_else(|| panic!("no value '{name}'")))
}

/// All values whose names end like this, in order.
pub fn all(text: &'static str, suffix: &'static str) -> impl Iterator<Item = Vec<u8>> {
    values(text).filter(move |(name, _)| name.ends_with(suffix)).map(|(_, value)| decode(value))
}

fn decode(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}
