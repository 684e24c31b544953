//! The TOML file: defaults for the flags.
//!
//! A key is a flag's long name without the dashes. Keys above all sections count for every command that
//! has such a flag; a section `[gateway]` counts for `x402 gateway` and for the gateway within `x402 node`.
//! A flag or an environment variable beats the file; an unknown key is refused by name.

use std::{ffi::OsString, path::Path};

use clap::{Args, Command};
use thiserror::Error;
use toml::{Table, Value};

/// Why the settings cannot be used. Exit code 64 (`EX_USAGE`).
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    /// The file is not there or not readable.
    #[error("the configuration file {path} cannot be read")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("the configuration file is not TOML")]
    NotToml(#[source] toml::de::Error),
    /// No flag has that name.
    #[error("the configuration key {key} is not known; `x402 {command} --help` lists the flags")]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// Where to look.
        command: String,
    },
    /// A value that cannot be a flag's.
    #[error("the configuration key {key} takes text, a number or true/false")]
    NotScalar {
        /// The key with its section.
        key: String,
    },
    /// A flag's own complaint, which names it.
    #[error(transparent)]
    Flag(#[from] clap::Error),
}

/// Reads the file.
pub(crate) fn read(path: &Path) -> Result<Table, SettingsError> {
    let unreadable = |source| SettingsError::Unreadable {
        path: path.display().to_string(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    text.parse().map_err(SettingsError::NotToml)
}

/// The command tree with the file's values as defaults of its flags.
pub(crate) fn with_defaults(mut command: Command, file: &Table) -> Result<Command, SettingsError> {
    // Keys above the sections first, so that a section's own value replaces them.
    for (key, value) in file.iter().filter(|(_, value)| !value.is_table()) {
        let text = scalar(key, value)?;
        let names: Vec<String> = command
            .get_subcommands()
            .filter(|sub| has_flag(sub, key))
            .map(|sub| sub.get_name().to_owned())
            .collect();
        if names.is_empty() {
            return Err(SettingsError::UnknownKey {
                key: key.clone(),
                command: String::new(),
            });
        }
        for name in names {
            command = command.mut_subcommand(&name, |sub| with_default(sub, key, text.clone()));
        }
    }
    for (section, table) in file
        .iter()
        .filter_map(|(section, value)| Some((section, value.as_table()?)))
    {
        for (key, value) in table {
            let name = format!("{section}.{key}");
            let known = command
                .find_subcommand(section)
                .is_some_and(|sub| has_flag(sub, key));
            if !known {
                return Err(SettingsError::UnknownKey {
                    key: name,
                    command: section.clone(),
                });
            }
            let text = scalar(&name, value)?;
            command = command.mut_subcommand(section, |sub| with_default(sub, key, text));
        }
    }
    Ok(command)
}

/// One service's configuration within `x402 node`: `overrides` are flags, then the environment, the
/// file and the defaults count as for the service's own command.
pub(crate) fn of_service<T: Args>(
    tree: &Command,
    service: &str,
    overrides: &[(&str, String)],
) -> Result<T, SettingsError> {
    let command = tree
        .find_subcommand(service)
        .cloned()
        .unwrap_or_else(|| T::augment_args(Command::new(service.to_owned())));
    let flags = overrides
        .iter()
        .flat_map(|(flag, value)| [format!("--{flag}"), value.clone()]);
    let arguments = std::iter::once(service.to_owned())
        .chain(flags)
        .map(OsString::from);
    let matches = command.try_get_matches_from(arguments)?;
    Ok(T::from_arg_matches(&matches)?)
}

fn has_flag(command: &Command, key: &str) -> bool {
    command
        .get_arguments()
        .any(|flag| flag.get_long() == Some(key))
}

fn with_default(command: Command, key: &str, text: String) -> Command {
    let id = command
        .get_arguments()
        .find(|flag| flag.get_long() == Some(key))
        .map(|flag| flag.get_id().clone());
    match id {
        Some(id) => command.mut_arg(id, |flag| flag.default_value(text).required(false)),
        None => command,
    }
}

fn scalar(key: &str, value: &Value) -> Result<String, SettingsError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(flag) => Ok(flag.to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            Err(SettingsError::NotScalar {
                key: key.to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser, Subcommand};

    use super::*;

    #[derive(Parser)]
    struct Tree {
        #[command(subcommand)]
        command: Service,
    }

    #[derive(Subcommand)]
    enum Service {
        Gateway(Settings),
        Verifier(Settings),
    }

    #[derive(Args)]
    struct Settings {
        #[arg(long)]
        rpc_url: String,
        #[arg(long, default_value_t = 7)]
        poll_ms: u64,
    }

    fn gateway(file: &str, overrides: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let tree = with_defaults(Tree::command(), &file.parse().unwrap())?;
        let overrides: Vec<(&str, String)> = overrides
            .iter()
            .map(|(flag, value)| (*flag, (*value).to_owned()))
            .collect();
        of_service(&tree, "gateway", &overrides)
    }

    #[test]
    fn a_flag_beats_its_section_which_beats_the_keys_above() {
        let file = "rpc-url = \"above\"\n[gateway]\npoll-ms = 9\n[verifier]\nrpc-url = \"other\"";
        let settings = gateway(file, &[]).ok().unwrap();
        assert_eq!((settings.rpc_url.as_str(), settings.poll_ms), ("above", 9));
        let settings = gateway(file, &[("poll-ms", "11")]).ok().unwrap();
        assert_eq!(settings.poll_ms, 11);
        let settings = gateway(
            &format!("{file}\n").replace("[gateway]", "[gateway]\nrpc-url = \"own\""),
            &[],
        )
        .ok()
        .unwrap();
        assert_eq!(settings.rpc_url, "own");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        for (file, named) in [
            ("lissten = 1", "lissten"),
            ("[gateway]\npol-ms = 1", "gateway.pol-ms"),
            ("[gatewy]\npoll-ms = 1", "gatewy.poll-ms"),
            ("[gateway]\npoll-ms = [1]", "gateway.poll-ms"),
        ] {
            let message = gateway(file, &[]).err().unwrap().to_string();
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn a_bad_value_names_its_flag() {
        let message = gateway("[gateway]\nrpc-url = \"x\"\npoll-ms = \"soon\"", &[])
            .err()
            .unwrap()
            .to_string();
        assert!(message.contains("poll-ms"), "{message}");
        let message = gateway("", &[]).err().unwrap().to_string();
        assert!(message.contains("rpc-url"), "{message}");
    }
}
