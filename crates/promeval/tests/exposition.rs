//! The exposition parser: what it takes, what it refuses and how it names the place, and properties of any input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "outside production code")]

use promeval::exposition::{Exposition, Format, Kind, Summary};
use proptest::prelude::*;

use Format::{OpenMetrics, Prometheus};

fn parsed(text: &str, format: Format) -> Result<Vec<String>, String> {
    let exposition = Exposition::parse(text.as_bytes(), format).map_err(|error| error.to_string())?;
    let sample = |sample: promeval::exposition::Sample| {
        let labels: Vec<String> = sample.labels().map(|(name, value)| format!("{name}={value}")).collect();
        let time = sample.timestamp().map_or(String::new(), |time| format!(" @{time}"));
        format!("{}[{}] {}{time}", sample.name(), labels.join("|"), sample.value())
    };
    Ok(exposition.samples().map(sample).collect())
}

#[test]
fn the_prometheus_format_is_read() {
    #[rustfmt::skip]
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("\n  \n# a comment\n#\n#HELP is a comment here? no matter\n", &[]),
        ("up 1\n", &["up[] 1"]),
        ("up 1 1520879607789\n", &["up[] 1 @1520879607.789"]),
        ("  up\t{ a = \"1\" , b=\"2\", } \t-3e3   -5  \n", &["up[a=1|b=2] -3000 @-0.005"]),
        ("up{a=\"x\"}+Inf\n", &["up[a=x] inf"]),
        ("up{} NaN\n", &["up[] NaN"]),
        ("up{a=\"q\\\"b\\\\n\\nl, } 7 #\"} 1\n", &["up[a=q\"b\\n\nl, } 7 #] 1"]),
        ("some:rule:name_1 1\n", &["some:rule:name_1[] 1"]),
        ("{\"my.metric\", \"a.b\"=\"c\", d=\"e\"} 1\n", &["my.metric[a.b=c|d=e] 1"]),
        ("{d=\"e\",\"my.metric\"} 1\n", &["my.metric[d=e] 1"]),
        ("# TYPE \"my.metric\" counter\n# HELP \"my.metric\" Text\n{\"my.metric\"} 1\n", &["my.metric[] 1"]),
        ("# HELP a\n# HELP b \n# TYPE a counter  \na 1\n# HELP c after samples\n", &["a[] 1"]),
        ("# TYPE s summary\ns{quantile=\"2.0\"} 1\ns_sum 1\ns_count 2\n", &["s[quantile=2.0] 1", "s_sum[] 1", "s_count[] 2"]),
        ("# TYPE h histogram\nh_bucket{le=\"1e-3\"} 1\nh_bucket{le=\"+Inf\"} 0\n", &["h_bucket[le=1e-3] 1", "h_bucket[le=+Inf] 0"]),
        ("h_bucket{le=\"no number\"} 1\n", &["h_bucket[le=no number] 1"]),
        ("a 1\nb 2\na{x=\"1\"} 3\n", &["a[] 1", "b[] 2", "a[x=1] 3"]),
        ("a 1 1000\na 2 2000\n", &["a[] 1 @1", "a[] 2 @2"]),
        ("a{x=\"\u{1F600}\u{0}\"} 1\n", &["a[x=\u{1F600}\u{0}] 1"]),
    ];
    for (text, wanted) in cases {
        let wanted: Vec<String> = wanted.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(parsed(text, Prometheus), Ok(wanted), "{text}");
    }
}

