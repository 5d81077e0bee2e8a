//! Commands of a shell that run a program as another account: su(1), runuser(1), sudo(8), doas(1),
//! setpriv(1), chpst(8).

/// Accounts, by name or number, to which the commands of a line switch. The line is read as sh(1)
/// reads it, without expansions; columns of a crontab before the command do no harm.
pub(super) fn accounts_of(line: &str) -> Vec<String> {
    let mut accounts = Vec::new();
    for command in commands(line) {
        for (index, word) in command.iter().enumerate() {
            let program = word.rsplit('/').next().unwrap_or_default();
            accounts.extend(account(program, &command[index + 1..]));
            // The argument of `sh -c` is a line of its own.
            if word.contains(char::is_whitespace) {
                accounts.extend(accounts_of(word));
            }
        }
    }
    accounts
}

/// The account to which a program with these arguments switches.
fn account(program: &str, arguments: &[String]) -> Option<String> {
    // Options with the account, options with another value, whether the first other word is it.
    let (of_account, of_value, is_operand): (&[&str], &[&str], bool) = match program {
        "su" => (
            &[],
            &[
                "-c",
                "--command",
                "-g",
                "--group",
                "-G",
                "--supp-group",
                "-s",
                "--shell",
                "-w",
                "--whitelist-environment",
                "-C",
                "--session-command",
            ],
            true,
        ),
        "runuser" => (
            &["-u", "--user"],
            &[
                "-c",
                "--command",
                "-g",
                "--group",
                "-G",
                "--supp-group",
                "-s",
                "--shell",
                "-w",
                "--whitelist-environment",
                "--session-command",
            ],
            true,
        ),
        "sudo" => (
            &["-u", "--user"],
            &[
                "-g",
                "--group",
                "-h",
                "--host",
                "-p",
                "--prompt",
                "-C",
                "--close-from",
                "-D",
                "--chdir",
                "-R",
                "--chroot",
                "-r",
                "--role",
                "-t",
                "--type",
                "-T",
                "--command-timeout",
                "-U",
                "--other-user",
            ],
            false,
        ),
        "doas" => (&["-u"], &["-C"], false),
        "chpst" => (
            &["-u", "-U"],
            &["-b", "-d", "-e", "-l", "-L", "-m", "-n", "-o", "-p", "-/"],
            false,
        ),
        "setpriv" => (
            &["--reuid", "--euid", "--ruid"],
            &[
                "--regid",
                "--egid",
                "--rgid",
                "--groups",
                "--inh-caps",
                "--ambient-caps",
                "--bounding-set",
                "--securebits",
                "--pdeathsig",
                "--selinux-label",
                "--apparmor-profile",
            ],
            false,
        ),
        "start-stop-daemon" => (
            &["-c", "--chuid", "-u", "--user"],
            &[
                "-x",
                "--exec",
                "-p",
                "--pidfile",
                "-n",
                "--name",
                "-g",
                "--group",
                "-a",
                "--startas",
                "-d",
                "--chdir",
                "-s",
                "--signal",
                "-R",
                "--retry",
            ],
            false,
        ),
        _ => return None,
    };
    let name = |value: &str| {
        // `chpst -u user:group`, `start-stop-daemon -c user:group`.
        let name = value.split(':').find(|part| !part.is_empty());
        name.map(str::to_owned)
    };
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(word) = arguments.next() {
        if of_account.contains(&word) {
            return arguments.next().and_then(name);
        }
        let attached = of_account.iter().find_map(|option| {
            let rest = word.strip_prefix(option)?;
            if option.starts_with("--") {
                rest.strip_prefix('=')
            } else {
                Some(rest)
            }
        });
        if let Some(value) = attached {
            return name(value);
        }
        if of_value.contains(&word) {
            arguments.next();
        } else if !word.starts_with('-') {
            // Settings of variables precede the command of sudo(8).
            if is_operand {
                return name(word);
            }
            if !word.contains('=') {
                return None;
            }
        }
    }
    None
}

/// The simple commands of a line, each as its words. Quotes are removed; a comment ends the line.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut command) = (Vec::new(), Vec::new());
    let (mut word, mut has_word, mut quote) = (String::new(), false, None);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '\'' | '"') => {
                quote = Some(letter);
                has_word = true;
            }
            (Some(open), _) if letter == open => quote = None,
            (None | Some('"'), '\\') => {
                word.extend(letters.next());
                has_word = true;
            }
            (Some(_), _) => word.push(letter),
            (None, '#') if !has_word => break,
            (None, _) if letter.is_whitespace() || ";|&()`<>{}\n".contains(letter) => {
                if std::mem::take(&mut has_word) {
                    command.push(std::mem::take(&mut word));
                }
                if !letter.is_whitespace() && !command.is_empty() {
                    commands.push(std::mem::take(&mut command));
                }
            }
            (None, _) => {
                word.push(letter);
                has_word = true;
            }
        }
    }
    if has_word {
        command.push(word);
    }
    commands.push(command);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_command_is_found() {
        for (line, expected) in [
            ("5 4 * * * su ann -c /usr/bin/report", &["ann"][..]),
            ("su - ann -c 'echo bob'", &["ann"]),
            ("su -s /bin/sh -c 'true; su bob' ann", &["ann", "bob"]),
            ("@daily /sbin/runuser -u ann -- /usr/bin/x su", &["ann"]),
            ("runuser -l ann -c x >/dev/null 2>&1", &["ann"]),
            ("cd /srv && sudo -n -u ann make", &["ann"]),
            ("sudo --user=ann x; sudo -uann y", &["ann", "ann"]),
            ("sudo -u '#1000' A=b x", &["#1000"]),
            ("sudo make ann", &[]),
            ("setpriv --reuid=1000 --clear-groups x", &["1000"]),
            ("chpst -u ann:web x", &["ann"]),
            (
                "start-stop-daemon --start --chuid ann:web --exec /x",
                &["ann"],
            ),
            ("bash -c \"su ann -c x\"", &["ann"]),
            ("x=$(su ann -c id)", &["ann"]),
            ("# su ann -c x", &[]),
            ("echo result ann", &[]),
            ("apt-get install ann", &[]),
            ("su", &[]),
        ] {
            assert_eq!(accounts_of(line), expected, "{line}");
        }
    }
}
