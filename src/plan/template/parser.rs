//! Whether the actions of a template make sense together.

use super::lexer::{Kind, Token, actions};
use crate::text::cut;

/// The longest piece of a template that is repeated in a message.
const SHOWN: usize = 40;

/// The functions of Go's templates and those that Prometheus adds.
const FUNCTIONS: [&str; 49] = [
    "and",
    "args",
    "call",
    "eq",
    "externalURL",
    "first",
    "ge",
    "graphLink",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "js",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "now",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "query",
    "reReplaceAll",
    "safeHtml",
    "slice",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "tmpl",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "urlquery",
    "value",
];

/// What every template of an alert starts with.
const VARIABLES: [&str; 5] = ["$", "$labels", "$externalLabels", "$externalURL", "$value"];

/// Words that begin an action of their own.
const KEYWORDS: [&str; 10] = ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

pub(super) fn check(template: &str) -> Result<(), String> {
    let mut parser = Parser { variables: VARIABLES.map(str::to_owned).to_vec(), open: Vec::new() };
    for action in actions(template)? {
        parser.action(&action)?;
    }
    match parser.open.last() {
        Some(open) => Err(format!("{{{{{}}}}} has no {{{{end}}}}", open.keyword)),
        None => Ok(()),
    }
}

struct Parser {
    /// The variables that are known here.
    variables: Vec<String>,
    open: Vec<Open>,
}

/// Something that `{{end}}` ends.
struct Open {
    keyword: &'static str,
    otherwise: bool,
    /// The variables that are known behind its end.
    variables: Vec<String>,
}

/// What the first operand of a command is.
#[derive(PartialEq)]
enum Operand {
    Constant,
    /// Something that can be called, or has fields.
    Other,
}

impl Parser {
    fn action(&mut self, tokens: &[Token<'_>]) -> Result<(), String> {
        let Some(first) = tokens.first() else { return Err("an action is empty".into()) };
        let rest = &tokens[1..];
        let keyword = KEYWORDS.into_iter().find(|keyword| first.kind == Kind::Word && *keyword == first.text);
        match keyword {
            None => self.pipeline(tokens, ""),
            Some(keyword @ ("if" | "with" | "range")) => {
                self.begin(keyword, self.variables.clone());
                self.pipeline(rest, keyword)
            }
            Some("else") => self.otherwise(rest),
            Some("end") => {
                let Some(open) = self.open.pop() else { return Err("{{end}} ends nothing".into()) };
                self.variables = open.variables;
                nothing_behind("end", rest)
            }
            Some(keyword @ ("break" | "continue")) => {
                if !self.open.iter().any(|open| open.keyword == "range") {
                    return Err(format!("{{{{{keyword}}}}} is outside of a {{{{range}}}}"));
                }
                nothing_behind(keyword, rest)
            }
            Some(keyword) => self.named(keyword, rest),
        }
    }

    fn begin(&mut self, keyword: &'static str, variables: Vec<String>) {
        self.open.push(Open { keyword, otherwise: false, variables });
    }

    fn otherwise(&mut self, rest: &[Token<'_>]) -> Result<(), String> {
        let open = self.open.last_mut().filter(|open| matches!(open.keyword, "if" | "with" | "range"));
        let Some(open) = open.filter(|open| !open.otherwise) else {
            return Err("{{else}} belongs to nothing".into());
        };
        match rest.first() {
            Some(token) if token.kind == Kind::Word && token.text == open.keyword && open.keyword != "range" => {
                let keyword = open.keyword;
                self.pipeline(&rest[1..], keyword)
            }
            _ => {
                open.otherwise = true;
                nothing_behind("else", rest)
            }
        }
    }

    /// `define`, `block` and `template`, each with the name of a template.
    fn named(&mut self, keyword: &'static str, rest: &[Token<'_>]) -> Result<(), String> {
        if !rest.first().is_some_and(|name| name.kind == Kind::Text && !name.text.starts_with('\'')) {
            return Err(format!("{{{{{keyword}}}}} needs the name of a template, as a string"));
        }
        let rest = &rest[1..];
        match keyword {
            "define" if !self.open.is_empty() => Err("{{define}} is inside of another block".into()),
            "define" => {
                let outside = std::mem::replace(&mut self.variables, vec!["$".into()]);
                self.begin(keyword, outside);
                nothing_behind(keyword, rest)
            }
            "block" => {
                self.pipeline(rest, keyword)?;
                let outside = std::mem::replace(&mut self.variables, vec!["$".into()]);
                self.begin(keyword, outside);
                Ok(())
            }
            _ if rest.is_empty() => Ok(()),
            _ => self.pipeline(rest, keyword),
        }
    }

    /// Commands joined by `|`, behind variables that take their value. `keyword` is what the action begins with, if so.
    fn pipeline(&mut self, tokens: &[Token<'_>], keyword: &str) -> Result<(), String> {
        let kind = |index: usize| tokens.get(index).map(|token| token.kind);
        let declared = match (kind(0), kind(1), kind(2), kind(3)) {
            (Some(Kind::Variable), Some(Kind::Declare), ..) => 1,
            (Some(Kind::Variable), Some(Kind::Comma), Some(Kind::Variable), Some(Kind::Declare))
                if keyword == "range" =>
            {
                2
            }
            _ => 0,
        };
        let names = tokens.iter().filter(|token| token.kind == Kind::Variable).take(declared);
        let names: Vec<String> = names.map(|token| token.text.to_owned()).collect();
        let mut rest = &tokens[2 * declared..];
        for stage in 1.. {
            let (first, behind) = self.command(rest, keyword)?;
            if stage > 1 && first == Operand::Constant {
                return Err("a value cannot be called: a function belongs behind |".into());
            }
            match behind.split_first() {
                Some((pipe, behind)) if pipe.kind == Kind::Pipe => rest = behind,
                Some((token, _)) => return Err(unexpected(token)),
                None => break,
            }
        }
        self.variables.extend(names);
        Ok(())
    }

    /// Operands up to the end or a `|`; with what the first one is, and what is left.
    fn command<'k, 't>(
        &mut self,
        tokens: &'k [Token<'t>],
        keyword: &str,
    ) -> Result<(Operand, &'k [Token<'t>]), String> {
        let mut first = None;
        let mut rest = tokens;
        while let Some(token) = rest.first().filter(|token| token.kind != Kind::Pipe) {
            if first.is_some() && token.glued {
                return Err(unexpected(token));
            }
            let (operand, behind) = self.operand(rest)?;
            first.get_or_insert(operand);
            rest = behind;
        }
        match first {
            Some(first) => Ok((first, rest)),
            None if keyword.is_empty() => Err("a command is missing".into()),
            None => Err(format!("{{{{{keyword}}}}} needs a value")),
        }
    }

