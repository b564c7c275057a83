#![no_main]
longcable_fuzz::fuzz!(key_messages);