#[test]
fn the_prometheus_format_is_enforced() {
    #[rustfmt::skip]
    let cases = [
        ("up 1", "line 1, column 5: the last line does not end in a line feed: the body is cut"),
        ("up 1\nup{a=\"b", "line 2, column 8: the label value has no closing quote"),
        ("up\n", "line 1, column 3: invalid metric name or missing value"),
        ("up \n", "line 1, column 4: the value is missing"),
        ("0up 1\n", "line 1, column 1: want a metric name, found '0'"),
        ("up-x 1\n", "line 1, column 3: invalid metric name or missing value: '-' follows"),
        ("up x\n", "line 1, column 4: the value \"x\" is not a number"),
        ("up 1_000\n", "the value \"1_000\" is not a number"),
        ("up 0x1p-3\n", "the value \"0x1p-3\" is not a number"),
        ("up 1e999\n", "the value \"1e999\" is not a number"),
        ("up 1,5\n", "is not a number"),
        ("up 1 1.5\n", "line 1, column 6: the timestamp \"1.5\" is not a whole number of milliseconds"),
        ("up 1 2 3\n", "line 1, column 8: text after the value and the timestamp"),
        ("up 1 # {a=\"b\"} 1\n", "line 1, column 6: an exemplar is of OpenMetrics"),
        ("up 1\r\n", "the value \"1\\r\" is not a number"),
        ("up{a=\"b\" c=\"d\"} 1\n", "line 1, column 10: want ',' or '}' after a label"),
        ("up{a=\"b\",,} 1\n", "line 1, column 10: want a label name"),
        ("up{,} 1\n", "line 1, column 4: want a label name"),
        ("up{a} 1\n", "line 1, column 5: want '=' after a label name"),
        ("up{a=b} 1\n", "line 1, column 6: want a label value in double quotes"),
        ("up{a='b'} 1\n", "want a label value in double quotes"),
        ("up{1a=\"b\"} 1\n", "line 1, column 4: want a label name"),
        ("up{a:b=\"c\"} 1\n", "want '=' after a label name"),
        ("up{=\"b\"} 1\n", "want a label name"),
        ("up{\"\"=\"b\"} 1\n", "a name is empty"),
        ("up{a=\"\\t\"} 1\n", "line 1, column 7: invalid escape in the label value"),
        ("up{a=\"x\ny\"} 1\n", "line 1, column 8: the label value has no closing quote"),
        ("up{a=\"1\",a=\"2\"} 1\n", "line 1, column 10: the label \"a\" is duplicated"),
        ("up{__name__=\"x\"} 1\n", "the label name __name__ is reserved"),
        ("up{\"down\"} 1\n", "the metric name is set twice"),
        ("{\"a\",\"b\"} 1\n", "the metric name is set twice"),
        ("{a=\"b\"} 1\n", "the metric has no name"),
        ("{\"a\", \"b = \"c\"} 1\n", "after a label"),
        ("# TYPE up counter\n# TYPE up counter\n", "line 2, column 8: a second TYPE line for \"up\""),
        ("# HELP up a\nup 1\n# HELP up b\n", "line 3, column 8: a second HELP line for \"up\", after its samples"),
        ("# TYPE up info\n", "line 1, column 11: the type info is of OpenMetrics"),
        ("# TYPE up unknown\n", "the type unknown is of OpenMetrics"),
        ("up 1\n# TYPE up counter\n", "line 2, column 8: the TYPE line for \"up\" comes after its samples"),
        ("# TYPE up meter\n", "line 1, column 11: unknown type \"meter\""),
        ("# TYPE up\n", "unknown type \"\""),
        ("# TYPE up-x counter\n", "line 1, column 10: invalid metric name after TYPE"),
        ("# TYPE\n", "want a metric name after TYPE"),
        ("# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", "line 2, column 14: the le label \"x\" is not a number"),
        ("h_bucket{le=\"x\"} 1\n# TYPE h histogram\n", "line 1, column 14: the le label \"x\" is not a number"),
        ("# TYPE s summary\ns{quantile=\"x\"} 1\n", "the quantile label \"x\" is not a number"),
        ("up{a=\"1\",b=\"2\"} 1\nup 3\nup{b=\"2\",a=\"1\"} 2\n", "line 3, column 1: the series is already on line 1"),
        ("up 1\nup{a=\"\"} 2\n", "line 2, column 1: the series is already on line 1"),
        ("up 1 5\nup 2 5\n", "with the same timestamp"),
        ("<!doctype html>\n", "line 1, column 1: want a metric name, found '<'"),
        ("{\"status\":\"ok\"}\n", "line 1, column 10: want '=' after a label name, found ':'"),
    ];
    for (text, wanted) in cases {
        let found = parsed(text, Prometheus).expect_err(text);
        assert!(found.contains(wanted), "{text:?}\n  found {found}\n  want  {wanted}");
    }
    let error = Exposition::parse(b"up{a=\"\xff\"} 1\n", Prometheus).unwrap_err();
    assert_eq!((error.line, error.column, &*error.cause), (1, 7, "byte 0xff is not UTF-8"));
}

