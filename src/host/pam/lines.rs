//! Lines of a PAM service file: pam.conf(5).

/// Group of modules to which a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Facility {
    /// `auth`.
    Auth,
    /// `account`.
    Account,
    /// `password`.
    Password,
    /// `session`.
    Session,
}

impl Facility {
    /// All facilities.
    pub(super) const ALL: [Self; 4] = [Self::Auth, Self::Account, Self::Password, Self::Session];

    /// Keyword of the facility.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Password => "password",
            Self::Session => "session",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|facility| word.eq_ignore_ascii_case(facility.keyword()))
    }
}

/// A parsed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Facility; `None` for `@include` of Debian, which includes the lines of each.
    facility: Option<Facility>,
    /// Module or included file.
    pub(super) content: Content,
}

/// Content of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// `include`, `substack` or `@include`: name of a service, or absolute path of a file.
    Include(String),
    /// A module.
    Module {
        /// File name of the module.
        name: String,
        /// Whether its control has a number: it skips that many of the lines that follow.
        jumps: bool,
    },
}

impl Line {
    /// Whether the line has an effect on a facility.
    pub(super) fn is_of(&self, facility: Facility) -> bool {
        self.facility.is_none_or(|own| own == facility)
    }

    fn parse(line: &str) -> Option<Self> {
        let (first, rest) = split(line);
        if first.eq_ignore_ascii_case("@include") {
            let content = Content::Include(split(rest).0.to_owned());
            return Some(Self {
                facility: None,
                content,
            });
        }
        let facility = Facility::parse(first.trim_start_matches('-'))?;
        let (control, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => split(rest),
        };
        let word = split(rest.trim_start()).0;
        let content = match control.to_ascii_lowercase().as_str() {
            "include" | "substack" => Content::Include(word.to_owned()),
            control => Content::Module {
                name: word.rsplit('/').next().unwrap_or_default().to_owned(),
                jumps: has_number(control),
            },
        };
        Some(Self {
            facility: Some(facility),
            content,
        })
    }
}

/// The first word of a text, and what follows the blanks after it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// Whether a control such as `success=1 default=ignore` has a number as an action.
fn has_number(control: &str) -> bool {
    let mut actions = control.split('=').skip(1);
    actions.any(|action| {
        action
            .trim_start()
            .starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Parses the lines of a service. What libpam would not understand is left out.
pub(super) fn parse(text: &str) -> Vec<Line> {
    let lines = logical_lines(text);
    lines.iter().filter_map(|line| Line::parse(line)).collect()
}

/// Lines of a service without comments, lines that end in a backslash joined with the next.
pub(super) fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        open.push_str(part);
        if goes_on {
            open.push(' ');
        } else {
            lines.push(std::mem::take(&mut open));
        }
    }
    lines.push(open);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_kinds_are_parsed() {
        let include = |name: &str| Content::Include(name.to_owned());
        let module = |name: &str, jumps| Content::Module {
            name: name.to_owned(),
            jumps,
        };
        for (text, facility, content) in [
            ("@include common-account", None, include("common-account")),
            (
                "account include system-auth",
                Some(Facility::Account),
                include("system-auth"),
            ),
            (
                "Session\tsubstack /usr/lib/pam.d/x",
                Some(Facility::Session),
                include("/usr/lib/pam.d/x"),
            ),
            (
                "-session optional pam_systemd.so class=user # x",
                Some(Facility::Session),
                module("pam_systemd.so", false),
            ),
            (
                "account [success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so",
                Some(Facility::Account),
                module("pam_unix.so", true),
            ),
            (
                "auth [default = 2] \\\n /lib/security/pam_x.so a=1",
                Some(Facility::Auth),
                module("pam_x.so", true),
            ),
            (
                "account [default=die success=ok] pam_x.so 1=2",
                Some(Facility::Account),
                module("pam_x.so", false),
            ),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed, [Line { facility, content }], "{text}");
        }
        assert_eq!(
            parse("# account required x\n\nnonsense a b\n[account]\n"),
            []
        );
    }
}
