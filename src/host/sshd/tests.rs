//! The parser of Match lines compared with sshd itself: random configurations, and for each block
//! whether `sshd -T -C` uses its settings.
//!
//! 256 configurations by default; `PROPTEST_CASES` is the number of them. They are on a tmpfs in a
//! mount namespace of the test. Needs root.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestCaseResult, TestRunner};

use super::config::Config;
use super::connection_specs::{Block, conn_specs};
use super::lexer::Reading;
use super::match_line::{Client, ConnSpec};
use crate::host::accounts::Accounts;
use crate::host::command::{Invocation, Output};
use crate::host::dir::Dir;
use crate::host::stat::Ownership;
use crate::host::view::HostView;
use crate::host::writer::Host;

/// Directory of the configurations.
const PLACE: &str = "/run";
const FILES: [&str; 3] = ["main", "first", "second"];
const USERS: [&str; 4] = ["root", "daemon", "www-data", "nosuchuser"];

/// Criteria with values that every sshd accepts.
const GOOD: &[(&str, &str)] = &[
    ("user", "root"),
    ("User", "r*,!ro?"),
    ("USER", "!root,*"),
    ("user", "d?emon,www-*"),
    ("user", "a,"),
    ("user", ","),
    ("group", "root"),
    ("Group", "www-data,d*"),
    ("group", "!root,*"),
    ("group", "*,!daemon"),
    ("host", "*.example"),
    ("Host", "LocalHost"),
    ("host", "*,!mail.*"),
    ("host", "?1.*,*lo*"),
    ("address", "10.0.0.0/8"),
    ("Address", "10.0.0.0/8,!10.1.0.0/16"),
    ("address", "!127.0.0.0/24,127.0.*"),
    ("address", "127.1"),
    ("address", "0x7f.0/16,010.0.0.1"),
    ("address", "2001:db8::/32,!2001:db8:1::/48"),
    ("address", "fe80*,10.0.0.0/x,*::1"),
    ("address", "!10.0.0.0/8"),
    ("address", "*"),
    ("address", "0.0.0.0/0"),
    ("localaddress", "192.168.0.0/16"),
    ("LocalAddress", "127.*,!127.0.0.1"),
    ("localport", "22"),
    ("LocalPort", "2222"),
    ("localport", "+0022"),
    ("localport", "ssh"),
    ("rdomain", "vrf*"),
    ("RDomain", "*,!vrf1"),
];

/// Criteria with values most of which some sshd refuses.
const ODD: &[(&str, &str)] = &[
    ("address", "10.0.0.1/8"),
    ("address", "10.0.0.0/33"),
    ("address", "10.0.0.0/8,"),
    ("address", "!"),
    ("localport", "99999"),
    ("localport", "-1"),
    ("localport", "nosuchservice"),
    ("tagged", "x"),
    ("command", "x"),
    ("!user", "root"),
    ("final", ""),
    ("all", ""),
    ("invalid-user", ""),
    ("version", "*"),
    ("user", ""),
    ("", "root"),
    ("user", "a=b"),
    ("user", "ro#ot"),
    ("#user", "root"),
];

fn written((name, value): (&str, &str), between: &str, quote: usize) -> String {
    let half = (0..=value.len() / 2)
        .rev()
        .find(|at| value.is_char_boundary(*at))
        .unwrap_or(0);
    let (before, after) = value.split_at(half);
    match quote {
        0 => format!("{name}{between}\"{value}\""),
        1 => format!("{name}{between}'{value}'"),
        2 => format!("{name}{between}{before}\"{after}\""),
        3 => format!("{name}{between}\"{before}\"{after}"),
        4 => format!("{name}{between}{before}\\{after}"),
        5 => format!("\"{name}\"{between}{value}"),
        6 => format!("{name}{between}\"{value}"),
        _ => format!("{name}{between}{value}"),
    }
}

/// Arguments of a Match line that every sshd accepts.
fn good_line() -> impl Strategy<Value = String> {
    let criterion = (
        select(GOOD),
        select(&[" ", "=", "\t", "  "][..]),
        5..9_usize,
    )
        .prop_map(|(pair, between, quote)| written(pair, between, quote.max(7)));
    let several = prop::collection::vec(criterion, 1..4).prop_map(|words| words.join(" "));
    let ends = select(&["", "", " ", " # user", "\t#\"'", "\r"][..]);
    let line = (several, ends).prop_map(|(line, end)| line + end);
    prop_oneof![9 => line, 1 => Just("all".to_owned())]
}

