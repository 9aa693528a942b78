//! From scrapes to series: labels of the target, stale markers, timestamps, bounds; as a Prometheus 3 server does it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "outside production code")]

use std::time::{Duration, Instant};

use promeval::number::format_value;
use promeval::series::Span;
use promeval::{
    Element, Evaluator, Exposition, Format, Full, Labels, Limits, Point, RuleSeries, Storage, Target, Value, parse,
};

fn exposition(text: &str) -> Exposition<'_> {
    Exposition::parse(text.as_bytes(), Format::of_file(text.as_bytes()))
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn scrape(target: &mut Target, storage: &mut Storage, text: &str, at: i64) {
    target.scraped(storage, &exposition(text), at).unwrap();
}

/// What an expression gives at a time, a line an element.
fn found(storage: &Storage, source: &str, at: i64) -> Vec<String> {
    let Value::Vector(elements) = Evaluator::new(storage, at).value(&parse(source).unwrap()).unwrap() else {
        panic!("{source} is not a vector")
    };
    let mut lines: Vec<String> =
        elements.iter().map(|Element { labels, value }| format!("{labels} {}", format_value(*value))).collect();
    lines.sort();
    lines
}

/// Everything that a storage holds: stale markers as `stale`.
fn dump(storage: &Storage) -> Vec<String> {
    let shown = |point: &Point| if point.is_stale() { "stale".to_owned() } else { format_value(point.value) };
    let line = |series: promeval::series::StoredSeries<'_>| {
        let points: Vec<_> = series.points.iter().map(|point| format!("{}@{}", shown(point), point.time)).collect();
        format!("{} {}", series.labels, points.join(" "))
    };
    let made_by_the_scrape = |line: &String| line.starts_with("up") || line.starts_with("scrape_");
    storage.series().map(line).filter(|line| !made_by_the_scrape(line)).collect()
}

#[test]
fn a_storage_may_keep_the_newest_two_points_only() {
    for (source, reads_past) in [
        ("sum(a) / 2 > 1", false),
        ("a offset 1m", true),
        ("sum(a @ 5)", true),
        ("sum(rate(a[1m]))", true),
        ("max_over_time(a[1m:])", true),
    ] {
        assert_eq!(parse(source).unwrap().reads_past(), reads_past, "{source}");
    }
    let (mut storage, mut target) = (Storage::default().newest_two(), Target::new([("", "")]));
    scrape(&mut target, &mut storage, "a 1\nb 1\nb{x=\"\"} 1\n", 0);
    scrape(&mut target, &mut storage, "a 2\n", 5_000);
    scrape(&mut target, &mut storage, "a 3\n", 10_000);
    storage.append(&Labels::new([("__name__", "c")]), Point { time: 10_000, value: 1.0 }).unwrap();
    storage.append(&Labels::new([("__name__", "c")]), Point { time: 10_000, value: 2.0 }).unwrap();
    storage.append(&Labels::new([("__name__", "c")]), Point { time: 5_000, value: 3.0 }).unwrap();
    assert_eq!(dump(&storage), ["a 2@5000 3@10000", "b 1@0 stale@5000", "c 3@5000 2@10000"]);
    assert_eq!(found(&storage, "{__name__=~'[abc]'}", 10_000), ["a 3", "c 2"]);
    // After a scrape that failed, the one before it is there as it was.
    target.failed(&mut storage, 15_000).unwrap();
    assert_eq!(found(&storage, "a", 10_000), ["a 3"]);
    assert_eq!(found(&storage, "a", 15_000), [""; 0]);
    // What has a timestamp of its own is kept.
    scrape(&mut target, &mut storage, "a 4 20000\n", 20_000);
    scrape(&mut target, &mut storage, "a 5 21000\n", 25_000);
    assert_eq!(dump(&storage)[0], "a 3@10000 stale@15000 4@20000 5@21000");
}

