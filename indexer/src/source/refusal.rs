//! What a provider means when it refuses a range of logs. Pure.
//!
//! There is no standard for it: every provider has words of its own, some with a number of blocks that would pass.
//! Words that are not known make a plain refusal; a hint is only ever a smaller range than the one refused.

/// Words that say "too much in one request", in lower case. Each from at least one provider's reply.
const TOO_MUCH: [&str; 30] = [
    "getlogs is limited to",
    "block range",
    "blocks range",
    "range is too",
    "range too",
    "range exceed",
    "max range",
    "maximum range",
    "maximum allowed",
    "max allowed range",
    "too many blocks",
    "number of blocks",
    "blocks distance",
    "less number of blocks",
    "ranges over",
    "more than 10000 results",
    "query returned more than",
    "exceeds max results",
    "exceeds the range",
    "too many results",
    "too many logs",
    "logs over",
    "response size",
    "response too large",
    "response is too big",
    "response is too large",
    "result too large",
    "query timeout",
    "query timed out",
    "execution timeout",
];

/// Words after which a provider names the number of blocks that it allows, in lower case; the longer before the shorter.
const LIMIT_FOLLOWS: [&str; 21] = [
    "maximum block range:",
    "maximum block range is",
    "max block range:",
    "max block range",
    "block range limit is",
    "max range:",
    "allowed range:",
    "number of requested blocks is",
    "blocks distance:",
    "limited to 0 -",
    "limited to a",
    "limited to",
    "maximum is set to",
    "max is",
    "max:",
    "maximum of",
    "up to a",
    "up to",
    "at most",
    "ranges over",
    "greater than",
];

/// The code of "limit exceeded" (EIP-1474).
const LIMIT_EXCEEDED: i64 = -32_005;

/// A range of logs was refused for its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooWide {
    /// The number of blocks that would pass, if the provider says it.
    pub(super) fits: Option<u64>,
}

/// Whether the error `code` with these words refuses a range of `asked` blocks for its size.
pub(super) fn too_wide(code: i64, words: &str, asked: u64) -> Option<TooWide> {
    let words = words.to_ascii_lowercase();
    if is_busy(&words) {
        return None;
    }
    if code != LIMIT_EXCEEDED && !TOO_MUCH.iter().any(|phrase| words.contains(phrase)) {
        return None;
    }
    let fits = suggested_range(&words)
        .or_else(|| stated_limit(&words))
        .filter(|blocks| (1..asked).contains(blocks));
    Some(TooWide { fits })
}

/// Whether the words, in lower case, ask for fewer requests rather than for smaller ones.
pub(super) fn is_busy(words: &str) -> bool {
    [
        "rate limit",
        "rate-limit",
        "ratelimit",
        "too many requests",
        "request rate",
        "requests per second",
        "request count exceeded",
        "compute units per second",
        "throughput",
        "capacity exceeded",
        "exceeded its capacity",
        "try again later",
    ]
    .iter()
    .any(|phrase| words.contains(phrase))
}

/// `…range [0x10, 0x1f]` or `…range 16-31`: the blocks in it.
fn suggested_range(words: &str) -> Option<u64> {
    let bracket = words
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .and_then(|(inside, _)| inside.split_once(','));
    let retry = words
        .split_once("with the range ")
        .and_then(|(_, rest)| rest.split_once('-'));
    let (from, to) = bracket.or(retry)?;
    let width = number(to)?.checked_sub(number(from)?)?;
    width.checked_add(1)
}

/// `…max block range: 5,000`: that number, unless it counts something else than blocks.
fn stated_limit(words: &str) -> Option<u64> {
    LIMIT_FOLLOWS.iter().find_map(|phrase| {
        words
            .match_indices(phrase)
            .filter_map(|(at, _)| words.get(at.checked_add(phrase.len())?..))
            .find_map(blocks_at_start)
    })
}

fn blocks_at_start(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let blocks = number(text)?;
    let unit =
        text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ',' | '_' | 'k'));
    let unit = unit.trim_start();
    let counts_others = [
        "result", "log", "byte", "mb", "kb", "second", "%", "ms", "event",
    ];
    (!counts_others.iter().any(|other| unit.starts_with(other))).then_some(blocks)
}

