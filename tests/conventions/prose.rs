//! The rules of `docs/style.md` that can be checked: words, documentation lines and widths.

use std::path::Path;

use crate::assert_none;
use crate::source::{Source, files_below, is_test, read};

/// The most columns of a line of prose.
const WIDTH: usize = 100;

/// Words without a technical meaning, for which the style guide has others.
const WORDS: [&str; 17] = [
    "anew",
    "besides",
    "deed",
    "deeds",
    "he",
    "him",
    "himself",
    "his",
    "meanwhile",
    "mend",
    "mended",
    "mending",
    "mends",
    "nobody",
    "somebody",
    "told",
    "whoever",
];

/// Phrases, as [`WORDS`].
const PHRASES: [&str; 3] = ["comes along", "for want of", "root's alone"];

/// First words of a documentation line whose subject is then a clause and no noun.
const CLAUSES: [&str; 4] = ["what", "who", "whoever", "whom"];

/// First words of a short documentation line that does not name its object.
const PRONOUNS: [&str; 17] = [
    "both", "he", "his", "it", "its", "neither", "none", "of", "others", "same", "that", "their",
    "them", "these", "they", "this", "those",
];

/// Words that are no nouns: a short documentation line needs another word.
const NO_NOUNS: [&str; 127] = [
    "a",
    "about",
    "above",
    "add",
    "adds",
    "after",
    "again",
    "all",
    "alone",
    "also",
    "an",
    "and",
    "any",
    "are",
    "as",
    "ask",
    "asked",
    "asks",
    "at",
    "be",
    "been",
    "before",
    "below",
    "both",
    "but",
    "by",
    "called",
    "can",
    "cannot",
    "come",
    "comes",
    "did",
    "do",
    "does",
    "done",
    "each",
    "else",
    "ends",
    "every",
    "exists",
    "finds",
    "for",
    "found",
    "from",
    "get",
    "gets",
    "give",
    "given",
    "gives",
    "go",
    "goes",
    "gone",
    "has",
    "have",
    "here",
    "holds",
    "how",
    "if",
    "in",
    "inside",
    "into",
    "is",
    "it",
    "its",
    "keeps",
    "kept",
    "known",
    "left",
    "made",
    "makes",
    "may",
    "missing",
    "more",
    "must",
    "needs",
    "neither",
    "new",
    "no",
    "none",
    "nor",
    "not",
    "nothing",
    "now",
    "of",
    "on",
    "one",
    "only",
    "or",
    "other",
    "others",
    "out",
    "over",
    "own",
    "put",
    "puts",
    "reads",
    "runs",
    "same",
    "says",
    "sees",
    "so",
    "something",
    "stands",
    "still",
    "stored",
    "such",
    "takes",
    "tells",
    "than",
    "that",
    "the",
    "them",
    "then",
    "there",
    "they",
    "this",
    "those",
    "to",
    "under",
    "up",
    "used",
    "wanted",
    "was",
    "well",
    "where",
    "whether",
    "writes",
];

/// The most words of a documentation line that has to name its object.
const SHORT: usize = 4;

/// The words of a text in lower case, without text between backticks.
fn words(text: &str) -> Vec<String> {
    let outside: String = text
        .split('`')
        .step_by(2)
        .collect::<Vec<_>>()
        .join(" CODE ");
    outside
        .split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '-' && c != '_')
        .map(|word| word.trim_matches(['\'', '-']).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// The first word or phrase of the lists in a text.
fn unwanted_word(text: &str) -> Option<&'static str> {
    let words = words(text);
    // The name of the account and group of that name.
    let is_account = [
        "user", "users", "group", "groups", "account", "nogroup", "passwd",
    ]
    .iter()
    .any(|name| words.iter().any(|word| word == name));
    let joined = format!(" {} ", words.join(" "));
    WORDS
        .into_iter()
        .filter(|word| *word != "nobody" || !is_account)
        .chain(PHRASES)
        .find(|unwanted| joined.contains(&format!(" {unwanted} ")))
}

/// A word between backticks counts as a noun, and so does the name of a manual page.
fn lacks_noun(doc: &str) -> bool {
    let words = words(doc);
    let Some(first) = words.first() else {
        return doc.trim_matches(['/', '!', ' ']).is_empty();
    };
    if CLAUSES.contains(&first.as_str()) {
        return true;
    }
    let first = match (first.as_str(), words.get(1)) {
        ("the", Some(second)) if second == "same" || second == "others" => second,
        _ => first,
    };
    let is_short = words.len() <= SHORT;
    let has_code = words.iter().any(|word| word == "code");
    is_short
        && !has_code
        && (PRONOUNS.contains(&first.as_str())
            || words.iter().all(|word| NO_NOUNS.contains(&word.as_str())))
}

