//! The spec that `init` writes: short, and each line says what it is for.

use crate::names::JailName;

/// What stands in the place of a key. No key, so that what was forgotten is a finding and not an account that nobody can open.
pub const PLACEHOLDER: &str = "ssh-ed25519 PUT-THE-LINE-OF-A-.pub-FILE-HERE";

/// What is known of the jail that is to be.
#[derive(Debug)]
pub struct StarterSpec {
    /// Its name.
    pub name: JailName,
    /// Its templates.
    pub templates: Vec<String>,
    /// Whether they open the door `shell`.
    pub shell: bool,
}

impl StarterSpec {
    /// The spec.
    pub fn text(&self) -> String {
        let name = &self.name;
        let templates: Vec<String> = self
            .templates
            .iter()
            .map(|template| format!("{template:?}"))
            .collect();
        let templates = templates.join(", ");
        let binaries = if self.shell {
            r#"
# The programs that can be run inside, by name or path. What they need (libraries, data) comes along; `jailctl why` says what for.
binaries = ["ls", "cat"]
"#
        } else {
            ""
        };
        let upload = if self.shell {
            String::new()
        } else {
            format!(
                r#"
# The jail's own root belongs to root, as sshd demands. This is a place for files.
[[dir]]
path = "/upload"
owner = "{name}"
mode = "0750"
"#
            )
        };
        let namespaces = if self.shell {
            r"
# Sessions that see nothing of the host: its processes, shared memory, host name. They are the default where pam_jailctl.so is installed; with this table
# they are asked for in any case, and with `plain_chroot = true` at the top there is a chroot and nothing more.
# [namespaces]
"
        } else {
            ""
        };
        format!(
            r#"# The jail {name}.
#
#     jailctl plan {name}.toml       what would be done
#     jailctl build {name}.toml      do it; again after each change of this file
#
# It is made in /srv/jails/{name}; write `root = "/another/place"` to have it elsewhere.
name = "{name}"

# Partial specs below this one.
templates = [{templates}]
{binaries}
# An account, made by jailctl and of no use outside the jail. Have as many [[user]] as you like.
[[user]]
name = "{name}"
# Who may log in: the line of each .pub file, as `cat ~/.ssh/id_ed25519.pub` prints it.
authorized_keys = [
    "{PLACEHOLDER}",
]
{upload}{namespaces}
# More files: text given here, or `source = "/a/file/or/tree"` of the host's.
# [[file]]
# target = "/welcome.txt"
# content = "Welcome.\n"
"#
        )
    }
}
