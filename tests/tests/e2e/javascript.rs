//! The TypeScript packages: their own tests, the examples that newcomers copy, and what npm would publish.

use std::{path::Path, process::Stdio};

use reqwest::Url;
use tokio::process::Command;
use x402_tests::{
    pairs::{PRICE, Seller, packages, selling},
    shared::run,
    world::{World, amount},
};

use crate::EXE;

/// Runs a program in the folder of the packages, which has to succeed; returns what it printed.
async fn succeed(mut command: Command) -> String {
    let output = command
        .current_dir(packages().await.file(""))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{command:?} runs: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{complained}");
    said
}

#[test]
fn the_typescript_packages_pass_their_own_tests() {
    run(async {
        let mut said = String::new();
        // Built already, and other tests are using what was built.
        for script in ["check", "unit"] {
            let mut npm = Command::new("npm");
            npm.args(["run", script]);
            said.push_str(&succeed(npm).await);
        }
        let counted = |what: &str| {
            let line = said
                .lines()
                .find_map(|line| line.strip_prefix(&format!("# {what} ")));
            line.unwrap_or_else(|| panic!("no {what} in {said}"))
                .parse::<u32>()
                .unwrap()
        };
        assert!(counted("tests") > 100, "{said}");
        assert_eq!(
            [
                counted("fail"),
                counted("skipped"),
                counted("todo"),
                counted("cancelled")
            ],
            [0; 4]
        );
    });
}

#[test]
fn what_npm_would_publish_installs_and_imports_in_a_clean_folder() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut packed = Command::new("node");
        packed.arg("testing/packed.mjs").arg(folder.path());
        let said = succeed(packed).await;
        assert!(said.contains("ESM, CJS and types"), "{said}");
    });
}

#[test]
fn deno_bun_and_workers_sell_and_deno_and_bun_buy() {
    run(async {
        let world = World::new(EXE).await;
        let mut runtimes = Command::new("node");
        runtimes
            .arg("runtimes/run.mjs")
            .envs(selling(&world))
            .env("X402_GATEWAY_URL", world.gateway().as_str())
            .env("X402_AGENT_KEY", &world.agent_key);
        let said = succeed(runtimes).await;
        let paid = format!(r#""paid":"{PRICE}""#);
        let purchases = said.lines().filter(|line| line.contains(&paid)).count();
        assert_eq!(purchases, 6, "{said}");
        world.stop().await;
    });
}

#[test]
fn the_example_agent_buys_from_the_example_api() {
    run(async {
        let world = World::new(EXE).await;
        let api = Seller::start(&world, "Express", "examples/express-api.mjs", None).await;
        let said = example_agent(&world, &api.report).await;
        assert!(said.contains(&format!(r#""paid":"{PRICE}""#)), "{said}");
        assert_eq!(world.balance(world.pay_to).await, amount(PRICE));
        world.stop().await;
    });
}

#[test]
fn the_demo_buys_in_typescript_from_an_api_in_typescript() {
    run(async {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = tempfile::tempdir().unwrap();
        let mut demo = Command::new(EXE);
        demo.args(["demo", "--once", "--sdk", "js", "--ports", "any"])
            .arg("--js-dir")
            .arg(packages().await.file(""))
            .arg("--tools-dir")
            .arg(root.join(".x402/tools").canonicalize().unwrap())
            .arg("--data-dir")
            .arg(folder.path());
        let said = succeed(demo).await;
        for step in [
            "proof verified",
            r#""paymentId":"pay_"#,
            "from the row in ClickHouse",
        ] {
            assert!(said.contains(step), "{said}");
        }
    });
}

async fn example_agent(world: &World, report: &Url) -> String {
    let mut agent = Command::new("node");
    agent
        .args(["examples/agent.mjs", report.as_str()])
        .env("X402_GATEWAY_URL", world.gateway().as_str())
        .env("X402_AGENT_KEY", &world.agent_key);
    succeed(agent).await
}
