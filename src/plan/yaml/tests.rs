//! What is read of a text, and every mistake in it.

use serde::Deserialize;

use super::super::mistakes::Mistakes;
use super::super::written::{Item, Key, List, Map, Must};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping such as {count: 1}")]
struct Sample {
    count: Key<u16>,
    on: Key<bool>,
    text: Key<String>,
    word: Key<Word>,
    maybe: Key<Option<String>>,
    list: Key<List<String>>,
    items: Key<List<Part>>,
    map: Key<Map<u32>>,
    any: Key<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping such as {name: a}")]
struct Part {
    name: Must<String>,
    value: Must<u32>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Word {
    First,
    Second,
}

impl Item for Part {
    const EXAMPLE: &str = "[{name: a, value: 1}]";
    const ALONE: bool = false;
}

fn read(text: &str) -> (Option<Sample>, Vec<String>) {
    let mut mistakes = Mistakes::of(Some(("f", text)));
    let sample = super::read(text, super::Bounds::PLAN, &mut mistakes, "empty");
    let shown = mistakes.sorted().iter().map(|mistake| mistake.to_string().replacen("f:", "", 1)).collect();
    (sample, shown)
}

#[test]
fn what_is_right_is_read() {
    let (sample, mistakes) = read(
        "count: 0x10\non: True\ntext: 404\nword: second\nmaybe: ~\nlist: alone\nitems: [{name: a, value: 1}]\n\
         map: {b: 1, a: 2}\nany: {a: [1, -1, 1.5, null, yes, \"1\"]}\n",
    );
    assert_eq!(mistakes, [""; 0]);
    let sample = sample.unwrap();
    assert_eq!((sample.count.get(), sample.on.get()), (Some(16), Some(true)));
    assert_eq!((sample.text.get().as_deref(), sample.word.get()), (Some("404"), Some(Word::Second)));
    assert_eq!(sample.maybe.get(), Some(None));
    assert_eq!(sample.list.get().unwrap().items[0].value, "alone");
    let items = sample.items.get().unwrap().items;
    let part = &items[0].value;
    assert_eq!((part.name.0.as_ref().unwrap().value.as_str(), part.value.0.as_ref().unwrap().value), ("a", 1));
    let map: Vec<_> = sample.map.get().unwrap().0.into_iter().map(|(key, value)| (key, value.value)).collect();
    assert_eq!(map, [("b".to_owned(), 1), ("a".to_owned(), 2)]);
    assert_eq!(sample.any.get().unwrap(), serde_json::json!({"a": [1, -1, 1.5, null, "yes", "1"]}));
}

#[test]
fn what_is_wrong_is_named_with_its_key_and_its_place() {
    for (text, wanted) in [
        ("count: many", "1:8: count wants a whole number, found the text \"many\" [wrong-type]"),
        ("count: \"1\"", "1:8: count wants a whole number, found the text \"1\" [wrong-type]"),
        ("count: 1.5", "1:8: count wants a whole number, found 1.5 [wrong-type]"),
        ("count: -1", "1:8: count wants a whole number, 0 or more, found -1 [wrong-type]"),
        ("count: 65536", "1:8: count wants a whole number up to 65535, found 65536 [wrong-type]"),
        ("count: true", "1:8: count wants a whole number, found true [wrong-type]"),
        ("count:", "1:1: count wants a whole number, found nothing [wrong-type]"),
        ("count: [1]", "1:8: count wants a whole number, found a list [wrong-type]"),
        ("on: yes", "1:5: on wants true or false, found the text \"yes\" [wrong-type]"),
        ("on: 1", "1:5: on wants true or false, found 1 [wrong-type]"),
        ("text: null", "1:7: text wants text, found null [wrong-type]"),
        ("text:\n  a: b", "1:1: text wants text, found a mapping [wrong-type]"),
        ("word: third", "1:7: unknown value \"third\"; want one of first, second [unknown-value]"),
        ("word: 3", "1:7: word wants one of first, second, found 3 [wrong-type]"),
        ("maybe: [a]", "1:8: maybe wants text, found a list [wrong-type]"),
        ("list: {a: b}", "1:7: list wants a list such as [requests_total], found a mapping [wrong-type]"),
        ("list: ~", "1:7: list wants a list such as [requests_total], found ~ [wrong-type]"),
        ("list: [a, [b]]", "1:11: list[1] wants text, found a list [wrong-type]"),
        ("items: a", "1:8: items wants a list such as [{name: a, value: 1}], found the text \"a\" [wrong-type]"),
        ("items: {name: a}", "1:8: items wants a list such as [{name: a, value: 1}], found a mapping [wrong-type]"),
        ("items: [a]", "1:9: items[0] wants a mapping such as {name: a}, found the text \"a\" [wrong-type]"),
        ("items: [{name: a}]", "1:9: the key \"value\" is missing in items[0] [missing-key]"),
        ("map: [a]", "1:6: map wants a mapping such as {name: value}, found a list [wrong-type]"),
        ("map: {a: b}", "1:10: map.a wants a whole number, found the text \"b\" [wrong-type]"),
        ("any: .nan", "1:6: any wants a number that JSON has, found .nan [wrong-type]"),
        ("- a", "1:1: the file wants a mapping such as {count: 1}, found a list [wrong-type]"),
        ("counts: 1", "1:1: unknown key \"counts\"; did you mean \"count\"? [unknown-key]"),
        ("? [a]\n: b", "1:3: a key is text, and this is a list or a mapping [wrong-type]"),
        (
            "count: 1\non: true\ncount: 2",
            "3:1: the key \"count\" is duplicated; the first one is at 1:1 [duplicate-key]",
        ),
        ("count: !port 1", "1:14: the tag !port has no meaning here [yaml]"),
        ("count: [", "1:8: the file is not valid YAML: unclosed bracket '[' [yaml]"),
        ("count: 1\n---\ncount: 2", "2:1: the file holds several YAML documents; want one [yaml]"),
        ("# nothing", " empty [empty]"),
        ("null", " empty [empty]"),
    ] {
        assert_eq!(read(text).1, [wanted], "{text:?}");
    }
    let (_, unknown) = read("xyz: 1");
    assert!(unknown[0].starts_with("1:1: unknown key \"xyz\"; the keys here are count, on, text"), "{unknown:?}");
}

#[test]
fn a_mistake_hides_no_other_and_brings_none() {
    let (sample, mistakes) = read(
        "count: many\nitems:\n- {nam: a, value: 1}\n- {name: b}\n- {}\n- {other: 1}\n- {name: [], value: x}\nonn: true\n\
         text: fine\n",
    );
    let starts: Vec<&str> = mistakes.iter().map(|line| line.split([';', ',']).next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "1:8: count wants a whole number",
            "3:4: unknown key \"nam\"",
            "4:3: the key \"value\" is missing in items[1] [missing-key]",
            "5:3: the key \"name\" is missing in items[2] [missing-key]",
            "5:3: the key \"value\" is missing in items[2] [missing-key]",
            "6:4: unknown key \"other\"",
            "7:10: items[4].name wants text",
            "7:21: items[4].value wants a whole number",
            "8:1: unknown key \"onn\"",
        ]
    );
    // What an unknown key is similar to is not taken for left out.
    let sample = sample.unwrap();
    assert!(sample.on.is_wrong() && sample.count.is_wrong() && !sample.word.is_wrong());
    assert_eq!(sample.text.get().as_deref(), Some("fine"));
}

#[test]
fn places_count_characters_and_know_no_byte_order_mark() {
    for (text, wanted) in [
        ("map: {ü: x}", "1:10: map.ü"),
        ("map: {\"ü\": 1, 中: x}", "1:18: map.中"),
        ("\u{feff}count: x", "1:8: count"),
        ("on: true\r\ncount: x\r\n", "2:8: count"),
        ("map:\n  a: 1\n  b: x", "3:6: map.b"),
        ("list:\n- a\n- [b]", "3:3: list[1]"),
        ("map:\n- a", "1:1: map wants"),
        ("items:\n- - a", "2:3: items[0]"),
        ("count: !!str 1", "1:14: count"),
        ("count: &x many", "1:11: count"),
    ] {
        let (_, mistakes) = read(text);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(wanted), "{text:?}: {mistakes:?}");
    }
}