#[test]
fn openmetrics_is_read() {
    #[rustfmt::skip]
    let cases: &[(&str, &[&str])] = &[
        ("# EOF\n", &[]),
        ("# EOF", &[]),
        ("# TYPE a counter\n# UNIT a \n# HELP a text \\\\ \\n\na_total 1\na_created 5\n# EOF\n", &["a_total[] 1", "a_created[] 5"]),
        ("# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1.5 12.25\n# EOF\n", &["a_seconds[] 1.5 @12.25"]),
        ("# TYPE a counter\na_total{x=\"1\"} 2 # {trace=\"abc\"} 0.5 1.5\n# EOF\n", &["a_total[x=1] 2"]),
        ("# TYPE h histogram\nh_bucket{le=\"0.5\"} 1 # {} 0.1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n# EOF\n",
            &["h_bucket[le=0.5] 1", "h_bucket[le=+Inf] 2", "h_count[] 2", "h_sum[] 3"]),
        ("# TYPE s stateset\ns{s=\"on\"} 1\ns{s=\"off\"} 0\n# EOF\n", &["s[s=on] 1", "s[s=off] 0"]),
        ("# TYPE i info\ni_info{version=\"1\"} 1\n# EOF\n", &["i_info[version=1] 1"]),
        ("a 1 1\na 2 2\nb 3\n# EOF\n", &["a[] 1 @1", "a[] 2 @2", "b[] 3"]),
        ("# TYPE \"a.b\" counter\n{\"a.b_total\"} 1\n# EOF\n", &["a.b_total[] 1"]),
    ];
    for (text, wanted) in cases {
        let wanted: Vec<String> = wanted.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(parsed(text, OpenMetrics), Ok(wanted), "{text}");
    }
}

