#![no_main]
longcable_fuzz::fuzz!(tls_peer);