#[test]
fn a_target_labels_its_series() {
    let text = "a{job=\"own\"} 1\nb 2\nc{instance=\"x\",exported_instance=\"y\"} 3\nd{x=\"\",job=\"\"} 4\n";
    let labels = [("job", "shop"), ("instance", "shop:80"), ("empty", "")];
    for (honor_labels, wanted) in [
        (
            false,
            [
                r#"a{exported_job="own", instance="shop:80", job="shop"} 1@0"#,
                r#"b{instance="shop:80", job="shop"} 2@0"#,
                r#"c{exported_exported_instance="x", exported_instance="y", instance="shop:80", job="shop"} 3@0"#,
                r#"d{instance="shop:80", job="shop"} 4@0"#,
            ],
        ),
        (
            true,
            [
                r#"a{instance="shop:80", job="own"} 1@0"#,
                r#"b{instance="shop:80", job="shop"} 2@0"#,
                r#"c{exported_instance="y", instance="x", job="shop"} 3@0"#,
                r#"d{instance="shop:80", job="shop"} 4@0"#,
            ],
        ),
    ] {
        let mut storage = Storage::default();
        scrape(&mut Target::new(labels).honor_labels(honor_labels), &mut storage, text, 0);
        assert_eq!(dump(&storage), wanted);
        if !honor_labels {
            let mut storage = Storage::default();
            storage.ingest(&exposition(text), 0, &labels[..2], |_| true).unwrap();
            assert_eq!(dump(&storage), wanted);
        }
    }
}