/// Documentation of items without a noun: `(line, text)`.
fn docs_without_noun(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut blocks: Vec<(usize, usize, String)> = Vec::new();
    for (line, comment) in &source.comments {
        let Some(text) = comment
            .strip_prefix("///")
            .or_else(|| comment.strip_prefix("//!"))
        else {
            continue;
        };
        match blocks.last_mut() {
            Some((_, last, block)) if *last + 1 == *line => {
                *last = *line;
                block.push('\n');
                block.push_str(text);
            }
            _ => blocks.push((*line, *line, text.to_owned())),
        }
    }
    for (line, _, block) in blocks {
        if lacks_noun(&block) {
            found.push((
                line,
                block.lines().next().unwrap_or_default().trim().to_owned(),
            ));
        }
    }
    found
}

/// Comments with a word of the lists.
fn comment_words(source: &Source) -> Vec<(usize, String)> {
    source
        .comments
        .iter()
        .filter_map(|(line, text)| Some((*line, format!("`{}`: {text}", unwanted_word(text)?))))
        .collect()
}

/// String literals with a word of the lists, without tests and names on disk.
fn string_words(source: &Source) -> Vec<(usize, String)> {
    let product = source.product_code();
    let code: Vec<&str> = product.lines().collect();
    source
        .strings
        .iter()
        .filter(|(line, text)| {
            let code = code.get(line - 1);
            text.contains(' ') && code.is_some_and(|code| !code.contains("serde("))
        })
        .filter_map(|(line, text)| Some((*line, format!("`{}`: {text}", unwanted_word(text)?))))
        .collect()
}

/// Comments that are wider than [`WIDTH`]; a line that is one address cannot be wrapped.
fn wide_comments(text: &str) -> Vec<(usize, String)> {
    let source = Source::parse(text);
    let lines: Vec<&str> = text.lines().collect();
    source
        .comments
        .iter()
        .filter_map(|(line, comment)| {
            let whole = *lines.get(line - 1)?;
            (whole.chars().count() > WIDTH && !comment.contains("://"))
                .then(|| (*line, whole.trim().to_owned()))
        })
        .collect()
}

/// The lines of prose in a Markdown text: no code blocks, tables, HTML comments and headings.
fn markdown_prose(text: &str) -> Vec<(usize, &str)> {
    let mut fence = None;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mark: String = line
            .trim_start()
            .chars()
            .take_while(|c| *c == '`')
            .collect();
        match &fence {
            None if mark.len() >= 3 => fence = Some(mark),
            Some(open) if mark == *open => fence = None,
            None => found.push((index + 1, line)),
            Some(_) => {}
        }
    }
    found
}

fn wide_prose(text: &str) -> Vec<(usize, String)> {
    markdown_prose(text)
        .into_iter()
        .filter(|(_, line)| {
            let is_free = !line.trim_start().starts_with('|') && !line.contains("](");
            is_free && line.chars().count() > WIDTH && !line.contains("://")
        })
        .map(|(line, text)| (line, text.to_owned()))
        .collect()
}

fn prose_words(text: &str) -> Vec<(usize, String)> {
    markdown_prose(text)
        .into_iter()
        .filter_map(|(line, text)| Some((line, format!("`{}`: {text}", unwanted_word(text)?))))
        .collect()
}

fn lines(file: &Path, found: Vec<(usize, String)>) -> impl Iterator<Item = String> {
    found
        .into_iter()
        .map(move |(line, text)| format!("{}:{line}: {text}", file.display()))
}

/// The findings of a check in the Rust files below these directories.
fn in_sources(
    directories: &[&str],
    is_with_tests: bool,
    check: impl Fn(&str) -> Vec<(usize, String)>,
) -> Vec<String> {
    directories
        .iter()
        .flat_map(|directory| files_below(directory, "rs"))
        .filter(|file| is_with_tests || !is_test(file))
        .flat_map(|file| lines(&file, check(&read(&file))).collect::<Vec<_>>())
        .collect()
}

