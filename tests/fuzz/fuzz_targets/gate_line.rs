//! Command lines of clients: any line is refused, or becomes a program of the policy with arguments
//! that name no other place and are no option of another role.
#![no_main]

use jailctl_gate::policy::Command;
use jailctl_gate::{Mode, Policy, Protocol, Way, decide};
use libfuzzer_sys::fuzz_target;

const DIRECTORY: &str = "/data";

/// Options that a server must never get.
const NEVER: [&[u8]; 9] = [
    b"--daemon",
    b"--config",
    b"--rsh",
    b"--rsync-path",
    b"--log-file",
    b"--upload-pack",
    b"--exec",
    b"--write-batch",
    b"-S",
];

fn policy(choice: u8) -> Policy {
    let way = |protocol: Protocol| {
        let modes = protocol.modes();
        Way {
            protocol,
            command: Command {
                program: format!("/usr/bin/{}", protocol.as_str()),
                arguments: Vec::new(),
            },
            directory: Some(DIRECTORY.to_owned()).filter(|_| protocol != Protocol::Sftp),
            mode: modes[usize::from(choice) % modes.len()],
        }
    };
    let ways = Protocol::ALL.into_iter();
    Policy {
        user: "ana".to_owned(),
        home: "/data/ana".to_owned(),
        umask: None,
        ways: ways
            .filter(|protocol| *protocol != Protocol::Command)
            .map(way)
            .collect(),
        keys: Vec::new(),
    }
}

fn is_outside(argument: &[u8]) -> bool {
    let path = match argument.iter().position(|byte| *byte == b'=') {
        Some(at) if argument.starts_with(b"--") => &argument[at + 1..],
        _ => argument,
    };
    let parts = |path: &'_ [u8]| -> Vec<Vec<u8>> {
        let parts = path.split(|byte| *byte == b'/');
        let parts = parts.filter(|part| !part.is_empty() && *part != b".");
        parts.map(<[u8]>::to_vec).collect()
    };
    let of_path = parts(path);
    let leaves = of_path.iter().any(|part| part == b"..");
    let is_below = of_path.starts_with(&parts(DIRECTORY.as_bytes()));
    leaves || path.starts_with(b"/") && !is_below
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, line)) = bytes.split_first() else {
        return;
    };
    let policy = policy(*choice);
    match decide(&policy, Some(line)) {
        Ok(launch) => {
            let way = policy
                .ways
                .iter()
                .find(|way| way.command.program == launch.program);
            let way = way.expect("a program of the policy");
            assert!(launch.limits.is_some());
            // After `--` there are operands only, whatever their first character.
            let arguments = launch.arguments[1..].iter();
            for option in arguments.take_while(|argument| *argument != b"--") {
                assert!(NEVER.iter().all(|never| !option.starts_with(never)));
            }
            for argument in &launch.arguments[1..] {
                assert!(!argument.contains(&0) && !argument.contains(&b'\n'));
                // Values that are no path may begin with a slash; these begin with an option.
                let is_value = argument.starts_with(b"--") && !argument.contains(&b'/');
                assert!(is_value || !is_outside(argument) || argument.contains(&b'='));
            }
            let writes = [&b"receive-pack"[..], b"-t"];
            if way.mode == Mode::ReadOnly {
                assert!(
                    launch
                        .arguments
                        .iter()
                        .all(|one| !writes.contains(&&one[..]))
                );
            }
        }
        Err(refusal) => {
            let text = refusal.to_string();
            assert!(
                text.len() < 2048 && !text.chars().any(char::is_control),
                "{text:?}"
            );
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(read) = Policy::parse(text)
    {
        assert_eq!(Policy::parse(&read.to_text()), Ok(read));
    }
});
