use super::*;
use crate::testing::{TempDir, in_child};
use longcable_core::event::{Cause, Signal};
use nix::sys::signal::{SigHandler, Signal as Number, signal};

// Scripts are started by way of the shell, not as files of their own: a file cannot be executed while a process that
// another test is about to start still has it open for writing.

/// Writes its arguments, one a line, then its environment, into the file that OUT names. The shell finds `tr` without
/// PATH, in its built-in one.
const RECORD: &str = r#"for a in "$@"; do echo "<$a>"; done > "$OUT"; tr '\0' '\n' < /proc/$$/environ >> "$OUT""#;

fn tunnel() -> Tunnel {
    Tunnel {
        device: "tun9".to_owned(),
        device_type: "tun",
        mtu: 1500,
        ipv4: Some(Ipv4 { local: [10, 9, 0, 1].into(), other: Other::Remote([10, 9, 0, 2].into()) }),
        ipv6: Some(Ipv6 { local: "fd00::1".parse().unwrap(), bits: 64, remote: None }),
    }
}

fn recorder(hook: Hook) -> (TempDir, Scripts, Environment) {
    let dir = TempDir::new();
    let script = dir.path().join("record.sh");
    std::fs::write(&script, RECORD).unwrap();
    let mut scripts = Scripts::new(2);
    scripts.set(hook, &format!("/bin/sh {} 'b c' d", script.display())).unwrap();
    let mut env = Environment::new();
    env.set("OUT", dir.path().join("out").display());
    (dir, scripts, env)
}

/// Arguments and variables that the script saw, without OUT.
fn recorded(dir: &TempDir) -> Vec<String> {
    let text = std::fs::read_to_string(dir.path().join("out")).unwrap();
    let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with("OUT=")).map(str::to_owned).collect();
    lines.sort_by_key(|line| !line.starts_with('<'));
    let arguments = lines.iter().take_while(|line| line.starts_with('<')).count();
    lines[arguments..].sort();
    lines
}

#[test]
fn up_has_openvpns_arguments_and_environment() {
    let (dir, scripts, mut env) = recorder(Hook::Up);
    scripts.up(&mut env, &tunnel(), Context::Init).unwrap();
    let expected = "<b c> <d> <tun9> <1500> <0> <10.9.0.1> <10.9.0.2> <init> \
                    dev=tun9 dev_type=tun ifconfig_ipv6_local=fd00::1 ifconfig_ipv6_netbits=64 \
                    ifconfig_local=10.9.0.1 ifconfig_remote=10.9.0.2 script_context=init script_type=up tun_mtu=1500";
    assert_eq!(recorded(&dir).join(" "), expected);
}

#[test]
fn tls_verify_is_told_depth_and_subject_and_decides() {
    let (dir, scripts, mut env) = recorder(Hook::TlsVerify);
    scripts.tls_verify(&mut env, 1, "C=XX, CN=Test CA").unwrap();
    assert_eq!(recorded(&dir).join(" "), "<b c> <d> <1> <C=XX, CN=Test CA> script_type=tls-verify");
    let mut refusing = Scripts::new(2);
    refusing.set(Hook::TlsVerify, "/bin/sh -c 'exit 1'").unwrap();
    let told = refusing.tls_verify(&mut env, 0, "CN=x").unwrap_err().to_string();
    assert!(told.contains("(--tls-verify script): external program exited with error status: 1"), "{told}");
    assert!(Scripts::new(2).tls_verify(&mut env, 0, "CN=x").is_ok(), "there is no such script");
}

#[test]
fn down_names_its_reason_and_a_missing_ifconfig_is_empty() {
    let (dir, scripts, mut env) = recorder(Hook::Down);
    let bare = Tunnel { ipv4: None, ipv6: None, device: "tap1".to_owned(), device_type: "tap", ..tunnel() };
    scripts.down(&mut env, &bare, Context::Restart, &Reason::hard(Signal::Usr1)).unwrap();
    let expected = "<b c> <d> <tap1> <1500> <0> <> <> <restart> \
                    dev=tap1 dev_type=tap script_context=restart script_type=down signal=sigusr1 tun_mtu=1500";
    assert_eq!(recorded(&dir).join(" "), expected);
    scripts.down(&mut env, &bare, Context::Init, &Reason::soft(Signal::Term, Cause::PingExit)).unwrap();
    assert!(recorded(&dir).contains(&"signal=ping-exit".to_owned()));
}