#[test]
fn openmetrics_is_enforced() {
    #[rustfmt::skip]
    let cases = [
        ("", "the last line is not '# EOF'"),
        ("a 1\n", "line 2, column 1: the last line is not '# EOF'"),
        ("a 1\n# EOF\na 2\n", "text after '# EOF'"),
        ("# EOF \n", "text after '# EOF'"),
        ("a 1\n\n# EOF\n", "line 2, column 1: a blank line"),
        ("# a comment\n# EOF\n", "there are no comments"),
        ("a  1\n# EOF\n", "the value is missing"),
        ("a{b=\"c\"}1\n# EOF\n", "want a blank before the value"),
        ("a{b=\"c\",} 1\n# EOF\n", "want a label name"),
        ("a 1 \n# EOF\n", "the timestamp is missing"),
        ("a 1 NaN\n# EOF\n", "the timestamp is not a finite number"),
        ("a 1 2 3\n# EOF\n", "want an exemplar"),
        ("# TYPE a untyped\n# EOF\n", "unknown type \"untyped\""),
        ("# TYPE a gauge \n# EOF\n", "unknown type \"gauge \""),
        ("# TYPE a counter\na 1\n# EOF\n", "line 2, column 1: the sample of the counter \"a\" has no ending: it must be named \"a_total\""),
        ("# TYPE a_total counter\na_total 1\n# EOF\n", "the TYPE line must name \"a\""),
        ("# TYPE a info\na{x=\"1\"} 1\n# EOF\n", "the sample of the info \"a\" has no ending: it must be named \"a_info\""),
        ("# TYPE a counter\na_total -1\n# EOF\n", "cannot be negative"),
        ("# TYPE a counter\na_total NaN\n# EOF\n", "cannot be NaN"),
        ("# TYPE a gauge\na 1 # {b=\"c\"} 1\n# EOF\n", "only buckets and the _total of a counter may have exemplars"),
        ("# TYPE a_seconds gauge\n# UNIT a_seconds minutes\n# EOF\n", "is not the end of the name"),
        ("# TYPE a_x info\n# UNIT a_x x\n# EOF\n", "has no unit"),
        ("a 1\n# TYPE a gauge\n# EOF\n", "metadata for \"a\" after its samples"),
        ("a{x=\"1\"} 1\nb 1\na{x=\"2\"} 1\n# EOF\n", "its lines are not together"),
        ("# TYPE a gauge\na{x=\"1\"} 1 1\na{x=\"2\"} 1 1\na{x=\"1\"} 1 2\n# EOF\n", "the samples of one metric are not together"),
        ("a 1 2\na 1 1\n# EOF\n", "the timestamps of one metric go backwards"),
        ("a 1\na 1 1\n# EOF\n", "with and without a timestamp"),
        ("a 1 1\na 2 1\n# EOF\n", "with the same timestamp"),
        ("# TYPE h histogram\nh_bucket 1\n# EOF\n", "a bucket has no le label"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\nh_sum 1\n# EOF\n", "the +Inf bucket is missing"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\n# EOF\n", "not cumulative"),
        ("# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\n# EOF\n", "not in the order of their bounds"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_count 3\nh_sum 1\n# EOF\n", "the count differs from the +Inf bucket"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n# EOF\n", "a _sum without a _count"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1.5\n# EOF\n", "a whole number"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n# EOF\n", "a count without a sum"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum -1\n# EOF\n", "the sum of values that have no negative bucket"),
        ("# HELP a x\n# HELP a x\n# EOF\n", "line 2, column 1: a second HELP line for \"a\""),
        ("# TYPE a counter\na_total 2\n# TYPE b gauge\nb 1\n# TYPE a gauge\na 1\n# EOF\n", "the name \"a\" of this family belongs to an earlier one"),
        ("# TYPE h histogram\nh_bucket{le=\"inf\"} 1\n# EOF\n", "must be written +Inf"),
        ("# TYPE s summary\ns{quantile=\"1.5\"} 1\n# EOF\n", "is not between 0 and 1"),
        ("# TYPE s summary\ns{quantile=\"0.5\"} -1\n# EOF\n", "a quantile or a sum without a count cannot be negative"),
        ("# TYPE s stateset\ns{s=\"a\"} 2\n# EOF\n", "must be 0 or 1"),
        ("# TYPE i info\ni_info 0\n# EOF\n", "must be 1"),
    ];
    for (text, wanted) in cases {
        let found = parsed(text, OpenMetrics).expect_err(text);
        assert!(found.contains(wanted), "{text:?}\n  found {found}\n  want  {wanted}");
    }
    let long = format!("# TYPE a counter\na_total 1 # {{b=\"{}\"}} 1\n# EOF\n", "x".repeat(128));
    assert!(parsed(&long, OpenMetrics).unwrap_err().contains("over 128"));
}

#[test]
fn what_mainstream_clients_send_is_accepted_with_a_warning() {
    #[rustfmt::skip]
    let cases: &[(Format, &str, &[&str], &[&str])] = &[
        (Prometheus, "# HELP up a\n# HELP up b\nup 1\n", &["up[] 1"], &["line 2: a second HELP line for \"up\""]),
        (Prometheus, "up{a=\"1\",b=\"2\"} 1\nx 2\nup{b=\"2\",a=\"1\"} 1\nup{b=\"2\",a=\"1\"} 1\n", &["up[a=1|b=2] 1", "x[] 2"],
            &["line 3: a series of \"up\" is repeated with the same value (2 lines)"]),
        (Prometheus, "up NaN 5\nup{a=\"\"} NaN 5\nup NaN 6\n", &["up[] NaN @0.005", "up[] NaN @0.006"], &["line 2: a series of \"up\" is repeated"]),
        (OpenMetrics, "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n# EOF\n",
            &["h_bucket[le=+Inf] 2", "h_count[] 2", "h_sum[] 3"], &["line 3: a series of \"h_bucket\" is repeated"]),
        (OpenMetrics, "# HELP a In use.\n# TYPE a gauge\na 1\n# HELP a Ever.\n# TYPE a counter\na_total 2\n# EOF\n", &["a[] 1", "a_total[] 2"],
            &["line 4: a second family has the name \"a\""]),
        (OpenMetrics, "# TYPE h histogram\nh_bucket{le=\"-1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n# EOF\n",
            &["h_bucket[le=-1] 1", "h_bucket[le=+Inf] 2", "h_count[] 2"], &["line 2: the histogram \"h\" has a _count and no _sum"]),
        (OpenMetrics, "# TYPE h histogram\nh_bucket{le=\"-1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum -3\nh_count 2\n# EOF\n",
            &["h_bucket[le=-1] 1", "h_bucket[le=+Inf] 2", "h_sum[] -3", "h_count[] 2"], &["line 2: the histogram \"h\" has negative bounds and a _sum"]),
        (OpenMetrics, "# TYPE s summary\ns{quantile=\"0.5\"} -1\ns_sum -3\ns_count 2\n# EOF\n",
            &["s[quantile=0.5] -1", "s_sum[] -3", "s_count[] 2"], &["line 2: the summary \"s\" has negative values"]),
        (Prometheus, "# TYPE a counter\na{x=\"1\"} -1\na{x=\"2\"} NaN\na{x=\"3\"} 1\n# TYPE b counter\nb_total -Inf\nc_total -1\n",
            &["a[x=1] -1", "a[x=2] NaN", "a[x=3] 1", "b_total[] -inf", "c_total[] -1"],
            &["line 2: the counter \"a\" is negative or NaN, which no counter can be (2 lines)", "line 6: the counter \"b_total\" is negative"]),
        (Prometheus, "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n# EOF\n", &["a_seconds[] 1"],
            &["line 2: \"# UNIT\" is OpenMetrics, and the text is read as the Prometheus text format", "line 4: \"# EOF\" is OpenMetrics"]),
    ];
    for (format, text, samples, wanted) in cases {
        let exposition = Exposition::parse(text.as_bytes(), *format).unwrap();
        let warnings: Vec<String> = exposition.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), wanted.len(), "{text:?}: {warnings:?}");
        for (warning, wanted) in warnings.iter().zip(*wanted) {
            assert!(warning.contains(wanted), "{text:?}\n  found {warning}\n  want  {wanted}");
        }
        assert_eq!(parsed(text, *format).unwrap(), *samples, "{text:?}");
    }
    // A warning is made once a name, and not for each of countless names.
    let text: String = (0..1000).map(|index| format!("# TYPE c{index} counter\nc{index} -1\n")).collect();
    let exposition = Exposition::parse(text.as_bytes(), Prometheus).unwrap();
    let counted: usize = exposition.warnings().iter().map(|warning| warning.count).sum();
    assert_eq!((exposition.warnings().len(), counted), (100, 1000));
}

