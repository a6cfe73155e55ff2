-- How each gateway stands with each adapter: what `yizhan adapter list` shows, and where `reset` is ordered. Nothing of a person.
CREATE TABLE adapter_note (
    adapter TEXT NOT NULL,
    gateway TEXT NOT NULL,
    noted_at INTEGER NOT NULL,
    resets INTEGER NOT NULL DEFAULT 0, -- ordered so far
    document TEXT NOT NULL,
    PRIMARY KEY (adapter, gateway)
) STRICT, WITHOUT ROWID;

-- Calls of outside payers, in batches and after the fact; nothing that recovery needs, and nothing of a person: digests are
-- keyed by the process that made the call.
CREATE TABLE adapter_call (
    at INTEGER NOT NULL,
    gateway TEXT NOT NULL,
    adapter TEXT NOT NULL,
    verb TEXT NOT NULL,
    operation_id TEXT,
    request_digest BLOB,
    answer_digest BLOB,
    latency_us INTEGER NOT NULL,
    class TEXT NOT NULL,
    answer TEXT,
    http_status INTEGER
) STRICT;
CREATE INDEX adapter_call_by_time ON adapter_call (at);
CREATE INDEX adapter_call_by_operation ON adapter_call (operation_id) WHERE operation_id IS NOT NULL;
