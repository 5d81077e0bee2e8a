//! Commented spec that `init` writes.

use crate::names::JailName;

/// Placeholder for a public key. It is not a valid key, so that a spec in which it was not replaced
/// is refused.
pub const PLACEHOLDER: &str = "ssh-ed25519 PUT-THE-LINE-OF-A-.pub-FILE-HERE";

/// Parameters of the spec.
#[derive(Debug)]
pub struct StarterSpec {
    /// Name of the jail.
    pub name: JailName,
    /// Templates of the spec.
    pub templates: Vec<String>,
    /// Whether the templates allow `shell`.
    pub shell: bool,
}

impl StarterSpec {
    /// Text of the spec.
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
# Programs of the jail, by name or path. Their libraries and data files are included; `jailctl why`
# explains each file.
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
# The root of the jail is owned by root, as sshd requires. This directory is for uploads.
[[dir]]
path = "/upload"
owner = "{name}"
mode = "0750"
"#
            )
        };
        let namespaces = if self.shell {
            r"
# Isolated sessions, without access to processes, shared memory and host name of the host. They are the
# default if pam_jailctl.so is installed; with this table they are required. For a plain chroot, write
# `plain_chroot = true` at the top.
# [namespaces]
"
        } else {
            ""
        };
        format!(
            r#"# The jail {name}.
#
#     jailctl plan {name}.toml       show what would change
#     jailctl build {name}.toml      build the jail, also after each change of this file
#
# The root is /srv/jails/{name}; `root = "/another/path"` changes it.
name = "{name}"

# Partial specs below this one.
templates = [{templates}]
{binaries}
# An account, created by jailctl, which can log in only to the jail. Repeat [[user]] for more accounts.
[[user]]
name = "{name}"
# Public keys: the line of each .pub file, such as ~/.ssh/id_ed25519.pub.
authorized_keys = [
    "{PLACEHOLDER}",
]
{upload}{namespaces}
# Additional files: text, or with `source = "/path"` a file or tree of the host.
# [[file]]
# target = "/welcome.txt"
# content = "Welcome.\n"
"#
        )
    }
}
