//! Finding A3: what a jailed user's process in the old tree can do to a `[[test]]` of the new one.

use disposable::{DisposableHost, Login};

use crate::session::compile;
use crate::support::{Spec, arkham, host};

const HUNTER: &str = include_str!("hunter.c");
const PASSER: &str = include_str!("../session/fd_passing.c");

/// A copy with sshd and the jail arkham as a plain chroot, in which harlequin has the hunter.
struct Attack<'h> {
    host: &'h DisposableHost,
    spec: Spec,
    harlequin: Login<'h>,
}

impl Attack<'_> {
    /// Builds again with the test `script`; `round` makes the build another one each time.
    fn build(&self, script: &str, round: usize) -> disposable::Output {
        let mut spec = self.spec.clone();
        spec.more = format!(
            "{}\n[[file]]\ntarget = \"/round\"\ncontent = \"{round}\"\n\n[[test]]\nrun = [\"bash\", \"-c\", {script:?}]\n",
            spec.more
        );
        spec.build(self.host)
    }
}

/// How many builds an attack lasts. By hand: `ROUNDS=200`.
#[expect(
    clippy::disallowed_methods,
    reason = "the rule is the product's; a test has no other way to be told"
)]
fn rounds() -> usize {
    let asked = std::env::var("ROUNDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(20)
}

fn attack(host: &DisposableHost) -> Attack<'_> {
    host.sshd();
    compile(host, "hunter", HUNTER);
    let (spec, harlequin) = arkham(host, &["hunter", "sleep", "id"]);
    Attack {
        host,
        spec,
        harlequin,
    }
}

#[disposable::test]
fn a3_no_process_of_the_old_tree_ends_a_test() {
    let host = host();
    let attack = attack(&host);
    let mut hunter = attack.harlequin.start([], "hunter kill 3000");
    hunter.hear("up");
    for round in 0..rounds() {
        attack.build("sleep 0.1; sleep 0.1", round).ok();
    }
    // It would: the next login of the same user does not live.
    attack.harlequin.ssh("sleep 5").fails();
    hunter.say("");
    let heard = hunter.hear("took");
    assert!(!heard.contains(&"took 0".to_owned()), "{heard:?}");
}

#[disposable::test]
fn a3_no_process_of_the_old_tree_takes_a_descriptor_of_a_test() {
    let host = host();
    let attack = attack(&host);
    let mut hunter = attack.harlequin.start([], "hunter reach 3000");
    hunter.hear("up");
    for round in 0..rounds() {
        attack.build("exec 9</; sleep 0.1", round).ok();
    }
    hunter.say("");
    let heard = hunter.hear("took");
    assert_eq!(heard, ["took 0"]);
    // Control: it takes a descriptor of another process in the old tree, which is of no use.
    let mut hunter = attack.harlequin.start([], "hunter reach 60");
    hunter.hear("up");
    attack.harlequin.ssh("exec 9</; sleep 1").ok();
    hunter.say("");
    let heard = hunter.hear("took");
    assert!(!heard.contains(&"took 0".to_owned()), "{heard:?}");
    assert!(!heard.contains(&"out".to_owned()), "{heard:?}");
}

/// The test itself hands its root directory to a process in the old tree.
#[disposable::test]
fn a3_a_directory_that_a_test_hands_out_leads_nowhere() {
    let host = host();
    compile(&host, "passer", PASSER);
    let attack = attack(&host);
    let mut spec = attack.spec.clone();
    spec.binaries.push("passer");
    spec.build(&host).ok();
    let attack = Attack { spec, ..attack };
    let script = "while said=$(passer take @handed); [ \"$said\" = nobody ]; do sleep 0.05; done; echo \"$said\"";
    for (round, given) in ["/", "/usr", "/home"].into_iter().enumerate() {
        let mut taker = attack.harlequin.start([], script);
        attack
            .build(&format!("passer send @handed {given}"), round)
            .ok();
        let heard = taker.hear("");
        assert_eq!(heard, ["in"], "{given}");
    }
}

/// Each query for the own identity returns the jail's user, under a user id without an account on
/// the host.
#[disposable::test]
fn a3_a_test_is_the_user_by_name_and_nobody_by_number() {
    let host = host();
    host.sshd();
    let (mut spec, harlequin) = arkham(&host, &["sleep", "id", "stat", "touch"]);
    spec.more
        .push_str("\n[[dir]]\npath = \"/upload\"\nowner = \"harlequin\"\n");
    spec.users.push(("ivy", Vec::new()));
    let gid = host.sh("id -g harlequin").ok().text().to_owned();
    let script = [
        "set -e; uid=$(id -u)",
        &format!(
            "test \"$(id -un):$(id -gn):$(id -G)\" = harlequin:jail-arkham:{gid}"
        ),
        "test \"$uid\" -ge 60000; test \"$uid\" != \"$(stat -c %u /home/ivy)\"",
        "test \"$(stat -c %U:%u ~)\" = harlequin:$uid; test \"$(stat -c %U:%u /upload)\" = harlequin:$uid",
        "touch ~/mine /upload/mine; test \"$USER:$LOGNAME:$HOME\" = harlequin:harlequin:/home/harlequin",
        "cd ~; git init -q .; git -c user.name=h -c user.email=h@example.org commit -q --allow-empty -m first",
        "test \"$(git log --format=%an)\" = h",
        "python3 -c 'import getpass, os, pwd; assert getpass.getuser() == \"harlequin\" == pwd.getpwuid(os.getuid()).pw_name'",
        // PR_GET_NO_NEW_PRIVS
        "python3 -c 'import ctypes; assert ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 1'",
    ]
    .join("; ");
    let mut seen = Vec::new();
    for round in 0..2 {
        let mut next = spec.clone();
        next.more = format!(
            "{}\n[[file]]\ntarget = \"/round\"\ncontent = \"{round}\"\n[[test]]\nrun = [\"bash\", \"-c\", {script:?}]\n\
             [[test]]\nrun = [\"bash\", \"-c\", \"id -u; exit 7\"]\n",
            next.more
        );
        let text = format!("templates = [\"git\", \"python\"]\n{}", next.text());
        host.write(&next.path(), &text);
        let refused = host.jailctl(["build", &next.path()]).exits(4);
        let said = refused.stderr();
        assert!(said.contains("it exited with 7"), "{refused:?}");
        assert_eq!(
            said.matches("failed in its new tree").count(),
            1,
            "{refused:?}"
        );
        let uid = said
            .split("its output: ")
            .nth(1)
            .and_then(|text| text.split_whitespace().next());
        seen.push(uid.expect("an id").to_owned());
    }
    assert_ne!(seen[0], seen[1]);
    spec.build(&host).ok();
    assert_eq!(
        harlequin
            .ssh("cat /etc/passwd")
            .ok()
            .stdout()
            .matches(&seen[0])
            .count(),
        0
    );
    host.sh(&format!("! getent passwd {}", seen[0])).ok();
}
