#![no_main]
longcable_fuzz::fuzz!(super_packets);
