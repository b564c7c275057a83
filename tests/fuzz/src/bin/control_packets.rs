#![no_main]
longcable_fuzz::fuzz!(control_packets);