    /// A term and the fields behind it.
    fn operand<'k, 't>(&mut self, tokens: &'k [Token<'t>]) -> Result<(Operand, &'k [Token<'t>]), String> {
        let Some((token, mut rest)) = tokens.split_first() else { return Err("a value is missing".into()) };
        let operand = match token.kind {
            Kind::Word if matches!(token.text, "true" | "false" | "nil") => Operand::Constant,
            Kind::Word if KEYWORDS.contains(&token.text) => return Err(unexpected(token)),
            Kind::Word if FUNCTIONS.contains(&token.text) => Operand::Other,
            Kind::Word => return Err(format!("there is no function {:?}", cut(token.text, SHOWN))),
            Kind::Variable if self.variables.iter().any(|known| known == token.text) => Operand::Other,
            Kind::Variable => return Err(format!("the variable {:?} is not defined", cut(token.text, SHOWN))),
            Kind::Dot | Kind::Number | Kind::Text => Operand::Constant,
            Kind::Field => Operand::Other,
            Kind::Open => {
                rest = self.parenthesis(rest)?;
                Operand::Other
            }
            Kind::Pipe | Kind::Close | Kind::Comma | Kind::Declare => return Err(unexpected(token)),
        };
        while let Some(field) =
            rest.first().filter(|field| field.glued && matches!(field.kind, Kind::Field | Kind::Dot))
        {
            if operand == Operand::Constant || field.kind == Kind::Dot {
                return Err(unexpected(field));
            }
            rest = &rest[1..];
        }
        Ok((operand, rest))
    }

    /// What stands behind an opening parenthesis; with what is left behind the closing one.
    fn parenthesis<'k, 't>(&mut self, tokens: &'k [Token<'t>]) -> Result<&'k [Token<'t>], String> {
        let mut depth = 1_usize;
        for (index, token) in tokens.iter().enumerate() {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.pipeline(&tokens[..index], "")?;
                return Ok(&tokens[index + 1..]);
            }
        }
        Err("a parenthesis is not closed".into())
    }
}

