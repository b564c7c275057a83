#![no_main]
longcable_fuzz::fuzz!(text_messages);
