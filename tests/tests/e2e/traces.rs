//! Traces: one for each purchase, from the agent's request to the verified proof, by real processes.

use std::{
    collections::HashMap,
    process::{Command, Output},
};

use reqwest::{Method, Request, header::HeaderValue};
use secrecy::SecretString;
use x402_agent::{AgentClient, AgentConfig};
use x402_tests::{
    api::PaidApi,
    collector::{Collector, Span},
    raw,
    shared::run,
    world::{OPERATOR_TOKEN, PASSPHRASE, World, amount, eventually, secret},
};

use crate::{
    EXE,
    crashes::{Process, start_with},
};

/// A query that nobody but agent and provider should see.
const QUERY: &str = "token=of-the-query";

/// What a trace of one purchase shows, each step under what it is a step of.
const STEPS: [(&str, &str); 10] = [
    ("fetch", ""),
    ("POST /quote", "fetch"),
    ("policy", "POST /quote"),
    ("POST /pay", "fetch"),
    ("pay", "POST /pay"),
    ("reserve", "pay"),
    ("preflight", "pay"),
    ("sign", "pay"),
    ("broadcast", "pay"),
    ("settle", "pay"),
];

/// A world whose services are a process of their own and tell the collector.
async fn traced(collector: &Collector) -> (World, Process) {
    let world = World::new(EXE).await;
    world.stop().await;
    let url = collector.url();
    let node = start_with(&world, |command| {
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", url)
            .env("OTEL_BSP_SCHEDULE_DELAY", "50");
    })
    .await;
    (world, node)
}

/// `x402 pay` in a process of its own.
fn pay(world: &World, api: &PaidApi, collector: &str) -> Output {
    let url = api.url(&format!("report?{QUERY}"));
    Command::new(EXE)
        .args(["pay", url.as_str()])
        .env("X402_GATEWAY_URL", world.gateway().as_str())
        .env("X402_AGENT_KEY", &world.agent_key)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .env("OTEL_SERVICE_NAME", "agent")
        .output()
        .unwrap()
}

/// The spans of the one trace in which a proof was verified and its payment settled, by their ids.
async fn one_trace(collector: &Collector) -> HashMap<String, Span> {
    let mut trace = HashMap::new();
    eventually("the collector has a purchase's trace", async || {
        let spans = collector.spans();
        let verified = spans.iter().find(|span| span.name == "POST /verify");
        let Some(verified) = verified else {
            return false;
        };
        let of_it = |span: &&Span| span.trace_id == verified.trace_id;
        trace = spans
            .iter()
            .filter(of_it)
            .map(|span| (span.span_id.clone(), span.clone()))
            .collect();
        let has = |name: &str| trace.values().any(|span: &Span| span.name == name);
        STEPS.iter().all(|(name, _)| has(name))
    })
    .await;
    trace
}

#[test]
fn one_trace_goes_from_the_agents_request_to_the_verified_proof() {
    run(async {
        let collector = Collector::start().await;
        let (world, _node) = traced(&collector).await;
        let api = PaidApi::start(&world, "0.05").await;
        let bought = pay(&world, &api, &collector.url());
        assert!(bought.status.success(), "{bought:?}");

        let trace = one_trace(&collector).await;
        let parent_of = |span: &Span| {
            let parent = trace.get(&span.parent_id);
            parent.map_or("", |parent| parent.name.as_str()).to_owned()
        };
        let named = |name: &str| -> Vec<&Span> {
            trace.values().filter(|span| span.name == name).collect()
        };
        for (name, parent) in STEPS {
            let parents: Vec<String> = named(name).into_iter().map(parent_of).collect();
            assert!(
                parents.iter().any(|found| found == parent),
                "{name}: {parents:?}"
            );
        }
        // The API has no spans of its own: it hands the agent's place on.
        let [verified] = named("POST /verify")[..] else {
            panic!("{trace:?}");
        };
        assert_eq!(parent_of(verified), "fetch");
        assert_eq!(verified.attributes["verdict"], "VERIFIED");
        let [fetched] = named("fetch")[..] else {
            panic!("{trace:?}");
        };
        assert_eq!(
            (fetched.service.as_str(), verified.service.as_str()),
            ("agent", "x402-node")
        );
        let payment_id = &fetched.attributes["payment_id"];
        for name in ["POST /pay", "pay", "settle", "POST /verify"] {
            assert_eq!(
                &named(name)[0].attributes["payment_id"],
                payment_id,
                "{name}"
            );
        }
        let quoted = &named("POST /quote")[0].attributes;
        let told = [
            "http.request.method",
            "http.route",
            "http.response.status_code",
        ];
        assert_eq!(
            told.map(|key| quoted[key].as_str()),
            ["POST", "/quote", "200"]
        );
    });
}

