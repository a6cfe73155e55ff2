-- Dates are ISO text, instants microseconds since 1970 (UTC), amounts fen, accumulated bases exact decimals
-- as text, ids 16 bytes. A column named in `store/seal.rs`'s form is sealed; what stands in clear names nobody.
-- Tables with documents keep a rowid: long rows belong outside the key's tree.

-- Who there is. The person 00000000-… is the store itself: its key seals what belongs to nobody.
CREATE TABLE person (
    person_id BLOB NOT NULL PRIMARY KEY CHECK (length(person_id) = 16),
    wrapped_key BLOB NOT NULL,
    has_id_number INTEGER NOT NULL CHECK (has_id_number IN (0, 1))
) STRICT, WITHOUT ROWID;

-- The one table that knows hashes of identities; `reference` is the identity itself, sealed, so that a
-- change of the look-up key can rewrite this table.
CREATE TABLE person_key (
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)), -- 1 identity card number, 2 a hospital's patient number
    keyed_hash BLOB NOT NULL CHECK (length(keyed_hash) = 16),
    key_version INTEGER NOT NULL,
    person_id BLOB NOT NULL,
    reference BLOB NOT NULL,
    PRIMARY KEY (kind, keyed_hash, key_version)
) STRICT, WITHOUT ROWID;

-- Two claims keep things unique across persons: a message is handled once, a stay exists once.
CREATE TABLE message_claim (
    keyed_hash BLOB NOT NULL PRIMARY KEY CHECK (length(keyed_hash) = 16), -- of sender and message id
    digest BLOB NOT NULL, -- keyed hash of the content's digest
    person_id BLOB NOT NULL,
    message_id BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stay_claim (
    keyed_hash BLOB NOT NULL CHECK (length(keyed_hash) = 16), -- of hospital and visit number
    admitted TEXT NOT NULL, -- '' until it is known
    person_id BLOB NOT NULL,
    stay_id BLOB NOT NULL,
    PRIMARY KEY (keyed_hash, admitted)
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    person_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    origin BLOB NOT NULL, -- sender and control id
    raw BLOB NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (person_id, message_id)
) STRICT;

CREATE TABLE stay (
    person_id BLOB NOT NULL,
    stay_id BLOB NOT NULL,
    hospital TEXT NOT NULL,
    admitted TEXT NOT NULL,
    due_at INTEGER,
    document BLOB NOT NULL,
    PRIMARY KEY (person_id, stay_id)
) STRICT;
CREATE INDEX stay_by_id ON stay (stay_id);
CREATE INDEX stay_by_due ON stay (due_at) WHERE due_at IS NOT NULL;

-- A settlement as it stands; its documents, one for each version issued, are in `bill`.
CREATE TABLE settlement (
    person_id BLOB NOT NULL,
    settlement_id BLOB NOT NULL,
    stay_id BLOB NOT NULL,
    hospital TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    day TEXT NOT NULL,
    total INTEGER NOT NULL,
    patient_share INTEGER NOT NULL,
    PRIMARY KEY (person_id, settlement_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX settlement_by_id ON settlement (settlement_id);
CREATE INDEX settlement_by_day ON settlement (day);

CREATE TABLE leg (
    person_id BLOB NOT NULL,
    settlement_id BLOB NOT NULL,
    payer TEXT NOT NULL,
    state TEXT NOT NULL,
    paid INTEGER NOT NULL,
    PRIMARY KEY (person_id, settlement_id, payer)
) STRICT, WITHOUT ROWID;

CREATE TABLE bill (
    person_id BLOB NOT NULL,
    settlement_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (person_id, settlement_id, version)
) STRICT;

-- What settlements here used up of a benefit year; `opening` holds what was used before.
CREATE TABLE person_year (
    person_id BLOB NOT NULL,
    year INTEGER NOT NULL,
    admissions INTEGER NOT NULL,
    PRIMARY KEY (person_id, year)
) STRICT, WITHOUT ROWID;

CREATE TABLE accumulator (
    person_id BLOB NOT NULL,
    year INTEGER NOT NULL,
    payer TEXT NOT NULL,
    base TEXT NOT NULL,
    paid INTEGER NOT NULL,
    PRIMARY KEY (person_id, year, payer)
) STRICT, WITHOUT ROWID;

-- Every imported file is a generation; its rows count from the moment `visible_at` is set.
CREATE TABLE generation (
    generation INTEGER NOT NULL PRIMARY KEY,
    register TEXT NOT NULL CHECK (register IN ('roster', 'catalogue', 'accumulators')),
    is_snapshot INTEGER NOT NULL CHECK (is_snapshot IN (0, 1)),
    as_of TEXT,
    begun_at INTEGER NOT NULL,
    visible_at INTEGER
) STRICT;

-- One row holds all that a generation and those before it say of a person; a person's newest row counts.
CREATE TABLE roster (
    person_id BLOB NOT NULL,
    generation INTEGER NOT NULL,
    region TEXT,
    entitlements TEXT NOT NULL, -- JSON: [[kind, code, from, to], …]
    name BLOB NOT NULL,
    PRIMARY KEY (person_id, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE opening (
    person_id BLOB NOT NULL,
    year INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    payer TEXT NOT NULL, -- '' where only admissions are stated
    base TEXT NOT NULL,
    paid INTEGER NOT NULL,
    admissions INTEGER NOT NULL, -- of the year, the same in each of its rows
    PRIMARY KEY (person_id, year, generation, payer)
) STRICT, WITHOUT ROWID;

CREATE TABLE catalogue (
    code TEXT NOT NULL,
    scope TEXT NOT NULL,
    generation INTEGER NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT,
    name TEXT NOT NULL,
    class TEXT,
    category TEXT,
    upfront_ratio TEXT,
    ceiling TEXT,
    PRIMARY KEY (code, scope, generation, first_day)
) STRICT, WITHOUT ROWID;

CREATE TABLE catalogue_scope (
    scope TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (scope, generation)
) STRICT, WITHOUT ROWID;

-- A counter that a round trip to the disk moves.
CREATE TABLE heartbeat (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    beats INTEGER NOT NULL
) STRICT;
INSERT INTO heartbeat VALUES (1, 0);
