//! The packet path takes no memory: what it needs it has from the start.
//!
//! One end of a link runs in a thread of this process, or in two, whose allocations are counted; the other is the program
//! itself.
//! Needs root, like everything that makes network interfaces.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::OsString;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use longcable::demo::lab::{Daemon, Namespace, Scratch, cable};
use longcable::net::InterfaceAddress;

/// Counts what threads ask for that want it.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: all work is done by the system's allocator; counting takes no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add((COUNTED.get() || is_sender()).into(), Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of this function, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Whether this is the second thread of a link, which the link starts.
fn is_sender() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: that many bytes are what the call writes at most.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name.starts_with(SENDER) && name[SENDER.len()] == 0
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Which of the examples below this process is.
const EXAMPLE: &str = "ALLOCATION_EXAMPLE";

/// The name of that thread.
const SENDER: &[u8] = b"sender";

const OFFLOADS_OFF: &str = "disable-tun-offload\ndisable-udp-gso\ndisable-udp-gro\n";

const NEAR: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(10, 8, 0, 1)];
const FAR: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(10, 8, 0, 2)];

#[test]
fn packets_take_no_memory() {
    // A process has one log, so each link gets a process.
    let examples = [
        (false, ""),
        (false, OFFLOADS_OFF),
        (true, ""),
        (true, OFFLOADS_OFF),
        (false, "threads 2\n"),
        (true, "threads 2\n"),
    ];
    match std::env::var(EXAMPLE) {
        Ok(number) => {
            let (tls, more) = examples[number.parse::<usize>().expect("a number")];
            count(tls, more);
        }
        Err(_) => {
            for (number, example) in examples.iter().enumerate() {
                let mut command = Command::new(std::env::current_exe().expect("the test knows its path"));
                command.args(["--exact", "packets_take_no_memory", "--nocapture"]).env(EXAMPLE, number.to_string());
                let output = command.output().expect("the test can be started again");
                let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{example:?}:\n{text}");
            }
        }
    }
}

/// Runs a link and counts while packets pass it.
fn count(tls: bool, more: &str) {
    let thread = thread::Builder::new().name("sender".into());
    thread.spawn(|| drop(black_box(vec![0; 8]))).expect("a thread").join().expect("it ends");
    let at_start = COUNT.load(Ordering::Relaxed);
    assert!(at_start > 0, "a thread of that name counts");
    let create = || Namespace::create().expect("a network namespace: run this as root");
    let (near_namespace, far_namespace) = (create(), create());
    cable((&near_namespace, "near"), (&far_namespace, "far")).expect("a veth pair");
    for (namespace, device, address) in [(&near_namespace, "near", NEAR[0]), (&far_namespace, "far", FAR[0])] {
        let netlink = namespace.netlink().expect("netlink");
        let address = InterfaceAddress::Subnet { local: IpAddr::V4(address), prefix: 24 };
        netlink.add_address(&netlink.link(device).expect("a device"), address).expect("an address");
    }
    let scratch = Scratch::create(false).expect("a directory");
    let [near, far] = configs(scratch.path(), tls, more);
    let program = Path::new(env!("CARGO_BIN_EXE_longcable"));
    let _far = Daemon::start(&far_namespace, program, scratch.path(), &far).expect("the program");
    let arguments = ["--cd".into(), scratch.path().into(), "--config".into(), OsString::from(near + ".conf")];
    let inner = near_namespace.inside(Namespace::current).expect("a namespace");
    let link = thread::spawn(move || {
        inner.inside(|| {
            COUNTED.set(true);
            let status = longcable::cli::run(arguments);
            Err::<(), _>(io::Error::other(format!("the link ended: {status:?}")))
        })
    });
    // The first connection takes what is needed once: memory for replay windows, the error queue and so on.
    transfer(&near_namespace, &far_namespace, 1 << 20);
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads").flatten();
    let senders =
        tasks.filter(|task| std::fs::read(task.path().join("comm")).is_ok_and(|name| name.trim_ascii_end() == SENDER));
    let two_threads = more.starts_with("threads");
    assert_eq!(senders.count(), usize::from(two_threads));
    let before = COUNT.load(Ordering::Relaxed);
    assert!(before > at_start, "the link takes memory when it starts");
    transfer(&near_namespace, &far_namespace, 16 << 20);
    let taken = COUNT.load(Ordering::Relaxed) - before;
    assert!(!link.is_finished(), "the link goes on");
    // The lock makes its table, and then a larger one, when its threads first have to wait for each other.
    let once = if two_threads { 4 } else { 0 };
    assert!(taken <= once, "the link took memory {taken} times while packets passed");
}

/// Writes the configs of both ends; their names.
fn configs(directory: &Path, tls: bool, more: &str) -> [String; 2] {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longcable"));
        let output = command.args(arguments).current_dir(directory).output().expect("the program");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).expect("a config");
    let config = |here: [Ipv4Addr; 2], there: [Ipv4Addr; 2]| {
        format!(
            "dev tun\nremote {}\nifconfig {} {}\nsecret static.key\ncipher AES-256-CBC\nverb 1\n{more}",
            there[0], here[1], there[1]
        )
    };
    run(&["--genkey", "secret", "static.key"]);
    write("near.conf", &config(NEAR, FAR));
    write("far.conf", &config(FAR, NEAR));
    if !tls {
        return ["near".into(), "far".into()];
    }
    run(&["migrate", "near.conf", "tls"]);
    ["tls/near".into(), "tls/peer".into()]
}

/// So many bytes by TCP each way, and some small packets.
fn transfer(near: &Namespace, far: &Namespace, bytes: usize) {
    for (from, to, address) in [(near, far, FAR[1]), (far, near, NEAR[1])] {
        let deadline = Instant::now() + Duration::from_secs(20);
        let listener = retry(deadline, || to.inside(|| TcpListener::bind((address, 0))));
        let target = listener.local_addr().expect("bound");
        let connect = || TcpStream::connect_timeout(&target, Duration::from_secs(2));
        let mut sender = retry(deadline, || from.inside(connect));
        let (mut receiver, _) = listener.accept().expect("the connection");
        receiver.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        thread::spawn(move || sender.write_all(&vec![7; bytes]));
        let mut received = Vec::new();
        receiver.read_to_end(&mut received).expect("everything arrives");
        assert_eq!(received.len(), bytes);

        let receiver = to.inside(|| UdpSocket::bind((address, 0))).expect("a socket");
        receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a time limit");
        let sender = from.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("a socket");
        let target: SocketAddr = receiver.local_addr().expect("bound");
        for burst in 1..30 {
            let packet = vec![1; burst * 40];
            (0..burst).for_each(|_| assert_eq!(sender.send_to(&packet, target).expect("sent"), packet.len()));
            let mut buffer = [0; 2000];
            (0..burst).for_each(|_| assert_eq!(receiver.recv(&mut buffer).expect("a datagram"), packet.len()));
        }
    }
}

fn retry<T>(deadline: Instant, mut attempt: impl FnMut() -> io::Result<T>) -> T {
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}