#[test]
fn a_netmask_is_told_as_one() {
    let (dir, scripts, mut env) = recorder(Hook::RoutePreDown);
    env.set("ifconfig_remote", "10.9.0.2");
    let ipv4 = Ipv4 { local: [10, 9, 0, 1].into(), other: Other::Netmask([255, 255, 255, 0].into()) };
    let subnet = Tunnel { ipv4: Some(ipv4), ipv6: None, ..tunnel() };
    scripts.route_pre_down(&mut env, &subnet, &Reason::hard(Signal::Term)).unwrap();
    let expected = "<b c> <d> <tun9> <1500> <0> <10.9.0.1> <255.255.255.0> <init> \
                    dev=tun9 dev_type=tun ifconfig_local=10.9.0.1 ifconfig_netmask=255.255.255.0 \
                    script_context=init script_type=route-pre-down signal=sigterm tun_mtu=1500";
    assert_eq!(recorded(&dir).join(" "), expected);
}

#[test]
fn ipchange_has_the_address_in_one_argument() {
    let (dir, scripts, mut env) = recorder(Hook::IpChange);
    scripts.ip_change(&mut env, "192.0.2.1:1194".parse().unwrap()).unwrap();
    let expected = "<b c> <d> <[AF_INET]192.0.2.1 1194> script_type=ipchange trusted_ip=192.0.2.1 trusted_port=1194";
    assert_eq!(recorded(&dir).join(" "), expected);
    scripts.ip_change(&mut env, "[2001:db8::1]:1195".parse().unwrap()).unwrap();
    let expected =
        "<b c> <d> <[AF_INET6]2001:db8::1 1195> script_type=ipchange trusted_ip6=2001:db8::1 trusted_port=1195";
    assert_eq!(recorded(&dir).join(" "), expected);
}

#[test]
fn route_up_has_no_arguments_of_its_own() {
    let (dir, scripts, mut env) = recorder(Hook::RouteUp);
    scripts.route_up(&mut env).unwrap();
    assert_eq!(recorded(&dir).join(" "), "<b c> <d> script_type=route-up");
    assert!(scripts.up(&mut env, &tunnel(), Context::Init).is_ok(), "no script, nothing to fail");
}

fn failure(security: u8, hook: Hook, line: &str) -> String {
    let mut scripts = Scripts::new(security);
    scripts.set(hook, line).unwrap();
    let mut env = Environment::new();
    let result = match hook {
        Hook::Up => scripts.up(&mut env, &tunnel(), Context::Init),
        Hook::IpChange => scripts.ip_change(&mut env, "192.0.2.1:1".parse().unwrap()),
        _ => scripts.route_up(&mut env),
    };
    result.unwrap_err().to_string()
}

#[test]
fn failures_are_worded_as_openvpn_words_them() {
    let cases = [
        (2, Hook::Up, "exit 3", "(--up/--down): external program exited with error status: 3"),
        (2, Hook::RouteUp, "exit 255", "(--route-up): external program exited with error status: 255"),
        (2, Hook::IpChange, "kill -9 $$", "(--ipchange): external program did not exit normally"),
        (2, Hook::Up, "exit 127", "(--up/--down): could not execute external program"),
        (1, Hook::RouteUp, "true", "(--route-up): disallowed by script-security setting"),
        (0, Hook::Up, "true", "(--up/--down): disallowed by script-security setting"),
    ];
    for (security, hook, program, expected) in cases {
        let expected = format!("WARNING: Failed running command {expected}");
        assert_eq!(failure(security, hook, &format!("/bin/sh -c '{program}'")), expected);
    }
}

#[test]
fn a_script_without_interpreter_is_not_executed() {
    if in_child("scripts::tests::a_script_without_interpreter_is_not_executed", &[]).is_some() {
        return;
    }
    let dir = TempDir::new();
    let script = dir.script("s.sh", "#!/nonexistent\n");
    assert_eq!(
        failure(2, Hook::Up, script.to_str().unwrap()),
        "WARNING: Failed running command (--up/--down): could not execute external program: No such file or \
         directory (errno=2)"
    );
}

