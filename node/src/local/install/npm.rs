//! One npm package: pinned, installed beside its place, renamed into it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use super::InstallError;

/// Time between two looks at how far a download is.
const POLL: Duration = Duration::from_millis(200);

/// An npm package, pinned.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) integrity: &'static str,
    /// What we use of it, below its folder.
    pub(super) file: &'static str,
    /// Size when unpacked, for the progress bar only.
    pub(super) unpacked_bytes: u64,
}

impl Package {
    /// As npm writes it.
    fn full_name(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Its name with its version, fit for a file system.
    pub(super) fn label(&self) -> String {
        self.full_name()
            .replace(['@', '/'], "-")
            .trim_start_matches('-')
            .to_owned()
    }

    /// Where the file that we use is below that.
    pub(super) fn file_below(&self) -> PathBuf {
        ["node_modules", self.name, self.file].iter().collect()
    }

    /// The two files that make `npm ci` install exactly this, checksum included.
    pub(super) fn manifests(&self) -> [(&'static str, serde_json::Value); 2] {
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
pub(super) fn install(
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
