#![no_main]
longcable_fuzz::fuzz!(certificates);
