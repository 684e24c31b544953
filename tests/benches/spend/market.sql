-- Ninety days of a market: 50 workspaces with ten agents each, a few of which buy most; each agent buys from six of 100
-- providers, a fifth of it from one; prices are those of the provider's resources; one purchase in twenty is denied, one in a
-- hundred fails. All of it is made by the server, from the number of the purchase alone.
INSERT INTO payment_states
SELECT
    31337 AS chain_id,
    concat('ws_', leftPad(toString(agent % 50), 24, '0')) AS workspace_id,
    now64(3, 'UTC') - toIntervalMillisecond(ago_ms) AS quoted_at,
    'led_bench' AS ledger,
    concat('quote_', lower(hex(h)), lower(hex(i))) AS quote_id,
    multiIf(kind = 'denied', 6 * i + 1, 6 * i + 6) AS number,
    if(kind = 'denied', '', concat('pay_', lower(hex(h)), lower(hex(i)))) AS payment_id,
    concat('agent_', leftPad(toString(agent), 24, '0')) AS agent_id,
    concat('prov_', leftPad(toString(provider), 24, '0')) AS provider_id,
    concat('inv_', lower(hex(h))) AS invoice_id,
    concat('GET https://', api, ['/v1/search', '/v1/price', '/v1/quote', '/v1/image', '/v1/text'][article + 1]) AS resource,
    concat('api', toString(provider), '.example.com') AS host,
    toFixedString(substring(sipHash128(provider) || sipHash128(provider, 1), 1, 20), 20) AS pay_to,
    if(kind = 'settled', toFixedString(substring(sipHash128('treasury', agent % 50) || sipHash128(agent % 50), 1, 20), 20), toFixedString('', 20)) AS treasury,
    toUInt256(1 + (provider * 37 + article * 211) % 1000) * toUInt256('100000000000000') AS amount,
    kind AS status,
    multiIf(kind = 'denied', ['AGENT_DAILY_LIMIT', 'WORKSPACE_BUDGET_EXCEEDED', 'PROVIDER_NOT_ALLOWED', 'RATE_LIMITED'][1 + h % 4], kind = 'failed', 'INSUFFICIENT_BALANCE', '') AS code,
    multiIf(kind = 'denied', 'POST /quote denied it', kind = 'failed', 'the treasury holds too little', 'its block is final') AS reason,
    multiIf(kind = 'denied', 'quote.denied', kind = 'failed', 'payment.failed', ago_ms < 900000, 'payment.priced', 'payment.final') AS last_event,
    quoted_at + toIntervalMillisecond(20000) AS changed_at,
    if(kind = 'settled', toFixedString(sipHash128(i) || sipHash128(i, 1), 32), toFixedString('', 32)) AS tx_hash,
    if(kind = 'settled', 20000000 - intDiv(ago_ms, 12000), 0) AS block_number,
    if(kind = 'settled', i % 100000, 0) AS log_index,
    if(kind = 'settled', toUInt256(60000 + h % 20000) * toUInt256(1000000000), toUInt256(0)) AS gas_wei,
    if(kind = 'denied', NULL, quoted_at + toIntervalMillisecond(20 + h % 50)) AS asked_at,
    asked_at + toIntervalMillisecond(1) AS reserved_at,
    if(kind = 'settled', reserved_at + toIntervalMillisecond(15 + h % 30), NULL) AS signed_at,
    signed_at + toIntervalMillisecond(5 + h % 90) AS broadcast_at,
    broadcast_at + toIntervalMillisecond(2000 + h % 14000) AS included_at,
    included_at + toIntervalMillisecond(h % 500) AS settled_at,
    multiIf(kind = 'settled' AND ago_ms < 900000, NULL, kind = 'settled', settled_at + toIntervalMillisecond(880000), quoted_at) AS ended_at,
    if(kind = 'settled' AND ago_ms < 900000, 18446744073709551615, number) AS ended
FROM
(
    SELECT
        number AS i,
        intHash64(i + 1) AS h,
        toUInt64((1 - i / {payments:UInt64}) * 90 * 86400000) AS ago_ms,
        toUInt32(500 * pow((h % 1000000) / 1000000, 2)) AS agent,
        intHash64(h) % 20 AS luck,
        if(luck < 4, 0, luck % 6) AS choice,
        toUInt32(intHash64(agent * 6 + choice) % 100) AS provider,
        intHash64(h + 1) % 5 AS article,
        multiIf(intHash64(h + 2) % 100 < 5, 'denied', intHash64(h + 2) % 100 < 6, 'failed', 'settled') AS kind,
        concat('api', toString(provider), '.example.com') AS api
    FROM numbers({payments:UInt64})
);

-- Every payment's transfer, and a commit that publishes them.
INSERT INTO transfers
SELECT
    chain_id, block_number, log_index, toFixedString(sipHash128(block_number) || sipHash128(block_number, 1), 32), toDateTime(settled_at, 'UTC'), tx_hash,
    log_index, toFixedString('token', 20), treasury, pay_to, amount, toFixedString(sipHash128(quote_id) || sipHash128(quote_id, 1), 32), 'payment', 1, 0
FROM payment_states
WHERE status = 'settled';

INSERT INTO commits
SELECT 31337, 1, 0, 20000000, 20000000, toFixedString('tip', 32), toFixedString('parent', 32), now('UTC'), 20000000 - 75, {payments:UInt64}, 0, now64(3, 'UTC');

