//! All options of openvpn, and which of them work: the source of `--help`, of the README's list and
//! of the check of every directive.

mod crypto;
mod host;
mod tls;
mod transport;
mod tunnel;

/// One option.
#[derive(Debug)]
pub struct OptionInfo {
    /// Its name, without `--`.
    pub name: &'static str,
    /// The fewest arguments.
    pub min_args: u8,
    /// The most arguments.
    pub max_args: u8,
    /// Its arguments, as in "n \[t\]"; empty if it takes none.
    pub usage: &'static str,
    /// One line for `--help`.
    pub help: &'static str,
    /// Where it may be given besides a config file and the command line.
    pub context: Context,
    /// Whether it works.
    pub state: State,
}

/// Whether an option works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does what it says.
    Works,
    /// It is accepted and makes no difference; why.
    Harmless(&'static str),
    /// Not supported yet: an error.
    NotYet,
    /// openvpn removed it: an error; what to do instead.
    Removed(&'static str),
}

/// Where an option may be given besides a config file and the command line (protocol section 7.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// In a `<connection>` block.
    pub connection: bool,
    /// As an inline block.
    pub inline: bool,
    /// Pushed by a server.
    pub pull: bool,
    /// In the server's file for one client.
    pub instance: bool,
}

/// Options that belong together.
#[derive(Debug)]
pub struct Topic {
    /// The heading.
    pub title: &'static str,
    /// The options, in the order of `--help`.
    pub options: &'static [OptionInfo],
}

/// All topics in the order of `--help`. Without the feature `tls` that one is empty: its options are unknown.
pub static TOPICS: &[Topic] = &[
    Topic { title: "Tunnel device", options: tunnel::DEVICE },
    Topic { title: "Addresses and routes", options: tunnel::ROUTES },
    Topic { title: "Packet sizes", options: tunnel::SIZES },
    Topic { title: "Peer and socket", options: transport::SOCKET },
    Topic { title: "Timers and restarts", options: transport::TIMERS },
    Topic { title: "Proxies", options: transport::PROXIES },
    Topic { title: "Static key and data channel", options: crypto::DATA },
    Topic { title: "Compression framing", options: crypto::COMPRESSION },
    Topic { title: "Stand-alone commands", options: crypto::COMMANDS },
    Topic { title: "Scripts and environment", options: host::SCRIPTS },
    Topic { title: "Process, log and status", options: host::PROCESS },
    Topic { title: "Configuration", options: host::CONFIGURATION },
    Topic { title: "Management and plugins", options: host::MANAGEMENT },
    Topic { title: "TLS", options: if cfg!(feature = "tls") { tls::TLS } else { &[] } },
    Topic { title: "User names and passwords", options: tls::PASSWORDS },
    Topic { title: "Client", options: tls::CLIENT },
    Topic { title: "Server", options: tls::SERVER },
    Topic { title: "Windows", options: host::WINDOWS },
    Topic { title: "Removed from openvpn", options: host::REMOVED },
];

/// All options in the order of `--help`.
pub fn options() -> impl Iterator<Item = &'static OptionInfo> {
    TOPICS.iter().flat_map(|topic| topic.options)
}

/// The option of this name, without `--`.
pub fn lookup(name: &str) -> Option<&'static OptionInfo> {
    options().find(|option| option.name == name)
}

