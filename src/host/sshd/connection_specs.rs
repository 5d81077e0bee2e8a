//! Connection specifications for queries of sshd, so that each Match block applies in one and does
//! not in another.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::address;
use super::match_line::{Client, ConnSpec, Criteria, Criterion};
use super::pattern::{self, PatternList};

/// Most combinations of property values that are tried one by one.
const COMBINATIONS: usize = 4096;
/// Most connection specifications for all combinations: above it, each block has its own two.
const KINDS: usize = 24;

/// A Match block that applies to some connections only: the criteria of its line, and those of all
/// blocks that include its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// File that has it.
    pub(super) file: PathBuf,
    /// File and line, for messages.
    pub(super) place: String,
    /// Criteria, all of which have to hold.
    pub(super) criteria: Criteria,
}

impl Block {
    pub(super) fn holds(&self, client: Client<'_>, sample: &ConnSpec) -> bool {
        self.criteria
            .iter()
            .all(|criterion| criterion.holds(client, sample))
    }
}

/// Values that distinguish connections: for each property, a value for each set of criteria that
/// can hold at the same time. The default is first.
#[derive(Clone, Debug)]
struct Values {
    addresses: Vec<String>,
    hosts: Vec<String>,
    local_addresses: Vec<String>,
    local_ports: Vec<u16>,
    rdomains: Vec<String>,
}

/// Connection specifications for one user: a default one first, and then others such that each
/// block of `blocks` that can apply to the user applies to one of them, with as few blocks before
/// it as possible, and does not apply to another.
///
/// # Errors
/// File and line, and the pattern for which no address was found although one may match.
pub(super) fn conn_specs(blocks: &[Block], user: &str) -> Result<Vec<ConnSpec>, (String, String)> {
    let client = Client { user, groups: None };
    let of_user = |criterion: &Criterion| {
        criterion.property().is_some() || criterion.holds(client, &ConnSpec::default())
    };
    let mut blocks: Vec<&Block> = blocks
        .iter()
        .filter(|block| block.criteria.iter().all(of_user))
        .filter(|block| {
            block
                .criteria
                .iter()
                .any(|criterion| criterion.property().is_some())
        })
        .collect();
    let mut seen = BTreeSet::new();
    blocks.retain(|block| seen.insert(&block.criteria));
    if blocks.is_empty() {
        return Ok(vec![ConnSpec::default()]);
    }
    let values = Values::of(&blocks)?;
    let truth = |sample: &ConnSpec| -> Vec<bool> {
        blocks
            .iter()
            .map(|block| block.holds(client, sample))
            .collect()
    };
    if let Some(all) = values.combinations() {
        let mut seen = BTreeSet::new();
        let kinds: Vec<ConnSpec> = all
            .into_iter()
            .filter(|sample| seen.insert(truth(sample)))
            .collect();
        if kinds.len() <= KINDS {
            return Ok(kinds);
        }
        return Ok(cover(&kinds, &truth, blocks.len()));
    }
    let mut kinds = vec![ConnSpec::default()];
    for block in &blocks {
        kinds.extend(values.fitting(block, client));
    }
    let mut seen = BTreeSet::new();
    kinds.retain(|kind| seen.insert(kind.clone()));
    Ok(cover(&kinds, &truth, blocks.len()))
}

/// Of `kinds`, the first, and for each of `count` blocks one in which it applies, with as few
/// others as possible, and one in which it does not.
fn cover(
    kinds: &[ConnSpec],
    truth: &dyn Fn(&ConnSpec) -> Vec<bool>,
    count: usize,
) -> Vec<ConnSpec> {
    let truths: Vec<Vec<bool>> = kinds.iter().map(truth).collect();
    let mut chosen = BTreeSet::from([0]);
    for block in 0..count {
        let holding = (0..kinds.len()).filter(|kind| truths[*kind][block]);
        let before = |kind: &usize| {
            truths[*kind][..block]
                .iter()
                .filter(|holds| **holds)
                .count()
        };
        chosen.extend(holding.min_by_key(before));
        if chosen.iter().all(|kind| truths[*kind][block]) {
            chosen.extend((0..kinds.len()).find(|kind| !truths[*kind][block]));
        }
    }
    chosen.into_iter().map(|kind| kinds[kind].clone()).collect()
}

