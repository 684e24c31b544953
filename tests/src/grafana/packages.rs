//! The npm packages of the dashboards' sources and of the page that draws them, installed once for each lock file.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Output},
};

/// Runs a program of a package with Node.js, in its folder; panics with what it said if it fails.
pub fn node(package: &Path, arguments: &[&str]) -> String {
    install(package);
    let mut command = Command::new("node");
    command.args(arguments).current_dir(package);
    let output = command.output().expect("the tests need Node.js");
    succeeded(&format!("node {}", arguments.join(" ")), &output)
}

/// Installs what the package's lock file says, unless that has been done.
fn install(package: &Path) {
    let wanted = fs::read_to_string(package.join("package-lock.json")).unwrap();
    let lock = File::create(package.join("node_modules.lock")).unwrap();
    lock.lock().unwrap();
    let done = package.join("node_modules/.installed");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--loglevel=error"])
        .current_dir(package);
    let output = npm.output().expect("the tests need npm");
    succeeded("npm ci", &output);
    fs::write(done, wanted).unwrap();
}

fn succeeded(what: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}{complained}");
    said
}
