//! Feeds the fuzzer's bytes to one target.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringproof_fuzz::sdp(bytes));
