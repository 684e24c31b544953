-- How long each step of a payment took in the last 7 days: the middle, the slow twentieth and the slow hundredth, in milliseconds.
SELECT step, count() AS payments, quantiles(0.5, 0.95, 0.99)(assumeNotNull(ms)) AS p50_p95_p99
FROM payments
ARRAY JOIN
    ['decide', 'approve and reserve', 'sign', 'send', 'wait for a block', 'index', 'become final'] AS step,
    [
        dateDiff('millisecond', quoted_at, asked_at), dateDiff('millisecond', asked_at, reserved_at),
        dateDiff('millisecond', reserved_at, signed_at), dateDiff('millisecond', signed_at, broadcast_at),
        dateDiff('millisecond', broadcast_at, included_at), dateDiff('millisecond', included_at, settled_at),
        if(status = 'settled', dateDiff('millisecond', settled_at, ended_at), NULL)
    ] AS ms
WHERE quoted_at >= now() - INTERVAL 7 DAY AND ms IS NOT NULL
GROUP BY step
ORDER BY max(ms)
