//! The tools of the local stack, from npm, on first use.
//!
//! Each package goes to a folder named after its version, so what is there is either complete and right or absent: it is
//! installed beside it and renamed, under a lock that other processes wait for. Versions and checksums are pinned here;
//! npm refuses a download that differs. Nothing is installed globally and no package script runs.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use thiserror::Error;

/// Time between two looks at how far a download is.
const POLL: Duration = Duration::from_millis(200);

/// An npm package, pinned.
#[derive(Debug)]
struct Package {
    name: &'static str,
    version: &'static str,
    integrity: &'static str,
    /// What we use of it, below its folder.
    file: &'static str,
    /// Size when unpacked, for the progress bar only.
    unpacked_bytes: u64,
}

const ANVIL: Package = Package {
    name: "@foundry-rs/anvil-linux-amd64",
    version: "1.7.1",
    integrity: "sha512-+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
    file: "bin/anvil",
    unpacked_bytes: 44_331_620,
};

// 26.5 does not know `--http_port`.
const CLICKHOUSE: Package = Package {
    name: "@chdb/lib-linux-x64-gnu",
    version: "26.7.3-stable.1",
    integrity: "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
    file: "libchdb.so",
    unpacked_bytes: 569_042_837,
};

/// What runs as ClickHouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClickHouseTool {
    /// A `clickhouse` program that was already on this machine.
    Program(PathBuf),
    /// The embedded library.
    Library(PathBuf),
}

/// The installed tools.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The chain node.
    pub anvil: PathBuf,
    /// ClickHouse.
    pub clickhouse: ClickHouseTool,
}

/// Why a tool is not installed.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The tools are built for one platform only.
    #[error(
        "the local stack needs Linux on x86-64 and this is {os} on {arch}: run the services with --rpc-url and \
         --clickhouse-url instead"
    )]
    Platform {
        /// Operating system found.
        os: &'static str,
        /// Architecture found.
        arch: &'static str,
    },
    /// There is no npm.
    #[error("npm was not found on PATH: install Node.js 20 or newer (it brings npm) and try again")]
    NoNpm,
    /// npm ran and failed.
    #[error("npm could not install {package}: {reason}")]
    Npm {
        /// The package with its version.
        package: String,
        /// What npm said.
        reason: String,
    },
    /// npm was content but the file is missing.
    #[error("npm installed {package} without {file}")]
    Incomplete {
        /// The package with its version.
        package: String,
        /// The file that should be there.
        file: &'static str,
    },
    /// The folder of the tools cannot be written.
    #[error("could not write to {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The installing thread died.
    #[error("the installation was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Makes sure that every tool is in `folder`, and says where.
///
/// `search_path` is the value of `PATH`: a `clickhouse` program found there is preferred to the embedded library. The
/// chain node is always the pinned one, because reorgs and state files differ between its versions.
pub async fn ensure(
    folder: &Path,
    search_path: Option<&OsStr>,
    progress: &MultiProgress,
) -> Result<Tools, InstallError> {
    let anvil = ensure_anvil(folder, progress).await?;
    let clickhouse = ensure_clickhouse(folder, search_path, progress).await?;
    Ok(Tools { anvil, clickhouse })
}

/// Makes sure of the chain node alone.
pub async fn ensure_anvil(
    folder: &Path,
    progress: &MultiProgress,
) -> Result<PathBuf, InstallError> {
    package(&ANVIL, folder, progress).await
}

/// Makes sure of ClickHouse alone.
pub async fn ensure_clickhouse(
    folder: &Path,
    search_path: Option<&OsStr>,
    progress: &MultiProgress,
) -> Result<ClickHouseTool, InstallError> {
    if let Some(program) = search_path.and_then(|path| find_program("clickhouse", path)) {
        return Ok(ClickHouseTool::Program(program));
    }
    package(&CLICKHOUSE, folder, progress)
        .await
        .map(ClickHouseTool::Library)
}

