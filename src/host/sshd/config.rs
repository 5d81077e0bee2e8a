//! Reader of the configuration files of sshd: the list of files, whether drop-ins are included, and
//! the criteria of Match blocks. The meaning of settings is left to sshd itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::connection_specs::{Block, conn_specs};
use super::include::expand_include;
use super::lexer::{Reading, lines, vector};
use super::match_line::{Client, ConnSpec, Criteria, readings};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::derived_facts::Input;
use crate::host::view::HostView;
use crate::layout::{SSHD_CONFIG, SSHD_CONFIG_DIR};

const FILE_LIMIT: u64 = 1 << 20;
/// Depth to which sshd follows Include.
const DEPTH_LIMIT: usize = 16;

/// Largest message between processes of sshd in OpenSSH 10.0 (monitor_wrap.c, mm_request_receive):
/// with a larger configuration, every connection ends after KEXINIT. The limit is 4 MiB from 10.1
/// on, of which 64 KiB are for other content; other versions have none.
const MESSAGE_LIMIT: usize = 256 << 10;
/// Most bytes of configuration here, so that host keys, certificates and banners fit into the same
/// message.
const SIZE_LIMIT: usize = MESSAGE_LIMIT - (16 << 10);

/// Most Match lines that are read, those of files that are included several times counted each
/// time.
const BLOCK_LIMIT: usize = 1 << 16;

/// Configuration of sshd as text.
#[derive(Debug)]
pub struct Config {
    /// Path and text of each file in the order in which sshd reads it, the main file first.
    pub files: Vec<(PathBuf, String)>,
    /// Name and text of each file that is a drop-in.
    pub drop_ins: Vec<(String, String)>,
    /// Files of each pattern of an Include.
    includes: BTreeMap<String, Vec<PathBuf>>,
    /// Ports by their names in services(5), which a Match line may contain.
    services: BTreeMap<String, u16>,
    /// Files and directories that were read.
    pub(super) inputs: Vec<Input>,
}

/// Match blocks that apply to some connections only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks(Vec<Block>);

impl Blocks {
    /// The blocks without those of one criterion in `files`.
    pub(super) fn without_files(&self, files: &[PathBuf]) -> Self {
        // A file that is included in a block of another has the criteria of that too.
        let is_kept = |block: &&Block| !files.contains(&block.file) || block.criteria.len() > 1;
        Self(self.0.iter().filter(is_kept).cloned().collect())
    }

    /// Positions of the blocks that apply to some connection of a user with these groups.
    pub(super) fn applicable(&self, user: &str, groups: &[String]) -> Vec<usize> {
        let client = Client {
            user,
            groups: Some(groups),
        };
        let is_applicable = |block: &Block| {
            let mut criteria = block.criteria.iter();
            criteria.all(|one| one.property().is_some() || one.holds(client, &ConnSpec::default()))
        };
        let blocks = self.0.iter().enumerate();
        blocks
            .filter_map(|(at, block)| is_applicable(block).then_some(at))
            .collect()
    }

    /// Kinds of connections to query sshd about for `user`, a default one first, so that each block
    /// that can apply to the user applies to one of them and not to another.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`], with file and line, if it is not clear to which addresses a block
    /// applies.
    pub fn samples(&self, user: &str) -> Result<Vec<ConnSpec>> {
        conn_specs(&self.0, user).map_err(|(place, pattern)| {
            not_read(
                &place,
                &format!("no address was found that `{pattern}` matches"),
            )
        })
    }
}

impl Config {
    /// Reads the main file and all files that it includes, if one of them has changed since they
    /// were read.
    ///
    /// # Errors
    /// `Failed` if there is no main file, or if drop-ins are not included for all connections.
    pub fn read(view: &HostView) -> Result<Arc<Self>> {
        view.derived(|| {
            let config = Self::read_all(view)?;
            let inputs = config.inputs.clone();
            Ok((config, inputs))
        })
    }

