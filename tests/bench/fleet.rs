//! Time of every verb with many jails on one host, per jail: what it costs, and how the cost grows.
//!
//! `cargo bench --bench fleet`, as root; `-- 50 200` names the numbers of jails (default 50, 100,
//! 200, 400). `JAILCTL=FILE` measures another build of jailctl. `CALLS=1` counts processes and
//! system calls with strace(1) instead of the time. The exit status is 0 if the cost of no verb
//! grows by more than the limit between the smallest number and the largest.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a measurement prints, and has nothing to clean up"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use disposable::{DisposableHost, Key};

/// Most that the cost per jail may grow by between the smallest number of jails and the largest.
const GROWTH: f64 = 1.15;
/// Numbers of jails, unless named.
const COUNTS: [usize; 4] = [50, 100, 200, 400];
/// The groups and accounts of a fleet alone, by the tools of shadow.
const FLOOR_NAME: &str = "groupadd and useradd";
/// The script for that.
const FLOOR: &str = "for n in $(seq -w 0 9999 | head -n $1); do
    groupadd floor-$n
    useradd --no-create-home --no-log-init --gid floor-$n --password '*' --shell /jail/bin/bash floor-$n
done";
/// Peak memory of the measured command, in KiB, is written here.
const PEAK: &str = "/run/peak";

/// The values of a verb for each number of jails.
#[derive(Default)]
struct Row {
    name: &'static str,
    values: Vec<f64>,
}

/// A measured command.
struct Measure {
    name: &'static str,
    /// Milliseconds, or calls, for each jail that the command is about.
    value: f64,
    /// Number of processes, and peak memory in MiB.
    note: String,
}

