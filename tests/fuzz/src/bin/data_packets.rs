#![no_main]
longcable_fuzz::fuzz!(data_packets);