    fn read_all(view: &HostView) -> Result<Self> {
        let mut inputs = Vec::new();
        let Some(text) = read(view, Path::new(SSHD_CONFIG), &mut inputs)? else {
            return Err(Error::new(
                ErrorKind::Failed,
                Finding::new(format!(
                    "could not find `{}`",
                    view.display_path(Path::new(SSHD_CONFIG)).display()
                ))
                .why("sshd confines the accounts of jails")
                .hint("install openssh-server, or build only a tree with `--output DIR`"),
            ));
        };
        if !includes_drop_ins(&text) {
            let main = view
                .display_path(Path::new(SSHD_CONFIG))
                .display()
                .to_string();
            return Err(Error::new(
                ErrorKind::Failed,
                Finding::new(format!("could not use `{SSHD_CONFIG_DIR}`"))
                    .why(format!(
                        "`{main}` does not include it before its first Match"
                    ))
                    .hint(format!(
                        "add this as the first line of `{main}`: Include {SSHD_CONFIG_DIR}/*.conf"
                    )),
            ));
        }
        let mut config = Self::read_from(view, Path::new(SSHD_CONFIG), text)?;
        config.inputs.extend(inputs);
        Ok(config)
    }

    /// Reads all files that the main file, at `path` with this text, includes.
    ///
    /// # Errors
    /// `Failed` if a file cannot be read.
    pub(super) fn read_from(view: &HostView, path: &Path, text: String) -> Result<Self> {
        let mut config = Self {
            files: Vec::new(),
            drop_ins: Vec::new(),
            includes: BTreeMap::new(),
            services: BTreeMap::new(),
            inputs: Vec::new(),
        };
        config.add(view, path.to_owned(), text, 0)?;
        let is_named = config
            .files
            .iter()
            .flat_map(|(_, text)| lines(text))
            .any(|line| {
                line.keyword == "match" && line.arguments.to_ascii_lowercase().contains("localport")
            });
        if is_named {
            let text = read(view, Path::new("/etc/services"), &mut config.inputs)?;
            let text = text.unwrap_or_default();
            config.services = services(&text);
        }
        Ok(config)
    }

