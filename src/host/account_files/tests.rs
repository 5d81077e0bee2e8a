//! Edits of account files, each compared with the line that shadow 4.13 writes for the same call.

use super::*;

const DAY: i64 = 20_000;

/// Files of a host with root, bob and their groups.
fn files() -> AccountFiles {
    host(&[
        (
            Database::Passwd,
            "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000:Bob,,:/home/bob:/bin/bash\n",
        ),
        (
            Database::Shadow,
            "root:*:19000:0:99999:7:::\nbob:$y$hash:19000:0:99999:7:::\n",
        ),
        (
            Database::Group,
            "root:x:0:\ncrew:x:100:ann,bob\nbob:x:1000:\n+:::\n",
        ),
        (Database::Gshadow, "root:*::\ncrew:!:bob:ann,bob\nbob:!::\n"),
        (
            Database::Subuid,
            "ann:100000:65536\nbob:165536:65536\nbob:900000:10\n",
        ),
    ])
}

fn host(texts: &[(Database, &str)]) -> AccountFiles {
    let texts = texts
        .iter()
        .map(|(database, text)| (*database, text.as_bytes().to_vec()));
    AccountFiles::new(&texts.collect(), defaults(), DAY).expect("the files are there")
}

fn defaults() -> Defaults {
    Defaults::parse(
        "# PASS_MAX_DAYS 1\nPASS_MAX_DAYS\t99999\nPASS_MIN_DAYS 0\nPASS_WARN_AGE   7\nUSERGROUPS_ENAB yes\n",
        "SHELL=/bin/sh\nINACTIVE=-1\n",
    )
}

/// Lines that an edit has changed or added, each after the name of its file; removed ones with `-`.
fn difference(before: &AccountFiles, after: &AccountFiles) -> Vec<String> {
    let text = |table: &Table| String::from_utf8(table.text()).expect("UTF-8");
    let mut found = Vec::new();
    for (database, table) in &after.tables {
        let (old, new) = (text(&before.tables[database]), text(table));
        let name = database.file_name();
        let gone = old.lines().filter(|line| !new.lines().any(|n| n == *line));
        found.extend(gone.map(|line| format!("{name} -{line}")));
        let come = new.lines().filter(|line| !old.lines().any(|o| o == *line));
        found.extend(come.map(|line| format!("{name} +{line}")));
        assert_eq!(table.is_changed, old != new, "{name}");
    }
    found
}

fn account(name: &str, uid: u32) -> NewAccount {
    NewAccount {
        name: name.to_owned(),
        uid,
        gid: 1000,
        gecos: "jail arkham".to_owned(),
        home: "/home/harlequin".to_owned(),
        shell: "/jail/bin/bash".to_owned(),
        groups: vec!["crew".to_owned()],
    }
}

#[test]
fn a_user_is_added_closed_and_removed_with_all_that_is_hers() {
    let before = files();
    let mut files = files();
    files.add_user(&account("harlequin", 1001)).expect("added");
    assert_eq!(
        difference(&before, &files),
        [
            "passwd +harlequin:x:1001:1000:jail arkham:/home/harlequin:/jail/bin/bash",
            "shadow +harlequin:*:20000:0:99999:7::1:",
            "group -crew:x:100:ann,bob",
            "group +crew:x:100:ann,bob,harlequin",
            "gshadow -crew:!:bob:ann,bob",
            "gshadow +crew:!:bob:ann,bob,harlequin",
        ]
    );
    files.remove_user("harlequin").expect("removed");
    for (database, table) in &files.tables {
        assert_eq!(table.lines, before.tables[database].lines);
    }
    let mut files = self::files();
    files.remove_user("bob").expect("removed");
    assert_eq!(
        difference(&before, &files),
        [
            "passwd -bob:x:1000:1000:Bob,,:/home/bob:/bin/bash",
            "shadow -bob:$y$hash:19000:0:99999:7:::",
            "group -crew:x:100:ann,bob",
            "group -bob:x:1000:",
            "group +crew:x:100:ann",
            "gshadow -crew:!:bob:ann,bob",
            "gshadow -bob:!::",
            "gshadow +crew:!::ann",
            "subuid -bob:165536:65536",
            "subuid -bob:900000:10",
        ]
    );
}

#[test]
fn a_group_of_the_users_name_stays_where_somebody_needs_it() {
    let mut files = files();
    files.add_user(&account("ann", 1001)).expect("added");
    files.remove_user("bob").expect("removed");
    assert!(files.table(Database::Group).row("bob").unwrap().is_some());
    assert!(files.table(Database::Gshadow).row("bob").unwrap().is_some());
}