fn nothing_behind(keyword: &str, rest: &[Token<'_>]) -> Result<(), String> {
    match rest.first() {
        Some(token) => Err(format!("{:?} cannot follow {{{{{keyword}", cut(token.text, SHOWN))),
        None => Ok(()),
    }
}

fn unexpected(token: &Token<'_>) -> String {
    format!("{:?} is not expected here", cut(token.text, SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_taken_and_refused_as_prometheus_does() {
        for template in [
            "",
            "plain } }} text",
            "{{ $x := 5 }}{{ $x }}{{if $y := 6}}{{$y}}{{end}}",
            "{{ nil }}",
            "{{ $value.x.y | printf \"%.2f\" | humanize }}",
            "{{ range $i, $e := query \"up\" }}{{ $e }}{{ else }}x{{ end }}",
            "{{/* c */}}{{- /* d */ -}} {{ 'x' }} {{ 0x1F }} {{ 1e3 }} {{ 1.5i }}",
            "{{ template \"x\" . }}{{ define \"y\" }}{{ . }}{{ end }}{{ block \"b\" . }}q{{ end }}",
            "{{ $x = 5 }}",
            "{{ $labels = 5 }}",
            "{{ 5 $value }}",
            "{{ ($value) $value }}",
            "{{ . }} {{ $ }} {{ $.Value }} {{ .Labels.x }} {{ (len .Labels).x }}",
            "{{ if 1 }}x{{ else if 2 }}y{{ else }}z{{ end }}",
            "{{ -5 }} {{ +5 }} {{- 5 }} {{5 -}}",
            "{{ humanize.x }}",
            "{{ with $x := 1 }}{{ $x }}{{ else }}{{ $x }}{{ end }}",
            "{{\n$value\n}}",
            "{{ $labels.x | reReplaceAll `a` \"b\"}}",
            "{{ $labels.ü }} {{ .5 }} {{ 1_000 }} {{ 0b11 }} {{ 0o7 }}",
            "{{ and nil nil }} {{ not true false }} {{ print nil }}",
            "{{ range query \"up\" }}{{ if .Value }}{{ break }}{{ end }}{{ .Labels.job }}{{ end }}",
            "{{ with printf \"up{job='%s'}\" $labels.job | query }}{{ . | first | value | humanizePercentage }}{{ end }}",
        ] {
            assert_eq!(check(template), Ok(()), "{template}");
        }
        for (template, wanted) in [
            ("{{ $foo }}", "the variable \"$foo\" is not defined"),
            ("{{ foo }}", "there is no function \"foo\""),
            ("{{ ü }}", "there is no function \"ü\""),
            ("{{ ", "}} is missing"),
            ("{{ end", "}} is missing"),
            ("x }} {{ end }}", "{{end}} ends nothing"),
            ("{{ if 1 }}{{ end }} {{ end }}", "{{end}} ends nothing"),
            ("{{ if .Value }}", "{{if}} has no {{end}}"),
            ("{{ }}", "an action is empty"),
            ("{{ \"abc }}", "a string is not closed"),
            ("{{ \"a\nb\" }}", "a string is not closed"),
            ("{{ $value | 5 }}", "a function belongs behind |"),
            ("{{ $value | }}", "a command is missing"),
            ("{{ (len $labels }}", "a parenthesis is not closed"),
            ("{{ $labels.x ) }}", "\")\" is not expected here"),
            ("{{ else }}", "{{else}} belongs to nothing"),
            ("{{ if 1 }}x{{ else }}y{{ else }}z{{ end }}", "{{else}} belongs to nothing"),
            ("{{if $y := 6}}{{$y}}{{end}}{{$y}}", "\"$y\" is not defined"),
            ("{{ $labels.a-b }}", "'-' cannot follow \".a\""),
            ("{{ $labels. }}", "\".\" is not expected here"),
            ("{{ $labels.x.}} {{ a }}", "\".\" is not expected here"),
            ("{{ /* c */ }}", "'/' means nothing"),
            ("{{ define \"x\" }}{{ $value }}{{ end }}", "\"$value\" is not defined"),
            ("{{ if 1 }}{{ define \"x\" }}{{ end }}{{ end }}", "{{define}} is inside of another block"),
            ("{{ break }}", "{{break}} is outside of a {{range}}"),
            ("{{ \"a\".b }}", "\".b\" is not expected here"),
            ("{{ true.x }}", "\".x\" is not expected here"),
            ("{{ $value & 5 }}", "'&' means nothing"),
            ("{{ $value }", "'}' means nothing"),
            ("{{ $value{{ }}", "'{' cannot follow \"$value\""),
            ("{{ 5x }}", "\"5x\" is not a number"),
            ("{{1__0}}", "\"1__0\" is not a number"),
            ("{{ \"\\q\" }}", "\\q is not an escape"),
            ("{{ '' }}", "one character"),
            ("{{ if }}x{{ end }}", "{{if}} needs a value"),
            ("{{ range }}{{end}}", "{{range}} needs a value"),
            ("{{ $value, 5 }}", "\",\" is not expected here"),
            ("{{ template }}", "{{template}} needs the name of a template"),
            ("{{ $labels.job | queryEscape }}", "there is no function \"queryEscape\""),
        ] {
            let message = check(template).unwrap_err();
            assert!(message.contains(wanted), "{template}: {message}");
        }
    }
}
