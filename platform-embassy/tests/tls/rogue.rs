//! A server of TLS 1.3 that says what it is told to say: as much of RFC 8446 as an attacker needs, and nothing that
//! would keep it honest.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use p256::ecdh::EphemeralSecret;
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::pkcs8::DecodePrivateKey as _;
use rand_core_06::{CryptoRng, RngCore};
use sha2::{Digest as _, Sha256};

use super::pki::Identity;

pub(crate) const HELLO: u8 = 2;
pub(crate) const TICKET: u8 = 4;
pub(crate) const EXTENSIONS: u8 = 8;
pub(crate) const CERTIFICATE: u8 = 11;
pub(crate) const REQUEST: u8 = 13;
pub(crate) const VERIFY: u8 = 15;
pub(crate) const FINISHED: u8 = 20;
pub(crate) const KEY_UPDATE: u8 = 24;

pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const DATA: u8 = 23;

/// The other end of a session.
pub(crate) trait Peer {
    /// Takes bytes.
    fn receive(&mut self, wire: &[u8]);
    /// What it has for the session.
    fn output(&mut self) -> &mut Vec<u8>;
}

/// The server. It answers a ClientHello with a ServerHello and with what its script does; afterwards it takes and
/// gives records under the keys of an established session.
pub(crate) struct Rogue<'s> {
    script: Option<Script<'s>>,
    /// After the ClientHello.
    pub(crate) flight: Option<Flight>,
    input: Vec<u8>,
    output: Vec<u8>,
}

type Script<'s> = Box<dyn FnOnce(&mut Flight) + 's>;

/// A server that has sent its ServerHello.
pub(crate) struct Flight {
    transcript: Sha256,
    handshake: [u8; 32],
    server_finished: [u8; 32],
    /// Which way the keys of the session are derived.
    write: Direction,
    output: Vec<u8>,
    /// Content types and contents of what the client has sent in records that could be decrypted.
    pub(crate) received: Vec<(u8, Vec<u8>)>,
    client_handshake: Direction,
    client_data: Option<Direction>,
}

/// Key, IV and counter of one direction.
struct Direction {
    key: Aes128Gcm,
    iv: [u8; 12],
    count: u64,
}

impl<'s> Rogue<'s> {
    pub(crate) fn new(script: impl FnOnce(&mut Flight) + 's) -> Self {
        Self { script: Some(Box::new(script)), flight: None, input: Vec::new(), output: Vec::new() }
    }

    fn flight(&mut self) -> &mut Flight {
        self.flight.as_mut().expect("there was no ClientHello")
    }

    /// Sends a record of an established session.
    pub(crate) fn send(&mut self, inner: &[u8]) {
        self.flight().inner(inner);
        self.collect();
    }

    /// Sends bytes as they are.
    pub(crate) fn send_plain(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Whether the client has sent application data, and which.
    pub(crate) fn data(&mut self) -> Vec<u8> {
        self.flight().received.iter().filter(|(kind, _)| *kind == DATA).flat_map(|(_, data)| data.clone()).collect()
    }

    fn collect(&mut self) {
        let output = std::mem::take(&mut self.flight().output);
        self.output.extend_from_slice(&output);
    }
}

impl Peer for Rogue<'_> {
    fn receive(&mut self, wire: &[u8]) {
        self.input.extend_from_slice(wire);
        while let Some(length) = self.input.get(3..5) {
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let Some(record) = self.input.get(..5 + length) else { return };
            let record = record.to_vec();
            self.input.drain(..record.len());
            match &mut self.flight {
                None => {
                    assert_eq!(record[0], HANDSHAKE);
                    let mut flight = Flight::new(&record[5..]);
                    self.script.take().unwrap()(&mut flight);
                    self.flight = Some(flight);
                    self.collect();
                }
                Some(flight) => flight.open(&record),
            }
        }
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }
}

impl Flight {
    fn new(client_hello: &[u8]) -> Self {
        let client_share = p256::PublicKey::from_sec1_bytes(key_share(client_hello)).unwrap();
        let secret = EphemeralSecret::random(&mut Fixed);
        let share = secret.public_key().to_encoded_point(false);
        let extensions =
            [extension(43, &[3, 4]), extension(51, &[&[0, 0x17, 0, 65][..], share.as_bytes()].concat())].concat();
        let hello = message(
            HELLO,
            &[&[3, 3][..], &[0xAB; 32], &[0, 0x13, 0x01, 0], &length16(&extensions), &extensions].concat(),
        );
        let mut transcript = Sha256::new();
        transcript.update(client_hello);
        transcript.update(&hello);

        let early = extract(&[0; 32], &[0; 32]);
        let shared = secret.diffie_hellman(&client_share);
        let handshake = extract(&derived(&early), shared.raw_secret_bytes());
        let hash = transcript.clone().finalize();
        let server: [u8; 32] = expand(&handshake, "s hs traffic", &hash);
        let client: [u8; 32] = expand(&handshake, "c hs traffic", &hash);
        let mut output = vec![HANDSHAKE, 3, 3];
        output.extend_from_slice(&length16(&hello));
        output.extend_from_slice(&hello);
        Self {
            transcript,
            handshake,
            server_finished: expand(&server, "finished", &[]),
            write: Direction::new(&server),
            output,
            received: Vec::new(),
            client_handshake: Direction::new(&client),
            client_data: None,
        }
    }

    /// A handshake message in a record of its own.
    pub(crate) fn message(&mut self, kind: u8, body: &[u8]) {
        self.messages(&[(kind, body)]);
    }

