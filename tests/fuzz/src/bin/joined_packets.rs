#![no_main]
longcable_fuzz::fuzz!(joined_packets);
