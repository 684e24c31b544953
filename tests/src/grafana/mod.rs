//! The dashboards as Grafana would show them, without Grafana: their files, their questions with macros and variables put
//! in, the answers of the real sources as Grafana's frames, and the pages that its own components draw of them.
//!
//! What is rebuilt here is small and follows the sources of Grafana 13.2 and of its ClickHouse plugin 4.20. Not rebuilt:
//! ad hoc filters, comments in SQL, transformations, annotations, alerts.

/// The committed files.
pub mod dashboard;

/// What is wrong with a file that can be seen without asking anybody.
pub mod lint;

/// The values that stand for variables.
pub mod variables;

/// The ClickHouse plugin's macros.
pub mod macros;

/// Answers as Grafana has them.
pub mod frames;

/// Asks ClickHouse and Prometheus.
pub mod sources;

/// Whether there are answers.
pub mod answers;

/// What npm has to install for that.
pub mod packages;

/// Draws dashboards in a browser.
pub mod browser;
