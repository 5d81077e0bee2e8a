//! Files prepared by jailed users: the next run of root changes nothing outside of the jail.

use crate::support::{Spec, arkham, host, look};

#[disposable::test]
fn cve_2018_6954_nothing_below_what_is_a_users_can_be_named() {
    let host = host();
    let key = host.key("selina");
    let plain = Spec::dropbox(&key);
    for table in [
        "[[dir]]\npath = \"/upload/sub\"\nowner = \"selina\"\n",
        "[[dir]]\npath = \"/home/selina/sub\"\n",
        "[[file]]\ntarget = \"/upload/file\"\ncontent = \"x\"\n",
        "[[user]]\nname = \"kyle\"\nhome = \"/upload/kyle\"\n",
        "[[user]]\nname = \"kyle\"\nhome = \"/home/selina/kyle\"\n",
    ] {
        let mut spec = plain.clone();
        spec.more = format!("{}\n{table}", plain.more);
        let before = look(&host);
        let refused = spec.build(&host);
        assert_eq!(refused.code(), 2, "{table}: {refused:?}");
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    }
}

#[disposable::test]
fn cve_2017_18078_a_hard_link_does_not_get_an_owner() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let root = spec.root();
    // One that a user can make where links are not protected: a file of the jail's tree under a
    // name in the user's home.
    host.sh(&format!("ln {root}/usr/bin/ls {root}/home/harlequin/ls; ln {root}/etc/passwd {root}/home/harlequin/passwd"))
        .ok();
    let mut more = spec.clone();
    more.binaries.push("true");
    more.build(&host).ok();
    assert_eq!(
        host.sh(&format!(
            "stat -c %U {root}/home/harlequin/ls {root}/home/harlequin/passwd"
        ))
        .ok()
        .text(),
        "root\nroot"
    );
}

#[disposable::test]
fn a_home_full_of_traps_is_left_alone_by_build_and_gone_after_purge() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let home = format!("{}/home/harlequin", spec.root());
    host.sh(&format!(
        r#"
        cd {home}
        mkdir /root/precious; echo gold >/root/precious/ring
        ln -s /root/precious link
        ln -s / up
        ln -s /etc/passwd passwd
        mkfifo pipe
        mkdir -p .ssh d/e/f
        touch 'a
b' "$(printf '\377\376')" -- -rf .. 2>/dev/null || true
        chmod 000 d
        chown -hR harlequin: .
        "#
    ))
    .ok();
    let before = host.snapshot([home.as_str()]);
    let mut more = spec.clone();
    more.binaries.push("true");
    more.build(&host).ok();
    assert_eq!(
        before.diff(&host.snapshot([home.as_str()])),
        Vec::<String>::new()
    );
    let outside = host
        .snapshot(["/root/precious", "/etc/ssh"])
        .without(|path| path.contains("05-jailctl"));
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert!(!host.has(&home));
    assert_eq!(
        outside.diff(&host.snapshot(["/root/precious", "/etc/ssh"])),
        Vec::<String>::new()
    );
}

#[disposable::test]
fn cve_2022_21658_a_directory_swapped_for_a_link_does_not_lead_removal_outside() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let home = format!("{}/home/harlequin", spec.root());
    host.sh(&format!(
        r"
        mkdir /srv/precious
        for i in $(seq 200); do echo gold >/srv/precious/$i; mkdir -p {home}/$i/deep; done
        chown -R harlequin: {home}
        "
    ))
    .ok();
    let before = host.snapshot(["/srv/precious"]);
    let swap = format!(
        "echo swapping; cd {home}; while cd {home} 2>/dev/null; do for i in $(seq 200); do mv -T $i x$i && ln -s /srv/precious $i && rm $i && mv -T x$i $i; done 2>/dev/null; done"
    );
    let mut swapping = host.spawn(["bash", "-c", &swap]);
    swapping.hear("swapping");
    // It may fail because the tree changes while it runs; then once more, undisturbed.
    host.jailctl(["remove", "arkham", "--purge"]);
    drop(swapping);
    assert_eq!(
        before.diff(&host.snapshot(["/srv/precious"])),
        Vec::<String>::new()
    );
    if host.has(&spec.root()) {
        host.jailctl(["remove", "arkham", "--purge"]).ok();
    }
    assert!(!host.has(&spec.root()));
    assert_eq!(
        before.diff(&host.snapshot(["/srv/precious"])),
        Vec::<String>::new()
    );
}

#[disposable::test]
fn cve_2019_14271_and_cve_2009_5064_no_code_of_a_jail_or_for_a_jail_runs_as_root() {
    let host = host();
    host.run(["cp", "/usr/bin/true", "/usr/local/bin/inmate"])
        .ok();
    let (mut spec, _) = arkham(&host, &[]);
    spec.binaries.push("inmate");
    spec.put(&host);
    // Programs started, and code mapped, with the paths behind descriptors.
    host.sh("strace -f -qq -y -e trace=execve,mmap -o /run/calls jailctl build /root/arkham.toml")
        .ok();
    let code = host.sh("grep -E 'execve|PROT_EXEC' /run/calls").ok();
    assert!(
        code.stdout().contains("jailctl"),
        "the trace sees something"
    );
    for line in code.lines() {
        for never in ["/srv/jails", "inmate", "/ldd", "execve(\"/lib"] {
            assert!(!line.contains(never), "{line}");
        }
    }
}

#[disposable::test]
fn root_in_the_way_of_others_is_refused() {
    let host = host();
    let key = host.key("harlequin");
    host.sh("mkdir -p /srv/theirs/full /srv/open; touch /srv/theirs/full/file; chmod 777 /srv/open; ln -s /srv/theirs /srv/link")
        .ok();
    for root in ["/srv/theirs/full", "/srv/open/arkham", "/srv/link/arkham"] {
        let text = format!("root = {root:?}\n{}", Spec::arkham(&key, &[]).text());
        host.write("/root/arkham.toml", &text);
        let before = look(&host);
        let refused = host.jailctl(["build", "/root/arkham.toml"]).fails();
        assert!([2, 4].contains(&refused.code()), "{refused:?}");
        assert!(refused.stderr().contains(root), "{refused:?}");
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    }
}
