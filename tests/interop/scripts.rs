//! Scripts: which are called when, with which arguments and what in the environment. openvpn's own run is the measure.

use std::collections::BTreeMap;
use std::fs;

use longcable_tests::support::{Daemon, Filling, Lab, Link, PATIENCE, Program, end, poll};
use nix::sys::signal::Signal;

const SCRIPTS: [&str; 5] = ["up", "down", "route-up", "route-pre-down", "ipchange"];

/// Values that are different in every run.
const CHANGING: [&str; 3] = ["daemon_pid", "daemon_start_time", "config"];

/// What the shell adds.
const SHELL: [&str; 4] = ["PWD", "OLDPWD", "SHLVL", "_"];

#[derive(Debug, PartialEq, Eq)]
struct Call {
    arguments: String,
    environment: BTreeMap<String, String>,
}

/// Every script writes down how it was called.
fn recording(lab: &Lab) -> String {
    let record = lab.directory().join("calls");
    let text = format!("#!/bin/sh\n{{ echo \"call $*\"; env; }} >> {}\n", record.display());
    let script = lab.write_script("record.sh", &text);
    let lines = SCRIPTS.map(|name| format!("{name} \"{} {name} 'two words'\"\n", script.display()));
    format!("script-security 2\n{}", lines.concat())
}

/// The calls until now, which are forgotten.
fn calls(lab: &Lab) -> Vec<Call> {
    let text = lab.read("calls").unwrap_or_default();
    let _ = fs::remove_file(lab.directory().join("calls"));
    let mut calls = Vec::<Call>::new();
    for line in text.lines() {
        if let Some(arguments) = line.strip_prefix("call ") {
            calls.push(Call { arguments: arguments.to_owned(), environment: BTreeMap::new() });
        } else if let (Some(call), Some((name, value))) = (calls.last_mut(), line.split_once('=')) {
            let value = if CHANGING.contains(&name) { "..." } else { value };
            call.environment.insert(name.to_owned(), value.to_owned());
        }
    }
    for call in &mut calls {
        call.environment.retain(|name, _| !SHELL.contains(&name.as_str()));
    }
    calls
}

fn wait_for_calls(lab: &Lab, count: usize) {
    let made = || lab.read("calls").unwrap_or_default().lines().filter(|line| line.starts_with("call ")).count();
    let enough = poll(PATIENCE, || (made() >= count).then_some(()));
    assert!(enough.is_some(), "{} calls, not {count}", made());
}

/// What happens at the left end from its start over a restart to its end, in the order of the calls.
fn life(program: Program, more: &str, calls_by_phase: [usize; 3]) -> [Vec<Call>; 3] {
    let lab = Lab::routed();
    let left = format!("{}{more}", recording(&lab));
    let mut link = Link::up(&lab, [program, Program::Openvpn], [&left, "ping 1"]);
    wait_for_calls(&lab, calls_by_phase[0]);
    let start = calls(&lab);
    link.left.signal(Signal::SIGUSR1);
    link.left.wait_for("process restarting");
    link.wait_for_traffic();
    wait_for_calls(&lab, calls_by_phase[1]);
    let restart = calls(&lab);
    assert!(link.left.stop().success());
    [start, restart, calls(&lab)]
}

/// The same life under both programs. Variables beyond openvpn's are allowed, missing or different ones are not.
fn same_life(more: &str, expected: [&[&str]; 3]) {
    let counts = expected.map(<[_]>::len);
    let [ours, openvpns] = [Program::tested(), Program::Openvpn].map(|program| life(program, more, counts));
    for phase in 0..3 {
        let arguments = |calls: &[Call]| calls.iter().map(|call| call.arguments.clone()).collect::<Vec<_>>();
        assert_eq!(arguments(&openvpns[phase]), expected[phase], "openvpn's calls, phase {phase}");
        assert_eq!(arguments(&ours[phase]), expected[phase], "our calls, phase {phase}");
        for (our, openvpn) in ours[phase].iter().zip(&openvpns[phase]) {
            let different: Vec<_> = openvpn
                .environment
                .iter()
                .filter(|(name, value)| our.environment.get(*name) != Some(value))
                .map(|(name, value)| format!("{name}={value}, not {:?}", our.environment.get(name)))
                .collect();
            assert!(different.is_empty(), "environment of '{}', phase {phase}: {different:#?}", our.arguments);
        }
    }
}

