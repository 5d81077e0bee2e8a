//! Compiles the gate (`gate/`) into a static program, which the command contains and writes into
//! jails: docs/decisions/0028-gate.md.
#![expect(
    clippy::disallowed_methods,
    reason = "a build script gets its input from the environment, and runs the compiler"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=gate/src");
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error=could not compile the gate: {why}");
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let to = PathBuf::from(variable("OUT_DIR")?);
    let library = to.join("libjailctl_gate.rlib");
    let lib = Path::new("gate/src/lib.rs");
    rustc(
        lib,
        &library,
        &["--crate-type=rlib", "--crate-name=jailctl_gate"],
    )?;
    let library = format!("--extern=jailctl_gate={}", library.display());
    let main = Path::new("gate/src/main.rs");
    rustc(
        main,
        &to.join("gate"),
        &["--crate-name=gate", "-Cstrip=symbols", &library],
    )
}

/// Runs the compiler of this build on one crate, for the target of this build.
fn rustc(source: &Path, output: &Path, options: &[&str]) -> Result<(), String> {
    let variable = |name: &str| env::var_os(name).ok_or(format!("{name} is not set"));
    let mut command = Command::new(variable("RUSTC")?);
    command.args(["--edition=2024", "-Copt-level=s", "-Cpanic=abort"]);
    command.args(["-Ctarget-feature=+crt-static", "-Cembed-bitcode=no"]);
    command.arg("--target").arg(variable("TARGET")?);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("-Clinker=");
        option.push(linker);
        command.arg(option);
    }
    let output = command
        .args(options)
        .arg("-o")
        .arg(output)
        .arg(source)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    for line in text.lines() {
        println!("cargo::warning={line}");
    }
    Err("it is linked statically: are the static libraries of the C library (libc6-dev, glibc-static) installed?".to_owned())
}
