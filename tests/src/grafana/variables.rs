//! The values that stand for a dashboard's variables.

use std::collections::BTreeMap;

use super::macros::ExpandError;

/// What a variable stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// "All" is chosen; only `$__conditionalAll` can make something of it.
    All,
    /// One value.
    One(String),
    /// Several are chosen.
    Several(Vec<String>),
}

/// Variables by name; Grafana's own, such as `__interval`, among them.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<String, Value>);

impl Variables {
    /// These, and one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// What a variable stands for.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The text with values instead of `$name`, `${name}` and `${name:format}`. Unknown names that begin with `__` stay:
    /// they are macros of whoever is asked.
    ///
    /// # Errors
    /// Names a variable that is unknown or has no text, or a format that we do not use.
    pub fn put_into(&self, text: &str) -> Result<String, ExpandError> {
        let mut done = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            done.push_str(before);
            let (name, format, behind) = reference(after)?;
            match self.get(name) {
                Some(value) => done.push_str(&value.written(name, format)?),
                None if name.starts_with("__") => {
                    done.push('$');
                    rest = after;
                    continue;
                }
                None => return Err(ExpandError::Variable(name.to_owned())),
            }
            rest = behind;
        }
        done.push_str(rest);
        Ok(done)
    }
}

impl Value {
    /// As the ClickHouse plugin writes it: several are quoted even without a format, one is not, and nothing but a format
    /// escapes.
    fn written(&self, name: &str, format: Option<&str>) -> Result<String, ExpandError> {
        let quoted = |value: &String| format!("'{}'", value.replace('\'', "\\'"));
        let all = match self {
            Self::All => return Err(ExpandError::All(name.to_owned())),
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        };
        match (format, self) {
            (Some("singlequote"), _) => Ok(all.iter().map(quoted).collect::<Vec<_>>().join(",")),
            (Some("raw" | "csv"), _) => Ok(all.join(",")),
            (Some(format), _) => Err(ExpandError::Format(format.to_owned())),
            (None, Self::Several(values)) => Ok(format!("'{}'", values.join("','"))),
            (None, _) => Ok(all.join(",")),
        }
    }
}

/// The name and format behind a `$`, and what follows.
pub(super) fn reference(after: &str) -> Result<(&str, Option<&str>, &str), ExpandError> {
    if let Some(inside) = after.strip_prefix('{') {
        let (inside, behind) = inside
            .split_once('}')
            .ok_or_else(|| ExpandError::Arguments(after.to_owned()))?;
        return Ok(match inside.split_once(':') {
            Some((name, format)) => (name, Some(format), behind),
            None => (inside, None, behind),
        });
    }
    let end = after
        .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .unwrap_or(after.len());
    let (name, behind) = after.split_at(end);
    Ok((name, None, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_plugin_writes_them() {
        let several = Value::Several(vec!["it's".into(), "b".into()]);
        let variables = Variables::default()
            .with("one", Value::One("ws_1".into()))
            .with("two", several)
            .with("all", Value::All);
        for (text, expected) in [
            ("= $one", "= ws_1"),
            ("IN (${one:singlequote})", "IN ('ws_1')"),
            ("IN (${two:singlequote})", "IN ('it\\'s','b')"),
            ("IN (${two})", "IN ('it's','b')"),
            ("${two:csv}", "it's,b"),
            ("$__timeFilter(at) AND $one", "$__timeFilter(at) AND ws_1"),
        ] {
            assert_eq!(variables.put_into(text).unwrap(), expected, "{text}");
        }
        for wrong in ["$all", "$missing", "${one:json}", "${one"] {
            assert!(variables.put_into(wrong).is_err(), "{wrong}");
        }
    }
}