/// The number that a text begins with: `0x1f`, `5000`, `10,000` or `2k`.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x") {
        let end = hex.find(|c: char| !c.is_ascii_hexdigit());
        let digits = end.map_or(Some(hex), |end| hex.get(..end))?;
        return u64::from_str_radix(digits, 16).ok();
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != ',' && c != '_')
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let number: u64 = digits.parse().ok()?;
    let thousands = rest.starts_with('k') && !rest.starts_with("kb");
    number.checked_mul(if thousands { 1_000 } else { 1 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASKED: u64 = 1_000_000;

    /// Code, words, and the number of blocks that they say would pass.
    const PROVIDERS: [(i64, &str, Option<u64>); 27] = [
        (
            -32_602,
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or you can request any block range with a cap of 10K logs in the response. Based on your parameters and the response size limit, this block range should work: [0x10, 0x1f]",
            Some(16),
        ),
        (
            -32_600,
            "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your parameters, this block range should work: [0x1, 0xa]. Upgrade to PAYG for expanded block range.",
            Some(10),
        ),
        (
            -32_602,
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
            Some(2_000),
        ),
        (-32_005, "query returned more than 10000 results", None),
        (
            -32_005,
            "query returned more than 10000 results. Try with this block range [0x100, 0x1ff].",
            Some(256),
        ),
        (
            -32_602,
            "query exceeds max results 20000, retry with the range 100-149",
            Some(50),
        ),
        (
            -32_602,
            "query exceeds max block range 100000",
            Some(100_000),
        ),
        (-32_000, "exceed maximum block range: 5000", Some(5_000)),
        (-32_000, "block range is too wide", None),
        (
            -32_600,
            "block range is too wide (max: 10000)",
            Some(10_000),
        ),
        (
            -32_000,
            "eth_getLogs is limited to 0 - 10000 blocks range",
            Some(10_000),
        ),
        (
            -32_614,
            "eth_getLogs is limited to a 10,000 range",
            Some(10_000),
        ),
        (
            -32_000,
            "eth_getLogs and eth_newFilter are limited to a 10,000 blocks range",
            Some(10_000),
        ),
        (
            -32_000,
            "response size should not greater than 10000000 bytes",
            None,
        ),
        (
            -32_000,
            "requested too many blocks from 0 to 16777216, maximum is set to 2048",
            Some(2_048),
        ),
        (
            -32_602,
            "Maximum allowed number of requested blocks is 3500",
            Some(3_500),
        ),
        (
            -32_047,
            "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: 800",
            Some(800),
        ),
        (-32_000, "block range greater than 20000 max", Some(20_000)),
        (
            -32_600,
            "Block range limit exceeded. See more details at the documentation.",
            None,
        ),
        (
            35,
            "ranges over 10000 blocks are not supported on freetier",
            Some(10_000),
        ),
        (
            -32_005,
            "please limit the query to at most 1000 blocks",
            Some(1_000),
        ),
        (
            -32_000,
            "Your app has exceeded its maximum allowed range",
            None,
        ),
        (
            -32_000,
            "maximum [from, to] blocks distance: 2000",
            Some(2_000),
        ),
        (-32_000, "query timeout exceeded", None),
        (-32_008, "Response is too big", None),
        (-32_020, "backend response too large", None),
        (-32_005, "Limit exceeded", None),
    ];

    #[test]
    fn the_common_providers_words_are_understood() {
        for (code, words, fits) in PROVIDERS {
            assert_eq!(
                too_wide(code, words, ASKED),
                Some(TooWide { fits }),
                "{words}"
            );
        }
    }

    #[test]
    fn other_refusals_are_not_about_the_range() {
        for (code, words) in [
            (
                -32_005,
                "daily request count exceeded, request rate limited",
            ),
            (
                429,
                "Your app has exceeded its compute units per second capacity",
            ),
            (-32_601, "the method eth_getLogs does not exist"),
            (-32_000, "header not found"),
            (-32_000, "unknown block"),
            (
                -32_602,
                "BlockOutOfRangeError: block height is 5 but requested was 9",
            ),
            (-32_602, "invalid params"),
        ] {
            assert_eq!(too_wide(code, words, ASKED), None, "{words}");
        }
    }

    #[test]
    fn a_hint_that_is_not_smaller_than_what_was_refused_is_no_hint() {
        let words = "exceed maximum block range: 5000";
        assert_eq!(too_wide(0, words, 5_000), Some(TooWide { fits: None }));
        assert_eq!(
            too_wide(0, words, 5_001),
            Some(TooWide { fits: Some(5_000) })
        );
        let backwards = "try with this block range [0x20, 0x10]";
        assert_eq!(too_wide(0, backwards, 9), Some(TooWide { fits: None }));
    }

    proptest! {
        #[test]
        fn whatever_a_provider_says_a_hint_shrinks_the_range(code: i64, words in "(block range|max: |limited to |\\[|0x|,|-|\\]|[0-9]{1,25}|k| |\\PC)*", asked: u64) {
            if let Some(TooWide { fits: Some(fits) }) = too_wide(code, &words, asked) {
                prop_assert!(fits >= 1 && fits < asked);
            }
        }
    }
}