    fn add(&mut self, view: &HostView, path: PathBuf, text: String, depth: usize) -> Result<()> {
        let included: Vec<String> = lines(&text)
            .filter(|line| line.keyword == "include" && depth < DEPTH_LIMIT)
            .flat_map(|line| selectors(line.arguments))
            .collect();
        if path.parent() == Some(Path::new(SSHD_CONFIG_DIR))
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            self.drop_ins.push((name.to_owned(), text.clone()));
        }
        self.files.push((path, text));
        for pattern in included {
            if self.includes.contains_key(&pattern) {
                continue;
            }
            let paths = expand_include(view, Path::new(&pattern), &mut self.inputs)?;
            self.includes.insert(pattern, paths.clone());
            for path in paths {
                if self.files.iter().all(|(known, _)| *known != path)
                    && let Some(text) = read(view, &path, &mut self.inputs)?
                {
                    self.add(view, path, text, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// Program of the subsystem `sftp`, without arguments, in the first line that sets it.
    pub fn sftp(&self) -> Option<String> {
        self.files
            .iter()
            .flat_map(|(_, text)| lines(text))
            .find(|line| {
                line.keyword == "subsystem"
                    && words(line.arguments)
                        .first()
                        .is_some_and(|name| name == "sftp")
            })
            .and_then(|line| words(line.arguments).into_iter().nth(1))
    }

    /// Ports of sshd, by the files.
    pub fn ports(&self) -> Vec<u16> {
        let lines = || self.files.iter().flat_map(|(_, text)| lines(text));
        let of = |keyword: &'static str| {
            let values = lines().filter(move |line| line.keyword == keyword);
            values.filter_map(|line| words(line.arguments).into_iter().next())
        };
        let mut ports: Vec<u16> = of("port").filter_map(|port| port.parse().ok()).collect();
        if ports.is_empty() {
            ports.push(22);
        }
        // An IPv6 address without a port has colons too, and brackets with one.
        let of_address = |address: String| -> Option<u16> {
            let (host, port) = address.rsplit_once(':')?;
            let has_port = host.ends_with(']') || !host.contains(':');
            port.parse().ok().filter(|_| has_port)
        };
        ports.extend(of("listenaddress").filter_map(of_address));
        ports
    }

    /// Refuses drop-ins `changed`, as names and texts, with which the configuration would come near
    /// the size at which OpenSSH 10.0 ends every connection. If it is too large already, a change
    /// that makes it smaller is accepted. `ours` are the names of the snippets of jailctl.
    ///
    /// # Errors
    /// `Failed` if the configuration is too large.
    pub fn refuse_size(&self, changed: &[(String, String)], ours: &[String]) -> Result<()> {
        let is_changed = |name: &String| changed.iter().any(|(known, _)| known == name);
        let now = self.sizes(&[]);
        let others = self.sizes(changed);
        let new: usize = changed
            .iter()
            .map(|(name, text)| {
                size_of_file(
                    &format!("{SSHD_CONFIG_DIR}/*.conf"),
                    &format!("{SSHD_CONFIG_DIR}/{name}"),
                    text,
                )
            })
            .sum();
        let total = others + new;
        if total <= SIZE_LIMIT || total < now {
            return Ok(());
        }
        let kept: usize = self
            .drop_ins
            .iter()
            .filter(|(name, _)| ours.contains(name) && !is_changed(name))
            .map(|(name, text)| {
                size_of_file(
                    &format!("{SSHD_CONFIG_DIR}/*.conf"),
                    &format!("{SSHD_CONFIG_DIR}/{name}"),
                    text,
                )
            })
            .sum();
        Err(Error::new(
            ErrorKind::Failed,
            Finding::new(format!("sshd's configuration would be too large: {total} bytes, {} of them jailctl's", kept + new))
                .why(format!(
                    "with more than {MESSAGE_LIMIT} bytes OpenSSH 10.0 refuses every login, root's too, without a message; jailctl's limit is {SIZE_LIMIT} for every version"
                ))
                .hint("write one spec with `%u` in its root for similar jails: they share one file")
                .hint(format!("see what else is large: wc -c {SSHD_CONFIG} {SSHD_CONFIG_DIR}/*")),
        ))
    }

    /// Size of the configuration in messages of sshd, in bytes, without the drop-ins `but`.
    fn sizes(&self, but: &[(String, String)]) -> usize {
        let text = |path: &Path| {
            let mut files = self.files.iter();
            files.find(|(known, _)| known == path).map(|(_, text)| text)
        };
        let is_left_out = |path: &Path| {
            but.iter()
                .any(|(name, _)| path == Path::new(SSHD_CONFIG_DIR).join(name))
        };
        let main = self.files.first().map_or(0, |(_, text)| size_of_text(text));
        let included = self.includes.iter().flat_map(|(pattern, paths)| {
            let paths = paths.iter().filter(|path| !is_left_out(path));
            paths.filter_map(|path| {
                Some(size_of_file(
                    pattern,
                    &path.display().to_string(),
                    text(path)?,
                ))
            })
        });
        main + included.sum::<usize>()
    }

    /// Match blocks, in the order in which sshd reads them.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`], with file and line, if a line is not read as sshd reads it, so that
    /// nothing could be verified.
    pub fn blocks(&self) -> Result<Blocks> {
        self.blocks_of(&Reading::ALL).map(Blocks)
    }

    /// Match blocks as the `generations` of sshd read them.
    pub(super) fn blocks_of(&self, generations: &[Reading]) -> Result<Vec<Block>> {
        let mut blocks = Vec::new();
        if let Some((main, _)) = self.files.first() {
            self.add_blocks(main, generations, &[Criteria::new()], 0, &mut blocks)?;
        }
        Ok(blocks)
    }

    /// Adds the blocks of a file, which is included where one of `within` applies.
    fn add_blocks(
        &self,
        path: &Path,
        generations: &[Reading],
        within: &[Criteria],
        depth: usize,
        blocks: &mut Vec<Block>,
    ) -> Result<()> {
        let Some((_, text)) = self.files.iter().find(|(known, _)| known == path) else {
            return Ok(());
        };
        if let Some(line) = text.split('\n').position(|line| line.contains('\0')) {
            return Err(not_read(
                &place(path, line + 1),
                "it contains a zero byte, and sshd reads the next line as a part of it",
            ));
        }
        let mut current = within.to_vec();
        for line in lines(text) {
            let place = place(path, line.number);
            let is_match = line.keyword == "match";
            if (is_match || line.keyword == "include") && line.arguments.contains('\u{fffd}') {
                return Err(not_read(&place, "it is not UTF-8"));
            }
            if is_match {
                let services = |name: &str| self.services.get(name).copied();
                let readings = readings(line.arguments, generations, &services)
                    .map_err(|why| not_read(&place, &why))?;
                current = within
                    .iter()
                    .flat_map(|outer| {
                        readings
                            .iter()
                            .map(|inner| outer.iter().chain(inner).cloned().collect())
                    })
                    .collect();
                blocks.extend(current.iter().map(|criteria| Block {
                    file: path.to_owned(),
                    place: place.clone(),
                    criteria: criteria.clone(),
                }));
            } else if line.keyword == "include" {
                if words(line.arguments)
                    .iter()
                    .any(|word| word.starts_with('~'))
                {
                    return Err(not_read(
                        &place,
                        "sshd reads `~` as a name in its working directory",
                    ));
                }
                if depth >= DEPTH_LIMIT || blocks.len() > BLOCK_LIMIT {
                    return Err(not_read(&place, "files include one another too deeply"));
                }
                let mut seen = Vec::new();
                for pattern in selectors(line.arguments) {
                    for path in self.includes.get(&pattern).into_iter().flatten() {
                        if !seen.contains(&path) {
                            seen.push(path);
                            self.add_blocks(path, generations, &current, depth + 1, blocks)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Size of a configuration file for sshd, in bytes: it drops blanks at the start of each line
/// (load_server_config()) and adds a zero byte.
fn size_of_text(text: &str) -> usize {
    let blanks: usize = text
        .split('\n')
        .map(|line| line.len() - line.trim_start_matches([' ', '\t', '\r']).len())
        .sum();
    text.len() - blanks + 1
}

/// Size of a file that `pattern` includes, in bytes: the pattern, the path and the text, each with
/// its length before it (pack_config()).
fn size_of_file(pattern: &str, path: &str, text: &str) -> usize {
    3 * 4 + pattern.len() + path.len() + size_of_text(text)
}

fn place(path: &Path, line: usize) -> String {
    format!("line {line} of {}", path.display())
}

/// The error of a line that is not read as sshd reads it.
fn not_read(place: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Failed,
        Finding::new(format!(
            "could not verify sshd's configuration: {place} cannot be evaluated"
        ))
        .why(format!(
            "{why}; it is unknown to which connections the block applies"
        ))
        .hint("rewrite or remove it: see Match in sshd_config(5)"),
    )
}

/// Patterns of an Include line, as paths: those of each generation of sshd.
fn selectors(arguments: &str) -> Vec<String> {
    let split = |reading: Reading| reading.split(arguments).unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    for word in split(Reading::Vector)
        .into_iter()
        .chain(split(Reading::Trimmed))
    {
        let path = Path::new("/etc/ssh").join(&word).display().to_string();
        if !word.is_empty() && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Words of the arguments of a line.
fn words(arguments: &str) -> Vec<String> {
    vector(arguments).unwrap_or_default()
}

/// TCP ports of services(5).
fn services(text: &str) -> BTreeMap<String, u16> {
    let mut ports = BTreeMap::new();
    for line in text.lines() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let (Some(name), Some(port)) = (words.next(), words.next()) else {
            continue;
        };
        let Some(port) = port.strip_suffix("/tcp").and_then(|port| port.parse().ok()) else {
            continue;
        };
        for name in std::iter::once(name).chain(words) {
            ports.entry(name.to_owned()).or_insert(port);
        }
    }
    ports
}

fn read(view: &HostView, path: &Path, inputs: &mut Vec<Input>) -> Result<Option<String>> {
    let found = view.read_with_stat(path, FILE_LIMIT)?;
    inputs.push(Input {
        path: path.to_owned(),
        is_listed: false,
        is_replaced: false,
        stat: found.as_ref().map(|(_, stat)| stat.clone()),
    });
    Ok(found.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()))
}

fn includes_drop_ins(text: &str) -> bool {
    lines(text)
        .take_while(|line| line.keyword != "match")
        .filter(|line| line.keyword == "include")
        .flat_map(|line| words(line.arguments))
        .any(|pattern| {
            Path::new("/etc/ssh").join(pattern) == Path::new(SSHD_CONFIG_DIR).join("*.conf")
        })
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
    fn ports_are_those_of_all_lines() {
        let ports = |text: &str| {
            let view = HostView::new(Path::new("/")).expect("the running system");
            let config = Config::read_from(&view, Path::new(SSHD_CONFIG), text.to_owned());
            config.expect("a configuration").ports()
        };
        assert_eq!(ports("#Port 2\nListenAddress ::1\n"), [22]);
        assert_eq!(
            ports(
                "port=2222\nPort 22\nListenAddress 10.0.0.1:80\nListenAddress [::1]:81\nListenAddress fe80::1\n"
            ),
            [2222, 22, 80, 81]
        );
    }
}
