//! The caller sits at a terminal: what the program gets instead of it, and what is left of the
//! session afterwards.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{OptionalActions, Termios, tcsetattr, tcsetwinsize};

use crate::jail::{Jail, State, UID};
use crate::pty::{Desk, is_cooked, size};

fn all_modes(modes: &Termios) -> String {
    format!("{modes:?}")
}

#[disposable::test]
fn the_terminal_is_a_new_one_of_the_same_size_and_modes_come_back() {
    let jail = Jail::new("terminal");
    let mut desk = Desk::new(&jail.enter(&["state"]), |_| ());
    let before = all_modes(&desk.modes());
    assert_eq!(desk.end(), Some(0));
    assert_eq!(all_modes(&desk.modes()), before);

    let inside = desk.state();
    let sid = inside.one("sid");
    assert_eq!(sid, inside.one("pid"));
    let [first, second, third] = *inside.all("tty") else {
        panic!("{inside:?}")
    };
    let device = first.split(' ').nth(1).unwrap();
    let outer = desk.terminal.metadata().unwrap().rdev().to_string();
    assert_ne!(device, outer, "not the caller's terminal");
    // Each: descriptor, device, whether it is the user's own, whose controlling terminal it is.
    assert_eq!(first, format!("0 {device} 1 {sid}"));
    assert_eq!(second, format!("1 {device} 1 {sid}"));
    assert_eq!(third, format!("2 {device} 1 {sid}"));
    assert_eq!(inside.all("size"), ["33 101"; 3]);
    assert_eq!(inside.all("fd"), ["0", "1", "2"]);
    assert_eq!(inside.one("uids"), format!("{UID} {UID} {UID} {UID}"));

    // The control: without `run` it is the caller's own.
    let mut probe = Command::new(jail.0.join("bin/probe"));
    let mut desk = Desk::new(probe.arg("state"), |_| ());
    assert_eq!(desk.end(), Some(0));
    let outer = desk.terminal.metadata().unwrap().rdev().to_string();
    let device = desk.state();
    assert_eq!(device.all("tty")[0].split(' ').nth(1), Some(&*outer));
}

#[disposable::test]
fn keys_go_to_the_jail_as_they_are_typed() {
    let jail = Jail::new("keys");
    let mut desk = Desk::new(&jail.enter(&["echo"]), |_| ());
    desk.wait_for("ready=1");
    desk.wait_for_raw();
    desk.type_in("hello\r");
    desk.wait_for("got=hello");
    // ^D on an empty line is the end of input, made by the jail's terminal.
    desk.type_in("\u{4}");
    assert_eq!(desk.end(), Some(0));
    assert!(desk.seen.contains("end=1"), "{}", desk.seen);
    assert!(is_cooked(&desk.modes()));

    // ^C interrupts the program, not its caller, who tells how it ended.
    let mut desk = Desk::new(&jail.enter(&["echo"]), |_| ());
    desk.wait_for("ready=1");
    desk.wait_for_raw();
    desk.type_in("\u{3}");
    assert_eq!(desk.end(), Some(128 + 2));
}

#[disposable::test]
fn a_change_of_size_is_followed() {
    let jail = Jail::new("size");
    let mut desk = Desk::new(&jail.enter(&["size"]), |_| ());
    desk.wait_for("size=33 101");
    desk.wait_for_raw();
    tcsetwinsize(&desk.keyboard_and_screen, size(20, 70)).unwrap();
    desk.wait_for("size=20 70");
    assert_eq!(desk.end(), Some(0));
}

#[disposable::test]
fn all_output_arrives_though_the_program_ends_at_once() {
    let jail = Jail::new("flood");
    let mut desk = Desk::new(&jail.enter(&["flood", "20000"]), |_| ());
    assert_eq!(desk.end(), Some(0));
    let inside = desk.state();
    let lines = inside.all("line");
    assert_eq!(lines.len(), 20_000);
    assert_eq!(lines.last(), Some(&"19999"));
}

#[disposable::test]
fn the_terminal_can_be_closed_and_opened_again() {
    let jail = Jail::new("reopen");
    let mut enter = jail.enter(&["reopen"]);
    let mut desk = Desk::new(enter.env("ENTRY_PROC", "yes"), |_| ());
    assert_eq!(desk.end(), Some(0));
    assert!(desk.seen.contains("reopened=0"), "{}", desk.seen);
}

