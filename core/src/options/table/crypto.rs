//! The static key, the data channel, and the commands that deal with keys.

use super::{OptionInfo, harmless, not_yet, works};

pub(super) const DATA: &[OptionInfo] = &[
    works("secret", (1, 2), "file [0|1]", "static key shared with the peer, and its direction").inline(),
    works("key-direction", (1, 1), "0|1", "direction of the static key or of tls-auth; the peer has the other one")
        .connection(),
    works("cipher", (1, 1), "name", "cipher of a static-key link (BF-CBC), or of a TLS link with an old peer")
        .pull()
        .instance(),
    works("auth", (1, 1), "name", "digest of packet authentication (SHA1); --show-digests lists them"),
    works("keysize", (1, 1), "bits", "key length of BF-CBC"),
    works("replay-window", (1, 2), "n [t]", "accept packets up to n ids and t seconds late (64 15); 0 is strict order"),
    works("replay-persist", (1, 1), "file", "remember the last packet id over restarts of the program"),
    works("mute-replay-warnings", (0, 0), "", "do not log replayed packets"),
    works("no-replay", (0, 0), "", "no packet ids: accept replayed packets"),
    works("disable-occ", (0, 0), "", "do not compare options with the peer"),
    works("opt-verify", (0, 0), "", "refuse clients whose options differ; without a server it only warns"),
    harmless(
        "allow-deprecated-insecure-static-crypto",
        (0, 0),
        "",
        "allow a static key",
        "a static key needs no permission here",
    ),
    harmless("providers", (0, 15), "names", "OpenSSL providers", "OpenSSL is not used"),
    harmless("engine", (0, 1), "[name]", "OpenSSL engine", "OpenSSL is not used"),
];

pub(super) const COMPRESSION: &[OptionInfo] = &[
    works("comp-lzo", (0, 1), "[yes|no|adaptive]", "framing of LZO compression; sends uncompressed").pull().instance(),
    works("compress", (0, 1), "[stub|stub-v2|lzo|lz4|lz4-v2]", "compression framing; sends uncompressed")
        .pull()
        .instance(),
    works("allow-compression", (1, 1), "no|asym|yes", "whether the peer may compress"),
    harmless("comp-noadapt", (0, 0), "", "always try to compress", "nothing is ever compressed").pull(),
];

pub(super) const COMMANDS: &[OptionInfo] = &[
    works(
        "genkey",
        (0, 3),
        "type [file] [data]",
        "write a new key: secret, tls-auth, tls-crypt or tls-crypt-v2-server|client",
    ),
    works("test-crypto", (0, 0), "", "test the cipher and digest of the configuration"),
    works("show-ciphers", (0, 0), "", "list the ciphers"),
    works("show-digests", (0, 0), "", "list the digests"),
    works("mktun", (0, 0), "", "create a tunnel device that stays"),
    works("rmtun", (0, 0), "", "remove such a device"),
    works("version", (0, 0), "", "print the version"),
    works("help", (0, 0), "", "print this text"),
    works("show-tls", (0, 0), "", "list the TLS cipher suites"),
    works("show-groups", (0, 0), "", "list the key exchange groups"),
    works("show-curves", (0, 0), "", "list the elliptic curves"),
    not_yet("show-engines", (0, 0), "", "list the OpenSSL engines"),
    not_yet("show-gateway", (0, 1), "[address]", "print the default gateway"),
    not_yet("show-pkcs11-ids", (0, 2), "[provider] [login]", "list the identities on a smart card"),
];
