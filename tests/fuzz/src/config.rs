//! Texts of users, and of whoever wrote the configuration that they were given.

use std::fmt::Debug;

use longcable_core::control::Protection;
use longcable_core::crypto::RustCrypto;
use longcable_core::options::{
    Checker, ConfigError, Lexer, LinkConfig, ParseError, Side, lookup, options, options_string, words,
};

/// The gateway of the FAQ's sample for two offices, and a TLS link.
const SAMPLES: [&str; 3] = [
    "dev tun\nremote 4.3.2.1\nifconfig 10.1.0.1 10.1.0.2\nup ./office.up\nsecret static.key 1\nport 5000\nuser nobody\n\
     group nobody\ncomp-lzo\nping 15\nping-restart 45\nping-timer-rem\npersist-tun\npersist-key\nverb 3\n",
    "dev tun\r\ntls-server\r\nifconfig 10.1.0.2 10.1.0.1\r\nca \"my ca.crt\"\r\ncert office.crt\r\nkey office.key\r\n\
     tls-auth ta.key 0\r\nremote-cert-tls client\r\ndata-ciphers AES-256-GCM:AES-128-CBC\r\nreneg-sec 60 30\r\n",
    "# comment\n--dev 'tun' ; more\ntls-client\nroute 10.0.0.0 255.0.0.0 vpn_gateway 5\nsetenv opt nonsense 1\n\
     ignore-unknown-option what\nwhat is this\nifconfig 10.1.0.2 10.1.0.1\n<peer-fingerprint>\n\
     00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff\n\
     </peer-fingerprint>\n<cert>\n-----BEGIN CERTIFICATE-----\n</cert>\nkey a\\ b\n<tls-crypt>\nx\n</tls-crypt>\n",
];

pub fn run(data: &[u8]) {
    check_lexer(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = LinkConfig::parse(text);
    check_line_ends(text, &parsed);
    match parsed {
        Ok(config) => check_config(&config),
        Err(error) => {
            let _ = error.to_string();
            let count = u32::try_from(text.split('\n').count()).expect("a short text");
            match error {
                ParseError::Syntax(error) => assert!((1..=count).contains(&error.position.line)),
                ParseError::Option(line, _) => assert!((1..=count).contains(&line)),
                ParseError::Whole(_) => {}
            }
        }
    }
}

fn check_lexer(text: &[u8]) {
    let mut line = 0;
    let mut checker = Checker::new();
    let mut directives = Lexer::new(text);
    for directive in directives.by_ref() {
        match directive {
            Ok(directive) => {
                assert!(directive.line > line, "one after the other");
                line = directive.line;
                assert!(directive.inline.is_none() || directive.args.is_empty());
                for word in std::iter::once(&directive.name).chain(&directive.args) {
                    assert!(usize::from(word.column()) + word.width() <= 1 + 255 + 1);
                    assert!(word.as_str().is_none_or(|text| text.chars().eq(word.chars())));
                }
                let _ = checker.check(directive).map_err(|error: ConfigError<'_>| error.to_string());
            }
            Err(error) => {
                assert!(error.position.line > line && error.position.column > 0);
                break;
            }
        }
    }
    assert!(directives.next().is_none(), "after an error there is nothing");
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(words) = words(text)
    {
        let _ = words.iter().filter_map(|word| word.parse_number()).count();
    }
}

/// Line ends of Windows, and a missing last one, mean nothing.
fn check_line_ends(text: &str, parsed: &Result<LinkConfig<'_>, ParseError<'_>>) {
    if text.contains(['\r', '<']) {
        return;
    }
    let text_of = |value: &dyn Debug| format!("{value:?}");
    let windows = text.replace('\n', "\r\n");
    assert_eq!(text_of(&LinkConfig::parse(&windows)), text_of(parsed));
    if let Some(text) = text.strip_suffix('\n') {
        assert_eq!(text_of(&LinkConfig::parse(text)), text_of(parsed));
    }
}

fn check_config(config: &LinkConfig<'_>) {
    config.validate().expect("it was validated");
    for side in [Side::Local, Side::Remote] {
        let mut text = String::new();
        options_string(config, side, &mut text).expect("a string takes everything");
        assert!(text.starts_with("V4"));
    }
    let suite = config.suite();
    assert!(config.keysize.is_some() || suite.cipher.accepts_key_len(suite.key_len));
    config.warnings().for_each(|warning| drop(warning.to_string()));
    if let Some(role) = config.tls.role {
        let _ = Protection::<RustCrypto>::new(config, role).map_err(|error| error.to_string());
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = SAMPLES.iter().map(|sample| sample.as_bytes().to_vec()).collect();
    for option in options() {
        assert!(lookup(option.name).is_some());
        for arguments in ["", option.usage, "1 2", "x y"] {
            seeds.push(format!("dev tun\nsecret k\n{} {arguments}\n", option.name).into_bytes());
        }
    }
    seeds
}
