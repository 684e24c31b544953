//! Who is in town: shops and what they sell, companies and whom they employ.

/// Something to buy. Its price goes on to the next one with each season.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) prices: [&'static str; 3],
}

/// A provider.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) name: &'static str,
    pub(super) host: &'static str,
    pub(super) products: &'static [Product],
}

/// A workspace.
#[derive(Debug)]
pub(super) struct Company {
    pub(super) name: &'static str,
    pub(super) monthly_budget: &'static str,
    /// What its treasury lets the gateway move.
    pub(super) allowance: &'static str,
    /// How many of the errands are its agents', compared with the other companies.
    pub(super) share: usize,
    pub(super) agents: &'static [Job],
}

/// An agent.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: &'static str,
    pub(super) per_request: &'static str,
    pub(super) daily: &'static str,
    pub(super) monthly: &'static str,
    /// From which price on an owner is asked.
    pub(super) approval_above: Option<&'static str>,
    /// Hosts of the shops that it may buy from; who may buy at all of them may buy anywhere.
    pub(super) buys_at: &'static [&'static str],
}

impl Job {
    pub(super) const fn buys_anywhere(&self) -> bool {
        self.buys_at.len() == SHOPS.len()
    }
}

const WEATHER: &str = "api.skycast.example";
const FILINGS: &str = "filings.ledgerline.example";
const WORDS: &str = "api.polyglot.example";
const MAPS: &str = "routes.atlasmaps.example";
const SEARCH: &str = "search.quorum.example";

const fn product(method: &'static str, path: &'static str, prices: [&'static str; 3]) -> Product {
    Product {
        method,
        path,
        prices,
    }
}

pub(super) const SHOPS: [Shop; 5] = [
    Shop {
        name: "Skycast Weather",
        host: WEATHER,
        products: &[
            product("GET", "/v1/forecast", ["0.01", "0.012", "0.009"]),
            product("GET", "/v1/history", ["0.04", "0.04", "0.05"]),
        ],
    },
    Shop {
        name: "Ledgerline Filings",
        host: FILINGS,
        products: &[
            product("GET", "/10-k", ["0.25", "0.25", "0.30"]),
            product("POST", "/search", ["0.03", "0.035", "0.035"]),
        ],
    },
    Shop {
        name: "Polyglot Translate",
        host: WORDS,
        products: &[product("POST", "/translate", ["0.02", "0.018", "0.016"])],
    },
    Shop {
        name: "Atlas Maps",
        host: MAPS,
        products: &[
            product("GET", "/route", ["0.015", "0.015", "0.02"]),
            product("GET", "/matrix", ["0.12", "0.10", "0.12"]),
        ],
    },
    Shop {
        name: "Quorum Search",
        host: SEARCH,
        products: &[product("GET", "/web", ["0.005", "0.006", "0.007"])],
    },
];

pub(super) const COMPANIES: [Company; 3] = [
    Company {
        name: "Northwind Research",
        monthly_budget: "20000",
        allowance: "5000",
        share: 5,
        agents: &[
            Job {
                name: "market analyst",
                per_request: "5",
                daily: "2000",
                monthly: "15000",
                approval_above: Some("1"),
                buys_at: &[FILINGS, SEARCH, WEATHER, WORDS, MAPS],
            },
            Job {
                name: "news digest",
                per_request: "0.5",
                daily: "400",
                monthly: "6000",
                approval_above: None,
                buys_at: &[SEARCH, WORDS],
            },
        ],
    },
    Company {
        name: "Harbor Logistics",
        monthly_budget: "8000",
        allowance: "2000",
        share: 4,
        agents: &[
            Job {
                name: "route planner",
                per_request: "1",
                daily: "900",
                monthly: "7000",
                approval_above: None,
                buys_at: &[MAPS, WEATHER],
            },
            // Has spent its day within minutes.
            Job {
                name: "customs helper",
                per_request: "0.5",
                daily: "0.40",
                monthly: "12",
                approval_above: None,
                buys_at: &[FILINGS, WORDS],
            },
        ],
    },
    // Its treasury has allowed next to nothing: most of its payments fail.
    Company {
        name: "Fieldnote Pilot",
        monthly_budget: "50",
        allowance: "0.15",
        share: 1,
        agents: &[Job {
            name: "soil survey",
            per_request: "0.2",
            daily: "20",
            monthly: "50",
            approval_above: None,
            buys_at: &[WEATHER, MAPS],
        }],
    },
];
