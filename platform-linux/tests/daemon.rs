//! Becoming a daemon. The process forks, which it only does while it has one thread, so this test does without the
//! test harness and its threads: started by cargo it starts itself once more, and that process becomes the daemon.

use longcable::daemon::{Output, PidFile, detach};
use longcable::log::{self, Destination, LogOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    match std::env::var_os("DAEMON_DIRECTORY") {
        None => {
            run(Output::Null, "/dev/null /dev/null");
            let log = std::env::temp_dir().join(format!("longcable-daemon-{}", std::process::id())).join("log");
            run(Output::LogFile, &format!("{0} {0}", log.display()));
            println!("daemon: 2 passed, 0 failed");
        }
        Some(directory) => daemon(Path::new(&directory)),
    }
}

/// Starts a daemon and compares what it reports of itself.
fn run(output: Output, streams: &str) {
    let directory = std::env::temp_dir().join(format!("longcable-daemon-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory can be made");
    let guard = Remove(directory.clone());
    let own = std::env::current_exe().expect("the test knows its path");
    let status = Command::new(own)
        .env("DAEMON_DIRECTORY", &directory)
        .env("DAEMON_LOG", if output == Output::LogFile { "yes" } else { "" })
        .stdin(Stdio::piped())
        .status()
        .expect("the test can be started again");
    assert!(status.success(), "the process that becomes a daemon ends with status 0, not {status}");
    let report = wait_for(&directory.join("report"));
    let lines: Vec<_> = report.lines().collect();
    assert_eq!(lines, ["leads a session: true", &format!("/dev/null {streams}"), "pid file: true", "END"]);
    // The file was there while the daemon ran.
    let deadline = Instant::now() + Duration::from_secs(20);
    while directory.join("pid").exists() {
        assert!(Instant::now() < deadline, "the daemon left its pid file behind");
        std::thread::sleep(Duration::from_millis(10));
    }
    if output == Output::LogFile {
        assert_eq!(wait_for(&directory.join("log")), "before\nafter\nEND\n");
    }
    drop(guard);
}

fn wait_for(path: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with("END\n") => return text,
            _ => assert!(Instant::now() < deadline, "{} was not written", path.display()),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn daemon(directory: &Path) {
    let output = match std::env::var("DAEMON_LOG").as_deref() {
        Ok("yes") => {
            let destination = Destination::File { path: directory.join("log"), append: false };
            let options = LogOptions { destination, suppress_timestamps: true, ..LogOptions::default() };
            log::init(options).expect("the log file can be opened");
            log::line(1, format_args!("before"));
            Output::LogFile
        }
        _ => Output::Null,
    };
    let parent = std::process::id();
    detach(output).expect("a process of one thread can become a daemon");
    let pid = std::process::id();
    assert_ne!(pid, parent);
    let file = PidFile::write(&directory.join("pid")).expect("the pid file can be written");
    if output == Output::LogFile {
        log::line(1, format_args!("after"));
        log::line(1, format_args!("END"));
    }
    let leads = nix::unistd::getsid(None).is_ok_and(|session| session == nix::unistd::getpid());
    let targets: Vec<_> = (0..3).map(|n| std::fs::read_link(format!("/proc/self/fd/{n}")).unwrap()).collect();
    let targets: Vec<_> = targets.iter().map(|target| target.display().to_string()).collect();
    let pid_file = std::fs::read_to_string(directory.join("pid")).unwrap() == format!("{pid}\n");
    let report = format!("leads a session: {leads}\n{}\npid file: {pid_file}\nEND\n", targets.join(" "));
    std::fs::write(directory.join("report"), report).unwrap();
    drop(file);
}

struct Remove(PathBuf);

impl Drop for Remove {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