impl Values {
    fn of(blocks: &[&Block]) -> Result<Self, (String, String)> {
        let default = ConnSpec::default();
        let criteria: BTreeSet<&Criterion> =
            blocks.iter().flat_map(|block| &block.criteria).collect();
        let lists = |of: fn(&Criterion) -> Option<&PatternList>| -> Vec<&PatternList> {
            criteria
                .iter()
                .filter_map(|criterion| of(criterion))
                .collect()
        };
        let hosts = lists(|criterion| match criterion {
            Criterion::Host(list) => Some(list),
            _ => None,
        });
        let rdomains = lists(|criterion| match criterion {
            Criterion::RDomain(list) => Some(list),
            _ => None,
        });
        let mut values = Self {
            addresses: vec![default.address],
            hosts: vec![default.host],
            local_addresses: vec![default.local_address],
            local_ports: vec![default.local_port],
            rdomains: vec![default.rdomain],
        };
        values.hosts.extend(texts(&hosts));
        values.rdomains.extend(texts(&rdomains));
        values
            .local_ports
            .extend(criteria.iter().filter_map(|criterion| match criterion {
                Criterion::LocalPort(port) => Some(*port),
                _ => None,
            }));
        // Each list is tried on its own first: all of them at once may be too many.
        for block in blocks {
            let place = |pattern| (block.place.clone(), pattern);
            for criterion in &block.criteria {
                match criterion {
                    Criterion::Address(list) => {
                        values
                            .addresses
                            .extend(address::examples(&[list]).map_err(place)?);
                    }
                    Criterion::LocalAddress(list) => {
                        values
                            .local_addresses
                            .extend(address::examples(&[list]).map_err(place)?);
                    }
                    _ => {}
                }
            }
        }
        values.distinguish(&criteria);
        Ok(values)
    }

    /// Keeps the first value for each set of criteria that hold.
    fn distinguish(&mut self, criteria: &BTreeSet<&Criterion>) {
        fn first<T: Clone>(
            values: &mut Vec<T>,
            criteria: &BTreeSet<&Criterion>,
            with: impl Fn(T) -> ConnSpec,
        ) {
            let client = Client {
                user: "",
                groups: None,
            };
            let mut seen = BTreeSet::new();
            values.retain(|value| {
                let sample = with(value.clone());
                let holding: Vec<bool> = criteria
                    .iter()
                    .map(|criterion| criterion.holds(client, &sample))
                    .collect();
                seen.insert(holding)
            });
        }
        let default = ConnSpec::default;
        first(&mut self.addresses, criteria, |address| ConnSpec {
            address,
            ..default()
        });
        first(&mut self.hosts, criteria, |host| ConnSpec {
            host,
            ..default()
        });
        first(&mut self.local_addresses, criteria, |local_address| {
            ConnSpec {
                local_address,
                ..default()
            }
        });
        first(&mut self.local_ports, criteria, |local_port| ConnSpec {
            local_port,
            ..default()
        });
        first(&mut self.rdomains, criteria, |rdomain| ConnSpec {
            rdomain,
            ..default()
        });
    }

    /// Every combination, those with the most defaults first; `None` if there are too many.
    fn combinations(&self) -> Option<Vec<ConnSpec>> {
        let counts = [
            self.addresses.len(),
            self.hosts.len(),
            self.local_addresses.len(),
            self.local_ports.len(),
            self.rdomains.len(),
        ];
        let count = counts
            .iter()
            .try_fold(1_usize, |count, one| count.checked_mul(*one))?;
        if count > COMBINATIONS {
            return None;
        }
        let mut all: Vec<(usize, ConnSpec)> = (0..count)
            .map(|number| {
                let mut rest = number;
                let mut others = 0;
                let at = counts.map(|count| {
                    let index = rest % count;
                    rest /= count;
                    others += usize::from(index > 0);
                    index
                });
                (others, self.conn_spec(at))
            })
            .collect();
        all.sort_by_key(|(others, _)| *others);
        Some(all.into_iter().map(|(_, sample)| sample).collect())
    }

    fn conn_spec(&self, at: [usize; 5]) -> ConnSpec {
        ConnSpec {
            address: self.addresses[at[0]].clone(),
            host: self.hosts[at[1]].clone(),
            local_address: self.local_addresses[at[2]].clone(),
            local_port: self.local_ports[at[3]],
            rdomain: self.rdomains[at[4]].clone(),
        }
    }