/// Arguments of a Match line that some sshd may refuse.
fn odd_line() -> impl Strategy<Value = String> {
    let pair = prop_oneof![3 => select(GOOD), 1 => select(ODD)];
    let between = select(&[" ", "=", " = ", "= ", " =", "==", "\t", ""][..]);
    let criterion = (pair, between, 0..10_usize)
        .prop_map(|(pair, between, quote)| written(pair, between, quote));
    let end = select(
        &[
            "", "", " ", " #", "#x", " \"\"", " \"", "'", " \\", " all", "\x0c",
        ][..],
    );
    (prop::collection::vec(criterion, 0..3), end).prop_map(|(words, end)| words.join(" ") + end)
}

/// A line of one of the files.
#[derive(Clone, Debug)]
enum Part {
    /// A Match line: the text before its arguments, and these.
    Match(&'static str, String),
    /// An Include of one of the files after this one.
    Include,
}

fn part() -> impl Strategy<Value = Part> {
    let keyword = select(
        &[
            "Match ",
            "match\t",
            " Match ",
            "MATCH=",
            "Match = ",
            "\"match\" ",
            "\t=Match ",
        ][..],
    );
    let line = prop_oneof![30 => good_line(), 1 => odd_line()];
    prop_oneof![
        6 => (keyword, line).prop_map(|(keyword, line)| Part::Match(keyword, line)),
        1 => Just(Part::Include),
    ]
}

/// Text of a file; each block sets a variable that no other has, and sshd collects those of all
/// blocks that apply.
fn text(index: usize, parts: &[Part]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match part {
            Part::Match(keyword, arguments) => {
                lines.push(format!("{keyword}{arguments}"));
                lines.push(format!("AcceptEnv {}", variable(FILES[index], lines.len())));
            }
            Part::Include => {
                let next = FILES.get(index + 1).unwrap_or(&"missing");
                lines.push(format!("Include {PLACE}/{next} {PLACE}/nothing-*"));
            }
        }
    }
    lines.join("\n")
}

/// Variable that the block of the Match line with this number sets.
fn variable(file: &str, line: usize) -> String {
    format!("V_{file}_{line}")
}

fn sample() -> impl Strategy<Value = ConnSpec> {
    let addresses = [
        "127.0.0.1",
        "127.0.1.5",
        "127.1.0.0",
        "10.0.0.1",
        "10.1.2.3",
        "8.0.0.1",
        "::1",
        "2001:db8::5",
        "2001:db8:1::1",
        "fe80::1",
    ];
    let hosts = ["localhost", "MAIL.example", "a1.example", "10.0.0.1"];
    let local = ["127.0.0.1", "127.0.0.2", "192.168.7.1"];
    (
        select(addresses.to_vec()),
        select(hosts.to_vec()),
        select(local.to_vec()),
        select(vec![22, 2222, 80]),
        select(vec!["", "vrf1", "vrf2"]),
    )
        .prop_map(
            |(address, host, local_address, local_port, rdomain)| ConnSpec {
                address: address.to_owned(),
                host: host.to_owned(),
                local_address: local_address.to_owned(),
                local_port,
                rdomain: rdomain.to_owned(),
            },
        )
}

/// sshd with configurations in a private directory.
struct Asked {
    dir: Dir,
    view: HostView,
    accounts: Accounts,
    key: String,
    reading: Option<Reading>,
}

