//! Merge of templates and spec: which values replace, which lists are concatenated, and spans.

use super::*;

/// Loads `spec` with the templates of `site`, and the built-in templates.
fn load_with(spec: &str, span: &[(&str, &str)]) -> Result<Spec> {
    load(&text_of(spec), &Site(span))
}

struct Site<'t>(&'t [(&'t str, &'t str)]);

impl Templates for Site<'_> {
    fn get(&self, name: &str) -> Result<Option<Arc<SourceText>>> {
        match self.0.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Ok(Some(Arc::new(SourceText {
                name: format!("template {name}"),
                text: (*text).to_owned(),
            }))),
            None => BuiltIn.get(name),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        BuiltIn.names()
    }
}

fn targets(spec: &Spec) -> Vec<(&str, String)> {
    spec.files
        .iter()
        .map(|file| (file.target.value.as_str(), file.target.span.to_string()))
        .collect()
}

#[test]
fn lists_are_joined_without_doubles() {
    let span = [
        ("one", "binaries = ['ls', 'cat']\n[sshd]\nallow = ['sftp']"),
        ("two", "binaries = ['cat', 'bash']"),
    ];
    let spec = load_with(
        "name = 'a'\ntemplates = ['one', 'two', 'one']\nbinaries = ['id', 'ls', 'id']",
        &span,
    )
    .expect("good");
    assert_eq!(values(&spec.binaries), ["ls", "cat", "bash", "id"]);
    assert_eq!(spec.binaries[2].span.to_string(), "template two:1");
    assert_eq!(spec.binaries[3].span.to_string(), "test.toml:3");
    assert_eq!(spec.access.value, [AccessMethod::Sftp]);
    assert_eq!(spec.access.span.to_string(), "template one:3");
    assert_eq!(values(&spec.templates), ["one", "two"]);
}

#[test]
fn a_spec_that_says_what_is_open_replaces_what_templates_open() {
    let access = |text: &str| {
        let spec = load_with(text, &[("web", "[sshd]\nallow = ['shell']")]).expect("good");
        (spec.access.value, spec.access.span.to_string())
    };
    let user = "\n[[user]]\nname = 'ana'\nauthorized_keys = []\n[sshd]\n";
    assert_eq!(
        access(&format!(
            "name = 'a'\ntemplates = ['shell']\nbinaries = ['ls']{user}allow = ['sftp']"
        )),
        (vec![AccessMethod::Sftp], "test.toml:8".to_owned())
    );
    assert_eq!(
        access(&format!(
            "name = 'a'\ntemplates = ['shell']{user}allow = ['shell']"
        )),
        (vec![AccessMethod::Shell], "test.toml:7".to_owned())
    );
    assert_eq!(
        access(&format!(
            "name = 'a'\ntemplates = ['sftp']\nbinaries = ['bash']{user}allow = ['shell', 'sftp']"
        ))
        .0,
        [AccessMethod::Shell, AccessMethod::Sftp]
    );
    // Templates among themselves: what any of them opens is open.
    assert_eq!(
        access("name = 'a'\ntemplates = ['sftp', 'web']\nbinaries = ['bash']").0,
        [AccessMethod::Shell, AccessMethod::Sftp]
    );
}

#[test]
fn ports_and_devices_of_the_spec_replace_those_of_templates() {
    let templates = [(
        "wide",
        "binaries = ['bash']\n[network]\nallow_in = ['tcp/22', 'tcp/80']\nallow_out = ['tcp/443']\n\
         [limits]\ndevices = ['/dev/fuse', '/dev/kvm']",
    )];
    let open = |more: &str| {
        let text = format!("name = 'a'\ntemplates = ['wide']\n{more}");
        let spec = load_with(&text, &templates).expect("good");
        let session = spec.session.expect("a session");
        let NetworkSpec::Private(network) = session.network else {
            panic!("not a network of its own");
        };
        let ports = |ports: &[Spanned<jailctl_session::network::Port>]| ports.len();
        let devices = session.limits.expect("limits").values.devices;
        (
            ports(&network.allow_in),
            ports(&network.allow_out),
            devices.map(|devices| devices.len()),
        )
    };
    assert_eq!(open(""), (2, 1, Some(2)));
    assert_eq!(
        open("[network]\nallow_in = ['tcp/80']\nallow_out = []\n[limits]\ndevices = ['/dev/fuse']"),
        (1, 0, Some(1))
    );
    assert_eq!(open("[limits]\ndevices = []"), (2, 1, Some(0)));
}

