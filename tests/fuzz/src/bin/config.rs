#![no_main]
longcable_fuzz::fuzz!(config);