#[test]
fn what_a_scrape_no_longer_has_ends() {
    let (mut storage, mut target) = (Storage::default(), Target::new([("job", "shop")]));
    scrape(&mut target, &mut storage, "a{x=\"1\"} 1\na{x=\"2\"} 2\nb 3\n", 0);
    scrape(&mut target, &mut storage, "a{x=\"2\"} 2\nc 4\n", 1000);
    target.failed(&mut storage, 2000).unwrap();
    target.failed(&mut storage, 3000).unwrap();
    scrape(&mut target, &mut storage, "b 5\na{x=\"2\"} 6\n", 4000);
    assert_eq!(
        dump(&storage),
        [
            r#"a{job="shop", x="1"} 1@0 stale@1000"#,
            r#"a{job="shop", x="2"} 2@0 2@1000 stale@2000 6@4000"#,
            r#"b{job="shop"} 3@0 stale@1000 5@4000"#,
            r#"c{job="shop"} 4@1000 stale@2000"#,
        ]
    );
    for (source, at, wanted) in [
        ("a", 500, vec![r#"a{job="shop", x="1"} 1"#, r#"a{job="shop", x="2"} 2"#]),
        ("count(a)", 1000, vec!["{} 1"]),
        ("absent(a)", 2000, vec!["{} 1"]),
        ("absent(a)", 4000, vec![]),
        ("up", 1000, vec![r#"up{job="shop"} 1"#]),
        ("up", 3000, vec![r#"up{job="shop"} 0"#]),
        ("scrape_samples_scraped", 0, vec![r#"scrape_samples_scraped{job="shop"} 3"#]),
        ("scrape_samples_post_metric_relabeling", 2000, vec![r#"scrape_samples_post_metric_relabeling{job="shop"} 0"#]),
        ("count_over_time(up[10s])", 4000, vec![r#"{job="shop"} 5"#]),
    ] {
        assert_eq!(found(&storage, source, at), wanted, "{source} at {at}");
    }
}

#[test]
fn the_lines_of_a_series_may_change_without_ending_it() {
    let (mut storage, mut target) = (Storage::default(), Target::new([("job", "shop")]));
    for (at, text) in [
        (0, "a{x=\"1\",y=\"2\"} 1\nb 1\n"),
        (1000, "b 2\na{y=\"2\",x=\"1\"} 2\n"),
        (2000, "{y=\"2\",\"a\",x=\"1\"} 3\n b   3\n"),
        (3000, "a{x=\"1\",y=\"2\",z=\"\"} 4\n{\"b\"} 4\n"),
        (4000, "b 5\na{x=\"1\",y=\"2\"} 5\n"),
    ] {
        scrape(&mut target, &mut storage, text, at);
    }
    assert_eq!(
        dump(&storage),
        [
            r#"a{job="shop", x="1", y="2"} 1@0 2@1000 3@2000 4@3000 5@4000"#,
            r#"b{job="shop"} 1@0 2@1000 3@2000 4@3000 5@4000"#,
        ]
    );
}

#[test]
fn samples_with_timestamps_end_only_where_that_is_asked_for() {
    let texts = [(10_000, "a 1 9000\nb 1\n"), (11_000, "b 2 9500\n"), (12_000, "c 1\n")];
    let of = |target: Target| {
        let (mut storage, mut target) = (Storage::default(), target);
        for (at, text) in texts {
            scrape(&mut target, &mut storage, text, at);
        }
        dump(&storage)
    };
    // From 11 s on b no longer counts as a series without timestamps, so that it ends; its sample is older than its newest.
    assert_eq!(of(Target::new([("", "")])), ["a 1@9000", "b 2@9500 1@10000 stale@11000", "c 1@12000"]);
    let tracked = Target::new([("", "")]).track_timestamps_staleness(true);
    assert_eq!(of(tracked), ["a 1@9000 stale@11000", "b 2@9500 1@10000 stale@12000", "c 1@12000"]);
    let scraped = Target::new([("", "")]).honor_timestamps(false);
    assert_eq!(of(scraped), ["a 1@10000 stale@11000", "b 1@10000 2@11000 stale@12000", "c 1@12000"]);
}

#[test]
fn bounds_and_quantiles_are_written_one_way() {
    let text = "before{le=\"1\"} 1\n\
        # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2.50\"} 2\nh_bucket{le=\"1e6\"} 2\nh_bucket{le=\"+Inf\"} 3\n\
        h_bucket{quantile=\"1\",le=\"0\"} 4\nbehind{le=\"2\"} 1\n\
        # TYPE s summary\ns{quantile=\"1\"} 5\ns{quantile=\"0.990\",le=\"1\"} 6\n# TYPE g gauge\ng{le=\"1\"} 7\n";
    let wanted = [
        r#"before{le="1"} 1@0"#,
        r#"h_bucket{le="1.0"} 1@0"#,
        r#"h_bucket{le="2.5"} 2@0"#,
        r#"h_bucket{le="1e+06"} 2@0"#,
        r#"h_bucket{le="+Inf"} 3@0"#,
        r#"h_bucket{le="0.0", quantile="1"} 4@0"#,
        // A server goes by the last type, whatever it is of.
        r#"behind{le="2.0"} 1@0"#,
        r#"s{quantile="1.0"} 5@0"#,
        r#"s{le="1", quantile="0.99"} 6@0"#,
        r#"g{le="1"} 7@0"#,
    ];
    let mut storage = Storage::default();
    storage.ingest(&exposition(text), 0, &[], |_| true).unwrap();
    assert_eq!(dump(&storage), wanted);
    let mut storage = Storage::default();
    scrape(&mut Target::new([("", "")]), &mut storage, text, 0);
    assert_eq!(dump(&storage), wanted);
}

#[test]
fn a_bound_that_is_written_two_ways_is_one_series_and_the_first_stays() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 2\n";
    let (mut storage, mut target) = (Storage::default(), Target::new([("", "")]));
    scrape(&mut target, &mut storage, text, 0);
    scrape(&mut target, &mut storage, "# TYPE h histogram\nh_bucket{le=\"1.0\"} 3\n", 1000);
    assert_eq!(dump(&storage), [r#"h_bucket{le="1.0"} 1@0 3@1000"#]);
}

#[test]
fn a_series_that_comes_and_goes_is_found_again() {
    let (mut storage, mut target) = (Storage::default(), Target::new([("", "")]));
    let lines = |skip: usize| {
        let line = |index: usize| format!("a{{i=\"{index}\"}} {index}\n");
        (0..100).filter(|index| index % 10 != skip).map(line).collect::<String>()
    };
    for round in 0..10 {
        scrape(&mut target, &mut storage, &lines(round), i64::try_from(round).unwrap() * 1000);
        assert_eq!(found(&storage, "count(a)", i64::try_from(round).unwrap() * 1000), ["{} 90"]);
    }
    assert_eq!(storage.series().filter(|series| series.labels.metric_name() == "a").count(), 100);
}

#[test]
fn what_no_selector_matches_is_not_stored() {
    let expr = parse("sum(a{x=\"1\"}) / count(b) > on () up{job=\"shop\"}").unwrap();
    let mut storage = Storage::default().keeping(expr.selectors());
    let mut target = Target::new([("job", "shop")]);
    for at in [0, 1000] {
        scrape(&mut target, &mut storage, "a{x=\"1\"} 1\na{x=\"2\"} 2\nb{y=\"1\"} 3\nc 4\n", at);
    }
    let stored: Vec<String> = storage.series().map(|series| series.labels.to_string()).collect();
    assert_eq!(stored, [r#"a{job="shop", x="1"}"#, r#"b{job="shop", y="1"}"#, r#"up{job="shop"}"#]);
}

#[test]
fn a_storage_is_bounded() {
    let (series, points) = (Limits { series: 10, ..Limits::default() }, Limits { points: 10, ..Limits::default() });
    let text: String = (0..20).map(|index| format!("a{{i=\"{index}\"}} 1\n")).collect();
    for (limits, full) in [(series, Full::Series(10)), (points, Full::Points(10))] {
        let mut storage = Storage::with_limits(limits);
        assert_eq!(storage.ingest(&exposition(&text), 0, &[], |_| true), Err(full));
        assert_eq!(storage.series().len(), if full == Full::Series(10) { 10 } else { 11 });
        assert!(full.to_string().starts_with("more than 10 "));
    }
    let mut storage = Storage::with_limits(Limits { points: 3, ..Limits::default() });
    let labels = Labels::new([("__name__", "a")]);
    for time in [2, 1, 2, 3] {
        storage.append(&labels, Point { time, value: 1.0 }).unwrap();
    }
    assert_eq!(storage.append(&labels, Point { time: 4, value: 1.0 }), Err(Full::Points(3)));
}

#[test]
fn the_times_of_samples_are_known_by_name() {
    let mut storage = Storage::default();
    storage.ingest(&exposition("a{x=\"1\"} 1 5000\na{x=\"2\"} 1 1000\nb 1\n"), 9000, &[], |_| true).unwrap();
    assert_eq!(storage.span("a"), Some(Span { oldest: 1000, newest: 5000 }));
    assert_eq!(storage.span("b"), Some(Span { oldest: 9000, newest: 9000 }));
    assert_eq!(storage.span("c"), None);
}

#[test]
fn samples_that_an_evaluation_cannot_see_are_told() {
    const NOW: i64 = 1_000_000;
    let text =
        "old{x=\"1\"} 50 378000\nold{x=\"2\"} 1 999000\nahead 1 1002000\nseen 1 701000\nedge 1 700000\nplain 1\n";
    let mut storage = Storage::default();
    storage.ingest(&exposition(text), NOW, &[], |_| true).unwrap();
    let gone = Labels::new([("__name__", "gone")]);
    storage.append(&gone, Point { time: 1000, value: 1.0 }).unwrap();
    storage.append(&gone, Point { time: 2000, value: promeval::series::STALE }).unwrap();
    for (source, wanted) in [
        ("sum(old) or vector(0)", vec![(r#"old{x="1"}"#, 622_000)]),
        ("old{x=\"2\"} + ahead", vec![("ahead", -2000)]),
        ("seen + plain + gone", vec![]),
        ("edge", vec![("edge", 300_000)]),
        ("rate(seen[4m])", vec![("seen", 299_000)]),
        ("rate(seen[10m])", vec![]),
        ("max_over_time(sum(old{x=\"1\"})[10m:1m])", vec![]),
        ("max_over_time(sum(old{x=\"1\"})[1m:1m])", vec![(r#"old{x="1"}"#, 622_000)]),
        ("ahead offset -5s", vec![]),
        ("plain offset 1s", vec![("plain", -1000)]),
        ("plain @ 2000", vec![("plain", 1_000_000)]),
        ("plain @ 500", vec![("plain", -500_000)]),
        ("nothing", vec![]),
    ] {
        let expr = parse(source).unwrap();
        let unseen = Evaluator::new(&storage, NOW).unseen(&expr).unwrap();
        let unseen: Vec<_> = unseen.iter().map(|unseen| (unseen.series.labels.to_string(), unseen.age())).collect();
        let wanted: Vec<_> = wanted.iter().map(|(labels, age)| ((*labels).to_owned(), *age)).collect();
        assert_eq!(unseen, wanted, "{source}");
    }
}

#[test]
fn series_of_a_rule_end_when_it_no_longer_gives_them() {
    let mut storage = Storage::default();
    let mut rule = RuleSeries::default();
    let of = |x: &str| Labels::new([("__name__", "r"), ("x", x)]);
    rule.write(&mut storage, [(of("1"), 1.0), (of("2"), 2.0)], 0).unwrap();
    rule.write(&mut storage, [(of("2"), 3.0)], 1000).unwrap();
    rule.write(&mut storage, [], 2000).unwrap();
    rule.write(&mut storage, [], 3000).unwrap();
    assert_eq!(dump(&storage), [r#"r{x="1"} 1@0 stale@1000"#, r#"r{x="2"} 2@0 3@1000 stale@2000"#]);
}

#[test]
fn points_in_any_order_take_linear_time() {
    let began = Instant::now();
    let line = |time: u64| format!("a 1 {time}\n");
    let falling: String = (0..400_000).rev().map(line).collect();
    let shuffled: String = (0..400_000).map(|index| line(index * 7919 % 400_000)).collect();
    for text in [falling, shuffled] {
        let mut storage = Storage::default();
        storage.ingest(&exposition(&text), 0, &[], |_| true).unwrap();
        let series = storage.series().next().unwrap();
        assert_eq!(series.points.len(), 400_000);
        assert!(series.points.is_sorted_by_key(|point| point.time));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
