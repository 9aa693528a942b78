//! No expression makes the parser or the evaluator panic.
#![no_main]

use promeval::exposition::{Exposition, Format};
use promeval::promql::{Evaluator, parse};
use promeval::series::Storage;

const SERIES: &str = "a{x=\"1\"} 1 1000\na{x=\"1\"} 3 16000\na{x=\"2\"} NaN 31000\nb{le=\"1\"} 2 31000\nb{le=\"+Inf\"} 5 31000\n";

libfuzzer_sys::fuzz_target!(|source: &str| {
    match parse(source) {
        Err(error) => drop(error.caret(source)),
        Ok(expr) => {
            let exposition = Exposition::parse(SERIES.as_bytes(), Format::Prometheus).expect("it is well-formed");
            let mut storage = Storage::default();
            storage.ingest(&exposition, 31_000, &[], |_| true).expect("it is small");
            // A subquery of millions of steps is bounded by the number of samples, not worth the fuzzer's time.
            if !source.contains(':') {
                let _ = Evaluator::new(&storage, 31_000).value(&expr);
            }
        }
    }
});
