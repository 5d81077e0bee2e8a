//! Dependencies of packages, in the forms of the package managers.

/// A package or capability that another package needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Name of a package, or of what packages provide: a virtual package, a soname, a path.
    pub(super) name: String,
    /// Architecture that the name requires; `None` for that of the package that needs it.
    pub(super) architecture: Option<String>,
    /// Whether a version is required. A capability that is provided without a version does not
    /// satisfy it.
    pub(super) has_version: bool,
}

impl Target {
    /// A target without version and architecture.
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            architecture: None,
            has_version: false,
        }
    }
}

/// One dependency: any of its targets satisfies it.
pub(super) type Alternatives = Vec<Target>;

/// A name that a package provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Provided {
    /// The name.
    pub(super) name: String,
    /// Whether it is provided with a version.
    pub(super) has_version: bool,
}

/// Dependencies of a field of deb-control(5): `libc6 (>= 2.36), awk | mawk:any`.
pub(super) fn of_dpkg(field: &str) -> Vec<Alternatives> {
    field
        .split(',')
        .map(|group| group.split('|').filter_map(dpkg_target).collect())
        .filter(|group: &Alternatives| !group.is_empty())
        .collect()
}

fn dpkg_target(text: &str) -> Option<Target> {
    let (name, version) = match text.split_once('(') {
        Some((name, version)) => (name.trim(), Some(version)),
        None => (text.trim(), None),
    };
    let (name, architecture) = match name.split_once(':') {
        Some((name, architecture)) => (name, Some(architecture.to_owned())),
        None => (name, None),
    };
    (!name.is_empty()).then(|| Target {
        name: name.to_owned(),
        architecture,
        has_version: version.is_some(),
    })
}

/// Names of a `Provides` field of deb-control(5): `awk, mail-reader (= 2.0)`.
pub(super) fn provided_by_dpkg(field: &str) -> Vec<Provided> {
    let targets = field.split(',').filter_map(dpkg_target);
    let provided = targets.map(|target| Provided {
        name: target.name,
        has_version: target.has_version,
    });
    provided.collect()
}

/// Operators of versions in the dependencies of apk(8) and pacman(8).
const OPERATORS: [char; 4] = ['<', '>', '=', '~'];

/// A dependency of apk(8) or pacman(8): `so:libc.musl-x86_64.so.1`, `glibc>=2.38`. `None` for a
/// conflict of apk, `!package`.
pub(super) fn with_operator(text: &str) -> Option<Target> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('!') {
        return None;
    }
    let end = text.find(OPERATORS).unwrap_or(text.len());
    // apk names a repository after `@`.
    let name = text[..end].split('@').next().unwrap_or_default();
    (!name.is_empty()).then(|| Target {
        name: name.to_owned(),
        architecture: None,
        has_version: end < text.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_dpkg_are_read() {
        let found = of_dpkg("libc6 (>= 2.36), awk | mawk:any, ,python3:amd64 (>= 3~)");
        let names: Vec<Vec<(&str, Option<&str>, bool)>> = found
            .iter()
            .map(|group| {
                group
                    .iter()
                    .map(|target| {
                        (
                            target.name.as_str(),
                            target.architecture.as_deref(),
                            target.has_version,
                        )
                    })
                    .collect()
            })
            .collect();
        assert_eq!(
            names,
            [
                vec![("libc6", None, true)],
                vec![("awk", None, false), ("mawk", Some("any"), false)],
                vec![("python3", Some("amd64"), true)],
            ]
        );
    }

    #[test]
    fn operators_end_a_name() {
        let name = |text| with_operator(text).map(|target| (target.name, target.has_version));
        assert_eq!(name("glibc>=2.38"), Some(("glibc".to_owned(), true)));
        assert_eq!(
            name("so:libc.musl-x86_64.so.1"),
            Some(("so:libc.musl-x86_64.so.1".to_owned(), false))
        );
        assert_eq!(
            name("libreadline.so=8-64").map(|one| one.0),
            Some("libreadline.so".to_owned())
        );
        assert_eq!(
            name("busybox@edge~1.36").map(|one| one.0),
            Some("busybox".to_owned())
        );
        assert_eq!(name("!uclibc-utils"), None);
    }
}
