//! Parsing 20 MB of labelled counters, beside the `prometheus-parse` crate on the same text; and evaluating thresholds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "outside production code")]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use promeval::exposition::{Exposition, Format};
use promeval::promql::{Evaluator, parse};
use promeval::series::Storage;

const SIZE: usize = 20_000_000;

fn main() {
    divan::main();
}

/// What a web service exposes: a counter by method, path and status.
fn labelled_counters(size: usize) -> String {
    let mut text = String::from("# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n");
    let mut index = 0_u64;
    while text.len() < size {
        let (status, value) = (200 + index % 5, index * 7 % 100_000);
        text.push_str(&format!(
            "http_requests_total{{method=\"GET\",path=\"/api/v1/items/{index}\",status=\"{status}\"}} {value}\n"
        ));
        index += 1;
    }
    text
}

#[divan::bench(sample_count = 10)]
fn parse_20_mb(bencher: Bencher) {
    let text = labelled_counters(SIZE);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| Exposition::parse(black_box(text.as_bytes()), Format::Prometheus).is_ok());
}

#[divan::bench(sample_count = 10)]
fn parse_20_mb_of_openmetrics(bencher: Bencher) {
    let text = labelled_counters(SIZE)
        .replace("http_requests_total R", "http_requests R")
        .replace("http_requests_total c", "http_requests c")
        + "# EOF\n";
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| Exposition::parse(black_box(text.as_bytes()), Format::OpenMetrics).is_ok());
}

#[divan::bench(sample_count = 5)]
fn parse_20_mb_by_prometheus_parse(bencher: Bencher) {
    let text = labelled_counters(SIZE);
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        let lines = black_box(&text).lines().map(|line| Ok(line.to_owned()));
        prometheus_parse::Scrape::parse(lines).is_ok()
    });
}

/// The shapes that make careless parsers quadratic: each within a few times the time of ordinary text of its size.
mod shapes {
    use super::{Bencher, BytesCount, Exposition, Format, black_box};

    fn bench(bencher: Bencher, text: &str) {
        bencher
            .counter(BytesCount::new(text.len()))
            .bench(|| Exposition::parse(black_box(text.as_bytes()), Format::Prometheus).is_ok());
    }

    #[divan::bench(sample_count = 10)]
    fn one_label_of_1_mb(bencher: Bencher) {
        bench(bencher, &format!("a{{b=\"{}\"}} 1\n", "x".repeat(1_000_000)));
    }

    #[divan::bench(sample_count = 10)]
    fn ten_thousand_labels(bencher: Bencher) {
        let labels: String = (0..10_000).map(|index| format!("label_{index}=\"value\",")).collect();
        bench(bencher, &format!("a{{{labels}}} 1\n"));
    }

    #[divan::bench(sample_count = 3)]
    fn a_million_series(bencher: Bencher) {
        bench(bencher, &(0..1_000_000).map(|index| format!("a{{b=\"{index}\"}} 1\n")).collect::<String>());
    }
}

#[divan::bench(sample_count = 10)]
fn evaluate_a_ratio_over_10_000_series(bencher: Bencher) {
    let text = labelled_counters(750_000);
    let exposition = Exposition::parse(text.as_bytes(), Format::Prometheus).unwrap();
    let mut storage = Storage::default();
    storage.ingest(&exposition, 1_000, &[], |_| true).unwrap();
    let source = "sum by (method) (http_requests_total{status=\"200\"}) / sum by (method) (http_requests_total) > 0.1";
    let expr = parse(source).unwrap();
    bencher.bench(|| Evaluator::new(&storage, 1_000).value(black_box(&expr)).is_ok());
}