/// The findings of a check in the documents; `CHANGELOG.md` and the licences are not prose.
fn in_documents(check: impl Fn(&str) -> Vec<(usize, String)>) -> Vec<String> {
    let mut files = files_below("docs", "md");
    files.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(Into::into));
    files
        .into_iter()
        .flat_map(|file| lines(&file, check(&read(&file))).collect::<Vec<_>>())
        .collect()
}

const PRODUCT: [&str; 3] = ["src", "session/src", "pam/src"];
const PRODUCT_AND_TESTS: [&str; 5] = ["src", "session/src", "pam/src", "tests", "session/tests"];

#[test]
fn every_doc_line_has_a_noun() {
    assert_none(&in_sources(&PRODUCT, false, |text| {
        docs_without_noun(&Source::parse(text))
    }));
}

#[test]
fn comments_use_the_words_of_the_style_guide() {
    assert_none(&in_sources(&PRODUCT_AND_TESTS, true, |text| {
        comment_words(&Source::parse(text))
    }));
}

#[test]
fn messages_use_the_words_of_the_style_guide() {
    assert_none(&in_sources(&PRODUCT, false, |text| {
        string_words(&Source::parse(text))
    }));
}

#[test]
fn documents_use_the_words_of_the_style_guide() {
    let mut findings = in_documents(prose_words);
    // The page that lists the words.
    findings.retain(|finding| !finding.starts_with("docs/style.md:"));
    assert_none(&findings);
}

#[test]
fn comments_are_at_most_100_columns_wide() {
    let all = ["src", "session", "pam", "tests"];
    assert_none(&in_sources(&all, true, wide_comments));
}

#[test]
fn documents_are_at_most_100_columns_wide() {
    // The reference is generated, a line for each item.
    let mut found = in_documents(wide_prose);
    found.retain(|finding| !finding.starts_with("docs/reference.md:"));
    assert_none(&found);
}

#[test]
fn planted_doc_lines_without_a_noun_are_found() {
    for doc in [
        " Does it.",
        " The same.",
        " Its name.",
        " Of them.",
        " None yet.",
        " Those of a jail.",
        " What the user may do in the jail that the spec describes.",
        " Whoever reads it.",
        " Is it?",
        " Where it stands.",
        " All of them.",
    ] {
        assert!(lacks_noun(doc), "{doc}");
    }
    for doc in [
        " Name of the group.",
        " Reads `path`.",
        " Jail names.",
        " One line.",
        " Whether sshd listens.",
        " Whether the group of the jail exists.",
        " Deletes the store.",
        " `x`.",
    ] {
        assert!(!lacks_noun(doc), "{doc}");
    }
    let source =
        Source::parse("/// Name of the group,\n/// its.\nfn a() {}\n\n/// Does it.\nfn b() {}\n");
    assert_eq!(docs_without_noun(&source), [(5, "Does it.".to_owned())]);
}

#[test]
fn planted_words_are_found() {
    let text = "// Built anew.\n// The user `nobody`, and `deed`.\nfn a() { b(\"what he was told\"); }\n#[serde(rename = \"was told\")]\n#[cfg(test)]\nmod tests { fn c() { d(\"somebody else\") } }\n";
    let source = Source::parse(text);
    assert_eq!(
        comment_words(&source),
        [(1, "`anew`: // Built anew.".to_owned())]
    );
    assert_eq!(
        string_words(&source),
        [(3, "`he`: what he was told".to_owned())]
    );
    assert_eq!(unwanted_word("nobody may log in"), Some("nobody"));
    assert_eq!(unwanted_word("the group nobody"), None);
    assert_eq!(unwanted_word("there, them, other, whisper"), None);
    let page = "Told here.\n```\ntold\n```\n| mend |\n";
    let expected = [(1, "`told`: Told here."), (5, "`mend`: | mend |")];
    assert_eq!(
        prose_words(page),
        expected.map(|(line, text)| (line, text.to_owned()))
    );
}

#[test]
fn planted_wide_lines_are_found() {
    let wide = "x ".repeat(51);
    let text = format!("// {wide}\nlet a = \"{wide}\";\n    /// {wide}\n// see https://{wide}\n");
    let found: Vec<usize> = wide_comments(&text).iter().map(|found| found.0).collect();
    assert_eq!(found, [1, 3]);
    let page = format!("{wide}\n\n| {wide} |\n```sh\n{wide}\n```\n[a]({wide})\n{wide}\n");
    let found: Vec<usize> = wide_prose(&page).iter().map(|found| found.0).collect();
    assert_eq!(found, [1, 8]);
}
