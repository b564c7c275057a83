//! What a packet costs, in nanoseconds: `cargo bench -p longcable-tests --bench seal_open`.

mod in_memory;

use std::time::{Duration, Instant};

use in_memory::{InMemory, Packet};

const SIZES: [usize; 4] = [64, 576, 1420, 9000];

/// Packets that are sealed, and then opened, in a row.
const BATCH: usize = 64;

fn main() {
    // `cargo bench` says so; `cargo test` only wants to know whether it runs.
    let length = Duration::from_millis(if std::env::args().any(|argument| argument == "--bench") { 400 } else { 1 });
    println!("{:<26} {:>6} {:>9} {:>9} {:>9} {:>9}", "", "bytes", "seal ns", "open ns", "seal MB/s", "open MB/s");
    for (name, configs) in [
        ("TLS, AES-256-GCM", in_memory::tls("AES-256-GCM")),
        ("TLS, ChaCha20-Poly1305", in_memory::tls("CHACHA20-POLY1305")),
        ("static, AES-256-CBC, SHA1", in_memory::static_key("AES-256-CBC", "SHA1")),
    ] {
        let mut link = InMemory::new(&configs);
        for size in SIZES {
            let [seal, open] = measure(&mut link, size, length);
            let rate = |nanoseconds: f64| size as f64 * 1e3 / nanoseconds;
            println!("{name:<26} {size:>6} {seal:>9.0} {open:>9.0} {:>9.0} {:>9.0}", rate(seal), rate(open));
        }
    }
}

/// Nanoseconds to seal and to open one packet: the best of many batches, as a machine can only be slower than it is.
fn measure(link: &mut InMemory, size: usize, length: Duration) -> [f64; 2] {
    let mut packets: Vec<Packet> = (0..BATCH).map(|_| Packet::new(size)).collect();
    let (start, mut best) = (Instant::now(), [f64::INFINITY; 2]);
    loop {
        let sealing = Instant::now();
        packets.iter_mut().for_each(|packet| link.seal(packet));
        let opening = Instant::now();
        packets.iter_mut().for_each(|packet| link.open(packet));
        let times = [opening - sealing, opening.elapsed()].map(|time| time.as_secs_f64() * 1e9 / BATCH as f64);
        best = [best[0].min(times[0]), best[1].min(times[1])];
        if start.elapsed() > length {
            return best;
        }
    }
}
