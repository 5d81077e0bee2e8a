//! Errors as text: each finding with the line of the spec and a marker under its span.
//!
//! Specs can be hostile: hidden characters of messages and of lines of the spec are escaped.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::error::{Error, Finding};
use crate::span::Span;
use crate::spec::display::{char_boundary_before, is_hidden, visible};

/// Maximum number of findings, and below of lines: about one screen.
const MOST_FINDINGS: usize = 10;
/// Maximum number of lines of all findings.
const MOST_LINES: usize = 50;

/// Longest message, in characters.
const MESSAGE: usize = 500;

/// Maximum width of lines of the spec.
const WIDTH: usize = 100;

/// Text of `error`, with a newline at the end: about one screen of its findings in order, and the
/// number of the rest. With `color`, ANSI colours.
pub fn render(error: &Error, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH);
    let mut shown = String::new();
    let mut lines = 0;
    for (index, finding) in error.findings.iter().enumerate() {
        let block = block(&renderer, finding);
        lines += block.lines().count() + 1;
        if index > 0 && (index == MOST_FINDINGS || lines > MOST_LINES) {
            let more = error.findings.len() - index;
            shown.push_str("\n… and ");
            shown.push_str(&more.to_string());
            shown.push_str(" more\n");
            break;
        }
        if index > 0 {
            shown.push('\n');
        }
        shown.push_str(block.trim_end());
        shown.push('\n');
    }
    shown
}

fn block(renderer: &Renderer, finding: &Finding) -> String {
    let hint = Level::HELP.with_name("hint");
    let Some((span, label)) = &finding.span else {
        let title = Level::ERROR.primary_title(plain(&finding.to_string()));
        let mut groups = vec![Group::with_title(title)];
        groups.extend(
            finding
                .hints
                .iter()
                .map(|text| Group::with_title(hint.clone().primary_title(plain(text)))),
        );
        let lines = groups.into_iter().map(|group| renderer.render(&[group]));
        return lines.collect::<Vec<_>>().join("\n");
    };
    // The label often repeats the reason, next to the value that the reason quotes.
    let title = match &finding.why {
        Some(why) if label.is_empty() || !why.ends_with(label.as_str()) => finding.to_string(),
        _ => finding.what.clone(),
    };
    let line = Line::of(span);
    let path = plain(&span.source.name);
    let marker = AnnotationKind::Primary.span(line.span.clone());
    let marker = if label.is_empty() {
        marker
    } else {
        marker.label(plain(label))
    };
    let snippet = Snippet::source(line.text.as_str())
        .path(path)
        .line_start(line.number)
        .annotation(marker);
    let group = Level::ERROR
        .primary_title(plain(&title))
        .element(snippet)
        .elements(
            finding
                .hints
                .iter()
                .map(|text| hint.clone().message(plain(text))),
        );
    renderer.render(&[group])
}

/// `text` on one line, with hidden characters escaped, cut to [`MESSAGE`] characters.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == MESSAGE {
            shown.push('…');
            break;
        }
        shown.push_str(&visible(c));
    }
    shown
}

/// First line of a span, with hidden characters replaced.
struct Line {
    text: String,
    number: usize,
    /// Part of `text` in the span.
    span: Range<usize>,
}