#[test]
fn what_useradd_and_groupadd_refuse_is_refused() {
    let mut files = files();
    let why = |refused: Result<(), Refusal>| match refused {
        Err(Refusal::Because(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        why(files.add_user(&account("bob", 1001))),
        "there is a user `bob`"
    );
    assert_eq!(
        files.add_user(&account("ann", 1000)),
        Err(Refusal::IdTaken(1000))
    );
    assert_eq!(files.add_group("web", 1000), Err(Refusal::IdTaken(1000)));
    assert_eq!(why(files.add_group("crew", 7)), "there is a group `crew`");
    assert_eq!(
        why(files.remove_group("bob")),
        "it is the primary group of `bob`"
    );
    assert_eq!(why(files.remove_group("web")), "there is no group `web`");
    let mut stray = account("ann", 1001);
    stray.gid = 4;
    assert_eq!(
        why(files.add_user(&stray)),
        "there is no group with the id 4"
    );
    stray.gid = 1000;
    stray.groups = vec!["web".to_owned()];
    assert_eq!(why(files.add_user(&stray)), "there is no group `web`");
    for (gecos, password) in [("a:b", "*:0"), ("a\nroot::0:0::/:", "*\nroot::")] {
        let mut forged = account("ann", 1001);
        forged.gecos = gecos.to_owned();
        assert!(why(files.add_user(&forged)).contains("a colon or a control character"));
        assert!(why(files.set_password("bob", password)).contains("a colon"));
    }
    assert!(
        why(AccountFiles::new(&BTreeMap::new(), defaults(), DAY).map(drop)).contains("/etc/passwd")
    );
}

#[test]
fn a_group_comes_before_the_lines_of_nis_and_goes() {
    let mut files = files();
    files.add_group("jail-arkham", 1001).expect("added");
    let groups = files.tables[&Database::Group].text();
    assert!(groups.ends_with(b"bob:x:1000:\njail-arkham:x:1001:\n+:::\n"));
    let shadows = files.tables[&Database::Gshadow].text();
    assert!(shadows.ends_with(b"bob:!::\njail-arkham:!::\n"));
    files.remove_group("jail-arkham").expect("removed");
    assert_eq!(
        files.tables[&Database::Group].text(),
        self::files().tables[&Database::Group].text()
    );
}

#[test]
fn an_account_is_altered_closed_and_opened() {
    let before = files();
    let mut files = files();
    let to = AccountFields {
        gid: 100,
        home: "/h".to_owned(),
        shell: "/s".to_owned(),
        gecos: "g".to_owned(),
        groups: vec!["gone".to_owned(), "root".to_owned()],
    };
    files.modify_user("bob", &to).expect("altered");
    files.set_expiry("bob", Expiry::Closed).expect("closed");
    files.set_password("bob", "*$y$hash").expect("locked");
    assert_eq!(
        difference(&before, &files),
        [
            "passwd -bob:x:1000:1000:Bob,,:/home/bob:/bin/bash",
            "passwd +bob:x:1000:100:g:/h:/s",
            "shadow -bob:$y$hash:19000:0:99999:7:::",
            "shadow +bob:*$y$hash:20000:0:99999:7::1:",
            "group -root:x:0:",
            "group -crew:x:100:ann,bob",
            "group +root:x:0:bob",
            "group +crew:x:100:ann",
            "gshadow -root:*::",
            "gshadow -crew:!:bob:ann,bob",
            "gshadow +root:*::bob",
            "gshadow +crew:!:bob:ann",
        ]
    );
    files.set_expiry("bob", Expiry::Never).expect("opened");
    files
        .set_expiry("root", Expiry::Day(21_000))
        .expect("until");
    let shadow = files.tables[&Database::Shadow].text();
    assert_eq!(
        String::from_utf8(shadow).unwrap(),
        "root:*:19000:0:99999:7::21000:\nbob:*$y$hash:20000:0:99999:7:::\n"
    );
    let mut stray = to;
    stray.gid = 4;
    assert!(files.modify_user("bob", &stray).is_err());
    assert!(files.modify_user("nobody", &stray).is_err());
}

#[test]
fn a_user_without_a_line_in_shadow_gets_one_or_a_password_in_passwd() {
    let texts = [
        (
            Database::Passwd,
            "a:x:1:1::/:/bin/sh\nb:old:2:1::/:/bin/sh\n",
        ),
        (Database::Shadow, ""),
        (Database::Group, "g:x:1:\n"),
    ];
    let mut files = host(&texts);
    files.set_password("a", "*").expect("set");
    files.set_password("b", "new").expect("set");
    assert_eq!(
        files.tables[&Database::Shadow].text(),
        b"a:*:20000:0:99999:7:::\n"
    );
    files.set_expiry("b", Expiry::Closed).expect("closed");
    assert_eq!(
        files.tables[&Database::Shadow].text(),
        b"a:*:20000:0:99999:7:::\nb:new:20000:0:99999:7::1:\n"
    );
    assert!(
        files.tables[&Database::Passwd]
            .text()
            .ends_with(b"b:new:2:1::/:/bin/sh\n")
    );
}

#[test]
fn other_lines_stay_as_they_are_and_two_of_one_name_are_refused() {
    let odd = b"\xff:x\n\n# note\nbob:x:1000:1000:::\nno newline:";
    let mut table = Table::parse(odd);
    assert_eq!(table.text(), [&odd[..], b"\n"].concat());
    table.add(&[b"bob"]);
    assert!(table.row("bob").is_err());
    let empty = Table::parse(b"");
    assert_eq!(empty.text(), b"");
}
