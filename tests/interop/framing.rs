//! The framings of compression. longcable never compresses, so each of these links carries plain data in a frame.

use longcable_tests::support::{Filling, Lab, Link, Program, baseline};

for_each_pair! {
    fn the_same_at_both_ends(programs) {
        let lab = Lab::new();
        let framings = [
            "comp-lzo no", "comp-lzo adaptive", "comp-lzo yes", "comp-lzo", "comp-lzo\ncomp-noadapt", "compress",
            "compress stub", "compress stub-v2", "compress lzo", "compress lz4", "compress lz4-v2",
        ];
        for framing in framings {
            carries_everything(&lab, programs, [framing, framing]);
        }
    }
}

for_each_pair! {
    fn of_the_same_family(programs) {
        let lab = Lab::new();
        let families = [
            ["comp-lzo no", "comp-lzo"], ["comp-lzo", "comp-lzo no"], ["compress lzo", "comp-lzo no"],
            ["compress", "compress lz4"], ["compress lz4", "compress"], ["compress stub-v2", "compress lz4-v2"],
            ["compress lz4-v2", "compress stub-v2"], ["", "compress stub-v2"], ["compress stub-v2", ""],
        ];
        for framings in families {
            carries_everything(&lab, programs, framings);
        }
    }
}

fn carries_everything(lab: &Lab, programs: [Program; 2], framings: [&str; 2]) {
    println!("{framings:?}");
    let link = Link::up(lab, programs, framings);
    for mut pinger in [link.pinger(), link.pinger_back()] {
        for size in [0, 1, 64, 100, 1472] {
            pinger.must_answer(size, Filling::Random);
            pinger.must_answer(size, Filling::Zeros);
        }
    }
    link.check_tcp(20_000);
    link.stop();
}

/// The other end really compresses: what does not shrink passes, and what does is dropped with a line that says why.
#[test]
fn a_peer_that_compresses() {
    let lab = Lab::new();
    for framing in ["comp-lzo yes", "compress lzo", "compress lz4", "compress lz4-v2"] {
        println!("{framing}");
        let compressing = format!("{framing}\nallow-compression yes");
        let link = Link::up(&lab, [Program::tested(), Program::Openvpn], [framing, &compressing]);
        let mut pinger = link.pinger_back();
        pinger.must_answer(1000, Filling::Random);
        if baseline() {
            pinger.must_answer(1000, Filling::Zeros);
        } else {
            (0..3).for_each(|_| pinger.must_not_answer(1000, Filling::Zeros));
            let line = "compressed packet (header byte ";
            link.left.wait_for(line);
            assert_eq!(link.left.count(line), 1, "one line is enough");
        }
        pinger.must_answer(1000, Filling::Random);
        link.stop();
    }
}

for_each_pair! {
    /// One end has a frame and the other has none: nothing passes, and nothing worse happens.
    fn at_one_end_only(programs) {
        let lab = Lab::new();
        let link = Link::start(&lab, programs, ["comp-lzo no\nping 1", "ping 1"]);
        link.left.wait_for("Bad compression stub decompression header byte: 4");
        link.pinger().must_not_answer(100, Filling::Random);
        link.stop();
    }
}