impl Line {
    fn of(span: &Span) -> Self {
        let text = &span.source.text;
        let start = char_boundary_before(text, span.range.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = text[start..].lines().next().unwrap_or_default();
        let marked = char_boundary_before(rest, span.range.end.saturating_sub(start));
        let shown = |part: &str| part.chars().map(placeholder).collect::<String>();
        let (marked, after) = rest.split_at(marked);
        let (before, marked) = (shown(&text[line_start..start]), shown(marked));
        let span = before.len()..before.len() + marked.len();
        Self {
            text: before + &marked + &shown(after),
            number: text[..start].matches('\n').count() + 1,
            span,
        }
    }
}

/// Replacement for `c`, one character wide, so that columns match those of the file.
fn placeholder(c: char) -> char {
    match c {
        '\t' => '\t',
        '\u{7f}' => '\u{2421}',
        c if c < ' ' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        c if is_hidden(c) => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::ErrorKind;
    use crate::span::SourceText;

    fn span(text: &str, marked: &str) -> Span {
        let start = text.find(marked).expect("marked");
        Span {
            source: Arc::new(SourceText {
                name: "a.toml".to_owned(),
                text: text.to_owned(),
            }),
            range: start..start + marked.len(),
        }
    }

    fn one(finding: Finding) -> String {
        render(&Error::new(ErrorKind::Spec, finding), false)
    }

    #[test]
    fn a_finding_without_a_place_is_plain_lines() {
        let finding = Finding::new("could not read `/x`")
            .why("permission denied")
            .hint("run it as root")
            .hint("or not at all");
        insta::assert_snapshot!(one(finding), @r#"
        error: could not read `/x`: permission denied
        hint: run it as root
        hint: or not at all
        "#);
        assert_eq!(one(Finding::new("could not")), "error: could not\n");
    }

    #[test]
    fn a_finding_with_a_place_shows_the_line() {
        let span = span("name = \"a\"\n\n\tbinaries = [\"ls\"]\r\n", "\"ls\"");
        let finding = Finding::new("no program `ls` on the host's PATH")
            .why("it lies nowhere in `/usr/bin`")
            .with_span(&span, "required here")
            .hint("install it")
            .hint("or take it out");
        insta::assert_snapshot!(one(finding), @r#"
        error: no program `ls` on the host's PATH: it lies nowhere in `/usr/bin`
         --> a.toml:3:14
          |
        3 |     binaries = ["ls"]
          |                 ^^^^ required here
          |
          = hint: install it
          = hint: or take it out
        "#);
    }

    #[test]
    fn a_reason_that_the_label_gives_is_not_said_twice() {
        let span = span("name = 'A'", "'A'");
        let finding = Finding::new("`name` is no name").why("`A` is too loud");
        let shown = one(finding.clone().with_span(&span, "is too loud"));
        assert!(shown.starts_with("error: `name` is no name\n"), "{shown}");
        for label in ["", "here"] {
            let shown = one(finding.clone().with_span(&span, label));
            assert!(
                shown.starts_with("error: `name` is no name: `A` is too loud\n"),
                "{shown}"
            );
        }
    }

    #[test]
    fn long_lines_are_cut_around_the_marker() {
        let text = format!(
            "x = [{}\"mark\"{}]",
            "\"abc\", ".repeat(5000),
            ", \"def\"".repeat(5000)
        );
        let shown = one(Finding::new("too much").with_span(&span(&text, "\"mark\""), "this"));
        assert!(shown.contains(" --> a.toml:1:35006\n"), "{shown}");
        assert!(
            shown.lines().all(|line| line.chars().count() < 130),
            "{shown}"
        );
        assert!(shown.contains("\"mark\""), "{shown}");
    }

    #[test]
    fn nothing_hidden_gets_through() {
        let text = "x = '\u{202e}\u{1b}[31m\u{7f}\u{200b}ü日' # \u{2066}";
        let shown = one(Finding::new("a\u{1b}b\nc")
            .why("d\u{202e}")
            .hint("e\r\u{9b}")
            .with_span(&span(text, "日"), "f\u{7}\ng"));
        insta::assert_snapshot!(shown, @r#"
        error: a\u{1b}b\nc: d\u{202e}
         --> a.toml:1:15
          |
        1 | x = '�␛[31m␡�ü日' # �
          |               ^^ f\u{7}\ng
          |
          = hint: e\r\u{9b}
        "#);
        let mut hostile = span(text, "日");
        hostile.source = Arc::new(SourceText {
            name: "b\u{1b}]0;x\u{7}\n.toml".to_owned(),
            text: text.to_owned(),
        });
        let shown = one(Finding::new("a").with_span(&hostile, ""));
        assert!(
            shown.chars().all(|c| c == '\n' || !is_hidden(c)),
            "{shown:?}"
        );
    }

    #[test]
    fn places_that_are_not_in_the_text_do_no_harm() {
        for range in [0..0, 3..900, 900..901, 1..1, 2..3] {
            let mut span = span("é = 'x'\n", "x");
            span.range = range;
            let shown = one(Finding::new("a").with_span(&span, "b"));
            assert!(shown.contains("a.toml:"), "{span:?}{shown}");
        }
    }

    #[test]
    fn one_screen_is_enough() {
        let findings = |count: usize| {
            (0..count)
                .map(|n| Finding::new(format!("wrong {n}")))
                .collect()
        };
        let shown = |count| {
            render(
                &Error {
                    kind: ErrorKind::Spec,
                    findings: findings(count),
                },
                false,
            )
        };
        assert!(shown(10).ends_with("\nerror: wrong 9\n"));
        assert!(shown(13).ends_with("\nerror: wrong 9\n\n… and 3 more\n"));
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        let finding = Finding::new("a")
            .hint("b")
            .with_span(&span("x = 1", "1"), "c");
        let error = Error::new(ErrorKind::Spec, finding);
        let coloured = render(&error, true);
        assert!(coloured.contains('\u{1b}'));
        assert!(!render(&error, false).contains('\u{1b}'));
    }
}
