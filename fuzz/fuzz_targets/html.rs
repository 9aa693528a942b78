//! `canary_gate::fuzzing::html` says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| canary_gate::fuzzing::html(bytes));
