use super::*;
use crate::crypto::Mode;
use crate::crypto::{Aead, KeyStream};
use std::vec;
use std::vec::Vec;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

fn supported(cipher: &Cipher) -> bool {
    cipher.mode() == Mode::Cbc && (cfg!(feature = "legacy") || cipher.name().starts_with("AES"))
}

/// One block under a zero IV is the bare cipher, so the published ECB vectors apply.
#[test]
fn ciphers_match_published_vectors() {
    let aes_key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let aes_plain = "00112233445566778899aabbccddeeff";
    let camellia_key = "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff";
    for (cipher, key, plain, expected) in [
        // FIPS 197, appendix C.
        (Cipher::Aes128Cbc, &aes_key[..32], aes_plain, "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (Cipher::Aes192Cbc, &aes_key[..48], aes_plain, "dda97ca4864cdfe06eaf70a0ec0d7191"),
        (Cipher::Aes256Cbc, aes_key, aes_plain, "8ea2b7ca516745bfeafc49904b496089"),
        // RFC 3713, appendix A.
        (Cipher::Camellia128Cbc, &camellia_key[..32], &camellia_key[..32], "67673138549669730857065648eabe43"),
        (Cipher::Camellia192Cbc, &camellia_key[..48], &camellia_key[..32], "b4993401b3e996f84ee5cee7d79b09b9"),
        (Cipher::Camellia256Cbc, camellia_key, &camellia_key[..32], "9acc237dff16d76c20ef7c919e3a7509"),
        // NIST SP 800-67, and OpenSSL for the form with two keys.
        (
            Cipher::DesEde3Cbc,
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "5468652071756663",
            "a826fd8ce53b855f",
        ),
        (Cipher::DesEdeCbc, "0123456789abcdeffedcba9876543210", "4e6f772069732074", "d80a0d8b2bae5e4e"),
        // Schneier's set; the second has a key longer than usual (`keysize 192`).
        (Cipher::BfCbc, "0123456789abcdef", "1111111111111111", "61f9c3802281b096"),
        (Cipher::BfCbc, "f0e1d2c3b4a5968778695a4b3c2d1e0f0011223344556677", "fedcba9876543210", "05044b62fa52d080"),
    ] {
        let (key, plain, expected) = (bytes(key), bytes(plain), bytes(expected));
        if !supported(&cipher) {
            assert!(Encrypt::new(cipher, &key).is_err() && Decrypt::new(cipher, &key).is_err());
            continue;
        }
        let iv = &[0; 16][..cipher.iv_len()];
        let mut block = plain.clone();
        Encrypt::new(cipher, &key).ok().unwrap().encrypt(iv, &mut block);
        assert_eq!(block, expected, "{cipher:?}");
        Decrypt::new(cipher, &key).ok().unwrap().decrypt(iv, &mut block);
        assert_eq!(block, plain, "{cipher:?}");
    }
}

/// RFC 3602, section 4, case 3, and enough blocks to take the parallel path.
#[test]
fn blocks_are_chained() {
    let (key, iv) = (bytes("6c3ea0477630ce21a2ce334aa746c2cd"), bytes("c782dc4c098c66cbd9cd27d825682c81"));
    let mut blocks = *b"This is a 48-byte message (exactly 3 AES blocks)";
    let plain = blocks;
    Encrypt::new(Cipher::Aes128Cbc, &key).ok().unwrap().encrypt(&iv, &mut blocks);
    let expected = "d0a02b3836451753d493665d33f0e886 2dea54cdb293abc7506939276772f8d5 021c19216bad525c8579695d83ba2684";
    assert_eq!(blocks[..], bytes(expected));
    Decrypt::new(Cipher::Aes128Cbc, &key).ok().unwrap().decrypt(&iv, &mut blocks);
    assert_eq!(blocks, plain);

    for cipher in Cipher::ALL.into_iter().filter(supported) {
        let key = &bytes(&"0123456789abcdef7766554433221100".repeat(2))[..cipher.key_len()];
        let iv = &[7; 16][..cipher.iv_len()];
        let plain: Vec<u8> = (0..=255).cycle().take(cipher.block_len() * 21).collect();
        let mut blocks = plain.clone();
        Encrypt::new(cipher, key).ok().unwrap().encrypt(iv, &mut blocks);
        assert_ne!(blocks, plain);
        Decrypt::new(cipher, key).ok().unwrap().decrypt(iv, &mut blocks);
        assert_eq!(blocks, plain, "{cipher:?}");
    }
}

/// Whatever their number and lengths, packets in step become what each becomes alone.
#[test]
fn packets_in_step_do_not_mix() {
    for cipher in Cipher::ALL.into_iter().filter(supported) {
        let key = &bytes(&"0123456789abcdef7766554433221100".repeat(2))[..cipher.key_len()];
        let key = Encrypt::new(cipher, key).ok().unwrap();
        for count in 0..=19 {
            let ivs: Vec<_> = (0..count).map(|number| vec![number; cipher.iv_len()]).collect();
            let plain = |number: u8| vec![!number; cipher.block_len() * usize::from(number * 7 % 5)];
            let mut alone: Vec<_> = (0..count).map(plain).collect();
            let mut together = alone.clone();
            for (iv, blocks) in ivs.iter().zip(&mut alone) {
                key.encrypt(iv, blocks);
            }
            let mut packets: Vec<_> = ivs.iter().zip(&mut together).map(|(iv, b)| (&iv[..], &mut b[..])).collect();
            key.encrypt_many(&mut packets);
            assert_eq!(together, alone, "{cipher:?}, {count} packets");
        }
    }
}

#[test]
fn aead_ciphers_match_published_vectors() {
    let gcm_key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    let gcm_nonce = "cafebabefacedbaddecaf888";
    let gcm_aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    let gcm_plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                     1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    let chacha_key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f";
    let chacha_plain = hex::encode(
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen \
         would be it.",
    );
    for (cipher, key, nonce, aad, plain, expected, tag) in [
        // The GCM specification that NIST refers to, test cases 4, 10 and 16.
        (
            Cipher::Aes128Gcm,
            &gcm_key[..32],
            gcm_nonce,
            gcm_aad,
            gcm_plain,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            Cipher::Aes192Gcm,
            &gcm_key[..48],
            gcm_nonce,
            gcm_aad,
            gcm_plain,
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c\
             7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
            "2519498e80f1478f37ba55bd6d27618c",
        ),
        (
            Cipher::Aes256Gcm,
            gcm_key,
            gcm_nonce,
            gcm_aad,
            gcm_plain,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
        // RFC 8439, section 2.8.2.
        (
            Cipher::ChaCha20Poly1305,
            chacha_key,
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            &chacha_plain,
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
             3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
             92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
             3ff4def08e4b7a9de576d26586cec64b6116",
            "1ae10b594f09e26a7e902ecbd0600691",
        ),
    ] {
        let (nonce, aad, plain) = (bytes(nonce).try_into().unwrap(), bytes(aad), bytes(plain));
        let key = AeadKey::new(cipher, &bytes(key)).ok().unwrap();
        let mut payload = plain.clone();
        let mut found = key.seal(&nonce, &aad, &mut payload).unwrap();
        assert_eq!((&payload, &found[..]), (&bytes(expected), &bytes(tag)[..]), "{cipher:?}");
        assert!(key.open(&nonce, &aad, &mut payload, &found));
        assert_eq!(payload, plain, "{cipher:?}");
        found[15] ^= 1;
        assert!(!key.open(&nonce, &aad, &mut bytes(expected), &found));
    }
}

/// NIST SP 800-38A, appendices F.3.13 to F.4.6.
#[test]
fn key_streams_match_published_vectors() {
    let plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                 30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    let keys = [
        "2b7e151628aed2a6abf7158809cf4f3c",
        "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
    ];
    let cfb = [Cipher::Aes128Cfb, Cipher::Aes192Cfb, Cipher::Aes256Cfb];
    let cfb_expected = [
        "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b\
         26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6",
        "cdc80d6fddf18cab34c25909c99a417467ce7f7f81173621961a2b70171d3d7a\
         2e1e8a1dd59b88b1c8e60fed1efac4c9c05f9f9ca9834fa042ae8fba584b09ff",
        "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b\
         df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471",
    ];
    let ofb = [Cipher::Aes128Ofb, Cipher::Aes192Ofb, Cipher::Aes256Ofb];
    let ofb_expected = [
        "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825\
         9740051e9c5fecf64344f7a82260edcc304c6528f659c77866a510d9c1d6ae5e",
        "cdc80d6fddf18cab34c25909c99a4174fcc28b8d4c63837c09e81700c1100401\
         8d9a9aeac0f6596f559c6d4daf59a5f26d9f200857ca6c3e9cac524bd9acc92a",
        "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d\
         71ab47a086e86eedf39d1c5bba97c4080126141d67f37be8538f5a8be740e484",
    ];
    for (ciphers, expected) in [(cfb, cfb_expected), (ofb, ofb_expected)] {
        for ((cipher, key), expected) in ciphers.into_iter().zip(keys).zip(expected) {
            let iv = bytes("000102030405060708090a0b0c0d0e0f");
            let key = StreamKey::new(cipher, &bytes(key)).ok().unwrap();
            // Whole blocks, and a length that ends within one.
            for len in [64, 57] {
                let mut payload = bytes(plain)[..len].to_vec();
                key.encrypt(&iv, &mut payload);
                assert_eq!(payload, bytes(expected)[..len], "{cipher:?}");
                key.decrypt(&iv, &mut payload);
                assert_eq!(payload, bytes(plain)[..len], "{cipher:?}");
            }
        }
    }
}

/// The message of RFC 2202, 2286 and 4231, test case 1, under a key as long as the tag: the RFCs'
/// values where their key has that length, else OpenSSL's.
#[test]
fn tags_match_published_vectors() {
    for (digest, expected) in [
        (Digest::Md5, "9294727a3638bb1c13f48ef8158bfc9d"),
        (Digest::Sha1, "b617318655057264e28bc0b6fb378c8ef146be00"),
        (Digest::Ripemd160, "24cb4bd67d20fc1a5d2ed7732dcc39377f0a5668"),
        (Digest::Sha224, "1abbc7c42cf4ca9f9d7b624564cb72d7b0945ea0a615095904a0fd34"),
        (Digest::Sha256, "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"),
        (
            Digest::Sha384,
            "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee9737a959796489bddbc4c5df61d5b3297b4fb68dab9f1b582c2",
        ),
        (
            Digest::Sha512,
            "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8\
             ac2878ebd5803f6f0b61dbce5e251ff8789a4722c1be65aea45fd464e89f8f5b",
        ),
    ] {
        let key = &[0x0b; Digest::TAG_MAX][..digest.tag_len()];
        if cfg!(not(feature = "legacy")) && !digest.name().starts_with("SHA") {
            assert!(HmacKey::new(digest, key).is_err());
            continue;
        }
        let mac = HmacKey::new(digest, key).ok().unwrap();
        let mut tag = [0; Digest::TAG_MAX];
        let tag = &mut tag[..digest.tag_len()];
        mac.sign(&[b"Hi ", b"There"], tag);
        assert_eq!(tag, bytes(expected), "{digest:?}");
        assert!(mac.verify(&[b"Hi There"], tag));
        tag[0] ^= 1;
        assert!(!mac.verify(&[b"Hi There"], tag));
    }
}

#[test]
fn wrong_lengths_do_nothing() {
    assert!(Encrypt::new(Cipher::Aes256Cbc, &[1; 16]).is_err());
    assert!(Decrypt::new(Cipher::BfCbc, &[1; 57]).is_err());
    assert!(Encrypt::new(Cipher::None, &[]).is_err());
    assert!(AeadKey::new(Cipher::Aes256Gcm, &[1; 31]).is_err());
    assert!(AeadKey::new(Cipher::Aes256Cbc, &[1; 32]).is_err());
    assert!(StreamKey::new(Cipher::Aes128Ofb, &[1; 17]).is_err());
    assert!(StreamKey::new(Cipher::Aes256Gcm, &[1; 32]).is_err());
    assert!(HmacKey::new(Digest::Sha256, &[1; 31]).is_err());
    assert!(HmacKey::new(Digest::None, &[]).is_err());
    let key = Encrypt::new(Cipher::Aes128Cbc, &[1; 16]).ok().unwrap();
    let mut blocks = [9; 31];
    key.encrypt(&[0; 16], &mut blocks);
    key.encrypt(&[0; 15], &mut blocks[..16]);
    assert_eq!(blocks, [9; 31]);
    let (mut right, mut short_iv) = ([9; 32], [9; 16]);
    let mut expected = right;
    key.encrypt(&[3; 16], &mut expected);
    key.encrypt_many(&mut [(&[3; 16], &mut blocks), (&[3; 16], &mut right), (&[3; 15], &mut short_iv)]);
    assert_eq!((blocks, right, short_iv), ([9; 31], expected, [9; 16]));
    let mac = HmacKey::new(Digest::Sha1, &[1; 20]).ok().unwrap();
    let mut tag = [0; 19];
    mac.sign(&[b"x"], &mut tag);
    assert_eq!(tag, [0; 19]);
    assert!(!mac.verify(&[b"x"], &tag));
}

#[test]
fn what_is_built_in_is_what_can_be_made() {
    let key = [1; 64];
    for cipher in Cipher::ALL {
        let key = &key[..cipher.key_len()];
        let can = match cipher.mode() {
            Mode::None => true,
            Mode::Cbc => Encrypt::new(cipher, key).is_ok(),
            Mode::Aead => AeadKey::new(cipher, key).is_ok(),
            Mode::Cfb | Mode::Ofb => StreamKey::new(cipher, key).is_ok(),
        };
        assert_eq!(RustCrypto::has_cipher(cipher), can, "{cipher:?}");
    }
    for digest in Digest::ALL.into_iter().filter(|digest| *digest != Digest::None) {
        assert_eq!(
            RustCrypto::has_digest(digest),
            HmacKey::new(digest, &key[..digest.tag_len()]).is_ok(),
            "{digest:?}"
        );
    }
}
