//! OpenSSL as the server, through a Unix socket.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use longcable_core::tls::{Role, TlsProgress, TlsSession as _};
use longcable_embassy::tls::EmbeddedTlsSession;

use crate::pair::with_session;
use crate::pki::{ED25519, Identity, NOW, P256, Pki};

const PATIENCE: Duration = Duration::from_secs(20);

/// `openssl s_server`, which sends what is written to it and prints what it receives.
struct Server {
    child: Child,
    stream: UnixStream,
    directory: PathBuf,
}

impl Server {
    fn start(name: &str, pki: &Pki) -> Self {
        let directory = std::env::temp_dir().join(format!("longcable-embassy-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = |name: &str, identity: &Identity| {
            let text = [pem("CERTIFICATE", &identity.der), pem("PRIVATE KEY", &private_key(identity))].concat();
            fs::write(directory.join(name), text).unwrap();
        };
        file("ca", &pki.authority);
        file("server", &pki.server);
        let child = Command::new("openssl")
            .args(
                "s_server -unix socket -naccept 1 -tls1_3 -quiet -verify_quiet -CAfile ca -cert server -key server -Verify 1"
                    .split(' '),
            )
            .args(["-verify_return_error"])
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("these tests need the program 'openssl': install the package of that name");
        let begin = Instant::now();
        let stream = loop {
            match UnixStream::connect(directory.join("socket")) {
                Ok(stream) => break stream,
                Err(error) => assert!(begin.elapsed() < PATIENCE, "openssl s_server does not listen: {error}"),
            }
            sleep(Duration::from_millis(20));
        };
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { child, stream, directory }
    }

    /// Carries bytes both ways until `done`.
    fn pump(
        &mut self,
        session: &mut EmbeddedTlsSession<'_>,
        mut done: impl FnMut(&mut EmbeddedTlsSession<'_>) -> bool,
    ) {
        let begin = Instant::now();
        let mut buffer = [0; 700];
        while !done(session) {
            assert!(begin.elapsed() < PATIENCE, "openssl does not answer");
            session.step().unwrap();
            while let len @ 1.. = session.write_tls(&mut buffer) {
                self.stream.write_all(&buffer[..len]).unwrap();
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("openssl has closed the connection"),
                Ok(len) => assert_eq!(session.read_tls(&buffer[..len]), len),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = String::from_utf8(crate::credentials::openssl("base64", der)).unwrap();
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}

/// The key in PKCS#8. Of Ed25519 ring writes a form that OpenSSL does not read, with the public key in it.
fn private_key(identity: &Identity) -> Vec<u8> {
    const ED25519_V1: [u8; 12] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
    match identity.key.serialize_der() {
        der if der[7..12] == ED25519_V1[7..] => [&ED25519_V1, &der[12..48]].concat(),
        der => der,
    }
}

fn talk(name: &str, algorithm: &'static rcgen::SignatureAlgorithm) {
    let pki = Pki::new(algorithm);
    with_session(&pki, |session| {
        for round in 0..2 {
            let mut server = Server::start(&format!("{name}{round}"), &pki);
            session.start(Role::Client, NOW).unwrap();
            server.pump(session, |session| matches!(session.step(), Ok(TlsProgress::Established(_))));

            server.child.stdin.as_mut().unwrap().write_all(b"from openssl\n").unwrap();
            let (mut data, mut line) = (Vec::new(), [0; 100]);
            server.pump(session, |session| {
                let len = session.read_plain(&mut line);
                data.extend_from_slice(&line[..len]);
                data == b"from openssl\n"
            });

            assert_eq!(session.write_plain(b"from the board\n"), 15);
            let mut sent = 0;
            server.pump(session, |_| {
                sent += 1;
                sent > 2
            });
            let mut printed = [0; 15];
            server.child.stdout.as_mut().unwrap().read_exact(&mut printed).unwrap();
            assert_eq!(&printed, b"from the board\n");
        }
    });
}

#[test]
fn p256() {
    talk("p256", P256);
}

#[test]
fn ed25519() {
    talk("ed25519", ED25519);
}