#[test]
fn mount_options_that_are_not_named_keep_their_safe_default() {
    let options = |source: &str, target: &str, given: &str| {
        let text = format!(
            "name = 'a'\nbinaries = ['bash']\n[[mount]]\nsource = '{source}'\ntarget = '{target}'\n{given}"
        );
        let spec = load_text(&text).expect("good");
        let mounts = spec.session.expect("a session").mounts;
        ["ro", "nosuid", "nodev", "noexec"].map(|option| mounts[0].is(option))
    };
    let host = |given: &str| options("/opt/x", "/x", given);
    assert_eq!(host(""), [true, true, true, true]);
    assert_eq!(host("options = []"), [true, true, true, true]);
    assert_eq!(host("options = ['rw']"), [false, true, true, true]);
    assert_eq!(host("options = ['exec']"), [true, true, true, false]);
    assert_eq!(
        host("options = ['rw', 'suid', 'dev', 'exec']"),
        [false, false, false, false]
    );
    assert_eq!(
        options("tmpfs", "/x", "options = ['size=1M']"),
        [false, true, true, true]
    );
    assert_eq!(
        options("proc", "/proc", "options = ['ro']"),
        [true, true, true, true]
    );
}

#[test]
fn every_list_that_a_template_can_have_says_how_it_meets_that_of_a_spec() {
    let lists = |replaces: bool| -> Vec<&str> {
        let keys = super::super::schema::KEYS.iter();
        keys.filter(|key| key.meets() && key.replaces == replaces)
            .map(|key| key.path)
            .collect()
    };
    assert_eq!(
        lists(true),
        [
            "sshd.allow",
            "sshd.command",
            "network.allow_in",
            "network.allow_out",
            "limits.devices"
        ]
    );
    assert_eq!(lists(false), ["binaries", "optional", "packages"]);
}

#[test]
fn a_later_file_takes_the_place_of_an_earlier() {
    let span = [
        (
            "one",
            "[[file]]\ntarget='/x'\ncontent='1'\n[[file]]\nsource='/opt/y'",
        ),
        (
            "two",
            "[[file]]\ntarget='/x'\ncontent='2'\n[[dir]]\npath='/d'\nmode='0700'",
        ),
    ];
    let spec = load_with(
        "name='a'\ntemplates=['one','two']\n[[file]]\ntarget='/opt/y'\ncontent='3'\n[[dir]]\npath='/d'",
        &span,
    )
    .expect("good");
    assert_eq!(
        targets(&spec),
        [
            ("/x", "template two:2".to_owned()),
            ("/opt/y", "test.toml:4".to_owned())
        ]
    );
    assert_eq!(spec.dirs.len(), 1);
    assert_eq!(spec.dirs[0].mode, 0o755);
}

#[test]
fn the_profile_of_the_shell_template_can_be_replaced() {
    let spec = load_with(
        "name='a'\ntemplates=['shell']\n[[file]]\ntarget='/etc/profile'\ncontent=''",
        &[],
    )
    .expect("good");
    assert_eq!(targets(&spec), [("/etc/profile", "test.toml:4".to_owned())]);
}

#[test]
fn a_template_is_refused_with_its_own_lines() {
    let span = [(
        "bad",
        "name = 'x'\ntemplates = ['sftp']\nbinarys = []\n[[user]]\nname='y'",
    )];
    let error = load_with("name='a'\ntemplates=['bad']", &span).expect_err("bad");
    let said: Vec<String> = error
        .findings
        .iter()
        .map(|finding| {
            let (span, _) = finding.span.as_ref().expect("site");
            format!("{span}: {finding}")
        })
        .collect();
    assert_eq!(
        said,
        [
            "template bad:1: `name` is not allowed in a template",
            "template bad:2: `templates` is not allowed in a template",
            "template bad:3: unknown key `binarys`",
            "template bad:4: `user` is not allowed in a template",
        ]
    );
}

#[test]
fn the_built_in_templates_are_whole() {
    for name in BuiltIn.names().expect("names") {
        let spec = load_with(&format!("name='a'\ntemplates=['{name}']"), &[]).expect(&name);
        assert!(spec.users.is_empty());
        assert!(spec.access.value.contains(&AccessMethod::Sftp), "{name}");
    }
    assert_eq!(BuiltIn.get("../etc/passwd").expect("no error"), None);
}

#[test]
fn shells_and_doors_follow_from_each_other() {
    let doors_and_shell = |lines: &str| {
        let spec = load_text(&format!("name='a'\n{lines}")).expect(lines);
        let shell = spec.users[0].shell.clone();
        (
            spec.access.value,
            shell.map(|shell| shell.value.to_string()),
        )
    };
    let bash = Some("/bin/bash".to_owned());
    let both = vec![AccessMethod::Shell, AccessMethod::Sftp];
    assert_eq!(
        doors_and_shell("binaries=['ls','sh','bash']\n[[user]]\nname='u'"),
        (both.clone(), bash.clone())
    );
    assert_eq!(
        doors_and_shell("binaries=['/opt/bin/zsh']\n[[user]]\nname='u'"),
        (both.clone(), Some("/opt/bin/zsh".to_owned()))
    );
    assert_eq!(
        doors_and_shell("binaries=['bash']\n[[user]]\nname='u'\nshell='/usr/bin/bash'"),
        (both.clone(), Some("/usr/bin/bash".to_owned()))
    );
    assert_eq!(
        doors_and_shell(
            "[[user]]\nname='u'\nshell='/bin/menu'\n[[file]]\nsource='/opt/menu'\ntarget='/usr/bin/menu'"
        ),
        (both, Some("/bin/menu".to_owned()))
    );
    assert_eq!(
        doors_and_shell("binaries=['ls']\n[[user]]\nname='u'"),
        (vec![AccessMethod::Sftp], None)
    );
    assert_eq!(
        doors_and_shell(
            "binaries=['bash']\n[[user]]\nname='u'\nshell='/bin/bash'\n[sshd]\nallow=['sftp']"
        ),
        (vec![AccessMethod::Sftp], None)
    );
    assert_eq!(
        doors_and_shell("binaries=['bash']\n[[user]]\nname='u'\n[sshd]\nallow=['shell','shell']"),
        (vec![AccessMethod::Shell], bash)
    );
}

