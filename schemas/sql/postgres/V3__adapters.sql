-- How each gateway stands with each adapter: what `yizhan adapter list` shows, and where `reset` is ordered. Nothing of a person.
CREATE TABLE adapter_note (
    adapter text NOT NULL,
    gateway text NOT NULL,
    noted_at timestamptz NOT NULL,
    resets integer NOT NULL DEFAULT 0, -- ordered so far
    document text NOT NULL,
    PRIMARY KEY (adapter, gateway)
);

-- Calls of outside payers, in batches and after the fact; nothing that recovery needs, and nothing of a person: digests are
-- keyed by the process that made the call.
CREATE TABLE adapter_call (
    at timestamptz NOT NULL,
    gateway text NOT NULL,
    adapter text NOT NULL,
    verb text NOT NULL,
    operation_id text,
    request_digest bytea,
    answer_digest bytea,
    latency_us bigint NOT NULL,
    class text NOT NULL,
    answer text,
    http_status integer
);
CREATE INDEX adapter_call_by_time ON adapter_call (at);
CREATE INDEX adapter_call_by_operation ON adapter_call (operation_id) WHERE operation_id IS NOT NULL;
