-- The same tables as in schemas/sql/sqlite, and the same things sealed in them (store/seal.rs): what stands in clear
-- names nobody. Amounts are fen, accumulated bases exact decimals, ids UUIDs; a day that is not known yet and stands
-- in a key is -infinity.
--
-- Shape. Every table about people leads with person_id, and so does each of its unique keys; the look-up table and the
-- two claim tables lead with a keyed hash. There are no foreign keys: a reference to another person's rows, or from a
-- claim to a person, would tie shards together. A step writes one person's rows and two claims.

-- Who there is. The person 00000000-… is the store itself: its key seals what belongs to nobody.
CREATE TABLE person (
    person_id uuid NOT NULL PRIMARY KEY,
    wrapped_key bytea NOT NULL,
    has_id_number boolean NOT NULL,
    version bigint NOT NULL DEFAULT 0, -- counts the writes that touched the person
    last_steps uuid[] NOT NULL DEFAULT '{}' -- the newest of those without a message: did a COMMIT without an answer take place?
) WITH (fillfactor = 80);

-- The one table that knows hashes of identities; `reference` is the identity itself, sealed, so that a change of the
-- look-up key can rewrite this table.
CREATE TABLE person_key (
    keyed_hash bytea NOT NULL CHECK (length(keyed_hash) = 16),
    kind smallint NOT NULL CHECK (kind IN (1, 2)), -- 1 identity card number, 2 a hospital's patient number
    key_version smallint NOT NULL,
    person_id uuid NOT NULL,
    reference bytea NOT NULL,
    PRIMARY KEY (keyed_hash, kind, key_version)
);
CREATE INDEX person_key_by_person ON person_key (person_id);

-- Two claims keep things unique across persons: a message is handled once, a stay exists once.
CREATE TABLE message_claim (
    keyed_hash bytea NOT NULL PRIMARY KEY CHECK (length(keyed_hash) = 16), -- of sender and message id
    digest bytea NOT NULL, -- keyed hash of the content's digest
    person_id uuid NOT NULL,
    message_id uuid NOT NULL
);

CREATE TABLE stay_claim (
    keyed_hash bytea NOT NULL CHECK (length(keyed_hash) = 16), -- of hospital and visit number
    admitted date NOT NULL, -- -infinity until it is known
    person_id uuid NOT NULL,
    stay_id uuid NOT NULL,
    PRIMARY KEY (keyed_hash, admitted)
);

CREATE TABLE message (
    person_id uuid NOT NULL,
    message_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    origin bytea NOT NULL, -- sender and control id
    raw bytea NOT NULL,
    answer bytea NOT NULL,
    PRIMARY KEY (person_id, message_id)
);

CREATE TABLE stay (
    person_id uuid NOT NULL,
    stay_id uuid NOT NULL,
    hospital text NOT NULL,
    admitted date NOT NULL, -- -infinity until it is known
    visit_hash bytea NOT NULL, -- the claim that leads to the stay, so that it can follow it to another person
    settlement_id uuid, -- the newest: its bill stands in `bill` and nowhere else
    due_at timestamptz,
    epoch bigint NOT NULL DEFAULT 0, -- counts the takings of the lease
    held_by text,
    needs_attention boolean NOT NULL DEFAULT false,
    document bytea NOT NULL,
    PRIMARY KEY (person_id, stay_id)
) WITH (fillfactor = 90);
CREATE INDEX stay_by_id ON stay (stay_id);
CREATE INDEX stay_by_due ON stay (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX stay_by_holder ON stay (held_by, due_at) WHERE held_by IS NOT NULL;
CREATE INDEX stay_by_attention ON stay (stay_id) WHERE needs_attention;

-- A settlement as it stands; its documents, one for each version issued, are in `bill`.
CREATE TABLE settlement (
    person_id uuid NOT NULL,
    settlement_id uuid NOT NULL,
    stay_id uuid NOT NULL,
    hospital text NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    day date NOT NULL,
    total bigint NOT NULL,
    patient_share bigint NOT NULL,
    benefit_year smallint, -- absent until settled
    settled_number integer, -- counts the settlements of a person
    earlier_reversed integer NOT NULL DEFAULT 0, -- a reversal marks the later settlements of its year
    PRIMARY KEY (person_id, settlement_id)
);
CREATE INDEX settlement_by_id ON settlement (settlement_id);
CREATE INDEX settlement_by_day ON settlement (day);

CREATE TABLE leg (
    person_id uuid NOT NULL,
    settlement_id uuid NOT NULL,
    payer text NOT NULL,
    state text NOT NULL,
    paid bigint NOT NULL,
    PRIMARY KEY (person_id, settlement_id, payer)
);

CREATE TABLE bill (
    person_id uuid NOT NULL,
    settlement_id uuid NOT NULL,
    version integer NOT NULL,
    document bytea NOT NULL,
    PRIMARY KEY (person_id, settlement_id, version)
);

-- What settlements here used up of a benefit year; `opening` holds what was used before.
CREATE TABLE person_year (
    person_id uuid NOT NULL,
    year smallint NOT NULL,
    admissions integer NOT NULL,
    PRIMARY KEY (person_id, year)
);

CREATE TABLE accumulator (
    person_id uuid NOT NULL,
    year smallint NOT NULL,
    payer text NOT NULL,
    base numeric NOT NULL,
    paid bigint NOT NULL,
    PRIMARY KEY (person_id, year, payer)
);

-- What settlements in flight have set aside of a year, beyond `person_year` and `accumulator`. A row that would say
-- nothing is not there.
CREATE TABLE reserved_year (
    person_id uuid NOT NULL,
    year smallint NOT NULL,
    admissions integer NOT NULL,
    PRIMARY KEY (person_id, year)
);

CREATE TABLE reservation (
    person_id uuid NOT NULL,
    year smallint NOT NULL,
    payer text NOT NULL,
    base numeric NOT NULL,
    paid bigint NOT NULL,
    PRIMARY KEY (person_id, year, payer)
);

-- The ledger. Each row takes from one account what it gives another, so that every sum over whole rows is zero.
-- Accounts: `fund:PAYER:INSURED_REGION`, `patient`, `hospital:CODE`. Rows are only added.
CREATE TABLE posting (
    person_id uuid NOT NULL,
    settlement_id uuid NOT NULL,
    version integer NOT NULL, -- of the bill that caused it
    debit text NOT NULL,
    credit text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('settlement', 'reversal', 'clearing')),
    day date NOT NULL, -- civil date in Shanghai, of the bill's change of state
    amount bigint NOT NULL CHECK (amount > 0),
    PRIMARY KEY (person_id, settlement_id, version, debit, credit),
    CHECK (debit <> credit)
);
CREATE INDEX posting_by_day ON posting (day);

