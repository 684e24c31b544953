//! What the documents say is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts between backticks.
fn quoted(document: &str) -> Vec<&str> {
    document.split('`').skip(1).step_by(2).collect()
}

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "node_modules" && name != ".x402" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_path_in_the_documents_exists() {
    for name in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"] {
        let document = fs::read_to_string(root().join(name)).unwrap();
        let links = document
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let paths = quoted(&document).into_iter().filter(|text| {
            (text.contains('/') && Path::new(text).extension().is_some_and(|kind| kind == "rs"))
                || (text.ends_with('/') && !text.starts_with(['/', '.', 'h']))
        });
        for path in links.chain(paths).filter(|path| !path.contains("://")) {
            assert!(root().join(path).exists(), "{name} names {path}");
        }
    }
}

#[test]
fn every_invariant_and_every_attack_has_the_test_that_it_names() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut code = String::new();
    sources(&root(), &mut code);
    let invariants: Vec<&str> = document
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .collect();
    assert_eq!(invariants.len(), 13, "one row for each invariant");
    let (_, attacks) = document.split_once("| attack |").unwrap();
    let attacks: Vec<&str> = attacks
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("| "))
        .collect();
    assert!(attacks.len() > 10, "the table of attacks");
    for row in invariants.into_iter().chain(attacks) {
        let tests = row.rsplit('|').nth(1).unwrap();
        let names = quoted(tests);
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(
                code.contains(&format!("fn {name}(")),
                "no test is named {name}"
            );
        }
    }
}