    /// A connection to which a block applies, if there is one, and for each property one to which
    /// it does not because of that property.
    fn fitting(&self, block: &Block, client: Client<'_>) -> Vec<ConnSpec> {
        let mut base = [0; 5];
        let mut failing = Vec::new();
        let counts = [
            self.addresses.len(),
            self.hosts.len(),
            self.local_addresses.len(),
            self.local_ports.len(),
            self.rdomains.len(),
        ];
        for (property, count) in counts.into_iter().enumerate() {
            let holds = |index: usize| {
                let mut at = base;
                at[property] = index;
                let sample = self.conn_spec(at);
                let mut criteria = block.criteria.iter();
                criteria.all(|criterion| {
                    criterion.property() != Some(property) || criterion.holds(client, &sample)
                })
            };
            let fitting = (0..count).find(|index| holds(*index)).unwrap_or(0);
            failing.extend(
                (0..count)
                    .find(|index| !holds(*index))
                    .map(|index| (property, index)),
            );
            base[property] = fitting;
        }
        let others = failing.into_iter().map(|(property, index)| {
            let mut at = base;
            at[property] = index;
            at
        });
        std::iter::once(base)
            .chain(others)
            .map(|at| self.conn_spec(at))
            .collect()
    }
}

/// Texts that distinguish lists of patterns; for each list alone if all of them at once are too
/// many.
fn texts(lists: &[&PatternList]) -> Vec<String> {
    let of = |lists: &[&PatternList]| {
        let patterns: BTreeSet<&str> = lists.iter().flat_map(|list| list.patterns()).collect();
        pattern::examples(&patterns.into_iter().collect::<Vec<&str>>())
    };
    let mut texts: Vec<String> = lists.iter().flat_map(|list| of(&[list])).collect();
    texts.extend(of(lists));
    texts
}

#[cfg(test)]
mod tests {
    use super::super::lexer::Reading;
    use super::super::match_line::readings;
    use super::*;

    fn block(line: &str) -> Block {
        let mut readings = readings(line, &Reading::ALL, &|_| None).expect("a good line");
        Block {
            file: PathBuf::new(),
            place: "here".to_owned(),
            criteria: readings.remove(0),
        }
    }

    #[test]
    fn every_block_holds_for_one_connection_and_not_for_another() {
        let many: Vec<String> = (0..40)
            .map(|n| {
                format!(
                    "Address 10.{n}.0.0/16 LocalPort {} Host *.net{n}",
                    2000 + n % 7
                )
            })
            .collect();
        let few = [
            "Address 127.0.0.0/8,!127.0.0.0/24",
            "Address !127.0.0.0/24,127.0.* LocalPort=2222",
            "Host *.example,!mail.*",
            "RDomain vrf-* User bob",
            "Group staff Address=2001:db8::/32",
            "LocalAddress 192.168.0.0/16,fe80*",
        ];
        for lines in [few.map(str::to_owned).to_vec(), many] {
            let blocks: Vec<Block> = lines.iter().map(|line| block(line)).collect();
            let samples = conn_specs(&blocks, "bob").expect("samples");
            let client = Client {
                user: "bob",
                groups: None,
            };
            for (line, block) in lines.iter().zip(&blocks) {
                let holds: BTreeSet<bool> = samples
                    .iter()
                    .map(|sample| block.holds(client, sample))
                    .collect();
                assert_eq!(holds.len(), 2, "{line}: {samples:?}");
            }
        }
    }

    #[test]
    fn blocks_for_others_bring_no_questions() {
        let blocks = [block("User ann Address 10.0.0.0/8"), block("Group x")];
        assert_eq!(conn_specs(&blocks, "bob"), Ok(vec![ConnSpec::default()]));
    }

    #[test]
    fn a_block_is_also_seen_without_those_before_it() {
        let blocks = [block("Address 10.0.0.0/8"), block("LocalPort 2222")];
        let samples = conn_specs(&blocks, "bob").expect("samples");
        assert!(
            samples
                .iter()
                .any(|sample| { sample.local_port == 2222 && !sample.address.starts_with("10.") })
        );
        assert_eq!(samples.len(), 4);
    }
}