#[test]
fn a_script_that_cannot_run_is_found_at_the_start() {
    let dir = TempDir::new();
    let mut scripts = Scripts::new(1);
    let mut refused = |line: &str| scripts.set(Hook::Up, line).unwrap_err().to_string();
    let directory = dir.path().display().to_string();
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "").unwrap();
    let plain = plain.display().to_string();
    let missing = "No such file or directory (errno=2)";
    assert_eq!(refused("/nope x"), format!("--up script fails with '/nope': {missing}"));
    assert_eq!(refused("true"), format!("--up script fails with 'true': {missing}"));
    assert_eq!(refused(""), format!("--up script fails with '': {missing}"));
    assert_eq!(refused(&plain), format!("--up script fails with '{plain}': Permission denied (errno=13)"));
    assert_eq!(refused(&directory), format!("--up script fails with '{directory}': Is a directory (errno=21)"));
    assert_eq!(refused("'/bin/sh"), "--up script fails with ''/bin/sh': No closing quotation (') on this line");
    assert_eq!(scripts.note(), None);
    scripts.set(Hook::Up, "/bin/sh").unwrap();
    assert!(scripts.note().unwrap().contains("'--script-security 2' or higher is required"));
}

#[test]
#[allow(unsafe_code, reason = "what `nohup` does, as no crate has it in safe words")]
fn scripts_start_with_default_signals() {
    if in_child("scripts::tests::scripts_start_with_default_signals", &[]).is_some() {
        return;
    }
    // SAFETY: no handler is lost.
    unsafe { signal(Number::SIGHUP, SigHandler::SigIgn) }.unwrap();
    let _signals = crate::signals::Signals::new().unwrap();
    let dir = TempDir::new();
    let text = "#!/bin/sh\nexec /bin/cat /proc/self/status > \"$OUT\"\n";
    let mut scripts = Scripts::new(2);
    scripts.set(Hook::RouteUp, dir.script("s.sh", text).to_str().unwrap()).unwrap();
    let mut env = Environment::new();
    env.set("OUT", dir.path().join("out").display());
    scripts.route_up(&mut env).unwrap();
    let status = std::fs::read_to_string(dir.path().join("out")).unwrap();
    let mask = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let ours = [libc::SIGHUP, libc::SIGINT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGPIPE, libc::SIGTERM];
    let ours = ours.iter().fold(0, |bits, number| bits | 1_u64 << (number - 1));
    assert_eq!((mask("SigBlk:") & ours, mask("SigIgn:") & ours), (0, 0), "{status}");
}

#[test]
fn a_name_without_a_slash_is_a_file_of_the_current_directory() {
    if in_child("scripts::tests::a_name_without_a_slash_is_a_file_of_the_current_directory", &[]).is_some() {
        return;
    }
    let dir = TempDir::new();
    dir.script("true", "#!/bin/sh\nexit 9\n");
    std::env::set_current_dir(dir.path()).unwrap();
    let mut scripts = Scripts::new(2);
    scripts.set(Hook::RouteUp, "true").unwrap();
    assert!(scripts.route_up(&mut Environment::new()).unwrap_err().to_string().ends_with("error status: 9"));
}

#[test]
fn command_lines_follow_the_quoting_rules_of_the_config_file() {
    let words = |line| split_command(line).unwrap().join("|");
    assert_eq!(words("  /x.sh \t a # b"), "/x.sh|a");
    assert_eq!(words("/x.sh x;y ; z"), "/x.sh|x;y");
    assert_eq!(words(r#"/x.sh a\ b "c"d "a\"b\\c""#), r#"/x.sh|a b|c|d|a"b\c"#);
    assert_eq!(words(r#"/x.sh 'a\b "q"' a"b"c ''"#), r#"/x.sh|a\b "q"|a"b"c|"#);
    assert_eq!(words("/x.sh $HOME * `id`"), "/x.sh|$HOME|*|`id`");
    assert_eq!(words(""), "");
    assert!(split_command(r"/x.sh a\nb").is_err());
    assert!(split_command(r"/x.sh a\").is_err());
    assert!(split_command("/x.sh \"abc").is_err());
}