#[test]
fn an_alias_is_placed_where_it_is_written_and_named_where_it_is_used() {
    let (sample, mistakes) = read("map: &m {a: 1}\nany: *m\n");
    assert_eq!((sample.unwrap().any.get(), mistakes.len()), (Some(serde_json::json!({"a": 1})), 0));
    assert_eq!(
        read("text: &t abc\ncount: *t\n").1,
        ["1:10: count wants a whole number, found the text \"abc\"; it is used by the alias at 2:8 [wrong-type]"]
    );
    // The same mistake by two ways is told once for each way.
    assert_eq!(read("text: &t abc\ncount: *t\nmap: {a: *t}\n").1.len(), 2);
}

#[test]
fn a_merge_brings_in_what_the_mapping_does_not_have() {
    let (sample, mistakes) =
        read("any: {a: &a {x: 1, y: 1}, b: &b {y: 2, z: 2}, c: {<<: [*a, *b], x: 0}, d: {<<: *b}}\n");
    assert_eq!(mistakes, [""; 0]);
    let any = sample.unwrap().any.get().unwrap();
    assert_eq!(any["c"], serde_json::json!({"x": 0, "y": 1, "z": 2}));
    assert_eq!(any["d"], serde_json::json!({"y": 2, "z": 2}));
    assert_eq!(
        read("map: {<<: 1}").1,
        ["1:11: << wants a mapping or a list of mappings, each by its alias [wrong-type]"]
    );
}

