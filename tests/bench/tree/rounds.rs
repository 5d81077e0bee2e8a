//! Interleaved rounds: each contender once a round, in turn, in a fresh directory, as a whole
//! process.
//!
//! Trees are kept until the end, each round's in a block group of its own: ext4 does not use an
//! inode again for minutes after it was freed, and whoever deletes between rounds measures its
//! search for others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// One way of doing the work.
pub struct Contender<'c> {
    /// What the table calls it.
    pub name: &'c str,
    /// In how many of the rounds it takes part: the slow ones need not in all.
    pub rounds: usize,
    /// The command that does it in a directory that exists and is empty.
    pub command: Box<dyn Fn(&Path) -> Command + 'c>,
}

/// Seconds, round by round.
pub struct Times {
    /// Of whom.
    pub name: String,
    /// One a round.
    pub seconds: Vec<f64>,
}

impl Times {
    /// The median.
    pub fn median(&self) -> f64 {
        median(&self.seconds)
    }

    /// The median of the ratios to another contender, round by round.
    pub fn ratio(&self, other: &Self) -> f64 {
        let ratios: Vec<f64> = self
            .seconds
            .iter()
            .zip(&other.seconds)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        median(&ratios)
    }
}

/// The median.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A contender that takes part in every round.
pub fn contender<'c>(name: &'c str, command: impl Fn(&Path) -> Command + 'c) -> Contender<'c> {
    Contender {
        name,
        rounds: usize::MAX,
        command: Box::new(command),
    }
}

/// Runs the rounds below `base`, and one more first that does not count: memory that the machine
/// touches for the first time is slow.
pub fn run(base: &Path, rounds: usize, contenders: &[Contender<'_>]) -> Vec<Times> {
    let mut times: Vec<Times> = contenders
        .iter()
        .map(|contender| Times {
            name: contender.name.to_owned(),
            seconds: Vec::new(),
        })
        .collect();
    for round in 0..=rounds {
        let place = base.join(format!("round-{round}"));
        fs::create_dir_all(&place).unwrap();
        spread(&place);
        for (number, contender) in contenders.iter().enumerate() {
            // Another order each round, so that nobody always comes after the same.
            let number = (number + round) % contenders.len();
            let contender = if round % 2 == 0 {
                &contenders[number]
            } else {
                contender
            };
            if round > contender.rounds {
                continue;
            }
            let target = place.join(contender.name.replace([' ', '/'], "-"));
            fs::create_dir(&target).unwrap();
            let mut command = (contender.command)(&target);
            settle(&place);
            let seconds = timed(&mut command);
            if round > 0 {
                let slot = times.iter_mut().find(|times| times.name == contender.name);
                slot.unwrap().seconds.push(seconds);
            }
        }
    }
    times
}

/// How long a command takes, from its start to its end; it must succeed.
pub fn timed(command: &mut Command) -> f64 {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let child = command.spawn().unwrap();
    let ended = child.wait_with_output().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{command:?}: {said}");
    seconds
}

/// Gives a directory's children block groups of their own, where the file system knows such a
/// thing.
fn spread(place: &Path) {
    let _ = Command::new("chattr")
        .arg("+T")
        .arg(place)
        .stderr(Stdio::null())
        .status();
}

/// Nobody is to write back what another has written.
fn settle(place: &Path) {
    rustix::fs::syncfs(fs::File::open(place).unwrap()).unwrap();
}

/// A directory below `base` that is new, whatever an earlier run has left.
pub fn fresh(base: &Path, name: &str) -> PathBuf {
    for number in 0.. {
        let path = base.join(format!("{name}-{}-{number}", std::process::id()));
        if fs::create_dir_all(base).is_ok() && fs::create_dir(&path).is_ok() {
            return path;
        }
    }
    unreachable!("numbers do not end")
}
