//! Durability: data that later steps rely on is synced before them, read from the order of system
//! calls.

use crate::support::{arkham, host, host_with_module};

#[disposable::test]
fn each_thing_is_on_the_disk_before_what_relies_on_it() {
    let host = host();
    let (mut spec, _) = arkham(&host, &[]);
    spec.binaries.push("id");
    let path = spec.put(&host);
    host.run([
        "strace",
        "-f",
        "-y",
        "-qq",
        "-s",
        "80",
        "-o",
        "/run/calls",
        "-e",
        "trace=write,fsync,fdatasync,syncfs,renameat2,unlinkat",
        "--",
        "jailctl",
        "build",
        &path,
    ])
    .ok();
    let calls = host.read("/run/calls");
    let calls: Vec<&str> = calls.lines().collect();
    let at = |what: &str, from: usize, is: &dyn Fn(&str) -> bool| {
        let found = calls[from..].iter().position(|call| is(call));
        let Some(at) = found else {
            panic!("no {what} after {from} in\n{}", calls.join("\n"));
        };
        from + at
    };
    let of = |call: &'static str, file: &'static str| {
        move |line: &str| line.contains(&format!(" {call}(")) && line.contains(file)
    };
    let journal = "/var/lib/jailctl/.journal";

    // How the swap is undone is written, and the new files are whole, before the first of them is
    // live.
    let noted = at("first note", 0, &of("write", journal));
    let swap = at("swap", 0, &|line| {
        line.contains(" renameat2(")
            && line.contains("/srv/jails/arkham>")
            && line.contains("EXCHANGE")
    });
    let last_note = noted
        + calls[noted..swap]
            .iter()
            .rposition(|line| of("write", journal)(line))
            .expect("a note");
    at("sync of the note", last_note, &of("fdatasync", journal));
    assert!(at("sync of the note", last_note, &of("fdatasync", journal)) < swap);
    assert!(at("sync of the files", 0, &|line| line.contains(" syncfs(")) < swap);

    // The swap is durable before the manifest records it, and the manifest is whole before it has
    // its name.
    let kept = at("sync of the root", swap, &of("fsync", "/srv/jails/arkham>"));
    let manifest = at("manifest", swap, &|line| {
        line.contains(" renameat2(") && line.contains("manifest.json") && line.contains("EXCHANGE")
    });
    assert!(kept < manifest);
    assert!(at("sync of the manifest", swap, &of("fsync", "manifest.json")) < manifest);

    // All of it before the run is called done, and that before what was is given up.
    let commit = at("commit", manifest, &|line| {
        of("write", journal)(line) && line.contains("Commit")
    });
    assert!(
        at(
            "sync of the records",
            manifest,
            &of("fsync", "/var/lib/jailctl/arkham>")
        ) < commit
    );
    let synced = at("sync of the commit", commit, &of("fdatasync", journal));
    let ended = at("end", commit, &|line| {
        line.contains(" unlinkat(") && line.contains(".journal")
    });
    assert!(synced < ended);

    // And no more than that: a build that changes nothing waits for no disk.
    let output = host.run([
        "strace",
        "-f",
        "-qq",
        "-o",
        "/run/calls",
        "-e",
        "trace=fsync,fdatasync,syncfs,sync,sync_file_range",
        "--",
        "jailctl",
        "build",
        &path,
    ]);
    assert!(output.ok().stdout().contains("nothing to do"));
    assert_eq!(host.read("/run/calls"), "");
}

#[disposable::test]
fn each_change_is_one_line_in_syslog() {
    let host = host_with_module();
    let (mut spec, _) = arkham(&host, &[]);
    let lines = || {
        let text = host.sh("cat /run/syslog 2>/dev/null || true");
        let ours = text
            .lines()
            .into_iter()
            .filter(|line| line.contains("jailctl["));
        ours.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = lines();
    assert_eq!(first.len(), 1, "{first:?}");
    for part in [
        "<85>jailctl[",
        "jail arkham changed",
        "account harlequin created",
        "tree written",
        "sshd snippet written",
        "account harlequin enabled",
    ] {
        assert!(first[0].contains(part), "{part} in {first:?}");
    }
    spec.build(&host).ok();
    assert_eq!(lines().len(), 1);
    spec.binaries.push("id");
    spec.build(&host).ok();
    assert!(
        lines()[1].ends_with("jail arkham changed: tree written"),
        "{:?}",
        lines()
    );
    host.jailctl(["remove", "arkham"]).ok();
    assert_eq!(lines().len(), 3);
    assert!(lines()[2].contains("jail arkham removed"), "{:?}", lines());
}