impl Asked {
    /// Finds the generation of this sshd.
    fn new() -> Self {
        jailctl_session::mount::tmpfs(Path::new(PLACE), 0o755).expect("a tmpfs");
        let host = Host::new(Path::new("/")).expect("the running system");
        host.ensure_root_dir(Path::new("/run/sshd"), Ownership::root(0o755))
            .expect("sshd's own directory");
        let key = format!("{PLACE}/key");
        Invocation::new("/usr/bin/ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &key])
            .check("make a host key")
            .expect("a host key");
        let view = HostView::new(Path::new("/")).expect("the running system");
        let mut asked = Self {
            dir: host
                .open_dir_nofollow(Path::new(PLACE))
                .expect("the tmpfs")
                .expect("it is there"),
            accounts: view.accounts().expect("the accounts").as_ref().clone(),
            view,
            key,
            reading: None,
        };
        let holds = |line: &str| {
            asked.write("main", &format!("Match User {line}\nAcceptEnv SEEN\n"));
            asked
                .ask("root", &ConnSpec::default())
                .stdout
                .contains("SEEN")
        };
        let (is_vector, is_trimmed) = (holds("'root'"), holds("root#x"));
        asked.reading = Some(match (is_vector, is_trimmed) {
            (true, _) => Reading::Vector,
            (_, true) => Reading::Trimmed,
            _ => Reading::Delimited,
        });
        asked
    }

    fn write(&self, name: &str, text: &str) {
        self.dir
            .replace_file(Path::new(name), text.as_bytes(), Ownership::root(0o600))
            .expect("a file is written");
    }

    fn ask(&self, user: &str, sample: &ConnSpec) -> Output {
        let connection = super::daemon::connection(user, sample);
        Invocation::new("/usr/sbin/sshd")
            .args([
                "-T",
                "-f",
                &format!("{PLACE}/main"),
                "-h",
                &self.key,
                "-C",
                &connection,
            ])
            .run()
            .expect("sshd runs")
    }

    /// Names of the groups of a user; none if there is no such user, whom sshd finds in no group.
    fn groups(&self, user: &str) -> Vec<String> {
        let Some(found) = self.accounts.user(user) else {
            return Vec::new();
        };
        let groups = self.accounts.groups.iter();
        groups
            .filter(|group| {
                group.gid == found.gid || group.members.iter().any(|member| member == user)
            })
            .map(|group| group.name.clone())
            .collect()
    }

    fn compare(
        &self,
        files: &[Vec<Part>; 3],
        user: &str,
        sample: &ConnSpec,
        chosen: usize,
    ) -> TestCaseResult {
        for (index, parts) in files.iter().enumerate() {
            self.write(FILES[index], &text(index, parts));
        }
        let main = text(0, &files[0]);
        let config = Config::read_from(&self.view, &Path::new(PLACE).join("main"), main.clone());
        let config = config.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let reading = self.reading.expect("it is known by now");
        let blocks = config.blocks_of(&[reading]);
        // Half of the connections are connection specifications of queries.
        let sample = match blocks
            .as_ref()
            .ok()
            .and_then(|blocks| conn_specs(blocks, user).ok())
        {
            Some(samples) if chosen.is_multiple_of(2) => samples[chosen % samples.len()].clone(),
            _ => sample.clone(),
        };
        let answer = self.ask(user, &sample);
        let shown = format!(
            "{main}\n{:?}\n{user} {sample:?}\n{}",
            &files[1..],
            answer.stderr
        );
        let blocks: Vec<Block> = match blocks {
            Ok(blocks) if answer.code == Some(0) => blocks,
            Ok(_) => return Err(TestCaseError::fail(format!("sshd refuses: {shown}"))),
            Err(error) => {
                prop_assert!(
                    answer.code != Some(0),
                    "sshd accepts, and here it is {}: {}",
                    error,
                    shown
                );
                return Ok(());
            }
        };
        let groups = self.groups(user);
        let client = Client {
            user,
            groups: Some(&groups),
        };
        let ours: BTreeSet<String> = blocks
            .iter()
            .filter(|block| block.holds(client, &sample))
            .map(|block| {
                let (line, path) = block.place.split_once(" of ").expect("a line and a file");
                let line = line.trim_start_matches("line ").parse().expect("a number");
                variable(path.rsplit('/').next().unwrap_or_default(), line)
            })
            .collect();
        let theirs: BTreeSet<String> = answer
            .stdout
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(keyword, _)| keyword.eq_ignore_ascii_case("acceptenv"))
            .map(|(_, value)| value.to_owned())
            .collect();
        prop_assert_eq!(ours, theirs, "{}", shown);
        Ok(())
    }
}

#[test]
fn match_lines_hold_when_sshd_says_so() {
    let configurations = (
        prop::collection::vec(part(), 0..12),
        prop::collection::vec(part(), 0..5),
        prop::collection::vec(part(), 0..3),
        select(&USERS[..]),
        sample(),
        any::<usize>(),
    );
    jailctl_session::private_mounts(|| {
        let asked = Asked::new();
        let config = ProptestConfig {
            failure_persistence: None,
            max_shrink_iters: 2000,
            ..ProptestConfig::default()
        };
        TestRunner::new(config)
            .run(
                &configurations,
                |(main, first, second, user, sample, chosen)| {
                    asked.compare(&[main, first, second], user, &sample, chosen)
                },
            )
            .unwrap_or_else(|error| panic!("{error}"));
    })
    .expect("a private mount namespace");
}
