//! Every way to protect the control channel, as lines of configuration.

use std::sync::LazyLock;

use longcable::crypto::FastRng;
use longcable_core::crypto::tls_crypt_v2::{Metadata, ServerKey};

use super::world::{EPOCH, World};

const KEY: &str = include_str!("../../vectors/count.key");

pub struct Lines {
    pub name: &'static str,
    pub client: String,
    pub server: String,
}

impl Lines {
    pub fn world(&self) -> World {
        World::pair_of(&self.client, &self.server)
    }

    /// The same with more lines at both ends.
    pub fn with(&self, lines: &str) -> Self {
        let both = |own: &str| format!("{own}\n{lines}");
        Self { name: self.name, client: both(&self.client), server: both(&self.server) }
    }

    /// Whether a stranger can make packets that open.
    pub fn is_open(&self) -> bool {
        self.name == "none"
    }
}

/// None, `tls-auth` without and with a direction, `tls-crypt`, and `tls-crypt-v2` with one client's key.
pub static ALL: LazyLock<Vec<Lines>> = LazyLock::new(|| {
    let same = |name, lines: String| Lines { name, client: lines.clone(), server: lines };
    let auth = format!("<tls-auth>\n{KEY}</tls-auth>");
    let directed = |direction| format!("{auth}\nkey-direction {direction}");
    vec![
        same("none", String::new()),
        same("tls-auth", auth.clone()),
        Lines { name: "tls-auth with direction", client: directed(1), server: directed(0) },
        same("tls-crypt", format!("<tls-crypt>\n{KEY}</tls-crypt>")),
        v2(),
    ]
});

/// `tls-crypt-v2` with new keys.
pub fn v2() -> Lines {
    let mut rng = FastRng::new();
    let server = ServerKey::generate(&mut rng);
    let client = server.issue(&mut rng, &Metadata::timestamp(EPOCH)).expect("a key");
    let (mut server_text, mut client_text) = (String::new(), String::new());
    server.write_to(&mut server_text).expect("a text");
    client.write_to(&mut client_text).expect("a text");
    let block = |text| format!("<tls-crypt-v2>\n{text}</tls-crypt-v2>");
    Lines { name: "tls-crypt-v2", client: block(client_text), server: block(server_text) }
}

/// With a key that a stranger does not have.
pub fn keyed() -> impl Iterator<Item = &'static Lines> {
    ALL.iter().filter(|lines| !lines.is_open())
}
