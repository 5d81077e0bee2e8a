//! Interleaved rounds: each contender once a round, in turn, in a new directory, as a whole
//! process.
//!
//! Trees are deleted at the end, those of each round in a block group of their own: ext4 does not
//! reuse an inode for minutes after it was freed, so a deletion between rounds would measure its
//! search for others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// One program that does the work.
pub struct Contender<'c> {
    /// Name in the table.
    pub name: &'c str,
    /// Number of rounds in which it takes part: slow contenders need not run in all.
    pub rounds: usize,
    /// Command that does the work in an empty directory.
    pub command: Box<dyn Fn(&Path) -> Command + 'c>,
}

/// Times of a contender.
pub struct Times {
    /// Name of the contender.
    pub name: String,
    /// Seconds of each round.
    pub seconds: Vec<f64>,
}

impl Times {
    /// Median of the times.
    pub fn median(&self) -> f64 {
        median(&self.seconds)
    }

    /// Median of the ratios to another contender, round by round.
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

/// Median of values.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Creates a contender that takes part in every round.
pub fn contender<'c>(name: &'c str, command: impl Fn(&Path) -> Command + 'c) -> Contender<'c> {
    Contender {
        name,
        rounds: usize::MAX,
        command: Box::new(command),
    }
}

/// Runs the rounds below `base`, after one that does not count: the first access to memory is slow.
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
            // Another order each round, so that no contender always follows the same one.
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
            sync(&place);
            let seconds = timed(&mut command);
            if round > 0 {
                let slot = times.iter_mut().find(|times| times.name == contender.name);
                slot.unwrap().seconds.push(seconds);
            }
        }
    }
    times
}

/// Seconds that a command takes, from start to end; it must succeed.
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

/// Distributes the children of a directory over block groups, if the file system supports it.
fn spread(place: &Path) {
    let _ = Command::new("chattr")
        .arg("+T")
        .arg(place)
        .stderr(Stdio::null())
        .status();
}

/// Writes back pending changes, so that no contender does it for another one.
fn sync(place: &Path) {
    rustix::fs::syncfs(fs::File::open(place).unwrap()).unwrap();
}

/// Creates a directory below `base`, and deletes that of an earlier run.
pub fn fresh(base: &Path, name: &str) -> PathBuf {
    for number in 0.. {
        let path = base.join(format!("{name}-{}-{number}", std::process::id()));
        if fs::create_dir_all(base).is_ok() && fs::create_dir(&path).is_ok() {
            return path;
        }
    }
    unreachable!("numbers do not end")
}
