//! The demonstration: builds the jail of a spec in a throw-away copy of this host and shows its
//! user's real ssh session. `tests/demo` runs it.
//!
//! `demo JAILCTL SPEC`, as root, with the PAM module beside JAILCTL. Ends with status 1 as soon as
//! anything is not as jailctl promises.
#![expect(
    clippy::disallowed_methods,
    reason = "the rule is the product's; the demonstration reads a spec and looks at the machine"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "showing is its purpose"
)]

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use disposable::{DisposableHost, Login, Output};

/// What the copy needs beside what every Debian has.
const PACKAGES: [&str; 2] = ["openssh-server", "openssh-client"];

type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [jailctl, spec] = arguments.as_slice() else {
        eprintln!("usage: demo JAILCTL SPEC");
        return ExitCode::from(2);
    };
    let outcome = disposable::available()
        .map_err(|why| format!("the demonstration {why}"))
        .and_then(|()| show_and_leave_nothing(jailctl, spec));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("not as promised: {what}");
            ExitCode::FAILURE
        }
    }
}

fn show_and_leave_nothing(jailctl: &str, spec: &str) -> Outcome {
    let machine = || {
        ["/proc/self/mountinfo", "/etc/passwd", "/etc/group"]
            .map(|path| fs::read_to_string(path).unwrap_or_default())
    };
    let before = machine();
    show(Path::new(jailctl), Path::new(spec))?;
    promise(
        machine() == before,
        "the machine's mounts and accounts are as before",
    )?;
    println!("\nThe copy is gone. No mount, process, account or file of it is left.");
    Ok(())
}

fn show(jailctl: &Path, spec: &Path) -> Outcome {
    let text = fs::read_to_string(spec).map_err(|error| format!("{}: {error}", spec.display()))?;
    let spec = spec
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or("the spec has a name")?;
    let user = value(&text, "[[user]]", "name").ok_or("the spec has a user")?;
    let sample = value(&text, "[[file]]", "target").ok_or("the spec has a sample file")?;

    println!("In a throw-away copy of this machine, called gotham:\n");
    let host = DisposableHost::builder()
        .jailctl(jailctl)
        .packages(&PACKAGES)
        .make();
    // Commands in the copy have another working directory.
    let module = fs::canonicalize(jailctl.with_file_name("libpam_jailctl.so"))
        .map_err(|error| format!("libpam_jailctl.so: {error}"))?;
    host.run([
        "sh",
        "-c",
        "install -m 644 \"$0\" \"$(dirname \"$(find /usr/lib -name pam_succeed_if.so)\")\"/pam_jailctl.so",
        &module.display().to_string(),
    ])
    .ok();
    let key = host.key(&user);
    host.write(
        &format!("/root/{spec}"),
        &with_key(&text, &user, &key.public),
    );

    let _sshd = host.sshd();

    println!("$ jailctl build {spec}");
    let built = host.jailctl(["build", spec]);
    print(&built);
    promise(built.success(), "the jail is built")?;
    let login = host.login(&user, &key);

    let seen = ssh(&login, "ls /");
    promise(
        seen.success() && seen.lines().contains(&"home") && !seen.lines().contains(&"root"),
        "`ls /` shows the jail's root and not the host's",
    )?;
    let seen = ssh(&login, &format!("cat {sample}"));
    promise(
        seen.success() && !seen.text().is_empty(),
        "the sample file can be read",
    )?;
    let seen = ssh(&login, "ls -ld ~");
    promise(
        seen.text().split_whitespace().nth(2) == Some(&user),
        "the home is the user's, by name",
    )?;
    promise(
        ssh(&login, "cat /etc/shadow").code() == 1,
        "the host's /etc/shadow is not there",
    )?;
    promise(
        ssh(&login, "vi").code() == 127,
        "a program that the spec does not name is not there",
    )?;

    host.write("/root/letter", "Dear Mistah J.\n");
    println!("\n$ sftp {user}@127.0.0.1");
    let sent = login.sftp("put letter\nls -l\nget letter letter.back\n");
    print(&sent);
    promise(
        sent.success() && host.read("/root/letter.back") == host.read("/root/letter"),
        "a file comes back by sftp as it was sent",
    )
}

/// Runs a command of the session and shows both.
fn ssh(login: &Login<'_>, command: &str) -> Output {
    println!("\n$ ssh {}@127.0.0.1 {command}", login.user);
    let output = login.ssh(command);
    print(&output);
    output
}

fn print(output: &Output) {
    print!("{}{}", output.stdout(), output.stderr());
}

fn promise(kept: bool, promise: &str) -> Outcome {
    if kept {
        Ok(())
    } else {
        Err(format!("that {promise}"))
    }
}

/// The first `key = "value"` after the line `table`. The spec is jailctl's to parse: this is for
/// its plain examples.
fn value(spec: &str, table: &str, key: &str) -> Option<String> {
    spec.lines()
        .skip_while(|line| line.trim() != table)
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim() == key)
        .and_then(|(_, value)| value.split('"').nth(1))
        .map(str::to_owned)
}

/// The spec with `public` as the one key of `user`, in the place of those it may have.
fn with_key(spec: &str, user: &str, public: &str) -> String {
    let keys = format!("authorized_keys = [\"{}\"]", public.trim());
    let mut lines: Vec<&str> = spec
        .lines()
        .filter(|line| !line.trim_start().starts_with("authorized_keys"))
        .collect();
    let at = lines
        .iter()
        .skip_while(|line| line.trim() != "[[user]]")
        .position(|line| line.contains(user));
    let table = lines.iter().position(|line| line.trim() == "[[user]]");
    if let (Some(table), Some(at)) = (table, at) {
        lines.insert(table + at + 1, &keys);
    }
    lines.join("\n")
}
