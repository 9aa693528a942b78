//! No bytes make the exposition parser panic, and what it prints reads back the same.
#![no_main]

use promeval::exposition::{Exposition, Format};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for format in [Format::Prometheus, Format::OpenMetrics] {
        if let Ok(first) = Exposition::parse(bytes, format) {
            let printed = first.to_string();
            let second = Exposition::parse(printed.as_bytes(), format).expect("what is printed is well-formed");
            assert_eq!(first.families(), second.families());
            assert_eq!(printed, second.to_string());
        }
    }
});
