//! Sizes of rules: docs/rules.md states the size of what each rule adds, and the statement is true.

use std::collections::BTreeMap;

use disposable::DisposableHost;

use crate::support::{Spec, host};

const RULES: &str = include_str!("../../../src/resolve/rules/builtin.toml");
const PAGE: &str = include_str!("../../../docs/rules.md");

/// Values of a key of a rule, with braces unexpanded.
fn texts(rule: &toml::Value, key: &str) -> Vec<String> {
    let list = rule.get(key).and_then(toml::Value::as_array);
    list.into_iter()
        .flatten()
        .map(|text| text.as_str().expect("a string").to_owned())
        .collect()
}

/// Names on the host that patterns expand to, except those with a `*` left.
fn names(host: &DisposableHost, patterns: &[String]) -> Vec<String> {
    let script = format!("printf '%s\\n' {}", patterns.join(" "));
    let plain = |name: &&str| !name.is_empty() && !name.contains('*');
    let said = host.run(["bash", "-fc", &script]).ok();
    said.stdout()
        .lines()
        .filter(plain)
        .map(str::to_owned)
        .collect()
}

/// Bytes of a size such as `12 MB`; `None` if a rule adds only links or text.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "KB" => Some(number * 1000),
        "MB" => Some(number * 1_000_000),
        _ => None,
    }
}

/// Bytes that each rule adds to a jail with all programs that trigger rules and that the host has.
fn measure(host: &DisposableHost, rules: &[toml::Value]) -> BTreeMap<String, u64> {
    let mut callers: Vec<String> = Vec::new();
    let mut costs = BTreeMap::new();
    for rule in rules {
        let name = rule["name"].as_str().expect("a name").to_owned();
        let callers_of_it = names(host, &texts(rule, "programs"));
        // A link to the program that triggered the rule costs nothing.
        let script = r#"
            sizes=0
            for program in $0; do
                real=$(readlink -f "$(type -P "$program")") || continue
                for caller in $1; do
                    if [ "$real" = "$(readlink -f "$(type -P "$caller")")" ]; then continue 2; fi
                done
                sizes=$((sizes + $(stat -c %s "$real")))
            done
            echo $sizes"#;
        let runs = names(host, &texts(rule, "helpers")).join(" ");
        let size = host.run(["bash", "-fc", script, &runs, &callers_of_it.join(" ")]);
        let size: u64 = size.ok().text().parse().expect("a size");
        costs.insert(name, size);
        callers.extend(callers_of_it);
    }
    callers.sort();
    callers.dedup();
    let mut spec = Spec::arkham(&host.key("harlequin"), &["file", "curl", "less"]);
    spec.more = String::new();
    let text = format!("optional = {callers:?}\n{}", spec.text());
    host.write(&spec.path(), &text);
    host.jailctl(["build", &spec.path()]).ok();
    let manifest = host.read("/var/lib/jailctl/arkham/manifest.json");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    for (path, entry) in manifest["entries"].as_object().expect("entries") {
        let is_program = ["/usr/bin/", "/usr/sbin/", "/usr/local/bin/"]
            .iter()
            .any(|place| path.starts_with(place));
        if entry["type"] != "file" || is_program {
            continue;
        }
        for why in entry["why"].as_array().expect("reasons") {
            if let Some(rule) = why["rule"].as_str() {
                let size = entry["stat"]["size"].as_u64().expect("a size");
                *costs.entry(rule.to_owned()).or_default() += size;
            }
        }
    }
    costs
}

#[disposable::test]
#[expect(clippy::print_stderr, reason = "the table is to be seen")]
fn what_each_rule_costs_is_written_here() {
    let host = host();
    host.sh("localedef -i en_US -f UTF-8 en_US.UTF-8").ok();
    let rules: toml::Value = toml::from_str(RULES).expect("TOML");
    let rules = rules["rule"].as_array().expect("rules");
    let costs = measure(&host, rules);
    let mut rows: BTreeMap<&str, &str> = PAGE
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
            (cells.len() == 6).then(|| (name, cells[4]))
        })
        .collect();
    let mut wrong = Vec::new();
    for rule in rules {
        let name = rule["name"].as_str().expect("a name");
        let measured = costs[name];
        let stated = rows.remove(name);
        eprintln!("{name}: {} KB, stated {stated:?}", measured.div_ceil(1000));
        let Some(stated) = stated else {
            wrong.push(format!("{name} has no row"));
            continue;
        };
        if stated == "as above" {
            continue;
        }
        let most = bytes(stated).unwrap_or(0);
        if measured > most {
            wrong.push(format!("{name} costs {measured} bytes, not {stated}"));
        }
        // A limit far above the size would be no information.
        if measured > 0 && most > 3 * measured + 20_000 {
            wrong.push(format!("{name} costs only {measured} bytes, not {stated}"));
        }
    }
    let names: Vec<&&str> = rows.keys().filter(|row| !row.contains(',')).collect();
    assert!(names.is_empty(), "rows of no rule: {names:?}");
    assert_eq!(wrong, Vec::<String>::new());
}
