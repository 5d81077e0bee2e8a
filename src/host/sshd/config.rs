//! Reading sshd's configuration files: which there are, whether drop-ins count, and whom their Match blocks single out. What a setting means is
//! left to sshd itself.

use std::path::{Path, PathBuf};

use super::glob::glob;
use crate::error::{Error, Finding, Kind, Result};
use crate::host::View;

/// Where drop-ins lie, and so our snippets.
pub const DROP_INS: &str = "/etc/ssh/sshd_config.d";
/// Where the configuration begins.
pub const MAIN: &str = "/etc/ssh/sshd_config";
const FILE_LIMIT: u64 = 1 << 20;
/// As deep as sshd itself follows Include.
const DEPTH_LIMIT: usize = 16;

/// sshd's configuration as text.
#[derive(Debug)]
pub struct Config {
    /// Each file in the order in which sshd meets it, the main one first.
    pub files: Vec<(PathBuf, String)>,
    /// Those of the files that are drop-ins: name and text.
    pub drop_ins: Vec<(String, String)>,
}

/// One kind of connection, in the words of `sshd -T -C`. What is empty is left to its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    /// The client's address.
    pub address: Option<String>,
    /// The client's host name.
    pub host: Option<String>,
    /// The address connected to.
    pub local_address: Option<String>,
    /// The port connected to.
    pub local_port: Option<String>,
}

/// A line of sshd_config(5): keyword in lower case, and its arguments.
struct Line {
    keyword: String,
    arguments: Vec<String>,
}

impl Config {
    /// Reads the main file and all that it includes. It is an error if there is no main file, or if drop-ins do not count for everybody.
    pub fn read(view: &View) -> Result<Self> {
        let mut config = Self {
            files: Vec::new(),
            drop_ins: Vec::new(),
        };
        let Some(text) = read(view, Path::new(MAIN))? else {
            return Err(Error::new(
                Kind::Failed,
                Finding::new(format!(
                    "could not find `{}`",
                    view.shown(Path::new(MAIN)).display()
                ))
                .why("the jail's accounts are locked in by sshd")
                .hint("install openssh-server, or build only a tree with `--output DIR`"),
            ));
        };
        if !includes_drop_ins(&text) {
            let main = view.shown(Path::new(MAIN)).display().to_string();
            return Err(Error::new(
                Kind::Failed,
                Finding::new(format!("could not use `{DROP_INS}`"))
                    .why(format!(
                        "`{main}` does not include it before its first Match"
                    ))
                    .hint(format!(
                        "add this as the first line of `{main}`: Include {DROP_INS}/*.conf"
                    )),
            ));
        }
        config.add(view, PathBuf::from(MAIN), text, 0)?;
        Ok(config)
    }

