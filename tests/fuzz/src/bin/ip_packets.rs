#![no_main]
longcable_fuzz::fuzz!(ip_packets);
