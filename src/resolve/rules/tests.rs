//! What rules as text may say, and what calls for them.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::resolve::tree::Reason;
use crate::span::SourceText;

fn read(text: &str) -> (Vec<Rule>, Vec<Finding>) {
    let source = Arc::new(SourceText {
        name: "/etc/jailctl/rules.d/x.toml".to_owned(),
        text: text.to_owned(),
    });
    let mut findings = Vec::new();
    let rules = host_rules::read(&source, &mut findings).expect("small enough");
    (rules, findings)
}

fn one(keys: &str) -> Rule {
    let (rules, findings) = read(&format!("[[rule]]\nname = \"x\"\nreason = \"x\"\n{keys}"));
    assert_eq!(findings, []);
    rules.into_iter().next().expect("a rule")
}

#[test]
fn the_built_in_rules_are_well_formed() {
    let mut names = BTreeSet::new();
    for rule in Rules::built_in().expect("valid rules").unused {
        assert!(names.insert(rule.name.clone()), "two rules: {}", rule.name);
        assert!(
            rule.adds_something() || rule.says_something(),
            "{rule:?} does nothing"
        );
    }
    assert!(names.len() > 50, "{names:?}");
}

#[test]
fn all_findings_are_reported_at_once_with_their_lines() {
    let (rules, findings) = read(
        r#"
        [rules]
        [[rule]]
        reason = "no name"
        programs = ["*", "a/b", 7]
        add = ["/", "usr", "/proc/cpuinfo", "/{etc/shadow,etc/motd}", "/*/x", "/../x", "/good"]
        [[rule]]
        name = "Bad Name"
        libraries = ["", "/lib"]
        aliases = ["/etc/passwd", "/usr/bin/*"]
        exclud = ["x"]
        frobnicate = 1
        dereference = "yes"
        max_megabytes = 0
        helpers = "gzip"
        [[rule]]
        name = "called-by-nothing"
        reason = ""
        add = ["/x"]
        [[rule]]
        name = "good"
        reason = "good"
        programs = ["x"]
        add = ["/x"]
        "#,
    );
    assert_eq!(
        rules.iter().map(|rule| &*rule.name).collect::<Vec<_>>(),
        ["good"]
    );
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| {
            let (span, label) = finding.span.as_ref().expect("a line");
            format!("{}: {} [{label}]", span.position().0, finding.what)
        })
        .collect();
    let wanted = [
        "2: unknown key `rules` []",
        "3: a rule has no `name` []",
        "5: `programs` has a value of another type [a string is wanted here]",
        "5: `programs` may not hold `*`: it stands for any program [stands for any program]",
        "5: `programs` may not hold `a/b`: it is neither a name nor a whole path [is neither a name nor a whole path]",
        "6: `add` may not hold `/*/x`: it stands for the whole host [stands for the whole host]",
        "6: `add` may not hold `/../x`: it",
        "6: `add` may not hold `/proc/cpuinfo`: it is made up by the kernel",
        "6: `add` may not hold `/{etc/shadow,etc/motd}`: it is made up by the kernel, or holds the host's secrets",
        "6: `add` may not hold `/`: it stands for the whole host",
        "6: `add` may not hold `usr`: it is not an absolute path",
        "8: `name` may not hold `Bad Name`",
        "9: `libraries` may not hold ``: it stands for any file",
        "9: `libraries` may not hold `/lib`: it is not how a file's name begins",
        "10: `aliases` may not hold `/etc/passwd`: it is a place of jailctl's own",
        "10: `aliases` may not hold `/usr/bin/*`: it has a `*`",
        "11: unknown key `exclud` [did you mean `exclude`?]",
        "12: unknown key `frobnicate` []",
        "13: `dereference` has a value of another type",
        "14: `max_megabytes` has a value of another type [a number of megabytes from 1 is wanted here]",
        "15: `helpers` has a value of another type [an array of strings is wanted here]",
        "16: nothing calls for a rule []",
        "18: `reason` may not hold ``: it is empty",
    ];
    for line in wanted {
        assert!(
            lines.iter().any(|found| found.starts_with(line)),
            "{line}\nis not in {lines:#?}"
        );
    }
    assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
}

#[test]
fn syntax_errors_have_spans() {
    let (rules, findings) = read("[[rule]]\nname = \"x\"\nadd = [\"/x\"\nprograms = [\"x\"]\n");
    assert!(rules.is_empty());
    assert!(!findings.is_empty());
    for finding in findings {
        assert!(finding.span.is_some(), "{finding:?}");
    }
}

#[test]
fn exceptions_count_from_the_top_of_a_tree_and_hold_for_what_is_below() {
    let rule =
        one("programs = [\"x\"]\nadd = [\"/x\"]\nexclude = [\"{doc,b*}\", \"hooks/x.sample\"]");
    for out in ["doc", "doc/a/b", "bin", "hooks/x.sample"] {
        assert!(rule.excepts(Path::new(out)), "{out}");
    }
    for kept in ["docs", "a/doc", "hooks", "hooks/y.sample", "x.sample"] {
        assert!(!rule.excepts(Path::new(kept)), "{kept}");
    }
}

#[test]
fn programs_and_libraries_call_for_a_rule_and_other_files_do_not() {
    let rule =
        one("programs = [\"vim.*\", \"/opt/x/run\"]\nlibraries = [\"libx.so.\"]\nadd = [\"/x\"]");
    let link = || Entry::symlink("x", vec![Reason::rule("test")]);
    let text = || Entry::text("x", 0o755, Reason::rule("test"));
    let called_by = |path: &str, entry: Entry| {
        let mut tree = Tree::default();
        tree.add(JailPath::new(path).expect("a path"), entry)
            .expect("added");
        TriggerIndex::of(&tree).of_rule(&rule, &tree).is_some()
    };
    assert!(called_by("/usr/bin/vim.tiny", link()));
    assert!(called_by("/opt/x/run", link()));
    assert!(called_by("/usr/lib/libx.so.1", link()));
    assert!(!called_by("/usr/bin/vim", link()));
    assert!(!called_by("/etc/vim.tiny", link()));
    assert!(!called_by("/usr/bin/vim.tiny", text()));
}