    /// Handshake messages in one record.
    pub(crate) fn messages(&mut self, messages: &[(u8, &[u8])]) {
        let messages: Vec<u8> = messages.iter().flat_map(|(kind, body)| message(*kind, body)).collect();
        self.transcript.update(&messages);
        self.inner(&[&messages[..], &[HANDSHAKE]].concat());
    }

    pub(crate) fn extensions(&mut self) {
        self.message(EXTENSIONS, &[0, 0]);
    }

    pub(crate) fn request(&mut self) {
        let schemes = extension(13, &[0, 4, 4, 3, 8, 7]);
        self.message(REQUEST, &[&[0][..], &length16(&schemes), &schemes].concat());
    }

    pub(crate) fn certificate(&mut self, chain: &[&Identity]) {
        self.message(CERTIFICATE, &certificate(chain));
    }

    /// A CertificateVerify of what was said so far.
    pub(crate) fn verify(&mut self, key: &Identity) {
        let body = self.signature(key);
        self.message(VERIFY, &body);
    }

    /// The body of a CertificateVerify of what was said so far.
    pub(crate) fn signature(&self, key: &Identity) -> Vec<u8> {
        let hash = self.transcript.clone().finalize();
        let key = p256::ecdsa::SigningKey::from_pkcs8_der(&key.key.serialize_der()).unwrap();
        let message = [&[b' '; 64][..], b"TLS 1.3, server CertificateVerify\0", &hash].concat();
        let signature: p256::ecdsa::DerSignature = key.sign(&message);
        [&[4, 3][..], &length16(signature.as_bytes()), signature.as_bytes()].concat()
    }

    /// Finished, which proves that nobody has changed what was said, and the keys of the session.
    pub(crate) fn finished(&mut self) {
        let body = self.finished_body();
        self.message(FINISHED, &body);
        self.establish();
    }

    pub(crate) fn finished_body(&self) -> Vec<u8> {
        let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&self.server_finished).unwrap();
        mac.update(&self.transcript.clone().finalize());
        mac.finalize().into_bytes().to_vec()
    }

    /// The keys of the session as of now.
    pub(crate) fn establish(&mut self) {
        let hash = self.transcript.clone().finalize();
        let master = extract(&derived(&self.handshake), &[0; 32]);
        self.write = Direction::new(&expand(&master, "s ap traffic", &hash));
        self.client_data = Some(Direction::new(&expand(&master, "c ap traffic", &hash)));
    }

    /// An encrypted record with this inner plaintext: content, content type, padding.
    pub(crate) fn inner(&mut self, inner: &[u8]) {
        let header = [DATA, 3, 3, ((inner.len() + 16) >> 8) as u8, (inner.len() + 16) as u8];
        let record = self.write.key.encrypt(&self.write.nonce(), Payload { msg: inner, aad: &header }).unwrap();
        self.write.count += 1;
        self.output.extend_from_slice(&header);
        self.output.extend_from_slice(&record);
    }

    /// Bytes as they are.
    pub(crate) fn plain(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// A record of the client: under the keys of the handshake, or else of the session.
    fn open(&mut self, record: &[u8]) {
        let (header, body) = record.split_at(5);
        if header[0] != DATA {
            self.received.push((header[0], body.to_vec()));
            return;
        }
        for direction in [Some(&mut self.client_handshake), self.client_data.as_mut()].into_iter().flatten() {
            if let Ok(mut inner) = direction.key.decrypt(&direction.nonce(), Payload { msg: body, aad: header }) {
                direction.count += 1;
                let kind = inner.pop().unwrap();
                self.received.push((kind, inner));
                return;
            }
        }
        panic!("the client sent a record that cannot be decrypted");
    }
}

impl Direction {
    fn new(secret: &[u8; 32]) -> Self {
        let key: [u8; 16] = expand(secret, "key", &[]);
        Self { key: Aes128Gcm::new(&key.into()), iv: expand(secret, "iv", &[]), count: 0 }
    }

    fn nonce(&self) -> Nonce<p256::elliptic_curve::consts::U12> {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.count.to_be_bytes()).for_each(|(nonce, count)| *nonce ^= count);
        nonce.into()
    }
}

/// The body of a Certificate message.
pub(crate) fn certificate(chain: &[&Identity]) -> Vec<u8> {
    let entries: Vec<u8> = chain
        .iter()
        .flat_map(|identity| [&[0][..], &length16(&identity.der), &identity.der, &[0, 0]].concat())
        .collect();
    [&[0, 0][..], &length16(&entries), &entries].concat()
}

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &length16(body), body].concat()
}

fn extension(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[0, kind][..], &length16(body), body].concat()
}

fn length16(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap().to_be_bytes()
}

/// The point of the only key share in a ClientHello.
fn key_share(hello: &[u8]) -> &[u8] {
    let start = hello.windows(8).position(|window| window[..2] == [0, 51] && window[6..] == [0, 0x17]).unwrap();
    &hello[start + 10..start + 75]
}

fn extract(salt: &[u8; 32], input: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(salt), input).0.into()
}

fn derived(secret: &[u8; 32]) -> [u8; 32] {
    expand(secret, "derived", &Sha256::digest([]))
}

/// HKDF-Expand-Label (RFC 8446 section 7.1).
fn expand<const N: usize>(secret: &[u8; 32], label: &str, context: &[u8]) -> [u8; N] {
    let label = ["tls13 ", label].concat();
    let info = [&[0, N as u8, label.len() as u8][..], label.as_bytes(), &[context.len() as u8], context].concat();
    let mut out = [0; N];
    Hkdf::<Sha256>::from_prk(secret).unwrap().expand(&info, &mut out).unwrap();
    out
}

/// An attacker does not need good random numbers.
struct Fixed;

impl RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        7
    }

    fn next_u64(&mut self) -> u64 {
        7
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Fixed {}
