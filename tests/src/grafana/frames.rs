//! Answers as Grafana has them: tables of named columns, and for series a frame or a column each.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A column's kind, as Grafana's charts tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Milliseconds since 1970.
    Time,
    /// A float: large integers and decimals lose digits, in Grafana too.
    Number,
    /// Anything else.
    String,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What tells a series from its siblings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the source calls it.
    pub config: Config,
    /// One for each row.
    pub values: Vec<Value>,
}

/// A column's settings from its source.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The name that the query's legend gives.
    #[serde(rename = "displayNameFromDS", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// The letter of the question that it answers.
    pub ref_id: String,
    /// Its columns.
    pub fields: Vec<Field>,
}

impl Field {
    /// A column without labels.
    pub fn new(name: &str, kind: Kind, values: Vec<Value>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            labels: BTreeMap::new(),
            config: Config::default(),
            values,
        }
    }
}

impl Frame {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.fields.first().map_or(0, |field| field.values.len())
    }

    /// Rows of (time, names, numbers) as one column for each number and combination of names, as Grafana's backend makes
    /// them of what a panel asks for as a time series.
    ///
    /// # Errors
    /// Says what such an answer lacks: a time, a number, or its order.
    pub fn widened(self) -> Result<Self, String> {
        let of = |kind: Kind| self.fields.iter().filter(move |field| field.kind == kind);
        let [time] = of(Kind::Time).collect::<Vec<_>>()[..] else {
            return Err("a time series has one column of times".to_owned());
        };
        if of(Kind::Number).next().is_none() {
            return Err("a time series has a column of numbers".to_owned());
        }
        let at = |row: usize| time.values[row].as_f64().unwrap_or(f64::MIN);
        let rows = 0..time.values.len();
        if rows
            .clone()
            .skip(1)
            .any(|row| at(row) < at(row.saturating_sub(1)))
        {
            return Err("a time series is sorted by time".to_owned());
        }
        if of(Kind::String).next().is_none() {
            return Ok(self);
        }
        let mut times = time.values.clone();
        times.dedup();
        let mut columns: BTreeMap<(BTreeMap<String, String>, String), Vec<Value>> = BTreeMap::new();
        let mut place = 0;
        for row in rows {
            while times[place] != time.values[row] {
                place = place.saturating_add(1);
            }
            let labels = of(Kind::String).map(|field| {
                let label = field.values[row].as_str().unwrap_or_default();
                (field.name.clone(), label.to_owned())
            });
            let labels: BTreeMap<String, String> = labels.collect();
            for field in of(Kind::Number) {
                let key = (labels.clone(), field.name.clone());
                let column = columns
                    .entry(key)
                    .or_insert_with(|| vec![Value::Null; times.len()]);
                column[place] = field.values[row].clone();
            }
        }
        let mut fields = vec![Field::new(&time.name, Kind::Time, times)];
        fields.extend(columns.into_iter().map(|((labels, name), values)| Field {
            labels,
            ..Field::new(&name, Kind::Number, values)
        }));
        Ok(Self {
            ref_id: self.ref_id,
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn frame(times: &[i64], names: &[&str], numbers: &[i64]) -> Frame {
        Frame {
            ref_id: "A".into(),
            fields: vec![
                Field::new(
                    "time",
                    Kind::Time,
                    times.iter().map(|at| json!(at)).collect(),
                ),
                Field::new(
                    "agent",
                    Kind::String,
                    names.iter().map(|at| json!(at)).collect(),
                ),
                Field::new(
                    "spend",
                    Kind::Number,
                    numbers.iter().map(|at| json!(at)).collect(),
                ),
            ],
        }
    }

    #[test]
    fn each_name_becomes_a_column_with_gaps() {
        let wide = frame(&[1, 1, 2], &["a", "b", "b"], &[10, 20, 30])
            .widened()
            .unwrap();
        assert_eq!(wide.rows(), 2);
        assert_eq!(wide.fields[1].labels["agent"], "a");
        assert_eq!(wide.fields[1].values, [json!(10), Value::Null]);
        assert_eq!(wide.fields[2].values, [json!(20), json!(30)]);
    }

    #[test]
    fn what_grafana_refuses_is_refused() {
        assert!(frame(&[2, 1], &["a", "a"], &[1, 1]).widened().is_err());
        let mut without = frame(&[1], &["a"], &[1]);
        without.fields.remove(2);
        assert!(without.clone().widened().is_err());
        without.fields.remove(0);
        assert!(without.widened().is_err());
    }
}
