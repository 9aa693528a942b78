//! `canary_gate::fuzzing::gzip` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| canary_gate::fuzzing::gzip(bytes));