#[test]
fn names_are_known_with_their_samples_and_declarations() {
    let text =
        "# TYPE a counter\na_total{x=\"1\"} 1\nb 1\na_total{x=\"2\"} 2\n# TYPE h histogram\n# TYPE c counter\nc 1\n";
    let exposition = Exposition::parse(text.as_bytes(), Prometheus).unwrap();
    let names: Vec<_> = exposition.names().map(|(name, samples)| format!("{name} {samples}")).collect();
    assert_eq!(names, ["a_total 2", "b 1", "c 1"]);
    assert_eq!(exposition.samples_of("a_total").map(|sample| sample.value()).collect::<Vec<_>>(), [1.0, 2.0]);
    assert_eq!(exposition.samples_of("none").count(), 0);
    let declared: Vec<String> = exposition.declared_names().collect();
    assert_eq!(declared, ["a", "a_total", "h_bucket", "h_count", "h_sum", "c"]);
    let open = Exposition::parse(b"# TYPE a counter\na_total 1\n# EOF\n", OpenMetrics).unwrap();
    assert_eq!(open.declared_names().collect::<Vec<_>>(), ["a_total", "a_created", "a"]);

    let runs =
        exposition.runs().map(|(name, samples)| format!("{name} {:?}", samples.map(|s| s.value()).collect::<Vec<_>>()));
    assert_eq!(runs.collect::<Vec<_>>(), ["a_total [1.0]", "b [1.0]", "a_total [2.0]", "c [1.0]"]);
    let together = Exposition::parse(b"a{x=\"1\"} 1\na{x=\"2\"} 2\nab 3\n{\"a b\"} 4\n", Prometheus).unwrap();
    let runs: Vec<_> = together.runs().map(|(name, samples)| (name.into_owned(), samples.len())).collect();
    assert_eq!(runs, [("a".into(), 2), ("ab".into(), 1), ("a b".into(), 1)]);

    let summary = Summary::new(&exposition);
    for (family, kind) in [("a", Some(Kind::Counter)), ("h", Some(Kind::Histogram)), ("a_total", None), ("b", None)] {
        assert_eq!((exposition.kind_of(family), summary.kind_of(family)), (kind, kind), "{family}");
    }
    assert_eq!((summary.names(), summary.samples(), summary.samples_of("a_total")), (3, 4, 2));
    assert!(["a", "a_total", "h", "h_bucket", "c"].iter().all(|name| summary.declares(name)));
    assert!(!["b", "c_total", "none"].iter().any(|name| summary.declares(name)));
    assert_eq!(summary.similar("a_totals"), ["a_total"]);
    assert!(summary.similar("b").iter().all(|name| *name != "b"), "a name is not similar to itself");
}