-- Closed hour by hour, all but the last two hours, and summed day by day, all but the last.
INSERT INTO closed_outcomes
SELECT
    chain_id, workspace_id, if(status = 'settled', toDateTime(settled_at, 'UTC'), toDateTime(ended_at, 'UTC')), ledger, 1 + intDiv(toUnixTimestamp(quoted_at), 3600),
    if(status = 'settled', 'spent', status), agent_id, provider_id, host, resource, payment_id, if(status = 'settled', '', quote_id), pay_to, treasury, amount, code,
    if(status = 'settled', '', reason), gas_wei, tx_hash, block_number, log_index, quoted_at, ended
FROM payment_states
WHERE ended <= 6 * intDiv({payments:UInt64} * 1079, 1080);

INSERT INTO closings
SELECT
    31337, 'led_bench', row_number() OVER (ORDER BY closing), closing, last_ended,
    now64(3, 'UTC') - toIntervalMinute(125), 20000000 - 625, now64(3, 'UTC')
FROM (SELECT closing, max(ended) AS last_ended FROM closed_outcomes GROUP BY closing);

INSERT INTO closed_hours
SELECT
    chain_id, workspace_id, toStartOfHour(o.at) AS hour, ledger, closing, agent_id, provider_id, host,
    countIf(outcome = 'spent'), sumIf(o.amount, outcome = 'spent'), sum(o.gas_wei), countIf(outcome = 'denied'), sumIf(o.amount, outcome = 'denied'),
    countIf(outcome IN ('failed', 'expired', 'reverted')), sumIf(o.amount, outcome IN ('failed', 'expired', 'reverted'))
FROM closed_outcomes AS o
GROUP BY chain_id, workspace_id, hour, ledger, closing, agent_id, provider_id, host;

INSERT INTO closed_days
SELECT
    chain_id, workspace_id, toDate(o.at) AS day, ledger, 1 + intDiv(closing, 24) AS closing, agent_id, provider_id, host, resource,
    countIf(outcome = 'spent'), sumIf(o.amount, outcome = 'spent'), sum(o.gas_wei), countIf(outcome = 'denied'), sumIf(o.amount, outcome = 'denied'),
    countIf(outcome IN ('failed', 'expired', 'reverted')), sumIf(o.amount, outcome IN ('failed', 'expired', 'reverted'))
FROM closed_outcomes AS o
WHERE intDiv(o.closing, 24) < intDiv(1 + intDiv(toUnixTimestamp(now()), 3600), 24)
GROUP BY chain_id, workspace_id, day, ledger, closing, agent_id, provider_id, host, resource;

INSERT INTO day_closings
SELECT 31337, 'led_bench', row_number() OVER (ORDER BY run), run, last_ended, now64(3, 'UTC')
FROM
(
    SELECT 1 + intDiv(closing, 24) AS run, max(ended) AS last_ended
    FROM closed_outcomes
    WHERE intDiv(closing, 24) < intDiv(1 + intDiv(toUnixTimestamp(now()), 3600), 24)
    GROUP BY run
);

-- Accounts with limits, hourly samples of treasuries, sums of the ledger.
INSERT INTO account_states
SELECT 'led_bench', 'workspace', concat('ws_', leftPad(toString(number), 24, '0')), now64(3), concat('ws_', leftPad(toString(number), 24, '0')),
    concat('Workspace ', toString(number)), NULL::Nullable(UInt256), toUInt256(100000) * toUInt256('1000000000000000000'), NULL, NULL, true
FROM numbers(50)
UNION ALL
SELECT 'led_bench', 'agent', concat('agent_', leftPad(toString(number), 24, '0')), now64(3), concat('ws_', leftPad(toString(number % 50), 24, '0')),
    concat('Agent ', toString(number)), toUInt256(1000) * toUInt256('1000000000000000000'), toUInt256(20000) * toUInt256('1000000000000000000'), NULL, NULL, true
FROM numbers(500)
UNION ALL
SELECT 'led_bench', 'provider', concat('prov_', leftPad(toString(number), 24, '0')), now64(3), concat('ws_', leftPad(toString(number % 50), 24, '0')),
    concat('Provider ', toString(number)), NULL::Nullable(UInt256), NULL::Nullable(UInt256), NULL, NULL, true
FROM numbers(100);

INSERT INTO treasury_states
SELECT
    31337, concat('ws_', leftPad(toString(w), 24, '0')), now64(3, 'UTC') - toIntervalHour(ago), 'led_bench',
    toFixedString(substring(sipHash128('treasury', w) || sipHash128(w), 1, 20), 20), toFixedString(substring(sipHash128('spender', w) || sipHash128(w), 1, 20), 20),
    20000000 - 300 * ago, toFixedString(sipHash128(20000000 - 300 * ago) || sipHash128(20000000 - 300 * ago, 1), 32), now('UTC') - toIntervalHour(ago),
    toUInt256(10000 + ago) * toUInt256('1000000000000000000'), toUInt256(5000 + ago) * toUInt256('1000000000000000000'), toUInt256('90000000000000000')
FROM (SELECT number % 50 AS w, intDiv(number, 50) AS ago FROM numbers(50 * 2160));

INSERT INTO ledger_sums
SELECT 31337, 'led_bench', workspace_id, 6 * {payments:UInt64}, 20000000, 0, sumIf(amount, status = 'settled'), now64(3)
FROM payment_states
GROUP BY workspace_id
