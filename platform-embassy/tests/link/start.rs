//! What a board cannot do is said when a link is made, and names the option.

use longcable_embassy::{Host, State};

use crate::ends::{Backup, Dice, clock};
use crate::world::leak;

const KEY: &str = "-----BEGIN OpenVPN Static key V1-----";

fn secret() -> String {
    let bytes: String = (0..=255).map(|byte: u8| format!("{byte:02x}")).collect();
    format!("<secret>\n{KEY}\n{bytes}\n-----END OpenVPN Static key V1-----\n</secret>\n")
}

fn start(text: &str) -> Result<(), String> {
    let host = Host::new(Dice(1)).with_clock(clock);
    let made = longcable_embassy::new(leak(State::<2>::new()), String::leak(text.to_string()), host);
    made.map(drop).map_err(|error| error.to_string())
}

#[test]
fn what_matters_only_on_unix_makes_no_difference() {
    let text = format!(
        "dev tun7\ndev-node /dev/net/tun\nuser nobody\ngroup nogroup\nchroot /x\ndaemon\nverb 4\nmute 3\nstatus /x 10\n\
         log /x\nlog-append /x\nsyslog\nnice 1\npersist-key\npersist-tun\nwritepid /x\ncd /\nmlock\nsndbuf 1\n\
         rcvbuf 1\ntxqueuelen 9\nscript-security 2\nsetenv A b\nmtu-disc yes\npasstos\nmark 3\n\
         ifconfig 10.8.0.1 10.8.0.2\ncipher AES-128-CBC\n{}",
        secret()
    );
    assert_eq!(start(&text), Ok(()));
}

#[test]
fn what_a_board_cannot_do_is_said() {
    let inline = secret();
    for (line, secret, says) in [
        ("up /etc/up.sh", &*inline, "option 'up': a board runs no programs"),
        ("tls-verify /x", &inline, "option 'tls-verify': a board runs no programs"),
        ("config other", &inline, "option 'config': a board has no files"),
        ("", "secret static.key", "option 'secret': a board has no files; put the text of the file between <secret>"),
        ("dev tap", &inline, "'dev tap' is not supported yet"),
        ("proto tcp-client", &inline, "'proto tcp-client' is not supported yet"),
        ("tun-mtu 9000", &inline, "option 'tun-mtu': it is longer"),
        ("replay-window 1000", &inline, "option 'replay-window': it is larger"),
        ("local eth0.example", &inline, "option 'local': a board needs an address"),
        ("ifconfig here there", &inline, "option 'ifconfig': a board needs two addresses"),
        ("topology subnet\nifconfig 10.8.0.1 255.0.255.0", &inline, "option 'ifconfig': a board needs"),
        ("pign 10", &inline, "line 3: there is no option 'pign'; did you mean 'ping'?"),
        ("tls-client", "", "nothing is configured that proves the peer"),
        ("", "<secret>\nno key\n</secret>", "option 'secret': "),
    ] {
        let error = start(&format!("dev tun\ncipher AES-256-CBC\n{line}\n{secret}")).unwrap_err();
        assert!(error.contains(says), "{line}: {error}");
    }
}

#[test]
fn a_static_key_needs_a_clock_or_memory() {
    let text: &'static str = String::leak(format!("dev tun\ncipher AES-256-CBC\n{}", secret()));
    let error = longcable_embassy::new(leak(State::<2>::new()), text, Host::new(Dice(1))).unwrap_err();
    assert!(error.to_string().starts_with("option 'secret': packet ids must not repeat after a reset"));
    let host = Host::new(Dice(1)).with_store(Backup::default());
    assert!(longcable_embassy::new(leak(State::<2>::new()), text, host).is_ok());
    let text: &'static str = String::leak(format!("{text}\nno-replay"));
    assert!(longcable_embassy::new(leak(State::<2>::new()), text, Host::new(Dice(1))).is_ok());
}

#[cfg(feature = "tls")]
#[test]
fn tls_needs_a_key_of_the_control_channel() {
    let rest = "ca [inline]\n<ca>\nx\n</ca>\n<cert>\nx\n</cert>\n<key>\nx\n</key>";
    let bare = start(&format!("dev tun\ntls-client\n{rest}")).unwrap_err();
    assert!(bare.contains("'tls-crypt', 'tls-crypt-v2' or 'tls-auth'"), "{bare}");
    let file = start(&format!("dev tun\ntls-client\ntls-crypt ta.key\n{rest}")).unwrap_err();
    assert!(file.contains("put the text of the file between <tls-crypt> and </tls-crypt>"), "{file}");
    let crypt = secret().replace("secret>", "tls-crypt>");
    let damaged = start(&format!("dev tun\ntls-client\n{crypt}{rest}")).unwrap_err();
    assert!(damaged.starts_with("option 'ca': this is not PEM"), "{damaged}");
    let server = start(&format!("dev tun\ntls-server\ndh none\n{crypt}{rest}")).unwrap_err();
    assert!(server.contains("TLS client only"), "{server}");
}