#[test]
fn windows_line_ends_are_no_part_of_the_text() {
    let spec =
        load_text("name='a'\r\n[[file]]\r\ntarget='/x'\r\ncontent='''\r\none\r\ntwo\r\n'''\r\n")
            .expect("good");
    let FileBody::Content(content) = &spec.files[0].body else {
        panic!("no content");
    };
    assert_eq!(content.value, "one\ntwo\n");
}

#[test]
fn a_root_of_users_is_a_spec_of_each() {
    let spec = load_text(
        "name = 'acme'\nroot = '/srv/%u/jail'\n[[user]]\nname = 'alice'\n[[user]]\nname = 'bob'\npassword = 'unchanged'\n[[dir]]\npath = '/all'\n[[dir]]\npath = '/up'\nowner = 'alice'\n[[dir]]\npath = '/up'\nowner = 'bob'\nmode = '0700'\n",
    )
    .expect("good");
    assert!(spec.is_family());
    let members = spec.members();
    let names: Vec<_> = members
        .iter()
        .map(|spec| spec.name.value.as_str())
        .collect();
    assert_eq!(names, ["acme.alice", "acme.bob"]);
    let modes = [[0o755, 0o755], [0o755, 0o700]];
    for ((member, user), modes) in members.iter().zip(["alice", "bob"]).zip(modes) {
        assert!(!member.is_family());
        assert_eq!(
            member.root.value,
            PathBuf::from(format!("/srv/{user}/jail"))
        );
        assert_eq!(member.users.len(), 1);
        assert_eq!(member.users[0].name.value.as_str(), user);
        assert!(member.dirs.iter().map(|dir| dir.mode).eq(modes));
        let family = member.family.as_ref().expect("it is one of several");
        assert_eq!(family.root, PathBuf::from("/srv/%u/jail"));
        assert!(family.passwords, "bob's counts for the snippet of both");
        assert_eq!(family.is_last, user == "bob");
    }
    let alone = spec
        .clone()
        .member(&members[0].name.value)
        .expect("it is there");
    assert!(alone.family.expect("a family").is_last);
    assert!(spec.clone().member(&spec.name.value).is_err());
    let carol = crate::names::JailName::parse("acme.carol").expect("a name");
    assert!(spec.member(&carol).is_err());
}

#[test]
fn no_users_name_leads_a_root_elsewhere() {
    for name in [
        "..", ".", "../etc", "a/b", "/etc", "%u", "a b", "", "A", "a\\u0000",
    ] {
        let text = format!("name = 'acme'\nroot = '/srv/jails/%u'\n[[user]]\nname = \"{name}\"\n");
        assert!(load_text(&text).is_err(), "{name}");
    }
}

#[test]
fn former_names_are_read_from_records_and_refused_with_the_present_ones() {
    let text = "name = 'a'\nbinaries = ['bash']\n[limits]\nparent = '/customers'\nnet_class = 7\n\
                net_priority = 3\nsessions = 4\n[[user]]\nname = 'u'\npassword = 'keep'\n";
    let recorded = load_recorded(&text_of(text), &BuiltIn).expect("good");
    let limits = recorded.session.expect("sessions").limits.expect("limits");
    assert_eq!(limits.values.parent.as_deref(), Some("customers"));
    assert_eq!(limits.values.net_class, Some(7));
    assert_eq!(limits.values.net_priority, Some(3));
    assert_eq!(limits.values.sessions, Some(4));
    assert_eq!(recorded.users[0].password.value, Password::Unchanged);
    assert!(limits.spans.contains_key("cgroup_parent"));
    let log = "name = 'a'\n[sshd]\nlog = true\n[[user]]\nname = 'u'\n";
    let recorded = load_recorded(&text_of(log), &BuiltIn).expect("good");
    assert!(recorded.sftp.log.is_some());
    let refused = |text| {
        let error = load(&text_of(text), &BuiltIn).expect_err("former names");
        crate::show::diagnostic::render(&error, false)
    };
    insta::assert_snapshot!("former-names", refused(text));
    insta::assert_snapshot!("former-name-log", refused(log));
}
