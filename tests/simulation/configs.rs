//! The configurations that the runs take turns with: real config text, parsed once.

use std::sync::OnceLock;

use longcable_core::crypto::StaticKey;
use longcable_core::options::LinkConfig;

use crate::world::Dice;

const KEY: &str = include_str!("../vectors/count.key");

const SUITES: [&str; 5] = [
    "cipher AES-256-CBC",
    "cipher AES-128-CBC\nauth SHA256",
    "cipher BF-CBC\nauth MD5\ncomp-lzo",
    "cipher DES-EDE3-CBC\nauth SHA512\ncompress",
    "cipher none\nauth SHA224\ncompress stub-v2",
];

type Pair = [&'static LinkConfig<'static>; 2];

/// The configurations of both nodes, and their key.
pub fn pick(dice: &mut Dice) -> (Pair, &'static StaticKey) {
    static PAIRS: OnceLock<(Vec<Pair>, StaticKey)> = OnceLock::new();
    let (pairs, key) = PAIRS.get_or_init(|| {
        let pairs = SUITES.iter().flat_map(|suite| {
            [None, Some([0, 1]), Some([1, 0])].map(|directions| {
                [0usize, 1].map(|i| {
                    let direction = directions.map(|d| format!("key-direction {}\n", d[i])).unwrap_or_default();
                    let text = format!(
                        "dev tun\nremote 192.0.2.{}\nfloat\nping 1\nping-restart 5\npersist-tun\n{suite}\n{direction}\
                         <secret>\n{KEY}</secret>\n",
                        2 - i
                    );
                    leak(text)
                })
            })
        });
        (pairs.collect(), StaticKey::parse(KEY).expect("the key file is well-formed"))
    });
    (pairs[dice.below(pairs.len() as u64) as usize], key)
}

fn leak(text: String) -> &'static LinkConfig<'static> {
    let config = LinkConfig::parse(Box::leak(text.into_boxed_str())).expect("the configuration is valid");
    Box::leak(Box::new(config))
}
