#![no_main]
longcable_fuzz::fuzz!(tls_crypt_v2_keys);