-- What hospitals are still to be told, each stay's bills in order; a row goes when it was delivered.
CREATE TABLE outbox (
    person_id uuid NOT NULL,
    stay_id uuid NOT NULL,
    version integer NOT NULL, -- of the bill; counts on over the settlements of a stay
    outbox_id uuid NOT NULL,
    hospital text NOT NULL,
    settlement_id uuid NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    why text, -- the last delivery failed; names nobody
    PRIMARY KEY (person_id, stay_id, version, outbox_id)
);
CREATE INDEX outbox_by_due ON outbox (due_at, hospital);
CREATE INDEX outbox_by_id ON outbox (outbox_id);

-- Every imported file is a generation; its rows count from the moment `visible_at` is set.
CREATE TABLE generation (
    generation bigint NOT NULL PRIMARY KEY,
    register text NOT NULL CHECK (register IN ('roster', 'catalogue', 'accumulators')),
    is_snapshot boolean NOT NULL,
    as_of date,
    begun_at timestamptz NOT NULL,
    visible_at timestamptz
);

-- One row holds all that a generation and those before it say of a person; a person's newest row counts.
CREATE TABLE roster (
    person_id uuid NOT NULL,
    generation bigint NOT NULL,
    region text,
    entitlements text NOT NULL, -- JSON: [[kind, code, from, to], …]
    name bytea NOT NULL,
    PRIMARY KEY (person_id, generation)
);

CREATE TABLE opening (
    person_id uuid NOT NULL,
    year smallint NOT NULL,
    generation bigint NOT NULL,
    payer text NOT NULL, -- '' where only admissions are stated
    base numeric NOT NULL,
    paid bigint NOT NULL,
    admissions integer NOT NULL, -- of the year, the same in each of its rows
    PRIMARY KEY (person_id, year, generation, payer)
);

CREATE TABLE catalogue (
    code text NOT NULL,
    scope text NOT NULL,
    generation bigint NOT NULL,
    first_day date NOT NULL,
    last_day date,
    name text NOT NULL,
    class text,
    category text,
    upfront_ratio text,
    ceiling text,
    PRIMARY KEY (code, scope, generation, first_day)
);

CREATE TABLE catalogue_scope (
    scope text NOT NULL,
    generation bigint NOT NULL,
    PRIMARY KEY (scope, generation)
);

-- A counter that a round trip to the disk moves.
CREATE TABLE heartbeat (
    id integer NOT NULL PRIMARY KEY CHECK (id = 1),
    beats bigint NOT NULL
);
INSERT INTO heartbeat VALUES (1, 0);

-- Sealed bytes do not get smaller by packing them again.
ALTER TABLE message ALTER COLUMN raw SET STORAGE EXTERNAL;
ALTER TABLE message ALTER COLUMN answer SET STORAGE EXTERNAL;
ALTER TABLE stay ALTER COLUMN document SET STORAGE EXTERNAL;
ALTER TABLE bill ALTER COLUMN document SET STORAGE EXTERNAL;
