//! Attacks on other programs that put processes into namespaces: docs/security-cases.md.

use super::fail_closed::closed;
use super::{copy, harlequin};

#[disposable::test]
fn cve_2021_30465_cve_2025_31133_and_cve_2025_6020_nothing_is_mounted_where_a_link_leads() {
    let (host, mut spec) = copy(
        &["mv"],
        "[[mount]]\nsource = \"/opt\"\ntarget = \"/opt\"\noptions = [\"rw\"]\n",
    );
    let sshd = host.sshd();
    let bob = host.plain_user("bob");
    let root = spec.root();
    let before = host.read("/proc/self/mountinfo");
    for target in ["opt", "tmp", "proc", "dev/shm", "dev/pts"] {
        let why = match target {
            "proc" => "could not mount the session's `/proc`".to_owned(),
            _ => format!("could not mount on `/{target}`"),
        };
        for link in ["/etc", "../../../../etc", "home/harlequin"] {
            let at = format!("{root}/{target}");
            closed(
                &host,
                &sshd,
                &bob,
                &format!("mv {at} {root}/kept; ln -s {link} {at}"),
                &format!("rm {at}; mv {root}/kept {at}"),
                &why,
            );
        }
    }
    assert_eq!(host.read("/proc/self/mountinfo"), before);
    // The user cannot create a link there, and no spec can name a target in a directory that the
    // user can write.
    let harlequin = harlequin(&host);
    for place in ["/opt", "/tmp", "/proc", "/dev/shm"] {
        harlequin
            .ssh(&format!("mv {place} /home/harlequin/x"))
            .fails();
    }
    spec.more
        .push_str("[[mount]]\nsource = \"/opt\"\ntarget = \"/home/harlequin/opt\"\n");
    spec.build(&host).exits(2);
}

#[disposable::test]
fn cve_2019_5736_programs_of_the_host_are_not_reached_through_proc() {
    let (host, _) = copy(&["sleep"], "");
    host.sshd();
    let bob = host.plain_user("bob");
    let programs = ["/usr/sbin/sshd", "/usr/local/bin/jailctl"];
    let before = host.snapshot(programs);
    // All visible processes: pid 1 of the session, sshd's own, and one of the user.
    let script = "sleep 60 & cd /proc; for at in {1..400}; do
        if exec 3>>$at/exe; then echo $at written; exec 3>&-; fi
        if [ $at != $! ] && [ $at != $$ ] && exec 3<$at/exe; then echo $at read; exec 3>&-; fi
        if [ $at != $! ] && [ $at != $$ ] && exec 3<$at/root/etc/passwd; then echo $at entered; exec 3>&-; fi
        [ ! -e $at/exe ] || seen=$((seen + 1)); done 2>/dev/null; echo saw $seen; kill $!";
    assert_eq!(harlequin(&host).ssh(script).ok().text(), "saw 2");
    let entered = host.run([
        "jailctl",
        "enter",
        "arkham",
        "--",
        "/bin/bash",
        "-c",
        script,
    ]);
    assert!(!entered.stdout().contains("written"), "{entered:?}");
    assert!(!entered.stdout().contains("entered"), "{entered:?}");
    let control = bob.ssh("exec 3</proc/$$/exe && echo read").ok();
    assert_eq!(control.text(), "read", "the control");
    assert_eq!(before.diff(&host.snapshot(programs)), Vec::<String>::new());
}