#[test]
fn everything_is_bounded() {
    let bomb = |levels: usize, width: usize| {
        let mut text = "any:\n  a0: &a0 [x]\n".to_owned();
        for level in 1..levels {
            let uses = vec![format!("*a{}", level - 1); width].join(", ");
            text += &format!("  a{level}: &a{level} [{uses}]\n");
        }
        text
    };
    let merges = |levels: usize| {
        let mut text = "any:\n  m0: &m0 {k: 1}\n".to_owned();
        for level in 1..levels {
            text += &format!("  m{level}: &m{level} {{<<: [*m{0}, *m{0}, *m{0}], k{level}: 1}}\n", level - 1);
        }
        text
    };
    for (name, text, wanted) in [
        ("alias bomb", bomb(9, 9), "repeat over 50000 values"),
        ("alias chain", bomb(60, 1), "nested over 32 levels"),
        ("aliases", format!("any: [&a 1{}]", ", *a".repeat(1001)), "over 1000 aliases"),
        ("lists", format!("any: {}", "[".repeat(100_000)), "nested over 32 levels"),
        ("blocks", format!("any:\n  {}a", "- ".repeat(1000)), "nested over 32 levels"),
        ("mappings", format!("any: {}", "{a: ".repeat(1000)), "nested over 32 levels"),
        ("values", format!("any: [{}]", "1, ".repeat(30_000)), "over 20000 values"),
        ("itself", "any: &a [*a]".into(), "inside of what it names"),
        ("merges", merges(300), "over 20000 values"),
    ] {
        let (_, mistakes) = read(&text);
        assert!(mistakes.len() == 1 && mistakes[0].contains(wanted), "{name}: {mistakes:?}");
    }
    assert_eq!(read(&merges(100)).1, [""; 0]);
    // What is long is not repeated whole.
    let long = "x".repeat(10_000);
    for text in
        [format!("count: {long}"), format!("word: {long}"), format!("\"{long}\": 1"), format!("map: {{? {long} : x}}")]
    {
        let (_, mistakes) = read(&text);
        assert!(mistakes.len() == 1 && mistakes[0].len() < 300, "{:?}", mistakes[0].len());
    }
}

#[test]
fn a_secret_that_is_written_inline_is_not_repeated() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Secrets {
        #[serde(rename = "headers")]
        _headers: Key<Map<String>>,
        #[serde(rename = "token")]
        _token: Key<Map<String>>,
    }
    let text = "headers: \"Authorization: Bearer s3cret\"\ntoken: s3cret\n";
    let mut mistakes = Mistakes::of(Some(("f", text)));
    super::read::<Secrets>(text, super::Bounds::PLAN, &mut mistakes, "empty");
    let shown = mistakes.sorted().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(shown.contains("headers wants a mapping such as {name: value}, found text"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}
