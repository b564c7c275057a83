#![no_main]
longcable_fuzz::fuzz!(tcp_stream);