/// The first executable of that name in a list of folders as `PATH` has it.
fn find_program(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    std::env::split_paths(search_path)
        .map(|folder| folder.join(name))
        .find(|program| {
            program
                .metadata()
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
}

async fn package(
    package: &'static Package,
    folder: &Path,
    progress: &MultiProgress,
) -> Result<PathBuf, InstallError> {
    let installed = folder.join(package.label()).join(package.file_below());
    // The usual case takes no lock and starts no thread.
    if installed.is_file() {
        return Ok(installed);
    }
    check_platform(std::env::consts::OS, std::env::consts::ARCH)?;
    let (folder, progress) = (folder.to_owned(), progress.clone());
    let work = tokio::task::spawn_blocking(move || install(package, &folder, &progress));
    work.await.map_err(InstallError::Interrupted)?
}

fn check_platform(os: &'static str, arch: &'static str) -> Result<(), InstallError> {
    if os == "linux" && arch == "x86_64" {
        Ok(())
    } else {
        Err(InstallError::Platform { os, arch })
    }
}

impl Package {
    /// As npm writes it.
    fn full_name(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Its name with its version, fit for a file system.
    fn label(&self) -> String {
        self.full_name()
            .replace(['@', '/'], "-")
            .trim_start_matches('-')
            .to_owned()
    }

    /// Where the file that we use is below that.
    fn file_below(&self) -> PathBuf {
        ["node_modules", self.name, self.file].iter().collect()
    }

    /// The two files that make `npm ci` install exactly this, checksum included.
    fn manifests(&self) -> [(&'static str, serde_json::Value); 2] {
        let wanted = json!({ self.name: self.version });
        let place = format!("node_modules/{}", self.name);
        let lock = json!({
            "name": "tools", "lockfileVersion": 3, "requires": true,
            "packages": {
                "": { "name": "tools", "dependencies": wanted },
                place: { "version": self.version, "integrity": self.integrity },
            },
        });
        let manifest = json!({ "name": "tools", "private": true, "dependencies": wanted });
        [("package.json", manifest), ("package-lock.json", lock)]
    }
}

/// Installs under the lock, unless another process did so while we waited for it.
fn install(
    package: &'static Package,
    tools: &Path,
    progress: &MultiProgress,
) -> Result<PathBuf, InstallError> {
    let unwritable = |source| InstallError::Folder {
        folder: tools.to_owned(),
        source,
    };
    let label = package.label();
    let target = tools.join(&label);
    let installed = target.join(package.file_below());
    fs::create_dir_all(tools).map_err(unwritable)?;
    let lock = File::create(tools.join(format!("{label}.lock"))).map_err(unwritable)?;
    lock.lock().map_err(unwritable)?;
    if installed.is_file() {
        return Ok(installed);
    }
    let partial = tools.join(format!("{label}.partial"));
    // Whatever is here was left by an installation that died, or by a folder that somebody emptied.
    for leftover in [&partial, &target] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).map_err(unwritable)?;
        }
    }
    fs::create_dir_all(&partial).map_err(unwritable)?;
    for (name, content) in package.manifests() {
        fs::write(partial.join(name), content.to_string()).map_err(unwritable)?;
    }
    run_npm(package, &partial, progress)?;
    if !partial.join(package.file_below()).is_file() {
        return Err(InstallError::Incomplete {
            package: package.full_name(),
            file: package.file,
        });
    }
    fs::rename(&partial, &target).map_err(unwritable)?;
    Ok(installed)
}

fn run_npm(package: &Package, folder: &Path, progress: &MultiProgress) -> Result<(), InstallError> {
    let failed = |reason: String| InstallError::Npm {
        package: package.full_name(),
        reason,
    };
    let log = folder.join("npm.log");
    let output = File::create(&log).map_err(|error| failed(error.to_string()))?;
    let mut npm = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
        .map_err(|error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            if missing {
                InstallError::NoNpm
            } else {
                failed(error.to_string())
            }
        })?;
    tracing::info!(package = package.full_name(), "installing");
    let bar = progress.add(bar(package));
    let status = loop {
        match npm.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => bar.set_position(bytes_below(folder)),
            Err(error) => return Err(failed(error.to_string())),
        }
        thread::sleep(POLL);
    };
    bar.finish_and_clear();
    if status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(&log).unwrap_or_default();
    Err(failed(if said.trim().is_empty() {
        status.to_string()
    } else {
        said.trim().to_owned()
    }))
}

fn bar(package: &Package) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} installing {msg} {wide_bar} {bytes}/{total_bytes}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(package.unpacked_bytes)
        .with_style(style)
        .with_message(package.full_name())
}

/// Size of the files in a folder. Files that vanish while it is counted are left out.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_installed_is_used_without_npm() {
        let tools = tempfile::tempdir().unwrap();
        let file = tools
            .path()
            .join("foundry-rs-anvil-linux-amd64-1.7.1")
            .join(ANVIL.file_below());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        let found = ensure_anvil(tools.path(), &MultiProgress::new())
            .await
            .unwrap();
        assert_eq!(found, file);
    }

    #[test]
    fn a_clickhouse_on_the_path_counts_only_when_it_can_run() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("clickhouse");
        let path = folder.path().as_os_str();
        assert_eq!(find_program("clickhouse", path), None);
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find_program("clickhouse", path), None);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_program("clickhouse", path), Some(program));
    }

    #[test]
    fn other_platforms_are_told_what_to_do_instead() {
        assert!(check_platform("linux", "x86_64").is_ok());
        for (os, arch) in [("macos", "x86_64"), ("linux", "aarch64")] {
            let message = check_platform(os, arch).unwrap_err().to_string();
            assert!(
                message.contains(os) && message.contains("--clickhouse-url"),
                "{message}"
            );
        }
    }

    #[test]
    fn the_lock_pins_version_and_checksum_and_names_no_registry() {
        for package in [&ANVIL, &CLICKHOUSE] {
            let [_, (_, lock)] = package.manifests();
            let entry = &lock["packages"][format!("node_modules/{}", package.name)];
            assert_eq!(entry["version"], package.version);
            assert!(entry["integrity"].as_str().unwrap().starts_with("sha512-"));
            assert!(entry.get("resolved").is_none());
        }
    }
}
