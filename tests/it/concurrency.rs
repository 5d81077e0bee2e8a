//! Concurrent builds, account tools of the host at the same time, killed runs, and failing disks.

use crate::support::{Reach, Spec, arkham, host, look, reach};

#[disposable::test]
fn a_hundred_killed_runs_leave_a_whole_host() {
    let host = host();
    let bob = host.plain_user("bob");
    host.sshd();
    let (mut spec, harlequin) = arkham(&host, &[]);
    let old = spec.text();
    spec.binaries.push("id");
    spec.users.push(("selina", Vec::new()));
    let new = spec.text();
    let (first, second) = ("/root/first.toml", "/root/second.toml");
    host.write(first, &old);
    host.write(second, &new);
    // How long a whole run takes, in milliseconds: kills come at any time of it.
    let took = host
        .sh(&format!(
            "start=$(date +%s%3N); jailctl build --from-here {second} >&2; echo $(($(date +%s%3N) - start))"
        ))
        .ok()
        .text()
        .parse::<u64>()
        .expect("a number");
    let mut random = 0x9e37_79b9_u64;
    let mut killed = 0;
    for round in 0..100 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let after = (random >> 33) % took;
        let verb = match round % 4 {
            0 => format!("build --from-here {first}"),
            1 => format!("build --from-here {second}"),
            // Something for it to do: the host moves on.
            2 => format!("update arkham; touch /usr/bin/cat; printf '%{round}s' >>/usr/bin/cat"),
            _ => "rollback arkham".to_owned(),
        };
        let seconds = format!("{}.{:03}", after / 1000, after % 1000);
        let run = host.sh(&format!(
            "code=0; timeout --signal KILL {seconds} jailctl {verb} || code=$?
            pwck --read-only --quiet; grpck --read-only; mkdir -p /run/sshd; sshd -t; echo $code"
        ));
        // pwck(8) speaks of homes that are not there, with status 2; of lines that are not whole
        // too, but with words of theirs.
        let said = format!("{}{}", run.stdout(), run.stderr());
        assert!(!said.contains("invalid"), "{round}: {said}");
        killed += usize::from(said.contains("137"));
        if round % 5 == 0 {
            let seen = reach(&host, &harlequin);
            assert!(seen <= Reach::Jail, "{round}: {seen:?}: {said}");
            assert_eq!(reach(&host, &bob), Reach::Host, "{round}");
        }
    }
    assert!(killed >= 10, "only {killed} were killed");
    host.jailctl(["build", "--from-here", second]).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    assert_eq!(harlequin.ssh("id -un").ok().text(), "harlequin");
    assert_eq!(host.jailctl(["check"]).ok().stdout(), "arkham: unchanged\n");
    host.sh("pwck --read-only --quiet | grep -v 'does not exist\\|no changes' && exit 1; exit 0")
        .ok();
    host.jailctl(["remove", "arkham", "--purge", "--kill"]).ok();
    let left = host.sh("ls -A /srv/jails /var/lib/jailctl 2>/dev/null; getent group jail-arkham");
    assert_eq!(left.stdout(), "", "{left:?}");
}