    fn add(&mut self, view: &View, path: PathBuf, text: String, depth: usize) -> Result<()> {
        let included: Vec<PathBuf> = lines(&text)
            .filter(|line| line.keyword == "include" && depth < DEPTH_LIMIT)
            .flat_map(|line| line.arguments)
            .map(|pattern| Path::new("/etc/ssh").join(pattern))
            .collect();
        if path.parent() == Some(Path::new(DROP_INS))
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            self.drop_ins.push((name.to_owned(), text.clone()));
        }
        self.files.push((path, text));
        for pattern in included {
            for path in glob(view, &pattern)? {
                if self.files.iter().all(|(known, _)| *known != path)
                    && let Some(text) = read(view, &path)?
                {
                    self.add(view, path, text, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// The program of the subsystem `sftp`, without arguments, as the first line that names it says.
    pub fn sftp(&self) -> Option<String> {
        self.files
            .iter()
            .flat_map(|(_, text)| lines(text))
            .find(|line| {
                line.keyword == "subsystem"
                    && line.arguments.first().is_some_and(|name| name == "sftp")
            })
            .and_then(|line| line.arguments.into_iter().nth(1))
    }

    /// The ports that sshd listens on, by what the files say.
    pub fn ports(&self) -> Vec<u16> {
        let lines = || self.files.iter().flat_map(|(_, text)| lines(text));
        let of = |keyword: &'static str| {
            let values = lines().filter(move |line| line.keyword == keyword);
            values.filter_map(|line| line.arguments.into_iter().next())
        };
        let mut ports: Vec<u16> = of("port").filter_map(|port| port.parse().ok()).collect();
        if ports.is_empty() {
            ports.push(22);
        }
        // An address of IPv6 without a port has colons too, and brackets with one.
        let of_address = |address: String| -> Option<u16> {
            let (host, port) = address.rsplit_once(':')?;
            let has_port = host.ends_with(']') || !host.contains(':');
            port.parse().ok().filter(|_| has_port)
        };
        ports.extend(of("listenaddress").filter_map(of_address));
        ports
    }

    /// A connection of no particular kind, and one for each Match line that singles out addresses, hosts or ports.
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = vec![Sample::default()];
        for (_, text) in &self.files {
            for line in lines(text).filter(|line| line.keyword == "match") {
                let mut sample = Sample::default();
                for pair in line.arguments.chunks(2) {
                    let [criterion, patterns] = pair else {
                        continue;
                    };
                    let Some(pattern) = patterns
                        .split(',')
                        .find(|pattern| !pattern.starts_with('!'))
                    else {
                        continue;
                    };
                    // An address, name or port that the pattern fits.
                    let fitting = pattern
                        .split('/')
                        .next()
                        .unwrap_or_default()
                        .replace(['*', '?'], "1");
                    match criterion.to_ascii_lowercase().as_str() {
                        "address" => sample.address = Some(fitting),
                        "host" => sample.host = Some(fitting),
                        "localaddress" => sample.local_address = Some(fitting),
                        "localport" => sample.local_port = Some(fitting),
                        _ => {}
                    }
                }
                samples.push(sample);
            }
        }
        samples.sort();
        samples.dedup();
        samples
    }
}

fn read(view: &View, path: &Path) -> Result<Option<String>> {
    Ok(view
        .read(path, FILE_LIMIT)?
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn includes_drop_ins(text: &str) -> bool {
    lines(text)
        .take_while(|line| line.keyword != "match")
        .filter(|line| line.keyword == "include")
        .flat_map(|line| line.arguments)
        .any(|pattern| Path::new("/etc/ssh").join(pattern) == Path::new(DROP_INS).join("*.conf"))
}

/// The lines that are not empty or comments, split as sshd does: `keyword value …` or `keyword=value`, with double quotes.
fn lines(text: &str) -> impl Iterator<Item = Line> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let end = line
            .find(|c: char| c.is_whitespace() || c == '=')
            .unwrap_or(line.len());
        let (keyword, rest) = line.split_at(end);
        let rest = rest.trim_start();
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        let mut arguments = Vec::new();
        let mut word = String::new();
        let mut quoted = false;
        for c in rest.chars() {
            match c {
                '"' => quoted = !quoted,
                c if c.is_whitespace() && !quoted => {
                    if !word.is_empty() {
                        arguments.push(std::mem::take(&mut word));
                    }
                }
                '#' if !quoted && word.is_empty() => break,
                c => word.push(c),
            }
        }
        if !word.is_empty() {
            arguments.push(word);
        }
        Some(Line {
            keyword: keyword.to_ascii_lowercase(),
            arguments,
        })
    })
}

/// Whether `text` fits a pattern with `*` and `?`, as in PATTERNS of ssh_config(5).
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_count_only_before_the_first_match() {
        assert!(includes_drop_ins("Include /etc/ssh/sshd_config.d/*.conf\n"));
        assert!(includes_drop_ins(
            "# x\nPort 22\ninclude=\"sshd_config.d/*.conf\"\n"
        ));
        assert!(!includes_drop_ins(
            "Match all\nInclude /etc/ssh/sshd_config.d/*.conf\n"
        ));
        assert!(!includes_drop_ins(
            "#Include /etc/ssh/sshd_config.d/*.conf\n"
        ));
    }

    #[test]
    fn each_kind_of_connection_has_a_sample() {
        let text = "Match Address 10.0.0.0/8,!10.1.1.1 LocalPort 2222\nMatch host *.example\nMatch User bob\n".to_owned();
        let config = Config {
            files: vec![(PathBuf::from(MAIN), text)],
            drop_ins: Vec::new(),
        };
        let samples = config.samples();
        assert!(samples.contains(&Sample {
            address: Some("10.0.0.0".to_owned()),
            local_port: Some("2222".to_owned()),
            ..Sample::default()
        }));
        assert!(samples.contains(&Sample {
            host: Some("1.example".to_owned()),
            ..Sample::default()
        }));
        assert_eq!(samples.len(), 3);
    }

    #[test]
    fn ports_are_those_of_all_lines() {
        let ports = |text: &str| {
            let files = vec![(PathBuf::from(MAIN), text.to_owned())];
            let drop_ins = Vec::new();
            Config { files, drop_ins }.ports()
        };
        assert_eq!(ports("#Port 2\nListenAddress ::1\n"), [22]);
        assert_eq!(
            ports(
                "port=2222\nPort 22\nListenAddress 10.0.0.1:80\nListenAddress [::1]:81\nListenAddress fe80::1\n"
            ),
            [2222, 22, 80, 81]
        );
    }

    #[test]
    fn patterns_match_as_in_ssh_config() {
        for (pattern, text, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?c", "abc", true),
            ("a*c*e", "abcde", true),
            ("", "", true),
            ("*", "", true),
            ("jail-*", "jail-arkham", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
