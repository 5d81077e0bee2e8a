//! What programs load that no file of theirs says: the modules of nsswitch.conf, and well-known cases as data, each with its reason.

use super::dlopen_note::Priority;

/// Most modules that are taken from one text.
const MODULES: usize = 256;

/// A library that programs may load while they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImplicitLibrary {
    /// The name that is searched for.
    pub name: String,
    /// Why, as [`Reason::Known`](super::Reason::Implicit) tells it.
    pub why: String,
    /// How much programs lose without it.
    pub priority: Priority,
}

/// The modules that nsswitch.conf(5) calls for. `databases` chooses its lines; none chooses all.
///
/// A service `x` is `libnss_x.so.2`. From glibc 2.34 `files` and `dns` are part of libc, and there is no such file then: what is not found is not wanted.
pub fn nss_modules(nsswitch: &str, databases: &[&str]) -> Vec<ImplicitLibrary> {
    let mut modules: Vec<ImplicitLibrary> = Vec::new();
    for line in nsswitch.lines() {
        let line = line.split('#').next().unwrap_or(line);
        let Some((database, services)) = line.split_once(':') else {
            continue;
        };
        let database = database.trim();
        if !databases.is_empty() && !databases.contains(&database) {
            continue;
        }
        for service in services_of(services) {
            let name = format!("libnss_{service}.so.2");
            if modules.len() < MODULES && modules.iter().all(|module| module.name != name) {
                let why = format!("loaded for {database}: {service} of nsswitch.conf");
                modules.push(ImplicitLibrary {
                    name,
                    why,
                    priority: Priority::Recommended,
                });
            }
        }
    }
    modules
}

/// The services of a line, without the actions in brackets that stand between them.
fn services_of(line: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    line.split_inclusive([']', '['])
        .flat_map(move |part| {
            let was_inside = std::mem::replace(&mut inside, part.ends_with('['));
            let text = if was_inside { "" } else { part };
            text.trim_end_matches('[').split_whitespace()
        })
        .filter(|service| {
            service
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
        })
}

/// Libraries that glibc itself loads while a program runs.
pub fn loaded_by_glibc() -> Vec<ImplicitLibrary> {
    [
        (
            "libgcc_s.so.1",
            "loaded by libc for pthread_cancel, pthread_exit and backtrace",
            Priority::Recommended,
        ),
        (
            "libidn2.so.0",
            "loaded by libc to look up host names that are not in ASCII (AI_IDN of getaddrinfo)",
            Priority::Suggested,
        ),
    ]
    .into_iter()
    .map(|(name, why, priority)| ImplicitLibrary {
        name: name.to_owned(),
        why: why.to_owned(),
        priority,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, databases: &[&str]) -> Vec<String> {
        nss_modules(text, databases)
            .into_iter()
            .map(|module| module.name)
            .collect()
    }

    #[test]
    fn services_are_taken_without_actions_and_comments() {
        let text = "# x: y\npasswd: files systemd [!UNAVAIL=return] sss# z\nhosts: files [SUCCESS=merge]dns ../evil\n";
        assert_eq!(
            names(text, &[]),
            [
                "libnss_files.so.2",
                "libnss_systemd.so.2",
                "libnss_sss.so.2",
                "libnss_dns.so.2"
            ]
        );
        assert_eq!(
            names(text, &["hosts"]),
            ["libnss_files.so.2", "libnss_dns.so.2"]
        );
    }
}