#[test]
fn a_trace_that_the_request_names_is_carried_on() {
    run(async {
        let collector = Collector::start().await;
        let (world, _node) = traced(&collector).await;
        let api = PaidApi::start(&world, "0.05").await;
        let (trace_id, caller) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let mut request = Request::new(Method::GET, api.url("report"));
        let place = HeaderValue::try_from(format!("00-{trace_id}-{caller}-01")).unwrap();
        request.headers_mut().insert("traceparent", place);
        let key = SecretString::from(world.agent_key.clone());
        let agent = AgentConfig::new(world.gateway(), key, amount("1"));
        let fetched = AgentClient::new(agent).unwrap().fetch(request).await;
        assert_eq!(fetched.unwrap().response.status(), 200);
        for name in ["POST /quote", "POST /pay", "POST /verify"] {
            eventually(
                "the collector has each of the purchase's requests",
                async || {
                    let spans = collector.spans();
                    let of_it = |span: &&Span| span.name == name && span.parent_id == caller;
                    spans
                        .iter()
                        .find(of_it)
                        .is_some_and(|span| span.trace_id == trace_id)
                },
            )
            .await;
        }
    });
}

#[test]
fn nothing_secret_is_in_a_span() {
    run(async {
        let collector = Collector::start().await;
        let (world, _node) = traced(&collector).await;
        let api = PaidApi::start(&world, "0.05").await;
        let bought = pay(&world, &api, &collector.url());
        assert!(bought.status.success(), "{bought:?}");
        let trace = one_trace(&collector).await;
        let fetched = trace.values().find(|span| span.name == "fetch").unwrap();
        let payment_id = &fetched.attributes["payment_id"];
        let payment = world.gateway().join(&format!("payments/{payment_id}"));
        let (_, payment) = raw::get(payment.unwrap().as_str(), Some(&world.agent_key)).await;
        let proof = payment["proof"].as_str().unwrap();
        let (_, signature) = proof.rsplit_once('.').unwrap();

        let told = collector.bytes();
        let is_told = |text: &str| told.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(is_told(payment_id), "what is told is searched");
        for (what, text) in [
            ("the agent's key", world.agent_key.as_str()),
            ("the provider's key", world.provider_key.as_str()),
            ("the owner's key", secret(&world.owner)),
            ("the operator's token", OPERATOR_TOKEN),
            ("the passphrase", PASSPHRASE),
            ("the proof", proof),
            ("the proof's signature", signature),
            ("a query", QUERY),
            ("a header of ours", "x-402-"),
            ("a header of keys", "authorization"),
        ] {
            assert!(!is_told(text), "{what} is told: {text}");
        }
    });
}

#[test]
fn a_collector_that_is_away_costs_a_line_of_the_log() {
    run(async {
        let world = World::new(EXE).await;
        let api = PaidApi::start(&world, "0.05").await;
        let bought = pay(&world, &api, "http://127.0.0.1:1");
        assert!(bought.status.success(), "{bought:?}");
        let said = String::from_utf8(bought.stderr).unwrap();
        assert_eq!(said.matches("the collector of traces").count(), 1, "{said}");
    });
}
