//! Sources of files on the host: no secret and no set-id bit is copied, whichever user controls the
//! source directory.

use crate::support::{Spec, arkham, host, look};

/// A spec with a tree of bob's as a source.
fn with_tree(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    spec.more
        .push_str("\n[[file]]\nsource = \"/home/bob/site\"\ntarget = \"/srv/site\"\n");
    spec
}

#[disposable::test]
fn cve_2018_15664_a_source_that_its_owner_swaps_brings_no_secret_along() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let spec = with_tree(&spec);
    host.plain_user("bob");
    host.sh(
        "echo the canary of root >/etc/secret; chmod 600 /etc/secret
        install -d -o bob /home/bob/site /home/bob/site/sub /home/bob/other
        echo page >/home/bob/site/sub/secret; chown -R bob /home/bob/site; ln -s /etc /home/bob/trap",
    )
    .ok();
    let mut racing = host.spawn([
        "su", "bob", "-c",
        "echo ready; cd ~; while :; do mv site/sub other/was && mv trap site/sub && mv site/sub trap && mv other/was site/sub; done",
    ]);
    racing.hear("ready");
    for round in 0..20 {
        // It may find nothing, or find that something changed; what it may not do is read what bob
        // cannot.
        let output = spec.build(&host);
        assert!([0, 2, 4].contains(&output.code()), "{round}: {output:?}");
        let found = host.sh("grep -rl 'canary of root' /srv/jails || true").ok();
        assert_eq!(found.text(), "", "{round}");
        host.sh(&format!(
            "sed -i 's/Arkham[^\\\\]*/Arkham {round}/' {}",
            spec.path()
        ))
        .ok();
    }
}

#[disposable::test]
fn a_link_in_a_source_tree_stays_a_link() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let spec = with_tree(&spec);
    host.plain_user("bob");
    host.sh("install -d -o bob /home/bob/site; ln -s /etc/shadow /home/bob/site/link; chown -h bob /home/bob/site/link").ok();
    spec.build(&host).ok();
    assert_eq!(
        host.sh("readlink /srv/jails/arkham/srv/site/link")
            .ok()
            .text(),
        "/etc/shadow"
    );
    // As bob could where hard links are not protected.
    host.sh("ln /etc/shadow /home/bob/site/page").ok();
    let before = look(&host);
    let refused = spec.build(&host).exits(2);
    assert!(
        refused.stderr().contains("/home/bob/site/page"),
        "{refused:?}"
    );
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    // Nor by another name of a link's target.
    host.sh("rm /home/bob/site/page; ln -sfn /etc/shadow /root/innocent")
        .ok();
    let mut by_link = spec.clone();
    by_link.more = "[[file]]\nsource = \"/root/innocent\"\ntarget = \"/srv/x\"\n".to_owned();
    let refused = by_link.build(&host).exits(2);
    assert!(refused.stderr().contains("/etc/shadow"), "{refused:?}");
}

#[disposable::test]
fn cve_2009_2904_no_file_of_a_jail_gives_power() {
    let host = host();
    let (mut spec, _) = arkham(&host, &[]);
    host.sh("mkdir /root/tools; cp /usr/bin/id /root/tools/; chmod 6755 /root/tools/id; cp /usr/bin/id /usr/local/bin/groups2; chmod 2755 /usr/local/bin/groups2").ok();
    host.sh("command -v setcap >/dev/null && setcap cap_setuid+ep /root/tools/id; chmod 6755 /root/tools/id").ok();
    spec.binaries.push("su");
    let refused = spec.build(&host).exits(2);
    assert!(
        refused.stderr().contains("`su`") && refused.stderr().contains("setuid"),
        "{refused:?}"
    );
    spec.binaries.pop();
    spec.binaries.push("groups2");
    spec.more
        .push_str("\n[[file]]\nsource = \"/root/tools\"\ntarget = \"/opt/tools\"\n");
    spec.build(&host).ok();
    assert!(host.has("/srv/jails/arkham/opt/tools/id"));
    let power = host
        .sh("find /srv/jails/arkham -type f -perm /7000; getcap -r /srv/jails/arkham")
        .ok();
    assert_eq!(power.text(), "");
    let writable = host.sh("find /srv/jails/arkham/usr /srv/jails/arkham/etc /srv/jails/arkham/opt ! -type l -perm /022").ok();
    assert_eq!(writable.text(), "");
}