#[disposable::test]
fn what_is_no_terminal_is_passed_as_it_is() {
    let jail = Jail::new("mixed");
    // Input at its end from the start does not end the program.
    let mut desk = Desk::new(&jail.enter(&["late"]), |setsid| {
        setsid.env("REDIRECT", "</dev/null");
    });
    assert_eq!(desk.end(), Some(0));
    assert!(desk.seen.contains("late=1"), "{}", desk.seen);

    // Output into a file, input from the terminal.
    let file = jail.0.join("output");
    let mut desk = Desk::new(&jail.enter(&["state"]), |setsid| {
        setsid.env("REDIRECT", format!(">{}", file.display()));
    });
    assert_eq!(desk.end(), Some(0));
    let inside = State::parse(&fs::read_to_string(file).unwrap());
    let tty = inside.all("tty");
    assert_eq!(tty.len(), 2, "{inside:?}");
    assert!(tty[0].starts_with("0 ") && tty[1].starts_with("2 "));
    assert!(is_cooked(&desk.modes()));
}

#[disposable::test]
fn cve_2017_5226_no_tiocsti() {
    let jail = Jail::new("tiocsti");
    // A terminal that takes each byte at once, so that what was typed into it can be counted.
    let typed = |command: &Command| {
        let mut desk = Desk::new(command, |setsid| {
            setsid.env("REDIRECT", "2>/dev/null");
        });
        assert_eq!(desk.end(), Some(0));
        let mut raw = desk.modes();
        raw.make_raw();
        tcsetattr(&desk.terminal, OptionalActions::Now, &raw).unwrap();
        (desk.state(), ioctl_fionread(&desk.terminal).unwrap())
    };
    let (inside, waiting) = typed(&jail.enter(&["type"]));
    assert_eq!(inside.all("typed").len(), 3);
    assert_eq!(waiting, 0, "nothing was typed at the caller's terminal");

    let mut probe = Command::new(jail.0.join("bin/probe"));
    let (outside, waiting) = typed(probe.arg("type"));
    if outside.all("typed").contains(&"1") {
        assert_ne!(waiting, 0, "the control: here it works");
    }
}

#[disposable::test]
fn a_signal_ends_the_session_and_restores_the_terminal() {
    let jail = Jail::new("signals");
    for (signal, ending) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut desk = Desk::new(&jail.enter(&["sleep"]), |_| ());
        let before = all_modes(&desk.modes());
        desk.wait_for("pid=");
        desk.wait_for_raw();
        kill_process(Pid::from_child(&desk.process), signal).unwrap();
        assert_eq!(desk.end(), Some(ending));
        assert_eq!(all_modes(&desk.modes()), before);
        let program = desk.state().one("pid").to_owned();
        assert!(!Path::new("/proc").join(program).exists());
    }
}

#[disposable::test]
fn a_terminal_that_hangs_up_ends_the_session() {
    let jail = Jail::new("hangup");
    for (word, ending) in [("sleep", 129), ("stubborn", 137)] {
        let mut desk = Desk::new(&jail.enter(&[word]), |_| ());
        desk.wait_for("pid=");
        desk.wait_for_raw();
        let program = desk.state().one("pid").to_owned();
        // Only the last copy hangs up.
        desk.keyboard_and_screen = File::open("/dev/null").unwrap().into();
        assert_eq!(desk.process.wait().unwrap().code(), Some(ending), "{word}");
        assert!(!Path::new("/proc").join(program).exists());
    }
}

#[disposable::test]
fn the_terminal_is_cooked_again_if_the_program_cannot_be_started() {
    let jail = Jail::new("failed");
    let mut enter = jail.enter(&[]);
    let mut desk = Desk::new(enter.env("ENTRY_PROGRAM", "/bin/none"), |_| ());
    let before = all_modes(&desk.modes());
    assert_eq!(desk.end(), Some(125));
    assert!(desk.seen.contains("could not start `/bin/none`"));
    assert_eq!(all_modes(&desk.modes()), before);
}
