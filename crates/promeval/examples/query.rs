//! Evaluates an expression over a saved exposition.
//!
//! ```text
//! curl -s localhost:9090/metrics > metrics.txt
//! cargo run --example query -- metrics.txt 'sum by (code) (http_requests_total)'
//! ```

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use promeval::number::format_value;
use promeval::{Evaluator, Exposition, Format, Storage, Value, parse};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(path), Some(source)) = (args.next(), args.next()) else {
        return Err("usage: query FILE EXPRESSION".into());
    };
    let expr = parse(&source).map_err(|error| format!("{error}\n{}", error.caret(&source)))?;
    let body = fs::read(path)?;
    let exposition = Exposition::parse(&body, Format::of_file(&body))?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;

    // Series that the expression does not ask for need no memory.
    let mut storage = Storage::default().keeping(expr.selectors());
    storage.ingest(&exposition, now, &[], |_| true)?;

    match Evaluator::new(&storage, now).value(&expr)? {
        Value::Scalar(value) => println!("{}", format_value(value)),
        Value::String(text) => println!("{text:?}"),
        Value::Vector(elements) => {
            for element in elements {
                println!("{} {}", element.labels, format_value(element.value));
            }
        }
        Value::Matrix(series) => {
            for series in series {
                println!("{}", series.labels);
                for point in &series.points {
                    println!("    {} at {} ms", format_value(point.value), point.time);
                }
            }
        }
    }
    Ok(())
}
