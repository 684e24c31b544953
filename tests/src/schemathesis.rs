//! Schemathesis, which asks an API everything that its own OpenAPI document allows and forbids, and holds the answers
//! against the document.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use reqwest::Url;
use tempfile::TempDir;

/// What is installed, with all that it needs.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Cases of each kind for each operation, and where they start.
const EXAMPLES: &str = "8";
const SEED: &str = "402";

/// What an answer has to be: none of our faults, and as the document says.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

/// A run against one API.
#[derive(Debug, Default)]
pub struct Schemathesis {
    config: String,
}

impl Schemathesis {
    /// Sends `token` where the document asks for this security scheme.
    #[must_use]
    pub fn with_token(mut self, scheme: &str, token: &str) -> Self {
        let _ = write!(
            self.config,
            "[auth.openapi.{scheme}]\nbearer = \"{token}\"\n"
        );
        self
    }

    /// Sends `value` as the parameter `id` of this operation, so that it gets past "no such thing".
    #[must_use]
    pub fn with_id(self, operation: &str, value: &str) -> Self {
        self.with(operation, &format!("id = \"{value}\""))
    }

    /// Sends these parameters to this operation: TOML, as in a table.
    #[must_use]
    pub fn with(mut self, operation: &str, parameters: &str) -> Self {
        let _ = write!(
            self.config,
            "[[operations]]\ninclude-name = \"{operation}\"\nparameters = {{ {parameters} }}\n"
        );
        self
    }

    /// Asks the API at `base`; panics with the report if an answer is not what its document says.
    pub fn run(&self, base: &Url) {
        let program = installed();
        let folder = TempDir::new().expect("a temporary folder can be made");
        let config = folder.path().join("schemathesis.toml");
        fs::write(&config, &self.config).expect("the configuration can be written");
        let document = base.join("openapi.json").expect("a path makes a URL");
        let mut command = python();
        command
            .env("PYTHONPATH", &program)
            .current_dir(folder.path())
            .args(["-m", "schemathesis.cli", "--config-file"])
            .arg(&config)
            .args(["run", document.as_str(), "--checks", CHECKS])
            .args(["--phases", "examples,coverage,fuzzing"])
            .args(["--max-examples", EXAMPLES, "--seed", SEED])
            .args(["--continue-on-failure", "--no-color", "--warnings", "off"]);
        let output = command.output().expect("python3 can be started");
        assert!(
            output.status.success(),
            "{base} departs from its document:\n{}",
            told(&output)
        );
    }
}

fn python() -> Command {
    Command::new("python3")
}

fn told(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// The folder that it is installed in: beside it and renamed, under a lock, so that what is there is complete.
fn installed() -> PathBuf {
    let version = REQUIREMENTS
        .lines()
        .find_map(|line| line.strip_prefix("schemathesis=="))
        .expect("the requirements name schemathesis");
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.x402/tools");
    fs::create_dir_all(&tools).expect("the folder of the tools can be made");
    let target = tools.join(format!("schemathesis-{version}"));
    let lock = File::create(target.with_extension("lock")).expect("a lock can be made");
    lock.lock().expect("the lock can be taken");
    if target.is_dir() {
        return target;
    }
    let partial = tools.join("schemathesis.partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).expect("what an installation left can be removed");
    }
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements.txt");
    let output = python()
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-compile",
        ])
        .arg("--requirement")
        .arg(&requirements)
        .arg("--target")
        .arg(&partial)
        .output()
        .expect("the tests need Python 3 with pip");
    assert!(output.status.success(), "pip: {}", told(&output));
    fs::rename(&partial, &target).expect("what is installed can be renamed");
    target
}
