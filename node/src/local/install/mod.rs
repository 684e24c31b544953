//! The tools of the local stack, from npm, on first use.
//!
//! Each package goes to a folder named after its version, so what is there is either complete and right or absent: it is
//! installed beside it and renamed, under a lock that other processes wait for. Versions and checksums are pinned here;
//! npm refuses a download that differs. Nothing is installed globally and no package script runs.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use indicatif::MultiProgress;
use thiserror::Error;

use self::npm::Package;

/// Installs one package.
mod npm;

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
    /// The sources of the TypeScript SDKs are not where they were looked for.
    #[error("{} has no package-lock.json: run this in a checkout, or name its sdk/js with --js-dir", folder.display())]
    NoSources {
        /// Where they were looked for.
        folder: PathBuf,
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
    // Whoever runs the tool may do so from another working directory.
    let folder = std::path::absolute(folder).map_err(|source| InstallError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    let installed = folder.join(package.label()).join(package.file_below());
    // The usual case takes no lock and starts no thread.
    if installed.is_file() {
        return Ok(installed);
    }
    check_platform(std::env::consts::OS, std::env::consts::ARCH)?;
    let progress = progress.clone();
    let work = tokio::task::spawn_blocking(move || npm::install(package, &folder, &progress));
    work.await.map_err(InstallError::Interrupted)?
}

fn check_platform(os: &'static str, arch: &'static str) -> Result<(), InstallError> {
    if os == "linux" && arch == "x86_64" {
        Ok(())
    } else {
        Err(InstallError::Platform { os, arch })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

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
