use super::*;
use crate::testing::{TempDir, in_child};
use std::net::Shutdown;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const NOW: LocalTime = LocalTime { unix: 1_795_357_648, micros: 34_534 };

fn format(timestamps: Timestamps, micros: bool, severity: Severity, level: u8) -> String {
    Style { timestamps, micros }.format(severity, level, NOW, "text")
}

#[test]
fn lines_look_like_openvpns() {
    if in_child("log::tests::lines_look_like_openvpns", &[("TZ", "UTC")]).is_some() {
        return;
    }
    assert_eq!(format(Timestamps::Local, false, Severity::Info, 1), "2026-11-22 14:27:28 text\n");
    assert_eq!(format(Timestamps::Local, true, Severity::Info, 4), "2026-11-22 14:27:28 us=34534 text\n");
    assert_eq!(format(Timestamps::None, true, Severity::Info, 1), "text\n");
    assert_eq!(format(Timestamps::Machine, true, Severity::Info, 1), "1795357648.034534 1 text\n");
    assert_eq!(format(Timestamps::Machine, false, Severity::Error, 1), "1795357648.034534 21 text\n");
    assert_eq!(format(Timestamps::Machine, false, Severity::Fatal, 0), "1795357648.034534 10 text\n");
    let syslog = Syslog::new("openvpn", Path::new("/nonexistent"));
    let pid = std::process::id();
    let message = syslog.format(Severity::Info, NOW, "text");
    assert_eq!(message, format!("<29>Nov 22 14:27:28 openvpn[{pid}]: text"));
    assert!(syslog.format(Severity::Fatal, NOW, "text").starts_with("<27>"));
    assert_eq!(Errno(&io::Error::from_raw_os_error(2)).to_string(), "No such file or directory (errno=2)");
}

/// The lines that a test in a child process wrote, without those of the test program itself.
fn lines(output: &std::process::Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| Some(line.split_once("| ")?.1.to_owned())).collect()
}

#[test]
fn verb_mute_and_the_log_crate() {
    if let Some(output) = in_child("log::tests::verb_mute_and_the_log_crate", &[]) {
        let expected = ["shown", "no_forged_line", "warned", "kind 1", "kind 2", "other", "told", "fatal at verb 0"];
        assert_eq!(lines(&output), expected);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let muted = "NOTE: --mute triggered...\n2 variation(s) on previous 2 message(s) suppressed by --mute\n";
        assert!(text.contains(&format!("| kind 2\n{muted}| other\n")), "{text}");
        assert!(text.contains("| told\nRwRw"), "{text}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "to stderr | \n");
        return;
    }
    let options = LogOptions { verb: 1, mute: 2, suppress_timestamps: true, ..LogOptions::default() };
    init(options.clone()).unwrap();
    line(1, format_args!("| shown"));
    line(2, format_args!("| not shown"));
    line(1, format_args!("| no\nforged{}line", '\x1b'));
    ::log::warn!("| warned");
    ::log::info!("| not told");
    for n in 1..=4 {
        error(format_args!("| kind {n}"));
    }
    line(1, format_args!("| other"));
    set_verb(3);
    ::log::info!("| told");
    traffic('x');
    set_verb(5);
    "RwRw".chars().for_each(traffic);
    set_verb(0);
    error(format_args!("| hidden"));
    fatal(format_args!("| fatal at verb 0"));
    init(LogOptions { verb: 0, errors_to_stderr: true, ..options }).unwrap();
    fatal(format_args!("to stderr | "));
}

fn to_file(path: &Path, append: bool) -> LogOptions {
    LogOptions {
        destination: Destination::File { path: path.to_owned(), append },
        suppress_timestamps: true,
        ..LogOptions::default()
    }
}

#[test]
fn a_log_file_is_truncated_or_kept_and_takes_the_output_of_scripts() {
    let name = "log::tests::a_log_file_is_truncated_or_kept_and_takes_the_output_of_scripts";
    let Ok(path) = std::env::var("LOG_FILE") else {
        use std::os::unix::fs::PermissionsExt;
        let dir = TempDir::new();
        let file = dir.path().join("a.log");
        for (append, before) in [("", None), ("", Some("old\n")), ("y", Some("old\n"))] {
            if let Some(before) = before {
                std::fs::write(&file, before).unwrap();
            }
            in_child(name, &[("LOG_FILE", file.to_str().unwrap()), ("LOG_APPEND", append)]).unwrap();
            if before.is_none() {
                assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let kept = if append.is_empty() { "" } else { "old\n" };
            assert!(text.starts_with(&format!("{kept}first\nfrom a script\nafter SIGHUP\n")), "{text}");
        }
        return;
    };
    let append = !std::env::var("LOG_APPEND").unwrap().is_empty();
    let refused = init(to_file(Path::new("/nonexistent/x.log"), append)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Warning: Error redirecting stdout/stderr to --log file: /nonexistent/x.log: No such file or directory \
         (errno=2)"
    );
    init(to_file(Path::new(&path), append)).unwrap();
    line(1, format_args!("first"));
    assert!(Command::new("/bin/sh").args(["-c", "echo from a script"]).status().unwrap().success());
    init(to_file(Path::new(&path), append)).unwrap();
    line(1, format_args!("after SIGHUP"));
}

#[test]
fn a_closed_standard_output_is_no_reason_to_panic() {
    let name = "log::tests::a_closed_standard_output_is_no_reason_to_panic";
    if in_child(name, &[]).is_some() {
        return;
    }
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    let kept = nix::unistd::dup(io::stdout()).unwrap();
    nix::unistd::dup2_stdout(&writer).unwrap();
    init(LogOptions::default()).unwrap();
    line(1, format_args!("nobody reads this"));
    flush();
    nix::unistd::dup2_stdout(&kept).unwrap();
}

#[test]
fn the_system_log_is_found_again_after_its_restart() {
    let dir = TempDir::new();
    let path = dir.path().join("log");
    let mut syslog = Syslog::new("vpn", &path);
    syslog.send(Severity::Info, NOW, "lost");
    for round in ["first", "after its restart"] {
        let _ = std::fs::remove_file(&path);
        let daemon = UnixDatagram::bind(&path).unwrap();
        daemon.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        syslog.send(Severity::Info, NOW, round);
        let mut buffer = [0; 256];
        let length = daemon.recv(&mut buffer).unwrap();
        let message = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(message.starts_with("<29>Nov 22 ") && message.ends_with(&format!("]: {round}")), "{message}");
        // To drop it is not the end of it while a child of another test has it, too.
        daemon.shutdown(Shutdown::Both).unwrap();
    }
}
