//! Parsing 20 MB of labelled counters, beside the `prometheus-parse` crate on the same text; storing and evaluating them; and the
//! shapes that make careless code quadratic. `promtool.py` measures whole processes beside Prometheus's own tool.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "outside production code")]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use promeval::exposition::{Exposition, Format};
use promeval::promql::{Evaluator, parse};
use promeval::series::{Storage, Target};

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
    use promeval::exposition::Summary;

    use super::{Bencher, BytesCount, Exposition, Format, Storage, black_box};

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

    #[divan::bench(sample_count = 3)]
    fn a_name_of_60_mb_and_what_is_similar(bencher: Bencher) {
        similar(bencher, &format!("{} 1\n", "x".repeat(60_000_000)));
    }

    #[divan::bench(sample_count = 3)]
    fn a_million_names_and_what_is_similar(bencher: Bencher) {
        similar(bencher, &(0..1_000_000).map(|index| format!("requests_{index}_total 1\n")).collect::<String>());
    }

    fn similar(bencher: Bencher, text: &str) {
        bencher.counter(BytesCount::new(text.len())).bench(|| {
            let exposition = Exposition::parse(black_box(text.as_bytes()), Format::Prometheus).unwrap();
            Summary::new(&exposition).similar("requests_total").len()
        });
    }

    #[divan::bench(sample_count = 3, args = ["ascending", "descending", "shuffled"])]
    fn points_of_one_series(bencher: Bencher, order: &str) {
        const POINTS: u64 = 400_000;
        let time = |index: u64| match order {
            "ascending" => index,
            "descending" => POINTS - index,
            // Coprime to the number of points, so that each is met once.
            _ => index * 176_047 % POINTS,
        };
        let text: String = (0..POINTS).map(|index| format!("a 1 {}\n", time(index))).collect();
        bencher.counter(BytesCount::new(text.len())).bench(|| {
            let exposition = Exposition::parse(black_box(text.as_bytes()), Format::Prometheus).unwrap();
            let mut storage = Storage::default();
            storage.ingest(&exposition, 0, &[], |_| true).is_ok()
        });
    }
}

/// Parsing, storing all series, and their sum.
#[divan::bench(sample_count = 10)]
fn sum_over_20_mb(bencher: Bencher) {
    let text = labelled_counters(SIZE);
    let expr = parse("sum(http_requests_total)").unwrap();
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        let exposition = Exposition::parse(black_box(text.as_bytes()), Format::Prometheus).unwrap();
        let mut storage = Storage::default().keeping(expr.selectors());
        storage.ingest(&exposition, 1_000, &[], |_| true).unwrap();
        Evaluator::new(&storage, 1_000).value(&expr).is_ok()
    });
}

/// 24 scrapes of 5 MB, evaluated at each of them: all lines are read by the expression, or those of one family of many.
mod window {
    use super::{
        Bencher, BytesCount, Evaluator, Exposition, Format, Storage, Target, black_box, labelled_counters, parse,
    };

    const SCRAPES: i64 = 24;

    fn families() -> String {
        let family = |index: usize| {
            let lines = (0..30).map(|line| format!("family_{index}_total{{path=\"/{line}\",code=\"200\"}} {line}\n"));
            format!("# TYPE family_{index}_total counter\n{}", lines.collect::<String>())
        };
        (0..3_600).map(family).collect()
    }

    fn scrapes(bencher: Bencher, text: &str, source: &str) {
        let expr = parse(source).unwrap();
        bencher.counter(BytesCount::new(text.len() * 24)).bench(|| {
            let mut storage = Storage::default().keeping(expr.selectors());
            if !expr.reads_past() {
                storage = storage.newest_two();
            }
            let mut target = Target::new([("job", "shop")]);
            for at in (0..SCRAPES).map(|index| index * 5_000) {
                let exposition = Exposition::parse(black_box(text.as_bytes()), Format::Prometheus).unwrap();
                target.scraped(&mut storage, &exposition, at).unwrap();
                Evaluator::new(&storage, at).value(&expr).unwrap();
            }
        });
    }

    #[divan::bench(sample_count = 3)]
    fn of_one_family_that_is_all_read(bencher: Bencher) {
        scrapes(bencher, &labelled_counters(5_000_000), "sum(http_requests_total) < 1");
    }

    #[divan::bench(sample_count = 3)]
    fn of_many_families_of_which_one_is_read(bencher: Bencher) {
        scrapes(bencher, &families(), "sum(rate(family_1_total[30s])) < 1");
    }

    #[divan::bench(sample_count = 3, args = ["one family", "many families"])]
    fn parsed_and_no_more(bencher: Bencher, text: &str) {
        let text = if text == "one family" { labelled_counters(5_000_000) } else { families() };
        bencher.counter(BytesCount::new(text.len() * 24)).bench(|| {
            for _ in 0..SCRAPES {
                Exposition::parse(black_box(text.as_bytes()), Format::Prometheus).unwrap();
            }
        });
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