#[disposable::test]
fn twenty_builds_at_once_beside_useradd_lose_nothing() {
    let host = host();
    let key = host.key("key");
    for number in 0..20 {
        let mut spec = Spec::dropbox(&key);
        spec.users[0].0 = "U";
        let text = spec
            .text()
            .replace("\"dropbox\"", &format!("\"jail{number}\""))
            .replace("\"U\"", &format!("\"user{number}\""))
            .replace("\"selina\"", &format!("\"user{number}\""));
        host.write(&format!("/root/{number}.toml"), &text);
    }
    let (_, _) = arkham(&host, &[]);
    host.sh(
        "touch /run/on
        (n=0; while test -e /run/on; do useradd --no-create-home plain$n && echo plain$n >>/run/plain; n=$((n+1)); done) &
        adder=$!
        pids=
        for i in $(seq 0 19); do jailctl build --lock-timeout 300 /root/$i.toml >/run/out.$i 2>&1 & pids=\"$pids $!\"; done
        # Two of one jail, too.
        jailctl build --lock-timeout 300 /root/3.toml >/run/out.again 2>&1 & pids=\"$pids $!\"
        bad=0; for pid in $pids; do wait $pid || bad=1; done
        rm /run/on; wait $adder || true
        test $bad = 0 || { cat /run/out.*; exit 1; }",
    )
    .ok();
    let passwd = host.read("/etc/passwd");
    let mut uids: Vec<&str> = passwd
        .lines()
        .filter_map(|line| line.split(':').nth(2))
        .collect();
    let all = uids.len();
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), all, "a uid is there twice: {passwd}");
    for number in 0..20 {
        assert!(passwd.contains(&format!("\nuser{number}:")), "{passwd}");
    }
    let plain = host.read("/run/plain");
    assert!(plain.lines().count() > 5, "{plain}");
    for name in plain.lines() {
        assert!(passwd.contains(&format!("\n{name}:")), "{name} is lost");
    }
    host.jailctl(["check"]).ok();
    assert_eq!(host.jailctl(["list"]).ok().lines().len(), 22);
}

#[disposable::test]
fn a_failing_disk_is_named_and_undone() {
    for (makes, mends, says) in [
        (
            "mount -t tmpfs -o nr_inodes=40,mode=755 few /srv/jails",
            "mount -o remount,nr_inodes=100k /srv/jails",
            "no space left on device",
        ),
        (
            "mount -t tmpfs -o ro,mode=755 fixed /srv/jails",
            "mount -o remount,rw /srv/jails",
            "read-only file system",
        ),
        (
            "mount -t tmpfs -o size=2m,mode=755 small /var/lib; dd if=/dev/zero of=/var/lib/full bs=4k || true",
            "rm /var/lib/full",
            "no space left on device",
        ),
    ] {
        let host = host();
        host.sshd();
        let key = host.key("key");
        let path = Spec::arkham(&key, &[]).put(&host);
        host.sh(&format!("mkdir -p /srv/jails; {makes}")).ok();
        let before = look(&host);
        let failed = host.jailctl(["build", &path]).exits(4);
        assert!(failed.stderr().contains(says), "{makes}: {failed:?}");
        assert!(
            failed.stderr().contains("`/srv/jails")
                || failed.stderr().contains("`/var/lib/jailctl"),
            "{makes}: {failed:?}"
        );
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new(), "{makes}");
        host.sh(mends).ok();
        host.jailctl(["build", &path]).ok();
        let harlequin = host.login("harlequin", &key);
        assert_eq!(reach(&host, &harlequin), Reach::Jail, "{makes}");
    }
}

#[disposable::test]
fn an_immutable_file_in_an_old_tree_is_reported() {
    let host = host();
    host.sshd();
    let (mut spec, harlequin) = arkham(&host, &[]);
    let cat = "/srv/jails/arkham/usr/bin/cat";
    host.sh(&format!("chattr +i {cat}")).ok();
    // The old tree stays for a rollback, so the second build must delete it.
    spec.binaries.push("id");
    spec.build(&host).ok();
    spec.binaries.push("true");
    let refused = spec.build(&host).exits(4);
    let said = refused.stderr();
    assert!(
        said.contains("/srv/jails/arkham/.jailctl/previous/usr/bin/cat`: operation not permitted")
            && said.contains("lsattr"),
        "{said}"
    );
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    host.sh("find /srv/jails -name cat -type f -exec chattr -i {} + ")
        .ok();
    spec.build(&host).ok();
    assert_eq!(harlequin.ssh("id -un").ok().text(), "harlequin");
    host.jailctl(["check"]).ok();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert!(!host.has("/srv/jails/arkham"));
}