/// The option whose name is most like `name`, if one is close.
pub fn nearest(name: &str) -> Option<&'static str> {
    // `--verb=3` is how other programs would have it.
    let name = name.split('=').next().unwrap_or(name);
    let close = match name.len() {
        0..=2 => 0,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    options()
        .filter(|option| !matches!(option.state, State::Removed(_)))
        .map(|option| (distance(name, option.name), option.name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= close)
        .map(|(_, name)| name)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour to make one
/// name from the other, whatever their case; `usize::MAX` if they are too long to tell.
fn distance(a: &str, b: &str) -> usize {
    const LEN: usize = 48;
    if a.len() >= LEN || b.len() >= LEN {
        return usize::MAX;
    }
    let (mut before, mut above) = ([0usize; LEN], [0usize; LEN]);
    for (column, cell) in above.iter_mut().enumerate() {
        *cell = column;
    }
    let get = |row: &[usize; LEN], column: Option<usize>| column.and_then(|column| row.get(column).copied());
    let mut last_a = None;
    for (row, byte_a) in a.bytes().map(|byte| byte.to_ascii_lowercase()).enumerate() {
        let mut current = [row.saturating_add(1); LEN];
        let mut last_b = None;
        for (column, byte_b) in b.bytes().enumerate() {
            let replaced = get(&above, Some(column)).map(|cost| cost.saturating_add(usize::from(byte_a != byte_b)));
            let removed = get(&above, column.checked_add(1)).map(|cost| cost.saturating_add(1));
            let added = get(&current, Some(column)).map(|cost| cost.saturating_add(1));
            let is_swap = last_a == Some(byte_b) && last_b == Some(byte_a);
            let swapped = get(&before, column.checked_sub(1)).filter(|_| is_swap).map(|cost| cost.saturating_add(1));
            let cheapest = [replaced, removed, added, swapped].into_iter().flatten().min();
            if let Some(cell) = current.get_mut(column.saturating_add(1)) {
                *cell = cheapest.unwrap_or(usize::MAX);
            }
            last_b = Some(byte_b);
        }
        last_a = Some(byte_a);
        (before, above) = (above, current);
    }
    get(&above, Some(b.len())).unwrap_or(usize::MAX)
}

/// As many arguments as fit on a line.
const MANY: u8 = (super::WORDS_MAX as u8).saturating_sub(1);

type Args = (u8, u8);

const fn row(name: &'static str, args: Args, usage: &'static str, help: &'static str, state: State) -> OptionInfo {
    let context = Context { connection: false, inline: false, pull: false, instance: false };
    OptionInfo { name, min_args: args.0, max_args: args.1, usage, help, context, state }
}

const fn works(name: &'static str, args: Args, usage: &'static str, help: &'static str) -> OptionInfo {
    row(name, args, usage, help, State::Works)
}

const fn not_yet(name: &'static str, args: Args, usage: &'static str, help: &'static str) -> OptionInfo {
    row(name, args, usage, help, State::NotYet)
}

const fn harmless(
    name: &'static str,
    args: Args,
    usage: &'static str,
    help: &'static str,
    why: &'static str,
) -> OptionInfo {
    row(name, args, usage, help, State::Harmless(why))
}

const fn removed(name: &'static str, instead: &'static str) -> OptionInfo {
    row(name, (0, MANY), "...", "removed", State::Removed(instead))
}

impl OptionInfo {
    const fn connection(mut self) -> Self {
        self.context.connection = true;
        self
    }

    const fn inline(mut self) -> Self {
        self.context.inline = true;
        self
    }

    const fn pull(mut self) -> Self {
        self.context.pull = true;
        self
    }

    const fn instance(mut self) -> Self {
        self.context.instance = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_sound_and_no_name_is_listed_twice() {
        for (index, option) in options().enumerate() {
            assert!(option.min_args <= option.max_args && option.max_args <= MANY, "{}", option.name);
            assert_eq!(option.usage.is_empty(), option.max_args == 0, "{}", option.name);
            assert!(!option.help.is_empty() && option.help.len() <= 100, "{}", option.name);
            assert!(!option.name.starts_with('-') && option.name.len() < 48, "{}", option.name);
            assert!(options().skip(index + 1).all(|other| other.name != option.name), "{} twice", option.name);
        }
    }

    #[test]
    fn lookup_is_exact_and_nearest_is_close() {
        assert_eq!(lookup("ifconfig").map(|option| option.max_args), Some(2));
        assert!(lookup("Ifconfig").is_none());
        for (typo, meant) in [
            ("pign", Some("ping")),
            ("ifconfg", Some("ifconfig")),
            ("keep-alive", Some("keepalive")),
            ("persist_tun", Some("persist-tun")),
            ("verb=3", Some("verb")),
            ("PORT", Some("port")),
            ("explicit-exit-notfy", Some("explicit-exit-notify")),
            ("foo", None),
            ("", None),
            ("x", None),
            ("completely-different", None),
        ] {
            assert_eq!(nearest(typo), meant, "{typo}");
        }
        assert_eq!(nearest(&"a".repeat(300)), None);
        assert_eq!(nearest("p\u{f6}rt"), None);
    }

    #[test]
    fn distances_count_edits() {
        for (a, b, edits) in
            [("", "", 0), ("", "abc", 3), ("ping", "ping", 0), ("pign", "ping", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
