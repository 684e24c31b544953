//! The dashboards' files: made by their code, and what Grafana reads.

use std::fs;

use x402_tests::grafana::{
    dashboard::{committed, folder},
    packages::node,
};

#[test]
fn the_committed_dashboards_are_what_their_code_makes() {
    let made = tempfile::tempdir().unwrap();
    node(&folder(), &["build.mjs", made.path().to_str().unwrap()]);
    let committed = committed();
    assert_eq!(
        fs::read_dir(made.path()).unwrap().count(),
        committed.len(),
        "a dashboard was added or removed: npm run build in dashboards"
    );
    for dashboard in committed {
        let file = format!("{}.json", dashboard.uid);
        let read = |folder: &std::path::Path| fs::read_to_string(folder.join(&file)).unwrap();
        let is_current = read(made.path()) == read(&folder().join("grafana"));
        assert!(
            is_current,
            "{file} is not current: npm run build in dashboards"
        );
    }
}

#[test]
fn grafanas_own_types_allow_every_dashboard() {
    let files: Vec<String> = committed()
        .iter()
        .map(|one| format!("../grafana/{}.json", one.uid))
        .collect();
    let arguments = ["validate.mjs"].into_iter();
    let arguments: Vec<&str> = arguments.chain(files.iter().map(String::as_str)).collect();
    node(&folder().join("render"), &arguments);

    // That it refuses anything at all.
    let wrong = tempfile::NamedTempFile::new().unwrap();
    fs::write(wrong.path(), r#"{"title": "x", "panles": []}"#).unwrap();
    let arguments = ["validate.mjs", wrong.path().to_str().unwrap()];
    let refused = std::panic::catch_unwind(|| node(&folder().join("render"), &arguments));
    assert!(refused.is_err());
}