#[test]
fn similar_names_are_found_in_linear_time() {
    let long = format!("{} 1\n", "x".repeat(10_000_000));
    let many: String = (0..300_000).map(|index| format!("requests_{index}_total 1\n")).collect();
    let began = std::time::Instant::now();
    for text in [long, many] {
        let exposition = Exposition::parse(text.as_bytes(), Prometheus).unwrap();
        let _ = Summary::new(&exposition).similar("requests_total");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn no_shape_of_input_is_quadratic() {
    let began = std::time::Instant::now();
    let long_value = format!("a{{b=\"{}\"}} 1\n", "x".repeat(1_000_000));
    let many_labels: String = (0..10_000).map(|index| format!("l{index}=\"v\",")).collect();
    let many_series: String = (0..200_000).map(|index| format!("a{{b=\"{index}\"}} {index}\n")).collect();
    let many_families: String = (0..50_000).map(|index| format!("# TYPE f{index} gauge\nf{index} 1\n")).collect();
    for text in [long_value, format!("a{{{many_labels}}} 1\n"), many_series, many_families] {
        parsed(&text, Prometheus).unwrap();
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

/// What the `prometheus-parse` crate makes of well-formed text, so that nobody goes back to it.
#[test]
fn another_parser_drops_in_silence_what_this_one_reads() {
    let other = |text: &str| {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let samples = prometheus_parse::Scrape::parse(lines).unwrap().samples;
        samples.iter().map(|sample| sample.labels.to_string()).collect::<Vec<_>>()
    };
    let text = "failure_total{error_type=\"a} b\"} 5\n";
    assert_eq!(parsed(text, Prometheus).unwrap(), ["failure_total[error_type=a} b] 5"]);
    assert!(other(text).is_empty(), "the brace is taken for the end of the labels, and the failures are gone");
    let text = "failure_total{error_type=\"a, b\"} 5\n";
    assert_eq!(parsed(text, Prometheus).unwrap(), ["failure_total[error_type=a, b] 5"]);
    assert!(!other(text)[0].contains("a, b"), "the comma is taken for the end of the value");
    assert!(other("<!doctype html>\n<p>503 Service Unavailable</p>\n").is_empty(), "a page is not an error");
    assert!(parsed("<!doctype html>\n", Prometheus).is_err());
}

/// Text that is nearly an exposition, so that random input gets past the first character.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a".to_owned()),
        Just("h_bucket{le=\"".to_owned()),
        Just("# TYPE ".to_owned()),
        Just("# HELP ".to_owned()),
        Just(" counter\n".to_owned()),
        Just(" histogram\n".to_owned()),
        Just("_total".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("x=\"".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just(",".to_owned()),
        Just(" 1".to_owned()),
        Just(" # {".to_owned()),
        Just("\n".to_owned()),
        Just("+Inf".to_owned()),
        Just("# EOF\n".to_owned()),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Well-formed text with all that has to be escaped.
fn exposition() -> impl Strategy<Value = String> {
    let name = "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}";
    let label = ("[a-zA-Z_][a-zA-Z0-9]{0,5}", "[\\PC\\n\\\\\"]{0,8}");
    let labels = prop::collection::btree_map(label.0, label.1, 0..4);
    let time = prop::option::of(-1_000_000_i64..1_000_000_000_000);
    let sample = (name, labels, any::<f64>(), time);
    prop::collection::vec(sample, 0..20).prop_map(|samples| {
        let mut seen = std::collections::HashSet::new();
        let mut text = String::from("# TYPE zz_histogram histogram\n# HELP zz_histogram a \\\\ b\n");
        for (name, labels, value, time) in samples {
            let labels: Vec<_> =
                labels.into_iter().filter(|(name, value)| name != "__name__" && !value.is_empty()).collect();
            if !seen.insert((name.clone(), labels.clone(), time)) {
                continue;
            }
            let value = if value.is_finite() { value.to_string() } else { "NaN".into() };
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", quote(value))).collect();
            let time = time.map_or(String::new(), |time| format!(" {time}"));
            text.push_str(&format!("{name}{{{}}} {value}{time}\n", labels.join(",")));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_input_panics_and_what_is_printed_reads_back_the_same(text in nearly()) {
        for format in [Prometheus, OpenMetrics] {
            round_trip(&text, format)?;
        }
    }

    #[test]
    fn well_formed_text_is_read_and_printed_back(text in exposition()) {
        prop_assert!(Exposition::parse(text.as_bytes(), Prometheus).is_ok(), "{:?}", Exposition::parse(text.as_bytes(), Prometheus).err());
        round_trip(&text, Prometheus)?;
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Prometheus, OpenMetrics] {
            let _ = Exposition::parse(&bytes, format);
        }
    }
}

fn round_trip(text: &str, format: Format) -> Result<(), TestCaseError> {
    let Ok(first) = Exposition::parse(text.as_bytes(), format) else { return Ok(()) };
    let printed = first.to_string();
    let second = Exposition::parse(printed.as_bytes(), format);
    let second = second.map_err(|error| TestCaseError::fail(format!("{error} in {printed:?} of {text:?}")))?;
    prop_assert_eq!(first.families(), second.families());
    prop_assert_eq!(parsed(text, format), parsed(&printed, format));
    prop_assert_eq!(second.to_string(), printed);
    Ok(())
}