const UP: &str = "up two words tun0 1500 0 10.9.0.1 10.9.0.2 init";
const DOWN: &str = "down two words tun0 1500 0 10.9.0.1 10.9.0.2 init";
const ROUTE_UP: &str = "route-up two words";
const ROUTE_PRE_DOWN: &str = "route-pre-down two words tun0 1500 0 10.9.0.1 10.9.0.2 init";
const IPCHANGE: &str = "ipchange two words [AF_INET]198.51.100.2 1194";

#[test]
fn usual() {
    let more = "verb 3\nroute 10.66.0.0 255.255.0.0\nroute 10.77.0.0 255.255.255.0 10.9.0.2 5\nsetenv FOO bar";
    same_life(
        more,
        [&[UP, ROUTE_UP, IPCHANGE], &[ROUTE_PRE_DOWN, DOWN, UP, ROUTE_UP, IPCHANGE], &[ROUTE_PRE_DOWN, DOWN]],
    );
}

#[test]
fn with_persist_tun() {
    same_life("persist-tun", [&[UP, ROUTE_UP, IPCHANGE], &[IPCHANGE], &[ROUTE_PRE_DOWN, DOWN]]);
}

#[test]
fn with_persist_tun_and_up_restart() {
    let (down, up) = (DOWN.replace("init", "restart"), UP.replace("init", "restart"));
    same_life("persist-tun\nup-restart", [&[UP, ROUTE_UP, IPCHANGE], &[&down, &up, IPCHANGE], &[ROUTE_PRE_DOWN, DOWN]]);
}

#[test]
fn with_up_delay_and_down_pre() {
    same_life(
        "up-delay\ndown-pre",
        [&[IPCHANGE, UP, ROUTE_UP], &[ROUTE_PRE_DOWN, DOWN, IPCHANGE, UP, ROUTE_UP], &[ROUTE_PRE_DOWN, DOWN]],
    );
}

#[test]
fn with_a_subnet_and_ipv6() {
    let subnet = |call: &str| call.replace("10.9.0.2", "255.255.255.0");
    let more = "topology subnet\nifconfig 10.9.0.1 255.255.255.0\nifconfig-ipv6 fd09::1/64 fd09::2\nroute-ipv6 fd66::/48\n\
                tun-mtu 1400";
    let [up, down, route_pre_down] = [UP, DOWN, ROUTE_PRE_DOWN].map(|call| subnet(call).replace("1500", "1400"));
    same_life(
        more,
        [&[&up, ROUTE_UP, IPCHANGE], &[&route_pre_down, &down, &up, ROUTE_UP, IPCHANGE], &[&route_pre_down, &down]],
    );
}

#[test]
fn a_failing_up_script_is_fatal() {
    let lab = Lab::new();
    let more = "script-security 2\nup /bin/false";
    let mut left = Daemon::start(&lab, &lab.left, Program::tested(), &end(&lab.left, &lab.right, more));
    assert_eq!(left.wait().code(), Some(1));
    left.wait_for("WARNING: Failed running command (--up/--down): external program exited with error status: 1");
}

#[test]
fn without_script_security_no_script_runs() {
    let lab = Lab::new();
    let more = format!("{}\nscript-security 1", recording(&lab));
    let mut left = Daemon::start(&lab, &lab.left, Program::tested(), &end(&lab.left, &lab.right, &more));
    assert_eq!(left.wait().code(), Some(1));
    left.wait_for("--script-security 2");
    assert_eq!(lab.read("calls"), None);
}

#[test]
fn ipchange_on_float() {
    let lab = Lab::new();
    let more = format!("{}float", recording(&lab));
    let mut link = Link::up(&lab, [Program::tested(), Program::Openvpn], [&more, ""]);
    wait_for_calls(&lab, 3);
    calls(&lab);
    link.right.stop();
    link.right = Daemon::start(&lab, &lab.right, Program::Openvpn, &end(&lab.right, &lab.left, "lport 5555\nping 1"));
    wait_for_calls(&lab, 1);
    assert_eq!(calls(&lab)[0].arguments, "ipchange two words [AF_INET]192.0.2.2 5555");
    link.pinger().must_answer(10, Filling::Random);
}
