//! What expressions ask for, by Prometheus's own grammar.

use std::convert::Infallible;

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{self, AggregateExpr, Expr, LabelModifier, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use regex::Regex;

/// Variables of Grafana that stand for a time, and a time.
const TIMES: [(&str, &str); 3] = [
    ("$__rate_interval", "5m"),
    ("$__range", "1h"),
    ("$__interval", "1m"),
];

/// A selector: which metric, and what it needs to have.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) metric: String,
    pub(super) wanted: Vec<Wanted>,
}

/// A label that is needed, with a value like this if one is named.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) label: String,
    pub(super) values: Option<Regex>,
}

/// The expression that Grafana sends.
pub(super) fn without_variables(expression: &str) -> String {
    TIMES
        .iter()
        .fold(expression.to_owned(), |text, (variable, time)| {
            text.replace(variable, time)
        })
}

/// Every selector of an expression. What an aggregation groups by is asked of each selector in it.
pub(super) fn asked(expression: &str) -> Result<Vec<Asked>, String> {
    let mut selectors = Selectors::default();
    let Ok(_) = walk_expr(&mut selectors, &parser::parse(expression)?);
    Ok(selectors.found)
}

#[derive(Default)]
struct Selectors {
    found: Vec<Asked>,
    groupings: Vec<Vec<String>>,
}

impl ExprVisitor for Selectors {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        if let Expr::Aggregate(aggregate) = expression {
            self.groupings.push(grouped_by(aggregate));
        } else if let Expr::VectorSelector(selector) = expression {
            self.find(selector);
        } else if let Expr::MatrixSelector(selector) = expression {
            self.find(&selector.vs);
        }
        Ok(true)
    }

    fn post_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        if matches!(expression, Expr::Aggregate(_)) {
            self.groupings.pop();
        }
        Ok(true)
    }
}

impl Selectors {
    fn find(&mut self, selector: &VectorSelector) {
        let metric = selector.name.clone().unwrap_or_default();
        // An outer aggregation may group by what an inner one keeps only.
        let innermost = self.groupings.last().into_iter().flatten();
        let grouped = innermost.map(|label| Wanted {
            label: label.clone(),
            values: None,
        });
        let matched = selector.matchers.matchers.iter().map(wanted);
        self.found.push(Asked {
            wanted: grouped.chain(matched).collect(),
            metric,
        });
    }
}

fn grouped_by(aggregate: &AggregateExpr) -> Vec<String> {
    match &aggregate.modifier {
        Some(LabelModifier::Include(labels)) => labels.labels.clone(),
        Some(LabelModifier::Exclude(_)) | None => Vec::new(),
    }
}

/// What is left out has to be there as well: else it is a slip.
fn wanted(matcher: &Matcher) -> Wanted {
    let pattern = match &matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => regex::escape(&matcher.value),
        MatchOp::Re(_) | MatchOp::NotRe(_) => matcher.value.clone(),
    };
    Wanted {
        label: matcher.name.clone(),
        values: Some(Regex::new(&format!("^(?:{pattern})$")).unwrap()),
    }
}
