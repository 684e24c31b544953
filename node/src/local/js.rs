//! The TypeScript SDKs, installed and built where their sources are, and programs that use them as servers.
//!
//! What npm installs is pinned with its checksum by the committed lock file, and no package script runs. Each step is done
//! once for what it depends on, under a lock that other processes wait for; `dist/` of the folder remembers for what.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use alloy::primitives::{Keccak256, hex};

use super::{
    child::{DeathSignal, Launcher, Program},
    install::InstallError,
    server::{self, Server, Service, StartError},
};

/// What decides which packages are installed.
const LOCK_FILE: &str = "package-lock.json";
/// What the built packages are made of, below the folder.
const SOURCES: [&str; 8] = [
    "agent/package.json",
    "agent/src",
    "build.mjs",
    "package.json",
    "protocol/src",
    "server/package.json",
    "server/src",
    "tsconfig.base.json",
];
/// What came of it.
const BUILT: [&str; 2] = [
    "agent/dist/cjs/package.json",
    "server/dist/cjs/package.json",
];

/// The folder of the TypeScript SDKs, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsPackages {
    folder: PathBuf,
}

/// Installs what the packages are built with, and builds them, unless that is done.
pub async fn ensure(folder: &Path) -> Result<JsPackages, InstallError> {
    let folder = std::path::absolute(folder).map_err(|source| unwritable(folder, source))?;
    let work = tokio::task::spawn_blocking(move || install_and_build(folder));
    work.await.map_err(InstallError::Interrupted)?
}

fn install_and_build(folder: PathBuf) -> Result<JsPackages, InstallError> {
    let wrong = |source| unwritable(&folder, source);
    if !folder.join(LOCK_FILE).is_file() {
        return Err(InstallError::NoSources { folder });
    }
    let done = folder.join("dist");
    fs::create_dir_all(&done).map_err(wrong)?;
    let lock = File::create(done.join("lock")).map_err(wrong)?;
    lock.lock().map_err(wrong)?;

    let wanted = digest(&folder, &[LOCK_FILE]).map_err(wrong)?;
    let installed = done.join("installed");
    if !remembers(&installed, &wanted) || !folder.join("node_modules").is_dir() {
        let arguments = [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ];
        run("npm", &arguments, &folder)?;
        fs::write(&installed, &wanted).map_err(wrong)?;
    }
    let sources = format!("{wanted} {}", digest(&folder, &SOURCES).map_err(wrong)?);
    let built = done.join("built");
    if !remembers(&built, &sources) || BUILT.iter().any(|file| !folder.join(file).is_file()) {
        run("node", &["build.mjs"], &folder)?;
        fs::write(&built, &sources).map_err(wrong)?;
    }
    Ok(JsPackages { folder })
}

fn unwritable(folder: &Path, source: io::Error) -> InstallError {
    InstallError::Folder {
        folder: folder.to_owned(),
        source,
    }
}

fn remembers(file: &Path, digest: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|kept| kept == digest)
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<(), InstallError> {
    let failed = |reason: String| InstallError::Npm {
        package: format!("the TypeScript SDKs ({program} {})", arguments.join(" ")),
        reason,
    };
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                InstallError::NoNpm
            } else {
                failed(error.to_string())
            }
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(failed(String::from_utf8_lossy(&said).trim().to_owned()))
}

/// Of the contents of files, and of those in folders, with their names.
fn digest(folder: &Path, names: &[&str]) -> io::Result<String> {
    let mut hasher = Keccak256::new();
    let mut open: Vec<PathBuf> = names.iter().rev().map(|name| folder.join(name)).collect();
    while let Some(path) = open.pop() {
        hasher.update(path.to_string_lossy().as_bytes());
        if path.is_dir() {
            let entries: io::Result<Vec<PathBuf>> = fs::read_dir(&path)?
                .map(|entry| Ok(entry?.path()))
                .collect();
            let mut entries = entries?;
            entries.sort();
            open.extend(entries);
        } else {
            hasher.update(fs::read(&path)?);
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

impl JsPackages {
    /// A file of theirs.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts a script that serves on `PORT` of 127.0.0.1, with more of an environment.
    pub async fn serve(
        &self,
        launcher: &Launcher,
        script: &str,
        environment: Vec<(&'static str, String)>,
        log: PathBuf,
        port: Option<u16>,
    ) -> Result<Server, StartError> {
        let script = Script {
            file: self.file(script),
            environment,
            log,
        };
        server::start(launcher, &script, port).await
    }
}

/// A script of Node.js that serves.
#[derive(Debug)]
struct Script {
    file: PathBuf,
    environment: Vec<(&'static str, String)>,
    log: PathBuf,
}

impl Service for Script {
    const NAME: &'static str = "the TypeScript API";
    const READY_WITHIN: Duration = Duration::from_secs(30);

    fn program(&self, port: u16) -> io::Result<Program> {
        let mut environment = self.environment.clone();
        environment.push(("PORT", port.to_string()));
        Ok(Program {
            path: "node".into(),
            arguments: vec![self.file.clone().into_os_string()],
            environment,
            at_parents_death: DeathSignal::Kill,
            log: self.log.clone(),
        })
    }

    /// Whoever listens answers.
    async fn answers(&self, _port: u16) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_without_sources_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = ensure(folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("--js-dir"), "{error}");
    }

    #[test]
    fn a_digest_changes_with_any_content_and_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("src");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("a.ts"), "1").unwrap();
        let of_folder = || digest(folder.path(), &["src"]).unwrap();
        let first = of_folder();
        assert_eq!(of_folder(), first);
        fs::write(source.join("a.ts"), "2").unwrap();
        let second = of_folder();
        fs::rename(source.join("a.ts"), source.join("b.ts")).unwrap();
        assert_eq!(
            [first == second, second == of_folder()],
            [false, false],
            "both changes show"
        );
    }
}