fn main() -> ExitCode {
    if let Err(reason) = disposable::available() {
        eprintln!("skipped: {reason}");
        return ExitCode::SUCCESS;
    }
    let named: Vec<usize> = std::env::args()
        .filter_map(|word| word.parse().ok())
        .collect();
    let counts = if named.is_empty() {
        COUNTS.to_vec()
    } else {
        named
    };
    let is_counted = std::env::var_os("CALLS").is_some();
    let mut rows: BTreeMap<(bool, usize), Row> = BTreeMap::new();
    let runs = counts
        .iter()
        .flat_map(|count| [(false, *count), (true, *count)]);
    for (is_family, count) in runs {
        let measures = measure(count, is_family, is_counted);
        for (at, measure) in measures.into_iter().enumerate() {
            println!(
                "{count:>5} {:<6} {:<22} {:>10.3} {} a jail{}",
                if is_family { "users" } else { "specs" },
                measure.name,
                measure.value,
                if is_counted { "calls" } else { "ms" },
                measure.note
            );
            let row = rows.entry((is_family, at)).or_default();
            row.name = measure.name;
            row.values.push(measure.value);
        }
    }
    let mut is_kept = true;
    for ((is_family, _), Row { name, values }) in rows {
        let mut line = String::new();
        for value in &values {
            let _ = write!(line, " {value:>10.3}");
        }
        let growth = values[values.len() - 1] / values[0];
        let is_over = growth > GROWTH && name != FLOOR_NAME;
        is_kept &= !is_over;
        let kind = if is_family { "family" } else { "specs" };
        let verdict = if is_over { "  NOT KEPT" } else { "" };
        println!("  {kind:<7}{name:<22}{line}   grows {growth:.2} times{verdict}");
    }
    if is_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A host with jailctl in it, and the key of all users.
fn host() -> (DisposableHost, Key) {
    let program = std::env::var("JAILCTL").unwrap_or(env!("CARGO_BIN_EXE_jailctl").to_owned());
    let host = DisposableHost::builder()
        .jailctl(program)
        .limit(Duration::from_secs(7200))
        .make();
    let key = host.key("key");
    (host, key)
}

/// Measures every verb with `count` jails: of one spec each, or the members of one family.
fn measure(count: usize, is_family: bool, is_counted: bool) -> Vec<Measure> {
    let (host, key) = host();
    let key = key.public.trim();
    let mut specs = Vec::new();
    let write = |name: &str, text: &str| {
        let path = format!("/root/fleet/{name}.toml");
        host.write(&path, text);
        path
    };
    let user = |number: usize| {
        format!("[[user]]\nname = \"u{number:04}\"\nauthorized_keys = [\"{key}\"]\n")
    };
    let programs = "binaries = [\"bash\", \"ls\", \"cat\"]\n";
    let family = |users: usize| {
        let users: String = (0..users).map(user).collect();
        format!("name = \"fleet\"\nroot = \"/srv/jails/%u\"\n{programs}{users}")
    };
    let single = |number: usize| format!("name = \"s{number:04}\"\n{programs}{}", user(number));
    if is_family {
        specs.push(write("fleet", &family(count)));
    } else {
        for number in 0..count {
            specs.push(write(&format!("s{number:04}"), &single(number)));
        }
    }
    let _sshd = host.sshd();
    let build = || -> Vec<&str> {
        let words = ["jailctl", "-q", "build"].into_iter();
        words.chain(specs.iter().map(String::as_str)).collect()
    };
    let mut found = Vec::new();
    let mut take = |name, command: &[&str], per: usize| {
        found.push(measured(&host, name, command, per, is_counted));
    };
    take("build", &build(), count);
    take("first idle build", &build(), count);
    take("later idle build", &build(), count);
    take("first check", &["jailctl", "check"], count);
    take("later check", &["jailctl", "check"], count);
    take("update --all", &["jailctl", "-q", "update", "--all"], count);
    take("list", &["jailctl", "list"], count);
    let (one, path) = if is_family {
        (
            format!("fleet.u{count:04}"),
            write("fleet", &family(count + 1)),
        )
    } else {
        let name = format!("s{count:04}");
        (name.clone(), write(&name, &single(count)))
    };
    // What one more jail costs beside the others, which does not depend on their number.
    take("one more jail", &["jailctl", "-q", "build", &path], 1);
    take("check of one", &["jailctl", "check", &one], 1);
    if is_family {
        host.write(&path, &family(count));
        take("one jail less", &["jailctl", "-q", "build", &path], 1);
        take(
            "remove all",
            &["jailctl", "-q", "remove", "--purge", "fleet"],
            count,
        );
    } else {
        take(
            "one jail less",
            &["jailctl", "-q", "remove", "--purge", &one],
            1,
        );
    }
    take(
        FLOOR_NAME,
        &["bash", "-euc", FLOOR, "floor", &count.to_string()],
        count,
    );
    found
}

/// Runs a command: its time, or its system calls, for each of `per` jails.
fn measured(
    host: &DisposableHost,
    name: &'static str,
    command: &[&str],
    per: usize,
    is_counted: bool,
) -> Measure {
    if is_counted {
        let mut line = vec!["strace", "-f", "-c", "-U", "name,calls", "-o", PEAK, "--"];
        line.extend(command);
        host.run(line).ok();
        let text = host.read(PEAK);
        let calls = |name: &str| -> f64 {
            let mut lines = text.lines().map(str::split_whitespace);
            let found = lines.find_map(|mut words| (words.next() == Some(name)).then_some(words));
            found
                .and_then(|mut words| words.next()?.parse().ok())
                .unwrap_or(0.0)
        };
        return Measure {
            name,
            value: calls("total") / per as f64,
            note: format!(", {:.2} programs", calls("execve") / per as f64),
        };
    }
    let mut line = vec!["/usr/bin/time", "-f", "%M", "-o", PEAK];
    line.extend(command);
    let start = Instant::now();
    host.run(line).ok();
    let value = start.elapsed().as_secs_f64() * 1e3 / per as f64;
    let peak: f64 = host.read(PEAK).trim().parse().unwrap_or(0.0);
    Measure {
        name,
        value,
        note: format!(", peak {:.0} MiB", peak / 1024.0),
    }
}
